//! One step held against the last offer of every agent.
//!
//! Invariant: each agent is in exactly one group or fits.

use std::collections::BTreeMap;
use std::fmt;

use super::change::{self, Change};
use super::measure::Distance;
use super::obstacle::{self, Found, Obstacle};
use super::{Question, Wanted};
use crate::engine::cycle::Class;
use crate::ids::{AgentId, Generator};
use crate::offer::Offer;
use crate::offer::evaluate::evaluate;
use crate::offer::placement::{Counts, Rule};
use crate::offer::role;
use crate::state::{Task, tasks};
use crate::units::{Scalar, Timestamp};

/// Agents named per group; the rest is counted.
pub(crate) const EXAMPLES: usize = 5;
/// Agents for which a smallest change is sought before the closest is chosen.
const CLOSEST_TRIED: usize = 8;

/// What the offers are worth for one step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// The only agent that can do, because it holds the pod's reservations: id and, where known, name.
    pub pinned: Option<(AgentId, Option<String>)>,
    /// Agents whose last offer was looked at.
    pub agents: usize,
    /// When the oldest of these offers came.
    pub oldest: Option<Timestamp>,
    /// Agents whose last offer fits, by name, as far as they are named.
    pub fitting: Vec<String>,
    /// How many fit.
    pub fits: usize,
    /// The others by their first obstacle, the largest group first.
    pub groups: Vec<Group>,
    /// The agent with the least in the way (`explain/measure.rs`).
    pub closest: Option<Closest>,
}

/// Agents with the same first obstacle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What is in the way.
    pub obstacle: Obstacle,
    /// How many agents.
    pub agents: usize,
    /// Some of them, by name.
    pub examples: Vec<String>,
    /// The least and the most that is missing, where it is an amount.
    pub short_by: Option<(Scalar, Scalar)>,
}

/// The agent that is closest to taking the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closest {
    /// Its id.
    pub agent_id: AgentId,
    /// Its name.
    pub hostname: String,
    /// Everything in the way there.
    pub obstacles: Vec<Found>,
    /// The smallest changes that together let the step pass there; `None` when none was found.
    pub changes: Option<Vec<Change>>,
}

/// Searches made so far: steps that want the same get the same answer.
#[derive(Default)]
pub(super) struct Known(BTreeMap<Class, Search>);

/// Looks at every offer kept, or at those of the one agent that can do.
pub(super) fn search(question: &Question, wanted: &Wanted, rule: Option<&Rule>, known: &mut Known) -> Search {
    let stored = tasks::of_pod(&question.tasks, &wanted.pod);
    let is_counting = rule.is_some_and(Rule::is_counting);
    let class = (wanted.pinned.is_none() && (stored.is_empty() || !is_counting)).then(|| wanted.class());
    if let Some(found) = class.as_ref().and_then(|class| known.0.get(class)) {
        return found.clone();
    }
    let found = fresh(question, wanted, rule, &stored);
    if let Some(class) = class {
        known.0.insert(class, found.clone());
    }
    found
}

fn fresh(question: &Question, wanted: &Wanted, rule: Option<&Rule>, stored: &[&Task]) -> Search {
    let mut search = Search::default();
    if let Some(agent) = &wanted.pinned {
        let hostname = stored.iter().find_map(|task| task.hostname.clone());
        search.pinned = Some((agent.clone(), hostname));
    }
    let Some(framework_id) = &question.framework_id else { return search };
    let all_tasks: Vec<&Task> = question.tasks.values().map(AsRef::as_ref).collect();
    let counts = Counts::default();
    let Some(requirement) = wanted.requirement(&question.config, framework_id, rule, stored, &all_tasks, &counts)
    else {
        return search;
    };
    let role = requirement.role();
    let mut ids = Generator::seeded(0);
    let mut groups: BTreeMap<Obstacle, Group> = BTreeMap::new();
    let mut near: Vec<(Distance, Vec<Found>, &Offer)> = Vec::new();
    for (at, offer) in question.seen.iter() {
        if wanted.pinned.as_ref().is_some_and(|agent| *agent != offer.agent_id)
            || role::of_offer(offer, &question.config.role) != role
        {
            continue;
        }
        search.agents += 1;
        search.oldest = Some(search.oldest.map_or(at, |oldest| oldest.min(at)));
        let evaluation = evaluate(&requirement, offer, &mut ids);
        if evaluation.passed() {
            search.fits += 1;
            if search.fitting.len() < question.named {
                search.fitting.push(offer.hostname.clone());
            }
            continue;
        }
        let found = obstacle::of_report(&evaluation.report, &requirement, offer);
        let Some(first) = found.first() else { continue };
        let group = groups.entry(first.obstacle.clone()).or_insert_with(|| Group {
            obstacle: first.obstacle.clone(),
            agents: 0,
            examples: Vec::new(),
            short_by: None,
        });
        group.agents += 1;
        if group.examples.len() < EXAMPLES {
            group.examples.push(offer.hostname.clone());
        }
        if let Some(missing) = first.short_by {
            let (least, most) = group.short_by.unwrap_or((missing, missing));
            group.short_by = Some((least.min(missing), most.max(missing)));
        }
        near.push((found.iter().map(|found| found.share).collect(), found, offer));
    }
    search.groups = groups.into_values().collect();
    search.groups.sort_by(|a, b| b.agents.cmp(&a.agents).then_with(|| a.obstacle.cmp(&b.obstacle)));
    if search.fits == 0 {
        near.sort_by(|(a, _, at), (b, _, other)| a.cmp(b).then_with(|| at.hostname.cmp(&other.hostname)));
        near.truncate(CLOSEST_TRIED);
        let mut tried = near.into_iter().map(|(_, obstacles, offer)| Closest {
            agent_id: offer.agent_id.clone(),
            hostname: offer.hostname.clone(),
            changes: change::smallest(&requirement, offer, all_tasks.iter().copied()),
            obstacles,
        });
        let first = tried.next();
        search.closest = match first {
            // Another one of equal rank may be helped where this one cannot.
            Some(first) if first.changes.is_none() => tried.find(|other| other.changes.is_some()).or(Some(first)),
            first => first,
        };
    }
    search
}

/// Groups over the cluster, the closest agent, and what would help.
impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((agent, hostname)) = &self.pinned {
            let hostname = hostname.as_deref().unwrap_or("of unknown name");
            if self.agents == 0 {
                return write!(f, "waits for an offer of agent {hostname} ({agent}), which holds its reservation");
            }
        }
        if self.agents == 0 {
            return f.write_str("waits for an offer; none has come yet");
        }
        if self.fits > 0 {
            write!(f, "the last offer of {} fits", counted(self.fits))?;
            write!(f, " ({}); waits for the next", listed(&self.fitting, self.fits))?;
        } else {
            write!(f, "none of {} fits", counted(self.agents))?;
        }
        for group in &self.groups {
            write!(f, "\n  {group}")?;
        }
        if let Some(closest) = &self.closest {
            write!(f, "\n  closest: {closest}")?;
        }
        Ok(())
    }
}

fn counted(agents: usize) -> String {
    format!("{agents} {}", if agents == 1 { "agent" } else { "agents" })
}

fn listed(names: &[String], of: usize) -> String {
    let more = of - names.len().min(of);
    if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) }
}

/// `7 agents: cpus short by 0.5 to 1 (a, b, …)`.
impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", counted(self.agents), self.obstacle)?;
        match self.short_by {
            Some((least, most)) if least == most => write!(f, " by {least}")?,
            Some((least, most)) => write!(f, " by {least} to {most}")?,
            None => {}
        }
        write!(f, " ({})", listed(&self.examples, self.agents))
    }
}

impl fmt::Display for Closest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.hostname)?;
        for (at, found) in self.obstacles.iter().enumerate() {
            write!(f, "{}{found}", if at == 0 { "" } else { "; " })?;
        }
        match self.changes.as_deref() {
            None | Some([]) => f.write_str("\n  no small change would let it pass there"),
            Some(changes) => {
                f.write_str("\n  it would fit there with")?;
                for (at, change) in changes.iter().enumerate() {
                    write!(f, "{} {change}", if at == 0 { "" } else { " and" })?;
                }
                Ok(())
            }
        }
    }
}
