//! Destroys a volume that the specification no longer has.

use super::OfferStage;
use super::unreserve::amount;
use crate::offer::report::{Outcome, Reason};
use crate::resource::Resource;

/// Says so; `None` when the resource is no volume. The volume must go before its reservation can.
pub(in crate::offer) fn evaluate(orphan: &Resource) -> Option<Outcome> {
    let (volume, id) = (orphan.persistence_id()?.clone(), orphan.resource_id()?);
    let reason = Reason::OrphanDestroyed { size: amount(orphan), id, volume };
    Some(Outcome::pass(OfferStage::Destroy, reason))
}
