//! A pod and what its instances share.

use std::collections::BTreeMap;

use super::{At, ReadOptions, Result, resources, task};
use crate::{
    isolation::IpcMode,
    mounted_volume::{ExternalVolumeSpec, HostVolumeSpec, VolumeMode},
    network::{NetworkSpec, OVERLAY},
    persisted::{mappings, placement},
    pod::PodSpec,
    resource_set::ResourceSet,
    rlimit::{RlimitKind, RlimitSpec},
    secret::SecretSpec,
};

pub(super) fn pod(pod: &At<'_>, service_user: &str, options: &ReadOptions<'_>) -> Result<PodSpec> {
    if let Some(user) = pod.get("user")
        && user.text()? != service_user
    {
        return Err(user.not_supported_yet("a user of the pod that differs from the service's"));
    }
    let pod_type = pod.need("type")?.text()?;
    let pre_reserved_role = pod.text_of("pre-reserved-role")?.filter(|role| role != "*");
    let mut resource_sets: Vec<ResourceSet> = Vec::new();
    let mut tasks = Vec::new();
    for item in pod.need("task-specs")?.items()? {
        let set_at = item.need("resource-set")?.object()?;
        let set = resources::resource_set(&set_at, &item.need("name")?.text()?, pre_reserved_role.as_deref())?;
        tasks.push(task::task(&item, &set.id)?);
        // Each task repeats the set it uses.
        match resource_sets.iter().find(|known| known.id == set.id) {
            None => resource_sets.push(set),
            Some(known) if *known == set => {}
            Some(_) => return Err(set_at.wrong("the same as another task has under this id")),
        }
    }
    let mut pod_spec = PodSpec {
        count: pod.need("count")?.whole("a number of instances")?,
        allow_decommission: pod.flag("allow-decommission", false)?,
        placement: placement::from_json(pod.get("placement-rule"), &pod_type)?,
        image: pod.text_of("image")?,
        networks: pod.each("networks", network)?,
        rlimits: pod.each("rlimits", rlimit)?,
        uris: pod.each("uris", At::text)?,
        volumes: pod.each("volumes", |item| resources::volume(item, pre_reserved_role.as_deref()))?,
        host_volumes: pod.each("host-volumes", host_volume)?,
        external_volumes: pod.each("external-volumes", external_volume)?,
        secrets: pod.each("secrets", secret)?,
        pre_reserved_role,
        share_pid_namespace: pod.flag("share-pid-namespace", false)?,
        seccomp_unconfined: pod.flag("seccomp-unconfined", false)?,
        seccomp_profile_name: pod.text_of("seccomp-profile-name")?,
        ipc_mode: ipc_mode(pod)?,
        shm_size_mb: pod.whole_of("shm-size", "a size in MB")?,
        resource_sets,
        tasks,
        pod_type,
    };
    mappings::keep_authors(&mut pod_spec);
    if pod.get("share-pid-namespace").is_none() {
        undo_older_executor(&mut pod_spec, options);
    }
    Ok(pod_spec)
}

/// What documents hold, and lack, from the time before the default executor (and before `share-pid-namespace`).
fn undo_older_executor(pod: &mut PodSpec, options: &ReadOptions<'_>) {
    let current = options.current.and_then(|current| current.pod(&pod.pod_type));
    // The archive of the executor stood last among the author's files. What it was called is hardly known any more: it is what the author's
    // files of today do not have.
    if let Some((last, others)) = pod.uris.split_last()
        && (options.executor_uri == Some(last.as_str()) || current.is_some_and(|current| current.uris == *others))
    {
        pod.uris.pop();
    }
    // Ports behind an overlay were not stored.
    let Some(current) = current else { return };
    if !pod.networks.iter().any(|network| network.name == OVERLAY) {
        return;
    }
    for set in pod.resource_sets.iter_mut().filter(|set| set.ports.is_empty()) {
        if let Some(current) = current.resource_set(&set.id) {
            set.ports.clone_from(&current.ports);
        }
    }
}

fn network(network: &At<'_>) -> Result<NetworkSpec> {
    let mut port_mappings = BTreeMap::new();
    if let Some(mappings) = network.get("port-mappings") {
        let entries = mappings.value.as_object().ok_or_else(|| mappings.wrong("an object"))?;
        for (host, value) in entries {
            let container = At { value, path: format!("{}.{host}", mappings.path) }.whole("a port number")?;
            let host = host.trim().parse().map_err(|_| mappings.wrong("port numbers as names"))?;
            port_mappings.insert(host, container);
        }
    }
    Ok(NetworkSpec {
        name: network.need("network-name")?.text()?,
        port_mappings,
        labels: network.pairs("network-labels")?,
    })
}

/// Source: Mesos; −1 for both is what the SDK wrote for no limit beside two nulls.
fn rlimit(rlimit: &At<'_>) -> Result<RlimitSpec> {
    let wanted = "a limit";
    let kind = rlimit.need("name")?.one_of("a name of Mesos such as RLIMIT_NOFILE", RlimitKind::from_name)?;
    let (soft, hard) = (rlimit.whole_of::<i128>("soft", wanted)?, rlimit.whole_of::<i128>("hard", wanted)?);
    let values = match (soft, hard) {
        (None, None) | (Some(-1), Some(-1)) => None,
        (Some(soft), Some(hard)) if soft <= hard => match (u64::try_from(soft), u64::try_from(hard)) {
            (Ok(soft), Ok(hard)) => Some((soft, hard)),
            _ => return Err(rlimit.wrong("a soft and a hard limit")),
        },
        _ => return Err(rlimit.wrong("no limit, or a soft one that is at most the hard one")),
    };
    Ok(RlimitSpec { kind, values })
}

fn secret(secret: &At<'_>) -> Result<SecretSpec> {
    let path = secret.need("secret")?.text()?;
    let (env_key, file) = (secret.text_of("env-key")?, secret.text_of("file")?);
    let file = if env_key.is_none() && file.is_none() { Some(path.clone()) } else { file };
    Ok(SecretSpec { secret: path, env_key, file })
}

fn mode(volume: &At<'_>, key: &str) -> Result<VolumeMode> {
    let Some(at) = volume.get(key) else { return Ok(VolumeMode::default()) };
    at.one_of("RW or RO", |text| match text {
        "RW" => Some(VolumeMode::ReadWrite),
        "RO" => Some(VolumeMode::ReadOnly),
        _ => None,
    })
}

fn host_volume(volume: &At<'_>) -> Result<HostVolumeSpec> {
    Ok(HostVolumeSpec {
        host_path: volume.need("host-path")?.text()?,
        container_path: volume.need("container-path")?.text()?,
        mode: mode(volume, "mode")?,
    })
}

fn external_volume(volume: &At<'_>) -> Result<ExternalVolumeSpec> {
    Ok(ExternalVolumeSpec {
        container_path: volume.need("container-path")?.text()?,
        driver_name: volume.text_of("driver-name")?,
        driver_options: volume.pairs("driver-options")?.into_iter().collect(),
        volume_name: volume.text_of("volume-name")?,
        mode: mode(volume, "volume-mode")?,
    })
}

/// Of a pod or a task.
pub(super) fn ipc_mode(owner: &At<'_>) -> Result<Option<IpcMode>> {
    let mode = |at: At<'_>| {
        at.one_of("PRIVATE or SHARE_PARENT", |text| match text {
            "PRIVATE" => Some(IpcMode::Private),
            "SHARE_PARENT" => Some(IpcMode::ShareParent),
            _ => None,
        })
    };
    owner.get("ipc-mode").map(mode).transpose()
}
