//! The ports of one resource set, grouped: first those with a number, then those whose number is chosen here, the less choice the earlier.
//!
//! Invariant: a port that may have any number leaves those that another port of the pod may choose from, as long as there are others: the
//! one that is asked first must not make the pod impossible.
//! Invariant: where the first that each may have would leave another one without, the numbers are planned for all ports of the launch first.

use mainstay_spec::{PodSpec, PortSpec};

use super::OfferStage;
use crate::ids::Generator;
use crate::offer::claim::{Amount, Basis, Claim, SetDraft};
use crate::offer::report::{Outcome, Reason};
use crate::offer::stored::{Stored, single_port};
use crate::resource::{Pool, Ranges, matching};

/// What is known where ports are taken.
pub(in crate::offer) struct Take<'a, 'l> {
    /// Role of what is free to take.
    pub(in crate::offer) role: &'a str,
    /// Numbers for the ports that choose one now.
    pub(in crate::offer) planned: &'l Planned<'a>,
}

/// Numbers for ports that choose one, so that each has one; empty where nothing needs to be planned.
#[derive(Debug, Default)]
pub(in crate::offer) struct Planned<'a>(Vec<(&'a PortSpec, u16)>);

impl<'a> Planned<'a> {
    /// For these ports, in the order in which they are asked. Each has its candidates in the order of preference.
    pub(in crate::offer) fn new<I: Iterator<Item = u16>>(
        ports: Vec<&'a PortSpec>,
        candidates: impl Fn(&'a PortSpec) -> I,
    ) -> Self {
        let choices = |port: &&'a PortSpec| {
            let mut choices = Vec::with_capacity(ports.len());
            for number in candidates(port) {
                // No more than one of its own is left to it when the others have chosen.
                if choices.len() == ports.len() {
                    break;
                }
                if !choices.contains(&number) {
                    choices.push(number);
                }
            }
            choices
        };
        let choices: Vec<Vec<u16>> = ports.iter().map(choices).collect();
        Self(matching::choose(&choices).map(|chosen| ports.into_iter().zip(chosen).collect()).unwrap_or_default())
    }

    /// The number for a port of the specification.
    pub(super) fn number(&self, port: &PortSpec) -> Option<u16> {
        self.0.iter().find(|(known, _)| std::ptr::eq(*known, port)).map(|(_, number)| *number)
    }
}

/// Whether some port of the pod chooses within ranges: others may then be in its way.
pub(in crate::offer) fn has_ranges(pod: &PodSpec) -> bool {
    let mut ports = pod.resource_sets.iter().flat_map(|set| &set.ports);
    ports.any(|port| port.port.is_none() && !port.ranges.is_empty())
}

/// Finds every port of the set; `None` when it has none.
pub(in crate::offer) fn evaluate<'a>(
    pod: &PodSpec,
    draft: &mut SetDraft<'a>,
    stored: &Stored<'_>,
    take: &Take<'a, '_>,
    pool: &mut Pool<'a>,
    ids: &mut Generator,
) -> Option<Outcome> {
    let set = draft.set;
    if set.ports.is_empty() {
        return None;
    }
    let mut children = Vec::with_capacity(set.ports.len());
    for port in in_order(&set.ports) {
        let (outcome, claim) = one(pod, port, stored, take, pool, ids);
        children.push(outcome);
        if let Some((number, claim)) = claim {
            draft.ports.push((port, number));
            draft.claims.push(claim);
        }
    }
    let passed = children.iter().all(|child| child.passed);
    let reason = if passed { Reason::ChildrenPassed } else { Reason::ChildrenFailed };
    Some(Outcome { stage: OfferStage::Ports.as_str(), passed, reason, children })
}

fn one<'a>(
    pod: &PodSpec,
    port: &PortSpec,
    stored: &Stored<'_>,
    &Take { role, planned }: &Take<'a, '_>,
    pool: &mut Pool<'a>,
    ids: &mut Generator,
) -> (Outcome, Option<(u16, Claim<'a>)>) {
    let stage = if port.vip.is_some() { OfferStage::NamedVip } else { OfferStage::Port };
    let name = || port.name.clone();
    let claim = |number, id, basis| {
        Some((number, Claim { name: "ports", amount: Amount::Port(number), id, basis, volume: None }))
    };
    let earlier = port.port.or_else(|| stored.port_number(port));
    if let Some((number, id)) = earlier.and_then(|number| Some((number, stored.port(number, pool)?))) {
        return match pool.take_reserved("ports", &id).filter(|offered| single_port(offered) == Some(number.into())) {
            Some(offered) => {
                let reason = Reason::PortReserved { name: name(), number, id: id.clone() };
                (Outcome::pass(stage, reason), claim(number, id, Basis::Reserved { offered }))
            }
            None => (Outcome::fail(stage, Reason::PortMissing { name: name(), number, id }), None),
        };
    }
    let found = match (port.port, earlier) {
        (Some(number), _) => pool.take_port(role, number).then_some(number),
        // The number it had, if it is free: clients may remember it.
        (None, Some(number)) if pool.take_port(role, number) => Some(number),
        (None, _) => planned
            .number(port)
            .or_else(|| candidates(pod, port, role, pool).next())
            .filter(|number| pool.take_port(role, *number)),
    };
    match (found, port.port) {
        (Some(number), _) => {
            let id = ids.resource_id();
            let reason = Reason::PortNew { name: name(), number, id: id.clone() };
            (Outcome::pass(stage, reason), claim(number, id, Basis::New { role }))
        }
        (None, Some(number)) => {
            (Outcome::fail(stage, Reason::PortTaken { name: name(), number, role: role.to_owned() }), None)
        }
        (None, None) => {
            let offered = pool.ports(role).map_or(0, Ranges::count);
            (
                Outcome::fail(
                    stage,
                    Reason::NoPortLeft { name: name(), role: role.to_owned(), offered, within: within(port) },
                ),
                None,
            )
        }
    }
}

/// Ports in the order in which they get their numbers: those that have one, those bound to ranges, the one whose ranges end first before
/// the others, then those that may have any.
pub(in crate::offer) fn in_order(ports: &[PortSpec]) -> Vec<&PortSpec> {
    let last = |port: &PortSpec| port.ranges.iter().map(|range| range.end).max();
    let mut ports: Vec<&PortSpec> = ports.iter().collect();
    ports.sort_by_key(|port| match (port.port, last(port)) {
        (Some(_), _) => (0, 0),
        (None, Some(last)) => (1, last),
        (None, None) => (2, 0),
    });
    ports
}

/// Whether some port of the pod is to be chosen from a range that has this number.
pub(super) fn is_sought(pod: &PodSpec, number: u16) -> bool {
    let ports = pod.resource_sets.iter().flat_map(|set| &set.ports).filter(|port| port.port.is_none());
    ports.flat_map(|port| &port.ranges).any(|range| (range.begin..=range.end).contains(&number))
}

/// The free numbers that may be chosen for a port: in the order of its ranges; without any in the order of the numbers, those that another
/// port of the pod may choose last.
pub(in crate::offer) fn candidates<'p>(
    pod: &'p PodSpec,
    port: &'p PortSpec,
    role: &'p str,
    pool: &'p Pool<'_>,
) -> impl Iterator<Item = u16> {
    let anywhere = move |sought: bool| {
        let ranges = port.ranges.is_empty().then_some(0..=u16::MAX).into_iter();
        let numbers = ranges.flat_map(move |range| pool.ports_within(role, range));
        numbers.filter(move |number| is_sought(pod, *number) == sought)
    };
    let ranges = port.ranges.iter().flat_map(move |range| pool.ports_within(role, range.begin..=range.end));
    let all = anywhere(false).chain(anywhere(true)).chain(ranges);
    all.filter(|number| *number > 0 && !pod.declares_port(*number))
}

/// Where a port must lie, as text; nothing when that is anywhere.
fn within(port: &PortSpec) -> String {
    let texts: Vec<_> = port.ranges.iter().map(|range| format!("{}-{}", range.begin, range.end)).collect();
    texts.join(", ")
}
