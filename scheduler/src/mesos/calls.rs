//! Calls other than SUBSCRIBE: one ordered connection, one call after the other.
//!
//! Invariant: a call belongs to one subscription and is never sent under another; what it answered is void by then.
//! Invariant: a call that may have been sent is never repeated here. The subscription is dropped instead, and the engine
//! reconciles under the next one.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use mainstay_engine::effect::Call;
use mainstay_engine::ids::FrameworkId;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::auth::Auth;
use super::connection::{self, Connection};
use super::convert;
use super::leader::Endpoint;
use super::subscribe::error_text;

/// How long the answer to a call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// What the loop puts in the queue.
#[derive(Debug)]
pub(crate) enum Item {
    /// Send this under that subscription.
    Call {
        /// Number of the subscription.
        epoch: u64,
        /// The call.
        call: Call,
    },
    /// Say when everything before has been answered or dropped.
    Flush(oneshot::Sender<()>),
}

/// A live subscription, as far as calls need to know it.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) epoch: u64,
    pub(super) endpoint: Endpoint,
    pub(super) stream_id: HeaderValue,
    pub(super) framework_id: FrameworkId,
    /// Cancelled here to end the subscription.
    pub(super) broken: CancellationToken,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Connection(#[from] connection::Error),
    #[error("no answer within {} s", CALL_DEADLINE.as_secs())]
    Deadline,
    #[error("the master answered {status}: {text}")]
    Refused { status: StatusCode, text: String },
}

/// Sends what is queued until the queue is closed.
pub(super) async fn send_all(mut queue: mpsc::Receiver<Item>, session: watch::Receiver<Option<Session>>, auth: Auth) {
    let mut open: Option<(u64, Connection)> = None;
    while let Some(item) = queue.recv().await {
        let (epoch, call) = match item {
            Item::Call { epoch, call } => (epoch, call),
            Item::Flush(done) => {
                // Who asked may have given up waiting.
                let _ = done.send(());
                continue;
            }
        };
        let current =
            session.borrow().clone().filter(|session| session.epoch == epoch && !session.broken.is_cancelled());
        let Some(current) = current else {
            tracing::debug!(call = name(&call), "call dropped: its subscription has ended");
            open = None;
            continue;
        };
        let what = name(&call);
        tracing::trace!(call = what, epoch, "calling");
        let bytes = convert::call(call, &current.framework_id).encode_to_vec().into();
        if let Err(error) = send(&mut open, &current, bytes, &auth).await {
            tracing::warn!(call = what, error = crate::telemetry::chain(&error), "call failed; subscribing again");
            open = None;
            current.broken.cancel();
        }
    }
}

async fn send(open: &mut Option<(u64, Connection)>, session: &Session, call: Bytes, auth: &Auth) -> Result<(), Error> {
    let usable = match open {
        Some((epoch, connection)) => *epoch == session.epoch && connection.is_usable().await,
        None => false,
    };
    if !usable {
        *open = Some((session.epoch, Connection::open(&session.endpoint).await?));
    }
    let (_, connection) = open.as_mut().expect("it was just opened");
    let exchange = async {
        let response = connection.post(call, auth, Some(&session.stream_id)).await?;
        let (head, mut body) = response.into_parts();
        if head.status == StatusCode::ACCEPTED || head.status == StatusCode::OK {
            // The connection is free for the next call once the body has been read.
            while let Some(Ok(_)) = body.frame().await {}
            return Ok(());
        }
        Err(Error::Refused { status: head.status, text: error_text(body).await })
    };
    tokio::time::timeout(CALL_DEADLINE, exchange).await.map_err(|_| Error::Deadline)?
}

/// Name of a call for logs.
pub(super) fn name(call: &Call) -> &'static str {
    match call {
        Call::Accept { .. } => "ACCEPT",
        Call::Decline { .. } => "DECLINE",
        Call::Revive => "REVIVE",
        Call::Suppress => "SUPPRESS",
        Call::Kill { .. } => "KILL",
        Call::Shutdown { .. } => "SHUTDOWN",
        Call::Acknowledge { .. } => "ACKNOWLEDGE",
        Call::AcknowledgeOperation { .. } => "ACKNOWLEDGE_OPERATION_STATUS",
        Call::Reconcile { .. } => "RECONCILE",
        Call::Teardown => "TEARDOWN",
    }
}
