//! Processes of tasks and checks: starting, watching, killing.
//!
//! Not here: what to start or kill (`supervise.rs`), what the child does before it is the command (`shim.rs`).
//!
//! Invariant: every child is spawned from the main thread, because its parent-death signal follows that thread.
//! Invariant: a group is killed while its leader is a zombie, before the leader's number can be given away.
//! Invariant: a single process is killed through a pidfd that was opened before we looked at what it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions};

use crate::health::Kind;
use crate::supervise::life::Exit;
use crate::task::{Command, Rlimit, TaskId};
use crate::user::Identity;

/// The variable that marks every process of a task.
pub(crate) const TASK_ID: &str = "MESOS_TASK_ID";

/// Whose a child is, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The task.
    pub(crate) task: TaskId,
    /// `None`: the task's own process; else the check's.
    pub(crate) check: Option<Kind>,
}

/// Where a child's output goes.
#[derive(Debug)]
pub(crate) enum Output {
    /// To pipes that are handed back.
    Pipes,
    /// Both streams into one file.
    File(File),
}

/// What a child is started with.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    /// The command; its variables are already in `environment`.
    pub(crate) command: &'a Command,
    /// All variables.
    pub(crate) environment: &'a BTreeMap<String, String>,
    /// The working directory.
    pub(crate) folder: &'a Path,
    /// The user to become.
    pub(crate) user: Option<&'a Identity>,
    /// Limits.
    pub(crate) rlimits: &'a [Rlimit],
    /// The files of its cgroups to join.
    pub(crate) cgroups: &'a [PathBuf],
    /// Where its output goes.
    pub(crate) output: Output,
}

/// The read ends of a child's output.
#[derive(Debug)]
pub(crate) struct Pipes {
    /// Its stdout.
    pub(crate) stdout: OwnedFd,
    /// Its stderr.
    pub(crate) stderr: OwnedFd,
}

/// The children of this process, and the groups they lead.
#[derive(Debug, Default)]
pub(crate) struct Children {
    /// Running children by their process id.
    running: BTreeMap<i32, Owner>,
    /// The process group of each task, kept until the task is forgotten.
    groups: BTreeMap<TaskId, i32>,
}

impl Children {
    /// Starts a child in a process group of its own.
    pub(crate) fn start(&mut self, owner: Owner, start: Start<'_>) -> io::Result<Option<Pipes>> {
        let mut command = std::process::Command::new("/proc/self/exe");
        command.arg0("mainstay-executor").arg("shim");
        command.arg("--parent").arg(rustix::process::getpid().as_raw_nonzero().to_string());
        for cgroup in start.cgroups {
            command.arg("--cgroup").arg(cgroup);
        }
        for rlimit in start.rlimits {
            let limits = match rlimit.limits {
                Some((soft, hard)) => format!("{soft}:{hard}"),
                None => "unlimited:unlimited".to_owned(),
            };
            command.arg("--rlimit").arg(format!("{}={limits}", rlimit.name));
        }
        if let Some(user) = start.user {
            let groups: Vec<String> = user.groups.iter().map(u32::to_string).collect();
            command.arg("--user").arg(format!("{}:{}:{}", user.uid, user.gid, groups.join(",")));
        }
        command.arg("--").arg(&start.command.program).args(&start.command.arguments);
        command.env_clear().envs(start.environment).current_dir(start.folder).process_group(0).stdin(Stdio::null());
        let has_pipes = match start.output {
            Output::Pipes => {
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                true
            }
            Output::File(file) => {
                command.stdout(file.try_clone()?).stderr(file);
                false
            }
        };
        let child = command.spawn()?;
        let pid = child.id().cast_signed();
        if owner.check.is_none() {
            self.groups.insert(owner.task.clone(), pid);
        }
        self.running.insert(pid, owner);
        match (has_pipes, child.stdout, child.stderr) {
            (true, Some(stdout), Some(stderr)) => Ok(Some(Pipes { stdout: stdout.into(), stderr: stderr.into() })),
            _ => Ok(None),
        }
    }

    /// Collects every child that has ended; also the orphans of tasks, which become our children.
    pub(crate) fn reap(&mut self) -> Vec<(Owner, Exit)> {
        let mut ended = Vec::new();
        // Our own first, while they are zombies: what is left of their groups dies before their number is free.
        let pids: Vec<i32> = self.running.keys().copied().collect();
        for pid in pids.into_iter().filter_map(Pid::from_raw) {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if matches!(rustix::process::waitid(WaitId::Pid(pid), options), Ok(Some(_))) {
                // Nobody else may be left in the group; that is no error.
                let _ = rustix::process::kill_process_group(pid, Signal::KILL);
                if let Ok(Some((_, status))) = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG) {
                    self.ended(pid, status, &mut ended);
                }
            }
        }
        while let Ok(Some((pid, status))) = rustix::process::waitpid(None, WaitOptions::NOHANG) {
            self.ended(pid, status, &mut ended);
        }
        ended
    }

    fn ended(&mut self, pid: Pid, status: rustix::process::WaitStatus, ended: &mut Vec<(Owner, Exit)>) {
        let exit = match (status.exit_status(), status.terminating_signal()) {
            (Some(status), _) => Exit::Status(status),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => return,
        };
        if let Some(owner) = self.running.remove(&pid.as_raw_nonzero().get()) {
            ended.push((owner, exit));
        }
    }

    /// Sends SIGTERM to the task's process group.
    pub(crate) fn terminate(&self, task: &TaskId) {
        if let Some(pid) = self.leader(task) {
            // It may have ended just now; its exit is on its way to us.
            let _ = rustix::process::kill_process_group(pid, Signal::TERM);
        }
    }

    /// Sends SIGKILL to every process of the task, wherever it hides.
    pub(crate) fn kill(&self, task: &TaskId) {
        if let Some(pid) = self.leader(task) {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
        for process in self.left_of(task) {
            process.kill();
        }
    }

    /// Sends SIGKILL to a check's process group.
    pub(crate) fn kill_check(&self, task: &TaskId, kind: Kind) {
        for (pid, owner) in &self.running {
            if owner.task == *task
                && owner.check == Some(kind)
                && let Some(pid) = Pid::from_raw(*pid)
            {
                let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            }
        }
    }

    /// Whether no process of the task is left.
    pub(crate) fn is_gone(&self, task: &TaskId) -> bool {
        !self.running.values().any(|owner| owner.task == *task) && self.left_of(task).is_empty()
    }

    /// Forgets a task.
    pub(crate) fn forget(&mut self, task: &TaskId) {
        self.groups.remove(task);
    }

    /// The task's own process, as long as it was not reaped.
    fn leader(&self, task: &TaskId) -> Option<Pid> {
        let own = |(_, owner): &(&i32, &Owner)| owner.task == *task && owner.check.is_none();
        self.running.iter().find(own).and_then(|(pid, _)| Pid::from_raw(*pid))
    }

    /// Processes of the task beside those we started: members of its group, and descendants marked with its id.
    fn left_of(&self, task: &TaskId) -> Vec<Found> {
        let group = self.groups.get(task).copied();
        let mark = format!("{TASK_ID}={task}");
        descendants().into_iter().filter(|found| Some(found.group) == group || found.has_variable(&mark)).collect()
    }
}

/// Sends SIGKILL to every process below this one: nothing may outlive the executor.
pub(crate) fn kill_descendants() {
    for process in descendants() {
        process.kill();
    }
}

/// A living process below this one.
#[derive(Debug)]
struct Found {
    pid: i32,
    group: i32,
    handle: OwnedFd,
}

impl Found {
    fn kill(&self) {
        // It may have ended meanwhile: that is what was wanted.
        let _ = rustix::process::pidfd_send_signal(&self.handle, Signal::KILL);
    }

    /// Whether the process was started with this variable. Unreadable is no: it then runs as somebody else.
    fn has_variable(&self, variable: &str) -> bool {
        std::fs::read(format!("/proc/{}/environ", self.pid))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes()))
    }
}

/// Every living process below this one, whatever its group or session: orphans too, since we are their reaper.
fn descendants() -> Vec<Found> {
    let mut processes = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if let Some(stat) = std::fs::read(format!("/proc/{pid}/stat")).ok().and_then(|text| parse_stat(&text)) {
            processes.insert(pid, stat);
        }
    }
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let mut found = Vec::new();
    for (&pid, stat) in &processes {
        if pid == own || stat.state == b'Z' || stat.state == b'X' || !is_below(pid, own, &processes) {
            continue;
        }
        let handle = Pid::from_raw(pid).and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        let Some(handle) = handle else { continue };
        // The number may have been given away before the pidfd was opened: look once more.
        let again = std::fs::read(format!("/proc/{pid}/stat")).ok().and_then(|text| parse_stat(&text));
        if again.is_some_and(|again| again.start == stat.start) {
            found.push(Found { pid, group: stat.group, handle });
        }
    }
    found
}

fn is_below(pid: i32, ancestor: i32, processes: &BTreeMap<i32, Stat>) -> bool {
    let mut at = pid;
    // Bounded, should the numbers form a ring while they change under us.
    for _ in 0..processes.len() {
        match processes.get(&at) {
            Some(stat) if stat.parent == ancestor => return true,
            Some(stat) => at = stat.parent,
            None => return false,
        }
    }
    false
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: u8,
    parent: i32,
    group: i32,
    /// When it started, in ticks since boot: with the number it names one process.
    start: u64,
}

/// Reads `/proc/<pid>/stat`; the command name in it may hold anything, so fields count from the last `)`.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let fields: Vec<&str> = std::str::from_utf8(text.get(end + 1..)?).ok()?.split_ascii_whitespace().collect();
    Some(Stat {
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_from_its_last_parenthesis() {
        let line = b"12 (a ) b (c)) S 7 12 3 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 9 9\n";
        assert_eq!(parse_stat(line), Some(Stat { state: b'S', parent: 7, group: 12, start: 4711 }));
        assert_eq!(parse_stat(b"12 (a"), None);
        assert_eq!(parse_stat(b"12 (a) S 7"), None);
    }

    #[test]
    fn descent_is_followed_and_rings_end() {
        let stat = |parent| Stat { state: b'S', parent, group: 0, start: 0 };
        let processes = BTreeMap::from([(2, stat(1)), (3, stat(2)), (4, stat(9)), (5, stat(6)), (6, stat(5))]);
        let below = |pid| is_below(pid, 1, &processes);
        assert_eq!([2, 3, 4, 5].map(below), [true, true, false, false]);
    }
}
