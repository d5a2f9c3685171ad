//! Would a service fit? The scheduler's own engine against the model of a Mesos cluster, in virtual time.
//!
//! Agents are as described, every launched task runs and is ready at once (or ends well, if that is its goal), and an operator opens every
//! gate of a canary. What does not fit is explained, then passed over, so that the rest is judged too.
//!
//! Which agent offers first decides in a tight cluster who gets what. So several orders are tried; a service fits when it fits in all.
//! Not here: plans that operators start, failures, anything about time.
//!
//! Invariant: the same agents and the same service give the same outcome, whatever the order in the file.
//! Invariant: what fits was accepted by the model, which refuses what a master refuses.

pub(crate) mod report;
mod scout;
mod world;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use mainstay_devcluster::model::resources;
use mainstay_devcluster::{AgentConfig, Rng};
use mainstay_proto::v1::DomainInfo;
use mainstay_scheduler::engine::explain::Explanation;
use mainstay_scheduler::engine::units::Scalar;

use crate::service::Service;

/// Most orders of agents that are tried.
const ORDERS: u64 = 8;
/// Agents times pod instances above which fewer orders are tried.
const LARGE: u64 = 20_000;
/// Agents above which only those take part in a run that can be of use.
const MANY: usize = 64;
/// Agents named in a note.
const NAMED: usize = 5;

/// What came out.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Name of the service.
    pub(crate) service: String,
    /// Every pod instance of the specification, in its order.
    pub(crate) pods: Vec<Pod>,
    /// What is left, by agent.
    pub(crate) left: Vec<Left>,
    /// Orders of agents that were tried, and how many of them fit.
    pub(crate) orders: (u64, u64),
    /// Agents that the master keeps back from this service, whatever it wants.
    pub(crate) never_offered: BTreeSet<String>,
    /// What its reader should know.
    pub(crate) notes: Vec<String>,
}

/// One pod instance.
#[derive(Debug)]
pub(crate) struct Pod {
    /// `hello-0`.
    pub(crate) name: String,
    /// Where it landed, if anything of it was placed.
    pub(crate) place: Option<Place>,
    /// Why steps of it were not carried out; empty when it fits.
    pub(crate) waiting: Vec<Explanation>,
    /// Whether the deploy plan has a step for it.
    pub(crate) is_planned: bool,
}

/// Where a pod instance landed, and what it got there beside amounts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The agent.
    pub(crate) hostname: String,
    /// By name.
    pub(crate) ports: Vec<(String, u16)>,
    /// Persistent ones.
    pub(crate) volumes: Vec<Volume>,
}

/// A persistent volume.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Volume {
    /// Where the task finds it.
    pub(crate) path: String,
    /// MB; of a MOUNT disk its whole size.
    pub(crate) size: Scalar,
    /// The root of its disk; `None` is the agent's own disk.
    pub(crate) root: Option<String>,
}

/// What is left on an agent for the service.
#[derive(Debug)]
pub(crate) struct Left {
    /// The agent.
    pub(crate) hostname: String,
    /// Whether a pod landed there.
    pub(crate) is_used: bool,
    /// For the service's own role: what nobody has reserved included.
    pub(crate) own: Amounts,
    /// What is reserved for other roles of its pods, by role; none where nothing is.
    pub(crate) reserved: BTreeMap<String, Amounts>,
}

/// Resources in sums.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    /// Sums by name.
    pub(crate) sums: BTreeMap<String, Scalar>,
    /// Ports, sorted.
    pub(crate) ports: Vec<(u64, u64)>,
    /// Whole disks: root and size.
    pub(crate) mounts: Vec<(String, Scalar)>,
}

impl Pod {
    /// Whether everything of it that is to run runs.
    pub(crate) fn fits(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Outcome {
    /// Whether everything fits in whatever order agents offer.
    pub(crate) fn fits(&self) -> bool {
        self.orders.0 == self.orders.1
    }
}

/// Tries a service on agents.
///
/// Shape: the outcome is that of the first order that does not fit, else of the order by name.
/// Errors: the specification cannot be started with; the model and the engine disagree.
pub(crate) fn fit(service: &Service, agents: &[AgentConfig], region: Option<&str>) -> Result<Outcome, String> {
    let mut notes = Vec::new();
    let master = master_domain(agents, region, &mut notes)?;
    let mut sorted = agents.to_vec();
    sorted.sort_by(|a, b| by_number(&a.hostname, &b.hostname));
    let instances: u64 = service.spec.pods.iter().map(|pod| u64::from(pod.count)).sum();
    let size = (sorted.len() as u64).saturating_mul(instances.max(1));
    let tries = if sorted.len() < 2 { 1 } else { (LARGE / size.max(1)).clamp(2, ORDERS) };
    let mut orders = (0, 0);
    let mut shown: Option<Outcome> = None;
    let mut tried = BTreeSet::new();
    let scouted = if sorted.len() > MANY { Some(world::scouted(service, &sorted, master.as_ref())?) } else { None };
    for order in 0..tries {
        let agents = shuffled(&sorted, order);
        // Few agents have few orders.
        if !tried.insert(agents.iter().map(|agent| agent.hostname.clone()).collect::<Vec<_>>()) {
            continue;
        }
        let mut outcome = world::run(service, agents, scouted.as_ref(), master.as_ref(), order)?;
        orders.0 += 1;
        let is_fitting = outcome.pods.iter().all(Pod::fits);
        orders.1 += u64::from(is_fitting);
        outcome.left.sort_by(|a, b| by_number(&a.hostname, &b.hostname));
        let is_better = shown.as_ref().is_none_or(|shown| !is_fitting && shown.pods.iter().all(Pod::fits));
        if is_better {
            shown = Some(outcome);
        }
        if orders.0 == 2 && orders.1 == 0 && size > LARGE {
            break;
        }
    }
    let outcome = shown.ok_or("no order was tried")?;
    notes.extend(never_offered(&sorted, &outcome.never_offered, master.as_ref()));
    Ok(Outcome { orders, notes, ..outcome })
}

/// Says of agents that were never offered why a master keeps them back, by reason.
fn never_offered(agents: &[AgentConfig], names: &BTreeSet<String>, master: Option<&DomainInfo>) -> Vec<String> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for agent in agents.iter().filter(|agent| names.contains(&agent.hostname)) {
        let has_gpus = agent.resources.iter().any(|one| one.name == "gpus" && resources::scalar_millis(one) > 0);
        let is_elsewhere = region_of(agent.domain.as_ref()).is_some_and(|own| region_of(master) != Some(own));
        let reason = if is_elsewhere {
            "in another region than the master, and no rule of the service is about regions"
        } else if has_gpus {
            "with GPUs, and the service asks for none"
        } else {
            "where nothing is free for the role of the service"
        };
        reasons.entry(reason).or_default().push(&agent.hostname);
    }
    let note = |(reason, names): (&str, Vec<&str>)| {
        let more = names.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("not offered: {}{more}, {reason}", names.into_iter().take(NAMED).collect::<Vec<_>>().join(", "))
    };
    reasons.into_iter().map(note).collect()
}

/// As people count: `w-2` before `w-10`.
fn by_number(one: &str, other: &str) -> Ordering {
    let (mut a, mut b) = (one, other);
    loop {
        let (ordering, rest_a, rest_b) = match (digits(a), digits(b)) {
            (0, 0) => {
                let (mut of_a, mut of_b) = (a.chars(), b.chars());
                match (of_a.next(), of_b.next()) {
                    (Some(x), Some(y)) => (x.cmp(&y), of_a.as_str(), of_b.as_str()),
                    // Leading zeros apart they are the same.
                    (None, None) => return one.cmp(other),
                    (x, y) => return x.cmp(&y),
                }
            }
            (0, _) | (_, 0) => return a.cmp(b),
            (in_a, in_b) => {
                let ((x, rest_a), (y, rest_b)) = (a.split_at(in_a), b.split_at(in_b));
                let (x, y) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
                (x.len().cmp(&y.len()).then_with(|| x.cmp(y)), rest_a, rest_b)
            }
        };
        if ordering.is_ne() {
            return ordering;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// How many digits a text begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The agents in another order, always the same one for the same number; number 0 leaves them as they are.
fn shuffled(agents: &[AgentConfig], order: u64) -> Vec<AgentConfig> {
    let mut agents = agents.to_vec();
    if order == 1 {
        agents.reverse();
    } else if order > 1 {
        let mut rng = Rng::new(order);
        for at in (1..agents.len()).rev() {
            agents.swap(at, rng.below(at as u64 + 1) as usize);
        }
    }
    agents
}

fn region_of(domain: Option<&DomainInfo>) -> Option<&str> {
    Some(domain?.fault_domain.as_ref()?.region.name.as_str())
}

/// Where the master is: masters offer agents of other regions only to services that ask for them.
///
/// Errors: no agent is in the region.
fn master_domain(
    agents: &[AgentConfig],
    region: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Option<DomainInfo>, String> {
    let mut regions: BTreeMap<&str, usize> = BTreeMap::new();
    for region in agents.iter().filter_map(|agent| region_of(agent.domain.as_ref())) {
        *regions.entry(region).or_default() += 1;
    }
    let names = regions.keys().copied().collect::<Vec<_>>().join(", ");
    if let Some(region) = region.filter(|region| !regions.contains_key(region)) {
        let known = if names.is_empty() { "no agent names a region".to_owned() } else { format!("there are {names}") };
        return Err(format!("--region {region}: no agent is there; {known}"));
    }
    let most = || regions.iter().rev().max_by_key(|(_, count)| **count).map(|(region, _)| *region);
    let chosen = region.or_else(most);
    if let Some(chosen) = chosen.filter(|_| region.is_none() && regions.len() > 1) {
        notes.push(format!("agents are in the regions {names}; the master is taken to be in {chosen} (--region)"));
    }
    let first = agents.iter().find(|agent| region_of(agent.domain.as_ref()) == chosen);
    Ok(chosen.and(first).and_then(|agent| agent.domain.clone()))
}

#[cfg(test)]
mod tests;
