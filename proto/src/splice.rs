//! Rewrites chosen top-level fields of an encoded message and keeps every other byte as it is.
//!
//! prost drops fields it does not know. A stored `TaskInfo` of another scheduler may hold such fields, so it is
//! rewritten here, on bytes, and never by decoding and encoding it.
//!
//! Invariant: bytes of fields that are not named in the replacement appear in the result unchanged and in order.

use bytes::Buf as _;
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};

/// The message's bytes are not a sequence of protobuf fields.
#[derive(Debug, thiserror::Error)]
#[error("cannot walk the fields of the encoded message at byte {offset}")]
pub struct Error {
    /// Where the field that cannot be read begins.
    pub offset: usize,
    /// What is wrong there.
    pub source: prost::DecodeError,
}

/// One top-level field as it lies in the encoded message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The field's number.
    pub number: u32,
    /// How its value is encoded.
    pub wire_type: WireType,
    /// Key and value, exactly as encoded.
    pub bytes: &'a [u8],
}

/// The top-level fields of an encoded message, in their order.
pub fn fields(message: &[u8]) -> Result<Vec<Field<'_>>, Error> {
    let mut found = Vec::new();
    let mut rest = message;
    while rest.has_remaining() {
        let offset = message.len() - rest.len();
        let mut cursor = rest;
        let (number, wire_type) = decode_key(&mut cursor)
            .and_then(|(number, wire_type)| {
                skip_field(wire_type, number, &mut cursor, DecodeContext::default())?;
                Ok((number, wire_type))
            })
            .map_err(|source| Error { offset, source })?;
        let (bytes, tail) = rest.split_at(rest.len() - cursor.len());
        found.push(Field { number, wire_type, bytes });
        rest = tail;
    }
    Ok(found)
}

/// Replaces all occurrences of the given fields, byte for byte.
///
/// Shape: each entry is a field number and its new encoding, keys included: several occurrences for a repeated
/// field, empty to remove the field. The new bytes stand where the first old occurrence stood; a field that had
/// none is appended, in the order of `replace`. Field numbers in `replace` are distinct.
/// Errors: the original cannot be walked.
pub fn splice(original: &[u8], replace: &[(u32, Vec<u8>)]) -> Result<Vec<u8>, Error> {
    let mut result = Vec::with_capacity(original.len() + replace.iter().map(|(_, bytes)| bytes.len()).sum::<usize>());
    let mut written = vec![false; replace.len()];
    for field in fields(original)? {
        match replace.iter().position(|(number, _)| *number == field.number) {
            None => result.extend_from_slice(field.bytes),
            Some(index) if written[index] => {}
            Some(index) => {
                written[index] = true;
                result.extend_from_slice(&replace[index].1);
            }
        }
    }
    for ((_, bytes), written) in replace.iter().zip(written) {
        if !written {
            result.extend_from_slice(bytes);
        }
    }
    Ok(result)
}

/// Encodes one message as a field: key, length, bytes.
///
/// For the entries of [`splice`].
pub fn message_field(number: u32, message: &impl prost::Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(prost::encoding::message::encoded_len(number, message));
    prost::encoding::message::encode(number, message, &mut bytes);
    bytes
}

/// Encodes a string as a field.
///
/// For the entries of [`splice`].
pub fn string_field(number: u32, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::string::encode(number, &text.to_owned(), &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::v1;

    /// Fields no TaskInfo has: a varint, a fixed64, a fixed32, bytes and a group.
    fn unknown() -> Vec<u8> {
        let mut bytes = Vec::new();
        prost::encoding::uint64::encode(1000, &300, &mut bytes);
        prost::encoding::fixed64::encode(1001, &1, &mut bytes);
        prost::encoding::fixed32::encode(1002, &2, &mut bytes);
        prost::encoding::string::encode(1003, &"kept".to_owned(), &mut bytes);
        prost::encoding::encode_key(1004, WireType::StartGroup, &mut bytes);
        prost::encoding::uint64::encode(1, &5, &mut bytes);
        prost::encoding::encode_key(1004, WireType::EndGroup, &mut bytes);
        bytes
    }

    fn task(name: &str, resources: &[&str]) -> v1::TaskInfo {
        v1::TaskInfo {
            name: name.into(),
            task_id: v1::TaskId { value: "t1".into() },
            agent_id: v1::AgentId { value: "a1".into() },
            resources: resources
                .iter()
                .map(|name| v1::Resource { name: (*name).into(), ..Default::default() })
                .collect(),
            ..Default::default()
        }
    }

    #[test]
    fn nothing_replaced_is_the_same_bytes() {
        let mut original = task("a", &["cpus", "mem"]).encode_to_vec();
        original.extend(unknown());
        assert_eq!(splice(&original, &[]).unwrap(), original);
    }

    #[test]
    fn replaced_fields_stand_where_the_first_old_one_stood_and_unknown_fields_stay() {
        let mut original = unknown();
        original.extend(task("a", &["cpus", "mem", "disk"]).encode_to_vec());
        original.extend(unknown());
        let resource = v1::Resource { name: "gpus".into(), ..Default::default() };
        let spliced = splice(&original, &[(4, message_field(4, &resource)), (1, string_field(1, "b"))]).unwrap();

        let mut expected = unknown();
        expected.extend(task("b", &["gpus"]).encode_to_vec());
        expected.extend(unknown());
        assert_eq!(spliced, expected);
    }

    #[test]
    fn a_field_that_was_absent_is_appended_and_an_empty_one_removed() {
        let original = task("a", &["cpus"]).encode_to_vec();
        let labels = v1::Labels { labels: vec![v1::Label { key: "k".into(), value: None }] };
        let spliced = splice(&original, &[(10, message_field(10, &labels)), (4, Vec::new())]).unwrap();
        let mut expected = task("a", &[]).encode_to_vec();
        expected.extend(message_field(10, &labels));
        assert_eq!(spliced, expected);
        assert_eq!(v1::TaskInfo::decode(&*spliced).unwrap().labels.as_deref(), Some(&labels));
    }

    #[test]
    fn what_cannot_be_walked_is_an_error_with_its_offset() {
        let mut original = task("a", &[]).encode_to_vec();
        let offset = original.len();
        original.extend([0x0a, 0x05, b'x']);
        assert_eq!(splice(&original, &[]).unwrap_err().offset, offset);
        assert_eq!(fields(&[0x0c]).unwrap_err().offset, 0, "an end of a group that never began");
    }

    proptest! {
        #[test]
        fn walking_either_fails_or_covers_every_byte(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(found) = fields(&bytes) {
                prop_assert_eq!(found.iter().flat_map(|field| field.bytes.to_vec()).collect::<Vec<_>>(), bytes);
            }
        }
    }
}
