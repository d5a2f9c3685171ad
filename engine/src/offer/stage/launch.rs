//! What becomes of one task: launched, stored as reserved for, or left alone.

use super::OfferStage;
use crate::ids::TaskName;
use crate::offer::report::{Outcome, Reason};

/// Never fails: the stages before decide.
pub(in crate::offer) fn evaluate(task: TaskName, is_launched: bool, is_stored: bool) -> Outcome {
    let reason = match (is_launched, is_stored) {
        (true, _) => Reason::Launch { task },
        (false, true) => Reason::Footprint { task },
        (false, false) => Reason::Unchanged { task },
    };
    Outcome::pass(OfferStage::Launch, reason)
}
