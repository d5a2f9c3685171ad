//! Scenarios through the whole pure cluster, with fake executors in virtual time.
#![allow(clippy::unwrap_used)]

use super::resources::{allocate, describe, is_volume, ranges, scalar};
use super::*;
use crate::fake_executor::{FakeExecutors, TaskScript};

use scheduler::call::Type as CallType;
use scheduler::event::Type as EventType;
use v1::TaskState;
use v1::task_status::{Reason, Source};

type Script = fn(&v1::TaskInfo, &mut ids::Rng) -> TaskScript;

fn by_name(task: &v1::TaskInfo, _: &mut ids::Rng) -> TaskScript {
    match task.name.as_str() {
        "finishes" => TaskScript::Finishes(Duration::from_secs(1)),
        "fails" => TaskScript::Fails(Duration::from_secs(1)),
        _ => TaskScript::Runs,
    }
}

/// A cluster, its executors and one framework that acknowledges what it is told to.
struct World {
    cluster: Cluster,
    executors: FakeExecutors<Script>,
    now: Duration,
    conn: u64,
    stream_id: String,
    framework_id: Option<String>,
    events: Vec<scheduler::Event>,
    outputs: Vec<Output>,
    acknowledges: bool,
}

const ROLE: &str = "test-role";
const SECOND: Duration = Duration::from_secs(1);

fn agent(name: &str, port: u16) -> AgentConfig {
    let resources =
        vec![scalar("cpus", 4.0), scalar("mem", 4096.0), scalar("disk", 10_000.0), ranges("ports", &[(31000, 31100)])];
    AgentConfig::new(name, port, resources)
}

fn framework(capabilities: &[v1::framework_info::capability::Type]) -> v1::FrameworkInfo {
    let is_multi = capabilities.contains(&v1::framework_info::capability::Type::MultiRole);
    v1::FrameworkInfo {
        user: "root".into(),
        name: "test".into(),
        principal: Some("p".into()),
        checkpoint: Some(true),
        failover_timeout: Some(100.0),
        roles: if is_multi { vec![ROLE.into()] } else { Vec::new() },
        role: (!is_multi).then(|| ROLE.into()),
        capabilities: capabilities
            .iter()
            .map(|kind| v1::framework_info::Capability { r#type: Some(*kind as i32) })
            .collect(),
        ..Default::default()
    }
}

fn full() -> v1::FrameworkInfo {
    use v1::framework_info::capability::Type;
    framework(&[Type::MultiRole, Type::ReservationRefinement, Type::PartitionAware])
}

impl World {
    fn new(agents: u16) -> Self {
        let agents = (0..agents).map(|index| agent(&format!("agent-{index}"), 5051 + index)).collect();
        let cluster = Cluster::new(Config::new(agents, 1));
        Self {
            cluster,
            executors: FakeExecutors::new(1, by_name),
            now: Duration::ZERO,
            conn: 0,
            stream_id: String::new(),
            framework_id: None,
            events: Vec::new(),
            outputs: Vec::new(),
            acknowledges: true,
        }
    }

    fn subscribed(agents: u16) -> Self {
        let mut world = Self::new(agents);
        world.run(SECOND);
        world.subscribe(full());
        world
    }

    fn step(&mut self, input: Input) {
        let outputs = self.cluster.step(input, self.now);
        self.cluster.check_accounts().unwrap();
        self.executors.observe(&outputs, self.now);
        for output in &outputs {
            match output {
                Output::ToScheduler { conn, event } if *conn == self.conn => self.events.push((**event).clone()),
                Output::StreamOpened { conn, stream_id } if *conn == self.conn => self.stream_id.clone_from(stream_id),
                _ => {}
            }
        }
        self.outputs.extend(outputs.iter().cloned());
        for output in outputs {
            if let Output::ToScheduler { conn, event } = output
                && conn == self.conn
            {
                self.react(&event);
            }
        }
    }

    fn react(&mut self, event: &scheduler::Event) {
        if let Some(subscribed) = &event.subscribed {
            self.framework_id = Some(subscribed.framework_id.value.clone());
        }
        if let Some(update) = event.update.as_ref().filter(|_| self.acknowledges) {
            self.acknowledge(&update.status);
        }
    }

    fn acknowledge(&mut self, status: &v1::TaskStatus) {
        if let Some(uuid) = status.uuid.clone() {
            let (agent_id, task_id) = (status.agent_id.clone().unwrap(), status.task_id.clone());
            let acknowledge = Some(Box::new(scheduler::call::Acknowledge { agent_id, task_id, uuid }));
            self.call(scheduler::Call { acknowledge, ..call(CallType::Acknowledge) });
        }
    }

    /// Lets time pass, doing everything that becomes due.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.cluster.next_wakeup().into_iter().chain(self.executors.next_wakeup()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            match self.executors.poll(self.now) {
                Some(input) => self.step(input),
                None => self.step(Input::Tick),
            }
        }
        self.now = end;
    }

    fn subscribe(&mut self, info: v1::FrameworkInfo) {
        self.conn += 1;
        let id = self.framework_id.clone().map(|value| v1::FrameworkId { value });
        let framework_info = v1::FrameworkInfo { id: id.clone(), ..info };
        let subscribe = Some(Box::new(scheduler::call::Subscribe { framework_info, ..Default::default() }));
        let call = Box::new(scheduler::Call { framework_id: id, subscribe, ..call(CallType::Subscribe) });
        self.step(Input::SchedulerConnected { conn: self.conn, call });
    }

    fn call(&mut self, mut call: scheduler::Call) {
        call.framework_id = self.framework_id.clone().map(|value| v1::FrameworkId { value });
        self.step(Input::SchedulerCall { stream_id: Some(self.stream_id.clone()), call: Box::new(call) });
    }

    fn take_events(&mut self) -> Vec<scheduler::Event> {
        std::mem::take(&mut self.events)
    }

    /// The offers of all events since the last look.
    fn offers(&mut self) -> Vec<v1::Offer> {
        self.take_events().into_iter().filter_map(|event| event.offers).flat_map(|offers| offers.offers).collect()
    }

    /// State, source and reason of the updates since the last look.
    fn updates(&mut self) -> Vec<(String, TaskState, Source, Option<Reason>)> {
        let statuses = self.take_events().into_iter().filter_map(|event| event.update).map(|update| update.status);
        let brief = |status: v1::TaskStatus| {
            let reason = status.reason.map(|_| status.reason());
            (status.task_id.value.clone(), status.state(), status.source(), reason)
        };
        statuses.map(brief).collect()
    }

    fn accept(&mut self, offers: &[v1::Offer], operations: Vec<v1::offer::Operation>) {
        let offer_ids = offers.iter().map(|offer| offer.id.clone()).collect();
        let accept = scheduler::call::Accept { offer_ids, operations, filters: None };
        self.call(scheduler::Call { accept: Some(Box::new(accept)), ..call(CallType::Accept) });
    }

    /// One fresh offer, everything that was out declined.
    fn offer(&mut self) -> v1::Offer {
        let out: Vec<v1::OfferId> =
            self.cluster.outstanding_offers().into_iter().map(|(value, _)| v1::OfferId { value }).collect();
        let decline = Some(Box::new(scheduler::call::Decline { offer_ids: out, filters: None }));
        self.call(scheduler::Call { decline, ..call(CallType::Decline) });
        self.take_events();
        self.call(call(CallType::Revive));
        self.offers().pop().unwrap()
    }

    fn refusal(&self) -> Option<(u16, String)> {
        self.outputs.iter().rev().find_map(|output| match output {
            Output::Refused { status, text } => Some((*status, text.clone())),
            _ => None,
        })
    }
}

fn call(kind: CallType) -> scheduler::Call {
    scheduler::Call { r#type: Some(kind as i32), ..Default::default() }
}

fn reserved(mut resource: v1::Resource, label: &str) -> v1::Resource {
    resource.reservations.push(v1::resource::ReservationInfo {
        r#type: Some(v1::resource::reservation_info::Type::Dynamic as i32),
        role: Some(ROLE.into()),
        principal: Some("p".into()),
        labels: Some(Box::new(v1::Labels {
            labels: vec![v1::Label { key: "resource_id".into(), value: Some(label.into()) }],
        })),
    });
    resource
}

fn volume(label: &str, id: &str, path: &str) -> v1::Resource {
    let mut volume = reserved(scalar("disk", 100.0), label);
    volume.disk = Some(Box::new(v1::resource::DiskInfo {
        persistence: Some(Box::new(v1::resource::disk_info::Persistence {
            id: id.into(),
            principal: Some("p".into()),
        })),
        volume: Some(Box::new(v1::Volume {
            container_path: path.into(),
            mode: v1::volume::Mode::Rw as i32,
            ..Default::default()
        })),
        source: None,
    }));
    volume
}

fn operation(kind: v1::offer::operation::Type) -> v1::offer::Operation {
    v1::offer::Operation { r#type: Some(kind as i32), ..Default::default() }
}

fn reserve(resources: Vec<v1::Resource>) -> v1::offer::Operation {
    let reserve = Some(Box::new(v1::offer::operation::Reserve { resources, source: Vec::new() }));
    v1::offer::Operation { reserve, ..operation(v1::offer::operation::Type::Reserve) }
}

fn unreserve(resources: Vec<v1::Resource>) -> v1::offer::Operation {
    let unreserve = Some(Box::new(v1::offer::operation::Unreserve { resources }));
    v1::offer::Operation { unreserve, ..operation(v1::offer::operation::Type::Unreserve) }
}

fn create(volumes: Vec<v1::Resource>) -> v1::offer::Operation {
    let create = Some(Box::new(v1::offer::operation::Create { volumes }));
    v1::offer::Operation { create, ..operation(v1::offer::operation::Type::Create) }
}

fn destroy(volumes: Vec<v1::Resource>) -> v1::offer::Operation {
    let destroy = Some(Box::new(v1::offer::operation::Destroy { volumes }));
    v1::offer::Operation { destroy, ..operation(v1::offer::operation::Type::Destroy) }
}

fn executor_info(id: &str) -> v1::ExecutorInfo {
    v1::ExecutorInfo {
        executor_id: v1::ExecutorId { value: id.into() },
        r#type: Some(v1::executor_info::Type::Custom as i32),
        command: Some(Box::new(v1::CommandInfo { value: Some("./executor".into()), ..Default::default() })),
        resources: vec![scalar("cpus", 0.1), scalar("mem", 32.0), scalar("disk", 10.0)],
        ..Default::default()
    }
}

fn task(id: &str, name: &str, offer: &v1::Offer, executor: &str) -> v1::TaskInfo {
    v1::TaskInfo {
        name: name.into(),
        task_id: v1::TaskId { value: id.into() },
        agent_id: offer.agent_id.clone(),
        resources: vec![scalar("cpus", 0.5), scalar("mem", 64.0)],
        executor: Some(Box::new(executor_info(executor))),
        ..Default::default()
    }
}

fn launch(task_infos: Vec<v1::TaskInfo>) -> v1::offer::Operation {
    let launch = Some(Box::new(v1::offer::operation::Launch { task_infos }));
    v1::offer::Operation { launch, ..operation(v1::offer::operation::Type::Launch) }
}

fn group(world: &World, executor: &str, tasks: Vec<v1::TaskInfo>) -> v1::offer::Operation {
    let framework_id = world.framework_id.clone().map(|value| v1::FrameworkId { value });
    let executor = v1::ExecutorInfo { framework_id, ..executor_info(executor) };
    let tasks = tasks.into_iter().map(|task| v1::TaskInfo { executor: None, ..task }).collect();
    let group = v1::offer::operation::LaunchGroup { executor, task_group: v1::TaskGroupInfo { tasks } };
    v1::offer::Operation { launch_group: Some(Box::new(group)), ..operation(v1::offer::operation::Type::LaunchGroup) }
}

fn kinds(events: &[scheduler::Event]) -> Vec<EventType> {
    events.iter().map(scheduler::Event::r#type).collect()
}

#[test]
fn a_subscription_opens_with_its_three_events() {
    let mut world = World::new(2);
    world.run(SECOND);
    world.subscribe(full());
    let events = world.take_events();
    assert_eq!(kinds(&events), [EventType::Subscribed, EventType::Heartbeat, EventType::Offers]);
    assert!(world.framework_id.as_ref().unwrap().ends_with("-0000"));
    let offers = &events[2].offers.as_ref().unwrap().offers;
    assert_eq!(offers.len(), 2);
    assert_eq!(offers[0].allocation_info.as_ref().unwrap().role.as_deref(), Some(ROLE));
    assert!(offers[0].resources.iter().all(|one| one.role.is_none() && one.allocation_info.is_some()));
    world.run(SECOND * 31);
    assert_eq!(kinds(&world.take_events()), [EventType::Heartbeat, EventType::Heartbeat]);
}

#[test]
fn an_older_framework_sees_the_older_format() {
    let mut world = World::new(1);
    world.run(SECOND);
    world.subscribe(framework(&[]));
    let offer = world.offers().pop().unwrap();
    assert_eq!(offer.allocation_info, None);
    assert!(offer.resources.iter().all(|one| one.role.as_deref() == Some("*") && one.allocation_info.is_none()));
}

#[test]
fn a_newer_subscription_ends_the_older_one_and_stale_streams_are_refused() {
    let mut world = World::subscribed(1);
    let (old_conn, old_stream) = (world.conn, world.stream_id.clone());
    world.subscribe(full());
    let told = world.outputs.iter().any(|output| match output {
        Output::ToScheduler { conn, event } if *conn == old_conn => {
            event.error.as_ref().is_some_and(|error| error.message == "Framework failed over")
        }
        _ => false,
    });
    assert!(told);
    assert!(world.outputs.iter().any(|output| matches!(output, Output::CloseScheduler { conn } if *conn == old_conn)));
    world.stream_id = old_stream;
    world.call(call(CallType::Revive));
    assert_eq!(world.refusal().unwrap().0, 400);
    world.framework_id = Some("unknown".into());
    world.call(call(CallType::Revive));
    assert_eq!(world.refusal().unwrap(), (400, "Framework cannot be found".into()));
}

#[test]
fn a_disconnected_framework_is_refused_then_removed() {
    let mut world = World::subscribed(1);
    let offer = world.offer();
    world.accept(std::slice::from_ref(&offer), vec![launch(vec![task("t1", "runs", &offer, "e1")])]);
    world.run(SECOND);
    assert_eq!(world.cluster.live_tasks().len(), 1);
    world.step(Input::SchedulerDisconnected { conn: world.conn });
    world.call(call(CallType::Revive));
    assert_eq!(world.refusal().unwrap().0, 403);
    world.run(SECOND * 99);
    assert_eq!(world.cluster.live_tasks().len(), 1);
    world.run(SECOND * 20);
    assert!(world.cluster.live_executors().is_empty());
    world.subscribe(full());
    let events = world.take_events();
    assert_eq!(events.last().unwrap().error.as_ref().unwrap().message, "Framework has been removed");
}

#[test]
fn a_failover_timeout_of_zero_removes_at_once() {
    let mut world = World::new(1);
    world.run(SECOND);
    world.subscribe(v1::FrameworkInfo { failover_timeout: None, ..full() });
    world.step(Input::SchedulerDisconnected { conn: world.conn });
    assert!(world.cluster.framework_ids().is_empty());
}

#[test]
fn wrong_framework_infos_get_an_error_event_and_the_end() {
    let mut world = World::subscribed(1);
    world.subscribe(v1::FrameworkInfo { principal: Some("other".into()), ..full() });
    let conn = world.conn;
    let events = world.take_events();
    assert!(events.last().unwrap().error.as_ref().unwrap().message.contains("principal"));
    assert!(matches!(world.outputs.last(), Some(Output::CloseScheduler { conn: closed }) if *closed == conn));
}

#[test]
fn reserve_create_and_launch_in_one_accept() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    let disk = volume("r2", "v1", "data");
    let mut info = task("t1", "runs", &offer, "e1");
    info.resources = vec![reserved(scalar("cpus", 1.0), "r1"), scalar("mem", 64.0), disk.clone()];
    let operations = vec![
        reserve(vec![reserved(scalar("cpus", 1.0), "r1"), reserved(scalar("disk", 100.0), "r2")]),
        create(vec![disk.clone()]),
        launch(vec![info]),
    ];
    world.accept(&[offer], operations);
    let launched = world.outputs.iter().find_map(|output| match output {
        Output::LaunchExecutor { launch, .. } => Some(launch.clone()),
        _ => None,
    });
    let links = launched.unwrap().links;
    assert_eq!(links.len(), 1);
    assert_eq!((links[0].container_path.as_str(), links[0].volume.id.as_str()), ("data", "v1"));
    world.run(SECOND);
    assert_eq!(world.updates(), [("t1".into(), TaskState::TaskRunning, Source::Executor, None)]);
    assert_eq!(world.cluster.volumes().len(), 1);
    // The rest was refused for five seconds, but for what was converted and used.
    world.run(SECOND * 6);
    let rest = world.offers().pop().unwrap();
    assert!(!rest.resources.iter().any(is_volume));

    // After the kill, the volume is offered again, its link is gone and its data was never touched.
    let kill =
        Some(Box::new(scheduler::call::Kill { task_id: v1::TaskId { value: "t1".into() }, ..Default::default() }));
    world.call(scheduler::Call { kill, ..call(CallType::Kill) });
    world.run(SECOND * 7);
    assert!(
        world
            .outputs
            .iter()
            .any(|output| matches!(output, Output::UnlinkVolume { container_path, .. } if container_path == "data"))
    );
    let offers = world.offers();
    assert!(offers.iter().any(|offer| offer.resources.iter().any(is_volume)));
    assert!(!world.outputs.iter().any(|output| matches!(output, Output::DestroyVolume { .. })));

    // DESTROY before UNRESERVE, one accept for both.
    let offer = world.offer();
    let plain = reserved(scalar("disk", 100.0), "r2");
    let cpus = reserved(scalar("cpus", 1.0), "r1");
    world.accept(&[offer], vec![unreserve(vec![disk.clone()]), destroy(vec![disk]), unreserve(vec![plain, cpus])]);
    assert!(world.cluster.volumes().is_empty());
    assert!(world.cluster.reservations(0).is_empty());
    assert_eq!(world.outputs.iter().filter(|output| matches!(output, Output::DestroyVolume { .. })).count(), 1);
}

#[test]
fn operations_are_refused_one_by_one_and_say_why() {
    #[track_caller]
    fn check(expected: &str, operations: Vec<v1::offer::Operation>) {
        let mut world = World::subscribed(1);
        let offer = world.offers().pop().unwrap();
        let mut operations = operations;
        operations.last_mut().unwrap().id = Some(v1::OperationId { value: "op".into() });
        world.accept(&[offer], operations);
        let statuses = world.take_events().into_iter().filter_map(|event| event.update_operation_status);
        let status = statuses.map(|update| update.status).next_back().unwrap();
        if expected.is_empty() {
            assert_eq!(status.state(), v1::OperationState::OperationFinished, "{status:?}");
            assert!(status.uuid.is_some());
        } else {
            assert_eq!(status.state(), v1::OperationState::OperationError, "{status:?}");
            assert!(status.uuid.is_none() && status.agent_id.is_none());
            assert!(status.message().contains(expected), "{}", status.message());
        }
    }
    let cpus = |amount: f64| reserved(scalar("cpus", amount), "r1");
    let disk = || reserved(scalar("disk", 100.0), "r1");
    let made = || vec![reserve(vec![disk()]), create(vec![volume("r1", "v", "data")])];
    let then = |mut first: Vec<v1::offer::Operation>, last| {
        first.push(last);
        first
    };
    let with = |change: &dyn Fn(&mut v1::Resource)| {
        let mut one = cpus(1.0);
        change(&mut one);
        vec![reserve(vec![one])]
    };
    let made_with = |change: &dyn Fn(&mut v1::resource::DiskInfo)| {
        let mut one = volume("r1", "v", "data");
        change(one.disk.as_mut().unwrap());
        vec![reserve(vec![disk()]), create(vec![one])]
    };
    check("", vec![reserve(vec![cpus(1.0)])]);
    check("", vec![reserve(vec![allocate(cpus(1.0), ROLE)])]);
    check("does not contain", vec![reserve(vec![cpus(4.1)])]);
    check("does not contain", vec![reserve(vec![cpus(3.0)]), reserve(vec![cpus(1.1)])]);
    check("not dynamically reserved", vec![reserve(vec![scalar("cpus", 1.0)])]);
    check("with role 'other'", with(&|one| one.reservations[0].role = Some("other".into())));
    check("by principal 'p'", with(&|one| one.reservations[0].principal = None));
    check("another role", vec![reserve(vec![allocate(cpus(1.0), "other")])]);
    check("", vec![reserve(vec![cpus(1.0)]), unreserve(vec![cpus(0.5)])]);
    check("does not contain", vec![unreserve(vec![cpus(1.0)])]);
    check("not dynamically reserved", vec![unreserve(vec![scalar("cpus", 1.0)])]);
    check("", made());
    check("not unique", then(made(), create(vec![volume("r1", "v", "data")])));
    check("does not contain", then(made(), create(vec![volume("r1", "w", "data")])));
    check("destroy the persistent volume first", then(made(), unreserve(vec![volume("r1", "v", "x")])));
    check("does not contain", then(made(), unreserve(vec![disk()])));
    check("", then(made(), destroy(vec![volume("r1", "v", "x")])));
    check("not found", vec![destroy(vec![volume("r1", "v", "data")])]);
    check("'persistence'", made_with(&|disk| disk.persistence = None));
    check("'volume'", made_with(&|disk| disk.volume = None));
    check("RW", made_with(&|disk| disk.volume.as_mut().unwrap().set_mode(v1::volume::Mode::Ro)));
    check("host_path", made_with(&|disk| disk.volume.as_mut().unwrap().host_path = Some("/x".into())));
    check("by principal 'p'", made_with(&|disk| disk.persistence.as_mut().unwrap().principal = None));
    check("unreserved", vec![create(vec![v1::Resource { reservations: Vec::new(), ..volume("r1", "v", "data") }])]);
    check("GROW_VOLUME is not supported", vec![operation(v1::offer::operation::Type::GrowVolume)]);
}

#[test]
fn a_failed_operation_does_not_undo_or_stop_the_others() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    let operations = vec![
        reserve(vec![reserved(scalar("cpus", 1.0), "a")]),
        reserve(vec![reserved(scalar("cpus", 9.0), "b")]),
        reserve(vec![reserved(scalar("mem", 64.0), "c")]),
    ];
    world.accept(&[offer], operations);
    assert_eq!(describe(&world.cluster.reservations(0)).matches("DYNAMIC").count(), 2);
    // Without ids nobody is told.
    assert!(world.take_events().is_empty());
}

#[test]
fn feedback_is_repeated_until_acknowledged() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    let id = v1::OperationId { value: "op".into() };
    let one = v1::offer::Operation { id: Some(id.clone()), ..reserve(vec![reserved(scalar("cpus", 1.0), "a")]) };
    world.accept(&[offer], vec![one]);
    let status = |world: &mut World| {
        let all = world.take_events().into_iter().filter_map(|event| event.update_operation_status);
        all.map(|update| update.status).next()
    };
    let first = status(&mut world).unwrap();
    world.run(SECOND * 11);
    let again = status(&mut world).unwrap();
    assert_eq!(first.uuid, again.uuid);
    let acknowledge = scheduler::call::AcknowledgeOperationStatus {
        agent_id: first.agent_id.clone(),
        uuid: first.uuid.unwrap().value,
        operation_id: id,
        ..Default::default()
    };
    world.call(scheduler::Call {
        acknowledge_operation_status: Some(Box::new(acknowledge)),
        ..call(CallType::AcknowledgeOperationStatus)
    });
    world.run(SECOND * 60);
    assert_eq!(status(&mut world), None);
}

#[test]
fn stale_offers_drop_the_whole_accept() {
    let mut world = World::subscribed(2);
    let offers = world.offers();
    let stale = v1::Offer { id: v1::OfferId { value: "gone".into() }, ..offers[0].clone() };
    let info = task("t1", "runs", &offers[0], "e1");
    world.accept(&[offers[0].clone(), stale], vec![launch(vec![info])]);
    assert_eq!(world.updates(), [("t1".into(), TaskState::TaskDropped, Source::Master, Some(Reason::InvalidOffers))]);
    // Two agents in one call are just as wrong.
    world.run(SECOND * 2);
    let again = world.offers();
    assert_eq!(again.len(), 1);
    let info = task("t2", "runs", &offers[1], "e1");
    world.accept(&[again[0].clone(), offers[1].clone()], vec![launch(vec![info])]);
    assert_eq!(world.updates()[0].3, Some(Reason::InvalidOffers));
}

#[test]
fn bad_tasks_end_alone_in_a_launch_and_together_in_a_group() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    let (good, mut bad) = (task("good", "runs", &offer, "e1"), task("bad", "runs", &offer, "e1"));
    bad.resources[0] = scalar("cpus", 100.0);
    world.accept(&[offer], vec![launch(vec![bad.clone(), good.clone()])]);
    world.run(SECOND);
    let updates = world.updates();
    assert_eq!(updates[0], ("bad".into(), TaskState::TaskError, Source::Master, Some(Reason::TaskInvalid)));
    assert_eq!(updates[1], ("good".into(), TaskState::TaskRunning, Source::Executor, None));

    let offer = world.offer();
    let other =
        |id: &str, task: &v1::TaskInfo| v1::TaskInfo { task_id: v1::TaskId { value: id.into() }, ..task.clone() };
    let tasks = vec![other("bad2", &bad), other("good2", &good)];
    let operation = group(&world, "e2", tasks);
    world.accept(&[offer], vec![operation]);
    let updates = world.updates();
    assert_eq!(updates.len(), 2);
    assert!(
        updates.iter().all(|update| update.1 == TaskState::TaskError && update.3 == Some(Reason::TaskGroupInvalid))
    );

    // A duplicate names the healthy task, which lives on.
    let offer = world.offer();
    world.accept(&[offer], vec![launch(vec![good])]);
    assert_eq!(world.updates()[0].1, TaskState::TaskError);
    assert_eq!(world.cluster.live_tasks().len(), 1);
}

#[test]
fn a_group_runs_under_one_executor_and_more_tasks_join_it() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    let operation = group(&world, "pod", vec![task("a", "runs", &offer, "pod"), task("b", "runs", &offer, "pod")]);
    world.accept(&[offer], vec![operation]);
    world.run(SECOND);
    assert_eq!(world.updates().len(), 2);
    assert_eq!(world.cluster.live_executors().len(), 1);
    let offer = world.offer();
    assert_eq!(offer.executor_ids[0].value, "pod");
    let joining = task("c", "finishes", &offer, "pod");
    world.accept(std::slice::from_ref(&offer), vec![launch(vec![joining])]);
    world.run(SECOND * 2);
    let states: Vec<TaskState> = world.updates().into_iter().map(|update| update.1).collect();
    assert_eq!(states, [TaskState::TaskRunning, TaskState::TaskFinished]);
    // Another description of the live executor is refused.
    let offer = world.offer();
    let mut changed = task("d", "runs", &offer, "pod");
    changed.executor.as_mut().unwrap().name = Some("changed".into());
    world.accept(&[offer], vec![launch(vec![changed])]);
    assert_eq!(world.updates()[0].1, TaskState::TaskError);
}

#[test]
fn updates_come_one_at_a_time_and_again_until_acknowledged() {
    let mut world = World::subscribed(1);
    world.acknowledges = false;
    let offer = world.offers().pop().unwrap();
    world.accept(std::slice::from_ref(&offer), vec![launch(vec![task("t1", "finishes", &offer, "e1")])]);
    world.run(SECOND * 5);
    let statuses = |world: &mut World| -> Vec<v1::TaskStatus> {
        world.take_events().into_iter().filter_map(|event| event.update).map(|update| update.status).collect()
    };
    let first = statuses(&mut world);
    assert_eq!(first.len(), 1, "FINISHED waits for the acknowledgement of RUNNING");
    world.run(SECOND * 10);
    let again = statuses(&mut world);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].uuid, first[0].uuid);
    // A resubscription brings it at once.
    world.subscribe(full());
    assert_eq!(statuses(&mut world)[0].uuid, first[0].uuid);
    world.acknowledge(&first[0]);
    let last = statuses(&mut world);
    assert_eq!(last[0].state(), TaskState::TaskFinished);
    // Until it is acknowledged, the id is taken; afterwards it is forgotten.
    let offer = world.offer();
    world.accept(std::slice::from_ref(&offer), vec![launch(vec![task("t1", "runs", &offer, "e2")])]);
    assert_eq!(statuses(&mut world)[0].state(), TaskState::TaskError);
    world.acknowledge(&last[0]);
    world.run(SECOND * 700);
    assert!(statuses(&mut world).is_empty());
    let reconcile =
        scheduler::call::reconcile::Task { task_id: last[0].task_id.clone(), agent_id: last[0].agent_id.clone() };
    let reconcile = Some(Box::new(scheduler::call::Reconcile { tasks: vec![reconcile] }));
    world.call(scheduler::Call { reconcile, ..call(CallType::Reconcile) });
    assert_eq!(statuses(&mut world)[0].state(), TaskState::TaskGone);
}

#[test]
fn filters_hold_by_containment_and_end_with_revive() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    let decline = |world: &mut World, offer: &v1::Offer, seconds: f64| {
        let filters = Some(v1::Filters { refuse_seconds: Some(seconds) });
        let decline = Some(Box::new(scheduler::call::Decline { offer_ids: vec![offer.id.clone()], filters }));
        world.call(scheduler::Call { decline, ..call(CallType::Decline) });
    };
    decline(&mut world, &offer, 3600.0);
    world.run(SECOND * 100);
    assert!(world.offers().is_empty());
    world.call(call(CallType::Revive));
    let offer = world.offers().pop().unwrap();
    decline(&mut world, &offer, 0.0);
    world.run(SECOND);
    let offer = world.offers().pop().unwrap();
    decline(&mut world, &offer, 5.0);
    world.run(SECOND * 4);
    assert!(world.offers().is_empty());
    world.run(SECOND * 2);
    let offer = world.offers().pop().unwrap();
    // A conversion is not contained in what was refused.
    world.accept(&[offer], vec![reserve(vec![reserved(scalar("cpus", 1.0), "a")])]);
    world.run(SECOND * 2);
    assert_eq!(world.offers().len(), 1);
    // SUPPRESS stops offers, REVIVE brings them.
    let offer = world.offer();
    world.call(call(CallType::Suppress));
    decline(&mut world, &offer, 0.0);
    world.run(SECOND * 100);
    assert!(world.offers().is_empty());
    world.call(call(CallType::Revive));
    assert_eq!(world.offers().len(), 1);
}

#[test]
fn lone_disks_are_offered_only_when_asked_for() {
    for is_asked in [false, true] {
        let mut world = World::new(1);
        world.run(SECOND);
        let mut info = full();
        if is_asked {
            let filters = v1::OfferFilters { min_allocatable_resources: Some(Box::default()) };
            info.offer_filters.insert(ROLE.into(), filters);
        }
        world.subscribe(info);
        let offer = world.offers().pop().unwrap();
        let mut all = task("t1", "runs", &offer, "e1");
        all.resources = vec![scalar("cpus", 3.9), scalar("mem", 4064.0), ranges("ports", &[(31000, 31100)])];
        world.accept(&[offer], vec![launch(vec![all])]);
        world.run(SECOND * 10);
        assert_eq!(world.offers().len(), usize::from(is_asked));
    }
}

#[test]
fn an_executor_that_dies_fails_its_tasks_after_a_failure_event() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    world.accept(
        std::slice::from_ref(&offer),
        vec![launch(vec![task("t1", "runs", &offer, "e1"), task("t2", "runs", &offer, "e1")])],
    );
    world.run(SECOND);
    world.take_events();
    let container_id = world.cluster.live_executors()[0].container_id.clone();
    assert!(world.executors.crash(&container_id, world.now));
    world.run(Duration::from_millis(10));
    let events = world.take_events();
    assert_eq!(kinds(&events), [EventType::Failure, EventType::Update, EventType::Update]);
    assert_eq!(events[0].failure.as_ref().unwrap().status, Some(9));
    let status = &events[1].update.as_ref().unwrap().status;
    assert_eq!((status.state(), status.reason()), (TaskState::TaskFailed, Reason::ExecutorTerminated));
}

#[test]
fn a_stopped_agent_that_returns_keeps_its_tasks() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    world.accept(std::slice::from_ref(&offer), vec![launch(vec![task("t1", "runs", &offer, "e1")])]);
    world.run(SECOND * 6);
    let agent_id = world.cluster.agent_id(0).unwrap().to_owned();
    world.take_events();
    world.step(Input::AgentStop { agent: 0 });
    assert_eq!(kinds(&world.take_events()), [EventType::Rescind]);
    world.run(SECOND * 20);
    world.step(Input::AgentStart { agent: 0 });
    world.run(SECOND * 5);
    assert_eq!(world.cluster.agent_id(0), Some(agent_id.as_str()));
    assert_eq!(world.cluster.live_tasks().len(), 1);
    let events = world.take_events();
    assert!(!kinds(&events).contains(&EventType::Update), "{events:?}");
    assert!(kinds(&events).contains(&EventType::Offers));
}

#[test]
fn an_unreachable_agent_says_so_in_order_and_returns_with_its_tasks() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    world.accept(std::slice::from_ref(&offer), vec![launch(vec![task("t1", "runs", &offer, "e1")])]);
    world.run(SECOND * 6);
    world.take_events();
    world.step(Input::AgentPartition { agent: 0 });
    world.run(SECOND * 74);
    world.take_events();
    world.run(SECOND * 2);
    let events = world.take_events();
    let without_heartbeats: Vec<EventType> =
        kinds(&events).into_iter().filter(|kind| *kind != EventType::Heartbeat).collect();
    assert_eq!(without_heartbeats, [EventType::Update, EventType::Rescind, EventType::Failure]);
    let status = events.iter().find_map(|event| event.update.clone()).unwrap().status;
    assert_eq!(status.state(), TaskState::TaskUnreachable);
    assert!(status.unreachable_time.is_some() && status.uuid.is_none());
    let ask = |world: &mut World, named: bool| {
        let agent_id = status.agent_id.clone().filter(|_| named);
        let tasks = vec![scheduler::call::reconcile::Task { task_id: status.task_id.clone(), agent_id }];
        let reconcile = Some(Box::new(scheduler::call::Reconcile { tasks }));
        world.call(scheduler::Call { reconcile, ..call(CallType::Reconcile) });
        world.updates().pop().map(|update| update.1)
    };
    assert_eq!(ask(&mut world, true), Some(TaskState::TaskUnreachable));
    assert_eq!(ask(&mut world, false), Some(TaskState::TaskUnknown));
    world.step(Input::AgentHeal { agent: 0 });
    world.run(SECOND * 2);
    let updates = world.updates();
    assert_eq!(updates[0], ("t1".into(), TaskState::TaskRunning, Source::Master, Some(Reason::AgentReregistered)));
}

#[test]
fn a_gone_agent_stays_gone() {
    let mut world = World::subscribed(2);
    let offer = world.offers().into_iter().next().unwrap();
    let agent = world.cluster.agent_of(&offer.agent_id.value).unwrap();
    world.accept(std::slice::from_ref(&offer), vec![launch(vec![task("t1", "runs", &offer, "e1")])]);
    world.run(SECOND);
    world.take_events();
    world.step(Input::AgentGone { agent });
    assert_eq!(world.updates()[0].1, TaskState::TaskGoneByOperator);
    world.run(SECOND);
    assert!(world.cluster.live_tasks().is_empty());
    world.step(Input::AgentStart { agent });
    world.run(SECOND * 5);
    assert!(!world.cluster.is_agent_registered(agent));
}

#[test]
fn a_new_master_knows_agents_only_and_learns_the_rest() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    world.accept(std::slice::from_ref(&offer), vec![launch(vec![task("t1", "runs", &offer, "e1")])]);
    world.run(SECOND);
    world.take_events();
    let id = world.framework_id.clone();
    world.step(Input::MasterRestart);
    assert!(matches!(world.outputs.last(), Some(Output::CloseScheduler { .. })));
    world.subscribe(full());
    assert_eq!(world.framework_id, id);
    let tasks = vec![scheduler::call::reconcile::Task { task_id: v1::TaskId { value: "t1".into() }, agent_id: None }];
    let reconcile = Some(Box::new(scheduler::call::Reconcile { tasks }));
    world.call(scheduler::Call { reconcile: reconcile.clone(), ..call(CallType::Reconcile) });
    assert!(world.updates().is_empty(), "the agent has not come back: no answer");
    world.run(SECOND * 2);
    world.take_events();
    world.call(scheduler::Call { reconcile, ..call(CallType::Reconcile) });
    assert_eq!(world.updates(), [("t1".into(), TaskState::TaskRunning, Source::Master, Some(Reason::Reconciliation))]);
}

#[test]
fn a_launch_that_never_arrives_is_reported_when_the_agent_notices() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    world.step(Input::AgentLoseMessages { agent: 0, count: 1 });
    world.accept(std::slice::from_ref(&offer), vec![launch(vec![task("t1", "runs", &offer, "e1")])]);
    world.run(SECOND * 14);
    assert!(world.updates().is_empty());
    world.run(SECOND * 3);
    assert_eq!(world.updates(), [("t1".into(), TaskState::TaskDropped, Source::Agent, Some(Reason::Reconciliation))]);
    assert!(world.cluster.live_tasks().is_empty());
}

#[test]
fn a_lost_reservation_drops_the_launch_that_relied_on_it() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    world.step(Input::AgentLoseMessages { agent: 0, count: 1 });
    let mut info = task("t1", "runs", &offer, "e1");
    info.resources[0] = reserved(scalar("cpus", 1.0), "a");
    world.accept(&[offer], vec![reserve(vec![reserved(scalar("cpus", 1.0), "a")]), launch(vec![info])]);
    assert_eq!(world.updates()[0].3, Some(Reason::ResourcesUnknown));
    world.run(SECOND * 20);
    assert!(world.cluster.reservations(0).is_empty());
}

#[test]
fn an_executor_that_does_not_come_back_is_gone() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    world.accept(
        std::slice::from_ref(&offer),
        vec![launch(vec![task("t1", "runs", &offer, "e1"), task("t2", "runs", &offer, "e2")])],
    );
    world.run(SECOND);
    world.take_events();
    world.step(Input::AgentStop { agent: 0 });
    // One dies while the agent is down; of the other the agent hears nothing.
    let containers: Vec<String> = world.cluster.live_executors().into_iter().map(|one| one.container_id).collect();
    world.executors.crash(&containers[0], world.now);
    world.run(Duration::from_millis(10));
    world.step(Input::AgentStart { agent: 0 });
    let silent = World { executors: FakeExecutors::new(2, by_name), ..world };
    let mut world = silent;
    world.run(SECOND * 3);
    world.step(Input::ExecutorExited { agent: 0, container_id: containers[1].clone(), status: 9 });
    let mut updates = world.updates();
    updates.sort_by(|a, b| a.0.cmp(&b.0));
    let brief: Vec<(TaskState, Option<Reason>)> = updates.into_iter().map(|update| (update.1, update.3)).collect();
    assert_eq!(
        brief,
        [
            (TaskState::TaskFailed, Some(Reason::ExecutorTerminated)),
            (TaskState::TaskGone, Some(Reason::ExecutorReregistrationTimeout)),
        ]
    );
}

#[test]
fn two_volumes_under_one_path_cost_both_tasks() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    let (first, second) = (volume("a", "v1", "data"), volume("b", "v2", "data"));
    let plain = |label: &str| reserved(scalar("disk", 100.0), label);
    let with = |id: &str, disk: &v1::Resource| {
        let mut info = task(id, "runs", &offer, "e1");
        info.resources.push(disk.clone());
        info
    };
    let tasks = vec![with("t1", &first), with("t2", &second)];
    world.accept(
        std::slice::from_ref(&offer),
        vec![reserve(vec![plain("a"), plain("b")]), create(vec![first, second]), launch(tasks)],
    );
    world.run(SECOND * 2);
    let updates = world.updates();
    assert_eq!(updates.len(), 2);
    assert!(
        updates.iter().all(|update| update.1 == TaskState::TaskGone && update.3 == Some(Reason::ContainerUpdateFailed))
    );
}

#[test]
fn a_kill_before_delivery_takes_the_whole_group() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    let operation = group(&world, "pod", vec![task("a", "runs", &offer, "pod"), task("b", "runs", &offer, "pod")]);
    world.accept(&[offer], vec![operation]);
    let kill = |id: &str| {
        let kill = scheduler::call::Kill { task_id: v1::TaskId { value: id.into() }, ..Default::default() };
        scheduler::Call { kill: Some(Box::new(kill)), ..call(CallType::Kill) }
    };
    world.call(kill("a"));
    let updates = world.updates();
    assert_eq!(updates.len(), 2);
    assert!(updates.iter().all(|update| update.3 == Some(Reason::TaskKilledDuringLaunch)));
    world.run(SECOND * 8);
    assert!(world.cluster.live_executors().is_empty());
    // An unknown task is answered as by reconciliation.
    world.take_events();
    world.call(kill("nobody"));
    assert_eq!(world.updates()[0].1, TaskState::TaskUnknown);
}

#[test]
fn a_saved_cluster_goes_on_with_its_disks_and_reports_ended_executors() {
    let mut world = World::subscribed(1);
    let offer = world.offers().pop().unwrap();
    let disk = volume("a", "v1", "data");
    let mut info = task("t1", "runs", &offer, "e1");
    info.resources.push(disk.clone());
    world.accept(
        &[offer],
        vec![reserve(vec![reserved(scalar("disk", 100.0), "a")]), create(vec![disk]), launch(vec![info])],
    );
    world.run(SECOND);
    let saved = world.cluster.save();
    let agent_id = world.cluster.agent_id(0).map(str::to_owned);
    let config = Config { seed: 2, ..world.cluster.config().clone() };
    world.cluster = Cluster::restore(config, &saved).unwrap();
    world.executors = FakeExecutors::new(3, by_name);
    world.now = Duration::ZERO;
    world.take_events();
    world.subscribe(full());
    world.run(SECOND * 3);
    assert_eq!(world.cluster.agent_id(0).map(str::to_owned), agent_id);
    assert_eq!(world.cluster.volumes().len(), 1);
    assert_eq!(
        world.updates(),
        [("t1".into(), TaskState::TaskFailed, Source::Agent, Some(Reason::ExecutorTerminated))]
    );
}

#[test]
fn the_same_seed_gives_the_same_events() {
    let run = || {
        let mut world = World::subscribed(3);
        let offers = world.offers();
        for (index, offer) in offers.iter().enumerate() {
            world.accept(
                std::slice::from_ref(offer),
                vec![launch(vec![task(&format!("t{index}"), "fails", offer, "e")])],
            );
        }
        world.step(Input::AgentStop { agent: 1 });
        world.run(SECOND * 30);
        format!("{:?}", world.events)
    };
    assert_eq!(run(), run());
}
