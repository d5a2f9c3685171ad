//! What to give back of an offer that no step has used.
//!
//! Not here: how long the rest is declined (the engine decides that).
//! Invariant: only reservations of our role with a resource id, and without another framework's label, are ever touched.

use std::collections::BTreeSet;

use mainstay_proto::v1::offer::Operation;

use super::{Offer, operation};
use crate::ids::{FrameworkId, ResourceId};
use crate::resource::{LABEL_FRAMEWORK_ID, Resource};

/// Whether a reserved resource is this framework's.
///
/// Shape: a resource id; every dynamic layer is of our role or a role above it, the outermost is ours; no framework label, or ours.
pub fn is_ours(resource: &Resource, role: &str, framework_id: &FrameworkId) -> bool {
    resource.is_dynamically_reserved()
        && resource.role() == role
        && resource.reservation_label(crate::resource::LABEL_RESOURCE_ID).is_some()
        && resource.reservation_label(LABEL_FRAMEWORK_ID).is_none_or(|owner| owner == framework_id.as_str())
}

/// Our reservations in the offer that nothing needs.
pub fn orphans<'a>(
    offer: &'a Offer,
    keep: &BTreeSet<ResourceId>,
    role: &str,
    framework_id: &FrameworkId,
) -> Vec<&'a Resource> {
    offer
        .resources
        .iter()
        .filter(|resource| is_ours(resource, role, framework_id))
        .filter(|resource| resource.resource_id().is_some_and(|id| !keep.contains(&id)))
        .collect()
}

/// Operations that give them back: all DESTROYs first, since a reservation with a volume on it cannot go.
pub fn release(orphans: &[&Resource]) -> Vec<Operation> {
    let volumes = orphans.iter().filter(|orphan| orphan.persistence_id().is_some());
    let mut operations: Vec<_> = volumes.map(|volume| operation::destroy(volume)).collect();
    operations.extend(orphans.iter().map(|orphan| operation::unreserve(orphan)));
    operations
}
