//! The loop: takes events from the agent, the processes and the clock, steps the supervisor, performs its actions.
//!
//! Not here: any decision (`supervise.rs`).
//!
//! Invariant: everything runs on the main thread, but the copying of files.
//! Invariant: reports of an earlier attempt to reach the agent are dropped; each attempt has a number.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_proto::v1;
use mainstay_proto::v1::executor::event::Type;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::connect::{self, Report};
use crate::environment::Environment;
use crate::health::{CheckResult, Kind};
use crate::output::{self, Console, Rotated, Stream};
use crate::process::{self, Children, Output, Owner, Start};
use crate::supervise::life::Exit;
use crate::supervise::{Action, Event, Launch, Now, Settings, Supervisor};
use crate::task::{self, Plan, TaskId};
use crate::user::{self, Identity};
use crate::{cgroup, config_template, download, folder, volume};

/// Reports waiting for the loop; a full queue makes the agent wait.
const REPORTS: usize = 64;

/// Finished preparations waiting for the loop.
const PREPARED: usize = 64;

/// A task as the loop knows it.
struct Job {
    plan: Arc<Plan>,
    user: Option<Identity>,
    preparation: Option<AbortHandle>,
    groups: cgroup::Groups,
}

struct Executor {
    environment: Arc<Environment>,
    console: Arc<Console>,
    supervisor: Supervisor,
    started: Instant,
    /// The pod's files, as they were before the first task.
    fetched: Arc<Vec<OsString>>,
    children: Children,
    container: cgroup::Container,
    jobs: BTreeMap<TaskId, Job>,
    ended_folders: folder::Ended,
    names: std::collections::BTreeSet<String>,
    container_ip: Option<IpAddr>,
    /// Events that actions caused; handled before anything else.
    queue: VecDeque<Event>,
    work: JoinSet<()>,
    prepared: mpsc::Sender<(TaskId, Result<(), String>)>,
    link: Link,
    reports: mpsc::Sender<(u64, Report)>,
    last_trouble: Option<String>,
}

/// The attempt under way.
struct Link {
    number: u64,
    updates: Option<mpsc::Sender<crate::update::Update>>,
    task: Option<AbortHandle>,
}

/// Runs until the executor's work is done.
pub(crate) async fn run(environment: Environment) -> Result<(), String> {
    let console = Console::open(&environment.sandbox)
        .map_err(|error| format!("cannot write to the sandbox {}: {error}", environment.sandbox.display()))?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| format!("cannot become the reaper of orphans: {error}"))?;
    let fetched = folder::fetched(&environment.sandbox)
        .map_err(|error| format!("cannot read the sandbox {}: {error}", environment.sandbox.display()))?;
    let mut child_ended = signal(SignalKind::child()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let (reports, mut reported) = mpsc::channel(REPORTS);
    let (prepared, mut preparations) = mpsc::channel(PREPARED);
    let settings = Settings {
        recovery_timeout: environment.recovery_timeout,
        shutdown_grace: environment.shutdown_grace,
        seed: *uuid::Uuid::new_v4().as_bytes(),
    };
    let libprocess_ip = environment.inherited.get("LIBPROCESS_IP").and_then(|ip| ip.parse::<IpAddr>().ok());
    let container = cgroup::Container::find(&environment.directory);
    let mut executor = Executor {
        container_ip: libprocess_ip.filter(|ip| !ip.is_unspecified()),
        environment: Arc::new(environment),
        console: Arc::new(console),
        supervisor: Supervisor::new(settings),
        started: Instant::now(),
        fetched: Arc::new(fetched),
        children: Children::default(),
        container,
        jobs: BTreeMap::new(),
        ended_folders: folder::Ended::default(),
        names: std::collections::BTreeSet::new(),
        queue: VecDeque::new(),
        work: JoinSet::new(),
        prepared,
        link: Link { number: 0, updates: None, task: None },
        reports,
        last_trouble: None,
    };
    executor.queue.push_back(Event::Tick);
    loop {
        if executor.step_all() {
            break;
        }
        let wake_at = executor.supervisor.wake_at().map(|at| executor.started + at);
        let wake_at = wake_at.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        // Every future here loses nothing when another is first: channels and signals keep what they have.
        tokio::select! {
            Some((number, report)) = reported.recv() => executor.reported(number, report),
            Some((task, result)) = preparations.recv() => executor.prepared(task, result),
            _ = child_ended.recv() => executor.reap(),
            _ = terminate.recv() => executor.queue.push_back(Event::Shutdown),
            Some(ended) = executor.work.join_next() => {
                // What it was to report will never come; the tasks must not be left to themselves.
                if let Err(error) = ended && error.is_panic() {
                    process::kill_descendants();
                    return Err(format!("a part of the executor failed: {error}"));
                }
            }
            () = tokio::time::sleep_until(wake_at.into()) => executor.queue.push_back(Event::Tick),
        }
    }
    process::kill_descendants();
    executor.console.note("no tasks are left; the executor ends");
    Ok(())
}

impl Executor {
    /// Handles every queued event; true when the process is to end.
    fn step_all(&mut self) -> bool {
        while let Some(event) = self.queue.pop_front() {
            let now = Now {
                monotonic: self.started.elapsed(),
                wall_seconds: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()),
            };
            let mut caused = VecDeque::new();
            for action in self.supervisor.step(event, now) {
                if action == Action::Exit {
                    return true;
                }
                self.perform(action, &mut caused);
            }
            // What an action caused comes before what happened later.
            while let Some(event) = caused.pop_back() {
                self.queue.push_front(event);
            }
        }
        false
    }

    fn perform(&mut self, action: Action, caused: &mut VecDeque<Event>) {
        match action {
            Action::Connect { tasks, updates } => self.connect(tasks, updates),
            Action::Send(update) => {
                let is_sent = self.link.updates.as_ref().is_some_and(|queue| queue.try_send(update).is_ok());
                if !is_sent {
                    self.drop_link("updates cannot be sent", caused);
                }
            }
            Action::Prepare(task) => self.prepare(task),
            Action::Abandon(task) => {
                if let Some(preparation) = self.jobs.get_mut(&task).and_then(|job| job.preparation.take()) {
                    preparation.abort();
                }
            }
            Action::Start(task) => {
                let result = self.start(&task);
                caused.push_back(Event::Started(task, result));
            }
            Action::Terminate(task) => self.children.terminate(&task),
            Action::Kill(task) => self.children.kill(&task),
            Action::Probe(task) => {
                if self.children.is_gone(&task) {
                    caused.push_back(Event::Gone(task));
                }
            }
            Action::Forget(task) => self.forget(&task),
            Action::StartCheck(task, kind) => {
                if let Err(reason) = self.start_check(&task, kind) {
                    self.console.note(&format!("task {task}: cannot start the {}: {reason}", kind.as_str()));
                    caused.push_back(Event::CheckEnded(task, kind, CheckResult::Missing));
                }
            }
            Action::KillCheck(task, kind) => self.children.kill_check(&task, kind),
            Action::Note(message) => self.console.note(&message),
            Action::Exit => {}
        }
    }

    fn connect(&mut self, tasks: Vec<v1::TaskInfo>, updates: Vec<crate::update::Update>) {
        self.link.number += 1;
        let number = self.link.number;
        let (sender, receiver) = mpsc::channel(connect::UPDATES);
        let (own, mut theirs) = mpsc::channel(REPORTS);
        let reports = self.reports.clone();
        let environment = Arc::clone(&self.environment);
        self.link.updates = Some(sender);
        self.link.task = Some(self.work.spawn(async move {
            let numbered = async {
                while let Some(report) = theirs.recv().await {
                    if reports.send((number, report)).await.is_err() {
                        break;
                    }
                }
            };
            tokio::join!(connect::attempt(environment, tasks, updates, receiver, own), numbered);
        }));
    }

    fn drop_link(&mut self, reason: &str, caused: &mut VecDeque<Event>) {
        self.console.note(&format!("the connection to the agent is given up: {reason}"));
        // A new number, so that what the old attempt still reports is dropped.
        self.link.number += 1;
        self.link.updates = None;
        if let Some(task) = self.link.task.take() {
            task.abort();
        }
        caused.push_back(Event::Disconnected { is_refusal: false });
    }

    fn reported(&mut self, number: u64, report: Report) {
        if number != self.link.number {
            return;
        }
        match report {
            Report::Reached(local) => {
                self.container_ip.get_or_insert(local.ip());
            }
            Report::Event(event) => self.received(*event),
            Report::Ended { is_refusal, reason } => {
                self.link.updates = None;
                // Ten attempts a second while an agent restarts: the same trouble is told once.
                if self.last_trouble.as_ref() != Some(&reason) {
                    self.console.note(&format!("no connection to the agent: {reason}"));
                    self.last_trouble = Some(reason);
                }
                self.queue.push_back(Event::Disconnected { is_refusal });
            }
        }
    }

    fn received(&mut self, event: v1::executor::Event) {
        match event.r#type() {
            Type::Subscribed => {
                use v1::framework_info::capability::Type as Capability;
                self.last_trouble = None;
                self.console.note("subscribed with the agent");
                let capabilities = event.subscribed.map(|subscribed| subscribed.framework_info.capabilities);
                let knows_killing =
                    capabilities.is_some_and(|all| all.iter().any(|one| one.r#type() == Capability::TaskKillingState));
                self.queue.push_back(Event::Subscribed { knows_killing });
            }
            Type::Launch => {
                let launches = event.launch.map(|launch| self.launch(launch.task)).into_iter().collect();
                self.queue.push_back(Event::Launch(launches));
            }
            Type::LaunchGroup => {
                let tasks = event.launch_group.map(|launch| launch.task_group.tasks).unwrap_or_default();
                let launches = tasks.into_iter().map(|task| self.launch(task)).collect();
                self.queue.push_back(Event::Launch(launches));
            }
            Type::Kill => {
                if let Some(kill) = event.kill {
                    let grace = kill.kill_policy.as_deref().and_then(task::read_grace);
                    self.queue.push_back(Event::Kill(TaskId::from_wire(&kill.task_id), grace));
                }
            }
            Type::Acknowledged => {
                if let Some(acknowledged) = event.acknowledged
                    && let Ok(uuid) = acknowledged.uuid[..].try_into()
                {
                    self.queue.push_back(Event::Acknowledged(TaskId::from_wire(&acknowledged.task_id), uuid));
                }
            }
            Type::Shutdown => {
                self.console.note("the agent asks for the shutdown");
                self.queue.push_back(Event::Shutdown);
            }
            Type::Error => {
                let message = event.error.map(|error| error.message).unwrap_or_default();
                self.console.note(&format!("the agent reports an error: {message}"));
                self.queue.push_back(Event::Shutdown);
            }
            Type::Message => self.console.note("a message of the scheduler is ignored"),
            Type::Heartbeat | Type::Unknown => {}
        }
    }

    /// Reads a task and remembers what the loop needs of it.
    fn launch(&mut self, info: v1::TaskInfo) -> Launch {
        let id = TaskId::from_wire(&info.task_id);
        let read = Plan::from_wire(&info).map_err(|error| error.to_string());
        let read = read.and_then(|plan| Ok((identity(plan.user.as_deref())?, plan)));
        let rules = read.map(|(user, plan)| {
            self.names.insert(plan.name.clone());
            if self.names.len() > 1 {
                self.console.use_prefix();
            }
            let rules = plan.rules;
            let groups = cgroup::Groups::default();
            self.jobs.entry(id).or_insert(Job { plan: Arc::new(plan), user, preparation: None, groups });
            rules
        });
        Launch { info: Box::new(info), rules }
    }

    fn prepare(&mut self, task: TaskId) {
        let Some(job) = self.jobs.get_mut(&task) else { return };
        let environment = Arc::clone(&self.environment);
        let variables = folder::environment(&environment, &task, &job.plan.command, None, self.container_ip);
        let (plan, user) = (Arc::clone(&job.plan), job.user.clone());
        let (fetched, prepared) = (Arc::clone(&self.fetched), self.prepared.clone());
        job.preparation = Some(self.work.spawn(async move {
            let result = prepare(environment, plan, user, fetched, variables).await;
            // The receiver is gone only when the process ends.
            let _ = prepared.send((task, result)).await;
        }));
    }

    fn prepared(&mut self, task: TaskId, result: Result<(), String>) {
        if let Some(job) = self.jobs.get_mut(&task) {
            job.preparation = None;
        }
        self.queue.push_back(Event::Prepared(task, result));
    }

    fn start(&mut self, task: &TaskId) -> Result<(), String> {
        let Some(job) = self.jobs.get_mut(task) else { return Err("the task is not known".to_owned()) };
        let environment = &self.environment;
        let folder = folder::path(&environment.sandbox, task);
        let open = |stream: Stream| {
            Rotated::create(folder.join(stream.as_str()), job.user.clone())
                .map_err(|error| format!("cannot create the task's {}: {error}", stream.as_str()))
        };
        let (stdout, stderr) = (open(Stream::Stdout)?, open(Stream::Stderr)?);
        let variables = folder::environment(environment, task, &job.plan.command, None, self.container_ip);
        let (groups, problems) = self.container.create(task, job.plan.amounts);
        for problem in problems {
            self.console.note(&format!("task {task}: {problem}"));
        }
        job.groups = groups;
        let members = job.groups.members();
        let start = Start {
            command: &job.plan.command,
            environment: &variables,
            folder: &folder,
            user: job.user.as_ref(),
            rlimits: &job.plan.rlimits,
            cgroups: &members,
            output: Output::Pipes,
        };
        let owner = Owner { task: task.clone(), check: None };
        let pipes = self.children.start(owner, start).map_err(|error| format!("cannot start the command: {error}"))?;
        if let Some(pipes) = pipes {
            for (pipe, stream, file) in [(pipes.stdout, Stream::Stdout, stdout), (pipes.stderr, Stream::Stderr, stderr)]
            {
                let (name, console) = (job.plan.name.clone(), Arc::clone(&self.console));
                self.work.spawn(output::forward(pipe, stream, name, file, console));
            }
        }
        Ok(())
    }

    fn start_check(&mut self, task: &TaskId, kind: Kind) -> Result<(), String> {
        let Some(job) = self.jobs.get(task) else { return Err("the task is not known".to_owned()) };
        let command = match kind {
            Kind::Readiness => job.plan.readiness.as_ref(),
            Kind::Health => job.plan.health.as_ref(),
        };
        let command = command.ok_or_else(|| "the task has none".to_owned())?;
        let folder = folder::path(&self.environment.sandbox, task);
        let output = output::create_latest(&folder.join(format!("{}.out", kind.as_str())))
            .map_err(|error| format!("cannot create the file of its output: {error}"))?;
        let variables =
            folder::environment(&self.environment, task, &job.plan.command, Some(command), self.container_ip);
        let members = job.groups.members();
        let start = Start {
            command,
            environment: &variables,
            folder: &folder,
            user: job.user.as_ref(),
            rlimits: &job.plan.rlimits,
            cgroups: &members,
            output: Output::File(output),
        };
        let owner = Owner { task: task.clone(), check: Some(kind) };
        self.children.start(owner, start).map(|_| ()).map_err(|error| error.to_string())
    }

    fn reap(&mut self) {
        for (owner, exit) in self.children.reap() {
            self.queue.push_back(match owner.check {
                None => {
                    let groups = self.jobs.get(&owner.task).map(|job| &job.groups);
                    groups.into_iter().for_each(cgroup::Groups::lift_quota);
                    let out_of_memory = groups.is_some_and(cgroup::Groups::had_oom_kill);
                    Event::Exited { task: owner.task, exit, out_of_memory }
                }
                Some(kind) => {
                    let result = match exit {
                        Exit::Status(status) => CheckResult::Code(status),
                        Exit::Signal(_) => CheckResult::Missing,
                    };
                    Event::CheckEnded(owner.task, kind, result)
                }
            });
        }
    }

    fn forget(&mut self, task: &TaskId) {
        self.children.forget(task);
        let Some(job) = self.jobs.remove(task) else { return };
        job.groups.remove();
        if let Some(old) = self.ended_folders.push(&job.plan.name, task.clone()) {
            let path: PathBuf = folder::path(&self.environment.sandbox, &old);
            self.work.spawn_blocking(move || {
                // It may never have been made, or may hold files of others; then it stays.
                let _ = std::fs::remove_dir_all(path);
            });
        }
    }
}

/// The user to become; `None`: stay who we are. Only root can become another.
fn identity(user: Option<&str>) -> Result<Option<Identity>, String> {
    let Some(user) = user.filter(|_| rustix::process::geteuid().is_root()) else { return Ok(None) };
    let identity = user::find(user)?;
    Ok((identity.uid != 0).then_some(identity))
}

/// Makes everything a task needs before its process starts. Errors: the message of its TASK_FAILED.
async fn prepare(
    environment: Arc<Environment>,
    plan: Arc<Plan>,
    user: Option<Identity>,
    fetched: Arc<Vec<OsString>>,
    variables: BTreeMap<String, String>,
) -> Result<(), String> {
    let sandbox = environment.sandbox.clone();
    let (blocking_plan, blocking_user) = (Arc::clone(&plan), user.clone());
    let made = tokio::task::spawn_blocking(move || {
        let mut volumes = Vec::new();
        for link in &blocking_plan.volumes {
            volumes.push(volume::verify(&sandbox, link).map_err(|error| error.to_string())?);
        }
        let folder = folder::make(&sandbox, &blocking_plan.id, &fetched).map_err(|error| error.to_string())?;
        if let Some(user) = &blocking_user {
            folder::open_the_way(&sandbox).map_err(|error| error.to_string())?;
            folder::give(&folder, user).map_err(|error| error.to_string())?;
        }
        for link in &blocking_plan.volumes {
            volume::place(&sandbox, &folder, link, blocking_user.as_ref()).map_err(|error| error.to_string())?;
        }
        Ok::<_, String>((folder, volumes))
    });
    let (folder, volumes) = made.await.map_err(|error| format!("the folder was not made: {error}"))??;
    for download in &plan.downloads {
        download::fetch(download, &folder).await?;
    }
    let bounds = config_template::Bounds { folder: &folder, sandbox: &environment.sandbox, volumes: &volumes };
    let templates = task::config_templates(&plan.command.environment).map_err(|error| error.to_string())?;
    for template in &templates {
        let written = config_template::render(template, &variables, &bounds).map_err(|error| error.to_string())?;
        if let Some(user) = &user {
            folder::give(&written, user).map_err(|error| error.to_string())?;
        }
    }
    if let Some(user) = &user {
        let templates = folder.join(task::CONFIG_TEMPLATES);
        if templates.exists() {
            folder::give(&templates, user).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}
