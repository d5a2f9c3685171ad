//! The values that agents and stored tasks have for what a rule looks at.

use super::Key;
use crate::offer::Offer;
use crate::state::Task;

/// Values of the agent of an offer.
pub(super) fn of_offer<'a>(key: &'a Key, offer: &'a Offer) -> impl Iterator<Item = &'a str> {
    let one = match key {
        Key::Hostname => Some(offer.hostname.as_str()),
        Key::Region => offer.region.as_deref(),
        Key::Zone => offer.zone.as_deref(),
        Key::Attribute(_) => None,
    };
    one.into_iter().chain(of_attributes(key, &offer.attributes))
}

/// Values of the agent of a stored task, as they were at its launch.
pub(super) fn of_task<'a>(key: &'a Key, task: &'a Task) -> impl Iterator<Item = &'a str> {
    let one = match key {
        Key::Hostname => task.hostname.as_deref(),
        Key::Region => task.region.as_deref(),
        Key::Zone => task.zone.as_deref(),
        Key::Attribute(_) => None,
    };
    one.into_iter().chain(of_attributes(key, &task.attributes))
}

fn of_attributes<'a>(key: &'a Key, attributes: &'a [(String, String)]) -> impl Iterator<Item = &'a str> {
    let wanted = match key {
        Key::Attribute(name) => Some(&**name),
        Key::Hostname | Key::Region | Key::Zone => None,
    };
    wanted.into_iter().flat_map(move |wanted| {
        attributes.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value.as_str())
    })
}
