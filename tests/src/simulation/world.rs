//! One run: the scheduler's process, the network between it and the master, the cluster, and what goes wrong, on one virtual clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use mainstay_devcluster::fake_executor::{FakeExecutors, TaskScript};
use mainstay_devcluster::model::ids::Rng;
use mainstay_devcluster::model::{self, AgentConfig, Cluster, Input, Output, resources};
use mainstay_engine::command::{Command, PlanVerb, PodVerb};
use mainstay_engine::config::Config;
use mainstay_engine::effect::{Call, Effects};
use mainstay_engine::event::Event;
use mainstay_engine::ids::Generator;
use mainstay_engine::task::status::{State, Status};
use mainstay_engine::units::{Millis, Timestamp};
use mainstay_engine::{Engine, check};
use mainstay_proto::v1::scheduler::{self, call, event};
use mainstay_proto::v1::{self as wire, executor};
use mainstay_scheduler::mesos::convert::{self, Incoming};
use mainstay_scheduler::mesos::subscribe::Identity;
use prost::Message;

use super::faults::{CrashPoint, Faults};
use super::rules::Rules;
use super::{Failure, Scenario, Stats};

/// After faults have ended the run must be at rest within this time.
const SETTLE: Duration = Duration::from_secs(3600);
/// What arrives within this time of each other may be taken together.
const BURST: Duration = Duration::from_millis(3);
/// A run that takes more steps than this goes in circles.
const MAX_STEPS: u64 = 200_000;

/// Something that will happen.
enum Happening {
    /// The scheduler's process starts.
    Start,
    /// The scheduler connects to the master.
    Connect,
    /// Bytes of an event reach the scheduler.
    ToEngine { conn: u64, frame: Bytes },
    /// A call reaches the master.
    ToMaster { stream_id: String, call: Box<scheduler::Call> },
    /// The master notices that a connection broke.
    MasterNotices { conn: u64 },
    /// An executor goes on with the calls that its agent was not ready for.
    ExecutorRepeats { agent: usize, executor_id: String },
    /// Something goes wrong.
    Fault(Fault),
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    BreakConnection,
    LoseMessages,
    Crash,
    FailCommit,
    RestartAgent,
    StartAgent(usize),
    Partition,
    Heal(usize),
    AgentGone,
    MasterRestart,
    FailTask,
    KillExecutor,
    PodRestart,
    PodReplace,
    PlanCommand,
}

pub(super) struct World<'a> {
    scenario: &'a Scenario,
    seed: u64,
    crash_at: Option<CrashPoint>,
    rng: Rng,
    now: Duration,
    queue: BTreeMap<(Duration, u64), Happening>,
    sequence: u64,
    cluster: Cluster,
    executors: FakeExecutors<fn(&wire::TaskInfo, &mut Rng) -> TaskScript>,
    /// Statuses that have arrived and are taken together with what arrives next.
    burst: Vec<Status>,
    stored: BTreeMap<String, Bytes>,
    engine: Option<Engine>,
    wake_at: Option<Timestamp>,
    conn: u64,
    stream_id: Option<String>,
    to_engine_free: Duration,
    to_master_free: Duration,
    fail_next_commit: bool,
    stopped_agents: BTreeSet<usize>,
    parted_agents: BTreeSet<usize>,
    gone_agents: BTreeSet<usize>,
    repeats_left: u32,
    /// Calls of executors whose agents were not ready.
    stalled: BTreeMap<(usize, String), VecDeque<Box<executor::Call>>>,
    rules: Rules,
    stats: Stats,
    trace: VecDeque<String>,
    trace_lines: usize,
    callers: u64,
}

type Step = Result<(), String>;

fn script(task: &wire::TaskInfo, rng: &mut Rng) -> TaskScript {
    if task.name.ends_with("-backup") {
        return TaskScript::Finishes(Duration::from_millis(500 + rng.below(3000)));
    }
    TaskScript::Runs
}

impl<'a> World<'a> {
    pub(super) fn new(scenario: &'a Scenario, seed: u64, crash_at: Option<CrashPoint>, trace_lines: usize) -> Self {
        let agents = (0..scenario.agents)
            .map(|at| {
                let what = vec![
                    resources::scalar("cpus", 2.0),
                    resources::scalar("mem", 2048.0),
                    resources::scalar("disk", 4096.0),
                    resources::ranges("ports", &[(31000, 31100)]),
                ];
                AgentConfig::new(&format!("agent-{at}"), 5051 + at as u16, what)
            })
            .collect();
        let mut config = model::Config::new(agents, seed);
        config.agent_ping_timeout = Duration::from_secs(5);
        config.max_agent_ping_timeouts = 3;
        let mut world = Self {
            scenario,
            seed,
            crash_at,
            rng: Rng::new(seed ^ 0x5eed),
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            sequence: 0,
            cluster: Cluster::new(config),
            executors: FakeExecutors::new(seed, script),
            burst: Vec::new(),
            stored: BTreeMap::new(),
            engine: None,
            wake_at: None,
            conn: 0,
            stream_id: None,
            to_engine_free: Duration::ZERO,
            to_master_free: Duration::ZERO,
            fail_next_commit: false,
            stopped_agents: BTreeSet::new(),
            parted_agents: BTreeSet::new(),
            gone_agents: BTreeSet::new(),
            repeats_left: scenario.faults.repeated_statuses,
            stalled: BTreeMap::new(),
            rules: Rules::default(),
            stats: Stats::default(),
            trace: VecDeque::new(),
            trace_lines,
            callers: 0,
        };
        world.schedule(Duration::from_millis(1500), Happening::Start);
        world.plan_faults(scenario.faults);
        world
    }

    fn plan_faults(&mut self, faults: Faults) {
        let kinds = [
            (faults.broken_connections, Fault::BreakConnection),
            (faults.lost_messages, Fault::LoseMessages),
            (faults.crashes, Fault::Crash),
            (faults.failed_commits, Fault::FailCommit),
            (faults.agent_restarts, Fault::RestartAgent),
            (faults.partitions, Fault::Partition),
            (faults.gone_agents, Fault::AgentGone),
            (faults.master_restarts, Fault::MasterRestart),
            (faults.failed_tasks, Fault::FailTask),
            (faults.dead_executors, Fault::KillExecutor),
            (faults.pod_restarts, Fault::PodRestart),
            (faults.pod_replaces, Fault::PodReplace),
            (faults.plan_commands, Fault::PlanCommand),
        ];
        for (mean, fault) in kinds {
            let count = if mean == 0 { 0 } else { self.rng.below(u64::from(mean) * 2 + 1) };
            for _ in 0..count {
                // Half of them fall into the first seconds, where deployment is.
                let span = if self.rng.below(2) == 0 { 8_000 } else { faults.until_ms };
                let at = Duration::from_millis(1_500 + self.rng.below(span));
                self.schedule(at, Happening::Fault(fault));
            }
        }
    }

    fn schedule(&mut self, at: Duration, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), self.sequence), happening);
    }

    fn latency(&mut self) -> Duration {
        // Mostly quick; now and then something is slow enough to arrive after its connection is gone.
        let bound = if self.rng.below(20) == 0 { 400_000 } else { 3_000 };
        Duration::from_micros(50 + self.rng.below(bound))
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.trace_lines == 0 {
            return;
        }
        let text = format!("{:>9.3}s {}", self.now.as_secs_f64(), line());
        if self.trace_lines == usize::MAX {
            println!("{text}");
            return;
        }
        if self.trace.len() >= self.trace_lines {
            self.trace.pop_front();
        }
        self.trace.push_back(text);
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp(1_700_000_000_000 + self.now.as_millis() as u64)
    }

    pub(super) fn run(mut self) -> Result<Stats, Box<Failure>> {
        match self.run_to_rest() {
            Ok(()) => {
                self.stats.virtual_ms = self.now.as_millis() as u64;
                Ok(self.stats)
            }
            Err(what) => Err(Box::new(Failure {
                scenario: self.scenario.name,
                seed: self.seed,
                crash: self.crash_at,
                what,
                trace: self.trace.into_iter().collect(),
            })),
        }
    }

    fn run_to_rest(&mut self) -> Step {
        let faults_end = Duration::from_millis(self.scenario.faults.until_ms + 2_000);
        self.run_until(faults_end)?;
        self.note(|| "faults end".to_owned());
        for agent in std::mem::take(&mut self.parted_agents) {
            self.input(Input::AgentHeal { agent })?;
        }
        for agent in std::mem::take(&mut self.stopped_agents) {
            self.input(Input::AgentStart { agent })?;
        }
        self.release_plans()?;
        let deadline = self.now + SETTLE;
        let mut next_look = self.now + Duration::from_secs(20);
        let mut last = String::from("never looked");
        while self.now < deadline {
            self.run_until(next_look)?;
            let gone = self.gone_agents.clone();
            match &self.engine {
                None => "the scheduler is down".clone_into(&mut last),
                Some(engine) => match Rules::at_rest(engine, &self.cluster, |agent| gone.contains(&agent)) {
                    Ok(()) => return Ok(()),
                    Err(problem) => last = problem,
                },
            }
            next_look = self.now + Duration::from_secs(20).max((self.now.saturating_sub(faults_end)) / 4);
        }
        Err(format!("not at rest an hour after the last fault:\n  {last}"))
    }

    /// Operators let go of whatever they hold, so that everything can come to rest.
    fn release_plans(&mut self) -> Step {
        let Some(engine) = &self.engine else { return Ok(()) };
        let held: Vec<(String, Option<String>)> = engine
            .plans()
            .iter()
            .filter(|plan| plan.name != "backup")
            .flat_map(|plan| {
                let phases = plan
                    .phases
                    .iter()
                    .filter(|phase| phase.is_interrupted)
                    .map(|phase| (plan.name.clone(), Some(phase.name.clone())));
                phases.chain([(plan.name.clone(), None)]).collect::<Vec<_>>()
            })
            .collect();
        for (plan, phase) in held {
            self.command(Command::Plan { plan, verb: PlanVerb::Continue, phase, step: None })?;
        }
        Ok(())
    }

    fn run_until(&mut self, end: Duration) -> Step {
        loop {
            let engine_at = self.wake_at.map(|at| Duration::from_millis(at.0.saturating_sub(1_700_000_000_000)));
            let next = [
                self.queue.keys().next().map(|(at, _)| *at),
                self.cluster.next_wakeup(),
                self.executors.next_wakeup(),
                engine_at,
            ]
            .into_iter()
            .flatten()
            .min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = self.now.max(end);
                return Ok(());
            };
            self.now = self.now.max(next);
            self.stats.events += 1;
            if self.stats.events > MAX_STEPS {
                return Err(format!("more than {MAX_STEPS} steps: the run goes in circles"));
            }
            if let Some(input) = self.executors.poll(self.now) {
                let stalled = match &input {
                    Input::ExecutorCall { agent, call } => {
                        self.stalled.get_mut(&(*agent, call.executor_id.value.clone()))
                    }
                    _ => None,
                };
                match (stalled, input) {
                    (Some(waiting), Input::ExecutorCall { call, .. }) => waiting.push_back(call),
                    (_, input) => self.input(input)?,
                }
            } else if self.queue.keys().next().is_some_and(|(at, _)| *at <= self.now) {
                if let Some((_, happening)) = self.queue.pop_first() {
                    self.happen(happening)?;
                }
            } else if engine_at.is_some_and(|at| at <= self.now) {
                self.wake_at = None;
                self.feed(Event::Tick)?;
            } else {
                self.input(Input::Tick)?;
            }
        }
    }

    fn happen(&mut self, happening: Happening) -> Step {
        match happening {
            Happening::Start => self.start(),
            Happening::Connect => self.connect(),
            Happening::ToEngine { conn, frame } => self.arrive(conn, frame),
            Happening::ToMaster { stream_id, call } => {
                self.input(Input::SchedulerCall { stream_id: Some(stream_id), call })
            }
            Happening::MasterNotices { conn } => self.input(Input::SchedulerDisconnected { conn }),
            Happening::ExecutorRepeats { agent, executor_id } => self.repeat(agent, executor_id),
            Happening::Fault(fault) => self.fault(fault),
        }
    }

    /// Sends what an executor could not send, in order, until its agent is not ready again.
    fn repeat(&mut self, agent: usize, executor_id: String) -> Step {
        let key = (agent, executor_id);
        let calls = self.stalled.remove(&key).unwrap_or_default();
        for call in calls {
            if let Some(waiting) = self.stalled.get_mut(&key) {
                waiting.push_back(call);
            } else {
                self.input(Input::ExecutorCall { agent, call })?;
            }
        }
        Ok(())
    }

    /// Steps the cluster and carries its outputs on.
    fn input(&mut self, input: Input) -> Step {
        let is_call = matches!(input, Input::SchedulerCall { .. });
        let of_executor = match &input {
            Input::ExecutorCall { agent, call } => Some((*agent, call.clone())),
            _ => None,
        };
        let outputs = self.cluster.step(input, self.now);
        self.executors.observe(&outputs, self.now);
        self.rules.outputs(&outputs, &self.cluster)?;
        for output in outputs {
            match output {
                Output::StreamOpened { conn, stream_id } if conn == self.conn => self.stream_id = Some(stream_id),
                Output::ToScheduler { conn, event } => self.deliver(conn, &event),
                Output::CloseScheduler { conn } if conn == self.conn => self.lose_connection(false)?,
                Output::Refused { status: 503, .. } if of_executor.is_some() => {
                    // What an executor has to tell it tells until its agent takes it, in order.
                    if let Some((agent, call)) = of_executor.clone() {
                        let executor_id = call.executor_id.value.clone();
                        self.stalled.entry((agent, executor_id.clone())).or_default().push_front(call);
                        let at = self.now + Duration::from_millis(100);
                        self.schedule(at, Happening::ExecutorRepeats { agent, executor_id });
                    }
                }
                Output::Refused { status, text } => {
                    self.note(|| format!("refused {status}: {text}"));
                    // The client resubscribes when a call is refused.
                    if is_call && self.engine.is_some() {
                        self.lose_connection(true)?;
                    }
                }
                Output::DestroyVolume { agent, volume } => {
                    self.note(|| format!("agent-{agent} destroys volume {}", volume.id));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn deliver(&mut self, conn: u64, event: &scheduler::Event) {
        let frame = Bytes::from(event.encode_to_vec());
        let delay = self.latency();
        self.to_engine_free = self.to_engine_free.max(self.now + delay);
        let at = self.to_engine_free;
        self.schedule(at, Happening::ToEngine { conn, frame: frame.clone() });
        let is_update = event.r#type() == event::Type::Update;
        if is_update && self.repeats_left > 0 && self.rng.below(4) == 0 {
            self.repeats_left -= 1;
            let late = at + Duration::from_millis(self.rng.below(30_000));
            self.schedule(late, Happening::ToEngine { conn, frame });
        }
    }

    fn arrive(&mut self, conn: u64, frame: Bytes) -> Step {
        if conn != self.conn || self.engine.is_none() || self.stream_id.is_none() {
            return Ok(());
        }
        match convert::incoming(frame).map_err(|problem| format!("an event of the master was refused: {problem}"))? {
            Incoming::Subscribed { framework_id, master, .. } => self.feed(Event::Subscribed { framework_id, master }),
            Incoming::Offers { offers, malformed } => {
                if let Some(one) = malformed.first() {
                    return Err(format!("an offer was refused: {}", one.error));
                }
                self.note(|| {
                    format!("-> offers {:?}", offers.iter().map(|offer| offer.hostname.as_str()).collect::<Vec<_>>())
                });
                self.feed(Event::Offers(offers))
            }
            Incoming::Event(event) => {
                if let Event::Status(status) = &event {
                    self.rules.told(status.task_id.as_str(), status.state);
                    if status.state == State::GoneByOperator {
                        self.lost_for_good(status.task_id.as_str());
                    }
                    let (id, state, uuid) = (status.task_id.clone(), status.state, status.uuid.is_some());
                    self.note(|| format!("-> {id} {} {}", state.as_str(), if uuid { "" } else { "(no uuid)" }));
                } else {
                    self.note(|| format!("-> {event:?}").chars().take(160).collect());
                }
                match event {
                    Event::Status(status) => {
                        self.burst.push(status);
                        if self.is_followed(conn) { Ok(()) } else { self.feed_burst() }
                    }
                    event => self.feed(event),
                }
            }
            Incoming::Error(text) => Err(format!("the master says: {text}")),
            Incoming::Heartbeat | Incoming::Ignored(_) => self.feed_burst(),
        }
    }

    /// Whether the next thing to happen is that more arrives: then, with every other seed, the scheduler takes it together with this, as its
    /// loop does with what is queued.
    fn is_followed(&self, conn: u64) -> bool {
        let next = self.queue.first_key_value();
        let is_close = next.is_some_and(|((at, _), what)| {
            *at <= self.now + BURST && matches!(what, Happening::ToEngine { conn: other, .. } if *other == conn)
        });
        self.seed % 2 == 1 && is_close
    }

    fn feed_burst(&mut self) -> Step {
        let now = self.timestamp();
        let statuses = std::mem::take(&mut self.burst);
        let Some(engine) = self.engine.as_mut().filter(|_| !statuses.is_empty()) else { return Ok(()) };
        let effects = engine.step_statuses(statuses, now);
        self.perform(effects)
    }

    fn lost_for_good(&mut self, task_id: &str) {
        let state = check::reload(&self.stored);
        let found = state.tasks.values().find(|task| task.task_id.as_ref().is_some_and(|id| id.as_str() == task_id));
        if let Some(pod) = found.map(|task| task.pod.to_string()) {
            self.rules.give_up(&pod);
        }
    }

    fn start(&mut self) -> Step {
        if self.engine.is_some() {
            return Ok(());
        }
        self.stats.starts += 1;
        let ids = Generator::seeded((u128::from(self.seed) << 64) | u128::from(self.stats.starts));
        let config =
            Config { implicit_reconciliation: Millis::from_secs(600), ..Config::new("sim-role", "scheduler", 1) };
        self.note(|| "the scheduler starts".to_owned());
        let (engine, effects) =
            Engine::start(config, self.scenario.spec.clone(), self.stored.clone(), ids, self.timestamp())
                .map_err(|problem| format!("the engine does not start: {problem}"))?;
        self.engine = Some(engine);
        self.perform(effects)?;
        if self.engine.is_some() {
            let at = self.now + self.latency();
            self.schedule(at, Happening::Connect);
        }
        Ok(())
    }

    fn connect(&mut self) -> Step {
        let Some(engine) = &self.engine else { return Ok(()) };
        if self.stream_id.is_some() {
            return Ok(());
        }
        let spec = engine.spec();
        let identity = Identity {
            name: spec.name.clone(),
            user: spec.user.clone(),
            principal: spec.principal.clone(),
            roles: vec!["sim-role".to_owned()],
            webui_url: None,
            is_region_aware: false,
            is_gpu_aware: false,
        };
        let framework_id = engine.framework_id().cloned();
        let call = scheduler::Call {
            framework_id: framework_id.as_ref().map(convert::framework_wire),
            r#type: Some(call::Type::Subscribe.into()),
            subscribe: Some(Box::new(call::Subscribe {
                framework_info: identity.framework_info(framework_id.as_ref()),
                ..Default::default()
            })),
            ..Default::default()
        };
        self.conn += 1;
        let conn = self.conn;
        self.note(|| format!("connects ({conn})"));
        self.input(Input::SchedulerConnected { conn, call: Box::new(call) })?;
        if self.stream_id.is_none() {
            let at = self.now + Duration::from_millis(500);
            self.schedule(at, Happening::Connect);
        }
        Ok(())
    }

    /// The subscription is over; the engine is told, and the client connects again.
    fn lose_connection(&mut self, tell_master: bool) -> Step {
        if self.stream_id.take().is_none() {
            return Ok(());
        }
        let conn = self.conn;
        self.note(|| format!("connection {conn} is lost"));
        self.drop_on_its_way();
        if tell_master {
            let at = self.now + Duration::from_millis(self.rng.below(200));
            self.schedule(at, Happening::MasterNotices { conn });
        }
        if self.engine.is_some() {
            self.feed(Event::Disconnected)?;
            let at = self.now + Duration::from_millis(100 + self.rng.below(3000));
            self.schedule(at, Happening::Connect);
        }
        Ok(())
    }

    /// What is on its way when a connection breaks arrives up to some point only.
    fn drop_on_its_way(&mut self) {
        self.burst.clear();
        let calls: Vec<_> = self
            .queue
            .iter()
            .filter(|(_, what)| matches!(what, Happening::ToMaster { .. }))
            .map(|(key, _)| *key)
            .collect();
        let kept = self.rng.below(calls.len() as u64 + 1) as usize;
        for key in calls.into_iter().skip(kept) {
            self.queue.remove(&key);
        }
    }

    fn feed(&mut self, event: Event) -> Step {
        self.feed_burst()?;
        let now = self.timestamp();
        let Some(engine) = &mut self.engine else { return Ok(()) };
        let effects = engine.step(event, now);
        self.perform(effects)
    }

    /// The shell's part, in its order, with the places where the process may die.
    fn perform(&mut self, effects: Effects) -> Step {
        for entry in effects.journal.iter().filter(|_| self.trace_lines > 0).cloned().collect::<Vec<_>>() {
            let text = format!("   {entry:?}");
            if !text.contains("OffersReceived") && !text.contains("StatusReceived") && !text.contains("Evaluated") {
                self.note(|| text.chars().take(300).collect());
            }
        }
        if !effects.commit.is_empty() {
            self.stats.commits += 1;
            let number = self.stats.commits;
            if self.crash_at == Some(CrashPoint::BeforeCommit(number)) {
                self.crash("before a commit");
                return Ok(());
            }
            let fails = std::mem::take(&mut self.fail_next_commit);
            if fails && self.rng.below(2) == 0 {
                self.crash("a commit fails, not durable");
                return Ok(());
            }
            effects.commit.apply_to(&mut self.stored);
            if fails {
                self.crash("a commit fails, durable all the same");
                return Ok(());
            }
            if self.crash_at == Some(CrashPoint::AfterCommit(number)) {
                self.crash("after a commit");
                return Ok(());
            }
        }
        if let Some(engine) = &self.engine {
            Rules::engine(engine, &self.stored)?;
        }
        self.wake_at = effects.wake_at;
        for call in effects.send {
            self.stats.calls += 1;
            if self.crash_at == Some(CrashPoint::BeforeCall(self.stats.calls)) {
                self.crash("before a call");
                return Ok(());
            }
            let number = self.stats.calls;
            self.send(call)?;
            if self.crash_at == Some(CrashPoint::AfterCall(number)) {
                self.crash("after a call");
                return Ok(());
            }
        }
        if let Some((code, reason)) = effects.exit {
            return Err(format!("the engine wants to exit with {code}: {reason}"));
        }
        Ok(())
    }

    fn send(&mut self, call: Call) -> Step {
        let Some(framework_id) = self.engine.as_ref().and_then(Engine::framework_id).cloned() else {
            return Err(format!("a call without a framework id: {call:?}"));
        };
        let describe = |call: &Call| match call {
            Call::Accept { operations, .. } => {
                let kinds: Vec<_> = operations.iter().map(|operation| operation.r#type().as_str_name()).collect();
                format!("<- ACCEPT {kinds:?}")
            }
            Call::Acknowledge { task_id, .. } => format!("<- ACKNOWLEDGE {task_id}"),
            other => format!("<- {other:?}"),
        };
        self.note(|| describe(&call).chars().take(200).collect());
        let wire = convert::call(call, &framework_id);
        self.stats.launches += wire.accept.iter().flat_map(|accept| &accept.operations).map(launches).sum::<u64>();
        self.rules.call(&wire, &self.stored, &self.cluster)?;
        // A call made while disconnected goes nowhere.
        let Some(stream_id) = self.stream_id.clone() else { return Ok(()) };
        let delay = self.latency();
        self.to_master_free = self.to_master_free.max(self.now + delay);
        let at = self.to_master_free;
        self.schedule(at, Happening::ToMaster { stream_id, call: Box::new(wire) });
        Ok(())
    }

    fn crash(&mut self, why: &str) {
        if self.engine.take().is_none() {
            return;
        }
        self.note(|| format!("the scheduler dies: {why}"));
        self.wake_at = None;
        if self.stream_id.take().is_some() {
            self.drop_on_its_way();
            let conn = self.conn;
            let at = self.now + Duration::from_millis(self.rng.below(50));
            self.schedule(at, Happening::MasterNotices { conn });
        }
        let pause = if self.rng.below(4) == 0 { 60_000 } else { 5_000 };
        let at = self.now + Duration::from_millis(100 + self.rng.below(pause));
        self.schedule(at, Happening::Start);
    }

    fn pick_agent(&mut self) -> usize {
        self.rng.below(self.scenario.agents as u64) as usize
    }

    fn fault(&mut self, fault: Fault) -> Step {
        self.note(|| format!("fault: {fault:?}"));
        match fault {
            Fault::BreakConnection => self.lose_connection(true),
            Fault::Crash => {
                self.crash("killed");
                Ok(())
            }
            Fault::FailCommit => {
                self.fail_next_commit = true;
                Ok(())
            }
            Fault::LoseMessages => {
                let agent = self.pick_agent();
                let count = 1 + self.rng.below(2) as u32;
                self.input(Input::AgentLoseMessages { agent, count })
            }
            Fault::RestartAgent => {
                let agent = self.pick_agent();
                if self.gone_agents.contains(&agent) || !self.stopped_agents.insert(agent) {
                    return Ok(());
                }
                let pause = if self.rng.below(3) == 0 { 60_000 } else { 3_000 };
                let at = self.now + Duration::from_millis(500 + self.rng.below(pause));
                self.schedule(at, Happening::Fault(Fault::StartAgent(agent)));
                self.input(Input::AgentStop { agent })
            }
            Fault::StartAgent(agent) => {
                if self.stopped_agents.remove(&agent) {
                    return self.input(Input::AgentStart { agent });
                }
                Ok(())
            }
            Fault::Partition => {
                let agent = self.pick_agent();
                if self.gone_agents.contains(&agent) || !self.parted_agents.insert(agent) {
                    return Ok(());
                }
                let at = self.now + Duration::from_millis(2_000 + self.rng.below(90_000));
                self.schedule(at, Happening::Fault(Fault::Heal(agent)));
                self.input(Input::AgentPartition { agent })
            }
            Fault::Heal(agent) => {
                if self.parted_agents.remove(&agent) {
                    return self.input(Input::AgentHeal { agent });
                }
                Ok(())
            }
            Fault::AgentGone => {
                let agent = self.pick_agent();
                // Two world pods on hosts of their own and hello need room for the rest of the run.
                if !self.gone_agents.is_empty()
                    || self.parted_agents.contains(&agent)
                    || self.stopped_agents.contains(&agent)
                {
                    return Ok(());
                }
                self.gone_agents.insert(agent);
                self.input(Input::AgentGone { agent })
            }
            Fault::MasterRestart => {
                self.lose_connection(false)?;
                self.input(Input::MasterRestart)
            }
            Fault::FailTask => {
                let running = self.executors.running_tasks();
                if running.is_empty() {
                    return Ok(());
                }
                let at = self.rng.below(running.len() as u64) as usize;
                self.executors.fail_task(&running[at].0, self.now);
                Ok(())
            }
            Fault::KillExecutor => {
                let running = self.executors.running_tasks();
                if running.is_empty() {
                    return Ok(());
                }
                let at = self.rng.below(running.len() as u64) as usize;
                self.executors.crash(&running[at].1, self.now);
                Ok(())
            }
            Fault::PodRestart => {
                let pod = self.pick_pod();
                self.command(Command::Pod { pod, verb: PodVerb::Restart })
            }
            Fault::PodReplace => {
                let pod = self.pick_pod();
                if self.engine.is_some() {
                    self.rules.give_up(&pod);
                }
                self.command(Command::Pod { pod, verb: PodVerb::Replace })
            }
            Fault::PlanCommand => self.plan_command(),
        }
    }

    fn pick_pod(&mut self) -> String {
        ["hello-0", "world-0", "world-1"][self.rng.below(3) as usize].to_owned()
    }

    fn plan_command(&mut self) -> Step {
        let plan = ["deploy", "recovery", "backup", "backup"][self.rng.below(4) as usize].to_owned();
        let verb = match self.rng.below(7) {
            0 => PlanVerb::Start([("WHY".to_owned(), "simulation".to_owned())].into()),
            1 => PlanVerb::Stop,
            2 => PlanVerb::Interrupt,
            3 => PlanVerb::Restart,
            4 if plan == "backup" => PlanVerb::ForceComplete,
            _ => PlanVerb::Continue,
        };
        self.command(Command::Plan { plan, verb, phase: None, step: None })
    }

    fn command(&mut self, command: Command) -> Step {
        self.callers += 1;
        let caller = self.callers;
        self.note(|| format!("operator: {command:?}"));
        self.feed(Event::Command { caller, command })
    }
}

fn launches(operation: &wire::offer::Operation) -> u64 {
    let single = operation.launch.as_ref().map_or(0, |launch| launch.task_infos.len());
    let group = operation.launch_group.as_ref().map_or(0, |group| group.task_group.tasks.len());
    (single + group) as u64
}
