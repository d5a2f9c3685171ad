//! Why each waiting step waits, in one line, and what of it was told.
//!
//! Offers come in batches of any size, so that a step which fits nowhere is answered now by one agent and now by another. That is no change:
//! the log hears of an agent's reason once, and of a reason that several agents share once. Not the explanation of `explain`, which looks at
//! the last offer of every agent.
//!
//! Invariant: what was told is not told again unless it was otherwise in between.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use uuid::Uuid;

/// Agents whose reason is remembered for one step; of more agents a reason may be told again.
const AGENTS_KEPT: usize = 256;

/// The lines of all steps that wait.
#[derive(Debug, Default)]
pub(super) struct Waits(BTreeMap<Uuid, Wait>);

#[derive(Debug, Default)]
struct Wait {
    line: String,
    /// How many offers the line is about.
    offers: u64,
    /// The agent that the line names.
    agent: u64,
    /// What was the first thing in the way on each agent.
    told: BTreeMap<u64, u64>,
}

/// Why no offer of a batch fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    /// How many were looked at.
    pub(super) offers: u64,
    /// The closest.
    pub(super) nearest: Nearest,
    /// Counts by stage, where there are several.
    pub(super) counts: String,
}

/// The offer with the fewest obstacles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nearest {
    /// Name of its agent.
    pub(super) hostname: String,
    /// The first obstacle.
    pub(super) why: String,
}

/// `none of 2 offers fits, the closest is host-1: wanted …`.
impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Nearest { hostname, why } = &self.nearest;
        match self.offers {
            1 => write!(f, "the one offer looked at does not fit: {hostname}: {why}"),
            several => write!(f, "none of {several} offers fits, the closest is {hostname}: {why}{}", self.counts),
        }
    }
}

impl Waits {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The line of a step.
    pub(super) fn line(&self, step: Uuid) -> Option<&str> {
        self.0.get(&step).map(|wait| wait.line.as_str())
    }

    /// Whether offers were looked at for a step since it began to wait for them.
    pub(super) fn has_looked(&self, step: Uuid) -> bool {
        self.0.get(&step).is_some_and(|wait| !wait.told.is_empty())
    }

    pub(super) fn retain(&mut self, steps: &BTreeSet<Uuid>) {
        self.0.retain(|id, _| steps.contains(id));
    }

    pub(super) fn remove(&mut self, step: Uuid) {
        self.0.remove(&step);
    }

    /// An agent is gone: whatever offers come next say more than the lines.
    pub(super) fn outdate(&mut self) {
        for wait in self.0.values_mut() {
            wait.offers = 0;
        }
    }

    /// It waits for something else than a better offer. Answers whether that is news.
    pub(super) fn put(&mut self, step: Uuid, line: &str) -> bool {
        if self.line(step) == Some(line) {
            return false;
        }
        self.0.insert(step, Wait { line: line.to_owned(), ..Wait::default() });
        true
    }

    /// Offers were looked at and none fits. Answers whether that is news; the line stays that of the larger batch.
    pub(super) fn put_misfit(&mut self, step: Uuid, misfit: &Misfit) -> bool {
        let wait = self.0.entry(step).or_default();
        let (agent, why) = (hash(&misfit.nearest.hostname), hash(&misfit.nearest.why));
        let is_news = match wait.told.get(&agent) {
            Some(before) => *before != why,
            None => wait.told.values().all(|before| *before != why),
        };
        if wait.told.len() >= AGENTS_KEPT && !wait.told.contains_key(&agent) {
            wait.told.pop_first();
        }
        wait.told.insert(agent, why);
        if misfit.offers >= wait.offers || is_news && wait.agent == agent {
            (wait.line, wait.offers, wait.agent) = (misfit.to_string(), misfit.offers, agent);
        }
        is_news
    }
}

/// The same in every run, as everything that decides.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn misfit(offers: u64, hostname: &str, why: &str) -> Misfit {
        let nearest = Nearest { hostname: hostname.to_owned(), why: why.to_owned() };
        Misfit { offers, nearest, counts: if offers > 1 { "; counts".to_owned() } else { String::new() } }
    }

    #[test]
    fn a_reason_is_told_once_however_the_offers_are_batched() {
        let (mut waits, step) = (Waits::default(), Uuid::from_u128(1));
        let mut news = |offers, hostname, why| waits.put_misfit(step, &misfit(offers, hostname, why));
        assert!(news(3, "a", "cpus short by 1"));
        for _ in 0..3 {
            assert!(!news(1, "a", "cpus short by 1"));
            assert!(!news(2, "b", "cpus short by 1"), "the same elsewhere");
        }
        assert!(news(1, "c", "port 80 taken"), "another reason");
        assert!(!news(1, "a", "cpus short by 1"));
        assert!(news(1, "a", "cpus short by 2"), "it changed there");
        assert!(news(1, "a", "cpus short by 1"), "and back");
        assert!(!news(1, "c", "port 80 taken"));
    }

    #[test]
    fn the_line_is_that_of_the_largest_batch_until_it_is_wrong() {
        let (mut waits, step) = (Waits::default(), Uuid::from_u128(1));
        let mut line = |offers, hostname, why| {
            waits.put_misfit(step, &misfit(offers, hostname, why));
            waits.line(step).unwrap().to_owned()
        };
        assert_eq!(line(1, "b", "one"), "the one offer looked at does not fit: b: one");
        assert_eq!(line(2, "a", "two"), "none of 2 offers fits, the closest is a: two; counts");
        assert_eq!(line(1, "b", "three"), "none of 2 offers fits, the closest is a: two; counts");
        assert_eq!(line(1, "a", "four"), "the one offer looked at does not fit: a: four");
        waits.put_misfit(step, &misfit(5, "a", "four"));
        waits.outdate();
        waits.put_misfit(step, &misfit(1, "b", "three"));
        assert_eq!(waits.line(step), Some("the one offer looked at does not fit: b: three"));
    }

    #[test]
    fn what_comes_between_is_told_and_then_the_reason_again() {
        let (mut waits, step) = (Waits::default(), Uuid::from_u128(1));
        assert!(waits.put_misfit(step, &misfit(1, "a", "one")) && waits.has_looked(step));
        assert!(waits.put(step, "waits for an offer") && !waits.has_looked(step));
        assert!(!waits.put(step, "waits for an offer"));
        assert!(waits.put_misfit(step, &misfit(1, "a", "one")));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut waits, step) = (Waits::default(), Uuid::from_u128(1));
        for agent in 0..10 * AGENTS_KEPT {
            waits.put_misfit(step, &misfit(1, &format!("a{agent}"), &format!("short by {agent}")));
        }
        assert_eq!(waits.0.get(&step).unwrap().told.len(), AGENTS_KEPT);
    }
}
