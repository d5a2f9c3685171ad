//! Sections 2.12 to 2.17, and the resources of 2.11.

use mainstay_spec::{Limit, PortRange, PortSpec, ResourceLimits, Scalar, VipSpec, VolumeKind, VolumeSpec};

use super::*;

#[track_caller]
fn refused(keys: &str, code: Code, key: &str, words: &str) {
    refuses(&with_task(keys), code, &format!("pods.data.tasks.t.{key}"), words);
}

fn port(keys: &str) -> PortSpec {
    resources(&format!("ports: {{p: {{{keys}}}}}")).ports.remove(0)
}

#[test]
fn cpus() {
    assert_eq!(resources("cpus: 0.1").cpus, Some(Scalar::from_millis(100)));
    assert_eq!(resources("cpus: '2'").cpus, Some(Scalar::from_units(2)));
    for value in ["0", "-1"] {
        refused(&format!("cpus: {value}"), Code::OutOfRange, "cpus", "a number greater than 0");
    }
    refused("cpus: 0.0001", Code::OutOfRange, "cpus", "at least 0.001");
    refused("cpus: 1e300", Code::OutOfRange, "cpus", "at most 9007199254740.992");
    refused("cpus: lots", Code::WrongType, "cpus", "a number greater than 0");
    refused("cpus: inf", Code::WrongType, "cpus", "a number greater than 0");
}

#[test]
fn gpus() {
    let set = resources("gpus: 2");
    assert_eq!((set.gpus, set.cpus), (Some(Scalar::from_units(2)), None), "gpus alone are a resource");
    assert_eq!(resources("gpus: 1.0").gpus, Some(Scalar::from_units(1)));
    refused("gpus: 0", Code::OutOfRange, "gpus", "a number greater than 0");
    refused("gpus: 0.5", Code::OutOfRange, "gpus", "a whole number up to");
}

#[test]
fn memory() {
    assert_eq!(resources("memory: 256.9").memory_mb, Some(Scalar::from_units(256)));
    refused("memory: 0", Code::OutOfRange, "memory", "at least 1");
    refused("memory: -5", Code::OutOfRange, "memory", "at least 1");
    refused("memory: 2147483648", Code::OutOfRange, "memory", "from 1 to 2147483647");
    refused("memory: 1e300", Code::OutOfRange, "memory", "from 1 to 2147483647");
}

#[test]
fn a_task_needs_a_resource_and_volumes_do_not_count() {
    refuses(&with_task(""), Code::NoResources, "pods.data.tasks.t", "at least one of cpus, memory, gpus, ports");
    let volume = "volume: {path: a, type: ROOT, size: 1}";
    refuses(&with_task(volume), Code::NoResources, "pods.data.tasks.t", "has no resources");
    let set = format!("resource-sets: {{s: {{{volume}}}}},");
    refuses(&with_pod(&set), Code::NoResources, "pods.data.resource-sets.s", "has no resources");
    for enough in ["cpus: 1", "memory: 1", "gpus: 1", "ports: {p: {port: 0}}"] {
        is_fine(&with_task(enough));
    }
    // Mesos refuses a task without resources, which ports are only where they are those of the agent.
    let on = |network: &str, keys: &str| {
        with_task(keys).replace("count: 2,", &format!("count: 2, networks: {{{network}: }},"))
    };
    let ports = "ports: {p: {port: 0}}";
    refuses(&on("dcos", ports), Code::NoResources, "pods.data.tasks.t", "only ports, which on the network of the pod");
    is_fine(&on("mesos-bridge", ports));
    is_fine(&on("dcos", &format!("cpus: 1, {ports}")));
    let set = format!("networks: {{dcos: }}, resource-sets: {{s: {{{ports}}}}},");
    refuses(&with_pod(&set), Code::NoResources, "pods.data.resource-sets.s", "has only ports");
}

#[test]
fn resource_limits() {
    let limits = |keys: &str| resources(&format!("cpus: 1, memory: 64, resource-limits: {keys}")).limits;
    let amount = |units| Some(Limit::Amount(Scalar::from_units(units)));
    for none in ["", "{}", "{cpus: , memory: ''}"] {
        assert_eq!(limits(none), ResourceLimits::default(), "{none}");
    }
    assert_eq!(limits("{cpus: 2, memory: '64'}"), ResourceLimits { cpus: amount(2), memory_mb: amount(64) });
    assert_eq!(
        limits("{cpus: unlimited, mem: 128}"),
        ResourceLimits { cpus: Some(Limit::Unlimited), memory_mb: amount(128) }
    );
    let refused = |keys: &str, code, key: &str, words: &str| {
        refused(
            &format!("cpus: 1, memory: 64, resource-limits: {keys}"),
            code,
            &format!("resource-limits.{key}"),
            words,
        );
    };
    refused("{cpus: 0.5}", Code::LimitBelowRequest, "cpus", "found \"0.5\"; at least the requested 1 is needed");
    refused("{mem: 63}", Code::LimitBelowRequest, "mem", "at least the requested 64");
    refused("{cpus: lots}", Code::WrongType, "cpus", "a number greater than 0 or unlimited");
    refused("{memory: 64, mem: 64}", Code::ContradictoryKeys, "mem", "use memory");
    refused("{gpus: 1}", Code::UnknownKey, "gpus", "only cpus and memory");
}

#[test]
fn what_is_limited_is_requested() {
    let words = "cpus is limited and none is requested, which Mesos refuses; add cpus";
    refused("memory: 64, resource-limits: {cpus: unlimited}", Code::LimitBelowRequest, "resource-limits", words);
    refused("cpus: 1, resource-limits: {mem: 64}", Code::LimitBelowRequest, "resource-limits", "add memory");
    pod_refuses(
        "resource-sets: {s: {cpus: 1, resource-limits: {memory: 64}}},",
        Code::LimitBelowRequest,
        "resource-sets.s.resource-limits",
        "add memory",
    );
    // What cannot be read has been reported; it is there.
    let report = try_load(&with_task("cpus: lots, resource-limits: {cpus: 1}"), &[]).unwrap_err();
    assert!(!report.to_string().contains("add cpus"), "{report}");
}

#[test]
fn resource_sets() {
    let text = "name: n\npods: {p: {count: 1, resource-sets: {s: {cpus: 1, memory: 2, gpus: 3, ports: {a: {port: 1}}, \
                volumes: {v: {path: v, type: ROOT, size: 1}}, resource-limits: {cpus: 2}}, unused: {cpus: 1}}, tasks: \
                {a: {goal: ONCE, cmd: x, resource-set: s}, b: {goal: ONCE, cmd: x, resource-set: s}}}}\n\
                plans: {deploy: {phases: {p: {pod: p, steps: [{default: [[a], [b]]}]}}}}\n";
    let spec = service(text);
    is_fine(text);
    assert_eq!(spec.pods[0].resource_sets.iter().map(|set| set.id.as_str()).collect::<Vec<_>>(), ["s", "unused"]);
    assert!(spec.pods[0].tasks.iter().all(|task| task.resource_set == "s"));
    let set = &spec.pods[0].resource_sets[0];
    assert_eq!((set.ports.len(), set.volumes.len(), set.gpus), (1, 1, Some(Scalar::from_units(3))));
    let keys = "resource-sets: {s: {cpus: 1, volume: {path: a, type: ROOT, size: 1}, volumes: {}}},";
    pod_refuses(keys, Code::VolumeAndVolumes, "resource-sets.s.volume", "use one of them");
    pod_refuses("resource-sets: {s: {cpus: 1, cmd: x}},", Code::UnknownKey, "resource-sets.s.cmd", "known here: cpus");
}

#[test]
fn volumes() {
    let volume = |keys: &str| resources(&format!("cpus: 1, volume: {{size: 10, {keys}}}")).volumes.remove(0);
    for path in ["a", "A-b_c", "9/b/c", "a/"] {
        let expected = path.trim_end_matches('/').to_owned();
        let root = VolumeSpec { path: expected, kind: VolumeKind::Root, size_mb: Scalar::from_units(10) };
        assert_eq!(volume(&format!("type: ROOT, path: {path}")), root);
    }
    let mount = |profiles: &[&str]| VolumeKind::Mount { profiles: profiles.iter().map(ToString::to_string).collect() };
    assert_eq!(volume("type: MOUNT, path: a").kind, mount(&[]));
    assert_eq!(volume("type: MOUNT, path: a, profiles: [a.b-c_1, ~, b]").kind, mount(&["a.b-c_1", "b"]));
    assert_eq!(volume("type: ROOT, path: a, profiles: []").kind, VolumeKind::Root);
    let refused = |keys: &str, code, key: &str, words: &str| {
        refused(&format!("cpus: 1, volume: {{{keys}}}"), code, &format!("volume.{key}"), words);
    };
    for path in ["/a", "../a", "a/../b", "a.b", "_a", "''", "a//b"] {
        refused(&format!("path: {path}, type: ROOT, size: 1"), Code::InvalidPath, "path", "a relative path");
    }
    refused("path: a, type: PATH, size: 1", Code::UnknownWord, "type", "not reserved as volumes; write ROOT, or MOUNT");
    refused("path: a, type: root, size: 1", Code::UnknownWord, "type", "did you mean ROOT?");
    refused("path: a, type: ROOT, size: 0", Code::OutOfRange, "size", "at least 1");
    refused("path: a, type: ROOT", Code::RequiredKey, "size", "a number of MB");
    refused("type: ROOT, size: 1", Code::RequiredKey, "path", "a relative path");
    refused("path: a, size: 1", Code::RequiredKey, "type", "ROOT or MOUNT");
    refused("path: a, type: ROOT, size: 1, profiles: [a]", Code::ContradictoryKeys, "profiles", "a ROOT volume");
    refused("path: a, type: MOUNT, size: 1, profiles: [a, a]", Code::DuplicateItem, "profiles.1", "may be named once");
    let long = "x".repeat(129);
    for profile in ["a b", "''", long.as_str()] {
        let keys = format!("path: a, type: MOUNT, size: 1, profiles: [{profile}]");
        refused(&keys, Code::InvalidName, "profiles.0", "1 to 128 letters");
    }
}

#[test]
fn volume_paths_are_unique() {
    let volumes = "cpus: 1, volumes: {a: {path: v, type: ROOT, size: 1}, b: {path: v, type: MOUNT, size: 1}}";
    refused(volumes, Code::DuplicatePath, "volumes.b", "used by another volume of the same set");
    let pod = "volume: {path: v, type: ROOT, size: 1},";
    let text = with_pod(pod).replace("cpus: 1}", "cpus: 1, volume: {path: v, type: ROOT, size: 1}}");
    refuses(&text, Code::DuplicatePath, "pods.data.tasks.t.volume", "a volume of the pod, which this one would hide");
    let both = "cpus: 1, volume: {path: a, type: ROOT, size: 1}, volumes: {b: {path: b, type: ROOT, size: 1}}";
    refused(both, Code::VolumeAndVolumes, "volume", "use one of them");
}

#[test]
fn ports_number() {
    assert_eq!(port("port: 0"), PortSpec { name: "p".into(), ..PortSpec::default() });
    assert_eq!(port("port: '80'").port, Some(80));
    refused("ports: {p: {}}", Code::RequiredKey, "ports.p.port", "a port number");
    refused("ports: {p: }", Code::RequiredKey, "ports.p.port", "a port number");
    refused("ports: {p: {port: 65536}}", Code::OutOfRange, "ports.p.port", "0 to 65535");
    let twice = "ports: {a: {port: 80}, b: {port: 80}}";
    refused(twice, Code::DuplicatePort, "ports.b", "has the number 80, as a of pods.data.tasks.t");
    is_fine(&with_task("ports: {a: {port: 0}, b: {port: 0}}"));
}

#[test]
fn ports_env_key() {
    assert_eq!(port("port: 0").env_key, None);
    assert_eq!(port("port: 0, env-key: '' ").env_key, None);
    assert_eq!(port("port: 0, env-key: my_Port").env_key.as_deref(), Some("my_Port"));
}

#[test]
fn ports_advertise() {
    assert!(!port("port: 0").is_listed());
    assert!(port("port: 0, advertise: on").is_listed());
    assert!(port("port: 0, vip: {port: 1}").is_listed(), "a virtual address makes it listed");
    assert!(!port("port: 0, vip: {port: 1, advertise: false}").is_listed());
    assert!(port("port: 0, advertise: true, vip: {port: 1, advertise: false}").is_listed());
    let text = "name: n\npods: {p: {count: 1, resource-sets: {s: {ports: {x: {port: 0, advertise: true}}}}, tasks: {t: \
                {goal: ONCE, cmd: x, ports: {x: {port: 0, advertise: true}, y: {port: 0}}}, u: {goal: ONCE, cmd: x, \
                ports: {y: {port: 0}}}}}}\n";
    let words = "pods.p.resource-sets.s.ports.x is advertised under the same name";
    refuses(text, Code::DuplicateAdvertisedPort, "pods.p.tasks.t.ports.x", words);
    is_fine(&text.replace(", advertise: true", ""));
}

#[test]
fn ports_ranges() {
    let ranges = |ranges: &str| port(&format!("port: 0, ranges: {ranges}")).ranges;
    let range = |begin, end| PortRange { begin, end };
    assert_eq!(ranges("[{begin: 1, end: 2}, {begin: 3, end: 3}]"), [range(1, 2), range(3, 3)]);
    assert_eq!(
        ranges("[{begin: , end: 0}, {begin: 9}, {end: 9}, {}]"),
        [range(0, 65535), range(9, 65535), range(0, 9), range(0, 65535)]
    );
    assert_eq!(ranges(""), []);
    assert_eq!(
        port("port: 0, ranges: [{end: 9}], vip: {port: 1}").ranges,
        [range(0, 9)],
        "beside a virtual address too"
    );
    let empty = "ports: {p: {port: 0, ranges: [{begin: 2, end: 1}]}}";
    refused(empty, Code::InvalidPortRange, "ports.p.ranges.0", "begins at 2 and ends at 1");
    refused("ports: {p: {port: 0, ranges: [{begin: -1}]}}", Code::OutOfRange, "ports.p.ranges.0.begin", "0 to 65535");
    let fixed = with_task("ports: {p: {port: 80, ranges: [{end: 9}]}}");
    warns(&fixed, Code::KeyWithoutEffect, "pods.data.tasks.t.ports.p.ranges", "only a port chosen at placement");
    warns(
        &with_task("ports: {p: {port: 0, ranges: [~]}}"),
        Code::EmptyListItem,
        "pods.data.tasks.t.ports.p.ranges.0",
        "skipped",
    );
}

#[test]
fn ports_vip() {
    let vip = |keys: &str| port(&format!("port: 0, vip: {{{keys}}}")).vip.unwrap();
    assert_eq!(vip("port: 80"), VipSpec { prefix: "p".into(), port: 80, advertise: true });
    assert_eq!(vip("port: 80, prefix: ''").prefix, "p");
    assert_eq!(vip("port: 80, prefix: web").prefix, "web");
    refused("ports: {p: {port: 0, vip: {}}}", Code::RequiredKey, "ports.p.vip.port", "a port number");
    refused("ports: {p: {port: 0, vip: {port: 0}}}", Code::OutOfRange, "ports.p.vip.port", "1 to 65535");
    let collision = "ports: {p: {port: 0, vip: {port: 80, prefix: q}}, q: {port: 0}}";
    refused(collision, Code::VipNameCollision, "ports.p", "the vip prefix q is the name of another port");
    is_fine(&with_task("ports: {p: {port: 0, vip: {port: 80, prefix: x}}, q: {port: 0, vip: {port: 80, prefix: x}}}"));
}

#[test]
fn ports_vip_older_keys() {
    for (keys, key, words) in [
        ("protocol: tcp", "protocol", "every virtual address is tcp"),
        ("protocol: TCP", "protocol", "every virtual address is tcp"),
        ("advertise: true", "advertise", "listed anyway"),
        ("advertise: no", "advertise", "it is honoured"),
    ] {
        let text = with_task(&format!("ports: {{p: {{port: 0, vip: {{port: 1, {keys}}}}}}}"));
        warns(&text, Code::Deprecated, &format!("pods.data.tasks.t.ports.p.vip.{key}"), words);
    }
    let udp = "ports: {p: {port: 0, vip: {port: 1, protocol: udp}}}";
    refused(udp, Code::UnknownWord, "ports.p.vip.protocol", "allowed: tcp");
}
