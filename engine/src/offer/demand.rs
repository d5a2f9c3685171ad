//! Whether the master should send offers: revive and suppress.
//!
//! States, and what moves between them:
//!
//! | from | work or a sweep appears | nothing left to do |
//! |---|---|---|
//! | asking | REVIVE when the work is new (a token is taken) | SUPPRESS |
//! | suppressed | REVIVE (a token is taken) | – |
//!
//! Invariant: while there is work, either a REVIVE was sent since it appeared or one is waiting for a token; a lost REVIVE is made good by the
//! repetition after [`REPEAT`] without any offer, counted from when the last refusal ends: until then silence is what was asked for.
//! Invariant: in any span of time at most [`REVIVE_BURST`] REVIVEs are sent and one more for every [`REVIVE_REFILL`] of it.

use crate::limits::{REVIVE_BURST, REVIVE_REFILL};
use crate::units::{Millis, Timestamp};

/// A REVIVE that brought no offer at all for this long is sent again; so is one when nothing comes back for this long after the last refusal.
const REPEAT: Millis = Millis::from_secs(60);
/// After a subscription offers are looked at for at least this long before they are suppressed: they may show reservations to release.
const FIRST_LOOK: Millis = Millis::from_secs(5);

/// What to do about offers now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Ask for offers.
    Revive,
    /// Ask, but not yet: too many were sent.
    Throttled,
    /// Ask for none.
    Suppress,
}

/// Knows what the master was asked for last.
#[derive(Debug, Clone)]
pub struct Demand {
    is_suppressed: bool,
    is_revive_wanted: bool,
    tokens: u32,
    refilled_at: Timestamp,
    /// The last offer or REVIVE; the end of the longest refusal since then, when that is later.
    last_heard: Timestamp,
    sweep_until: Timestamp,
    was_throttled: bool,
}

impl Demand {
    /// Nothing was asked for yet.
    pub fn new(now: Timestamp) -> Self {
        Self {
            is_suppressed: false,
            is_revive_wanted: false,
            tokens: REVIVE_BURST,
            refilled_at: now,
            last_heard: now,
            sweep_until: Timestamp(0),
            was_throttled: false,
        }
    }

    /// A new subscription: the caller sends REVIVE in any case.
    pub fn subscribed(&mut self, now: Timestamp) {
        self.is_suppressed = false;
        self.is_revive_wanted = false;
        self.last_heard = now;
        self.sweep(now, FIRST_LOOK);
    }

    /// Offers arrived.
    pub fn heard(&mut self, now: Timestamp) {
        self.last_heard = self.last_heard.max(now);
    }

    /// An offer was refused for this long, so nothing is heard of its agent.
    pub fn refused(&mut self, now: Timestamp, span: Millis) {
        self.last_heard = self.last_heard.max(now.plus(span));
    }

    /// Offers are wanted for at least this long, whatever the plans say: reservations may show up that are to be released.
    pub fn sweep(&mut self, now: Timestamp, span: Millis) {
        self.sweep_until = self.sweep_until.max(now.plus(span));
    }

    /// Whether offers are wanted whatever the plans say.
    pub fn is_sweeping(&self, now: Timestamp) -> bool {
        now < self.sweep_until
    }

    /// Something became possible that offers would carry on.
    pub fn want_revive(&mut self) {
        self.is_revive_wanted = true;
    }

    /// Whether offers are suppressed.
    pub fn is_suppressed(&self) -> bool {
        self.is_suppressed
    }

    /// Decides; `has_work` tells whether any step waits for an offer.
    pub fn decide(&mut self, has_work: bool, may_suppress: bool, now: Timestamp) -> Action {
        self.refill(now);
        let wants_offers = has_work || now < self.sweep_until;
        if !wants_offers {
            self.is_revive_wanted = false;
            if self.is_suppressed || !may_suppress {
                return Action::Nothing;
            }
            self.is_suppressed = true;
            return Action::Suppress;
        }
        let is_silent = has_work && now.since(self.last_heard) >= REPEAT;
        if !self.is_revive_wanted && !self.is_suppressed && !is_silent {
            return Action::Nothing;
        }
        if self.tokens == 0 {
            let is_news = !self.was_throttled;
            self.was_throttled = true;
            self.is_revive_wanted = true;
            return if is_news { Action::Throttled } else { Action::Nothing };
        }
        self.tokens -= 1;
        self.was_throttled = false;
        self.is_revive_wanted = false;
        self.is_suppressed = false;
        self.last_heard = now;
        Action::Revive
    }

    fn refill(&mut self, now: Timestamp) {
        let earned = now.since(self.refilled_at).0 / REVIVE_REFILL.0;
        self.tokens = self.tokens.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(REVIVE_BURST);
        self.refilled_at = self.refilled_at.plus(Millis(earned * REVIVE_REFILL.0));
    }

    /// When [`Self::decide`] may say something else.
    pub fn wake_at(&self, has_work: bool, now: Timestamp) -> Option<Timestamp> {
        let token = (self.is_revive_wanted && self.tokens == 0).then(|| self.refilled_at.plus(REVIVE_REFILL));
        let silence = has_work.then(|| self.last_heard.plus(REPEAT));
        let sweep = (now < self.sweep_until && !self.is_suppressed).then_some(self.sweep_until);
        [token, silence, sweep].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_revive_is_sent_once_per_news_and_waits_for_a_token_when_there_are_too_many() {
        let mut demand = Demand::new(Timestamp(0));
        assert_eq!(demand.decide(true, true, Timestamp(0)), Action::Nothing);
        for _ in 0..REVIVE_BURST {
            demand.want_revive();
            assert_eq!(demand.decide(true, true, Timestamp(1)), Action::Revive);
        }
        demand.want_revive();
        assert_eq!(demand.decide(true, true, Timestamp(1)), Action::Throttled);
        assert_eq!(demand.decide(true, true, Timestamp(2)), Action::Nothing);
        assert_eq!(demand.wake_at(true, Timestamp(2)), Some(Timestamp(2000)));
        assert_eq!(demand.decide(true, true, Timestamp(2000)), Action::Revive);
    }

    #[test]
    fn offers_are_suppressed_once_when_nothing_is_left_and_asked_for_again_with_new_work() {
        let mut demand = Demand::new(Timestamp(0));
        demand.subscribed(Timestamp(0));
        assert_eq!(demand.decide(false, true, Timestamp(10)), Action::Nothing, "the first look is not over");
        assert_eq!(demand.decide(false, true, Timestamp(5000)), Action::Suppress);
        assert_eq!(demand.decide(false, true, Timestamp(5001)), Action::Nothing);
        assert_eq!(demand.decide(true, true, Timestamp(5002)), Action::Revive);
    }

    #[test]
    fn silence_that_was_asked_for_is_no_reason_to_revive() {
        let mut demand = Demand::new(Timestamp(0));
        demand.heard(Timestamp(1000));
        demand.refused(Timestamp(1000), Millis(5000));
        demand.refused(Timestamp(1000), Millis(300_000));
        demand.heard(Timestamp(2000));
        assert_eq!(demand.wake_at(true, Timestamp(2000)), Some(Timestamp(361_000)));
        assert_eq!(demand.decide(true, true, Timestamp(360_999)), Action::Nothing);
        assert_eq!(demand.decide(true, true, Timestamp(361_000)), Action::Revive);
        assert_eq!(demand.wake_at(true, Timestamp(361_000)), Some(Timestamp(421_000)), "a REVIVE ends refusals");
    }

    proptest! {
        /// Whatever happens in whatever order: never more than a burst and the refill, never a suppressed wish, never forgotten work.
        #[test]
        fn asking_neither_storms_nor_starves(
            steps in proptest::collection::vec((0_u8..5, 0_u64..4000, any::<bool>()), 1..400),
        ) {
            let mut demand = Demand::new(Timestamp(0));
            let (mut now, mut is_deaf, mut news) = (Timestamp(0), false, None);
            let mut revives: Vec<Timestamp> = Vec::new();
            for (what, pause, has_work) in steps {
                // Most of it happens in bursts.
                now = now.plus(Millis(if pause < 3000 { pause % 20 } else { pause }));
                match what {
                    0 | 1 => {
                        demand.want_revive();
                        news = news.or(Some(now));
                    }
                    2 => demand.heard(now),
                    3 => demand.refused(now, Millis(pause * 10)),
                    _ => {}
                }
                match demand.decide(has_work, true, now) {
                    Action::Revive => {
                        prop_assert!(has_work);
                        revives.push(now);
                        (is_deaf, news) = (false, None);
                    }
                    Action::Suppress => {
                        prop_assert!(!has_work && !is_deaf, "only once");
                        is_deaf = true;
                    }
                    Action::Nothing | Action::Throttled => {}
                }
                prop_assert_eq!(demand.is_suppressed(), is_deaf);
                if !has_work {
                    news = None;
                } else if is_deaf || news.is_some() {
                    let at = demand.wake_at(true, now);
                    prop_assert!(at.is_some_and(|at| at <= now.plus(REVIVE_REFILL)), "the wish is kept until there is a token");
                }
                let burst = revives.len().saturating_sub(REVIVE_BURST as usize + 1);
                if let (Some(first), Some(last)) = (revives.get(burst), revives.last()) {
                    let earned = last.since(*first).0 / REVIVE_REFILL.0 + 1;
                    prop_assert!(revives.len() as u64 - burst as u64 <= u64::from(REVIVE_BURST) + earned);
                }
            }
            let spent = revives.len() as u64;
            prop_assert!(spent <= u64::from(REVIVE_BURST) + now.0 / REVIVE_REFILL.0);
        }
    }

    #[test]
    fn a_revive_that_brings_nothing_is_repeated() {
        let mut demand = Demand::new(Timestamp(0));
        demand.want_revive();
        assert_eq!(demand.decide(true, true, Timestamp(0)), Action::Revive);
        assert_eq!(demand.decide(true, true, Timestamp(59_999)), Action::Nothing);
        assert_eq!(demand.decide(true, true, Timestamp(60_000)), Action::Revive);
    }
}
