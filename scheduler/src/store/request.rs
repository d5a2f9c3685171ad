//! From a transaction to requests of bounded size: each node once, in an order in which a crash between two requests does no harm.
//!
//! Pure. Knows which nodes exist (`known`) but not what they hold; nobody else writes while we hold the lock.
//!
//! Order. Nodes are grouped, and a group is never split as long as it puts something: `Tasks/<task>` with its TaskInfo, TaskStatus and
//! metadata, `Properties/<key>`, `Configurations/<id>`, one group for each other node (below `Services/<name>/` likewise).
//! 1. Groups that put: configurations first (the target must never name a missing one), then in the order of paths. Inside a group
//!    removes come first, children before parents; then puts, parents (made without data where missing) before children.
//! 2. Groups that only remove, in the reverse order of paths, so children before parents: first tasks and the target, then
//!    configurations, then name and schema version, the framework id, the properties, and `uninstalling` last: without it the rest
//!    would look like a new service.
//!
//! Invariant: everything of one transaction below [`SPLIT`] bytes is one request, thus atomic.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mainstay_engine::effect::{Transaction, Write};

use super::CommitError;
use super::layout::{LOCK, SCHEMA_VERSION, SERVICE_NAME, subtree};

/// Bytes; the largest value of one node, as in the SDK.
pub(super) const VALUE: usize = 1_000_000;
/// Bytes, paths and [`OPERATION`] counted; a further group above this goes into a further request.
const SPLIT: usize = 1_000_000;
/// Bytes; a group that cannot be split must stay below this. Servers close the connection at 1,048,576.
const REQUEST: usize = 1_040_000;
/// Bytes that an operation takes besides its path and its data.
const OPERATION: usize = 60;

/// Set for good when the service is being removed; without it an empty tree means a new service.
const UNINSTALLING: &str = "Properties/uninstalling";

/// What one request does to one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    /// The node does not exist.
    Create(Bytes),
    /// The node exists.
    Set(Bytes),
    /// The node exists and has no children by now.
    Remove,
}

/// Operations that are applied together, in this order; paths are relative.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) ops: Vec<(String, Op)>,
}

/// Refuses what no backend may store, before anything is written.
pub(super) fn validate(transaction: &Transaction) -> Result<(), CommitError> {
    for (path, write) in &transaction.writes {
        let mut parts = path.split('/');
        let bad = path.split('/').any(|part| matches!(part, "" | "." | "..") || part.contains(char::is_control))
            || parts.next() == Some(LOCK);
        if bad {
            return Err(CommitError::Path { path: path.clone() });
        }
        if let Write::Put(data) = write
            && data.len() > VALUE
        {
            return Err(CommitError::TooLarge { path: path.clone(), bytes: data.len(), limit: VALUE });
        }
    }
    Ok(())
}

/// Requests that carry out the transaction on a tree whose nodes are `known`, below a root whose path has `root` bytes.
///
/// Errors: [`CommitError::TooLarge`] when one group alone is too large.
pub(super) fn plan(
    transaction: &Transaction,
    known: &BTreeSet<String>,
    root: usize,
) -> Result<Vec<Request>, CommitError> {
    let (mut putting, mut removing) = (Vec::new(), Vec::new());
    for (group, ops) in group(resolve(transaction, known)) {
        if ops.values().all(|op| *op == Op::Remove) {
            removing.push((removal_rank(&group), group, ops));
        } else {
            putting.push((!is_configuration(&group), group, ops));
        }
    }
    putting.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    removing.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(&a.1)));

    let mut packer = Packer { root, requests: Vec::new(), current: Request::default(), bytes: 0 };
    let mut made = BTreeSet::new();
    for (_, group, ops) in putting {
        packer.whole(&group, in_order(ops, transaction, known, &mut made))?;
    }
    for (_, _, ops) in removing {
        for (path, op) in ops.into_iter().rev() {
            packer.one(path, op);
        }
    }
    Ok(packer.finish())
}

/// The final fate of every node that changes. A put below a deleted node wins over the delete.
fn resolve(transaction: &Transaction, known: &BTreeSet<String>) -> BTreeMap<String, Op> {
    let mut ops = BTreeMap::new();
    let kept: BTreeSet<&str> = transaction
        .writes
        .iter()
        .filter(|(_, write)| matches!(write, Write::Put(_)))
        .flat_map(|(path, _)| path.match_indices('/').map(|(slash, _)| &path[..slash]))
        .collect();
    for (path, write) in &transaction.writes {
        if *write != Write::Delete {
            continue;
        }
        let below = subtree(path, |from| known.range(from..).cloned());
        for node in known.get(path).cloned().into_iter().chain(below) {
            let op = if kept.contains(node.as_str()) { Op::Set(Bytes::new()) } else { Op::Remove };
            ops.insert(node, op);
        }
    }
    for (path, write) in &transaction.writes {
        if let Write::Put(data) = write {
            let op = if known.contains(path) { Op::Set(data.clone()) } else { Op::Create(data.clone()) };
            ops.insert(path.clone(), op);
        }
    }
    ops
}

fn group(ops: BTreeMap<String, Op>) -> BTreeMap<String, BTreeMap<String, Op>> {
    let mut groups: BTreeMap<String, BTreeMap<String, Op>> = BTreeMap::new();
    for (path, op) in ops {
        groups.entry(group_of(&path).to_owned()).or_default().insert(path, op);
    }
    groups
}

/// The first two parts of a path, or the first four below `Services/`.
fn group_of(path: &str) -> &str {
    let parts = if path.starts_with("Services/") { 4 } else { 2 };
    path.match_indices('/').nth(parts - 1).map_or(path, |(end, _)| &path[..end])
}

/// A group's name without the service of a multi-service tree.
fn in_service(group: &str) -> &str {
    let inner = group.strip_prefix("Services/").and_then(|rest| rest.split_once('/'));
    inner.map_or(group, |(_, inner)| inner)
}

fn is_configuration(group: &str) -> bool {
    in_service(group).starts_with("Configurations/")
}

/// What goes later has the higher number. A folder never goes before what is in it.
fn removal_rank(group: &str) -> u8 {
    match in_service(group) {
        UNINSTALLING | "Properties" => 5,
        inner => match inner.split('/').next() {
            Some("Configurations") => 1,
            Some(SERVICE_NAME | SCHEMA_VERSION) => 2,
            Some("FrameworkID") => 3,
            Some("Properties") => 4,
            Some("Services") => 6,
            _ => 0,
        },
    }
}

/// Removes, children first; then the rest, parents first, with the parents that are still missing.
fn in_order(
    ops: BTreeMap<String, Op>,
    transaction: &Transaction,
    known: &BTreeSet<String>,
    made: &mut BTreeSet<String>,
) -> Vec<(String, Op)> {
    let (removes, puts): (Vec<_>, Vec<_>) = ops.into_iter().partition(|(_, op)| *op == Op::Remove);
    let mut ordered: Vec<_> = removes.into_iter().rev().collect();
    for (path, op) in puts {
        for (slash, _) in path.match_indices('/') {
            let parent = &path[..slash];
            if !known.contains(parent) && made.insert(parent.to_owned()) {
                let data = match transaction.writes.get(parent) {
                    Some(Write::Put(data)) => data.clone(),
                    Some(Write::Delete) | None => Bytes::new(),
                };
                ordered.push((parent.to_owned(), Op::Create(data)));
            }
        }
        if matches!(op, Op::Create(_)) && !made.insert(path.clone()) {
            // Already made, with its data, as the parent of an earlier group's node.
            continue;
        }
        ordered.push((path, op));
    }
    ordered
}

struct Packer {
    root: usize,
    requests: Vec<Request>,
    current: Request,
    bytes: usize,
}

impl Packer {
    fn cost(&self, path: &str, op: &Op) -> usize {
        let data = match op {
            Op::Create(data) | Op::Set(data) => data.len(),
            Op::Remove => 0,
        };
        // Every request also raises the lease, below the same root.
        self.root + 1 + path.len() + data + OPERATION
    }

    /// Room for the fence that begins each request.
    fn fence(&self) -> usize {
        self.root + 256
    }

    fn make_room(&mut self, bytes: usize) {
        if !self.current.ops.is_empty() && self.bytes + bytes + self.fence() > SPLIT {
            self.requests.push(std::mem::take(&mut self.current));
            self.bytes = 0;
        }
    }

    fn whole(&mut self, group: &str, ops: Vec<(String, Op)>) -> Result<(), CommitError> {
        let bytes: usize = ops.iter().map(|(path, op)| self.cost(path, op)).sum();
        if bytes + self.fence() > REQUEST {
            return Err(CommitError::TooLarge { path: group.to_owned(), bytes, limit: REQUEST });
        }
        self.make_room(bytes);
        self.bytes += bytes;
        self.current.ops.extend(ops);
        Ok(())
    }

    fn one(&mut self, path: String, op: Op) {
        let bytes = self.cost(&path, &op);
        self.make_room(bytes);
        self.bytes += bytes;
        self.current.ops.push((path, op));
    }

    fn finish(mut self) -> Vec<Request> {
        if !self.current.ops.is_empty() {
            self.requests.push(self.current);
        }
        self.requests
    }
}

#[cfg(test)]
mod tests;
