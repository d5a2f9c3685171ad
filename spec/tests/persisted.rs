//! The stored form: golden documents of both generations, round trips, and what restarts a pod.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use mainstay_spec::{
    ConfigSpec, DiscoverySpec, Goal, HealthCheckSpec, PodSpec, PortSpec, ReadinessCheckSpec, ResourceSet, Scalar,
    ServiceSpec, Source, TaskSpec, VipSpec, Visibility, VolumeKind, VolumeSpec, from_json, load, parse_env,
    placement::Rule, pod_changed, to_json,
};
use proptest::prelude::*;

const G20: &str = include_str!("stored/g20.json");

fn hello_world() -> ServiceSpec {
    let env = parse_env(include_str!("../../svc-specs/hello-world/env")).unwrap();
    let text = include_str!("../../svc-specs/hello-world/svc.yml");
    let read_file = |_: &str| Ok(include_str!("../../svc-specs/hello-world/greeting.conf.mustache").to_owned());
    load(Source { file_name: "svc.yml", text }, &env, &read_file).unwrap().spec
}

#[test]
fn the_final_generations_document_is_written_back_byte_for_byte() {
    let stored = from_json(G20).unwrap();
    assert_eq!(stored.role, "shop__ledger-role");
    assert_eq!(stored.spec.declared_role, None);
    assert_eq!(to_json(&stored.spec, &stored.role), G20);
}

#[test]
fn the_older_generations_document_is_read() {
    let stored = from_json(include_str!("stored/g17.json")).unwrap();
    insta::assert_snapshot!("g17_as_written", to_json(&stored.spec, &stored.role));
}

#[test]
fn hello_world_is_stored_and_read_back() {
    let spec = hello_world();
    let json = to_json(&spec, &spec.role());
    insta::assert_snapshot!("hello_world_stored", json);
    let stored = from_json(&json).unwrap();
    assert_eq!(to_json(&stored.spec, &stored.role), json);
    for (old, new) in stored.spec.pods.iter().zip(&spec.pods) {
        assert!(!pod_changed(old, new), "{}", new.pod_type);
    }
}

#[test]
fn documents_that_cannot_be_used_say_why() {
    let without = |key: &str| {
        let mut document: serde_json::Value = serde_json::from_str(G20).unwrap();
        document.as_object_mut().unwrap().remove(key);
        document.to_string()
    };
    let cases = [
        "not json".to_owned(),
        "[]".to_owned(),
        without("name"),
        without("role"),
        without("pod-specs"),
        include_str!("stored/g20_unsupported.json").to_owned(),
        G20.replace("\"goal\" : \"FINISH\"", "\"goal\" : \"NONE\""),
        G20.replace("\"goal\" : \"FINISH\"", "\"goal\" : \"SOMETIMES\""),
        G20.replace("\"value\" : 1.5", "\"value\" : -1.5"),
        G20.replace("\"begin\" : 9440", "\"begin\" : 94400"),
        G20.replace("\"PortSpec\"", "\"SocketSpec\""),
        G20.replace("\"count\" : 3", "\"count\" : \"many\""),
        G20.replace("\"name\" : \"mem\"", "\"name\" : \"gpus\""),
        G20.replace("\"cpus\" : null", "\"cpus\" : \"2\""),
        G20.replace("\"user\" : \"nobody\",\n    \"count\" : 2", "\"user\" : \"other\",\n    \"count\" : 2"),
    ];
    let errors: Vec<_> = cases.iter().map(|text| from_json(text).unwrap_err().to_string()).collect();
    insta::assert_snapshot!("unusable_documents", errors.join("\n"));
}

#[test]
fn numbers_and_booleans_are_read_in_every_spelling() {
    let spelled = G20
        .replace("\"value\" : 1.5", "\"value\" : \"1.5\"")
        .replace("\"value\" : 4096.0", "\"value\" : 4.096E3")
        .replace("\"count\" : 3", "\"count\" : 3.0")
        .replace("\"allow-decommission\" : true", "\"allow-decommission\" : \"true\"");
    assert_ne!(spelled, G20);
    assert_eq!(from_json(&spelled).unwrap(), from_json(G20).unwrap());
}

#[track_caller]
fn check(change: impl FnOnce(&mut PodSpec), expected: bool, pod: PodSpec) {
    let mut changed = pod.clone();
    change(&mut changed);
    assert_ne!(changed, pod, "the case changes something");
    assert_eq!(pod_changed(&pod, &changed), expected);
}

// contract: 6.6/compared 6.6/not-compared 6.6/ports
#[test]
fn only_what_a_task_is_made_of_restarts_it() {
    let pod = || hello_world().pods[0].clone();
    check(|pod| pod.count = 9, false, pod());
    check(|pod| pod.placement = Rule::parse("hostname:UNIQUE", "x").unwrap(), false, pod());
    check(|pod| pod.allow_decommission = true, false, pod());
    check(|pod| pod.tasks[0].essential = false, false, pod());
    check(|pod| pod.tasks[0].configs[0].template_path.push('x'), false, pod());
    check(|pod| pod.resource_sets.reverse(), false, pod());
    check(
        |pod| pod.resource_sets.push(ResourceSet { id: "unused".to_owned(), ..ResourceSet::default() }),
        false,
        pod(),
    );
    check(|pod| pod.tasks[0].cmd.push('x'), true, pod());
    check(|pod| pod.tasks[0].goal = Goal::Once, true, pod());
    check(|pod| pod.tasks[0].kill_grace_period_secs += 1, true, pod());
    check(|pod| pod.tasks[0].configs[0].content.push('x'), true, pod());
    check(|pod| pod.tasks[0].labels.push(("a".to_owned(), "b".to_owned())), true, pod());
    check(|pod| drop(pod.tasks[0].env.insert("A".to_owned(), "B".to_owned())), true, pod());
    check(|pod| pod.tasks[0].readiness_check = None, true, pod());
    check(|pod| pod.uris.push("a".to_owned()), true, pod());
    check(|pod| pod.volumes[0].size_mb = Scalar::from_units(17), true, pod());
    let server_set = |pod: &mut PodSpec| pod.resource_sets.iter().position(|s| !s.ports.is_empty()).unwrap();
    check(
        |pod| {
            let at = server_set(pod);
            pod.resource_sets[at].cpus = None;
        },
        true,
        pod(),
    );
    check(
        |pod| {
            let at = server_set(pod);
            pod.resource_sets[at].ports[0].env_key = None;
        },
        true,
        pod(),
    );
    check(
        |pod| {
            let at = server_set(pod);
            pod.resource_sets[at].ports[0].advertise = false;
        },
        true,
        pod(),
    );
    check(|pod| drop(pod.tasks.pop()), true, pod());
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,8}"
}

fn amount() -> impl Strategy<Value = Scalar> {
    (1..1_000_000_000_u64).prop_map(Scalar::from_millis)
}

fn port() -> impl Strategy<Value = PortSpec> {
    let vip = (name(), 1..=u16::MAX).prop_map(|(prefix, port)| VipSpec { prefix, port, advertise: true });
    (name(), prop::option::of(1..=u16::MAX), prop::option::of(name()), any::<bool>(), prop::option::of(vip)).prop_map(
        |(name, port, env_key, advertise, vip)| PortSpec { name, port, env_key, advertise, vip, ..PortSpec::default() },
    )
}

fn volume() -> impl Strategy<Value = VolumeSpec> {
    let profiles = prop::collection::vec(name(), 0..3);
    let kind = prop_oneof![Just(VolumeKind::Root), profiles.prop_map(|profiles| VolumeKind::Mount { profiles })];
    (name(), kind, amount()).prop_map(|(path, kind, size_mb)| VolumeSpec { path, kind, size_mb })
}

fn task() -> impl Strategy<Value = (TaskSpec, ResourceSet)> {
    let goal = prop_oneof![Just(Goal::Running), Just(Goal::Finish), Just(Goal::Once)];
    let visibility = prop_oneof![Just(Visibility::Framework), Just(Visibility::Cluster), Just(Visibility::External)];
    let discovery =
        (prop::option::of(name()), visibility).prop_map(|(prefix, visibility)| DiscoverySpec { prefix, visibility });
    let config = (name(), "\\PC{1,20}", "(\\PC|\n|\t){1,40}").prop_map(|(name, dest, content)| ConfigSpec {
        name,
        template_path: String::new(),
        dest,
        content,
    });
    let health = ("\\PC{0,10}", any::<[u16; 5]>()).prop_map(|(cmd, n)| HealthCheckSpec {
        cmd,
        interval_secs: n[0].into(),
        grace_period_secs: n[1].into(),
        max_consecutive_failures: n[2].into(),
        delay_secs: n[3].into(),
        timeout_secs: n[4].into(),
    });
    let readiness = ("\\PC{0,10}", any::<[u16; 3]>()).prop_map(|(cmd, n)| ReadinessCheckSpec {
        cmd,
        interval_secs: n[0].into(),
        delay_secs: n[1].into(),
        timeout_secs: n[2].into(),
    });
    let set = (
        prop::option::of(amount()),
        prop::option::of(amount()),
        prop::collection::vec(port(), 0..3),
        prop::collection::vec(volume(), 0..3),
    );
    let text = (name(), "(\\PC|\n|\"){0,30}", prop::collection::btree_map(name(), "\\PC{0,10}", 0..4));
    let labels = prop::collection::btree_map(name(), name(), 0..3);
    let checks = (prop::option::of(health), prop::option::of(readiness), prop::option::of(discovery));
    (text, goal, any::<bool>(), prop::collection::vec(config, 0..3), checks, labels, any::<u16>(), set).prop_map(
        |((name, cmd, env), goal, essential, configs, checks, labels, grace, (cpus, memory_mb, ports, volumes))| {
            let id = format!("{name}-resource-set");
            let task = TaskSpec {
                name,
                goal,
                essential,
                cmd,
                env,
                configs,
                resource_set: id.clone(),
                health_check: checks.0,
                readiness_check: checks.1,
                discovery: checks.2,
                labels: labels.into_iter().collect(),
                kill_grace_period_secs: grace.into(),
                ..TaskSpec::default()
            };
            (task, ResourceSet { id, cpus, memory_mb, ports, volumes, ..ResourceSet::default() })
        },
    )
}

fn pod() -> impl Strategy<Value = PodSpec> {
    let placement = prop::sample::select(vec![
        None,
        Some(r#"[["hostname","UNIQUE"]]"#),
        Some(r#"[["rack","MAX_PER","2"],["@zone","GROUP_BY"]]"#),
        Some(r#"[["hostname","UNLIKE","a.*"],["rack","CLUSTER","r1"]]"#),
    ]);
    let tasks = prop::collection::btree_map(name(), task(), 1..4);
    let lists = (prop::collection::vec("\\PC{0,10}", 0..3), prop::collection::vec(volume(), 0..3));
    (name(), any::<u16>(), any::<bool>(), placement, lists, tasks).prop_map(
        |(pod_type, count, allow_decommission, placement, (uris, volumes), tasks)| {
            let (tasks, resource_sets) = tasks
                .into_iter()
                .map(|(name, (mut task, mut set))| {
                    set.id = format!("{name}-resource-set");
                    task.resource_set.clone_from(&set.id);
                    task.name = name;
                    (task, set)
                })
                .unzip();
            PodSpec {
                pod_type,
                count: count.into(),
                allow_decommission,
                placement: placement.and_then(|text| Rule::parse(text, "x").unwrap()),
                uris,
                volumes,
                resource_sets,
                tasks,
                ..PodSpec::default()
            }
        },
    )
}

fn service() -> impl Strategy<Value = ServiceSpec> {
    let pods = prop::collection::btree_map(name(), pod(), 1..4);
    (name(), prop::option::of("\\PC{1,10}"), name(), name(), prop::option::of(name()), pods).prop_map(
        |(name, web_url, principal, user, role, pods): (_, _, _, _, _, BTreeMap<String, PodSpec>)| {
            let mut pods: Vec<_> = pods.into_iter().map(|(pod_type, pod)| PodSpec { pod_type, ..pod }).collect();
            pods.reverse();
            let derived = format!("{name}-role");
            let zookeeper = "zk:2181".to_owned();
            let declared_role = role.filter(|role| *role != derived);
            ServiceSpec {
                name,
                web_url,
                principal,
                user,
                zookeeper,
                declared_role,
                pods,
                plans: Vec::new(),
                ..ServiceSpec::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn storing_and_reading_is_the_identity(spec in service()) {
        let role = spec.role();
        let json = to_json(&spec, &role);
        let stored = from_json(&json).unwrap();
        prop_assert_eq!(&stored.spec, &spec);
        prop_assert_eq!(&stored.role, &role);
        prop_assert_eq!(to_json(&stored.spec, &stored.role), json);
    }

    #[test]
    fn no_document_panics(at in 0..G20.len(), insert in "[\\[\\]{}\",:0-9a-z ]{0,6}") {
        prop_assume!(G20.is_char_boundary(at));
        let damaged = format!("{}{insert}{}", &G20[..at], &G20[(at + 1).min(G20.len())..]);
        if let Err(error) = from_json(&damaged) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
