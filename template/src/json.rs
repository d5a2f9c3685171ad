//! Values as JSON text, without blanks.

use std::{borrow::Cow, fmt::Write as _};

use crate::{error::RenderError, limits::MAX_VALUE_DEPTH, value::Item};

/// The JSON text of a value.
///
/// Errors: a text longer than `most_bytes`, a value nested deeper than [`MAX_VALUE_DEPTH`].
pub(crate) fn text(item: Item<'_>, most_bytes: usize) -> Result<String, RenderError> {
    let mut text = String::new();
    write(item, 0, most_bytes, &mut text)?;
    if text.len() > most_bytes { Err(RenderError::TooLong) } else { Ok(text) }
}

fn write(item: Item<'_>, depth: usize, most_bytes: usize, text: &mut String) -> Result<(), RenderError> {
    if depth > MAX_VALUE_DEPTH {
        return Err(RenderError::ValueTooDeep);
    }
    if text.len() > most_bytes {
        return Err(RenderError::TooLong);
    }
    match item {
        Item::Null => text.push_str("null"),
        Item::Bool(value) => text.push_str(if value { "true" } else { "false" }),
        Item::Number(number) => text.push_str(number),
        Item::Text(value) => quoted(value, text),
        Item::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item.into(), depth + 1, most_bytes, text)?;
            }
            text.push(']');
        }
        Item::Map(map) => {
            text.push('{');
            for (index, (name, value)) in map.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                quoted(name, text);
                text.push(':');
                write(value.into(), depth + 1, most_bytes, text)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

fn quoted(value: &str, text: &mut String) {
    text.push('"');
    text.push_str(&escape(value));
    text.push('"');
}

/// A text as it stands between the quotes of JSON.
pub(crate) fn escape(value: &str) -> Cow<'_, str> {
    let must_escape = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if !value.bytes().any(must_escape) {
        return Cow::Borrowed(value);
    }
    let mut text = String::with_capacity(value.len() + 16);
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            control if control < ' ' => {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    Cow::Owned(text)
}
