//! The layout of the SDK's JSON writer: blanks around colons, arrays inline, objects two blanks deeper per level.

use std::fmt::Write as _;

use serde_json::Value;

/// The text of a value.
pub(super) fn pretty(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, 0);
    text
}

fn write(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(double) => text.push_str(&java_double(double)),
            None => {
                let _ = write!(text, "{number}");
            }
        },
        Value::String(value) => string(text, value),
        Value::Array(items) if items.is_empty() => text.push_str("[ ]"),
        Value::Array(items) => {
            text.push_str("[ ");
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                write(text, item, depth);
            }
            text.push_str(" ]");
        }
        Value::Object(entries) if entries.is_empty() => text.push_str("{ }"),
        Value::Object(entries) => {
            text.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                text.push_str(if index == 0 { "\n" } else { ",\n" });
                text.push_str(&"  ".repeat(depth + 1));
                string(text, key);
                text.push_str(" : ");
                write(text, value, depth + 1);
            }
            text.push('\n');
            text.push_str(&"  ".repeat(depth));
            text.push('}');
        }
    }
}

fn string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if control < ' ' => {
                let _ = write!(text, "\\u{:04X}", control as u32);
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

/// A double as Java prints it: decimal from 10^-3 up to 10^7, otherwise with an exponent.
fn java_double(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn doubles_are_printed_as_java_prints_them() {
        for (value, text) in [
            (0.1, "0.1"),
            (512.0, "512.0"),
            (1_234_567.0, "1234567.0"),
            (12_345_678.0, "1.2345678E7"),
            (1e7, "1.0E7"),
            (1e-4, "1.0E-4"),
            (0.001, "0.001"),
            (0.0, "0.0"),
        ] {
            assert_eq!(super::java_double(value), text);
        }
    }

    #[test]
    fn layout_is_the_sdks() {
        let value =
            json!({"a": [{"b": 1}, {"c": [], "d": {}}], "e": ["x", null], "f": {"g": true}, "h": "\u{1f}\"/ü\n"});
        let expected = "{\n  \"a\" : [ {\n    \"b\" : 1\n  }, {\n    \"c\" : [ ],\n    \"d\" : { }\n  } ],\n  \
                        \"e\" : [ \"x\", null ],\n  \"f\" : {\n    \"g\" : true\n  },\n  \
                        \"h\" : \"\\u001F\\\"/ü\\n\"\n}";
        assert_eq!(super::pretty(&value), expected);
    }
}
