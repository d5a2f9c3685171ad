//! Sections 2.1 and 2.2: the root and `scheduler`; 2.26 to 2.28: what has no key, and messages.

use mainstay_spec::Code;

use super::support::{fine, loaded, pod, refused, root, row, task, the_pod, warned};

#[test]
fn root_keys() {
    assert_eq!(fine("2.1/name", root("name: /path/to/svc")).name, "/path/to/svc");
    refused("2.1/name", root("-name"), Code::RequiredKey, "name");
    refused("2.1/name", root("name: ''"), Code::MissingValue, "name");
    refused("2.1/name", root("name: a__b"), Code::InvalidName, "name");
    assert_eq!(fine("2.1/web-url", root("web-url: http://x")).web_url.as_deref(), Some("http://x"));
    assert_eq!(fine("2.1/web-url", root("")).web_url, None);
    fine("2.1/scheduler", root("scheduler:"));
    refused("2.1/pods", root("-pods"), Code::RequiredKey, "pods");
    refused("2.1/pods", root("pods: {}"), Code::EmptyCollection, "pods");
    fine("2.1/plans", root("plans: {}"));
    for key in ["goal", "role", "region", "replacement-failure-policy", "env", "labels"] {
        refused("2.1/other 2.26/goal", root(&format!("{key}: x")), Code::UnknownKey, key);
    }
}

#[test]
fn pods_keep_their_order() {
    let task = "{count: 1, tasks: {t: {goal: ONCE, cmd: x, cpus: 1}}}";
    let spec = fine("2.1/pods 1.8/order", root(&format!("pods: {{z: {task}, a: {task}, m: {task}}}")));
    assert_eq!(spec.pods.iter().map(|pod| pod.pod_type.as_str()).collect::<Vec<_>>(), ["z", "a", "m"]);
}

#[test]
fn scheduler_keys() {
    assert_eq!(fine("2.2/principal", root("name: /a/b")).principal, "/a/b-principal");
    assert_eq!(fine("2.2/principal", root("scheduler: {principal: p}")).principal, "p");
    assert_eq!(fine("2.2/zookeeper", root("")).zookeeper, "master.mesos:2181");
    assert_eq!(fine("2.2/zookeeper", root("scheduler: {zookeeper: 'a:1,b:2'}")).zookeeper, "a:1,b:2");
    assert_eq!(fine("2.2/user", root("")).user, "root");
    assert_eq!(fine("2.2/user 2.26/user", root("scheduler: {user: nobody}")).user, "nobody");
    let spec = warned("2.2/role", root("scheduler: {role: r}"), Code::Deprecated, "scheduler.role");
    assert_eq!((spec.declared_role.as_deref(), spec.role().as_str()), (Some("r"), "r"));
    let given = || root("scheduler: {api-port: 80}");
    warned("2.2/api-port", given(), Code::Deprecated, "scheduler.api-port");
    warned("2.2/api-port", given().with("PORT_API", "81"), Code::Deprecated, "scheduler.api-port");
    let report = loaded(given().with("PORT_API", "81")).unwrap().warnings[0].message.clone();
    assert!(report.contains("81 and is used"), "{report}");
    refused("2.1/other", root("scheduler: {name: x}"), Code::UnknownKey, "scheduler.name");
}

#[test]
fn what_has_no_key() {
    row("2.26/role 2.26/region 2.26/replacement", || {
        let spec = fine("2.26/role", root(""));
        assert_eq!((spec.role().as_str(), spec.region, spec.replacement), ("n-role", None, None));
    });
    for key in ["recovery", "endpoints", "cgroups", "backoff"] {
        warned(
            "2.26/recovery-plans 2.26/endpoints 2.26/isolation 2.26/backoff",
            pod(&format!("{key}: x")),
            Code::IgnoredPodKey,
            &format!("pods.p.{key}"),
        );
        refused(
            "2.26/recovery-plans 2.26/endpoints 2.26/isolation 2.26/backoff",
            task(&format!("{key}: x")),
            Code::UnknownKey,
            &format!("pods.p.tasks.t.{key}"),
        );
    }
    let spec = fine("2.26/task-uris", task("uris: ['http://a']"));
    assert_eq!(the_pod(&spec).tasks[0].uris, ["http://a"]);
}

#[test]
fn nothing_is_refused_for_an_older_cluster() {
    let text = "pre-reserved-role: r\nsecrets: {a: {secret: s}}\nrlimits: {RLIMIT_AS: {}}\nplacement: '@zone:UNIQUE'\n\
                seccomp-unconfined: true\nshm-size: 1\nnetworks: {mesos-bridge: {host-ports: [1], container-ports: [2]}}\n\
                volume: {path: a, type: MOUNT, size: 1, profiles: [fast]}";
    fine("2.27/gates", pod(text));
    fine("2.27/gates", task("gpus: 1\nresource-limits: {cpus: unlimited}"));
}

#[test]
fn messages_have_paths_and_come_together() {
    row("2.28/path 1.1/validate", || {
        let text = "name: n\npods:\n  p:\n    count: -1\n    tasks:\n      t: {goal: RUN, cmd: x, cpus: 0}\n";
        let report = loaded(text).unwrap_err();
        let paths: Vec<_> = report.diagnostics.iter().map(|diagnostic| diagnostic.path.as_str()).collect();
        assert_eq!(paths, ["pods.p.count", "pods.p.tasks.t.goal", "pods.p.tasks.t.cpus"]);
    });
    let of_task = |key: &str| format!("pods.p.tasks.t.{key}");
    refused("2.28/required", pod("-count"), Code::RequiredKey, "pods.p.count");
    refused("2.28/required", pod("tasks: {}"), Code::EmptyCollection, "pods.p.tasks");
    refused("2.28/required", task("-cmd"), Code::RequiredKey, &of_task("cmd"));
    refused("2.28/required", task("-goal"), Code::RequiredKey, &of_task("goal"));
    refused("2.28/required", task("ports: {a: {}}"), Code::RequiredKey, &of_task("ports.a.port"));
    let message = refused(
        "2.28/unknown-set",
        task("resource-set: no\n-cpus"),
        Code::UnknownResourceSet,
        &of_task("resource-set"),
    );
    assert!(message.contains("\"no\""), "{message}");
    refused(
        "2.28/duplicates 2.19/unique-dest",
        task("configs: {a: {template: f, dest: d}, b: {template: g, dest: d}}"),
        Code::DuplicateDestination,
        &of_task("configs.b.dest"),
    );
    refused(
        "2.28/duplicates",
        task("configs: {a: {template: f, dest: d}, a: {template: g, dest: e}}"),
        Code::DuplicateKey,
        &of_task("configs.a"),
    );
    let message = refused(
        "2.28/words",
        task("discovery: {visibility: ALL}"),
        Code::UnknownWord,
        &of_task("discovery.visibility"),
    );
    assert!(message.contains("FRAMEWORK, CLUSTER, EXTERNAL"), "{message}");
}
