//! Section 1.8: how the rendered text is read as YAML.

use mainstay_spec::Code;

use super::support::{Input, fine, loaded, pod, refused, root, row, task, the_pod, the_task, warned};

#[test]
fn one_plain_document() {
    for text in ["web-url: &a x", "web-url: !!str x"] {
        row("1.8/dialect", || {
            assert_eq!(loaded(root(text)).unwrap_err().diagnostics[0].code, Code::YamlFeature, "{text}");
        });
    }
    row("1.8/dialect", || {
        let report = loaded("name: n\n---\nname: n").unwrap_err();
        assert!(report.diagnostics.iter().any(|diagnostic| diagnostic.code == Code::YamlFeature), "{report}");
    });
    refused("1.8/empty-file", Input::from(""), Code::EmptyDocument, "");
    refused("1.8/empty-file", Input::from("# nothing\n"), Code::EmptyDocument, "");
}

#[test]
fn keys() {
    let message = refused("1.8/duplicate-key 1.1/parse", root("web-url: a\nweb-url: b"), Code::DuplicateKey, "web-url");
    assert!(message.contains("given twice"), "{message}");
    refused("1.8/duplicate-key", task("env: {A: 1, A: 2}"), Code::DuplicateKey, "pods.p.tasks.t.env.A");
    let ignored =
        warned("1.8/unknown-pod-key 8.2/5", pod("reource-sets: {}"), Code::IgnoredPodKey, "pods.p.reource-sets");
    assert_eq!(the_pod(&ignored).resource_sets.len(), 1);
    let message = refused("1.8/unknown-key", task("memmory: 1"), Code::UnknownKey, "pods.p.tasks.t.memmory");
    assert!(message.contains("did you mean memory?"), "{message}");
    let message = refused("1.8/unknown-key", root("scheduler: {zzz: 1}"), Code::UnknownKey, "scheduler.zzz");
    assert!(message.contains("here: principal, zookeeper, user"), "{message}");
}

#[test]
fn scalars() {
    let spec = fine("1.8/literal-text 1.8/null-env", task("env: {SLEEP: 1000, X: true, V: 1.10, N: , Y: yes}"));
    let env = &the_task(&spec).env;
    let values = ["SLEEP", "X", "V", "N", "Y"].map(|name| env[name].as_str());
    assert_eq!(values, ["1000", "true", "1.10", "", "yes"]);
    let megabytes = |rows: &str, text: &str| {
        the_pod(&fine(rows, task(&format!("memory: {text}")))).resource_sets[0]
            .memory_mb
            .map(mainstay_spec::Scalar::to_f64)
    };
    assert_eq!(megabytes("1.8/quoted-number", "' 64 '"), Some(64.0));
    assert_eq!(megabytes("1.8/quoted-number", "''"), None);
    assert_eq!(megabytes("1.8/fraction", "256.9"), Some(256.0));
    for (text, expected) in [
        ("true", true),
        ("'True'", true),
        ("yes", true),
        ("on", true),
        ("FALSE", false),
        ("no", false),
        ("'off'", false),
    ] {
        assert_eq!(the_task(&fine("1.8/boolean", task(&format!("essential: {text}")))).essential, expected, "{text}");
    }
    refused("1.8/boolean", task("essential: maybe"), Code::WrongType, "pods.p.tasks.t.essential");
}

#[test]
fn nothing() {
    refused("1.8/null-map", pod("tasks:"), Code::MissingValue, "pods.p.tasks");
    let spec = fine("1.8/null-map", task("env:\nports:\nconfigs:\nhealth-check:"));
    assert!(
        the_task(&spec).env.is_empty() && the_task(&spec).configs.is_empty() && the_task(&spec).health_check.is_none()
    );
    assert_eq!(the_pod(&fine("1.8/null-network", pod("networks: {dcos: }"))).networks.len(), 1);
}

#[test]
fn order_is_kept() {
    let spec = fine(
        "1.8/order",
        task(
            "ports: {z: {port: 0}, a: {port: 0}}\nvolumes: {z: {path: z, type: ROOT, size: 1}, a: {path: a, type: ROOT, size: 1}}",
        ),
    );
    let set = &the_pod(&spec).resource_sets[0];
    assert_eq!(set.ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>(), ["z", "a"]);
    assert_eq!(set.volumes.iter().map(|volume| volume.path.as_str()).collect::<Vec<_>>(), ["z", "a"]);
    let plans = root("plans: {deploy: {phases: {z: {pod: p}, a: {pod: p}}}}");
    let spec = fine("1.8/order", plans);
    assert_eq!(spec.plans[0].phases.iter().map(|phase| phase.name.as_str()).collect::<Vec<_>>(), ["z", "a"]);
}
