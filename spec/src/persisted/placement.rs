//! Placement constraints: the author's text to stored rules, and stored rules back to text.
//!
//! Not the meaning of a rule: the engine parses the same text for that. The text that comes back is one spelling, a JSON
//! list of rows; written again it gives the same rules. A rule that no text can express is an error that names it.
//! Source: the table of stored constraints of the final generation.

use serde_json::{Value, json};

use super::read::{At, Result};

/// One constraint: field, operator, perhaps a parameter.
type Row = Vec<String>;

/// Operators of a rule over one value: stored as a matcher, or a matcher inside a `NotRule`.
const EXACT: &str = "CLUSTER";

/// The stored rule of a constraint text; null without one.
pub(super) fn to_json(text: Option<&str>, pod_type: &str) -> Value {
    let Some(text) = text else { return Value::Null };
    match rows(text).and_then(|rows| rows.iter().map(|row| rule(row, pod_type)).collect::<Option<Vec<_>>>()) {
        Some(rules) if rules.len() > 1 => json!({ "@type": "AndRule", "rules": rules }),
        Some(rules) => rules.into_iter().next().unwrap_or(Value::Null),
        // Kept as text, as the SDK keeps what it cannot parse.
        None => json!({ "@type": "InvalidPlacementRule", "exception": "invalid constraint", "constraints": text }),
    }
}

/// The constraint text of a stored rule.
pub(super) fn from_json(rule: Option<At<'_>>, pod_type: &str) -> Result<Option<String>> {
    let Some(rule) = rule else { return Ok(None) };
    if kind(&rule)? == "InvalidPlacementRule" {
        return Ok(Some(rule.need("constraints")?.text()?));
    }
    let mut rows = Vec::new();
    collect(&rule, pod_type, &mut rows)?;
    Ok((!rows.is_empty()).then(|| json!(rows).to_string()))
}

/// The rows of any of the three spellings.
fn rows(text: &str) -> Option<Vec<Row>> {
    if !text.trim_start().starts_with('[') {
        return Some(plain(text));
    }
    let Value::Array(items) = serde_json::from_str(text).ok()? else { return None };
    let word = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    if items.iter().all(Value::is_array) {
        return items.iter().map(|row| row.as_array()?.iter().map(word).collect()).collect();
    }
    Some(vec![items.iter().map(word).collect::<Option<_>>()?])
}

/// `field:OPERATOR[:value],…`, where `\,` and `\:` stand for themselves.
fn plain(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = vec![vec![String::new()]];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let escaped = if character == '\\' { characters.next_if(|next| matches!(next, ',' | ':')) } else { None };
        match (character, escaped) {
            (',', _) => rows.push(vec![String::new()]),
            (':', _) => {
                if let Some(row) = rows.last_mut() {
                    row.push(String::new());
                }
            }
            (character, escaped) => {
                if let Some(word) = rows.last_mut().and_then(|row| row.last_mut()) {
                    word.push(escaped.unwrap_or(character));
                }
            }
        }
    }
    let trim = |row: Row| row.into_iter().map(|word| word.trim().to_owned()).collect();
    rows.into_iter().map(trim).collect()
}

/// What a constraint is about.
enum Field<'f> {
    Hostname,
    Region,
    Zone,
    Attribute(&'f str),
}

impl<'f> Field<'f> {
    fn parse(text: &'f str) -> Self {
        match text {
            "hostname" | "@hostname" => Self::Hostname,
            "@region" => Self::Region,
            "@zone" => Self::Zone,
            name => Self::Attribute(name),
        }
    }

    /// The middle of the rule's tag.
    fn tag(&self) -> &'static str {
        match self {
            Self::Hostname => "Hostname",
            Self::Region => "Region",
            Self::Zone => "Zone",
            Self::Attribute(_) => "Attribute",
        }
    }

    fn text(&self) -> &'f str {
        match self {
            Self::Hostname => "hostname",
            Self::Region => "@region",
            Self::Zone => "@zone",
            Self::Attribute(name) => name,
        }
    }

    /// Text as a matcher sees it: attributes are matched as `name:value`.
    fn matched(&self, text: &str) -> String {
        match self {
            Self::Attribute(name) => format!("{name}:{text}"),
            Self::Hostname | Self::Region | Self::Zone => text.to_owned(),
        }
    }
}

fn regex(pattern: &str) -> Value {
    json!({ "@type": "RegexMatcher", "pattern": pattern })
}

/// The filter that counts the tasks of a pod type.
fn filter_pattern(pod_type: &str) -> String {
    format!("{pod_type}-.*")
}

fn rule(row: &Row, pod_type: &str) -> Option<Value> {
    let [name, operator, parameter @ ..] = row.as_slice() else { return None };
    let parameter = match parameter {
        [] => None,
        [one] => Some(one.as_str()),
        _ => return None,
    };
    let field = Field::parse(name);
    let filter = regex(&filter_pattern(pod_type));
    let matcher = |matcher: Value| json!({ "@type": format!("{}Rule", field.tag()), "matcher": matcher });
    let exact = |text: &str| matcher(json!({ "@type": "ExactMatcher", "string": field.matched(text) }));
    let like = |pattern: &str| matcher(regex(&field.matched(pattern)));
    let not = |rule: Value| json!({ "@type": "NotRule", "rule": rule });
    match (operator.to_ascii_uppercase().as_str(), parameter) {
        ("UNIQUE", None) => Some(max_per(&field, 1, filter)),
        ("MAX_PER", Some(max)) => Some(max_per(&field, max.parse().ok()?, filter)),
        ("CLUSTER" | "IS", Some(value)) => Some(exact(value)),
        ("IS_NOT", Some(value)) => Some(not(exact(value))),
        ("LIKE", Some(pattern)) => Some(like(pattern)),
        ("UNLIKE", Some(pattern)) => Some(not(like(pattern))),
        ("GROUP_BY", count) => {
            let count: Option<i32> = count.map(str::parse).transpose().ok()?;
            Some(match field {
                Field::Attribute(name) => json!({
                    "@type": "RoundRobinByAttributeRule",
                    "name": name,
                    "value-count": count,
                    "task-filter": filter,
                }),
                Field::Hostname => {
                    json!({ "@type": "RoundRobinByHostnameRule", "agent-count": count, "task-filter": filter })
                }
                Field::Region => {
                    json!({ "@type": "RoundRobinByRegionRule", "region-count": count, "task-filter": filter })
                }
                Field::Zone => json!({ "@type": "RoundRobinByZoneRule", "zone-count": count, "task-filter": filter }),
            })
        }
        _ => None,
    }
}

fn max_per(field: &Field<'_>, max: i32, filter: Value) -> Value {
    let Field::Attribute(name) = field else {
        return json!({ "@type": format!("MaxPer{}Rule", field.tag()), "max": max, "task-filter": filter });
    };
    // Counting by an attribute also demands that the agent has it.
    let present = regex(&format!("{name}:.*"));
    json!({ "@type": "AndRule", "rules": [
        { "@type": "AttributeRule", "matcher": present },
        { "@type": "MaxPerAttributeRule", "max": max, "matcher": present, "task-filter": filter },
    ] })
}

fn kind(rule: &At<'_>) -> Result<String> {
    rule.need("@type")?.text()
}

/// Adds the rows a stored rule stands for.
fn collect(rule: &At<'_>, pod_type: &str, rows: &mut Vec<Row>) -> Result<()> {
    let tag = kind(rule)?;
    match tag.as_str() {
        // Added by the SDK on clusters with regions; a service here stays in one region anyway.
        "PassthroughRule" | "IsLocalRegionRule" => {}
        "AndRule" => {
            let rules = rule.need("rules")?.items()?;
            if let Some(row) = counted_attribute(&rules, pod_type)? {
                rows.push(row);
                return Ok(());
            }
            for rule in &rules {
                collect(rule, pod_type, rows)?;
            }
        }
        "NotRule" => {
            let inner = rule.need("rule")?;
            let (field, matcher) = matched(&inner)?;
            let (operator, parameter) = operator(&field, &matcher)?;
            let operator = if operator == EXACT { "IS_NOT" } else { "UNLIKE" };
            rows.push(vec![field, operator.to_owned(), parameter]);
        }
        "AttributeRule" | "HostnameRule" | "RegionRule" | "ZoneRule" => {
            let (field, matcher) = matched(rule)?;
            let (operator, parameter) = operator(&field, &matcher)?;
            rows.push(vec![field, operator.to_owned(), parameter]);
        }
        "MaxPerHostnameRule" | "MaxPerRegionRule" | "MaxPerZoneRule" => {
            check_filter(rule, pod_type)?;
            let field = match tag.as_str() {
                "MaxPerHostnameRule" => Field::Hostname,
                "MaxPerRegionRule" => Field::Region,
                _ => Field::Zone,
            };
            rows.push(counted(field.text(), rule)?);
        }
        "RoundRobinByAttributeRule" => {
            let name = rule.need("name")?.text()?;
            rows.push(grouped(&name, rule, "value-count", pod_type)?);
        }
        "RoundRobinByHostnameRule" => rows.push(grouped("hostname", rule, "agent-count", pod_type)?),
        "RoundRobinByRegionRule" => rows.push(grouped("@region", rule, "region-count", pod_type)?),
        "RoundRobinByZoneRule" => rows.push(grouped("@zone", rule, "zone-count", pod_type)?),
        other => return Err(rule.not_supported_yet(&format!("the placement rule {other}"))),
    }
    Ok(())
}

/// The row of the pair of rules that counts by an attribute.
fn counted_attribute(rules: &[At<'_>], pod_type: &str) -> Result<Option<Row>> {
    let [present, counting] = rules else { return Ok(None) };
    if kind(present)? != "AttributeRule" || kind(counting)? != "MaxPerAttributeRule" {
        return Ok(None);
    }
    let pattern = counting.need("matcher")?.need("pattern")?;
    let text = pattern.text()?;
    let is_pair = present.value.get("matcher") == counting.value.get("matcher");
    let Some(name) = text.strip_suffix(":.*").filter(|_| is_pair) else {
        return Err(pattern.not_supported_yet("counting by a pattern of attributes"));
    };
    check_filter(counting, pod_type)?;
    counted(name, counting).map(Some)
}

fn counted(field: &str, rule: &At<'_>) -> Result<Row> {
    let max = rule.need("max")?.int("a number")?;
    Ok(match max {
        1 => vec![field.to_owned(), "UNIQUE".to_owned()],
        max => vec![field.to_owned(), "MAX_PER".to_owned(), max.to_string()],
    })
}

fn grouped(field: &str, rule: &At<'_>, count: &str, pod_type: &str) -> Result<Row> {
    check_filter(rule, pod_type)?;
    let mut row = vec![field.to_owned(), "GROUP_BY".to_owned()];
    if let Some(count) = rule.get(count) {
        row.push(count.int("a number")?.to_string());
    }
    Ok(row)
}

/// Constraint texts count the tasks of their own pod type; another filter has no text.
fn check_filter(rule: &At<'_>, pod_type: &str) -> Result<()> {
    let filter = rule.need("task-filter")?;
    let is_own = kind(&filter)? == "RegexMatcher" && filter.need("pattern")?.text()? == filter_pattern(pod_type);
    if is_own { Ok(()) } else { Err(filter.not_supported_yet("counting tasks of other pods")) }
}

/// The field of a matching rule and its matcher. An attribute's name is part of what is matched.
fn matched<'j>(rule: &At<'j>) -> Result<(String, At<'j>)> {
    let matcher = rule.need("matcher")?;
    let field = match kind(rule)?.as_str() {
        "HostnameRule" => "hostname".to_owned(),
        "RegionRule" => "@region".to_owned(),
        "ZoneRule" => "@zone".to_owned(),
        "AttributeRule" => {
            let text = matcher.get("string").map_or_else(|| matcher.need("pattern"), Ok)?;
            let whole = text.text()?;
            whole.split_once(':').map(|(name, _)| name.to_owned()).ok_or_else(|| text.wrong("name:value"))?
        }
        other => return Err(rule.not_supported_yet(&format!("the placement rule {other} inside NotRule"))),
    };
    Ok((field, matcher))
}

fn operator(field: &str, matcher: &At<'_>) -> Result<(&'static str, String)> {
    let (operator, text) = match kind(matcher)?.as_str() {
        "ExactMatcher" => (EXACT, matcher.need("string")?.text()?),
        "RegexMatcher" => ("LIKE", matcher.need("pattern")?.text()?),
        other => return Err(matcher.not_supported_yet(&format!("the placement matcher {other}"))),
    };
    let text = match Field::parse(field) {
        Field::Attribute(name) => text[name.len() + 1..].to_owned(),
        Field::Hostname | Field::Region | Field::Zone => text,
    };
    Ok((operator, text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, canonical: &str) {
        let stored = to_json(Some(text), "node");
        let at = At { value: &stored, path: String::new() };
        let at = Some(at).filter(|at| !at.value.is_null());
        let read = from_json(at, "node").unwrap();
        assert_eq!(read.as_deref().unwrap_or_default(), canonical, "{text}");
        assert_eq!(to_json(read.as_deref(), "node"), stored, "{text}");
    }

    #[test]
    fn constraints_survive_storing() {
        check(r#"[["hostname","UNIQUE"]]"#, r#"[["hostname","UNIQUE"]]"#);
        check(r#"["@hostname","max_per",2]"#, r#"[["hostname","MAX_PER","2"]]"#);
        check("hostname:MAX_PER:1", r#"[["hostname","UNIQUE"]]"#);
        check(r"rack:LIKE:a\:b\,c, @zone:GROUP_BY:3", r#"[["rack","LIKE","a:b,c"],["@zone","GROUP_BY","3"]]"#);
        check("rack:UNIQUE,rack:GROUP_BY", r#"[["rack","UNIQUE"],["rack","GROUP_BY"]]"#);
        check("rack:MAX_PER:2", r#"[["rack","MAX_PER","2"]]"#);
        check("rack:IS:r1,@region:IS_NOT:x", r#"[["rack","CLUSTER","r1"],["@region","IS_NOT","x"]]"#);
        check("hostname:UNLIKE:10[.].*", r#"[["hostname","UNLIKE","10[.].*"]]"#);
        check("@region:UNIQUE,@zone:MAX_PER:2", r#"[["@region","UNIQUE"],["@zone","MAX_PER","2"]]"#);
        check("[]", "");
        // What cannot be parsed is kept as text.
        check("hostname:NEAR", "hostname:NEAR");
        check("[[\"a\"", "[[\"a\"");
        check("hostname:MAX_PER:many", "hostname:MAX_PER:many");
    }

    #[test]
    fn stored_rules_are_the_sdks() {
        let filter = json!({ "@type": "RegexMatcher", "pattern": "node-.*" });
        assert_eq!(
            to_json(Some("hostname:UNIQUE"), "node"),
            json!({ "@type": "MaxPerHostnameRule", "max": 1, "task-filter": filter })
        );
        assert_eq!(
            to_json(Some("rack:UNLIKE:r.*"), "node"),
            json!({ "@type": "NotRule", "rule": { "@type": "AttributeRule",
                "matcher": { "@type": "RegexMatcher", "pattern": "rack:r.*" } } })
        );
        let rule = json!({ "@type": "AndRule", "rules": [ { "@type": "IsLocalRegionRule" },
            { "@type": "AndRule", "rules": [ { "@type": "MaxPerHostnameRule", "max": 1, "task-filter": filter } ] } ] });
        let at = At { value: &rule, path: String::new() };
        assert_eq!(from_json(Some(at), "node").unwrap().unwrap(), r#"[["hostname","UNIQUE"]]"#);
        for rule in [
            json!({ "@type": "OrRule", "rules": [] }),
            json!({ "@type": "MaxPerHostnameRule", "max": 1, "task-filter": { "@type": "AnyMatcher" } }),
            json!({ "@type": "HostnameRule", "matcher": { "@type": "AnyMatcher" } }),
            json!({ "@type": "NotRule", "rule": { "@type": "AgentRule", "agent-id": "a" , "matcher": {}} }),
        ] {
            let error = from_json(Some(At { value: &rule, path: "rule".to_owned() }), "node").unwrap_err();
            assert!(error.to_string().contains("not supported yet"), "{error}");
        }
    }
}
