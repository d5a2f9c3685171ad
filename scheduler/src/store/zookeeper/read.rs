//! Reading the whole tree at the start: level by level, many nodes a request, several requests under way.
//!
//! Measured with 10,000 tasks: multi-reads take a tenth of the time of pipelined single reads, which take a fifth of one by one.

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;

use bytes::Bytes;
use zookeeper_client::{Client, Error, MultiReadResult};

use super::super::layout::LOCK;
use super::Tree;

/// Nodes of one multi-read: an answer is at most 64 MB.
const BATCH: usize = 64;
/// Multi-reads under way.
const IN_FLIGHT: usize = 8;
/// Single reads under way.
const SINGLE_IN_FLIGHT: usize = 256;

/// What a node holds.
struct Found {
    data: Vec<u8>,
    children: bool,
}

type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<Vec<Option<T>>, Error>> + Send + 'a>>;

/// All nodes below the root without the lock's, and those of them that hold data. A missing root is an empty tree.
pub(super) async fn tree(client: &Client, root: &str, multi: bool) -> Result<(BTreeSet<String>, Tree), Error> {
    let (mut known, mut tree) = (BTreeSet::new(), Tree::new());
    let mut level = match client.list_children(root).await {
        Ok(children) => children,
        Err(Error::NoNode) => Vec::new(),
        Err(error) => return Err(error),
    };
    level.retain(|name| name != LOCK);
    while !level.is_empty() {
        let paths: Vec<String> = level.iter().map(|path| format!("{root}/{path}")).collect();
        let found = data(client, &paths, multi).await?;
        let mut folders = Vec::new();
        for (path, found) in level.into_iter().zip(found) {
            let Some(found) = found else { continue };
            if found.children {
                folders.push(path.clone());
            }
            if !found.data.is_empty() {
                tree.insert(path.clone(), Bytes::from(found.data));
            }
            known.insert(path);
        }
        let paths: Vec<String> = folders.iter().map(|path| format!("{root}/{path}")).collect();
        level = Vec::new();
        for (folder, children) in folders.iter().zip(children(client, &paths, multi).await?) {
            level.extend(children.into_iter().flatten().map(|name| format!("{folder}/{name}")));
        }
    }
    Ok((known, tree))
}

/// Whether the node exists and has children other than a lock.
pub(super) async fn exists_below(client: &Client, path: &str) -> Result<bool, Error> {
    match client.list_children(path).await {
        Ok(children) => Ok(children.iter().any(|name| name != LOCK)),
        Err(Error::NoNode) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn data(client: &Client, paths: &[String], multi: bool) -> Result<Vec<Option<Found>>, Error> {
    let convert = |data, children: i32| Found { data, children: children > 0 };
    if !multi {
        return pipelined(paths, SINGLE_IN_FLIGHT, 1, |batch| {
            let read = client.get_data(&batch[0]);
            Ok(Box::pin(
                async move { Ok(vec![present(read.await)?.map(|(data, stat)| convert(data, stat.num_children))]) },
            ))
        })
        .await;
    }
    pipelined(paths, IN_FLIGHT, BATCH, |batch| {
        let mut reader = client.new_multi_reader();
        batch.iter().try_for_each(|path| reader.add_get_data(path))?;
        let read = reader.commit();
        Ok(Box::pin(async move {
            let convert = |result| match result {
                MultiReadResult::Data { data, stat } => Ok(Some(convert(data, stat.num_children))),
                other => absent(other),
            };
            read.await?.into_iter().map(convert).collect()
        }))
    })
    .await
}

async fn children(client: &Client, paths: &[String], multi: bool) -> Result<Vec<Option<Vec<String>>>, Error> {
    if !multi {
        return pipelined(paths, SINGLE_IN_FLIGHT, 1, |batch| {
            let read = client.list_children(&batch[0]);
            Ok(Box::pin(async move { Ok(vec![present(read.await)?]) }))
        })
        .await;
    }
    pipelined(paths, IN_FLIGHT, BATCH, |batch| {
        let mut reader = client.new_multi_reader();
        batch.iter().try_for_each(|path| reader.add_get_children(path))?;
        let read = reader.commit();
        Ok(Box::pin(async move {
            let convert = |result| match result {
                MultiReadResult::Children { children } => Ok(Some(children)),
                other => absent(other),
            };
            read.await?.into_iter().map(convert).collect()
        }))
    })
    .await
}

/// A node that vanished between two reads was edited away by hand; it counts as never seen.
fn present<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(Error::NoNode) => Ok(None),
        Err(error) => Err(error),
    }
}

fn absent<T>(result: MultiReadResult) -> Result<Option<T>, Error> {
    match result {
        MultiReadResult::Error { err } => present(Err(err)),
        other => Err(Error::UnexpectedError(format!("another kind of answer than asked for: {other:?}"))),
    }
}

/// Reads in batches, `in_flight` of them sent ahead, results in the order of the paths. (A request leaves when its future is made.)
async fn pipelined<'a, T>(
    paths: &'a [String],
    in_flight: usize,
    batch: usize,
    send: impl Fn(&'a [String]) -> Result<Pending<'a, T>, Error>,
) -> Result<Vec<Option<T>>, Error> {
    let mut results = Vec::with_capacity(paths.len());
    let mut pending = VecDeque::new();
    for batch in paths.chunks(batch) {
        if pending.len() == in_flight {
            results.extend(next(&mut pending).await?);
        }
        pending.push_back(send(batch)?);
    }
    while !pending.is_empty() {
        results.extend(next(&mut pending).await?);
    }
    Ok(results)
}

async fn next<T>(pending: &mut VecDeque<Pending<'_, T>>) -> Result<Vec<Option<T>>, Error> {
    match pending.pop_front() {
        Some(read) => read.await,
        None => Ok(Vec::new()),
    }
}
