//! Every bound and every waiting time of the engine, with its unit and reason.

use crate::units::Millis;

/// How long an offer that no pending step could use is refused: it is looked at again soon, since siblings end and disks are freed.
pub const DECLINE_SHORT: Millis = Millis::from_secs(5);
/// How long offers are refused while nothing is to be done; a revive drops it early.
pub const DECLINE_LONG: Millis = Millis::from_secs(3600);
/// How long the remainder of an accepted offer is refused: the next step may want it at once.
pub const ACCEPT_REMAINDER: Millis = Millis::from_secs(1);
/// Revives that can be sent in a burst.
pub const REVIVE_BURST: u32 = 64;
/// Time after which one more revive may be sent.
pub const REVIVE_REFILL: Millis = Millis::from_secs(2);
/// First wait before an unanswered reconciliation is asked again; doubles.
pub const RECONCILE_FIRST: Millis = Millis::from_secs(4);
/// Longest wait before an unanswered reconciliation is asked again.
pub const RECONCILE_MAX: Millis = Millis::from_secs(30);
/// First wait before a kill is repeated; doubles.
pub const KILL_REPEAT_FIRST: Millis = Millis::from_secs(5);
/// Longest wait before a kill is repeated.
pub const KILL_REPEAT_MAX: Millis = Millis::from_secs(300);
/// Evaluations kept for `/v2/debug/offers`.
pub const OUTCOMES_KEPT: usize = 100;
/// A launch without any status for this long is asked about.
pub const LAUNCH_UNANSWERED: Millis = Millis::from_secs(60);
/// Bytes of values in one transaction of the store; more is split by pod.
pub const TRANSACTION_BYTES: usize = 1_000_000;
