//! Pods: status in both generations' shapes, and what a restart or replace answers.

use serde::{Deserialize, Serialize};

/// `GET /v1/pod/status`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Full service name, slashes kept.
    pub service: String,
    /// Types, sorted; the key is absent when no task is stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<Pod>,
}

/// A pod type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// The type.
    pub name: String,
    /// Instances in numeric order.
    pub instances: Vec<Instance>,
}

/// A pod instance; also `GET /v1/pod/{pod}/status`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Instance {
    /// `<type>-<index>`.
    pub name: String,
    /// Tasks sorted by name.
    pub tasks: Vec<Task>,
}

/// A task of a pod instance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    /// Id of the current launch; empty if it was never launched.
    pub id: String,
    /// Full name.
    pub name: String,
    /// State without `TASK_`, or the word of an override; the key is absent while nothing is known of the current launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// A task as `GET /v1/pods/status` (first generation) shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FlatTask {
    /// Id of the current launch; empty if it was never launched.
    pub id: String,
    /// Full name.
    pub name: String,
    /// Full state (`TASK_RUNNING`), or [`crate::text::NO_STATE`].
    pub state: String,
}

/// Answer to restart and replace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Action {
    /// Pod instance.
    pub pod: String,
    /// All its tasks, sorted.
    pub tasks: Vec<String>,
}
