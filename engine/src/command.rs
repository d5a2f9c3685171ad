//! What operators can ask for, and the answers.

use std::collections::BTreeMap;

/// A wish of an operator, already parsed but not resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A plan command.
    Plan {
        /// Exact plan name.
        plan: String,
        /// What to do.
        verb: PlanVerb,
        /// Phase by name or UUID.
        phase: Option<String>,
        /// Step by name or UUID.
        step: Option<String>,
    },
    /// A pod command.
    Pod {
        /// Pod instance `<type>-<index>`.
        pod: String,
        /// What to do.
        verb: PodVerb,
    },
}

/// What can be done with a plan, a phase or a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanVerb {
    /// Sets parameters, restarts a completed plan, lets it go on.
    Start(BTreeMap<String, String>),
    /// Interrupts and resets.
    Stop,
    /// Releases plan or phase.
    Continue,
    /// Holds plan or phase.
    Interrupt,
    /// Marks done.
    ForceComplete,
    /// Does again.
    Restart,
}

impl PlanVerb {
    /// The word of the HTTP API.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Start(_) => "start",
            Self::Stop => "stop",
            Self::Continue => "continue",
            Self::Interrupt => "interrupt",
            Self::ForceComplete => "forceComplete",
            Self::Restart => "restart",
        }
    }
}

/// What can be done with a pod instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodVerb {
    /// Kill its tasks; they are launched again in place.
    Restart,
    /// Give it up with its volumes; it is launched anew anywhere.
    Replace,
}

/// The answer for one caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Who waits.
    pub caller: u64,
    /// What became of the command.
    pub answer: Answer,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done, or on its way.
    Received,
    /// There was nothing to do.
    Already,
    /// Kill of these tasks (sorted full names) was requested.
    PodAction {
        /// Pod instance.
        pod: String,
        /// Its tasks.
        tasks: Vec<String>,
    },
    /// No such thing.
    NotFound {
        /// `Plan`, `Phase`, `Step` or `Pod`.
        kind: &'static str,
        /// Name asked for.
        name: String,
    },
    /// A step was named without its phase.
    MissingPhase,
    /// The command cannot be carried out now; why, for people.
    Refused(String),
}
