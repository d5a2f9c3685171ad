//! The stages of an evaluation: each looks at one part of the requirement, takes it from the pool, and says what it found.
//!
//! Invariant: a stage never ends the evaluation; the report is complete also after a failure.
//! Invariant: a stage that fails may have taken from the pool, but nothing follows from its evaluation any more.

pub(super) mod destroy;
pub(super) mod executor;
pub(super) mod launch;
pub(super) mod network_ports;
pub(super) mod placement;
pub(super) mod ports;
pub(super) mod resources;
pub(super) mod unreserve;
pub(super) mod volumes;

/// A stage. The names are those of the SDK and part of the operator's surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "one file each, named alike")]
pub enum OfferStage {
    Executor,
    Placement,
    Resource,
    Ports,
    Port,
    NamedVip,
    Volume,
    Launch,
    Unreserve,
    Destroy,
}

impl OfferStage {
    /// Class name after PASS or FAIL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Executor => "ExecutorEvaluationStage",
            Self::Placement => "PlacementRuleEvaluationStage",
            Self::Resource => "ResourceEvaluationStage",
            Self::Ports => "MultiEvaluationStage",
            Self::Port => "PortEvaluationStage",
            Self::NamedVip => "NamedVIPEvaluationStage",
            Self::Volume => "VolumeEvaluationStage",
            Self::Launch => "LaunchEvaluationStage",
            Self::Unreserve => "UnreserveEvaluationStage",
            Self::Destroy => "DestroyEvaluationStage",
        }
    }
}
