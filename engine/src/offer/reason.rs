//! Why a stage passed or failed: data, turned into text only when somebody reads it.
//!
//! Invariant: every variant is in the test's list, so its wording is seen in review; every one that a stage can fail with also comes out
//! of an evaluation (`failures.rs`).

use std::fmt;

use super::placement::Key;
use crate::ids::{AgentId, ExecutorId, PersistenceId, ResourceId, TaskName};
use crate::units::Scalar;

/// What one stage found out. Closed: a new finding is a new variant here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "field names say what they hold; the Display text says what each means")]
pub enum Reason {
    ExecutorNew {
        id: ExecutorId,
    },
    ExecutorFound {
        id: ExecutorId,
    },
    ExecutorMissing {
        id: ExecutorId,
    },
    /// A task of ours cannot join the executor of another scheduler.
    ExecutorForeign {
        id: ExecutorId,
    },
    /// Its container is not the one that the specification asks for now.
    ExecutorElsewhere {
        id: ExecutorId,
    },
    /// Its tasks have ended, it has not: what it holds is not offered yet, and two executors would be two pods.
    ExecutorEnding {
        id: ExecutorId,
    },

    NoPlacementRule,
    /// A rule that only the SDK's stored form has and that cannot be applied here.
    UnknownRule,
    PlacementKept,
    /// The agent's value equals or matches what the rule wants.
    Matches {
        key: Key,
        found: String,
        wanted: String,
    },
    MatchesNot {
        key: Key,
        found: String,
        wanted: String,
    },
    KeyAbsent {
        key: Key,
    },
    KeyAbsentAllowed {
        key: Key,
    },
    BelowMax {
        key: Key,
        of: Of,
        found: String,
        pods: usize,
        max: u32,
    },
    MaxReached {
        key: Key,
        of: Of,
        found: String,
        pods: usize,
        max: u32,
    },
    Balanced {
        key: Key,
        of: Of,
        found: String,
        pods: usize,
        least: usize,
    },
    Unbalanced {
        key: Key,
        of: Of,
        found: String,
        pods: usize,
        least: usize,
        most: usize,
    },
    OtherValuesFirst {
        key: Key,
        of: Of,
        found: String,
        known: usize,
        expected: u32,
    },
    RegionLocal,
    RegionRemote {
        found: String,
        local: String,
    },
    /// An agent without a region.
    RegionAbsent,
    /// A master without a region.
    RegionUnknown,
    AgentMatches,
    AgentMatchesNot {
        found: AgentId,
        wanted: String,
    },
    NoPodOfType,
    Beside {
        here: usize,
    },
    NotBeside {
        pod_type: String,
        all: usize,
    },
    Away {
        all: usize,
    },
    NotAway {
        pod_type: String,
        here: usize,
    },
    Negated,
    RulesPassing {
        passing: usize,
        of: usize,
    },

    ChildrenPassed,
    ChildrenFailed,

    Sufficient {
        name: &'static str,
        role: String,
        wanted: Scalar,
        available: Scalar,
        id: ResourceId,
    },
    Insufficient(Shortfall),
    Reserved {
        name: &'static str,
        amount: Scalar,
        id: ResourceId,
    },
    ReservedMissing {
        name: &'static str,
        id: ResourceId,
    },
    Grown {
        name: &'static str,
        from: Scalar,
        to: Scalar,
        id: ResourceId,
    },
    GrowthInsufficient {
        from: Scalar,
        to: Scalar,
        id: ResourceId,
        shortfall: Shortfall,
    },
    Shrunk {
        name: &'static str,
        from: Scalar,
        to: Scalar,
        id: ResourceId,
    },
    OfRunningExecutor {
        name: &'static str,
        id: ResourceId,
    },

    PortNew {
        name: String,
        number: u16,
        id: ResourceId,
    },
    PortReserved {
        name: String,
        number: u16,
        id: ResourceId,
    },
    PortMissing {
        name: String,
        number: u16,
        id: ResourceId,
    },
    PortTaken {
        name: String,
        number: u16,
        role: String,
    },
    /// In a network of the pod's own.
    PortOfNetwork {
        name: String,
        number: u16,
    },
    NoPortOfNetwork {
        name: String,
    },
    NoPortLeft {
        name: String,
        role: String,
        offered: u64,
        /// Where it must lie; anywhere when empty.
        within: String,
    },

    VolumeNew {
        path: String,
        size: Scalar,
        id: ResourceId,
        volume: PersistenceId,
    },
    VolumeInsufficient {
        path: String,
        shortfall: Shortfall,
    },
    NoMount {
        path: String,
        profiles: Vec<String>,
        shortfall: Shortfall,
    },
    VolumeReserved {
        path: String,
        size: Scalar,
        id: ResourceId,
        volume: PersistenceId,
    },
    /// Its reservation was made, its creation was lost.
    VolumeCreatedAgain {
        path: String,
        size: Scalar,
        id: ResourceId,
        volume: PersistenceId,
    },
    VolumeMissing {
        path: String,
        id: ResourceId,
        volume: PersistenceId,
    },
    VolumeOfRunningExecutor {
        path: String,
        id: ResourceId,
    },

    Launch {
        task: TaskName,
    },
    Footprint {
        task: TaskName,
    },
    Unchanged {
        task: TaskName,
    },
    OrphanUnreserved {
        name: String,
        amount: String,
        id: ResourceId,
    },
    OrphanDestroyed {
        size: String,
        id: ResourceId,
        volume: PersistenceId,
    },
    /// An orphan that the offer does not hold: nothing to do now, the clean-up of leftovers finds it later.
    OrphanAbsent {
        name: String,
        id: ResourceId,
    },
}

/// What a counting rule has counted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the Display text says what each means")]
pub enum Of {
    SameType,
    Type(String),
    AnyType,
    TasksNamed(String),
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameType => f.write_str("pods of this type"),
            Self::Type(pod_type) => write!(f, "pods of type '{pod_type}'"),
            Self::AnyType => f.write_str("pods of any type"),
            Self::TasksNamed(pattern) => write!(f, "pods with a task named '{pattern}'"),
        }
    }
}

/// How much of a resource is missing.
///
/// Units: cores, MB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// `cpus`, `mem`, `disk`, …
    pub name: &'static str,
    /// Reservation role looked in, `*` for unreserved.
    pub role: String,
    /// Wanted.
    pub wanted: Scalar,
    /// Left in the offer.
    pub available: Scalar,
}

impl Shortfall {
    /// What is missing.
    pub fn short_by(&self) -> Scalar {
        self.wanted.minus(self.available).unwrap_or(Scalar::ZERO)
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, wanted, available, .. } = self;
        write!(f, "wanted {wanted}, available {available} in role {role}, short by {}", self.short_by())
    }
}

impl Reason {
    /// What is missing, where an amount is.
    pub fn shortfall(&self) -> Option<&Shortfall> {
        let (Self::Insufficient(shortfall)
        | Self::GrowthInsufficient { shortfall, .. }
        | Self::VolumeInsufficient { shortfall, .. }
        | Self::NoMount { shortfall, .. }) = self
        else {
            return None;
        };
        Some(shortfall)
    }
}

/// The words of the SDK where it has words worth keeping, and the numbers behind them.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExecutorNew { id } => write!(f, "No executor to join, new executor ID '{id}'"),
            Self::ExecutorFound { id } => write!(f, "Offer contains the matching Executor ID '{id}'"),
            Self::ExecutorMissing { id } => write!(f, "Offer does not contain the needed Executor ID '{id}'"),
            Self::ExecutorForeign { id } => write!(
                f,
                "Running tasks of the pod belong to Executor ID '{id}' of another scheduler, which cannot run a task of this one; \
                 restart the whole pod"
            ),
            Self::ExecutorEnding { id } => {
                write!(
                    f,
                    "Executor ID '{id}' of the pod's ended tasks is still on the agent; its resources come back when it exits"
                )
            }
            Self::ExecutorElsewhere { id } => write!(
                f,
                "Executor ID '{id}' runs the pod's other tasks with the image, networks, mounts, secrets or kernel settings \
                 of an earlier configuration; restart the pod, so that all its tasks start anew"
            ),
            Self::NoPlacementRule => f.write_str("No placement rule defined"),
            Self::UnknownRule => f.write_str("A rule of an unknown kind never passes"),
            Self::PlacementKept => f.write_str("Placement rule not applied: the pod stays where its reservations are"),
            Self::Matches { key, found, wanted } => write!(f, "{key} '{found}' matches '{wanted}'"),
            Self::MatchesNot { key, found, wanted } => write!(f, "{key} '{found}' does not match '{wanted}'"),
            Self::KeyAbsent { key } => write!(f, "The agent has no {key}"),
            Self::KeyAbsentAllowed { key } => write!(f, "The agent has no {key}, which this rule permits"),
            Self::BelowMax { key, of, found, pods, max } => {
                write!(f, "{key} '{found}' has {pods} of at most {max} {of}")
            }
            Self::MaxReached { key, of, found, pods, max } => {
                write!(f, "{key} '{found}' already has {pods} {of}, at most {max} may be")
            }
            Self::Balanced { key, of, found, pods, least } => {
                write!(f, "{key} '{found}' has {pods} {of}, the least is {least}")
            }
            Self::Unbalanced { key, of, found, pods, least, most } => {
                write!(f, "{key} '{found}' has {pods} {of} while others have {least} (least) to {most} (most)")
            }
            Self::OtherValuesFirst { key, of, found, known, expected } => {
                write!(f, "{key} '{found}' already has {of} while only {known} of {expected} expected values have any")
            }
            Self::RegionLocal => f.write_str("The agent is in the region of the master"),
            Self::RegionRemote { found, local } => {
                write!(f, "The agent is in region '{found}', the master in '{local}'")
            }
            Self::RegionAbsent => f.write_str("The agent has no region, it counts as in that of the master"),
            Self::RegionUnknown => f.write_str("The region of the master is not known: every region counts as its own"),
            Self::AgentMatches => f.write_str("The agent is the one that the rule names"),
            Self::AgentMatchesNot { found, wanted } => write!(f, "The agent is '{found}', the rule names '{wanted}'"),
            Self::NoPodOfType => f.write_str("There is no pod of the other type yet"),
            Self::Beside { here } => write!(f, "The agent has {here} pods of the type that the rule seeks"),
            Self::NotBeside { pod_type, all } => {
                write!(f, "None of the {all} pods of type '{pod_type}', which the rule seeks, is on the agent")
            }
            Self::Away { all } => write!(f, "None of the {all} pods that the rule avoids is on the agent"),
            Self::NotAway { pod_type, here } => {
                write!(f, "The agent has {here} pods of type '{pod_type}', which the rule avoids")
            }
            Self::Negated => f.write_str("Passes when the rule below fails"),
            Self::RulesPassing { passing, of } => write!(f, "{passing} of {of} rules are passing"),
            Self::ChildrenPassed => f.write_str("All child stages passed"),
            Self::ChildrenFailed => f.write_str("Failed to pass all child stages"),
            Self::Sufficient { name, role, wanted, available, id } => write!(
                f,
                "Offer contains sufficient '{name}': requirement={wanted}, available={available} in role {role}, \
                 new resource ID '{id}'"
            ),
            Self::Insufficient(shortfall) => {
                write!(f, "Failed to satisfy required resource '{}': {shortfall}", shortfall.name)
            }
            Self::Reserved { name, amount, id } => {
                write!(f, "Offer contains the reserved '{name}': {amount}, resource ID '{id}'")
            }
            Self::ReservedMissing { name, id } => write!(
                f,
                "Failed to satisfy required resource '{name}': offer does not contain the reservation with resource ID '{id}'"
            ),
            Self::Grown { name, from, to, id } => {
                write!(f, "Reserved '{name}' grows from {from} to {to}, resource ID '{id}'")
            }
            Self::GrowthInsufficient { from, to, id, shortfall } => write!(
                f,
                "Failed to satisfy required resource '{}': reservation '{id}' cannot grow from {from} to {to}: {shortfall}; \
                 the pod stays on this agent until it is replaced",
                shortfall.name
            ),
            Self::Shrunk { name, from, to, id } => {
                write!(f, "Reserved '{name}' shrinks from {from} to {to}, resource ID '{id}'")
            }
            Self::OfRunningExecutor { name, id } => {
                write!(f, "'{name}' of the running executor, resource ID '{id}'")
            }
            Self::PortNew { name, number, id } => {
                write!(f, "Offer contains sufficient 'ports': port '{name}' is {number}, new resource ID '{id}'")
            }
            Self::PortReserved { name, number, id } => {
                write!(f, "Offer contains the reserved 'ports': port '{name}' is {number}, resource ID '{id}'")
            }
            Self::PortMissing { name, number, id } => write!(
                f,
                "Failed to satisfy required resource 'ports': offer does not contain port {number} of '{name}' \
                 with resource ID '{id}'"
            ),
            Self::PortTaken { name, number, role } => write!(
                f,
                "Failed to satisfy required resource 'ports': port {number} of '{name}' is not offered in role {role}"
            ),
            Self::PortOfNetwork { name, number } => {
                write!(f, "Port '{name}' is {number} in the network of the pod: no reservation is needed")
            }
            Self::NoPortOfNetwork { name } => write!(
                f,
                "No number is left for port '{name}' in the network of the pod: the other ports of the pod have them"
            ),
            Self::NoPortLeft { name, role, offered, within } => {
                write!(
                    f,
                    "Failed to satisfy required resource 'ports': none of the {offered} ports offered in role {role} \
                     can be port '{name}'"
                )?;
                if within.is_empty() { Ok(()) } else { write!(f, " within {within}") }
            }
            Self::VolumeNew { path, size, id, volume } => write!(
                f,
                "Offer contains sufficient 'disk': volume '{path}' of {size} MB, new resource ID '{id}', \
                 new persistence ID '{volume}'"
            ),
            Self::VolumeInsufficient { path, shortfall } => {
                write!(f, "Failed to satisfy required volume 'disk': volume '{path}': {shortfall}")
            }
            Self::NoMount { path, profiles, shortfall } => {
                write!(f, "Failed to satisfy required volume 'disk': no MOUNT disk for volume '{path}'")?;
                if !profiles.is_empty() {
                    write!(f, " with profile {}", profiles.join(" or "))?;
                }
                write!(f, ": {shortfall}")
            }
            Self::VolumeReserved { path, size, id, volume } => write!(
                f,
                "Offer contains the reserved 'disk': volume '{path}' of {size} MB, resource ID '{id}', \
                 persistence ID '{volume}'"
            ),
            Self::VolumeCreatedAgain { path, size, id, volume } => write!(
                f,
                "Offer contains the reserved 'disk' without its volume '{path}' of {size} MB, resource ID '{id}': \
                 created again with persistence ID '{volume}'"
            ),
            Self::VolumeMissing { path, id, volume } => write!(
                f,
                "Failed to satisfy required volume 'disk': offer does not contain volume '{path}' with resource ID '{id}' \
                 and persistence ID '{volume}'"
            ),
            Self::VolumeOfRunningExecutor { path, id } => {
                write!(f, "Volume '{path}' of the running executor, resource ID '{id}'")
            }
            Self::Launch { task } => write!(f, "Added launch information to offer requirement: {task}"),
            Self::Footprint { task } => write!(f, "Added reservation information without a launch: {task}"),
            Self::Unchanged { task } => write!(f, "Reservation unchanged, nothing to store: {task}"),
            Self::OrphanUnreserved { name, amount, id } => {
                write!(f, "'{name}' is no longer needed: {amount} unreserved, resource ID '{id}'")
            }
            Self::OrphanDestroyed { size, id, volume } => write!(
                f,
                "A volume is no longer needed: {size} MB destroyed, resource ID '{id}', persistence ID '{volume}'"
            ),
            Self::OrphanAbsent { name, id } => {
                write!(
                    f,
                    "'{name}' is no longer needed, but resource ID '{id}' is not in the offer: left for the clean-up"
                )
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    /// At least one of each.
    pub(in crate::offer) fn all() -> Vec<Reason> {
        let executor = || ExecutorId::parse("E").unwrap();
        let id = || ResourceId::parse("R").unwrap();
        let volume = || PersistenceId::parse("V").unwrap();
        let task = || TaskName::parse("hello-0-server").unwrap();
        let key = || Key::Attribute("rack".into());
        let text = |text: &str| text.to_owned();
        let (few, many) = (Scalar::from_millis(500), Scalar::from_units(2));
        let short = || Shortfall { name: "cpus", role: text("*"), wanted: many, available: few };
        vec![
            Reason::ExecutorNew { id: executor() },
            Reason::ExecutorFound { id: executor() },
            Reason::ExecutorMissing { id: executor() },
            Reason::ExecutorForeign { id: executor() },
            Reason::ExecutorEnding { id: executor() },
            Reason::ExecutorElsewhere { id: executor() },
            Reason::NoPlacementRule,
            Reason::UnknownRule,
            Reason::PlacementKept,
            Reason::Matches { key: Key::Hostname, found: text("h1"), wanted: text("h.*") },
            Reason::MatchesNot { key: Key::Region, found: text("west"), wanted: text("east") },
            Reason::KeyAbsent { key: Key::Zone },
            Reason::KeyAbsentAllowed { key: Key::Region },
            Reason::BelowMax { key: key(), of: Of::SameType, found: text("r1"), pods: 1, max: 2 },
            Reason::MaxReached { key: key(), of: Of::AnyType, found: text("r1"), pods: 2, max: 2 },
            Reason::Balanced { key: key(), of: Of::Type(text("world")), found: text("r1"), pods: 1, least: 1 },
            Reason::Unbalanced {
                key: key(),
                of: Of::TasksNamed(text("a.*")),
                found: text("r1"),
                pods: 2,
                least: 1,
                most: 3,
            },
            Reason::OtherValuesFirst { key: key(), of: Of::SameType, found: text("r1"), known: 1, expected: 3 },
            Reason::RegionLocal,
            Reason::RegionRemote { found: text("east"), local: text("west") },
            Reason::RegionAbsent,
            Reason::RegionUnknown,
            Reason::AgentMatches,
            Reason::AgentMatchesNot { found: AgentId::parse("A").unwrap(), wanted: text("B") },
            Reason::NoPodOfType,
            Reason::Beside { here: 1 },
            Reason::NotBeside { pod_type: text("world"), all: 2 },
            Reason::Away { all: 2 },
            Reason::NotAway { pod_type: text("world"), here: 1 },
            Reason::Negated,
            Reason::RulesPassing { passing: 1, of: 2 },
            Reason::ChildrenPassed,
            Reason::ChildrenFailed,
            Reason::Sufficient { name: "cpus", role: text("*"), wanted: few, available: many, id: id() },
            Reason::Insufficient(short()),
            Reason::Reserved { name: "mem", amount: many, id: id() },
            Reason::ReservedMissing { name: "mem", id: id() },
            Reason::Grown { name: "cpus", from: few, to: many, id: id() },
            Reason::GrowthInsufficient { from: few, to: many, id: id(), shortfall: short() },
            Reason::Shrunk { name: "cpus", from: many, to: few, id: id() },
            Reason::OfRunningExecutor { name: "cpus", id: id() },
            Reason::PortNew { name: text("web"), number: 80, id: id() },
            Reason::PortReserved { name: text("web"), number: 80, id: id() },
            Reason::PortMissing { name: text("web"), number: 80, id: id() },
            Reason::PortTaken { name: text("web"), number: 80, role: text("*") },
            Reason::PortOfNetwork { name: text("web"), number: 80 },
            Reason::NoPortOfNetwork { name: text("web") },
            Reason::NoPortLeft { name: text("web"), role: text("*"), offered: 0, within: String::new() },
            Reason::NoPortLeft { name: text("web"), role: text("*"), offered: 9, within: text("8000-8010, 9000-9001") },
            Reason::VolumeNew { path: text("data"), size: many, id: id(), volume: volume() },
            Reason::VolumeInsufficient { path: text("data"), shortfall: short() },
            Reason::NoMount { path: text("data"), profiles: Vec::new(), shortfall: short() },
            Reason::NoMount { path: text("data"), profiles: vec![text("fast"), text("ssd")], shortfall: short() },
            Reason::VolumeReserved { path: text("data"), size: many, id: id(), volume: volume() },
            Reason::VolumeCreatedAgain { path: text("data"), size: many, id: id(), volume: volume() },
            Reason::VolumeMissing { path: text("data"), id: id(), volume: volume() },
            Reason::VolumeOfRunningExecutor { path: text("data"), id: id() },
            Reason::Launch { task: task() },
            Reason::Footprint { task: task() },
            Reason::Unchanged { task: task() },
            Reason::OrphanUnreserved { name: text("ports"), amount: text("[80]"), id: id() },
            Reason::OrphanDestroyed { size: text("10"), id: id(), volume: volume() },
            Reason::OrphanAbsent { name: text("ports"), id: id() },
        ]
    }

    #[test]
    fn every_reason_has_its_words() {
        let lines: Vec<_> = all().iter().map(|reason| format!("{} -> {reason}", variant(reason))).collect();
        insta::assert_snapshot!("every_reason", lines.join("\n"));
        let named: BTreeSet<_> = all().iter().map(variant).collect();
        // Counted in the source: a variant that is missing above is noticed here.
        let source = include_str!("reason.rs");
        let (_, body) = source.split_once("pub enum Reason {").unwrap();
        let (body, _) = body.split_once("\n}").unwrap();
        let declared: BTreeSet<String> = body
            .lines()
            .map(str::trim_start)
            .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()))
            .map(|line| line.chars().take_while(char::is_ascii_alphanumeric).collect())
            .collect();
        assert_eq!(named, declared);
    }

    pub(in crate::offer) fn variant(reason: &Reason) -> String {
        format!("{reason:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
    }
}
