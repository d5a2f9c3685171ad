//! Sections 2.11 to 2.13 and 2.18 to 2.24: tasks and resource sets; 6.1 and 6.4: goals and checks as written.

use mainstay_spec::{Code, Goal, IpcMode, Limit, Scalar, TransportEncryptionKind, Visibility};

use super::support::{fine, pod, refused, row, task, the_pod, the_task, warned};

fn at(key: &str) -> String {
    format!("pods.p.tasks.t.{key}")
}

#[test]
fn names_goals_and_commands() {
    let tasks = |name: &str| pod(&format!("tasks: {{{name}: {{goal: ONCE, cmd: x, cpus: 1}}}}"));
    refused("2.11/name", tasks("a__b"), Code::InvalidName, "pods.p.tasks.a__b");
    refused("2.11/name", tasks("''"), Code::InvalidName, "pods.p.tasks.");
    let goal = |rows: &str, word: &str| the_task(&fine(rows, task(&format!("goal: {word}")))).goal;
    assert_eq!(goal("2.11/goal 6.1/RUNNING", "running"), Goal::Running);
    assert_eq!(goal("2.11/goal 6.1/FINISH", "Finish"), Goal::Finish);
    assert_eq!(goal("2.11/goal 6.1/ONCE", "ONCE"), Goal::Once);
    let finished = warned("6.1/FINISHED 8.1/valid-finished", task("goal: FINISHED"), Code::Deprecated, &at("goal"));
    assert_eq!(the_task(&finished).goal, Goal::Once);
    refused("6.1/NONE", task("goal: NONE"), Code::UnknownWord, &at("goal"));
    refused("6.1/UNKNOWN", task("goal: UNKNOWN"), Code::UnknownWord, &at("goal"));
    let message = refused("2.11/goal", task("goal: STOPPED"), Code::UnknownWord, &at("goal"));
    assert!(message.contains("RUNNING, FINISH, ONCE"), "{message}");
    assert!(the_task(&fine("2.11/essential", task(""))).essential);
    assert!(!the_task(&fine("2.11/essential", task("essential: false"))).essential);
    assert_eq!(the_task(&fine("2.11/cmd", task("cmd: echo"))).cmd, "echo");
    refused("2.11/cmd", task("cmd:"), Code::MissingValue, &at("cmd"));
    for key in ["image", "user", "placement", "count"] {
        refused("2.11/no-pod-keys", task(&format!("{key}: 1")), Code::UnknownKey, &at(key));
    }
}

#[test]
fn resources() {
    let sets = |rows: &str, lines: &str| the_pod(&fine(rows, task(lines))).resource_sets[0].clone();
    assert_eq!(sets("2.11/cpus", "cpus: 0.1").cpus, Scalar::from_f64(0.1));
    assert_eq!(sets("2.11/gpus", "gpus: 2").gpus, Some(Scalar::from_units(2)));
    assert_eq!(sets("2.11/memory", "memory: 256").memory_mb, Some(Scalar::from_units(256)));
    assert_eq!(sets("2.11/ports", "-cpus\nports: {a: {port: 0}}").ports.len(), 1);
    assert_eq!(sets("2.11/volume", "volume: {path: a, type: ROOT, size: 1}").volumes.len(), 1);
    assert_eq!(sets("2.11/implicit-set", "").id, "t-resource-set");
    for amount in ["0", "-1", "'0.0'"] {
        let text = task(&format!("cpus: {amount}"));
        refused("2.11/cpus 8.1/invalid-scalar-cpu-resource", text, Code::OutOfRange, &at("cpus"));
        refused("2.11/gpus", task(&format!("gpus: {amount}")), Code::OutOfRange, &at("gpus"));
    }
    refused("2.11/memory 8.1/invalid-scalar-mem-resource", task("memory: 0"), Code::OutOfRange, &at("memory"));
    let none = "pods.p.tasks.t";
    refused("2.11/resources 8.1/invalid-task-resources", task("-cpus"), Code::NoResources, none);
    let volume = task("-cpus\nvolume: {path: a, type: ROOT, size: 1}");
    refused("2.11/resources", volume, Code::NoResources, none);
    let both = task("volume: {path: a, type: ROOT, size: 1}\nvolumes: {x: {path: b, type: ROOT, size: 1}}");
    refused("2.11/volume 8.1/invalid-volume-and-volumes", both, Code::VolumeAndVolumes, &at("volume"));
    let collision = pod("resource-sets: {t-resource-set: {cpus: 1}}");
    refused("2.11/implicit-set", collision, Code::ResourceSetCollision, "pods.p.tasks.t");
}

#[test]
fn resource_sets() {
    let with =
        |lines: &str| pod(&format!("resource-sets: {{s: {{cpus: 1}}}}\ntasks:\n  t: {{goal: ONCE, cmd: x, {lines}}}"));
    let spec = fine("2.11/resource-set", with("resource-set: s"));
    assert_eq!((the_task(&spec).resource_set.as_str(), the_pod(&spec).resource_sets.len()), ("s", 1));
    refused("2.11/resource-set", with("resource-set: other"), Code::UnknownResourceSet, &at("resource-set"));
    let ignored = warned("2.11/resource-set", with("resource-set: s, cpus: 9"), Code::KeyWithoutEffect, &at("cpus"));
    assert_eq!(the_pod(&ignored).resource_sets[0].cpus, Some(Scalar::from_units(1)));
    let everything = "cpus: 1, gpus: 1, memory: 1, ports: {a: {port: 0}}, volumes: {v: {path: a, type: ROOT, size: 1}}, \
                      resource-limits: {cpus: unlimited}";
    let spec = fine("2.13/keys 2.13/unused", pod(&format!("resource-sets: {{s: {{{everything}}}}}")));
    let set = &the_pod(&spec).resource_sets[0];
    assert_eq!((set.id.as_str(), set.ports.len(), set.volumes.len()), ("s", 1, 1));
    assert!(set.gpus.is_some() && set.limits.cpus == Some(Limit::Unlimited));
    let unused = pod("resource-sets: {s: {cpus: 0}}");
    refused("2.13/unused", unused, Code::OutOfRange, "pods.p.resource-sets.s.cpus");
    let both = pod(
        "resource-sets: {s: {cpus: 1, volume: {path: a, type: ROOT, size: 1}, volumes: {v: {path: b, type: ROOT, size: 1}}}}",
    );
    refused("2.13/keys", both, Code::VolumeAndVolumes, "pods.p.resource-sets.s.volume");
    let shared = pod(
        "resource-sets: {s: {cpus: 1}}\ntasks:\n  t: {goal: ONCE, cmd: x, resource-set: s}\n  u: {goal: ONCE, cmd: x, resource-set: s}",
    );
    // Nothing says in which order they run, so that the generated plan has them in one step, which is in error.
    row("2.13/shared", || {
        let spec = super::support::loaded(shared).unwrap();
        assert_eq!(the_pod(&spec.spec).resource_sets.len(), 1);
        let tasks = ["t".to_owned(), "u".to_owned()];
        assert!(the_pod(&spec.spec).step_conflict(&tasks).unwrap().contains("resource set s"));
    });
}

#[test]
fn resource_limits() {
    let limits = |rows: &str, text: &str| {
        the_pod(&fine(rows, task(&format!("memory: 1\nresource-limits: {text}")))).resource_sets[0].limits
    };
    assert_eq!(limits("2.12/cpus", "{cpus: unlimited}").cpus, Some(Limit::Unlimited));
    assert_eq!(limits("2.12/cpus", "{cpus: 1.5}").cpus, Scalar::from_f64(1.5).map(Limit::Amount));
    let limited = limits("2.12/memory 2.11/resource-limits", "{memory: '64'}");
    assert_eq!(limited.memory_mb, Some(Limit::Amount(Scalar::from_units(64))));
    assert_eq!(limits("2.12/memory", "{memory: unlimited}").memory_mb, Some(Limit::Unlimited));
    let nothing = mainstay_spec::ResourceLimits::default();
    assert_eq!(limits("2.12/blank", "{cpus: '', memory: }"), nothing);
    assert_eq!(limits("2.12/empty 8.1/valid-resource-limits-empty", "{}"), nothing);
    refused("2.12/garbage", task("resource-limits: {cpus: lots}"), Code::WrongType, &at("resource-limits.cpus"));
}

#[test]
fn environment_and_configs() {
    let spec = fine("2.11/env 2.18/env", task("env: {A: $B, 'odd name': 1, C: true}"));
    let env = &the_task(&spec).env;
    assert_eq!((env["A"].as_str(), env["odd name"].as_str(), env["C"].as_str()), ("$B", "1", "true"));
    let spec = fine(
        "2.11/configs 2.19/template 2.19/dest 1.1/configs-verbatim",
        task("configs: {a: {template: f, dest: ../../d}}"),
    );
    let config = &the_task(&spec).configs[0];
    assert_eq!((config.content.as_str(), config.dest.as_str()), ("verbatim {{TAG}}", "../../d"));
    let code = Code::ConfigTemplateUnreadable;
    let missing = task("configs: {a: {template: missing, dest: d}}");
    let message = refused("2.19/template 8.1/invalid-config-file", missing, code, &at("configs.a.template"));
    assert!(message.contains("\"missing\"; file not found"), "{message}");
    refused("2.19/template", task("configs: {a: {template: empty, dest: d}}"), code, &at("configs.a.template"));
    refused("2.19/template", task("configs: {a: {dest: d}}"), Code::RequiredKey, &at("configs.a.template"));
    refused("2.19/dest", task("configs: {a: {template: f}}"), Code::RequiredKey, &at("configs.a.dest"));
}

const HEALTH: &[(&str, &str)] = &[
    ("cmd", "x"),
    ("interval", "0"),
    ("grace-period", "0"),
    ("max-consecutive-failures", "1"),
    ("delay", "0"),
    ("timeout", "0"),
];

fn check(name: &str, keys: &[(&str, &str)], without: &str, instead: Option<&str>) -> super::support::Input {
    let pairs = keys.iter().filter_map(|(key, value)| match (*key == without, instead) {
        (true, None) => None,
        (true, Some(instead)) => Some(format!("{key}: {instead}")),
        (false, _) => Some(format!("{key}: {value}")),
    });
    task(&format!("{name}: {{{}}}", pairs.collect::<Vec<_>>().join(", ")))
}

#[test]
fn health_checks() {
    let spec = fine(
        "2.11/health-check 2.20/interval 2.20/grace-period 2.20/delay 2.20/timeout",
        check("health-check", HEALTH, "", None),
    );
    let health = the_task(&spec).health_check.clone().unwrap();
    let numbers = (health.interval_secs, health.grace_period_secs, health.delay_secs, health.timeout_secs);
    assert_eq!((numbers, health.max_consecutive_failures), ((0, 0, 0, 0), 1));
    for (key, _) in HEALTH {
        let path = at(&format!("health-check.{key}"));
        refused("2.20/required", check("health-check", HEALTH, key, None), Code::RequiredKey, &path);
        if *key != "cmd" {
            let rows = "2.20/interval 2.20/grace-period 2.20/max-consecutive-failures 2.20/delay 2.20/timeout";
            refused(rows, check("health-check", HEALTH, key, Some("-1")), Code::OutOfRange, &path);
        }
    }
    let path = at("health-check.max-consecutive-failures");
    let zero = check("health-check", HEALTH, "max-consecutive-failures", Some("0"));
    refused("2.20/max-consecutive-failures", zero, Code::OutOfRange, &path);
    let blank = check("health-check", HEALTH, "cmd", Some("''"));
    refused("2.20/cmd", blank, Code::MissingValue, &at("health-check.cmd"));
}

#[test]
fn readiness_checks() {
    const READINESS: &[(&str, &str)] = &[("cmd", "x"), ("interval", "0"), ("timeout", "0")];
    let spec = fine("2.11/readiness-check 2.21/interval 2.21/delay", check("readiness-check", READINESS, "", None));
    let ready = the_task(&spec).readiness_check.clone().unwrap();
    assert_eq!((ready.cmd.as_str(), ready.interval_secs, ready.timeout_secs, ready.delay_secs), ("x", 0, 0, 0));
    let path = |key: &str| at(&format!("readiness-check.{key}"));
    refused("2.21/cmd", check("readiness-check", READINESS, "cmd", None), Code::RequiredKey, &path("cmd"));
    for key in ["interval", "timeout"] {
        let without = check("readiness-check", READINESS, key, None);
        refused("2.21/interval", without, Code::RequiredKey, &path(key));
        let below = check("readiness-check", READINESS, key, Some("-1"));
        refused("2.21/interval", below, Code::OutOfRange, &path(key));
    }
    let below = task("readiness-check: {cmd: x, interval: 0, timeout: 0, delay: -1}");
    refused("2.21/delay", below, Code::OutOfRange, &path("delay"));
}

#[test]
fn discovery() {
    let of =
        |rows: &str, text: &str| the_task(&fine(rows, task(&format!("discovery: {text}")))).discovery.clone().unwrap();
    assert_eq!(of("2.11/discovery 2.22/prefix", "{prefix: a}").prefix.as_deref(), Some("a"));
    assert_eq!(of("2.22/visibility", "{}").visibility, Visibility::Cluster);
    assert_eq!(of("2.22/visibility", "{visibility: EXTERNAL}").visibility, Visibility::External);
    refused("2.22/visibility", task("discovery: {visibility: X}"), Code::UnknownWord, &at("discovery.visibility"));
}

#[test]
fn labels() {
    let of = |rows: &str, text: &str| the_task(&fine(rows, task(&format!("labels: {text}")))).labels.clone();
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    for nothing in ["", "''"] {
        assert!(of("2.23/absent", nothing).is_empty());
    }
    assert_eq!(of("2.11/labels 2.23/pairs", "'a:b,c:d'"), pairs(&[("a", "b"), ("c", "d")]));
    let colon = of("2.23/colon-in-value 8.1/valid-task-labels", "'label1:x,label2:path:/'");
    assert_eq!(colon, pairs(&[("label1", "x"), ("label2", "path:/")]));
    assert_eq!(of("2.23/trailing-comma", "'a:b,'"), pairs(&[("a", "b")]));
    assert_eq!(of("2.23/trimmed", "'a:b, c:d'"), pairs(&[("a", "b"), ("c", "d")]));
    let refuse =
        |rows: &str, text: &str| refused(rows, task(&format!("labels: {text}")), Code::InvalidLabel, &at("labels"));
    refuse("2.23/malformed 8.1/invalid-task-labels-format", "'key1,val1:x'");
    refuse("2.23/malformed", "a");
    refuse("2.23/malformed 8.1/invalid-task-labels-blank", "' '");
    refuse("2.23/twice", "'a:b,a:c'");
    for name in ["target_configuration", "task_type", "index", "offer_x", "goal_state", "readiness_check_passed"] {
        refuse("2.23/reserved", &format!("'{name}:x'"));
    }
    // contract: 2.23/malformed 2.23/twice 2.23/reserved 8.1/invalid-task-labels-format 8.1/invalid-task-labels-blank
}

#[test]
fn transport_encryption() {
    let spec = fine(
        "2.11/transport-encryption 2.24/name 2.24/type",
        task("transport-encryption: [{name: a, type: TLS}, {name: b, type: KEYSTORE}]"),
    );
    let kinds: Vec<_> = the_task(&spec).transport_encryption.iter().map(|encryption| encryption.kind).collect();
    assert_eq!(kinds, [TransportEncryptionKind::Tls, TransportEncryptionKind::Keystore]);
    let path = |key: &str| at(&format!("transport-encryption.0.{key}"));
    refused("2.24/name", task("transport-encryption: [{name: ' ', type: TLS}]"), Code::MissingValue, &path("name"));
    refused("2.24/type", task("transport-encryption: [{name: a, type: PEM}]"), Code::UnknownWord, &path("type"));
}

#[test]
fn shared_memory_and_kills() {
    assert_eq!(the_task(&fine("2.11/ipc-mode", task("ipc-mode: PRIVATE"))).ipc_mode, Some(IpcMode::Private));
    let parent = fine("2.11/ipc-mode 8.1/valid-shared-memory-pod", task("ipc-mode: SHARE_PARENT"));
    assert_eq!(the_task(&parent).ipc_mode, Some(IpcMode::ShareParent));
    refused("2.11/ipc-mode", task("ipc-mode: X"), Code::UnknownWord, &at("ipc-mode"));
    let sized = fine("2.11/shm-size 8.1/valid-shm-spec", task("ipc-mode: PRIVATE\nshm-size: 64"));
    assert_eq!(the_task(&sized).shm_size_mb, Some(64));
    refused(
        "2.11/shm-size 8.1/invalid-share-parent-shm-size",
        task("ipc-mode: SHARE_PARENT\nshm-size: 64"),
        Code::ContradictoryKeys,
        &at("shm-size"),
    );
    assert_eq!(the_task(&fine("2.11/kill-grace-period 6.4/kill-grace", task(""))).kill_grace_period_secs, 0);
    let longest = fine("6.4/kill-grace", task("kill-grace-period: 1209600"));
    assert_eq!(the_task(&longest).kill_grace_period_secs, 1_209_600);
    let path = at("kill-grace-period");
    refused("6.4/kill-grace", task("kill-grace-period: 1209601"), Code::OutOfRange, &path);
    let below = task("kill-grace-period: -1");
    refused("2.11/kill-grace-period 8.1/invalid-task-kill-grace-period-seconds", below, Code::OutOfRange, &path);
}
