//! Everything that can wake the scheduler.

use bytes::Bytes;

use crate::command::Command;
use crate::ids::{AgentId, ExecutorId, FrameworkId, OfferId, OperationId};
use crate::offer::Offer;
use crate::task::status::Status;

/// One thing that happened. Closed: a new source of work is a new variant here.
#[derive(Debug, Clone)]
pub enum Event {
    /// The master accepted our subscription.
    Subscribed {
        /// Id it knows us by.
        framework_id: FrameworkId,
        /// The master.
        master: Master,
    },
    /// The subscription ended; offers in hand are void.
    Disconnected,
    /// Offers arrived.
    Offers(Vec<Offer>),
    /// Offers arrived that could not be read.
    MalformedOffers(Vec<MalformedOffer>),
    /// An offer is void.
    Rescinded(OfferId),
    /// A task status arrived.
    Status(Status),
    /// An operation status arrived.
    OperationStatus(OperationStatus),
    /// An agent was removed or is unreachable.
    AgentLost(AgentId),
    /// An executor of ours ended; a hint only.
    ExecutorLost {
        /// Its agent.
        agent_id: AgentId,
        /// Executor.
        executor_id: ExecutorId,
        /// Raw wait status.
        status: Option<i32>,
    },
    /// An operator wants something.
    Command {
        /// Which waiting caller gets the reply.
        caller: u64,
        /// What is wanted.
        command: Command,
    },
    /// The timer went off.
    Tick,
}

/// An offer that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedOffer {
    /// Its id, when that much could be read; without it the offer cannot be declined.
    pub id: Option<OfferId>,
    /// Its agent, when that much could be read.
    pub agent_id: Option<AgentId>,
    /// Kind of problem, one of a few.
    pub reason: &'static str,
    /// What is wrong.
    pub error: String,
}

/// What the master says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Master {
    /// Advertised name.
    pub hostname: String,
    /// Version.
    pub version: Option<String>,
    /// Region of its fault domain.
    pub region: Option<String>,
    /// Zone of its fault domain.
    pub zone: Option<String>,
}

/// Outcome of an operation that asked for feedback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationStatus {
    /// Operation.
    pub operation_id: OperationId,
    /// Wire number of the state.
    pub state: i32,
    /// Text for people.
    pub message: Option<String>,
    /// Present exactly when an acknowledgement is owed.
    pub uuid: Option<Bytes>,
    /// Agent.
    pub agent_id: Option<AgentId>,
    /// Resource provider.
    pub provider_id: Option<String>,
}
