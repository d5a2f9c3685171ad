//! Fifty schedulers on one small cluster, in virtual time: nobody starves, nobody storms.
//!
//! A batch framework holds nearly everything and gives it back piece by piece. One service asks for more than any agent has, for ever; some are
//! idle from the start; the others wait for the pieces. Bytes, events and calls go through the scheduler's own conversion.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use mainstay_devcluster::fake_executor::{FakeExecutors, TaskScript};
use mainstay_devcluster::model::ids::Rng;
use mainstay_devcluster::model::resources::{ranges, scalar, scalar_millis};
use mainstay_devcluster::model::{self, AgentConfig, Cluster, Input, Output};
use mainstay_engine::Engine;
use mainstay_engine::command::{Command, PodVerb};
use mainstay_engine::config::Config;
use mainstay_engine::effect::{Call, Effects};
use mainstay_engine::event::Event;
use mainstay_engine::ids::Generator;
use mainstay_engine::plan::{Plan, Status};
use mainstay_engine::units::Timestamp;
use mainstay_proto::v1 as wire;
use mainstay_proto::v1::offer::operation;
use mainstay_proto::v1::scheduler::{self, call, event};
use mainstay_scheduler::mesos::convert::{self, Incoming};
use mainstay_scheduler::mesos::subscribe::Identity;
use prost::Message as _;

const SERVICES: usize = 50;
const AGENTS: usize = 4;
/// Pieces of one cpu that the batch framework holds on each agent.
const PIECES: usize = 8;
/// Cpus of an agent; what is beside the pieces is for the services that are placed at once.
const CPUS: f64 = 9.0;
const INTERVAL: Duration = Duration::from_secs(1);
/// How often room is looked for.
const LOOK: Duration = Duration::from_millis(50);
const LATENCY: Duration = Duration::from_millis(2);
/// Connection and framework of the batch.
const BATCH: usize = SERVICES;
/// The service that can never be placed.
const IMPOSSIBLE: usize = 0;
/// Cpus of one pod with its executor, in thousandths.
const POD_MILLIS: i64 = 600;
const EPOCH_MS: u64 = 1_700_000_000_000;

fn specification(number: usize) -> String {
    let (cpus, goal) = match number {
        IMPOSSIBLE => ("100", "RUNNING"),
        // Some are done when their task is.
        _ if number.is_multiple_of(5) => ("0.5", "FINISH"),
        _ => ("0.5", "RUNNING"),
    };
    format!(
        "name: svc-{number}\npods:\n  node:\n    count: 1\n    tasks:\n      main:\n        goal: {goal}\n        cmd: run\n        \
         cpus: {cpus}\n        memory: 64\n"
    )
}

fn script(task: &wire::TaskInfo, rng: &mut Rng) -> TaskScript {
    if let Some(piece) = task.name.strip_prefix("piece-") {
        // Now and then two at once.
        let piece: u64 = piece.parse().unwrap();
        return TaskScript::Finishes(Duration::from_millis(20_000 + piece * 4_000 + rng.below(8_000)));
    }
    let service =
        task.task_id.value.split("__").next().and_then(|name| name.strip_prefix("svc-")?.parse::<usize>().ok());
    if service.is_some_and(|number| number.is_multiple_of(5)) {
        TaskScript::Finishes(Duration::from_secs(3))
    } else {
        TaskScript::Runs
    }
}

struct Service {
    engine: Engine,
    stored: BTreeMap<String, Bytes>,
    wake_at: Option<Timestamp>,
}

enum Happening {
    Connect(usize),
    ToService { service: usize, frame: Bytes },
    ToMaster { service: usize, call: Box<scheduler::Call> },
    Replace(usize),
    Fail(usize),
}

/// Calls of one kind by virtual minute and service.
type Counts = BTreeMap<(&'static str, u64, usize), u64>;

struct World {
    now: Duration,
    queue: BTreeMap<(Duration, u64), Happening>,
    sequence: u64,
    cluster: Cluster,
    executors: FakeExecutors<fn(&wire::TaskInfo, &mut Rng) -> TaskScript>,
    services: Vec<Service>,
    streams: BTreeMap<usize, String>,
    batch_id: Option<wire::FrameworkId>,
    pieces: usize,
    counts: Counts,
    /// How much room for a pod that waits each agent has, and since when just so much.
    idle_since: BTreeMap<usize, (i64, Duration)>,
    longest_idle: Duration,
    look_at: Duration,
    /// When something of a service ended, and how long it then took to launch again.
    ended_at: BTreeMap<usize, Duration>,
    relaunched: BTreeMap<usize, Duration>,
    launches: BTreeMap<usize, u64>,
}

impl World {
    fn new() -> Self {
        let agents = (0..AGENTS).map(|at| {
            let what = vec![
                scalar("cpus", CPUS),
                scalar("mem", 65_536.0),
                scalar("disk", 65_536.0),
                ranges("ports", &[(31_000, 32_000)]),
            ];
            AgentConfig::new(&format!("agent-{at}"), 5051 + at as u16, what)
        });
        let mut world = Self {
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            sequence: 0,
            cluster: Cluster::new(model::Config {
                allocation_interval: INTERVAL,
                ..model::Config::new(agents.collect(), 1)
            }),
            executors: FakeExecutors::new(1, script),
            services: (0..SERVICES).map(service).collect(),
            streams: BTreeMap::new(),
            batch_id: None,
            pieces: 0,
            counts: BTreeMap::new(),
            idle_since: BTreeMap::new(),
            longest_idle: Duration::ZERO,
            look_at: Duration::ZERO,
            ended_at: BTreeMap::new(),
            relaunched: BTreeMap::new(),
            launches: BTreeMap::new(),
        };
        world.schedule(Duration::from_millis(1500), Happening::Connect(BATCH));
        for number in 0..SERVICES {
            world.schedule(Duration::from_millis(6_000 + 37 * number as u64), Happening::Connect(number));
        }
        world
    }

    fn schedule(&mut self, at: Duration, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), self.sequence), happening);
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp(EPOCH_MS + self.now.as_millis() as u64)
    }

    fn run_until(&mut self, end: Duration) {
        loop {
            let wake = |service: &Service| Some(Duration::from_millis(service.wake_at?.0.saturating_sub(EPOCH_MS)));
            let timer = (0..SERVICES).filter_map(|at| Some((wake(&self.services[at])?, at))).min();
            let next = [
                self.queue.keys().next().map(|(at, _)| *at),
                self.cluster.next_wakeup(),
                self.executors.next_wakeup(),
                timer.map(|(at, _)| at),
            ];
            let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if let Some(input) = self.executors.poll(self.now) {
                self.input(None, input);
            } else if self.queue.keys().next().is_some_and(|(at, _)| *at <= self.now) {
                let (_, happening) = self.queue.pop_first().unwrap();
                self.happen(happening);
            } else if let Some((_, service)) = timer.filter(|(at, _)| *at <= self.now) {
                self.services[service].wake_at = None;
                self.feed(service, Event::Tick);
            } else {
                self.input(None, Input::Tick);
            }
            if self.now >= self.look_at {
                self.look_at = self.now + LOOK;
                self.look_for_idle_room();
            }
        }
        self.now = self.now.max(end);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Connect(service) => {
                let (name, role) = (format!("svc-{service}"), format!("role-{service}"));
                let identity = Identity {
                    principal: format!("{name}-principal"),
                    name,
                    user: "root".to_owned(),
                    roles: vec![role],
                    webui_url: None,
                    is_region_aware: false,
                    is_gpu_aware: false,
                };
                let call = scheduler::Call {
                    r#type: Some(call::Type::Subscribe.into()),
                    subscribe: Some(Box::new(call::Subscribe {
                        framework_info: identity.framework_info(None),
                        ..Default::default()
                    })),
                    ..Default::default()
                };
                self.input(None, Input::SchedulerConnected { conn: service as u64, call: Box::new(call) });
            }
            Happening::ToService { service: BATCH, frame } => self.batch(&frame),
            Happening::ToService { service, frame } => match convert::incoming(frame).unwrap() {
                Incoming::Subscribed { framework_id, master, .. } => {
                    self.feed(service, Event::Subscribed { framework_id, master });
                }
                Incoming::Offers { offers, malformed } => {
                    assert!(malformed.is_empty());
                    self.feed(service, Event::Offers(offers));
                }
                Incoming::Event(event) => self.feed(service, event),
                Incoming::Error(text) => panic!("svc-{service}: {text}"),
                Incoming::Heartbeat | Incoming::Ignored(_) => {}
            },
            Happening::ToMaster { service, call } => {
                let stream_id = self.streams.get(&service).cloned();
                self.input(Some(service), Input::SchedulerCall { stream_id, call });
            }
            Happening::Replace(service) => {
                self.ended_at.insert(service, self.now);
                let command = Command::Pod { pod: "node-0".to_owned(), verb: PodVerb::Replace };
                self.feed(service, Event::Command { caller: 1, command });
            }
            Happening::Fail(service) => {
                self.ended_at.insert(service, self.now);
                let prefix = format!("svc-{service}__");
                let running = self.executors.running_tasks();
                let (task, _) = running.iter().find(|(task, _)| task.starts_with(&prefix)).unwrap();
                assert!(self.executors.fail_task(task, self.now));
            }
        }
    }

    fn input(&mut self, caller: Option<usize>, input: Input) {
        let outputs = self.cluster.step(input, self.now);
        self.executors.observe(&outputs, self.now);
        for output in outputs {
            match output {
                Output::StreamOpened { conn, stream_id } => drop(self.streams.insert(conn as usize, stream_id)),
                Output::ToScheduler { conn, event } => {
                    let frame = Bytes::from(event.encode_to_vec());
                    self.schedule(self.now + LATENCY, Happening::ToService { service: conn as usize, frame });
                }
                Output::Refused { status, text } => panic!("{caller:?} is refused with {status}: {text}"),
                Output::CloseScheduler { conn } => panic!("the master ends connection {conn}"),
                _ => {}
            }
        }
    }

    fn feed(&mut self, service: usize, event: Event) {
        let now = self.timestamp();
        let effects = self.services[service].engine.step(event, now);
        self.perform(service, effects);
    }

    fn perform(&mut self, service: usize, effects: Effects) {
        assert_eq!(effects.exit, None);
        effects.commit.apply_to(&mut self.services[service].stored);
        self.services[service].wake_at = effects.wake_at;
        for call in effects.send {
            let kind = match &call {
                Call::Revive => "REVIVE",
                Call::Suppress => "SUPPRESS",
                Call::Decline { .. } => "DECLINE",
                Call::Accept { operations, .. } => {
                    if operations.iter().any(|operation| operation.launch_group.is_some()) {
                        *self.launches.entry(service).or_default() += 1;
                        if let Some(ended) = self.ended_at.remove(&service) {
                            self.relaunched.insert(service, self.now.saturating_sub(ended));
                        }
                    }
                    "ACCEPT"
                }
                _ => "other",
            };
            *self.counts.entry((kind, self.now.as_secs() / 60, service)).or_default() += 1;
            let id = self.services[service].engine.framework_id().unwrap().clone();
            let call = Box::new(convert::call(call, &id));
            self.schedule(self.now + LATENCY, Happening::ToMaster { service, call });
        }
    }

    /// The batch framework: one task a piece, and nothing else is wanted.
    fn batch(&mut self, frame: &Bytes) {
        let event = scheduler::Event::decode(frame.clone()).unwrap();
        let mut send = Vec::new();
        match event.r#type() {
            event::Type::Subscribed => self.batch_id = Some(event.subscribed.unwrap().framework_id.clone()),
            event::Type::Offers => {
                for offer in event.offers.unwrap().offers {
                    let operations =
                        if self.pieces < AGENTS * PIECES { vec![self.pieces_of(&offer)] } else { Vec::new() };
                    send.push(scheduler::Call {
                        r#type: Some(call::Type::Accept.into()),
                        accept: Some(Box::new(call::Accept {
                            offer_ids: vec![offer.id],
                            operations,
                            filters: Some(wire::Filters { refuse_seconds: Some(1e6) }),
                        })),
                        ..Default::default()
                    });
                }
                if self.pieces >= AGENTS * PIECES {
                    send.push(scheduler::Call {
                        r#type: Some(call::Type::Suppress.into()),
                        suppress: Some(Box::default()),
                        ..Default::default()
                    });
                }
            }
            event::Type::Update => {
                let status = event.update.unwrap().status;
                if let (Some(uuid), Some(agent_id)) = (status.uuid.clone(), status.agent_id.clone()) {
                    send.push(scheduler::Call {
                        r#type: Some(call::Type::Acknowledge.into()),
                        acknowledge: Some(Box::new(call::Acknowledge {
                            agent_id,
                            task_id: status.task_id.clone(),
                            uuid,
                        })),
                        ..Default::default()
                    });
                }
            }
            _ => {}
        }
        for call in send {
            let call = Box::new(scheduler::Call { framework_id: self.batch_id.clone(), ..call });
            self.schedule(self.now + LATENCY, Happening::ToMaster { service: BATCH, call });
        }
    }

    fn pieces_of(&mut self, offer: &wire::Offer) -> wire::offer::Operation {
        let allocated =
            |name, amount| wire::Resource { allocation_info: offer.allocation_info.clone(), ..scalar(name, amount) };
        let tasks = (0..PIECES).map(|_| {
            let name = format!("piece-{}", self.pieces);
            self.pieces += 1;
            wire::TaskInfo {
                task_id: wire::TaskId { value: name.clone() },
                name,
                agent_id: offer.agent_id.clone(),
                resources: vec![allocated("cpus", 0.9), allocated("mem", 64.0)],
                executor: Some(Box::new(wire::ExecutorInfo {
                    r#type: Some(wire::executor_info::Type::Custom.into()),
                    executor_id: wire::ExecutorId { value: format!("of-{}", self.pieces) },
                    resources: vec![allocated("cpus", 0.1), allocated("mem", 32.0)],
                    command: Some(Box::new(wire::CommandInfo { value: Some("run".to_owned()), ..Default::default() })),
                    ..Default::default()
                })),
                ..Default::default()
            }
        });
        let launch = operation::Launch { task_infos: tasks.collect() };
        wire::offer::Operation {
            r#type: Some(operation::Type::Launch.into()),
            launch: Some(Box::new(launch)),
            ..Default::default()
        }
    }

    fn is_waiting(&self, service: usize) -> bool {
        let plans: &[Plan] = self.services[service].engine.plans();
        plans[0].status() != Status::Complete && !self.launches.contains_key(&service)
    }

    /// Room that a waiting service could use must not lie idle.
    fn look_for_idle_room(&mut self) {
        let is_anyone_waiting =
            (0..SERVICES).any(|at| at != IMPOSSIBLE && self.streams.contains_key(&at) && self.is_waiting(at));
        let batch = self.batch_id.as_ref().map(|id| id.value.clone()).unwrap_or_default();
        let (executors, tasks) = (self.cluster.live_executors(), self.cluster.live_tasks());
        for agent in 0..AGENTS {
            let reserved = self.cluster.reservations(agent);
            let reserved: i64 = reserved.iter().filter(|one| one.name == "cpus").map(scalar_millis).sum();
            let held = executors.iter().filter(|one| one.agent == agent && one.framework_id == batch).count();
            let run = tasks.iter().filter(|one| one.agent == agent && one.framework_id == batch).count();
            let free = (CPUS * 1000.0) as i64 - reserved - 100 * held as i64 - 900 * run as i64;
            if is_anyone_waiting && self.pieces > 0 && free >= POD_MILLIS {
                // Room that grows is offered anew to everybody, also to those who could not use it before.
                let entry = self.idle_since.entry(agent).or_insert((free, self.now));
                if entry.0 != free {
                    *entry = (free, self.now);
                }
                self.longest_idle = self.longest_idle.max(self.now.saturating_sub(entry.1));
            } else {
                self.idle_since.remove(&agent);
            }
        }
    }

    fn count(&self, kind: &str, minute: Option<u64>, service: Option<usize>) -> u64 {
        let of = |(key, count): (&(&'static str, u64, usize), &u64)| {
            let (what, when, who) = *key;
            let fits =
                what == kind && minute.is_none_or(|minute| minute == when) && service.is_none_or(|one| one == who);
            fits.then_some(*count)
        };
        self.counts.iter().filter_map(of).sum()
    }
}

fn service(number: usize) -> Service {
    let text = specification(number);
    let source = mainstay_spec::Source { file_name: "svc.yml", text: &text };
    let spec = mainstay_spec::load(source, &BTreeMap::new(), &|path| Err(format!("no file {path}")));
    let spec = spec.unwrap_or_else(|report| panic!("{report}")).spec;
    let config = Config::new(format!("role-{number}"), "scheduler", 1);
    let ids = Generator::seeded(number as u128 + 1);
    let (engine, effects) = Engine::start(config, spec, BTreeMap::new(), ids, Timestamp(EPOCH_MS)).unwrap();
    let mut stored = BTreeMap::new();
    effects.commit.apply_to(&mut stored);
    Service { engine, stored, wake_at: None }
}

#[test]
fn fifty_schedulers_share_a_small_cluster_without_starving_or_storming() {
    let mut world = World::new();
    // The last piece ends after 20 s + 31 * 4 s + 8 s at most.
    world.run_until(Duration::from_secs(180));
    let waiting: Vec<usize> = (0..SERVICES).filter(|at| world.is_waiting(*at)).collect();
    assert_eq!(waiting, [IMPOSSIBLE], "everybody else was served");
    for at in (0..SERVICES).filter(|at| *at != IMPOSSIBLE) {
        assert_eq!(world.services[at].engine.plans()[0].status(), Status::Complete, "svc-{at}");
        assert_eq!(world.launches[&at], 1, "svc-{at}");
    }
    // One cycle may go to the service that cannot be placed: it holds nothing, so it comes first.
    assert!(world.longest_idle <= 2 * INTERVAL + LOOK + 4 * LATENCY, "room lay idle for {:?}", world.longest_idle);

    // Idle services have something to do again: one task of a suppressed service fails, another one's pod is replaced.
    world.schedule(Duration::from_secs(200), Happening::Fail(7));
    world.schedule(Duration::from_secs(203), Happening::Replace(8));
    world.run_until(Duration::from_secs(600));
    for service in [7, 8] {
        let took = world.relaunched[&service];
        assert!(took <= 2 * INTERVAL, "svc-{service} was launched again after {took:?}");
    }

    let per_minute = |kind| (0..10).map(|minute| world.count(kind, Some(minute), None)).collect::<Vec<_>>();
    let (revives, declines) = (per_minute("REVIVE"), per_minute("DECLINE"));
    let told = format!("REVIVE {revives:?}, DECLINE {declines:?}");
    // At its subscription, after its launch, and when something ended; twice in the minute in which most start.
    assert!(revives.iter().all(|count| *count <= 2 * SERVICES as u64), "{told}");
    assert!(declines.iter().all(|count| *count <= (2 * SERVICES * AGENTS) as u64), "{told}");
    // Everybody but one is idle: nothing is left of it but a look a minute at each agent.
    assert!(revives[5..].iter().all(|count| *count == 0), "{told}");
    assert!(declines[5..].iter().all(|count| *count <= 2 * AGENTS as u64), "{told}");
    for service in 0..SERVICES {
        let count = |kind| world.count(kind, None, Some(service));
        assert!(
            count("REVIVE") <= 6 && count("SUPPRESS") <= 4,
            "svc-{service}: {} {}",
            count("REVIVE"),
            count("SUPPRESS")
        );
    }
    assert_eq!(
        (world.count("REVIVE", None, Some(IMPOSSIBLE)), world.count("SUPPRESS", None, Some(IMPOSSIBLE))),
        (1, 0)
    );
    let most = (0..10).map(|minute| world.count("DECLINE", Some(minute), Some(IMPOSSIBLE))).max();
    assert!(most <= Some(8 * AGENTS as u64), "an impossible wish costs {most:?} declines a minute");
}
