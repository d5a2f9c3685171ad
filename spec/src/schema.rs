//! The JSON Schema of svc.yml, for editors.
//!
//! It describes the rendered text. Tags of variables are accepted where they stand alone for a value, so that an editor can
//! still help with a template whose sections do not break the YAML.
//! Not a second reader: rules across keys (references, duplicates, exclusions) are the reader's alone, so what the reader
//! accepts is valid here, and not the other way round.

use serde_json::{Map, Value, json};

use crate::shape::{Generation, Key, Kind, Names, Shape, service::SERVICE};

/// The schema, in draft 2020-12. The same for every call; keys are in the order of the language's description.
pub fn json() -> Value {
    let mut definitions = Map::new();
    define(&SERVICE, &mut definitions);
    let tag = json!({
        "description": "A variable of the template that stands for the whole value.",
        "anyOf": [
            { "type": "string", "pattern": r"\{\{" },
            { "type": "object", "minProperties": 1, "maxProperties": 1, "propertyNames": { "pattern": r"^\s*\{" } },
        ],
    });
    let number = r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?";
    let forms = [
        ("tag", tag),
        ("text", json!({ "type": ["string", "number", "boolean", "null"] })),
        ("numeral", json!({ "type": "string", "pattern": format!(r"^\s*{number}\s*$") })),
        ("numeral-or-blank", json!({ "type": "string", "pattern": format!(r"^\s*({number})?\s*$") })),
    ];
    definitions.extend(forms.map(|(name, form)| (name.to_owned(), form)));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:mainstay:svc.yml",
        "title": "svc.yml",
        "description": "A service for Mainstay, or for the DC/OS Commons SDK of either generation.",
        "type": "object",
        "$ref": reference(&SERVICE),
        "$defs": definitions,
    })
}

/// Writes a mapping and those it leads to, once each.
fn define(shape: &'static Shape, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(shape.name) {
        return;
    }
    // Its place, taken before those it leads to.
    definitions.insert(shape.name.to_owned(), Value::Null);
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in shape.keys() {
        properties.insert(key.name.to_owned(), property(key));
        if key.is_required {
            required.push(key.name);
        }
        if let Kind::Map(inner) | Kind::Named(inner, _) | Kind::List(inner) = key.kind {
            define(inner, definitions);
        }
    }
    let mut definition = json!({
        "title": shape.name,
        "description": shape.about,
        "properties": properties,
    });
    if !required.is_empty() {
        definition["required"] = json!(required);
    }
    if !shape.is_open {
        definition["additionalProperties"] = json!(false);
    }
    definitions.insert(shape.name.to_owned(), definition);
}

fn property(key: &Key) -> Value {
    let mut property = json!({ "description": key.about });
    let form = structure(key).unwrap_or_else(|| {
        let mut forms = scalars(key);
        if !key.is_required {
            forms.push(json!({ "type": "null" }));
        }
        forms.push(json!({ "$ref": "#/$defs/tag" }));
        json!({ "anyOf": forms })
    });
    for (name, value) in form.as_object().into_iter().flatten() {
        property[name] = value.clone();
    }
    if let Some(default) = key.default {
        property["default"] = match key.kind {
            Kind::Whole(..) | Kind::Boolean => serde_json::from_str(default).unwrap_or_else(|_| json!(default)),
            _ => json!(default),
        };
    }
    match key.generation {
        Generation::Both => {}
        Generation::Older => property["deprecated"] = json!(true),
        Generation::Later => property["$comment"] = json!("Not known to the SDK of 2017."),
        Generation::Own => property["$comment"] = json!("Not known to the SDK."),
    }
    property
}

/// The form of a mapping or list. Alternatives are avoided here: an editor could not tell which one an author meant.
fn structure(key: &Key) -> Option<Value> {
    let or_null = |kind: &str| if key.is_required { json!(kind) } else { json!([kind, "null"]) };
    let text = json!({ "$ref": "#/$defs/text" });
    Some(match &key.kind {
        Kind::Map(shape) => json!({ "type": or_null("object"), "$ref": reference(shape) }),
        Kind::Named(shape, names) => named(shape, *names, or_null("object")),
        Kind::Variables => json!({ "type": or_null("object"), "additionalProperties": text }),
        Kind::List(shape) => {
            let item = json!({ "type": "object", "$ref": reference(shape) });
            json!({ "type": or_null("array"), "items": item })
        }
        Kind::Texts => json!({ "type": or_null("array"), "items": text }),
        Kind::Ports => {
            let number = json!({ "type": "number", "minimum": 0, "maximum": 65535 });
            let item = json!({ "anyOf": [number, numeral(true), { "$ref": "#/$defs/tag" }] });
            json!({ "type": or_null("array"), "items": item })
        }
        Kind::Steps => {
            let lists = json!({ "type": "array", "items": { "type": "array", "items": text } });
            let entry = json!({
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": { "anyOf": [lists, { "$ref": "#/$defs/tag" }] },
            });
            json!({ "type": or_null("array"), "items": entry })
        }
        _ => return None,
    })
}

/// Every form of scalar that will do.
fn scalars(key: &Key) -> Vec<Value> {
    let other = json!({ "type": ["number", "boolean"] });
    let more = json!({ "type": "number", "exclusiveMinimum": 0 });
    match &key.kind {
        Kind::Filled => vec![json!({ "type": "string", "pattern": r"\S" }), other],
        Kind::Matching(pattern) => vec![json!({ "type": "string", "pattern": format!("^({pattern})$") }), other],
        Kind::Whole(min, max) => {
            let mut number = json!({ "type": "number", "minimum": min });
            if *max < i64::from(i32::MAX) {
                number["maximum"] = json!(max);
            }
            vec![number, numeral(key.is_required)]
        }
        Kind::Amount => vec![more, numeral(key.is_required)],
        Kind::Limit => vec![more, numeral(key.is_required), json!({ "enum": ["unlimited"] })],
        Kind::Boolean => {
            let words = "true|True|TRUE|yes|Yes|YES|on|On|ON|false|False|FALSE|no|No|NO|off|Off|OFF";
            vec![json!({ "type": "boolean" }), json!({ "type": "string", "pattern": format!(r"^\s*({words})\s*$") })]
        }
        Kind::Word(words) => vec![json!({ "enum": words })],
        Kind::AnyCase(words, older) => {
            let all: Vec<String> = words.iter().chain(*older).map(|word| any_case(word)).collect();
            let pattern = format!(r"^\s*({})\s*$", all.join("|"));
            vec![json!({ "enum": words }), json!({ "type": "string", "pattern": pattern })]
        }
        Kind::Labels { or_map: true } => {
            let labels = json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/text" } });
            vec![json!({ "$ref": "#/$defs/text" }), labels]
        }
        // The rest is text; mappings and lists have been written.
        _ => vec![json!({ "type": ["string", "number", "boolean"] })],
    }
}

/// A number in quotes; blanks alone stand for nothing.
fn numeral(is_required: bool) -> Value {
    json!({ "$ref": if is_required { "#/$defs/numeral" } else { "#/$defs/numeral-or-blank" } })
}

/// An expression for a word in any case; schemas have no flag for it.
fn any_case(word: &str) -> String {
    word.chars().flat_map(|c| ['[', c.to_ascii_uppercase(), c.to_ascii_lowercase(), ']']).collect()
}

fn reference(shape: &Shape) -> String {
    format!("#/$defs/{}", shape.name)
}

fn named(shape: &Shape, names: Names, kind: Value) -> Value {
    let entry_kind = if shape.may_be_null() { json!(["object", "null"]) } else { json!("object") };
    let entry = json!({ "type": entry_kind, "$ref": reference(shape) });
    match names {
        Names::Any => json!({ "type": kind, "additionalProperties": entry }),
        Names::Parts => json!({
            "type": kind,
            "minProperties": 1,
            "propertyNames": { "pattern": r"^[^/]*[^/\s][^/]*$", "not": { "pattern": "__" } },
            "additionalProperties": entry,
        }),
        Names::Listed(names) => {
            let properties: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), entry.clone())).collect();
            json!({ "type": kind, "properties": properties, "additionalProperties": false })
        }
    }
}

#[cfg(test)]
mod tests;
