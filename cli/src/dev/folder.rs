//! The folder in which `dev` keeps a service.
//!
//! Shape: `lock`; `scheduler.log` and the one of the run before, `scheduler.log.1`; `state/`, the scheduler's store; `cluster/`, the
//! agents with sandboxes and volumes; `tasks/<task>`, a link to the folder of each task's last launch.
//! Invariant: one process at a time works in a folder.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::End;

/// Where the folders of all services are, unless said otherwise.
pub(crate) const ROOT: &str = ".mainstay";

/// A folder that is ours as long as this lives.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    shown: PathBuf,
    is_new: bool,
    _lock: File,
}

impl Folder {
    /// Makes it where it is missing, and takes its lock.
    ///
    /// Errors: it cannot be made, or another process has the lock.
    pub(crate) fn open(shown: PathBuf) -> Result<Self, End> {
        let cannot = |error: io::Error| End::error(format!("cannot use the folder {}: {error}", shown.display()));
        std::fs::create_dir_all(&shown).map_err(cannot)?;
        if shown.starts_with(ROOT) && !Path::new(ROOT).join(".gitignore").exists() {
            // State does not belong into anybody's repository; that this cannot be written does no harm.
            std::fs::write(Path::new(ROOT).join(".gitignore"), "*\n").ok();
        }
        let path = shown.canonicalize().map_err(cannot)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join("lock")).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let text = format!(
                    "another mainstay dev is running in {}; stop that one, or give this one a folder of its own with --state",
                    shown.display()
                );
                return Err(End::error(text));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let is_new = !path.join("state").exists();
        Ok(Self { path, shown, is_new, _lock: lock })
    }

    /// Whether nothing was ever run in it.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// As the user named it.
    pub(crate) fn shown(&self) -> std::path::Display<'_> {
        self.shown.display()
    }

    /// The scheduler's store.
    pub(crate) fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// The cluster's folder.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.path.join("cluster")
    }

    /// Agents of earlier starts.
    pub(crate) fn agents(&self) -> usize {
        let entries = std::fs::read_dir(self.cluster()).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("agent-")).count()
    }

    /// A fresh log; the one of the run before is kept beside it.
    ///
    /// Errors: the file cannot be made.
    pub(crate) fn log(&self) -> Result<File, End> {
        let path = self.path.join("scheduler.log");
        // Missing at the first start.
        std::fs::rename(&path, path.with_extension("log.1")).ok();
        File::create(&path).map_err(|error| End::error(format!("cannot write {}: {error}", path.display())))
    }

    /// Where a task's folder is shown.
    pub(crate) fn task(&self, task: &str) -> PathBuf {
        self.shown.join("tasks").join(task)
    }

    /// Makes `tasks/<task>` lead to the folder of a launch, which need not be there yet.
    pub(crate) fn link(&self, task: &str, sandbox: &Path) {
        let folder = self.path.join("tasks");
        let link = folder.join(task);
        let made = std::fs::create_dir_all(&folder).and_then(|()| {
            std::fs::remove_file(&link).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
            std::os::unix::fs::symlink(Path::new("../cluster").join(sandbox), &link)
        });
        if let Err(error) = made {
            tracing::warn!(link = %link.display(), %error, "cannot link a task's folder");
        }
    }
}
