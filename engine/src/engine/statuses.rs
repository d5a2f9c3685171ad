//! Task and operation statuses.
//!
//! Every status is acknowledged after the commit, whatever is made of it, and ends the question that reconciliation asked.
//!
//! | the status speaks of | and is | it is |
//! |---|---|---|
//! | a launch we do not know | live | killed |
//! | a launch we do not know | over | passed over |
//! | the current launch, stored FINISHED, FAILED or KILLED | anything else | passed over: late or a guess of the master |
//! | the current launch, whatever is stored | GONE_BY_OPERATOR | the end of its agent: the pod is given up |
//! | the current launch, stored over by the master's word | LOST, UNREACHABLE, … | passed over: the first reason is the real one |
//! | the current launch | live, and older by its agent's clock than one that was as far or further | passed over: a repetition |
//! | the current launch | anything else | stored, shown to the steps |
//! | no launch: a question about an agent that holds what is to be released | GONE_BY_OPERATOR | the end of what it held |
//!
//! What an accept planned is confirmed, or given up, by what is said of the launches of that very accept.

use std::collections::BTreeSet;

use bytes::Bytes;
use mainstay_proto::splice;
use mainstay_proto::v1::OperationState;
use mainstay_proto::v1::task_status::Reason;

use super::{Engine, RECOVERY};
use crate::effect::{Call, Effects};
use crate::event::OperationStatus;
use crate::ids::{AgentId, PodInstance, ResourceId, TaskId, TaskName};
use crate::journal::Entry;
use crate::limits::{INVALID_LAUNCH_BACKOFF, RELEASE_SWEEP};
use crate::plan::{self, model};
use crate::state::{GivenUp, Task, paths, rewrite};
use crate::task::status::{State, Status};
use crate::units::Timestamp;

impl Engine {
    pub(super) fn status(&mut self, status: Status, now: Timestamp, effects: &mut Effects) {
        if let Some(agent_id) = &status.agent_id
            && question_about(agent_id).as_ref() == Some(&status.task_id)
        {
            if status.state == State::GoneByOperator {
                self.nothing_to_release(agent_id, effects);
            }
            return;
        }
        let stored = self.state.task_by_id(&status.task_id).and_then(|task| task.status.as_ref());
        effects.journal.push(Entry::StatusReceived {
            task_id: status.task_id.clone(),
            state: status.state,
            reason: status.reason,
            message: status.message.clone(),
            is_ready: status.readiness(),
            is_healthy: status.is_healthy,
            is_news: !stored.is_some_and(|stored| status.repeats(stored)),
        });
        if self.reconciler.answered(&status.task_id) {
            self.reconciled(effects);
        }
        self.killer.observe(&status.task_id, status.state);
        if let (Some(uuid), Some(agent_id)) = (&status.uuid, &status.agent_id) {
            effects.send.push(Call::Acknowledge {
                agent_id: agent_id.clone(),
                task_id: status.task_id.clone(),
                uuid: uuid.clone(),
            });
        }
        match self.state.task_by_id(&status.task_id).cloned() {
            None => self.status_of_unknown(status, now, effects),
            Some(task) => self.status_of_current(task, status, now, effects),
        }
    }

    fn status_of_unknown(&mut self, status: Status, now: Timestamp, effects: &mut Effects) {
        if status.task_id.task_name().is_some_and(|name| self.state.unreadable.contains(&name)) {
            // It may well be the current one.
            effects.journal.push(Entry::StatusIgnored {
                task_id: status.task_id,
                state: status.state,
                why: "the stored TaskInfo of this task cannot be read",
            });
            return;
        }
        if status.state.is_live() {
            effects.journal.push(Entry::UnknownTaskKilled { task_id: status.task_id.clone(), state: status.state });
            self.killer.kill(status.task_id, status.agent_id, now);
        } else {
            effects.journal.push(Entry::StatusIgnored {
                task_id: status.task_id,
                state: status.state,
                why: "no current launch has this id",
            });
            if status.state == State::GoneByOperator
                && let Some(agent_id) = &status.agent_id
            {
                self.nothing_to_release(agent_id, effects);
                return;
            }
            // What it stood on is free now, and nobody's.
            self.demand.sweep(now, RELEASE_SWEEP);
            self.demand.want_revive();
        }
    }

    fn status_of_current(&mut self, task: Task, status: Status, now: Timestamp, effects: &mut Effects) {
        if let Some(why) = why_passed_over(&task, &status) {
            if status.state == State::GoneByOperator {
                self.agent_is_gone(&task, effects);
            }
            effects.journal.push(Entry::StatusIgnored { task_id: status.task_id, state: status.state, why });
            return;
        }
        let (state, status_id) = (status.state, status.task_id.clone());
        let status = keep_readiness(&task, status);
        self.state.put_status(&task.name, status, &mut effects.commit);
        let Some(task) = self.state.tasks.get(&task.name).map(|task| task.as_ref().clone()) else { return };

        if let Some(status) = task.status.as_ref().filter(|_| self.state.planned.contains_key(&task.pod)) {
            // One that the agent refuses came with its reservations. Giving them up would try the same again, there or elsewhere, and each
            // try costs the agent an executor: the master does not hear that it never started, and has its resources in use until the
            // agent registers anew. With them the pod waits for just those.
            if status.proves_launch() || is_refused_by_agent(status) {
                self.state.confirm_launch(&task.pod, &status_id, &mut effects.commit);
            } else if status.refutes_launch() {
                self.launch_fell_through(&task.pod, &status_id, now, effects);
            }
        }
        if matches!(state, State::Unreachable | State::Lost | State::Unknown) {
            // An agent that comes back without the task says nothing about it: only asking tells that the launch is gone.
            self.reconciler.expect(status_id, Some(task.agent_id.clone()), now);
        }
        if state == State::GoneByOperator {
            self.delays.clear(&task.name);
            self.agent_is_gone(&task, effects);
        }
        self.show_to_steps(&task, now);
        if task.status.as_ref().is_some_and(is_refused) {
            self.hold_back(&task, now);
        }
        if !state.is_live() {
            self.demand.want_revive();
        }
    }

    /// Lets every step that made this launch see it.
    fn show_to_steps(&mut self, task: &Task, now: Timestamp) {
        let goal = self.goal_of(task);
        let mut is_failure = false;
        // What is refused is held back in any case.
        let failed = task.state() == Some(State::Failed) && !task.status.as_ref().is_some_and(is_refused);
        for plan in &mut self.plans {
            let mut changed = false;
            for step in plan.steps_mut().filter(|step| step.pod == task.pod) {
                if step.observe(task, goal) {
                    changed = true;
                    is_failure |= failed;
                }
            }
            plan.version += u64::from(changed);
        }
        match self.config.backoff {
            Some(backoff) if is_failure => {
                let until = self.delays.failed(&task.name, &why_ended(task), backoff, now);
                self.delay_steps(task, until);
            }
            _ if failed => self.delays.note(&task.name, &why_ended(task)),
            _ => {}
        }
        if task.state().is_some_and(|state| model::task_status(state, task, goal) == plan::Status::Complete) {
            self.delays.clear(&task.name);
        }
    }

    /// Holds back every step that would launch this task.
    fn delay_steps(&mut self, task: &Task, until: Timestamp) {
        for plan in &mut self.plans {
            let steps = plan.steps_mut().filter(|step| step.pod == task.pod && step.wants_launch());
            let mut changed = false;
            for step in steps.filter(|step| step.tasks.iter().any(|short| short == task.short_name())) {
                step.delayed_until = step.delayed_until.max(Some(until));
                changed = true;
            }
            plan.version += u64::from(changed);
        }
    }

    /// Mesos refuses the launch: the next one is likely to be as well, so it does not follow at once.
    fn hold_back(&mut self, task: &Task, now: Timestamp) {
        let backoff = self.config.backoff.unwrap_or(INVALID_LAUNCH_BACKOFF);
        let until = self.delays.failed(&task.name, &why_ended(task), backoff, now);
        self.delay_steps(task, until);
    }

    /// A launch whose reservations nothing confirmed is known not to have happened: what its accept planned is dropped and tried again.
    ///
    /// No task ever ran on these reservations, so no data is lost. If they do exist, offers will show them and they are released. What the
    /// other tasks of the pod stand on was planned by other accepts, and is left alone.
    fn launch_fell_through(&mut self, pod: &PodInstance, launch: &TaskId, now: Timestamp, effects: &mut Effects) {
        let (mut gone, launches) = self.state.planned_with(pod, launch);
        let tasks: Vec<Task> = self.state.pod_tasks(pod).into_iter().cloned().collect();
        let is_of_launch = |task: &Task| {
            launches.is_empty() || task.task_id.as_ref().is_some_and(|task_id| launches.contains(task_id))
        };
        if gone.is_empty() || tasks.iter().any(|task| is_of_launch(task) && task.is_live()) {
            return;
        }
        self.state.confirm_reservations(pod, &gone, &mut effects.commit);
        // What a launch stands on that lives exists, whatever was said of this one.
        for id in tasks.iter().filter(|task| task.is_live()).flat_map(Task::resource_ids) {
            gone.remove(&id);
        }
        if gone.is_empty() {
            return;
        }
        let given_up = GivenUp::of_pod(&tasks.iter().collect::<Vec<_>>());
        self.state.give_up(given_up.into_iter().filter(|(id, _)| gone.contains(id)), &mut effects.commit);
        self.demand.sweep(now, RELEASE_SWEEP);
        effects.journal.push(Entry::ReservationDropped {
            pod: pod.clone(),
            resources: gone.iter().cloned().collect(),
            why: "the launch did not reach its agent",
        });
        let is_all = tasks.iter().flat_map(Task::resource_ids).all(|id| gone.contains(&id));
        // Nothing is known of such a pod; what a task of an earlier launch has finished would be forgotten.
        let is_first = tasks.iter().all(|task| task.status.is_none() || task.task_id.is_some() && is_of_launch(task));
        let is_deploy = self.plans.iter().enumerate().any(|(at, plan)| {
            at != RECOVERY
                && plan.steps().any(|(_, _, step)| {
                    step.pod == *pod
                        && !step.is_complete
                        && tasks.iter().any(|task| {
                            step.launched.values().any(|known| task.task_id.as_ref() == Some(&known.task_id))
                        })
                })
        });
        for task in &tasks {
            if is_all && is_first && is_deploy {
                self.state.delete_task(&task.name, &mut effects.commit);
            } else if is_all || task.resource_ids().any(|id| gone.contains(&id)) {
                self.strip(task, &gone, is_all, effects);
            }
            if let Some(task_id) = task.task_id.as_ref().filter(|_| is_of_launch(task)) {
                for plan in &mut self.plans {
                    plan.steps_mut().filter(|step| step.pod == *pod).for_each(|step| step.forget(task_id));
                    plan.version += 1;
                }
            }
        }
    }

    /// Takes reservations out of a stored task; a pod that had no others stays given up, so that recovery launches it anew.
    pub(super) fn strip(&mut self, task: &Task, gone: &BTreeSet<ResourceId>, give_up: bool, effects: &mut Effects) {
        self.demand.want_revive();
        let stripped = rewrite::without_resources(task, |id| gone.contains(id))
            .and_then(|task| if give_up { rewrite::permanently_failed(&task) } else { Ok(task) });
        match stripped {
            Ok(task) => self.state.put_task(task, &mut effects.commit),
            Err(problem) => self.unreadable(&task.name, &problem, effects),
        }
    }

    /// The agent of a pod will never come back: the pod is given up at once, with nothing that would have to be released.
    fn agent_is_gone(&mut self, task: &Task, effects: &mut Effects) {
        for of_pod in self.state.pod_tasks(&task.pod).into_iter().cloned().collect::<Vec<_>>() {
            let all: BTreeSet<ResourceId> = of_pod.resource_ids().collect();
            if of_pod.agent_id == task.agent_id && !all.is_empty() {
                self.strip(&of_pod, &all, true, effects);
            } else if !of_pod.is_permanently_failed {
                self.give_up_task(&of_pod, effects);
            }
        }
        self.state.forget_unheld_plans(&task.pod, &mut effects.commit);
        self.nothing_to_release(&task.agent_id, effects);
    }

    /// What an agent held that is gone for good is gone with it.
    fn nothing_to_release(&mut self, agent_id: &AgentId, effects: &mut Effects) {
        let releasing = self.state.releasing.iter();
        let gone: Vec<ResourceId> =
            releasing.filter(|(_, given_up)| given_up.agent_id == *agent_id).map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.unseen.remove(&id);
            self.state.released(&id, &mut effects.commit);
        }
    }

    /// Marks a task as permanently failed.
    pub(super) fn give_up_task(&mut self, task: &Task, effects: &mut Effects) {
        // Its pod is bound to no agent any more, so offers of all are wanted again. Rules count it until it is stored anew.
        self.demand.want_revive();
        match rewrite::permanently_failed(task) {
            Ok(task) => self.state.put_task(task, &mut effects.commit),
            Err(problem) => self.unreadable(&task.name, &problem, effects),
        }
    }

    fn unreadable(&mut self, name: &TaskName, problem: &rewrite::Error, effects: &mut Effects) {
        self.is_partly_unreadable = true;
        let path = paths::task_info(name);
        effects.journal.push(Entry::StatePartlyUnreadable { path, problem: problem.to_string() });
    }

    pub(super) fn reconciled(&mut self, effects: &mut Effects) {
        effects.journal.push(Entry::ReconciliationFinished { unanswered: self.reconciler.unanswered() });
        self.demand.want_revive();
    }

    pub(super) fn operation_status(&mut self, status: OperationStatus, now: Timestamp, effects: &mut Effects) {
        if let (Some(uuid), Some(agent_id)) = (status.uuid, status.agent_id) {
            effects.send.push(Call::AcknowledgeOperation {
                agent_id,
                operation_id: status.operation_id.clone(),
                uuid,
                provider_id: status.provider_id,
            });
        }
        let is_finished = status.state == OperationState::OperationFinished as i32;
        let has_failed = matches!(
            OperationState::try_from(status.state),
            Ok(OperationState::OperationFailed
                | OperationState::OperationError
                | OperationState::OperationDropped
                | OperationState::OperationGoneByOperator)
        );
        if has_failed {
            effects.journal.push(Entry::OperationFailed {
                operation_id: status.operation_id.to_string(),
                state: status.state,
                message: status.message,
            });
        }
        // Anything else is still on its way, or its fate is unknown.
        if !is_finished && !has_failed {
            return;
        }
        if let Some(resource) = self.releases.remove(&status.operation_id) {
            if is_finished {
                self.unseen.remove(&resource);
                self.state.released(&resource, &mut effects.commit);
            } else {
                self.demand.sweep(now, RELEASE_SWEEP);
            }
        }
    }
}

/// Id of a task that no agent ever had: asked about it, the master answers what has become of the agent that is named with it.
///
/// Source: the table of explicit reconciliation; of an agent gone for good it says GONE_BY_OPERATOR.
pub(super) fn question_about(agent_id: &AgentId) -> Option<TaskId> {
    TaskId::parse(format!("mainstay-releasing-{agent_id}")).ok()
}

/// Whether Mesos would not have the launch for what it is: the master calls it invalid, or the agent cannot do what it asks for.
///
/// Source: an agent drops what has resource limits that none of its isolators can set, with this reason; nothing in an offer tells before.
/// Whether the launch cannot have come to run: the master calls it invalid, or the agent cannot carry it out or make its container.
fn is_refused(status: &Status) -> bool {
    let is_without_container =
        status.state == State::Failed && status.reason == Some(Reason::ContainerLaunchFailed as i32);
    status.state == State::Error || is_refused_by_agent(status) || is_without_container
}

fn is_refused_by_agent(status: &Status) -> bool {
    matches!(status.state, State::Dropped | State::Lost) && status.reason == Some(Reason::GcError as i32)
}

/// The last state of a task and what was said of it.
fn why_ended(task: &Task) -> String {
    let Some(status) = &task.status else { return String::new() };
    match status.message.as_deref().filter(|message| !message.trim().is_empty()) {
        Some(message) => format!("{}: {message}", status.state.as_str()),
        None => status.state.as_str().to_owned(),
    }
}

/// Why a status of the current launch changes nothing.
fn why_passed_over(task: &Task, new: &Status) -> Option<&'static str> {
    let stored = task.status.as_ref().filter(|stored| stored.task_id == new.task_id)?;
    let ended_by_executor = matches!(stored.state, State::Finished | State::Failed | State::Killed);
    if ended_by_executor && new.state != stored.state {
        return Some("the launch has already ended");
    }
    let is_guess =
        matches!(new.state, State::Lost | State::Gone | State::Dropped | State::Unknown | State::Unreachable);
    if stored.state.is_terminal() && is_guess && new.state != stored.state {
        return Some("the first reason is the real one");
    }
    // Both are updates of the executor or agent, stamped by the same clock: a late repetition must not undo what came after it. That clock may
    // be set back, though, and what leads on is never a repetition of what led here. The end of a launch must not be missed: it is told once, and
    // when it is acknowledged the master forgets the task.
    let is_older = stored.timestamp.zip(new.timestamp).is_some_and(|(stored, new)| new < stored);
    let leads_on = stored.state.is_live() && (!new.state.is_live() || new.state > stored.state);
    if stored.uuid.is_some() && new.uuid.is_some() && is_older && !leads_on {
        return Some("a later update of this launch is known");
    }
    None
}

/// What the master says by itself about a launch (an answer to reconciliation, an agent that is lost or back) may lack what the executor told:
/// whether the task is ready. Nothing contradicts it, so it is carried over.
///
/// Source: reconciliation answers carry no labels; whether they carry the check status depends on what the master remembers.
fn keep_readiness(task: &Task, status: Status) -> Status {
    const FIELD_LABELS: u32 = 12;
    const FIELD_CHECK_STATUS: u32 = 15;
    let Some(stored) = task.status.as_ref().filter(|stored| stored.task_id == status.task_id) else { return status };
    if status.uuid.is_some() {
        return status;
    }
    let mut bytes = status.bytes.to_vec();
    let mut carry = |field: u32| {
        let fields = splice::fields(&stored.bytes).unwrap_or_default();
        for field in fields.iter().filter(|found| found.number == field) {
            bytes.extend_from_slice(field.bytes);
        }
    };
    if !status.has_check_status && stored.has_check_status {
        carry(FIELD_CHECK_STATUS);
    }
    if status.readiness_label.is_none() && stored.readiness_label.is_some() {
        carry(FIELD_LABELS);
    }
    if bytes.len() == status.bytes.len() {
        return status;
    }
    Status::parse(Bytes::from(bytes)).unwrap_or(status)
}
