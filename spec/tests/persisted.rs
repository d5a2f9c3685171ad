//! The stored form: golden documents of both generations and of a year between, round trips, damaged documents.
#![allow(clippy::unwrap_used)]

#[path = "persisted/specs.rs"]
mod specs;

use mainstay_spec::{
    ReadOptions, ServiceSpec, Source, StoredSpec, from_json, from_json_with, load, parse_env, persisted::Error,
    placement::Rule, pod_changed, to_json,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const G20: &str = include_str!("stored/g20.json");
const G17: &str = include_str!("stored/g17.json");
const G17_CONVERTED: &str = include_str!("stored/g17_converted.json");
const Y2018: &str = include_str!("stored/y2018.json");
const Y2018_CONVERTED: &str = include_str!("stored/y2018_converted.json");
const EXECUTOR_URI: &str = "https://files.example/executor.zip";

fn hello_world() -> ServiceSpec {
    let env = parse_env(include_str!("../../svc-specs/hello-world/env")).unwrap();
    let text = include_str!("../../svc-specs/hello-world/svc.yml");
    let read_file = |_: &str| Ok(include_str!("../../svc-specs/hello-world/greeting.conf.mustache").to_owned());
    load(Source { file_name: "svc.yml", text }, &env, &read_file).unwrap().spec
}

#[track_caller]
fn read(text: &str) -> StoredSpec {
    from_json(text).unwrap()
}

fn written(stored: &StoredSpec) -> String {
    to_json(&stored.spec, &stored.role)
}

#[test]
fn the_final_generations_document_is_written_back_byte_for_byte() {
    let stored = read(G20);
    assert_eq!(stored.role, "library__catalog-role");
    assert_eq!(stored.spec.declared_role, None);
    assert_eq!(written(&stored), G20);
}

#[test]
fn what_a_document_says_reaches_the_model() {
    insta::assert_snapshot!("g20_model", format!("{:#?}", read(G20).spec));
}

#[test]
fn the_older_generations_document_is_converted() {
    let current = read(G17_CONVERTED).spec;
    let options = ReadOptions { executor_uri: Some(EXECUTOR_URI), current: Some(&current) };
    let stored = from_json_with(G17, &options).unwrap();
    assert_eq!(written(&stored), G17_CONVERTED);
    for (old, new) in stored.spec.pods.iter().zip(&current.pods) {
        assert!(!pod_changed(old, new), "a takeover restarts {}", new.pod_type);
    }
}

#[test]
fn the_older_generations_executor_is_told_by_what_the_files_of_today_lack() {
    let mut current = read(G17_CONVERTED).spec;
    let uris = |current: &ServiceSpec| {
        let options = ReadOptions { executor_uri: Some("https://files.example/another"), current: Some(current) };
        from_json_with(G17, &options).unwrap().spec.pods.into_iter().map(|pod| pod.uris).collect::<Vec<_>>()
    };
    let of_today: Vec<_> = current.pods.iter().map(|pod| pod.uris.clone()).collect();
    assert_eq!(uris(&current), of_today);
    // Another file at the same time: nothing can be told, and that pod has changed anyway.
    current.pods[0].uris.push("https://files.example/more.tgz".to_owned());
    assert_eq!(uris(&current)[0], ["https://files.example/ledger.tgz", EXECUTOR_URI]);
    assert_eq!(uris(&current)[1..], of_today[1..]);
}

#[test]
fn without_help_the_older_generations_executor_and_missing_ports_show() {
    let stored = read(G17);
    let [store, web] = stored.spec.pods.as_slice() else { panic!("two pods") };
    assert_eq!(store.uris, ["https://files.example/ledger.tgz", EXECUTOR_URI]);
    assert!(web.resource_sets[0].ports.is_empty());
}

#[test]
fn a_later_document_keeps_a_file_that_happens_to_be_the_executors() {
    let mut current = read(G17_CONVERTED);
    current.spec.pods[1].uris.push(EXECUTOR_URI.to_owned());
    let mut without_ports = current.clone();
    without_ports.spec.pods[1].resource_sets[0].ports.clear();
    let options = ReadOptions { executor_uri: Some(EXECUTOR_URI), current: Some(&current.spec) };
    assert_eq!(from_json_with(&written(&without_ports), &options).unwrap(), without_ports);
}

#[test]
fn a_document_of_2018_is_converted() {
    assert_eq!(written(&read(Y2018)), Y2018_CONVERTED);
}

#[test]
fn converted_documents_are_written_back_byte_for_byte() {
    for document in [G17_CONVERTED, Y2018_CONVERTED] {
        assert_eq!(written(&read(document)), document);
    }
}

#[test]
fn hello_world_is_stored_and_read_back() {
    let spec = hello_world();
    let json = to_json(&spec, &spec.role());
    insta::assert_snapshot!("hello_world_stored", json);
    let stored = read(&json);
    assert_eq!(written(&stored), json);
    for (old, new) in stored.spec.pods.iter().zip(&spec.pods) {
        assert!(!pod_changed(old, new), "{}", new.pod_type);
    }
}

/// A document with one value replaced, by JSON pointer.
fn with(document: &str, pointer: &str, value: Value) -> String {
    let mut document: Value = serde_json::from_str(document).unwrap();
    *document.pointer_mut(pointer).unwrap() = value;
    document.to_string()
}

#[test]
fn documents_that_cannot_be_used_say_where_and_why() {
    let search = "/pod-specs/0/task-specs/0";
    let resource = |index: usize| format!("{search}/resource-set/resource-specifications/{index}");
    let cases = [
        "not json".to_owned(),
        "[]".to_owned(),
        with(G20, "/goal", json!("FINISH")),
        with(G20, "/region", json!(7)),
        with(G20, "/replacement-failure-policy/permanent-failure-timeout-secs", json!("soon")),
        with(Y2018, "/replacement-failure-policy/permanent-failure-timeout-mins", json!(100_000_000)),
        with(G20, "/pod-specs/1/user", json!("other")),
        with(G20, "/pod-specs/0/count", json!("many")),
        with(G20, "/pod-specs/0/count", json!(-1)),
        with(G20, "/pod-specs/0/count", json!(4_294_967_296_u64)),
        with(G20, "/pod-specs/0/share-pid-namespace", json!("yes")),
        with(G20, "/pod-specs/0/ipc-mode", json!("private")),
        with(G20, "/pod-specs/0/rlimits/0/name", json!("RLIMIT_FILES")),
        with(G20, "/pod-specs/0/rlimits/0/hard", json!(null)),
        with(G20, "/pod-specs/0/rlimits/0/hard", json!(1)),
        with(G20, "/pod-specs/0/rlimits/0/soft", json!(-1)),
        with(G20, "/pod-specs/0/host-volumes/0/mode", json!("ro")),
        with(G20, "/pod-specs/1/external-volumes/0/volume-mode", json!("WO")),
        with(G20, "/pod-specs/1/networks/0/port-mappings", json!({ "http": 80 })),
        with(G20, "/pod-specs/1/networks/0/port-mappings", json!({ "80": 65536 })),
        with(G20, "/pod-specs/0/placement-rule/@type", json!(null)),
        with(G20, "/pod-specs/0/volumes/0/profiles", json!(["fast"])),
        with(G20, "/pod-specs/0/volumes/0/type", json!("PATH")),
        with(G20, "/pod-specs/0/volumes/0/type", json!("root")),
        with(G20, "/pod-specs/1/pre-reserved-role", json!("*")),
        with(G20, &format!("{search}/goal"), json!("NONE")),
        with(G20, &format!("{search}/goal"), json!("SOMETIMES")),
        with(G20, &format!("{search}/goal"), json!("Running")),
        with(G20, &format!("{search}/command-spec"), json!(null)),
        with(G20, &format!("{search}/discovery-spec/visibility"), json!("Cluster")),
        with(G20, &format!("{search}/transport-encryption/0/type"), json!("tls")),
        with(G20, &format!("{search}/ipc-mode"), json!("HOST")),
        with(G20, &format!("{search}/resource-set/resource-limits/cpus"), json!("all")),
        with(G20, &format!("{search}/resource-set/resource-limits/memory"), json!(-1)),
        with(G20, &format!("{}/@type", resource(0)), json!("SocketSpec")),
        with(G20, &format!("{}/name", resource(0)), json!("tape")),
        with(G20, &format!("{}/value/scalar/value", resource(0)), json!(-1.5)),
        with(G20, &format!("{}/value/scalar/value", resource(0)), json!(0)),
        with(G20, &format!("{}/value/ranges/range/0/begin", resource(3)), json!(94400)),
        with(G20, &format!("{}/value/ranges/range/0/end", resource(3)), json!(9201)),
        with(G20, &format!("{}/value/ranges/range", resource(3)), json!([])),
        with(G20, &format!("{}/vip-port", resource(3)), json!("high")),
        with(G20, &format!("{}/visibility", resource(3)), json!("PUBLIC")),
        with(G20, &format!("{}/ranges/0/begin", resource(2)), json!(9400)),
        // Two tasks share a set and say different things about it.
        with(G20, "/pod-specs/0/task-specs/2/resource-set/resource-limits/cpus", json!("1")),
    ];
    let errors: Vec<_> = cases.iter().map(|text| from_json(text).unwrap_err().to_string()).collect();
    insta::assert_snapshot!("unusable_documents", errors.join("\n"));
}

#[test]
fn values_are_read_in_every_spelling() {
    let cpus = "/pod-specs/0/task-specs/0/resource-set/resource-specifications/0/value/scalar/value";
    let memory_limit = "/pod-specs/0/task-specs/0/resource-set/resource-limits/memory";
    for (pointer, value) in [
        (cpus, json!("1.5")),
        (cpus, json!("1.5E0")),
        ("/pod-specs/0/count", json!(3.0)),
        ("/pod-specs/0/count", json!("3")),
        ("/pod-specs/0/count", json!(0.3e1)),
        ("/pod-specs/1/allow-decommission", json!("true")),
        ("/pod-specs/0/share-pid-namespace", json!("false")),
        ("/pod-specs/0/rlimits/1", json!({ "name": "RLIMIT_MEMLOCK", "soft": -1, "hard": "-1" })),
        ("/pod-specs/0/rlimits/2/hard", json!("9223372036854775807")),
        ("/pod-specs/1/networks/0/port-mappings/8080", json!("80")),
        (memory_limit, json!(16384)),
        (memory_limit, json!("16384.0")),
        ("/pod-specs/1/external-volumes/0/type", json!("ignored")),
        ("/pod-specs/0/task-specs/0/resource-set/resource-specifications/2/ranges/1", json!({ "begin": 19300 })),
        (
            "/pod-specs/0/task-specs/0/resource-set/resource-specifications/2/ranges/1",
            json!({ "begin": 19300, "end": 0 }),
        ),
        (
            "/replacement-failure-policy",
            json!({ "permanentFailureTimoutMin": "30", "permanent-failure-timeout-mins": 1, "min-replace-delay-secs": 240 }),
        ),
        (
            "/replacement-failure-policy",
            json!({ "permanent-failure-timeout-mins": 30, "minReplaceDelayMin": 4.0, "min-replace-delay-mins": null }),
        ),
    ] {
        let spelled = with(G20, pointer, value.clone());
        let changed: Value = serde_json::from_str(&spelled).unwrap();
        assert!(changed != serde_json::from_str::<Value>(G20).unwrap(), "{pointer} {value} changes nothing");
        assert_eq!(read(&spelled), read(G20), "{pointer} {value}");
    }
    let exponent = G20.replacen("\"value\" : 8192.0", "\"value\" : 8.192E3", 1).replacen(" : 3,", " : 30e-1,", 1);
    assert_ne!(exponent, G20);
    assert_eq!(read(&exponent), read(G20));
}

// contract: 6.6/compared 6.6/not-compared 6.6/ports
#[test]
fn order_of_keys_and_unknown_ones_say_nothing() {
    fn turned(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(turned).collect(),
            Value::Object(entries) => {
                let is_map = entries.keys().all(|key| !key.contains('@') && !key.contains('-') && key != "name");
                let mut turned: serde_json::Map<_, _> =
                    entries.iter().rev().map(|(key, value)| (key.clone(), turned(value))).collect();
                if !is_map {
                    turned.insert("of-a-later-time".to_owned(), json!([1]));
                }
                Value::Object(turned)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }
    // Labels keep their order, and a rule that is not known keeps every word.
    let mut document: Value = serde_json::from_str(G20).unwrap();
    document["pod-specs"][0]["placement-rule"] = Value::Null;
    document["pod-specs"][0]["task-specs"][0]["task-labels"] = json!({});
    document["pod-specs"][1]["networks"][0]["network-labels"] = json!({});
    let other = turned(&document).to_string();
    assert_eq!(read(&other), read(&document.to_string()));
}

#[test]
fn extensions_are_keys_of_ours_only_when_they_say_something() {
    let mut stored = read(G20);
    let plain = written(&stored);
    let pod = &mut stored.spec.pods[0];
    pod.tasks[0].uris.push("https://files.example/extra".to_owned());
    let port = pod.resource_sets[0].ports.iter_mut().find(|port| port.vip.is_some()).unwrap();
    port.vip.as_mut().unwrap().advertise = false;
    let extended = written(&stored);
    assert_eq!(read(&extended), stored);
    let lines = |text: &str| text.lines().map(|line| line.trim_end_matches(',').to_owned()).collect::<Vec<_>>();
    let (plain, extended) = (lines(&plain), lines(&extended));
    let added: Vec<_> = extended.iter().filter(|line| !plain.contains(line)).collect();
    assert_eq!(added, ["          \"vip-advertise\" : false", "      \"uris\" : [ \"https://files.example/extra\" ]",]);
}

/// Where every value of a document is, outermost first.
fn pointers(value: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut inside = |key: &str, value: &Value| {
        let key = key.replace('~', "~0").replace('/', "~1");
        found.extend(pointers(value).into_iter().map(|inner| format!("/{key}{inner}")));
    };
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| inside(&at.to_string(), item)),
        Value::Object(entries) => entries.iter().for_each(|(key, value)| inside(key, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    found
}

/// The document without one value; `None` for the document itself.
fn without(document: &Value, pointer: &str) -> Option<String> {
    let mut document = document.clone();
    let (parent, key) = pointer.rsplit_once('/')?;
    match document.pointer_mut(parent)? {
        Value::Array(items) => drop(items.remove(key.parse().ok()?)),
        Value::Object(entries) => drop(entries.shift_remove(&key.replace("~1", "/"))?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    }
    Some(document.to_string())
}

/// Keys the SDK cannot do without either, or that nothing could stand for.
const REQUIRED: &[&str] = &[
    "@type",
    "agent-id",
    "behavior",
    "begin",
    "command",
    "command-spec",
    "container-path",
    "count",
    "end",
    "goal",
    "host-path",
    "matcher",
    "max",
    "name",
    "network-name",
    "pattern",
    "pod-specs",
    "port-name",
    "port-specs",
    "principal",
    "range",
    "ranges",
    "relative-path",
    "resource-set",
    "resource-specifications",
    "role",
    "rule",
    "rules",
    "scalar",
    "secret",
    "string",
    "task-specs",
    "template-content",
    "type",
    "value",
    "vip-name",
    "vip-port",
];

#[test]
fn a_null_is_an_absent_key_and_only_required_ones_are_missed() {
    for document in [G20, G17, Y2018].into_iter().flat_map(pieces) {
        let text = document.to_string();
        for pointer in pointers(&document) {
            let key = pointer.rsplit('/').next().unwrap();
            // In these a null is a value of its own: an empty text, an item, a word of an unknown rule.
            let is_a_value = ["/environment/", "-labels/", "/driver-options/", "/port-mappings/", "/rules/8"];
            if key.is_empty() || key.parse::<u32>().is_ok() || is_a_value.iter().any(|part| pointer.contains(part)) {
                continue;
            }
            let absent = from_json(&without(&document, &pointer).unwrap());
            let null = from_json(&with(&text, &pointer, Value::Null));
            match (absent, null) {
                (Ok(absent), Ok(null)) => assert_eq!(without_rules(absent), without_rules(null), "{pointer}"),
                (Err(Error::Missing { path }), Err(Error::Missing { path: null })) => {
                    assert_eq!(path, null, "{pointer}");
                    assert!(REQUIRED.contains(&key), "{pointer} is missed");
                }
                (absent, null) => {
                    // What has to agree with something else that is still there.
                    let allowed = ["pre-reserved-role", "user", "soft", "hard", "volume-specifications", "id"];
                    assert!(allowed.contains(&key), "{pointer}: {absent:?} {null:?}");
                    assert_eq!(absent.is_err(), null.is_err(), "{pointer}");
                }
            }
        }
    }
}

/// A rule kept word for word also keeps its nulls.
fn without_rules(mut stored: StoredSpec) -> StoredSpec {
    for pod in &mut stored.spec.pods {
        pod.placement = pod.placement.take().filter(|rule| !format!("{rule:?}").contains("Unknown"));
    }
    stored
}

/// A rule in small ones.
fn parts(rule: &Value) -> Vec<Value> {
    match rule["rules"].as_array() {
        Some(rules) if rules.len() > 2 || rules.iter().any(|rule| rule["rules"].is_array()) => {
            rules.iter().flat_map(parts).collect()
        }
        _ => vec![rule.clone()],
    }
}

/// The document in small ones: a pod each without its placement, and one pod for each part of a placement.
fn pieces(text: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(text).unwrap();
    let pods = document["pod-specs"].as_array().unwrap();
    let piece = |mut pod: Value, placement: &Value| {
        pod["placement-rule"] = placement.clone();
        let mut document = document.clone();
        document["pod-specs"] = json!([pod]);
        document
    };
    let smallest = pods.iter().min_by_key(|pod| pod.to_string().len()).unwrap();
    let rules = pods.iter().map(|pod| &pod["placement-rule"]).filter(|rule| !rule.is_null());
    let apart = pods.iter().map(|pod| piece(pod.clone(), &Value::Null));
    apart.chain(rules.flat_map(parts).map(|rule| piece(smallest.clone(), &rule))).collect()
}

#[test]
fn no_change_of_one_value_panics_and_what_is_still_read_is_kept() {
    let others = [json!(true), json!(-1), json!("x"), json!([{}])];
    for document in [G20, G17, Y2018].into_iter().flat_map(pieces) {
        let with_rule = !document["pod-specs"][0]["placement-rule"].is_null();
        for pointer in pointers(&document).into_iter().filter(|at| !with_rule || at.contains("placement-rule")) {
            let changed = others.iter().map(|value| {
                let mut document = document.clone();
                *document.pointer_mut(&pointer).unwrap() = value.clone();
                document.to_string()
            });
            for damaged in changed.chain(without(&document, &pointer)) {
                match from_json(&damaged) {
                    Ok(stored) => assert_eq!(read(&written(&stored)), stored, "{pointer}"),
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(from_json(&deep), Err(Error::Json(_))));
    let rule = format!("{}null{}", r#"{"@type":"NotRule","rule":"#.repeat(1000), "}".repeat(1000));
    let damaged = G20.replacen("\"placement-rule\" : null", &format!("\"placement-rule\" : {rule}"), 1);
    assert_ne!(damaged, G20);
    assert!(matches!(from_json(&damaged), Err(Error::Json(_))));
}

#[test]
fn a_rule_that_is_not_understood_stays_and_is_not_negated() {
    let look_ahead = json!({ "@type": "ZoneRule", "matcher": { "@type": "RegexMatcher", "pattern": "(?!a).*" } });
    let not = json!({ "@type": "NotRule", "rule": { "@type": "OrRule", "rules": [look_ahead, { "@type": "PassthroughRule" }] } });
    let document = with(G20, "/pod-specs/2/placement-rule", not.clone());
    let stored = read(&document);
    assert_eq!(stored.spec.pods[2].placement, Some(Rule::Unknown(not.to_string())));
    assert_eq!(serde_json::from_str::<Value>(&written(&stored)).unwrap()["pod-specs"][2]["placement-rule"], not);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn storing_and_reading_is_the_identity(spec in specs::service()) {
        let role = spec.role();
        let json = to_json(&spec, &role);
        let stored = from_json(&json).unwrap();
        prop_assert_eq!(&stored.spec, &spec);
        prop_assert_eq!(&stored.role, &role);
        prop_assert_eq!(to_json(&stored.spec, &stored.role), json);
        for pod in &spec.pods {
            prop_assert!(!pod_changed(pod, pod));
        }
    }

    #[test]
    fn no_document_panics(at in 0..G20.len(), insert in "[\\[\\]{}\",:0-9a-z ]{0,6}") {
        prop_assume!(G20.is_char_boundary(at));
        let end = (at + 1..=G20.len()).find(|end| G20.is_char_boundary(*end)).unwrap_or(at);
        let damaged = format!("{}{insert}{}", &G20[..at], &G20[end..]);
        if let Err(error) = from_json(&damaged) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
