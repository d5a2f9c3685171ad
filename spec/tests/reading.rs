//! How values are read, by position, and that no input panics.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use mainstay_spec::{Goal, ServiceSpec, Source, Strategy, load, parse_env};
use proptest::prelude::*;

fn try_load(text: &str, variables: &BTreeMap<String, String>) -> Result<ServiceSpec, String> {
    let read_file = |_: &str| Ok("content".to_owned());
    let loaded = load(Source { file_name: "svc.yml", text }, variables, &read_file);
    loaded.map(|loaded| loaded.spec).map_err(|report| report.to_string())
}

#[track_caller]
fn task(body: &str) -> ServiceSpec {
    let text = format!("name: n\npods:\n  p:\n    count: 1\n    tasks:\n      t:\n        cmd: x\n{body}");
    try_load(&text, &BTreeMap::new()).unwrap_or_else(|report| panic!("{report}"))
}

#[track_caller]
fn cpus_millis(value: &str) -> u64 {
    let spec = task(&format!("        goal: RUNNING\n        cpus: {value}\n"));
    spec.pods[0].resource_sets[0].cpus.unwrap().millis()
}

#[track_caller]
fn memory_mb(value: &str) -> f64 {
    let spec = task(&format!("        goal: RUNNING\n        memory: {value}\n"));
    spec.pods[0].resource_sets[0].memory_mb.unwrap().to_f64()
}

#[test]
fn numbers_are_read_as_the_sdk_reads_them() {
    for (value, millis) in [("1", 1000), ("0.1", 100), ("'0.5'", 500), ("' 2 '", 2000), ("1e1", 10_000), ("0.0004", 0)]
    {
        if millis == 0 {
            let text =
                format!("name: n\npods: {{p: {{count: 1, tasks: {{t: {{goal: ONCE, cmd: x, cpus: {value}}}}}}}}}");
            assert!(try_load(&text, &BTreeMap::new()).is_err());
        } else {
            assert_eq!(cpus_millis(value), millis, "{value}");
        }
    }
    for (value, megabytes) in [("256", 256.0), ("256.9", 256.0), ("1_000", 1000.0), ("010", 10.0), ("'64'", 64.0)] {
        assert!((memory_mb(value) - megabytes).abs() < f64::EPSILON, "{value}");
    }
}

#[test]
fn text_keeps_its_spelling() {
    let spec = task(
        "        goal: once\n        cpus: 1\n        env:\n          A: yes\n          B: 1.10\n          C: on\n          \
         D: true\n          E: 12:30:45\n          F:\n          G: ''\n          H: '{{braces}}'\n",
    );
    let env = &spec.pods[0].tasks[0].env;
    let expected = [("A", "yes"), ("B", "1.10"), ("C", "on"), ("D", "true"), ("E", "12:30:45"), ("F", ""), ("G", "")];
    for (name, value) in expected {
        assert_eq!(env[name], value, "{name}");
    }
    assert_eq!(spec.pods[0].tasks[0].goal, Goal::Once);
}

#[test]
fn booleans_have_all_spellings_of_yaml() {
    for (value, expected) in
        [("true", true), ("False", false), ("yes", true), ("NO", false), ("on", true), ("off", false), ("'true'", true)]
    {
        let spec = task(&format!("        goal: RUNNING\n        cpus: 1\n        essential: {value}\n"));
        assert_eq!(spec.pods[0].tasks[0].essential, expected, "{value}");
    }
}

#[test]
fn optional_values_may_be_empty() {
    let spec = task(
        "        goal: RUNNING\n        cpus: 1\n        memory:\n        kill-grace-period: ''\n        env:\n        \
         ports:\n        labels: ''\n        health-check:\n        resource-set:\n",
    );
    let task = &spec.pods[0].tasks[0];
    assert_eq!((task.kill_grace_period_secs, task.env.len(), task.labels.len()), (0, 0, 0));
    assert_eq!(spec.pods[0].resource_sets[0].memory_mb, None);
}

#[test]
fn labels_split_at_the_first_colon() {
    let spec = task("        goal: RUNNING\n        cpus: 1\n        labels: 'label1:a, label2:path:/,'\n");
    let labels: Vec<_> = spec.pods[0].tasks[0].labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(labels, [("label1", "a"), ("label2", "path:/")]);
}

#[test]
fn an_unset_number_is_an_error_and_an_empty_one_is_absent() {
    let text = "name: n\npods: \n  p:\n    count: 1\n    tasks:\n      t:\n        goal: RUNNING\n        cmd: x\n        \
                cpus: 1\n        memory: {{MEMORY}}\n";
    let report = try_load(text, &BTreeMap::new()).unwrap_err();
    assert!(report.contains("pods.p.tasks.t.memory: is empty because the variable MEMORY is not set"), "{report}");
    let empty = BTreeMap::from([("MEMORY".to_owned(), String::new())]);
    assert_eq!(try_load(text, &empty).unwrap().pods[0].resource_sets[0].memory_mb, None);
    let required = text.replace("count: 1", "count: {{MEMORY}}");
    let report = try_load(&required, &empty).unwrap_err();
    assert!(report.contains("pods.p.count: is empty because the variable MEMORY is set to nothing"), "{report}");
}

#[test]
fn a_wrong_value_from_a_variable_names_it_and_marks_its_tag() {
    let text = "name: n\npods: {p: {count: {{COUNT}}, tasks: {t: {goal: ONCE, cmd: x, cpus: 1}}}}\n";
    let variables = BTreeMap::from([("COUNT".to_owned(), "-3".to_owned())]);
    let report = try_load(text, &variables).unwrap_err();
    assert!(
        report.starts_with("svc.yml:2:19: error[MST-SPEC-0017] pods.p.count: found \"-3\" (from COUNT)"),
        "{report}"
    );
}

#[test]
fn steps_are_generated_by_instance() {
    let text = "name: n\npods:\n  p:\n    count: 3\n    tasks:\n      a: {goal: ONCE, cmd: x, cpus: 1}\n      \
                b: {goal: ONCE, cmd: x, cpus: 1}\nplans:\n  deploy:\n    phases:\n      custom:\n        pod: p\n        \
                strategy: parallel-canary\n        steps:\n          - default: [[b], [], [a, b]]\n          \
                - '1': [[a]]\n          - 0: []\n      plain: {pod: p, strategy: canary, steps: }\n";
    let spec = try_load(text, &BTreeMap::new()).unwrap();
    let phases = &spec.plans[0].phases;
    let steps: Vec<_> = phases[0].steps.iter().map(|step| (step.index, step.tasks.join("+"))).collect();
    let step = |index: u32, tasks: &str| (index, tasks.to_owned());
    assert_eq!(steps, [step(1, "a"), step(2, "b"), step(2, "a+b")]);
    assert_eq!((phases[0].strategy, phases[0].has_custom_steps), (Strategy::ParallelCanary, true));
    let steps: Vec<_> = phases[1].steps.iter().map(|step| (step.index, step.tasks.join("+"))).collect();
    assert_eq!(steps, [step(0, "a+b"), step(1, "a+b"), step(2, "a+b")]);
    assert_eq!((phases[1].strategy, phases[1].has_custom_steps), (Strategy::SerialCanary, false));
}

#[test]
fn instances_and_steps_are_bounded() {
    let text = "name: n\npods: {p: {count: {{COUNT}}, tasks: {t: {goal: ONCE, cmd: x, cpus: 1}}}}\n";
    let plan = |index| format!("  plan-{index}: {{phases: {{a: {{pod: p}}}}}}\n");
    let plans = (0..11).map(plan).collect::<Vec<_>>().concat();
    let count = |count: &str| BTreeMap::from([("COUNT".to_owned(), count.to_owned())]);
    let report = try_load(text, &count("10001")).unwrap_err();
    assert!(report.contains("a whole number from 0 to 10000 is needed"), "{report}");
    let report = try_load(&format!("{text}plans:\n{plans}"), &count("10000")).unwrap_err();
    assert!(report.contains("plans.plan-10.phases.a: the plans have more than 100000 steps"), "{report}");
}

#[test]
fn an_unset_variable_explains_only_the_key_before_it() {
    let text = "name: n\npods: {p: {count: 1, tasks: {t: {goal: ONCE, cmd: '{{UNSET}}', memory: , cpus: 1}}}}\n";
    assert_eq!(try_load(text, &BTreeMap::new()).unwrap().pods[0].resource_sets[0].memory_mb, None);
    let text = text.replace("memory: ,", "memory: '{{MEMORY}}',");
    assert!(try_load(&text, &BTreeMap::new()).unwrap_err().contains("because the variable MEMORY is not set"));
}

#[test]
fn environment_files_are_read_line_by_line() {
    let env = parse_env("# comment\n\nA=1\n B = two words \nC=\nD='quoted'\nE=\"a=b\"\nF=[[\"x\"]]\r\n").unwrap();
    let expected = [("A", "1"), ("B", "two words"), ("C", ""), ("D", "quoted"), ("E", "a=b"), ("F", "[[\"x\"]]")];
    assert_eq!(env, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    let error = parse_env("A=1\nno pair\nA=2\n=x").unwrap_err();
    assert_eq!(
        error,
        "line 2: \"no pair\" is not KEY=VALUE\nline 3: A is given twice\nline 4: \"=x\" is not KEY=VALUE"
    );
    let marked = parse_env("\u{feff}A=1\nB=2\n").unwrap();
    assert_eq!(marked.keys().collect::<Vec<_>>(), ["A", "B"], "a byte order mark is no part of a name");
}

proptest! {
    #[test]
    fn no_text_panics(text in "(\\PC|\n| ){0,200}") {
        let _ = try_load(&text, &BTreeMap::new());
    }

    #[test]
    fn no_damaged_specification_panics(
        which in 0..5_usize,
        at in 0..4000_usize,
        length in 0..20_usize,
        insert in "(\\PC|\n|\\{\\{|\\}\\}|: |- |\\[|\\{){0,6}",
    ) {
        // The shipped one, and those that use every key, well or badly.
        let text = [
            include_str!("../../svc-specs/hello-world/svc.yml"),
            include_str!("bad/not_yet.yml"),
            include_str!("bad/container.yml"),
            include_str!("bad/mounts.yml"),
            include_str!("bad/placement.yml"),
        ][which];
        let env = parse_env(include_str!("../../svc-specs/hello-world/env")).unwrap();
        let start = at.min(text.len());
        let end = (start + length).min(text.len());
        if text.is_char_boundary(start) && text.is_char_boundary(end) {
            let damaged = format!("{}{insert}{}", &text[..start], &text[end..]);
            if let Err(report) = try_load(&damaged, &env) {
                prop_assert!(report.contains("error[MST-SPEC-"));
            }
        }
    }
}
