//! What a value means: truth, spelling and escaping.
//!
//! | | `Scheduler` | `Config` |
//! |---|---|---|
//! | false section | unset, empty, `false` in any case | the same, and only white space |
//! | printed | `true` and `false` in any case come out in lower case | only `false` does |
//! | `{{X}}` | verbatim; what the SDK would have escaped is noted | HTML-escaped |
//! | unset | empty, reported | empty |
//! | `{{A.B}}` | the variable `A.B` | path of names: never found |
//!
//! Source: the SDK's scheduler and bootstrap. One deliberate difference: the SDK escapes in specifications too, which
//! corrupts values on their way to the task.

use std::borrow::Cow;

/// The rule set a template is rendered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Service specifications, rendered by the scheduler.
    Scheduler,
    /// Configuration files, rendered beside the task.
    Config,
}

impl Dialect {
    /// Whether a section of a variable with this value is shown.
    pub fn is_truthy(self, value: Option<&str>) -> bool {
        let Some(value) = value else { return false };
        let blank = match self {
            Self::Scheduler => value.is_empty(),
            Self::Config => value.trim().is_empty(),
        };
        !blank && !value.eq_ignore_ascii_case("false")
    }

    /// The spelling a value is printed with, before escaping.
    pub fn spell(self, value: &str) -> &str {
        match self {
            Self::Scheduler if value.eq_ignore_ascii_case("true") => "true",
            _ if value.eq_ignore_ascii_case("false") => "false",
            Self::Scheduler | Self::Config => value,
        }
    }

    /// What `{{X}}` prints for a value.
    pub fn escape(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::Scheduler => Cow::Borrowed(value),
            Self::Config => escape_config(value),
        }
    }

    /// Whether the SDK would have printed an escaped form where this dialect prints the value verbatim.
    pub fn differs_from_sdk(self, value: &str) -> bool {
        self == Self::Scheduler
            && value
                .chars()
                .any(|character| matches!(character, '&' | '<' | '>' | '"' | '\'' | '`' | '=') || character <= '\r')
    }

    /// Whether a name is looked up as it is written; otherwise it is a path through nested values, which do not exist.
    pub(crate) fn has_plain_name(self, name: &str) -> bool {
        self == Self::Scheduler || !name.contains('.')
    }
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
