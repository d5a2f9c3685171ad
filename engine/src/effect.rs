//! What the scheduler may do: data, carried out by the shell in the order of the fields of [`Effects`].

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use mainstay_proto::v1 as wire;

use crate::command::Reply;
use crate::ids::{AgentId, ExecutorId, OfferId, OperationId, TaskId};
use crate::journal::Entry;
use crate::units::{Millis, Timestamp};

/// Everything one step wants done.
///
/// Invariant: `commit` is durable before anything of `send` leaves, and `send` has left before `replies` are given.
#[derive(Debug, Default)]
pub struct Effects {
    /// 1. Made durable first, atomically; may be empty.
    pub commit: Transaction,
    /// 2. Then sent to Mesos, in order.
    pub send: Vec<Call>,
    /// 3. Then the waiting callers are answered.
    pub replies: Vec<Reply>,
    /// The one pending timer; replaces any earlier one.
    pub wake_at: Option<Timestamp>,
    /// What happened and why; the shell logs and counts it.
    pub journal: Vec<Entry>,
    /// The process must end after all of the above, with this exit code and reason.
    pub exit: Option<(u8, String)>,
}

impl Effects {
    /// Adds a later step's effects: later writes win ([`Transaction::then`]), calls keep their order.
    pub fn merge(&mut self, later: Self) {
        self.commit.then(later.commit);
        self.send.extend(later.send);
        self.replies.extend(later.replies);
        self.wake_at = later.wake_at;
        self.journal.extend(later.journal);
        self.exit = self.exit.take().or(later.exit);
    }
}

/// An atomic change of the stored tree.
///
/// Shape: paths are relative to the service's root, `/` between parts, no leading slash (`Tasks/hello-0-server/TaskInfo`); parts are
/// never empty, `.` or `..`.
/// Source: `state/paths.rs` makes every path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    /// What to do with each path.
    pub writes: BTreeMap<String, Write>,
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Creates the node (and missing parents, without data) or replaces its data.
    Put(Bytes),
    /// Removes the node and everything below it; a missing node is fine.
    Delete,
}

impl Transaction {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Plans a put.
    pub fn put(&mut self, path: impl Into<String>, data: impl Into<Bytes>) {
        self.writes.insert(path.into(), Write::Put(data.into()));
    }

    /// Plans a delete; earlier puts below the path are dropped.
    pub fn delete(&mut self, path: impl Into<String>) {
        let path = path.into();
        let below = format!("{path}/");
        self.writes.retain(|other, _| !other.starts_with(&below));
        self.writes.insert(path, Write::Delete);
    }

    /// Does to a tree in memory what the store does: a delete removes the node and everything below it.
    pub fn apply_to(&self, tree: &mut BTreeMap<String, Bytes>) {
        // In the order of paths a put below a deleted node follows the delete.
        for (path, write) in &self.writes {
            match write {
                Write::Put(data) => {
                    tree.insert(path.clone(), data.clone());
                }
                Write::Delete => {
                    tree.remove(path);
                    let prefix = format!("{path}/");
                    let from = tree.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
                    let below = from.map(|(path, _)| path).take_while(|path| path.starts_with(&prefix));
                    for path in below.cloned().collect::<Vec<_>>() {
                        tree.remove(&path);
                    }
                }
            }
        }
    }

    /// Adds a later transaction: its writes of a path win, and its deletes also drop earlier puts below the path.
    pub fn then(&mut self, later: Self) {
        // In the order of paths a delete comes before the puts below it, which in one transaction are always the later ones.
        for (path, write) in later.writes {
            match write {
                Write::Put(data) => self.put(path, data),
                Write::Delete => self.delete(path),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_below_a_deleted_node_survives() {
        let paths = ["a", "a-b", "a/b", "a/b/c", "a0", "b"];
        let mut tree: BTreeMap<String, Bytes> = paths.iter().map(|path| ((*path).to_owned(), "old".into())).collect();
        let mut transaction = Transaction::default();
        transaction.delete("a");
        transaction.put("a/b", "new");
        transaction.delete("missing");
        transaction.apply_to(&mut tree);
        assert_eq!(tree.keys().collect::<Vec<_>>(), ["a-b", "a/b", "a0", "b"]);
        assert_eq!(tree["a/b"], "new");
    }

    #[test]
    fn a_later_delete_drops_earlier_puts_below_it_but_not_its_own() {
        let mut earlier = Transaction::default();
        earlier.put("Tasks/a/TaskInfo", "old");
        earlier.put("Tasks/a-b/TaskInfo", "kept");
        let mut later = Transaction::default();
        later.delete("Tasks/a");
        later.put("Tasks/a/TaskStatus", "new");
        earlier.then(later);
        let written: Vec<_> = earlier.writes.iter().map(|(path, write)| (path.as_str(), write.clone())).collect();
        assert_eq!(
            written,
            [
                ("Tasks/a", Write::Delete),
                ("Tasks/a-b/TaskInfo", Write::Put("kept".into())),
                ("Tasks/a/TaskStatus", Write::Put("new".into())),
            ]
        );
    }
}

/// A call to the master, without the framework id (the shell adds it).
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Uses offers of one agent and role.
    Accept {
        /// Offers, all of one agent.
        offers: Vec<OfferId>,
        /// Operations in the order Mesos must apply them.
        operations: Vec<wire::offer::Operation>,
        /// How long not to offer the remainder again.
        refuse: Millis,
    },
    /// Gives offers back.
    Decline {
        /// Offers.
        offers: Vec<OfferId>,
        /// How long not to offer them again.
        refuse: Millis,
    },
    /// Asks for offers of every role, dropping filters.
    Revive,
    /// Asks for no more offers.
    Suppress,
    /// Ends a task.
    Kill {
        /// Task.
        task_id: TaskId,
        /// Its agent, when known.
        agent_id: Option<AgentId>,
    },
    /// Ends an executor.
    Shutdown {
        /// Executor.
        executor_id: ExecutorId,
        /// Its agent.
        agent_id: AgentId,
    },
    /// Confirms a status update.
    Acknowledge {
        /// Agent of the update.
        agent_id: AgentId,
        /// Task of the update.
        task_id: TaskId,
        /// Its uuid.
        uuid: Bytes,
    },
    /// Confirms an operation status.
    AcknowledgeOperation {
        /// Agent of the status.
        agent_id: AgentId,
        /// Operation.
        operation_id: OperationId,
        /// Its uuid.
        uuid: Bytes,
        /// Resource provider, iff present in the status.
        provider_id: Option<String>,
    },
    /// Asks for the state of these tasks; of all tasks when empty.
    Reconcile {
        /// Tasks and their agents.
        tasks: Vec<(TaskId, Option<AgentId>)>,
    },
    /// Removes the framework.
    Teardown,
}
