//! Section 1.9: what real specifications do with templates.

use mainstay_spec::{Code, Strategy};

use super::support::{Input, fine, phase, pod, root, row, task, the_pod, the_task, warned};

#[test]
fn values_from_variables() {
    let text = "name: n\npods: {p: {count: {{COUNT}}, tasks: {t: {goal: ONCE, cmd: x, cpus: {{CPUS}}}}}}";
    let spec = fine("1.9/scalars", Input::from(text).with("COUNT", "3").with("CPUS", "0.5"));
    assert_eq!((the_pod(&spec).count, the_pod(&spec).resource_sets[0].cpus.unwrap().millis()), (3, 500));
    let placement = |value: &str| {
        let spec = fine("1.9/quoted-raw", pod("placement: '{{{PLACEMENT}}}'").with("PLACEMENT", value));
        the_pod(&spec).placement.is_some()
    };
    assert!(placement(r#"[["hostname", "UNIQUE"]]"#) && !placement(""));
    let network = "networks:\n  {{#ON}}\n  {{NAME}}:\n  {{/ON}}";
    let spec = fine("1.9/key", pod(network).with("ON", "true").with("NAME", "dcos"));
    assert_eq!(the_pod(&spec).networks[0].name, "dcos");
    let flow = phase(1, "steps:\n- default: {{STEPS}}").with("STEPS", "[[a],[b]]");
    assert_eq!(fine("1.9/flow-list", flow).plans[0].phases[0].steps.len(), 2);
    let spec = fine("1.9/strategy", phase(1, "strategy: {{STRATEGY}}").with("STRATEGY", ""));
    assert_eq!(spec.plans[0].phases[0].strategy, Strategy::Serial);
}

#[test]
fn sections_around_structure() {
    let text = "uris:\n{{#ON}}\n- a\n{{/ON}}\n- b\n{{^ON}}\nallow-decommission: true\n{{/ON}}";
    let on = fine("1.9/whole-keys 1.9/alternatives", pod(text).with("ON", "true"));
    let off = fine("1.9/whole-keys 1.9/alternatives", pod(text).with("ON", "false"));
    assert_eq!(
        (the_pod(&on).uris.as_slice(), the_pod(&on).allow_decommission),
        (["a".to_owned(), "b".to_owned()].as_slice(), false)
    );
    assert_eq!((the_pod(&off).uris.as_slice(), the_pod(&off).allow_decommission), (["b".to_owned()].as_slice(), true));
    let text = "cmd: |\n  one\n    {{#ON}}\n    two\n    {{/ON}}\n  three";
    assert_eq!(the_task(&fine("1.9/block-scalars", task(text).with("ON", "1"))).cmd, "one\n  two\nthree\n");
    assert_eq!(the_task(&fine("1.9/block-scalars", task(text))).cmd, "one\nthree\n");
    row("1.9/yaml-comments", || drop(warned("", root("# {{X}}"), Code::VariableUnset, "")));
}
