//! The start, in an order that writes nothing before everything that can be checked has been.
//!
//! 1. environment and specification, all problems in one report;
//! 2. the API's port;
//! 3. the store's lock, then its tree;
//! 4. the engine;
//! 5. its first commit;
//! 6. the API;
//! 7. registration with Mesos.
//!
//! Not the loop (`run.rs`): what is made here is handed to it.
//! Invariant: before step 3 nothing has been written anywhere, before step 5 only the name of the service.
//!
//! Source: the SDK's start order and exit codes.

use std::fmt::Write as _;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mainstay_engine::config::Config;
use mainstay_engine::config::validators::Validator;
use mainstay_engine::effect::{Effects, Transaction};
use mainstay_engine::engine::Engine;
use mainstay_engine::event::Event;
use mainstay_engine::explain::Question;
use mainstay_engine::ids::{FrameworkId, Generator};
use mainstay_engine::task::status::Status;
use mainstay_engine::units::Timestamp;
use mainstay_engine::view::View;
use mainstay_proto::v1 as wire;
use mainstay_spec::{Loaded, PlanSpec, ServiceSpec};
use prost::Message as _;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::env::{HostnameSource, Settings};
use crate::http::{self, AppState};
use crate::mesos::auth::Auth;
use crate::mesos::client;
use crate::mesos::leader::MasterUrl;
use crate::run::{Clock, Core, Exit, Hook, Loop};
use crate::store::{self, Location, Store, Tree};
use crate::telemetry::chain;
use crate::{Vars, control, run};

/// Exit code of a failed start.
pub const EXIT_START: u8 = 1;
/// Exit code when the API cannot be served.
pub const EXIT_API: u8 = 9;
/// The executor program beside the scheduler's.
pub const EXECUTOR: &str = "mainstay-executor";
/// Largest specification file read.
const SPEC_BYTES: u64 = 4 * 1024 * 1024;

/// Largest configuration template read; a store of the SDK holds a quarter of it.
const TEMPLATE_BYTES: u64 = 4 * 1024 * 1024;
/// How often a port in use is tried, and the wait between.
const BIND_TRIES: u32 = 6;
const BIND_WAIT: Duration = Duration::from_millis(200);
/// Node of the framework's id, an encoded `FrameworkID`.
const FRAMEWORK_ID_NODE: &str = "FrameworkID";

/// Where the specification comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file, rendered with the environment.
    File(PathBuf),
    /// A specification built in code.
    Service(Box<ServiceSpec>),
}

/// What the author of the service hands in.
pub(crate) struct Input {
    pub(crate) source: Source,
    pub(crate) vars: Vars,
    pub(crate) plans: Vec<PlanSpec>,
    pub(crate) validators: Vec<Validator>,
    pub(crate) hooks: Vec<Box<dyn Hook>>,
    pub(crate) listener: Option<TcpListener>,
    pub(crate) executor: Option<PathBuf>,
    pub(crate) store_settings: store::Settings,
}

/// A scheduler that serves its API and registers.
pub(crate) struct Started {
    pub(crate) main: Loop<Engine>,
    pub(crate) tasks: JoinSet<()>,
    /// Ends the tasks, not the loop.
    pub(crate) tasks_stop: CancellationToken,
    pub(crate) view: watch::Receiver<Arc<View>>,
    pub(crate) commands: control::CommandHandle,
    pub(crate) address: SocketAddr,
}

impl Core for Engine {
    fn step(&mut self, event: Event, now: Timestamp) -> Effects {
        Engine::step(self, event, now)
    }

    fn step_statuses(&mut self, statuses: Vec<Status>, now: Timestamp) -> Effects {
        Engine::step_statuses(self, statuses, now)
    }

    fn view(&mut self) -> Arc<View> {
        Engine::view(self)
    }

    fn question(&mut self) -> Option<Question> {
        Some(Engine::question(self))
    }
}

/// Everything that could be checked without touching anything.
struct Checked {
    spec: ServiceSpec,
    settings: Settings,
    master: MasterUrl,
    location: Location,
    auth: Auth,
    executor: PathBuf,
}

/// Starts.
///
/// Errors: the end of the process, with its code and a reason for people.
pub(crate) async fn start(mut input: Input) -> Result<Started, Exit> {
    let checked = check(&mut input)?;
    for note in &checked.settings.notes {
        tracing::warn!("{note}");
    }
    let listener = match input.listener.take() {
        Some(listener) => listener,
        None => bind(checked.settings.port_api.unwrap_or_default()).await?,
    };
    let address =
        listener.local_addr().map_err(|error| Exit::new(EXIT_API, format!("the API's socket is unusable: {error}")))?;
    let hostname = match &checked.settings.api_hostname {
        HostnameSource::Given(name) => name.clone(),
        HostnameSource::Dcos => checked.settings.dcos_hostname(&checked.spec),
        HostnameSource::Route => route(&checked.master).await,
    };
    let config = checked.settings.engine(&checked.spec, &hostname, address.port());
    let config = Config { validators: std::mem::take(&mut input.validators), ..config };
    tracing::info!(
        service = checked.spec.name,
        api = %address,
        hostname,
        master = %checked.master,
        role = config.role,
        "starting"
    );

    let (mut store, tree) = Store::open(&checked.location, &checked.spec.name, &input.store_settings)
        .await
        .map_err(|error| Exit::new(error.exit_code(), chain(&error)))?;
    match build(&mut store, tree, config, &checked).await {
        Ok((engine, effects, clock)) => {
            Ok(assemble(input.hooks, checked, listener, address, store, engine, &effects, clock))
        }
        Err(exit) => {
            // Nothing runs yet that could still need the lock.
            store.close().await;
            Err(exit)
        }
    }
}

/// Makes the engine and stores what it wants stored first.
async fn build(
    store: &mut Store,
    mut tree: Tree,
    config: Config,
    checked: &Checked,
) -> Result<(Engine, Effects, Clock), Exit> {
    let mut first = Transaction::default();
    if let Some(forgotten) = &checked.settings.forget_framework_id {
        forget(forgotten, &mut tree, &mut first);
    }
    let clock = Clock::start();
    let ids = Generator::seeded(uuid::Uuid::new_v4().as_u128());
    let (engine, effects) = Engine::start(config, checked.spec.clone(), tree, ids, clock.now())
        .map_err(|error| Exit::new(error.exit_code(), chain(&error)))?;
    first.writes.extend(effects.commit.writes.clone());
    if !first.is_empty() {
        store.commit(&first).await.map_err(|error| Exit::new(error.exit_code(), chain(&error)))?;
    }
    if let Some((code, reason)) = effects.exit {
        return Err(Exit::new(code, reason));
    }
    Ok((engine, effects, clock))
}

fn assemble(
    mut hooks: Vec<Box<dyn Hook>>,
    checked: Checked,
    listener: TcpListener,
    address: SocketAddr,
    store: Store,
    mut engine: Engine,
    effects: &Effects,
    clock: Clock,
) -> Started {
    let view = engine.view();
    run::tell(&effects.journal, &view, &mut hooks);
    let (publish, view) = watch::channel(view);
    let (commands, requests) = control::channel();
    let mut tasks = JoinSet::new();
    let tasks_stop = CancellationToken::new();
    let state = AppState {
        view: view.clone(),
        commands: commands.clone(),
        executor_path: checked.executor,
        service_tld: checked.settings.service_tld().to_owned(),
        vip_tld: checked.settings.vip_tld().to_owned(),
    };
    let stop = tasks_stop.clone();
    tasks.spawn(async move {
        if let Err(error) = http::serve(listener, state, stop).await {
            tracing::error!(%error, "the API cannot be served any more");
        }
    });
    let client = client::Settings {
        master: checked.master,
        identity: checked.settings.identity(engine.spec(), engine.state()),
        auth: checked.auth,
        framework_id: engine.framework_id().cloned(),
        seed: uuid::Uuid::new_v4().as_u128(),
    };
    let (calls, messages) = client::start(client, &mut tasks, tasks_stop.clone());
    let main = Loop {
        core: engine,
        store,
        calls,
        messages,
        commands: requests,
        view: publish,
        hooks,
        clock,
        wake_at: effects.wake_at,
    };
    Started { main, tasks, tasks_stop, view, commands, address }
}

/// Reads and checks environment and specification; every problem is in the one report.
fn check(input: &mut Input) -> Result<Checked, Exit> {
    let mut report = String::new();
    let mut add = |problem: &dyn std::fmt::Display| {
        let _ = writeln!(report, "{problem}\n");
    };
    let settings = Settings::read(&input.vars, input.listener.is_none())
        .map_err(|problems| problems.iter().for_each(|problem| add(problem)))
        .ok();
    let spec = match std::mem::replace(&mut input.source, Source::File(PathBuf::new())) {
        Source::Service(spec) => {
            let unsupported = spec.unsupported();
            for problem in &unsupported {
                add(problem);
            }
            unsupported.is_empty().then_some(*spec)
        }
        Source::File(path) => load_to_run(&path, &input.vars).map_err(|problem| add(&problem)).ok().map(|loaded| {
            for warning in loaded.warnings {
                tracing::warn!("{warning}");
            }
            loaded.spec
        }),
    };
    let executor = find_executor(input.executor.take()).map_err(|problem| add(&problem)).ok();
    let spec = spec.and_then(|mut spec| {
        let problems = add_plans(&mut spec, std::mem::take(&mut input.plans));
        for problem in &problems {
            add(problem);
        }
        problems.is_empty().then_some(spec)
    });
    let mut spec = spec;
    let mut resolved = None;
    if let (Some(settings), Some(spec)) = (&settings, &mut spec) {
        settings.confine(spec);
        let master = settings.master(spec).map_err(|error| add(&format!("scheduler.zookeeper: {error}"))).ok();
        let location = settings.store(spec).map_err(|error| add(&error)).ok();
        let auth = settings.auth(spec).map_err(|problem| add(&problem)).ok();
        resolved = master.zip(location).zip(auth);
    }
    match (settings, spec, executor, resolved) {
        (Some(settings), Some(spec), Some(executor), Some(((master, location), auth))) => {
            Ok(Checked { spec, settings, master, location, auth, executor })
        }
        _ => Err(Exit::new(EXIT_START, format!("{}\nnothing was started and nothing was written", report.trim_end()))),
    }
}

/// Loads a specification file in order to run it.
///
/// Errors: as [`load`], and the report of everything it asks for that this version does not honour yet.
pub fn load_to_run(path: &Path, vars: &Vars) -> Result<Loaded, String> {
    let loaded = load(path, vars)?;
    loaded.unsupported().map_or(Ok(loaded), |report| Err(report.to_string()))
}

/// Loads a specification file, rendered with these variables; files it names are looked for beside it.
///
/// Errors: the file cannot be read, or the report of everything that is wrong with it.
pub fn load(path: &Path, vars: &Vars) -> Result<Loaded, String> {
    let name = path.display().to_string();
    let cannot = |why: &dyn std::fmt::Display| format!("cannot read the specification {name}: {why}");
    let length = std::fs::metadata(path).map_err(|error| cannot(&error))?.len();
    if length > SPEC_BYTES {
        return Err(cannot(&format_args!("it has {length} bytes, more than the {SPEC_BYTES} allowed")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| cannot(&error))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let read_file = |path: &str| read_template(folder, path);
    let source = mainstay_spec::Source { file_name: &name, text: &text };
    mainstay_spec::load(source, vars, &read_file).map_err(|report| report.to_string())
}

/// Reads a configuration template: below the folder of the specification, also when its path looks absolute, or, as the
/// older generation of the SDK does, below the working directory.
///
/// Errors: why the one below the folder cannot be read, or the other where only that is there. Pipes, devices and files of more than 4 MiB
/// are not read.
pub fn read_template(folder: &Path, path: &str) -> Result<String, String> {
    let relative = path.trim_start_matches('/');
    let beside = match read_regular(&folder.join(relative)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => error,
        other => return other.map_err(|error| error.to_string()),
    };
    match read_regular(Path::new(relative)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(beside.to_string()),
        other => other.map_err(|error| error.to_string()),
    }
}

/// Reads a whole text file. A pipe would never end and a device perhaps never, so neither is opened.
fn read_regular(path: &Path) -> std::io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    let refuse = |why: String| Err(std::io::Error::other(why));
    if !metadata.is_file() {
        return refuse("it is not a regular file".to_owned());
    }
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(TEMPLATE_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > TEMPLATE_BYTES {
        return refuse(format!("it has more than the {TEMPLATE_BYTES} bytes allowed"));
    }
    Ok(text)
}

/// Adds plans made in code.
///
/// Errors: what the specification's own plans are checked for when they are read.
fn add_plans(spec: &mut ServiceSpec, plans: Vec<PlanSpec>) -> Vec<String> {
    let mut problems = Vec::new();
    for plan in plans {
        let mut refuse = |why: String| problems.push(format!("plan {:?} added in code: {why}", plan.name));
        if plan.name.is_empty() || plan.name == "recovery" || spec.plans.iter().any(|other| other.name == plan.name) {
            refuse("its name is taken or reserved".to_owned());
        }
        for phase in &plan.phases {
            let Some(pod) = spec.pod(&phase.pod_type) else {
                refuse(format!("phase {:?} names the pod {:?}, which does not exist", phase.name, phase.pod_type));
                continue;
            };
            for step in &phase.steps {
                if step.index >= pod.count {
                    refuse(format!("phase {:?} names instance {} of {}", phase.name, step.index, pod.count));
                }
                if step.tasks.is_empty() {
                    refuse(format!("phase {:?} has a step without tasks", phase.name));
                }
                for task in &step.tasks {
                    if !pod.tasks.iter().any(|known| known.name == *task) {
                        refuse(format!("phase {:?} names the task {task:?}, which the pod does not have", phase.name));
                    }
                }
            }
        }
        spec.plans.push(plan);
    }
    problems
}

/// The executor program that is served to agents.
fn find_executor(given: Option<PathBuf>) -> Result<PathBuf, String> {
    let path = match given {
        Some(path) => path,
        None => std::env::current_exe()
            .map_err(|error| format!("cannot find the scheduler's own program: {error}"))?
            .with_file_name(EXECUTOR),
    };
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "the executor program {} does not exist: put `{EXECUTOR}` beside the scheduler's program (cargo build -p {EXECUTOR})",
        path.display()
    ))
}

/// Listens on a port of all addresses. One that is in use is tried again for a moment: a predecessor that was just killed may still be
/// on its way out.
async fn bind(port: u16) -> Result<TcpListener, Exit> {
    let mut tries = 1;
    let error = loop {
        match TcpListener::bind(("0.0.0.0", port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && tries < BIND_TRIES => {
                tries += 1;
                tokio::time::sleep(BIND_WAIT).await;
            }
            Err(error) => break error,
        }
    };
    let help = match error.kind() {
        std::io::ErrorKind::AddrInUse => ": another program listens there; choose another PORT_API or stop that one",
        std::io::ErrorKind::PermissionDenied => ": ports below 1024 need a privilege; choose another PORT_API",
        _ => "",
    };
    Err(Exit::new(EXIT_API, format!("cannot serve the API on port {port} (PORT_API): {error}{help}")))
}

/// Our own address on the way to the master, for tasks to reach us. Sends nothing.
async fn route(master: &MasterUrl) -> String {
    let targets: Vec<String> = match master {
        MasterUrl::ZooKeeper { servers, .. } => servers.split(',').map(str::to_owned).collect(),
        MasterUrl::Listed(endpoints) => endpoints.iter().map(ToString::to_string).collect(),
    };
    for target in &targets {
        if let Some(address) = local_address(target).await {
            return address;
        }
    }
    // Names may not resolve yet. The default route is as good a guess; this address is reserved for documentation.
    let guess = local_address("192.0.2.1:9").await.unwrap_or_else(|| "127.0.0.1".to_owned());
    tracing::warn!(
        hostname = guess,
        "no route to the master is known; set SCHEDULER_API_HOSTNAME if tasks cannot reach this"
    );
    guess
}

async fn local_address(target: &str) -> Option<String> {
    for address in tokio::net::lookup_host(target).await.ok()? {
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let Ok(socket) = UdpSocket::bind(any).await else { continue };
        if socket.connect(address).await.is_ok()
            && let Ok(local) = socket.local_addr()
        {
            return Some(local.ip().to_string());
        }
    }
    None
}

/// Drops the stored framework id if it is the one to forget.
fn forget(forgotten: &FrameworkId, tree: &mut Tree, first: &mut Transaction) {
    let stored = tree.get(FRAMEWORK_ID_NODE).cloned().and_then(|data: Bytes| wire::FrameworkId::decode(data).ok());
    match stored {
        Some(stored) if stored.value == forgotten.as_str() => {
            tracing::warn!(framework_id = %forgotten, "stored framework id forgotten; registering as a new framework");
            tree.remove(FRAMEWORK_ID_NODE);
            first.delete(FRAMEWORK_ID_NODE);
        }
        _ => {
            tracing::warn!(framework_id = %forgotten, "MAINSTAY_FORGET_FRAMEWORK_ID is not the stored id and has no effect");
        }
    }
}

#[cfg(test)]
mod tests;
