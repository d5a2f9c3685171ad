//! Nested values, as package templates see them.
//!
//! Not a JSON library: there is no reader here, so that this crate keeps free of dependencies. Whoever has JSON builds
//! a [`Value`] from it.

use std::collections::BTreeMap;

use crate::{json, limits::MAX_VALUE_DEPTH};

/// A value of a template: text, a number, a boolean, or a list or map of such.
///
/// Shape: nested at most [`MAX_VALUE_DEPTH`] deep, as JSON readers allow; printing what is deeper is an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Value {
    /// Present without a value: false, prints nothing, is not missing.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// A number in the spelling it is printed with.
    Number(String),
    /// A text.
    Text(String),
    /// A list: sections repeat for each item.
    List(Vec<Value>),
    /// Values by name: sections look names up here first. Printed in the order of the names.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// Every value inside that is no map, by its path of names joined with dots, as text.
    ///
    /// Shape: lists are one value, in JSON. What lies deeper than [`MAX_VALUE_DEPTH`] is shown as `…`.
    pub fn flatten(&self) -> BTreeMap<String, String> {
        let mut flat = BTreeMap::new();
        self.flatten_into("", 0, &mut flat);
        flat
    }

    fn flatten_into(&self, path: &str, depth: usize, flat: &mut BTreeMap<String, String>) {
        let Self::Map(map) = self else {
            let text = match self {
                Self::Text(text) | Self::Number(text) => text.clone(),
                Self::Null => String::new(),
                Self::Bool(_) | Self::List(_) | Self::Map(_) => {
                    json::text(self.into(), usize::MAX).unwrap_or_else(|_| "…".to_owned())
                }
            };
            flat.insert(if path.is_empty() { "." } else { path }.to_owned(), text);
            return;
        };
        for (name, value) in map {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if depth < MAX_VALUE_DEPTH {
                value.flatten_into(&path, depth + 1, flat);
            } else {
                flat.insert(path, "…".to_owned());
            }
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value.to_string())
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Number(value.to_string())
    }
}

/// A whole number comes out without a fraction (`256.0` prints `256`); what is no number becomes [`Value::Null`].
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        if value.is_finite() { Self::Number(value.to_string()) } else { Self::Null }
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<V: Into<Value>> From<Vec<V>> for Value {
    fn from(values: Vec<V>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl<V: Into<Value>> From<BTreeMap<String, V>> for Value {
    fn from(values: BTreeMap<String, V>) -> Self {
        values.into_iter().collect()
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(values: I) -> Self {
        Self::Map(values.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<K: Into<String>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Value {
    fn from(values: [(K, V); N]) -> Self {
        values.into_iter().collect()
    }
}

/// A borrowed value: what a name leads to while rendering.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item<'v> {
    Null,
    Bool(bool),
    Number(&'v str),
    Text(&'v str),
    List(&'v [Value]),
    Map(&'v BTreeMap<String, Value>),
}

impl<'v> Item<'v> {
    /// The value under a name, when this is a map that has it.
    pub(crate) fn get(self, name: &str) -> Option<Item<'v>> {
        match self {
            Self::Map(map) => map.get(name).map(Into::into),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(_) | Self::Number(_) => false,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Map(map) => map.is_empty(),
        }
    }
}

impl<'v> From<&'v Value> for Item<'v> {
    fn from(value: &'v Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(text) => Self::Number(text),
            Value::Text(text) => Self::Text(text),
            Value::List(items) => Self::List(items),
            Value::Map(map) => Self::Map(map),
        }
    }
}
