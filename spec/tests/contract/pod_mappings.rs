//! Sections 2.5 to 2.10: networks, limits of the kernel, URIs, secrets, host and external volumes.

use mainstay_spec::{Code, RlimitKind, VolumeMode};

use super::support::{fine, pod, refused, the_pod, warned};

#[test]
fn networks() {
    let bridge = "networks: {mesos-bridge: {host-ports: [4040, 4041], container-ports: [80, 81], labels: 'a:b,c:d'}}";
    let spec = fine("2.5/host-ports 2.5/container-ports 2.5/mesos-bridge 2.5/labels", pod(bridge));
    let network = &the_pod(&spec).networks[0];
    assert_eq!(network.port_mappings, [(4040, 80), (4041, 81)].into());
    assert!(network.maps_ports());
    let labels = [("a", "b"), ("c", "d")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(network.labels, labels);
    let spec = fine("2.5/labels", pod("networks: {dcos: {labels: {a: b, c: d}}}"));
    assert_eq!(the_pod(&spec).networks[0].labels, labels);
    let at = "pods.p.networks.mesos-bridge.host-ports";
    let uneven = pod("networks: {mesos-bridge: {host-ports: [1], container-ports: [2, 3]}}");
    refused("2.5/host-ports", uneven, Code::InvalidMapping, at);
    let lone = pod("networks: {mesos-bridge: {host-ports: [1]}}");
    let spec = warned("2.5/host-ports", lone, Code::KeyWithoutEffect, at);
    assert!(the_pod(&spec).networks[0].port_mappings.is_empty());
    let spec = fine("2.5/dcos 1.8/null-network", pod("networks:\n  dcos:"));
    assert!(!the_pod(&spec).networks[0].maps_ports());
    let spec = fine("2.5/unknown 2.5/several", pod("networks: {other: {}, dcos: {}}"));
    let names: Vec<_> = the_pod(&spec).networks.iter().map(|network| network.name.as_str()).collect();
    assert_eq!(names, ["other", "dcos"]);
    for name in ["dcos", "other"] {
        let mapped = pod(&format!("networks: {{{name}: {{host-ports: [1], container-ports: [2]}}}}"));
        let at = format!("pods.p.networks.{name}.host-ports");
        let message = refused("2.5/mapping-refused 8.1/invalid-network", mapped, Code::InvalidMapping, &at);
        assert!(message.contains("mesos-bridge does"), "{message}");
    }
}

#[test]
fn network_labels_that_are_malformed() {
    let at = "pods.p.networks.dcos.labels";
    let labels = |text: &str| pod(&format!("networks: {{dcos: {{labels: '{text}'}}}}"));
    refused("8.1/invalid-network-labels-format 2.5/labels", labels("key1,val1:x"), Code::InvalidLabel, at);
    refused("8.1/invalid-network-labels-blank", labels(" "), Code::InvalidLabel, at);
}

#[test]
fn rlimits() {
    let values = |rows: &str, body: &str| {
        the_pod(&fine(rows, pod(&format!("rlimits: {{RLIMIT_AS: {body}}}")))).rlimits[0].values
    };
    assert_eq!(values("2.6/absent", "{}"), None);
    assert_eq!(values("2.6/null", ""), None);
    assert_eq!(values("2.6/minus-one", "{soft: -1, hard: -1}"), None);
    assert_eq!(values("2.6/values", "{soft: 1, hard: 2}"), Some((1, 2)));
    let spec = fine("2.6/name", pod("rlimits: {RLIMIT_NOFILE: {soft: 1, hard: 1}}"));
    assert_eq!(the_pod(&spec).rlimits[0].kind, RlimitKind::Nofile);
    assert_eq!(RlimitKind::ALL.len(), 16);
    let at = "pods.p.rlimits.RLIMIT_AS";
    let with = |body: &str| pod(&format!("rlimits: {{RLIMIT_AS: {body}}}"));
    refused("2.6/one-given", with("{soft: 1}"), Code::InvalidRlimit, at);
    refused("2.6/one-given", with("{hard: 1}"), Code::InvalidRlimit, at);
    refused("2.6/one-minus-one", with("{soft: -1, hard: 1}"), Code::InvalidRlimit, at);
    refused("2.6/one-minus-one", with("{soft: 1, hard: -1}"), Code::InvalidRlimit, at);
    refused("2.6/soft-above-hard", with("{soft: 2, hard: 1}"), Code::InvalidRlimit, at);
    refused("2.6/below", with("{soft: -2, hard: 1}"), Code::OutOfRange, "pods.p.rlimits.RLIMIT_AS.soft");
    let unknown = pod("rlimits: {RLIMIT_MAGIC: {}}");
    refused("2.6/name 8.1/invalid-rlimit-name", unknown, Code::InvalidRlimit, "pods.p.rlimits.RLIMIT_MAGIC");
}

#[test]
fn uris() {
    refused("2.7/malformed", pod("uris: ['a b']"), Code::InvalidUri, "pods.p.uris.0");
    let spec = warned("2.7/null-item", pod("uris:\n- a\n-"), Code::EmptyListItem, "pods.p.uris.1");
    assert_eq!(the_pod(&spec).uris, ["a"]);
}

#[test]
fn secrets() {
    let secret =
        |rows: &str, body: &str| the_pod(&fine(rows, pod(&format!("secrets: {{a: {{{body}}}}}")))).secrets[0].clone();
    assert_eq!(secret("2.8/secret", "secret: a/b").secret, "a/b");
    let both = secret("2.8/env-key 2.8/file", "secret: s, env-key: K, file: d/f");
    assert_eq!((both.env_key.as_deref(), both.file.as_deref()), (Some("K"), Some("d/f")));
    assert_eq!(secret("2.8/env-key", "secret: s, env-key: K").file, None);
    assert_eq!(secret("2.8/file", "secret: a/b").file.as_deref(), Some("a/b"));
    refused("2.8/secret", pod("secrets: {a: {env-key: K}}"), Code::RequiredKey, "pods.p.secrets.a.secret");
    refused("2.8/secret", pod("secrets: {a: {secret: ''}}"), Code::MissingValue, "pods.p.secrets.a.secret");
    let rooted = pod("secrets: {a: {secret: s, file: /f}}");
    refused("2.8/file-pattern", rooted, Code::InvalidPath, "pods.p.secrets.a.file");
}

#[test]
fn host_volumes() {
    let with = |body: &str| pod(&format!("host-volumes: {{a: {{{body}}}}}"));
    let spec = fine("2.9/host-path 2.9/container-path 2.9/mode", with("host-path: /a.b/c_d, container-path: e-f/g"));
    let volume = &the_pod(&spec).host_volumes[0];
    assert_eq!((volume.host_path.as_str(), volume.container_path.as_str()), ("/a.b/c_d", "e-f/g"));
    assert_eq!(volume.mode, VolumeMode::ReadWrite);
    let spec = fine("2.9/mode", with("host-path: /a, container-path: b, mode: RO"));
    assert_eq!(the_pod(&spec).host_volumes[0].mode, VolumeMode::ReadOnly);
    fine("2.9/mode", with("host-path: /a, container-path: b, mode: ''"));
    let at = |key: &str| format!("pods.p.host-volumes.a.{key}");
    refused("2.9/mode", with("host-path: /a, container-path: b, mode: WO"), Code::UnknownWord, &at("mode"));
    refused("2.9/host-path", with("container-path: b"), Code::RequiredKey, &at("host-path"));
    refused("2.9/host-path", with("host-path: a, container-path: b"), Code::InvalidPath, &at("host-path"));
    refused("2.9/container-path", with("host-path: /a"), Code::RequiredKey, &at("container-path"));
    refused("2.9/container-path", with("host-path: /a, container-path: /b"), Code::InvalidPath, &at("container-path"));
}

#[test]
fn external_volumes() {
    let with = |body: &str| pod(&format!("external-volumes: {{a: {{type: DOCKER, container-path: c, {body}}}}}"));
    let at = |key: &str| format!("pods.p.external-volumes.a.{key}");
    let spec = fine(
        "2.10/container-path 2.10/driver-name 2.10/driver-options 2.10/volume-name 2.10/volume-mode",
        with("driver-name: pxd, driver-options: 'a=b;c=d', volume-name: v"),
    );
    let volume = &the_pod(&spec).external_volumes[0];
    assert_eq!((volume.container_path.as_str(), volume.driver_name.as_deref()), ("c", Some("pxd")));
    assert_eq!((volume.driver_options.len(), volume.volume_name.as_deref()), (2, Some("v")));
    assert_eq!(volume.mode, VolumeMode::ReadWrite);
    let spec = fine("2.10/volume-mode", with("volume-mode: RO"));
    assert_eq!(the_pod(&spec).external_volumes[0].mode, VolumeMode::ReadOnly);
    let other = pod("external-volumes: {a: {type: docker, container-path: c}}");
    refused("2.10/type", other, Code::UnknownWord, &at("type"));
    refused("2.10/type", pod("external-volumes: {a: {container-path: c}}"), Code::RequiredKey, &at("type"));
    for options in ["a", "a=b=c", "name=x"] {
        let bad = with(&format!("driver-options: '{options}'"));
        refused("2.10/driver-options", bad, Code::InvalidDriverOption, &at("driver-options"));
    }
    refused("2.10/volume-name", with("volume-name: a__b"), Code::InvalidName, &at("volume-name"));
}
