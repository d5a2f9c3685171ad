//! Labels of a TaskInfo: their names, and the list of one launch.
//!
//! Invariant: the names are those of the SDK, byte for byte; clients and the other scheduler read them.

use mainstay_proto::v1;

use crate::ids::{ConfigId, PodInstance};
use crate::offer::Offer;

/// Configuration the task was made from.
pub const TARGET_CONFIGURATION: &str = "target_configuration";
/// Pod type.
pub const TASK_TYPE: &str = "task_type";
/// Index of the pod instance.
pub const INDEX: &str = "index";
/// Attributes of the agent, `name:value` joined with `;`.
pub const OFFER_ATTRIBUTES: &str = "offer_attributes";
/// Host name of the agent.
pub const OFFER_HOSTNAME: &str = "offer_hostname";
/// Region of the agent.
pub const OFFER_REGION: &str = "offer_region";
/// Zone of the agent.
pub const OFFER_ZONE: &str = "offer_zone";
/// `true` while the pod instance is to be replaced; absent otherwise.
pub const PERMANENTLY_FAILED: &str = "permanently-failed";
/// Readiness check of the older generation, a base64 `HealthCheck`.
pub const READINESS_CHECK: &str = "readiness_check";
/// Executor label with the DC/OS space.
pub const DCOS_SPACE: &str = "DCOS_SPACE";
/// Prefix of the labels that tell the executor where a volume belongs: `volume:<persistence id>` = path of the specification.
pub const VOLUME_PREFIX: &str = "volume:";
/// Prefix of the labels that tell the executor where a mount belongs: `mount:<name>` = path of the specification.
pub const MOUNT_PREFIX: &str = "mount:";
/// Label of a port with a virtual address: whether the address leads into the container's network or to its agent.
pub const NETWORK_SCOPE: &str = "network-scope";

/// Between two attributes.
const ATTRIBUTES_SEPARATOR: char = ';';

/// One label.
pub(crate) fn label(key: impl Into<String>, value: impl Into<String>) -> v1::Label {
    v1::Label { key: key.into(), value: Some(value.into()) }
}

/// The label that tells where a volume belongs.
pub(crate) fn volume(persistence_id: &str, path: &str) -> v1::Label {
    label(format!("{VOLUME_PREFIX}{persistence_id}"), path)
}

/// The label that tells where a mount belongs.
pub(crate) fn mount(name: &str, path: &str) -> v1::Label {
    label(format!("{MOUNT_PREFIX}{name}"), path)
}

/// Labels of a task of this instance on the agent of this offer, with those of its author; sorted by key.
pub(crate) fn of_task(
    pod: &PodInstance,
    config_id: &ConfigId,
    offer: &Offer,
    authors: &[(String, String)],
) -> Vec<v1::Label> {
    let mut labels = vec![
        label(INDEX, pod.index.to_string()),
        label(OFFER_ATTRIBUTES, attributes_to_text(&offer.attributes)),
        label(OFFER_HOSTNAME, &*offer.hostname),
        label(TARGET_CONFIGURATION, config_id.as_str()),
        label(TASK_TYPE, &*pod.pod_type),
    ];
    labels.extend(offer.region.as_deref().map(|region| label(OFFER_REGION, region)));
    labels.extend(offer.zone.as_deref().map(|zone| label(OFFER_ZONE, zone)));
    labels.extend(authors.iter().map(|(key, value)| label(&**key, &**value)));
    labels.sort_by(|left, right| left.key.cmp(&right.key));
    labels
}

/// The text of the label `offer_attributes`.
pub(crate) fn attributes_to_text(attributes: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in attributes {
        if !text.is_empty() {
            text.push(ATTRIBUTES_SEPARATOR);
        }
        text.push_str(name);
        text.push(':');
        text.push_str(value);
    }
    text
}

/// Reads the label `offer_attributes`; what has no colon is dropped.
pub(crate) fn attributes_from_text(text: &str) -> Vec<(String, String)> {
    text.split(ATTRIBUTES_SEPARATOR)
        .filter_map(|pair| pair.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_their_text() {
        let attributes = [("rack", "r1"), ("load", "1.500"), ("url", "http://x")];
        let attributes: Vec<_> = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let text = attributes_to_text(&attributes);
        assert_eq!(text, "rack:r1;load:1.500;url:http://x");
        assert_eq!(attributes_from_text(&text), attributes);
        assert_eq!(attributes_from_text(""), []);
    }
}
