//! Reservations that nothing stands on any more and that are still to be released.
//!
//! Invariant: what is needed to be offered one (its role, what its agent is) is kept with it: the pod it was made for may be forgotten long
//! before its agent is there again.

use std::fmt;

use crate::ids::{AgentId, ResourceId};
use crate::state::Task;

/// Words behind the role of a line.
const GPUS: &str = "gpus";
const REGION: &str = "region";

/// A reservation given up.
///
/// Shape: stored as `<agent id> [<role> [gpus] [region]]`. Earlier versions stored the agent alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// Agent that holds it.
    pub agent_id: AgentId,
    /// Role it is offered to, where known.
    pub role: Option<String>,
    /// Whether the pod held GPUs: the master keeps such agents from frameworks that do not know GPUs.
    pub has_gpus: bool,
    /// Whether the agent is in a region: the master may keep those of other regions from frameworks that do not know regions.
    pub has_region: bool,
}

impl GivenUp {
    /// Everything that the tasks of one pod instance hold.
    pub fn of_pod(tasks: &[&Task]) -> Vec<(ResourceId, Self)> {
        let has_gpus = tasks.iter().any(|task| task.has_gpus());
        let of_task = |task: &&Task| {
            let (agent_id, has_region) = (task.agent_id.clone(), task.region.is_some());
            let held =
                task.reserved().filter_map(|resource| Some((resource.resource_id()?, resource.role().to_owned())));
            let given_up =
                move |(id, role)| (id, Self { agent_id: agent_id.clone(), role: Some(role), has_gpus, has_region });
            held.map(given_up).collect::<Vec<_>>()
        };
        tasks.iter().flat_map(of_task).collect()
    }

    /// Reads what is stored behind the resource id.
    pub fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let agent_id = AgentId::parse(words.next()?).ok()?;
        let role = words.next().map(str::to_owned);
        let rest: Vec<&str> = words.collect();
        Some(Self { agent_id, role, has_gpus: rest.contains(&GPUS), has_region: rest.contains(&REGION) })
    }
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.agent_id)?;
        let Some(role) = &self.role else { return Ok(()) };
        write!(f, " {role}")?;
        for (_, word) in [(self.has_gpus, GPUS), (self.has_region, REGION)].iter().filter(|(is_set, _)| *is_set) {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_stored_reads_back_and_older_lines_too() {
        // (text, role, gpus, region)
        for (text, role, has_gpus, has_region) in [
            ("a1", None, false, false),
            ("a1 r", Some("r"), false, false),
            ("a1 public/r gpus", Some("public/r"), true, false),
            ("a1 gpus region", Some("gpus"), false, true),
            ("a1 r gpus region", Some("r"), true, true),
        ] {
            let read = GivenUp::read(text).unwrap();
            let agent_id = AgentId::parse("a1").unwrap();
            assert_eq!(read, GivenUp { agent_id, role: role.map(str::to_owned), has_gpus, has_region }, "{text}");
            assert_eq!(read.to_string(), text);
        }
        assert_eq!(GivenUp::read(""), None);
    }
}
