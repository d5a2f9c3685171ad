//! Compiles the `.proto` files without `protoc` and generates the Rust messages.
//!
//! Boxing rule: every optional singular message field is boxed, except messages of at most one scalar (ids and the
//! like), because prost stores sub-messages in place: plainly generated, an empty `Resource` takes 1,128 bytes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};

const FILES: [&str; 9] = [
    "mainstay/envelope.proto",
    "mesos/v1/agent.proto",
    "mesos/v1/allocator.proto",
    "mesos/v1/executor.proto",
    "mesos/v1/maintenance.proto",
    "mesos/v1/master.proto",
    "mesos/v1/mesos.proto",
    "mesos/v1/quota.proto",
    "mesos/v1/scheduler.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let set = protox::compile(FILES, ["proto"])?;

    let mut config = prost_build::Config::new();
    config.btree_map(["."]).bytes(["."]);
    for field in boxed_fields(&set) {
        config.boxed(field);
    }
    config.compile_fds(set.clone())?;

    let mut bare = set;
    for file in &mut bare.file {
        file.source_code_info = None;
    }
    std::fs::write(out.join("descriptors.bin"), bare.encode_to_vec())?;
    Ok(())
}

/// Full names of the fields to box.
fn boxed_fields(set: &FileDescriptorSet) -> Vec<String> {
    let mut messages = Vec::new();
    for file in set.file.iter().filter(|file| file.package() != "google.protobuf") {
        for message in &file.message_type {
            collect(&format!(".{}", file.package()), message, &mut messages);
        }
    }
    let small: BTreeSet<&str> =
        messages.iter().filter(|(_, message)| is_small(message)).map(|(name, _)| name.as_str()).collect();
    let mut fields = Vec::new();
    for (name, message) in &messages {
        for field in &message.field {
            let is_optional_message =
                field.r#type() == Type::Message && field.label() == Label::Optional && field.oneof_index.is_none();
            if is_optional_message && !small.contains(field.type_name()) {
                fields.push(format!("{name}.{}", field.name()));
            }
        }
    }
    fields
}

/// Whether a message is no larger than a box is worth: at most one field, and that a scalar.
fn is_small(message: &DescriptorProto) -> bool {
    message.field.len() <= 1
        && message.field.iter().all(|field| field.r#type() != Type::Message && field.label() != Label::Repeated)
}

fn collect<'a>(scope: &str, message: &'a DescriptorProto, into: &mut Vec<(String, &'a DescriptorProto)>) {
    let name = format!("{scope}.{}", message.name());
    for nested in &message.nested_type {
        collect(&name, nested, into);
    }
    into.push((name, message));
}
