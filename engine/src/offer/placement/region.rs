//! `IsLocalRegionRule`: the agent is in the region of the master. So is every pod whose rule says nothing about regions.

use super::Rule;
use crate::offer::Offer;
use crate::offer::report::Reason;
use crate::offer::requirement::Requirement;

/// Fails only where both regions are known and differ: an agent without a fault domain counts as local, as it does for Mesos.
pub(super) fn check(requirement: &Requirement<'_>, offer: &Offer) -> (bool, Reason) {
    match (offer.region.as_deref(), requirement.local_region) {
        (None, _) => (true, Reason::RegionAbsent),
        (Some(_), None) => (true, Reason::RegionUnknown),
        (Some(found), Some(local)) if found == local => (true, Reason::RegionLocal),
        (Some(found), Some(local)) => {
            (false, Reason::RegionRemote { found: found.to_owned(), local: local.to_owned() })
        }
    }
}

/// Why the agent of another region cannot be used by a pod whose rule says nothing about regions: a framework that knows regions is offered
/// all of them, one that does not only that of the master, and a pod must not notice the difference.
pub(super) fn stray(requirement: &Requirement<'_>, offer: &Offer) -> Option<Reason> {
    let (found, local) = (offer.region.as_deref()?, requirement.local_region?);
    let is_stray = found != local && !requirement.placement.is_some_and(Rule::references_region);
    is_stray.then(|| Reason::RegionRemote { found: found.to_owned(), local: local.to_owned() })
}
