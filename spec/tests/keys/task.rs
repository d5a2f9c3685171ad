//! Sections 2.11, 2.18 to 2.24, 5.2, 6.1 and 6.4.

use mainstay_spec::{
    ConfigSpec, DiscoverySpec, Goal, HealthCheckSpec, IpcMode, ReadinessCheckSpec, TransportEncryptionKind,
    TransportEncryptionSpec, Visibility,
};

use super::*;

fn with_goal(goal: &str) -> String {
    with_task("cpus: 1").replace("goal: RUNNING", goal)
}

#[test]
fn task_name() {
    let named = |name: &str| with_task("cpus: 1").replace("{t:", &format!("{{{name}:"));
    for (name, words) in [("a__b", "'__'"), ("a/b", "slash")] {
        refuses(&named(name), Code::InvalidName, &format!("pods.data.tasks.{name}"), words);
    }
    warns(&named("a b"), Code::OddName, "pods.data.tasks.a b", "does not fit DNS");
}

#[test]
fn task_goal() {
    for (word, goal) in
        [("RUNNING", Goal::Running), ("running", Goal::Running), ("Finish", Goal::Finish), ("once", Goal::Once)]
    {
        let text = with_goal(&format!("goal: {word}"));
        assert_eq!(service(&text).pods[0].tasks[0].goal, goal);
        is_fine(&text);
    }
    let finished = with_goal("goal: FINISHED");
    assert_eq!(service(&finished).pods[0].tasks[0].goal, Goal::Once);
    warns(&finished, Code::Deprecated, "pods.data.tasks.t.goal", "the older word for ONCE");
    for word in ["NONE", "UNKNOWN", "SOMETIMES", "''"] {
        let text = with_goal(&format!("goal: {word}"));
        refuses(&text, Code::UnknownWord, "pods.data.tasks.t.goal", "allowed: RUNNING, FINISH, ONCE");
    }
    refuses(&with_goal("essential: true"), Code::RequiredKey, "pods.data.tasks.t.goal", "RUNNING, FINISH or ONCE");
}

#[test]
fn task_essential() {
    assert!(task("").essential && task("essential: ").essential && !task("essential: no").essential);
}

#[test]
fn task_cmd() {
    let text = with_task("cpus: 1");
    refuses(&text.replace("cmd: x,", ""), Code::RequiredKey, "pods.data.tasks.t.cmd", "a shell command");
    refuses(&text.replace("cmd: x,", "cmd: ,"), Code::MissingValue, "pods.data.tasks.t.cmd", "a shell command");
}

#[test]
fn task_env() {
    let env = task("env: {A: 1.10, B: yes, C: , D: true, E: '$A'}").env;
    let expected = [("A", "1.10"), ("B", "yes"), ("C", ""), ("D", "true"), ("E", "$A")];
    assert_eq!(env, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    task_refuses("env: {A: [1]}", Code::WrongType, "env.A", "text is needed");
    task_refuses("env: [A]", Code::WrongType, "env", "a map is needed");
    assert!(task("env: ").env.is_empty());
}

#[test]
fn task_configs() {
    let configs = task("configs: {a: {template: a.conf, dest: ../../etc/a}, b: {template: b.conf, dest: b}}").configs;
    assert_eq!(
        configs[0],
        ConfigSpec {
            name: "a".into(),
            template_path: "a.conf".into(),
            dest: "../../etc/a".into(),
            content: "content of a.conf".into(),
        }
    );
    assert_eq!(configs[1].name, "b");
    let refused = |keys: &str, code, key: &str, words: &str| {
        task_refuses(&format!("configs: {keys}"), code, &format!("configs.{key}"), words);
    };
    refused("{a: {dest: a}}", Code::RequiredKey, "a.template", "the path of a file");
    refused("{a: {template: a}}", Code::RequiredKey, "a.dest", "a path in the sandbox");
    refused("{a: {template: missing.conf, dest: a}}", Code::ConfigTemplateUnreadable, "a.template", "file not found");
    refused("{a: {template: empty.conf, dest: a}}", Code::ConfigTemplateUnreadable, "a.template", "the file is empty");
    let same = "{a: {template: a, dest: x}, b: {template: b, dest: x}}";
    refused(same, Code::DuplicateDestination, "b.dest", "a is written there too");
}

#[test]
fn task_resource_set() {
    let text = |set: &str, keys: &str| {
        format!(
            "name: n\npods: {{p: {{count: 1, resource-sets: {{s: {{cpus: 1}}}}, tasks: {{t: {{goal: ONCE, cmd: x, \
             resource-set: {set}, {keys}}}}}}}}}\n"
        )
    };
    is_fine(&text("s", ""));
    refuses(&text("z", ""), Code::UnknownResourceSet, "pods.p.tasks.t.resource-set", "the pod has s");
    task_refuses("resource-set: z", Code::UnknownResourceSet, "resource-set", "no resource-sets");
    for key in [
        "cpus: 1",
        "memory: 1",
        "gpus: 1",
        "ports: {a: {port: 1}}",
        "volume: {path: a, type: ROOT, size: 1}",
        "volumes: {}",
    ] {
        let name = key.split(':').next().unwrap();
        warns(
            &text("s", key),
            Code::KeyWithoutEffect,
            &format!("pods.p.tasks.t.{name}"),
            "no effect beside resource-set",
        );
    }
    let limits = text("s", "resource-limits: {cpus: 2}");
    warns(&limits, Code::KeyWithoutEffect, "pods.p.tasks.t.resource-limits", "no effect beside resource-set");
    assert!(try_load(&limits, &[]).unwrap().unsupported().is_none(), "what has no effect need not be honoured");
}

#[test]
fn task_implicit_resource_set() {
    assert_eq!(task("").resource_set, "t-resource-set");
    let keys = "resource-sets: {t-resource-set: {cpus: 1}},";
    pod_refuses(
        keys,
        Code::ResourceSetCollision,
        "tasks.t",
        "t-resource-set, which a declared resource set already has",
    );
}

#[test]
fn task_has_no_keys_of_the_pod() {
    for key in ["image", "placement", "count", "secrets", "networks", "rlimits"] {
        task_refuses(&format!("{key}: x"), Code::UnknownKey, key, "it belongs to the pod, not to a task");
    }
    task_refuses("user: x", Code::UnknownKey, "user", "scheduler.user");
}

#[test]
fn task_uris_are_an_extension() {
    assert_eq!(task("uris: [a, ~, b]").uris, ["a", "b"]);
    task_refuses("uris: ['a b']", Code::InvalidUri, "uris.0", "a URI");
}

#[test]
fn task_kill_grace_period() {
    assert_eq!(task("").kill_grace_period_secs, 0);
    assert_eq!(task("kill-grace-period: ''").kill_grace_period_secs, 0);
    assert_eq!(task("kill-grace-period: 30.5").kill_grace_period_secs, 30);
    assert_eq!(task("kill-grace-period: 1209600").kill_grace_period_secs, 1_209_600);
    for value in ["-1", "1209601"] {
        let keys = format!("kill-grace-period: {value}");
        task_refuses(&keys, Code::OutOfRange, "kill-grace-period", "from 0 to 1209600");
    }
}

#[test]
fn task_ipc_mode_and_shm_size() {
    let both = task("ipc-mode: PRIVATE, shm-size: 64");
    assert_eq!((both.ipc_mode, both.shm_size_mb), (Some(IpcMode::Private), Some(64)));
    assert_eq!(task("ipc-mode: SHARE_PARENT").ipc_mode, Some(IpcMode::ShareParent));
    task_refuses("ipc-mode: SHARE_PARENT, shm-size: 64", Code::ContradictoryKeys, "shm-size", "SHARE_PARENT");
    task_refuses("ipc-mode: x", Code::UnknownWord, "ipc-mode", "allowed: PRIVATE, SHARE_PARENT");
}

#[test]
fn task_transport_encryption() {
    let spec = |name: &str, kind| TransportEncryptionSpec { name: name.into(), kind };
    assert_eq!(
        task("transport-encryption: [{name: a, type: TLS}, {name: b, type: KEYSTORE}]").transport_encryption,
        [spec("a", TransportEncryptionKind::Tls), spec("b", TransportEncryptionKind::Keystore)]
    );
    let refused = |item: &str, code, key: &str, words: &str| {
        task_refuses(&format!("transport-encryption: [{item}]"), code, &format!("transport-encryption.0.{key}"), words);
    };
    refused("{type: TLS}", Code::RequiredKey, "name", "the first part of the file names");
    refused("{name: ' ', type: TLS}", Code::MissingValue, "name", "is empty");
    refused("{name: a, type: tls}", Code::UnknownWord, "type", "did you mean TLS?");
    let text = with_task("cpus: 1, transport-encryption: [~]");
    warns(&text, Code::EmptyListItem, "pods.data.tasks.t.transport-encryption.0", "skipped");
}

#[test]
fn health_check() {
    let keys = ["cmd: y", "interval: 1", "grace-period: 2", "max-consecutive-failures: 3", "delay: 0", "timeout: 5"];
    let expected = HealthCheckSpec {
        cmd: "y".into(),
        interval_secs: 1,
        grace_period_secs: 2,
        max_consecutive_failures: 3,
        delay_secs: 0,
        timeout_secs: 5,
    };
    assert_eq!(task(&format!("health-check: {{{}}}", keys.join(", "))).health_check, Some(expected));
    for (index, key) in keys.iter().enumerate() {
        let rest: Vec<_> = keys.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, key)| *key).collect();
        let name = key.split(':').next().unwrap();
        let keys = format!("health-check: {{{}}}", rest.join(", "));
        task_refuses(&keys, Code::RequiredKey, &format!("health-check.{name}"), "is required");
    }
    let changed = |from: &str, to: &str| format!("health-check: {{{}}}", keys.join(", ").replace(from, to));
    task_refuses(&changed("cmd: y", "cmd: ''"), Code::MissingValue, "health-check.cmd", "a shell command");
    task_refuses(&changed("delay: 0", "delay: -1"), Code::OutOfRange, "health-check.delay", "at least 0");
    let keys = changed("failures: 3", "failures: 0");
    task_refuses(&keys, Code::OutOfRange, "health-check.max-consecutive-failures", "at least 1");
}

#[test]
fn readiness_check() {
    let check =
        |delay_secs| Some(ReadinessCheckSpec { cmd: "y".into(), interval_secs: 1, delay_secs, timeout_secs: 2 });
    assert_eq!(task("readiness-check: {cmd: y, interval: 1, timeout: 2}").readiness_check, check(0));
    assert_eq!(task("readiness-check: {cmd: y, interval: 1, timeout: 2, delay: 3}").readiness_check, check(3));
    let refused = |keys: &str, code, key: &str, words: &str| {
        task_refuses(&format!("readiness-check: {keys}"), code, &format!("readiness-check.{key}"), words);
    };
    refused("{cmd: y, interval: 1}", Code::RequiredKey, "timeout", "is required");
    refused("{cmd: y, timeout: 1}", Code::RequiredKey, "interval", "is required");
    refused("{interval: 1, timeout: 1}", Code::RequiredKey, "cmd", "is required");
    refused("{cmd: y, interval: 1, timeout: -1}", Code::OutOfRange, "timeout", "at least 0");
    refused("{cmd: y, interval: 1, timeout: 1, grace-period: 1}", Code::UnknownKey, "grace-period", "health-check");
}

#[test]
fn discovery() {
    let spec = |prefix: Option<&str>, visibility| Some(DiscoverySpec { prefix: prefix.map(Into::into), visibility });
    assert_eq!(task("").discovery, None);
    assert_eq!(task("discovery: {prefix: a}").discovery, spec(Some("a"), Visibility::Cluster));
    assert_eq!(task("discovery: {visibility: EXTERNAL}").discovery, spec(None, Visibility::External));
    assert_eq!(task("discovery: {visibility: FRAMEWORK}").discovery, spec(None, Visibility::Framework));
    task_refuses("discovery: {visibility: ALL}", Code::UnknownWord, "discovery.visibility", "allowed: FRAMEWORK");
    let text = "name: n\npods: {a: {count: 1, tasks: {t: {goal: ONCE, cmd: x, cpus: 1, discovery: {prefix: p}}, u: {goal: \
                ONCE, cmd: x, cpus: 1, discovery: {prefix: p}}}}, b: {count: 1, tasks: {t: {goal: ONCE, cmd: x, cpus: 1, \
                discovery: {prefix: q}}}}}\nplans: {deploy: {phases: {p: {pod: a, steps: [{default: [[t], [u]]}]}}}}\n";
    is_fine(text);
    let shared = text.replace("prefix: q", "prefix: p");
    refuses(&shared, Code::SharedDiscoveryPrefix, "pods.b.tasks.t.discovery.prefix", "cannot share DNS names");
}

#[test]
fn labels() {
    let labels = |text: &str| task(&format!("labels: {text}")).labels;
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    for none in ["", "''"] {
        assert_eq!(labels(none), []);
    }
    assert_eq!(labels("'a:b,c:d,'"), [pair("a", "b"), pair("c", "d")]);
    assert_eq!(labels("'label2:path:/'"), [pair("label2", "path:/")]);
    assert_eq!(labels("'a:b, c : d'"), [pair("a", "b"), pair("c", "d")], "blanks are trimmed");
    for malformed in ["'a'", "'a:b,c'", "' '", "':b'", "'a:b,,c:d'"] {
        task_refuses(&format!("labels: {malformed}"), Code::InvalidLabel, "labels", "key:value,key:value is needed");
    }
    task_refuses("labels: 'a:b,a:c'", Code::InvalidLabel, "labels", "may be given once");
    for reserved in [
        "target_configuration",
        "task_type",
        "index",
        "offer_x",
        "goal_state",
        "transient",
        "readiness_check_passed",
        "permanently-failed",
    ] {
        task_refuses(&format!("labels: '{reserved}:x'"), Code::InvalidLabel, "labels", "the scheduler uses this label");
    }
}

#[test]
fn variables_of_the_scheduler_are_routed_to_tasks() {
    let text = with_task("cpus: 1, env: {A: yaml, B: yaml}");
    let variables =
        [("TASKCFG_ALL_A", "all"), ("TASKCFG_DATA_B", "pod"), ("TASKCFG_ALL_B", "all"), ("TASKCFG_X_C", "no")];
    let spec = try_load(&text, &variables).unwrap().spec;
    let env: Vec<_> = spec.pods[0].tasks[0].env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["A=all", "B=pod"], "they win over what is written, and those of the pod over those of all");
}
