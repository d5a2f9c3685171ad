//! The scheduler's program, on loopback, with a played master and, where the row says so, a real ZooKeeper.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mainstay_tests::port::free_port;
use mainstay_tests::process::{Process, Program, binary, tail};
use mainstay_tests::zookeeper::ZooKeeper;
use tempfile::TempDir;

use super::master::{IMPLICIT, Master, until};
use super::row::{Row, Value};
use super::service;

const MINUTE: Duration = Duration::from_secs(60);
/// Session of the scheduler at its store.
const SESSION: Duration = Duration::from_secs(10);

/// Resident memory of a process.
///
/// Source: `VmRSS` of `/proc/<pid>/status`.
pub(crate) fn resident_memory(pid: u32) -> Result<u64> {
    memory(pid, "VmRSS:")
}

/// Largest resident memory of a process so far.
pub(crate) fn peak_memory(pid: u32) -> Result<u64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, field: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("read the status of a process")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

/// A scheduler and its folder.
struct Scheduler {
    program: Program,
    process: Option<Process>,
    port: u16,
    started: Instant,
    _folder: TempDir,
}

impl Scheduler {
    fn start(spec: &str, master: &Master, store: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("svc.yml");
        std::fs::write(&file, spec)?;
        let port = free_port()?;
        let program =
            Program::new("mainstay-scheduler", binary("mainstay-scheduler")?, folder.path().join("scheduler.log"))
                .arg(file)
                .env("PORT_API", port.to_string())
                .env("MESOS_MASTER", master.url())
                .env("STATE_STORE", store)
                .env("SCHEDULER_API_HOSTNAME", "127.0.0.1");
        let started = Instant::now();
        let process = Some(program.spawn()?);
        Ok(Self { program, process, port, started, _folder: folder })
    }

    fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the scheduler does not run")
    }

    fn restart(&mut self) -> Result<()> {
        self.started = Instant::now();
        self.process = Some(self.program.spawn()?);
        Ok(())
    }

    /// Lets it end by itself, so that its lock is free.
    fn stop(&mut self) -> Result<()> {
        let process = self.process()?;
        process.terminate()?;
        until("the scheduler ends", MINUTE, || (!process.is_running()).then_some(()))?;
        self.process = None;
        Ok(())
    }

    fn get(&self, path: &str) -> Result<(String, Duration)> {
        let start = Instant::now();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_nodelay(true)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok((answer, start.elapsed()))
    }

    fn wait_complete(&mut self, within: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            let is_complete = self.get("/v1/plans/deploy").is_ok_and(|(answer, _)| answer.starts_with("HTTP/1.1 200"));
            if is_complete {
                return Ok(());
            }
            self.process()?.check_running()?;
            if start.elapsed() > within {
                bail!("deploy is not complete within {within:?}\n{}", tail(&self.program.log, 10));
            }
            // Asking costs the scheduler something, too.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn memory_of(pods: usize, target: u64) -> Result<Vec<Row>> {
    let master = Master::start(pods, 4.0)?;
    let zookeeper = large_zookeeper()?;
    let store = format!("zk://{}", zookeeper.connect_string());
    let mut scheduler = Scheduler::start(&service::spec(1, pods, "parallel"), &master, &store)?;
    scheduler.wait_complete(MINUTE * 5)?;
    let deployed = scheduler.started.elapsed();
    if master.launched() != pods * 2 {
        bail!("{} tasks launched", master.launched());
    }
    let after_deploy = resident_memory(scheduler.process()?.pid())?;
    scheduler.stop()?;
    let before = master.calls(IMPLICIT).map_or(0, |(_, count)| count);
    scheduler.restart()?;
    until("the scheduler has all answers", MINUTE, || {
        master.calls(IMPLICIT).filter(|(_, count)| *count > before).map(drop)
    })?;
    scheduler.wait_complete(MINUTE)?;
    let after_restart = resident_memory(scheduler.process()?.pid())?;
    let what = format!("{pods} pods ({} tasks)", pods * 2);
    Ok(vec![
        Row::new(
            format!("resident memory of a scheduler, {what}"),
            "VmRSS after a restart, once every task is reconciled; state in ZooKeeper",
            Value::Bytes(after_restart),
            Value::Bytes(target),
        ),
        Row::new(
            format!("the same just after all {what} were launched at once"),
            "VmRSS when the deploy plan, parallel, is complete: what launching needed is not given back to the system",
            Value::Bytes(after_deploy),
            Value::Bytes(target),
        ),
        Row::new(
            format!("start to deploy complete, {what} in parallel"),
            "a played master that offers as many agents and says RUNNING at once; state in ZooKeeper",
            Value::Time(deployed),
            None,
        ),
    ])
}

/// Ten pods.
pub(crate) fn memory_of_10_pods() -> Result<Vec<Row>> {
    memory_of(10, 16 << 20)
}

/// A thousand pods.
pub(crate) fn memory_of_1000_pods() -> Result<Vec<Row>> {
    memory_of(1000, 64 << 20)
}

/// From the start of the program to its SUBSCRIBE, without state.
pub(crate) fn start_to_subscribed() -> Result<Vec<Row>> {
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let master = Master::start(1, 4.0)?;
        let scheduler = Scheduler::start(&service::spec(1, 10, "parallel"), &master, "memory:")?;
        let subscribed = until("the scheduler subscribes", MINUTE, || master.subscribed())?;
        best = best.min(subscribed - scheduler.started);
    }
    let zookeeper = runtime()?.block_on(ZooKeeper::start())?;
    let mut best_zookeeper = Duration::MAX;
    for at in 0..5 {
        let master = Master::start(1, 4.0)?;
        let spec = service::spec(1, 10, "parallel").replacen("name: bench", &format!("name: bench{at}"), 1);
        let mut scheduler = Scheduler::start(&spec, &master, &format!("zk://{}", zookeeper.connect_string()))?;
        let subscribed = until("the scheduler subscribes", MINUTE, || master.subscribed())?;
        best_zookeeper = best_zookeeper.min(subscribed - scheduler.started);
        scheduler.stop()?;
    }
    let target = Value::Time(Duration::from_millis(100));
    Ok(vec![
        Row::new(
            "start to SUBSCRIBED, empty state, `memory:` store",
            "from fork to the answered SUBSCRIBE at a played master; best of 10",
            Value::Time(best),
            target,
        ),
        Row::new(
            "the same with the state in a real ZooKeeper",
            "connecting, taking the lock and the first commit included; best of 5",
            Value::Time(best_zookeeper),
            target,
        ),
    ])
}

/// A ZooKeeper with room for the tree of a large service.
fn large_zookeeper() -> Result<ZooKeeper> {
    let options = mainstay_tests::zookeeper::Options { heap_mb: 1024, ..Default::default() };
    runtime()?.block_on(ZooKeeper::start_with(&options))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// A restart with 10,000 tasks in a real ZooKeeper.
pub(crate) fn lock_to_reconciled() -> Result<Vec<Row>> {
    const PODS: usize = 5_000;
    let zookeeper = large_zookeeper()?;
    let store = format!("zk://{}", zookeeper.connect_string());
    let master = Master::start(PODS, 4.0)?;
    let mut scheduler = Scheduler::start(&service::spec(1, PODS, "parallel"), &master, &store)?;
    scheduler.wait_complete(MINUTE * 10)?;
    let deployed = scheduler.started.elapsed();
    let mut best = Duration::MAX;
    for _ in 0..3 {
        scheduler.stop()?;
        let before = master.calls(IMPLICIT).map_or(0, |(_, count)| count);
        scheduler.restart()?;
        let reconciled = until("the scheduler has all answers", MINUTE * 5, || {
            master.calls(IMPLICIT).filter(|(_, count)| *count > before).map(|(at, _)| at)
        })?;
        best = best.min(reconciled - scheduler.started);
    }
    let pid = scheduler.process()?.pid();
    let memory = resident_memory(pid)?;
    scheduler.stop()?;
    Ok(vec![
        Row::new(
            "from holding the lock to reconciled, 10,000 tasks, ZooKeeper",
            "from the program's start, so that connecting and locking are in it: 10,000 tasks read, asked for, answered by a \
             played master, stored; best of 3",
            Value::Time(best),
            Value::Time(Duration::from_secs(2)),
        ),
        Row::new("resident memory after that", "VmRSS; 5,000 pods", Value::Bytes(memory), None),
        Row::new(
            "start to deploy complete, 5,000 pods in parallel, ZooKeeper",
            "a played master that says RUNNING at once",
            Value::Time(deployed),
            None,
        ),
    ])
}

/// A second scheduler waits for the lock; the first is killed.
pub(crate) fn takeover() -> Result<Vec<Row>> {
    let zookeeper = runtime()?.block_on(ZooKeeper::start())?;
    let store = format!("zk://{}", zookeeper.connect_string());
    let spec = service::spec(1, 10, "parallel");
    let first_master = Master::start(10, 4.0)?;
    let mut first = Scheduler::start(&spec, &first_master, &store)?;
    first.wait_complete(MINUTE)?;
    let second_master = Master::start(10, 4.0)?;
    let second = Scheduler::start(&spec, &second_master, &store)?;
    // It has found the lock held once it says so.
    let log = second.program.log.clone();
    until("the second waits for the lock", MINUTE, || {
        std::fs::read_to_string(&log).ok()?.contains("another scheduler").then_some(())
    })?;
    let killed = Instant::now();
    first.process()?.kill9();
    let subscribed = until("the second subscribes", MINUTE, || second_master.subscribed())?;
    drop(second);
    Ok(vec![Row::new(
        "takeover after `kill -9`",
        "from SIGKILL of one scheduler to the SUBSCRIBE of another that waits for the lock; session of 10 s, ZooKeeper",
        Value::Time(subscribed - killed),
        Value::Time(SESSION + Duration::from_secs(2)),
    )])
}

/// Serial deployment: how long after the last status of a pod it is acknowledged and the next pod is launched.
pub(crate) fn status_latency() -> Result<Vec<Row>> {
    const PODS: usize = 30;
    let master = Master::start(PODS, 4.0)?;
    master.set(true, false);
    let _scheduler = Scheduler::start(&service::spec(1, PODS, "serial"), &master, "memory:")?;
    let (mut acknowledged, mut next) = (Vec::new(), Vec::new());
    for pod in 1..PODS {
        until("a pod is launched", MINUTE, || (master.launched() == pod * 2).then_some(()))?;
        // The acknowledgements of the pods before are all in.
        let start = master.run_last(2)?;
        let (at, _) = until("both are acknowledged", MINUTE, || {
            master.calls("ACKNOWLEDGE").filter(|(_, count)| *count == pod * 2)
        })?;
        acknowledged.push(at - start);
        let (at, _) =
            until("the next is launched", MINUTE, || master.calls("ACCEPT").filter(|(_, count)| *count == pod + 1))?;
        next.push(at - start);
    }
    acknowledged.sort_unstable();
    next.sort_unstable();
    let worst = |times: &[Duration]| times.last().copied().unwrap_or_default();
    let how = format!(
        "two TASK_RUNNING sent by a played master, `memory:` store; median of {} pods (longest: {} and {})",
        PODS - 1,
        Value::Time(worst(&acknowledged)),
        Value::Time(worst(&next))
    );
    let median = |times: &[Duration]| times.get(times.len() / 2).copied().unwrap_or_default();
    Ok(vec![
        Row::new(
            "status update to stored and acknowledged",
            how,
            Value::Time(median(&acknowledged)),
            Value::Time(Duration::from_millis(10)),
        ),
        Row::new(
            "status update to the ACCEPT of the next step",
            "the same; REVIVE and new offers of the master in between",
            Value::Time(median(&next)),
            Value::Time(Duration::from_millis(10)),
        ),
    ])
}

/// Reading a large plan, idle and while the engine is busy.
pub(crate) fn plan_of_1000_steps() -> Result<Vec<Row>> {
    // 10,000 agents without room for any pod keep the engine busy on demand.
    let master = Master::start(10_000, 0.5)?;
    master.set(false, false);
    let scheduler = Scheduler::start(&service::spec(1, 1000, "parallel"), &master, "memory:")?;
    until("the scheduler subscribes", MINUTE, || master.subscribed())?;
    let bytes = scheduler.get("/v1/plans/deploy")?.0.len();
    let measure = || -> Result<(Duration, Duration)> {
        let mut times = Vec::new();
        for _ in 0..200 {
            times.push(scheduler.get("/v1/plans/deploy")?.1);
        }
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        Ok((median, times.last().copied().unwrap_or_default()))
    };
    let (idle, _) = measure()?;
    let sender = master.clone();
    let feeding = std::thread::spawn(move || -> Result<()> {
        for _ in 0..5 {
            sender.offer()?;
        }
        Ok(())
    });
    let (median, longest) = measure()?;
    feeding.join().map_err(|_| anyhow::anyhow!("the thread that sends offers failed"))??;
    Ok(vec![
        Row::new(
            "`GET /v1/plans/deploy` of 1,000 steps",
            format!("a new connection each; median of 200, {} KiB", bytes / 1024),
            Value::Time(idle),
            Value::Time(Duration::from_millis(5)),
        ),
        Row::new(
            "the same while five events of 10,000 offers arrive",
            format!("median of 200; longest {}", Value::Time(longest)),
            Value::Time(median),
            Value::Time(Duration::from_millis(5)),
        ),
    ])
}

/// The hello-world service on the embedded cluster, from the first command of the README.
pub(crate) fn dev() -> Result<Vec<Row>> {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("svc-specs").join("hello-world/svc.yml");
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let folder = tempfile::tempdir()?;
        let program = Program::new("mainstay", binary("mainstay")?, folder.path().join("dev.log"))
            .arg("dev")
            .arg(&spec)
            .arg("--until-complete")
            .arg("--port")
            .arg(free_port()?.to_string())
            .arg("--state")
            .arg(folder.path().join("state"));
        let start = Instant::now();
        let mut process = program.spawn()?;
        until("dev ends", MINUTE, || (!process.is_running()).then_some(()))?;
        let took = start.elapsed();
        let status = runtime()?.block_on(process.wait_exit(MINUTE))?;
        if !status.success() {
            bail!("dev ended with {status}\n{}", tail(&program.log, 20));
        }
        best = best.min(took);
    }
    Ok(vec![Row::new(
        "`dev`: from binary to a healthy 3-pod service",
        "`mainstay dev svc-specs/hello-world/svc.yml --until-complete`, its orderly end included; best of 3",
        Value::Time(best),
        Value::Time(Duration::from_secs(5)),
    )])
}

/// The executor's program: size, and memory while it waits for its agent.
pub(crate) fn executor() -> Result<Vec<Row>> {
    let target = Value::Bytes(2 << 20);
    let own = binary("mainstay-executor")?;
    let folder = own.parent().and_then(Path::parent).context("a build folder without a parent")?;
    let builds: [(&str, PathBuf, bool); 2] = [
        ("static", folder.join("x86_64-unknown-linux-musl/executor/mainstay-executor"), true),
        ("as `dev` uses it", own.clone(), false),
    ];
    let mut rows = Vec::new();
    for (name, path, has_target) in builds {
        if !path.is_file() {
            eprintln!("executor: no {name} build: {}", path.display());
            continue;
        }
        let size = std::fs::metadata(&path)?.len();
        rows.push(Row::new(
            format!("executor ({name}): size"),
            "bytes of the file",
            Value::Bytes(size),
            has_target.then_some(target),
        ));
        let memory = executor_memory(&path)?;
        rows.push(Row::new(
            format!("executor ({name}): resident memory"),
            "VmRSS while it looks for its agent",
            Value::Bytes(memory),
            has_target.then_some(target),
        ));
    }
    Ok(rows)
}

fn executor_memory(path: &Path) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let sandbox = folder.path().to_string_lossy().into_owned();
    let port = free_port()?;
    let program = Program::new("mainstay-executor", path, folder.path().join("executor.log"))
        .env("MESOS_SLAVE_PID", format!("slave(1)@127.0.0.1:{port}"))
        .env("MESOS_AGENT_ENDPOINT", format!("127.0.0.1:{port}"))
        .env("MESOS_FRAMEWORK_ID", "framework")
        .env("MESOS_EXECUTOR_ID", "executor")
        .env("MESOS_SLAVE_ID", "agent")
        .env("MESOS_DIRECTORY", sandbox.clone())
        .env("MESOS_SANDBOX", sandbox)
        .env("MESOS_CHECKPOINT", "1")
        .env("MESOS_RECOVERY_TIMEOUT", "15mins")
        .env("MESOS_SUBSCRIPTION_BACKOFF_MAX", "2secs");
    let mut process = program.spawn()?;
    // Long enough for several attempts to subscribe.
    std::thread::sleep(Duration::from_secs(2));
    process.check_running()?;
    resident_memory(process.pid())
}
