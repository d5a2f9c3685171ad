//! Kills that are repeated until the task is gone.
//!
//! A KILL call can be lost (the agent is away, the connection breaks); nothing answers it but the task's terminal status. So each is sent again,
//! at growing intervals, for as long as the task may live.

use std::collections::BTreeMap;

use crate::effect::Call;
use crate::ids::{AgentId, TaskId};
use crate::limits::{KILL_REPEAT_FIRST, KILL_REPEAT_MAX};
use crate::task::status::State;
use crate::units::{Millis, Timestamp};

/// Tasks that are to end.
#[derive(Debug, Clone, Default)]
pub struct Killer {
    pending: BTreeMap<TaskId, Kill>,
}

#[derive(Debug, Clone)]
struct Kill {
    agent_id: Option<AgentId>,
    next_at: Timestamp,
    wait: Millis,
}

impl Killer {
    /// Wants a task ended; returns whether that is new.
    pub fn kill(&mut self, task_id: TaskId, agent_id: Option<AgentId>, now: Timestamp) -> bool {
        if self.pending.contains_key(&task_id) {
            return false;
        }
        self.pending.insert(task_id, Kill { agent_id, next_at: now, wait: KILL_REPEAT_FIRST });
        true
    }

    /// Whether the task is to end.
    pub fn is_killing(&self, task_id: &TaskId) -> bool {
        self.pending.contains_key(task_id)
    }

    /// Every task that is to end and, as far as is known, still lives.
    pub fn pending(&self) -> impl Iterator<Item = &TaskId> {
        self.pending.keys()
    }

    /// Looks at a status: only live states keep a kill going.
    pub fn observe(&mut self, task_id: &TaskId, state: State) {
        if !state.is_live() {
            self.pending.remove(task_id);
        }
    }

    /// A new subscription: whatever was sent before may be lost.
    pub fn repeat_all(&mut self, now: Timestamp) {
        for kill in self.pending.values_mut() {
            kill.next_at = now;
            kill.wait = KILL_REPEAT_FIRST;
        }
    }

    /// Calls that are due.
    pub fn due(&mut self, now: Timestamp) -> Vec<Call> {
        let mut calls = Vec::new();
        for (task_id, kill) in &mut self.pending {
            if now >= kill.next_at {
                calls.push(Call::Kill { task_id: task_id.clone(), agent_id: kill.agent_id.clone() });
                kill.next_at = now.plus(kill.wait);
                kill.wait = Millis((kill.wait.0 * 2).min(KILL_REPEAT_MAX.0));
            }
        }
        calls
    }

    /// When [`Self::due`] has something next.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.pending.values().map(|kill| kill.next_at).min()
    }
}
