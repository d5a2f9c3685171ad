//! What a specification needs of the cluster.
//!
//! The SDK refuses what its version of DC/OS lacks. Here everything is allowed; [`lacking`] tells what the master's version proves to be missing,
//! and that only once the master has said who it is: validators run before, with the store alone.

use mainstay_spec::{PodSpec, ResourceLimits, ServiceSpec, VolumeKind};

use super::{Change, Problem};

/// Row 8: certificates come from the authority of DC/OS, which wants to know who asks.
pub(super) fn tls_account(change: &Change<'_>, problems: &mut Vec<Problem>) {
    if change.has_service_account {
        return;
    }
    for pod in &change.new.spec.pods {
        for task in pod.tasks.iter().filter(|task| !task.transport_encryption.is_empty()) {
            let names: Vec<_> = task.transport_encryption.iter().map(|one| one.name.as_str()).collect();
            let field = format!("pods.{}.tasks.{}.transport-encryption", pod.pod_type, task.name);
            let message = "the scheduler is missing the service account needed for TLS: set \
                           DCOS_SERVICE_ACCOUNT_CREDENTIAL, or remove transport-encryption";
            problems.push(Problem::value(field, names.join(", "), message));
        }
    }
}

/// A part of Mesos, and the first version that has it.
type Feature = (&'static str, (u32, u32), fn(&PodSpec) -> bool);

/// Source: the SDK's version gates, as versions of Mesos.
const FEATURES: [Feature; 9] = [
    ("GPUs", (1, 0), |pod| pod.resource_sets.iter().any(|set| set.gpus.is_some())),
    ("rlimits", (1, 2), |pod| !pod.rlimits.is_empty()),
    ("port mapping of container networks", (1, 2), |pod| {
        let has_ports = pod.resource_sets.iter().any(|set| !set.ports.is_empty());
        !pod.networks.is_empty() && (has_ports || pod.networks.iter().any(|one| !one.port_mappings.is_empty()))
    }),
    ("pre-reserved roles", (1, 4), |pod| pod.pre_reserved_role.is_some()),
    ("secrets", (1, 4), |pod| !pod.secrets.is_empty()),
    ("regions and zones", (1, 5), |pod| {
        pod.placement.as_ref().is_some_and(|rule| rule.references_region() || rule.references_zone())
    }),
    ("profiles of MOUNT disks", (1, 5), |pod| {
        let sets = pod.resource_sets.iter().flat_map(|set| &set.volumes);
        sets.chain(&pod.volumes)
            .any(|volume| matches!(&volume.kind, VolumeKind::Mount { profiles } if !profiles.is_empty()))
    }),
    ("seccomp", (1, 8), |pod| pod.seccomp_unconfined || pod.seccomp_profile_name.is_some()),
    ("resource limits", (1, 10), |pod| pod.resource_sets.iter().any(|set| set.limits != ResourceLimits::default())),
];

/// The same for parts that a pod and its tasks can ask for.
const SHARED_MEMORY: (&str, (u32, u32)) = ("shared memory settings", (1, 9));

/// Rows 3, 4 and 9: what the pods and tasks ask for that a master of this version does not have, one text each.
///
/// Shape: nothing for a version that cannot be read.
pub fn lacking(spec: &ServiceSpec, version: &str) -> Vec<String> {
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u32>().ok());
    let (Some(Some(major)), Some(Some(minor))) = (numbers.next(), numbers.next()) else { return Vec::new() };
    let mut found = Vec::new();
    let mut lacks = |owner: String, what: &str, since: (u32, u32)| {
        if (major, minor) < since {
            let (major, minor) = since;
            found.push(format!("{owner}: the cluster does not support {what}, Mesos has it since {major}.{minor}"));
        }
    };
    for pod in &spec.pods {
        let owner = format!("pods.{}", pod.pod_type);
        for (what, since, _) in FEATURES.iter().filter(|(_, _, is_used)| is_used(pod)) {
            lacks(owner.clone(), what, *since);
        }
        let (what, since) = SHARED_MEMORY;
        if pod.ipc_mode.is_some() || pod.shm_size_mb.is_some() {
            lacks(owner.clone(), what, since);
        }
        for task in pod.tasks.iter().filter(|task| task.ipc_mode.is_some() || task.shm_size_mb.is_some()) {
            lacks(format!("{owner}.tasks.{}", task.name), what, since);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use mainstay_spec::placement::Rule;
    use mainstay_spec::{IpcMode, TransportEncryptionKind, TransportEncryptionSpec};

    use super::super::fixture::{changed, judged, problems_of_new};
    use super::*;
    use crate::offer::fixture::{mount_volume, units};

    // The master says its version only after the subscription, so rows 3, 4 and 9 are told then and refuse nothing.
    #[test]
    fn row_7_3_features_of_pods_that_the_master_lacks_are_told() {
        let spec = changed(|spec| {
            let pod = &mut spec.pods[0];
            pod.pre_reserved_role = Some("public".into());
            pod.seccomp_unconfined = true;
            pod.shm_size_mb = Some(10);
            pod.resource_sets[0].gpus = Some(units(1));
            let mut volume = mount_volume("fast", 10);
            volume.kind = VolumeKind::Mount { profiles: vec!["ssd".into()] };
            pod.resource_sets[0].volumes.push(volume);
        });
        assert_eq!(
            lacking(&spec, "1.4.2"),
            [
                "pods.hello: the cluster does not support profiles of MOUNT disks, Mesos has it since 1.5",
                "pods.hello: the cluster does not support seccomp, Mesos has it since 1.8",
                "pods.hello: the cluster does not support shared memory settings, Mesos has it since 1.9",
            ]
        );
        assert_eq!(lacking(&spec, "1.8.0-rc1").len(), 1);
        for version in ["1.11.0", "2.0", "", "unknown", "1"] {
            assert_eq!(lacking(&spec, version), Vec::<String>::new(), "{version}");
        }
        assert_eq!(problems_of_new(|new| *new = spec), Vec::<String>::new());
    }

    #[test]
    fn row_7_4_features_of_tasks_that_the_master_lacks_are_told() {
        let spec = changed(|spec| spec.pods[1].tasks[1].ipc_mode = Some(IpcMode::Private));
        assert_eq!(
            lacking(&spec, "1.8.1"),
            ["pods.world.tasks.agent: the cluster does not support shared memory settings, Mesos has it since 1.9"]
        );
    }

    #[test]
    fn row_7_8_transport_encryption_needs_a_service_account() {
        let with_tls = changed(|spec| {
            let one = |name: &str| TransportEncryptionSpec { name: name.into(), kind: TransportEncryptionKind::Tls };
            spec.pods[0].tasks[0].transport_encryption = vec![one("a"), one("b")];
        });
        let found = judged(&with_tls, |_| {});
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "Field: 'pods.hello.tasks.server.transport-encryption'; Value: 'a, b'; Message: 'the scheduler is missing \
              the service account needed for TLS: set DCOS_SERVICE_ACCOUNT_CREDENTIAL, or remove \
              transport-encryption'; Fatal: false"
            ]
        );
        assert_eq!(judged(&with_tls, |change| change.has_service_account = true), []);
    }

    #[test]
    fn row_7_9_regions_and_zones_need_a_master_that_knows_them() {
        for rule in ["@region:IS:a", "@zone:GROUP_BY"] {
            let spec = changed(|spec| spec.pods[0].placement = Rule::parse(rule, "hello").unwrap());
            assert_eq!(
                lacking(&spec, "1.4.0"),
                ["pods.hello: the cluster does not support regions and zones, Mesos has it since 1.5"]
            );
            assert_eq!(lacking(&spec, "1.5.0"), Vec::<String>::new());
        }
    }
}
