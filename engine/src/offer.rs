//! Offers, and what the engine makes of them.

mod claim;
pub mod demand;
pub mod evaluate;
#[cfg(test)]
mod failures;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests only")]
pub(crate) mod fixture;
pub mod leftover;
pub mod operation;
pub mod placement;
mod reason;
pub mod refusal;
pub mod report;
pub mod requirement;
pub mod role;
pub mod screen;
pub(crate) mod stage;
mod stored;

use std::fmt;

use crate::ids::{AgentId, ExecutorId, OfferId};
use crate::resource::Resource;

/// Resources of one agent offered to one role of the framework.
///
/// Source: Mesos v1 `Offer`; made by the shell's conversion, which refuses what is malformed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its id.
    pub id: OfferId,
    /// Agent.
    pub agent_id: AgentId,
    /// Advertised name of the agent.
    pub hostname: String,
    /// Region of the agent's fault domain.
    pub region: Option<String>,
    /// Zone of the agent's fault domain.
    pub zone: Option<String>,
    /// Attributes in wire order, each as (name, text form of the value).
    pub attributes: Vec<(String, String)>,
    /// What is offered, in wire order.
    pub resources: Vec<Resource>,
    /// Executors of this framework that live on the agent.
    pub executor_ids: Vec<ExecutorId>,
    /// Role the offer is allocated to.
    pub allocation_role: Option<String>,
}

/// One line: who offers what.
impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offer {} of agent {} ({})", self.id, self.agent_id, self.hostname)?;
        for (name, value) in &self.attributes {
            write!(f, " {name}:{value}")?;
        }
        for (at, resource) in self.resources.iter().enumerate() {
            write!(f, "{}{resource}", if at == 0 { ": " } else { "; " })?;
        }
        Ok(())
    }
}
