//! Plans as `GET /v1/plans/{plan}` shows them.

use serde::{Deserialize, Deserializer, Serialize};

/// A plan. Its name is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// In order; may be empty. `null` reads as empty.
    #[serde(deserialize_with = "null_is_default")]
    pub phases: Vec<Phase>,
    /// Own errors, then those of all phases and steps.
    #[serde(deserialize_with = "null_is_default")]
    pub errors: Vec<String>,
    /// Status word.
    pub status: String,
    /// Strategy word.
    pub strategy: String,
}

/// A phase.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Phase {
    /// UUID, new at every scheduler start.
    pub id: String,
    /// Name.
    pub name: String,
    /// In order; may be empty. `null` reads as empty.
    #[serde(deserialize_with = "null_is_default")]
    pub steps: Vec<Step>,
    /// Status word.
    pub status: String,
    /// Strategy word.
    pub strategy: String,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// UUID, new at every scheduler start.
    pub id: String,
    /// Status word.
    pub status: String,
    /// `<pod>-<index>:[<task>, <task>]`.
    pub name: String,
    /// For people only.
    pub message: String,
}

fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn absent_and_null_read_as_empty() {
        assert_eq!(serde_json::from_str::<Plan>("{}").unwrap(), Plan::default());
        assert_eq!(
            serde_json::from_str::<Plan>(r#"{"phases": null, "errors": null, "x": 1}"#).unwrap(),
            Plan::default()
        );
    }

    #[test]
    fn keys_come_in_the_order_users_know() {
        let plan = Plan { phases: vec![Phase { steps: vec![Step::default()], ..Phase::default() }], ..Plan::default() };
        assert_eq!(
            serde_json::to_string(&plan).unwrap(),
            concat!(
                r#"{"phases":[{"id":"","name":"","steps":[{"id":"","status":"","name":"","message":""}],"#,
                r#""status":"","strategy":""}],"errors":[],"status":"","strategy":""}"#
            )
        );
    }
}
