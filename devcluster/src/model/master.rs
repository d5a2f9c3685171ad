//! The master: frameworks, their subscriptions and their calls.
//!
//! Not here: ACCEPT (`operations.rs`), offers (`allocator.rs`), RECONCILE (`reconcile.rs`), agents coming and going
//! (`faults.rs`).
//!
//! Invariant: a framework has at most one connection; its stream id changes with every subscription.
//! Invariant: what a disconnected framework would have been sent is lost; only agents repeat their updates.

use std::cell::{Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use mainstay_proto::v1::{self, scheduler};

use super::allocator::{Filter, Offer};
use super::resources::{self, Resources};
use super::versioned::Versioned;
use super::{AgentIndex, Cluster, Output, validation};

use scheduler::call::Type as CallType;
use scheduler::event::Type as EventType;
use v1::framework_info::capability::Type as Capability;

/// How many removed frameworks a master remembers.
const MAX_COMPLETED_FRAMEWORKS: usize = 50;

/// The master's memory.
#[derive(Debug, Clone)]
pub(super) struct Master {
    pub(super) id: String,
    next_framework: u64,
    next_agent: u64,
    next_offer: u64,
    pub(super) frameworks: BTreeMap<String, Framework>,
    pub(super) completed: VecDeque<String>,
    /// Registered agents, connected or not, by id.
    pub(super) agents: BTreeMap<String, MasterAgent>,
    /// Agents of the registry that have not come back to this master, with the time they become unreachable.
    pub(super) recovered: BTreeMap<String, Duration>,
    /// Unreachable agents and since when.
    pub(super) unreachable: BTreeMap<String, Duration>,
    /// Agents that an operator marked gone.
    pub(super) gone: BTreeSet<String>,
    pub(super) offers: BTreeMap<String, Offer>,
    /// When the next periodic allocation is needed.
    pub(super) allocate_at: Option<Duration>,
}

/// A framework as the master knows it.
#[derive(Debug, Clone)]
pub(super) struct Framework {
    pub(super) info: v1::FrameworkInfo,
    pub(super) connection: Option<Connection>,
    pub(super) suppressed: BTreeSet<String>,
    pub(super) filters: Vec<Filter>,
    /// When it is removed, unless it comes back.
    pub(super) remove_at: Option<Duration>,
    /// Tasks of unreachable agents: task id to agent id and task.
    pub(super) unreachable_tasks: BTreeMap<String, (String, v1::Task)>,
    /// Tasks that ended, newest last.
    pub(super) completed_tasks: VecDeque<v1::Task>,
    pub(super) registered_at: Duration,
}

#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) conn: u64,
    pub(super) stream_id: String,
    pub(super) heartbeat_at: Duration,
}

/// An agent as the master knows it.
#[derive(Debug, Clone)]
pub(super) struct MasterAgent {
    pub(super) index: AgentIndex,
    /// Everything it has, dynamic reservations and volumes included.
    pub(super) total: Versioned<Resources>,
    pub(super) connected: bool,
    /// By framework id and task id; terminal ones stay until acknowledged.
    pub(super) tasks: Versioned<BTreeMap<(String, String), v1::Task>>,
    /// By framework id and executor id.
    pub(super) executors: Versioned<BTreeMap<(String, String), v1::ExecutorInfo>>,
    /// What was last found to be unused, with the versions that it was made of.
    pub(super) unused: RefCell<Option<([u64; 3], Resources)>>,
    /// Operations with feedback, by uuid, that are pending or not acknowledged.
    pub(super) operations: BTreeMap<Vec<u8>, v1::Operation>,
    /// KILL calls that wait for the agent to come back.
    pub(super) pending_kills: BTreeMap<(String, String), Option<Box<v1::KillPolicy>>>,
    /// When failing pings make it unreachable.
    pub(super) unreachable_at: Option<Duration>,
    pub(super) registered_at: Duration,
    pub(super) reregistered_at: Option<Duration>,
}

impl Master {
    pub(super) fn new(id: String) -> Self {
        Self {
            id,
            next_framework: 0,
            next_agent: 0,
            next_offer: 0,
            frameworks: BTreeMap::new(),
            completed: VecDeque::new(),
            agents: BTreeMap::new(),
            recovered: BTreeMap::new(),
            unreachable: BTreeMap::new(),
            gone: BTreeSet::new(),
            offers: BTreeMap::new(),
            allocate_at: None,
        }
    }

    pub(super) fn new_agent_id(&mut self) -> String {
        self.next_agent += 1;
        format!("{}-S{}", self.id, self.next_agent - 1)
    }

    pub(super) fn new_offer_id(&mut self) -> String {
        self.next_offer += 1;
        format!("{}-O{}", self.id, self.next_offer - 1)
    }

    fn new_framework_id(&mut self) -> String {
        self.next_framework += 1;
        format!("{}-{:04}", self.id, self.next_framework - 1)
    }
}

impl Framework {
    pub(super) fn new(info: v1::FrameworkInfo, now: Duration) -> Self {
        Self {
            info,
            connection: None,
            suppressed: BTreeSet::new(),
            filters: Vec::new(),
            remove_at: None,
            unreachable_tasks: BTreeMap::new(),
            completed_tasks: VecDeque::new(),
            registered_at: now,
        }
    }

    pub(super) fn is_partition_aware(&self) -> bool {
        validation::has_capability(&self.info, Capability::PartitionAware)
    }

    pub(super) fn complete_task(&mut self, task: v1::Task) {
        if self.completed_tasks.len() >= 1000 {
            self.completed_tasks.pop_front();
        }
        self.completed_tasks.push_back(task);
    }
}

impl MasterAgent {
    /// What tasks and executors use now.
    pub(super) fn used(&self) -> Vec<v1::Resource> {
        self.used_as_sent().map(resources::upgraded).collect()
    }

    /// The same in the format of its framework.
    fn used_as_sent(&self) -> impl Iterator<Item = &v1::Resource> {
        let tasks = self.tasks.values().filter(|task| !super::updates::is_terminal(task.state()));
        let of_tasks = tasks.flat_map(|task| &task.resources);
        of_tasks.chain(self.executors.values().flat_map(|executor| &executor.resources))
    }

    /// What no task and no executor uses. Worked out again only when one of them has changed.
    pub(super) fn unused(&self) -> Ref<'_, Resources> {
        let now = [self.total.version(), self.tasks.version(), self.executors.version()];
        let is_known = self.unused.borrow().as_ref().is_some_and(|(at, _)| *at == now);
        if !is_known {
            let unused = self.total.without(self.used_as_sent());
            self.unused.replace(Some((now, unused)));
        }
        Ref::map(self.unused.borrow(), |known| match known {
            Some((_, unused)) => unused,
            None => unreachable!("it was made above"),
        })
    }
}

/// A call's or event's only payload is its type.
fn event(kind: EventType) -> scheduler::Event {
    scheduler::Event { r#type: Some(kind as i32), ..Default::default() }
}

impl Cluster {
    pub(super) fn master_next_timer(&self) -> Option<Duration> {
        let frameworks = self.master.frameworks.values().flat_map(|framework| {
            let heartbeat = framework.connection.as_ref().map(|connection| connection.heartbeat_at);
            heartbeat.into_iter().chain(framework.remove_at)
        });
        let agents = self.master.agents.values().filter_map(|agent| agent.unreachable_at);
        let recovered = self.master.recovered.values().copied();
        frameworks.chain(agents).chain(recovered).chain(self.master.allocate_at).min()
    }

    pub(super) fn run_master_timers(&mut self) {
        let due: Vec<String> = self.due_agents();
        for agent_id in due {
            self.mark_unreachable(&agent_id);
        }
        let ids: Vec<String> = self.master.frameworks.keys().cloned().collect();
        for framework_id in ids {
            let Some(framework) = self.master.frameworks.get_mut(&framework_id) else { continue };
            if framework.remove_at.is_some_and(|at| at <= self.now) {
                self.remove_framework(&framework_id);
                continue;
            }
            if let Some(connection) = &mut framework.connection
                && connection.heartbeat_at <= self.now
            {
                connection.heartbeat_at = self.now + self.config.heartbeat_interval;
                self.send(&framework_id, event(EventType::Heartbeat));
            }
        }
        if self.master.allocate_at.is_some_and(|at| at <= self.now) {
            self.master.allocate_at = None;
            self.allocate(None);
        }
    }

    fn due_agents(&self) -> Vec<String> {
        let registered =
            self.master.agents.iter().filter(|(_, agent)| agent.unreachable_at.is_some_and(|at| at <= self.now));
        let recovered = self.master.recovered.iter().filter(|(_, at)| **at <= self.now);
        registered.map(|(id, _)| id.clone()).chain(recovered.map(|(id, _)| id.clone())).collect()
    }

    /// Sends an event to a framework; it is lost when the framework is not connected.
    pub(super) fn send(&mut self, framework_id: &str, event: scheduler::Event) {
        let connection = self.master.frameworks.get(framework_id).and_then(|framework| framework.connection.as_ref());
        if let Some(conn) = connection.map(|connection| connection.conn) {
            self.emit(Output::ToScheduler { conn, event: Box::new(event) });
        }
    }

    pub(super) fn send_status(&mut self, framework_id: &str, status: v1::TaskStatus) {
        let update = Some(Box::new(scheduler::event::Update { status }));
        self.send(framework_id, scheduler::Event { update, ..event(EventType::Update) });
    }

    pub(super) fn send_operation_status(&mut self, framework_id: &str, status: v1::OperationStatus) {
        let update_operation_status = Some(Box::new(scheduler::event::UpdateOperationStatus { status }));
        self.send(
            framework_id,
            scheduler::Event { update_operation_status, ..event(EventType::UpdateOperationStatus) },
        );
    }

    pub(super) fn send_failure(&mut self, framework_id: &str, agent_id: &str, executor: Option<(&str, i32)>) {
        let failure = scheduler::event::Failure {
            agent_id: Some(v1::AgentId { value: agent_id.to_owned() }),
            executor_id: executor.map(|(id, _)| v1::ExecutorId { value: id.to_owned() }),
            status: executor.map(|(_, status)| status),
        };
        self.send(framework_id, scheduler::Event { failure: Some(Box::new(failure)), ..event(EventType::Failure) });
    }

    /// Ends an offer and tells its framework.
    pub(super) fn rescind(&mut self, offer_id: &str) {
        if let Some(offer) = self.master.offers.remove(offer_id) {
            let rescind = scheduler::event::Rescind { offer_id: v1::OfferId { value: offer_id.to_owned() } };
            let rescind = Some(rescind);
            self.send(
                &offer.framework_id,
                scheduler::Event { rescind: rescind.map(Box::new), ..event(EventType::Rescind) },
            );
            self.resources_freed();
        }
    }

    pub(super) fn scheduler_connected(&mut self, conn: u64, call: scheduler::Call) {
        if let Err(problem) = validation::call(&call) {
            return self.refuse(400, problem);
        }
        let Some(subscribe) = call.subscribe else { return self.refuse(400, "Expecting 'subscribe' to be present") };
        let stream_id = self.rng.uuid();
        self.emit(Output::StreamOpened { conn, stream_id: stream_id.clone() });
        match self.subscribe(conn, stream_id, *subscribe) {
            Ok(framework_id) => {
                self.resend_updates_of(&framework_id);
                self.allocate(None);
            }
            Err(message) => self.end_with_error(conn, message),
        }
    }

    fn end_with_error(&mut self, conn: u64, message: String) {
        let error = Some(scheduler::event::Error { message });
        let event = Box::new(scheduler::Event { error, ..event(EventType::Error) });
        self.emit(Output::ToScheduler { conn, event });
        self.emit(Output::CloseScheduler { conn });
    }

    fn subscribe(&mut self, conn: u64, stream_id: String, call: scheduler::call::Subscribe) -> Result<String, String> {
        let mut info = call.framework_info;
        validation::framework(&info, &call.suppressed_roles)?;
        let framework_id = match &info.id {
            None => {
                let id = self.master.new_framework_id();
                info.id = Some(v1::FrameworkId { value: id.clone() });
                id
            }
            Some(id) if self.master.completed.contains(&id.value) => return Err("Framework has been removed".into()),
            Some(id) => id.value.clone(),
        };
        if let Some(known) = self.master.frameworks.get(&framework_id) {
            if known.info.principal != info.principal {
                return Err("Changing framework's principal is not allowed".into());
            }
            info.user.clone_from(&known.info.user);
            info.checkpoint = known.info.checkpoint;
            let old = known.connection.as_ref().map(|connection| connection.conn);
            if let Some(old) = old {
                self.end_with_error(old, "Framework failed over".into());
            }
        }
        // The client drops what it holds by itself: nothing is rescinded.
        self.master.offers.retain(|_, offer| offer.framework_id != framework_id);
        self.resources_freed();

        let heartbeat_at = self.now + self.config.heartbeat_interval;
        let now = self.now;
        let entry = self.master.frameworks.entry(framework_id.clone());
        let framework = entry.or_insert_with(|| Framework::new(info.clone(), now));
        framework.info = info;
        framework.connection = Some(Connection { conn, stream_id, heartbeat_at });
        framework.suppressed = call.suppressed_roles.into_iter().collect();
        framework.remove_at = None;
        let info = framework.info.clone();
        self.tell_agents_framework(&framework_id, &info);

        let subscribed = scheduler::event::Subscribed {
            framework_id: v1::FrameworkId { value: framework_id.clone() },
            heartbeat_interval_seconds: Some(self.config.heartbeat_interval.as_secs_f64()),
            master_info: Some(Box::new(self.master_info())),
        };
        self.send(
            &framework_id,
            scheduler::Event { subscribed: Some(Box::new(subscribed)), ..event(EventType::Subscribed) },
        );
        self.send(&framework_id, event(EventType::Heartbeat));
        Ok(framework_id)
    }

    /// What the master says of itself.
    pub(super) fn master_info(&self) -> v1::MasterInfo {
        let capability =
            |kind: v1::master_info::capability::Type| v1::master_info::Capability { r#type: Some(kind as i32) };
        let (hostname, port) = (&self.config.master_hostname, self.config.master_port);
        v1::MasterInfo {
            id: self.master.id.clone(),
            ip: u32::from_le_bytes(self.config.master_ip.octets()),
            port: u32::from(port),
            pid: Some(format!("master@{}:{port}", self.config.master_ip)),
            hostname: Some(hostname.clone()),
            version: Some(super::operator::VERSION.into()),
            address: Some(Box::new(v1::Address {
                hostname: Some(hostname.clone()),
                ip: Some(self.config.master_ip.to_string()),
                port: i32::from(port),
            })),
            domain: self.config.master_domain.clone().map(Box::new),
            capabilities: vec![
                capability(v1::master_info::capability::Type::AgentUpdate),
                capability(v1::master_info::capability::Type::AgentDraining),
                capability(v1::master_info::capability::Type::QuotaV2),
            ],
        }
    }

    pub(super) fn scheduler_disconnected(&mut self, conn: u64) {
        let found = self
            .master
            .frameworks
            .iter_mut()
            .find(|(_, framework)| framework.connection.as_ref().is_some_and(|connection| connection.conn == conn));
        let Some((framework_id, framework)) = found else { return };
        framework.connection = None;
        framework.filters.clear();
        framework.remove_at =
            Some(self.now + Duration::try_from_secs_f64(framework.info.failover_timeout()).unwrap_or_default());
        let framework_id = framework_id.clone();
        self.master.offers.retain(|_, offer| offer.framework_id != framework_id);
        self.resources_freed();
    }

    pub(super) fn scheduler_call(&mut self, stream_id: Option<&str>, call: scheduler::Call) {
        if let Err(problem) = validation::call(&call) {
            return self.refuse(400, problem);
        }
        let framework_id = call.framework_id.as_ref().map(|id| id.value.clone()).unwrap_or_default();
        let Some(framework) = self.master.frameworks.get(&framework_id) else {
            return self.refuse(400, "Framework cannot be found");
        };
        let Some(connection) = &framework.connection else {
            return self.refuse(403, "Framework is not subscribed");
        };
        match stream_id {
            None => return self.refuse(400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header"),
            Some(given) if given != connection.stream_id => {
                return self.refuse(400, "The stream ID included in this request didn't match the stream ID currently associated with framework ID");
            }
            Some(_) => {}
        }
        self.dispatch(&framework_id, call);
    }

    fn dispatch(&mut self, framework_id: &str, call: scheduler::Call) {
        match call.r#type() {
            // The 1.11 master aborts on UNKNOWN; answering is the kinder half of that.
            CallType::Unknown => self.refuse(501, "Call type is not implemented"),
            CallType::Subscribe => self.refuse(400, "SUBSCRIBE needs a connection of its own"),
            CallType::Teardown => self.remove_framework(framework_id),
            CallType::Accept => self.accept(framework_id, *call.accept.unwrap_or_default()),
            CallType::Decline => {
                let decline = call.decline.unwrap_or_default();
                self.decline(framework_id, &decline.offer_ids, decline.filters.as_ref());
            }
            CallType::Revive => self.revive(framework_id, &call.revive.unwrap_or_default().roles),
            CallType::Suppress => self.suppress(framework_id, &call.suppress.unwrap_or_default().roles),
            CallType::Kill => self.kill(framework_id, &call.kill.unwrap_or_default()),
            CallType::Shutdown => {
                let shutdown = call.shutdown.unwrap_or_default();
                if let Some(agent) = self.reach_agent(&shutdown.agent_id.value) {
                    self.shutdown_executor(agent, framework_id, &shutdown.executor_id.value);
                }
            }
            CallType::Acknowledge => self.acknowledge(framework_id, &call.acknowledge.unwrap_or_default()),
            CallType::AcknowledgeOperationStatus => {
                self.acknowledge_operation(framework_id, &call.acknowledge_operation_status.unwrap_or_default());
            }
            CallType::Reconcile => self.reconcile(framework_id, &call.reconcile.unwrap_or_default().tasks),
            CallType::ReconcileOperations => {
                self.reconcile_operations(framework_id, &call.reconcile_operations.unwrap_or_default().operations);
            }
            CallType::Message => {
                let message = call.message.unwrap_or_default();
                if let Some(agent) = self.reach_agent(&message.agent_id.value) {
                    self.message_executor(agent, framework_id, &message.executor_id.value, message.data);
                }
            }
            CallType::UpdateFramework => {
                self.update_framework(framework_id, *call.update_framework.unwrap_or_default());
            }
            // Accepted and without effect: no inverse offers are ever sent, and the allocator ignores requests.
            CallType::AcceptInverseOffers | CallType::DeclineInverseOffers | CallType::Request => {}
        }
    }

    /// Checks the roles of REVIVE and SUPPRESS: one bad role drops the whole call.
    fn named_roles(&self, framework_id: &str, named: &[String]) -> Option<Vec<String>> {
        let subscribed = validation::roles(&self.master.frameworks.get(framework_id)?.info);
        if named.is_empty() {
            return Some(subscribed);
        }
        named.iter().all(|role| subscribed.contains(role)).then(|| named.to_vec())
    }

    fn revive(&mut self, framework_id: &str, named: &[String]) {
        let Some(roles) = self.named_roles(framework_id, named) else { return };
        if let Some(framework) = self.master.frameworks.get_mut(framework_id) {
            framework.filters.retain(|filter| !roles.contains(&filter.role));
            framework.suppressed.retain(|role| !roles.contains(role));
        }
        self.allocate(None);
    }

    fn suppress(&mut self, framework_id: &str, named: &[String]) {
        let Some(roles) = self.named_roles(framework_id, named) else { return };
        if let Some(framework) = self.master.frameworks.get_mut(framework_id) {
            framework.suppressed.extend(roles);
        }
    }

    fn update_framework(&mut self, framework_id: &str, call: scheduler::call::UpdateFramework) {
        let info = call.framework_info;
        if let Err(problem) = validation::framework(&info, &call.suppressed_roles) {
            return self.refuse(400, problem);
        }
        let Some(framework) = self.master.frameworks.get_mut(framework_id) else {
            return self.refuse(409, "Framework is gone");
        };
        let known = &framework.info;
        let is_changed =
            known.user != info.user || known.checkpoint() != info.checkpoint() || known.principal != info.principal;
        if is_changed {
            return self.refuse(400, "Changing user, checkpoint or principal of a framework is not allowed");
        }
        let roles = validation::roles(&info);
        let suppressed: BTreeSet<String> = call.suppressed_roles.into_iter().collect();
        let revived: Vec<String> = framework.suppressed.difference(&suppressed).cloned().collect();
        framework.filters.retain(|filter| roles.contains(&filter.role) && !revived.contains(&filter.role));
        framework.suppressed = suppressed;
        framework.info = info.clone();
        let of_removed_roles = self
            .master
            .offers
            .iter()
            .filter(|(_, offer)| offer.framework_id == framework_id && !roles.contains(&offer.role));
        let rescinded: Vec<String> = of_removed_roles.map(|(id, _)| id.clone()).collect();
        for offer_id in rescinded {
            self.rescind(&offer_id);
        }
        self.tell_agents_framework(framework_id, &info);
        self.allocate(None);
    }

    fn kill(&mut self, framework_id: &str, kill: &scheduler::call::Kill) {
        let task_id = &kill.task_id.value;
        let key = (framework_id.to_owned(), task_id.clone());
        let known = self.master.agents.iter_mut().find(|(_, agent)| agent.tasks.contains_key(&key));
        let Some((agent_id, agent)) = known else {
            let task =
                scheduler::call::reconcile::Task { task_id: kill.task_id.clone(), agent_id: kill.agent_id.clone() };
            return self.reconcile_one(framework_id, &task);
        };
        if kill.agent_id.as_ref().is_some_and(|named| named.value != *agent_id) {
            return;
        }
        if !agent.connected {
            agent.pending_kills.insert(key, kill.kill_policy.clone());
            return;
        }
        let agent_id = agent_id.clone();
        if let Some(agent) = self.reach_agent(&agent_id) {
            self.kill_task(agent, framework_id, task_id, kill.kill_policy.clone());
        }
    }

    pub(super) fn teardown(&mut self, framework_id: &str) {
        if self.master.frameworks.contains_key(framework_id) {
            self.remove_framework(framework_id);
        } else {
            self.refuse(400, "No framework found with specified ID");
        }
    }

    /// Ends a framework: its executors are shut down, nobody is told, reservations and volumes stay.
    pub(super) fn remove_framework(&mut self, framework_id: &str) {
        let Some(framework) = self.master.frameworks.remove(framework_id) else { return };
        if let Some(connection) = framework.connection {
            self.emit(Output::CloseScheduler { conn: connection.conn });
        }
        self.master.offers.retain(|_, offer| offer.framework_id != framework_id);
        if self.master.completed.len() >= MAX_COMPLETED_FRAMEWORKS {
            self.master.completed.pop_front();
        }
        self.master.completed.push_back(framework_id.to_owned());
        let ids: Vec<String> = self.master.agents.keys().cloned().collect();
        for agent_id in ids {
            if let Some(agent) = self.master.agents.get_mut(&agent_id) {
                agent.tasks.retain(|(of, _), _| of != framework_id);
                agent.executors.retain(|(of, _), _| of != framework_id);
                agent
                    .operations
                    .retain(|_, operation| operation.framework_id.as_ref().is_none_or(|of| of.value != framework_id));
                agent.pending_kills.retain(|(of, _), _| of != framework_id);
            }
            if let Some(agent) = self.reach_agent(&agent_id) {
                self.shutdown_framework(agent, framework_id);
            }
        }
        self.resources_freed();
    }

    /// The agent a message of the master reaches now; `None` when the message is lost.
    pub(super) fn reach_agent(&mut self, agent_id: &str) -> Option<AgentIndex> {
        let known = self.master.agents.get(agent_id).filter(|agent| agent.connected)?;
        let index = known.index;
        self.agents[index].takes_message(self.now + self.config.agent_ping_timeout).then_some(index)
    }

    fn tell_agents_framework(&mut self, framework_id: &str, info: &v1::FrameworkInfo) {
        let ids: Vec<String> = self.master.agents.keys().cloned().collect();
        for agent_id in ids {
            let holds = self.master.agents[&agent_id].index;
            if self.agents[holds].frameworks.contains_key(framework_id)
                && let Some(agent) = self.reach_agent(&agent_id)
                && let Some(known) = self.agents[agent].frameworks.get_mut(framework_id)
            {
                *known = info.clone();
            }
        }
    }
}
