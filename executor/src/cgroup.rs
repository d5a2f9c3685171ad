//! Cgroups for each task: of memory, so that a task out of memory does not end its siblings; of cpu, so that each has its share and keeps
//! its own limit.
//!
//! Best effort: only where the agent gave the executor such a cgroup of its own (cgroups/mem and cgroups/cpu on cgroup v1). Without it,
//! and on cgroup v2, where a group with processes may have no limited children, the tasks share what the container has.
//!
//! | Group | set to |
//! |---|---|
//! | memory | the limit of the task, else what it reserved; none for `unlimited` |
//! | cpu, weight | what the task reserved |
//! | cpu, quota | the limit of the task; none without one and for `unlimited` |
//!
//! Invariant: nothing is made outside the container's own groups.
//! Invariant: no quota outlives its task's process. When a task ends the agent lowers the quota of the container, which the kernel refuses
//! while a group in it has more, and the agent then destroys the container.
//! Source: Mesos, cgroups/mem and cgroups/cpu: the container's group is `<cgroups_root>/<container id>`, its quota the sum over the executor
//! and its tasks, set before a task is delivered.

use std::fs;
use std::path::{Path, PathBuf};

use crate::task::TaskId;

/// Weight of one cpu; that of a process in no group of its own.
const SHARES_PER_CPU: u64 = 1024;
/// The least weight the kernel knows.
const LEAST_SHARES: u64 = 2;
/// Length of the periods in which a quota counts; that of Mesos. Units: microseconds.
const PERIOD_MICROS: u64 = 100_000;
/// The least quota the kernel takes. Units: microseconds.
const LEAST_QUOTA_MICROS: u64 = 1000;

/// The container's own groups.
#[derive(Debug, Default)]
pub(crate) struct Container {
    memory: Option<PathBuf>,
    cpu: Option<PathBuf>,
}

/// What a task may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Amounts {
    /// Memory; `None`: as much as the pod has. Units: bytes.
    pub(crate) memory: Option<u64>,
    /// Cpus it reserved. Units: thousandths.
    pub(crate) cpu_millis: u64,
    /// Cpus it may use at most; `None`: as many as the pod has. Units: thousandths.
    pub(crate) cpu_limit_millis: Option<u64>,
}

/// A task's own groups; empty where none could be made.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    memory: Option<PathBuf>,
    cpu: Option<PathBuf>,
}

impl Container {
    /// Finds the groups of this container; `directory` is the agent's path of the sandbox, which ends in the container's id.
    pub(crate) fn find(directory: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (own, mounts) = (read("/proc/self/cgroup"), read("/proc/self/mountinfo"));
        let Some(container) = directory.file_name().and_then(|name| name.to_str()) else { return Self::default() };
        let of = |controller, file| {
            let path = locate(&own, &mounts, container, controller)?;
            path.join(file).exists().then_some(path)
        };
        Self { memory: of("memory", "memory.limit_in_bytes"), cpu: of("cpu", "cpu.shares") }
    }

    /// Makes the groups of a task where that is permitted.
    ///
    /// Errors: in words, a limit that was asked for and cannot be set in a group that is there.
    pub(crate) fn create(&self, task: &TaskId, amounts: Amounts) -> (Groups, Vec<String>) {
        let mut problems = Vec::new();
        let group = |parent: &Option<PathBuf>| {
            let path = parent.as_ref()?.join(format!("mainstay-{task}"));
            fs::create_dir(&path).ok().map(|()| path)
        };
        let memory = amounts.memory.and_then(|bytes| {
            let path = group(&self.memory)?;
            let is_limited = fs::write(path.join("memory.limit_in_bytes"), bytes.to_string()).is_ok();
            if !is_limited {
                let _ = fs::remove_dir(&path);
            }
            is_limited.then_some(path)
        });
        let cpu = group(&self.cpu);
        if let Some(path) = &cpu {
            let shares = (amounts.cpu_millis * SHARES_PER_CPU / 1000).max(LEAST_SHARES);
            // Without it the task has the weight of a whole cpu.
            let _ = fs::write(path.join("cpu.shares"), shares.to_string());
            if let Some(limit) = amounts.cpu_limit_millis {
                let quota = (limit * PERIOD_MICROS / 1000).max(LEAST_QUOTA_MICROS);
                let is_set = fs::write(path.join("cpu.cfs_period_us"), PERIOD_MICROS.to_string())
                    .and_then(|()| fs::write(path.join("cpu.cfs_quota_us"), quota.to_string()));
                problems.extend(is_set.err().map(|error| format!("cannot limit its cpus: {error}")));
            }
        }
        (Groups { memory, cpu }, problems)
    }
}

impl Groups {
    /// The files a process writes itself into.
    pub(crate) fn members(&self) -> Vec<PathBuf> {
        self.memory.iter().chain(&self.cpu).map(|path| path.join("cgroup.procs")).collect()
    }

    /// Whether the kernel killed a process of the task for lack of memory.
    pub(crate) fn had_oom_kill(&self) -> bool {
        let control = self.memory.as_ref().and_then(|path| fs::read_to_string(path.join("memory.oom_control")).ok());
        control.is_some_and(|text| oom_kills(&text) > 0)
    }

    /// The task has ended: its quota no longer counts.
    pub(crate) fn lift_quota(&self) {
        if let Some(path) = &self.cpu {
            let _ = fs::write(path.join("cpu.cfs_quota_us"), "-1");
        }
    }

    /// Removes the empty groups. One that cannot be removed goes with the container.
    pub(crate) fn remove(&self) {
        for path in self.memory.iter().chain(&self.cpu) {
            let _ = fs::remove_dir(path);
        }
    }
}

fn oom_kills(text: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill "))
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

/// The folder of the container's group of a controller, if that group is the container's own.
fn locate(own: &str, mounts: &str, container: &str, controller: &str) -> Option<PathBuf> {
    let has_it = |controllers: &str| controllers.split(',').any(|one| one == controller);
    let group = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let controllers = fields.nth(1)?;
        has_it(controllers).then(|| fields.next())?
    })?;
    if Path::new(group).file_name()?.to_str()? != container {
        return None;
    }
    let point = mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        let mut right = right.split(' ');
        let is_cgroup = right.next() == Some("cgroup") && has_it(right.nth(1)?);
        (is_cgroup && left.get(3) == Some(&"/")).then(|| left.get(4).copied())?
    })?;
    Some(Path::new(point).join(group.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "30 22 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                          31 22 0:27 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n";

    fn id(text: &str) -> TaskId {
        TaskId::from_wire(&mainstay_proto::v1::TaskId { value: text.to_owned() })
    }

    #[test]
    fn only_the_containers_own_group_is_used() {
        let own = "5:memory:/mesos/c1\n4:cpu:/mesos/c1\n0::/\n";
        let expected = Some(PathBuf::from("/sys/fs/cgroup/memory/mesos/c1"));
        assert_eq!(locate(own, MOUNTS, "c1", "memory"), expected);
        assert_eq!(locate(own, MOUNTS, "c1", "cpu"), Some(PathBuf::from("/sys/fs/cgroup/cpu/mesos/c1")));
        assert_eq!(locate(own, MOUNTS, "c2", "memory"), None);
        assert_eq!(locate("5:memory:/\n", MOUNTS, "c1", "memory"), None);
        assert_eq!(locate("0::/mesos/c1\n", MOUNTS, "c1", "memory"), None, "cgroup v2");
        assert_eq!(locate(own, "", "c1", "memory"), None);
        let both = "30 22 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
        let joint = Some(PathBuf::from("/sys/fs/cgroup/cpu,cpuacct/mesos/c1"));
        assert_eq!(locate("4:cpu,cpuacct:/mesos/c1\n", both, "c1", "cpu"), joint);
        assert_eq!(locate("4:cpuset:/mesos/c1\n", both, "c1", "cpu"), None);
    }

    #[test]
    fn each_task_has_its_weight_and_its_limits() {
        let folder = tempfile::tempdir().expect("a folder");
        let parent = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).expect("a folder");
            Some(path)
        };
        let container = Container { memory: parent("memory"), cpu: parent("cpu") };
        let seen = |task: &str, amounts: Amounts| {
            let (groups, problems) = container.create(&id(task), amounts);
            assert_eq!(problems, Vec::<String>::new());
            let read = |name: &str| fs::read_to_string(folder.path().join(name)).ok();
            let memory = read(&format!("memory/mainstay-{task}/memory.limit_in_bytes"));
            let of_cpu = |file: &str| read(&format!("cpu/mainstay-{task}/cpu.{file}"));
            let before = (memory, of_cpu("shares").unwrap_or_default(), of_cpu("cfs_quota_us"));
            groups.lift_quota();
            assert_eq!(of_cpu("cfs_quota_us").as_deref(), Some("-1"));
            let members: Vec<_> = groups.members().iter().map(|file| file.parent().map(Path::to_owned)).collect();
            assert!(members.contains(&Some(folder.path().join(format!("cpu/mainstay-{task}")))), "{members:?}");
            before
        };
        let text = |text: &str| Some(text.to_owned());
        let amounts = Amounts { memory: Some(4096), cpu_millis: 500, cpu_limit_millis: Some(1_500) };
        assert_eq!(seen("limited", amounts), (text("4096"), "512".to_owned(), text("150000")));
        let unlimited = Amounts { memory: None, cpu_millis: 1, cpu_limit_millis: None };
        assert_eq!(seen("unlimited", unlimited), (None, "2".to_owned(), None));
        let tiny = Amounts { cpu_limit_millis: Some(1), ..unlimited };
        assert_eq!(seen("tiny", tiny).2, text("1000"));
        let (nowhere, _) = Container::default().create(&id("t"), amounts);
        assert!(nowhere.members().is_empty() && !nowhere.had_oom_kill());
    }

    #[test]
    fn the_kernels_kills_are_counted() {
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"), 2);
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\n"), 0);
    }
}
