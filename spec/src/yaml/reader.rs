//! Takes the fields of mappings one by one and pushes every problem with its key path.
//!
//! The rules for numbers, booleans, text and null are those of the SDK's YAML reader, by position.
//! Invariant: every key of a mapping is either taken, refused or reported by [`Fields::finish`]; none is ignored.

use std::ops::RangeInclusive;

use super::{Entry, Node, Value};
use crate::{
    code::Code,
    problem::{Problems, Span, Spanned, shorten},
    scalar::Scalar,
    suggest::{self, Section},
    unsupported::Feature,
};

/// A value with the key it stands behind.
#[derive(Debug, Clone)]
pub(crate) struct Field<'t> {
    /// Keys that lead here, joined with dots.
    pub(crate) path: String,
    /// The last key alone.
    pub(crate) key: Spanned<String>,
    node: &'t Node,
}

/// The fields of a mapping.
pub(crate) struct Fields<'t> {
    /// Keys that lead to the mapping.
    pub(crate) path: String,
    /// Where it starts; for messages about what it lacks.
    pub(crate) span: Span,
    entries: &'t [Entry],
    taken: Vec<bool>,
    known: Vec<&'static str>,
}

impl<'t> Fields<'t> {
    /// The fields of the whole document.
    pub(crate) fn root(node: &'t Node, problems: &mut Problems<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => Some(Self::new(String::new(), node.span.start..node.span.start, entries)),
            Value::Null | Value::Scalar(_) | Value::List(_) => {
                problems.push(Code::WrongType, "", &node.span, format!("found {}; a map is needed", kind(node)));
                None
            }
        }
    }

    fn new(path: String, span: Span, entries: &'t [Entry]) -> Self {
        Self { path, span, entries, taken: vec![false; entries.len()], known: Vec::new() }
    }

    /// The field of this name, whatever it holds.
    pub(crate) fn any(&mut self, name: &'static str) -> Option<Field<'t>> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        let index = self.entries.iter().position(|entry| entry.key == name)?;
        self.taken[index] = true;
        Some(field(&self.path, &self.entries[index]))
    }

    /// A field of the older generation: taken, but not among the keys a message lists.
    pub(crate) fn older(&mut self, name: &'static str) -> Option<Field<'t>> {
        let field = self.any(name);
        self.known.retain(|known| *known != name);
        field
    }

    /// The field of this name when it holds something.
    pub(crate) fn optional(&mut self, name: &'static str) -> Option<Field<'t>> {
        self.any(name).filter(|field| !matches!(field.node.value, Value::Null))
    }

    /// A field that may hold a number: nothing at all means absent, nothing because a variable is unset is a problem.
    pub(crate) fn number(&mut self, name: &'static str, problems: &mut Problems<'_>) -> Option<Field<'t>> {
        let field = self.any(name)?;
        if field.is_blank() {
            if problems.is_unset_after(&field.key.span) {
                problems.absent_value(&field.path, &field.key.span, "a number");
            }
            return None;
        }
        Some(field)
    }

    /// The field of this name, which must be there and hold something.
    pub(crate) fn required(
        &mut self,
        name: &'static str,
        wanted: &str,
        problems: &mut Problems<'_>,
    ) -> Option<Field<'t>> {
        let Some(field) = self.any(name) else {
            let path = join(&self.path, name);
            problems.push(Code::RequiredKey, &path, &self.span, format!("is required; {wanted} is needed"));
            return None;
        };
        if matches!(field.node.value, Value::Null) || (wanted.contains("number") && field.is_blank()) {
            problems.absent_value(&field.path, &field.key.span, wanted);
            return None;
        }
        Some(field)
    }

    /// Whether a field of this name holds something.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == name && !matches!(entry.node.value, Value::Null))
    }

    /// Reports every key that was not taken.
    pub(crate) fn finish(self, section: Section, problems: &mut Problems<'_>) {
        let code = if section == Section::Pod { Code::IgnoredPodKey } else { Code::UnknownKey };
        let unknown = self.entries.iter().zip(&self.taken).filter(|(_, taken)| !**taken);
        for (entry, _) in unknown {
            let what = if code == Code::UnknownKey { "unknown key" } else { "unknown key is ignored" };
            let path = join(&self.path, &entry.key);
            let hint = suggest::hint(section, &entry.key);
            let near = if hint.is_none() { suggest::key(&entry.key, &self.known) } else { None };
            let (message, help) = match (hint, near) {
                (Some(hint), _) => (format!("{what}; {hint}"), None),
                (None, Some(near)) => (format!("{what}; did you mean {near}?"), None),
                (None, None) => (what.to_owned(), Some(format!("known here: {}", self.known.join(", ")))),
            };
            problems.unknown_key(code, &path, &entry.key_span, message, help, &self.known);
        }
    }
}

impl<'t> Field<'t> {
    /// Where the value stands; where the key stands when there is no value.
    pub(crate) fn span(&self) -> &Span {
        match self.node.value {
            Value::Null => &self.key.span,
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => &self.node.span,
        }
    }

    /// Whether it holds nothing, or text of blanks only.
    pub(crate) fn is_blank(&self) -> bool {
        match &self.node.value {
            Value::Null => true,
            Value::Scalar(text) => text.trim().is_empty(),
            Value::List(_) | Value::Map(_) => false,
        }
    }

    /// Notes that a feature is used, for which there is a warning as long as it is not honoured.
    pub(crate) fn uses(&self, feature: Feature, problems: &mut Problems<'_>) {
        if let Some(message) = feature.message() {
            problems.push(Code::NotSupportedYet, &self.path, &self.key.span, message);
        }
    }

    /// Whether it holds nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    /// The literal text of a scalar.
    pub(crate) fn text(&self, problems: &mut Problems<'_>) -> Option<Spanned<String>> {
        self.scalar_text("text", problems).map(|text| Spanned { value: text.to_owned(), span: self.span().clone() })
    }

    /// A whole number within `range`; a fraction is cut off, as the SDK does.
    pub(crate) fn int(&self, range: RangeInclusive<i64>, problems: &mut Problems<'_>) -> Option<Spanned<i64>> {
        let text = self.scalar_text("a whole number", problems)?;
        let digits = text.trim().replace('_', "");
        let number = digits.parse::<i64>().ok().or_else(|| {
            let float = digits.parse::<f64>().ok().filter(|float| float.is_finite() && looks_numeric(&digits))?;
            // The conversion stops at the largest number; where that is allowed, it would pass for what was written.
            (float.abs() < 9e15 || *range.end() < i64::MAX).then_some(float.trunc() as i64)
        });
        // An end that nobody comes near is only named to who is beyond it.
        let is_open = *range.end() >= i64::from(i32::MAX) && number.is_none_or(|number| number < *range.start());
        let allowed = if is_open {
            format!("a whole number of at least {} is needed", range.start())
        } else {
            format!("a whole number from {} to {} is needed", range.start(), range.end())
        };
        let Some(number) = number else {
            problems.found(Code::WrongType, &self.path, self.span(), text, &allowed);
            return None;
        };
        if !range.contains(&number) {
            problems.found(Code::OutOfRange, &self.path, self.span(), text.trim(), &allowed);
            return None;
        }
        Some(Spanned { value: number, span: self.span().clone() })
    }

    /// An amount above zero, in thousandths.
    pub(crate) fn amount(&self, problems: &mut Problems<'_>) -> Option<Scalar> {
        self.amount_or("a number greater than 0 is needed", problems)
    }

    /// An amount above zero, in thousandths, where `allowed` says what else may stand here.
    pub(crate) fn amount_or(&self, allowed: &str, problems: &mut Problems<'_>) -> Option<Scalar> {
        let text = self.scalar_text("a number", problems)?;
        let digits = text.trim().replace('_', "");
        let Some(number) = digits.parse::<f64>().ok().filter(|_| looks_numeric(&digits)) else {
            problems.found(Code::WrongType, &self.path, self.span(), text, allowed);
            return None;
        };
        let amount = Scalar::from_f64(number).filter(|amount| !amount.is_zero());
        if amount.is_none() {
            let allowed = match number {
                ..=0.0 => allowed.to_owned(),
                ..1.0 => "at least 0.001, the smallest amount, is needed".to_owned(),
                _ => format!("at most {}, the largest amount, is needed", Scalar::MAX),
            };
            problems.found(Code::OutOfRange, &self.path, self.span(), text.trim(), &allowed);
        }
        amount
    }

    /// An amount above zero of things that cannot be parted; `otherwise` says so of a fraction, which is not cut off.
    pub(crate) fn whole_amount(&self, otherwise: &str, problems: &mut Problems<'_>) -> Option<Scalar> {
        let amount = self.amount(problems)?;
        if amount.millis().is_multiple_of(1000) && amount <= Scalar::from_units(i32::MAX as u64) {
            return Some(amount);
        }
        let text = self.scalar_text("a number", problems)?;
        problems.found(Code::OutOfRange, &self.path, self.span(), text.trim(), otherwise);
        None
    }

    /// A whole amount of MB above zero; a fraction is cut off, as the SDK does.
    pub(crate) fn megabytes(&self, problems: &mut Problems<'_>) -> Option<Scalar> {
        let number = self.int(1..=i64::from(i32::MAX), problems)?;
        Some(Scalar::from_units(number.value as u64))
    }

    /// A boolean in any of the spellings of YAML 1.1, quoted or not; blanks alone count as absent.
    pub(crate) fn boolean(&self, problems: &mut Problems<'_>) -> Option<bool> {
        let text = self.scalar_text("true or false", problems)?;
        match text.trim() {
            "" => None,
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
            other => {
                problems.found(Code::WrongType, &self.path, self.span(), other, "true or false is needed");
                None
            }
        }
    }

    /// One of some words; `parse` says which, `allowed` lists them.
    pub(crate) fn word<T>(
        &self,
        parse: impl FnOnce(&str) -> Option<T>,
        allowed: &[&'static str],
        problems: &mut Problems<'_>,
    ) -> Option<Spanned<T>> {
        let text = self.scalar_text("a word", problems)?;
        let word = parse(text);
        if word.is_none() {
            let list = allowed.join(", ");
            let near = suggest::key(text, allowed).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            problems.found(Code::UnknownWord, &self.path, self.span(), text, &format!("allowed: {list}{near}"));
        }
        word.map(|value| Spanned { value, span: self.span().clone() })
    }

    /// The fields of a mapping; nothing counts as an empty one.
    pub(crate) fn map(&self, problems: &mut Problems<'_>) -> Option<Fields<'t>> {
        let entries = self.map_entries(problems)?;
        Some(Fields::new(self.path.clone(), self.key.span.clone(), entries))
    }

    /// The entries of a mapping from names to values, in order; nothing counts as none.
    pub(crate) fn named(&self, problems: &mut Problems<'_>) -> Vec<Field<'t>> {
        let entries = self.map_entries(problems).unwrap_or_default();
        entries.iter().map(|entry| field(&self.path, entry)).collect()
    }

    /// The items of a list, in order; nothing counts as none.
    pub(crate) fn list(&self, problems: &mut Problems<'_>) -> Option<Vec<Field<'t>>> {
        let items = match &self.node.value {
            Value::Null => &[],
            Value::List(items) => items.as_slice(),
            Value::Scalar(_) | Value::Map(_) => {
                let message = format!("found {}; a list is needed", kind(self.node));
                problems.push(Code::WrongType, &self.path, self.span(), message);
                return None;
            }
        };
        let item = |(index, node): (usize, &'t Node)| Field {
            path: join(&self.path, &index.to_string()),
            key: Spanned { value: index.to_string(), span: node.span.clone() },
            node,
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The items of a list that hold something; a warning for each of the others, which come from unset variables.
    pub(crate) fn items(&self, problems: &mut Problems<'_>) -> Vec<Field<'t>> {
        let mut items = self.list(problems).unwrap_or_default();
        items.retain(|item| item.is_there(problems));
        items
    }

    /// Whether an item of a list holds something; otherwise there is a warning that it is skipped.
    pub(crate) fn is_there(&self, problems: &mut Problems<'_>) -> bool {
        if self.is_null() {
            problems.skipped_item(&self.path, self.span());
        }
        !self.is_null()
    }

    /// The items when it is a list, without complaint when it is not.
    pub(crate) fn try_list(&self) -> Option<Vec<Field<'t>>> {
        let Value::List(items) = &self.node.value else { return None };
        let item = |(index, node): (usize, &'t Node)| Field {
            path: join(&self.path, &index.to_string()),
            key: Spanned { value: index.to_string(), span: node.span.clone() },
            node,
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The entries when it is a mapping, without complaint when it is not.
    pub(crate) fn try_named(&self) -> Option<Vec<Field<'t>>> {
        let Value::Map(entries) = &self.node.value else { return None };
        Some(entries.iter().map(|entry| field(&self.path, entry)).collect())
    }

    /// What kind of value it is, for messages.
    pub(crate) fn kind(&self) -> String {
        kind(self.node)
    }

    fn map_entries(&self, problems: &mut Problems<'_>) -> Option<&'t [Entry]> {
        match &self.node.value {
            Value::Null => Some(&[]),
            Value::Map(entries) => Some(entries),
            Value::Scalar(_) | Value::List(_) => {
                let message = format!("found {}; a map is needed", kind(self.node));
                problems.push(Code::WrongType, &self.path, self.span(), message);
                None
            }
        }
    }

    fn scalar_text(&self, wanted: &str, problems: &mut Problems<'_>) -> Option<&'t str> {
        match &self.node.value {
            Value::Scalar(text) => Some(text),
            Value::Null => Some(""),
            Value::List(_) | Value::Map(_) => {
                let message = format!("found {}; {wanted} is needed", kind(self.node));
                problems.push(Code::WrongType, &self.path, self.span(), message);
                None
            }
        }
    }
}

fn field<'t>(path: &str, entry: &'t Entry) -> Field<'t> {
    let key = Spanned { value: entry.key.clone(), span: entry.key_span.clone() };
    Field { path: join(path, &entry.key), key, node: &entry.node }
}

/// A key path with one more key.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Whether text is a number and not one of the words that also parse as a float, like `inf`.
fn looks_numeric(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'))
}

fn kind(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Scalar(text) => shorten(text),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
    }
}
