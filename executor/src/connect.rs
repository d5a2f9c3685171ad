//! The connection to the agent: one attempt, from SUBSCRIBE to the end of the stream.
//!
//! Not here: when to try again, what to resend (`supervise.rs`).
//!
//! Invariant: updates go out one at a time, in order, on one connection; the first that fails ends the attempt, so the
//! next SUBSCRIBE carries it again.
//! Invariant: every attempt reports exactly one `Ended`, after all its events.
//! Source: Mesos v1 executor API.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use mainstay_proto::recordio::Decoder;
use mainstay_proto::v1;
use mainstay_proto::v1::executor::{Call, Event, call};
use prost::Message as _;
use tokio::sync::mpsc;

use crate::environment::Environment;
use crate::http::Connection;
use crate::update::Update;

/// Updates waiting to be sent. When the queue is full the link is given up, and the next SUBSCRIBE carries them.
pub(crate) const UPDATES: usize = 256;

const PROTOBUF: &str = "application/x-protobuf";

/// What an attempt reports.
#[derive(Debug)]
pub(crate) enum Report {
    /// The agent accepted the connection from this address of ours.
    Reached(SocketAddr),
    /// An event.
    Event(Box<Event>),
    /// The attempt is over.
    Ended {
        /// Whether the agent answered and refused us for good.
        is_refusal: bool,
        /// For the log.
        reason: String,
    },
}

struct Ended {
    is_refusal: bool,
    reason: String,
}

impl Ended {
    fn broken(reason: impl Into<String>) -> Self {
        Self { is_refusal: false, reason: reason.into() }
    }
}

/// Makes one attempt; returns when it is over.
pub(crate) async fn attempt(
    environment: Arc<Environment>,
    tasks: Vec<v1::TaskInfo>,
    updates: Vec<Update>,
    mut outgoing: mpsc::Receiver<Update>,
    reports: mpsc::Sender<Report>,
) {
    let ended = converse(&environment, tasks, &updates, &mut outgoing, &reports).await;
    // The receiver is gone only when the process ends.
    let _ = reports.send(Report::Ended { is_refusal: ended.is_refusal, reason: ended.reason }).await;
}

async fn converse(
    environment: &Environment,
    tasks: Vec<v1::TaskInfo>,
    updates: &[Update],
    outgoing: &mut mpsc::Receiver<Update>,
    reports: &mpsc::Sender<Report>,
) -> Ended {
    let subscribe = call::Subscribe {
        unacknowledged_tasks: tasks,
        unacknowledged_updates: updates.iter().map(|update| update_call(environment, update)).collect(),
    };
    let call = Call { subscribe: Some(Box::new(subscribe)), ..base(environment, call::Type::Subscribe) };
    let mut stream = match Connection::open(&environment.agent_endpoint).await {
        Ok(stream) => stream,
        Err(reason) => return Ended::broken(reason),
    };
    if let Some(local) = stream.local {
        let _ = reports.send(Report::Reached(local)).await;
    }
    let answer = match post(environment, &mut stream, &call).await {
        Ok(answer) => answer,
        Err(reason) => return Ended::broken(reason),
    };
    let status = answer.status();
    if status != http::StatusCode::OK {
        // A restarting agent answers 404 and 503 until it is ready.
        let is_refusal = status.is_client_error() && status != http::StatusCode::NOT_FOUND;
        return Ended { is_refusal, reason: format!("the agent answered SUBSCRIBE with {status}") };
    }
    let mut body = answer.into_body();
    let mut decoder = Decoder::new();
    let mut calls: Option<Connection> = None;
    loop {
        // Both futures lose nothing when the other is first: a frame stays in the body, an update in the queue.
        tokio::select! {
            frame = body.frame() => {
                let frame = match frame {
                    None => return Ended::broken("the agent closed the stream"),
                    Some(Err(error)) => return Ended::broken(format!("the stream broke: {error}")),
                    Some(Ok(frame)) => frame,
                };
                if let Some(data) = frame.data_ref() {
                    decoder.push(data);
                }
                loop {
                    let event = match decoder.next_frame() {
                        Ok(None) => break,
                        Ok(Some(event)) => event,
                        Err(error) => return Ended::broken(format!("the stream is no RecordIO: {error}")),
                    };
                    match Event::decode(event) {
                        Ok(event) => {
                            if reports.send(Report::Event(Box::new(event))).await.is_err() {
                                return Ended::broken("the executor ends");
                            }
                        }
                        Err(error) => return Ended::broken(format!("the stream has no event: {error}")),
                    }
                }
            }
            update = outgoing.recv() => {
                let Some(update) = update else { return Ended::broken("the executor ends") };
                let call = Call {
                    update: Some(Box::new(update_call(environment, &update))),
                    ..base(environment, call::Type::Update)
                };
                if let Err(reason) = send_update(environment, &mut calls, &call).await {
                    return Ended::broken(reason);
                }
            }
        }
    }
}

/// Sends one update. A kept connection that the agent has closed meanwhile is no failure: a repeated update has the same
/// identifier, and the agent stores it once.
async fn send_update(environment: &Environment, calls: &mut Option<Connection>, call: &Call) -> Result<(), String> {
    if let Some(connection) = calls
        && try_update(environment, connection, call).await.is_ok()
    {
        return Ok(());
    }
    let connection = calls.insert(Connection::open(&environment.agent_endpoint).await?);
    try_update(environment, connection, call).await
}

async fn try_update(environment: &Environment, connection: &mut Connection, call: &Call) -> Result<(), String> {
    let answer = post(environment, connection, call).await?;
    let status = answer.status();
    // The connection is free for the next request once the answer is read.
    answer.into_body().collect().await.map_err(|error| error.to_string())?;
    if status.is_success() { Ok(()) } else { Err(format!("the agent answered an update with {status}")) }
}

async fn post(
    environment: &Environment,
    connection: &mut Connection,
    call: &Call,
) -> Result<http::Response<hyper::body::Incoming>, String> {
    let mut request = http::Request::post(environment.api_path.as_str())
        .header("Host", environment.agent_endpoint.as_str())
        .header("Content-Type", PROTOBUF)
        .header("Accept", PROTOBUF);
    if let Some(token) = &environment.token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let body = Full::new(Bytes::from(call.encode_to_vec()));
    let request = request.body(body).map_err(|error| format!("cannot make a request: {error}"))?;
    connection.send(request).await
}

fn base(environment: &Environment, r#type: call::Type) -> Call {
    Call {
        executor_id: v1::ExecutorId { value: environment.executor_id.clone() },
        framework_id: v1::FrameworkId { value: environment.framework_id.clone() },
        r#type: Some(r#type as i32),
        ..Default::default()
    }
}

fn update_call(environment: &Environment, update: &Update) -> call::Update {
    call::Update { status: update.to_wire(&environment.executor_id) }
}
