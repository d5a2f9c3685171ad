//! Any service the model can hold, as the stored form gives it back.
//!
//! Structures are built without `..`, so that a new field does not compile before it is generated. What the stored form does
//! not keep is not generated: plans, paths of templates, sets without a task, mappings that every port gets anyway.

use std::collections::BTreeMap;

use mainstay_spec::{
    ConfigSpec, DiscoverySpec, ExternalVolumeSpec, Goal, HealthCheckSpec, HostVolumeSpec, IpcMode, Limit, NetworkSpec,
    PodSpec, PortRange, PortSpec, ReadinessCheckSpec, ReplacementPolicy, ResourceLimits, ResourceSet, RlimitKind,
    RlimitSpec, Scalar, SecretSpec, ServiceSpec, TaskSpec, TransportEncryptionKind, TransportEncryptionSpec, VipSpec,
    Visibility, VolumeKind, VolumeMode, VolumeSpec,
    placement::{Counted, Key, Matcher, Neighbour, Rule},
};
use proptest::{collection::vec, option::of, prelude::*, sample::select};

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,8}"
}

fn text() -> impl Strategy<Value = String> {
    "(\\PC|\n|\t|\"|\\\\|\u{1}){0,12}"
}

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map(name(), text(), 0..3)
}

/// Names differ, in any order.
fn labels() -> impl Strategy<Value = Vec<(String, String)>> {
    texts().prop_map(|texts| texts.into_iter().collect()).prop_shuffle()
}

fn amount() -> impl Strategy<Value = Scalar> {
    (1..1_000_000_000_000_u64).prop_map(Scalar::from_millis)
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![Just(Limit::Unlimited), amount().prop_map(Limit::Amount)]
}

fn port() -> impl Strategy<Value = PortSpec> {
    let vip = (name(), 1..=u16::MAX, any::<bool>());
    let vip = vip.prop_map(|(prefix, port, advertise)| VipSpec { prefix, port, advertise });
    let range = any::<[u16; 2]>().prop_map(|[a, b]| PortRange { begin: a.min(b), end: a.max(b).max(1) });
    (name(), of(1..=u16::MAX), of(name()), any::<bool>(), of(vip), vec(range, 0..3)).prop_map(
        |(name, port, env_key, advertise, vip, ranges)| PortSpec { name, port, env_key, advertise, vip, ranges },
    )
}

fn volume() -> impl Strategy<Value = VolumeSpec> {
    let mount = vec(name(), 0..3).prop_map(|profiles| VolumeKind::Mount { profiles });
    let kind = prop_oneof![Just(VolumeKind::Root), mount];
    (name(), kind, amount()).prop_map(|(path, kind, size_mb)| VolumeSpec { path, kind, size_mb })
}

fn resource_set(id: String) -> impl Strategy<Value = ResourceSet> {
    let amounts = [of(amount()), of(amount()), of(amount())];
    let limits = (of(limit()), of(limit())).prop_map(|(cpus, memory_mb)| ResourceLimits { cpus, memory_mb });
    (amounts, vec(port(), 0..3), vec(volume(), 0..3), limits).prop_map(move |(amounts, ports, volumes, limits)| {
        let [cpus, memory_mb, gpus] = amounts;
        ResourceSet { id: id.clone(), cpus, memory_mb, gpus, ports, volumes, limits }
    })
}

fn ipc_mode() -> impl Strategy<Value = IpcMode> {
    select(vec![IpcMode::Private, IpcMode::ShareParent])
}

fn discovery() -> impl Strategy<Value = DiscoverySpec> {
    let visibility = select(vec![Visibility::Framework, Visibility::Cluster, Visibility::External]);
    (of(name()), visibility).prop_map(|(prefix, visibility)| DiscoverySpec { prefix, visibility })
}

fn config() -> impl Strategy<Value = ConfigSpec> {
    (name(), text(), text()).prop_map(|(name, dest, content)| ConfigSpec {
        name,
        template_path: String::new(),
        dest,
        content,
    })
}

fn health_check() -> impl Strategy<Value = HealthCheckSpec> {
    (text(), any::<[u32; 5]>()).prop_map(|(cmd, n)| HealthCheckSpec {
        cmd,
        interval_secs: n[0],
        grace_period_secs: n[1],
        max_consecutive_failures: n[2],
        delay_secs: n[3],
        timeout_secs: n[4],
    })
}

fn readiness_check() -> impl Strategy<Value = ReadinessCheckSpec> {
    (text(), any::<[u32; 3]>()).prop_map(|(cmd, n)| ReadinessCheckSpec {
        cmd,
        interval_secs: n[0],
        delay_secs: n[1],
        timeout_secs: n[2],
    })
}

fn transport_encryption() -> impl Strategy<Value = TransportEncryptionSpec> {
    let kind = select(vec![TransportEncryptionKind::Tls, TransportEncryptionKind::Keystore]);
    (name(), kind).prop_map(|(name, kind)| TransportEncryptionSpec { name, kind })
}

/// A task of this name in a set of this id.
fn task(name: String, resource_set: String) -> impl Strategy<Value = TaskSpec> {
    let goal = select(vec![Goal::Running, Goal::Finish, Goal::Once]);
    let checks = (of(health_check()), of(readiness_check()), of(discovery()));
    let lists = (vec(config(), 0..3), labels(), vec(text(), 0..2), vec(transport_encryption(), 0..3));
    let isolation = (of(ipc_mode()), of(any::<u32>()));
    (goal, any::<bool>(), text(), texts(), checks, lists, isolation, any::<u32>()).prop_map(
        move |(goal, essential, cmd, env, checks, lists, (ipc_mode, shm_size_mb), kill_grace_period_secs)| {
            let (health_check, readiness_check, discovery) = checks;
            let (configs, labels, uris, transport_encryption) = lists;
            TaskSpec {
                name: name.clone(),
                goal,
                essential,
                cmd,
                env,
                configs,
                resource_set: resource_set.clone(),
                health_check,
                readiness_check,
                discovery,
                labels,
                kill_grace_period_secs,
                uris,
                transport_encryption,
                ipc_mode,
                shm_size_mb,
            }
        },
    )
}

/// Tasks with their sets, in the order in which tasks use them; some sets are shared.
fn tasks() -> impl Strategy<Value = (Vec<TaskSpec>, Vec<ResourceSet>)> {
    prop::collection::btree_map(name(), select(vec!["own", "batch", "other"]), 1..4).prop_flat_map(|named| {
        let set_of =
            |name: &String, set: &str| if set == "own" { format!("{name}-resource-set") } else { set.to_owned() };
        let named: Vec<(String, String)> =
            named.into_iter().map(|(name, set)| (set_of(&name, set), name)).map(|(set, name)| (name, set)).collect();
        let mut ids: Vec<String> = Vec::new();
        for (_, set) in &named {
            if !ids.contains(set) {
                ids.push(set.clone());
            }
        }
        let tasks: Vec<_> = named.into_iter().map(|(name, set)| task(name, set)).collect();
        let sets: Vec<_> = ids.into_iter().map(resource_set).collect();
        (tasks, sets)
    })
}

fn attribute() -> impl Strategy<Value = Key> {
    "[a-z][a-z0-9._-]{0,5}".prop_map(|name| Key::Attribute(name.into()))
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![Just(Key::Hostname), Just(Key::Region), Just(Key::Zone), attribute()]
}

fn regex(text: &str) -> Matcher {
    Matcher::regex(text).unwrap()
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let exact = "[a-z][a-z.:]{0,6}".prop_map(Matcher::Exact);
    prop_oneof![exact, select(vec![".+x", "a|b", "10[.]0[.].*", "(?i)q", "x:y"]).prop_map(regex)]
}

fn counted() -> impl Strategy<Value = Counted> {
    prop_oneof![
        name().prop_map(Counted::Pods),
        Just(Counted::All),
        "[a-z]{1,4}".prop_map(|text| Counted::TaskNames(Matcher::Exact(text))),
        select(vec!["a.*", "(a|b)-.*", "[a-z]+"]).prop_map(|text| Counted::TaskNames(regex(text))),
    ]
}

/// Rules without others inside.
fn single_rule() -> impl Strategy<Value = Rule> {
    let neighbour = select(vec![Neighbour::Avoid, Neighbour::Colocate]);
    prop_oneof![
        (key(), matcher()).prop_map(|(key, matcher)| Rule::Match { key, matcher }),
        (key(), any::<u32>(), counted()).prop_map(|(key, max, counted)| Rule::MaxPer { key, max, counted }),
        (key(), of(any::<u32>()), counted()).prop_map(|(key, expected, counted)| Rule::RoundRobin {
            key,
            expected,
            counted
        }),
        // Counting by an attribute that need not exist.
        (attribute(), any::<u32>(), counted()).prop_map(|(key, max, counted)| {
            let present = Rule::Match { key: key.clone(), matcher: regex(".*") };
            Rule::Or(vec![Rule::Not(Box::new(present)), Rule::MaxPer { key, max, counted }])
        }),
        Just(Rule::Passthrough),
        Just(Rule::LocalRegion),
        text().prop_map(Rule::Agent),
        (name(), neighbour).prop_map(|(pod_type, neighbour)| Rule::PodType { pod_type, neighbour }),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let understood = single_rule().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Rule::And),
            vec(inner.clone(), 0..3).prop_map(Rule::Or),
            inner.prop_map(|rule| Rule::Not(Box::new(rule))),
        ]
    });
    let unknown = select(vec![
        r#"{"@type":"OfCode","a":[1,2.5,null,{"b":"c"}]}"#,
        r#"{"@type":"AttributeRule","matcher":{"@type":"RegexMatcher","pattern":"(a|b):c"}}"#,
        r#"{"@type":"NotRule","rule":{"@type":"ZoneRule","matcher":{"@type":"RegexMatcher","pattern":"(?=x)"}}}"#,
    ]);
    let unknown = unknown.prop_map(|text| Rule::Unknown(text.to_owned()));
    (understood, of(unknown)).prop_map(|(rule, unknown)| match unknown {
        None => rule,
        Some(unknown) => Rule::And(vec![unknown, rule]),
    })
}

/// No port of the pod has one of these numbers for both ends.
fn network() -> impl Strategy<Value = NetworkSpec> {
    let name = prop_oneof![Just("mesos-bridge".to_owned()), Just("dcos".to_owned()), name()];
    let mappings = prop::collection::btree_map(0..u16::MAX, Just(0), 0..3)
        .prop_map(|mappings| mappings.into_keys().map(|host| (host, host + 1)).collect());
    (name, mappings, labels()).prop_map(|(name, port_mappings, labels)| NetworkSpec { name, port_mappings, labels })
}

fn rlimit() -> impl Strategy<Value = RlimitSpec> {
    let values = any::<[u64; 2]>().prop_map(|[a, b]| (a.min(b) >> 1, a.max(b) >> 1));
    (select(RlimitKind::ALL), of(values)).prop_map(|(kind, values)| RlimitSpec { kind, values })
}

fn mode() -> impl Strategy<Value = VolumeMode> {
    select(vec![VolumeMode::ReadWrite, VolumeMode::ReadOnly])
}

fn host_volume() -> impl Strategy<Value = HostVolumeSpec> {
    (text(), text(), mode()).prop_map(|(host_path, container_path, mode)| HostVolumeSpec {
        host_path,
        container_path,
        mode,
    })
}

fn external_volume() -> impl Strategy<Value = ExternalVolumeSpec> {
    (text(), of(name()), texts(), of(name()), mode()).prop_map(
        |(container_path, driver_name, driver_options, volume_name, mode)| ExternalVolumeSpec {
            container_path,
            driver_name,
            driver_options,
            volume_name,
            mode,
        },
    )
}

fn secret() -> impl Strategy<Value = SecretSpec> {
    (text(), of(name()), text(), any::<bool>()).prop_map(|(secret, env_key, file, has_file)| {
        let file = Some(file).filter(|_| has_file || env_key.is_none());
        SecretSpec { secret, env_key, file }
    })
}

fn pod() -> impl Strategy<Value = PodSpec> {
    let head = (name(), any::<u32>(), any::<bool>(), of(rule()), of(text()), of(name()));
    let lists = (vec(network(), 0..3), vec(rlimit(), 0..3), vec(text(), 0..3), vec(volume(), 0..3));
    let mounts = (vec(host_volume(), 0..3), vec(external_volume(), 0..3), vec(secret(), 0..3));
    let isolation = (any::<bool>(), any::<bool>(), of(text()), of(ipc_mode()), of(any::<u32>()));
    (head, lists, mounts, isolation, tasks()).prop_map(|(head, lists, mounts, isolation, (tasks, resource_sets))| {
        let (pod_type, count, allow_decommission, placement, image, pre_reserved_role) = head;
        let (networks, rlimits, uris, volumes) = lists;
        let (host_volumes, external_volumes, secrets) = mounts;
        let (share_pid_namespace, seccomp_unconfined, seccomp_profile_name, ipc_mode, shm_size_mb) = isolation;
        PodSpec {
            pod_type,
            count,
            allow_decommission,
            placement,
            image,
            networks,
            rlimits,
            uris,
            volumes,
            host_volumes,
            external_volumes,
            secrets,
            pre_reserved_role,
            share_pid_namespace,
            seccomp_unconfined,
            seccomp_profile_name,
            ipc_mode,
            shm_size_mb,
            resource_sets,
            tasks,
        }
    })
}

pub(crate) fn service() -> impl Strategy<Value = ServiceSpec> {
    let seconds = || of(any::<u32>());
    let replacement = (seconds(), seconds()).prop_map(|(timeout, delay)| ReplacementPolicy {
        permanent_failure_timeout_secs: timeout,
        min_replace_delay_secs: delay,
    });
    let head = (name(), of(text()), text(), text(), name(), of(name()), of(name()), of(replacement));
    (head, vec(pod(), 0..3)).prop_map(|(head, pods)| {
        let (name, web_url, principal, user, zookeeper, role, region, replacement) = head;
        let derived = format!("{name}-role");
        let declared_role = role.filter(|role| *role != derived);
        let plans = Vec::new();
        ServiceSpec { name, web_url, principal, user, zookeeper, declared_role, region, replacement, pods, plans }
    })
}
