//! Stored Mesos messages as JSON, in the names of the v0 API that clients of the SDK read (`slaveId`).
//!
//! Walks the bytes along the descriptors instead of generating a printer per message or carrying a reflection library: the
//! descriptors are decoded for one request and dropped with it, so an idle scheduler pays nothing.
//!
//! Shape: fields in declaration order, unset singular fields and empty maps left out, empty repeated fields `[]`, enums by
//! name (unknown numbers as numbers), 64-bit integers as numbers, bytes in base64, numbers that JSON lacks as text.
//! Invariant: fields the descriptors do not know are skipped; malformed bytes are an error, never a panic.

use std::collections::{BTreeMap, HashMap};

use mainstay_proto::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use serde_json::{Map, Number, Value};

/// Messages inside messages that are followed; Mesos needs 12, malformed bytes could ask for more.
const DEPTH: usize = 32;

/// Bytes that are not the message they should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The descriptors lack a message.
    #[error("no descriptor of {0}")]
    Unknown(String),
    /// The wire format is broken.
    #[error("decode message")]
    Decode(#[from] prost::DecodeError),
    /// Messages are nested too deeply.
    #[error("message nested deeper than {DEPTH}")]
    TooDeep,
}

/// The descriptors of every message, decoded; made for one request.
pub struct Printer {
    messages: HashMap<String, DescriptorProto>,
    enums: HashMap<String, EnumDescriptorProto>,
}

impl Printer {
    /// Decodes the descriptors: some milliseconds, about a megabyte.
    pub fn new() -> Result<Self, Error> {
        let mut printer = Self { messages: HashMap::new(), enums: HashMap::new() };
        for file in FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)?.file {
            let scope = format!(".{}", file.package());
            // The operator APIs are never printed.
            if matches!(scope.as_str(), ".mesos.v1") {
                printer.add_enums(&scope, file.enum_type);
                file.message_type.into_iter().for_each(|message| printer.add(&scope, message));
            }
        }
        Ok(printer)
    }

    fn add(&mut self, scope: &str, mut message: DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        self.add_enums(&name, std::mem::take(&mut message.enum_type));
        for nested in std::mem::take(&mut message.nested_type) {
            self.add(&name, nested);
        }
        self.messages.insert(name, message);
    }

    fn add_enums(&mut self, scope: &str, enums: Vec<EnumDescriptorProto>) {
        self.enums.extend(enums.into_iter().map(|one| (format!("{scope}.{}", one.name()), one)));
    }

    /// A stored `TaskInfo`.
    pub fn task_info(&self, bytes: &[u8]) -> Result<Value, Error> {
        self.message(".mesos.v1.TaskInfo", bytes, 0)
    }

    /// A stored `TaskStatus`.
    pub fn task_status(&self, bytes: &[u8]) -> Result<Value, Error> {
        self.message(".mesos.v1.TaskStatus", bytes, 0)
    }

    fn message(&self, name: &str, bytes: &[u8], depth: usize) -> Result<Value, Error> {
        if depth > DEPTH {
            return Err(Error::TooDeep);
        }
        let descriptor = self.messages.get(name).ok_or_else(|| Error::Unknown(name.to_owned()))?;
        let fields = read_fields(bytes)?;
        let mut map = Map::new();
        for field in &descriptor.field {
            let found = fields.get(&(field.number() as u32)).map(Vec::as_slice).unwrap_or_default();
            if let Some(value) = self.field(field, found, depth)? {
                map.insert(v0_name(field.name()), value);
            }
        }
        Ok(Value::Object(map))
    }

    fn field(&self, field: &FieldDescriptorProto, found: &[Wire<'_>], depth: usize) -> Result<Option<Value>, Error> {
        if field.label() == Label::Repeated {
            if self.is_map(field) {
                let entries = found.iter().map(|wire| self.entry(field, wire.bytes(), depth));
                let map = entries.collect::<Result<Map<_, _>, _>>()?;
                return Ok((!map.is_empty()).then_some(Value::Object(map)));
            }
            let mut list = Vec::with_capacity(found.len());
            for wire in found {
                match wire {
                    Wire::Bytes(packed) if is_packable(field.r#type()) => {
                        for wire in unpack(field.r#type(), packed)? {
                            list.push(self.value(field, &wire, depth)?);
                        }
                    }
                    wire => list.push(self.value(field, wire, depth)?),
                }
            }
            return Ok(Some(Value::Array(list)));
        }
        let Some(last) = found.last() else { return Ok(None) };
        if field.r#type() == Type::Message && found.len() > 1 {
            // Occurrences of one message merge, which is what reading their bytes in a row does.
            let merged: Vec<u8> = found.iter().flat_map(Wire::bytes).copied().collect();
            return self.message(field.type_name(), &merged, depth + 1).map(Some);
        }
        self.value(field, last, depth).map(Some)
    }

    fn is_map(&self, field: &FieldDescriptorProto) -> bool {
        let descriptor = self.messages.get(field.type_name());
        descriptor.and_then(|message| message.options.as_ref()).is_some_and(prost_types::MessageOptions::map_entry)
    }

    fn entry(&self, field: &FieldDescriptorProto, bytes: &[u8], depth: usize) -> Result<(String, Value), Error> {
        let Value::Object(mut entry) = self.message(field.type_name(), bytes, depth + 1)? else {
            return Err(Error::Unknown(field.type_name().to_owned()));
        };
        let key = entry.remove("key").map(|key| key.as_str().map_or_else(|| key.to_string(), str::to_owned));
        Ok((key.unwrap_or_default(), entry.remove("value").unwrap_or(Value::Null)))
    }

    fn value(&self, field: &FieldDescriptorProto, wire: &Wire<'_>, depth: usize) -> Result<Value, Error> {
        let number = wire.number();
        Ok(match field.r#type() {
            Type::Double => float(f64::from_bits(number)),
            Type::Float => float(f64::from(f32::from_bits(number as u32))),
            Type::Int64 | Type::Int32 | Type::Sfixed64 => Value::from(number as i64),
            Type::Sfixed32 => Value::from(number as u32 as i32),
            Type::Uint64 | Type::Fixed64 => Value::from(number),
            Type::Uint32 | Type::Fixed32 => Value::from(number as u32),
            Type::Sint32 | Type::Sint64 => Value::from((number >> 1) as i64 ^ -((number & 1) as i64)),
            Type::Bool => Value::from(number != 0),
            Type::Enum => self.enum_value(field.type_name(), number as i32),
            Type::String => Value::from(String::from_utf8_lossy(wire.bytes())),
            Type::Bytes => Value::from(base64(wire.bytes())),
            Type::Message | Type::Group => self.message(field.type_name(), wire.bytes(), depth + 1)?,
        })
    }

    fn enum_value(&self, name: &str, number: i32) -> Value {
        let known = self.enums.get(name).and_then(|one| one.value.iter().find(|value| value.number() == number));
        // `REASON_AGENT_REMOVED` and `SOURCE_AGENT` were spelled otherwise in v0.
        known.map_or_else(|| Value::from(number), |value| Value::from(value.name().replace("_AGENT", "_SLAVE")))
    }
}

/// The value of one field on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(_) => 0,
        }
    }

    fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Number(_) => &[],
            Self::Bytes(bytes) => bytes,
        }
    }
}

fn read_fields(mut bytes: &[u8]) -> Result<BTreeMap<u32, Vec<Wire<'_>>>, prost::DecodeError> {
    let mut fields: BTreeMap<u32, Vec<Wire<'_>>> = BTreeMap::new();
    while !bytes.is_empty() {
        let (tag, wire_type) = decode_key(&mut bytes)?;
        let wire = match wire_type {
            WireType::Varint => Wire::Number(decode_varint(&mut bytes)?),
            WireType::SixtyFourBit => Wire::Number(u64::from_le_bytes(take_array(&mut bytes, tag)?)),
            WireType::ThirtyTwoBit => Wire::Number(u64::from(u32::from_le_bytes(take_array(&mut bytes, tag)?))),
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut bytes)?).unwrap_or(usize::MAX);
                let Some((value, rest)) = bytes.split_at_checked(length) else { return Err(truncated(bytes, tag)) };
                bytes = rest;
                Wire::Bytes(value)
            }
            WireType::StartGroup | WireType::EndGroup => {
                skip_field(wire_type, tag, &mut bytes, DecodeContext::default())?;
                continue;
            }
        };
        fields.entry(tag).or_default().push(wire);
    }
    Ok(fields)
}

fn take_array<const N: usize>(bytes: &mut &[u8], tag: u32) -> Result<[u8; N], prost::DecodeError> {
    let (value, rest) = bytes.split_first_chunk().ok_or_else(|| truncated(bytes, tag))?;
    *bytes = rest;
    Ok(*value)
}

/// The library's own error for a field cut short, which cannot be made directly.
fn truncated(rest: &[u8], tag: u32) -> prost::DecodeError {
    let mut cut = &rest[..0];
    match skip_field(WireType::SixtyFourBit, tag, &mut cut, DecodeContext::default()) {
        Err(error) => error,
        Ok(()) => unreachable!("eight bytes cannot be skipped in an empty slice"),
    }
}

fn is_packable(kind: Type) -> bool {
    !matches!(kind, Type::String | Type::Bytes | Type::Message | Type::Group)
}

fn unpack(kind: Type, mut packed: &[u8]) -> Result<Vec<Wire<'static>>, prost::DecodeError> {
    let mut values = Vec::new();
    while !packed.is_empty() {
        values.push(Wire::Number(match kind {
            Type::Double | Type::Fixed64 | Type::Sfixed64 => u64::from_le_bytes(take_array(&mut packed, 1)?),
            Type::Float | Type::Fixed32 | Type::Sfixed32 => u64::from(u32::from_le_bytes(take_array(&mut packed, 1)?)),
            _ => decode_varint(&mut packed)?,
        }));
    }
    Ok(values)
}

fn float(number: f64) -> Value {
    Number::from_f64(number).map_or_else(|| Value::from(number.to_string()), Value::Number)
}

/// `agent_id` → `slaveId`.
fn v0_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (place, word) in name.split('_').enumerate() {
        let word = match word {
            "agent" => "slave",
            "agents" => "slaves",
            word => word,
        };
        let mut letters = word.chars();
        match letters.next() {
            Some(first) if place > 0 => out.push(first.to_ascii_uppercase()),
            Some(first) => out.push(first),
            None => {}
        }
        out.push_str(letters.as_str());
    }
    out
}

/// Standard base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place)) as usize & 63;
            out.push(if place <= chunk.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use mainstay_proto::v1;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_printed_in_v0_names() {
        let status = v1::TaskStatus {
            task_id: v1::TaskId { value: "t".into() },
            state: v1::TaskState::TaskRunning as i32,
            agent_id: Some(v1::AgentId { value: "S1".into() }),
            source: Some(v1::task_status::Source::Agent as i32),
            reason: Some(v1::task_status::Reason::AgentReregistered as i32),
            uuid: Some(vec![0xfb, 0xff].into()),
            timestamp: Some(1.5e9),
            healthy: Some(false),
            ..v1::TaskStatus::default()
        };
        assert_eq!(
            Printer::new().unwrap().task_status(&status.encode_to_vec()).unwrap().to_string(),
            concat!(
                r#"{"taskId":{"value":"t"},"state":"TASK_RUNNING","slaveId":{"value":"S1"},"timestamp":1500000000.0,"#,
                r#""healthy":false,"source":"SOURCE_SLAVE","reason":"REASON_SLAVE_REREGISTERED","uuid":"+/8="}"#
            )
        );
    }

    #[test]
    fn maps_unknown_fields_and_unknown_numbers_are_bearable() {
        let mut bytes = v1::TaskInfo {
            limits: [("cpus".to_owned(), v1::value::Scalar { value: f64::INFINITY })].into(),
            ..v1::TaskInfo::default()
        }
        .encode_to_vec();
        bytes.extend([0xfa, 0x3f, 1, b'x']);
        let printed = Printer::new().unwrap().task_info(&bytes).unwrap();
        assert_eq!(printed["limits"], json!({"cpus": {"value": "inf"}}));
        assert_eq!(printed["resources"], json!([]));
        let status = v1::TaskStatus { state: 77, ..v1::TaskStatus::default() };
        assert_eq!(Printer::new().unwrap().task_status(&status.encode_to_vec()).unwrap()["state"], json!(77));
    }

    #[test]
    fn cut_bytes_are_an_error() {
        let printer = Printer::new().unwrap();
        let bytes = v1::TaskInfo { name: "abc".into(), ..v1::TaskInfo::default() }.encode_to_vec();
        assert!(printer.task_info(&bytes[..3]).is_err());
        assert!(printer.task_status(&[0x31, 1, 2]).is_err());
        assert!(printer.task_status(&[0x80]).is_err());
    }

    #[test]
    fn base64_pads() {
        for (plain, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(plain.as_bytes()), expected);
        }
    }
}
