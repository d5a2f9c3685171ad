//! The ports of one resource set in a network of the pod's own: they are nobody else's, so nothing is reserved.
//!
//! Not here: ports of the agent, which are `ports.rs`.
//! Source: the SDK chooses numbers for `port: 0` from 1025 on, below 2026.

use mainstay_spec::{PodSpec, PortSpec};

use super::{OfferStage, ports};
use crate::offer::claim::SetDraft;
use crate::offer::report::{Outcome, Reason};
use crate::offer::stored::Stored;

/// First number that is chosen.
pub(in crate::offer) const FIRST: u16 = 1025;
/// Last number that is chosen.
pub(in crate::offer) const LAST: u16 = 2025;

/// Finds a number for every port of the set; `None` when it has none. `taken` are numbers that tasks of the
/// pod have; `planned` those for ports that choose now.
pub(in crate::offer) fn evaluate(
    pod: &PodSpec,
    draft: &mut SetDraft<'_>,
    stored: &Stored<'_>,
    planned: &ports::Planned<'_>,
    taken: &[u16],
) -> Option<Outcome> {
    let set = draft.set;
    if set.ports.is_empty() {
        return None;
    }
    let mut children = Vec::with_capacity(set.ports.len());
    let mut given: Vec<u16> = Vec::with_capacity(set.ports.len());
    for port in ports::in_order(&set.ports) {
        let stage = if port.vip.is_some() { OfferStage::NamedVip } else { OfferStage::Port };
        let is_free = |number: &u16| !given.contains(number) && !pod.declares_port(*number);
        // The number it had, which is among the taken: clients may remember it.
        let kept = || stored.port_number(port).filter(|number| is_wanted(port, *number) && is_free(number));
        let chosen = || planned.number(port).or_else(|| candidates(pod, port, taken).find(is_free));
        let number = port.port.or_else(kept).or_else(chosen);
        let name = port.name.clone();
        children.push(match number {
            Some(number) => {
                draft.ports.push((port, number));
                given.push(number);
                Outcome::pass(stage, Reason::PortOfNetwork { name, number })
            }
            None => Outcome::fail(stage, Reason::NoPortOfNetwork { name }),
        });
    }
    let passed = children.iter().all(|child| child.passed);
    let reason = if passed { Reason::ChildrenPassed } else { Reason::ChildrenFailed };
    Some(Outcome { stage: OfferStage::Ports.as_str(), passed, reason, children })
}

/// The numbers that may be chosen for a port, in order; without ranges those that another port of the pod may choose last.
pub(in crate::offer) fn candidates<'p>(
    pod: &'p PodSpec,
    port: &'p PortSpec,
    taken: &'p [u16],
) -> impl Iterator<Item = u16> {
    let anywhere = move |sought: bool| {
        let ranges = port.ranges.is_empty().then_some(FIRST..=LAST).into_iter();
        ranges.flatten().filter(move |number| ports::is_sought(pod, *number) == sought)
    };
    let ranges = port.ranges.iter().flat_map(|range| range.begin.max(1)..=range.end);
    let all = anywhere(false).chain(anywhere(true)).chain(ranges);
    all.filter(|number| !taken.contains(number) && !pod.declares_port(*number))
}

fn is_wanted(port: &PortSpec, number: u16) -> bool {
    port.ranges.is_empty() || port.ranges.iter().any(|range| (range.begin..=range.end).contains(&number))
}

#[cfg(test)]
mod tests {
    use mainstay_spec::{NetworkSpec, PortRange, ResourceSet};

    use super::*;
    use crate::offer::fixture::{port, set};

    /// Lines and numbers of the set, with these numbers taken by other tasks.
    fn ports_of(wanted: &ResourceSet, taken: &[u16]) -> (Vec<String>, Vec<u16>) {
        let pod = PodSpec {
            networks: vec![NetworkSpec { name: "dcos".into(), ..NetworkSpec::default() }],
            resource_sets: vec![wanted.clone(), ResourceSet { ports: vec![port("other", Some(1026))], ..set("other") }],
            ..PodSpec::default()
        };
        let mut draft = SetDraft { set: wanted, claims: Vec::new(), ports: Vec::new() };
        let outcome = evaluate(&pod, &mut draft, &Stored::default(), &ports::Planned::default(), taken).unwrap();
        assert!(draft.claims.is_empty(), "nothing is reserved");
        let lines = outcome.children.iter().map(|child| format!("{} {}", child.passed, child.reason)).collect();
        (lines, draft.ports.iter().map(|(_, number)| *number).collect())
    }

    // contract: 2.5/no-host-resources
    #[test]
    fn numbers_are_chosen_from_1025_on_without_those_of_the_pod() {
        let wanted = ResourceSet { ports: vec![port("a", None), port("web", Some(80)), port("b", None)], ..set("s") };
        let (lines, numbers) = ports_of(&wanted, &[1025]);
        assert_eq!(numbers, [80, 1027, 1028], "1025 is taken, 1026 is another task's by declaration");
        assert_eq!(
            lines,
            [
                "true Port 'web' is 80 in the network of the pod: no reservation is needed",
                "true Port 'a' is 1027 in the network of the pod: no reservation is needed",
                "true Port 'b' is 1028 in the network of the pod: no reservation is needed",
            ]
        );
    }

    #[test]
    fn ranges_hold_here_too_and_may_leave_nothing() {
        let within = |ranges: &[(u16, u16)]| {
            let ranges = ranges.iter().map(|(begin, end)| PortRange { begin: *begin, end: *end }).collect();
            ResourceSet { ports: vec![PortSpec { ranges, ..port("a", None) }], ..set("s") }
        };
        let both = ResourceSet {
            ports: vec![
                port("any", None),
                PortSpec { ranges: vec![PortRange { begin: 1025, end: 1025 }], ..port("one", None) },
            ],
            ..set("s")
        };
        assert_eq!(ports_of(&both, &[]).1, [1025, 1027], "the one that has no choice is asked first");
        assert_eq!(ports_of(&within(&[(0, 1), (9000, 9001)]), &[1]).1, [9000]);
        let (lines, numbers) = ports_of(&within(&[(1026, 1026)]), &[]);
        assert!(numbers.is_empty());
        assert_eq!(
            lines,
            ["false No number is left for port 'a' in the network of the pod: the other ports of the pod have them"]
        );
        let all: Vec<u16> = (FIRST..=LAST).collect();
        assert!(ports_of(&within(&[]), &all).1.is_empty());
    }
}
