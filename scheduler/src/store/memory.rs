//! The tree in this process, and the faults that tests and simulation put into it.
//!
//! [`Memory`] outlives the store that is open on it, as a disk outlives a process: dropping the [`super::Store`] is the crash, opening
//! another one on the same memory the restart.
//!
//! Invariant: at most one store is open on a memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainstay_engine::effect::Transaction;

use super::{CommitError, Error, Signals, Tree};

/// A tree that several stores open one after the other. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    tree: Tree,
    commits: u64,
    fault: Option<(u64, Fault)>,
    /// Signals of the store that is open.
    open: Option<Signals>,
}

/// How a commit fails; either way the store is lost with it, and the process must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing of it is stored.
    BeforeApply,
    /// All of it is stored, but the process never learns.
    AfterApply,
}

impl Memory {
    /// An empty tree that no store is open on.
    pub fn new() -> Self {
        Self::default()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // No code panics between two changes that belong together.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open(&self, signals: &Signals) -> Result<(Opened, Tree), Error> {
        let mut shared = self.shared();
        if shared.open.is_some() {
            return Err(Error::Locked {
                lock: "memory".to_owned(),
                holder: "another store of this process".to_owned(),
            });
        }
        shared.open = Some(signals.clone());
        Ok((Opened { memory: self.clone(), signals: signals.clone() }, shared.tree.clone()))
    }

    /// What is stored.
    pub fn tree(&self) -> Tree {
        self.shared().tree.clone()
    }

    /// How many commits were tried, by all stores; the first open makes one.
    pub fn commits(&self) -> u64 {
        self.shared().commits
    }

    /// Makes the commit with this number (counted from 1 over all stores, see [`Self::commits`]) fail, instead of any planned before.
    pub fn fail_commit(&self, number: u64, fault: Fault) {
        self.shared().fault = Some((number, fault));
    }

    /// Takes the lock from the open store, as an expired session does.
    pub fn expire(&self) {
        let open = self.shared().open.take();
        if let Some(signals) = open {
            signals.lose("the session was ended by a test");
        }
    }

    /// Cuts or restores the connection of the open store.
    pub fn set_connected(&self, connected: bool) {
        if let Some(signals) = &self.shared().open {
            signals.connected.send_replace(connected);
        }
    }
}

/// The one store that is open on a memory.
#[derive(Debug)]
pub(super) struct Opened {
    memory: Memory,
    signals: Signals,
}

impl Opened {
    pub(super) fn commit(&self, transaction: &Transaction) -> Result<(), CommitError> {
        let mut shared = self.memory.shared();
        if let Some(lost) = self.signals.lost() {
            return Err(CommitError::Lost(lost));
        }
        shared.commits += 1;
        let fault = shared.fault.filter(|(number, _)| *number == shared.commits).map(|(_, fault)| fault);
        if fault != Some(Fault::BeforeApply) {
            transaction.apply_to(&mut shared.tree);
        }
        if fault.is_some() {
            shared.open = None;
            return Err(CommitError::Lost(self.signals.lose("the commit failed as a test asked for")));
        }
        Ok(())
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut shared = self.memory.shared();
        let ours = shared.open.as_ref().is_some_and(|open| open.lost.same_channel(&self.signals.lost));
        if ours {
            shared.open = None;
        }
    }
}
