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

pub use key::Key;
pub use matcher::Matcher;
pub use parse::ParseError;

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
