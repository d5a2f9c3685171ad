//! What a value means: truth, spelling and escaping.
//!
//! | | `Scheduler` | `Config` | `Package` |
//! |---|---|---|---|
//! | false section | unset, null, empty, `false` in any case | the same, and only white space | unset, null, empty |
//! | printed text | `true` and `false` in any case come out in lower case | only `false` does | as it is |
//! | `{{X}}` | verbatim; what the SDK would have escaped is noted | HTML-escaped | JSON-escaped, also `{{{X}}}` |
//! | unset | empty, reported | empty | empty, reported |
//! | `{{A.B}}` | the name `A.B`, else a path | a path | the name `A.B`, else a path |
//!
//! Booleans, numbers, lists and maps come only from nested values and mean the same in all dialects: `false` and an
//! empty list are false, everything else is true; lists and maps are printed as JSON.
//!
//! Source: the SDK's scheduler and bootstrap, and Cosmos. One deliberate difference: the SDK escapes in specifications
//! too, which corrupts values on their way to the task.

use std::borrow::Cow;

use crate::{json, value::Item};

/// The rule set a template is rendered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Service specifications, rendered by the scheduler.
    Scheduler,
    /// Configuration files, rendered beside the task.
    Config,
    /// Marathon and Universe templates, which render to JSON.
    Package,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 3] = [Self::Scheduler, Self::Config, Self::Package];

    /// Whether a section of a variable with this text, or without a value, is shown.
    pub fn is_truthy(self, value: Option<&str>) -> bool {
        let Some(value) = value else { return false };
        match self {
            Self::Scheduler => !value.is_empty() && !value.eq_ignore_ascii_case("false"),
            Self::Config => !is_blank(value) && !value.eq_ignore_ascii_case("false"),
            Self::Package => !value.is_empty(),
        }
    }

    pub(crate) fn is_item_truthy(self, item: Item<'_>) -> bool {
        match item {
            Item::Null => false,
            Item::Bool(value) => value,
            Item::Number(_) | Item::Map(_) => true,
            Item::Text(text) => self.is_truthy(Some(text)),
            Item::List(items) => !items.is_empty(),
        }
    }

    /// The spelling a text is printed with, before escaping.
    pub fn spell(self, value: &str) -> &str {
        match self {
            Self::Scheduler if value.eq_ignore_ascii_case("true") => "true",
            Self::Scheduler | Self::Config if value.eq_ignore_ascii_case("false") => "false",
            Self::Scheduler | Self::Config | Self::Package => value,
        }
    }

    /// What `{{X}}` prints for a text.
    pub fn escape(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::Scheduler => Cow::Borrowed(value),
            Self::Config => escape_config(value),
            Self::Package => json::escape(value),
        }
    }

    /// What `{{{X}}}` prints for a text.
    pub fn escape_raw(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::Scheduler | Self::Config => Cow::Borrowed(value),
            // The text lands between quotes of the template; Cosmos escapes it before the template sees it.
            Self::Package => json::escape(value),
        }
    }

    /// Whether the SDK would have printed an escaped form where this dialect prints the value verbatim.
    pub fn differs_from_sdk(self, value: &str) -> bool {
        self == Self::Scheduler
            && value
                .bytes()
                .any(|byte| matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'' | b'`' | b'=') || byte <= b'\r')
    }

    /// Whether a name with dots is looked up as a whole before it is taken for a path of names.
    pub(crate) fn has_whole_names(self) -> bool {
        match self {
            Self::Scheduler | Self::Package => true,
            Self::Config => false,
        }
    }
}

/// Whether a text is white space only.
fn is_blank(text: &str) -> bool {
    text.trim_start().is_empty()
}

/// Escapes as Go's HTML escaper does: existing XML configuration files depend on it.
fn escape_config(value: &str) -> Cow<'_, str> {
    if !value.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(value);
    }
    let mut text = String::with_capacity(value.len() + 16);
    for character in value.chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&#34;"),
            '\'' => text.push_str("&#39;"),
            other => text.push(other),
        }
    }
    Cow::Owned(text)
}
