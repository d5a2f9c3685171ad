//! Gives up a reservation that the specification no longer has.

use super::OfferStage;
use crate::ids::ResourceId;
use crate::offer::report::{Outcome, Reason};
use crate::resource::{Pool, Resource, Value};

/// Takes the reservation out of the pool and puts its amount back as free; answers what must be unreserved.
///
/// Never fails: what is not in this offer is left to the clean-up of leftovers.
pub(in crate::offer) fn evaluate<'a>(
    name: &str,
    id: ResourceId,
    pool: &mut Pool<'a>,
) -> (Outcome, Option<&'a Resource>) {
    let taken = pool.take_reserved(name, &id);
    let name = name.to_owned();
    let (reason, orphan) = match taken {
        Some(orphan) => {
            pool.give_back(orphan);
            (Reason::OrphanUnreserved { name, amount: amount(orphan), id }, Some(orphan))
        }
        None => (Reason::OrphanAbsent { name, id }, None),
    };
    (Outcome::pass(OfferStage::Unreserve, reason), orphan)
}

/// The amount as text.
pub(super) fn amount(resource: &Resource) -> String {
    match &resource.value {
        Value::Scalar(amount) => amount.to_string(),
        Value::Ranges(ranges) => ranges.to_string(),
        Value::Set(items) => format!("{items:?}"),
    }
}
