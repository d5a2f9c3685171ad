//! What happened and why, as data: the shell turns each entry into one log event and its counters.

use crate::ids::{AgentId, ExecutorId, OfferId, PodInstance, ResourceId, TaskId, TaskName};
use crate::task::status::State;
use crate::units::Millis;

/// One thing worth telling. Closed: wording, level and counters live in the shell's telemetry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "field names say what they hold")]
pub enum Entry {
    Subscribed {
        framework_id: String,
        master: String,
        is_new: bool,
    },
    Disconnected,
    AgentLost {
        agent_id: AgentId,
    },
    ExecutorLost {
        agent_id: AgentId,
        executor_id: ExecutorId,
        status: Option<i32>,
    },
    OffersReceived {
        count: usize,
    },
    /// Offers that could not be read, told once for each problem and agent.
    OffersMalformed {
        /// Kind of problem, as it is counted under in `failureReasons`.
        reason: &'static str,
        agent: String,
        error: String,
    },
    /// One evaluation, rendered in the SDK's shape (several lines).
    Evaluated {
        step: String,
        offer_id: OfferId,
        passed: bool,
        report: String,
        /// False when the step waits for what it already waited for.
        is_news: bool,
    },
    Launched {
        task: TaskName,
        task_id: TaskId,
        agent_id: AgentId,
        hostname: String,
    },
    Declined {
        count: usize,
        refuse: Millis,
    },
    Revived,
    ReviveThrottled,
    Suppressed,
    StatusReceived {
        task_id: TaskId,
        state: State,
        reason: Option<i32>,
        message: Option<String>,
        /// Outcome of the last readiness check, when the status has one.
        is_ready: Option<bool>,
        /// Outcome of the last health check, when the status has one.
        is_healthy: Option<bool>,
        /// False when it says what is stored already.
        is_news: bool,
    },
    StatusIgnored {
        task_id: TaskId,
        state: State,
        why: &'static str,
    },
    UnknownTaskKilled {
        task_id: TaskId,
        state: State,
    },
    TaskKilled {
        task_id: TaskId,
        why: &'static str,
    },
    /// A plan as it is at the start, before anything has happened.
    PlanBegins {
        plan: String,
        status: &'static str,
        steps: usize,
        complete: usize,
    },
    StepChanged {
        plan: String,
        phase: String,
        step: String,
        from: &'static str,
        to: &'static str,
    },
    PlanChanged {
        plan: String,
        from: &'static str,
        to: &'static str,
    },
    RecoveryStarted {
        pod: PodInstance,
        tasks: Vec<String>,
        kind: &'static str,
    },
    ReservationDropped {
        pod: PodInstance,
        resources: Vec<ResourceId>,
        why: &'static str,
    },
    OrphansReleased {
        agent_id: AgentId,
        destroyed: usize,
        unreserved: Vec<ResourceId>,
    },
    OperationFailed {
        operation_id: String,
        state: i32,
        message: Option<String>,
    },
    ReconciliationStarted {
        tasks: usize,
    },
    ReconciliationFinished {
        unanswered: usize,
    },
    WaitingForOffers {
        step: String,
        why: String,
    },
    ConfigurationStored {
        config_id: String,
        is_first: bool,
    },
    ConfigurationRefused {
        problems: Vec<String>,
    },
    /// What is worth knowing about the specification, although it is in force.
    ConfigurationWarned {
        problems: Vec<String>,
    },
    /// What the specification asks for and a master of this version does not have.
    MasterLacks {
        version: String,
        features: Vec<String>,
    },
    StatePartlyUnreadable {
        path: String,
        problem: String,
    },
    Repaired {
        task: TaskName,
        what: &'static str,
    },
    CommandReceived {
        text: String,
        answer: &'static str,
    },
}
