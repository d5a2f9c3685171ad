//! Bodies of the v1 APIs: protobuf or JSON, and the proto2 rule that required fields are present.
//!
//! Not here: which call is legal (`model/validation.rs`).
//!
//! Invariant: content types are compared exactly; JSON is chosen whenever `Accept` allows it, as the real servers do.

use std::sync::LazyLock;

use bytes::Bytes;
use http::HeaderMap;
use mainstay_proto::{FILE_DESCRIPTOR_SET, recordio};
use prost::Message;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, MapKey, ReflectMessage as _, SerializeOptions, Value,
};

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("build.rs wrote a valid descriptor set"));

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Protobuf,
    Json,
}

/// A status and its text.
pub(crate) type Refusal = (u16, String);

impl Encoding {
    /// The value of the `Content-Type` header.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    /// The encoding of a request's body.
    pub(crate) fn of_content(headers: &HeaderMap) -> Result<Self, Refusal> {
        let Some(value) = headers.get(http::header::CONTENT_TYPE) else {
            return Err((400, "Expecting 'Content-Type' to be present".into()));
        };
        match value.to_str() {
            Ok("application/x-protobuf") => Ok(Self::Protobuf),
            Ok("application/json") => Ok(Self::Json),
            _ => {
                let text = "Expecting 'Content-Type' of application/json or application/x-protobuf";
                Err((415, text.into()))
            }
        }
    }

    /// The encoding that the peer wants to read.
    pub(crate) fn of_accept(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut values =
            headers.get_all(http::header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
        if values.peek().is_none() {
            return Ok(Self::Json);
        }
        let accepted: Vec<String> = values
            .flat_map(|value| value.split(','))
            .map(|part| part.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
            .collect();
        let allows = |wanted: &str| accepted.iter().any(|one| one == wanted || one == "*/*" || one == "application/*");
        if allows("application/json") {
            Ok(Self::Json)
        } else if allows("application/x-protobuf") {
            Ok(Self::Protobuf)
        } else {
            Err((406, "Expecting 'Accept' to allow application/json or application/x-protobuf".into()))
        }
    }

    /// Reads a message of the named type.
    ///
    /// Errors: status 400 for what does not parse and for what lacks a required field.
    pub(crate) fn decode<M: Message + Default>(self, name: &str, body: &[u8]) -> Result<M, Refusal> {
        let descriptor = POOL.get_message_by_name(name).ok_or_else(|| (500, format!("{name} is no message")))?;
        let bad = |problem: String| (400, format!("Failed to parse body into Call protobuf: {problem}"));
        let message = match self {
            Self::Protobuf => DynamicMessage::decode(descriptor, body).map_err(|error| bad(error.to_string()))?,
            Self::Json => {
                let mut json = serde_json::Deserializer::from_slice(body);
                let options = prost_reflect::DeserializeOptions::new().deny_unknown_fields(false);
                let message = DynamicMessage::deserialize_with_options(descriptor, &mut json, &options)
                    .map_err(|error| bad(error.to_string()))?;
                json.end().map_err(|error| bad(error.to_string()))?;
                message
            }
        };
        if let Some(path) = missing_required(&message) {
            return Err(bad(format!("missing required field {path}")));
        }
        message.transcode_to().map_err(|error| bad(error.to_string()))
    }

    /// Writes a message of the named type.
    pub(crate) fn encode<M: Message>(self, name: &str, message: &M) -> Bytes {
        match self {
            Self::Protobuf => message.encode_to_vec().into(),
            Self::Json => serde_json::to_vec(&to_json(name, message)).unwrap_or_default().into(),
        }
    }

    /// The same as a frame of an event stream.
    pub(crate) fn frame<M: Message>(self, name: &str, message: &M) -> Bytes {
        recordio::encode(&self.encode(name, message))
    }
}

/// Reads a message of the named type (`mesos.v1.Offer`) from the JSON of Mesos; fields it does not know are passed over.
///
/// Errors: what does not fit the type, or the required field that is missing, in words.
pub fn from_json<M: Message + Default>(name: &str, value: &serde_json::Value) -> Result<M, String> {
    let descriptor = POOL.get_message_by_name(name).ok_or_else(|| format!("{name} is no message"))?;
    let options = prost_reflect::DeserializeOptions::new().deny_unknown_fields(false);
    let message = DynamicMessage::deserialize_with_options(descriptor, value, &options);
    let message = message.map_err(|error| error.to_string())?;
    match missing_required(&message) {
        Some(path) => Err(format!("missing required field {path}")),
        None => message.transcode_to().map_err(|error| error.to_string()),
    }
}

/// A message as Mesos prints it: field names of the schema, numbers as numbers.
pub(crate) fn to_json<M: Message>(name: &str, message: &M) -> serde_json::Value {
    let Some(descriptor) = POOL.get_message_by_name(name) else { return serde_json::Value::Null };
    let mut dynamic = DynamicMessage::new(descriptor);
    if dynamic.transcode_from(message).is_err() {
        return serde_json::Value::Null;
    }
    let options = SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false);
    dynamic.serialize_with_options(serde_json::value::Serializer, &options).unwrap_or_default()
}

/// The path of the first required field that is absent.
fn missing_required(message: &DynamicMessage) -> Option<String> {
    for field in message.descriptor().fields() {
        if field.cardinality() == Cardinality::Required && !message.has_field(&field) {
            return Some(field.name().to_owned());
        }
    }
    message.fields().find_map(|(field, value)| missing_in(value).map(|path| format!("{}.{path}", field.name())))
}

fn missing_in(value: &Value) -> Option<String> {
    match value {
        Value::Message(message) => missing_required(message),
        Value::List(list) => list.iter().find_map(missing_in),
        Value::Map(map) => {
            let mut keys: Vec<&MapKey> = map.keys().collect();
            keys.sort_by_key(|key| format!("{key:?}"));
            keys.into_iter().find_map(|key| missing_in(&map[key]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use mainstay_proto::v1::{self, scheduler};

    use super::*;

    const CALL: &str = "mesos.v1.scheduler.Call";

    #[test]
    fn accept_prefers_json() {
        #[track_caller]
        fn check(accept: Option<&str>, expected: Result<Encoding, u16>) {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert("accept", accept.parse().unwrap());
            }
            assert_eq!(Encoding::of_accept(&headers).map_err(|refusal| refusal.0), expected);
        }
        check(None, Ok(Encoding::Json));
        check(Some("*/*"), Ok(Encoding::Json));
        check(Some("application/x-protobuf, application/json"), Ok(Encoding::Json));
        check(Some("application/x-protobuf"), Ok(Encoding::Protobuf));
        check(Some("text/plain"), Err(406));
    }

    #[test]
    fn content_types_are_exact() {
        #[track_caller]
        fn check(content: Option<&str>, expected: Result<Encoding, u16>) {
            let mut headers = HeaderMap::new();
            if let Some(content) = content {
                headers.insert("content-type", content.parse().unwrap());
            }
            assert_eq!(Encoding::of_content(&headers).map_err(|refusal| refusal.0), expected);
        }
        check(None, Err(400));
        check(Some("application/json"), Ok(Encoding::Json));
        check(Some("application/x-protobuf"), Ok(Encoding::Protobuf));
        check(Some("application/json; charset=utf-8"), Err(415));
        check(Some("Application/Json"), Err(415));
    }

    #[test]
    fn required_fields_are_required() {
        let kill = r#"{"type":"KILL","framework_id":{"value":"f"},"kill":{"agent_id":{"value":"a"}}}"#;
        let refusal = Encoding::Json.decode::<scheduler::Call>(CALL, kill.as_bytes()).unwrap_err();
        assert_eq!(refusal.0, 400);
        assert!(refusal.1.contains("kill.task_id"), "{}", refusal.1);
        // A KILL without its task, in binary: type 6, an empty sub-message 6.
        let refusal = Encoding::Protobuf.decode::<scheduler::Call>(CALL, &[0x10, 6, 0x32, 0]).unwrap_err();
        assert!(refusal.1.contains("kill.task_id"), "{}", refusal.1);
        assert_eq!(Encoding::Protobuf.decode::<scheduler::Call>(CALL, b"\xff").unwrap_err().0, 400);
        assert_eq!(Encoding::Json.decode::<scheduler::Call>(CALL, b"{} x").unwrap_err().0, 400);
    }

    #[test]
    fn json_uses_the_names_of_the_schema() {
        let status = v1::TaskStatus {
            task_id: v1::TaskId { value: "t".into() },
            state: v1::TaskState::TaskRunning as i32,
            uuid: Some(Bytes::from_static(b"0123456789abcdef")),
            ..Default::default()
        };
        let json = to_json("mesos.v1.TaskStatus", &status).to_string();
        assert_eq!(json, r#"{"task_id":{"value":"t"},"state":"TASK_RUNNING","uuid":"MDEyMzQ1Njc4OWFiY2RlZg=="}"#);
        let back: v1::TaskStatus = Encoding::Json.decode("mesos.v1.TaskStatus", json.as_bytes()).unwrap();
        assert_eq!(back, status);
    }
}
