//! Bytes captured from a real master and agent decode and encode without a difference.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use mainstay_proto::{envelope, v1};
use prost::Message;

fn bytes_of(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.bin"))).unwrap()
}

/// Messages with an `AgentInfo` that the agent itself wrote: the field that its schema does not have comes last there, so
/// the same bytes come back in another order.
const REORDERED: [&str; 2] = ["executor_subscribed", "agent_get_agent"];

#[track_caller]
fn round_trip<M: Message + Default>(name: &str) -> M {
    let bytes = bytes_of(name);
    let message = M::decode(bytes.as_slice()).unwrap();
    let mut encoded = message.encode_to_vec();
    if REORDERED.contains(&name) {
        assert_eq!(M::decode(encoded.as_slice()).unwrap().encode_to_vec(), encoded, "{name}");
        let mut bytes = bytes;
        encoded.sort_unstable();
        bytes.sort_unstable();
        assert_eq!(encoded, bytes, "{name}");
        return message;
    }
    let same = encoded.iter().zip(&bytes).take_while(|(ours, theirs)| ours == theirs).count();
    assert!(
        encoded == bytes,
        "{name} differs at byte {same}: {} bytes encoded, {} captured",
        encoded.len(),
        bytes.len()
    );
    message
}

fn names(prefix: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<String> = all.filter_map(|name| Some(name.strip_suffix(".bin")?.to_owned())).collect();
    found.retain(|name| name.starts_with(prefix));
    found.sort();
    found
}

const SCHEDULER_EVENTS: [&str; 11] = [
    "subscribed",
    "heartbeat",
    "offers",
    "offers_beside_reservations",
    "rescind",
    "failure",
    "error",
    "update_operation_status",
    "update_of_agent",
    "update_of_executor",
    "update_of_reconciliation",
];

#[test]
fn scheduler_events_round_trip_also_through_the_envelope() {
    for name in SCHEDULER_EVENTS {
        let event: v1::scheduler::Event = round_trip(name);
        let enveloped: envelope::Event = round_trip(name);
        assert_eq!(event.r#type, enveloped.r#type, "{name}");
        let offers: Vec<v1::Offer> = event.offers.map(|offers| offers.offers).unwrap_or_default();
        let encoded = enveloped.offers.map(|offers| offers.offers).unwrap_or_default();
        assert_eq!(offers.len(), encoded.len(), "{name}");
        for (offer, bytes) in offers.iter().zip(encoded) {
            assert_eq!(*offer, v1::Offer::decode(bytes).unwrap(), "{name}");
        }
        let status = event.update.map(|update| update.status);
        let kept = enveloped.update.map(|update| v1::TaskStatus::decode(update.status).unwrap());
        assert_eq!(status, kept, "{name}");
    }
}

#[test]
fn executor_events_and_operator_answers_round_trip() {
    let mut count = SCHEDULER_EVENTS.len();
    for name in names("executor_") {
        let event: v1::executor::Event = round_trip(&name);
        assert_ne!(event.r#type(), v1::executor::event::Type::Unknown, "{name}");
        count += 1;
    }
    for name in names("master_") {
        let response: v1::master::Response = round_trip(&name);
        assert_ne!(response.r#type(), v1::master::response::Type::Unknown, "{name}");
        count += 1;
    }
    for name in names("agent_") {
        let response: v1::agent::Response = round_trip(&name);
        assert_ne!(response.r#type(), v1::agent::response::Type::Unknown, "{name}");
        count += 1;
    }
    assert_eq!(count, names("").len(), "every captured file is covered by one of these tests");
}

#[test]
fn the_captured_values_are_where_they_belong() {
    let subscribed: v1::scheduler::Event = round_trip("subscribed");
    let master = subscribed.subscribed.unwrap().master_info.unwrap();
    assert_eq!(master.version(), "1.11.0");
    assert_eq!(master.ip, u32::from_le_bytes([127, 0, 0, 1]));
    assert_eq!(bytes_of("heartbeat"), [8, 8]);

    let offers: v1::scheduler::Event = round_trip("offers");
    let offer = &offers.offers.unwrap().offers[0];
    assert_eq!(offer.hostname, "agent-1");
    assert_eq!(offer.allocation_info.as_ref().unwrap().role(), "r");
    assert_eq!(offer.url.as_ref().unwrap().path(), "/slave(1)");
    assert_eq!(offer.attributes.len(), 3);
    assert!(offer.resources.iter().any(|one| one.name == "ports" && one.ranges.is_some()));

    let update: v1::scheduler::Event = round_trip("update_of_executor");
    let status = update.update.unwrap().status;
    assert_eq!(status.state(), v1::TaskState::TaskRunning);
    assert_eq!(status.uuid.as_deref(), Some(b"0123456789abcdef".as_slice()));
    assert_eq!(status.check_status.unwrap().command.unwrap().exit_code(), 0);

    let update: v1::scheduler::Event = round_trip("update_of_agent");
    let status = update.update.unwrap().status;
    assert_eq!(status.reason(), v1::task_status::Reason::ExecutorTerminated);
    let failure: v1::scheduler::Event = round_trip("failure");
    assert_eq!(failure.failure.unwrap().status(), 3 << 8);

    let state: v1::master::Response = round_trip("master_get_state");
    let agents = state.get_state.unwrap().get_agents.unwrap().agents;
    let volume = agents[0].total_resources.iter().find_map(|one| one.disk.as_ref()?.persistence.as_ref());
    assert_eq!(volume.unwrap().id, "v1");
}
