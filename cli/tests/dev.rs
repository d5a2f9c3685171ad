//! `mainstay dev` as its users meet it: the real binary, real processes, real files.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const MAINSTAY: &str = env!("CARGO_BIN_EXE_mainstay");
const HELLO_WORLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../svc-specs/hello-world/svc.yml");
/// Far above what anything here takes, for slow machines.
const WITHIN: Duration = Duration::from_secs(60);

/// A running `mainstay dev` in a folder of its own.
struct Dev {
    child: Child,
    output: PathBuf,
    folder: PathBuf,
}

impl Dev {
    fn start(folder: &Path, spec: &str, arguments: &[&str]) -> Self {
        let output = folder.join("output");
        let file = File::create(&output).unwrap();
        let child = command(folder, &[&["dev", spec], arguments].concat())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, output, folder: folder.to_owned() }
    }

    fn output(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap()
    }

    /// Waits until the output has this text at least so often.
    #[track_caller]
    fn wait_for(&self, text: &str, times: usize) {
        wait_until(
            &format!("{times} times {text:?}"),
            || self.output().matches(text).count() >= times,
            || self.output(),
        );
    }

    /// An operator's command to this service.
    #[track_caller]
    fn ask(&self, arguments: &[&str]) -> String {
        let output = self.output();
        let url = output.lines().find_map(|line| line.trim().strip_prefix("API")).unwrap().trim().to_owned();
        let answer = command(&self.folder, &[arguments, &["--url", &url]].concat()).output().unwrap();
        assert!(answer.status.success(), "{arguments:?}: {answer:?}\n{output}");
        String::from_utf8(answer.stdout).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The exit code, once it has ended.
    #[track_caller]
    fn wait(&mut self) -> Option<i32> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(since.elapsed() < WITHIN, "still running:\n{}", self.output());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Only after a failed assertion is there something to kill.
        self.child.kill().ok();
        self.child.wait().ok();
        for pid in processes(&self.folder, "") {
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).ok();
        }
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(MAINSTAY);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for name in ["MAINSTAY_URL", "PORT_API", "RUST_LOG", "FRAMEWORK_LOG_LEVEL", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

/// Runs to the end.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command(folder, &[&["dev"], arguments].concat()).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool, explain: impl Fn() -> String) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < WITHIN, "not within {WITHIN:?}: {what}\n{}", explain());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Processes whose environment names a sandbox in this folder that has this text in its path.
fn processes(folder: &Path, text: &str) -> Vec<i32> {
    let folder = folder.canonicalize().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| {
            let variable = String::from_utf8_lossy(variable);
            variable
                .strip_prefix("MESOS_SANDBOX=")
                .is_some_and(|path| Path::new(path).starts_with(&folder) && path.contains(text))
        })
    })
    .collect()
}

/// What a task has written into its volume.
fn read(folder: &Path, task: &str, file: &str) -> String {
    std::fs::read_to_string(folder.join(".mainstay/hello-world/tasks").join(task).join(file)).unwrap_or_default()
}

#[test]
fn a_service_is_deployed_commanded_recovered_and_ended_by_ctrl_c() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), HELLO_WORLD, &[]);
    dev.wait_for("healthy: 3 tasks run. Ctrl-C stops everything.", 1);
    let output = dev.output();
    let lines = [
        "registered with the master",
        "task hello-0-server LAUNCHED on agent-",
        "deploy hello-deploy hello-0:[server] COMPLETE",
        "task world-0-server LAUNCHED",
        "deploy world-deploy world-1:[server] COMPLETE",
        "plan deploy COMPLETE",
        "healthy: 3",
    ];
    let places: Vec<_> = lines.iter().map(|line| output.find(line)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{output}");
    assert!(!output.contains('\u{1b}'), "no colours into a file:\n{output}");
    assert_eq!(dev.ask(&["pod", "list"]).matches('-').count(), 3, "three instances");

    dev.ask(&["pod", "restart", "world-0"]);
    dev.wait_for("healthy again", 1);
    assert_eq!(read(folder.path(), "world-0-server", "world-data/starts").lines().count(), 2, "same volume");

    for pid in processes(folder.path(), "hello-0-server") {
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }
    dev.wait_for("task hello-0-server FAILED", 1);
    dev.wait_for("healthy again: 3", 2);
    assert_eq!(read(folder.path(), "hello-0-server", "hello-data/starts").lines().count(), 2, "same volume");

    assert!(!processes(folder.path(), "").is_empty());
    dev.signal(Signal::INT);
    assert_eq!(dev.wait(), Some(0), "{}", dev.output());
    assert_eq!(processes(folder.path(), ""), Vec::<i32>::new(), "no process is left");
}

#[test]
fn a_second_start_goes_on_with_framework_and_volumes() {
    let folder = tempfile::tempdir().unwrap();
    let (code, output) = run(folder.path(), &[HELLO_WORLD, "--until-complete"]);
    assert_eq!(code, Some(0), "{output}");
    assert_eq!(processes(folder.path(), ""), Vec::<i32>::new(), "no process is left");
    let mut dev = Dev::start(folder.path(), HELLO_WORLD, &[]);
    dev.wait_for("goes on where the last run ended", 1);
    dev.wait_for("registered again, with the framework id of before", 1);
    dev.wait_for("healthy: 3", 1);
    for task in ["world-0-server", "world-1-server"] {
        assert_eq!(read(folder.path(), task, "world-data/starts").lines().count(), 2, "{task}: same volume");
    }
    let (code, output) = run(folder.path(), &[HELLO_WORLD]);
    assert_eq!(code, Some(1));
    assert!(output.contains("another mainstay dev is running in .mainstay/hello-world"), "{output}");
    dev.signal(Signal::TERM);
    assert_eq!(dev.wait(), Some(0), "{}", dev.output());
    assert_eq!(processes(folder.path(), ""), Vec::<i32>::new(), "no process is left");

    let (code, output) = run(folder.path(), &[HELLO_WORLD, "--agents", "1"]);
    assert_eq!(code, Some(1));
    assert!(output.contains("has 3 agents, which may hold volumes"), "{output}");
}

fn write_spec(folder: &Path, cmd: &str, cpus: &str) {
    let text = format!(
        "name: one\npods:\n  one:\n    count: 1\n    tasks:\n      server:\n        goal: RUNNING\n        \
         cmd: {cmd}\n        cpus: {cpus}\n        memory: 32\n        kill-grace-period: 600\n"
    );
    std::fs::write(folder.join("svc.yml"), text).unwrap();
}

#[test]
fn a_second_ctrl_c_kills_what_does_not_end() {
    let folder = tempfile::tempdir().unwrap();
    write_spec(folder.path(), "trap '' TERM; while true; do sleep 1; done", "0.1");
    let mut dev = Dev::start(folder.path(), "svc.yml", &["--agents", "1"]);
    dev.wait_for("healthy: 1 task runs", 1);
    dev.signal(Signal::INT);
    dev.wait_for("Ctrl-C again kills them", 1);
    dev.signal(Signal::INT);
    assert_eq!(dev.wait(), Some(130), "{}", dev.output());
    assert_eq!(processes(folder.path(), ""), Vec::<i32>::new(), "no process is left");
}

#[test]
fn until_complete_says_why_it_gives_up() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["svc.yml", "--agents", "1", "--until-complete", "--timeout", "3"];
    write_spec(folder.path(), "sleep 600", "100");
    let (code, output) = run(folder.path(), &arguments);
    assert_eq!(code, Some(1), "{output}");
    let wanted = ["not complete after 3 seconds", "deploy one-0:[server] is ", "'cpus': wanted 100", "short by"];
    assert!(wanted.iter().all(|text| output.contains(text)), "{output}");

    write_spec(folder.path(), "exit 3", "0.1");
    let (code, output) = run(folder.path(), &[&arguments[..], &["--state", "failing"]].concat());
    assert_eq!(code, Some(1), "a task that always fails is never healthy: {output}");
    let wanted = ["one-0-server failed ", "exited with status 3", "its errors: failing/tasks/one-0-server/stderr"];
    assert!(wanted.iter().all(|text| output.contains(text)), "{output}");
    assert_eq!(processes(folder.path(), ""), Vec::<i32>::new(), "no process is left");
}

#[test]
fn bad_input_is_told_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    write_spec(folder.path(), "sleep 600", "-1");
    let unsupported =
        "name: one\npods: {one: {count: 1, image: x, tasks: {server: {goal: RUNNING, cmd: x, cpus: 1}}}}\n";
    std::fs::write(folder.path().join("image.yml"), unsupported).unwrap();
    let encrypted = unsupported
        .replace("image: x, ", "")
        .replace("cpus: 1", "cpus: 1, transport-encryption: [{name: a, type: TLS}]");
    std::fs::write(folder.path().join("tls.yml"), encrypted).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (arguments, expected) in [
        (&["svc.yml"][..], "svc.yml:9:15: error[MST-SPEC-0017] pods.one.tasks.server.cpus: found \"-1\""),
        (&["image.yml"], "mainstay: error: pods.one.image: the embedded cluster has no images"),
        (
            &["tls.yml"],
            "tls.yml:2:73: error[MST-SPEC-0019] pods.one.tasks.server.transport-encryption: transport encryption is",
        ),
        (&["nothing.yml"], "cannot read the specification nothing.yml"),
        (&[HELLO_WORLD, "--env", "HELLO_COUNT"], "--env \"HELLO_COUNT\" is not of the form KEY=VALUE"),
        (&[HELLO_WORLD, "--env-file", "nothing"], "cannot read nothing: there is no such file"),
        (&[HELLO_WORLD, "--env-file", "svc.yml"], "svc.yml: line 1: \"name: one\" is not KEY=VALUE"),
        (&[HELLO_WORLD, "--env", "HELLO_COUNT=many"], "pods.hello.count"),
        (&[HELLO_WORLD, "--universe", "nothing"], "--universe nothing: there is no such folder"),
        (&[HELLO_WORLD, "--port", &port], "choose another --port"),
        (&[HELLO_WORLD, "--agents", "0"], "0 is not in 1..=100"),
        (&[HELLO_WORLD, "--timeout", "5"], "--until-complete"),
    ] {
        let (code, output) = run(folder.path(), arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {output}");
        assert!(output.contains(expected), "{arguments:?}: {output}");
    }
    assert!(!folder.path().join(".mainstay").exists(), "nothing was made");
}

#[test]
fn on_a_terminal_the_plan_is_a_picture() {
    use std::io::Read as _;
    let folder = tempfile::tempdir().unwrap();
    let terminal = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&terminal).unwrap();
    rustix::pty::unlockpt(&terminal).unwrap();
    let name = rustix::pty::ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let other = File::options().read(true).write(true).open(name).unwrap();
    write_spec(folder.path(), "sleep 600", "0.1");
    let mut command = command(folder.path(), &["dev", "svc.yml", "--agents", "1", "--until-complete"]);
    command.env("TERM", "xterm").env("NO_COLOR", "1").stdout(other.try_clone().unwrap()).stderr(other);
    let mut child = command.spawn().unwrap();
    // Our own copy of the other end must be closed, or reading never ends.
    drop(command);
    let (mut shown, mut buffer) = (Vec::new(), [0; 4096]);
    let mut terminal = File::from(terminal);
    // Linux answers with an error once the last writer is gone.
    while let Ok(read @ 1..) = terminal.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..read]);
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("deploy COMPLETE\r\n└─ one COMPLETE\r\n   └─ one-0:[server] COMPLETE  RUNNING"), "{shown}");
    assert!(shown.contains("\u{1b}[3A\r\u{1b}[J"), "the picture of three lines is drawn again: {shown}");
    assert!(!has_colour(&shown), "NO_COLOR is set: {shown}");
}

/// Whether there is a sequence that sets a style.
fn has_colour(text: &str) -> bool {
    text.split("\u{1b}[")
        .skip(1)
        .any(|rest| rest.trim_start_matches(|char: char| char.is_ascii_digit()).starts_with('m'))
}
