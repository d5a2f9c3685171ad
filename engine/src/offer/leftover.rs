//! What to give back of an offer that no step has used.
//!
//! Not here: how long the rest is declined (the engine decides that).
//! Invariant: only reservations with a resource id are ever touched, and those with another framework's label only when we made
//! and gave them up ourselves: under the id of a framework that was removed since. Several services may share one role; of reservations without
//! a framework's label, as older schedulers made them, only those of our principal are ours.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_proto::v1::offer::Operation;

use super::{Offer, operation, role};
use crate::ids::{FrameworkId, ResourceId};
use crate::resource::{LABEL_FRAMEWORK_ID, Resource};
use crate::state::GivenUp;

/// Who reserves: what tells our reservations from others.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// Role of the service.
    pub role: &'a str,
    /// Its principal.
    pub principal: &'a str,
    /// Its id.
    pub framework_id: &'a FrameworkId,
}

/// Whether a reserved resource is this framework's.
///
/// Shape: a resource id; the outermost layer is dynamic and has our label, or no framework's, our principal, and our role or one that we have
/// below another.
pub fn is_ours(resource: &Resource, owner: Owner<'_>) -> bool {
    let principal = resource.reservations.last().and_then(|last| last.principal.as_deref());
    resource.is_dynamically_reserved()
        && resource.reservation_label(crate::resource::LABEL_RESOURCE_ID).is_some()
        && match resource.reservation_label(LABEL_FRAMEWORK_ID) {
            Some(framework) => framework == owner.framework_id.as_str(),
            None => principal == Some(owner.principal) && role::is_own(resource.role(), owner.role),
        }
}

/// Our reservations in the offer that nothing needs; `releasing` are those we gave up ourselves.
pub fn orphans<'a>(
    offer: &'a Offer,
    keep: &BTreeSet<ResourceId>,
    owner: Owner<'_>,
    releasing: &BTreeMap<ResourceId, GivenUp>,
) -> Vec<&'a Resource> {
    let is_given_up = |resource: &Resource| {
        let given_up = resource.resource_id().and_then(|id| releasing.get(&id));
        given_up.is_some_and(|given_up| match &given_up.role {
            Some(role) => role == resource.role(),
            None => role::is_own(resource.role(), owner.role),
        })
    };
    offer
        .resources
        .iter()
        .filter(|resource| is_ours(resource, owner) || is_given_up(resource))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::offer::fixture::{ROLE, World, pod, scalar, units};
    use crate::offer::requirement::Recovery;
    use crate::resource::{Reservation, ReservationKind};

    fn framework() -> FrameworkId {
        FrameworkId::parse("framework-1").unwrap()
    }

    fn owner(framework_id: &FrameworkId) -> Owner<'_> {
        Owner { role: ROLE, principal: "hello-principal", framework_id }
    }

    #[test]
    fn what_nothing_needs_is_destroyed_and_unreserved_and_the_agent_is_as_before() {
        let mut world = World::new(pod());
        let before: u64 = world.master.free.len() as u64;
        let accepted = world.launch(&["server"], Recovery::None).accepted.unwrap();
        world.end();
        let offer = world.offer();
        let keep: BTreeSet<_> = accepted.planned.iter().cloned().collect();
        let own = framework();
        let own = owner(&own);
        assert_eq!(orphans(&offer, &keep, own, &BTreeMap::new()), Vec::<&Resource>::new());

        // What an earlier framework id of ours reserved is told by the list of what we gave up.
        let other = FrameworkId::parse("framework-2").unwrap();
        let none = BTreeSet::new();
        assert_eq!(orphans(&offer, &none, owner(&other), &BTreeMap::new()), Vec::<&Resource>::new());
        let releasing = keep.iter().map(|id| (id.clone(), GivenUp::read(offer.agent_id.as_str()).unwrap())).collect();
        assert_eq!(orphans(&offer, &none, owner(&other), &releasing).len(), keep.len());

        let found = orphans(&offer, &none, own, &BTreeMap::new());
        assert_eq!(found.len(), accepted.planned.len());
        world.master.apply(&release(&found)).unwrap();
        assert_eq!(world.master.free.len() as u64, before, "everything is unreserved");
    }

    #[test]
    fn what_is_not_ours_is_never_touched() {
        let layer = |kind, role: &str, labels: &[(&str, &str)]| Reservation {
            kind,
            role: role.into(),
            principal: Some("hello-principal".into()),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))).collect(),
        };
        let dynamic = |role: &str, labels: &[(&str, &str)]| layer(ReservationKind::Dynamic, role, labels);
        let ours = |layers: Vec<Reservation>| {
            let resource = Resource { reservations: layers, ..scalar("cpus", units(1)) };
            is_ours(&resource, owner(&framework()))
        };
        assert!(ours(vec![dynamic(ROLE, &[("resource_id", "r")])]), "older ones do not name the framework");
        assert!(ours(vec![dynamic(ROLE, &[("framework_id", "framework-1"), ("resource_id", "r")])]));
        // Without it the principal tells services apart that share a role.
        for principal in [None, Some("other-principal".to_owned())] {
            let of = |labels| Reservation { principal: principal.clone(), ..dynamic(ROLE, labels) };
            assert!(!ours(vec![of(&[("resource_id", "r")])]), "{principal:?}");
            assert!(ours(vec![of(&[("framework_id", "framework-1"), ("resource_id", "r")])]), "the label says it all");
        }
        assert!(!ours(vec![]));
        assert!(!ours(vec![dynamic(ROLE, &[("framework_id", "framework-2"), ("resource_id", "r")])]));
        assert!(!ours(vec![dynamic(ROLE, &[])]));
        assert!(!ours(vec![dynamic("other", &[("resource_id", "r")])]));
        assert!(!ours(vec![layer(ReservationKind::Static, ROLE, &[("resource_id", "r")])]));
    }
}
