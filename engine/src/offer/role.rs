//! Roles: which one a pod's reservations have, and what they are taken from.
//!
//! | pod | takes from | reserves for | stack of its reservations |
//! |---|---|---|---|
//! | as usual | what nobody has reserved, `*` | the service's role | DYNAMIC `role` |
//! | `pre-reserved-role: X` | what agents hold for `X` (static) | `X/role` | STATIC `X`, DYNAMIC `X/role` |
//!
//! An instance that was placed while the service had another role stays with that one until it is replaced: its data is there.
//!
//! Not here: the choice of the service's own role (the process's settings).
//! Invariant: a pod uses offers of its own role only, so that one accept never mixes two.

use std::borrow::Cow;
use std::collections::BTreeSet;

use mainstay_spec::{PodSpec, ServiceSpec};

use super::Offer;

/// Role of what nobody has reserved.
pub const UNRESERVED: &str = "*";

/// The role of a pod's reservations, in a service of role `main`.
pub fn of_pod<'a>(pod: &PodSpec, main: &'a str) -> Cow<'a, str> {
    match &pod.pre_reserved_role {
        None => Cow::Borrowed(main),
        Some(outer) => Cow::Owned(format!("{outer}/{main}")),
    }
}

/// The role whose resources a pod reserves.
pub fn below(pod: &PodSpec) -> &str {
    pod.pre_reserved_role.as_deref().unwrap_or(UNRESERVED)
}

/// The role an offer is made to; without one it is that of the service.
pub fn of_offer<'a>(offer: &'a Offer, main: &'a str) -> &'a str {
    offer.allocation_role.as_deref().unwrap_or(main)
}

/// What pods of this role reserve: `X` for `X/main`.
pub fn refined_by<'a>(role: &'a str, main: &str) -> &'a str {
    let outer = role.strip_suffix(main).and_then(|outer| outer.strip_suffix('/'));
    outer.filter(|outer| !outer.is_empty()).unwrap_or(UNRESERVED)
}

/// Whether reservations of a role are those of this service: its own, or one that it has below a pre-reserved role.
pub fn is_own(role: &str, main: &str) -> bool {
    role == main || refined_by(role, main) != UNRESERVED
}

/// Every role the service needs offers of: its own first, then those of pods of the specification and of what it has `reserved`, sorted.
pub fn all<'a>(spec: &ServiceSpec, reserved: impl Iterator<Item = &'a str>, main: &str) -> Vec<String> {
    let of_spec = spec.pods.iter().map(|pod| of_pod(pod, main).into_owned());
    let reserved = reserved.map(str::to_owned);
    let others: BTreeSet<String> = of_spec.chain(reserved).filter(|role| role != main && role != UNRESERVED).collect();
    std::iter::once(main.to_owned()).chain(others).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use mainstay_proto::v1::offer::operation::Type;
    use mainstay_spec::ResourceSet;

    use super::*;
    use crate::ids::FrameworkId;
    use crate::offer::fixture::{
        self, ROLE, World, mount, mount_volume, pod, port, refined, roomy, service, set, task, units,
    };
    use crate::offer::leftover;
    use crate::offer::requirement::{Accepted, Recovery};
    use crate::offer::screen::{Free, Screen};
    use crate::resource::{ReservationKind, Resource, Value};

    /// A pod on public agents: two ports, a ROOT and a MOUNT volume, nothing else.
    fn public() -> World {
        let wanted = ResourceSet {
            ports: vec![port("fixed", Some(8080)), port("dynamic", None)],
            volumes: vec![fixture::root_volume("root", 100), mount_volume("disk", 100)],
            ..set("s")
        };
        let mut world = World::new(PodSpec {
            pre_reserved_role: Some("public".into()),
            uris: Vec::new(),
            volumes: Vec::new(),
            resource_sets: vec![wanted],
            tasks: vec![task("server", "s")],
            ..pod()
        });
        world.master.free = [roomy(), vec![mount(400, "/m")]].concat();
        world.master.free = refined(world.master.free, "public", true);
        // What nobody has reserved is offered too, and is not for this pod; the smaller disk would be the better fit.
        world.master.free.extend(refined([roomy(), vec![mount(200, "/n")]].concat(), "public", false));
        world
    }

    fn kinds(accepted: &Accepted) -> Vec<Type> {
        accepted.operations.iter().map(|one| Type::try_from(one.r#type.unwrap()).unwrap()).collect()
    }

    fn held(world: &World) -> Vec<&Resource> {
        let tasks = world.stored.iter();
        tasks.flat_map(|task| task.resources.iter().chain(&task.executor.as_ref().unwrap().resources)).collect()
    }

    // contract: 4.3/pre-reserved
    #[test]
    fn a_pod_on_pre_reserved_agents_refines_what_is_set_aside() {
        let mut world = public();
        let before = world.master.free.clone();
        let accepted = world.launch(&["server"], Recovery::None).accepted.unwrap();
        // Five scalars and ports, two volumes, three of the executor.
        let count = |kind| kinds(&accepted).iter().filter(|one| **one == kind).count();
        assert_eq!((count(Type::Reserve), count(Type::Create), count(Type::LaunchGroup)), (9, 2, 1));
        for resource in held(&world) {
            let stack: Vec<_> = resource.reservations.iter().map(|layer| (layer.kind, layer.role.as_str())).collect();
            let role = "public/hello-role";
            assert_eq!(stack, [(ReservationKind::Static, "public"), (ReservationKind::Dynamic, role)], "{resource}");
            assert_eq!(resource.allocation_role.as_deref(), Some(role));
        }
        let size = |world: &World| {
            let is_mount = |resource: &&Resource| resource.disk.as_ref().is_some_and(|disk| disk.source.is_some());
            held(world).into_iter().find(is_mount).map(|disk| disk.value.clone())
        };
        assert_eq!(size(&world), Some(Value::Scalar(units(400))));

        // In its place again, with everything it had; then with more and less.
        world.end();
        assert_eq!(kinds(&world.launch(&["server"], Recovery::Transient).accepted.unwrap()), [Type::LaunchGroup]);
        world.end();
        let wanted = world.pod_mut().resource_sets.first_mut().unwrap();
        (wanted.cpus, wanted.memory_mb) = (Some(units(1)), Some(units(64)));
        let accepted = world.launch(&["server"], Recovery::None).accepted.unwrap();
        assert_eq!(kinds(&accepted), [Type::Unreserve, Type::Reserve, Type::LaunchGroup]);

        // Given up, everything is as the operator had set it aside.
        world.end();
        let offer = world.offer();
        let framework = FrameworkId::parse("framework-1").unwrap();
        let owner = leftover::Owner { role: ROLE, principal: &world.spec.principal, framework_id: &framework };
        let orphans = leftover::orphans(&offer, &BTreeSet::new(), owner, &BTreeMap::new());
        assert_eq!(orphans.len(), 9);
        world.master.apply(&leftover::release(&orphans)).unwrap();
        let total = |all: &[Resource]| {
            let mut total: BTreeMap<String, u64> = BTreeMap::new();
            for resource in all {
                let amount = match &resource.value {
                    Value::Scalar(amount) => (amount.to_f64() * 1000.0).round() as u64,
                    Value::Ranges(ranges) => ranges.count(),
                    Value::Set(_) => 0,
                };
                *total.entry(format!("{} {:?}", resource.name, resource.reservations)).or_default() += amount;
            }
            total
        };
        assert_eq!(total(&world.master.free), total(&before));
    }

    #[test]
    fn what_is_short_is_counted_in_the_pre_reserved_role() {
        let mut world = public();
        world.master.free = refined([roomy(), vec![mount(400, "/m")]].concat(), "public", false);
        let evaluation = world.evaluate(&["server"], Recovery::None);
        assert!(evaluation.accepted.is_none());
        let texts: Vec<String> = evaluation.report.obstacles().iter().map(|one| one.reason.to_string()).collect();
        let lacking = |what: &str, short: &str| format!("Failed to satisfy required {what}{short}");
        let of = |name: &str, wanted: &str| {
            let short = format!("': wanted {wanted}, available 0 in role public, short by {wanted}");
            lacking(&format!("resource '{name}"), &short)
        };
        let expected = [
            of("cpus", "0.1"),
            of("disk", "256"),
            of("mem", "32"),
            lacking("resource 'ports': ", "port 8080 of 'fixed' is not offered in role public"),
            lacking("resource 'ports': ", "none of the 0 ports offered in role public can be port 'dynamic'"),
            of("cpus", "0.5"),
            of("mem", "128"),
            lacking("volume 'disk': ", "volume 'root': wanted 100, available 0 in role public, short by 100"),
            lacking(
                "volume 'disk': ",
                "no MOUNT disk for volume 'disk': wanted 100, available 0 in role public, short by 100",
            ),
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn offers_of_another_role_are_neither_used_nor_screened() {
        let mut world = public();
        let own = world.offer();
        let main = fixture::offer([roomy(), vec![mount(400, "/m")]].concat());
        assert!(world.evaluate_offer(&main, &["server"], Recovery::None).accepted.is_none());
        assert_eq!((of_offer(&own, ROLE), of_offer(&main, ROLE)), ("public/hello-role", ROLE));
        let unnamed = Offer { allocation_role: None, ..main };
        assert_eq!(of_offer(&unnamed, ROLE), ROLE);
        // The quick look counts what is set aside, too: nothing of the unreserved.
        world.pod_mut().resource_sets = vec![set("s")];
        let lacking = Offer { resources: refined(roomy(), "public", false), ..own.clone() };
        world.with_requirement(&["server"], Recovery::None, |requirement| {
            let screen = Screen::new(requirement).unwrap();
            assert_eq!(screen.failed(&Free::of(&own, ROLE), &own, ROLE), None);
            let failed = screen.failed(&Free::of(&lacking, ROLE), &lacking, ROLE).unwrap();
            assert_eq!(screen.stages(failed).count(), 5);
        });
    }

    #[test]
    fn roles_of_pods_and_offers() {
        // (pre-reserved, role of its reservations)
        for (outer, role) in [(None, "r"), (Some("public"), "public/r"), (Some("team/db"), "team/db/r")] {
            let pod = PodSpec { pre_reserved_role: outer.map(str::to_owned), ..pod() };
            assert_eq!(of_pod(&pod, "r"), role);
            assert_eq!(below(&pod), outer.unwrap_or("*"));
            assert_eq!(refined_by(role, "r"), outer.unwrap_or("*"), "and back");
            assert!(is_own(role, "r"));
        }
        for other in ["*", "public", "public/other", "r/public", "r/", "/r", "bar", "public/bar", "public/r/x"] {
            assert!(!is_own(other, "r"), "{other}");
        }
    }

    #[test]
    fn every_role_is_asked_for_once_and_the_own_one_first() {
        let of = |outer: &str| PodSpec { pre_reserved_role: Some(outer.to_owned()), ..pod() };
        let mut spec = service(pod());
        assert_eq!(all(&spec, std::iter::empty(), "r"), ["r"]);
        spec.pods.extend([of("b"), of("a"), of("b")]);
        assert_eq!(all(&spec, std::iter::empty(), "r"), ["r", "a/r", "b/r"]);
        // What is held without a pod in the specification counts, also from when the service had another role.
        assert_eq!(all(&spec, ["c/r", "r", "older", "b/r", "*"].into_iter(), "r"), ["r", "a/r", "b/r", "c/r", "older"]);
    }

    #[test]
    fn a_placed_pod_keeps_the_role_it_was_placed_under_until_it_is_replaced() {
        let wanted = ResourceSet { volumes: vec![fixture::root_volume("root", 100)], ..set("s") };
        let mut world = World::new(PodSpec {
            uris: Vec::new(),
            volumes: Vec::new(),
            resource_sets: vec![wanted],
            tasks: vec![task("server", "s")],
            ..pod()
        });
        world.launch(&["server"], Recovery::None);
        world.end();
        world.config.role = "newer-role".into();
        assert_eq!(kinds(&world.launch(&["server"], Recovery::Transient).accepted.unwrap()), [Type::LaunchGroup]);
        world.end();
        let set = world.pod_mut().resource_sets.first_mut().unwrap();
        (set.cpus, set.gpus) = (Some(units(1)), Some(units(1)));
        world.master.free.push(fixture::scalar("gpus", units(1)));
        // More of what it has, and what it did not have: all under the one role.
        let accepted = world.launch(&["server"], Recovery::None).accepted.unwrap();
        assert_eq!(kinds(&accepted), [Type::Reserve, Type::Reserve, Type::LaunchGroup]);
        assert!(held(&world).iter().all(|resource| resource.role() == ROLE));
        world.end();
        let role =
            |recovery| world.with_requirement(&["server"], recovery, |requirement| requirement.role().into_owned());
        assert_eq!((role(Recovery::Transient).as_str(), role(Recovery::Permanent).as_str()), (ROLE, "newer-role"));

        // What it leaves behind then is released, whatever the role of the service.
        let offer = world.offer();
        let framework = FrameworkId::parse("framework-1").unwrap();
        let owner = leftover::Owner { role: "newer-role", principal: &world.spec.principal, framework_id: &framework };
        assert_eq!(leftover::orphans(&offer, &BTreeSet::new(), owner, &BTreeMap::new()).len(), held(&world).len());
    }
}
