//! Runs the stages of one requirement over one offer.
//!
//! Invariant: every stage runs, also after a failure; the report is always complete.
//! Invariant: an accept uses only what the offer holds, and nothing is sent or stored here.
//!
//! | Pipeline | When | Stages |
//! |---|---|---|
//! | new | nothing is reserved, or the pod is given up for good | executor, placement, pod volumes, then per task by name: executor overhead (once), its set (once), launch |
//! | existing | otherwise | executor, placement (not applied), executor resources, then per launched task: orphans of its set, its set, launch of every task of the set |
//!
//! Read next: `claim.rs` for what stages leave behind, `operation.rs` for what becomes of it.

use mainstay_spec::{ResourceSet, TaskSpec};

use super::Offer;
use super::claim::{Claim, Draft, ExecutorDraft, SetDraft, TaskDraft};
use super::operation;
use super::report::{Outcome, Reason, Report};
use super::requirement::{Accepted, Recovery, Requirement};
use super::stage::{self, OfferStage};
use super::stored::Stored;
use crate::ids::Generator;
use crate::resource::{Pool, Resource};
use crate::units::Scalar;

/// Role of what is free to take. Pods on pre-reserved agents would name another one.
const FREE_ROLE: &str = "*";

/// What one offer is worth for one requirement.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Every stage.
    pub report: Report,
    /// Present exactly when every stage passed.
    pub accepted: Option<Accepted>,
}

/// Runs all stages.
pub fn evaluate<'a>(requirement: &'a Requirement<'a>, offer: &'a Offer, ids: &mut Generator) -> Evaluation {
    let is_placed = !is_given_up(requirement) && has_reservation(requirement);
    let running = if is_placed { stage::executor::running(requirement) } else { None };
    let (outcome, executor) = stage::executor::evaluate(requirement, offer, running, ids);
    let mut run = Run {
        requirement,
        pool: Pool::new(offer, &requirement.config.role),
        ids,
        is_placed,
        outcomes: Vec::with_capacity(16),
        draft: Draft { executor, orphans: Vec::new(), sets: Vec::new(), tasks: Vec::new() },
    };
    run.outcomes.push(outcome);
    run.outcomes.push(stage::placement::evaluate(requirement, offer, is_placed));
    if is_placed {
        run.existing();
    } else {
        run.new_pod();
    }
    let Run { outcomes, draft, .. } = run;
    let mut report = Report { outcomes, recommendations: 0 };
    let accepted = report.passed().then(|| operation::accept(requirement, offer, draft, ids));
    report.recommendations = accepted.as_ref().map_or(0, |accepted| accepted.operations.len());
    Evaluation { report, accepted }
}

fn is_given_up(requirement: &Requirement<'_>) -> bool {
    requirement.recovery == Recovery::Permanent
        || (!requirement.stored.is_empty() && requirement.stored.iter().all(|task| task.is_permanently_failed))
}

fn has_reservation(requirement: &Requirement<'_>) -> bool {
    requirement.stored.iter().flat_map(|task| &task.resources).any(|resource| resource.resource_id().is_some())
}

/// One evaluation on its way.
struct Run<'a, 'g> {
    requirement: &'a Requirement<'a>,
    pool: Pool<'a>,
    ids: &'g mut Generator,
    is_placed: bool,
    outcomes: Vec<Outcome>,
    draft: Draft<'a>,
}

impl<'a> Run<'a, '_> {
    fn new_pod(&mut self) {
        let nothing = Stored::default();
        self.executor_volumes(&nothing);
        self.executor_overhead(&nothing);
        let mut tasks: Vec<&TaskSpec> = self.requirement.pod_spec.tasks.iter().collect();
        tasks.sort_by(|left, right| left.name.cmp(&right.name));
        for task in tasks {
            let known = self.draft.sets.iter().position(|draft| draft.set.id == task.resource_set);
            let Some(set) = known.or_else(|| self.resource_set(task)) else { continue };
            self.task(task, set, true);
        }
    }

    fn existing(&mut self) {
        if let ExecutorDraft::Running(executor) = &self.draft.executor {
            self.outcomes.extend(executor.resources.iter().filter_map(of_running));
        } else {
            let stored = Stored::of_executor(self.requirement);
            for orphan in stored.orphans_of_executor(&self.requirement.pod_spec.volumes) {
                self.orphan(orphan);
            }
            self.executor_volumes(&stored);
            self.executor_overhead(&stored);
        }
        for short in self.requirement.launch {
            let Some(task) = self.requirement.pod_spec.task(short) else { continue };
            if self.draft.sets.iter().any(|draft| draft.set.id == task.resource_set) {
                continue;
            }
            let orphans = self.draft.orphans.len();
            let Some(set) = self.resource_set(task) else { continue };
            let is_changed = self.draft.orphans.len() > orphans
                || self.draft.sets.get(set).is_some_and(|draft| draft.claims.iter().any(Claim::is_change));
            let mut tasks: Vec<&TaskSpec> = self
                .requirement
                .pod_spec
                .tasks
                .iter()
                .filter(|other| other.resource_set == task.resource_set)
                .collect();
            tasks.sort_by(|left, right| left.name.cmp(&right.name));
            for task in tasks {
                // A sibling in the set is stored again only when the reservation is no longer the one it names; its own
                // configuration and launch stay known otherwise.
                self.task(task, set, is_changed);
            }
        }
    }

    fn executor_volumes(&mut self, stored: &Stored<'a>) {
        for volume in &self.requirement.pod_spec.volumes {
            let found = stored.volume(volume, &self.pool);
            let (outcome, claim) = stage::volumes::evaluate(volume, found, FREE_ROLE, &mut self.pool, self.ids);
            self.outcomes.push(outcome);
            self.of_executor(claim);
        }
    }

    fn executor_overhead(&mut self, stored: &Stored<'a>) {
        let config = self.requirement.config;
        let overhead =
            [("cpus", config.executor_cpus), ("disk", config.executor_disk_mb), ("mem", config.executor_mem_mb)];
        for (name, wanted) in overhead.into_iter().filter(|(_, wanted)| !wanted.is_zero()) {
            let claim = self.scalar(name, wanted, stored);
            self.of_executor(claim);
        }
    }

    fn of_executor(&mut self, claim: Option<Claim<'a>>) {
        match &mut self.draft.executor {
            ExecutorDraft::New { claims, .. } => claims.extend(claim),
            // Nothing is ever claimed for an executor that runs.
            ExecutorDraft::Running(_) => {}
        }
    }

    /// The stages of the set of a task; answers its place among the sets.
    fn resource_set(&mut self, task: &TaskSpec) -> Option<usize> {
        let set: &'a ResourceSet = self.requirement.pod_spec.resource_set(&task.resource_set)?;
        // Without stored tasks of this set, which is new then, everything is reserved.
        let stored = if self.is_placed { Stored::of_set(self.requirement, set) } else { Stored::default() };
        for orphan in stored.orphans_of_set(set) {
            self.orphan(orphan);
        }
        let mut draft = SetDraft { set, claims: Vec::with_capacity(8), ports: Vec::new() };
        self.outcomes.extend(stage::ports::evaluate(
            self.requirement.pod_spec,
            &mut draft,
            &stored,
            FREE_ROLE,
            &mut self.pool,
            self.ids,
        ));
        for (name, wanted) in [("cpus", set.cpus), ("mem", set.memory_mb)] {
            if let Some(wanted) = wanted {
                let claim = self.scalar(name, wanted, &stored);
                draft.claims.extend(claim);
            }
        }
        for volume in &set.volumes {
            let found = stored.volume(volume, &self.pool);
            let (outcome, claim) = stage::volumes::evaluate(volume, found, FREE_ROLE, &mut self.pool, self.ids);
            self.outcomes.push(outcome);
            draft.claims.extend(claim);
        }
        self.draft.sets.push(draft);
        self.draft.sets.len().checked_sub(1)
    }

    fn scalar(&mut self, name: &'static str, wanted: Scalar, stored: &Stored<'a>) -> Option<Claim<'a>> {
        let found = stored.scalar(name, &self.pool);
        let (outcome, claim) = stage::resources::evaluate(name, wanted, found, FREE_ROLE, &mut self.pool, self.ids);
        self.outcomes.push(outcome);
        claim
    }

    fn orphan(&mut self, stored: &'a Resource) {
        let Some(id) = stored.resource_id() else { return };
        let (outcome, orphan) = stage::unreserve::evaluate(&stored.name, id, &mut self.pool);
        self.outcomes.extend(orphan.and_then(stage::destroy::evaluate));
        self.outcomes.push(outcome);
        self.draft.orphans.extend(orphan);
    }

    fn task(&mut self, spec: &'a TaskSpec, set: usize, is_stored: bool) {
        let is_launched = self.requirement.launch.contains(&spec.name);
        let name = self.requirement.pod.task_name(&spec.name);
        self.outcomes.push(stage::launch::evaluate(name, is_launched, is_stored));
        if is_launched || is_stored {
            self.draft.tasks.push(TaskDraft { spec, set, is_launched });
        }
    }
}

/// The line for a resource of an executor that runs; it is in use, so the offer does not hold it.
fn of_running(resource: &Resource) -> Option<Outcome> {
    let id = resource.resource_id()?;
    if let Some(disk) = resource.disk.as_ref().filter(|disk| disk.persistence.is_some()) {
        let path = disk.container_path.clone().unwrap_or_default();
        return Some(Outcome::pass(OfferStage::Volume, Reason::VolumeOfRunningExecutor { path, id }));
    }
    let name = match resource.name.as_str() {
        "cpus" => "cpus",
        "mem" => "mem",
        "disk" => "disk",
        _ => return None,
    };
    Some(Outcome::pass(OfferStage::Resource, Reason::OfRunningExecutor { name, id }))
}
