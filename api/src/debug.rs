//! Debugging views: offers, plans, task statuses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /v2/debug/offers`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Offers {
    /// Recent evaluations, oldest first.
    pub offers: Vec<Outcome<Vec<String>>>,
    /// Evaluations that passed.
    #[serde(rename = "acceptedCount")]
    pub accepted_count: u64,
    /// Failures by what failed.
    #[serde(rename = "failureReasons")]
    pub failure_reasons: BTreeMap<String, u64>,
    /// Evaluations that failed.
    #[serde(rename = "rejectedCount")]
    pub rejected_count: u64,
    /// Rejections by agent.
    #[serde(rename = "rejectedAgents")]
    pub rejected_agents: BTreeMap<String, u64>,
}

/// `GET /v1/debug/offers?json=true`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcomes {
    /// Recent evaluations, newest first.
    pub outcomes: Vec<Outcome<String>>,
}

/// One evaluation; the explanation is a list in the newer and a text in the older view.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome<Explanation: Default> {
    /// Milliseconds since the Unix epoch.
    pub timestamp: u64,
    /// Pod instance.
    #[serde(rename = "pod-instance-name")]
    pub pod_instance_name: String,
    /// `pass` or `fail`.
    pub outcome: String,
    /// One line per stage.
    pub explanation: Explanation,
    /// The offer as text.
    pub offer: String,
}

/// `GET /v1/debug/plans`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Plans {
    /// `RUNNING`, `DEPLOYING`, `DEPLOYED`, `RECOVERING` or `DECOMMISSIONING`.
    #[serde(rename = "schedulerState")]
    pub scheduler_state: String,
    /// Plans at work, whatever the filter.
    #[serde(rename = "activePlans")]
    pub active_plans: Vec<String>,
    /// Plans that pass the filter.
    pub plans: Vec<Plan>,
    /// Every plan, phase and step by name, whatever the filter.
    #[serde(rename = "serviceTopology")]
    pub service_topology: Vec<Topology>,
}

/// A plan of [`Plans`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// Name.
    pub name: String,
    /// Status word.
    pub status: String,
    /// Strategy word.
    pub strategy: String,
    /// All steps, whatever the filter.
    #[serde(rename = "totalSteps")]
    pub total_steps: usize,
    /// Complete steps, whatever the filter.
    #[serde(rename = "completedSteps")]
    pub completed_steps: usize,
    /// Phases that pass the filter.
    pub phases: Vec<Phase>,
}

/// A phase of [`Plans`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Phase {
    /// Name.
    pub name: String,
    /// Status word.
    pub status: String,
    /// Strategy word.
    pub strategy: String,
    /// Steps that pass the filter.
    pub steps: Vec<Step>,
}

/// A step of [`Plans`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// Name.
    pub name: String,
    /// Status word.
    pub status: String,
    /// Its errors.
    pub errors: Vec<String>,
}

/// A node of the tree of names in [`Plans`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Topology {
    /// Name.
    pub name: String,
    /// `plan`, `phase` or `step`.
    pub r#type: String,
    /// `null` for a step.
    pub children: Option<Vec<Topology>>,
}

/// `GET /v1/debug/taskStatuses` is a list of these.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanStatuses {
    /// Plan name.
    pub name: String,
    /// Phases that pass the filter.
    pub phases: Vec<PhaseStatuses>,
}

/// A phase of [`PlanStatuses`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PhaseStatuses {
    /// Phase name.
    pub name: String,
    /// Steps that pass the filter.
    pub steps: Vec<StepStatuses>,
}

/// A step of [`PlanStatuses`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StepStatuses {
    /// Step name.
    pub name: String,
    /// Its tasks; the key is the same word as the state inside.
    #[serde(rename = "taskStatus")]
    pub task_status: Vec<TaskState>,
}

/// A task of [`PlanStatuses`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskState {
    /// Full task name.
    pub name: String,
    /// Full state, or [`crate::text::UNKNOWN_STATE`].
    #[serde(rename = "taskStatus")]
    pub task_status: String,
    /// Id of the current launch; may be empty.
    #[serde(rename = "taskId")]
    pub task_id: String,
}
