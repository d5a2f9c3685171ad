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

/// Longest text of an offer that is kept, in bytes. A usual one has 500.
const TEXT_BYTES: usize = 16 * 1024;

impl Offer {
    /// The offer as a text of bounded length, however many pieces it has; `…` where it is cut.
    pub fn text(&self) -> String {
        let mut bounded = Bounded(String::with_capacity(512));
        // An error says that it is full, and spares writing the rest.
        match fmt::Write::write_fmt(&mut bounded, format_args!("{self}")) {
            Ok(()) => bounded.0,
            Err(fmt::Error) => bounded.0 + "…",
        }
    }
}

/// Takes no more than [`TEXT_BYTES`].
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut fitting = text.len().min(TEXT_BYTES - self.0.len());
        while !text.is_char_boundary(fitting) {
            fitting -= 1;
        }
        self.0.push_str(text.get(..fitting).unwrap_or_default());
        if fitting < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Ranges, Value};

    #[test]
    fn the_text_of_an_offer_is_a_line_of_bounded_length() {
        let ports = |count: u64| {
            let pieces = Value::Ranges(Ranges::new((0..count).map(|at| (2 * at, 2 * at))));
            fixture::offer(vec![fixture::scalar("cpus", fixture::units(4)), fixture::resource("ports", pieces)])
        };
        assert_eq!(ports(2).text(), "offer offer-1 of agent agent-1 (host1) rack:r1: cpus:4; ports:[0,2]");
        assert_eq!(ports(2).text(), ports(2).to_string());
        let cut = ports(100_000).text();
        assert_eq!(cut.len(), TEXT_BYTES + "…".len());
        assert!(ports(100_000).to_string().starts_with(cut.trim_end_matches('…')));
        let wide = Offer { hostname: "é".repeat(TEXT_BYTES), ..ports(0) };
        assert!(wide.text().len() <= TEXT_BYTES + "…".len());
    }
}
