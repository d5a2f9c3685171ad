//! One run: the engine, the model of the cluster and executors without processes on one virtual clock, without any delay between them.
//!
//! Of a large cluster the model starts without agents. Whenever nothing goes on, the engine is asked which of the agents outside would do, and some of
//! those join; the others would only have been refused. So what a run costs grows by what is launched and, once for each kind of step, by agents.
//!
//! Invariant: an agent stays outside only while no step that has its turn fits there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mainstay_devcluster::fake_executor::{FakeExecutors, TaskScript};
use mainstay_devcluster::model::resources;
use mainstay_devcluster::{AgentConfig, Cluster, Config, Input, Output, Rng};
use mainstay_proto::v1::scheduler::{self, call};
use mainstay_proto::v1::{self as wire};
use mainstay_scheduler::engine::Engine;
use mainstay_scheduler::engine::command::{Answer, Command, PlanVerb};
use mainstay_scheduler::engine::effect::Effects;
use mainstay_scheduler::engine::event::Event;
use mainstay_scheduler::engine::explain::{Answers, Explanation, Question, Waiting};
use mainstay_scheduler::engine::ids::{AgentId, Generator, PodInstance};
use mainstay_scheduler::engine::offer::Offer;
use mainstay_scheduler::engine::plan::{Plan, Status, Step};
use mainstay_scheduler::engine::resource::Resource;
use mainstay_scheduler::engine::state::Task;
use mainstay_scheduler::engine::units::{Scalar, Timestamp};
use mainstay_scheduler::mesos::convert::{self, Incoming};
use mainstay_scheduler::spec::Goal;
use prost::Message as _;

use super::scout::{self, Offers};
use super::{Amounts, Left, Outcome, Place, Pod, Volume};
use crate::service::Service;

/// When nothing has changed for this long nothing will: far above what allocation, launch and checks take.
const QUIET: Duration = Duration::from_secs(30);
/// The plan that counts.
const DEPLOY: &str = "deploy";
/// Begin of the virtual clock, milliseconds since the Unix epoch.
const EPOCH: u64 = 1_700_000_000_000;
/// The one connection of the scheduler.
const CONN: u64 = 1;

/// Agents that join at once for one kind of step.
const JOINING: usize = 48;

type Script = Box<dyn FnMut(&wire::TaskInfo, &mut Rng) -> TaskScript>;

struct World {
    now: Duration,
    cluster: Cluster,
    executors: FakeExecutors<Script>,
    engine: Engine,
    wake_at: Option<Duration>,
    stream_id: Option<String>,
    inbox: VecDeque<scheduler::Event>,
    /// Text of the last status with which the model refused a launch.
    refusal: Option<String>,
    /// Agents that were offered.
    offered: BTreeSet<String>,
    /// Names of the agents that have joined, by their position.
    names: Vec<String>,
    /// Those that have not, in the order in which they would, with what they offer.
    outside: Vec<(AgentConfig, Vec<Arc<Offer>>)>,
    events_left: u64,
    callers: u64,
}

/// What the engine is started with, in every run.
fn start(service: &Service, seed: u64) -> Result<(Engine, Effects), String> {
    let spec = service.spec.clone();
    let config = service.settings.engine(&spec, "scheduler", 8080);
    let ids = Generator::seeded(u128::from(seed));
    let (mut engine, effects) = Engine::start(config, spec, BTreeMap::new(), ids, timestamp(Duration::ZERO))
        .map_err(|error| format!("the service cannot be started: {error}"))?;
    engine.remember_offers(usize::MAX);
    Ok((engine, effects))
}

/// What each agent offers the service while nothing runs.
///
/// Errors: the engine does not start, or the model refuses the service.
pub(super) fn scouted(
    service: &Service,
    agents: &[AgentConfig],
    master: Option<&wire::DomainInfo>,
) -> Result<Offers, String> {
    let (engine, _) = start(service, 0)?;
    let identity = service.settings.identity(engine.spec(), engine.state());
    scout::offers(agents, master, &identity.framework_info(None))
}

/// Deploys a service on agents that offer in this order; with `scouted` given they join as they are needed.
///
/// Errors: the engine does not start, or engine and model disagree, which is a fault of ours.
pub(super) fn run(
    service: &Service,
    agents: Vec<AgentConfig>,
    scouted: Option<&Offers>,
    master: Option<&wire::DomainInfo>,
    seed: u64,
) -> Result<Outcome, String> {
    let (inside, outside) = match scouted {
        Some(scouted) => {
            (Vec::new(), agents.into_iter().enumerate().map(|one| waiting_outside(one, scouted)).collect())
        }
        None => (agents, Vec::<(AgentConfig, Vec<Arc<Offer>>)>::new()),
    };
    let names: Vec<String> = inside.iter().map(|agent| agent.hostname.clone()).collect();
    let instances: u64 = service.spec.pods.iter().map(|pod| u64::from(pod.count)).sum();
    let events_left = 100_000 + 1000 * ((inside.len() + outside.len()) as u64 + instances);
    let mut config = Config::new(inside, seed);
    config.master_domain = master.cloned();
    let (engine, effects) = start(service, seed)?;
    let mut world = World {
        now: Duration::ZERO,
        executors: FakeExecutors::new(seed, script(service)),
        events_left,
        cluster: Cluster::new(config),
        engine,
        wake_at: None,
        stream_id: None,
        inbox: VecDeque::new(),
        refusal: None,
        offered: BTreeSet::new(),
        names,
        outside,
        callers: 0,
    };
    world.perform(effects)?;
    world.subscribe(service)?;
    let waiting = world.deploy(instances)?;
    Ok(world.outcome(service, scouted, waiting))
}

/// An agent with what it offers, under an id of its own that sorts by its place in the order.
fn waiting_outside((at, agent): (usize, AgentConfig), scouted: &Offers) -> (AgentConfig, Vec<Arc<Offer>>) {
    let id = AgentId::parse(format!("outside-{at:05}"));
    let mut offers = scouted.get(&agent.hostname).cloned().unwrap_or_default();
    if let Ok(id) = id {
        for offer in &mut offers {
            Arc::make_mut(offer).agent_id = id.clone();
        }
    }
    (agent, offers)
}

fn timestamp(now: Duration) -> Timestamp {
    Timestamp(EPOCH + now.as_millis() as u64)
}

/// Tasks run, or end well if that is their goal.
fn script(service: &Service) -> Script {
    let mut ending = BTreeSet::new();
    for pod in &service.spec.pods {
        for task in pod.tasks.iter().filter(|task| task.goal != Goal::Running) {
            let instances = (0..pod.count).map(|index| PodInstance { pod_type: pod.pod_type.clone(), index });
            ending.extend(instances.map(|instance| instance.task_name(&task.name).to_string()));
        }
    }
    Box::new(move |task: &wire::TaskInfo, _: &mut Rng| {
        if ending.contains(&task.name) { TaskScript::Finishes(Duration::from_millis(10)) } else { TaskScript::Runs }
    })
}

impl World {
    fn subscribe(&mut self, service: &Service) -> Result<(), String> {
        let call = scheduler::Call {
            r#type: Some(call::Type::Subscribe.into()),
            subscribe: Some(Box::new(call::Subscribe {
                framework_info: service.settings.identity(self.engine.spec(), self.engine.state()).framework_info(None),
                ..call::Subscribe::default()
            })),
            ..scheduler::Call::default()
        };
        self.input(Input::SchedulerConnected { conn: CONN, call: Box::new(call) })?;
        self.deliver()
    }

    /// Runs until everything is deployed or nothing more can be; gives what had to be passed over.
    fn deploy(&mut self, instances: u64) -> Result<Vec<Explanation>, String> {
        let mut passed_over = Vec::new();
        // Every round opens a gate, lets agents join or passes a step over; a pod instance has a few steps.
        for _ in 0..(100 + 10 * instances + self.outside.len() as u64) {
            self.run_until_quiet()?;
            if self.plan().is_none_or(|plan| plan.status() == Status::Complete) {
                return Ok(passed_over);
            }
            let question = self.engine.question();
            let question = self.of_all(question);
            let mut answers = Answers::default();
            let all = question.answer_beside(&mut answers, |_| true);
            // What the engine keeps it need not copy before it changes it.
            drop(question);
            let open: Vec<Explanation> = all.into_iter().filter(|one| one.plan == DEPLOY).collect();
            let mut is_going_on = false;
            for one in open.iter().filter(|one| matches!(one.waiting, Waiting::Held { .. })) {
                is_going_on |= self.release(&one.phase)?;
            }
            if is_going_on || self.join(&open)? {
                continue;
            }
            let stuck: Vec<&Explanation> =
                open.iter().filter(|one| matches!(one.waiting, Waiting::Offer(_) | Waiting::Error { .. })).collect();
            // Last ones first: a step that is passed over gives the next one its turn.
            let following = self.following(&stuck, &mut answers);
            let all: Vec<Explanation> = stuck.into_iter().cloned().chain(following).collect();
            let told = passed_over.len();
            for one in all.into_iter().rev() {
                if self.pass_over(&one.phase, &one.step)? {
                    is_going_on = true;
                    passed_over.push(one);
                }
            }
            passed_over[told..].reverse();
            if !is_going_on {
                if let Some(refusal) = &self.refusal {
                    return Err(format!("the model of Mesos refuses what the scheduler asks for: {refusal}"));
                }
                passed_over.extend(open);
                return Ok(passed_over);
            }
        }
        Err("the deployment goes in circles".to_owned())
    }

    /// A question over every agent, those that have not joined included.
    fn of_all(&self, question: Question) -> Question {
        let offers = self.outside.iter().flat_map(|(_, offers)| offers);
        question.with_offers(offers, timestamp(self.now)).naming(self.names.len() + JOINING)
    }

    /// Lets some agents join on which steps fit that have their turn; false when there are none.
    fn join(&mut self, open: &[Explanation]) -> Result<bool, String> {
        let fitting: BTreeSet<&str> = open
            .iter()
            .filter_map(|one| if let Waiting::Offer(search) = &one.waiting { Some(&search.fitting) } else { None })
            .flatten()
            .map(String::as_str)
            .collect();
        let (joining, outside): (Vec<_>, Vec<_>) = std::mem::take(&mut self.outside)
            .into_iter()
            .partition(|(agent, _)| fitting.contains(agent.hostname.as_str()));
        self.outside = outside;
        if joining.is_empty() {
            return Ok(false);
        }
        for (agent, _) in joining {
            self.names.push(agent.hostname.clone());
            self.cluster.add_agent(agent);
        }
        self.input(Input::Tick)?;
        self.deliver()?;
        Ok(true)
    }

    /// The steps behind those that fit nowhere which fit nowhere either, as far as they follow without a gap: nothing is launched in between that
    /// could make them fit.
    fn following(&mut self, stuck: &[&Explanation], answers: &mut Answers) -> Vec<Explanation> {
        let is_hopeless = |one: &Explanation| matches!(&one.waiting, Waiting::Offer(search) if search.fits == 0);
        let phases: BTreeSet<&str> =
            stuck.iter().filter(|one| is_hopeless(one)).map(|one| one.phase.as_str()).collect();
        if phases.is_empty() {
            return Vec::new();
        }
        let outlook = self.engine.outlook();
        let all = self.of_all(outlook).answer_beside(answers, |_| true);
        let mut following = Vec::new();
        for phase in phases {
            let of_phase = all.iter().filter(|one| one.plan == DEPLOY && one.phase == phase);
            let is_stuck =
                |one: &Explanation| stuck.iter().any(|known| known.phase == one.phase && known.step == one.step);
            let from_first = of_phase.skip_while(|one| !is_stuck(one));
            following.extend(from_first.take_while(|one| is_hopeless(one)).filter(|one| !is_stuck(one)).cloned());
        }
        following
    }

    fn plan(&self) -> Option<&Plan> {
        self.engine.plans().iter().find(|plan| plan.name == DEPLOY)
    }

    /// Statuses of all steps, to see that something happens.
    fn mark(&self) -> Vec<Status> {
        let phases = self.plan().into_iter().flat_map(|plan| &plan.phases);
        phases.flat_map(|phase| phase.steps.iter().map(Step::status)).collect()
    }

    fn run_until_quiet(&mut self) -> Result<(), String> {
        let mut version = self.plan().map(|plan| plan.version);
        let mut mark = self.mark();
        let mut changed_at = self.now;
        loop {
            let next = [self.cluster.next_wakeup(), self.executors.next_wakeup(), self.wake_at];
            let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= changed_at + QUIET) else {
                return Ok(());
            };
            self.now = self.now.max(next);
            self.events_left -= 1;
            if self.events_left == 0 {
                let refusal = self.refusal.take().unwrap_or_else(|| "nothing was refused".to_owned());
                return Err(format!("the deployment goes in circles ({refusal})"));
            }
            if let Some(input) = self.executors.poll(self.now) {
                self.input(input)?;
            } else if self.wake_at.is_some_and(|at| at <= self.now) {
                self.wake_at = None;
                self.feed(Event::Tick)?;
            } else {
                self.input(Input::Tick)?;
            }
            self.deliver()?;
            // Without another version of the plan nothing of it has changed.
            let now = self.plan().map(|plan| plan.version);
            if std::mem::replace(&mut version, now) == now {
                continue;
            }
            let seen = self.mark();
            if seen != mark {
                mark = seen;
                changed_at = self.now;
                if self.plan().is_none_or(|plan| plan.status() == Status::Complete) {
                    return Ok(());
                }
            }
        }
    }

    /// Lets a held plan or phase go on; false when there was nothing to release.
    fn release(&mut self, phase: &str) -> Result<bool, String> {
        let plan_held = self.plan().is_some_and(|plan| plan.is_interrupted);
        let phase = (!plan_held).then(|| phase.to_owned());
        self.command(Command::Plan { plan: DEPLOY.to_owned(), verb: PlanVerb::Continue, phase, step: None })
    }

    /// Takes a step for done, so that what follows it is tried too.
    fn pass_over(&mut self, phase: &str, step: &str) -> Result<bool, String> {
        let found = self.plan().and_then(|plan| {
            let phases = plan.phases.iter().filter(|known| known.name == phase);
            let mut steps = phases.flat_map(|phase| phase.steps.iter().map(move |step| (phase.id, step)));
            let (phase, step) = steps.find(|(_, known)| known.name == step && known.status() != Status::Complete)?;
            Some((phase.to_string(), step.id.to_string()))
        });
        let Some((phase, step)) = found else { return Ok(false) };
        let (phase, step) = (Some(phase), Some(step));
        self.command(Command::Plan { plan: DEPLOY.to_owned(), verb: PlanVerb::ForceComplete, phase, step })
    }

    fn command(&mut self, command: Command) -> Result<bool, String> {
        self.callers += 1;
        let effects = self.engine.step(Event::Command { caller: self.callers, command }, timestamp(self.now));
        let is_done = effects.replies.iter().any(|reply| reply.answer == Answer::Received);
        self.perform(effects)?;
        self.deliver()?;
        Ok(is_done)
    }

    fn feed(&mut self, event: Event) -> Result<(), String> {
        let effects = self.engine.step(event, timestamp(self.now));
        self.perform(effects)
    }

    /// The shell's part; nothing is stored, since nothing is to outlive the run.
    fn perform(&mut self, effects: Effects) -> Result<(), String> {
        self.wake_at = effects.wake_at.map(|at| Duration::from_millis(at.0.saturating_sub(EPOCH)));
        if let Some((_, reason)) = effects.exit {
            return Err(reason);
        }
        for call in effects.send {
            let Some(framework_id) = self.engine.framework_id().cloned() else { continue };
            let call = Box::new(convert::call(call, &framework_id));
            self.input(Input::SchedulerCall { stream_id: self.stream_id.clone(), call })?;
        }
        Ok(())
    }

    fn input(&mut self, input: Input) -> Result<(), String> {
        let is_ours = matches!(input, Input::SchedulerCall { .. } | Input::SchedulerConnected { .. });
        let outputs = self.cluster.step(input, self.now);
        self.executors.observe(&outputs, self.now);
        for output in outputs {
            match output {
                Output::StreamOpened { stream_id, .. } => self.stream_id = Some(stream_id),
                Output::ToScheduler { event, .. } => self.inbox.push_back(*event),
                Output::Refused { status, text } if is_ours => {
                    return Err(format!("the model of Mesos refuses a call with {status}: {text}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Hands over what the master sent, until there is nothing more.
    fn deliver(&mut self) -> Result<(), String> {
        while let Some(event) = self.inbox.pop_front() {
            if let Some(status) = event.update.as_ref().map(|update| &update.status) {
                self.note_refusal(status);
            }
            let incoming = convert::incoming(event.encode_to_vec().into());
            match incoming.map_err(|error| format!("an event of the model cannot be read: {error}"))? {
                Incoming::Subscribed { framework_id, master, .. } => {
                    self.feed(Event::Subscribed { framework_id, master })?;
                }
                Incoming::Offers { offers, .. } => {
                    self.offered.extend(offers.iter().map(|offer| offer.hostname.clone()));
                    self.feed(Event::Offers(offers))?;
                }
                Incoming::Event(event) => self.feed(event)?,
                Incoming::Error(text) => return Err(format!("the master would refuse the service: {text}")),
                Incoming::Heartbeat | Incoming::Ignored(_) => {}
            }
        }
        Ok(())
    }

    fn note_refusal(&mut self, status: &wire::TaskStatus) {
        if matches!(status.state(), wire::TaskState::TaskError | wire::TaskState::TaskDropped) {
            self.refusal = Some(format!("{}: {}", status.task_id.value, status.message()));
        }
    }

    fn outcome(&self, service: &Service, scouted: Option<&Offers>, waiting: Vec<Explanation>) -> Outcome {
        let names = &self.names;
        let planned: BTreeSet<&PodInstance> = self
            .plan()
            .iter()
            .flat_map(|plan| &plan.phases)
            .flat_map(|phase| &phase.steps)
            .map(|step| &step.pod)
            .collect();
        let mut by_pod: BTreeMap<PodInstance, Vec<Explanation>> = BTreeMap::new();
        for one in waiting {
            // A new deployment has no plan that was refused as a whole.
            if let Some(pod) = one.pod.clone() {
                by_pod.entry(pod).or_default().push(one);
            }
        }
        let mut pods = Vec::new();
        for pod in &service.spec.pods {
            for index in 0..pod.count {
                let instance = PodInstance { pod_type: pod.pod_type.clone(), index };
                pods.push(Pod {
                    name: instance.to_string(),
                    place: self.place(&instance, names),
                    waiting: by_pod.remove(&instance).unwrap_or_default(),
                    is_planned: planned.contains(&instance),
                });
            }
        }
        let used: BTreeSet<&str> = pods.iter().filter_map(|pod| Some(pod.place.as_ref()?.hostname.as_str())).collect();
        let own_role = service.settings.role(&service.spec);
        let mut roles = service.settings.roles(&service.spec);
        roles.retain(|role| *role != own_role);
        roles.insert(0, own_role);
        let inside = names
            .iter()
            .enumerate()
            .map(|(at, name)| left(&self.cluster.unused(at), name, used.contains(name.as_str()), &roles));
        let outside = self.outside.iter().map(|(agent, _)| left(&agent.resources, &agent.hostname, false, &roles));
        let is_offered =
            |name: &String| scouted.map_or_else(|| self.offered.contains(name), |offers| offers.contains_key(name));
        let all = names.iter().chain(self.outside.iter().map(|(agent, _)| &agent.hostname));
        let never_offered = all.filter(|name| !is_offered(name)).cloned().collect();
        let left = inside.chain(outside).collect();
        Outcome { service: service.spec.name.clone(), pods, left, orders: (1, 1), never_offered, notes: Vec::new() }
    }

    fn place(&self, instance: &PodInstance, names: &[String]) -> Option<Place> {
        let tasks: Vec<&Task> =
            self.engine.state().tasks.values().map(AsRef::as_ref).filter(|task| task.pod == *instance).collect();
        let launched = tasks.iter().find(|task| task.task_id.is_some())?;
        let agent = self.cluster.agent_of(launched.agent_id.as_str())?;
        let mut ports: Vec<(String, u16)> = tasks.iter().flat_map(|task| task.ports.iter().cloned()).collect();
        ports.sort();
        ports.dedup();
        let held = tasks.iter().flat_map(|task| {
            task.resources.iter().chain(task.executor.iter().flat_map(|executor| &executor.resources))
        });
        let mut volumes: BTreeMap<&str, Volume> = BTreeMap::new();
        for resource in held {
            if let (Some(id), Some(volume)) = (resource.persistence_id(), volume(resource)) {
                volumes.insert(id.as_str(), volume);
            }
        }
        let mut volumes: Vec<Volume> = volumes.into_values().collect();
        volumes.sort();
        Some(Place { hostname: names.get(agent)?.clone(), ports, volumes })
    }
}

/// What of these resources the service may still have; the first role is its own.
fn left(resources: &[wire::Resource], hostname: &str, is_used: bool, roles: &[String]) -> Left {
    let mut left = Left { hostname: hostname.to_owned(), is_used, own: Amounts::default(), reserved: BTreeMap::new() };
    for resource in resources.iter().filter(|resource| !resources::is_dynamically_reserved(resource)) {
        let is_for = |role: &&String| resources::is_allocatable_to(resource, role);
        match roles.iter().find(is_for) {
            Some(role) if roles.first() == Some(role) => left.own.add(resource),
            // A pod's role may be one below that of the reservation.
            Some(role) => {
                let reserved = resources::reservation_role(resource).unwrap_or(role);
                left.reserved.entry(reserved.to_owned()).or_default().add(resource);
            }
            None => {}
        }
    }
    for amounts in left.reserved.values_mut().chain([&mut left.own]) {
        amounts.ports.sort_unstable();
        amounts.mounts.sort();
    }
    left
}

impl Amounts {
    fn add(&mut self, resource: &wire::Resource) {
        let amount = Scalar::from_millis(resources::scalar_millis(resource).max(0) as u64);
        if let Some(ranges) = resource.ranges.as_ref().filter(|_| resource.name == "ports") {
            self.ports.extend(ranges.range.iter().map(|range| (range.begin, range.end)));
        } else if let Some(source) = resources::disk_source(resource) {
            let mount = source.mount.as_ref().and_then(|mount| mount.root.clone());
            let path = || source.path.as_ref().and_then(|path| path.root.clone());
            self.mounts.push((mount.or_else(path).unwrap_or_default(), amount));
        } else if resource.scalar.is_some() {
            let sum = self.sums.entry(resource.name.clone()).or_default();
            *sum = sum.plus(amount);
        }
    }
}

fn volume(resource: &Resource) -> Option<Volume> {
    use mainstay_scheduler::engine::resource::Value;
    let Value::Scalar(size) = resource.value else { return None };
    let disk = resource.disk.as_ref()?;
    Some(Volume {
        path: disk.container_path.clone().unwrap_or_default(),
        size,
        root: disk.source.as_ref().map(|source| source.root.clone().unwrap_or_default()),
    })
}
