//! `/v1/placement`: why each unfinished step is not placed now. Ours; the SDK has no such route.

use serde::{Deserialize, Serialize};

/// One unfinished step, or a plan that cannot be carried out although its steps are done: then phase, step and pod are empty.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Step {
    /// Plan.
    pub plan: String,
    /// Phase.
    pub phase: String,
    /// Step, `<pod>-<index>:[<task>, …]`.
    pub step: String,
    /// Pod instance.
    pub pod: String,
    /// What it waits for: `subscription`, `reconciliation`, `earlier`, `operator`, `backoff`, `otherPlan`, `taskEnd`,
    /// `taskStatus`, `nothing` (it is in error) or `offer`.
    pub waits_for: String,
    /// The whole explanation for people, several lines.
    pub text: String,
    /// What the offers are worth, for a step that waits for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
}

/// One step held against the last offer of every agent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Search {
    /// Id of the only agent that can do, because it holds the pod's reservations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned_agent_id: Option<String>,
    /// Agents whose last offer was looked at.
    pub agents: usize,
    /// How many of them fit.
    pub fits: usize,
    /// Names of some that fit.
    pub fitting: Vec<String>,
    /// The others by what is in the way first, the largest group first.
    pub groups: Vec<Group>,
    /// The agent with the fewest obstacles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closest: Option<Closest>,
}

/// Agents with the same first obstacle.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Group {
    /// How many agents.
    pub agents: usize,
    /// What is in the way.
    pub obstacle: String,
    /// Names of some of them.
    pub examples: Vec<String>,
    /// The least that is missing, cores or MB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_by_least: Option<f64>,
    /// The most that is missing, cores or MB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_by_most: Option<f64>,
}

/// The agent that is closest to taking the step.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Closest {
    /// Its id.
    pub agent_id: String,
    /// Its name.
    pub hostname: String,
    /// Everything in the way there.
    pub obstacles: Vec<String>,
    /// The smallest changes that together let the step pass there; absent when none were found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<String>>,
}
