//! Executors as real processes: their environment, their start, and the end of everything they started.
//!
//! Not here: what is in the sandbox (`disk.rs`, `fetcher.rs`), and users other than the one we run as.
//!
//! Invariant: nothing of our own environment reaches an executor.
//! Invariant: when an executor has ended, whatever it started has ended too: its descendants, and every process that
//! has its sandbox in the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::{CommandExt as _, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_proto::v1;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use crate::model::{AgentIndex, Input, Launch};
use crate::{container, disk, fetcher};

/// The file beside a sandbox that names its process, for a later run to clean up after this one.
const PID_FILE: &str = "forked.pid";

/// What is wanted of an executor's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Run,
    /// End by yourself (SIGTERM).
    Terminate,
    /// End now, with everything you started.
    Kill,
}

/// Where an agent is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) agent: AgentIndex,
    /// Its work folder.
    pub(crate) folder: PathBuf,
    /// `ip:port` of its endpoints.
    pub(crate) endpoint: String,
    pub(crate) ip: String,
}

/// Fetches, starts and supervises one executor to its end.
pub(crate) async fn run(place: Place, launch: Launch, mut orders: watch::Receiver<Order>) -> Input {
    let container_id = launch.container_id.clone();
    let agent = place.agent;
    let failed = |message: String| {
        tracing::warn!(container_id, message, "executor not started");
        Input::ExecutorLaunchFailed { agent, container_id: container_id.clone(), message }
    };
    let sandbox = disk::sandbox_path(&place.folder, &launch);
    let command = launch.executor_info.command.as_deref().cloned().unwrap_or_default();
    let prepare = async {
        for text in container::prepare(&launch.executor_info, &sandbox)? {
            tracing::warn!(container_id, text, "container");
            note(&sandbox, &text);
        }
        fetcher::fetch(&command.uris, &sandbox).await.map_err(|error| chain(&error))?;
        start(&place, &launch, &command, &sandbox).map_err(|error| format!("cannot start the executor: {error}"))
    };
    let child = tokio::select! {
        child = prepare => child,
        _ = orders.wait_for(|order| *order != Order::Run) => Err("killed while being fetched".to_owned()),
    };
    let mut child = match child {
        Ok(child) => child,
        Err(message) => {
            note(&sandbox, &message);
            return failed(message);
        }
    };
    let mut guard = Guard { pid: child.id().unwrap_or_default(), sandbox };
    let mut is_told = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.map_or(-1, ExitStatusExt::into_raw),
            order = next_order(&mut orders, is_told) => {
                if order == Order::Terminate {
                    is_told = true;
                    signal(guard.pid, Signal::TERM);
                } else {
                    kill_tree(guard.pid, &guard.sandbox);
                    break child.wait().await.map_or(-1, ExitStatusExt::into_raw);
                }
            }
        }
    };
    // The number may be another process's by now.
    guard.pid = 0;
    Input::ExecutorExited { agent, container_id: launch.container_id, status }
}

/// The next order that asks for something; that its sender is gone means that nothing may live on.
async fn next_order(orders: &mut watch::Receiver<Order>, is_told: bool) -> Order {
    let order = orders.wait_for(|order| *order == Order::Kill || (*order == Order::Terminate && !is_told)).await;
    order.map_or(Order::Kill, |order| *order)
}

/// Ends everything in a sandbox when the executor is over, or when the cluster is dropped.
struct Guard {
    /// The executor; 0 once it has been waited for.
    pid: u32,
    sandbox: PathBuf,
}

impl Drop for Guard {
    fn drop(&mut self) {
        kill_tree(self.pid, &self.sandbox);
        let _ = std::fs::remove_file(self.sandbox.with_extension(PID_FILE));
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// Leaves what went wrong or is missing where a person looks for it.
fn note(sandbox: &Path, message: &str) {
    use std::io::Write as _;
    if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(sandbox.join("stderr")) {
        let _ = writeln!(file, "{message}");
    }
}

/// The environment that an agent gives to an executor.
pub(crate) fn environment(
    place: &Place,
    launch: &Launch,
    command: &v1::CommandInfo,
    sandbox: &Path,
) -> BTreeMap<String, String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let checkpoint = launch.framework_info.checkpoint();
    let grace = launch.executor_info.shutdown_grace_period.as_ref();
    let grace = grace.map_or(5.0, |grace| Duration::from_nanos(grace.nanoseconds.max(0) as u64).as_secs_f64());
    let mut all = BTreeMap::from([
        ("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("MESOS_FRAMEWORK_ID".into(), launch.framework_info.id.as_ref().map(|id| id.value.clone()).unwrap_or_default()),
        ("MESOS_EXECUTOR_ID".into(), launch.executor_info.executor_id.value.clone()),
        ("MESOS_SLAVE_ID".into(), launch.agent_id.clone()),
        ("MESOS_AGENT_ENDPOINT".into(), place.endpoint.clone()),
        ("MESOS_SLAVE_PID".into(), format!("slave(1)@{}", place.endpoint)),
        ("MESOS_DIRECTORY".into(), text(sandbox)),
        ("MESOS_CHECKPOINT".into(), if checkpoint { "1" } else { "0" }.into()),
        ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD".into(), format!("{grace}secs")),
        ("MESOS_HTTP_COMMAND_EXECUTOR".into(), "0".into()),
        ("LIBPROCESS_PORT".into(), "0".into()),
        ("LIBPROCESS_IP".into(), place.ip.clone()),
    ]);
    if checkpoint {
        all.insert("MESOS_RECOVERY_TIMEOUT".into(), "15mins".into());
        all.insert("MESOS_SUBSCRIPTION_BACKOFF_MAX".into(), "2secs".into());
    }
    all.insert("MESOS_SANDBOX".into(), text(sandbox));
    for variable in command.environment.iter().flat_map(|environment| &environment.variables) {
        all.insert(variable.name.clone(), variable.value.clone().unwrap_or_default());
    }
    all
}

fn start(
    place: &Place,
    launch: &Launch,
    command: &v1::CommandInfo,
    sandbox: &Path,
) -> std::io::Result<tokio::process::Child> {
    let append = |name: &str| std::fs::OpenOptions::new().create(true).append(true).open(sandbox.join(name));
    let value = command.value();
    let mut process = if command.shell() {
        let mut process = std::process::Command::new("/bin/sh");
        process.arg("-c").arg(value);
        process
    } else {
        // A bare name is looked for in the sandbox first.
        let own = sandbox.join(value);
        let mut process = std::process::Command::new(if own.is_file() { own.as_os_str() } else { value.as_ref() });
        if let Some((first, rest)) = command.arguments.split_first() {
            process.arg0(first).args(rest);
        }
        process
    };
    process
        .env_clear()
        .envs(environment(place, launch, command, sandbox))
        .current_dir(sandbox)
        .stdin(std::process::Stdio::null())
        .stdout(append("stdout")?)
        .stderr(append("stderr")?)
        .process_group(0);
    let child = tokio::process::Command::from(process).spawn()?;
    if let Some((pid, started)) = child.id().and_then(|pid| Some((pid, start_time(pid)?))) {
        std::fs::write(sandbox.with_extension(PID_FILE), format!("{pid} {started}"))?;
    }
    Ok(child)
}

/// Ends what a run that was killed has left behind under an agent's folder.
pub(crate) fn end_leftovers(folder: &Path) {
    for file in pid_files(folder) {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let sandbox = file.with_extension("").with_extension("");
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        if let (Some(Ok(pid)), Some(Ok(started))) = (numbers.next(), numbers.next()) {
            // The number may belong to another process by now; its start time tells.
            let is_ours = start_time(pid as u32) == Some(started);
            kill_tree(if is_ours { pid as u32 } else { 0 }, &sandbox);
        }
        let _ = std::fs::remove_file(file);
    }
}

fn pid_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.join("slaves")];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.to_string_lossy().ends_with(PID_FILE) {
                found.push(path);
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !is_sandbox(&path) {
                open.push(path);
            }
        }
    }
    found
}

/// Sandboxes can be large and hold no pid files.
fn is_sandbox(path: &Path) -> bool {
    path.parent().is_some_and(|parent| parent.file_name().is_some_and(|name| name == "runs"))
}

struct ProcEntry {
    pid: u32,
    parent: u32,
    belongs: bool,
}

/// The start time of a process in clock ticks since boot.
fn start_time(pid: u32) -> Option<u64> {
    stat_field(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, 22)?.parse().ok()
}

/// A field of `/proc/<pid>/stat` by its number in proc(5); only those after the command, which may hold anything.
fn stat_field(stat: &str, number: usize) -> Option<&str> {
    stat.rsplit_once(") ")?.1.split_whitespace().nth(number.checked_sub(3)?)
}

fn processes(sandbox: &Path) -> Vec<ProcEntry> {
    let marker = sandbox.to_string_lossy().into_owned();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let one = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        if stat_field(&stat, 3)? == "Z" {
            return None;
        }
        let parent = stat_field(&stat, 4)?.parse().ok()?;
        // Not by working directory: a person may be looking around in there.
        let belongs = {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|one| {
                one.strip_prefix(b"MESOS_SANDBOX=").or_else(|| one.strip_prefix(b"MESOS_DIRECTORY=")).is_some_and(
                    |path| {
                        String::from_utf8_lossy(path) == marker
                            || String::from_utf8_lossy(path).starts_with(&format!("{marker}/"))
                    },
                )
            })
        };
        Some(ProcEntry { pid, parent, belongs })
    };
    pids.filter_map(one).collect()
}

/// Kills a process, its descendants and whatever belongs to the sandbox, until nothing of it is left.
fn kill_tree(root: u32, sandbox: &Path) {
    // New ones can appear between the look and the kill; a fork bomb must not hold us for ever.
    for _ in 0..20 {
        let all = processes(sandbox);
        let mut doomed: BTreeSet<u32> =
            all.iter().filter(|one| one.belongs || one.pid == root).map(|one| one.pid).collect();
        loop {
            let more: Vec<u32> = all
                .iter()
                .filter(|one| doomed.contains(&one.parent) && !doomed.contains(&one.pid))
                .map(|one| one.pid)
                .collect();
            if more.is_empty() {
                break;
            }
            doomed.extend(more);
        }
        doomed.remove(&std::process::id());
        if doomed.is_empty() {
            return;
        }
        for pid in doomed {
            signal(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid as i32).filter(|_| pid > 1) {
        let _ = kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn launch(value: &str, shell: bool) -> Launch {
        Launch {
            container_id: "c1".into(),
            agent_id: "a1".into(),
            framework_info: v1::FrameworkInfo {
                id: Some(v1::FrameworkId { value: "f1".into() }),
                checkpoint: Some(true),
                ..Default::default()
            },
            executor_info: v1::ExecutorInfo {
                executor_id: v1::ExecutorId { value: "e1".into() },
                command: Some(Box::new(v1::CommandInfo {
                    value: Some(value.into()),
                    shell: Some(shell),
                    environment: Some(Box::new(v1::Environment {
                        variables: vec![v1::environment::Variable {
                            name: "LIBPROCESS_IP".into(),
                            value: Some("later wins".into()),
                            ..Default::default()
                        }],
                    })),
                    ..Default::default()
                })),
                ..Default::default()
            },
            links: Vec::new(),
        }
    }

    fn place(folder: &Path) -> Place {
        Place { agent: 0, folder: folder.to_owned(), endpoint: "127.0.0.1:5051".into(), ip: "127.0.0.1".into() }
    }

    #[tokio::test]
    async fn an_executor_gets_the_agents_environment_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let launch = launch("env | sort; exit 3", true);
        let sandbox = disk::create_sandbox(folder.path(), &launch).unwrap();
        let (_orders, watch) = watch::channel(Order::Run);
        let end = run(place(folder.path()), launch, watch).await;
        assert!(matches!(end, Input::ExecutorExited { status: 768, .. }), "{end:?}");
        let output = std::fs::read_to_string(sandbox.join("stdout")).unwrap();
        let names: Vec<&str> = output.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        let known = [
            "LIBPROCESS_IP",
            "LIBPROCESS_PORT",
            "MESOS_AGENT_ENDPOINT",
            "MESOS_CHECKPOINT",
            "MESOS_DIRECTORY",
            "MESOS_EXECUTOR_ID",
            "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD",
            "MESOS_FRAMEWORK_ID",
            "MESOS_HTTP_COMMAND_EXECUTOR",
            "MESOS_RECOVERY_TIMEOUT",
            "MESOS_SANDBOX",
            "MESOS_SLAVE_ID",
            "MESOS_SLAVE_PID",
            "MESOS_SUBSCRIPTION_BACKOFF_MAX",
            "PATH",
            "PWD",
        ];
        assert_eq!(names, known, "PWD is the shell's own");
        assert!(output.contains("LIBPROCESS_IP=later wins"));
        assert!(output.contains("MESOS_SLAVE_PID=slave(1)@127.0.0.1:5051"));
        assert!(output.contains("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=5secs"));
        assert!(output.contains(&format!("PWD={}", sandbox.display())));
    }

    #[tokio::test]
    async fn a_kill_ends_everything_that_the_executor_started() {
        let folder = tempfile::tempdir().unwrap();
        let script = "setsid sleep 600 & (sleep 600 &) ; cd / ; echo started > $MESOS_SANDBOX/started; exec sleep 600";
        let launch = launch(script, true);
        let sandbox = disk::create_sandbox(folder.path(), &launch).unwrap();
        let (orders, watch) = watch::channel(Order::Run);
        let running = run(place(folder.path()), launch, watch);
        let killing = async {
            while !sandbox.join("started").exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert!(processes(&sandbox).iter().filter(|one| one.belongs).count() >= 3);
            orders.send(Order::Kill).unwrap();
        };
        let (end, ()) = tokio::join!(running, killing);
        assert!(matches!(end, Input::ExecutorExited { status: 9, .. }), "{end:?}");
        assert_eq!(processes(&sandbox).iter().filter(|one| one.belongs).count(), 0);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_fails_the_launch_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let launch = launch("./nothing", false);
        let sandbox = disk::create_sandbox(folder.path(), &launch).unwrap();
        let (_orders, watch) = watch::channel(Order::Run);
        let end = run(place(folder.path()), launch, watch).await;
        assert!(matches!(end, Input::ExecutorLaunchFailed { .. }), "{end:?}");
        assert!(std::fs::read_to_string(sandbox.join("stderr")).unwrap().contains("cannot start"));
    }

    #[tokio::test]
    async fn what_a_killed_run_left_is_ended_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let launch = launch("exec sleep 600", true);
        let sandbox = disk::create_sandbox(folder.path(), &launch).unwrap();
        let command = launch.executor_info.command.clone().unwrap();
        let mut child = start(&place(folder.path()), &launch, &command, &sandbox).unwrap();
        end_leftovers(folder.path());
        assert_eq!(child.wait().await.unwrap().into_raw(), 9);
        assert!(pid_files(folder.path()).is_empty());
    }

    #[test]
    fn the_fields_of_stat_are_counted_after_the_command() {
        let stat = "7 (a) b) S 1 2 3 4";
        assert_eq!((stat_field(stat, 3), stat_field(stat, 4), stat_field(stat, 6)), (Some("S"), Some("1"), Some("3")));
    }
}
