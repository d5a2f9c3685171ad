//! The persistent tree of one service: taken under a lock, read once, then written by one writer.
//!
//! A tree of nodes as `docs/state.md` lays it out, in ZooKeeper, in a folder, or in memory. The engine plans a
//! [`Transaction`] of puts and deletes; [`Store::commit`] makes it durable. Nobody reads after [`Store::open`]: the engine's memory is
//! the truth, and the store holds what the next process starts from. Not a general key-value store, and no cache.
//!
//! Invariant: the lock is held from before the first read until [`Store::close`], the loss of the lock, or the end of the process.
//! Invariant: once the lock is lost nothing is written, by any call.
//! Invariant: a commit that returned `Ok` is durable; one that returned an error ends the process; none is dropped or applied twice.
//!
//! Next: `store/error.rs`, `store/request.rs` (how a transaction becomes requests), `store/zookeeper.rs`, `store/lock.rs`.

mod error;
mod file;
mod layout;
mod location;
mod lock;
mod memory;
mod request;
mod zookeeper;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use mainstay_engine::effect::Transaction;
use tokio::sync::watch;

pub use error::{CommitError, Error, Lost};
pub use layout::root_path;
pub use location::Location;
pub use memory::{Fault, Memory};

/// Every node with data below the root, by relative path (`Tasks/hello-0-server/TaskInfo`); the lock's own nodes are left out.
///
/// A node without data (a folder, or an empty value) is left out as well, in every backend: ZooKeeper cannot tell the two apart.
pub type Tree = BTreeMap<String, Bytes>;

/// How long the store waits for whom.
#[derive(Debug, Clone)]
pub struct Settings {
    /// ZooKeeper session asked for; the server clamps it to 2 to 20 of its ticks.
    pub session: Duration,
    /// How long an unreachable ZooKeeper is tried again at the start, before [`Error::Unreachable`].
    pub unreachable: Duration,
    /// How often the lock is tried before [`Error::Locked`].
    pub lock_attempts: u32,
    /// How long one attempt waits for the lock.
    pub lock_wait: Duration,
}

impl Default for Settings {
    /// The SDK's 3 attempts of 10 s, a session of 10 s, and a minute for ZooKeeper to appear.
    fn default() -> Self {
        Self {
            session: Duration::from_secs(10),
            unreachable: Duration::from_secs(60),
            lock_attempts: 3,
            lock_wait: Duration::from_secs(10),
        }
    }
}

/// The open, locked store of one service.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
    signals: Signals,
    /// A commit was dropped before it was decided: what is stored is no longer known here.
    undecided: bool,
}

#[derive(Debug)]
enum Backend {
    ZooKeeper(Box<zookeeper::ZooKeeper>),
    File(file::File),
    Memory(memory::Opened),
}

/// What a backend tells everybody about its lock and its connection.
#[derive(Debug, Clone)]
struct Signals {
    connected: watch::Sender<bool>,
    lost: watch::Sender<Option<Lost>>,
}

impl Signals {
    fn new() -> Self {
        Self { connected: watch::Sender::new(true), lost: watch::Sender::new(None) }
    }

    /// The first reason stays.
    fn lose(&self, reason: impl Into<String>) -> Lost {
        let mut kept = Lost::new(reason);
        self.connected.send_replace(false);
        self.lost.send_if_modified(|lost| {
            if let Some(earlier) = lost {
                kept = earlier.clone();
                return false;
            }
            *lost = Some(kept.clone());
            true
        });
        kept
    }

    fn lost(&self) -> Option<Lost> {
        self.lost.borrow().clone()
    }
}

impl Store {
    /// Takes the lock, reads the tree, makes sure that it is this service's, and marks it as such where that was missing.
    ///
    /// Nothing is read before the lock is held. A tree of another service is left exactly as it was found.
    ///
    /// Errors: [`Error::Locked`] and a lost lock mean exit code 8, everything else 1; see [`Error::exit_code`].
    pub async fn open(location: &Location, service_name: &str, settings: &Settings) -> Result<(Self, Tree), Error> {
        let root = root_path(service_name)?;
        let signals = Signals::new();
        match location {
            Location::ZooKeeper { connect } => {
                let (backend, tree) =
                    zookeeper::ZooKeeper::open(connect, &root, service_name, settings, &signals).await?;
                Self { backend: Backend::ZooKeeper(Box::new(backend)), signals, undecided: false }
                    .identify(service_name, tree)
                    .await
            }
            Location::File(folder) => {
                let (backend, tree) = file::File::open(folder).await?;
                Self { backend: Backend::File(backend), signals, undecided: false }.identify(service_name, tree).await
            }
            Location::Memory => Self::memory(&Memory::new(), service_name).await,
        }
    }

    /// Opens a shared memory, which outlives this store as a disk outlives a process.
    pub async fn memory(memory: &Memory, service_name: &str) -> Result<(Self, Tree), Error> {
        root_path(service_name)?;
        let signals = Signals::new();
        let (backend, tree) = memory.open(&signals)?;
        Self { backend: Backend::Memory(backend), signals, undecided: false }.identify(service_name, tree).await
    }

    /// Refuses a tree of somebody else; writes name and schema version where they are missing.
    async fn identify(mut self, service_name: &str, mut tree: Tree) -> Result<(Self, Tree), Error> {
        match layout::identify(&tree, service_name) {
            Ok(missing) => {
                if !missing.is_empty() {
                    self.commit(&missing).await.map_err(Error::Identify)?;
                    missing.apply_to(&mut tree);
                }
                tree.retain(|_, data| !data.is_empty());
                Ok((self, tree))
            }
            Err(error) => {
                self.close().await;
                Err(error)
            }
        }
    }

    /// Makes the transaction durable; returns when it is, however long the connection is away, as long as the lock is ours.
    ///
    /// Atomic up to 1,000,000 bytes of paths and values; beyond, in the order that `store/request.rs` documents. Not cancel-safe: if the
    /// future is dropped before it is done, every later commit fails with [`CommitError::Undecided`].
    ///
    /// Errors: every error means that the process must end, with [`CommitError::exit_code`].
    pub async fn commit(&mut self, transaction: &Transaction) -> Result<(), CommitError> {
        request::validate(transaction)?;
        if let Some(lost) = self.signals.lost() {
            return Err(CommitError::Lost(lost));
        }
        if std::mem::replace(&mut self.undecided, true) {
            return Err(CommitError::Undecided);
        }
        match &mut self.backend {
            Backend::ZooKeeper(backend) => backend.commit(transaction).await?,
            Backend::File(backend) => backend.commit(transaction).await?,
            Backend::Memory(backend) => backend.commit(transaction)?,
        }
        // Left set on an error: what is stored is then not known, and nothing may be built on it.
        self.undecided = false;
        Ok(())
    }

    /// Resolves when the session or the lock is gone for good: the process must exit with code 8. Never resolves otherwise.
    ///
    /// Cancel-safe.
    pub fn lost(&self) -> impl Future<Output = Lost> + Send + 'static {
        let mut lost = self.signals.lost.subscribe();
        async move {
            match lost.wait_for(Option::is_some).await.map(|lost| lost.clone()) {
                Ok(Some(reason)) => reason,
                // The store was closed, so that nothing can be lost any more.
                Ok(None) | Err(_) => std::future::pending().await,
            }
        }
    }

    /// Whether the store can be reached: while it is `false`, another scheduler may be about to take over, and nothing may be sent to
    /// Mesos.
    pub fn connection(&self) -> watch::Receiver<bool> {
        self.signals.connected.subscribe()
    }

    /// Releases the lock at once. (After a mere exit of the process it stays for the rest of the session.)
    pub async fn close(self) {
        match self.backend {
            Backend::ZooKeeper(backend) => backend.close().await,
            Backend::File(backend) => backend.close().await,
            Backend::Memory(backend) => drop(backend),
        }
    }
}

#[cfg(test)]
mod tests;
