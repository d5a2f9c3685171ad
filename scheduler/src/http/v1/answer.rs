//! From the engine's answer to a command to an HTTP response.

use axum::http::StatusCode;
use axum::response::Response;
use mainstay_api::pod::Action;
use mainstay_api::{Message, text};
use mainstay_engine::command::{Answer, Command};

use crate::control::{Busy, CommandHandle};
use crate::http::json;

/// Sends a command and renders what became of it.
pub(super) async fn carry_out(commands: &CommandHandle, verb: &str, command: Command) -> Response {
    match commands.send(command).await {
        Ok(answer) => render(verb, answer),
        Err(busy) => {
            tracing::warn!(verb, %busy, "command without an answer");
            unanswered(busy)
        }
    }
}

/// The response of an answer.
fn render(verb: &str, answer: Answer) -> Response {
    match answer {
        Answer::Received => json::object(StatusCode::OK, &Message::received(verb)),
        Answer::Already => json::text(StatusCode::ALREADY_REPORTED, text::ALREADY),
        Answer::PodAction { pod, tasks } => json::object(StatusCode::OK, &Action { pod, tasks }),
        Answer::NotFound { kind: "Pod", name } => pod_not_found(&name),
        Answer::NotFound { .. } => element_not_found(),
        Answer::MissingPhase => json::text(StatusCode::BAD_REQUEST, text::MISSING_PHASE),
        Answer::Refused(reason) => json::text(StatusCode::CONFLICT, reason),
    }
}

/// No such plan, phase or step. One text for all, because command lines compare it.
pub(super) fn element_not_found() -> Response {
    json::text(StatusCode::NOT_FOUND, text::ELEMENT_NOT_FOUND)
}

/// No such pod instance.
pub(super) fn pod_not_found(name: &str) -> Response {
    json::text(StatusCode::NOT_FOUND, format!("Pod {name} not found"))
}

/// Nobody answered.
pub(super) fn unanswered(busy: Busy) -> Response {
    json::text(StatusCode::SERVICE_UNAVAILABLE, busy.to_string())
}
