//! `IsLocalRegionRule`: the agent is in the region of the master.

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
