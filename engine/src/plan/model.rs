//! Plan, phase, step: the structure and what is known of each step's launches.
//!
//! States of a task within a step, over the last status of the launch this step made (rows: state; anything else is of another launch and
//! ignored; a COMPLETE step ignores everything):
//!
//! | Mesos says | goal RUNNING | goal FINISH or ONCE |
//! |---|---|---|
//! | STAGING, STARTING | Starting | Starting |
//! | RUNNING, check passed or none | Complete | Started |
//! | RUNNING, check not passed | Started | Started |
//! | KILLING, KILLED, LOST, GONE, DROPPED, UNREACHABLE, ERROR, FAILED | Pending | Pending |
//! | FINISHED | Pending | Complete |
//! | UNKNOWN | Pending | Pending |
//!
//! UNKNOWN is the one departure from the SDK, which ignores it: we always name the agent when we ask, so this answer means that no such agent exists.

use std::collections::BTreeMap;

use mainstay_spec::{Goal, PodSpec, Strategy};
use uuid::Uuid;

use crate::ids::{PodInstance, TaskId, TaskName};
use crate::offer::requirement::Recovery;
use crate::plan::status::{self, Child, Status};
use crate::plan::strategy;
use crate::state::Task;
use crate::task::failure::Delays;
use crate::task::status::State;
use crate::units::Timestamp;

/// A plan: phases under a strategy.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name.
    pub name: String,
    /// How phases follow each other.
    pub strategy: Strategy,
    /// Phases in order.
    pub phases: Vec<Phase>,
    /// Held by an operator; the author's plans begin so.
    pub is_interrupted: bool,
    /// Why it cannot be carried out.
    pub errors: Vec<String>,
    /// Parameters of the last `start`, given to every task the plan launches.
    pub parameters: BTreeMap<String, String>,
    /// Raised at every change, so that snapshots are only made anew when needed.
    pub version: u64,
}

/// A phase: steps under a strategy.
#[derive(Debug, Clone)]
pub struct Phase {
    /// New at every start.
    pub id: Uuid,
    /// Name.
    pub name: String,
    /// How steps follow each other.
    pub strategy: Strategy,
    /// Whether, under a parallel strategy, the steps of one pod instance stay in order.
    pub keeps_instance_order: bool,
    /// Steps in order.
    pub steps: Vec<Step>,
    /// Held by an operator.
    pub is_interrupted: bool,
    /// Steps of a canary phase whose gates are still closed, in order: at most the first two that were pending when the plan was made.
    pub gates: Vec<usize>,
    /// Whether an operator has released a gate; then the closed ones are remembered over a restart.
    pub is_gate_released: bool,
}

/// A step: tasks of one pod instance launched together.
#[derive(Debug, Clone)]
pub struct Step {
    /// New at every start.
    pub id: Uuid,
    /// `<pod>-<index>:[<task>, <task>]`.
    pub name: String,
    /// Pod instance.
    pub pod: PodInstance,
    /// Short names of the tasks, in order.
    pub tasks: Vec<String>,
    /// Short names of every task that launching it touches: its own, and those that share a resource set with them.
    pub touched: Vec<String>,
    /// Why it launches.
    pub recovery: Recovery,
    /// Why it cannot be carried out.
    pub errors: Vec<String>,
    /// Launches of this step.
    pub launched: BTreeMap<TaskName, StepTask>,
    /// Whether it was looked at since it became pending: its old tasks are being ended, or no offer matched.
    pub is_prepared: bool,
    /// Marked done by an operator.
    pub is_forced: bool,
    /// Done; sticky until a restart.
    pub is_complete: bool,
    /// Reset by an operator and not launched since; remembered over a restart.
    pub is_reset: bool,
    /// Until when it is held back.
    pub delayed_until: Option<Timestamp>,
}

/// What a step knows of one launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTask {
    /// The launch.
    pub task_id: TaskId,
    /// Where it stands.
    pub status: Status,
}

/// Tasks that share a resource set with one of these, these included, in declaration order.
pub fn touched(pod: &PodSpec, tasks: &[String]) -> Vec<String> {
    let sets: Vec<&str> =
        tasks.iter().filter_map(|name| pod.task(name)).map(|task| task.resource_set.as_str()).collect();
    let sharing = pod.tasks.iter().filter(|task| sets.contains(&task.resource_set.as_str()));
    sharing.map(|task| task.name.clone()).collect()
}

/// Name of a step as the SDK writes it.
pub fn step_name(pod: &PodInstance, tasks: &[String]) -> String {
    format!("{pod}:[{}]", tasks.join(", "))
}

impl Step {
    /// A step nothing is known of.
    pub fn new(id: Uuid, pod: PodInstance, tasks: Vec<String>, touched: Vec<String>, recovery: Recovery) -> Self {
        Self {
            id,
            name: step_name(&pod, &tasks),
            pod,
            tasks,
            touched,
            recovery,
            errors: Vec::new(),
            launched: BTreeMap::new(),
            is_prepared: false,
            is_forced: false,
            is_complete: false,
            is_reset: false,
            delayed_until: None,
        }
    }

    /// Its own status, interruption by its parents aside.
    pub fn status(&self) -> Status {
        if !self.errors.is_empty() {
            return Status::Error;
        }
        if self.is_complete || self.is_forced {
            return Status::Complete;
        }
        if self.delayed_until.is_some() {
            return Status::Delayed;
        }
        // A task the step never launched is as pending as one whose launch ended.
        let least = if self.launched.len() < self.tasks.len() {
            Status::Pending
        } else {
            self.launched.values().map(|task| task.status).min().unwrap_or(Status::Pending)
        };
        if least == Status::Pending && self.is_prepared { Status::Prepared } else { least }
    }

    /// Whether it has to launch something.
    pub fn wants_launch(&self) -> bool {
        matches!(self.status(), Status::Pending | Status::Prepared)
    }

    /// Whether another plan must keep off its tasks.
    pub fn is_dirty(&self) -> bool {
        matches!(self.status(), Status::Prepared | Status::Starting)
    }

    /// Whether both touch a common task of one pod instance.
    ///
    /// Source: the SDK compares the launched tasks only, so that a recovery ends the task of another step that uses the same resource set.
    pub fn conflicts_with(&self, pod: &PodInstance, touched: &[String]) -> bool {
        self.pod == *pod && self.touched.iter().any(|task| touched.contains(task))
    }

    /// Delays it for as long as one of its tasks is held back.
    pub fn hold_back(&mut self, delays: &Delays, now: Timestamp) {
        let until = self.tasks.iter().filter_map(|task| delays.until(&self.pod.task_name(task), now)).max();
        self.delayed_until = self.delayed_until.max(until);
    }

    /// Forgets what was done, so that it is done again.
    pub fn restart(&mut self) {
        self.launched.clear();
        self.is_prepared = false;
        self.is_forced = false;
        self.is_complete = false;
        self.is_reset = true;
        self.delayed_until = None;
    }

    /// Takes over launches of an accept.
    pub fn launched(&mut self, launches: impl IntoIterator<Item = (TaskName, TaskId)>) {
        self.is_prepared = false;
        self.is_complete = false;
        self.is_reset = false;
        for (name, task_id) in launches {
            self.launched.insert(name, StepTask { task_id, status: Status::Starting });
        }
    }

    /// Looks at a status of a launch; returns whether anything changed.
    pub fn observe(&mut self, task: &Task, goal: Goal) -> bool {
        if self.is_complete || self.is_forced {
            return false;
        }
        let Some(state) = task.state() else { return false };
        let Some(known) = self.launched.get_mut(&task.name) else { return false };
        if task.task_id.as_ref() != Some(&known.task_id) {
            return false;
        }
        let status = task_status(state, task, goal);
        let changed = known.status != status;
        known.status = status;
        self.is_complete = self.launched.len() == self.tasks.len()
            && self.launched.values().all(|task| task.status == Status::Complete);
        changed
    }

    /// Forgets one launch, because it is known never to have happened.
    pub fn forget(&mut self, task_id: &TaskId) {
        if !self.is_complete {
            self.launched.retain(|_, task| task.task_id != *task_id);
        }
    }
}

/// Where a launch stands for its step.
pub fn task_status(state: State, task: &Task, goal: Goal) -> Status {
    match (state, goal) {
        (State::Staging | State::Starting, _) => Status::Starting,
        (State::Running, Goal::Running) if task.is_ready() => Status::Complete,
        (State::Running, _) => Status::Started,
        (State::Finished, Goal::Finish | Goal::Once) => Status::Complete,
        (State::Finished, Goal::Running)
        | (
            State::Killing
            | State::Killed
            | State::Failed
            | State::Error
            | State::Lost
            | State::Dropped
            | State::Unreachable
            | State::Gone
            | State::GoneByOperator
            | State::Unknown,
            _,
        ) => Status::Pending,
    }
}

impl Phase {
    /// Status words of its steps: a pending step behind a closed gate reads WAITING.
    pub fn step_statuses(&self) -> Vec<Status> {
        self.steps
            .iter()
            .enumerate()
            .map(
                |(at, step)| {
                    if step.wants_launch() && self.gates.contains(&at) { Status::Waiting } else { step.status() }
                },
            )
            .collect()
    }

    /// Whether an operator holds the phase, or a closed gate with nothing released left in front of it.
    pub fn is_held(&self) -> bool {
        let released_are_done =
            |gate: usize| self.steps.iter().take(gate).all(|step| step.status() == Status::Complete);
        self.is_interrupted || self.gates.first().is_some_and(|gate| released_are_done(*gate))
    }

    /// Indices of the steps its strategy would work on now.
    pub fn candidates(&self) -> Vec<usize> {
        if self.is_interrupted {
            return Vec::new();
        }
        strategy::step_candidates(self)
    }

    /// Aggregated status.
    pub fn status(&self) -> Status {
        let candidates = self.candidates();
        let children: Vec<Child> = self
            .step_statuses()
            .into_iter()
            .enumerate()
            .map(|(at, status)| Child { status, is_candidate: candidates.binary_search(&at).is_ok() })
            .collect();
        status::aggregate(false, self.is_held(), &children)
    }
}

impl Plan {
    /// An empty plan.
    pub fn new(name: impl Into<String>, strategy: Strategy) -> Self {
        Self {
            name: name.into(),
            strategy,
            phases: Vec::new(),
            is_interrupted: false,
            errors: Vec::new(),
            parameters: BTreeMap::new(),
            version: 0,
        }
    }

    /// Indices of the phases its strategy would work on now.
    pub fn candidate_phases(&self) -> Vec<usize> {
        if self.is_interrupted || !self.errors.is_empty() {
            return Vec::new();
        }
        strategy::phase_candidates(self)
    }

    /// Aggregated status.
    pub fn status(&self) -> Status {
        let candidates = self.candidate_phases();
        let children: Vec<Child> = self
            .phases
            .iter()
            .enumerate()
            .map(|(at, phase)| Child { status: phase.status(), is_candidate: candidates.binary_search(&at).is_ok() })
            .collect();
        status::aggregate(!self.errors.is_empty(), self.is_interrupted, &children)
    }

    /// Every step with the index of its phase and its own.
    pub fn steps(&self) -> impl Iterator<Item = (usize, usize, &Step)> {
        self.phases
            .iter()
            .enumerate()
            .flat_map(|(phase_at, phase)| phase.steps.iter().enumerate().map(move |(at, step)| (phase_at, at, step)))
    }

    /// Every step, to change it.
    pub fn steps_mut(&mut self) -> impl Iterator<Item = &mut Step> {
        self.phases.iter_mut().flat_map(|phase| phase.steps.iter_mut())
    }

    /// The step at these indices.
    pub fn step_mut(&mut self, phase: usize, step: usize) -> Option<&mut Step> {
        self.phases.get_mut(phase)?.steps.get_mut(step)
    }

    /// Whether nothing is left to do.
    pub fn is_complete(&self) -> bool {
        self.status() == Status::Complete
    }

    /// Own errors, then those of its steps.
    pub fn all_errors(&self) -> Vec<String> {
        let steps = self.steps().flat_map(|(_, _, step)| step.errors.iter());
        self.errors.iter().chain(steps).cloned().collect()
    }
}
