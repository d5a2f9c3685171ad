//! The HTTP API: the SDK's routes over the published view and the command queue.
//!
//! Not here: any decision about the service. A read renders the latest [`View`] and never waits for the engine; a command is
//! handed to the loop and its answer rendered.
//! Next: `http/router.rs` for the list of routes, `http/v1/*.rs` for one resource each.
//!
//! Invariant: a panic in a handler is one 500 without a body; the loop does not notice.
//! Invariant: connections, header time, body sizes and handler time are bounded by the constants below.

pub mod json;
pub mod message;
pub mod query;
pub mod router;
pub mod v1;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use mainstay_engine::view::View;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::control::CommandHandle;

/// Connections served at one time; more wait in the listener's backlog. Tasks of a large deployment fetch their templates at
/// once, and each connection costs some kilobytes only.
pub const CONNECTIONS: usize = 512;
/// Time for a request's head, and how long an idle connection is kept.
pub const HEADER_WITHIN: Duration = Duration::from_secs(30);
/// Time for a handler up to the head of its answer; above the deadline of commands.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(45);
/// Bytes of a request body; the largest legal one holds the parameters of a plan.
pub const BODY_BYTES: usize = 1024 * 1024;
/// Time for answers under way when the scheduler stops.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(3);

/// What the handlers know.
#[derive(Debug, Clone)]
pub struct AppState {
    /// The latest published view.
    pub view: watch::Receiver<Arc<View>>,
    /// The way of commands into the loop.
    pub commands: CommandHandle,
    /// The executor program, served to agents.
    pub executor_path: PathBuf,
    /// Suffix of task names (`SERVICE_TLD`).
    pub service_tld: String,
    /// Suffix of virtual addresses (`VIP_TLD`).
    pub vip_tld: String,
}

impl AppState {
    /// The view of this moment.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }
}

/// Serves the API until the token fires, then lets answers under way finish for [`DRAIN_WITHIN`].
///
/// Errors: none after the start in practice; failing to accept one connection (out of file descriptors) is logged and retried.
pub async fn serve(listener: TcpListener, state: AppState, shutdown: CancellationToken) -> io::Result<()> {
    let service = TowerToHyperService::new(router::router(state));
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|(stream, _)| (stream, permit))
        };
        let (stream, permit) = tokio::select! {
            () = shutdown.cancelled() => break,
            // Reaps connections that ended; disabled by itself while there are none.
            Some(_) = connections.join_next() => continue,
            accepted = accepted => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        // Small answers must not wait for the client's delayed acknowledgement.
        stream.set_nodelay(true).ok();
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_WITHIN)
            .serve_connection(TokioIo::new(stream), service.clone());
        let shutdown = shutdown.clone();
        connections.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    let drained = tokio::time::timeout(DRAIN_WITHIN, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::debug!(connections = connections.len(), "answers cut off at shutdown");
    }
    Ok(())
}
