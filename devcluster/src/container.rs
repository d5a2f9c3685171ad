//! What an executor's container may ask of an embedded agent, which isolates nothing: all containers share the machine.
//!
//! | Asked for | Done |
//! |---|---|
//! | a folder of the machine, to be read and written | linked into the sandbox |
//! | the same read-only; volumes of drivers; images; secrets | the launch fails and says so: the executor would see or do something else |
//! | networks, settings of the kernel | not there; a note in the sandbox's `stderr` and in the log |
//! | limits of processes | nothing: executors of this product set them |
//! | resource limits of tasks | taken, and no more enforced than what tasks reserve |
//!
//! Invariant: nothing that is not done is passed over in silence.

use std::path::Path;

use mainstay_proto::v1;

/// Makes the mounts of a container in its sandbox. Gives what is asked for and not there, each a note for people.
///
/// Errors: what cannot be done, the message of a failed launch.
pub(crate) fn prepare(executor: &v1::ExecutorInfo, sandbox: &Path) -> Result<Vec<String>, String> {
    let variables = executor.command.iter().filter_map(|command| command.environment.as_deref());
    if let Some(secret) = variables.flat_map(|all| &all.variables).find(|variable| variable.secret.is_some()) {
        return Err(format!("the embedded cluster has no secrets: variable {} cannot be set", secret.name));
    }
    let Some(container) = executor.container.as_deref() else { return Ok(Vec::new()) };
    let image = container.mesos.iter().find_map(|mesos| mesos.image.as_deref());
    if let Some(image) = image {
        let name = image.docker.as_deref().map_or("", |docker| docker.name.as_str());
        return Err(format!("the embedded cluster has no images: {name} cannot be used"));
    }
    for volume in &container.volumes {
        mount(volume, sandbox)?;
    }
    let mut notes = Vec::new();
    for network in &container.network_infos {
        let name = network.name.as_deref().unwrap_or_default();
        notes.push(format!(
            "the embedded cluster has no networks: instead of {name} the network of this machine is used"
        ));
    }
    if let Some(linux) = &container.linux_info {
        let asked = [
            (linux.seccomp.is_some(), "seccomp"),
            (linux.ipc_mode.is_some(), "ipc_mode"),
            (linux.shm_size.is_some(), "shm_size"),
            (linux.share_pid_namespace.is_some(), "share_pid_namespace"),
        ];
        let names: Vec<_> = asked.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, name)| name).collect();
        if !names.is_empty() {
            notes.push(format!("the embedded cluster isolates nothing: {} has no effect", names.join(", ")));
        }
    }
    Ok(notes)
}

fn mount(volume: &v1::Volume, sandbox: &Path) -> Result<(), String> {
    let place = &volume.container_path;
    let cannot = |why: &str| Err(format!("the embedded cluster cannot mount {place}: {why}"));
    let Some(host_path) = volume.source.as_deref().and_then(|source| source.host_path.as_deref()) else {
        return cannot("it has no secrets and no volumes of drivers");
    };
    if volume.mode() == v1::volume::Mode::Ro {
        return cannot("it has nothing that is read-only");
    }
    if !Path::new(&host_path.path).is_dir() {
        return cannot(&format!("there is no folder {}", host_path.path));
    }
    let mut components = Path::new(place).components();
    if !matches!((components.next(), components.next()), (Some(std::path::Component::Normal(_)), None)) {
        return cannot("its path is not one name");
    }
    std::os::unix::fs::symlink(&host_path.path, sandbox.join(place)).or_else(|error| cannot(&error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn executor(container: v1::ContainerInfo) -> v1::ExecutorInfo {
        v1::ExecutorInfo { container: Some(Box::new(container)), ..Default::default() }
    }

    fn host(path: &str, place: &str, mode: v1::volume::Mode) -> v1::ExecutorInfo {
        let host_path = v1::volume::source::HostPath { path: path.into(), ..Default::default() };
        let source = v1::volume::Source { host_path: Some(Box::new(host_path)), ..Default::default() };
        let volume = v1::Volume {
            container_path: place.into(),
            mode: mode as i32,
            source: Some(Box::new(source)),
            ..Default::default()
        };
        executor(v1::ContainerInfo { volumes: vec![volume], ..Default::default() })
    }

    #[test]
    fn folders_of_the_machine_are_linked() {
        let folder = tempfile::tempdir().unwrap();
        let (sandbox, host_folder) = (folder.path().join("sandbox"), folder.path().join("host"));
        std::fs::create_dir(&sandbox).unwrap();
        std::fs::create_dir(&host_folder).unwrap();
        let path = host_folder.to_str().unwrap();
        let mounted = |place: &str, mode| prepare(&host(path, place, mode), &sandbox);
        assert_eq!(mounted("mainstay-mount-a", v1::volume::Mode::Rw).unwrap(), [""; 0]);
        assert_eq!(std::fs::read_link(sandbox.join("mainstay-mount-a")).unwrap(), host_folder);
        let refused = |result: Result<Vec<String>, String>| result.unwrap_err();
        assert_eq!(
            refused(mounted("b", v1::volume::Mode::Ro)),
            "the embedded cluster cannot mount b: it has nothing that is read-only"
        );
        assert_eq!(
            refused(mounted("../b", v1::volume::Mode::Rw)),
            "the embedded cluster cannot mount ../b: its path is not one name"
        );
        assert!(refused(mounted("mainstay-mount-a", v1::volume::Mode::Rw)).contains("File exists"));
        assert_eq!(
            refused(prepare(&host("/no/such", "c", v1::volume::Mode::Rw), &sandbox)),
            "the embedded cluster cannot mount c: there is no folder /no/such"
        );
    }

    #[test]
    fn what_cannot_be_done_is_refused_or_noted() {
        let nowhere = Path::new("/nowhere");
        let docker = v1::image::Docker { name: "busybox".into(), ..Default::default() };
        let image = v1::Image { docker: Some(Box::new(docker)), ..Default::default() };
        let mesos = v1::container_info::MesosInfo { image: Some(Box::new(image)) };
        let with_image = executor(v1::ContainerInfo { mesos: Some(Box::new(mesos)), ..Default::default() });
        assert_eq!(
            prepare(&with_image, nowhere).unwrap_err(),
            "the embedded cluster has no images: busybox cannot be used"
        );

        let network = v1::NetworkInfo { name: Some("dcos".into()), ..Default::default() };
        let linux = v1::LinuxInfo { shm_size: Some(1), ipc_mode: Some(1), ..Default::default() };
        let other = executor(v1::ContainerInfo {
            network_infos: vec![network],
            linux_info: Some(Box::new(linux)),
            ..Default::default()
        });
        let expected = [
            "the embedded cluster has no networks: instead of dcos the network of this machine is used",
            "the embedded cluster isolates nothing: ipc_mode, shm_size has no effect",
        ];
        assert_eq!(prepare(&other, nowhere).unwrap(), expected);

        let secret =
            v1::environment::Variable { name: "PASSWORD".into(), secret: Some(Box::default()), ..Default::default() };
        let environment = v1::Environment { variables: vec![secret] };
        let command = v1::CommandInfo { environment: Some(Box::new(environment)), ..Default::default() };
        let with_secret = v1::ExecutorInfo { command: Some(Box::new(command)), ..Default::default() };
        let error = prepare(&with_secret, nowhere).unwrap_err();
        assert_eq!(error, "the embedded cluster has no secrets: variable PASSWORD cannot be set");
        assert_eq!(prepare(&v1::ExecutorInfo::default(), nowhere).unwrap(), [""; 0]);
    }
}
