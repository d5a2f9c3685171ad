//! What the engine tells, as log events: wording, level and fields of every journal entry in one place.
//!
//! Not the decisions themselves, and not metrics yet. The shell's own events are logged where they happen.
//! Invariant: a message is constant and lower case; what varies is in fields. The one exception is an evaluation report, which is
//! printed in the SDK's shape, as one record of several lines.

use std::error::Error;
use std::fmt::Write as _;

use mainstay_engine::journal::Entry;
use mainstay_engine::task::status::State;
use mainstay_proto::v1::task_status::Reason;
use tracing::{debug, error, info, warn};
use tracing_subscriber::EnvFilter;

use crate::Vars;

/// The filter of an environment: `RUST_LOG` as it is, else `FRAMEWORK_LOG_LEVEL` for our own crates, else `info`.
///
/// Errors: the text that is neither a level nor a filter.
pub fn filter(vars: &Vars) -> Result<EnvFilter, String> {
    if let Some(directives) = vars.get("RUST_LOG").filter(|text| !text.trim().is_empty()) {
        return EnvFilter::try_new(directives).map_err(|error| format!("RUST_LOG: {error}"));
    }
    let wanted = vars.get("FRAMEWORK_LOG_LEVEL").map(|text| text.trim().to_ascii_uppercase()).unwrap_or_default();
    let level = match wanted.as_str() {
        "" | "INFO" => "info",
        "OFF" => "off",
        "FATAL" | "ERROR" => "error",
        "WARN" => "warn",
        "DEBUG" => "debug",
        "TRACE" | "ALL" => "trace",
        _ => return Err(format!("FRAMEWORK_LOG_LEVEL: {wanted:?} is none of OFF, ERROR, WARN, INFO, DEBUG, TRACE")),
    };
    let others = if level == "off" || level == "error" { level } else { "warn" };
    // The client of ZooKeeper tells every attempt to connect; what matters of it is told by the store and the watch of the election.
    let others = format!("{others},zookeeper_client=error");
    let ours = ["mainstay", "mainstay_scheduler", "mainstay_engine", "mainstay_spec"];
    let directives = ours.iter().fold(others, |mut text, name| {
        let _ = write!(text, ",{name}={level}");
        text
    });
    EnvFilter::try_new(directives).map_err(|error| error.to_string())
}

/// Sends log events to standard error, one line each (a report: several).
///
/// Errors: somebody else already did this for the process, or the filter cannot be read.
pub fn init(vars: &Vars) -> Result<(), String> {
    use std::io::IsTerminal as _;
    tracing_subscriber::fmt()
        .with_env_filter(filter(vars)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init()
        .map_err(|error| error.to_string())
}

/// An error and what caused it, on one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let message = source.to_string();
        // Some errors already repeat their source.
        if !text.ends_with(&message) {
            let _ = write!(text, ": {message}");
        }
        cause = source.source();
    }
    text
}

/// Logs one entry.
pub fn log(entry: &Entry) {
    match entry {
        Entry::Subscribed { framework_id, master, is_new: true } => {
            info!(framework_id, master, "registered as a new framework");
        }
        Entry::Subscribed { framework_id, master, is_new: false } => {
            info!(framework_id, master, "registered again");
        }
        Entry::Disconnected => warn!("disconnected from the master"),
        Entry::AgentLost { agent_id } => warn!(%agent_id, "agent lost"),
        Entry::ExecutorLost { agent_id, executor_id, status } => {
            info!(%agent_id, %executor_id, wait_status = status, "executor ended");
        }
        Entry::WaitingForOffers { step, why } => info!(step, why, "step waits"),
        Entry::OffersReceived { count } => debug!(count, "offers received"),
        Entry::Evaluated { report, is_news: true, .. } => info!("{}", report.trim_end()),
        Entry::Evaluated { report, is_news: false, .. } => debug!("{}", report.trim_end()),
        Entry::Launched { task, task_id, agent_id, hostname } => {
            info!(%task, %task_id, %agent_id, hostname, "task launched");
        }
        Entry::OffersMalformed { reason, agent, error } => {
            warn!(reason, agent, error, "offer declined: it cannot be read");
        }
        Entry::Declined { count, refuse } => debug!(count, refuse_ms = refuse.0, "offers declined"),
        Entry::Revived => debug!("offers revived"),
        Entry::ReviveThrottled => debug!("revive delayed: too many in a short time"),
        Entry::Suppressed => debug!("offers suppressed"),
        Entry::StatusReceived { task_id, state, reason, message, is_ready, is_healthy, is_news } => {
            let (state_name, reason, detail) = (state.as_str(), reason_name(*reason), message.as_deref());
            let (ready, healthy) = (*is_ready, *is_healthy);
            if !is_news {
                debug!(%task_id, state = state_name, ready, healthy, reason, detail, "task status confirmed");
            } else if is_bad(*state) || *is_healthy == Some(false) {
                warn!(%task_id, state = state_name, ready, healthy, reason, detail, "task status");
            } else {
                info!(%task_id, state = state_name, ready, healthy, reason, detail, "task status");
            }
        }
        Entry::StatusIgnored { task_id, state, why } => {
            debug!(%task_id, state = state.as_str(), why, "task status ignored");
        }
        Entry::UnknownTaskKilled { task_id, state } => {
            warn!(%task_id, state = state.as_str(), "killing unknown task");
        }
        Entry::TaskKilled { task_id, why } => info!(%task_id, why, "killing task"),
        Entry::PlanBegins { plan, status, steps, complete } => info!(plan, status, steps, complete, "plan begins"),
        Entry::StepChanged { plan, phase, step, from, to } => info!(plan, phase, step, from, to, "step changed"),
        Entry::PlanChanged { plan, from, to } => info!(plan, from, to, "plan changed"),
        Entry::RecoveryStarted { pod, tasks, kind } => info!(%pod, tasks = tasks.join(","), kind, "recovery started"),
        Entry::ReservationDropped { pod, resources, why } => {
            info!(%pod, resources = resources.len(), why, "reservation dropped");
        }
        Entry::OrphansReleased { agent_id, destroyed, unreserved } => {
            info!(%agent_id, destroyed, unreserved = unreserved.len(), "orphaned resources released");
        }
        Entry::OperationFailed { operation_id, state, message } => {
            warn!(operation_id, state, detail = message.as_deref(), "operation failed");
        }
        Entry::ReconciliationStarted { tasks } => info!(tasks, "reconciliation started"),
        Entry::ReconciliationFinished { unanswered: 0 } => info!("reconciliation finished"),
        Entry::ReconciliationFinished { unanswered } => {
            warn!(unanswered, "reconciliation goes on for some tasks, whose agents have not come back");
        }
        Entry::ConfigurationStored { config_id, is_first } => info!(config_id, is_first, "target configuration stored"),
        Entry::ConfigurationRefused { problems } => {
            error!("target configuration refused, the previous one stays:\n  {}", problems.join("\n  "));
        }
        Entry::ConfigurationWarned { problems } => {
            warn!("target configuration has warnings:\n  {}", problems.join("\n  "));
        }
        Entry::MasterLacks { version, features } => {
            warn!(version, "the master is too old for the specification:\n  {}", features.join("\n  "));
        }
        Entry::StatePartlyUnreadable { path, problem } => error!(path, problem, "stored state partly unreadable"),
        Entry::Repaired { task, what } => warn!(%task, what, "stored state repaired"),
        Entry::CommandReceived { text, answer } => info!(command = text, answer, "command received"),
    }
}

/// Name of a status's reason as Mesos writes it, without its prefix; numbers newer than this code stay numbers.
fn reason_name(reason: Option<i32>) -> Option<String> {
    let name = |number: i32| match Reason::try_from(number) {
        Ok(known) => known.as_str_name().trim_start_matches("REASON_").to_owned(),
        Err(_) => number.to_string(),
    };
    reason.map(name)
}

/// Whether a state is one that somebody did not want.
fn is_bad(state: State) -> bool {
    match state {
        State::Failed
        | State::Error
        | State::Lost
        | State::Dropped
        | State::Unreachable
        | State::Gone
        | State::GoneByOperator
        | State::Unknown => true,
        State::Staging | State::Starting | State::Running | State::Killing | State::Finished | State::Killed => false,
    }
}

#[cfg(test)]
mod tests;
