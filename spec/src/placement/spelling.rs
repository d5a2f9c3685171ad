//! Rules in the words of authors: `hostname:UNLIKE:old-.*`.
//!
//! Invariant: what is shown of a constraint that authors can write reads back as that constraint.

use super::{Counted, Key, Matcher, Rule};

impl Rule {
    /// The rule as the author of a pod of this type writes it, where it can be written; else in the words of `Display`.
    ///
    /// Shape: one spelling for each meaning: `IS` for `CLUSTER`, `UNIQUE` for `MAX_PER` with 1; commas and colons of a value
    /// are escaped, and what the plain form cannot say stands in JSON.
    pub fn spelled(&self, pod_type: &str) -> String {
        let joined = |rules: &[Self], word: &str| {
            let one = |rule: &Self| match rule {
                Self::And(inner) | Self::Or(inner) if inner.len() > 1 => format!("({})", rule.spelled(pod_type)),
                other => other.spelled(pod_type),
            };
            rules.iter().map(one).collect::<Vec<_>>().join(word)
        };
        let is_own = |counted: &Counted| matches!(counted, Counted::Pods(of) if of == pod_type);
        match self {
            Self::Match { key, matcher: Matcher::Exact(text) } => written(&[field(key), "IS", text]),
            Self::Match { key, matcher: Matcher::Regex { text, .. } } => written(&[field(key), "LIKE", text]),
            Self::Not(rule) => match rule.as_ref() {
                Self::Match { key, matcher: Matcher::Exact(text) } => written(&[field(key), "IS_NOT", text]),
                Self::Match { key, matcher: Matcher::Regex { text, .. } } => written(&[field(key), "UNLIKE", text]),
                other => format!("NOT ({})", other.spelled(pod_type)),
            },
            Self::MaxPer { key, max: 1, counted } if is_own(counted) => written(&[field(key), "UNIQUE"]),
            Self::MaxPer { key, max, counted } if is_own(counted) => {
                written(&[field(key), "MAX_PER", &max.to_string()])
            }
            Self::RoundRobin { key, expected: Some(expected), counted } if is_own(counted) => {
                written(&[field(key), "GROUP_BY", &expected.to_string()])
            }
            Self::RoundRobin { key, expected: None, counted } if is_own(counted) => written(&[field(key), "GROUP_BY"]),
            Self::And(rules) => joined(rules, " AND "),
            Self::Or(rules) => joined(rules, " OR "),
            other => other.to_string(),
        }
    }
}

/// A constraint of these words: in the plain form where that says the same.
fn written(words: &[&str]) -> String {
    // Blanks at its ends would be dropped, and a backslash at its end would escape what follows.
    let is_plain = |word: &&str| word.trim() == *word && !word.ends_with('\\') && !word.contains(char::is_control);
    let is_list = words.first().is_some_and(|field| field.starts_with('['));
    if words.iter().all(is_plain) && !is_list { plain(words) } else { json(words) }
}

/// `field:OPERATOR:value`, with its escapes.
pub(super) fn plain(words: &[&str]) -> String {
    let escaped = |word: &&str| word.replace(',', "\\,").replace(':', "\\:");
    words.iter().map(escaped).collect::<Vec<_>>().join(":")
}

/// `["field", "OPERATOR", "value"]`.
pub(super) fn json(words: &[&str]) -> String {
    let quoted = |word: &&str| {
        let characters = word.chars().map(|char| match char {
            '"' | '\\' => format!("\\{char}"),
            // In every case one unit: there are no others.
            control if control.is_control() => format!("\\u{:04x}", u32::from(control)),
            other => other.to_string(),
        });
        format!("\"{}\"", characters.collect::<String>())
    };
    format!("[{}]", words.iter().map(quoted).collect::<Vec<_>>().join(", "))
}

/// The field that stands for a key.
fn field(key: &Key) -> &str {
    match key {
        Key::Hostname => "hostname",
        Key::Region => "@region",
        Key::Zone => "@zone",
        Key::Attribute(name) => name,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_authors_write_comes_back() {
        for text in [
            "hostname:UNIQUE",
            "hostname:MAX_PER:2",
            "rack:IS:r1",
            "rack:IS_NOT:r1",
            "rack:LIKE:r[1-3]",
            "hostname:UNLIKE:old-.*",
            "@zone:GROUP_BY:3",
            "@region:GROUP_BY",
            r"note:IS:a b\,c\:d",
            r"a\:b:LIKE:a{1\,3}\\,",
            r#"["rack", "IS", " a\\\"b "]"#,
            r#"["rack", "LIKE", "a\\\\"]"#,
            r#"["[rack", "IS", "\u0001\u0085"]"#,
        ] {
            assert_eq!(Rule::parse(text, "p").unwrap().unwrap().spelled("p"), text);
        }
        let spelled = |text: &str| Rule::parse(text, "p").unwrap().unwrap().spelled("p");
        assert_eq!(
            spelled(r#"[["@hostname","unlike","a:b"],["rack","CLUSTER","r1"]]"#),
            r"hostname:UNLIKE:a\:b AND rack:IS:r1"
        );
        assert_eq!(spelled("hostname:MAX_PER:1"), "hostname:UNIQUE");
    }

    #[test]
    fn what_authors_cannot_write_has_words() {
        let unique = || Rule::parse("hostname:UNIQUE", "p").unwrap().unwrap();
        assert_eq!(unique().spelled("q"), "hostname max 1 of p");
        let or = || Rule::Or(vec![unique(), Rule::Agent("a".into())]);
        assert_eq!(Rule::Not(Box::new(or())).spelled("p"), "NOT (hostname:UNIQUE OR agent a)");
        assert_eq!(Rule::And(vec![or(), unique()]).spelled("p"), "(hostname:UNIQUE OR agent a) AND hostname:UNIQUE");
    }
}
