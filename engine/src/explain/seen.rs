//! The last offer of every agent, as far as memory allows.
//!
//! Invariant: at most [`SEEN_OFFERS`] offers are kept, unless somebody asked for more; the one that came first goes first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::ids::{AgentId, OfferId};
use crate::limits::SEEN_OFFERS;
use crate::offer::Offer;
use crate::units::Timestamp;

/// Which agent, and for which role of the framework.
type Of = (AgentId, Option<String>);

/// Offers that were given back, the latest of each agent.
#[derive(Debug, Clone)]
pub struct Seen {
    most: usize,
    offers: BTreeMap<Of, (u64, Timestamp, Arc<Offer>)>,
    /// Oldest first; an entry whose number is no longer the one above has been replaced or forgotten.
    order: VecDeque<(u64, Of)>,
    next: u64,
}

impl Default for Seen {
    fn default() -> Self {
        Self::holding(SEEN_OFFERS)
    }
}

impl Seen {
    /// None yet, and at most so many.
    pub const fn holding(most: usize) -> Self {
        Self { most, offers: BTreeMap::new(), order: VecDeque::new(), next: 0 }
    }

    /// Keeps at most so many from the next one on.
    pub const fn hold(&mut self, most: usize) {
        self.most = most;
    }

    /// How many are kept.
    pub const fn most(&self) -> usize {
        self.most
    }

    /// Adds an offer that somebody else keeps, unless one of its agent is there.
    pub fn share(&mut self, offer: &Arc<Offer>, now: Timestamp) {
        let of = (offer.agent_id.clone(), offer.allocation_role.clone());
        self.offers.entry(of).or_insert_with(|| (self.next, now, Arc::clone(offer)));
    }

    /// Keeps an offer in place of the agent's last one.
    pub fn put(&mut self, offer: Offer, now: Timestamp) {
        let of = (offer.agent_id.clone(), offer.allocation_role.clone());
        self.offers.insert(of.clone(), (self.next, now, Arc::new(offer)));
        self.order.push_back((self.next, of));
        self.next += 1;
        let is_current = |offers: &BTreeMap<Of, (u64, Timestamp, Arc<Offer>)>, number: u64, of: &Of| {
            offers.get(of).is_some_and(|(current, ..)| *current == number)
        };
        while self.offers.len() > self.most {
            let Some((number, of)) = self.order.pop_front() else { break };
            if is_current(&self.offers, number, &of) {
                self.offers.remove(&of);
            }
        }
        if self.order.len() > self.most.saturating_mul(2) {
            let offers = &self.offers;
            self.order.retain(|(number, of)| is_current(offers, *number, of));
        }
    }

    /// Forgets what an agent offered: it was used, or the agent is gone.
    pub fn forget(&mut self, agent: &AgentId) {
        let first = (agent.clone(), None);
        let of_agent: Vec<Of> =
            self.offers.range(first..).map(|(of, _)| of).take_while(|(of, _)| of == agent).cloned().collect();
        for of in of_agent {
            self.offers.remove(&of);
        }
    }

    /// Forgets an offer that became void while it was given back: an operator reserved on the agent, or it is about to go. What it has now comes
    /// with its next offer, and until then nothing is known.
    pub fn rescinded(&mut self, offer_id: &OfferId) {
        self.offers.retain(|_, (.., offer)| offer.id != *offer_id);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.offers.clear();
        self.order.clear();
    }

    /// The offers by agent, each with when it came.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, &Offer)> {
        self.offers.values().map(|(_, at, offer)| (*at, offer.as_ref()))
    }

    /// Whether there is an offer of this agent.
    pub fn has_offer_of(&self, agent: &AgentId) -> bool {
        self.offers.range((agent.clone(), None)..).next().is_some_and(|((of, _), _)| of == agent)
    }

    /// Number of offers.
    pub fn len(&self) -> usize {
        self.offers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.offers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offer::fixture;

    fn offer(agent: usize) -> Offer {
        Offer { agent_id: AgentId::parse(format!("a{agent}")).unwrap(), ..fixture::offer(Vec::new()) }
    }

    #[test]
    fn the_latest_offer_of_an_agent_wins_and_the_oldest_goes_first() {
        let mut seen = Seen::default();
        for round in 0..3 {
            for agent in 0..SEEN_OFFERS + 5 {
                seen.put(offer(agent), Timestamp(round));
            }
        }
        assert_eq!(seen.len(), SEEN_OFFERS);
        assert!(seen.iter().all(|(at, _)| at == Timestamp(2)));
        let kept =
            |seen: &Seen, agent: usize| seen.iter().any(|(_, offer)| offer.agent_id.as_str() == format!("a{agent}"));
        assert!(!kept(&seen, 4) && kept(&seen, 5));
        seen.forget(&AgentId::parse("a5").unwrap());
        assert!(!kept(&seen, 5) && kept(&seen, 50), "a50 is another agent");
        seen.put(Offer { id: OfferId::parse("void").unwrap(), ..offer(6) }, Timestamp(3));
        seen.rescinded(&OfferId::parse("other").unwrap());
        assert!(kept(&seen, 6));
        seen.rescinded(&OfferId::parse("void").unwrap());
        assert!(!kept(&seen, 6) && kept(&seen, 7));
        // One agent that offers again and again does not push the others out.
        for _ in 0..5 * SEEN_OFFERS {
            seen.put(offer(9), Timestamp(3));
        }
        assert!(seen.order.len() <= 2 * SEEN_OFFERS && kept(&seen, 50));
    }
}
