//! Sections 8, 9 and 10: small specifications of the SDK's tests, traps, what the generations disagree on, and what its
//! documentation says wrongly. What a key alone decides stands with the key.

use super::*;

#[test]
fn the_same_name_twice_is_a_duplicate_key_at_every_level() {
    let set = "{cpus: 1}";
    let base = with_pod("resource-sets: {s: {cpus: 1}},");
    for (from, to, path) in [
        ("count: 2,", "count: 2, count: 2,", "pods.data.count"),
        ("tasks: {t: {", "tasks: {t: {goal: ONCE, cmd: x, cpus: 1}, t: {", "pods.data.tasks.t"),
        ("s: {cpus: 1}", &format!("s: {set}, s: {set}"), "pods.data.resource-sets.s"),
        ("name: svc", "name: svc\nname: svc", "name"),
        ("cpus: 1}}}}", "cpus: 1, env: {A: 1, A: 2}}}}}", "pods.data.tasks.t.env.A"),
    ] {
        let text = base.replacen(from, to, 1);
        refuses(&text, Code::DuplicateKey, path, "given twice");
    }
    let ports = with_task("ports: {a: {port: 0}, a: {port: 0}}");
    refuses(&ports, Code::DuplicateKey, "pods.data.tasks.t.ports.a", "given twice");
    let volumes = "volumes: {a: {path: a, type: ROOT, size: 1}, a: {path: b, type: ROOT, size: 1}}";
    refuses(
        &with_task(&format!("cpus: 1, {volumes}")),
        Code::DuplicateKey,
        "pods.data.tasks.t.volumes.a",
        "given twice",
    );
}

#[test]
fn two_pods_with_the_same_duplicated_container_definition_are_refused() {
    let keys = "image: a, container: {image-name: a, networks: {dcos: {host-ports: [1], container-ports: [2]}}},";
    let codes: Vec<_> = diagnostics(&with_pod(keys))
        .into_iter()
        .filter(|found| found.severity == Severity::Error)
        .map(|found| (found.code, found.path))
        .collect();
    assert_eq!(
        codes,
        [
            (Code::ContradictoryKeys, "pods.data.container".to_owned()),
            (Code::InvalidMapping, "pods.data.container.networks.dcos.host-ports".to_owned()),
        ]
    );
}

#[test]
fn a_limit_below_the_request_of_a_resource_set_is_refused_when_it_is_read() {
    let keys = "resource-sets: {s: {cpus: 1, resource-limits: {cpus: 0.5}}},";
    pod_refuses(keys, Code::LimitBelowRequest, "resource-sets.s.resource-limits.cpus", "at least the requested 1");
}

#[test]
fn placement_texts() {
    for (text, words) in [
        (r#"'[["a","UNIQUE"]] trailing'"#, "text after the end of the list"),
        (r#"'[["a","LIKE","b","c"]]'"#, "this one has 4 parts"),
        ("'a:IS'", "operator 'IS' needs a value"),
        ("'a:LIKE:('", "is not a usable regular expression"),
        ("'a:MAX_PER:x'", "is not a whole number"),
    ] {
        pod_refuses(&format!("placement: {text},"), Code::InvalidPlacement, "placement", words);
    }
    is_fine(&with_pod(r#"placement: '[["a","LIKE","\"x\",y"]]',"#));
}

#[test]
fn ports_with_ranges_only_are_enough() {
    is_fine(&with_task("ports: {p: {port: 0, ranges: [{begin: 1, end: 2}]}}"));
}

#[test]
fn a_false_flag_is_falsy_and_prints_false() {
    let text = "name: n{{^FLAG}}-{{FLAG}}{{/FLAG}}\npods: {p: {count: 1, tasks: {t: {goal: ONCE, cmd: x, cpus: 1}}}}\n";
    for (value, name) in [("false", "n-false"), ("FALSE", "n-false"), ("", "n-"), ("0", "n"), ("true", "n")] {
        assert_eq!(try_load(text, &[("FLAG", value)]).unwrap().spec.name, name, "{value:?}");
    }
}

#[test]
fn driver_options_through_double_braces_are_not_escaped_and_it_is_said() {
    let text = with_pod("external-volumes: {v: {type: DOCKER, container-path: a, driver-options: '{{OPTIONS}}'}},");
    let loaded = try_load(&text, &[("OPTIONS", "size=10;shared=true")]).unwrap();
    assert_eq!(loaded.spec.pods[0].external_volumes[0].driver_options.len(), 2);
    let codes: Vec<_> = loaded.warnings.iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::NotSupportedYet, Code::ValueNotEscaped]);
}

#[test]
fn a_deeper_key_in_a_section_is_an_error_only_when_the_section_is_taken() {
    let text = "name: n\n{{#URL}}\n  web-url: {{URL}}\n{{/URL}}\npods: {p: {count: 1, tasks: {t: {goal: ONCE, cmd: x, cpus: 1}}}}\n";
    assert!(try_load(text, &[]).is_ok());
    let report = try_load(text, &[("URL", "x")]).unwrap_err();
    assert_eq!(report.diagnostics[0].code, Code::YamlSyntax);
}

#[test]
fn an_upper_case_flag_is_a_boolean() {
    let text = with_pod("share-pid-namespace: {{FLAG}},");
    assert!(try_load(&text, &[("FLAG", "TRUE")]).unwrap().spec.pods[0].share_pid_namespace);
}

#[test]
fn the_left_overs_of_two_samples() {
    let gpu = with_task("cpus: 1, gpus: 1").replace("count: 2,", "count: 2, container: {networks: {dcos: {}}},");
    assert_eq!(service(&gpu).pods[0].networks.len(), 1);
    warns(&gpu, Code::Deprecated, "pods.data.container", "older spelling");
    warns(&with_pod("user: root,"), Code::Deprecated, "pods.data.user", "older key");
}

#[test]
fn sections_around_whole_entries_of_steps() {
    let text = "name: n\npods: {p: {count: 1, tasks: {t: {goal: ONCE, cmd: x, cpus: 1}}}}\nplans:\n  deploy:\n    phases:\n      \
                first:\n        pod: p\n        steps:\n          {{#ON}}\n          - default: []\n          {{/ON}}\n";
    let steps = |on: &str| try_load(text, &[("ON", on)]).unwrap().spec.plans[0].phases[0].steps.len();
    assert_eq!((steps("true"), steps("false")), (0, 1), "an empty list means the default steps");
}

#[test]
fn a_colon_in_an_unquoted_command_is_not_yaml() {
    let report = try_load("name: n\npods:\n  p:\n    count: 1\n    tasks:\n      t:\n        cmd: echo a: b\n", &[]);
    assert_eq!(report.unwrap_err().diagnostics[0].code, Code::YamlSyntax);
}

#[test]
fn an_unset_item_of_a_list_is_skipped() {
    let text = "name: n\npods:\n  p:\n    count: 1\n    uris:\n      - {{BOOTSTRAP_URI}}\n      - a\n    tasks: {t: {goal: ONCE, cmd: \
                x, cpus: 1}}\n";
    assert_eq!(service(text).pods[0].uris, ["a"]);
}

#[test]
fn a_prefix_may_be_shared_by_tasks_of_different_steps() {
    let text = "name: n\npods: {p: {count: 1, tasks: {init: {goal: ONCE, cmd: x, cpus: 1, discovery: {prefix: d}}, server: {goal: \
                RUNNING, cmd: x, cpus: 1, discovery: {prefix: d}}}}}\nplans: {deploy: {phases: {first: {pod: p, steps: \
                [{default: [[init], [server]]}]}}}}\n";
    is_fine(text);
}

#[test]
fn left_over_tags_are_a_warning() {
    let loaded = try_load(&with_task("cpus: 1, env: {A: '{{{VALUE}}}'}"), &[("VALUE", "{{NOT_RENDERED}}")]).unwrap();
    assert_eq!(loaded.warnings.iter().map(|found| found.code).collect::<Vec<_>>(), [Code::LeftoverTag]);
}

#[test]
fn documented_keys_that_never_existed() {
    assert_eq!(task("uris: [a]").uris, ["a"]);
    assert!(resources("memory: 1, resource-limits: {mem: 2}").limits.memory_mb.is_some());
    assert_eq!(pod("rlimits: {RLIMIT_AS: },").rlimits[0].values, None);
    task_refuses("mem: 1", Code::UnknownKey, "mem", "did you mean memory?");
    task_refuses("cpu: 1", Code::UnknownKey, "cpu", "did you mean cpus?");
    task_refuses("volume: {path: /abs, type: ROOT, size: 1}", Code::InvalidPath, "volume.path", "a relative path");
}

#[test]
fn every_problem_comes_in_one_report() {
    let text = with_task("cpus: 0, memory: x, ports: {p: {port: -1}}, env: [], labels: a, discovery: {visibility: X}");
    let errors = diagnostics(&text).into_iter().filter(|found| found.severity == Severity::Error).count();
    assert_eq!(errors, 6);
}
