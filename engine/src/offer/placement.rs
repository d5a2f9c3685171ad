//! Where a pod may run.
//!
//! Rules look at the offer and at *all* stored tasks of the service, running or not. Counting rules count pod instances of the exact type
//! (the SDK counts tasks, and by a name prefix); tasks of the instance that is being placed never count.
//! Invariant: a rule is parsed once, when the specification is loaded; `check` cannot fail.
//!
//! Read next: `placement/parse.rs` for the spellings, `placement/key.rs` for what can be looked at.

mod count;
mod key;
mod marathon;
mod matcher;
mod max_per;
mod parse;
mod round_robin;

pub use count::Counts;
pub use key::Key;
pub use matcher::Matcher;
pub use parse::ParseError;

use std::fmt;

use super::Offer;
use super::report::{Outcome, Reason};
use super::requirement::Requirement;

/// A placement rule. Closed: a new rule is a new variant here and a file below.
#[derive(Debug, Clone)]
pub enum Rule {
    /// A value of the key matches.
    Match {
        /// What is looked at.
        key: Key,
        /// What it must be.
        matcher: Matcher,
    },
    /// At most this many pods of one type share a value of the key.
    MaxPer {
        /// What is looked at.
        key: Key,
        /// At least 1.
        max: u32,
        /// Pod type that counts.
        pod_type: String,
    },
    /// Pods of one type are spread evenly over the values of the key.
    RoundRobin {
        /// What is looked at.
        key: Key,
        /// How many values there will be.
        expected: Option<u32>,
        /// Pod type that counts.
        pod_type: String,
    },
    /// Every rule passes; at least two.
    And(Vec<Rule>),
    /// The rule fails.
    Not(Box<Rule>),
}

impl Rule {
    /// Reads a constraint as authors write it; `None` when it says nothing.
    ///
    /// Shape: JSON list, JSON list of lists, or `field:OPERATOR[:value],…` with `\,` and `\:`.
    /// Errors: the first problem, with its byte offset in the text.
    /// Source: `svc.yml` `placement`; Marathon constraints.
    pub fn parse(text: &str, pod_type: &str) -> Result<Option<Self>, ParseError> {
        marathon::rule(parse::rows(text)?, pod_type)
    }

    /// Whether the pod may run on the agent of this offer.
    pub fn check(&self, requirement: &Requirement<'_>, offer: &Offer) -> Outcome {
        let (passed, reason) = match self {
            Self::Match { key, matcher } => matcher.check(key, offer),
            Self::MaxPer { key, max, pod_type } => max_per::check(key, *max, pod_type, requirement, offer),
            Self::RoundRobin { key, expected, pod_type } => {
                round_robin::check(key, *expected, pod_type, requirement, offer)
            }
            Self::And(rules) => {
                let children: Vec<_> = rules.iter().map(|rule| rule.check(requirement, offer)).collect();
                let passing = children.iter().filter(|child| child.passed).count();
                let reason = Reason::RulesPassing { passing, of: children.len() };
                return Outcome { stage: self.class_name(), passed: passing == children.len(), reason, children };
            }
            Self::Not(rule) => {
                let child = rule.check(requirement, offer);
                let passed = !child.passed;
                return Outcome { stage: self.class_name(), passed, reason: Reason::Negated, children: vec![child] };
            }
        };
        Outcome::new(self.class_name(), passed, reason)
    }

    /// Whether the answer depends on where other pods are.
    pub fn is_counting(&self) -> bool {
        match self {
            Self::Match { .. } => false,
            Self::MaxPer { .. } | Self::RoundRobin { .. } => true,
            Self::And(rules) => rules.iter().any(Self::is_counting),
            Self::Not(rule) => rule.is_counting(),
        }
    }

    /// Whether the rule looks at the region (`PLACEMENT_REFERENCED_REGION`).
    pub fn references_region(&self) -> bool {
        self.references(&Key::Region)
    }

    /// Whether the rule looks at the zone (`PLACEMENT_REFERENCED_ZONE`).
    pub fn references_zone(&self) -> bool {
        self.references(&Key::Zone)
    }

    fn references(&self, wanted: &Key) -> bool {
        match self {
            Self::Match { key, .. } | Self::MaxPer { key, .. } | Self::RoundRobin { key, .. } => key == wanted,
            Self::And(rules) => rules.iter().any(|rule| rule.references(wanted)),
            Self::Not(rule) => rule.references(wanted),
        }
    }

    /// Name of the SDK's class, shown in reports.
    fn class_name(&self) -> &'static str {
        match self {
            Self::Match { key, .. } => match key {
                Key::Hostname => "HostnameRule",
                Key::Region => "RegionRule",
                Key::Zone => "ZoneRule",
                Key::Attribute(_) => "AttributeRule",
            },
            Self::MaxPer { key, .. } => match key {
                Key::Hostname => "MaxPerHostnameRule",
                Key::Region => "MaxPerRegionRule",
                Key::Zone => "MaxPerZoneRule",
                Key::Attribute(_) => "MaxPerAttributeRule",
            },
            Self::RoundRobin { key, .. } => match key {
                Key::Hostname => "RoundRobinByHostnameRule",
                Key::Region => "RoundRobinByRegionRule",
                Key::Zone => "RoundRobinByZoneRule",
                Key::Attribute(_) => "RoundRobinByAttributeRule",
            },
            Self::And(_) => "AndRule",
            Self::Not(_) => "NotRule",
        }
    }
}

/// The rule in few words, for people.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Match { key, matcher: Matcher::Exact(text) } => write!(f, "{key} IS {text}"),
            Self::Match { key, matcher: Matcher::Regex { text, .. } } => write!(f, "{key} LIKE {text}"),
            Self::MaxPer { key, max, pod_type } => write!(f, "{key} max {max} of {pod_type}"),
            Self::RoundRobin { key, expected: Some(expected), pod_type } => {
                write!(f, "{key} spread over {expected} of {pod_type}")
            }
            Self::RoundRobin { key, expected: None, pod_type } => write!(f, "{key} spread over all of {pod_type}"),
            Self::And(rules) => {
                for (at, rule) in rules.iter().enumerate() {
                    write!(f, "{}{rule}", if at == 0 { "" } else { " AND " })?;
                }
                Ok(())
            }
            Self::Not(rule) => write!(f, "NOT ({rule})"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ids::PodInstance;
    use crate::offer::fixture::{World, pod, roomy};
    use crate::state::Task;

    /// Stored tasks from `pod-index-task@hostname/rack/zone`, `-` for none.
    fn tasks(world: &mut World, texts: &[&str]) -> Vec<Task> {
        let template = {
            world.launch(&["server"], crate::offer::requirement::Recovery::None);
            let task = world.stored.first().unwrap().clone();
            world.stored.clear();
            task
        };
        let some = |text: &str| (text != "-").then(|| text.to_owned());
        let one = |text: &&str| {
            let (name, place) = text.split_once('@').unwrap();
            let mut parts = name.rsplitn(3, '-');
            let (_task, index, pod_type) = (parts.next(), parts.next().unwrap(), parts.next().unwrap());
            let mut place = place.split('/').map(some);
            Task {
                name: crate::ids::TaskName::parse(name).unwrap(),
                pod: PodInstance { pod_type: pod_type.into(), index: index.parse().unwrap() },
                hostname: place.next().unwrap(),
                region: None,
                attributes: place.next().unwrap().map(|rack| ("rack".to_owned(), rack)).into_iter().collect(),
                zone: place.next().unwrap(),
                ..template.clone()
            }
        };
        texts.iter().map(one).collect()
    }

    /// The offer is of `host1`, rack `r1`, region `west`, without a zone.
    #[track_caller]
    fn check(rule: &str, others: &[&str], expected: &str) {
        let mut world = World::new(pod());
        world.others = tasks(&mut world, others);
        world.master.free = roomy();
        world.pod_mut().placement = Some(rule.to_owned());
        let evaluation = world.evaluate(&["server"], crate::offer::requirement::Recovery::None);
        let outcome = evaluation.report.outcomes.get(1).unwrap();
        assert_eq!(outcome.stage, "PlacementRuleEvaluationStage");
        assert_eq!(format!("{} {}", outcome.passed, outcome.reason), expected, "{rule}");
    }

    #[test]
    fn matches() {
        check("hostname:IS:host1", &[], "true hostname 'host1' matches 'host1'");
        check("hostname:LIKE:host", &[], "false hostname 'host1' does not match 'host'");
        check("hostname:LIKE:x|host[0-9]", &[], "true hostname 'host1' matches 'x|host[0-9]'");
        check("rack:CLUSTER:r1", &[], "true attribute rack 'r1' matches 'r1'");
        check("Rack:CLUSTER:r1", &[], "false The agent has no attribute Rack");
        check("@region:IS:west", &[], "true region 'west' matches 'west'");
        check("@zone:LIKE:.*", &[], "false The agent has no zone");
        check("@zone:UNLIKE:.*", &[], "true Passes when the rule below fails");
        // In the SDK any other attribute that differs lets it pass.
        check("rack:IS_NOT:r1", &[], "false Passes when the rule below fails");
        check("none:IS_NOT:r1", &[], "true Passes when the rule below fails");
        check("hostname:IS:host1,rack:IS:r2", &[], "false 1 of 2 rules are passing");
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let matches = |wanted: &str, found: &str| {
            let mut offer = crate::offer::fixture::offer(Vec::new());
            offer.attributes = vec![("n".into(), found.into())];
            Matcher::Exact(wanted.into()).check(&Key::Attribute("n".into()), &offer).0
        };
        assert!(matches("3", "3.000") && matches("0.5", ".5004") && matches("-2", "-2.0") && matches("-0", "0"));
        assert!(!matches("3", "3.001") && !matches("-2", "2") && !matches("3", "3a") && !matches("1e400", "2e400"));
    }

    #[test]
    fn unique_counts_pods_of_the_exact_type_but_not_the_placed_one() {
        let free = "true hostname 'host1' has 0 of at most 1 pods of this type";
        check("hostname:UNIQUE", &[], free);
        check("hostname:UNIQUE", &["hello-0-old@host1/r1/-", "hello-1-x@host2/r1/-", "other-1-x@host1/r1/-"], free);
        // The SDK counts by prefix: `hello-world` would count as `hello`.
        check("hostname:UNIQUE", &["hello-world-1-x@host1/r1/-"], free);
        check(
            "hostname:UNIQUE",
            &["hello-1-x@host1/r1/-"],
            "false hostname 'host1' already has 1 pods of this type, at most 1 may be",
        );
    }

    #[test]
    fn max_per_counts_pods_not_tasks() {
        let two_tasks = ["hello-1-a@host1/r1/-", "hello-1-b@host1/r1/-"];
        check("rack:MAX_PER:2", &two_tasks, "true attribute rack 'r1' has 1 of at most 2 pods of this type");
        let pods = ["hello-1-a@h/r1/-", "hello-2-b@h/r1/-", "hello-3-b@h/-/-"];
        check("rack:MAX_PER:2", &pods, "false attribute rack 'r1' already has 2 pods of this type, at most 2 may be");
        check("@zone:MAX_PER:2", &[], "false The agent has no zone");
        check("none:UNIQUE", &[], "false The agent has no attribute none");
        check("@region:MAX_PER:1", &[], "true region 'west' has 0 of at most 1 pods of this type");
    }

    #[test]
    fn group_by_fills_the_emptiest_first() {
        let rack = "rack:GROUP_BY";
        check(rack, &[], "true attribute rack 'r1' has 0 pods of this type, the least is 0");
        check(rack, &["hello-1-a@h/r1/-"], "true attribute rack 'r1' has 1 pods of this type, the least is 1");
        check(
            rack,
            &["hello-1-a@h/r1/-", "hello-2-a@h/r1/-", "hello-3-a@h/r2/-"],
            "false attribute rack 'r1' has 2 pods of this type while others have 1 (least) to 2 (most)",
        );
        check(
            "rack:GROUP_BY:3",
            &["hello-1-a@h/r1/-", "hello-2-a@h/r2/-"],
            "false attribute rack 'r1' already has pods of this type while only 2 of 3 expected values have any",
        );
        check(
            "rack:GROUP_BY:2",
            &["hello-1-a@h/r1/-", "hello-2-a@h/r2/-"],
            "true attribute rack 'r1' has 1 pods of this type, the least is 1",
        );
        check("@zone:GROUP_BY", &[], "false The agent has no zone");
    }

    #[test]
    fn references_to_region_and_zone_are_found_inside() {
        let rule = |text| Rule::parse(text, "p").unwrap().unwrap();
        let both = rule("hostname:UNIQUE,@zone:IS_NOT:a");
        assert!(both.references_zone() && !both.references_region());
        assert!(rule("@region:GROUP_BY").references_region());
    }
}
