//! `GROUP_BY`: pods of one type spread evenly over the values.

use super::{Counted, Key, count, key as keys};
use crate::offer::Offer;
use crate::offer::report::Reason;
use crate::offer::requirement::Requirement;

/// No value gets another pod while a known one has fewer, or while fewer values are known than expected.
pub(super) fn check(
    key: &Key,
    expected: Option<u32>,
    counted: &Counted,
    requirement: &Requirement<'_>,
    offer: &Offer,
) -> (bool, Reason) {
    let counts = count::pods_by_value(key, counted, requirement);
    // An attribute may occur several times: the fullest value decides.
    let Some((value, pods)) =
        keys::of_offer(key, offer).map(|value| (value, counts.pods_on(value))).max_by_key(|(_, pods)| *pods)
    else {
        return (false, Reason::KeyAbsent { key: key.clone() });
    };
    let found = value.to_owned();
    let key = key.clone();
    let of = count::named(counted, requirement);
    let (least, most) = (counts.least, counts.most);
    if least != most && pods > least {
        return (false, Reason::Unbalanced { key, of, found, pods, least, most });
    }
    let known = counts.values.len();
    match expected {
        Some(expected) if known < expected as usize && pods > 0 => {
            (false, Reason::OtherValuesFirst { key, of, found, known, expected })
        }
        _ => (true, Reason::Balanced { key, of, found, pods, least }),
    }
}
