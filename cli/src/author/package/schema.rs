//! `config.json`: what options a package has, their defaults, and whether given options fit.
//!
//! Not a whole JSON Schema: the keywords that packages use (draft 4) are `type`, `enum`, `properties`, `required`,
//! `additionalProperties`, `minimum` and `maximum` with their `exclusive…` flags, `minLength`, `maxLength`, `items`, `minItems` and
//! `maxItems`. Others describe and do not decide.
//! Source: Cosmos's rules for defaults and for merging.

use serde_json::{Map, Value};

/// Deepest nesting followed; beyond it nothing is checked.
const MAX_DEPTH: usize = 64;

/// Something about the options, with the names that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Names of the members that lead to the value.
    pub(crate) path: Vec<String>,
    /// What was found and what is allowed.
    pub(crate) message: String,
    /// Whether Cosmos refuses the options for it.
    pub(crate) is_error: bool,
}

/// The defaults of a schema; the one of an object wins over those of its members.
pub(crate) fn defaults(schema: &Value) -> Option<Value> {
    if let Some(default) = schema.get("default") {
        return Some(default.clone());
    }
    let properties = schema.get("properties")?.as_object()?;
    let defaults = properties.iter().filter_map(|(name, schema)| Some((name.clone(), defaults(schema)?)));
    Some(Value::Object(defaults.collect()))
}

/// Lays options over defaults: objects are merged member by member, everything else is replaced.
pub(crate) fn merge(under: Value, over: &Value) -> Value {
    match (under, over) {
        (Value::Object(mut under), Value::Object(over)) => {
            for (name, value) in over {
                // In place, so that the order of the defaults stays.
                match under.get_mut(name) {
                    Some(old) => *old = merge(old.take(), value),
                    None => drop(under.insert(name.clone(), value.clone())),
                }
            }
            Value::Object(under)
        }
        (_, over) => over.clone(),
    }
}

/// Holds a value against a schema.
pub(crate) fn check(schema: &Value, value: &Value) -> Vec<Finding> {
    let mut checker = Checker { path: Vec::new(), findings: Vec::new() };
    checker.check(schema, value);
    checker.findings
}

struct Checker {
    path: Vec<String>,
    findings: Vec<Finding>,
}

impl Checker {
    fn find(&mut self, is_error: bool, message: String) {
        self.findings.push(Finding { path: self.path.clone(), message, is_error });
    }

    fn refuse(&mut self, value: &Value, allowed: &str) {
        self.find(true, format!("found {}; {allowed}", shown(value)));
    }

    fn check(&mut self, schema: &Value, value: &Value) {
        if self.path.len() > MAX_DEPTH {
            return;
        }
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !types.is_empty() && !types.iter().any(|wanted| is_of(value, wanted)) {
            self.refuse(value, &format!("the type must be {}", types.join(" or ")));
            return;
        }
        if let Some(Value::Array(allowed)) = schema.get("enum")
            && !allowed.contains(value)
        {
            let allowed: Vec<_> = allowed.iter().map(shown).collect();
            self.refuse(value, &format!("allowed are {}", allowed.join(", ")));
        }
        match value {
            Value::Object(members) => self.object(schema, members),
            Value::Array(items) => {
                self.count(schema, value, items.len(), ["minItems", "maxItems"], "items");
                for (at, item) in items.iter().enumerate() {
                    let Some(schema) = schema.get("items").filter(|schema| schema.is_object()) else { break };
                    self.path.push(at.to_string());
                    self.check(schema, item);
                    self.path.pop();
                }
            }
            Value::String(text) => {
                self.count(schema, value, text.chars().count(), ["minLength", "maxLength"], "characters");
            }
            Value::Number(number) => self.number(schema, value, number.as_f64().unwrap_or_default()),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn object(&mut self, schema: &Value, members: &Map<String, Value>) {
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str).filter(|name| !members.contains_key(*name)) {
            self.find(true, format!("{name} is missing; it has no default, so the options must give it"));
        }
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        for (name, value) in members {
            self.path.push(name.clone());
            match (properties.get(name), schema.get("additionalProperties")) {
                (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => self.check(schema, value),
                (None, more) => {
                    let is_error = more == Some(&Value::Bool(false));
                    let known: Vec<_> = properties.keys().map(String::as_str).take(20).collect();
                    let effect = if is_error { "" } else { ", so it has no effect" };
                    self.find(is_error, format!("there is no such option{effect}; known here: {}", known.join(", ")));
                }
            }
            self.path.pop();
        }
    }

    fn count(&mut self, schema: &Value, value: &Value, count: usize, [least, most]: [&str; 2], what: &str) {
        let bound = |name| schema.get(name).and_then(Value::as_u64);
        if let Some(least) = bound(least).filter(|least| (count as u64) < *least) {
            self.refuse(value, &format!("at least {least} {what} are needed"));
        }
        if let Some(most) = bound(most).filter(|most| count as u64 > *most) {
            self.refuse(value, &format!("at most {most} {what} are allowed"));
        }
    }

    fn number(&mut self, schema: &Value, value: &Value, number: f64) {
        let bound = |name| schema.get(name).and_then(Value::as_f64);
        let is_exclusive = |name| schema.get(name) == Some(&Value::Bool(true));
        if let Some(least) = bound("minimum") {
            if number < least {
                self.refuse(value, &format!("it must be at least {least}"));
            } else if is_exclusive("exclusiveMinimum") && number <= least {
                self.refuse(value, &format!("it must be above {least}"));
            }
        }
        if let Some(most) = bound("maximum") {
            if number > most {
                self.refuse(value, &format!("it must be at most {most}"));
            } else if is_exclusive("exclusiveMaximum") && number >= most {
                self.refuse(value, &format!("it must be below {most}"));
            }
        }
    }
}

fn is_of(value: &Value, wanted: &str) -> bool {
    match (value, wanted) {
        (Value::Number(number), "integer") => {
            number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        (Value::Object(_), "object")
        | (Value::Array(_), "array")
        | (Value::String(_), "string")
        | (Value::Number(_), "number")
        | (Value::Bool(_), "boolean")
        | (Value::Null, "null") => true,
        _ => false,
    }
}

/// A value as it is quoted in a message.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 40 {
        return text;
    }
    format!("{}…", text.chars().take(40).collect::<String>())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn the_default_of_an_object_wins_over_those_of_its_members() {
        let schema = json!({"type": "object", "properties": {
            "service": {"type": "object", "properties": {"name": {"default": "x"}, "web": {"type": "string"}}},
            "node": {"default": {"count": 2}, "properties": {"count": {"default": 1}, "cpus": {"default": 1}}},
            "none": {"type": "string"},
            "zero": {"type": "string", "default": ""}}});
        let expected = json!({"service": {"name": "x"}, "node": {"count": 2}, "zero": ""});
        assert_eq!(defaults(&schema), Some(expected));
    }

    #[test]
    fn options_are_merged_deeply_and_lists_replaced() {
        let merged = merge(json!({"a": {"b": 1, "c": [1, 2]}, "d": 1}), &json!({"a": {"c": [3]}, "d": {"e": 2}}));
        assert_eq!(merged, json!({"a": {"b": 1, "c": [3]}, "d": {"e": 2}}));
    }

    #[track_caller]
    fn finds(schema: Value, value: Value, expected: &[&str]) {
        let found: Vec<_> = check(&schema, &value)
            .into_iter()
            .map(|found| {
                let kind = if found.is_error { "" } else { "note " };
                format!("{kind}{}: {}", found.path.join("."), found.message)
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_keyword_is_checked() {
        finds(json!({"type": "integer"}), json!(1.0), &[]);
        finds(json!({"type": "integer"}), json!(1.5), &[": found 1.5; the type must be integer"]);
        finds(json!({"type": ["string", "null"]}), json!(true), &[": found true; the type must be string or null"]);
        finds(json!({"type": ["string", "null"]}), json!(null), &[]);
        finds(json!({"enum": ["a", 1]}), json!("b"), &[r#": found "b"; allowed are "a", 1"#]);
        finds(json!({"minimum": 1, "maximum": 3}), json!(0), &[": found 0; it must be at least 1"]);
        finds(json!({"minimum": 1, "maximum": 3}), json!(4), &[": found 4; it must be at most 3"]);
        finds(json!({"minimum": 1, "exclusiveMinimum": true}), json!(1), &[": found 1; it must be above 1"]);
        finds(json!({"maximum": 1, "exclusiveMaximum": true}), json!(1), &[": found 1; it must be below 1"]);
        finds(json!({"minLength": 2}), json!("é"), &[": found \"é\"; at least 2 characters are needed"]);
        finds(json!({"maxLength": 1}), json!("éa"), &[": found \"éa\"; at most 1 characters are allowed"]);
        finds(
            json!({"maxItems": 1, "items": {"type": "string"}}),
            json!(["a", 1]),
            &[": found [\"a\",1]; at most 1 items are allowed", "1: found 1; the type must be string"],
        );
    }

    #[test]
    fn unknown_and_missing_members_are_found() {
        let schema = |more: Value| json!({"properties": {"count": {"type": "integer"}, "cpus": {}}, "required": ["cpus"], "additionalProperties": more});
        let unknown = "there is no such option";
        finds(
            schema(json!(false)),
            json!({"coutn": 1}),
            &[
                ": cpus is missing; it has no default, so the options must give it",
                &format!("coutn: {unknown}; known here: count, cpus"),
            ],
        );
        finds(
            schema(json!(true)),
            json!({"coutn": 1, "cpus": 1}),
            &[&format!("note coutn: {unknown}, so it has no effect; known here: count, cpus")],
        );
        finds(schema(json!({"type": "string"})), json!({"x": 1, "cpus": 1}), &["x: found 1; the type must be string"]);
    }
}
