//! Every bound and every waiting time of the engine, with its unit and reason.

use crate::config::Backoff;
use crate::units::Millis;

// How long offers are refused. The real spans are longer by up to an eighth, by agent (`offer/refusal.rs`), and a REVIVE ends them all.

/// An offer that had too little for a step that waits, at first. More on the same agent is offered all the same; this is for what nobody
/// tells.
pub const DECLINE_SHORT: Millis = Millis::from_secs(5);
/// The same after it had too little four times in a row: doubled each time, so that an impossible wish does not keep offers from others.
pub const DECLINE_SHORT_MAX: Millis = Millis::from_secs(60);
/// Every step that waits is kept off the agent by its placement rule. Rules change with a new configuration, and what they count with a launch
/// or a pod given up; each of these revives. Not for ever: an agent may come back with other attributes.
pub const DECLINE_EXCLUDED: Millis = Millis::from_secs(300);
/// Every step that waits has its reservations on another agent. That ends with the reservations, which revives.
pub const DECLINE_ELSEWHERE: Millis = Millis::from_secs(300);
/// Nothing is to be done, or the offer could not be read.
pub const DECLINE_LONG: Millis = Millis::from_secs(3600);
/// The same batch had a later offer of the agent: the next allocation joins the two.
pub const DECLINE_SUPERSEDED: Millis = Millis::from_secs(1);
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
/// The same for a reservation without a volume that a pod wants to run on: then it counts as taken away, and is made anew.
pub const MISSING_AFTER_OFFERS: u32 = 3;
/// Problems of offers that cannot be read which are told; further ones are only counted.
pub const MALFORMED_TOLD: usize = 100;
/// Evaluation reports told in full per offer cycle; the rest is counted.
pub const REPORTS_PER_CYCLE: usize = 100;
/// How a pod whose launch Mesos calls invalid, or no agent can make a container for, is held back: it would be launched again with every offer.
pub const INVALID_LAUNCH_BACKOFF: Backoff =
    Backoff { initial: Millis::from_secs(1), factor_millis: 2000, max: Millis::from_secs(60) };
