//! `TaskTypeRule`: on the same agent as pods of another type, or away from them.

use mainstay_spec::placement::Neighbour;

use super::count;
use crate::offer::Offer;
use crate::offer::report::Reason;
use crate::offer::requirement::Requirement;

/// Looks one way only: a pod that comes later is not held to the rules of those that are there. Passes while there is no pod of the type.
pub(super) fn check(
    pod_type: &str,
    neighbour: Neighbour,
    requirement: &Requirement<'_>,
    offer: &Offer,
) -> (bool, Reason) {
    let counts = count::pods_by_agent(pod_type, requirement);
    let (here, all) = (counts.pods_on(&offer.agent_id), counts.all);
    match neighbour {
        _ if all == 0 => (true, Reason::NoPodOfType),
        Neighbour::Avoid if here == 0 => (true, Reason::Away { all }),
        Neighbour::Avoid => (false, Reason::NotAway { pod_type: pod_type.to_owned(), here }),
        Neighbour::Colocate if here > 0 => (true, Reason::Beside { here }),
        Neighbour::Colocate => (false, Reason::NotBeside { pod_type: pod_type.to_owned(), all }),
    }
}
