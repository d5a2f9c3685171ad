//! Offers survive being written by the scheduler and read here; nothing makes the reader panic.
#![allow(clippy::unwrap_used)]

use mainstay_scheduler::engine::ids::{AgentId, ExecutorId, FrameworkId, OfferId, PersistenceId};
use mainstay_scheduler::engine::resource::{
    Disk, DiskSource, Persistence, Ranges, Reservation, ReservationKind, Resource, Value as Amount,
};
use mainstay_scheduler::engine::units::Scalar;
use mainstay_scheduler::http::v1::offers::event;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;

fn word() -> impl Strategy<Value = String> {
    "[a-z\"\\\\é/ ]{1,8}"
}

fn pairs() -> impl Strategy<Value = Vec<(String, Option<String>)>> {
    vec((word(), option::of(word())), 0..3)
}

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![
        (0..1_000_000_u64).prop_map(|millis| Amount::Scalar(Scalar::from_millis(millis))),
        vec((1..65_000_u64, 0..100_u64), 0..4).prop_map(|list| Amount::Ranges(Ranges::new(
            list.into_iter().map(|(begin, length)| (begin, begin + length))
        ))),
        btree_set(word(), 0..3).prop_map(Amount::Set),
    ]
}

fn reservation() -> impl Strategy<Value = Reservation> {
    (any::<bool>(), word(), option::of(word()), pairs()).prop_map(|(is_static, role, principal, labels)| Reservation {
        kind: if is_static { ReservationKind::Static } else { ReservationKind::Dynamic },
        role,
        principal,
        labels,
    })
}

fn disk() -> impl Strategy<Value = Disk> {
    let source = (0..5_i32, option::of(word()), option::of(word()), option::of(word()), option::of(word()), pairs())
        .prop_map(|(kind, root, id, profile, vendor, metadata)| DiskSource {
            kind,
            // Only these two have one.
            root: root.filter(|_| matches!(kind, 1 | 2)),
            id,
            profile,
            vendor,
            metadata,
        });
    let persistence = (word(), option::of(word()))
        .prop_map(|(id, principal)| Persistence { id: PersistenceId::parse(id).unwrap(), principal });
    (option::of(persistence), option::of(word()), option::of(source))
        .prop_map(|(persistence, container_path, source)| Disk { persistence, container_path, source })
}

fn resource() -> impl Strategy<Value = Resource> {
    let flags = (any::<bool>(), any::<bool>());
    (word(), amount(), option::of(word()), vec(reservation(), 0..3), option::of(disk()), option::of(word()), flags)
        .prop_map(|(name, value, allocation_role, reservations, disk, provider_id, (shared, revocable))| Resource {
            name,
            value,
            allocation_role,
            reservations,
            disk: disk.map(Box::new),
            provider_id,
            shared,
            revocable,
        })
}

fn offer() -> impl Strategy<Value = Offer> {
    let place = option::of((word(), word()));
    (
        word(),
        word(),
        word(),
        place,
        vec((word(), word()), 0..3),
        vec(resource(), 0..5),
        vec(word(), 0..2),
        option::of(word()),
    )
        .prop_map(|(id, agent_id, hostname, place, attributes, resources, executors, allocation_role)| Offer {
            id: OfferId::parse(id).unwrap(),
            agent_id: AgentId::parse(agent_id).unwrap(),
            hostname,
            region: place.as_ref().map(|(region, _)| region.clone()),
            zone: place.map(|(_, zone)| zone),
            attributes,
            resources,
            executor_ids: executors.into_iter().map(|id| ExecutorId::parse(id).unwrap()).collect(),
            allocation_role,
        })
}

proptest! {
    #[test]
    fn offers_written_by_the_scheduler_are_read_as_they_were(
        offers in vec(offer(), 1..4),
        region in proptest::option::of("[a-z]{1,3}"),
    ) {
        let framework_id = FrameworkId::parse("f").unwrap();
        let text = event(&offers.iter().collect::<Vec<_>>(), Some(&framework_id), region.as_deref()).to_string();
        let read = parse("offers.json", &text, Wanted::Offers).unwrap();
        prop_assert!(read.notes.is_empty(), "{:?}", read.notes);
        prop_assert_eq!(read.master, Some(Master { region }));
        let Recorded::Offers(read) = read.what else { panic!("no offers") };
        prop_assert_eq!(read, offers);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\]{}:,\"a-c0-9&*!|>#\n -]{0,60}") {
        let _ = parse("f", &text, Wanted::Agents);
    }

    #[test]
    fn no_damage_makes_the_reader_panic(at in any::<prop::sample::Index>(), with in "[\\[\\]{}:,\"0-9a-z.-]{0,3}", file in 0..2_usize) {
        let whole = [include_str!("../../tests/slaves.json"), "- {hostname: a, cpus: 1, mem: 2, ports: '1-2,5', roles: {r: {cpus: 1}}}\n"][file];
        let at = at.index(whole.len());
        let mut text = whole.to_owned();
        if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
            text.replace_range(at..=at, &with);
        }
        let _ = parse("f", &text, Wanted::Agents);
    }
}

#[test]
fn an_attribute_is_read_as_an_agent_reads_it() {
    #[track_caller]
    fn check(text: &str, kind: mainstay_proto::v1::value::Type) {
        assert_eq!(agents::attribute("a", text).r#type(), kind, "{text}");
    }
    use mainstay_proto::v1::value::Type;
    check("r1", Type::Text);
    check("3", Type::Scalar);
    check("3.5", Type::Scalar);
    check("nan", Type::Text);
    check("[1-3, 7-9]", Type::Ranges);
    check("[1-x]", Type::Text);
    check("{a,b}", Type::Set);
    check("", Type::Text);
}
