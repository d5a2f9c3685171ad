//! The tree in ZooKeeper: one session for lock and data, every write fenced by the version of our own lease node.
//!
//! **Fence.** Each request begins with `set_data(lease, "…commit <n>", expected version v)`. The lease is ephemeral and ours, so the request
//! is applied only while the session lives and only after all earlier ones; applied, it leaves version v + 1.
//! **Barrier.** A request without an answer is undecided, and may even be applied after we are connected again, when its bytes waited in
//! the old connection. Then we write `set_data(lease, "…barrier <n>", expected version v)`. If it succeeds, the request can never be
//! applied any more, and is sent again; if the version is v + 1 and the data is the request's own, it had been applied.
//!
//! Invariant: at most one request is under way; its number is in no other request.
//! Invariant: after the session ended or a node of our lock is gone, nothing is applied: the server refuses the fence.
//!
//! Next: `store/lock.rs`, `store/request.rs`; reading at the start is in `store/zookeeper/read.rs`, connecting in
//! `store/zookeeper/connect.rs`.

mod connect;
mod read;

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use mainstay_engine::effect::Transaction;
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};
use zookeeper_client::{Acls, Client, CreateMode, Error as Failure, MultiWriteError, SessionState, StateWatcher};

use super::lock::{self, Held};
use super::request::{self, Op, Request};
use super::{CommitError, Error, Settings, Signals, Tree, layout};

/// Requests that are sent again, and trees read again, before we give up on a store that never decides.
const ATTEMPTS: u32 = 32;
/// Before the next attempt at a lock, after one that failed without waiting.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the lock is waited for before that is told.
const QUIET: Duration = Duration::from_secs(1);
/// How long `close` waits for the server to drop the session.
const CLOSE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct ZooKeeper {
    client: Client,
    root: String,
    lease: String,
    /// Version of the lease node.
    version: i32,
    /// Number of the last request or barrier.
    number: u64,
    /// Relative paths of all nodes.
    known: BTreeSet<String>,
    signals: Signals,
    /// Follows session and lock nodes; aborted on drop.
    watchers: JoinSet<()>,
}

/// What became of a request.
enum Outcome {
    Applied,
    /// Not applied, and never will be.
    Refused {
        index: usize,
        failure: Failure,
    },
    Undecided(Failure),
}

impl ZooKeeper {
    /// Connects, takes the lock, reads the tree.
    pub(super) async fn open(
        connect: &str,
        root: &str,
        service_name: &str,
        settings: &Settings,
        signals: &Signals,
    ) -> Result<(Self, Tree), Error> {
        let (client, multi_read, held) = Self::lock(connect, root, settings).await?;
        let mut watchers = JoinSet::new();
        watchers.spawn(follow_session(client.state_watcher(), signals.clone()));
        watchers.spawn(guard_lock(client.clone(), held.clone(), signals.clone()));
        let mut store = Self {
            client,
            root: root.to_owned(),
            lease: held.lease.path(),
            version: 0,
            number: 0,
            known: BTreeSet::new(),
            signals: signals.clone(),
            watchers,
        };
        match store.load(multi_read, service_name).await {
            Ok(tree) => Ok((store, tree)),
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
    }

    /// Each attempt has a session of its own: its end removes whatever the attempt left.
    async fn lock(connect: &str, root: &str, settings: &Settings) -> Result<(Client, bool, Held), Error> {
        let mut holder = String::new();
        let mut attempt = 0;
        while attempt < settings.lock_attempts {
            attempt += 1;
            let (client, multi_read) = connect::connect(connect, settings).await?;
            let wait_s = settings.lock_wait.as_secs();
            match Self::acquire(&client, root, settings.lock_wait).await {
                Ok(Ok(held)) => return Ok((client, multi_read, held)),
                Ok(Err(failure)) if is_final(&failure) => {
                    end(client).await;
                    return Err(Error::Read { path: format!("{root}/{}", layout::LOCK), source: Box::new(failure) });
                }
                Ok(Err(failure)) => {
                    tracing::warn!(connect, root, attempt, %failure, "lock attempt failed, trying again");
                    holder = format!("the last attempt failed: {failure}");
                    sleep(PAUSE).await;
                }
                Err(_) => {
                    holder = timeout(CLOSE, lock::describe_holder(&client, root))
                        .await
                        .unwrap_or_else(|_| "zookeeper does not answer".to_owned());
                    tracing::warn!(connect, root, attempt, wait_s, holder, "lock is still held by another scheduler");
                }
            }
            end(client).await;
        }
        Err(Error::Locked { lock: format!("{root}/{}", layout::LOCK), holder })
    }

    /// Takes the lock within `wait`; `Err` when it is still held then. Says early whom it waits for: usually a predecessor that was killed, whose
    /// session has to expire.
    async fn acquire(client: &Client, root: &str, wait: Duration) -> Result<Result<Held, Failure>, Elapsed> {
        let mut acquiring = pin!(lock::acquire(client, root));
        let quiet = QUIET.min(wait);
        if let Ok(done) = timeout(quiet, &mut acquiring).await {
            return Ok(done);
        }
        let tell = async {
            let holder = lock::describe_holder(client, root).await;
            tracing::info!(
                root,
                holder,
                "waiting for the lock: another scheduler holds it until it ends or its session expires"
            );
            std::future::pending().await
        };
        timeout(wait.saturating_sub(quiet), async {
            tokio::select! {
                done = &mut acquiring => done,
                never = tell => never,
            }
        })
        .await
    }

    async fn load(&mut self, multi_read: bool, service_name: &str) -> Result<Tree, Error> {
        let (known, tree) = self.read(multi_read).await?;
        if known.is_empty()
            && let Some(nested) = layout::nested_root(service_name)
        {
            let exists = read::exists_below(&self.client, &nested).await;
            if exists.map_err(|failure| self.read_error(failure))? {
                return Err(Error::NestedRoot { nested, root: self.root.clone() });
            }
        }
        self.known = known;
        Ok(tree)
    }

    async fn read(&self, multi_read: bool) -> Result<(BTreeSet<String>, Tree), Error> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match read::tree(&self.client, &self.root, multi_read).await {
                Ok(read) => return Ok(read),
                Err(failure) => {
                    if attempt == ATTEMPTS {
                        return Err(self.read_error(failure));
                    }
                    let again = lock::reconnected(&self.client, failure).await;
                    again.map_err(|failure| self.read_error(failure))?;
                }
            }
        }
    }

    fn read_error(&self, failure: Failure) -> Error {
        if self.client.state().is_terminated() {
            return Error::Lost(self.signals.lose(format!("the session ended while reading: {failure}")));
        }
        Error::Read { path: self.root.clone(), source: Box::new(failure) }
    }

    pub(super) async fn commit(&mut self, transaction: &Transaction) -> Result<(), CommitError> {
        let mut planned = request::plan(transaction, &self.known, self.root.len())?.into_iter();
        let mut replans = 0;
        while let Some(request) = planned.next() {
            let Some((index, failure)) = self.apply(&request).await? else { continue };
            // Somebody edited the tree by hand. Which nodes exist is read again; writing the whole transaction again is harmless, as
            // every write is absolute.
            replans += 1;
            let path = request.ops.get(index).map_or(&self.root, |(path, _)| path);
            if replans > 3 || !matches!(failure, Failure::NoNode | Failure::NodeExists | Failure::NotEmpty) {
                return Err(CommitError::Write { path: path.clone(), source: Box::new(failure) });
            }
            tracing::warn!(path, %failure, "stored tree was edited by somebody else, reading its nodes again");
            self.known = self.read(false).await.map_err(|error| self.reading_again(error))?.0;
            planned = request::plan(transaction, &self.known, self.root.len())?.into_iter();
        }
        Ok(())
    }

    fn reading_again(&self, error: Error) -> CommitError {
        match error {
            Error::Lost(lost) => CommitError::Lost(lost),
            other => CommitError::Write { path: self.root.clone(), source: Box::new(other) },
        }
    }

    /// Applies one request exactly once. `Some` is the operation that the server refused; then nothing of it was applied.
    async fn apply(&mut self, request: &Request) -> Result<Option<(usize, Failure)>, CommitError> {
        for _ in 0..ATTEMPTS {
            if let Some(lost) = self.signals.lost() {
                return Err(CommitError::Lost(lost));
            }
            if self.version == i32::MAX {
                return Err(self.lose("the lease node's version is used up; a restart begins anew"));
            }
            self.number += 1;
            let mark = format!("{}, commit {}", lock::owner(), self.number);
            let applied = match self.send(request, &mark).await {
                Outcome::Applied => {
                    self.version += 1;
                    true
                }
                Outcome::Refused { index: 0, failure } => {
                    return Err(self.lose(format!("our lease node was changed or removed: {failure}")));
                }
                Outcome::Refused { index, failure } => return Ok(Some((index - 1, failure))),
                Outcome::Undecided(failure) => {
                    tracing::warn!(%failure, version = self.version, "commit is undecided, settling it by a barrier");
                    self.settle(&mark, failure).await?
                }
            };
            if applied {
                for (path, op) in &request.ops {
                    match op {
                        Op::Create(_) => drop(self.known.insert(path.clone())),
                        Op::Set(_) => {}
                        Op::Remove => drop(self.known.remove(path)),
                    }
                }
                return Ok(None);
            }
        }
        Err(self.lose("zookeeper answers no commit"))
    }

    async fn send(&self, request: &Request, mark: &str) -> Outcome {
        let mut writer = self.client.new_multi_writer();
        let node = CreateMode::Persistent.with_acls(Acls::anyone_all());
        let mut built = writer.add_set_data(&self.lease, mark.as_bytes(), Some(self.version));
        for (path, op) in &request.ops {
            let path = format!("{}/{path}", self.root);
            built = built.and_then(|()| match op {
                Op::Create(data) => writer.add_create(&path, data, &node),
                Op::Set(data) => writer.add_set_data(&path, data, None),
                Op::Remove => writer.add_delete(&path, None),
            });
        }
        if let Err(failure) = built {
            return Outcome::Refused { index: 1, failure };
        }
        match writer.commit().await {
            Ok(_) => Outcome::Applied,
            Err(MultiWriteError::OperationFailed { index, source }) => Outcome::Refused { index, failure: source },
            // Lost replies have many names: only the failure of an operation is an answer.
            Err(MultiWriteError::RequestFailed { source }) => Outcome::Undecided(source),
        }
    }

    /// Finds out whether the request `mark` was applied, and makes sure that it never will be if it was not.
    async fn settle(&mut self, mark: &str, mut failure: Failure) -> Result<bool, CommitError> {
        let before = self.version;
        let mut barriers = BTreeSet::new();
        for _ in 0..ATTEMPTS {
            if let Err(failure) = lock::reconnected(&self.client, failure).await {
                return Err(self.lose(format!("the session ended with a commit undecided: {failure}")));
            }
            self.number += 1;
            let barrier = format!("{}, barrier {}", lock::owner(), self.number);
            barriers.insert(barrier.clone());
            match self.client.set_data(&self.lease, barrier.as_bytes(), Some(before)).await {
                Ok(_) => {
                    self.version = before + 1;
                    return Ok(false);
                }
                Err(Failure::BadVersion) => match self.client.get_data(&self.lease).await {
                    // Only requests and barriers of ours write this node, and both expected the version before.
                    Ok((data, stat)) if stat.version == before + 1 => {
                        self.version = stat.version;
                        let data = String::from_utf8_lossy(&data);
                        if data == mark {
                            return Ok(true);
                        }
                        if barriers.contains(data.as_ref()) {
                            return Ok(false);
                        }
                        return Err(self.lose("our lease node was changed by somebody else"));
                    }
                    Ok(_) => return Err(self.lose("our lease node was changed by somebody else")),
                    Err(Failure::NoNode) => return Err(self.lose("our lease node was removed")),
                    Err(again) => failure = again,
                },
                Err(Failure::NoNode) => return Err(self.lose("our lease node was removed")),
                Err(again) => failure = again,
            }
        }
        Err(self.lose("zookeeper settles no commit"))
    }

    fn lose(&self, reason: impl Into<String>) -> CommitError {
        CommitError::Lost(self.signals.lose(reason))
    }

    pub(super) async fn close(mut self) {
        self.watchers.shutdown().await;
        end(self.client).await;
    }
}

/// Whether waiting will not help.
fn is_final(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::NoAuth
            | Failure::AuthFailed
            | Failure::InvalidAcl
            | Failure::NoChildrenForEphemerals
            | Failure::QuotaExceeded
            | Failure::NotReadOnly
            | Failure::BadArguments(_)
    )
}

/// Ends a session and waits until the server has dropped it; only then is the lock free.
async fn end(client: Client) {
    let mut states = client.state_watcher();
    drop(client);
    let ended = async {
        let mut state = states.peek_state();
        while !state.is_terminated() {
            state = states.changed().await;
        }
    };
    if timeout(CLOSE, ended).await.is_err() {
        tracing::warn!("zookeeper did not confirm the end of the session, the lock stays until it expires");
    }
}

/// Publishes what the session does. Ends with it.
async fn follow_session(mut states: StateWatcher, signals: Signals) {
    let mut state = states.peek_state();
    loop {
        if state.is_terminated() {
            signals.lose(format!("the zookeeper session has ended ({state})"));
            return;
        }
        let connected = state == SessionState::SyncConnected;
        if signals.lost().is_none() && signals.connected.send_replace(connected) != connected {
            if connected {
                tracing::debug!("zookeeper is connected again");
            } else {
                tracing::debug!("zookeeper is disconnected");
            }
        }
        state = states.changed().await;
    }
}

/// Watches our lock nodes, so that their removal by hand is noticed at once, not at the next write. Ends with the session.
async fn guard_lock(client: Client, held: Held, signals: Signals) {
    loop {
        let watched = async {
            let leases = client.list_and_watch_children(held.lease.folder()).await?;
            Ok::<_, Failure>((leases, client.list_and_watch_children(held.mutex.folder()).await?))
        };
        match watched.await {
            Ok(((leases, lease_watch), (mutexes, mutex_watch))) => {
                if !held.lease.is_among(&leases) || !held.mutex.is_among(&mutexes) {
                    signals.lose("a node of our lock was removed");
                    return;
                }
                tokio::select! {
                    _ = lease_watch.changed() => {}
                    _ = mutex_watch.changed() => {}
                }
            }
            Err(Failure::NoNode) => {
                signals.lose("the folder of our lock was removed");
                return;
            }
            Err(failure) => {
                if lock::reconnected(&client, failure).await.is_err() {
                    return;
                }
            }
        }
    }
}
