//! Texts that clients compare or show as they are.

/// Start of every success message of a command; the verb follows.
pub const RECEIVED: &str = "Received cmd: ";
/// Body of a 208.
pub const ALREADY: &str = "Command has already been reported or completed";
/// Body of a 404 for a plan, phase or step; every command line since mid 2017 turns exactly this into one clean sentence.
pub const ELEMENT_NOT_FOUND: &str = "Element not found";
/// Body of the 400 for a step named without its phase.
pub const MISSING_PHASE: &str = "Missing phase";
/// Start of the 400 for bad plan parameters; the reason follows.
pub const BAD_PARAMETERS: &str = "Couldn't parse parameters: ";
/// Body of a 501.
pub const NOT_SUPPORTED: &str = "not supported yet";
/// `state` of a task without a status in the older pod status.
pub const NO_STATE: &str = "No state defined";
/// State of a task without a status in `/v1/debug/taskStatuses`.
pub const UNKNOWN_STATE: &str = "TASK_UNKNOWN";
/// Key of agents whose host name was never recorded in `/v1/debug/reservations`.
pub const UNKNOWN_AGENT: &str = "UNKNOWN_AGENT";
