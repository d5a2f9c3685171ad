//! Section 8.1: small specifications of the SDK's tests, by the names they have there; what is not here stands with its key.

use mainstay_spec::{Code, Limit, Scalar};

use super::support::{Input, fine, loaded, phase, pod, refused, root, row, task, the_pod, warned};

#[test]
fn the_same_name_twice() {
    refused("8.1/invalid-duplicate-count", pod("count: 1\ncount: 2"), Code::DuplicateKey, "pods.p.count");
    let body = "{count: 1, tasks: {t: {goal: ONCE, cmd: x, cpus: 1}}}";
    let twice = root(&format!("pods: {{p: {body}, p: {body}}}"));
    refused("8.1/invalid-pod-name", twice, Code::DuplicateKey, "pods.p");
    let twice = pod("tasks: {t: {goal: ONCE, cmd: x, cpus: 1}, t: {goal: ONCE, cmd: x, cpus: 1}}");
    refused("8.1/invalid-task-name", twice, Code::DuplicateKey, "pods.p.tasks.t");
    let twice = pod("resource-sets: {s: {cpus: 1}, s: {cpus: 1}}");
    refused("8.1/invalid-resource-set-name", twice, Code::DuplicateKey, "pods.p.resource-sets.s");
}

#[test]
fn a_prefix_in_two_pods() {
    let body = "{count: 1, tasks: {t: {goal: RUNNING, cmd: x, cpus: 1, discovery: {prefix: d}}}}";
    let shared = root(&format!("pods: {{p: {body}, q: {body}}}"));
    let at = "pods.q.tasks.t.discovery.prefix";
    refused("8.1/invalid-task-dns 2.22/prefix", shared, Code::SharedDiscoveryPrefix, at);
}

#[test]
fn advertised_ports_of_one_name() {
    let port = |name: &str, advertise: bool| format!("{name}: {{port: 0, advertise: {advertise}}}");
    let text = format!(
        "name: n\npods:\n  p:\n    count: 1\n    resource-sets: {{s: {{ports: {{{in_set}}}}}}}\n    tasks:\n      \
         t: {{goal: RUNNING, cmd: x, ports: {{{one}, {pods}, {tasks}, {set}}}}}\n      \
         u: {{goal: RUNNING, cmd: x, ports: {{{one}, {tasks}}}}}\n  q:\n    count: 1\n    tasks:\n      \
         t: {{goal: RUNNING, cmd: x, ports: {{{one}, {pods}}}}}\n",
        in_set = port("in-resource-set", true),
        one = port("quiet", false),
        pods = port("across-pods", true),
        tasks = port("across-tasks", true),
        set = port("in-resource-set", true),
    );
    row("8.1/invalid-duplicate-port-names 2.15/duplicate-advertised", || {
        let report = loaded(Input::from(text)).unwrap_err();
        let mut names: Vec<_> = report
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.code == Code::DuplicateAdvertisedPort)
            .map(|diagnostic| diagnostic.path.rsplit('.').next().unwrap())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["across-pods", "across-tasks", "in-resource-set"], "{report}");
    });
}

#[test]
fn plans() {
    row("8.1/invalid-plan-steps", || {
        let report = loaded(phase(3, "steps: [0: [[a]], 0: [[b]]]")).unwrap_err();
        let codes: Vec<_> = report.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        assert_eq!(codes.len(), 2, "{report}");
        assert!(codes.contains(&Code::DuplicateStepIndex) && codes.contains(&Code::MissingStepIndex), "{report}");
    });
    // Refused as soon as it is read, where the SDK notices when it makes the plan.
    let unknown = root("plans: {deploy: {phases: {f: {pod: meta-data}}}}");
    refused("8.1/valid-exhaustive", unknown, Code::UnknownPod, "plans.deploy.phases.f.pod");
    let spec = fine("8.1/partial-custom", phase(3, "steps:\n- 1: [[b], [a]]\n- default: [[a], [b]]"));
    let steps = &spec.plans[0].phases[0].steps;
    let shown: Vec<_> = steps.iter().map(|step| format!("{}{}", step.index, step.tasks[0])).collect();
    assert_eq!(shown, ["0a", "0b", "1b", "1a", "2a", "2b"]);
    let phases: Vec<_> = (0..8).map(|at| format!("phase-{at}: {{pod: p}}")).collect();
    let spec = fine("8.1/custom-phases", root(&format!("plans: {{deploy: {{phases: {{{}}}}}}}", phases.join(", "))));
    assert_eq!(spec.plans[0].phases.len(), 8);
    let text = "name: n\npods:\n  p:\n    count: 1\n    resource-sets: {s: {cpus: 1}}\n    tasks:\n      \
                a: {goal: ONCE, cmd: x, resource-set: s}\n      b: {goal: ONCE, cmd: x, resource-set: s}\n\
                plans: {deploy: {phases: {f: {pod: p, steps: [default: [[a], [b]]]}}}}";
    let spec = fine("8.1/resource-set-seq 8.1/shared-resource-set 2.13/shared", Input::from(text));
    assert_eq!((the_pod(&spec).resource_sets.len(), spec.plans[0].phases[0].steps.len()), (1, 2));
}

#[test]
fn resources() {
    let limited = pod("resource-sets: {s: {cpus: 1, resource-limits: {cpus: 0.5}}}");
    let at = "pods.p.resource-sets.s.resource-limits.cpus";
    // Refused as soon as it is read, where the SDK leaves it to a validator.
    let message = refused("8.1/invalid-resource-limits-in-resource-set 7/13", limited, Code::LimitBelowRequest, at);
    assert!(message.contains("\"0.5\"") && message.contains('1'), "{message}");
    let equal = task("resource-limits: {cpus: 1}");
    let spec = fine("7/13", equal);
    assert_eq!(the_pod(&spec).resource_sets[0].limits.cpus, Some(Limit::Amount(Scalar::from_units(1))));
    let spec = fine("8.1/ranges", task("-cpus\nports: {a: {port: 0, ranges: [{begin: 1, end: 9}]}}"));
    assert_eq!(the_pod(&spec).resource_sets[0].cpus, None);
}

#[test]
fn container_blocks_and_bridges() {
    let unmapped = pod("container: {networks: {dcos: {host-ports: [1], container-ports: [1]}}}");
    let at = "pods.p.container.networks.dcos.host-ports";
    refused("8.1/invalid-duplicate-container-definition", unmapped, Code::InvalidMapping, at);
    let both = pod("image: a\ncontainer: {image-name: b}");
    refused("8.1/invalid-duplicate-container-definition", both, Code::ContradictoryKeys, "pods.p.container");
    warned("8.2/6", pod("container: {networks: {dcos: {}}}"), Code::Deprecated, "pods.p.container");
    warned("8.2/6", pod("user: root"), Code::Deprecated, "pods.p.user");
    row("8.1/valid-automatic-cni-port-forwarding 2.5/automatic", || {
        let text = "networks: {mesos-bridge: {host-ports: [4040, 4041], container-ports: [8080, 8081]}}\ntasks:\n  \
                    t: {goal: RUNNING, cmd: x, ports: {a: {port: 8080}, b: {port: 4041}}}";
        let spec = fine("", pod(text));
        // What the author lists is kept as it is; declared ports are added when the pod is placed.
        assert_eq!(the_pod(&spec).networks[0].port_mappings, [(4040, 8080), (4041, 8081)].into());
    });
}
