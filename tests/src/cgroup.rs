//! Cgroups of the first version for the containers of one agent: an agent's `linux` launcher and its isolators want them.
//!
//! What is only not mounted is mounted. A machine whose kernel has given a controller to cgroups of the second version cannot run the tests
//! that need it, and they fail there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Where a system keeps its hierarchies.
const MOUNTS: &str = "/sys/fs/cgroup";
/// Those that were killed a moment ago may still be counted.
const EMPTY_DEADLINE: Duration = Duration::from_secs(5);

/// Two tests must not mount one hierarchy at once.
static MOUNT: Mutex<()> = Mutex::new(());

/// The groups below which one agent keeps those of its containers. All that runs in them ends with this value, so hold it longer than the cluster.
#[derive(Debug)]
pub struct Cgroups {
    root: String,
    hierarchies: Vec<&'static str>,
}

impl Cgroups {
    /// Groups of an agent that needs these hierarchies, for example `["freezer", "memory"]`; `name` tells tests apart.
    ///
    /// Panics: without root, or on a machine that does not have them and cannot mount them.
    #[track_caller]
    pub fn new(name: &str, hierarchies: &[&'static str]) -> Self {
        assert!(rustix::process::geteuid().is_root(), "agents that mount and isolate need root");
        let _alone = MOUNT.lock().unwrap_or_else(PoisonError::into_inner);
        for hierarchy in hierarchies {
            mount(hierarchy);
        }
        Self { root: format!("mainstay-test-{name}-{}", std::process::id()), hierarchies: hierarchies.to_vec() }
    }

    /// The agent's flag `MESOS_CGROUPS_ROOT`.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The groups of the containers in one hierarchy.
    pub fn containers(&self, hierarchy: &str) -> Vec<PathBuf> {
        children(&self.folder(hierarchy))
    }

    fn folder(&self, hierarchy: &str) -> PathBuf {
        Path::new(MOUNTS).join(hierarchy).join(&self.root)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for hierarchy in &self.hierarchies {
            let root = self.folder(hierarchy);
            // What runs under an image does not name the cluster's folder: nobody else would find it.
            let processes: BTreeSet<i32> = below(&root).iter().flat_map(|group| members(group)).collect();
            for pid in processes.into_iter().filter_map(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
            remove(&root);
        }
    }
}

#[track_caller]
fn mount(hierarchy: &str) {
    let folder = Path::new(MOUNTS).join(hierarchy);
    let is_there = || folder.join("tasks").exists();
    if is_there() {
        return;
    }
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
    let mounted = Command::new("mount").args(["-t", "cgroup", "-o", hierarchy, "cgroup"]).arg(&folder).output();
    let said = mounted.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(
        is_there(),
        "the agent needs the {hierarchy} cgroup of the first version at {}, and it cannot be mounted: {said:?}",
        folder.display()
    );
}

/// The groups in one. Its files are no groups, and go with it.
fn children(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_dir()).collect()
}

/// All groups below one, those further down first.
fn below(group: &Path) -> Vec<PathBuf> {
    children(group).into_iter().flat_map(|child| below(&child).into_iter().chain([child])).collect()
}

fn members(group: &Path) -> Vec<i32> {
    let processes = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    processes.lines().filter_map(|line| line.parse().ok()).collect()
}

fn remove(root: &Path) {
    let start = Instant::now();
    for group in below(root).into_iter().chain([root.to_owned()]) {
        while fs::remove_dir(&group).is_err() && group.exists() && start.elapsed() < EMPTY_DEADLINE {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
