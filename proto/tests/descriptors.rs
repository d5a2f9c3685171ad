//! What the descriptor set holds, and the sizes the boxing rule is for.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use mainstay_proto::{FILE_DESCRIPTOR_SET, v1};
use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorSet};

fn messages(message: &DescriptorProto) -> usize {
    let is_map = message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry);
    usize::from(!is_map) + message.nested_type.iter().map(messages).sum::<usize>()
}

fn enums(message: &DescriptorProto) -> usize {
    message.enum_type.len() + message.nested_type.iter().map(enums).sum::<usize>()
}

#[test]
fn every_message_and_enum_of_the_api_is_there() {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let counts: BTreeMap<&str, (usize, usize)> = set
        .file
        .iter()
        .map(|file| {
            let messages = file.message_type.iter().map(messages).sum();
            let enums = file.enum_type.len() + file.message_type.iter().map(enums).sum::<usize>();
            (file.name(), (messages, enums))
        })
        .collect();
    let expected = BTreeMap::from([
        ("google/protobuf/duration.proto", (1, 0)),
        ("mainstay/envelope.proto", (3, 0)),
        ("mesos/v1/agent.proto", (48, 6)),
        ("mesos/v1/allocator.proto", (1, 1)),
        ("mesos/v1/executor.proto", (12, 2)),
        ("mesos/v1/maintenance.proto", (4, 0)),
        ("mesos/v1/master.proto", (56, 3)),
        ("mesos/v1/mesos.proto", (170, 34)),
        ("mesos/v1/quota.proto", (4, 0)),
        ("mesos/v1/scheduler.proto", (45, 4)),
    ]);
    assert_eq!(counts, expected);
}

#[test]
fn sub_messages_are_boxed() {
    assert!(size_of::<v1::Resource>() <= 256, "{}", size_of::<v1::Resource>());
    assert!(size_of::<v1::TaskInfo>() <= 384, "{}", size_of::<v1::TaskInfo>());
    assert!(size_of::<v1::scheduler::Event>() <= 256, "{}", size_of::<v1::scheduler::Event>());
}

#[test]
fn explicit_defaults_are_seen_through_getters() {
    assert!(v1::CommandInfo::default().shell());
    assert_eq!(v1::Resource::default().role(), "*");
    assert!((v1::Filters::default().refuse_seconds() - 5.0).abs() < f64::EPSILON);
    assert_eq!(v1::TaskStatus::default().state(), v1::TaskState::TaskStaging);
    assert_eq!(v1::MasterInfo::default().port, 5050);
}
