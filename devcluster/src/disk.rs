//! Where an embedded agent keeps things: sandboxes, volumes, links.
//!
//! Shape: `<agent folder>/slaves/<agent>/frameworks/<framework>/executors/<executor>/runs/<container>` with a `latest`
//! link beside the runs, and `<agent folder>/volumes/roles/<role>/<id>`, as a real agent lays its work folder out.
//!
//! Invariant: a link never replaces anything that is in the sandbox already.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use crate::model::{Disk, Launch, Link, VolumeRef};

/// The folder of a volume.
pub(crate) fn volume_path(agent: &Path, volume: &VolumeRef) -> PathBuf {
    let below = |root: PathBuf| root.join("volumes").join("roles").join(volume.role.replace('/', " ")).join(&volume.id);
    match &volume.disk {
        Disk::Root => below(agent.to_owned()),
        Disk::Path(root) => below(agent.join(root)),
        Disk::Mount(root) => agent.join(root),
    }
}

/// Makes a volume; one that is there keeps its content.
pub(crate) fn create_volume(agent: &Path, volume: &VolumeRef) -> io::Result<()> {
    std::fs::create_dir_all(volume_path(agent, volume))
}

/// Deletes a volume with its content; of a MOUNT disk the mount point stays.
pub(crate) fn destroy_volume(agent: &Path, volume: &VolumeRef) -> io::Result<()> {
    let path = volume_path(agent, volume);
    if !matches!(volume.disk, Disk::Mount(_)) {
        return std::fs::remove_dir_all(path);
    }
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The sandbox of a launch.
pub(crate) fn sandbox_path(agent: &Path, launch: &Launch) -> PathBuf {
    runs_path(agent, launch).join(&launch.container_id)
}

fn runs_path(agent: &Path, launch: &Launch) -> PathBuf {
    let framework_id = launch.framework_info.id.as_ref().map_or("", |id| id.value.as_str());
    let executor_id = launch.executor_info.executor_id.value.as_str();
    agent
        .join("slaves")
        .join(&launch.agent_id)
        .join("frameworks")
        .join(framework_id)
        .join("executors")
        .join(executor_id)
        .join("runs")
}

/// Makes the sandbox, its `latest` link and the links to its volumes.
pub(crate) fn create_sandbox(agent: &Path, launch: &Launch) -> io::Result<PathBuf> {
    let runs = runs_path(agent, launch);
    let sandbox = runs.join(&launch.container_id);
    std::fs::create_dir_all(&runs)?;
    std::fs::DirBuilder::new().mode(0o750).create(&sandbox)?;
    let latest = runs.join("latest");
    match std::fs::remove_file(&latest) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(&launch.container_id, &latest)?;
    for link in &launch.links {
        create_link(agent, &sandbox, link)?;
    }
    Ok(sandbox)
}

/// Makes a volume visible in a sandbox.
///
/// Errors: something of that name is there; the path has more than one component.
pub(crate) fn create_link(agent: &Path, sandbox: &Path, link: &Link) -> io::Result<()> {
    symlink(volume_path(agent, &link.volume), sandbox.join(one_component(&link.container_path)?))
}

/// Takes a volume out of a sandbox.
pub(crate) fn remove_link(sandbox: &Path, container_path: &str) -> io::Result<()> {
    std::fs::remove_file(sandbox.join(one_component(container_path)?))
}

fn one_component(path: &str) -> io::Result<&str> {
    let mut components = Path::new(path).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(_)), None) => Ok(path),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("container path '{path}' is not one name"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn volume(disk: Disk) -> VolumeRef {
        VolumeRef { role: "a/b".into(), id: "v1".into(), disk }
    }

    #[test]
    fn volumes_lie_where_agents_put_them() {
        let agent = Path::new("/w");
        let path = |disk| volume_path(agent, &volume(disk)).to_str().unwrap().to_owned();
        assert_eq!(path(Disk::Root), "/w/volumes/roles/a b/v1");
        assert_eq!(path(Disk::Path("/data".into())), "/data/volumes/roles/a b/v1");
        assert_eq!(path(Disk::Path("data".into())), "/w/data/volumes/roles/a b/v1");
        assert_eq!(path(Disk::Mount("/mnt/1".into())), "/mnt/1");
    }

    #[test]
    fn links_show_the_volume_and_never_replace_anything() {
        let folder = tempfile::tempdir().unwrap();
        let agent = folder.path();
        let sandbox = agent.join("sandbox");
        std::fs::create_dir(&sandbox).unwrap();
        let place = volume(Disk::Root);
        create_volume(agent, &place).unwrap();
        std::fs::write(volume_path(agent, &place).join("f"), "x").unwrap();
        let link = |path: &str| Link { volume: place.clone(), container_path: path.into() };
        create_link(agent, &sandbox, &link("data")).unwrap();
        assert_eq!(std::fs::read(sandbox.join("data/f")).unwrap(), b"x");
        assert!(create_link(agent, &sandbox, &link("data")).is_err());
        assert!(create_link(agent, &sandbox, &link("../data")).is_err());
        assert!(create_link(agent, &sandbox, &link("..")).is_err());
        remove_link(&sandbox, "data").unwrap();
        assert!(!sandbox.join("data").exists());
        create_volume(agent, &place).unwrap();
        assert!(volume_path(agent, &place).join("f").exists());
        destroy_volume(agent, &place).unwrap();
        assert!(!volume_path(agent, &place).exists());
    }

    #[test]
    fn a_destroyed_mount_keeps_its_mount_point() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("mnt");
        let place = volume(Disk::Mount(root.to_str().unwrap().into()));
        create_volume(folder.path(), &place).unwrap();
        std::fs::create_dir(root.join("d")).unwrap();
        std::fs::write(root.join("f"), "x").unwrap();
        destroy_volume(folder.path(), &place).unwrap();
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
    }
}
