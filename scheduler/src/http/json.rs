//! How answers look: the two JSON layouts of the SDK, and responses of JSON, text and nothing.
//!
//! Whitespace is free for most clients, but one prints some bodies raw: so both layouts are kept as users saw them.
//!
//! Invariant: every body has a known length, so that `Content-Length` is sent; the SDK's command line shows an error's body
//! only then.

use std::io;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// Beans (plan, pod info): `"key" : value`, array elements on the line of their bracket.
pub fn bean<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    let mut out = Vec::with_capacity(512);
    match value.serialize(&mut Serializer::with_formatter(&mut out, Bean::default())) {
        Ok(()) => with_type(status, "application/json", out),
        Err(error) => unwritable(&error),
    }
}

/// Hand-built objects: indented by 2, an object with one key or an array with one element on one line.
pub fn object<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_value(value) {
        Ok(value) => {
            let mut out = String::new();
            write_object(&mut out, &value, 0);
            with_type(status, "application/json", out)
        }
        Err(error) => unwritable(&error),
    }
}

/// A body sent as it is stored, labelled as JSON.
pub fn raw(body: impl Into<Body>) -> Response {
    with_type(StatusCode::OK, "application/json", body)
}

/// Text, without a trailing newline.
pub fn text(status: StatusCode, body: impl Into<Body>) -> Response {
    with_type(status, "text/plain", body)
}

/// An answer of a status alone; its body has length 0.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A body of any type.
pub fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn unwritable(error: &serde_json::Error) -> Response {
    tracing::error!(%error, "answer cannot be written as json");
    empty(StatusCode::INTERNAL_SERVER_ERROR)
}

fn write_object(out: &mut String, value: &Value, depth: usize) {
    let newline = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    match value {
        Value::Object(map) => {
            out.push('{');
            for (place, (key, value)) in map.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                if map.len() > 1 {
                    newline(out, depth + 1);
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push_str(": ");
                write_object(out, value, if map.len() > 1 { depth + 1 } else { depth });
            }
            if map.len() > 1 {
                newline(out, depth);
            }
            out.push('}');
        }
        Value::Array(list) => {
            out.push('[');
            for (place, value) in list.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                if list.len() > 1 {
                    newline(out, depth + 1);
                }
                write_object(out, value, if list.len() > 1 { depth + 1 } else { depth });
            }
            if list.len() > 1 {
                newline(out, depth);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

/// The layout of beans.
#[derive(Default)]
struct Bean {
    depth: usize,
    is_filled: bool,
}

impl Bean {
    fn newline<W: io::Write + ?Sized>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for Bean {
    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"[")
    }

    fn begin_array_value<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b" " } else { b", " })
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" ]")
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.is_filled = false;
        writer.write_all(b"{")
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.newline(writer)
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" : ")
    }

    fn end_object_value<W: io::Write + ?Sized>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.is_filled = true;
        Ok(())
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.is_filled {
            self.newline(writer)?;
        } else {
            writer.write_all(b" ")?;
        }
        self.is_filled = true;
        writer.write_all(b"}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(value: &Value, expected_object: &str, expected_bean: &str) {
        let mut text = String::new();
        write_object(&mut text, value, 0);
        assert_eq!(text, expected_object);
        let mut out = Vec::new();
        value.serialize(&mut Serializer::with_formatter(&mut out, Bean::default())).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected_bean);
        assert_eq!(serde_json::from_str::<Value>(expected_object).unwrap(), *value);
        assert_eq!(serde_json::from_str::<Value>(expected_bean).unwrap(), *value);
    }

    #[test]
    fn both_layouts_are_those_of_the_sdk() {
        check(&json!({}), "{}", "{ }");
        check(&json!([]), "[]", "[ ]");
        check(&json!(["deploy"]), "[\"deploy\"]", "[ \"deploy\" ]");
        check(&json!({"message": "x\"y"}), "{\"message\": \"x\\\"y\"}", "{\n  \"message\" : \"x\\\"y\"\n}");
        check(
            &json!({"pod": "a-0", "tasks": ["a-0-x", "a-0-y"]}),
            "{\n  \"pod\": \"a-0\",\n  \"tasks\": [\n    \"a-0-x\",\n    \"a-0-y\"\n  ]\n}",
            "{\n  \"pod\" : \"a-0\",\n  \"tasks\" : [ \"a-0-x\", \"a-0-y\" ]\n}",
        );
        check(
            &json!([{"a": {}, "b": [{"c": null}]}]),
            "[{\n  \"a\": {},\n  \"b\": [{\"c\": null}]\n}]",
            "[ {\n  \"a\" : { },\n  \"b\" : [ {\n    \"c\" : null\n  } ]\n} ]",
        );
    }
}
