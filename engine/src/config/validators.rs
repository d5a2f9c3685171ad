//! May this specification be in force, after the one that is?
//!
//! Every rule names the field, the transition and the remedy in the SDK's shape. All rules run, also when nothing has changed, and all problems
//! are told together. Errors leave the old specification in force and are shown on the deploy plan; fatal ones, and any without an old
//! specification, stop the process before anything is written.
//!
//! | Row | Rule | File |
//! |---|---|---|
//! | 1, 7, 12, 15 | name, user, DNS name, role | `service.rs` |
//! | 2, 5, 6 | shrinking, network regime, pre-reserved role | `pods.rs` |
//! | 3, 4, 8, 9 | what the cluster must be able to do | `features.rs` |
//! | 10, 11 | placement rules, region | `placement.rs` |
//! | 13 | limits | `limits.rs` |
//! | 14 | volumes, and the resource sets they belong to | `volumes.rs`, `sets.rs` |
//! | – | rules a service adds in code | `extras.rs` |
//!
//! Source: the SDK's configuration validators; the rows are those of its table.

mod extras;
pub mod features;
mod limits;
mod placement;
mod pods;
mod service;
mod sets;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use mainstay_spec::ServiceSpec;

pub use extras::{EnvChange, env_cannot_change, zone_kept};

/// A specification and its reservation role.
#[derive(Debug, Clone, Copy)]
pub struct Version<'a> {
    /// The specification.
    pub spec: &'a ServiceSpec,
    /// Role of its reservations.
    pub role: &'a str,
}

/// What is to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// What is in force; `None` when the service is new.
    pub old: Option<Version<'a>>,
    /// What is to follow it.
    pub new: Version<'a>,
    /// Whether a deployment has ever completed.
    pub is_deployed: bool,
    /// Pod types of which an instance is placed, or ever was: they may have data.
    pub placed: &'a BTreeSet<&'a str>,
    /// Volumes of stored tasks that the specification in force does not have any more.
    pub left: &'a Left,
    /// Whether the scheduler has a service account of DC/OS.
    pub has_service_account: bool,
}

/// Paths of volumes by pod type and short name of the task that was removed.
pub type Left = BTreeMap<(String, String), BTreeSet<String>>;

/// How much a problem weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Told, nothing else.
    Warning,
    /// The new specification is refused.
    Error,
    /// The process must not go on at all.
    Fatal,
}

/// One reason against the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What it is about: `pods.hello.count`.
    pub field: String,
    /// What is there, or what becomes what.
    pub found: Found,
    /// What is wrong and what to do.
    pub message: String,
    /// How much it weighs.
    pub weight: Weight,
}

/// What a problem is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// One value.
    Value(String),
    /// A value that changes.
    Transition {
        /// In force.
        old: String,
        /// To follow it.
        new: String,
    },
}

impl Problem {
    /// An error about one value.
    pub fn value(field: impl Into<String>, value: impl fmt::Display, message: impl Into<String>) -> Self {
        let found = Found::Value(value.to_string());
        Self { field: field.into(), found, message: message.into(), weight: Weight::Error }
    }

    /// An error about a change.
    pub fn transition(
        field: impl Into<String>,
        old: impl fmt::Display,
        new: impl fmt::Display,
        message: impl Into<String>,
    ) -> Self {
        let found = Found::Transition { old: old.to_string(), new: new.to_string() };
        Self { field: field.into(), found, message: message.into(), weight: Weight::Error }
    }

    /// The same, with another weight.
    pub fn weighing(self, weight: Weight) -> Self {
        Self { weight, ..self }
    }
}

/// `Field: '…'; Transition: '…' => '…'; Message: '…'; Fatal: …`, or with `Value: '…'`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field: '{}'; ", self.field)?;
        match &self.found {
            Found::Value(value) => write!(f, "Value: '{value}'; ")?,
            Found::Transition { old, new } => write!(f, "Transition: '{old}' => '{new}'; ")?,
        }
        write!(f, "Message: '{}'; Fatal: {}", self.message, self.weight == Weight::Fatal)
    }
}

/// A rule that a service adds in code.
#[derive(Clone)]
pub struct Validator(Arc<Judge>);

type Judge = dyn Fn(&Change<'_>) -> Vec<Problem> + Send + Sync;

impl Validator {
    /// A rule of its own: answers every reason against the change.
    pub fn new(rule: impl Fn(&Change<'_>) -> Vec<Problem> + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }

    /// Every reason of this rule.
    pub fn run(&self, change: &Change<'_>) -> Vec<Problem> {
        (self.0)(change)
    }
}

/// The very same rule.
impl PartialEq for Validator {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validator")
    }
}

/// Every reason against the change, in the order of the table, those of the service's own rules last.
pub fn run(change: &Change<'_>, own: &[Validator]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for rule in [
        service::name,
        pods::cannot_shrink,
        pods::network_regime,
        pods::pre_reservation,
        service::user,
        service::principal,
        features::tls_account,
        placement::is_valid,
        placement::region,
        service::dns_name,
        limits::above_requests,
        limits::whole_gpus,
        volumes::cannot_change,
        volumes::come_back,
        sets::volumes_stay_with_tasks,
        sets::keep_a_task,
        service::role,
    ] {
        rule(change, &mut problems);
    }
    problems.extend(own.iter().flat_map(|rule| rule.run(change)));
    problems
}

#[cfg(test)]
mod fixture {
    //! A service and what becomes of it.

    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    use mainstay_spec::ServiceSpec;

    use super::{Change, Left, Problem, Version, run};
    use crate::offer::fixture;

    /// Both pods of the service.
    pub(super) static PLACED: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| BTreeSet::from(["hello", "world"]));
    /// Nothing was ever removed.
    pub(super) static LEFT: Left = Left::new();

    /// Two pods, each with two tasks, volumes and ports.
    pub(super) fn service() -> ServiceSpec {
        let mut world = fixture::pod();
        world.pod_type = "world".into();
        let mut spec = fixture::service(fixture::pod());
        spec.pods.push(world);
        spec
    }

    /// The service, changed.
    pub(super) fn changed(change: impl FnOnce(&mut ServiceSpec)) -> ServiceSpec {
        let mut spec = service();
        change(&mut spec);
        spec
    }

    /// From the service to this one, after a complete deployment with both pods, without a service account.
    pub(super) fn judged(new: &ServiceSpec, look: impl FnOnce(&mut Change<'_>)) -> Vec<Problem> {
        judged_from(&service(), new, look)
    }

    /// The same from another specification.
    pub(super) fn judged_from(
        old: &ServiceSpec,
        new: &ServiceSpec,
        look: impl FnOnce(&mut Change<'_>),
    ) -> Vec<Problem> {
        let version = |spec| Version { spec, role: "hello-role" };
        let old = Some(version(old));
        let mut change = Change {
            old,
            new: version(new),
            is_deployed: true,
            placed: &PLACED,
            left: &LEFT,
            has_service_account: false,
        };
        look(&mut change);
        run(&change, &[])
    }

    /// What every rule says about a change of the service, one text each.
    pub(super) fn problems(change: impl FnOnce(&mut ServiceSpec)) -> Vec<String> {
        texts(&judged(&changed(change), |_| {}))
    }

    /// The same for a service that is new.
    pub(super) fn problems_of_new(change: impl FnOnce(&mut ServiceSpec)) -> Vec<String> {
        texts(&judged(&changed(change), |change| change.old = None))
    }

    pub(super) fn texts(problems: &[Problem]) -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::{problems, problems_of_new};

    #[test]
    fn no_change_and_no_fault_has_no_problem() {
        assert_eq!(problems(|_| {}), Vec::<String>::new());
        assert_eq!(problems_of_new(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn all_rules_run_and_all_problems_are_told() {
        let found = problems(|spec| {
            spec.user = "other".into();
            spec.region = Some("east".into());
            spec.pods.pop();
            spec.pods[0].count = 1;
            spec.pods[0].volumes.clear();
        });
        let fields: Vec<&str> =
            found.iter().filter_map(|text| text.strip_prefix("Field: '")?.split('\'').next()).collect();
        assert_eq!(fields, ["pods.hello.count", "pods", "user", "region", "pods.hello.volumes"]);
    }
}
