//! Placement rules in the SDK's stored form.
//!
//! Invariant: reading what was written gives the same rule. A rule that has no place in the model - of an unknown kind, or
//! with a pattern only Java understands - is kept word for word, and nothing passes it; neither does anything pass a
//! negation of it.
//! Source: `stored-form` reference §3 and §4: rules are objects with their class in `@type`, attributes are matched as
//! `name:value`, and counting by an attribute also demands that the agent has it.

mod number;

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
        return Ok(Rule::parse(&text, pod_type).unwrap_or_else(|_| Some(verbatim(&rule))));
    }
    read(&rule, pod_type).map(Some)
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
                max_per_attribute(name, *max, counted),
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
        Rule::And(rules) | Rule::Or(rules) => match counted_where_present(rule) {
            Some((name, max, counted)) => max_per_attribute(name, max, counted),
            None => json!({ "@type": tag, "rules": list(rules) }),
        },
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

fn max_per_attribute(name: &str, max: u32, counted: &Counted) -> Value {
    json!({
        "@type": "MaxPerAttributeRule",
        "max": max,
        "matcher": regex(&format!("{name}:.*")),
        "task-filter": filter(counted, &Value::Null),
    })
}

/// What counting by an attribute alone says: agents without it pass. Service code can make this, constraints cannot.
fn where_present(name: &str, max: u32, counted: Counted) -> Rule {
    let key = Key::Attribute(name.into());
    let absent = Rule::Not(Box::new(Rule::Match { key: key.clone(), matcher: any() }));
    Rule::Or(vec![absent, Rule::MaxPer { key, max, counted }])
}

/// The parts of such a rule.
fn counted_where_present(rule: &Rule) -> Option<(&str, u32, &Counted)> {
    let Rule::Or(rules) = rule else { return None };
    let [_, Rule::MaxPer { key: Key::Attribute(name), max, counted }] = rules.as_slice() else { return None };
    (where_present(name, *max, counted.clone()) == *rule).then_some((&**name, *max, counted))
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

fn exact(text: &str) -> Value {
    json!({ "@type": "ExactMatcher", "string": number::normalised(text) })
}

fn matched(key: &Key, matcher: &Matcher) -> Value {
    let seen = |text: &str| match key {
        Key::Attribute(name) => format!("{name}:{text}"),
        Key::Hostname | Key::Region | Key::Zone => text.to_owned(),
    };
    match matcher {
        Matcher::Exact(text) => exact(&seen(text)),
        Matcher::Regex { text, .. } => regex(&seen(text)),
    }
}

/// The filter of what counts; `all` is what the class writes for no filter.
fn filter(counted: &Counted, all: &Value) -> Value {
    match counted {
        Counted::Pods(pod_type) => regex(&format!("{pod_type}-.*")),
        Counted::All => all.clone(),
        Counted::TaskNames(Matcher::Exact(text)) => exact(text),
        Counted::TaskNames(Matcher::Regex { text, .. }) => regex(text),
    }
}

fn kind(rule: &At<'_>) -> Result<String> {
    rule.need("@type")?.text()
}

fn verbatim(rule: &At<'_>) -> Rule {
    Rule::Unknown(rule.value.to_string())
}

fn read(rule: &At<'_>, pod_type: &str) -> Result<Rule> {
    Ok(known(rule, pod_type)?.unwrap_or_else(|| verbatim(rule)))
}

/// The rule in the model, if it has a place there.
fn known(rule: &At<'_>, pod_type: &str) -> Result<Option<Rule>> {
    let key = |tag: &str| match tag {
        "HostnameRule" | "MaxPerHostnameRule" | "RoundRobinByHostnameRule" => Key::Hostname,
        "RegionRule" | "MaxPerRegionRule" | "RoundRobinByRegionRule" => Key::Region,
        _ => Key::Zone,
    };
    let counted = || counted(rule, pod_type);
    let tag = kind(rule)?;
    Ok(match tag.as_str() {
        "PassthroughRule" => Some(Rule::Passthrough),
        "IsLocalRegionRule" => Some(Rule::LocalRegion),
        "AgentRule" => Some(Rule::Agent(rule.need("agent-id")?.text()?)),
        "AndRule" | "OrRule" => {
            let items = rule.need("rules")?.items()?;
            if let Some(counted) = counted_attribute(&items, pod_type)?.filter(|_| tag == "AndRule") {
                return Ok(Some(counted));
            }
            let rules = items.iter().map(|item| read(item, pod_type)).collect::<Result<_>>()?;
            Some(if tag == "AndRule" { Rule::And(rules) } else { Rule::Or(rules) })
        }
        "NotRule" => {
            // Nothing passes what is not understood, so everything would pass its negation.
            Some(read(&rule.need("rule")?, pod_type)?)
                .filter(|inner| inner.unknown().is_none())
                .map(|inner| Rule::Not(Box::new(inner)))
        }
        "HostnameRule" | "RegionRule" | "ZoneRule" => matching(&rule.need("matcher")?, key(&tag))?,
        "AttributeRule" => attribute(&rule.need("matcher")?)?,
        "MaxPerHostnameRule" | "MaxPerRegionRule" | "MaxPerZoneRule" => {
            let max = max(rule)?;
            counted()?.map(|counted| Rule::MaxPer { key: key(&tag), max, counted })
        }
        "MaxPerAttributeRule" => {
            let (max, name) = (max(rule)?, any_value_of(&rule.need("matcher")?)?);
            name.zip(counted()?).map(|(name, counted)| where_present(&name, max, counted))
        }
        "RoundRobinByHostnameRule" | "RoundRobinByRegionRule" | "RoundRobinByZoneRule" => {
            let key = key(&tag);
            let expected = rule.whole_of(expected_key(&key), "a number")?;
            counted()?.map(|counted| Rule::RoundRobin { key, expected, counted })
        }
        "RoundRobinByAttributeRule" => {
            let (key, expected) =
                (Key::Attribute(rule.need("name")?.text()?.into()), rule.whole_of("value-count", "a number")?);
            counted()?.map(|counted| Rule::RoundRobin { key, expected, counted })
        }
        "TaskTypeRule" => {
            let behavior = rule.need("behavior")?;
            let neighbour = match behavior.text()?.as_str() {
                "AVOID" => Neighbour::Avoid,
                "COLOCATE" => Neighbour::Colocate,
                _ => return Err(behavior.wrong("AVOID or COLOCATE")),
            };
            // Service code may find out the type of a task in its own way.
            let converter = rule.get("converter").map(|converter| kind(&converter)).transpose()?;
            let pod_type = rule.need("type")?.text()?;
            let is_by_label = converter.is_none_or(|converter| converter == "TaskTypeLabelConverter");
            is_by_label.then_some(Rule::PodType { pod_type, neighbour })
        }
        _ => None,
    })
}

/// The pair of rules that counts by an attribute.
fn counted_attribute(rules: &[At<'_>], pod_type: &str) -> Result<Option<Rule>> {
    let [present, counting] = rules else { return Ok(None) };
    let is_pair = kind(present)? == "AttributeRule"
        && kind(counting)? == "MaxPerAttributeRule"
        && present.value.get("matcher") == counting.value.get("matcher");
    if !is_pair {
        return Ok(None);
    }
    let (max, name) = (max(counting)?, any_value_of(&counting.need("matcher")?)?);
    let counted = counted(counting, pod_type)?;
    Ok(name.zip(counted).map(|(name, counted)| Rule::MaxPer { key: Key::Attribute(name.into()), max, counted }))
}

/// The name in a matcher for every value of one attribute.
fn any_value_of(matcher: &At<'_>) -> Result<Option<String>> {
    if kind(matcher)? != "RegexMatcher" {
        return Ok(None);
    }
    let text = matcher.need("pattern")?.text()?;
    Ok(text.strip_suffix(":.*").filter(|name| is_literal(name)).map(str::to_owned))
}

fn max(rule: &At<'_>) -> Result<u32> {
    rule.need("max")?.whole("a number")
}

/// What a rule counts, if it has a place in the model.
fn counted(rule: &At<'_>, pod_type: &str) -> Result<Option<Counted>> {
    let Some(filter) = rule.get("task-filter") else { return Ok(Some(Counted::All)) };
    match kind(&filter)?.as_str() {
        "AnyMatcher" => return Ok(Some(Counted::All)),
        "InvertedExactMatcher" => return Ok(None),
        _ => {}
    }
    let counted = |matcher| match &matcher {
        Matcher::Regex { text, .. } => match text.strip_suffix("-.*") {
            Some(counted) if counted == pod_type || is_literal(counted) => Counted::Pods(counted.to_owned()),
            _ => Counted::TaskNames(matcher),
        },
        Matcher::Exact(_) => Counted::TaskNames(matcher),
    };
    Ok(matcher(&filter)?.map(counted))
}

/// Whether a part of a pattern stands for itself, as names of pods and attributes do.
fn is_literal(pattern: &str) -> bool {
    !pattern.is_empty() && !pattern.contains(|c: char| "\\+*?()|[]{}^$:".contains(c))
}

/// The matcher, unless its pattern is one that only Java understands.
fn matcher(at: &At<'_>) -> Result<Option<Matcher>> {
    match kind(at)?.as_str() {
        "ExactMatcher" | "InvertedExactMatcher" => Ok(Some(Matcher::Exact(at.need("string")?.text()?))),
        "RegexMatcher" => Ok(Matcher::regex(&at.need("pattern")?.text()?).ok()),
        "AnyMatcher" => Ok(Some(any())),
        _ => Err(at.wrong("a matcher")),
    }
}

/// Matches every value.
fn any() -> Matcher {
    Matcher::regex(".*").unwrap_or_else(|_| Matcher::Exact(String::new()))
}

/// The rule that a value of the key matches, negated for the one inverted matcher.
fn matching(at: &At<'_>, key: Key) -> Result<Option<Rule>> {
    let Some(matcher) = matcher(at)? else { return Ok(None) };
    negated_if_inverted(at, Rule::Match { key, matcher }).map(Some)
}

fn negated_if_inverted(at: &At<'_>, rule: Rule) -> Result<Rule> {
    Ok(if kind(at)? == "InvertedExactMatcher" { Rule::Not(Box::new(rule)) } else { rule })
}

/// The same for an attribute, whose name is part of what is matched; `None` when the name is itself a pattern.
fn attribute(at: &At<'_>) -> Result<Option<Rule>> {
    let Some(matcher) = matcher(at)? else { return Ok(None) };
    let Some((name, value)) = matcher.text().split_once(':') else { return Ok(None) };
    let key = Key::Attribute(name.into());
    let of_value = match &matcher {
        Matcher::Exact(_) => Some(Matcher::Exact(value.to_owned())),
        Matcher::Regex { .. } => Matcher::regex(value).ok().filter(|_| is_literal(name)),
    };
    of_value.map(|matcher| negated_if_inverted(at, Rule::Match { key, matcher })).transpose()
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
        from_json(Some(At::root(stored)), "node").unwrap().unwrap()
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
        let bare = json!({ "@type": "TaskTypeRule", "type": "x", "behavior": "COLOCATE" });
        assert_eq!(
            read_back(&bare),
            Rule::PodType { pod_type: "x".to_owned(), neighbour: Neighbour::Colocate },
            "a missing converter is the one by label"
        );
    }

    #[test]
    fn counting_by_an_attribute_alone_lets_agents_without_it_pass() {
        let bare = json!({ "@type": "MaxPerAttributeRule", "max": 2,
            "matcher": { "@type": "RegexMatcher", "pattern": "rack:.*" }, "task-filter": null });
        let rule = read_back(&bare);
        assert_eq!(rule.to_string(), "NOT (attribute rack LIKE .*) OR attribute rack max 2 of all pods");
        assert_eq!(write(&rule), bare);
        assert_eq!(
            read_back(&write(&parse("rack:MAX_PER:2"))).to_string(),
            "attribute rack max 2 of node",
            "with the demand that it exists it is the rule of a constraint"
        );
    }

    #[test]
    fn region_rules_of_the_sdk_stay_apart() {
        let filter = json!({ "@type": "RegexMatcher", "pattern": "node-.*" });
        let own = json!({ "@type": "MaxPerHostnameRule", "max": 1, "task-filter": filter });
        for region in [
            json!({ "@type": "IsLocalRegionRule" }),
            json!({ "@type": "RegionRule", "matcher": { "@type": "ExactMatcher", "string": "eu" } }),
        ] {
            let both = json!({ "@type": "AndRule", "rules": [region, own] });
            assert_eq!(read_back(&both), Rule::And(vec![read_back(&region), parse("hostname:UNIQUE")]));
            assert_eq!(write(&read_back(&both)), both);
        }
    }

    #[test]
    fn numbers_are_written_as_the_sdk_keeps_them() {
        let stored = |text| write(&parse(text))["matcher"]["string"].clone();
        assert_eq!(stored("@zone:IS:007.50"), "7.5");
        assert_eq!(stored("hostname:CLUSTER:1d"), "1");
        // Here the whole text is the attribute with its name, which is no number.
        assert_eq!(stored("shelf:IS:007.50"), "shelf:007.50");
    }

    #[test]
    fn what_has_no_place_in_the_model_is_kept_word_for_word() {
        for rule in [
            json!({ "@type": "TaskTypeRule", "type": "x", "converter": { "@type": "OfCode" }, "behavior": "AVOID" }),
            json!({ "@type": "MaxPerZoneRule", "max": 1,
                "task-filter": { "@type": "InvertedExactMatcher", "string": "node-0-a" } }),
            json!({ "@type": "MaxPerAttributeRule", "max": 1,
                "matcher": { "@type": "RegexMatcher", "pattern": "rack:r.*" }, "task-filter": null }),
            json!({ "@type": "MaxPerAttributeRule", "max": 1, "matcher": { "@type": "AnyMatcher" }, "task-filter": null }),
            json!({ "@type": "HostnameRule", "matcher": { "@type": "RegexMatcher", "pattern": "a(?=b)" } }),
            json!({ "@type": "AttributeRule", "matcher": { "@type": "AnyMatcher" } }),
            json!({ "@type": "AttributeRule", "matcher": { "@type": "ExactMatcher", "string": "nameless" } }),
            json!({ "@type": "InvalidPlacementRule", "exception": "e", "constraints": "rack:NEAR:x" }),
        ] {
            assert_eq!(read_back(&rule), Rule::Unknown(rule.to_string()), "{rule}");
            assert_eq!(write(&read_back(&rule)), rule);
            let not = json!({ "@type": "NotRule", "rule": rule });
            assert_eq!(read_back(&not), Rule::Unknown(not.to_string()), "everything would pass {not}");
        }
        let readable = json!({ "@type": "InvalidPlacementRule", "exception": "e", "constraints": "rack:IS:r1" });
        assert_eq!(read_back(&readable), parse("rack:IS:r1"));
    }
}
