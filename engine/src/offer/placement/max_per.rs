//! `UNIQUE` and `MAX_PER`: at most so many pods of one type share a value.

use super::{Counted, Key, count, key as keys};
use crate::offer::Offer;
use crate::offer::report::Reason;
use crate::offer::requirement::Requirement;

/// Every value of the offer has room for one more pod. Zone and attribute must exist; a region need not.
pub(super) fn check(
    key: &Key,
    max: u32,
    counted: &Counted,
    requirement: &Requirement<'_>,
    offer: &Offer,
) -> (bool, Reason) {
    let mut room = None;
    let counts = count::pods_by_value(key, counted, requirement);
    let of = || count::named(counted, requirement);
    for value in keys::of_offer(key, offer) {
        let pods = counts.pods_on(value);
        if pods >= max as usize {
            return (false, Reason::MaxReached { key: key.clone(), of: of(), found: value.to_owned(), pods, max });
        }
        room.get_or_insert((value, pods));
    }
    match room {
        Some((value, pods)) => {
            (true, Reason::BelowMax { key: key.clone(), of: of(), found: value.to_owned(), pods, max })
        }
        None if *key == Key::Region => (true, Reason::KeyAbsentAllowed { key: key.clone() }),
        None => (false, Reason::KeyAbsent { key: key.clone() }),
    }
}
