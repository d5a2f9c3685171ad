//! A memory cgroup for each task, so that a task out of memory does not end its siblings.
//!
//! Best effort: only where the agent gave the executor a memory cgroup of its own (cgroups/mem on cgroup v1). Without it,
//! and on cgroup v2, where a group with processes may have no limited children, the tasks share the container's limit.
//!
//! Invariant: nothing is made outside the container's own group.
//! Source: Mesos, cgroups/mem: the container's group is `<cgroups_root>/<container id>`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::task::TaskId;

/// The container's own memory group.
#[derive(Debug)]
pub(crate) struct Memory {
    path: PathBuf,
}

/// A task's memory group.
#[derive(Debug)]
pub(crate) struct Group {
    path: PathBuf,
}

impl Memory {
    /// Finds the group of this container; `directory` is the agent's path of the sandbox, which ends in the container's id.
    pub(crate) fn find(directory: &Path) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let path = locate(&own, &mounts, directory.file_name()?.to_str()?)?;
        path.join("memory.limit_in_bytes").exists().then_some(Self { path })
    }

    /// Makes the group of a task; `None` where that is not permitted.
    pub(crate) fn create(&self, task: &TaskId, bytes: u64) -> Option<Group> {
        let path = self.path.join(format!("mainstay-{task}"));
        fs::create_dir(&path).ok()?;
        let group = Group { path };
        let is_limited = fs::write(group.path.join("memory.limit_in_bytes"), bytes.to_string()).is_ok();
        if !is_limited {
            group.remove();
        }
        is_limited.then_some(group)
    }
}

impl Group {
    /// The file a process writes itself into.
    pub(crate) fn members(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Whether the kernel killed a process of the group for lack of memory.
    pub(crate) fn had_oom_kill(&self) -> bool {
        fs::read_to_string(self.path.join("memory.oom_control")).is_ok_and(|text| oom_kills(&text) > 0)
    }

    /// Removes the empty group. One that cannot be removed goes with the container.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_dir(&self.path);
    }
}

fn oom_kills(text: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill "))
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

/// The folder of the container's memory group, if that group is the container's own.
fn locate(own: &str, mounts: &str, container: &str) -> Option<PathBuf> {
    let is_memory = |controllers: &str| controllers.split(',').any(|controller| controller == "memory");
    let group = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let controllers = fields.nth(1)?;
        is_memory(controllers).then(|| fields.next())?
    })?;
    if Path::new(group).file_name()?.to_str()? != container {
        return None;
    }
    let point = mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        let mut right = right.split(' ');
        let is_cgroup = right.next() == Some("cgroup") && is_memory(right.nth(1)?);
        (is_cgroup && left.get(3) == Some(&"/")).then(|| left.get(4).copied())?
    })?;
    Some(Path::new(point).join(group.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "30 22 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                          31 22 0:27 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n";

    #[test]
    fn only_the_containers_own_group_is_used() {
        let own = "5:memory:/mesos/c1\n4:cpu:/mesos/c1\n0::/\n";
        let expected = Some(PathBuf::from("/sys/fs/cgroup/memory/mesos/c1"));
        assert_eq!(locate(own, MOUNTS, "c1"), expected);
        assert_eq!(locate(own, MOUNTS, "c2"), None);
        assert_eq!(locate("5:memory:/\n", MOUNTS, "c1"), None);
        assert_eq!(locate("0::/mesos/c1\n", MOUNTS, "c1"), None, "cgroup v2");
        assert_eq!(locate(own, "", "c1"), None);
    }

    #[test]
    fn the_kernels_kills_are_counted() {
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"), 2);
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\n"), 0);
    }
}
