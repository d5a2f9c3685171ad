//! From stored JSON of any generation to the model.
//!
//! Every key is optional where the SDK has a default, and a null is an absent key. Unknown keys are ignored, as every
//! reader of this form does. A value that has no place in the model is an error that names it.
//! Next: `read/pod.rs`, `read/task.rs`, `read/resources.rs`, `read/at.rs`.

mod at;
mod pod;
mod resources;
mod task;

use serde_json::Value;

use super::StoredSpec;
use crate::{replacement::ReplacementPolicy, service::ServiceSpec};

pub(super) use at::At;

/// What a document of the older generation does not say by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOptions<'o> {
    /// The executor's archive, which that generation appended to the files of each pod: its `EXECUTOR_URI`.
    pub executor_uri: Option<&'o str>,
    /// The specification to compare with: that generation did not store the ports of pods on an overlay network.
    pub current: Option<&'o ServiceSpec>,
}

/// Why a stored configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not JSON.
    #[error("stored configuration is not JSON")]
    Json(#[source] serde_json::Error),
    /// A key without a default is absent.
    #[error("stored configuration lacks {path}")]
    Missing {
        /// Keys that lead to it.
        path: String,
    },
    /// A value is not what this key holds.
    #[error("stored configuration has {found} at {path}, where {wanted} belongs")]
    Wrong {
        /// Keys that lead to it.
        path: String,
        /// The value, shortened.
        found: String,
        /// What belongs there.
        wanted: &'static str,
    },
    /// A value asks for something that this version does not know.
    #[error("stored configuration uses {feature} at {path}, which is not supported yet")]
    NotSupportedYet {
        /// Keys that lead to it.
        path: String,
        /// The feature.
        feature: String,
    },
}

pub(super) type Result<T> = std::result::Result<T, Error>;

pub(super) fn service(text: &str, options: &ReadOptions<'_>) -> Result<StoredSpec> {
    let document: Value = serde_json::from_str(text).map_err(Error::Json)?;
    let root = At::root(&document).object()?;
    let role = root.need("role")?.text()?;
    if let Some(goal) = root.get("goal")
        && goal.text()? != "RUNNING"
    {
        return Err(goal.not_supported_yet("a service that finishes"));
    }
    let pods = root.need("pod-specs")?.items()?;
    // Documents of 2017 may name the user only in the pods.
    let first_user = pods.first().map(|pod| pod.text_of("user")).transpose()?.flatten();
    let user = root.text_of("user")?.or(first_user).unwrap_or_else(|| "root".to_owned());
    let zookeeper = root.text_of("zookeeper")?.filter(|zookeeper| !zookeeper.trim().is_empty());
    let policy = root.get("replacement-failure-policy").map(At::object).transpose()?;
    let mut spec = ServiceSpec {
        name: root.need("name")?.text()?,
        web_url: root.text_of("web-url")?,
        principal: root.need("principal")?.text()?,
        zookeeper: zookeeper.unwrap_or_else(|| "master.mesos:2181".to_owned()),
        declared_role: None,
        region: root.text_of("region")?.filter(|region| !region.is_empty()),
        replacement: policy.map(|policy| replacement(&policy)).transpose()?,
        pods: pods.iter().map(|item| pod::pod(item, &user, options)).collect::<Result<_>>()?,
        user,
        plans: Vec::new(),
    };
    spec.declared_role = Some(role.clone()).filter(|role| *role != spec.role());
    Ok(StoredSpec { spec, role })
}

/// Source: seconds in the final generation, minutes in the older one, each under the names it wrote and those it read.
fn replacement(policy: &At<'_>) -> Result<ReplacementPolicy> {
    let number = |keys: [(&str, u32); 4]| {
        let found = keys.into_iter().find_map(|(key, unit)| Some((policy.get(key)?, unit)));
        let Some((at, unit)) = found else { return Ok(None) };
        at.whole::<u32>("a time")?.checked_mul(unit).map(Some).ok_or_else(|| at.wrong("a time"))
    };
    Ok(ReplacementPolicy {
        permanent_failure_timeout_secs: number([
            ("permanent-failure-timeout-secs", 1),
            ("permanent-failure-timeout-Secs", 1),
            ("permanentFailureTimoutMin", 60),
            ("permanent-failure-timeout-mins", 60),
        ])?,
        min_replace_delay_secs: number([
            ("min-replace-delay-Secs", 1),
            ("min-replace-delay-secs", 1),
            ("minReplaceDelayMin", 60),
            ("min-replace-delay-mins", 60),
        ])?,
    })
}
