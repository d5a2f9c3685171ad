//! What a pod's container is made of, on a real Mesos: limits of processes, mounts of the agent's folders, shared memory.
//!
//! Images, networks and secrets need more of an agent than these have; what becomes of them there is told in their failures.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use mainstay_tests::mesos::{AgentOptions, MesosCluster, Options};
use mainstay_tests::scheduler::{self, SchedulerUnderTest};
use mainstay_tests::wait::wait_for;

const DEADLINE: Duration = Duration::from_secs(60);

/// A cluster of one agent with these isolators, and a scheduler of this specification; the state is in memory.
async fn start(folder: &Path, environment: &[(&str, &str)], spec: &str) -> (MesosCluster, SchedulerUnderTest) {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let agent = AgentOptions { environment, ..AgentOptions::default() };
    let mesos = MesosCluster::start(Options { agents: vec![agent], ..Options::default() }).await.unwrap();
    let file = folder.join("svc.yml");
    fs::write(&file, spec.replace("FOLDER", &folder.to_string_lossy())).unwrap();
    let options = scheduler::Options {
        spec: file,
        mesos_master: mesos.master_url(),
        state_store: "memory:".into(),
        environment: BTreeMap::new(),
    };
    let scheduler = SchedulerUnderTest::start(&options).await.unwrap();
    (mesos, scheduler)
}

/// What the task has written when it is done.
async fn written(file: &Path) -> String {
    let done = async || Ok(fs::read_to_string(file).ok().filter(|text| text.ends_with("end\n")));
    wait_for("what the task has to say", DEADLINE, done).await.unwrap()
}

const LIMITS: &str = r"
name: limits
pods:
  node:
    count: 1
    rlimits:
      RLIMIT_NOFILE: {soft: 321, hard: 654}
      RLIMIT_CORE: {soft: 0, hard: 0}
      RLIMIT_CPU: {soft: 777, hard: 888}
    tasks:
      server:
        goal: RUNNING
        cmd: |
          { ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -St; grep 'open files' /proc/$PPID/limits; echo end; } > FOLDER/out
          exec sleep 1000
        cpus: 0.1
        memory: 32
";

/// The soft and hard limit of open files that the executor has itself.
fn of_executor(text: &str) -> Vec<&str> {
    let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().skip(3).take(2).collect()
}

#[tokio::test]
async fn limits_of_processes_hold_with_and_without_the_isolator() {
    for isolation in ["posix/cpu,posix/mem,filesystem/posix", "posix/cpu,posix/mem,filesystem/posix,posix/rlimits"] {
        let folder = tempfile::tempdir().unwrap();
        let (_mesos, _scheduler) = start(folder.path(), &[("MESOS_ISOLATION", isolation)], LIMITS).await;
        let text = written(&folder.path().join("out")).await;
        assert!(text.starts_with("321\n654\n0\n777\n"), "{isolation}: {text}");
        assert_eq!(of_executor(&text) == ["321", "654"], isolation.contains("rlimits"), "{isolation}: {text}");
    }
}

const MOUNTS: &str = r"
name: mounts
pods:
  node:
    count: 1
    host-volumes:
      writable: {host-path: FOLDER/writable, container-path: deep/writable}
      fixed: {host-path: FOLDER/fixed, container-path: fixed, mode: RO}
    ipc-mode: PRIVATE
    shm-size: 8
    tasks:
      server:
        goal: RUNNING
        cmd: |
          { cat fixed/file; touch fixed/new || echo refused; df -m /dev/shm | tail -1; echo end; } > deep/writable/out 2>&1
          exec sleep 1000
        cpus: 0.1
        memory: 32
";

#[tokio::test]
async fn an_agent_that_cannot_mount_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (mesos, scheduler) = start(folder.path(), &[], MOUNTS).await;
    mesos.wait_task("node-0-server", "TASK_FAILED", DEADLINE).await.unwrap();
    let log = wait_for("the reason in the log", DEADLINE, async || {
        let log = fs::read_to_string(scheduler.log_path())?;
        Ok(log.contains("TASK_FAILED").then_some(log))
    });
    let log = log.await.unwrap();
    assert!(log.contains("Volumes in ContainerInfo is not supported"), "{log}");
}

/// Mounts need an agent that is root and has a freezer cgroup of the first version for its containers.
fn can_isolate() -> bool {
    let is_root = std::env::var_os("USER").is_none_or(|user| user == "root");
    is_root && Path::new("/sys/fs/cgroup/freezer/tasks").exists()
}

#[tokio::test]
async fn folders_of_the_agent_are_seen_below_the_folder_of_the_task() {
    if !can_isolate() {
        eprintln!("not run: this machine has no freezer cgroup for the containers of an agent");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("writable")).unwrap();
    fs::create_dir(root.join("fixed")).unwrap();
    fs::write(root.join("fixed/file"), "of the agent\n").unwrap();
    let cgroups = format!("mainstay-test-{}", std::process::id());
    let environment = [
        ("MESOS_LAUNCHER", "linux"),
        ("MESOS_ISOLATION", "filesystem/linux,namespaces/ipc"),
        ("MESOS_CGROUPS_ROOT", &*cgroups),
    ];
    let (mesos, scheduler) = start(root, &environment, MOUNTS).await;
    let text = written(&root.join("writable/out")).await;
    drop((scheduler, mesos));
    // Nobody is left in it.
    let _ = fs::remove_dir(Path::new("/sys/fs/cgroup/freezer").join(cgroups));

    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.first(), Some(&"of the agent"), "{text}");
    assert!(lines[1].contains("Read-only file system") && lines[2] == "refused", "{text}");
    assert!(lines[3].starts_with("tmpfs") && lines[3].split_whitespace().nth(1) == Some("8"), "{text}");
    assert!(!root.join("fixed/new").exists());
}
