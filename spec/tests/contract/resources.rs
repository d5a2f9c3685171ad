//! Sections 2.14 to 2.17: volumes, ports, ranges, virtual addresses.

use mainstay_spec::{Code, PortRange, PortSpec, VolumeKind};

use super::support::{Input, fine, pod, refused, task, the_pod, warned};

fn at(key: &str) -> String {
    format!("pods.p.tasks.t.{key}")
}

fn volume(text: &str) -> Input {
    task(&format!("volume: {{{text}}}"))
}

#[test]
fn volumes() {
    for path in ["a", "A9", "a_b-c", "a/b", "a/b/"] {
        let spec = fine("2.14/path", volume(&format!("path: '{path}', type: ROOT, size: 1")));
        assert_eq!(the_pod(&spec).resource_sets[0].volumes[0].path, path.trim_end_matches('/'));
    }
    for path in ["/a", "../a", "a/../b", "a.b", "-a", "a b", ""] {
        let bad = volume(&format!("path: '{path}', type: ROOT, size: 1"));
        refused("2.14/path", bad, Code::InvalidPath, &at("volume.path"));
    }
    refused("2.14/path", volume("type: ROOT, size: 1"), Code::RequiredKey, &at("volume.path"));
    let kind = |text: &str| {
        the_pod(&fine("2.14/type", volume(&format!("path: a, size: 1, {text}")))).resource_sets[0].volumes[0]
            .kind
            .clone()
    };
    assert_eq!(kind("type: ROOT"), VolumeKind::Root);
    assert_eq!(kind("type: MOUNT"), VolumeKind::Mount { profiles: Vec::new() });
    refused("2.14/type", volume("path: a, type: PATH, size: 1"), Code::UnknownWord, &at("volume.type"));
    refused("2.14/type", volume("path: a, type: DISK, size: 1"), Code::UnknownWord, &at("volume.type"));
    refused("2.14/type", volume("path: a, size: 1"), Code::RequiredKey, &at("volume.type"));
    let empty = volume("path: a, type: ROOT, size: 0");
    refused("2.14/size 8.1/invalid-scalar-disk-resource", empty, Code::OutOfRange, &at("volume.size"));
    refused("2.14/size", volume("path: a, type: ROOT"), Code::RequiredKey, &at("volume.size"));
    let twice = task("volumes: {x: {path: a, type: ROOT, size: 1}, y: {path: a, type: ROOT, size: 2}}");
    refused("2.14/same-path", twice, Code::DuplicatePath, &at("volumes.y"));
}

#[test]
fn profiles() {
    let with = |profiles: &str| volume(&format!("path: a, type: MOUNT, size: 1, profiles: {profiles}"));
    let spec = fine("2.14/profiles", with("[fast, ssd.v-1_0]"));
    let kind = VolumeKind::Mount { profiles: vec!["fast".to_owned(), "ssd.v-1_0".to_owned()] };
    assert_eq!(the_pod(&spec).resource_sets[0].volumes[0].kind, kind);
    refused("2.14/profiles", with("['a b']"), Code::InvalidName, &at("volume.profiles.0"));
    refused("2.14/profiles", with(&format!("[{}]", "a".repeat(129))), Code::InvalidName, &at("volume.profiles.0"));
    refused("2.14/profiles", with("[a, a]"), Code::DuplicateItem, &at("volume.profiles.1"));
    let root = volume("path: a, type: ROOT, size: 1, profiles: [fast]");
    refused("2.14/profiles", root, Code::ContradictoryKeys, &at("volume.profiles"));
    fine("2.14/profiles", volume("path: a, type: ROOT, size: 1, profiles: []"));
}

fn ports(text: &str) -> Input {
    task(&format!("ports: {{{text}}}"))
}

#[track_caller]
fn port(rows: &str, text: &str) -> PortSpec {
    the_pod(&fine(rows, ports(&format!("http: {{{text}}}")))).resource_sets[0].ports[0].clone()
}

#[test]
fn port_keys() {
    assert_eq!(port("", "port: 8080").port, Some(8080));
    assert_eq!(port("", "port: 0").port, None);
    refused("2.15/port", ports("a: {port: 65536}"), Code::OutOfRange, &at("ports.a.port"));
    refused("2.15/port", ports("a: {port: -1}"), Code::OutOfRange, &at("ports.a.port"));
    refused("2.15/port", ports("a: {}"), Code::RequiredKey, &at("ports.a.port"));
    // contract: 2.15/env-key 2.15/advertise 2.15/listed-by-vip
    assert_eq!(port("", "port: 0, env-key: my.KEY").env_key.as_deref(), Some("my.KEY"));
    assert_eq!(port("", "port: 0").env_key, None);
    assert!(!port("", "port: 0").is_listed());
    assert!(port("", "port: 0, advertise: true").is_listed());
    assert!(port("", "port: 0, vip: {port: 80}").is_listed());
}

#[test]
fn ports_of_one_service() {
    let twice = ports("a: {port: 80}, b: {port: 80}");
    let message =
        refused("2.15/duplicate-number 8.1/invalid-duplicate-ports", twice, Code::DuplicatePort, &at("ports.b"));
    assert!(message.contains("80"), "{message}");
    fine("2.15/duplicate-number", ports("a: {port: 0}, b: {port: 0}"));
    let collision = ports("a: {port: 1, vip: {prefix: b, port: 80}}, b: {port: 2}");
    refused(
        "2.15/vip-collision 8.1/invalid-vip-port-name-collision",
        collision,
        Code::VipNameCollision,
        &at("ports.a"),
    );
    let tasks = |advertise: bool| {
        let port = format!("{{a: {{port: 0, advertise: {advertise}}}}}");
        pod(&format!("tasks:\n  t: {{goal: ONCE, cmd: x, ports: {port}}}\n  u: {{goal: ONCE, cmd: x, ports: {port}}}"))
    };
    fine("2.15/duplicate-advertised", tasks(false));
    let at = "pods.p.tasks.u.ports.a";
    refused("2.15/duplicate-advertised", tasks(true), Code::DuplicateAdvertisedPort, at);
}

#[test]
fn ranges() {
    // contract: 2.15/ranges 2.16/defaults 2.16/with-vip
    let ranges = |text: &str| port("", text).ranges;
    let range = |begin, end| PortRange { begin, end };
    assert_eq!(ranges("port: 0, ranges: [{begin: 1, end: 2}, {begin: 5, end: 5}]"), [range(1, 2), range(5, 5)]);
    assert_eq!(
        ranges("port: 0, ranges: [{end: 9}, {begin: 3}, {begin: 4, end: 0}]"),
        [range(0, 9), range(3, 65535), range(4, 65535)]
    );
    assert_eq!(ranges("port: 0, vip: {port: 80}, ranges: [{begin: 1, end: 2}]"), [range(1, 2)]);
    let reversed = ports("a: {port: 0, ranges: [{begin: 2, end: 1}]}");
    refused("2.16/reversed", reversed, Code::InvalidPortRange, &at("ports.a.ranges.0"));
    let fixed = ports("a: {port: 80, ranges: [{begin: 1, end: 2}]}");
    warned("2.16/defaults", fixed, Code::KeyWithoutEffect, &at("ports.a.ranges"));
}

#[test]
fn virtual_addresses() {
    // contract: 2.15/vip
    let vip = |text: &str| port("", &format!("port: 0, vip: {{{text}}}")).vip.unwrap();
    assert_eq!((vip("port: 80").port, vip("port: 80").prefix.as_str()), (80, "http"));
    assert_eq!(vip("port: 80, prefix: web").prefix, "web");
    refused("2.17/port", ports("a: {port: 0, vip: {}}"), Code::RequiredKey, &at("ports.a.vip.port"));
    refused("2.17/port", ports("a: {port: 0, vip: {port: 0}}"), Code::OutOfRange, &at("ports.a.vip.port"));
    let shared = "a: {port: 0, vip: {prefix: x, port: 80}}, b: {port: 0, vip: {prefix: x, port: 80}}";
    fine("2.17/prefix", ports(shared));
    let with = |text: &str| ports(&format!("a: {{port: 0, vip: {{port: 80, {text}}}}}"));
    warned("2.17/protocol", with("protocol: tcp"), Code::Deprecated, &at("ports.a.vip.protocol"));
    refused("2.17/protocol", with("protocol: udp"), Code::UnknownWord, &at("ports.a.vip.protocol"));
    warned("2.17/advertise", with("advertise: true"), Code::Deprecated, &at("ports.a.vip.advertise"));
    let hidden = warned("2.17/advertise", with("advertise: false"), Code::Deprecated, &at("ports.a.vip.advertise"));
    assert!(!the_pod(&hidden).resource_sets[0].ports[0].is_listed());
}
