//! Placement rules in the SDK's stored form.
//!
//! Invariant: reading what was written gives the same rule, and a rule of an unknown kind is kept word for word.
//! Source: `stored-form` reference §3 and §4: rules are objects with their class in `@type`, attributes are matched as
//! `name:value`, and counting by an attribute also demands that the agent has it.

use serde_json::{Value, json};

use super::read::{At, Result};
use crate::placement::{Counted, Key, Matcher, Neighbour, Rule};

/// The stored rule; null without one.
pub(super) fn to_json(rule: Option<&Rule>) -> Value {
    rule.map_or(Value::Null, write)
}

/// The rule of a stored one.
pub(super) fn from_json(rule: Option<At<'_>>, pod_type: &str) -> Result<Option<Rule>> {
    let Some(rule) = rule else { return Ok(None) };
    if kind(&rule)? == "InvalidPlacementRule" {
        // The text that could not be parsed may be one that this reader understands.
        let text = rule.need("constraints")?.text()?;
        let unknown = || Some(Rule::Unknown(rule.value.to_string()));
        return Ok(Rule::parse(&text, pod_type).unwrap_or_else(|_| unknown()));
    }
    read(&rule).map(Some)
}

fn write(rule: &Rule) -> Value {
    let tag = rule.class_name();
    let list = |rules: &[Rule]| rules.iter().map(write).collect::<Vec<_>>();
    match rule {
        Rule::Match { key, matcher } => json!({ "@type": tag, "matcher": matched(key, matcher) }),
        Rule::MaxPer { key: Key::Attribute(name), max, counted } => {
            let present = regex(&format!("{name}:.*"));
            json!({ "@type": "AndRule", "rules": [
                { "@type": "AttributeRule", "matcher": present },
                { "@type": tag, "max": max, "matcher": present, "task-filter": filter(counted, &Value::Null) },
            ] })
        }
        Rule::MaxPer { max, counted, .. } => {
            json!({ "@type": tag, "max": max, "task-filter": filter(counted, &Value::Null) })
        }
        Rule::RoundRobin { key, expected, counted } => {
            let filter = filter(counted, &json!({ "@type": "AnyMatcher" }));
            match key {
                Key::Attribute(name) => {
                    json!({ "@type": tag, "name": &**name, "value-count": expected, "task-filter": filter })
                }
                Key::Hostname | Key::Region | Key::Zone => {
                    let mut object = serde_json::Map::new();
                    object.insert("@type".to_owned(), json!(tag));
                    object.insert(expected_key(key).to_owned(), json!(expected));
                    object.insert("task-filter".to_owned(), filter);
                    Value::Object(object)
                }
            }
        }
        Rule::And(rules) | Rule::Or(rules) => json!({ "@type": tag, "rules": list(rules) }),
        Rule::Not(rule) => json!({ "@type": tag, "rule": write(rule) }),
        Rule::Passthrough | Rule::LocalRegion => json!({ "@type": tag }),
        Rule::Agent(id) => json!({ "@type": tag, "agent-id": id }),
        Rule::PodType { pod_type, neighbour } => json!({
            "@type": tag,
            "type": pod_type,
            "converter": { "@type": "TaskTypeLabelConverter" },
            "behavior": match neighbour { Neighbour::Avoid => "AVOID", Neighbour::Colocate => "COLOCATE" },
        }),
        Rule::Unknown(text) => serde_json::from_str(text).unwrap_or(Value::Null),
    }
}

const fn expected_key(key: &Key) -> &'static str {
    match key {
        Key::Hostname => "agent-count",
        Key::Region => "region-count",
        Key::Zone => "zone-count",
        Key::Attribute(_) => "value-count",
    }
}

fn regex(pattern: &str) -> Value {
    json!({ "@type": "RegexMatcher", "pattern": pattern })
}

fn matched(key: &Key, matcher: &Matcher) -> Value {
    let seen = |text: &str| match key {
        Key::Attribute(name) => format!("{name}:{text}"),
        Key::Hostname | Key::Region | Key::Zone => text.to_owned(),
    };
    match matcher {
        Matcher::Exact(text) => json!({ "@type": "ExactMatcher", "string": seen(text) }),
        Matcher::Regex { text, .. } => regex(&seen(text)),
    }
}

/// The filter of what counts; `all` is what the class writes for no filter.
fn filter(counted: &Counted, all: &Value) -> Value {
    match counted {
        Counted::Pods(pod_type) => regex(&format!("{pod_type}-.*")),
        Counted::All => all.clone(),
        Counted::TaskNames(Matcher::Exact(text)) => json!({ "@type": "ExactMatcher", "string": text }),
        Counted::TaskNames(Matcher::Regex { text, .. }) => regex(text),
    }
}

fn kind(rule: &At<'_>) -> Result<String> {
    rule.need("@type")?.text()
}

fn read(rule: &At<'_>) -> Result<Rule> {
    let key = |tag: &str| match tag {
        "HostnameRule" | "MaxPerHostnameRule" | "RoundRobinByHostnameRule" => Key::Hostname,
        "RegionRule" | "MaxPerRegionRule" | "RoundRobinByRegionRule" => Key::Region,
        _ => Key::Zone,
    };
    let unknown = || Ok(Rule::Unknown(rule.value.to_string()));
    let tag = kind(rule)?;
    Ok(match tag.as_str() {
        "PassthroughRule" => Rule::Passthrough,
        "IsLocalRegionRule" => Rule::LocalRegion,
        "AgentRule" => Rule::Agent(rule.need("agent-id")?.text()?),
        "AndRule" | "OrRule" => {
            let rules = rule.need("rules")?.items()?;
            if let Some(counted) = counted_attribute(&rules)?.filter(|_| tag == "AndRule") {
                return Ok(counted);
            }
            let rules = rules.iter().map(read).collect::<Result<_>>()?;
            if tag == "AndRule" { Rule::And(rules) } else { Rule::Or(rules) }
        }
        "NotRule" => Rule::Not(Box::new(read(&rule.need("rule")?)?)),
        "HostnameRule" | "RegionRule" | "ZoneRule" => matching(&rule.need("matcher")?, key(&tag))?,
        "AttributeRule" => match attribute(&rule.need("matcher")?)? {
            Some(rule) => rule,
            None => return unknown(),
        },
        "MaxPerHostnameRule" | "MaxPerRegionRule" | "MaxPerZoneRule" => {
            Rule::MaxPer { key: key(&tag), max: max(rule)?, counted: counted(rule)? }
        }
        "RoundRobinByHostnameRule" | "RoundRobinByRegionRule" | "RoundRobinByZoneRule" => {
            let key = key(&tag);
            Rule::RoundRobin { expected: expected(rule, expected_key(&key))?, key, counted: counted(rule)? }
        }
        "RoundRobinByAttributeRule" => Rule::RoundRobin {
            key: Key::Attribute(rule.need("name")?.text()?.into()),
            expected: expected(rule, "value-count")?,
            counted: counted(rule)?,
        },
        "TaskTypeRule" => {
            let behavior = rule.need("behavior")?;
            let neighbour = match behavior.text()?.as_str() {
                "AVOID" => Neighbour::Avoid,
                "COLOCATE" => Neighbour::Colocate,
                _ => return Err(behavior.wrong("AVOID or COLOCATE")),
            };
            Rule::PodType { pod_type: rule.need("type")?.text()?, neighbour }
        }
        _ => return unknown(),
    })
}

/// The pair of rules that counts by an attribute.
fn counted_attribute(rules: &[At<'_>]) -> Result<Option<Rule>> {
    let [present, counting] = rules else { return Ok(None) };
    let is_pair = kind(present)? == "AttributeRule"
        && kind(counting)? == "MaxPerAttributeRule"
        && present.value.get("matcher") == counting.value.get("matcher");
    let pattern = counting.get("matcher").and_then(|matcher| matcher.get("pattern"));
    let Some(pattern) = pattern.filter(|_| is_pair) else { return Ok(None) };
    let text = pattern.text()?;
    let Some(name) = text.strip_suffix(":.*").filter(|name| is_literal(name)) else { return Ok(None) };
    let key = Key::Attribute(name.into());
    Ok(Some(Rule::MaxPer { key, max: max(counting)?, counted: counted(counting)? }))
}

fn max(rule: &At<'_>) -> Result<u32> {
    let max = rule.need("max")?;
    u32::try_from(max.int("a number")?).map_err(|_| max.wrong("a number"))
}

fn expected(rule: &At<'_>, key: &str) -> Result<Option<u32>> {
    let Some(count) = rule.get(key) else { return Ok(None) };
    u32::try_from(count.int("a number")?).map(Some).map_err(|_| count.wrong("a number"))
}

fn counted(rule: &At<'_>) -> Result<Counted> {
    let Some(filter) = rule.get("task-filter") else { return Ok(Counted::All) };
    if kind(&filter)? == "AnyMatcher" {
        return Ok(Counted::All);
    }
    let matcher = matcher(&filter)?;
    let pod_type = match &matcher {
        Matcher::Regex { text, .. } => text.strip_suffix("-.*").filter(|text| is_literal(text)).map(str::to_owned),
        Matcher::Exact(_) => None,
    };
    Ok(pod_type.map_or(Counted::TaskNames(matcher), Counted::Pods))
}

/// Whether a part of a pattern stands for itself, as names of pods and attributes do.
fn is_literal(pattern: &str) -> bool {
    !pattern.is_empty() && !pattern.contains(|c: char| "\\+*?()|[]{}^$:".contains(c))
}

fn matcher(at: &At<'_>) -> Result<Matcher> {
    match kind(at)?.as_str() {
        "ExactMatcher" | "InvertedExactMatcher" => Ok(Matcher::Exact(at.need("string")?.text()?)),
        "RegexMatcher" => pattern(&at.need("pattern")?, |text| text),
        "AnyMatcher" => Ok(any()),
        _ => Err(at.wrong("a matcher")),
    }
}

fn pattern(at: &At<'_>, part: impl Fn(&str) -> &str) -> Result<Matcher> {
    Matcher::regex(part(&at.text()?)).map_err(|_| at.wrong("a regular expression"))
}

/// Matches every value.
fn any() -> Matcher {
    Matcher::regex(".*").unwrap_or_else(|_| Matcher::Exact(String::new()))
}

/// The rule that a value of the key matches, negated for the one inverted matcher.
fn matching(at: &At<'_>, key: Key) -> Result<Rule> {
    let rule = Rule::Match { key, matcher: matcher(at)? };
    Ok(if kind(at)? == "InvertedExactMatcher" { Rule::Not(Box::new(rule)) } else { rule })
}

/// The same for an attribute, whose name is part of what is matched; `None` when the name is itself a pattern.
fn attribute(at: &At<'_>) -> Result<Option<Rule>> {
    let kind = kind(at)?;
    let text_at = match kind.as_str() {
        "ExactMatcher" | "InvertedExactMatcher" => at.need("string")?,
        "RegexMatcher" => at.need("pattern")?,
        _ => return Ok(None),
    };
    let text = text_at.text()?;
    let Some((name, value)) = text.split_once(':') else { return Ok(None) };
    if kind == "RegexMatcher" && !is_literal(name) {
        return Ok(None);
    }
    let matcher = match kind.as_str() {
        "RegexMatcher" => pattern(&text_at, |text| text.split_once(':').map_or("", |(_, value)| value))?,
        _ => Matcher::Exact(value.to_owned()),
    };
    let rule = Rule::Match { key: Key::Attribute(name.into()), matcher };
    Ok(Some(if kind == "InvertedExactMatcher" { Rule::Not(Box::new(rule)) } else { rule }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Rule {
        Rule::parse(text, "node").unwrap().unwrap()
    }

    fn read_back(stored: &Value) -> Rule {
        from_json(Some(At { value: stored, path: String::new() }), "node").unwrap().unwrap()
    }

    #[test]
    fn constraints_survive_storing() {
        for text in [
            "hostname:UNIQUE",
            r#"["@hostname","max_per",2]"#,
            r"rack:LIKE:a\:b\,c, @zone:GROUP_BY:3",
            "rack:UNIQUE,rack:GROUP_BY",
            "rack:MAX_PER:2",
            "rack:IS:r1,@region:IS_NOT:x",
            "hostname:UNLIKE:10[.].*",
            "@region:UNIQUE,@zone:MAX_PER:2",
        ] {
            assert_eq!(read_back(&to_json(Some(&parse(text)))), parse(text), "{text}");
        }
    }

    #[test]
    fn stored_rules_are_the_sdks() {
        let filter = json!({ "@type": "RegexMatcher", "pattern": "node-.*" });
        assert_eq!(
            write(&parse("hostname:UNIQUE")),
            json!({ "@type": "MaxPerHostnameRule", "max": 1, "task-filter": filter })
        );
        assert_eq!(
            write(&parse("rack:UNLIKE:r.*")),
            json!({ "@type": "NotRule", "rule": { "@type": "AttributeRule",
                "matcher": { "@type": "RegexMatcher", "pattern": "rack:r.*" } } })
        );
    }

    #[test]
    fn rules_of_code_survive_too() {
        for rule in [
            json!({ "@type": "OrRule", "rules": [ { "@type": "AgentRule", "agent-id": "a" }, { "@type": "IsLocalRegionRule" } ] }),
            json!({ "@type": "MaxPerHostnameRule", "max": 1, "task-filter": null }),
            json!({ "@type": "TaskTypeRule", "type": "x", "converter": { "@type": "TaskTypeLabelConverter" }, "behavior": "AVOID" }),
            json!({ "@type": "MyRule", "anything": [1, 2.5, { "a": null }] }),
            json!({ "@type": "AttributeRule", "matcher": { "@type": "RegexMatcher", "pattern": "(a|b):c" } }),
        ] {
            assert_eq!(write(&read_back(&rule)), rule);
        }
        let inverted =
            json!({ "@type": "AttributeRule", "matcher": { "@type": "InvertedExactMatcher", "string": "rack:r1" } });
        assert_eq!(read_back(&inverted), parse("rack:IS_NOT:r1"));
    }
}
