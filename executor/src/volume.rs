//! Volumes and mounts: the check that one is there, and its place in the task's folder.
//!
//! Not here: making them; the agent links or mounts a volume at `mainstay-volume-<persistence id>` in the sandbox before
//! it delivers the task, and everything else at `mainstay-mount-<name>` before it starts the executor. Some agents deliver a task whose volume is missing, so its absence is looked for here.
//!
//! Invariant: a task never starts with a plain folder where its volume should be: its data would be lost with the sandbox.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::task::{LinkKind, VolumeLink};
use crate::user::Identity;

/// Why a volume cannot be used. Each is the message of a TASK_FAILED.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nothing is there.
    #[error("{link} is not in the sandbox: the agent did not provide {name}")]
    Missing {
        /// Which.
        link: VolumeLink,
        /// The name that was looked for.
        name: String,
    },
    /// It leads nowhere.
    #[error("{link} cannot be reached through {name}: {source}")]
    Reach {
        /// Which.
        link: VolumeLink,
        /// The name in the sandbox.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A folder of the sandbox itself.
    #[error("{name} is a plain folder of the sandbox and not {link}: nothing is mounted there")]
    NotAVolume {
        /// Which.
        link: VolumeLink,
        /// The name in the sandbox.
        name: String,
    },
    /// Something else has its place.
    #[error("{link} cannot be placed at {}: {reason}", link.place)]
    Place {
        /// Which.
        link: VolumeLink,
        /// What is in the way.
        reason: String,
    },
    /// Its owner cannot be set.
    #[error("{link} cannot be given to its user: {source}")]
    Own {
        /// Which.
        link: VolumeLink,
        /// Why.
        source: io::Error,
    },
}

/// Checks that a volume or mount is there; the folder or file it leads to.
pub(crate) fn verify(sandbox: &Path, link: &VolumeLink) -> Result<PathBuf, Error> {
    let name = link.file_name();
    let path = sandbox.join(&name);
    let link = link.clone();
    let metadata = match fs::symlink_metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::Missing { link, name }),
        Err(source) => return Err(Error::Reach { link, name, source }),
    };
    let target = match fs::canonicalize(&path) {
        Ok(target) => target,
        Err(source) => return Err(Error::Reach { link, name, source }),
    };
    if !target.is_dir() && link.kind == LinkKind::Volume {
        return Err(Error::Reach { link, name, source: io::Error::from(io::ErrorKind::NotADirectory) });
    }
    let inside = fs::canonicalize(sandbox).is_ok_and(|sandbox| target.starts_with(sandbox));
    if (!metadata.is_symlink() || inside) && !is_mount_point(&target) {
        return Err(Error::NotAVolume { link, name });
    }
    Ok(target)
}

/// Links what was verified to its place, and gives a volume to the task's user.
pub(crate) fn place(sandbox: &Path, folder: &Path, link: &VolumeLink, user: Option<&Identity>) -> Result<(), Error> {
    let refuse = |reason: String| Error::Place { link: link.clone(), reason };
    let place = folder.join(&link.place);
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).map_err(|error| refuse(error.to_string()))?;
    }
    // An empty folder may come with the pod's files; anything else would be hidden by the volume.
    if fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_dir()) {
        fs::remove_dir(&place).map_err(|error| refuse(format!("a folder is there that cannot be removed: {error}")))?;
    }
    std::os::unix::fs::symlink(sandbox.join(link.file_name()), &place).map_err(|error| refuse(error.to_string()))?;
    if let Some(user) = user.filter(|_| link.kind == LinkKind::Volume) {
        std::os::unix::fs::chown(&place, Some(user.uid), Some(user.gid))
            .map_err(|source| Error::Own { link: link.clone(), source })?;
    }
    Ok(())
}

/// Whether something is mounted at a path. A bind mount of the same file system has no device number of its own, so the
/// table of mounts is read.
fn is_mount_point(path: &Path) -> bool {
    fs::read("/proc/self/mountinfo").is_ok_and(|table| is_listed(path, &table))
}

fn is_listed(path: &Path, table: &[u8]) -> bool {
    table.split(|byte| *byte == b'\n').any(|line| {
        let point = line.split(|byte| *byte == b' ').nth(4);
        point.is_some_and(|point| unescape(point) == path.as_os_str().as_bytes())
    })
}

/// Blanks and the like are `\040` in the table.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        if let (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) = (byte, tail) {
            plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = tail;
        } else {
            plain.push(byte);
            rest = tail;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_what_leads_out_of_the_sandbox_is_a_volume() {
        let root = tempfile::tempdir().unwrap();
        let sandbox = root.path().join("sandbox");
        let volume = root.path().join("volume");
        fs::create_dir_all(sandbox.join("mainstay-volume-plain")).unwrap();
        fs::create_dir_all(sandbox.join("else")).unwrap();
        fs::create_dir(&volume).unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        let link = |name: &str, target: &Path| std::os::unix::fs::symlink(target, sandbox.join(name)).unwrap();
        link("mainstay-volume-good", &volume);
        link("mainstay-volume-dangling", Path::new("/nowhere/at/all"));
        link("mainstay-volume-inside", &sandbox.join("else"));
        link("mainstay-volume-file", &root.path().join("file"));

        let of = |kind, id: &str| VolumeLink { kind, id: id.to_owned(), place: format!("at/{id}") };
        assert_eq!(verify(&sandbox, &of(LinkKind::Volume, "good")).unwrap(), volume.canonicalize().unwrap());
        let message = |id: &str| verify(&sandbox, &of(LinkKind::Volume, id)).unwrap_err().to_string();
        assert_eq!(
            message("none"),
            "volume none is not in the sandbox: the agent did not provide mainstay-volume-none"
        );
        assert!(message("plain").contains("is a plain folder of the sandbox"), "{}", message("plain"));
        assert!(message("inside").contains("is a plain folder of the sandbox"), "{}", message("inside"));
        assert!(message("dangling").contains("cannot be reached"), "{}", message("dangling"));
        assert!(message("file").contains("cannot be reached"), "{}", message("file"));

        // A mount may be a file: that of a secret.
        link("mainstay-mount-file", &root.path().join("file"));
        fs::write(sandbox.join("mainstay-mount-plain"), "").unwrap();
        assert!(verify(&sandbox, &of(LinkKind::Mount, "file")).is_ok());
        let message = |id: &str| verify(&sandbox, &of(LinkKind::Mount, id)).unwrap_err().to_string();
        assert_eq!(
            message("plain"),
            "mainstay-mount-plain is a plain folder of the sandbox and not the mount for at/plain: nothing is mounted there"
        );
        assert_eq!(
            message("good"),
            "the mount for at/good is not in the sandbox: the agent did not provide mainstay-mount-good"
        );
    }

    #[test]
    fn a_volume_takes_an_empty_place_only() {
        let root = tempfile::tempdir().unwrap();
        let (sandbox, folder) = (root.path().join("sandbox"), root.path().join("sandbox/tasks/t"));
        fs::create_dir_all(folder.join("empty")).unwrap();
        fs::create_dir_all(folder.join("full/x")).unwrap();
        fs::create_dir(root.path().join("volume")).unwrap();
        std::os::unix::fs::symlink(root.path().join("volume"), sandbox.join("mainstay-volume-v")).unwrap();
        let link = |place: &str| VolumeLink { kind: LinkKind::Volume, id: "v".to_owned(), place: place.to_owned() };
        for good in ["data", "deep/er/data", "empty"] {
            place(&sandbox, &folder, &link(good), None).unwrap();
            fs::write(folder.join(good).join("seen"), good).unwrap();
            assert_eq!(fs::read_to_string(root.path().join("volume/seen")).unwrap(), good);
        }
        assert!(place(&sandbox, &folder, &link("full"), None).unwrap_err().to_string().contains("a folder is there"));
        assert!(place(&sandbox, &folder, &link("data"), None).is_err());
    }

    #[test]
    fn mount_points_are_found_by_their_escaped_path() {
        let table = b"22 1 0:20 / /proc rw - proc proc rw\n36 22 8:1 /v /a\\040b/c rw - ext4 /dev/x rw\n";
        assert!(is_listed(Path::new("/a b/c"), table));
        assert!(is_listed(Path::new("/proc"), table));
        assert!(!is_listed(Path::new("/a b"), table));
        assert!(is_mount_point(Path::new("/proc")));
    }
}
