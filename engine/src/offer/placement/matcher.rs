//! `IS`, `CLUSTER` and `LIKE`: a value of the agent is what the rule says.

use super::{Key, Matcher, key};
use crate::offer::Offer;
use crate::offer::report::Reason;

/// Any value of the key matches.
pub(super) fn check(matcher: &Matcher, key: &Key, offer: &Offer) -> (bool, Reason) {
    let wanted = matcher.text().to_owned();
    let mut other = None;
    for value in key::of_offer(key, offer) {
        if matcher.matches(value) {
            return (true, Reason::Matches { key: key.clone(), found: value.to_owned(), wanted });
        }
        other.get_or_insert(value);
    }
    match other {
        None => (false, Reason::KeyAbsent { key: key.clone() }),
        Some(value) => (false, Reason::MatchesNot { key: key.clone(), found: value.to_owned(), wanted }),
    }
}
