//! Whether the pod may run on this agent.

use super::OfferStage;
use crate::offer::Offer;
use crate::offer::placement;
use crate::offer::report::{Outcome, Reason};
use crate::offer::requirement::Requirement;

/// Applies the rule of the pod. The line is there in any case: its absence would leave the operator guessing.
pub(in crate::offer) fn evaluate(requirement: &Requirement<'_>, offer: &Offer, is_placed: bool) -> Outcome {
    match requirement.placement {
        None => Outcome::pass(OfferStage::Placement, Reason::NoPlacementRule),
        Some(_) if is_placed => Outcome::pass(OfferStage::Placement, Reason::PlacementKept),
        Some(rule) => {
            let outcome = placement::check(rule, requirement, offer);
            Outcome { stage: OfferStage::Placement.as_str(), ..outcome }
        }
    }
}
