//! Sections 2.3 and 2.5 to 2.10, and what 2.25 says about the key `placement`.

use mainstay_spec::{
    ExternalVolumeSpec, HostVolumeSpec, IpcMode, NetworkSpec, RlimitKind, RlimitSpec, SecretSpec, VolumeMode,
};

use super::*;

#[test]
fn pod_type() {
    let named = |name: &str| with_pod("").replace("{data:", &format!("{{{name}:"));
    for (name, words) in [("a__b", "'__'"), ("' '", "is blank"), ("a/b", "slash")] {
        refuses(&named(name), Code::InvalidName, &format!("pods.{}", name.trim_matches('\'')), words);
    }
    warns(&named("a b"), Code::OddName, "pods.a b", "does not fit DNS");
    is_fine(&named("a.b_c-1"));
}

#[test]
fn pod_count() {
    let count = |count: &str| with_pod("").replace("count: 2", count);
    assert_eq!(service(&count("count: 0")).pods[0].count, 0);
    assert_eq!(service(&count("count: '3'")).pods[0].count, 3);
    assert_eq!(service(&count("count: 2.9")).pods[0].count, 2);
    refuses(&count("count: -1"), Code::OutOfRange, "pods.data.count", "found \"-1\"");
    refuses(&count("count: "), Code::MissingValue, "pods.data.count", "is empty");
    refuses(&count("uris: []"), Code::RequiredKey, "pods.data.count", "the number of instances");
    let report = try_load(&count("count: {{COUNT}}"), &[]).unwrap_err().to_string();
    assert!(report.contains("pods.data.count: is empty because the variable COUNT is not set"), "{report}");
}

#[test]
fn pod_allow_decommission() {
    assert!(!pod("").allow_decommission);
    assert!(pod("allow-decommission: yes,").allow_decommission);
    pod_refuses("allow-decommission: maybe,", Code::WrongType, "allow-decommission", "true or false");
}

#[test]
fn pod_placement() {
    let placed = |text: &str| pod(&format!("placement: {text},")).placement.map(|rule| rule.to_string());
    for text in ["''", "", "'[]'"] {
        assert_eq!(placed(text), None, "{text}");
    }
    for text in [r#"'[["@hostname","UNIQUE"]]'"#, r#"'["@hostname","UNIQUE"]'"#, "'hostname:unique'"] {
        assert_eq!(placed(text).as_deref(), Some("hostname max 1 of data"), "{text}");
    }
    pod_refuses(r#"placement: [["hostname", "UNIQUE"]],"#, Code::WrongType, "placement", "found a list");
    pod_refuses("placement: 'a:NEAR:b',", Code::InvalidPlacement, "placement", "unknown operator 'NEAR'");
}

#[test]
fn pod_image() {
    assert_eq!(pod("").image, None);
    assert_eq!(pod("image: ,").image, None);
    assert_eq!(pod("image: 'registry/hello:1',").image.as_deref(), Some("registry/hello:1"));
    pod_refuses("image: '',", Code::MissingValue, "image", "the name of an image");
}

#[test]
fn pod_uris() {
    assert_eq!(pod("uris: [a, 'http://h/b.tgz'],").uris, ["a", "http://h/b.tgz"]);
    assert_eq!(pod("uris: ,").uris, Vec::<String>::new());
    pod_refuses("uris: ['a b'],", Code::InvalidUri, "uris.0", "a URI without blanks");
    pod_refuses("uris: a,", Code::WrongType, "uris", "a list is needed");
    let text = with_pod("uris: [~, a],");
    assert_eq!(service(&text).pods[0].uris, ["a"]);
    warns(&text, Code::EmptyListItem, "pods.data.uris.0", "skipped");
}

#[test]
fn pod_tasks() {
    refuses("name: n\npods: {p: {count: 1}}\n", Code::RequiredKey, "pods.p.tasks", "at least one task");
    refuses("name: n\npods: {p: {count: 1, tasks: {}}}\n", Code::EmptyCollection, "pods.p.tasks", "is empty");
    refuses("name: n\npods: {p: {count: 1, tasks: }}\n", Code::MissingValue, "pods.p.tasks", "is empty");
}

#[test]
fn pod_volume_and_volumes_are_merged() {
    let volumes = "volume: {path: a, type: ROOT, size: 1}, volumes: {b: {path: b, type: ROOT, size: 1}},";
    assert_eq!(pod(volumes).volumes.iter().map(|volume| volume.path.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    is_fine(&with_pod(volumes));
}

#[test]
fn pod_pre_reserved_role() {
    for none in ["", "pre-reserved-role: ,", "pre-reserved-role: '',", "pre-reserved-role: '*',"] {
        assert_eq!(pod(none).pre_reserved_role, None);
    }
    assert_eq!(pod("pre-reserved-role: slave_public,").pre_reserved_role.as_deref(), Some("slave_public"));
    assert_eq!(pod("pre-reserved-role: team/db,").pre_reserved_role.as_deref(), Some("team/db"));
    for role in ["'a b'", "-a", "a//b", "'a/*'", "/a"] {
        pod_refuses(&format!("pre-reserved-role: {role},"), Code::InvalidName, "pre-reserved-role", "a role of Mesos");
    }
}

#[test]
fn pod_share_pid_namespace() {
    assert!(!pod("").share_pid_namespace && !pod("share-pid-namespace: off,").share_pid_namespace);
    assert!(pod("share-pid-namespace: 'true',").share_pid_namespace);
}

#[test]
fn pod_seccomp() {
    assert!(pod("seccomp-unconfined: true,").seccomp_unconfined);
    let both = pod("seccomp-unconfined: false, seccomp-profile-name: strict,");
    assert_eq!((both.seccomp_unconfined, both.seccomp_profile_name.as_deref()), (false, Some("strict")));
    let keys = "seccomp-unconfined: true, seccomp-profile-name: strict,";
    pod_refuses(keys, Code::ContradictoryKeys, "seccomp-profile-name", "remove one of them");
}

#[test]
fn pod_ipc_mode() {
    assert_eq!(pod("").ipc_mode, None);
    assert_eq!(pod("ipc-mode: PRIVATE,").ipc_mode, Some(IpcMode::Private));
    pod_refuses("ipc-mode: SHARE_PARENT,", Code::UnknownWord, "ipc-mode", "a pod has no parent");
    pod_refuses("ipc-mode: OTHER,", Code::UnknownWord, "ipc-mode", "allowed: PRIVATE");
}

#[test]
fn pod_shm_size() {
    assert_eq!(pod("shm-size: '',").shm_size_mb, None);
    assert_eq!(pod("shm-size: 64,").shm_size_mb, Some(64));
    pod_refuses("shm-size: -1,", Code::OutOfRange, "shm-size", "at least 0");
}

#[test]
fn pod_container_is_the_older_spelling() {
    let block = "container: {image-name: busybox, networks: {dcos: }, rlimits: {RLIMIT_AS: {soft: 1, hard: 2}}},";
    let keys = "image: busybox, networks: {dcos: }, rlimits: {RLIMIT_AS: {soft: 1, hard: 2}},";
    assert_eq!(pod(block), pod(keys));
    warns(&with_pod(block), Code::Deprecated, "pods.data.container", "older spelling");
    for key in ["image: busybox,", "networks: {dcos: },", "rlimits: {},"] {
        let keys = format!("container: {{}}, {key}");
        pod_refuses(&keys, Code::ContradictoryKeys, "container", "write everything into the pod");
    }
    warns(&with_pod("container: {}, image: ,"), Code::Deprecated, "pods.data.container", "older spelling");
    pod_refuses("container: {image: a},", Code::UnknownKey, "container.image", "did you mean image-name?");
}

#[test]
fn pod_user_is_older() {
    warns(&with_pod("user: root,"), Code::Deprecated, "pods.data.user", "scheduler.user");
    pod_refuses("user: nobody,", Code::DifferentUser, "user", "every pod runs as the user of the service");
    let text = format!("{}scheduler: {{user: nobody}}\n", with_pod("user: nobody,"));
    warns(&text, Code::Deprecated, "pods.data.user", "scheduler.user");
    is_fine(&with_pod("user: '',"));
}

#[test]
fn pod_strategy_and_isolate_tmp_have_no_effect() {
    warns(&with_pod("strategy: serial,"), Code::KeyWithoutEffect, "pods.data.strategy", "never had an effect");
    warns(
        &with_pod("isolate-tmp: true,"),
        Code::KeyWithoutEffect,
        "pods.data.isolate-tmp",
        "tasks use /tmp of their agent",
    );
}

#[test]
fn pod_ignores_unknown_keys_with_a_warning() {
    warns(&with_pod("reource-sets: {},"), Code::IgnoredPodKey, "pods.data.reource-sets", "did you mean resource-sets?");
    warns(&with_pod("env: {},"), Code::IgnoredPodKey, "pods.data.env", "it belongs to a task");
}

#[test]
fn network_ports_come_in_pairs() {
    let mappings = |keys: &str| pod(&format!("networks: {{mesos-bridge: {keys}}},")).networks[0].port_mappings.clone();
    assert_eq!(
        mappings("{host-ports: [4041, 4040], container-ports: [80, '81']}"),
        [(4040, 81), (4041, 80)].into_iter().collect()
    );
    assert_eq!(mappings("{host-ports: [], container-ports: []}"), BTreeMap::new());
    let refused = |keys: &str, words: &str| {
        let keys = format!("networks: {{mesos-bridge: {keys}}},");
        pod_refuses(&keys, Code::InvalidMapping, "networks.mesos-bridge.host-ports", words);
    };
    refused("{host-ports: [1, 2], container-ports: [1]}", "2 host-ports and 1 container-ports");
    refused("{host-ports: [1, 1], container-ports: [1, 2]}", "the port 1 is listed twice");
    for lone in ["host-ports", "container-ports"] {
        let text = with_pod(&format!("networks: {{mesos-bridge: {{{lone}: [1]}}}},"));
        assert_eq!(service(&text).pods[0].networks[0].port_mappings, BTreeMap::new());
        warns(&text, Code::KeyWithoutEffect, &format!("pods.data.networks.mesos-bridge.{lone}"), "has no effect alone");
    }
}

#[test]
fn network_labels_are_text_or_a_map() {
    let labels = |labels: &str| pod(&format!("networks: {{dcos: {{labels: {labels}}}}},")).networks[0].labels.clone();
    let expected = [("k", "v"), ("l", "a:b")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(labels("'k:v, l:a:b,'"), expected);
    assert_eq!(labels("{k: v, l: 'a:b'}"), expected);
    assert_eq!(labels("''"), []);
    pod_refuses("networks: {dcos: {labels: 'k,v:w'}},", Code::InvalidLabel, "networks.dcos.labels", "found \"k\"");
}

#[test]
fn network_mapping_only_where_there_is_one() {
    for name in ["dcos", "mine"] {
        let keys = format!("networks: {{{name}: {{host-ports: [1], container-ports: [2]}}}},");
        let words = "does not map ports of the agent to ports of the container; mesos-bridge does";
        pod_refuses(&keys, Code::InvalidMapping, &format!("networks.{name}.host-ports"), words);
        let keys = format!("networks: {{{name}: }},");
        assert_eq!(pod(&keys).networks, [NetworkSpec { name: name.into(), ..NetworkSpec::default() }]);
    }
    let several = pod("networks: {mesos-bridge: {}, dcos: {}},");
    assert_eq!(several.networks.len(), 2);
    assert!(!several.uses_host_ports());
    pod_refuses("networks: {dcos: {host-port: [1]}},", Code::UnknownKey, "networks.dcos.host-port", "host-ports?");
}

#[test]
fn network_bridge_maps_declared_ports() {
    let port = |number: u16| format!("p{number}: {{port: {number}}}");
    let text = format!(
        "name: svc\npods: {{data: {{count: 1, networks: {{mesos-bridge: {{host-ports: [4040], container-ports: [80]}}}}, \
         resource-sets: {{s: {{ports: {{{}, {}}}}}}}, tasks: {{t: {{goal: RUNNING, cmd: x, ports: {{{}, {}}}}}}}}}}}\n",
        port(4040),
        port(9000),
        port(8080),
        port(0)
    );
    let pod = &service(&text).pods[0];
    assert_eq!(pod.port_mappings(&pod.networks[0]), [(4040, 80), (9000, 9000), (8080, 8080)]);
}

#[test]
fn rlimit_names() {
    for kind in RlimitKind::ALL {
        let limits = pod(&format!("rlimits: {{{}: {{soft: 1, hard: 2}}}},", kind.as_str())).rlimits;
        assert_eq!(limits, [RlimitSpec { kind: *kind, values: Some((1, 2)) }]);
    }
    assert_eq!(RlimitKind::ALL.len(), 16);
    pod_refuses("rlimits: {RLIMIT_FOO: {}},", Code::InvalidRlimit, "rlimits.RLIMIT_FOO", "allowed: RLIMIT_AS");
    pod_refuses(
        "rlimits: {RLIMIT_NOFIL: {}},",
        Code::InvalidRlimit,
        "rlimits.RLIMIT_NOFIL",
        "did you mean RLIMIT_NOFILE?",
    );
}

#[test]
fn rlimit_values() {
    let values = |body: &str| pod(&format!("rlimits: {{RLIMIT_AS: {body}}},")).rlimits[0].values;
    for unlimited in ["", "{}", "{soft: -1, hard: -1}", "{soft: , hard: ''}"] {
        assert_eq!(values(unlimited), None, "{unlimited}");
    }
    assert_eq!(values("{soft: 0, hard: 0}"), Some((0, 0)));
    assert_eq!(values("{soft: '1', hard: 9223372036854775807}"), Some((1, 9_223_372_036_854_775_807)));
    let refused = |body: &str, code, key: &str, words: &str| {
        pod_refuses(&format!("rlimits: {{RLIMIT_AS: {body}}},"), code, &format!("rlimits.RLIMIT_AS{key}"), words);
    };
    refused("{soft: 1}", Code::InvalidRlimit, "", "both be given");
    refused("{hard: 1}", Code::InvalidRlimit, "", "both be given");
    refused("{soft: -1}", Code::InvalidRlimit, "", "both be given");
    refused("{soft: -1, hard: 1}", Code::InvalidRlimit, "", "both be -1");
    refused("{soft: 1, hard: -1}", Code::InvalidRlimit, "", "both be -1");
    refused("{soft: 2, hard: 1}", Code::InvalidRlimit, "", "the soft limit 2 is above the hard limit 1");
    refused("{soft: -2, hard: 1}", Code::OutOfRange, ".soft", "at least -1");
}

#[test]
fn secrets() {
    let secret = |body: &str| pod(&format!("secrets: {{s: {body}}},")).secrets.remove(0);
    let spec = |env_key: Option<&str>, file: Option<&str>| SecretSpec {
        secret: "a/b".into(),
        env_key: env_key.map(Into::into),
        file: file.map(Into::into),
    };
    assert_eq!(secret("{secret: a/b, env-key: A}"), spec(Some("A"), None));
    assert_eq!(secret("{secret: a/b, file: ./c-d_e/f}"), spec(None, Some("./c-d_e/f")));
    assert_eq!(secret("{secret: a/b, env-key: A, file: c}"), spec(Some("A"), Some("c")));
    assert_eq!(secret("{secret: a/b}"), spec(None, Some("a/b")), "its own path when nothing is said");
    pod_refuses("secrets: {s: {}},", Code::RequiredKey, "secrets.s.secret", "a path in the store");
    pod_refuses("secrets: {s: {secret: ''}},", Code::MissingValue, "secrets.s.secret", "is empty");
    for file in ["/a", "'a b'", "_a", "'a:b'"] {
        let keys = format!("secrets: {{s: {{secret: a, file: {file}}}}},");
        pod_refuses(&keys, Code::InvalidPath, "secrets.s.file", "a relative path");
    }
    // Labels only tell secrets apart; the same secret may come twice.
    assert_eq!(pod("secrets: {s: {secret: a, env-key: A}, t: {secret: a, env-key: B}},").secrets.len(), 2);
}

#[test]
fn host_volumes() {
    let volume = |mode: &str| {
        pod(&format!("host-volumes: {{v: {{host-path: /etc/a_b-c.d, container-path: e/f, mode: {mode}}}}},"))
    };
    for (text, mode) in [("", VolumeMode::ReadWrite), ("''", VolumeMode::ReadWrite), ("RO", VolumeMode::ReadOnly)] {
        let expected = HostVolumeSpec { host_path: "/etc/a_b-c.d".into(), container_path: "e/f".into(), mode };
        assert_eq!(volume(text).host_volumes, [expected]);
    }
    let refused = |body: &str, code, key: &str, words: &str| {
        pod_refuses(&format!("host-volumes: {{v: {body}}},"), code, &format!("host-volumes.v.{key}"), words);
    };
    refused("{host-path: etc, container-path: a}", Code::InvalidPath, "host-path", "an absolute path");
    refused("{host-path: '/a b', container-path: a}", Code::InvalidPath, "host-path", "an absolute path");
    refused("{host-path: /a, container-path: /b}", Code::InvalidPath, "container-path", "a relative path");
    refused("{host-path: /a}", Code::RequiredKey, "container-path", "is required");
    refused("{host-path: /a, container-path: b, mode: rw}", Code::UnknownWord, "mode", "allowed: RW, RO");
}

#[test]
fn external_volumes() {
    let volume = |keys: &str| {
        let keys = format!("external-volumes: {{v: {{type: DOCKER, container-path: /any thing, {keys}}}}},");
        pod(&keys).external_volumes.remove(0)
    };
    let plain = ExternalVolumeSpec { container_path: "/any thing".into(), ..ExternalVolumeSpec::default() };
    assert_eq!(volume(""), plain);
    let options = [("size".to_owned(), "10".to_owned()), ("shared".to_owned(), "true".to_owned())];
    assert_eq!(
        volume("driver-name: pxd, driver-options: 'size=10;shared=true;', volume-name: own, volume-mode: RO"),
        ExternalVolumeSpec {
            driver_name: Some("pxd".into()),
            driver_options: options.into(),
            volume_name: Some("own".into()),
            mode: VolumeMode::ReadOnly,
            ..plain
        }
    );
    let refused = |body: &str, code, key: &str, words: &str| {
        pod_refuses(&format!("external-volumes: {{v: {body}}},"), code, &format!("external-volumes.v.{key}"), words);
    };
    refused("{container-path: a}", Code::RequiredKey, "type", "DOCKER");
    refused("{type: docker, container-path: a}", Code::UnknownWord, "type", "allowed: DOCKER");
    refused("{type: DOCKER}", Code::RequiredKey, "container-path", "is required");
    for (options, words) in [
        ("a", "key=value;key=value is needed"),
        ("a=b=c", "key=value;key=value is needed"),
        ("a=b;;c=d", "key=value;key=value is needed"),
        ("name=x", "is computed"),
        ("a=1;a=2", "may be given once"),
        ("size&#61;10", "key=value;key=value is needed"),
    ] {
        let body = format!("{{type: DOCKER, container-path: a, driver-options: '{options}'}}");
        let text = with_pod(&format!("external-volumes: {{v: {body}}},"));
        let found = diagnostics(&text);
        let found = found.iter().find(|found| found.code == Code::InvalidDriverOption).unwrap();
        assert!(found.message.contains(words), "{found}");
    }
    let body = "{type: DOCKER, container-path: a, volume-name: a__b}";
    refused(body, Code::InvalidName, "volume-name", "'__'");
}
