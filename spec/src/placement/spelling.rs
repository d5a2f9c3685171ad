//! Rules in the words of authors: `hostname:UNLIKE:old-.*`.

use super::{Counted, Key, Matcher, Rule};

impl Rule {
    /// The rule as the author of a pod of this type writes it, where it can be written; else in the words of `Display`.
    ///
    /// Shape: one spelling for each meaning: `IS` for `CLUSTER`, `UNIQUE` for `MAX_PER` with 1; nothing is escaped.
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
            Self::Match { key, matcher: Matcher::Exact(text) } => format!("{}:IS:{text}", field(key)),
            Self::Match { key, matcher: Matcher::Regex { text, .. } } => format!("{}:LIKE:{text}", field(key)),
            Self::Not(rule) => match rule.as_ref() {
                Self::Match { key, matcher: Matcher::Exact(text) } => format!("{}:IS_NOT:{text}", field(key)),
                Self::Match { key, matcher: Matcher::Regex { text, .. } } => format!("{}:UNLIKE:{text}", field(key)),
                other => format!("NOT ({})", other.spelled(pod_type)),
            },
            Self::MaxPer { key, max: 1, counted } if is_own(counted) => format!("{}:UNIQUE", field(key)),
            Self::MaxPer { key, max, counted } if is_own(counted) => format!("{}:MAX_PER:{max}", field(key)),
            Self::RoundRobin { key, expected, counted } if is_own(counted) => {
                let expected = expected.map_or(String::new(), |expected| format!(":{expected}"));
                format!("{}:GROUP_BY{expected}", field(key))
            }
            Self::And(rules) => joined(rules, " AND "),
            Self::Or(rules) => joined(rules, " OR "),
            other => other.to_string(),
        }
    }
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
        ] {
            assert_eq!(Rule::parse(text, "p").unwrap().unwrap().spelled("p"), text);
        }
        let spelled = |text: &str| Rule::parse(text, "p").unwrap().unwrap().spelled("p");
        assert_eq!(
            spelled(r#"[["@hostname","unlike","a:b"],["rack","CLUSTER","r1"]]"#),
            "hostname:UNLIKE:a:b AND rack:IS:r1"
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
