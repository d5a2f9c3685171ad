//! Reconciliation: asking the master what became of our tasks.
//!
//! One explicit round after every subscription, repeated for what stays unanswered; then an implicit one, and further ones at intervals.
//! Invariant: the agent is always named, since the master answers UNKNOWN for a task of an unreachable agent otherwise.

use std::collections::BTreeMap;

use crate::effect::Call;
use crate::ids::{AgentId, TaskId};
use crate::limits::{LAUNCH_UNANSWERED, RECONCILE_FIRST, RECONCILE_MAX};
use crate::units::{Millis, Timestamp};

/// After this long, tasks still unanswered (their agents have not come back) hold up only themselves.
const PATIENCE: Millis = Millis::from_secs(15);

/// What was asked and not answered.
#[derive(Debug, Clone, Default)]
pub struct Reconciler {
    unanswered: BTreeMap<TaskId, Option<AgentId>>,
    began: Timestamp,
    next_at: Option<Timestamp>,
    wait: Millis,
    is_first_round_done: bool,
    implicit_at: Option<Timestamp>,
    /// Launches that nothing was heard of yet, and when to ask.
    launches: BTreeMap<TaskId, (Option<AgentId>, Timestamp)>,
    /// No launch is to be asked about before this moment; the map is only searched then.
    launches_at: Option<Timestamp>,
}

impl Reconciler {
    /// Begins anew, after a subscription.
    pub fn begin(&mut self, tasks: impl Iterator<Item = (TaskId, Option<AgentId>)>, now: Timestamp) -> usize {
        self.unanswered = tasks.collect();
        self.began = now;
        self.next_at = Some(now);
        self.wait = RECONCILE_FIRST;
        self.is_first_round_done = self.unanswered.is_empty();
        self.implicit_at = None;
        self.unanswered.len()
    }

    /// The subscription is gone: nothing is known until the next one.
    pub fn stop(&mut self) {
        self.is_first_round_done = false;
        self.next_at = None;
        self.implicit_at = None;
    }

    /// Whether offers may be used.
    pub fn is_done(&self) -> bool {
        self.is_first_round_done
    }

    /// Watches a launch that nothing is known of (just made, or its agent away) and asks again after a while.
    pub fn expect(&mut self, task_id: TaskId, agent_id: Option<AgentId>, now: Timestamp) {
        self.launches.remove(&task_id);
        self.watch(task_id, agent_id, now);
    }

    /// Asks about an ended launch now and then: the answer tells what became of its agent.
    pub fn inquire(&mut self, task_id: TaskId, agent_id: AgentId, now: Timestamp) {
        self.watch(task_id, Some(agent_id), now);
    }

    /// Asks about a launch after a while, unless that is to happen anyway.
    fn watch(&mut self, task_id: TaskId, agent_id: Option<AgentId>, now: Timestamp) {
        let at = now.plus(LAUNCH_UNANSWERED);
        self.launches.entry(task_id).or_insert((agent_id, at));
        self.launches_at = Some(self.launches_at.map_or(at, |known| known.min(at)));
    }

    /// A status of any kind arrived for this task. Returns whether that ended the first round.
    pub fn answered(&mut self, task_id: &TaskId) -> bool {
        self.launches.remove(task_id);
        if self.launches.is_empty() {
            self.launches_at = None;
        }
        self.unanswered.remove(task_id);
        self.end_first_round(self.unanswered.is_empty())
    }

    fn end_first_round(&mut self, may_end: bool) -> bool {
        let ends = may_end && !self.is_first_round_done && self.next_at.is_some();
        self.is_first_round_done |= ends;
        ends
    }

    /// Calls that are due. The second value tells whether patience ended the first round just now.
    pub fn due(&mut self, implicit_period: Millis, now: Timestamp) -> (Vec<Call>, bool) {
        let Some(next_at) = self.next_at else { return (Vec::new(), false) };
        let mut calls = Vec::new();
        if now >= next_at && !self.unanswered.is_empty() {
            let tasks = self.unanswered.iter().map(|(task, agent)| (task.clone(), agent.clone())).collect();
            calls.push(Call::Reconcile { tasks });
            self.next_at = Some(now.plus(self.wait));
            self.wait = Millis((self.wait.0 * 2).min(RECONCILE_MAX.0));
        }
        let may_be_due = self.launches_at.is_some_and(|at| now >= at);
        let silent: Vec<_> = self
            .launches
            .iter()
            .take(if may_be_due { usize::MAX } else { 0 })
            .filter(|(_, (_, at))| now >= *at)
            .map(|(id, (agent, _))| (id.clone(), agent.clone()))
            .collect();
        if !silent.is_empty() {
            for (id, _) in &silent {
                if let Some((_, at)) = self.launches.get_mut(id) {
                    *at = now.plus(LAUNCH_UNANSWERED);
                }
            }
            calls.push(Call::Reconcile { tasks: silent });
        }
        if may_be_due {
            self.launches_at = self.launches.values().map(|(_, at)| *at).min();
        }
        let lost_patience = self.end_first_round(now.since(self.began) >= PATIENCE);
        if self.is_first_round_done && self.implicit_at.is_none_or(|at| now >= at) {
            calls.push(Call::Reconcile { tasks: Vec::new() });
            self.implicit_at = Some(now.plus(implicit_period));
        }
        (calls, lost_patience)
    }

    /// When [`Self::due`] may have something next.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let next_at = self.next_at?;
        let explicit = (!self.unanswered.is_empty()).then_some(next_at);
        let patience = (!self.is_first_round_done).then(|| self.began.plus(PATIENCE));
        [explicit, patience, self.launches_at, self.implicit_at].into_iter().flatten().min()
    }

    /// Whether this task has not been answered in the current round.
    pub fn is_unanswered(&self, task_id: &TaskId) -> bool {
        self.unanswered.contains_key(task_id)
    }

    /// How many tasks have not been answered.
    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }
}
