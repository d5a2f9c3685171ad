//! The end: signals, and the order in which things are given up.
//!
//! Invariant: the subscription and the API are closed before the lock is released, so that a successor never meets us.
//! Invariant: nothing is torn down: the framework stays registered and its tasks run on.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// How long tasks, and then the store, may take to end.
const WITHIN: Duration = Duration::from_secs(5);

/// Fires `stop` at the first SIGTERM or SIGINT; never returns.
///
/// Errors: the process cannot watch signals.
pub async fn stop_on_signal(stop: CancellationToken) -> std::io::Error {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(error), _) | (_, Err(error)) => return error,
    };
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal = name, "stopping");
    stop.cancel();
    std::future::pending().await
}

/// Ends all tasks, then releases the lock.
pub async fn end(mut tasks: JoinSet<()>, tasks_stop: &CancellationToken, store: Store) {
    tasks_stop.cancel();
    let ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(WITHIN, ended).await.is_err() {
        tracing::debug!("tasks cut off at the end");
    }
    drop(tasks);
    if tokio::time::timeout(WITHIN, store.close()).await.is_err() {
        tracing::warn!("the lock could not be released in time; it ends with its session");
    }
}
