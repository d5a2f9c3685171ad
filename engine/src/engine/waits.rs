//! Why each waiting step waits, in one line, and what of it was told.
//!
//! Offers come in batches of any size, so that a step which fits nowhere is answered now by one agent and now by another. That is no change:
//! the log hears of an agent's reason once, and of a reason that several agents share once. Not the explanation of `explain`, which looks at
//! the last offer of every agent.
//!
//! A pod that fails again and again waits for the same things at each try: what was told before a launch is not told after it either, as long
//! as the tries follow each other within [`TRIES_APART`]. Ids are new at each try, and no news.
//!
//! Invariant: what was told is not told again unless it was otherwise in between.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use uuid::Uuid;

use crate::units::{Millis, Timestamp};

/// Agents whose reason is remembered for one step; of more agents a reason may be told again.
const AGENTS_KEPT: usize = 256;

/// Launches of one step that are further apart have nothing to do with each other.
const TRIES_APART: Millis = Millis::from_secs(15 * 60);

/// The lines of all steps that wait.
#[derive(Debug, Default)]
pub(super) struct Waits {
    steps: BTreeMap<Uuid, Wait>,
    /// What was told of steps until they were launched, by their names: a step that recovers a pod is another one each time.
    tried: BTreeMap<String, Tried>,
    now: Timestamp,
}

/// What was told before the last launch.
#[derive(Debug)]
struct Tried {
    launched_at: Timestamp,
    said: BTreeSet<u64>,
}

#[derive(Debug, Default)]
struct Wait {
    line: String,
    /// Everything told about it, ids left out.
    said: BTreeSet<u64>,
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

/// The offer that is closest to fitting.
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
        self.steps.is_empty()
    }

    /// Time passes; to about a second will do.
    pub(super) const fn tick(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// The line of a step.
    pub(super) fn line(&self, step: Uuid) -> Option<&str> {
        self.steps.get(&step).map(|wait| wait.line.as_str())
    }

    /// Whether offers were looked at for a step since it began to wait for them.
    pub(super) fn has_looked(&self, step: Uuid) -> bool {
        self.steps.get(&step).is_some_and(|wait| !wait.told.is_empty())
    }

    pub(super) fn retain(&mut self, steps: &BTreeSet<Uuid>) {
        self.steps.retain(|id, _| steps.contains(id));
    }

    /// It was launched.
    pub(super) fn launched(&mut self, step: Uuid, name: &str) {
        let (now, said) = (self.now, self.steps.remove(&step).map(|wait| wait.said).unwrap_or_default());
        self.tried.retain(|_, tried| tried.launched_at.plus(TRIES_APART) >= now);
        if let Some(tried) = self.tried.get_mut(name) {
            tried.launched_at = now;
            if tried.said.len() < AGENTS_KEPT {
                tried.said.extend(said);
            }
        } else if !said.is_empty() {
            self.tried.insert(name.to_owned(), Tried { launched_at: now, said });
        }
    }

    /// An agent is gone: whatever offers come next say more than the lines.
    pub(super) fn outdate(&mut self) {
        for wait in self.steps.values_mut() {
            wait.offers = 0;
        }
    }

    /// It waits for something else than an offer. Answers whether that is news.
    pub(super) fn put(&mut self, step: Uuid, line: &str) -> bool {
        if self.line(step) == Some(line) {
            return false;
        }
        let said = self.steps.remove(&step).map(|wait| wait.said).unwrap_or_default();
        self.steps.insert(step, Wait { line: line.to_owned(), said, ..Wait::default() });
        true
    }

    /// It waits for any offer at all. Answers whether that is news.
    pub(super) fn put_unoffered(&mut self, step: Uuid, name: &str, line: &str) -> bool {
        self.put(step, line) && self.say(step, name, hash(line))
    }

    /// Offers were looked at and none fits. Answers whether that is news; the line stays that of the larger batch.
    pub(super) fn put_misfit(&mut self, step: Uuid, name: &str, misfit: &Misfit) -> bool {
        let wait = self.steps.entry(step).or_default();
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
        is_news && self.say(step, name, agent.rotate_left(1) ^ why)
    }

    /// Takes note of something to tell; answers whether it was not told before the last launch.
    fn say(&mut self, step: Uuid, name: &str, text: u64) -> bool {
        if let Some(wait) = self.steps.get_mut(&step)
            && wait.said.len() < AGENTS_KEPT
        {
            wait.said.insert(text);
        }
        let is_recent = |tried: &&Tried| tried.launched_at.plus(TRIES_APART) >= self.now;
        self.tried.get(name).filter(is_recent).is_none_or(|tried| !tried.said.contains(&text))
    }
}

/// The same in every run, as everything that decides, and whatever ids are in the text.
fn hash(text: &str) -> u64 {
    const LENGTH: usize = 36;
    let mut hasher = DefaultHasher::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let is_id = |id: &[u8]| first.is_ascii_hexdigit() && Uuid::try_parse_ascii(id).is_ok();
        rest = if rest.get(..LENGTH).is_some_and(is_id) {
            rest.get(LENGTH..).unwrap_or_default()
        } else {
            first.hash(&mut hasher);
            more
        };
    }
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
        let mut news = |offers, hostname, why| waits.put_misfit(step, "s", &misfit(offers, hostname, why));
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
            waits.put_misfit(step, "s", &misfit(offers, hostname, why));
            waits.line(step).unwrap().to_owned()
        };
        assert_eq!(line(1, "b", "one"), "the one offer looked at does not fit: b: one");
        assert_eq!(line(2, "a", "two"), "none of 2 offers fits, the closest is a: two; counts");
        assert_eq!(line(1, "b", "three"), "none of 2 offers fits, the closest is a: two; counts");
        assert_eq!(line(1, "a", "four"), "the one offer looked at does not fit: a: four");
        waits.put_misfit(step, "s", &misfit(5, "a", "four"));
        waits.outdate();
        waits.put_misfit(step, "s", &misfit(1, "b", "three"));
        assert_eq!(waits.line(step), Some("the one offer looked at does not fit: b: three"));
    }

    #[test]
    fn what_comes_between_is_told_and_then_the_reason_again() {
        let (mut waits, step) = (Waits::default(), Uuid::from_u128(1));
        assert!(waits.put_misfit(step, "s", &misfit(1, "a", "one")) && waits.has_looked(step));
        assert!(waits.put(step, "waits for an offer") && !waits.has_looked(step));
        assert!(!waits.put(step, "waits for an offer"));
        assert!(waits.put_misfit(step, "s", &misfit(1, "a", "one")));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut waits, step) = (Waits::default(), Uuid::from_u128(1));
        for agent in 0..10 * AGENTS_KEPT {
            waits.put_misfit(step, "s", &misfit(1, &format!("a{agent}"), &format!("short by {agent}")));
        }
        assert_eq!(waits.steps.get(&step).unwrap().told.len(), AGENTS_KEPT);
    }

    // Seen by hand: a pod that failed at once was told of with 39 lines a minute, each with the id of another executor.
    #[test]
    fn a_reason_of_every_try_is_told_once() {
        let mut waits = Waits::default();
        let mut news = Vec::new();
        for attempt in 0..5_u128 {
            waits.tick(Timestamp(60_000 * attempt as u64));
            let step = Uuid::from_u128(attempt);
            let why = format!("executor 'x__{}' is still on the agent", Uuid::from_u128(100 + attempt));
            let agent = misfit(1, "a", &why);
            let told =
                [waits.put_unoffered(step, "x-0:[x]", "waits for an offer"), waits.put_misfit(step, "x-0:[x]", &agent)];
            assert!(waits.put(step, "waits for the end of a task"), "that is another one each time");
            waits.put_misfit(step, "x-0:[x]", &agent);
            assert_eq!(waits.line(step).unwrap(), agent.to_string(), "the line is of this try");
            assert!(!waits.put_misfit(step, "x-0:[x]", &agent));
            if attempt == 3 {
                assert!(waits.put_misfit(step, "x-0:[x]", &misfit(1, "a", "port 80 taken")), "something else is");
            }
            waits.launched(step, "x-0:[x]");
            news.push(told);
        }
        assert_eq!(news, [[true; 2], [false; 2], [false; 2], [false; 2], [false; 2]]);
        // Of another step, and after a long time, it is news.
        let (step, agent) = (Uuid::from_u128(9), misfit(1, "a", "port 80 taken"));
        assert!(waits.put_misfit(step, "y-0:[y]", &agent));
        waits.tick(Timestamp(4 * 60_000).plus(TRIES_APART).plus(Millis::from_secs(1)));
        assert!(waits.put_misfit(Uuid::from_u128(10), "x-0:[x]", &agent));
        waits.launched(step, "y-0:[y]");
        assert_eq!(waits.tried.len(), 1, "what is old is forgotten");
    }

    #[test]
    fn only_ids_are_left_out_of_a_reason() {
        let id = Uuid::from_u128(7);
        assert_eq!(hash(&format!("a '{id}' b")), hash(&format!("a '{}' b", Uuid::from_u128(8))));
        assert_ne!(hash(&format!("a '{id}' b")), hash(&format!("a '{id}' c")));
        assert_ne!(hash("ü a1"), hash("ü a2"));
    }
}
