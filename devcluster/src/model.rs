//! A Mesos master and its agents as one pure state machine.
//!
//! [`Cluster::step`] takes an input and the time, and answers with what the framework, the executors and the machines
//! would see. `mainstay dev` drives it over HTTP with real processes, the simulation in virtual time with
//! [`crate::fake_executor`]. What it imitates, and where from, is in the module that does it.
//!
//! Not here: sockets, processes, folders, clocks. Not imitated: quota, weights, maintenance, draining, resource
//! providers, GROW_VOLUME, SHRINK_VOLUME, shared volumes (each refused with a message), containers and images.
//!
//! Invariant: same configuration, same inputs and times, same outputs.
//! Invariant: a master message reaches an agent within the same step, or never (a broken link, a partition, a fault).
//! Invariant: reservations and volumes live with their agent and end only by UNRESERVE, DESTROY and
//! [`Input::AgentWipe`].
//!
//! Read next: `model/master.rs` (subscriptions, calls), `model/operations.rs` (ACCEPT), `model/agent.rs`.

use std::cell::RefCell;
use std::time::Duration;

use mainstay_proto::v1::{self, executor, scheduler};

mod agent;
mod allocator;
mod executor_info;
mod executors;
mod faults;
pub mod ids;
mod master;
mod operations;
pub(crate) mod operator;
mod reconcile;
pub mod resources;
mod saved;
mod updates;
pub(crate) mod validation;
mod versioned;
pub mod view;

use agent::Agent;
use ids::Rng;
use master::Master;
pub use saved::RestoreError;
use versioned::Versioned;

/// Position of an agent in [`Config::agents`]; unlike its id it never changes.
pub type AgentIndex = usize;

/// One agent.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Name that offers carry.
    pub hostname: String,
    /// Address that its endpoints are said to be at.
    pub ip: String,
    /// Port that its endpoints are said to be at.
    pub port: u16,
    /// What the agent has, before any dynamic reservation.
    pub resources: Vec<v1::Resource>,
    /// Attributes that offers carry.
    pub attributes: Vec<v1::Attribute>,
    /// Fault domain.
    pub domain: Option<v1::DomainInfo>,
    /// Whether it has the isolators that resource limits of tasks need.
    pub has_cgroups: bool,
}

/// The cluster.
#[derive(Debug, Clone)]
pub struct Config {
    /// The agents.
    pub agents: Vec<AgentConfig>,
    /// Name of the master's host.
    pub master_hostname: String,
    /// Address of the master.
    pub master_ip: std::net::Ipv4Addr,
    /// Port of the master.
    pub master_port: u16,
    /// Fault domain of the master.
    pub master_domain: Option<v1::DomainInfo>,
    /// Time between two allocations.
    pub allocation_interval: Duration,
    /// Time between two HEARTBEAT events.
    pub heartbeat_interval: Duration,
    /// How long a ping waits.
    pub agent_ping_timeout: Duration,
    /// How many pings fail before an agent is unreachable.
    pub max_agent_ping_timeouts: u32,
    /// How long agents take to find the master again; each adds up to as much again by chance.
    pub agent_reregister_delay: Duration,
    /// First wait before a status update is sent again.
    pub update_retry_min: Duration,
    /// Longest wait before a status update is sent again.
    pub update_retry_max: Duration,
    /// How long a new executor may take to subscribe.
    pub executor_registration_timeout: Duration,
    /// How long a restarted agent waits for its executors.
    pub executor_reregistration_timeout: Duration,
    /// How long an executor may take to shut down, if it does not say itself.
    pub executor_shutdown_grace: Duration,
    /// Time since the Unix epoch at which the cluster's clock is zero.
    pub epoch: Duration,
    /// Decides all identifiers and all chance.
    pub seed: u64,
}

impl Config {
    /// A cluster with the constants of Mesos.
    pub fn new(agents: Vec<AgentConfig>, seed: u64) -> Self {
        Self {
            agents,
            master_hostname: "localhost".into(),
            master_ip: std::net::Ipv4Addr::LOCALHOST,
            master_port: 5050,
            master_domain: None,
            allocation_interval: Duration::from_secs(1),
            heartbeat_interval: Duration::from_secs(15),
            agent_ping_timeout: Duration::from_secs(15),
            max_agent_ping_timeouts: 5,
            agent_reregister_delay: Duration::from_millis(500),
            update_retry_min: Duration::from_secs(10),
            update_retry_max: Duration::from_secs(600),
            executor_registration_timeout: Duration::from_secs(60),
            executor_reregistration_timeout: Duration::from_secs(2),
            executor_shutdown_grace: Duration::from_secs(5),
            epoch: Duration::from_secs(1_700_000_000),
            seed,
        }
    }
}

impl AgentConfig {
    /// An agent on loopback with the given resources.
    pub fn new(hostname: &str, port: u16, resources: Vec<v1::Resource>) -> Self {
        Self {
            hostname: hostname.to_owned(),
            ip: "127.0.0.1".into(),
            port,
            resources,
            attributes: Vec::new(),
            domain: None,
            has_cgroups: true,
        }
    }
}

/// Everything that can happen to the cluster.
#[derive(Debug, Clone)]
pub enum Input {
    /// A SUBSCRIBE call came in on a new connection. Connection numbers are the caller's, never used twice.
    SchedulerConnected {
        /// The connection its events go to.
        conn: u64,
        /// The call.
        call: Box<scheduler::Call>,
    },
    /// Any other call.
    SchedulerCall {
        /// The `Mesos-Stream-Id` header.
        stream_id: Option<String>,
        /// The call.
        call: Box<scheduler::Call>,
    },
    /// The subscription's connection broke.
    SchedulerDisconnected {
        /// The connection.
        conn: u64,
    },
    /// An executor's SUBSCRIBE call came in on a new connection.
    ExecutorConnected {
        /// The agent it came to.
        agent: AgentIndex,
        /// The connection its events go to.
        conn: u64,
        /// The call.
        call: Box<executor::Call>,
    },
    /// Any other call of an executor.
    ExecutorCall {
        /// The agent it came to.
        agent: AgentIndex,
        /// The call.
        call: Box<executor::Call>,
    },
    /// An executor's subscription broke.
    ExecutorDisconnected {
        /// Its agent.
        agent: AgentIndex,
        /// The connection.
        conn: u64,
    },
    /// An executor's process ended, by itself or because it was killed.
    ExecutorExited {
        /// Its agent.
        agent: AgentIndex,
        /// Its container.
        container_id: String,
        /// The wait status, as `wait(2)` gives it.
        status: i32,
    },
    /// An executor's artifacts could not be fetched or its process could not be started.
    ExecutorLaunchFailed {
        /// Its agent.
        agent: AgentIndex,
        /// Its container.
        container_id: String,
        /// Why.
        message: String,
    },
    /// A volume could not be linked into an executor's sandbox.
    VolumeLinkFailed {
        /// The agent.
        agent: AgentIndex,
        /// The executor's container.
        container_id: String,
        /// Why.
        message: String,
    },
    /// An agent's process is killed; its executors live on.
    AgentStop {
        /// The agent.
        agent: AgentIndex,
    },
    /// An agent's process starts again.
    AgentStart {
        /// The agent.
        agent: AgentIndex,
    },
    /// A stopped agent's work folder is erased: it will register as a new agent, without volumes.
    AgentWipe {
        /// The agent.
        agent: AgentIndex,
    },
    /// The network between master and agent breaks without either noticing.
    AgentPartition {
        /// The agent.
        agent: AgentIndex,
    },
    /// That network works again.
    AgentHeal {
        /// The agent.
        agent: AgentIndex,
    },
    /// The next messages from the master to the agent are lost; the agent notices at its next ping and reregisters.
    AgentLoseMessages {
        /// The agent.
        agent: AgentIndex,
        /// How many.
        count: u32,
    },
    /// An operator marks the agent gone.
    AgentGone {
        /// The agent.
        agent: AgentIndex,
    },
    /// An operator tears a framework down.
    Teardown {
        /// The framework.
        framework_id: String,
    },
    /// The master fails and another one takes over, which knows the agents only.
    MasterRestart,
    /// Time has passed.
    Tick,
}

/// A persistent volume as a place on an agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VolumeRef {
    /// Role it is reserved to.
    pub role: String,
    /// Persistence id.
    pub id: String,
    /// The disk it lies on.
    pub disk: Disk,
}

/// The disk a volume lies on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disk {
    /// The agent's own work folder.
    Root,
    /// A folder given by the operator.
    Path(String),
    /// A file system given by the operator; the volume is its root.
    Mount(String),
}

/// A volume made visible in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The volume.
    pub volume: VolumeRef,
    /// Where in the sandbox: one path component.
    pub container_path: String,
}

/// A new executor.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Its container: names the sandbox.
    pub container_id: String,
    /// Its agent's id.
    pub agent_id: String,
    /// Its framework, `id` set.
    pub framework_info: v1::FrameworkInfo,
    /// What to fetch and start.
    pub executor_info: v1::ExecutorInfo,
    /// Volumes of the executor and its first tasks, linked before it starts.
    pub links: Vec<Link>,
}

/// Everything the cluster can do.
#[derive(Debug, Clone)]
pub enum Output {
    /// The subscription on this connection is accepted (status 200) with this stream id.
    StreamOpened {
        /// The connection.
        conn: u64,
        /// The `Mesos-Stream-Id` header.
        stream_id: String,
    },
    /// An event for a scheduler.
    ToScheduler {
        /// The connection.
        conn: u64,
        /// The event.
        event: Box<scheduler::Event>,
    },
    /// End a scheduler's stream, after the events before.
    CloseScheduler {
        /// The connection.
        conn: u64,
    },
    /// The call that this step was given is refused. Without this output it is accepted (status 202 or 200).
    Refused {
        /// HTTP status.
        status: u16,
        /// Body.
        text: String,
    },
    /// An event for an executor.
    ToExecutor {
        /// The agent it comes from.
        agent: AgentIndex,
        /// The connection.
        conn: u64,
        /// The event.
        event: Box<executor::Event>,
    },
    /// End an executor's stream, after the events before.
    CloseExecutor {
        /// The agent.
        agent: AgentIndex,
        /// The connection.
        conn: u64,
    },
    /// Make a sandbox, fetch, link and start an executor.
    LaunchExecutor {
        /// The agent.
        agent: AgentIndex,
        /// What to start.
        launch: Box<Launch>,
    },
    /// Kill an executor and everything it started; [`Input::ExecutorExited`] follows.
    KillContainer {
        /// The agent.
        agent: AgentIndex,
        /// The executor's container.
        container_id: String,
    },
    /// Make a volume visible in the sandbox of a running executor.
    LinkVolume {
        /// The agent.
        agent: AgentIndex,
        /// The executor's container.
        container_id: String,
        /// What and where.
        link: Link,
    },
    /// Take a volume out of a sandbox.
    UnlinkVolume {
        /// The agent.
        agent: AgentIndex,
        /// The executor's container.
        container_id: String,
        /// Where in the sandbox.
        container_path: String,
    },
    /// Make a volume.
    CreateVolume {
        /// The agent.
        agent: AgentIndex,
        /// The volume.
        volume: VolumeRef,
    },
    /// Delete a volume with everything in it.
    DestroyVolume {
        /// The agent.
        agent: AgentIndex,
        /// The volume.
        volume: VolumeRef,
    },
}

/// A Mesos cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    config: Config,
    rng: Rng,
    now: Duration,
    master: Master,
    agents: Vec<Versioned<Agent>>,
    /// When each agent has something to do next, with the version of the agent that it was found in.
    timers: RefCell<Vec<(u64, Option<Duration>)>>,
    outputs: Vec<Output>,
}

impl Cluster {
    /// A cluster whose agents register at once.
    pub fn new(config: Config) -> Self {
        let mut rng = Rng::new(config.seed);
        let master = Master::new(rng.uuid());
        let agents = config.agents.iter().map(|agent| Agent::new(agent).into()).collect();
        Self { config, rng, now: Duration::ZERO, master, agents, timers: RefCell::default(), outputs: Vec::new() }
    }

    /// Moves the cluster on: what is due by `now` happens first, then the input.
    ///
    /// Units: `now` is the time since the cluster's start and never goes back.
    pub fn step(&mut self, input: Input, now: Duration) -> Vec<Output> {
        self.now = self.now.max(now);
        self.run_timers();
        self.apply(input);
        // Zero delays of this very input (a failover timeout of 0, an agent that registers at once).
        self.run_timers();
        std::mem::take(&mut self.outputs)
    }

    /// Brings a further agent, which registers with the next step; gives its position.
    pub fn add_agent(&mut self, agent: AgentConfig) -> AgentIndex {
        self.agents.push(Agent::new(&agent).into());
        self.config.agents.push(agent);
        self.agents.len() - 1
    }

    /// When [`Input::Tick`] is needed next.
    pub fn next_wakeup(&self) -> Option<Duration> {
        let agents = (0..self.agents.len()).filter_map(|agent| self.agent_timer(agent));
        self.master_next_timer().into_iter().chain(agents).min()
    }

    /// When an agent has something to do next. Worked out again only when the agent may have changed.
    fn agent_timer(&self, agent: AgentIndex) -> Option<Duration> {
        let known = &self.agents[agent];
        let mut timers = self.timers.borrow_mut();
        if timers.len() < self.agents.len() {
            timers.resize(self.agents.len(), (u64::MAX, None));
        }
        let timer = &mut timers[agent];
        if timer.0 != known.version() {
            *timer = (known.version(), known.next_timer());
        }
        timer.1
    }

    fn apply(&mut self, input: Input) {
        match input {
            Input::SchedulerConnected { conn, call } => self.scheduler_connected(conn, *call),
            Input::SchedulerCall { stream_id, call } => self.scheduler_call(stream_id.as_deref(), *call),
            Input::SchedulerDisconnected { conn } => self.scheduler_disconnected(conn),
            Input::ExecutorConnected { agent, conn, call } => self.executor_connected(agent, conn, *call),
            Input::ExecutorCall { agent, call } => self.executor_call(agent, *call),
            Input::ExecutorDisconnected { agent, conn } => self.executor_disconnected(agent, conn),
            Input::ExecutorExited { agent, container_id, status } => {
                self.executor_exited(agent, &container_id, status);
            }
            Input::ExecutorLaunchFailed { agent, container_id, message } => {
                self.executor_launch_failed(agent, &container_id, &message);
            }
            Input::VolumeLinkFailed { agent, container_id, message } => {
                self.container_update_failed(agent, &container_id, &message);
            }
            Input::AgentStop { agent } => self.agent_stop(agent),
            Input::AgentStart { agent } => self.agent_start(agent),
            Input::AgentWipe { agent } => self.agent_wipe(agent),
            Input::AgentPartition { agent } => self.agent_partition(agent),
            Input::AgentHeal { agent } => self.agent_heal(agent),
            Input::AgentLoseMessages { agent, count } => self.agent_lose_messages(agent, count),
            Input::AgentGone { agent } => self.agent_gone(agent),
            Input::Teardown { framework_id } => self.teardown(&framework_id),
            Input::MasterRestart => self.master_restart(),
            Input::Tick => {}
        }
    }

    /// Everything that is due, in a fixed order, until nothing is.
    fn run_timers(&mut self) {
        // Each round can make new things due (a registration brings an allocation); four rounds settle all of them.
        for _ in 0..4 {
            for agent in 0..self.agents.len() {
                if self.agent_timer(agent).is_some_and(|at| at <= self.now) {
                    self.run_agent_timers(agent);
                }
            }
            self.run_master_timers();
            if self.next_wakeup().is_none_or(|next| next > self.now) {
                break;
            }
        }
    }

    fn emit(&mut self, output: Output) {
        self.outputs.push(output);
    }

    fn refuse(&mut self, status: u16, text: impl Into<String>) {
        self.emit(Output::Refused { status, text: text.into() });
    }

    /// Wall-clock time as statuses carry it.
    ///
    /// Units: seconds since the Unix epoch.
    fn timestamp(&self) -> f64 {
        (self.config.epoch + self.now).as_secs_f64()
    }

    fn time_info(&self, at: Duration) -> v1::TimeInfo {
        v1::TimeInfo { nanoseconds: (self.config.epoch + at).as_nanos() as i64 }
    }
}

#[cfg(test)]
mod tests;
