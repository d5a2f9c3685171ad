//! What became possible since the last look: tasks to end, pods to bring back, offers to ask for, timers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::start::overrides_key;
use super::{DEPLOY, Engine, RECOVERY, statuses};
use crate::effect::{Call, Effects};
use crate::ids::{AgentId, PodInstance, TaskId};
use crate::journal::Entry;
use crate::limits::RELEASE_SWEEP;
use crate::offer::demand::Action;
use crate::offer::requirement::Recovery;
use crate::plan::coordinator::{self, Moving, Place};
use crate::plan::{Phase, Plan, Status, Step, recovery};
use crate::state::{Task, paths};
use crate::task::status::State;
use crate::units::Timestamp;

impl Engine {
    pub(super) fn advance(&mut self, now: Timestamp, effects: &mut Effects) {
        self.waits.tick(now);
        self.end_delays(now);
        self.refresh_recovery(now, effects);
        let launchable = self.prepare_candidates(now, effects);
        if launchable.iter().any(|id| !self.launchable.contains(id)) {
            self.demand.want_revive();
        }
        self.launchable = launchable;
        if !self.waits.is_empty() {
            let steps = self.plans.iter().flat_map(Plan::steps).filter(|(_, _, step)| step.wants_launch());
            let waiting: BTreeSet<uuid::Uuid> = steps.map(|(_, _, step)| step.id).collect();
            self.waits.retain(&waiting);
            self.missing.retain(|id, _| waiting.contains(id));
        }
        if self.is_subscribed {
            effects.send.extend(self.killer.due(now));
            let (calls, lost_patience) = self.reconciler.due(self.config.implicit_reconciliation, now);
            let is_implicit = |call: &Call| matches!(call, Call::Reconcile { tasks } if tasks.is_empty());
            if !self.state.releasing.is_empty() && calls.iter().any(is_implicit) {
                // An agent that was away may have come back with what is to be released, and nothing tells us so.
                self.demand.sweep(now, RELEASE_SWEEP);
                self.demand.want_revive();
                effects.send.push(self.ask_what_holds());
            }
            effects.send.extend(calls);
            if lost_patience {
                self.reconciled(effects);
            }
            self.ask_for_offers(now, effects);
        }
        self.note_completion(effects);
        self.tell_changes(effects);
        if self.delays.take_changed() {
            let text = self.delays.write();
            if text.is_empty() {
                self.state.delete_property(paths::PROPERTY_DELAYS, &mut effects.commit);
            } else {
                self.state.put_property(paths::PROPERTY_DELAYS, text, &mut effects.commit);
            }
        }
        effects.wake_at = self.wake_at(now);
    }

    /// Wants a task ended.
    pub(super) fn kill(
        &mut self,
        task_id: TaskId,
        agent_id: Option<AgentId>,
        why: &'static str,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        if self.killer.kill(task_id.clone(), agent_id, now) {
            effects.journal.push(Entry::TaskKilled { task_id, why });
        }
    }

    /// What follows from the plans, made anew when one has changed.
    ///
    /// Invariant: every change of a plan raises its version; a build with assertions checks that nothing was missed.
    fn plans_now(&mut self) -> &super::Looked {
        let versions = self.plans.iter().map(|plan| plan.version);
        let is_known = self.looked.versions.len() == self.plans.len()
            && versions.eq(self.looked.versions.iter().copied())
            && self.looked.moving == self.moving;
        if !is_known {
            self.looked = self.look_anew();
        } else if cfg!(debug_assertions) {
            let anew = self.look_anew();
            assert_eq!(anew.candidates, self.looked.candidates, "a plan has changed without a new version");
            assert_eq!(anew.has_work, self.looked.has_work, "a plan has changed without a new version");
            assert_eq!(anew.delayed_until, self.looked.delayed_until, "a plan has changed without a new version");
        }
        &self.looked
    }

    fn look_anew(&self) -> super::Looked {
        let coordinator::Found { candidates, waiting } = coordinator::look(&self.plans, &self.moving);
        super::Looked {
            moving: self.moving.clone(),
            waiting,
            versions: self.plans.iter().map(|plan| plan.version).collect(),
            has_work: candidates.iter().any(|place| self.step_at(*place).is_some_and(Step::wants_launch)),
            delayed_until: self.plans.iter().flat_map(Plan::steps).filter_map(|(_, _, step)| step.delayed_until).min(),
            candidates: Arc::new(candidates),
        }
    }

    /// Steps that may be worked on now.
    pub(super) fn candidates(&mut self) -> Arc<Vec<Place>> {
        Arc::clone(&self.plans_now().candidates)
    }

    fn end_delays(&mut self, now: Timestamp) {
        if self.plans_now().delayed_until.is_none_or(|until| now < until) {
            return;
        }
        for plan in &mut self.plans {
            let mut changed = false;
            for step in plan.steps_mut() {
                if step.delayed_until.is_some_and(|until| now >= until) {
                    step.delayed_until = None;
                    changed = true;
                }
            }
            plan.version += u64::from(changed);
        }
    }

    /// Pods that are given up, with what has to come back of them; those that recovery is bringing back already stay until that is done.
    fn moving_now(&self, wanted: &[recovery::Wanted]) -> Moving {
        let given_up = wanted.iter().filter(|one| one.kind == Recovery::Permanent && !one.tasks.is_empty());
        let mut moving: Moving = given_up.map(|one| (one.pod.clone(), one.tasks.clone())).collect();
        let recovering = self.plans.get(RECOVERY).filter(|plan| !plan.is_interrupted);
        for (_, _, step) in recovering.into_iter().flat_map(Plan::steps) {
            if step.recovery == Recovery::Permanent && step.status() != Status::Complete && !step.launched.is_empty() {
                moving.entry(step.pod.clone()).or_insert_with(|| step.tasks.clone());
            }
        }
        moving
    }

    /// Source: deploy is asked first; recovery keeps off whatever another plan is about to launch or is launching. A pod that is given up is
    /// deploy's only if deploy launches all that has to come back.
    fn refresh_recovery(&mut self, now: Timestamp, effects: &mut Effects) {
        for pod in self.state.take_touched() {
            match recovery::wanted_of(&pod, &self.state, |task| Some(self.spec_of(task))) {
                Some(wanted) => drop(self.down.insert(pod, wanted)),
                None => drop(self.down.remove(&pod)),
            }
        }
        debug_assert!(
            self.down.values().eq(&recovery::wanted(&self.state, |task| Some(self.spec_of(task)))),
            "a stored task has changed unseen"
        );
        if self.down.is_empty() && self.plans.get(RECOVERY).is_some_and(|plan| plan.phases.is_empty()) {
            self.moving.clear();
            return;
        }
        let mut wanted: Vec<_> = self.down.values().cloned().collect();
        for one in &mut wanted {
            // Tasks that no plan could launch are ended and left alone; their reservations stay.
            one.tasks.retain(|task| self.planned_tasks.contains(&one.pod.task_name(task)));
        }
        self.moving = self.moving_now(&wanted);
        let candidates = self.candidates();
        let of_deploy = candidates.iter().filter(|place| place.plan == DEPLOY).filter_map(|place| self.step_at(*place));
        let dirty = self
            .plans
            .iter()
            .enumerate()
            .filter(|(at, plan)| *at != RECOVERY && !plan.is_interrupted)
            // Also what runs and is not done: a task of a side plan that uses the resource set of another one must not be ended for it.
            .flat_map(|(_, plan)| plan.steps().map(move |(_, _, step)| (plan, step)))
            .filter(|(plan, step)| coordinator::may_launch(plan, step, &self.moving))
            .map(|(_, step)| step)
            .filter(|step| step.is_dirty() || step.status() == Status::Started);
        let mut taken: BTreeMap<&PodInstance, Vec<&Step>> = BTreeMap::new();
        for step in of_deploy.chain(dirty) {
            taken.entry(&step.pod).or_default().push(step);
        }
        let is_taken = |pod: &PodInstance, touched: &[String]| {
            taken.get(pod).is_some_and(|steps| steps.iter().any(|step| step.conflicts_with(pod, touched)))
        };
        wanted.retain(|one| !one.tasks.is_empty() && !is_taken(&one.pod, &one.touched));
        let Some(plan) = self.plans.get_mut(RECOVERY) else { return };
        for added in recovery::refresh(plan, wanted, &mut self.ids) {
            for step in plan.steps_mut().filter(|step| step.pod == added.pod && step.launched.is_empty()) {
                step.hold_back(&self.delays, now);
            }
            let kind = if added.kind == Recovery::Permanent { "PERMANENT" } else { "TRANSIENT" };
            effects.journal.push(Entry::RecoveryStarted { pod: added.pod, tasks: added.tasks, kind });
        }
    }
}

impl Engine {
    fn step_at(&self, place: Place) -> Option<&Step> {
        self.plans.get(place.plan)?.phases.get(place.phase)?.steps.get(place.step)
    }

    /// Ends what has to end before each candidate step can launch. Returns the steps that could launch now.
    fn prepare_candidates(&mut self, now: Timestamp, effects: &mut Effects) -> BTreeSet<super::Launchable> {
        let mut launchable = BTreeSet::new();
        let mut prepared = BTreeSet::new();
        for place in self.candidates().iter().copied() {
            let Some(step) = self.step_at(place).filter(|step| step.wants_launch()) else { continue };
            let (step_id, name, pod) = (step.id, step.name.clone(), step.pod.clone());
            let stored = self.state.pod_tasks(&pod);
            let is_given_up = stored.iter().any(|task| task.is_permanently_failed);
            let is_anew = is_given_up || step.recovery == Recovery::Permanent;
            let is_bound = !is_anew && stored.iter().any(|task| task.resource_ids().next().is_some());
            let live = self.live_before(step, is_given_up);
            if live.is_empty() {
                self.end_idle_executor(&pod, effects);
                self.ask_for_agent(&pod, is_given_up, now);
                launchable.insert((step_id, is_bound));
                continue;
            }
            let names: Vec<String> = live.iter().map(|(task_id, _)| task_id.to_string()).collect();
            for (task_id, agent_id) in live {
                self.kill(task_id, agent_id, "its step launches it anew", now, effects);
            }
            self.waits(step_id, &name, &format!("waits for the end of {}", names.join(", ")), effects);
            prepared.insert(place);
        }
        for place in self.plans_now().waiting.clone() {
            let Some(step) = self.step_at(place).filter(|step| step.wants_launch()) else { continue };
            let (step_id, name) = (step.id, step.name.clone());
            self.waits(step_id, &name, "waits for recovery to bring back the whole pod", effects);
        }
        for place in prepared {
            let Some(plan) = self.plans.get_mut(place.plan) else { continue };
            if let Some(step) = plan.step_mut(place.phase, place.step).filter(|step| !step.is_prepared) {
                step.is_prepared = true;
                plan.version += 1;
            }
        }
        launchable
    }

    /// A pod waits for the agent that holds its reservation. Whether that agent is there at all is told by nobody: its ended tasks are asked about.
    fn ask_for_agent(&mut self, pod: &PodInstance, is_given_up: bool, now: Timestamp) {
        if is_given_up {
            return;
        }
        let stored = self.state.pod_tasks(pod);
        let asked = stored.iter().find_map(|task| Some((task.task_id.clone()?, task.agent_id.clone())));
        if let Some((task_id, agent_id)) = asked {
            self.reconciler.inquire(task_id, agent_id, now);
        }
    }

    /// Asks after the agents that hold what is to be released. That one is gone for good is told once, of tasks that had not ended, and maybe while
    /// nobody listened.
    fn ask_what_holds(&self) -> Call {
        let agents: BTreeSet<&AgentId> = self.state.releasing.values().map(|given_up| &given_up.agent_id).collect();
        Call::Reconcile {
            tasks: agents
                .into_iter()
                .filter_map(|id| Some((statuses::question_about(id)?, Some(id.clone()))))
                .collect(),
        }
    }

    /// Launches that must end before this step may launch.
    fn live_before(&self, step: &Step, is_given_up: bool) -> Vec<(TaskId, Option<AgentId>)> {
        let concerned: Vec<&Task> = if is_given_up || step.recovery == Recovery::Permanent {
            self.state.pod_tasks(&step.pod)
        } else {
            match self.spec.pod(&step.pod.pod_type) {
                Some(pod_spec) => self.tasks_sharing(&step.pod, pod_spec, &step.tasks),
                None => self.state.pod_tasks(&step.pod),
            }
        };
        let live = concerned.into_iter().filter(|task| task.is_live());
        let live = live.filter_map(|task| Some((task.task_id.clone()?, Some(task.agent_id.clone()))));
        live.chain(self.strays(&step.pod).map(|task_id| (task_id, None))).collect()
    }

    /// Launches of this pod instance that nothing stored speaks of, seen alive and being ended: never two of one instance.
    pub(super) fn strays(&self, pod: &PodInstance) -> impl Iterator<Item = TaskId> + '_ {
        let prefix = format!("{pod}-");
        let of_pod = move |id: &&TaskId| id.task_name().is_some_and(|name| name.as_str().starts_with(&prefix));
        self.killer.pending().filter(of_pod).filter(|id| self.state.task_by_id(id).is_none()).cloned()
    }

    /// The old executor of a pod without live tasks still holds its share of the reservation until it ends by itself; this ends it now.
    fn end_idle_executor(&mut self, pod: &PodInstance, effects: &mut Effects) {
        if !self.is_subscribed {
            return;
        }
        let stored = self.state.pod_tasks(pod);
        if stored.iter().any(|task| task.is_live()) {
            return;
        }
        // On an agent that may come back with its tasks the executor is not idle at all.
        let is_over = |task: &&&Task| task.state().is_some_and(State::is_terminal);
        let executors: BTreeMap<_, _> = stored
            .iter()
            .filter(is_over)
            .filter_map(|task| Some((task.executor.as_ref()?.id.clone(), task.agent_id.clone())))
            .collect();
        for (executor_id, agent_id) in executors {
            if self.shut_down.insert(executor_id.clone()) {
                effects.send.push(Call::Shutdown { executor_id, agent_id });
            }
        }
    }

    /// Whether any step waits for an offer, or reservations may show up that are to be released.
    pub(super) fn wants_offers(&mut self, now: Timestamp) -> bool {
        !self.launchable.is_empty() || self.has_waiting_step() || self.demand.is_sweeping(now)
    }

    fn has_waiting_step(&mut self) -> bool {
        self.plans_now().has_work
    }

    fn ask_for_offers(&mut self, now: Timestamp, effects: &mut Effects) {
        if !self.reconciler.is_done() {
            return;
        }
        let has_work = self.has_waiting_step();
        match self.demand.decide(has_work, !self.config.is_suppress_disabled, now) {
            Action::Nothing => {}
            Action::Revive => {
                self.refusals.revived();
                effects.send.push(Call::Revive);
                effects.journal.push(Entry::Revived);
            }
            Action::Throttled => effects.journal.push(Entry::ReviveThrottled),
            Action::Suppress => {
                effects.send.push(Call::Suppress);
                effects.journal.push(Entry::Suppressed);
            }
        }
    }

    /// Source: the SDK writes `DEPLOY` when the deploy plan first completes.
    fn note_completion(&mut self, effects: &mut Effects) {
        let is_noted = self.state.properties.get(paths::PROPERTY_LAST_COMPLETED).is_some_and(|value| value != "NONE");
        if !is_noted && self.plans.get(DEPLOY).is_some_and(Plan::is_complete) {
            self.state.put_property(paths::PROPERTY_LAST_COMPLETED, "DEPLOY", &mut effects.commit);
        }
    }

    /// What is left of each plan at the start; from here on changes are told.
    pub(super) fn tell_beginning(&mut self, effects: &mut Effects) {
        for plan in &self.plans {
            let statuses: Vec<Status> = plan.phases.iter().flat_map(Phase::step_statuses).collect();
            let steps = plan.steps().map(|(_, _, step)| step.id);
            self.told.steps.extend(steps.zip(statuses.iter().copied()));
            self.told.plans.insert(plan.name.clone(), plan.status());
            // An empty plan (recovery) has nothing to tell.
            if !statuses.is_empty() {
                effects.journal.push(Entry::PlanBegins {
                    plan: plan.name.clone(),
                    status: plan.status().as_str(),
                    steps: statuses.len(),
                    complete: statuses.iter().filter(|status| **status == Status::Complete).count(),
                });
            }
        }
    }

    /// One entry for every step and plan whose status word changed.
    fn tell_changes(&mut self, effects: &mut Effects) {
        let mut told = std::mem::take(&mut self.told);
        let mut completed = Vec::new();
        let mut has_changed = false;
        for (at, plan) in self.plans.iter().enumerate() {
            if told.versions.insert(plan.name.clone(), plan.version) == Some(plan.version) {
                continue;
            }
            has_changed = true;
            for phase in &plan.phases {
                for (step, status) in phase.steps.iter().zip(phase.step_statuses()) {
                    let before = told.steps.insert(step.id, status).unwrap_or(Status::Pending);
                    if before != status {
                        effects.journal.push(Entry::StepChanged {
                            plan: plan.name.clone(),
                            phase: phase.name.clone(),
                            step: step.name.clone(),
                            from: before.as_str(),
                            to: status.as_str(),
                        });
                    }
                }
            }
            let status = plan.status();
            let before = told.plans.insert(plan.name.clone(), status);
            if let Some(before) = before.filter(|before| *before != status) {
                completed.extend((status == Status::Complete).then_some(at));
                effects.journal.push(Entry::PlanChanged {
                    plan: plan.name.clone(),
                    from: before.as_str(),
                    to: status.as_str(),
                });
            }
        }
        // Only recovery forgets steps.
        if has_changed && told.steps.len() > self.plans.iter().flat_map(Plan::steps).count() {
            let steps: BTreeSet<uuid::Uuid> =
                self.plans.iter().flat_map(Plan::steps).map(|(_, _, step)| step.id).collect();
            told.steps.retain(|id, _| steps.contains(id));
        }
        self.told = told;
        for at in completed {
            // That it was started is history now: it must not start by itself after a restart of the scheduler.
            if self.plans.get(at).is_some_and(|plan| self.state.properties.contains_key(&overrides_key(&plan.name))) {
                self.remember_overrides(at, effects);
            }
        }
    }

    fn wake_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        let super::Looked { delayed_until: delays, has_work, .. } = *self.plans_now();
        let subscribed = self.is_subscribed.then(|| {
            let demand = self.demand.wake_at(has_work, now);
            [self.killer.wake_at(), self.reconciler.wake_at(), demand].into_iter().flatten().min()
        });
        [delays, subscribed.flatten()].into_iter().flatten().min()
    }
}
