//! What a specification asks of its agents that the embedded cluster does not have: told before anything starts.
//!
//! Its agents say the same when an executor asks them, and then the launch fails; here nothing has happened yet.

use mainstay_scheduler::spec::{PodSpec, ServiceSpec, VolumeMode};

/// What the service cannot run without, each a message.
pub(crate) fn missing(spec: &ServiceSpec) -> Vec<String> {
    let of_pod = |pod: &PodSpec| {
        let is_read_only = pod.host_volumes.iter().any(|volume| volume.mode == VolumeMode::ReadOnly);
        [
            (pod.image.is_some(), "image", "images"),
            (!pod.external_volumes.is_empty(), "external-volumes", "volumes of drivers"),
            (is_read_only, "host-volumes", "read-only mounts"),
            (!pod.secrets.is_empty(), "secrets", "secrets"),
        ]
        .into_iter()
        .filter(|(is_used, _, _)| *is_used)
        .map(|(_, key, what)| {
            format!(
                "pods.{}.{key}: the embedded cluster has no {what}; leave it out here, or use a real cluster",
                pod.pod_type
            )
        })
        .collect::<Vec<_>>()
    };
    spec.pods.iter().flat_map(of_pod).collect()
}

/// What the service runs without, each a note.
pub(crate) fn notes(spec: &ServiceSpec) -> Vec<String> {
    let of_pod = |pod: &PodSpec| {
        let mut notes = Vec::new();
        if !pod.networks.is_empty() {
            let text = "the embedded cluster has no networks: tasks are in the network of this machine";
            notes.push(format!("pods.{}.networks: {text}", pod.pod_type));
        }
        let is_seccomp = pod.seccomp_unconfined || pod.seccomp_profile_name.is_some();
        let has_memory =
            |task: &mainstay_scheduler::spec::TaskSpec| task.ipc_mode.is_some() || task.shm_size_mb.is_some();
        if is_seccomp || pod.ipc_mode.is_some() || pod.shm_size_mb.is_some() || pod.tasks.iter().any(has_memory) {
            let text =
                "the embedded cluster isolates nothing: seccomp, IPC mode and shared memory are those of this machine";
            notes.push(format!("pods.{}: {text}", pod.pod_type));
        }
        notes
    };
    spec.pods.iter().flat_map(of_pod).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_be_left_out_is_named_and_the_rest_is_noted() {
        use mainstay_scheduler::spec::{HostVolumeSpec, NetworkSpec, SecretSpec};
        let secret = SecretSpec { secret: "s".into(), env_key: Some("S".into()), file: None };
        let host = |mode| HostVolumeSpec { host_path: "/a".into(), container_path: "a".into(), mode };
        let pod = PodSpec {
            pod_type: "p".into(),
            image: Some("busybox".into()),
            host_volumes: vec![host(VolumeMode::ReadWrite), host(VolumeMode::ReadOnly)],
            secrets: vec![secret],
            networks: vec![NetworkSpec { name: "dcos".into(), ..NetworkSpec::default() }],
            shm_size_mb: Some(1),
            ..PodSpec::default()
        };
        let plain = PodSpec { host_volumes: vec![host(VolumeMode::ReadWrite)], ..PodSpec::default() };
        let spec = ServiceSpec { pods: vec![pod, plain], ..ServiceSpec::default() };
        let expected = [
            "pods.p.image: the embedded cluster has no images; leave it out here, or use a real cluster",
            "pods.p.host-volumes: the embedded cluster has no read-only mounts; leave it out here, or use a real cluster",
            "pods.p.secrets: the embedded cluster has no secrets; leave it out here, or use a real cluster",
        ];
        assert_eq!(missing(&spec), expected);
        let expected = [
            "pods.p.networks: the embedded cluster has no networks: tasks are in the network of this machine",
            "pods.p: the embedded cluster isolates nothing: seccomp, IPC mode and shared memory are those of this machine",
        ];
        assert_eq!(notes(&spec), expected);
    }
}
