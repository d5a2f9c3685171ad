//! The folder of a task: made fresh for each launch, filled with the pod's files.
//!
//! Not here: volumes (`volume.rs`), configuration files (`config_template.rs`), output (`output.rs`).
//!
//! `<sandbox>/tasks/<task id>/` is the task's working directory and its `MESOS_SANDBOX`.
//!
//! Invariant: what a task changes in its folder is never seen by another task or by its own next launch.
//! Invariant: of the folders of tasks that ended, the newest [`KEPT`] of each task name stay for reading their logs.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::task::{Command, MOUNT_PREFIX, TaskId, VOLUME_PREFIX};
use crate::user::Identity;

/// Folders of ended tasks kept for each task name: each may hold a copy of everything the pod fetched.
pub(crate) const KEPT: usize = 3;

/// Folder of the tasks' folders in the sandbox.
pub(crate) const TASKS: &str = "tasks";

/// The search path of a task whose environment and image name none: that of a Mesos agent.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a folder cannot be made. Each is the message of a TASK_FAILED.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The folder itself.
    #[error("cannot make the folder {path}: {source}")]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One of the pod's files.
    #[error("cannot copy {path} into the folder of the task: {source}")]
    Copy {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its owner.
    #[error("cannot give {path} to user {uid}: {source}")]
    Own {
        /// Which.
        path: PathBuf,
        /// To whom.
        uid: u32,
        /// Why.
        source: io::Error,
    },
}

/// The folder of a task.
pub(crate) fn path(sandbox: &Path, task: &TaskId) -> PathBuf {
    sandbox.join(TASKS).join(task.as_str())
}

/// The pod's fetched files: what is in the sandbox before the first task, without what is the executor's or the agent's.
pub(crate) fn fetched(sandbox: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(sandbox)? {
        let name = entry?.file_name();
        if !is_reserved(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn is_reserved(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    matches!(&*name, "stdout" | "stderr" | "volumes" | TASKS)
        || name.starts_with("stdout.")
        || name.starts_with("stderr.")
        || name.starts_with("mainstay-executor")
        || name.starts_with(VOLUME_PREFIX)
        || name.starts_with(MOUNT_PREFIX)
}

/// Makes a task's folder and fills it.
pub(crate) fn make(sandbox: &Path, task: &TaskId, fetched: &[OsString]) -> Result<PathBuf, Error> {
    let folder = path(sandbox, task);
    let wrong = |source| Error::Make { path: folder.clone(), source };
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(wrong)?;
    }
    // Never an existing one: what an earlier launch left there must not be seen.
    fs::create_dir(&folder).map_err(wrong)?;
    for name in fetched {
        copy(&sandbox.join(name), &folder.join(name))?;
    }
    let bootstrap = folder.join("bootstrap");
    if fs::symlink_metadata(&bootstrap).is_err()
        && let Ok(executable) = std::env::current_exe()
    {
        symlink(executable, &bootstrap).map_err(|source| Error::Make { path: bootstrap, source })?;
    }
    Ok(folder)
}

/// Copies a file, a link, or a folder with all in it; anything else is left out.
///
/// The standard library copies with `copy_file_range`, which shares the blocks where the file system can.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let wrong = |source| Error::Copy { path: from.to_owned(), source };
    let metadata = fs::symlink_metadata(from).map_err(wrong)?;
    if metadata.is_symlink() {
        symlink(fs::read_link(from).map_err(wrong)?, to).map_err(wrong)
    } else if metadata.is_file() {
        fs::copy(from, to).map(|_| ()).map_err(wrong)
    } else if metadata.is_dir() {
        fs::create_dir(to).map_err(wrong)?;
        for entry in fs::read_dir(from).map_err(wrong)? {
            let name = entry.map_err(wrong)?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        fs::set_permissions(to, metadata.permissions()).map_err(wrong)
    } else {
        Ok(())
    }
}

/// Gives a folder and everything in it to a user; links themselves, never what they lead to.
pub(crate) fn give(path: &Path, user: &Identity) -> Result<(), Error> {
    let wrong = |source| Error::Own { path: path.to_owned(), uid: user.uid, source };
    let metadata = fs::symlink_metadata(path).map_err(wrong)?;
    std::os::unix::fs::lchown(path, Some(user.uid), Some(user.gid)).map_err(wrong)?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).map_err(wrong)? {
            give(&entry.map_err(wrong)?.path(), user)?;
        }
    }
    Ok(())
}

/// Lets a task of another user pass through the sandbox, which the agent makes private to the executor's user.
pub(crate) fn open_the_way(sandbox: &Path) -> Result<(), Error> {
    for path in [sandbox.to_owned(), sandbox.join(TASKS)] {
        let wrong = |source| Error::Make { path: path.clone(), source };
        let mut permissions = fs::metadata(&path).map_err(wrong)?.permissions();
        permissions.set_mode(permissions.mode() | 0o011);
        fs::set_permissions(&path, permissions).map_err(wrong)?;
    }
    Ok(())
}

/// The environment of a task, or of a check when `more` has its variables.
///
/// Shape: the agent's variables without the token, then the task's, then the check's, then what the executor knows.
pub(crate) fn environment(
    environment: &Environment,
    task: &TaskId,
    command: &Command,
    more: Option<&Command>,
    container_ip: Option<std::net::IpAddr>,
) -> BTreeMap<String, String> {
    let mut variables = environment.inherited.clone();
    if let Some(ip) = container_ip {
        variables.insert("MESOS_CONTAINER_IP".to_owned(), ip.to_string());
    }
    variables.extend(command.environment.clone());
    variables.extend(more.into_iter().flat_map(|command| command.environment.clone()));
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    variables.insert(crate::process::TASK_ID.to_owned(), task.as_str().to_owned());
    variables.insert("MESOS_SANDBOX".to_owned(), text(path(&environment.sandbox, task)));
    variables.insert("MESOS_DIRECTORY".to_owned(), text(path(&environment.directory, task)));
    variables.entry("PATH".to_owned()).or_insert_with(|| PATH.to_owned());
    variables
}

/// Remembers which folders belong to ended tasks.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    by_name: BTreeMap<String, Vec<TaskId>>,
}

impl Ended {
    /// A task ended; the folder to remove now, if one is one too many.
    pub(crate) fn push(&mut self, name: &str, task: TaskId) -> Option<TaskId> {
        let tasks = self.by_name.entry(name.to_owned()).or_default();
        tasks.push(task);
        (tasks.len() > KEPT).then(|| tasks.remove(0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn id(text: &str) -> TaskId {
        TaskId::from_wire(&mainstay_proto::v1::TaskId { value: text.to_owned() })
    }

    // contract: 2.4/separate-sandboxes
    #[test]
    fn a_folder_is_fresh_and_has_the_fetched_files() {
        let sandbox = tempfile::tempdir().unwrap();
        let root = sandbox.path();
        for name in ["stdout", "stderr", "stdout.1", "mainstay-executor", "app.jar"] {
            fs::write(root.join(name), name).unwrap();
        }
        for name in ["volumes", "tasks", "mainstay-volume-x", "mainstay-mount-x", "app/bin"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::write(root.join("app/bin/run"), "#!/bin/sh").unwrap();
        fs::set_permissions(root.join("app/bin/run"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("app/bin", root.join("current")).unwrap();

        let names = fetched(root).unwrap();
        assert_eq!(names, ["app", "app.jar", "current"]);
        let folder = make(root, &id("t1"), &names).unwrap();
        assert_eq!(folder, root.join("tasks/t1"));
        assert_eq!(fs::read_to_string(folder.join("current/run")).unwrap(), "#!/bin/sh");
        assert_eq!(fs::metadata(folder.join("app/bin/run")).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(!folder.join("stdout").exists() && !folder.join("mainstay-executor").exists());
        assert!(fs::symlink_metadata(folder.join("bootstrap")).unwrap().is_symlink());

        // A change in one folder is not seen in another.
        fs::write(folder.join("app.jar"), "changed").unwrap();
        let other = make(root, &id("t2"), &names).unwrap();
        assert_eq!(fs::read_to_string(other.join("app.jar")).unwrap(), "app.jar");
        assert!(matches!(make(root, &id("t1"), &names), Err(Error::Make { .. })), "an existing folder is refused");
    }

    #[test]
    fn later_variables_win_and_the_executor_has_the_last_word() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let agent = map(&[
            ("MESOS_FRAMEWORK_ID", "f"),
            ("MESOS_EXECUTOR_ID", "e"),
            ("MESOS_AGENT_ENDPOINT", "1.2.3.4:5"),
            ("MESOS_SANDBOX", "/mnt/mesos/sandbox"),
            ("MESOS_DIRECTORY", "/w"),
            (crate::environment::TOKEN, "secret"),
            ("A", "agent"),
            ("B", "agent"),
            ("C", "agent"),
        ]);
        let agent = Environment::read(agent).unwrap();
        let command = |pairs| Command { program: String::new(), arguments: Vec::new(), environment: map(pairs) };
        let task = command(&[("B", "task"), ("C", "task"), ("MESOS_SANDBOX", "/mine")]);
        let check = command(&[("C", "check")]);
        let made = environment(&agent, &id("t"), &task, Some(&check), Some([1, 2, 3, 4].into()));
        let value = |name: &str| made.get(name).map(String::as_str);
        assert_eq!([value("A"), value("B"), value("C")], [Some("agent"), Some("task"), Some("check")]);
        assert_eq!(value("MESOS_SANDBOX"), Some("/mnt/mesos/sandbox/tasks/t"));
        assert_eq!(value("MESOS_DIRECTORY"), Some("/w/tasks/t"));
        assert_eq!(value("MESOS_TASK_ID"), Some("t"));
        assert_eq!(value("MESOS_CONTAINER_IP"), Some("1.2.3.4"));
        assert_eq!(value("PATH"), Some(PATH));
        assert_eq!(value(crate::environment::TOKEN), None);
    }

    #[test]
    fn of_ended_tasks_the_newest_stay() {
        let mut ended = Ended::default();
        let mut push = |name, task| ended.push(name, id(task)).map(|task| task.as_str().to_owned());
        assert_eq!([push("a", "a1"), push("a", "a2"), push("b", "b1"), push("a", "a3")], [const { None }; 4]);
        assert_eq!(push("a", "a4").as_deref(), Some("a1"));
        assert_eq!(push("a", "a5").as_deref(), Some("a2"));
    }
}
