//! Every bound and every waiting time of the engine, with its unit and reason.

use crate::config::Backoff;
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
/// Offers kept to explain why a step is not placed, one per agent: about 1 MB at 1 kB each.
pub const SEEN_OFFERS: usize = 1000;
/// A launch without any status for this long is asked about.
pub const LAUNCH_UNANSWERED: Millis = Millis::from_secs(60);
/// Bytes of values in one transaction of the store; more is split by pod.
pub const TRANSACTION_BYTES: usize = 1_000_000;
/// How long offers are looked at for reservations to release after one was given up.
pub const RELEASE_SWEEP: Millis = Millis::from_secs(20);
/// The same at start, when some are known from before.
pub const FIRST_SWEEP: Millis = Millis::from_secs(30);
/// Offers of an agent that no longer show a reservation after which it counts as released.
pub const RELEASED_AFTER_OFFERS: u32 = 3;
/// Evaluation reports told in full per offer cycle; the rest is counted.
pub const REPORTS_PER_CYCLE: usize = 100;
/// How a pod whose launch Mesos calls invalid is held back: without this it would be launched again with every offer.
pub const INVALID_LAUNCH_BACKOFF: Backoff =
    Backoff { initial: Millis::from_secs(1), factor_millis: 2000, max: Millis::from_secs(60) };
