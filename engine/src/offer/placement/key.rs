//! What a placement rule looks at.

use std::fmt;
use std::sync::Arc;

use crate::offer::Offer;
use crate::state::Task;

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

impl Key {
    /// Values of the agent of an offer.
    pub(super) fn of_offer<'a>(&'a self, offer: &'a Offer) -> impl Iterator<Item = &'a str> {
        let one = match self {
            Self::Hostname => Some(offer.hostname.as_str()),
            Self::Region => offer.region.as_deref(),
            Self::Zone => offer.zone.as_deref(),
            Self::Attribute(_) => None,
        };
        one.into_iter().chain(self.of_attributes(&offer.attributes))
    }

    /// Values of the agent of a stored task, as they were at its launch.
    pub(super) fn of_task<'a>(&'a self, task: &'a Task) -> impl Iterator<Item = &'a str> {
        let one = match self {
            Self::Hostname => task.hostname.as_deref(),
            Self::Region => task.region.as_deref(),
            Self::Zone => task.zone.as_deref(),
            Self::Attribute(_) => None,
        };
        one.into_iter().chain(self.of_attributes(&task.attributes))
    }

    fn of_attributes<'a>(&'a self, attributes: &'a [(String, String)]) -> impl Iterator<Item = &'a str> {
        let wanted = match self {
            Self::Attribute(name) => Some(&**name),
            Self::Hostname | Self::Region | Self::Zone => None,
        };
        wanted.into_iter().flat_map(move |wanted| {
            attributes.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value.as_str())
        })
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
