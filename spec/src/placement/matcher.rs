//! Comparison of an agent's value with what a rule says.

use regex::{Regex, RegexBuilder};

use crate::scalar::Scalar;

/// Largest compiled pattern, in bytes: what a list of hundreds of hosts needs. A pattern of ten characters could otherwise
/// take ten times as much, and every constraint of a specification may have one.
const MAX_PATTERN_BYTES: usize = 2 * 1024 * 1024;

/// What a value must be.
#[derive(Debug, Clone)]
pub enum Matcher {
    /// Equal; numbers are compared as numbers with three decimals.
    Exact(String),
    /// Matched as a whole.
    Regex {
        /// As the author wrote it.
        text: String,
        /// Anchored at both ends.
        regex: Regex,
    },
}

impl Matcher {
    /// A pattern that a whole value must match.
    ///
    /// Errors: what the pattern's parser says, also about one that is too large; look-around and back references do not
    /// exist.
    pub fn regex(text: &str) -> Result<Self, regex::Error> {
        let compiled = |text: &str| {
            RegexBuilder::new(text).size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES).build()
        };
        // First alone: otherwise a stray parenthesis could pair with those around it.
        compiled(text)?;
        Ok(Self::Regex { text: text.to_owned(), regex: compiled(&format!(r"\A(?:{text})\z"))? })
    }

    /// Whether the value is what it must be.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(wanted) => {
                value == wanted || matches!((number(value), number(wanted)), (Some(left), Some(right)) if left == right)
            }
            Self::Regex { regex, .. } => regex.is_match(value),
        }
    }

    /// What the author wrote.
    pub fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Regex { text, .. } => text,
        }
    }
}

/// By kind and text: a compiled pattern says nothing more.
impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        matches!(self, Self::Exact(_)) == matches!(other, Self::Exact(_)) && self.text() == other.text()
    }
}

impl Eq for Matcher {}

/// Thousandths, with the sign apart.
fn number(text: &str) -> Option<(bool, Scalar)> {
    let value: f64 = text.parse().ok()?;
    let amount = Scalar::from_f64(value.abs())?;
    Some((value < 0.0 && !amount.is_zero(), amount))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Matcher;

    #[test]
    fn what_differs_from_patterns_of_java_is_what_the_documentation_says() {
        for refused in ["(?!old-).*", "(?=a).*", "(?<=a)b", "(?<!a)b", r"(a)\1", "(?>a*)", r"\Qa.b\E"] {
            assert!(Matcher::regex(refused).is_err(), "{refused}");
        }
        let matches = |pattern: &str, value: &str| Matcher::regex(pattern).unwrap().matches(value);
        assert!(matches("a*+a", "aa"));
        assert!(matches(r"\d", "\u{663}") && !matches("[0-9]", "\u{663}") && !matches(r"(?-u:\d)", "\u{663}"));
        assert!(matches(r"(?i)DB-\d{1,3}|[a-c]+", "db-12") && !matches("db-", "db-1"));
    }
}
