//! The lock of a service in ZooKeeper: excludes our own kind and the schedulers of both older generations.
//!
//! Three ephemeral nodes, made in this order, exclude all of them in both directions:
//!
//! | Node | Whose recipe |
//! |---|---|
//! | `lock/_c_<uuid>-lock-<n>` | mutex of the older generation, and our own standbys: the lowest number holds |
//! | `lock/locks/_c_<uuid>-lock-<n>` | inner mutex of the newer generation's semaphore; only held while waiting for the next |
//! | `lock/leases/_c_<uuid>-lease-<n>` | the semaphore's one lease: we hold once it is the only one |
//!
//! Not the client library's own recipe: that one excludes only the first kind, is not cancel-safe, and its handles delete the lock when
//! any clone is dropped. Here an attempt that fails in any way ends its session, and the server removes what it left.
//!
//! Invariant: while [`Held`] is valid, `lock/leases` holds our lease only; its version counts our requests (`store/zookeeper.rs`).
//! Source: measured against Curator 5.4 recipes on ZooKeeper 3.8.

use std::time::Duration;

use uuid::Uuid;
use zookeeper_client::{Acls, Client, CreateMode, Error, SessionState};

use super::layout::LOCK;

/// Pause before a failed request is repeated on a connection that looks well.
const BRAKE: Duration = Duration::from_millis(20);

/// Nodes of the lock that we hold.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// Absolute path of the mutex node.
    pub(super) mutex: Node,
    /// Absolute path of the lease node, on which every write is fenced.
    pub(super) lease: Node,
}

/// A node and its folder.
#[derive(Debug, Clone)]
pub(super) struct Node {
    folder: String,
    name: String,
}

impl Node {
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.folder, self.name)
    }

    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    pub(super) fn is_among(&self, children: &[String]) -> bool {
        children.contains(&self.name)
    }
}

/// Waits for the lock, without a deadline of its own. Requests are ordered by the session, so that dropping this future leaves nodes behind
/// which only the end of the session removes: after every failure, and after a deadline, the caller ends it.
pub(super) async fn acquire(client: &Client, root: &str) -> Result<Held, Error> {
    let lock = format!("{root}/{LOCK}");
    let (inner, leases) = (format!("{lock}/locks"), format!("{lock}/leases"));

    let mutex = create(client, &lock, "lock-").await?;
    wait_for_turn(client, &mutex, "lock-").await?;
    let waiting = create(client, &inner, "lock-").await?;
    wait_for_turn(client, &waiting, "lock-").await?;
    let lease = create(client, &leases, "lease-").await?;
    wait_for_turn(client, &lease, "lease-").await?;
    client.delete(&waiting.path(), None).await?;
    Ok(Held { mutex, lease })
}

/// Who made a node, for people.
pub(super) fn owner() -> String {
    format!("mainstay, process {}", std::process::id())
}

/// Makes an ephemeral node with the next number. A lost reply is an error: the end of the session cleans up.
async fn create(client: &Client, folder: &str, kind: &str) -> Result<Node, Error> {
    let name = format!("_c_{}-{kind}", Uuid::new_v4());
    let data = owner();
    let ephemeral = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
    loop {
        // The older generations make these folders as containers, which vanish when they stay empty.
        client.mkdir(folder, &CreateMode::Persistent.with_acls(Acls::anyone_all())).await?;
        match client.create(&format!("{folder}/{name}"), data.as_bytes(), &ephemeral).await {
            Ok((_, number)) => return Ok(Node { folder: folder.to_owned(), name: format!("{name}{number}") }),
            Err(Error::NoNode) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits until no node of this kind has a lower number than ours. Survives a lost connection, as it only reads.
async fn wait_for_turn(client: &Client, ours: &Node, kind: &str) -> Result<(), Error> {
    loop {
        let ahead = match client.list_children(&ours.folder).await {
            Ok(children) if !ours.is_among(&children) => return Err(Error::NoNode),
            Ok(children) => next_ahead(&children, &ours.name, kind),
            Err(error) => {
                reconnected(client, error).await?;
                continue;
            }
        };
        let Some(ahead) = ahead else { return Ok(()) };
        match client.get_and_watch_data(&format!("{}/{ahead}", ours.folder)).await {
            Ok((_, _, watcher)) => drop(watcher.changed().await),
            Err(Error::NoNode) => {}
            Err(error) => reconnected(client, error).await?,
        }
    }
}

/// The node right ahead of ours; none when it is our turn.
fn next_ahead(children: &[String], ours: &str, kind: &str) -> Option<String> {
    let number = |name: &str| name.rsplit_once(kind).and_then(|(_, number)| number.parse::<u64>().ok());
    let own = number(ours);
    children
        .iter()
        .filter_map(|name| number(name).map(|number| (number, name)))
        .filter(|(number, name)| Some(*number) < own && *name != ours)
        .max()
        .map(|(_, name)| name.clone())
}

/// Waits for the connection after a failed request. Errors: the same one, if the session is over.
pub(super) async fn reconnected(client: &Client, error: Error) -> Result<(), Error> {
    let mut states = client.state_watcher();
    let mut state = states.peek_state();
    // A failure that has nothing to do with the connection must not be repeated in a tight loop.
    if state == SessionState::SyncConnected
        && let Ok(next) = tokio::time::timeout(BRAKE, states.changed()).await
    {
        state = next;
    }
    while state != SessionState::SyncConnected {
        if state.is_terminated() {
            return Err(error);
        }
        state = states.changed().await;
    }
    Ok(())
}

/// Who holds the lock, for people: the nodes ahead, and what they say of themselves.
pub(super) async fn describe_holder(client: &Client, root: &str) -> String {
    let mut found = Vec::new();
    for folder in [format!("{root}/{LOCK}/leases"), format!("{root}/{LOCK}")] {
        let mut children = client.list_children(&folder).await.unwrap_or_default();
        children.retain(|name| name.contains("-lock-") || name.contains("-lease-"));
        children.sort_by_key(|name| name.rsplit_once('-').map(|(_, number)| number.to_owned()));
        for name in children {
            if let Ok((data, stat)) = client.get_data(&format!("{folder}/{name}")).await
                && stat.ephemeral_owner != client.session_id().0
            {
                let data = String::from_utf8_lossy(&data).into_owned();
                found.push(format!("{name}, made by {data:?} in session {:#x}", stat.ephemeral_owner));
                break;
            }
        }
    }
    if found.is_empty() { "it has just let go".to_owned() } else { found.swap_remove(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_turn_goes_by_number_not_by_name() {
        let children: Vec<String> =
            ["_c_b-lock-0000000009", "_c_z-lock-0000000002", "locks", "leases", "_c_a-lock-0000000011", "x-lock-y"]
                .map(str::to_owned)
                .to_vec();
        let ahead = |ours| next_ahead(&children, ours, "lock-");
        assert_eq!(ahead("_c_z-lock-0000000002"), None);
        assert_eq!(ahead("_c_b-lock-0000000009").as_deref(), Some("_c_z-lock-0000000002"));
        assert_eq!(ahead("_c_a-lock-0000000011").as_deref(), Some("_c_b-lock-0000000009"));
    }
}
