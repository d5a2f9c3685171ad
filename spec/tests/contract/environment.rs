//! Section 5.2: variables of the scheduler that are routed to tasks, and 5.1 as far as the specification sees them.

use std::collections::BTreeMap;

use super::support::{Input, fine, rendered, root, row, task, the_task};

fn env(rows: &str, input: Input) -> BTreeMap<String, String> {
    the_task(&fine(rows, input)).env.clone()
}

#[test]
fn routing() {
    let given = || task("env: {A: yaml, B: yaml}").with("TASKCFG_ALL_A", "all").with("TASKCFG_ALL_miXed", "kept");
    let all = env("5.2/all 5.2/overrides 5.1/TASKCFG 1.1/taskcfg", given());
    assert_eq!((all["A"].as_str(), all["B"].as_str(), all["miXed"].as_str()), ("all", "yaml", "kept"));
    let both = env("5.2/pod 5.2/pod-wins", given().with("TASKCFG_P_A", "pod").with("TASKCFG_Q_B", "other"));
    assert_eq!((both["A"].as_str(), both["B"].as_str()), ("pod", "yaml"));
    // The variables of a pod that sorts before ALL win as well.
    let text = "name: n\npods: {agent: {count: 1, tasks: {t: {goal: ONCE, cmd: x, cpus: 1}}}}";
    let spec = fine("5.2/pod-wins", Input::from(text).with("TASKCFG_ALL_A", "all").with("TASKCFG_AGENT_A", "pod"));
    assert_eq!(spec.pods[0].tasks[0].env["A"], "pod");
    let pod = "{count: 1, tasks: {t: {goal: ONCE, cmd: x, cpus: 1}}}";
    let pods = root(&format!("pods: {{data: {pod}, data-store: {pod}}}")).with("TASKCFG_DATA_STORE_X", "1");
    let spec = fine("5.2/prefix 8.2/19", pods);
    assert_eq!(spec.pods[0].tasks[0].env.keys().collect::<Vec<_>>(), ["STORE_X"]);
    assert_eq!(spec.pods[1].tasks[0].env.keys().collect::<Vec<_>>(), ["X"]);
}

#[test]
fn every_variable_is_a_template_input() {
    for name in [
        "PORT_API",
        "FRAMEWORK_NAME",
        "FRAMEWORK_PRINCIPAL",
        "FRAMEWORK_USER",
        "FRAMEWORK_ZOOKEEPER",
        "FRAMEWORK_WEB_URL",
        "SERVICE_NAME",
        "SERVICE_PRINCIPAL",
        "SERVICE_USER",
        "BOOTSTRAP_URI",
        "EXECUTOR_URI",
        "LIBMESOS_URI",
        "JAVA_URI",
        "TASKCFG_ALL_SOMETHING",
        "ANYTHING_ELSE",
    ] {
        row(
            "1.9/no-special-names 5.1/other 5.2/template 5.1/SERVICE_NAME 5.1/FRAMEWORK_NAME 5.1/FRAMEWORK_PRINCIPAL 5.1/LIBMESOS_URI",
            || {
                let text = rendered(task(&format!("cmd: say '{{{{{name}}}}}'")).with(name, "value"));
                assert!(text.contains("cmd: say 'value'"), "{text}");
            },
        );
    }
}
