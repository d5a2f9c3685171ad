#![allow(clippy::unwrap_used)]

use mainstay_engine::ids::TaskId;
use mainstay_engine::task::status::State;
use mainstay_proto::v1::scheduler::Event as WireEvent;
use proptest::prelude::*;

use super::*;

fn read(event: &WireEvent) -> Result<Incoming, Error> {
    incoming(event.encode_to_vec().into())
}

fn typed(kind: event::Type) -> WireEvent {
    WireEvent { r#type: Some(kind.into()), ..Default::default() }
}

fn agent(id: &str) -> wire::AgentId {
    wire::AgentId { value: id.into() }
}

#[test]
fn every_kind_of_event_lands_where_it_belongs() {
    #[track_caller]
    fn check(event: &WireEvent, expected: &str) {
        let found = read(event).map_or_else(|error| format!("error: {error}"), |incoming| format!("{incoming:?}"));
        assert!(found.starts_with(expected), "{found}\nexpected: {expected}");
    }
    let failure = |agent_id: Option<&str>, executor: Option<&str>| WireEvent {
        failure: Some(Box::new(event::Failure {
            agent_id: agent_id.map(agent),
            executor_id: executor.map(|value| wire::ExecutorId { value: value.into() }),
            status: Some(9),
        })),
        ..typed(event::Type::Failure)
    };
    check(&failure(Some("a1"), None), r#"Event(AgentLost(AgentId("a1")))"#);
    check(
        &failure(Some("a1"), Some("e1")),
        r#"Event(ExecutorLost { agent_id: AgentId("a1"), executor_id: ExecutorId("e1"), status: Some(9) })"#,
    );
    check(&failure(None, None), "error: the failure event lacks its agent id");
    let rescind = |id: &str| WireEvent {
        rescind: Some(Box::new(event::Rescind { offer_id: wire::OfferId { value: id.into() } })),
        ..typed(event::Type::Rescind)
    };
    check(&rescind("o1"), r#"Event(Rescinded(OfferId("o1")))"#);
    check(&rescind(""), "error: the rescind has a bad identifier");
    check(&typed(event::Type::Heartbeat), "Heartbeat");
    check(&typed(event::Type::InverseOffers), "Ignored(9)");
    check(&typed(event::Type::Message), "Ignored(5)");
    check(&WireEvent { r#type: Some(99), ..Default::default() }, "Ignored(99)");
    check(&WireEvent::default(), "Ignored(0)");
    check(
        &WireEvent { error: Some(event::Error { message: "x".into() }), ..typed(event::Type::Error) },
        r#"Error("x")"#,
    );
    for kind in [
        event::Type::Subscribed,
        event::Type::Offers,
        event::Type::Rescind,
        event::Type::Update,
        event::Type::UpdateOperationStatus,
        event::Type::Failure,
        event::Type::Error,
    ] {
        check(&typed(kind), "error: the event lacks its ");
    }
    let subscribed = |id: &str, heartbeat: Option<f64>| WireEvent {
        subscribed: Some(Box::new(event::Subscribed {
            framework_id: wire::FrameworkId { value: id.into() },
            heartbeat_interval_seconds: heartbeat,
            master_info: None,
        })),
        ..typed(event::Type::Subscribed)
    };
    check(&subscribed("", None), "error: the subscribed event has a bad identifier");
    for (heartbeat, expected) in
        [(Some(2.5), 2500), (None, 15_000), (Some(f64::NAN), 15_000), (Some(-1.0), 15_000), (Some(1e300), 15_000)]
    {
        match read(&subscribed("f", heartbeat)).unwrap() {
            Incoming::Subscribed { heartbeat, .. } => assert_eq!(heartbeat.as_millis(), expected),
            other => panic!("unexpected: {other:?}"),
        }
    }
}

#[test]
fn a_status_keeps_its_bytes_with_fields_nobody_knows() {
    let status = wire::TaskStatus {
        task_id: wire::TaskId { value: "svc__hello-0-server__1".into() },
        state: State::Running.to_wire(),
        agent_id: Some(agent("a1")),
        ..Default::default()
    };
    let mut bytes = status.encode_to_vec();
    encoding::string::encode(4000, &"from the future".to_owned(), &mut bytes);
    let envelope = envelope::Event {
        r#type: Some(event::Type::Update.into()),
        update: Some(envelope::event::Update { status: bytes.clone().into() }),
        ..Default::default()
    };
    match incoming(envelope.encode_to_vec().into()).unwrap() {
        Incoming::Event(Event::Status(status)) => {
            assert_eq!(status.state, State::Running);
            assert_eq!(status.bytes, bytes);
        }
        other => panic!("unexpected: {other:?}"),
    }
}

fn wire_offer() -> wire::Offer {
    let attribute = |name: &str, kind: wire::value::Type| wire::Attribute {
        name: name.into(),
        r#type: kind.into(),
        ..Default::default()
    };
    let range = |begin, end| wire::value::Range { begin, end };
    wire::Offer {
        id: wire::OfferId { value: "o1".into() },
        framework_id: wire::FrameworkId { value: "f".into() },
        agent_id: agent("a1"),
        hostname: "host-1".into(),
        resources: vec![wire::Resource {
            name: "cpus".into(),
            r#type: wire::value::Type::Scalar.into(),
            scalar: Some(wire::value::Scalar { value: 1.5 }),
            ..Default::default()
        }],
        executor_ids: vec![wire::ExecutorId { value: "e1".into() }],
        attributes: vec![
            wire::Attribute {
                scalar: Some(wire::value::Scalar { value: 1.5 }),
                ..attribute("load", wire::value::Type::Scalar)
            },
            wire::Attribute {
                ranges: Some(Box::new(wire::value::Ranges { range: vec![range(1, 3), range(7, 7)] })),
                ..attribute("slots", wire::value::Type::Ranges)
            },
            wire::Attribute {
                set: Some(Box::new(wire::value::Set { item: vec!["a".into(), "b".into()] })),
                ..attribute("kinds", wire::value::Type::Set)
            },
            wire::Attribute {
                text: Some(wire::value::Text { value: "r1".into() }),
                ..attribute("rack", wire::value::Type::Text)
            },
        ],
        allocation_info: Some(wire::resource::AllocationInfo { role: Some("svc-role".into()) }),
        domain: Some(Box::new(wire::DomainInfo {
            fault_domain: Some(Box::new(wire::domain_info::FaultDomain {
                region: wire::domain_info::fault_domain::RegionInfo { name: "eu".into() },
                zone: wire::domain_info::fault_domain::ZoneInfo { name: "eu-1".into() },
            })),
        })),
        ..Default::default()
    }
}

fn read_offers(offers: Vec<wire::Offer>) -> (Vec<Offer>, Vec<MalformedOffer>) {
    let event = WireEvent { offers: Some(Box::new(event::Offers { offers })), ..typed(event::Type::Offers) };
    match read(&event).unwrap() {
        Incoming::Offers { offers, malformed } => (offers, malformed),
        other => panic!("unexpected: {other:?}"),
    }
}

#[test]
fn an_offer_is_taken_over_in_full() {
    let (offers, malformed) = read_offers(vec![wire_offer()]);
    assert!(malformed.is_empty());
    let offer = &offers[0];
    assert_eq!((offer.id.as_str(), offer.agent_id.as_str(), offer.hostname.as_str()), ("o1", "a1", "host-1"));
    assert_eq!((offer.region.as_deref(), offer.zone.as_deref()), (Some("eu"), Some("eu-1")));
    assert_eq!(offer.executor_ids, [ExecutorId::parse("e1").unwrap()]);
    assert_eq!(offer.allocation_role.as_deref(), Some("svc-role"));
    let attributes: Vec<_> = offer.attributes.iter().map(|(name, text)| format!("{name}:{text}")).collect();
    assert_eq!(attributes, ["load:1.500", "slots:[1-3,7-7]", "kinds:{a,b}", "rack:r1"]);
    assert_eq!(offer.resources, [Resource::from_wire(&wire_offer().resources[0]).unwrap()]);
}

#[test]
fn a_malformed_offer_is_set_aside_with_its_id_and_the_others_are_kept() {
    #[track_caller]
    fn check(break_it: impl FnOnce(&mut wire::Offer), expected: &str) {
        let mut broken = wire_offer();
        broken.id.value = "broken".into();
        break_it(&mut broken);
        let (offers, malformed) = read_offers(vec![wire_offer(), broken, wire_offer()]);
        assert_eq!(offers.len(), 2);
        let [found] = malformed.as_slice() else { panic!("one malformed offer") };
        let id = found.id.as_ref().map_or("none", OfferId::as_str);
        let agent = found.agent_id.as_ref().map_or("none", AgentId::as_str);
        let is_agent_readable = !expected.contains("agent unreadable");
        assert_eq!(agent, if is_agent_readable { "a1" } else { "none" });
        assert_eq!(format!("{id}: {}", found.error), expected.replace(" (agent unreadable)", ""));
    }
    let no_id = |kind: &str| format!("the offer has a bad identifier: not a valid {kind} id: \"\"");
    check(|offer| offer.agent_id.value.clear(), &format!("broken: {} (agent unreadable)", no_id("agent")));
    check(|offer| offer.id.value.clear(), &format!("none: {}", no_id("offer")));
    check(|offer| offer.executor_ids[0].value.clear(), &format!("broken: {}", no_id("executor")));
    check(|offer| offer.attributes[3].text = None, "broken: the offer is malformed: attribute \"rack\" has no value");
    check(|offer| offer.attributes[3].r#type = 9, "broken: the offer is malformed: attribute \"rack\" has no value");
    check(|offer| offer.resources[0].name.clear(), "broken: the offer is malformed: a resource has no name");
}

#[test]
fn every_call_has_its_type_its_framework_and_its_own_part() {
    let framework = FrameworkId::parse("f").unwrap();
    let task_id = || TaskId::parse("t").unwrap();
    let agent_id = || AgentId::parse("a").unwrap();
    let offers = || vec![OfferId::parse("o").unwrap()];
    let uuid = || Bytes::from_static(&[7; 16]);
    let calls = [
        (Call::Accept { offers: offers(), operations: Vec::new(), refuse: Millis(1500) }, 3),
        (Call::Decline { offers: offers(), refuse: Millis(5000) }, 4),
        (Call::Revive, 5),
        (Call::Suppress, 12),
        (Call::Kill { task_id: task_id(), agent_id: Some(agent_id()) }, 6),
        (Call::Shutdown { executor_id: ExecutorId::parse("e").unwrap(), agent_id: agent_id() }, 7),
        (Call::Acknowledge { agent_id: agent_id(), task_id: task_id(), uuid: uuid() }, 8),
        (
            Call::AcknowledgeOperation {
                agent_id: agent_id(),
                operation_id: OperationId::parse("op").unwrap(),
                uuid: uuid(),
                provider_id: Some("p".into()),
            },
            15,
        ),
        (Call::Reconcile { tasks: vec![(task_id(), Some(agent_id())), (task_id(), None)] }, 9),
        (Call::Teardown, 2),
    ];
    let text: Vec<String> = calls
        .into_iter()
        .map(|(engine_call, number)| {
            let message = call(engine_call, &framework);
            assert_eq!(message.r#type, Some(number));
            assert_eq!(message.framework_id.as_ref().unwrap().value, "f");
            let debug = format!("{message:?}");
            debug
                .replace("framework_id: Some(FrameworkId { value: \"f\" }), ", "")
                .split(", ")
                .filter(|part| !part.ends_with(": None") && !part.ends_with(": None }"))
                .collect::<Vec<_>>()
                .join(", ")
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"));
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = incoming(bytes.into());
    }

    /// Random bytes rarely get past the first field; these always reach the inside.
    #[test]
    fn any_bytes_inside_never_panic(
        kind in 0i32..13,
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..4),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut offers: Vec<Bytes> = parts.iter().map(|part| part.clone().into()).collect();
        let mut damaged = wire_offer().encode_to_vec();
        for (index, byte) in flips {
            let index = index.index(damaged.len());
            damaged[index] = byte;
        }
        offers.push(damaged.into());
        let envelope = envelope::Event {
            r#type: Some(kind),
            offers: Some(Box::new(envelope::event::Offers { offers })),
            update: Some(envelope::event::Update { status: parts.concat().into() }),
            ..Default::default()
        };
        let _ = incoming(envelope.encode_to_vec().into());
    }
}
