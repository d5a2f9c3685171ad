//! Evaluations of offers, for people: newest last, as a terminal is read.

use std::fmt::Write as _;

use mainstay_api::debug::Offers;

/// Each evaluation with its stages, then the counts.
pub(crate) fn text(offers: &Offers) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for outcome in &offers.offers {
        let _ = writeln!(out, "{} ({})", outcome.pod_instance_name, outcome.outcome);
        for line in outcome.explanation.iter().flat_map(|text| text.lines()) {
            let _ = writeln!(out, "  {line}");
        }
    }
    let _ = write!(out, "{} accepted, {} rejected", offers.accepted_count, offers.rejected_count);
    for (title, counts) in [("failures", &offers.failure_reasons), ("agents rejected", &offers.rejected_agents)] {
        if !counts.is_empty() {
            let counts = counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ");
            let _ = write!(out, "\n{title}: {counts}");
        }
    }
    out
}
