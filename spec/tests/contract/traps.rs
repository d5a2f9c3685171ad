//! Section 8.2: traps, by number; those about single keys stand with the keys.

use mainstay_spec::{Code, Scalar, Strategy};

use super::support::{Input, fine, loaded, phase, pod, refused, root, row, task, the_pod, the_task, warned};

#[test]
fn templates() {
    let options = |tag: &str| {
        pod(&format!("external-volumes: {{a: {{type: DOCKER, container-path: c, driver-options: '{tag}'}}}}"))
    };
    // The SDK escapes the sign and then refuses the option; here the value is used as it is.
    row("8.2/1", || {
        let loaded = loaded(options("{{OPTS}}").with("OPTS", "a=b;c=d")).unwrap();
        assert_eq!(the_pod(&loaded.spec).external_volumes[0].driver_options.len(), 2);
        assert!(loaded.warnings.iter().any(|warning| warning.code == Code::ValueNotEscaped));
    });
    fine("8.2/1", options("{{{OPTS}}}").with("OPTS", "a=b;c=d"));
    let indented = "name: n\npods:\n  p:\n    count: 1\n    {{#ON}}\n      image: i\n    {{/ON}}\n    tasks: {t: {goal: ONCE, cmd: x, cpus: 1}}";
    refused("8.2/2", Input::from(indented).with("ON", "1"), Code::YamlSyntax, "");
    fine("8.2/2", Input::from(indented));
    let spec = fine("8.2/3", task("essential: {{FLAG}}").with("FLAG", "TRUE"));
    assert!(the_task(&spec).essential);
}

#[test]
fn resources_and_steps() {
    let text = pod("resource-sets: {s: {cpus: 1}}\ntasks: {t: {goal: ONCE, cmd: x, resource-set: s, memory: 9}}");
    let spec = warned("8.2/7", text, Code::KeyWithoutEffect, "pods.p.tasks.t.memory");
    assert_eq!(
        (the_pod(&spec).resource_sets[0].cpus, the_pod(&spec).resource_sets[0].memory_mb),
        (Some(Scalar::from_units(1)), None)
    );
    let spec = fine("8.2/8", phase(3, "steps: [0: [[a]], default: []]"));
    assert_eq!(spec.plans[0].phases[0].steps.len(), 1);
    let entries = "steps:\n{{#ON}}\n- default: [[a]]\n{{/ON}}\n{{#OFF}}\n- default: [[b]]\n{{/OFF}}";
    let tasks = |input: Input| {
        let spec = fine("8.2/10", input);
        spec.plans[0].phases[0].steps[0].tasks.join("+")
    };
    assert_eq!(tasks(phase(1, entries).with("ON", "1")), "a");
    assert_eq!(tasks(phase(1, entries).with("OFF", "1")), "b");
    assert_eq!(tasks(phase(1, entries)), "a+b");
    let spec = fine("8.2/11", root("plans: {deploy: {strategy: parallel, phases: {f: {pod: p}}}}"));
    assert_eq!(spec.plans[0].phases[0].strategy, Strategy::Serial);
    let two = "count: 1\ntasks:\n  t: {goal: ONCE, cmd: x, cpus: 1, discovery: {prefix: d}}\n  u: {goal: RUNNING, cmd: x, cpus: 1, discovery: {prefix: d}}";
    row("8.2/15", || {
        let spec = loaded(pod(two)).unwrap().spec;
        let both = ["t".to_owned(), "u".to_owned()];
        assert!(the_pod(&spec).step_conflict(&both).is_some() && the_pod(&spec).step_conflict(&both[..1]).is_none());
    });
}

#[test]
fn texts() {
    row("8.2/12", || {
        let codes = |text: &str| loaded(task(text)).unwrap_err().diagnostics[0].code;
        assert_eq!(codes("cmd: echo a: b"), Code::YamlSyntax);
    });
    assert_eq!(the_task(&fine("8.2/12", task("cmd: 'echo a: b'"))).cmd, "echo a: b");
    assert_eq!(the_task(&fine("8.2/12", task("cmd: |-\n  echo a: b"))).cmd, "echo a: b");
    let spec = fine("8.2/13 8.2/17", task("env: {A: yes, B: on, C: off, D: 1.10, E: 007}\nlabels: 'v:1.10'"));
    let env = &the_task(&spec).env;
    assert_eq!(["A", "B", "C", "D", "E"].map(|name| env[name].as_str()), ["yes", "on", "off", "1.10", "007"]);
    assert_eq!(the_task(&spec).labels[0].1, "1.10");
    row("8.2/16", || {
        let loaded = loaded(pod("uris:\n- {{BOOTSTRAP_URI}}\n- b")).unwrap();
        assert_eq!(the_pod(&loaded.spec).uris, ["b"]);
        let codes: Vec<_> = loaded.warnings.iter().map(|warning| warning.code).collect();
        assert!(codes.contains(&Code::EmptyListItem), "{codes:?}");
    });
    let same = pod(
        "volume: {path: a, type: ROOT, size: 1}\ntasks: {t: {goal: ONCE, cmd: x, cpus: 1, volume: {path: a, type: ROOT, size: 1}}}",
    );
    refused("8.2/18", same, Code::DuplicatePath, "pods.p.tasks.t.volume");
}
