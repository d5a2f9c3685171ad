//! Where a pod may run: the rules, and how authors write them.
//!
//! Not their evaluation: the engine holds an offer and the stored tasks against a rule.
//! Invariant: a rule is parsed once, when the specification is loaded; whoever holds one need not handle bad text.
//!
//! Next: `placement/parse.rs` for the spellings, `placement/marathon.rs` for fields and operators, `placement/matcher.rs`.

mod marathon;
mod matcher;
mod parse;
mod spelling;

use std::{fmt, ops::Range, sync::Arc};

pub use matcher::Matcher;
pub use parse::ParseError;

/// A property of agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Advertised name.
    Hostname,
    /// Region of the fault domain.
    Region,
    /// Zone of the fault domain.
    Zone,
    /// Attribute of this name; an agent may have several.
    Attribute(Arc<str>),
}

/// What a counting rule counts. The instance that is being placed never counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// Instances of this pod type.
    Pods(String),
    /// Instances of every pod type.
    All,
    /// Instances with a task of a matching full name; only code and stored forms say this.
    TaskNames(Matcher),
}

/// What a rule about another pod type asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbour {
    /// To be on an agent without it.
    Avoid,
    /// To be on an agent with it.
    Colocate,
}

/// A placement rule. Closed: a new rule is a new variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// A value of the key matches.
    Match {
        /// What is looked at.
        key: Key,
        /// What it must be.
        matcher: Matcher,
    },
    /// At most this many counted pods share a value of the key.
    MaxPer {
        /// What is looked at.
        key: Key,
        /// At least 1.
        max: u32,
        /// What counts.
        counted: Counted,
    },
    /// Counted pods are spread evenly over the values of the key.
    RoundRobin {
        /// What is looked at.
        key: Key,
        /// How many values there will be.
        expected: Option<u32>,
        /// What counts.
        counted: Counted,
    },
    /// Every rule passes.
    And(Vec<Rule>),
    /// At least one rule passes.
    Or(Vec<Rule>),
    /// The rule fails.
    Not(Box<Rule>),
    /// Always passes.
    Passthrough,
    /// The agent is in the master's own region.
    LocalRegion,
    /// The agent has this id.
    Agent(String),
    /// Relative to the pods of another type.
    PodType {
        /// The other type.
        pod_type: String,
        /// On the same agent or not.
        neighbour: Neighbour,
    },
    /// A stored rule of a kind that is not known, kept as its JSON; nothing passes it.
    Unknown(String),
}

/// What came of the text of a constraint.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The rule; none when the text says nothing, or when there are errors.
    pub(crate) rule: Option<Rule>,
    /// Everything that cannot be understood, by place.
    pub(crate) errors: Vec<ParseError>,
    /// What may be meant otherwise.
    pub(crate) remarks: Vec<Remark>,
    /// How many patterns were compiled, each of which takes some time, and memory when it is kept.
    pub(crate) patterns: usize,
}

/// What the author of a constraint should look at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    /// What is read, which may not be what is meant.
    pub(crate) message: String,
    /// Bytes of the text that it is about.
    pub(crate) at: Range<usize>,
    /// What to write instead.
    pub(crate) help: Option<String>,
}

impl Rule {
    /// Reads a constraint as authors write it; `None` when it says nothing.
    ///
    /// Shape: JSON list, JSON list of lists, or `field:OPERATOR[:value],…` with `\,` and `\:`.
    /// Errors: the first problem, with its place in the text.
    /// Source: `svc.yml` `placement`; Marathon constraints.
    pub fn parse(text: &str, pod_type: &str) -> Result<Option<Self>, ParseError> {
        let Reading { rule, errors, .. } = Self::read(text, pod_type);
        errors.into_iter().next().map_or(Ok(rule), Err)
    }

    /// Reads a constraint as authors write it, with all there is to say about it.
    pub(crate) fn read(text: &str, pod_type: &str) -> Reading {
        marathon::read(parse::rows(text), pod_type)
    }

    /// Whether the answer depends on where other pods are.
    pub fn is_counting(&self) -> bool {
        match self {
            Self::Match { .. } | Self::Passthrough | Self::LocalRegion | Self::Agent(_) | Self::Unknown(_) => false,
            Self::MaxPer { .. } | Self::RoundRobin { .. } | Self::PodType { .. } => true,
            Self::And(rules) | Self::Or(rules) => rules.iter().any(Self::is_counting),
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
            Self::And(rules) | Self::Or(rules) => rules.iter().any(|rule| rule.references(wanted)),
            Self::Not(rule) => rule.references(wanted),
            Self::LocalRegion => *wanted == Key::Region,
            Self::Passthrough | Self::Agent(_) | Self::PodType { .. } | Self::Unknown(_) => false,
        }
    }

    /// The first stored rule of an unknown kind in it, as its JSON.
    pub fn unknown(&self) -> Option<&str> {
        match self {
            Self::Unknown(text) => Some(text),
            Self::And(rules) | Self::Or(rules) => rules.iter().find_map(Self::unknown),
            Self::Not(rule) => rule.unknown(),
            Self::Match { .. }
            | Self::MaxPer { .. }
            | Self::RoundRobin { .. }
            | Self::Passthrough
            | Self::LocalRegion
            | Self::Agent(_)
            | Self::PodType { .. } => None,
        }
    }

    /// Name of the SDK's class, shown in reports and stored.
    pub fn class_name(&self) -> &'static str {
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
            Self::Or(_) => "OrRule",
            Self::Not(_) => "NotRule",
            Self::Passthrough => "PassthroughRule",
            Self::LocalRegion => "IsLocalRegionRule",
            Self::Agent(_) => "AgentRule",
            Self::PodType { .. } => "TaskTypeRule",
            Self::Unknown(_) => "UnknownRule",
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hostname => f.write_str("hostname"),
            Self::Region => f.write_str("region"),
            Self::Zone => f.write_str("zone"),
            Self::Attribute(name) => write!(f, "attribute {name}"),
        }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pods(pod_type) => f.write_str(pod_type),
            Self::All => f.write_str("all pods"),
            Self::TaskNames(matcher) => write!(f, "tasks named {}", matcher.text()),
        }
    }
}

/// The rule in few words, for people.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, rules: &[Self], word: &str| {
            for (at, rule) in rules.iter().enumerate() {
                f.write_str(if at == 0 { "" } else { word })?;
                match rule {
                    Self::And(inner) | Self::Or(inner) if inner.len() > 1 => write!(f, "({rule})")?,
                    _ => write!(f, "{rule}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Match { key, matcher: Matcher::Exact(text) } => write!(f, "{key} IS {text}"),
            Self::Match { key, matcher: Matcher::Regex { text, .. } } => write!(f, "{key} LIKE {text}"),
            Self::MaxPer { key, max, counted } => write!(f, "{key} max {max} of {counted}"),
            Self::RoundRobin { key, expected: Some(expected), counted } => {
                write!(f, "{key} spread over {expected} of {counted}")
            }
            Self::RoundRobin { key, expected: None, counted } => write!(f, "{key} spread over all of {counted}"),
            Self::And(rules) => joined(f, rules, " AND "),
            Self::Or(rules) => joined(f, rules, " OR "),
            Self::Not(rule) => write!(f, "NOT ({rule})"),
            Self::Passthrough => f.write_str("anywhere"),
            Self::LocalRegion => f.write_str("region of the master"),
            Self::Agent(id) => write!(f, "agent {id}"),
            Self::PodType { pod_type, neighbour: Neighbour::Avoid } => write!(f, "away from {pod_type}"),
            Self::PodType { pod_type, neighbour: Neighbour::Colocate } => write!(f, "beside {pod_type}"),
            Self::Unknown(_) => f.write_str("a stored rule of an unknown kind"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn references_to_region_and_zone_are_found_inside() {
        let rule = |text| Rule::parse(text, "p").unwrap().unwrap();
        let both = rule("hostname:UNIQUE,@zone:IS_NOT:a");
        assert!(both.references_zone() && !both.references_region());
        assert!(rule("@region:GROUP_BY").references_region());
    }
}
