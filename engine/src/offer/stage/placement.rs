//! Whether the pod may run on this agent.

use super::OfferStage;
use crate::offer::Offer;
use crate::offer::placement;
use crate::offer::report::{Outcome, Reason};
use crate::offer::requirement::Requirement;

/// Applies the rule of the pod. The line is there in any case: its absence would leave the operator guessing.
pub(in crate::offer) fn evaluate(requirement: &Requirement<'_>, offer: &Offer, is_placed: bool) -> Outcome {
    if is_placed && requirement.placement.is_some() {
        return Outcome::pass(OfferStage::Placement, Reason::PlacementKept);
    }
    match placement::judge(requirement, offer).filter(|_| !is_placed) {
        None => Outcome::pass(OfferStage::Placement, Reason::NoPlacementRule),
        Some(outcome) => Outcome { stage: OfferStage::Placement.as_str(), ..outcome },
    }
}
