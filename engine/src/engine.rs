//! The engine: one state, one way in ([`Engine::step`]), one way out ([`Effects`]).
//!
//! What happens where: `engine/start.rs` (stored tree and specification to plans), `engine/statuses.rs` (task and operation statuses),
//! `engine/offers.rs` (the offer cycle), `engine/cycle.rs` (one batch of offers), `engine/commands.rs` (operators), `engine/advance.rs` (what became possible: kills, recovery, revive,
//! timers), `engine/snapshot.rs` (the published view).
//!
//! Invariants, checked by `check.rs` after every step of the simulation:
//! - Invariant: a task is launched only by an accept whose transaction stores its id, its reservations and its STAGING status.
//! - Invariant: no task of a pod instance is launched while another launch of the same task may be alive on a reachable agent.
//! - Invariant: only reservations that no stored task stands on are released, and none while a stored task cannot be read.

mod advance;
mod commands;
pub(crate) mod cycle;
mod offers;
mod question;
mod snapshot;
mod start;
mod statuses;
mod waits;
pub(crate) mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use mainstay_spec::{Goal, PodSpec, ServiceSpec};
use waits::Waits;

use crate::config::Config;
use crate::config::validators::features;
use crate::effect::Effects;
use crate::event::{Event, Master};
use crate::explain::Seen;
use crate::ids::{ExecutorId, FrameworkId, Generator, OperationId, PodInstance, ResourceId, TaskName};
use crate::journal::Entry;
use crate::limits::FIRST_SWEEP;
use crate::offer::demand::Demand;
use crate::offer::refusal::Refusals;
use crate::plan::coordinator::{Moving, Place};
use crate::plan::recovery::Wanted;
use crate::plan::{Plan, Status};
use crate::state::{State, Task};
use crate::task::failure::Delays;
use crate::task::kill::Killer;
use crate::task::reconcile::Reconciler;
use crate::task::status::Status as TaskStatus;
use crate::units::Timestamp;
use crate::view::{Outcomes, PlanView, View};

pub use start::StartError;

/// Index of the deploy plan.
const DEPLOY: usize = 0;
/// Index of the recovery plan.
const RECOVERY: usize = 1;

/// Status words that were last put into the journal.
#[derive(Debug, Default)]
struct Told {
    versions: BTreeMap<String, u64>,
    steps: BTreeMap<uuid::Uuid, Status>,
    plans: BTreeMap<String, Status>,
}

/// A step, and whether it has to go where its reservations are. A step that is no longer bound that way wants other offers than before.
type Launchable = (uuid::Uuid, bool);

/// What follows from the plans alone; good until one of them changes.
#[derive(Debug, Clone, Default)]
struct Looked {
    /// Versions of the plans this was made from.
    versions: Vec<u64>,
    /// Pods that had to come back as a whole.
    moving: Moving,
    /// Steps that may be worked on.
    candidates: Arc<Vec<Place>>,
    /// Steps that would be, but for what has to come back first.
    waiting: Vec<Place>,
    /// Whether any of them waits for an offer.
    has_work: bool,
    /// When the first step that is held back goes on.
    delayed_until: Option<Timestamp>,
}

/// Decides everything about one service.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    /// The specification in force.
    spec: Arc<ServiceSpec>,
    state: State,
    /// Deploy, recovery, then the author's, in declaration order.
    plans: Vec<Plan>,
    ids: Generator,
    is_subscribed: bool,
    master: Master,
    reconciler: Reconciler,
    killer: Killer,
    demand: Demand,
    refusals: Refusals,
    /// What was told of offers that could not be read.
    malformed_told: BTreeSet<String>,
    delays: Delays,
    /// Full names of the tasks that deploy or one of the author's plans launches.
    planned_tasks: BTreeSet<TaskName>,
    /// Statuses told so far.
    told: Told,
    /// What the plans looked like last.
    looked: Looked,
    /// Pod instances that have to be brought back, kept up with what is stored.
    down: BTreeMap<PodInstance, Wanted>,
    /// Those of them that have to come back as a whole, or are doing so.
    moving: Moving,
    /// Steps that could launch when last looked at, and how.
    launchable: BTreeSet<Launchable>,
    /// Why each waiting step waits, one line.
    waits: Waits,
    /// Executors of stored tasks that were asked to end or have ended.
    shut_down: BTreeSet<ExecutorId>,
    /// Operations under way that release a reservation.
    releases: BTreeMap<OperationId, ResourceId>,
    /// Offers of an agent that did not show a reservation to release any more.
    unseen: BTreeMap<ResourceId, BTreeMap<String, u32>>,
    /// Reservations a waiting step wants that the last offers of its agent did not show, and how many offers these were.
    missing: BTreeMap<uuid::Uuid, offers::Missing>,
    /// Whether a stored task cannot be read; then nothing is released.
    is_partly_unreadable: bool,
    outcomes: Arc<Outcomes>,
    /// The last offer of every agent, for explanations.
    seen: Arc<Seen>,
    /// What was published of each plan, with the version it was made from.
    published: Vec<(u64, Arc<PlanView>)>,
    view: Arc<View>,
}

impl Engine {
    /// Reads the stored tree, decides about the specification and makes the plans.
    ///
    /// Shape: the first transaction is in the returned effects and must be committed before anything else.
    /// Errors: see [`StartError`]; nothing was decided to be written.
    pub fn start(
        config: Config,
        spec: ServiceSpec,
        stored: BTreeMap<String, Bytes>,
        ids: Generator,
        now: Timestamp,
    ) -> Result<(Self, Effects), StartError> {
        start::start(config, spec, &stored, ids, now)
    }

    /// Looks at one event and says what to do.
    pub fn step(&mut self, event: Event, now: Timestamp) -> Effects {
        let mut effects = Effects::default();
        match event {
            Event::Subscribed { framework_id, master } => self.subscribed(framework_id, master, now, &mut effects),
            Event::Disconnected => self.disconnected(&mut effects),
            Event::Offers(offers) => self.offers(offers, now, &mut effects),
            // No offer is held from one step to the next; but what the agent has is not what it had.
            Event::Rescinded(offer_id) => Arc::make_mut(&mut self.seen).rescinded(&offer_id),
            Event::MalformedOffers(offers) => self.malformed(&offers, now, &mut effects),
            Event::Tick => {}
            Event::Status(status) => self.status(status, now, &mut effects),
            Event::OperationStatus(status) => self.operation_status(status, now, &mut effects),
            Event::AgentLost(agent_id) => {
                Arc::make_mut(&mut self.seen).forget(&agent_id);
                self.waits.outdate();
                self.refusals.forget(&agent_id);
                // Agents come and go under ever new ids.
                if self.outcomes.rejected_agents.contains_key(agent_id.as_str()) {
                    Arc::make_mut(&mut self.outcomes).rejected_agents.remove(agent_id.as_str());
                }
                effects.journal.push(Entry::AgentLost { agent_id });
            }
            Event::ExecutorLost { agent_id, executor_id, status } => {
                // Nothing is left to end.
                self.shut_down.insert(executor_id.clone());
                effects.journal.push(Entry::ExecutorLost { agent_id, executor_id, status });
                // Its resources are free now; a step that waits for them need not wait for the next allocation.
                self.demand.want_revive();
            }
            Event::Command { caller, command } => self.command(caller, command, now, &mut effects),
        }
        self.advance(now, &mut effects);
        effects
    }

    /// Looks at several statuses, one after the other, and only then at what became possible: a large service starts with a burst of them.
    pub fn step_statuses(&mut self, statuses: Vec<TaskStatus>, now: Timestamp) -> Effects {
        let mut effects = Effects::default();
        for status in statuses {
            self.status(status, now, &mut effects);
        }
        self.advance(now, &mut effects);
        effects
    }

    /// The snapshot readers get. Made anew only where something changed.
    pub fn view(&mut self) -> Arc<View> {
        self.publish();
        Arc::clone(&self.view)
    }

    /// Our id at the master, once known.
    pub fn framework_id(&self) -> Option<&FrameworkId> {
        self.state.framework_id.as_ref()
    }

    /// The specification in force.
    pub fn spec(&self) -> &Arc<ServiceSpec> {
        &self.spec
    }

    /// The stored state, for invariant checks.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The plans, for invariant checks.
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    fn subscribed(&mut self, framework_id: FrameworkId, master: Master, now: Timestamp, effects: &mut Effects) {
        let is_new = self.state.framework_id.is_none();
        match &self.state.framework_id {
            Some(known) if *known != framework_id => {
                let reason = format!("the master knows this framework as {framework_id}, the store as {known}");
                effects.exit = Some((2, reason));
                return;
            }
            Some(_) => {}
            None => self.state.set_framework_id(framework_id.clone(), &mut effects.commit),
        }
        effects.journal.push(Entry::Subscribed {
            framework_id: framework_id.to_string(),
            master: master.hostname.clone(),
            is_new,
        });
        self.is_subscribed = true;
        if let Some(version) = &master.version {
            let features = features::lacking(&self.spec, version);
            if !features.is_empty() {
                effects.journal.push(Entry::MasterLacks { version: version.clone(), features });
            }
        }
        self.master = master;
        self.releases.clear();
        // What was asked over the last subscription may never have arrived.
        self.shut_down.clear();
        self.demand.subscribed(now);
        self.refusals.revived();
        if !self.state.releasing.is_empty() {
            self.demand.sweep(now, FIRST_SWEEP);
        }
        // Filters of an earlier subscription may still hold, so offers are asked for in any case.
        effects.send.push(crate::effect::Call::Revive);
        effects.journal.push(Entry::Revived);
        let unfinished = self
            .state
            .tasks
            .values()
            .filter(|task| task.task_id.is_some() && task.state().is_none_or(|state| !state.is_terminal()));
        let asked = unfinished.filter_map(|task| Some((task.task_id.clone()?, Some(task.agent_id.clone()))));
        let asked: Vec<_> = asked.collect();
        let count = self.reconciler.begin(asked.into_iter(), now);
        effects.journal.push(Entry::ReconciliationStarted { tasks: count });
        self.killer.repeat_all(now);
        self.end_unneeded(now, effects);
    }

    /// Source: the SDK ends, when it registers, what no plan can launch; its reservation stays.
    fn end_unneeded(&mut self, now: Timestamp, effects: &mut Effects) {
        let unneeded =
            self.state.tasks.values().filter(|task| task.is_live() && !self.planned_tasks.contains(&task.name));
        let unneeded: Vec<_> =
            unneeded.filter_map(|task| Some((task.task_id.clone()?, task.agent_id.clone()))).collect();
        for (task_id, agent_id) in unneeded {
            self.kill(task_id, Some(agent_id), "no plan launches it", now, effects);
        }
    }

    fn disconnected(&mut self, effects: &mut Effects) {
        if self.is_subscribed {
            effects.journal.push(Entry::Disconnected);
        }
        self.is_subscribed = false;
        // Another master may know other agents.
        Arc::make_mut(&mut self.seen).clear();
        self.waits.outdate();
        self.reconciler.stop();
    }

    /// The specification a stored task was made from; the target when that is unreadable or gone.
    fn spec_of(&self, task: &Task) -> Arc<ServiceSpec> {
        let own = task.config_id.as_ref().and_then(|id| self.state.configuration(id));
        Arc::clone(own.unwrap_or(&self.spec))
    }

    /// Goal of a stored task.
    fn goal_of(&self, task: &Task) -> Goal {
        let spec = self.spec_of(task);
        spec.pod(&task.pod.pod_type).and_then(|pod| pod.task(task.short_name())).map_or(Goal::Running, |task| task.goal)
    }

    /// Stored tasks that use a resource set together with one of these tasks (these included).
    fn tasks_sharing(&self, pod: &PodInstance, pod_spec: &PodSpec, tasks: &[String]) -> Vec<&Task> {
        let set_of = |name: &str| pod_spec.task(name).map(|task| task.resource_set.as_str());
        let sets: BTreeSet<&str> = tasks.iter().filter_map(|name| set_of(name)).collect();
        let stored = self.state.pod_tasks(pod);
        stored
            .into_iter()
            .filter(|task| {
                tasks.iter().any(|name| name == task.short_name())
                    || set_of(task.short_name()).is_some_and(|set| sets.contains(set))
            })
            .collect()
    }
}
