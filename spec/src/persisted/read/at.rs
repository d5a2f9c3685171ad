//! A place in a stored document: its value, and the keys that lead to it.
//!
//! Invariant: every error names the place. A null is an absent key, as for the SDK; numbers and booleans may be text.

use serde_json::Value;

use super::{Error, Result};

/// A value and the keys that lead to it.
#[derive(Clone)]
pub(in crate::persisted) struct At<'j> {
    pub(in crate::persisted) value: &'j Value,
    pub(in crate::persisted) path: String,
}

impl<'j> At<'j> {
    /// The document itself.
    pub(in crate::persisted) const fn root(value: &'j Value) -> Self {
        Self { value, path: String::new() }
    }

    /// The value of a key, when it is there and not null.
    pub(in crate::persisted) fn get(&self, key: &str) -> Option<At<'j>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(At { value, path: self.path_of(key) })
    }

    pub(in crate::persisted) fn need(&self, key: &str) -> Result<At<'j>> {
        self.get(key).ok_or_else(|| Error::Missing { path: self.path_of(key) })
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Refuses what is not an object, which would look like one without keys.
    pub(in crate::persisted) fn object(self) -> Result<Self> {
        if self.value.is_object() { Ok(self) } else { Err(self.wrong("an object")) }
    }

    pub(in crate::persisted) fn items(&self) -> Result<Vec<At<'j>>> {
        let items = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        let item = |(index, value)| At { value, path: format!("{}.{index}", self.path) };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// Every item as `read` understands it; none when the key is absent.
    pub(super) fn each<T>(&self, key: &str, read: impl Fn(&At<'j>) -> Result<T>) -> Result<Vec<T>> {
        self.get(key).map_or(Ok(Vec::new()), |list| list.items()?.iter().map(read).collect())
    }

    /// A text of one of these meanings.
    pub(super) fn one_of<T>(&self, wanted: &'static str, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        find(&self.text()?).ok_or_else(|| self.wrong(wanted))
    }

    pub(in crate::persisted) fn text(&self) -> Result<String> {
        self.value.as_str().map(str::to_owned).ok_or_else(|| self.wrong("text"))
    }

    /// The text of a key, when it is there.
    pub(in crate::persisted) fn text_of(&self, key: &str) -> Result<Option<String>> {
        self.get(key).map(|text| text.text()).transpose()
    }

    /// A whole number, also written with an exponent, a fraction of zero, or as text.
    pub(in crate::persisted) fn int(&self, wanted: &'static str) -> Result<i128> {
        let exact = match self.value {
            Value::Number(number) => number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let rounded = || self.double().filter(|double| double.fract() == 0.0 && double.abs() < 9e15);
        exact.or_else(|| rounded().map(|double| double as i128)).ok_or_else(|| self.wrong(wanted))
    }

    /// A whole number that fits its type.
    pub(in crate::persisted) fn whole<T: TryFrom<i128>>(&self, wanted: &'static str) -> Result<T> {
        T::try_from(self.int(wanted)?).map_err(|_| self.wrong(wanted))
    }

    /// A number of a key, when it is there.
    pub(in crate::persisted) fn whole_of<T: TryFrom<i128>>(
        &self,
        key: &str,
        wanted: &'static str,
    ) -> Result<Option<T>> {
        self.get(key).map(|number| number.whole(wanted)).transpose()
    }

    /// A number, also written with an exponent or as text.
    pub(super) fn double(&self) -> Option<f64> {
        let number = self.value.as_f64().or_else(|| self.value.as_str()?.trim().parse().ok())?;
        number.is_finite().then_some(number)
    }

    /// Whether a key says so; an absent one says `default`.
    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        let Some(at) = self.get(key) else { return Ok(default) };
        match at.value {
            Value::Bool(value) => Ok(*value),
            Value::String(text) if text == "true" => Ok(true),
            Value::String(text) if text == "false" => Ok(false),
            _ => Err(at.wrong("true or false")),
        }
    }

    /// Name and text of every entry in the order of the document; none when the key is absent.
    pub(super) fn pairs(&self, key: &str) -> Result<Vec<(String, String)>> {
        let Some(object) = self.get(key) else { return Ok(Vec::new()) };
        let entries = object.value.as_object().ok_or_else(|| object.wrong("an object"))?;
        let pair = |(key, value): (&String, &'j Value)| {
            let at = At { value, path: object.path_of(key) };
            // A variable without a value: the older generation stored null.
            let text = if value.is_null() { String::new() } else { at.text()? };
            Ok((key.clone(), text))
        };
        entries.iter().map(pair).collect()
    }

    pub(in crate::persisted) fn wrong(&self, wanted: &'static str) -> Error {
        let text = self.value.to_string();
        let found = text.chars().take(60).collect();
        let path = if self.path.is_empty() { "the top".to_owned() } else { self.path.clone() };
        Error::Wrong { path, found, wanted }
    }

    pub(super) fn not_supported_yet(&self, feature: &str) -> Error {
        Error::NotSupportedYet { path: self.path.clone(), feature: feature.to_owned() }
    }
}
