//! How answers are shown: trees for people, JSON for programs.

pub(crate) mod explanation;
pub(crate) mod offers;
pub(crate) mod plan;
pub(crate) mod pod;
pub(crate) mod tree;

use serde_json::Value;

/// What stands for a name, status or strategy that is missing or empty.
const UNKNOWN: &str = "<UNKNOWN>";

/// The text, or the placeholder.
fn or_unknown(text: &str) -> &str {
    if text.is_empty() { UNKNOWN } else { text }
}

/// JSON indented by two, keys in the order received; `None` if the bytes are not JSON.
pub(crate) fn json(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    serde_json::to_string_pretty(&value).ok()
}
