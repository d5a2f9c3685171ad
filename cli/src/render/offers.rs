//! Evaluations of offers, for people: newest last, as a terminal is read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mainstay_api::debug::{Offers, Outcome};
use mainstay_scheduler::engine::units::Timestamp;

/// Each evaluation with its stages, then the counts.
pub(crate) fn text(offers: &Offers) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for outcome in &offers.offers {
        let _ = writeln!(out, "{} ({}){}", outcome.pod_instance_name, outcome.outcome, told_of(outcome));
        for line in outcome.explanation.iter().flat_map(|text| text.lines()) {
            let _ = writeln!(out, "  {line}");
        }
    }
    let _ = write!(out, "{} accepted, {} rejected", offers.accepted_count, offers.rejected_count);
    if !offers.failure_reasons.is_empty() {
        let _ = write!(out, "\nfailures: {}", counted(&offers.failure_reasons, &BTreeMap::new()));
    }
    if !offers.rejected_agents.is_empty() {
        let names = offers.offers.iter().filter_map(|outcome| Offer::read(&outcome.offer));
        let names = names.map(|offer| (offer.agent_id, offer.hostname)).collect();
        let _ = write!(out, "\nagents rejected: {}", counted(&offers.rejected_agents, &names));
    }
    out
}

/// When, and of which agent the offer was.
fn told_of(outcome: &Outcome<Vec<String>>) -> String {
    let mut text = String::new();
    if outcome.timestamp > 0 {
        let _ = write!(text, " at {}", Timestamp(outcome.timestamp).utc());
    }
    if let Some(Offer { id, agent_id, hostname }) = Offer::read(&outcome.offer) {
        let _ = write!(text, " on {hostname}, agent {agent_id}, offer {id}");
    }
    text
}

/// How often each; with the name of those that have one.
fn counted(counts: &BTreeMap<String, u64>, names: &BTreeMap<&str, &str>) -> String {
    let one = |(key, count): (&String, &u64)| match names.get(key.as_str()) {
        Some(name) => format!("{name} ({key}) {count}"),
        None => format!("{key} {count}"),
    };
    counts.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What the text of an offer begins with.
struct Offer<'t> {
    id: &'t str,
    agent_id: &'t str,
    hostname: &'t str,
}

impl<'t> Offer<'t> {
    /// `None` for the text of another version.
    fn read(text: &'t str) -> Option<Self> {
        let (id, rest) = text.strip_prefix("offer ")?.split_once(" of agent ")?;
        let (agent_id, rest) = rest.split_once(" (")?;
        let (hostname, _) = rest.split_once(')')?;
        Some(Self { id, agent_id, hostname })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluation_says_when_and_on_which_agent() {
        let outcome = Outcome {
            timestamp: 1_500_000_000_123,
            pod_instance_name: "gpu-0".to_owned(),
            outcome: "fail".to_owned(),
            explanation: vec!["FAIL(Cpus): too few".to_owned()],
            offer: "offer o-7 of agent a-1 (host1) rack:(r1): cpus:4".to_owned(),
        };
        let of_another_version = Outcome { offer: "id { value: o-8 }".to_owned(), ..outcome.clone() };
        let counts = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 1)).collect();
        let offers = Offers {
            offers: vec![outcome, of_another_version],
            accepted_count: 0,
            rejected_count: 2,
            failure_reasons: counts(&["Cpus"]),
            rejected_agents: counts(&["a-1", "a-2"]),
        };
        assert_eq!(
            text(&offers),
            "gpu-0 (fail) at 2017-07-14T02:40:00Z on host1, agent a-1, offer o-7\n  \
             FAIL(Cpus): too few\n\
             gpu-0 (fail) at 2017-07-14T02:40:00Z\n  \
             FAIL(Cpus): too few\n\
             0 accepted, 2 rejected\n\
             failures: Cpus 1\n\
             agents rejected: host1 (a-1) 1, a-2 1"
        );
    }
}
