//! The published snapshot: everything a reader may ask, immutable, shared by reference.
//!
//! Invariant: made by the engine after a step, never changed; reading it costs the engine nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use mainstay_spec::ServiceSpec;

use crate::ids::{ConfigId, FrameworkId, TaskName};
use crate::state::Task;
use crate::units::Timestamp;

/// One moment of the service.
#[derive(Debug, Clone)]
pub struct View {
    /// The specification in force.
    pub spec: Arc<ServiceSpec>,
    /// Id known to the master, once registered.
    pub framework_id: Option<FrameworkId>,
    /// Whether the subscription is up.
    pub is_subscribed: bool,
    /// Plans in the order the API lists them: deploy, recovery, then the author's.
    pub plans: Vec<Arc<PlanView>>,
    /// Stored tasks by full name.
    pub tasks: Arc<BTreeMap<TaskName, Arc<Task>>>,
    /// Id of the target configuration.
    pub target: Option<ConfigId>,
    /// Stored configurations, as their JSON.
    pub configurations: Arc<BTreeMap<ConfigId, Bytes>>,
    /// The same, parsed, where readable.
    pub parsed_configurations: Arc<BTreeMap<ConfigId, Arc<ServiceSpec>>>,
    /// Stored properties.
    pub properties: Arc<BTreeMap<String, Bytes>>,
    /// Recent evaluations and their counts.
    pub outcomes: Arc<Outcomes>,
    /// What each step that is not complete waits for, one line each, for people.
    pub waiting: Arc<Vec<String>>,
}

/// A plan as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanView {
    /// Name.
    pub name: String,
    /// Status word (`COMPLETE`, `WAITING`, …).
    pub status: &'static str,
    /// Strategy word.
    pub strategy: &'static str,
    /// Own errors, then those of all phases and steps in order.
    pub errors: Vec<String>,
    /// Whether the plan itself is interrupted.
    pub is_interrupted: bool,
    /// Phases in order.
    pub phases: Vec<PhaseView>,
}

/// A phase as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseView {
    /// UUID, new at every scheduler start.
    pub id: String,
    /// Name.
    pub name: String,
    /// Status word.
    pub status: &'static str,
    /// Strategy word.
    pub strategy: &'static str,
    /// Steps in order.
    pub steps: Vec<StepView>,
}

/// A step as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepView {
    /// UUID, new at every scheduler start.
    pub id: String,
    /// Name, `<pod>-<index>:[<task>, <task>]`.
    pub name: String,
    /// Status word.
    pub status: &'static str,
    /// Text for people.
    pub message: String,
    /// Its errors.
    pub errors: Vec<String>,
    /// Whether the step itself is interrupted.
    pub is_interrupted: bool,
    /// Tasks it launches with the id of the current launch and the last state (`TASK_RUNNING`), for debugging.
    pub tasks: Vec<(TaskName, Option<String>, Option<&'static str>)>,
}

/// Evaluations of the recent past.
///
/// Source: `/v2/debug/offers` of the SDK.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Oldest first, at most [`crate::limits::OUTCOMES_KEPT`].
    pub recent: std::collections::VecDeque<Outcome>,
    /// Evaluations that passed.
    pub accepted: u64,
    /// Evaluations that failed.
    pub rejected: u64,
    /// Failures by stage name.
    pub failure_reasons: BTreeMap<String, u64>,
    /// Rejections by agent id.
    pub rejected_agents: BTreeMap<String, u64>,
}

/// One evaluation of one offer for one pod instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// When.
    pub at: Timestamp,
    /// Pod instance.
    pub pod_instance: String,
    /// Whether every stage passed.
    pub passed: bool,
    /// One line per stage, `PASS(Stage):reason`.
    pub explanation: Vec<String>,
    /// The offer, as text.
    pub offer: String,
}
