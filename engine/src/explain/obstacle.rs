//! What is in a pod's way on one agent, in a form that can be counted over many.

use std::collections::BTreeSet;
use std::fmt;

use mainstay_spec::VolumeKind;

use super::measure::{Distance, Share};
use crate::offer::Offer;
use crate::offer::placement::{self, Rule};
use crate::offer::report::{Outcome, Reason, Report, Shortfall};
use crate::offer::requirement::Requirement;
use crate::offer::role;
use crate::offer::stage::OfferStage;
use crate::resource::pool::SOURCE_MOUNT;
use crate::resource::{Resource, Value};
use crate::state::Task;
use crate::units::Scalar;

/// The kinds of obstacles. Equal ones on several agents are one group; amounts are kept apart, as a span.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// Too little of a scalar.
    Short {
        /// `cpus`, `mem`, `disk`, `gpus`.
        name: String,
        /// Role it is looked for in, `*` for unreserved.
        role: String,
    },
    /// A port is not free.
    PortTaken {
        /// Its number.
        number: u16,
        /// Role it is looked for in, `*` for unreserved.
        role: String,
        /// The pod of this service that has it of that role, or the tasks of the pod itself, when one of ours does.
        holder: Option<String>,
    },
    /// No port that may be chosen is free.
    NoPort {
        /// Name of the port.
        name: String,
        /// Role it is looked for in.
        role: String,
    },
    /// No whole disk that is asked for is large enough.
    NoMount {
        /// Path of the volume.
        path: String,
        /// Profiles accepted.
        profiles: Vec<String>,
        /// Role it is looked for in.
        role: String,
        /// Of which other profiles there is a disk that is large enough; `None` for one without a profile.
        others: Vec<Option<String>>,
    },
    /// A part of the placement rule.
    Excluded {
        /// That part, as its author writes it.
        rule: String,
    },
    /// The agent is in another region, and the placement rule says nothing of regions.
    OtherRegion {
        /// Where it is.
        region: String,
    },
    /// Something that is reserved for the pod is not in the offer.
    ReservationAbsent {
        /// What.
        what: String,
    },
    /// Anything else, in the words of the report.
    Other {
        /// Stage.
        stage: &'static str,
        /// Reason.
        text: String,
    },
}

/// An obstacle on one agent, with how much is missing where that is an amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub obstacle: Obstacle,
    /// Missing amount; cores or MB.
    pub short_by: Option<Scalar>,
    /// How much of what is wanted it lacks.
    pub share: Share,
}

impl Found {
    const fn new(obstacle: Obstacle) -> Self {
        Self { obstacle, short_by: None, share: Share::WHOLE }
    }
}

/// How far the offer of such a report is from taking the step.
pub(crate) fn distance(report: &Report, requirement: &Requirement<'_>, offer: &Offer) -> Distance {
    // Who has a port makes no difference.
    let requirement = Requirement { all_tasks: &[], ..requirement.clone() };
    of_report(report, &requirement, offer).into_iter().map(|found| found.share).collect()
}

/// Every obstacle of an evaluation that failed, in stage order, each once.
#[allow(clippy::wildcard_enum_match_arm, reason = "the report's own words serve for the rest")]
pub(super) fn of_report(report: &Report, requirement: &Requirement<'_>, offer: &Offer) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for outcome in report.outcomes.iter().filter(|outcome| !outcome.passed) {
        if outcome.stage == OfferStage::Placement.as_str() {
            let rules = excluding(requirement, offer);
            let spelled = |rule: &Rule| rule.spelled(&requirement.pod.pod_type);
            // A region that no rule is about is judged before the rule, and is in the way beside it.
            if let Some(region) = stray(&outcome.reason, &rules) {
                found.push(Found::new(Obstacle::OtherRegion { region: region.to_owned() }));
            } else if rules.is_empty() {
                let text = outcome.reason.to_string();
                found.push(Found::new(Obstacle::Other { stage: outcome.stage, text }));
            }
            found.extend(rules.into_iter().map(|rule| Found::new(Obstacle::Excluded { rule: spelled(rule) })));
            continue;
        }
        for obstacle in outcome.obstacles() {
            let one = of_outcome(obstacle, requirement, offer);
            if found.iter().all(|known| known.obstacle != one.obstacle) {
                found.push(one);
            }
        }
    }
    for one in &mut found {
        if let Obstacle::Short { name, role } = &one.obstacle {
            let (missing, wanted) = shortage(report, requirement, name, role);
            (one.short_by, one.share) = (Some(missing), Share::of(missing, wanted));
        }
    }
    found
}

/// How much of a resource a whole evaluation lacks, and of how much: all it wants that did not fit, less what is left in the end.
///
/// A stage that fails takes nothing, so each later one says how much there is as if it came first. What reservations that shrink give back is
/// there from the beginning.
#[allow(clippy::wildcard_enum_match_arm, reason = "nothing else takes an amount of what is free")]
fn shortage(report: &Report, requirement: &Requirement<'_>, name: &str, role: &str) -> (Scalar, Scalar) {
    let is_root = |path: &str| {
        let pod = requirement.pod_spec;
        let volumes = pod.volumes.iter().chain(pod.resource_sets.iter().flat_map(|set| &set.volumes));
        volumes.into_iter().any(|volume| volume.path == path && volume.kind == VolumeKind::Root)
    };
    let (mut wanted, mut taken, mut left) = (Scalar::ZERO, Scalar::ZERO, Scalar::ZERO);
    for reason in report.outcomes.iter().map(|outcome| &outcome.reason) {
        match reason {
            Reason::Insufficient(short)
            | Reason::GrowthInsufficient { shortfall: short, .. }
            | Reason::VolumeInsufficient { shortfall: short, .. }
                if short.name == name && short.role == role =>
            {
                wanted = wanted.plus(short.wanted);
                left = short.available;
            }
            Reason::Sufficient { name: of, role: under, wanted, available, .. } if *of == name && under == role => {
                taken = taken.plus(*wanted);
                left = available.minus(*wanted).unwrap_or(Scalar::ZERO);
            }
            Reason::VolumeNew { path, size, .. } if name == "disk" && is_root(path) => {
                taken = taken.plus(*size);
                left = left.minus(*size).unwrap_or(Scalar::ZERO);
            }
            Reason::Grown { name: of, from, to, .. } if *of == name => {
                let more = to.minus(*from).unwrap_or(Scalar::ZERO);
                taken = taken.plus(more);
                left = left.minus(more).unwrap_or(left);
            }
            _ => {}
        }
    }
    (wanted.minus(left).unwrap_or(Scalar::ZERO), wanted.plus(taken))
}

/// The region of the agent, when a placement stage that failed for this reason keeps the pod in another although no rule is about regions.
pub(super) fn stray<'o>(reason: &'o Reason, excluding: &[&Rule]) -> Option<&'o str> {
    let Reason::RegionRemote { found, .. } = reason else { return None };
    (!excluding.iter().any(|rule| matches!(rule, Rule::LocalRegion))).then_some(found)
}

/// The parts of the rule, each necessary, that exclude this agent.
pub(super) fn excluding<'r>(requirement: &Requirement<'r>, offer: &Offer) -> Vec<&'r Rule> {
    let Some(rule) = requirement.placement else { return Vec::new() };
    parts(rule).into_iter().filter(|part| !placement::check(part, requirement, offer).passed).collect()
}

/// The parts of a rule that must all pass.
#[allow(clippy::wildcard_enum_match_arm, reason = "every other rule is one part")]
pub(super) fn parts(rule: &Rule) -> Vec<&Rule> {
    match rule {
        Rule::And(rules) if !rules.is_empty() => rules.iter().flat_map(parts).collect(),
        other => vec![other],
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the report's own words serve for the rest")]
fn of_outcome(outcome: &Outcome, requirement: &Requirement<'_>, offer: &Offer) -> Found {
    let absent = |what: String| Found::new(Obstacle::ReservationAbsent { what });
    if let Reason::NoMount { path, profiles, shortfall } = &outcome.reason {
        let (path, profiles, role) = (path.clone(), profiles.clone(), shortfall.role.clone());
        let share = Share::of(shortfall.short_by(), shortfall.wanted);
        let others: BTreeSet<_> = other_disks(shortfall, &profiles, offer).map(|(_, profile)| profile).collect();
        let others = others.into_iter().map(|profile| profile.map(str::to_owned)).collect();
        return Found { share, ..Found::new(Obstacle::NoMount { path, profiles, role, others }) };
    }
    if let Some(shortfall) = outcome.reason.shortfall() {
        let obstacle = Obstacle::Short { name: shortfall.name.to_owned(), role: shortfall.role.clone() };
        return Found::new(obstacle);
    }
    match &outcome.reason {
        Reason::PortTaken { number, role, .. } => {
            let of_pod = || is_offered(*number, role, offer).then(|| "another task of the pod".to_owned());
            let holder = holder(*number, role, requirement, offer).or_else(of_pod);
            Found::new(Obstacle::PortTaken { number: *number, role: role.clone(), holder })
        }
        Reason::NoPortLeft { name, role, .. } => {
            Found::new(Obstacle::NoPort { name: name.clone(), role: role.clone() })
        }
        Reason::ReservedMissing { name, .. } => absent((*name).to_owned()),
        Reason::PortMissing { number, .. } => absent(format!("port {number}")),
        Reason::VolumeMissing { path, .. } => absent(format!("volume {path}")),
        Reason::ExecutorMissing { id } => absent(format!("executor {id}")),
        other => Found::new(Obstacle::Other { stage: outcome.stage, text: other.to_string() }),
    }
}

/// Whether the offer has the port free: then an earlier stage of the same evaluation took it.
fn is_offered(number: u16, role: &str, offer: &Offer) -> bool {
    let free = |resource: &&Resource| {
        let is_free = resource.role() == role && !resource.is_dynamically_reserved() && !resource.revocable;
        is_free && resource.name == "ports"
    };
    offer
        .resources
        .iter()
        .filter(free)
        .any(|resource| matches!(&resource.value, Value::Ranges(ranges) if ranges.contains(u64::from(number))))
}

/// The free MOUNT disks that are large enough and of a profile that a volume does not ask for: size and profile.
pub(super) fn other_disks<'o>(
    shortfall: &Shortfall,
    profiles: &[String],
    offer: &'o Offer,
) -> impl Iterator<Item = (Scalar, Option<&'o str>)> {
    let free = move |resource: &&Resource| resource.role() == shortfall.role && !resource.is_dynamically_reserved();
    let usable = offer.resources.iter().filter(free).filter(|resource| !resource.revocable && !resource.shared);
    usable.filter_map(move |resource| {
        let disk = resource.disk.as_ref().filter(|disk| disk.persistence.is_none())?;
        let source = disk.source.as_ref().filter(|source| source.kind == SOURCE_MOUNT)?;
        let Value::Scalar(size) = resource.value else { return None };
        let is_asked_for = match &source.profile {
            None => profiles.is_empty(),
            Some(profile) => profiles.contains(profile),
        };
        (!is_asked_for && size >= shortfall.wanted).then_some((size, source.profile.as_deref()))
    })
}

/// The pod of this service that holds a port of this role on the agent of an offer. The same number may be there once more, set aside for
/// another role: who ends the pod that has that one frees nothing.
fn holder(number: u16, role: &str, requirement: &Requirement<'_>, offer: &Offer) -> Option<String> {
    let is_it = |resource: &Resource| {
        let below = resource.reservations.len().checked_sub(2).and_then(|at| resource.reservations.get(at));
        resource.name == "ports"
            && below.map_or(role::UNRESERVED, |layer| layer.role.as_str()) == role
            && matches!(&resource.value, Value::Ranges(ranges) if ranges.contains(u64::from(number)))
    };
    let has_it = |task: &&&Task| {
        task.agent_id == offer.agent_id && task.pod != *requirement.pod && task.resources.iter().any(is_it)
    };
    requirement.all_tasks.iter().find(has_it).map(|task| task.pod.to_string())
}

/// `cpus short by 0.5`.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.short_by {
            Some(missing) => write!(f, "{} by {missing}", self.obstacle),
            None => write!(f, "{}", self.obstacle),
        }
    }
}

/// ` of role slow`; nothing for what nobody has reserved.
pub(super) struct OfRole<'a>(pub(super) &'a str);

impl fmt::Display for OfRole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            role::UNRESERVED => Ok(()),
            role => write!(f, " of role {role}"),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { name, role } => write!(f, "{name}{} short", OfRole(role)),
            Self::PortTaken { number, role, holder: Some(holder) } => {
                write!(f, "port {number}{} taken by {holder}", OfRole(role))
            }
            Self::PortTaken { number, role, holder: None } => write!(f, "port {number}{} not offered", OfRole(role)),
            Self::NoPort { name, role } => write!(f, "no port{} left for {name}", OfRole(role)),
            Self::NoMount { path, profiles, role, others } => {
                write!(f, "no MOUNT disk{}", OfRole(role))?;
                match profiles.as_slice() {
                    [] if others.is_empty() => {}
                    [] => f.write_str(" without a profile")?,
                    profiles => {
                        let and = if role == role::UNRESERVED { "of" } else { "and" };
                        write!(f, " {and} profile {}", profiles.join(" or "))?;
                    }
                }
                write!(f, " for volume {path}")?;
                let named: Vec<&str> = others.iter().flatten().map(String::as_str).collect();
                let of_profile = (!named.is_empty()).then(|| format!("of profile {}", named.join(" or ")));
                let without = (named.len() < others.len()).then(|| "without a profile".to_owned());
                let others: Vec<String> = of_profile.into_iter().chain(without).collect();
                if others.is_empty() { Ok(()) } else { write!(f, ", only {}", others.join(" or ")) }
            }
            Self::Excluded { rule } => write!(f, "excluded by {rule}"),
            Self::OtherRegion { region } => write!(f, "in region {region}, which no constraint of the pod asks for"),
            Self::ReservationAbsent { what } => write!(f, "the reserved {what} is not in the offer"),
            Self::Other { stage, text } => write!(f, "{stage}: {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use mainstay_spec::{PodSpec, ResourceSet};

    use super::*;
    use crate::offer::fixture::{World, pod, port, refined, resource, roomy, root_volume, scalar, set, task, units};
    use crate::offer::requirement::Recovery;
    use crate::resource::Ranges;

    fn texts(world: &mut World, launch: &[&str]) -> Vec<String> {
        let offer = world.offer();
        let report = world.evaluate_offer(&offer, launch, Recovery::None).report;
        world.with_requirement(launch, Recovery::None, |requirement| {
            of_report(&report, requirement, &offer).iter().map(ToString::to_string).collect()
        })
    }

    // Seen by hand: two tasks of 9 cpus on an agent with 2 lacked 14.2, less than the change that was told with it.
    #[test]
    fn tasks_that_lack_a_resource_lack_it_together() {
        let wants = |id: &str, cpus, disks: &[u64]| ResourceSet {
            cpus: Some(units(cpus)),
            memory_mb: Some(units(32)),
            volumes: disks.iter().enumerate().map(|(at, size)| root_volume(&format!("{id}{at}"), *size)).collect(),
            ..set(id)
        };
        let mut world = World::new(PodSpec {
            uris: Vec::new(),
            volumes: Vec::new(),
            resource_sets: vec![wants("a", 9, &[500]), wants("b", 1, &[700, 100]), wants("c", 9, &[])],
            tasks: vec![task("one", "a"), task("two", "b"), task("wee", "c")],
            ..pod()
        });
        world.master.free = vec![scalar("cpus", units(2)), scalar("mem", units(1000)), scalar("disk", units(600))];
        // The executor takes 0.1 cpus and 256 MB of disk.
        let all = ["one", "two", "wee"];
        assert_eq!(texts(&mut world, &all), ["cpus short by 17.1", "disk short by 956"]);
        world.master.free.retain(|resource| resource.name != "cpus");
        world.master.free.push(scalar("cpus", Scalar::from_millis(19_100)));
        assert_eq!(texts(&mut world, &all), ["disk short by 956"]);
    }

    // Seen by hand: the constraint alone was told, and the change with it named two.
    #[test]
    fn a_region_is_in_the_way_beside_the_constraints() {
        let mut world =
            World::new(PodSpec { placement: Rule::parse("hostname:LIKE:x,rack:IS:r1", "hello").unwrap(), ..pod() });
        world.master.free = [roomy(), roomy()].concat();
        world.local_region = Some("east".into());
        let told = texts(&mut world, &["server", "agent"]);
        assert_eq!(told, ["in region west, which no constraint of the pod asks for", "excluded by hostname:LIKE:x"]);
        world.pod_mut().placement = Some(Rule::And(vec![Rule::LocalRegion, Rule::Passthrough]));
        assert_eq!(texts(&mut world, &["server", "agent"]).len(), 1, "a rule about regions");
    }

    #[test]
    fn a_port_is_held_in_the_role_it_is_looked_for_in() {
        let wants = ResourceSet { ports: vec![port("p", Some(8000))], ..set("s") };
        let world_of = |outer: Option<&str>| {
            World::new(PodSpec {
                uris: Vec::new(),
                volumes: Vec::new(),
                resource_sets: vec![wants.clone()],
                tasks: vec![task("server", "s")],
                pre_reserved_role: outer.map(str::to_owned),
                ..pod()
            })
        };
        let holds = |outer: Option<&str>| {
            let mut world = world_of(outer);
            let ports = resource("ports", Value::Ranges(Ranges::new([(8000, 8000)])));
            world.master.free = [roomy(), vec![ports]].concat();
            world.master.free = match outer {
                Some(outer) => refined(world.master.free, outer, true),
                None => world.master.free,
            };
            world.launch(&["server"], Recovery::None);
            let mut other = world.stored.remove(0);
            world.stored.clear();
            other.pod.index = 7;
            other
        };
        let mut told = Vec::new();
        for (holder, wanted) in [(None, None), (None, Some("slow")), (Some("slow"), Some("slow")), (Some("slow"), None)]
        {
            let mut world = world_of(wanted);
            world.others = vec![holds(holder)];
            let lacking: Vec<_> = roomy().into_iter().filter(|resource| resource.name != "ports").collect();
            world.master.free = match wanted {
                Some(outer) => refined(lacking, outer, true),
                None => lacking,
            };
            told.extend(texts(&mut world, &["server"]));
        }
        let expected = [
            "port 8000 taken by hello-7",
            "port 8000 of role slow not offered",
            "port 8000 of role slow taken by hello-7",
            "port 8000 not offered",
        ];
        assert_eq!(told, expected);
    }
}
