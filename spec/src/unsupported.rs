//! What the language has and this version does not honour yet.
//!
//! Such a feature is read, checked and kept in the model like any other; a scheduler refuses to start a specification that
//! uses one, because ignoring it would run something else.
//! Invariant: [`NOT_YET`] is the only place that says what is honoured. A line deleted there is a feature honoured.

use crate::{isolation::IpcMode, pod::PodSpec, resource_set::ResourceLimits, service::ServiceSpec};

/// A part of the language that came with its own support in engine and executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Feature {
    Image,
    Networks,
    Rlimits,
    Secrets,
    HostVolumes,
    ExternalVolumes,
    PreReservedRole,
    SharedPids,
    Seccomp,
    PodIpc,
    PodShm,
    TaskIpc,
    TaskShm,
    TaskUris,
    TransportEncryption,
    Gpus,
    ResourceLimits,
    PortRanges,
}

/// What is not honoured yet, and how a message names it.
pub(crate) const NOT_YET: &[(Feature, &str)] = &[
    (Feature::TaskIpc, "tasks of one pod share its container; IPC modes of their own are"),
    (Feature::TaskShm, "tasks of one pod share its container; sizes of shared memory of their own are"),
    (Feature::TaskUris, "URIs of a single task are"),
    (Feature::TransportEncryption, "transport encryption is"),
];

impl Feature {
    /// What a message says about its use; `None` when it is honoured.
    pub(crate) fn message(self) -> Option<String> {
        let (_, what) = NOT_YET.iter().find(|(feature, _)| *feature == self)?;
        Some(format!("{what} not supported by this version yet; the scheduler refuses to start"))
    }
}

impl ServiceSpec {
    /// What a specification built in code uses that this version does not honour yet: a sentence each, with the place.
    ///
    /// One that was loaded has the same as diagnostics: [`crate::Loaded::unsupported`].
    pub fn unsupported(&self) -> Vec<String> {
        let mut found = Vec::new();
        for pod in &self.pods {
            for (place, feature) in used(pod) {
                found.extend(feature.message().map(|message| format!("{place}: {message}")));
            }
        }
        found
    }
}

/// Every feature a pod uses, honoured or not, with its place.
fn used(pod: &PodSpec) -> Vec<(String, Feature)> {
    let place = format!("pods.{}", pod.pod_type);
    let mut found: Vec<(String, Feature)> = [
        (pod.image.is_some(), Feature::Image),
        (!pod.networks.is_empty(), Feature::Networks),
        (!pod.rlimits.is_empty(), Feature::Rlimits),
        (!pod.secrets.is_empty(), Feature::Secrets),
        (!pod.host_volumes.is_empty(), Feature::HostVolumes),
        (!pod.external_volumes.is_empty(), Feature::ExternalVolumes),
        (pod.pre_reserved_role.is_some(), Feature::PreReservedRole),
        (pod.share_pid_namespace, Feature::SharedPids),
        (pod.seccomp_unconfined || pod.seccomp_profile_name.is_some(), Feature::Seccomp),
        (pod.ipc_mode.is_some(), Feature::PodIpc),
        (pod.shm_size_mb.is_some(), Feature::PodShm),
    ]
    .into_iter()
    .filter(|(is_used, _)| *is_used)
    .map(|(_, feature)| (place.clone(), feature))
    .collect();
    // The container of a lone task is its own; several have one and share its memory anyway.
    let is_alone = pod.tasks.len() == 1;
    for task in &pod.tasks {
        let features = [
            (!is_alone && task.ipc_mode == Some(IpcMode::Private), Feature::TaskIpc),
            (!is_alone && task.shm_size_mb.is_some(), Feature::TaskShm),
            (!task.uris.is_empty(), Feature::TaskUris),
            (!task.transport_encryption.is_empty(), Feature::TransportEncryption),
        ];
        let place = format!("{place}.tasks.{}", task.name);
        found.extend(features.into_iter().filter(|(is_used, _)| *is_used).map(|(_, feature)| (place.clone(), feature)));
    }
    for set in &pod.resource_sets {
        let features = [
            (set.gpus.is_some(), Feature::Gpus),
            (set.limits != ResourceLimits::default(), Feature::ResourceLimits),
            (set.ports.iter().any(|port| !port.ranges.is_empty()), Feature::PortRanges),
        ];
        let place = format!("{place}.resource-sets.{}", set.id);
        found.extend(features.into_iter().filter(|(is_used, _)| *is_used).map(|(_, feature)| (place.clone(), feature)));
    }
    found
}
