//! The smallest change that lets a step pass on one agent.
//!
//! Found by trying: the first obstacle is removed by the least that removes it, and the offer is evaluated again, until it fits. Then each
//! change is left out once, and where several were made for the sake of one resource, it is tried to change the agent alone.
//! Invariant: what [`smallest`] returns makes the evaluation pass when it is applied to the same requirement and offer, and does not
//! without any one of its changes.

use std::fmt;

use mainstay_spec::{PodSpec, ServiceSpec, VolumeKind, VolumeSpec};

use super::obstacle::{self, OfRole};
use crate::ids::{Generator, ResourceId};
use crate::offer::Offer;
use crate::offer::evaluate::evaluate;
use crate::offer::placement::{Counts, Key, Matcher, Rule};
use crate::offer::report::{Reason, Shortfall};
use crate::offer::requirement::{Recovery, Requirement};
use crate::offer::role;
use crate::resource::{Disk, DiskSource, Ranges, Reservation, ReservationKind, Resource, Value, pool::SOURCE_MOUNT};
use crate::state::Task;
use crate::units::Scalar;

/// Obstacles removed one after the other before a search is given up.
const MAX_ROUNDS: usize = 32;
/// MOUNT disks, among the names of resources.
const MOUNT: &str = "MOUNT";

/// One thing to do. Closed: a new remedy is a new variant here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Ask for less of a resource in a resource set.
    Less {
        /// Resource set; empty for the volumes of the pod itself.
        set: String,
        /// `cpus`, `mem` or `gpus`.
        name: String,
        /// As it is.
        from: Scalar,
        /// As it would fit.
        to: Scalar,
    },
    /// Ask for a smaller volume.
    SmallerVolume {
        /// Path of the volume.
        path: String,
        /// As it is, MB.
        from: Scalar,
        /// As it would fit, MB.
        to: Scalar,
        /// Whether it is a MOUNT disk.
        is_mount: bool,
    },
    /// Ask for MOUNT disks of another profile.
    AskProfile {
        /// Path of the volume.
        path: String,
        /// Its name; `None` for disks without one.
        profile: Option<String>,
    },
    /// Free an amount on the agent, or use one with so much more.
    Free {
        /// `cpus`, `mem`, `disk`, `gpus`.
        name: String,
        /// How much.
        amount: Scalar,
        /// Role it is missing in.
        role: String,
    },
    /// Free a port on the agent.
    FreePort {
        /// Its number.
        number: u16,
        /// Role it is missing in, `*` for unreserved.
        role: String,
    },
    /// Free any port on the agent.
    FreeAnyPort {
        /// Name of the port.
        name: String,
        /// One that would do.
        number: u16,
        /// Role it is missing in.
        role: String,
    },
    /// Give the agent a MOUNT disk.
    AddMount {
        /// Path of the volume that wants it.
        path: String,
        /// Least size, MB.
        size: Scalar,
        /// Profiles, any of which will do.
        profiles: Vec<String>,
        /// Role it is missing in.
        role: String,
    },
    /// Drop a part of the placement rule.
    WithoutRule {
        /// That part.
        rule: Rule,
        /// As its author writes it.
        spelled: String,
    },
    /// Ask for the region of the agent.
    AskRegion {
        /// Its name.
        region: String,
    },
    /// Nothing: a reservation without a volume that somebody took away is made anew once several offers did not show it.
    ReserveAnew {
        /// What was reserved.
        resources: Vec<Resource>,
    },
    /// Give up what is reserved, its data included, and place the pod anew.
    Replace,
}

/// What a change is applied to.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The specification.
    pub spec: ServiceSpec,
    /// The placement rule.
    pub rule: Option<Rule>,
    /// The offer.
    pub offer: Offer,
    /// Why the pod is launched.
    pub recovery: Recovery,
}

impl Trial {
    /// The step and offer as they are.
    pub fn new(requirement: &Requirement<'_>, offer: &Offer) -> Self {
        Self {
            spec: requirement.spec.clone(),
            rule: requirement.placement.cloned(),
            offer: offer.clone(),
            recovery: requirement.recovery,
        }
    }

    /// The first obstacle left; `None` when every stage passes.
    pub fn first_obstacle(&self, requirement: &Requirement<'_>) -> Option<Reason> {
        self.first_failure(requirement).map(|(_, reason)| reason)
    }

    /// The first obstacle left, and the place of its stage.
    fn first_failure(&self, requirement: &Requirement<'_>) -> Option<(usize, Reason)> {
        let pod_spec = self.spec.pod(&requirement.pod.pod_type)?;
        let counts = Counts::default();
        let requirement = Requirement {
            spec: &self.spec,
            pod_spec,
            placement: self.rule.as_ref(),
            recovery: self.recovery,
            counts: &counts,
            ..requirement.clone()
        };
        let evaluation = evaluate(&requirement, &self.offer, &mut Generator::seeded(0));
        if evaluation.passed() {
            return None;
        }
        let at = evaluation.report.outcomes.iter().position(|outcome| !outcome.passed)?;
        evaluation.report.first_failure().map(|outcome| (at, outcome.reason.clone()))
    }

    /// Makes a change to the pod type of a requirement, or to the offer.
    pub fn apply(&mut self, pod_type: &str, change: &Change) {
        let pod = self.spec.pods.iter_mut().find(|pod| pod.pod_type == pod_type);
        match (change, pod) {
            (Change::Less { set, name, to, .. }, Some(pod)) => {
                if let Some(amount) =
                    pod.resource_sets.iter_mut().find(|known| known.id == *set).and_then(|set| match name.as_str() {
                        "cpus" => Some(&mut set.cpus),
                        "mem" => Some(&mut set.memory_mb),
                        "gpus" => Some(&mut set.gpus),
                        _ => None,
                    })
                {
                    *amount = Some(*to);
                }
            }
            (Change::SmallerVolume { path, to, .. }, Some(pod)) => {
                volumes_mut(pod).filter(|volume| volume.path == *path).take(1).for_each(|volume| volume.size_mb = *to);
            }
            (Change::AskProfile { path, profile }, Some(pod)) => {
                let kind = VolumeKind::Mount { profiles: profile.iter().cloned().collect() };
                volumes_mut(pod)
                    .filter(|volume| volume.path == *path)
                    .take(1)
                    .for_each(|volume| volume.kind = kind.clone());
            }
            (Change::Free { name, amount, role }, _) => self.add(name, Value::Scalar(*amount), role, None),
            (Change::FreePort { number, role } | Change::FreeAnyPort { number, role, .. }, _) => {
                self.add("ports", Value::Ranges(Ranges::new([(u64::from(*number), u64::from(*number))])), role, None);
            }
            (Change::AddMount { size, profiles, role, .. }, _) => {
                let source = DiskSource {
                    kind: SOURCE_MOUNT,
                    root: Some(format!("/mnt/disk{}", self.offer.resources.len())),
                    profile: profiles.first().cloned(),
                    ..DiskSource::default()
                };
                let disk = Disk { source: Some(source), ..Disk::default() };
                self.add("disk", Value::Scalar(*size), role, Some(disk));
            }
            (Change::AskRegion { region }, _) => {
                let asked = Rule::Match { key: Key::Region, matcher: Matcher::Exact(region.clone()) };
                let parts = self.rule.iter().flat_map(obstacle::parts).cloned();
                self.rule = Some(Rule::And(parts.chain([asked]).collect()));
            }
            (Change::WithoutRule { rule, .. }, _) => {
                let parts: Vec<Rule> =
                    self.rule.iter().flat_map(obstacle::parts).filter(|part| *part != rule).cloned().collect();
                self.rule = match parts.len() {
                    0 => None,
                    1 => parts.into_iter().next(),
                    _ => Some(Rule::And(parts)),
                };
            }
            (Change::ReserveAnew { resources }, _) => self.offer.resources.extend(resources.iter().cloned()),
            (Change::Replace, _) => self.recovery = Recovery::Permanent,
            (Change::Less { .. } | Change::SmallerVolume { .. } | Change::AskProfile { .. }, None) => {}
        }
    }

    fn add(&mut self, name: &str, value: Value, role: &str, disk: Option<Disk>) {
        let allocation_role = self
            .offer
            .allocation_role
            .clone()
            .or_else(|| self.offer.resources.first().and_then(|resource| resource.allocation_role.clone()));
        let reservations = self
            .offer
            .resources
            .iter()
            .find(|resource| resource.role() == role && !resource.is_dynamically_reserved())
            .map_or_else(|| statically(role), |resource| resource.reservations.clone());
        self.offer.resources.push(Resource {
            name: name.to_owned(),
            value,
            allocation_role,
            reservations,
            disk: disk.map(Box::new),
            provider_id: None,
            shared: false,
            revocable: false,
        });
    }
}

fn volumes_mut(pod: &mut PodSpec) -> impl Iterator<Item = &mut VolumeSpec> {
    pod.volumes.iter_mut().chain(pod.resource_sets.iter_mut().flat_map(|set| &mut set.volumes))
}

/// The smallest changes that together let the step pass on the agent of an offer; `None` when none were found.
///
/// `placed` are the tasks of all that is placed: the volumes of a pod type that is among them can no longer be made smaller.
pub fn smallest<'t>(
    requirement: &Requirement<'_>,
    offer: &Offer,
    placed: impl IntoIterator<Item = &'t Task>,
) -> Option<Vec<Change>> {
    let pod_type = &requirement.pod.pod_type;
    let mut bounds =
        Bounds { is_fixed: placed.into_iter().any(|task| task.pod.pod_type == *pod_type), of_agent: Vec::new() };
    let mut best = reduced(attempt(requirement, offer, &bounds)?, requirement, offer);
    // Several changes for the sake of one resource: perhaps one to the agent alone will do.
    loop {
        let Some(name) = divided(&best).find(|name| !bounds.of_agent.contains(name)) else { return Some(best) };
        bounds.of_agent.push(name);
        let Some(other) = attempt(requirement, offer, &bounds) else { continue };
        let other = reduced(other, requirement, offer);
        if other.len() < best.len() {
            best = other;
        }
    }
}

/// What a search may not ask for.
struct Bounds {
    /// Volumes keep their sizes and profiles.
    is_fixed: bool,
    /// Of these resources the agent has to have more; the pod does not ask for less.
    of_agent: Vec<&'static str>,
}

/// Removes one obstacle after the other.
fn attempt(requirement: &Requirement<'_>, offer: &Offer, bounds: &Bounds) -> Option<Vec<Change>> {
    let pod_type = &requirement.pod.pod_type;
    let mut trial = Trial::new(requirement, offer);
    let mut changes: Vec<Change> = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let Some((at, reason)) = trial.first_failure(requirement) else { return Some(changes) };
        let mut remedies = against(&reason, requirement, &trial, bounds);
        if lacks(&changes, &reason) {
            remedies.drain(..remedies.len().saturating_sub(1));
        }
        // Less of a resource helps only the stages behind it; when even that comes too late the agent lacks it.
        let mut remedies = remedies.into_iter().peekable();
        let change = loop {
            let change = remedies.next()?;
            if remedies.peek().is_none() {
                break change;
            }
            let mut next = trial.clone();
            next.apply(pod_type, &change);
            if next.first_failure(requirement).is_none_or(|(still, _)| still > at) {
                break change;
            }
        };
        trial.apply(pod_type, &change);
        merge(&mut changes, change);
    }
    None
}

/// The changes without those that turn out not to be needed beside the others.
fn reduced(mut changes: Vec<Change>, requirement: &Requirement<'_>, offer: &Offer) -> Vec<Change> {
    let pod_type = &requirement.pod.pod_type;
    let mut at = 0;
    while changes.len() > 1 && at < changes.len() {
        let mut trial = Trial::new(requirement, offer);
        let others = changes.iter().enumerate().filter(|(other, _)| *other != at);
        others.for_each(|(_, change)| trial.apply(pod_type, change));
        if trial.first_failure(requirement).is_some() {
            at += 1;
        } else {
            changes.remove(at);
            at = 0;
        }
    }
    changes
}

/// The resources for whose sake several things are changed, the pod among them.
fn divided(changes: &[Change]) -> impl Iterator<Item = &'static str> {
    let is_divided = |name: &&str| {
        let of_name = || changes.iter().filter(|change| change.resource().is_some_and(|(known, _)| known == *name));
        of_name().count() > 1 && of_name().any(|change| change.resource().is_some_and(|(_, is_of_pod)| is_of_pod))
    };
    ["cpus", "mem", "gpus", "disk", MOUNT].into_iter().filter(is_divided)
}

/// Whether the agent is already known to have too little of what is short, whatever the pod asks for.
fn lacks(changes: &[Change], reason: &Reason) -> bool {
    let Some(shortfall) = reason.shortfall() else { return false };
    changes.iter().any(
        |change| matches!(change, Change::Free { name, role, .. } if name == shortfall.name && *role == shortfall.role),
    ) && !matches!(reason, Reason::NoMount { .. })
}

fn free(shortfall: &Shortfall) -> Change {
    Change::Free { name: shortfall.name.to_owned(), amount: shortfall.short_by(), role: shortfall.role.clone() }
}

/// Two changes of one amount are one.
fn merge(changes: &mut Vec<Change>, change: Change) {
    for known in changes.iter_mut() {
        match (&mut *known, &change) {
            (Change::Less { set, name, to, .. }, Change::Less { set: of, name: what, to: now, .. })
                if set == of && name == what =>
            {
                *to = *now;
                return;
            }
            (Change::SmallerVolume { path, to, .. }, Change::SmallerVolume { path: of, to: now, .. }) if path == of => {
                *to = *now;
                return;
            }
            (Change::Free { name, amount, role }, Change::Free { name: what, amount: more, role: of })
                if name == what && role == of =>
            {
                *amount = amount.plus(*more);
                return;
            }
            (Change::ReserveAnew { resources }, Change::ReserveAnew { resources: more }) => {
                resources.extend(more.iter().cloned());
                return;
            }
            _ => {}
        }
    }
    changes.push(change);
}

/// What removes one obstacle, the least first; the last always does.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "whatever is none of these is an obstacle of the placement rule, or nothing helps"
)]
fn against(reason: &Reason, requirement: &Requirement<'_>, trial: &Trial, bounds: &Bounds) -> Vec<Change> {
    let Some(pod) = trial.spec.pod(&requirement.pod.pod_type) else { return Vec::new() };
    let of_pod = |name: &str| !bounds.of_agent.contains(&name);
    if let Reason::NoMount { path, profiles, shortfall } = reason {
        let of_pod = !bounds.is_fixed && of_pod(MOUNT);
        let other = obstacle::other_disks(shortfall, profiles, &trial.offer).min().filter(|_| of_pod);
        let other =
            other.map(|(_, profile)| Change::AskProfile { path: path.clone(), profile: profile.map(str::to_owned) });
        let (from, to) = (shortfall.wanted, shortfall.available);
        let smaller =
            (of_pod && !to.is_zero()).then(|| Change::SmallerVolume { path: path.clone(), from, to, is_mount: true });
        let (path, role, profiles) = (path.clone(), shortfall.role.clone(), profiles.clone());
        let add = Change::AddMount { path, size: from, profiles, role };
        return other.into_iter().chain(smaller).chain([add]).collect();
    }
    if let Some(shortfall) = reason.shortfall() {
        let path = if let Reason::VolumeInsufficient { path, .. } = reason { Some(path) } else { None };
        let less = match shortfall.name {
            name if !of_pod(name) => None,
            "disk" if bounds.is_fixed => None,
            "disk" => less_disk(path, shortfall, pod),
            _ => less(shortfall, requirement, pod),
        };
        return less.into_iter().chain([free(shortfall)]).collect();
    }
    against_other(reason, requirement, trial, pod).into_iter().collect()
}

/// The same, where no amount is short.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "whatever is none of these is an obstacle of the placement rule, or nothing helps"
)]
fn against_other(reason: &Reason, requirement: &Requirement<'_>, trial: &Trial, pod: &PodSpec) -> Option<Change> {
    match reason {
        Reason::PortTaken { number, role, .. } => Some(Change::FreePort { number: *number, role: role.clone() }),
        Reason::NoPortLeft { name, role, .. } => {
            let port = pod.resource_sets.iter().flat_map(|set| &set.ports).find(|port| port.name == *name)?;
            let offered = |number: u16| {
                let is_there = |resource: &Resource| matches!(&resource.value, Value::Ranges(ranges) if resource.name == "ports" && ranges.contains(u64::from(number)));
                // The number may be there in another role: then it can be had in this one.
                let counts =
                    |resource: &Resource| resource.is_dynamically_reserved() || resource.role() == role.as_str();
                trial.offer.resources.iter().any(|resource| counts(resource) && is_there(resource))
            };
            let mut candidates: Box<dyn Iterator<Item = u16>> = if port.ranges.is_empty() {
                Box::new(1025..=u16::MAX)
            } else {
                Box::new(port.ranges.iter().flat_map(|range| range.begin.max(1)..=range.end))
            };
            let number = candidates.find(|number| !pod.declares_port(*number) && !offered(*number))?;
            Some(Change::FreeAnyPort { name: name.clone(), number, role: role.clone() })
        }
        Reason::ReservedMissing { id, .. } | Reason::PortMissing { id, .. } => {
            let resource = requirement.stored.iter().find_map(|task| reservation(task, id))?;
            let allocation_role = trial.offer.allocation_role.clone();
            Some(Change::ReserveAnew { resources: vec![Resource { allocation_role, ..resource.clone() }] })
        }
        Reason::VolumeMissing { .. } | Reason::ExecutorMissing { .. } => {
            (trial.recovery != Recovery::Permanent).then_some(Change::Replace)
        }
        _ => {
            let counts = Counts::default();
            let tried = Requirement { placement: trial.rule.as_ref(), counts: &counts, ..requirement.clone() };
            let excluding = obstacle::excluding(&tried, &trial.offer);
            if let Some(region) = obstacle::stray(reason, &excluding) {
                return Some(Change::AskRegion { region: region.to_owned() });
            }
            let rule = (*excluding.first()?).clone();
            let spelled = rule.spelled(&pod.pod_type);
            Some(Change::WithoutRule { rule, spelled })
        }
    }
}

/// What a task or its executor has reserved under an id.
fn reservation<'t>(task: &'t Task, id: &ResourceId) -> Option<&'t Resource> {
    let executor = task.executor.iter().flat_map(|executor| &executor.resources);
    let mut all = task.resources.iter().chain(executor);
    all.find(|resource| resource.resource_id().is_some_and(|known| known == *id))
}

/// Less of a scalar: in the set that is short when that leaves something, else in the largest.
fn less(shortfall: &Shortfall, requirement: &Requirement<'_>, pod: &PodSpec) -> Option<Change> {
    let missing = shortfall.short_by();
    let amount = |set: &mainstay_spec::ResourceSet| match shortfall.name {
        "cpus" => set.cpus,
        "mem" => set.memory_mb,
        "gpus" => set.gpus,
        _ => None,
    };
    let used = |id: &str| pod.tasks.iter().any(|task| task.resource_set == id);
    let launched =
        |id: &str| pod.tasks.iter().any(|task| task.resource_set == id && requirement.launch.contains(&task.name));
    let sets = || pod.resource_sets.iter().filter(|set| used(&set.id)).filter_map(|set| Some((set, amount(set)?)));
    let own = sets().find(|(set, amount)| *amount == shortfall.wanted && launched(&set.id) && *amount > missing);
    let largest = || sets().filter(|(_, amount)| *amount > missing).max_by_key(|(_, amount)| *amount);
    own.or_else(largest).map(|(set, from)| Change::Less {
        set: set.id.clone(),
        name: shortfall.name.to_owned(),
        from,
        to: from.minus(missing).unwrap_or(Scalar::ZERO),
    })
}

/// Less disk: in the volume that is short when that leaves something, else in the largest.
fn less_disk(path: Option<&String>, shortfall: &Shortfall, pod: &PodSpec) -> Option<Change> {
    let missing = shortfall.short_by();
    let volumes = || {
        let all = pod.volumes.iter().chain(pod.resource_sets.iter().flat_map(|set| &set.volumes));
        all.filter(|volume| volume.kind == VolumeKind::Root && volume.size_mb > missing)
    };
    let own = path.and_then(|path| volumes().find(|volume| volume.path == *path));
    own.or_else(|| volumes().max_by_key(|volume| volume.size_mb)).map(|volume| Change::SmallerVolume {
        path: volume.path.clone(),
        from: volume.size_mb,
        to: volume.size_mb.minus(missing).unwrap_or(Scalar::ZERO),
        is_mount: false,
    })
}

/// The reservations of what an operator has set aside for a role, none for that of the unreserved.
fn statically(role: &str) -> Vec<Reservation> {
    let fixed = |role: &str| Reservation {
        kind: ReservationKind::Static,
        role: role.to_owned(),
        principal: None,
        labels: Vec::new(),
    };
    (role != role::UNRESERVED).then(|| fixed(role)).into_iter().collect()
}

impl Change {
    /// The resource it is about, and whether it is one to the pod.
    ///
    /// Shape: `None` where the pod or the agent alone can be changed.
    fn resource(&self) -> Option<(&str, bool)> {
        match self {
            Self::Less { name, .. } => Some((name, true)),
            Self::SmallerVolume { is_mount, .. } => Some((if *is_mount { MOUNT } else { "disk" }, true)),
            Self::AskProfile { .. } => Some((MOUNT, true)),
            Self::Free { name, .. } => Some((name, false)),
            Self::AddMount { .. } => Some((MOUNT, false)),
            Self::FreePort { .. }
            | Self::FreeAnyPort { .. }
            | Self::WithoutRule { .. }
            | Self::AskRegion { .. }
            | Self::ReserveAnew { .. }
            | Self::Replace => None,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Less { set, name, from, to } => write!(f, "{name} {to} instead of {from} in {set}"),
            Self::SmallerVolume { path, from, to, .. } => write!(f, "volume {path} of {to} MB instead of {from}"),
            Self::AskProfile { path, profile: Some(profile) } => write!(f, "profiles: [{profile}] for volume {path}"),
            Self::AskProfile { path, profile: None } => write!(f, "no profiles for volume {path}"),
            Self::Free { name, amount, role } => write!(f, "{amount} more {name}{} on the agent", OfRole(role)),
            Self::FreePort { number, role } => write!(f, "port {number}{} free", OfRole(role)),
            Self::FreeAnyPort { name, number, role } => {
                write!(f, "a free port{} for {name}, such as {number}", OfRole(role))
            }
            Self::AddMount { path, size, profiles, role } => {
                let of_profile = (!profiles.is_empty()).then(|| format!("profile {}", profiles.join(" or ")));
                let of_role = (role != role::UNRESERVED).then(|| format!("role {role}"));
                let of: Vec<String> = of_role.into_iter().chain(of_profile).collect();
                let and = if of.is_empty() { "" } else { " and " };
                write!(f, "a MOUNT disk of {}{and}at least {size} MB for volume {path}", of.join(", "))
            }
            Self::WithoutRule { spelled, .. } => write!(f, "no constraint \"{spelled}\""),
            Self::AskRegion { region } => write!(f, "the constraint \"@region:IS:{region}\""),
            Self::ReserveAnew { resources } => {
                let mut names: Vec<&str> = resources.iter().map(|resource| resource.name.as_str()).collect();
                names.sort_unstable();
                names.dedup();
                write!(f, "{} reserved anew, which happens by itself after some more offers", names.join(" and "))
            }
            Self::Replace => f.write_str("a replace of the pod, which gives up its volumes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use mainstay_spec::{PortRange, PortSpec, ResourceSet};
    use proptest::prelude::*;

    use super::*;
    use crate::offer::fixture::{
        self, ROLE, World, mount, mount_volume, pod, port, refined, resource, root_volume, scalar, set, task, units,
    };

    /// The smallest changes, and what is left in the way after them.
    fn tried(world: &World, offer: &Offer) -> Option<(Vec<Change>, Option<Reason>)> {
        world.with_requirement(&["server"], Recovery::None, |requirement| {
            let changes = smallest(requirement, offer, None)?;
            let mut trial = Trial::new(requirement, offer);
            for change in &changes {
                trial.apply("hello", change);
            }
            Some((changes, trial.first_obstacle(requirement)))
        })
    }

    fn one(sets: Vec<ResourceSet>) -> World {
        World::new(PodSpec { resource_sets: sets, volumes: Vec::new(), tasks: vec![task("server", "s")], ..pod() })
    }

    #[track_caller]
    fn check(world: &World, resources: Vec<Resource>, expected: &str) {
        let offer = Offer { resources, ..world.offer() };
        let (changes, left) = tried(world, &offer).unwrap();
        assert_eq!(left, None);
        assert_eq!(changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "), expected);
    }

    fn agent(cpus: u64, mem: u64, disk: u64) -> Vec<Resource> {
        let ports = Value::Ranges(Ranges::new([(8000, 8001)]));
        let scalars = [("cpus", Scalar::from_millis(cpus)), ("mem", units(mem)), ("disk", units(disk))];
        scalars.map(|(name, amount)| scalar(name, amount)).into_iter().chain([resource("ports", ports)]).collect()
    }

    #[test]
    fn what_a_pod_of_a_pre_reserved_role_lacks_is_to_be_set_aside() {
        let wanted =
            ResourceSet { ports: vec![port("p", Some(9000))], volumes: vec![mount_volume("data", 100)], ..set("s") };
        let mut world = one(vec![wanted]);
        world.pod_mut().pre_reserved_role = Some("public".into());
        for is_set_aside in [true, false] {
            let resources = fixture::refined(agent(1000, 1000, 1000), "public", is_set_aside);
            let allocation_role = resources.first().and_then(|resource| resource.allocation_role.clone());
            let offer = Offer { resources, allocation_role, ..world.offer() };
            let (changes, left) = tried(&world, &offer).unwrap();
            assert_eq!(left, None, "{changes:?}");
            let text = changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let lacks_all = text.contains("more disk of role public on the agent");
            assert_eq!(lacks_all, !is_set_aside, "{text}");
        }
    }

    // Seen by hand: the agent had the port and a disk, yet none of them in the role.
    #[test]
    fn ports_and_disks_that_are_there_for_others_are_told_with_the_role() {
        let wanted = ResourceSet {
            ports: vec![
                port("p", Some(8000)),
                PortSpec { ranges: vec![PortRange { begin: 8001, end: 8001 }], ..port("q", None) },
            ],
            volumes: vec![mount_volume("data", 100)],
            ..set("s")
        };
        let mut world = one(vec![wanted]);
        world.pod_mut().pre_reserved_role = Some("public".into());
        let mut resources = refined(agent(1000, 1000, 1000), "public", true);
        resources.retain(|resource| resource.name != "ports");
        let all = [agent(0, 0, 0), vec![mount(500, "/m")]].concat();
        resources.extend(refined(all, "public", false));
        let offer = Offer { resources, allocation_role: Some(format!("public/{ROLE}")), ..world.offer() };
        let (changes, left) = tried(&world, &offer).unwrap();
        assert_eq!(left, None, "{changes:?}");
        let texts: Vec<String> = changes.iter().map(ToString::to_string).collect();
        let expected = [
            "port 8000 of role public free",
            "a free port of role public for q, such as 8001",
            "a MOUNT disk of role public and at least 100 MB for volume data",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn the_words_of_every_change() {
        // A set wants 0.5 cpus and 128 MB, the executor 0.1 and 32 and 256 MB of disk.
        let world = one(vec![set("s")]);
        check(&world, agent(4000, 4096, 4096), "");
        check(&world, agent(500, 4096, 4096), "cpus 0.4 instead of 0.5 in s");
        check(&world, agent(500, 100, 4096), "cpus 0.4 instead of 0.5 in s; mem 68 instead of 128 in s");
        check(&world, agent(50, 4096, 4096), "0.55 more cpus on the agent");
        check(&world, agent(4000, 4096, 200), "56 more disk on the agent");
        let volumes = |volumes| one(vec![ResourceSet { volumes, ..set("s") }]);
        check(&volumes(vec![root_volume("data", 500)]), agent(4000, 4096, 400), "volume data of 144 MB instead of 500");
        check(
            &volumes(vec![mount_volume("data", 500)]),
            agent(4000, 4096, 4096),
            "a MOUNT disk of at least 500 MB for volume data",
        );
        let ports = |ports| one(vec![ResourceSet { ports, ..set("s") }]);
        check(&ports(vec![port("web", Some(80))]), agent(4000, 4096, 4096), "port 80 free");
        let three = vec![port("a", None), port("b", None), port("c", None)];
        check(&ports(three), agent(4000, 4096, 4096), "a free port for c, such as 1025");
        let mut ruled = one(vec![set("s")]);
        ruled.pod_mut().placement = Rule::parse("hostname:UNLIKE:host.*,rack:IS:r1,@zone:IS:z", "hello").unwrap();
        check(
            &ruled,
            agent(4000, 4096, 4096),
            "no constraint \"hostname:UNLIKE:host.*\"; no constraint \"@zone:IS:z\"",
        );
        // The offer is of the region `west`.
        let mut elsewhere = one(vec![set("s")]);
        elsewhere.local_region = Some("east".into());
        check(&elsewhere, agent(4000, 4096, 4096), "the constraint \"@region:IS:west\"");
        elsewhere.pod_mut().placement = Rule::parse("hostname:UNIQUE", "hello").unwrap();
        check(&elsewhere, agent(500, 4096, 4096), "the constraint \"@region:IS:west\"; cpus 0.4 instead of 0.5 in s");
    }

    #[test]
    fn reservations_that_are_gone_need_a_replace() {
        let mut world = World::new(pod());
        world.launch(&["server", "agent"], Recovery::None);
        let offer = Offer { resources: agent(4000, 4096, 4096), ..world.offer() };
        world.with_requirement(&["server"], Recovery::None, |requirement| {
            let changes =
                smallest(&Requirement { launch: &["server".to_owned()], ..requirement.clone() }, &offer, None);
            // The executor runs on, so its tasks cannot be placed anew beside it: whatever is said must be true.
            if let Some(changes) = changes {
                let mut trial = Trial::new(requirement, &offer);
                for change in &changes {
                    trial.apply("hello", change);
                }
                assert_eq!(trial.first_obstacle(requirement), None);
            }
        });
    }

    // Seen by hand, both: two changes where one was enough.
    #[test]
    fn one_change_to_the_agent_is_less_than_two() {
        let volumes = vec![mount_volume("v1", 500), mount_volume("v2", 300)];
        let world = one(vec![ResourceSet { volumes, ..set("s") }]);
        let disk = |size| [agent(4000, 4096, 4096), vec![mount(size, "/m")]].concat();
        check(&world, disk(400), "a MOUNT disk of at least 500 MB for volume v1");
        check(&world, disk(600), "a MOUNT disk of at least 300 MB for volume v2");
        let two = |id: &str| ResourceSet { cpus: Some(units(2)), ..set(id) };
        let mut world = one(vec![two("s"), two("x")]);
        world.pod_mut().tasks.push(task("agent", "x"));
        check(&world, agent(1000, 4096, 4096), "3.1 more cpus on the agent");
        check(&world, agent(3000, 4096, 4096), "cpus 0.9 instead of 2 in s");
    }

    #[test]
    fn disks_of_another_profile_can_be_asked_for() {
        let of_profile = |size, profile: &str| {
            let mut disk = mount(size, &format!("/{profile}{size}"));
            let source = disk.disk.as_mut().and_then(|disk| disk.source.as_mut()).unwrap();
            source.profile = Some(profile.to_owned());
            disk
        };
        let disks =
            vec![of_profile(600, "fast"), of_profile(600, "fast"), of_profile(700, "slow"), of_profile(400, "tiny")];
        let offer = |disks: Vec<Resource>| [agent(4000, 4096, 4096), disks].concat();
        let wants = |volumes| one(vec![ResourceSet { volumes, ..set("s") }]);
        let with = |path: &str, names: &[&str]| {
            let profiles = names.iter().map(|name| (*name).to_owned()).collect();
            VolumeSpec { kind: VolumeKind::Mount { profiles }, ..mount_volume(path, 500) }
        };
        check(&wants(vec![mount_volume("v", 500)]), offer(disks.clone()), "profiles: [fast] for volume v");
        check(&wants(vec![with("v", &["ssd"])]), offer(vec![mount(500, "/m")]), "no profiles for volume v");
        // What another volume of the pod takes is no help.
        let both = wants(vec![with("a", &["fast"]), mount_volume("v", 500)]);
        let one_fast = offer(vec![of_profile(600, "fast")]);
        check(&both, one_fast.clone(), "a MOUNT disk of at least 500 MB for volume v");
        // The profile of a volume that exists stays.
        let offer = Offer { resources: one_fast, ..both.offer() };
        let fixed = wants(vec![mount_volume("v", 500)]);
        let mut placed = World::new(pod());
        placed.launch(&["server"], Recovery::None);
        fixed.with_requirement(&["server"], Recovery::None, |requirement| {
            let changes = smallest(requirement, &offer, &placed.stored).unwrap();
            assert_eq!(
                changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
                ["a MOUNT disk of at least 500 MB for volume v"]
            );
        });
    }

    /// Cpus, memory, gpus, ports, volumes.
    type Numbers = (u64, u64, Option<u64>, Vec<Option<u16>>, Vec<(bool, u64)>);

    fn some_sets() -> impl Strategy<Value = Vec<ResourceSet>> {
        let ports = proptest::collection::vec(prop_oneof![Just(None), (7999u16..8004).prop_map(Some)], 0..3);
        let volumes = proptest::collection::vec((any::<bool>(), 1u64..400), 0..3);
        let one = (1u64..3000, 1u64..3000, prop::option::of(1u64..4), ports, volumes);
        proptest::collection::vec(one, 1..3).prop_map(|sets| {
            let set = |(number, (cpus, mem, gpus, ports, volumes)): (usize, Numbers)| {
                let volume = |(at, (is_mount, size)): (usize, &(bool, u64))| {
                    let path = format!("v{number}{at}");
                    if *is_mount { mount_volume(&path, *size) } else { root_volume(&path, *size) }
                };
                let mut numbers: Vec<Option<u16>> = ports;
                numbers.dedup();
                ResourceSet {
                    id: ["s", "x"][number].to_owned(),
                    cpus: Some(Scalar::from_millis(cpus)),
                    memory_mb: Some(Scalar::from_units(mem)),
                    gpus: gpus.map(Scalar::from_units),
                    ports: numbers
                        .iter()
                        .enumerate()
                        .map(|(at, wanted)| {
                            port(&format!("p{number}{at}"), wanted.map(|port| port + 10 * number as u16))
                        })
                        .collect(),
                    volumes: volumes.iter().enumerate().map(volume).collect(),
                    ..ResourceSet::default()
                }
            };
            sets.into_iter().enumerate().map(set).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn a_reported_change_makes_the_pod_fit(
            sets in some_sets(),
            (cpus, mem, disk) in (0u64..4000, 0u64..4000, 0u64..1500),
            (gpus, mounts) in (0u64..4, proptest::collection::vec(1u64..400, 0..3)),
            // What the agent has is set aside for the role of the pod, or nobody's: a bit for each resource.
            set_aside in prop::option::of(prop_oneof![Just(0_u16), Just(u16::MAX), any::<u16>()]),
            is_remote in any::<bool>(),
            profile in prop::sample::select(vec![None, Some("fast")]),
            rule in prop::sample::select(vec![None, Some("hostname:IS:x"), Some("rack:IS:r1,rack:UNLIKE:r.*"), Some("hostname:UNIQUE")]),
        ) {
            let mut tasks = vec![task("server", "s")];
            if sets.len() > 1 {
                tasks.push(task("agent", "x"));
            }
            let mut world = World::new(PodSpec { resource_sets: sets, volumes: Vec::new(), tasks, ..pod() });
            world.pod_mut().placement = rule.and_then(|text| Rule::parse(text, "hello").unwrap());
            let mut offer = Offer { resources: agent(cpus, mem, disk), ..world.offer() };
            offer.resources.push(scalar("gpus", units(gpus)));
            offer.resources.extend(mounts.iter().enumerate().map(|(at, size)| mount(*size, &format!("/m{at}"))));
            if let Some(disk) = offer.resources.last_mut().and_then(|last| last.disk.as_mut()) {
                disk.source.as_mut().unwrap().profile = profile.map(str::to_owned);
            }
            world.local_region = is_remote.then(|| "elsewhere".to_owned());
            if let Some(set_aside) = set_aside {
                world.pod_mut().pre_reserved_role = Some("public".into());
                let all = offer.resources.into_iter().enumerate();
                offer.resources = all.flat_map(|(at, one)| refined(vec![one], "public", set_aside >> at & 1 == 1)).collect();
                offer.allocation_role = Some(format!("public/{ROLE}"));
            }
            if let Some((changes, left)) = tried(&world, &offer) {
                prop_assert_eq!(&left, &None, "{:?}", changes);
                // None can be left out.
                for left_out in 0..changes.len() {
                    let fails = world.with_requirement(&["server"], Recovery::None, |requirement| {
                        let mut trial = Trial::new(requirement, &offer);
                        let others = changes.iter().enumerate().filter(|(at, _)| *at != left_out);
                        others.for_each(|(_, change)| trial.apply("hello", change));
                        trial.first_obstacle(requirement).is_some()
                    });
                    prop_assert!(fails, "{:?} without {}", changes, left_out);
                }
                // A single change of an amount is the smallest there is: a thousandth less of it is not enough.
                if let [Change::Less { set, name, from, to }] = changes.as_slice() {
                    let almost = Change::Less { set: set.clone(), name: name.clone(), from: *from, to: to.plus(Scalar::from_millis(1)) };
                    let fails = world.with_requirement(&["server"], Recovery::None, |requirement| {
                        let mut trial = Trial::new(requirement, &offer);
                        trial.apply("hello", &almost);
                        trial.first_obstacle(requirement).is_some()
                    });
                    prop_assert!(fails, "{:?}", changes);
                }
            } else {
                prop_assert!(false, "a pod that nothing is reserved for can always be helped");
            }
        }
    }
}
