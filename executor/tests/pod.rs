//! The executor's binary under an agent that the test plays.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "pod/agent.rs"]
mod agent;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use agent::{Agent, Mode, PATIENCE};
use mainstay_proto::v1;
use mainstay_proto::v1::TaskState;
use mainstay_proto::v1::task_status::{Reason, Source};
use prost::Message as _;

/// An executor in its sandbox.
struct Pod {
    root: tempfile::TempDir,
    child: Child,
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Pod {
    fn start(agent: &Agent, more: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), agent, more)
    }

    fn start_in(root: tempfile::TempDir, agent: &Agent, more: &[(&str, &str)]) -> Self {
        let sandbox = root.path().join("sandbox");
        fs::create_dir_all(&sandbox).unwrap();
        let file = |name: &str| File::create(sandbox.join(name)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_mainstay-executor"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("MESOS_FRAMEWORK_ID", "framework")
            .env("MESOS_EXECUTOR_ID", "executor")
            .env("MESOS_AGENT_ENDPOINT", format!("127.0.0.1:{}", agent.port))
            .env("MESOS_SLAVE_PID", format!("slave(1)@127.0.0.1:{}", agent.port))
            .env("MESOS_SANDBOX", &sandbox)
            .env("MESOS_DIRECTORY", &sandbox)
            .env("MESOS_CHECKPOINT", "1")
            .env("MESOS_RECOVERY_TIMEOUT", "15mins")
            .env("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "5secs")
            .env("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "the-token")
            .envs(more.iter().copied())
            .current_dir("/")
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        Self { root, child }
    }

    fn sandbox(&self) -> PathBuf {
        self.root.path().join("sandbox")
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.sandbox().join(path)).unwrap_or_default()
    }

    /// Waits until a file of the sandbox has this text in it.
    #[track_caller]
    fn wait_for(&self, path: &str, text: &str) {
        wait_until(&format!("{text:?} in {path}: {:?}", self.read(path)), || self.read(path).contains(text));
    }

    fn wait(&mut self) -> ExitStatus {
        wait_until("the executor's end", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap()
    }
}

#[track_caller]
fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    let mut is_so = is_so;
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn command(value: &str, environment: &[(&str, &str)]) -> v1::CommandInfo {
    let variables = environment
        .iter()
        .map(|(name, value)| v1::environment::Variable {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            ..Default::default()
        })
        .collect();
    v1::CommandInfo {
        value: Some(value.to_owned()),
        environment: Some(Box::new(v1::Environment { variables })),
        ..Default::default()
    }
}

fn task_of(name: &str, command: &v1::CommandInfo) -> v1::TaskInfo {
    v1::TaskInfo {
        name: name.to_owned(),
        task_id: v1::TaskId { value: format!("{name}__1") },
        data: Some(command.encode_to_vec().into()),
        ..Default::default()
    }
}

fn task(name: &str, value: &str) -> v1::TaskInfo {
    task_of(name, &command(value, &[]))
}

fn grace(mut task: v1::TaskInfo, seconds: i64) -> v1::TaskInfo {
    let grace_period = Some(v1::DurationInfo { nanoseconds: seconds * 1_000_000_000 });
    task.kill_policy = Some(Box::new(v1::KillPolicy { grace_period }));
    task
}

fn with_volume(mut task: v1::TaskInfo, id: &str, place: &str) -> v1::TaskInfo {
    let persistence = v1::resource::disk_info::Persistence { id: id.to_owned(), ..Default::default() };
    let disk = v1::resource::DiskInfo { persistence: Some(Box::new(persistence)), ..Default::default() };
    task.resources.push(v1::Resource { disk: Some(Box::new(disk)), ..Default::default() });
    let label = v1::Label { key: format!("volume:{id}"), value: Some(place.to_owned()) };
    task.labels.get_or_insert_default().labels.push(label);
    task
}

/// Living processes whose command line has this word, zombies not counted.
fn processes(word: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command).contains(word) {
            found.push(pid);
        }
    }
    found
}

/// A duration in seconds that no other test sleeps, to find the process by.
fn unique_sleep(salt: u32) -> String {
    format!("{}.{salt}", 100_000 + std::process::id())
}

#[test]
fn a_group_of_two_tasks_runs_and_the_executor_ends_after_them() {
    let mut agent = Agent::start();
    let root = tempfile::tempdir().unwrap();
    let sandbox = root.path().join("sandbox");
    fs::create_dir_all(sandbox.join("app")).unwrap();
    fs::write(sandbox.join("app/data"), "fetched").unwrap();
    let mut pod = Pod::start_in(root, &agent, &[]);
    let request = agent.subscribed();
    assert!(request.unacknowledged_tasks.is_empty() && request.unacknowledged_updates.is_empty());
    let head = agent.last_header();
    assert!(head.starts_with("POST /slave(1)/api/v1/executor HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer the-token\r\n"), "{head}");

    let first = task("one", "pwd; cat app/data; echo; env | sort; echo to-stderr >&2; echo changed > app/data");
    let second = task("two", "cat app/data; exit 3");
    agent.launch_group(vec![first, second]);
    let running = agent.expect_running("one__1");
    assert_eq!(running.source(), Source::Executor);
    assert_eq!(running.uuid.as_ref().map(bytes::Bytes::len), Some(16));
    assert_eq!(running.executor_id.unwrap().value, "executor");
    assert!(running.timestamp.unwrap() > 1e9);
    assert!(running.check_status.is_none() && running.healthy.is_none());
    agent.expect_running("two__1");
    let finished = agent.expect("one__1", TaskState::TaskFinished);
    assert_eq!(finished.message.as_deref(), Some("command exited with status 0"));
    let failed = agent.expect("two__1", TaskState::TaskFailed);
    assert_eq!(failed.message.as_deref(), Some("command exited with status 3"));
    let ended = Instant::now();

    pod.wait_for("tasks/two__1/stdout", "fetched");
    pod.wait_for("tasks/one__1/stderr", "to-stderr");
    let folder = sandbox.join("tasks/one__1");
    let output = pod.read("tasks/one__1/stdout");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(&lines[..2], &[folder.to_str().unwrap(), "fetched"]);
    for expected in [
        "MESOS_TASK_ID=one__1".to_owned(),
        "MESOS_CONTAINER_IP=127.0.0.1".to_owned(),
        "MESOS_EXECUTOR_ID=executor".to_owned(),
        format!("MESOS_SANDBOX={}", folder.display()),
    ] {
        assert!(lines.contains(&expected.as_str()), "{expected} in {output}");
    }
    assert!(!output.contains("the-token"), "{output}");
    pod.wait_for("stdout", "[one] MESOS_TASK_ID=one__1\n");
    pod.wait_for("stdout", "[two] fetched\n");
    pod.wait_for("stderr", "[one] to-stderr\n");

    assert!(pod.wait().success());
    assert!(ended.elapsed() >= Duration::from_secs(4), "it lingers for a launch that may be on its way");
}

#[test]
fn a_later_launch_joins_a_running_executor_and_lines_of_one_task_have_no_name() {
    let mut agent = Agent::start();
    let pod = Pod::start(&agent, &[]);
    agent.subscribed();
    agent.launch(task("one", "echo alone; sleep 1000"));
    agent.expect_running("one__1");
    pod.wait_for("stdout", "alone\n");
    assert!(!pod.read("stdout").contains("[one]"));
    agent.launch(task("two", "echo together"));
    agent.expect_running("two__1");
    agent.expect("two__1", TaskState::TaskFinished);
    pod.wait_for("stdout", "[two] together\n");
}

#[test]
fn readiness_is_reported_when_it_changes() {
    let mut agent = Agent::start();
    let pod = Pod::start(&agent, &[]);
    agent.subscribed();
    let mut one = task_of("one", &command("sleep 1000", &[("FILE", "ready")]));
    let check = command("echo \"$EXTRA $MESOS_TASK_ID\"; test -e $FILE", &[("EXTRA", "more")]);
    one.check = Some(Box::new(v1::CheckInfo {
        r#type: Some(v1::check_info::Type::Command as i32),
        command: Some(Box::new(v1::check_info::Command { command: check })),
        delay_seconds: Some(0.0),
        interval_seconds: Some(0.1),
        timeout_seconds: Some(5.0),
        ..Default::default()
    }));
    agent.launch(one);
    let code = |status: &v1::TaskStatus| {
        let check = status.check_status.as_ref().unwrap();
        assert_eq!(check.r#type(), v1::check_info::Type::Command);
        check.command.unwrap().exit_code
    };
    let running = agent.expect_running("one__1");
    assert_eq!(code(&running), None);
    let failing = agent.expect("one__1", TaskState::TaskRunning);
    assert_eq!((code(&failing), failing.reason()), (Some(1), Reason::TaskCheckStatusUpdated));
    fs::write(pod.sandbox().join("tasks/one__1/ready"), "").unwrap();
    let passing = agent.expect("one__1", TaskState::TaskRunning);
    assert_eq!(code(&passing), Some(0));
    pod.wait_for("tasks/one__1/readiness-check.out", "more one__1\n");
}

#[test]
fn an_unhealthy_task_is_ended() {
    let mut agent = Agent::start();
    let pod = Pod::start(&agent, &[]);
    agent.subscribed();
    let mut one = task("one", "touch alive; sleep 1000");
    one.health_check = Some(Box::new(v1::HealthCheck {
        r#type: Some(v1::health_check::Type::Command as i32),
        command: Some(Box::new(command("test -e alive", &[]))),
        delay_seconds: Some(0.1),
        interval_seconds: Some(0.1),
        timeout_seconds: Some(5.0),
        grace_period_seconds: Some(0.0),
        consecutive_failures: Some(2),
        ..Default::default()
    }));
    agent.launch(one);
    agent.expect_running("one__1");
    assert_eq!(agent.expect("one__1", TaskState::TaskRunning).healthy, Some(true));
    fs::remove_file(pod.sandbox().join("tasks/one__1/alive")).unwrap();
    let sick = agent.expect("one__1", TaskState::TaskRunning);
    assert_eq!((sick.healthy, sick.reason()), (Some(false), Reason::TaskHealthCheckStatusUpdated));
    let failed = agent.expect("one__1", TaskState::TaskFailed);
    assert_eq!(failed.healthy, Some(false));
    assert!(failed.message.unwrap().starts_with("health check failed 2 times in a row"));
}

#[test]
fn a_kill_is_gentle_first() {
    let mut agent = Agent::start();
    let pod = Pod::start(&agent, &[]);
    agent.subscribed();
    let value = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    agent.launch(grace(task("one", value), 1000));
    agent.expect_running("one__1");
    pod.wait_for("tasks/one__1/stdout", "up");
    agent.kill("one__1", None);
    let killed = agent.expect("one__1", TaskState::TaskKilled);
    assert_eq!(killed.message.as_deref(), Some("killed on request: command exited with status 0"));
    pod.wait_for("tasks/one__1/stdout", "bye");
}

#[test]
fn a_stubborn_task_is_killed_with_its_children_after_the_grace() {
    let mut agent = Agent::start();
    let pod = Pod::start(&agent, &[]);
    agent.subscribed();
    let child = unique_sleep(1);
    let value = format!("trap '' TERM; sh -c \"trap '' TERM; sleep {child}\" & echo up; while :; do sleep 0.05; done");
    agent.launch(grace(task("one", &value), 1000));
    agent.expect_running("one__1");
    pod.wait_for("tasks/one__1/stdout", "up");
    wait_until("the child", || processes(&child).len() >= 2);
    agent.kill("one__1", None);
    let asked = Instant::now();
    // The second kill shortens the grace of the first.
    agent.kill("one__1", Some(Duration::from_secs(1)));
    let killed = agent.expect("one__1", TaskState::TaskKilled);
    assert!(asked.elapsed() >= Duration::from_millis(900), "{:?}", asked.elapsed());
    assert_eq!(killed.message.as_deref(), Some("killed on request: command was killed by signal 9 (SIGKILL)"));
    assert_eq!(processes(&child), [0; 0], "the terminal update comes when all are gone");
}

#[test]
fn what_a_task_leaves_behind_is_gone_before_its_end_is_told() {
    let mut agent = Agent::start();
    let _pod = Pod::start(&agent, &[]);
    agent.subscribed();
    let (plain, daemon) = (unique_sleep(2), unique_sleep(3));
    // The one stays in the group, the other leaves group and session and loses its parent.
    let value = format!(
        "sleep {plain} & (setsid sh -c 'touch up; exec sleep {daemon}' &); while ! test -e up; do sleep 0.01; done"
    );
    agent.launch(task("one", &value));
    agent.expect_running("one__1");
    agent.expect("one__1", TaskState::TaskFinished);
    assert_eq!([processes(&plain), processes(&daemon)], [[0; 0]; 2]);
}

#[test]
fn tasks_and_their_children_die_with_a_killed_executor() {
    let mut agent = Agent::start();
    let mut pod = Pod::start(&agent, &[]);
    agent.subscribed();
    let sleep = unique_sleep(4);
    agent.launch(task("one", &format!("exec sleep {sleep}")));
    agent.expect_running("one__1");
    wait_until("the task", || processes(&sleep).len() == 1);
    pod.child.kill().unwrap();
    wait_until("the task's end", || processes(&sleep).is_empty());
}

#[test]
fn an_agent_that_restarts_hears_everything_again() {
    let mut agent = Agent::start();
    let mut pod = Pod::start(&agent, &[]);
    agent.subscribed();
    agent.launch(task("one", "sleep 1000"));
    agent.expect_running("one__1");
    agent.set_mode(Mode::Silent);
    agent.launch(task("two", "while ! test -e ../go; do sleep 0.01; done"));
    let starting = agent.expect("two__1", TaskState::TaskStarting);
    let running = agent.expect("two__1", TaskState::TaskRunning);

    // The agent dies; meanwhile a task ends; the agent comes back, not ready at first.
    agent.set_mode(Mode::Status(503));
    agent.cut();
    fs::write(pod.sandbox().join("tasks/go"), "").unwrap();
    wait_until("attempts", || agent.refused() >= 3);
    agent.set_mode(Mode::Status(404));
    agent.cut();
    let before = agent.refused();
    wait_until("attempts", || agent.refused() >= before + 2);
    agent.set_mode(Mode::Serving);
    let request = agent.subscribed();
    let tasks: Vec<&str> = request.unacknowledged_tasks.iter().map(|task| task.task_id.value.as_str()).collect();
    assert_eq!(tasks, ["two__1"]);
    let uuids: Vec<_> = request.unacknowledged_updates.iter().map(|update| update.status.uuid.clone()).collect();
    assert_eq!(&uuids[..2], &[starting.uuid, running.uuid]);
    assert_eq!(request.unacknowledged_updates[2].status.state(), TaskState::TaskFinished);

    // The other task never noticed.
    agent.kill("one__1", None);
    agent.expect("one__1", TaskState::TaskKilled);
    assert!(pod.wait().success());
}

#[test]
fn without_an_agent_tasks_end_after_the_recovery_timeout() {
    let mut agent = Agent::start();
    let mut pod = Pod::start(&agent, &[("MESOS_RECOVERY_TIMEOUT", "1secs")]);
    agent.subscribed();
    let sleep = unique_sleep(5);
    agent.launch(task("one", &format!("sleep {sleep}; :")));
    agent.expect_running("one__1");
    agent.set_mode(Mode::Status(503));
    agent.cut();
    let cut = Instant::now();
    assert!(pod.wait().success());
    assert!(cut.elapsed() >= Duration::from_secs(1), "{:?}", cut.elapsed());
    assert!(processes(&sleep).is_empty());
    assert!(agent.refused() >= 5, "{}", agent.refused());
}

#[test]
fn without_checkpointing_the_executor_ends_with_the_connection() {
    let mut agent = Agent::start();
    let mut pod = Pod::start(&agent, &[("MESOS_CHECKPOINT", "0")]);
    agent.subscribed();
    agent.launch(task("one", "sleep 1000"));
    agent.expect_running("one__1");
    agent.set_mode(Mode::Status(503));
    agent.cut();
    let cut = Instant::now();
    assert!(pod.wait().success());
    assert!(cut.elapsed() < Duration::from_secs(3), "{:?}", cut.elapsed());
    assert_eq!(agent.refused(), 0);
}

#[test]
fn a_shutdown_ends_the_tasks_and_then_the_executor() {
    let mut agent = Agent::start();
    let mut pod = Pod::start(&agent, &[]);
    agent.subscribed();
    agent.launch_group(vec![
        grace(task("one", "trap '' TERM; while :; do sleep 0.05; done"), 1000),
        task("two", "sleep 1000"),
    ]);
    agent.expect_running("one__1");
    agent.expect_running("two__1");
    agent.shutdown();
    let asked = Instant::now();
    agent.expect("two__1", TaskState::TaskKilled);
    agent.expect("one__1", TaskState::TaskKilled);
    assert!(pod.wait().success());
    assert!(asked.elapsed() < Duration::from_secs(5), "within the agent's patience: {:?}", asked.elapsed());
}

/// Serves one file, after refusing it some times.
fn scheduler(refusals: usize, body: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (number, socket) in listener.incoming().enumerate() {
            let mut socket = socket.unwrap();
            let mut request = [0; 4096];
            let count = socket.read(&mut request).unwrap();
            assert!(request[..count].starts_with(b"GET /v1/artifacts/template/x?y HTTP/1.1\r\n"));
            let answer = if number < refusals {
                "HTTP/1.1 503 Not Yet\r\nContent-Length: 0\r\n\r\n".to_owned()
            } else {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            };
            socket.write_all(answer.as_bytes()).unwrap();
        }
    });
    port
}

#[test]
fn configuration_files_are_fetched_and_rendered_before_the_task() {
    let mut agent = Agent::start();
    let pod = Pod::start(&agent, &[]);
    agent.subscribed();
    let port = scheduler(2, "name={{NAME}}\n{{#TLS}}\nsecure\n{{/TLS}}\nip={{MESOS_CONTAINER_IP}}\n");
    let environment =
        [("NAME", "a<b"), ("TLS", "false"), ("CONFIG_TEMPLATE_APP", "config-templates/app,etc/deep/app.conf")];
    let value = "cat etc/deep/app.conf && NAME=again ./bootstrap -print-env=false && cat etc/deep/app.conf";
    let mut wire = command(value, &environment);
    wire.uris = vec![v1::command_info::Uri {
        value: format!("http://127.0.0.1:{port}/v1/artifacts/template/x?y"),
        extract: Some(false),
        output_file: Some("config-templates/app".to_owned()),
        ..Default::default()
    }];
    agent.launch(task_of("one", &wire));
    agent.expect_running("one__1");
    let finished = agent.update("one__1");
    let output = pod.read("tasks/one__1/stdout");
    assert_eq!(finished.state(), TaskState::TaskFinished, "{output} {}", pod.read("tasks/one__1/stderr"));
    pod.wait_for("tasks/one__1/stdout", "name=a&lt;b\nip=127.0.0.1\n");
    pod.wait_for("tasks/one__1/stdout", "bootstrap successful\nname=again\nip=127.0.0.1\n");
}

#[test]
fn a_configuration_file_that_cannot_be_made_fails_the_task() {
    let mut agent = Agent::start();
    let _pod = Pod::start(&agent, &[]);
    agent.subscribed();
    let wire = command("echo never", &[("CONFIG_TEMPLATE_APP", "config-templates/app,app.conf")]);
    agent.launch(task_of("one", &wire));
    agent.expect("one__1", TaskState::TaskStarting);
    let failed = agent.expect("one__1", TaskState::TaskFailed);
    let message = failed.message.unwrap();
    assert!(message.starts_with("cannot read the configuration template config-templates/app"), "{message}");
}

#[test]
fn a_volume_is_linked_to_its_place() {
    let mut agent = Agent::start();
    let root = tempfile::tempdir().unwrap();
    let volume = root.path().join("volume");
    fs::create_dir(&volume).unwrap();
    let mut pod = Pod::start_in(root, &agent, &[]);
    agent.subscribed();
    std::os::unix::fs::symlink(&volume, pod.sandbox().join("mainstay-volume-v1")).unwrap();
    agent.launch(with_volume(task("one", "echo kept > data/file"), "v1", "data"));
    agent.expect_running("one__1");
    agent.expect("one__1", TaskState::TaskFinished);
    assert_eq!(fs::read_to_string(volume.join("file")).unwrap(), "kept\n");
    // Nothing of the volume goes when folders go.
    assert!(pod.wait().success());
    assert!(volume.join("file").exists());
}

#[test]
fn a_task_without_its_volume_fails() {
    let mut agent = Agent::start();
    let pod = Pod::start(&agent, &[]);
    agent.subscribed();
    fs::create_dir(pod.sandbox().join("mainstay-volume-v2")).unwrap();
    agent.launch_group(vec![
        with_volume(task("one", "echo never"), "v1", "data"),
        with_volume(task("two", "echo never"), "v2", "data"),
    ]);
    for (task, expected) in [
        ("one__1", "volume v1 is not in the sandbox: the agent did not provide mainstay-volume-v1"),
        ("two__1", "mainstay-volume-v2 is a plain folder of the sandbox and not volume v2: nothing is mounted there"),
    ] {
        agent.expect(task, TaskState::TaskStarting);
        let failed = agent.expect(task, TaskState::TaskFailed);
        assert_eq!(failed.message.as_deref(), Some(expected));
    }
    assert!(!Path::new(&pod.sandbox().join("tasks/one__1")).exists());
}

#[test]
fn output_is_rotated() {
    let mut agent = Agent::start();
    let pod = Pod::start(&agent, &[]);
    agent.subscribed();
    agent.launch(task("one", "head -c 5000000 /dev/zero | tr '\\0' x; echo end"));
    agent.expect_running("one__1");
    agent.expect("one__1", TaskState::TaskFinished);
    pod.wait_for("tasks/one__1/stdout", "end\n");
    let size = |name: &str| fs::metadata(pod.sandbox().join("tasks/one__1").join(name)).unwrap().len();
    let limit = 2 * 1024 * 1024;
    assert!(size("stdout") <= limit && size("stdout.1") <= limit && size("stdout.1") > limit - 10_000);
    assert!(!pod.sandbox().join("tasks/one__1/stdout.2").exists());
}

#[test]
fn limits_hold_and_unknown_users_fail() {
    use v1::r_limit_info::{RLimit, r_limit::Type};
    let mut agent = Agent::start();
    let pod = Pod::start(&agent, &[]);
    agent.subscribed();
    let mut one = task("one", "ulimit -Sn; ulimit -Hn; ulimit -c");
    let rlimits = vec![
        RLimit { r#type: Some(Type::RlmtNofile as i32), soft: Some(77), hard: Some(99) },
        RLimit { r#type: Some(Type::RlmtCore as i32), soft: Some(0), hard: Some(0) },
    ];
    let rlimit_info = Some(Box::new(v1::RLimitInfo { rlimits }));
    one.container = Some(Box::new(v1::ContainerInfo { rlimit_info, ..Default::default() }));
    agent.launch(one);
    agent.expect_running("one__1");
    agent.expect("one__1", TaskState::TaskFinished);
    pod.wait_for("tasks/one__1/stdout", "77\n99\n0\n");
    if rustix::process::geteuid().is_root() {
        let wire = v1::CommandInfo { user: Some("no-such-user".to_owned()), ..command("id", &[]) };
        agent.launch(task_of("two", &wire));
        let failed = agent.expect("two__1", TaskState::TaskFailed);
        assert_eq!(failed.message.as_deref(), Some("user \"no-such-user\" is not in /etc/passwd"));
    }
}

/// Only root can become another user; elsewhere the task stays who the executor is, and that is what is checked then.
#[test]
fn a_task_runs_as_its_user_and_owns_folder_and_volume() {
    let mut agent = Agent::start();
    let root = tempfile::tempdir().unwrap();
    // The folder of the test is private to its owner; the way must be open for another user.
    fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let sandbox = root.path().join("sandbox");
    let volume = root.path().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::create_dir(&sandbox).unwrap();
    fs::set_permissions(&sandbox, std::os::unix::fs::PermissionsExt::from_mode(0o750)).unwrap();
    fs::write(sandbox.join("fetched"), "x").unwrap();
    let pod = Pod::start_in(root, &agent, &[]);
    agent.subscribed();
    std::os::unix::fs::symlink(&volume, sandbox.join("mainstay-volume-v1")).unwrap();
    let value = "id -u; echo mine >> $MESOS_SANDBOX/fetched && echo mine > data/file && ls $MESOS_SANDBOX >/dev/null";
    let wire = v1::CommandInfo { user: Some("nobody".to_owned()), ..command(value, &[]) };
    agent.launch(with_volume(task_of("one", &wire), "v1", "data"));
    agent.expect_running("one__1");
    let status = agent.update("one__1");
    assert_eq!(status.state(), TaskState::TaskFinished, "{}", pod.read("tasks/one__1/stderr"));
    let own = rustix::process::geteuid().as_raw().to_string();
    let expected = if own == "0" { "65534" } else { &own };
    pod.wait_for("tasks/one__1/stdout", &format!("{expected}\n"));
}

#[test]
fn no_agent_no_executor() {
    let output = Command::new(env!("CARGO_BIN_EXE_mainstay-executor")).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message, "mainstay-executor: MESOS_SANDBOX is not set: the executor is started by a Mesos agent\n");
}
