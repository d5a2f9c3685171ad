//! How long an offer that is given back is refused: by why it is of no use, and by agent.
//!
//! A refusal covers what was offered and every part of it, on this agent, for this framework. As soon as the agent has more, it is offered all
//! the same; and a REVIVE ends every refusal. So a long refusal delays nothing that only more resources, or something that has us revive,
//! could bring about, while a short one costs others: an offer that comes back every five seconds hardly reaches the frameworks behind us.
//!
//! Invariant: the same agent and the same reasons give the same spans; agents differ by up to an eighth, so that not all come back at once.
//! Invariant: a batch has at most [`BUCKETS`] spans for one reason and one streak, so its calls are few.
//!
//! Source: Mesos' `RefusedOfferFilter` ("contains") and `REVIVE`, as `mainstay-devcluster` imitates them.

use std::collections::BTreeMap;

use crate::ids::AgentId;
use crate::limits::{
    DECLINE_ELSEWHERE, DECLINE_EXCLUDED, DECLINE_LONG, DECLINE_SHORT, DECLINE_SHORT_MAX, DECLINE_SUPERSEDED,
};
use crate::units::Millis;

/// Different spans for one reason.
const BUCKETS: u64 = 8;

/// Why an offer is given back. In the order in which one outweighs another: the one that asks to see the agent soonest comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Refusal {
    /// Nothing is to be done at all.
    Idle,
    /// It could not be read; as the agent is, it will not be next time either.
    Malformed,
    /// Every step that waits has to go where its reservations are, and that is another agent, or wants offers to another role.
    #[default]
    Elsewhere,
    /// The placement rule of every step that could go anywhere excludes the agent.
    Excluded,
    /// A step could go here if there were more.
    Waiting,
    /// Something is about to be known or to end: tasks are being reconciled or killed, reservations released.
    Unsettled,
    /// The same batch had a later offer of this agent.
    Superseded,
}

/// Knows how often in a row each agent had too little.
#[derive(Debug, Clone, Default)]
pub struct Refusals {
    /// Bounded by the agents of the cluster; emptied by every REVIVE.
    streaks: BTreeMap<AgentId, u32>,
}

impl Refusals {
    /// How long to refuse what this agent offered.
    pub fn span(&mut self, agent: &AgentId, why: Refusal) -> Millis {
        let base = match why {
            Refusal::Idle | Refusal::Malformed => DECLINE_LONG,
            Refusal::Elsewhere => DECLINE_ELSEWHERE,
            Refusal::Excluded => DECLINE_EXCLUDED,
            Refusal::Waiting => {
                let streak = self.streaks.entry(agent.clone()).or_default();
                let doubled = DECLINE_SHORT.0.saturating_mul(1 << (*streak).min(16));
                *streak = streak.saturating_add(1);
                Millis(doubled.min(DECLINE_SHORT_MAX.0))
            }
            Refusal::Unsettled => DECLINE_SHORT,
            Refusal::Superseded => DECLINE_SUPERSEDED,
        };
        Millis(base.0 + base.0 / (8 * BUCKETS) * bucket(agent))
    }

    /// A REVIVE is sent: the master forgets every refusal.
    pub fn revived(&mut self) {
        self.streaks.clear();
    }

    /// The agent is gone.
    pub fn forget(&mut self, agent: &AgentId) {
        self.streaks.remove(agent);
    }
}

/// FNV-1a, so that it is the same on every machine and after every restart.
fn bucket(agent: &AgentId) -> u64 {
    let hash = agent
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // The last letters, which tell agents apart, reach only some bits by themselves.
    ((hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % BUCKETS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    fn agent(number: usize) -> AgentId {
        AgentId::parse(format!("0b4f-S{number}")).unwrap()
    }

    #[test]
    fn each_reason_has_its_span_and_each_agent_its_share_of_an_eighth() {
        let bases = [
            (Refusal::Idle, 3_600_000),
            (Refusal::Malformed, 3_600_000),
            (Refusal::Elsewhere, 300_000),
            (Refusal::Excluded, 300_000),
            (Refusal::Waiting, 5_000),
            (Refusal::Unsettled, 5_000),
            (Refusal::Superseded, 1_000),
        ];
        for (why, base) in bases {
            let spans: BTreeSet<u64> = (0..1000).map(|at| Refusals::default().span(&agent(at), why).0).collect();
            assert_eq!(spans.len() as u64, BUCKETS, "{why:?}: spread, and in few calls");
            assert!(spans.iter().all(|span| (base..=base + base / 8).contains(span)), "{why:?}: {spans:?}");
            let again = |at| Refusals::default().span(&agent(at), why);
            assert_eq!(again(7), again(7));
        }
        assert!(Refusal::Waiting > Refusal::Excluded && Refusal::Excluded > Refusal::Elsewhere);
    }

    #[test]
    fn an_agent_that_has_too_little_again_and_again_is_asked_for_less_often_until_a_revive() {
        let mut refusals = Refusals::default();
        let other = agent(1);
        let first = refusals.span(&other, Refusal::Waiting);
        let agent = agent(0);
        let spans = |refusals: &mut Refusals| -> Vec<u64> {
            (0..6).map(|_| refusals.span(&agent, Refusal::Waiting).0).collect()
        };
        let before = spans(&mut refusals);
        let expected = [5000, 10_000, 20_000, 40_000, 60_000, 60_000];
        assert_eq!(before, expected.map(|base| base + base / 64 * bucket(&agent)));
        assert_eq!(refusals.span(&other, Refusal::Excluded), Refusals::default().span(&other, Refusal::Excluded));
        refusals.revived();
        assert_eq!(spans(&mut refusals), before);
        refusals.forget(&agent);
        assert_eq!(refusals.span(&agent, Refusal::Waiting), Refusals::default().span(&agent, Refusal::Waiting));
        assert_eq!(refusals.span(&other, Refusal::Waiting), first);
    }
}
