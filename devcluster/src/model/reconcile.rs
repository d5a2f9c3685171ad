//! RECONCILE and RECONCILE_OPERATIONS: what the master answers from memory.
//!
//! Invariant: answers carry neither uuid nor data, and are never repeated.

use mainstay_proto::v1::{self, scheduler};

use super::Cluster;

use v1::TaskState;
use v1::task_status::Reason;

impl Cluster {
    /// Implicit for an empty list, else one answer (or none) per task.
    pub(super) fn reconcile(&mut self, framework_id: &str, tasks: &[scheduler::call::reconcile::Task]) {
        for task in tasks {
            self.reconcile_one(framework_id, task);
        }
        if !tasks.is_empty() {
            return;
        }
        let known = self.master.agents.values().flat_map(|agent| agent.tasks.iter());
        let answers: Vec<v1::TaskStatus> =
            known.filter(|((of, _), _)| of == framework_id).map(|(_, task)| self.answer_of(task)).collect();
        for status in answers {
            self.send_status(framework_id, status);
        }
    }

    /// A known task in the state last forwarded, or the latest when none was.
    fn answer_of(&self, task: &v1::Task) -> v1::TaskStatus {
        let state = if task.status_update_state.is_some() { task.status_update_state() } else { task.state() };
        let message = "Reconciliation: Latest task state";
        let mut status =
            self.master_status(&task.task_id, Some(&task.agent_id), state, Reason::Reconciliation, message);
        status.executor_id.clone_from(&task.executor_id);
        if let Some(last) = task.statuses.last() {
            status.healthy = last.healthy;
            status.check_status.clone_from(&last.check_status);
            status.container_status.clone_from(&last.container_status);
        }
        status
    }

    /// The table of explicit reconciliation, row by row.
    pub(super) fn reconcile_one(&mut self, framework_id: &str, task: &scheduler::call::reconcile::Task) {
        let key = (framework_id.to_owned(), task.task_id.value.clone());
        if let Some(known) = self.master.agents.values().find_map(|agent| agent.tasks.get(&key)) {
            let status = self.answer_of(known);
            return self.send_status(framework_id, status);
        }
        let named = task.agent_id.as_ref().map(|id| id.value.as_str());
        let is_open = match named {
            Some(id) => self.master.recovered.contains_key(id),
            None => !self.master.recovered.is_empty(),
        };
        if is_open {
            return;
        }
        let mut unreachable_time = None;
        let (state, message) = match named {
            Some(id) if self.master.agents.contains_key(id) => {
                (TaskState::TaskGone, "Reconciliation: Task is unknown to the agent")
            }
            Some(id) if self.master.unreachable.contains_key(id) => {
                unreachable_time = self.master.unreachable.get(id).map(|at| self.time_info(*at));
                (TaskState::TaskUnreachable, "Reconciliation: Task is unreachable")
            }
            Some(id) if self.master.gone.contains(id) => {
                (TaskState::TaskGoneByOperator, "Reconciliation: Task is gone")
            }
            Some(_) | None => (TaskState::TaskUnknown, "Reconciliation: Task is unknown"),
        };
        let state = self.lost_state(framework_id, state);
        let mut status =
            self.master_status(&task.task_id, task.agent_id.as_ref(), state, Reason::Reconciliation, message);
        if state == TaskState::TaskUnreachable {
            status.unreachable_time = unreachable_time;
        }
        self.send_status(framework_id, status);
    }

    /// The same for operations with feedback.
    pub(super) fn reconcile_operations(
        &mut self,
        framework_id: &str,
        operations: &[scheduler::call::reconcile_operations::Operation],
    ) {
        use v1::OperationState as State;
        let known: Vec<v1::OperationStatus> = self
            .master
            .agents
            .values()
            .flat_map(|agent| agent.operations.values())
            .filter(|operation| operation.framework_id.as_ref().is_some_and(|of| of.value == framework_id))
            .map(|operation| v1::OperationStatus {
                uuid: None,
                agent_id: operation.agent_id.clone(),
                ..operation.latest_status.clone()
            })
            .collect();
        if operations.is_empty() {
            for status in known {
                self.send_operation_status(framework_id, status);
            }
            return;
        }
        for asked in operations {
            let found = known.iter().find(|status| status.operation_id.as_ref() == Some(&asked.operation_id));
            let status = found.cloned().unwrap_or_else(|| {
                let named = asked.agent_id.as_ref().map(|id| id.value.as_str());
                let state = match named {
                    Some(id) if self.master.recovered.contains_key(id) => State::OperationRecovering,
                    Some(id) if self.master.unreachable.contains_key(id) => State::OperationUnreachable,
                    Some(id) if self.master.gone.contains(id) => State::OperationGoneByOperator,
                    Some(_) | None => State::OperationUnknown,
                };
                let mut status =
                    v1::OperationStatus { operation_id: Some(asked.operation_id.clone()), ..Default::default() };
                status.set_state(state);
                status.agent_id.clone_from(&asked.agent_id);
                status
            });
            self.send_operation_status(framework_id, status);
        }
    }
}
