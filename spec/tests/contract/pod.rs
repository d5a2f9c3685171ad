//! Section 2.3: pods.

use mainstay_spec::{Code, IpcMode};

use super::support::{fine, pod, refused, root, the_pod, warned};

#[test]
fn keys_of_both_generations() {
    let pods =
        |name: &str| root(&format!("pods: {{{name}: {{count: 1, tasks: {{t: {{goal: ONCE, cmd: x, cpus: 1}}}}}}}}"));
    refused("2.3/type", pods("a__b"), Code::InvalidName, "pods.a__b");
    refused("2.3/type", pods("' '"), Code::InvalidName, "pods. ");
    for (count, expected) in [("0", 0), ("3", 3), ("'2'", 2)] {
        assert_eq!(the_pod(&fine("2.3/count", pod(&format!("count: {count}")))).count, expected);
    }
    refused("2.3/count", pod("count: -1"), Code::OutOfRange, "pods.p.count");
    refused("2.3/count", pod("count:"), Code::MissingValue, "pods.p.count");
    assert!(!the_pod(&fine("2.3/allow-decommission", pod(""))).allow_decommission);
    assert!(the_pod(&fine("2.3/allow-decommission", pod("allow-decommission: true"))).allow_decommission);
    assert!(the_pod(&fine("2.3/placement", pod("placement: 'hostname:UNIQUE'"))).placement.is_some());
    refused("2.3/placement", pod("placement: [[hostname, UNIQUE]]"), Code::WrongType, "pods.p.placement");
    assert_eq!(the_pod(&fine("2.3/image", pod("image: a/b:1"))).image.as_deref(), Some("a/b:1"));
    refused("2.3/image 8.1/invalid-image-null", pod("image: ''"), Code::MissingValue, "pods.p.image");
    assert_eq!(the_pod(&fine("2.3/image 8.1/invalid-image-null", pod("image:"))).image, None);
    assert_eq!(the_pod(&fine("2.3/networks", pod("networks: {dcos: }"))).networks.len(), 1);
    assert_eq!(the_pod(&fine("2.3/rlimits", pod("rlimits: {RLIMIT_AS: }"))).rlimits.len(), 1);
    assert_eq!(the_pod(&fine("2.3/uris", pod("uris: ['http://a', b]"))).uris, ["http://a", "b"]);
    refused("2.3/uris", pod("uris: http://a"), Code::WrongType, "pods.p.uris");
    refused("2.3/tasks", pod("-tasks"), Code::RequiredKey, "pods.p.tasks");
    refused("2.3/tasks", pod("tasks: {}"), Code::EmptyCollection, "pods.p.tasks");
    assert_eq!(the_pod(&fine("2.3/resource-sets", pod("resource-sets: {s: {cpus: 1}}"))).resource_sets.len(), 2);
    let one = "volume: {path: a, type: ROOT, size: 1}";
    assert_eq!(the_pod(&fine("2.3/volume", pod(one))).volumes[0].path, "a");
    let spec = fine("2.3/volumes", pod(&format!("{one}\nvolumes: {{x: {{path: b, type: ROOT, size: 1}}}}")));
    assert_eq!(the_pod(&spec).volumes.len(), 2);
}

#[test]
fn keys_of_later_generations() {
    let host = fine("2.3/host-volumes", pod("host-volumes: {a: {host-path: /a, container-path: b}}"));
    assert_eq!(the_pod(&host).host_volumes.len(), 1);
    let external = fine("2.3/external-volumes", pod("external-volumes: {a: {type: DOCKER, container-path: /b}}"));
    assert_eq!(the_pod(&external).external_volumes.len(), 1);
    assert_eq!(the_pod(&fine("2.3/secrets", pod("secrets: {a: {secret: b}}"))).secrets.len(), 1);
    let role = |text: &str| the_pod(&fine("2.3/pre-reserved-role", pod(text))).pre_reserved_role.clone();
    assert_eq!((role(""), role("pre-reserved-role: '*'")), (None, None));
    assert_eq!(role("pre-reserved-role: slave_public").as_deref(), Some("slave_public"));
    assert!(!the_pod(&fine("2.3/share-pid-namespace", pod(""))).share_pid_namespace);
    assert!(the_pod(&fine("2.3/share-pid-namespace", pod("share-pid-namespace: true"))).share_pid_namespace);
    assert!(the_pod(&fine("2.3/seccomp-unconfined", pod("seccomp-unconfined: true"))).seccomp_unconfined);
    let profile = fine(
        "2.3/seccomp-profile-name 8.1/valid-seccomp-info",
        pod("seccomp-unconfined: false\nseccomp-profile-name: f"),
    );
    assert_eq!(the_pod(&profile).seccomp_profile_name.as_deref(), Some("f"));
    refused(
        "2.3/seccomp-profile-name 8.1/invalid-seccomp-info",
        pod("seccomp-unconfined: true\nseccomp-profile-name: f"),
        Code::ContradictoryKeys,
        "pods.p.seccomp-profile-name",
    );
    assert_eq!(the_pod(&fine("2.3/ipc-mode", pod("ipc-mode: PRIVATE"))).ipc_mode, Some(IpcMode::Private));
    let parent = pod("ipc-mode: SHARE_PARENT");
    refused("2.3/ipc-mode 8.1/invalid-share-parent-pod", parent, Code::UnknownWord, "pods.p.ipc-mode");
    refused("2.3/ipc-mode", pod("ipc-mode: HOST"), Code::UnknownWord, "pods.p.ipc-mode");
    assert_eq!(the_pod(&fine("2.3/shm-size", pod("shm-size: 64"))).shm_size_mb, Some(64));
}

#[test]
fn keys_of_the_older_generation() {
    let block = "container: {image-name: i, networks: {dcos: {}}, rlimits: {RLIMIT_AS: {}}}";
    let spec = warned("2.3/container", pod(block), Code::Deprecated, "pods.p.container");
    let of = the_pod(&spec);
    assert_eq!((of.image.as_deref(), of.networks.len(), of.rlimits.len()), (Some("i"), 1, 1));
    for key in ["image: i", "networks: {dcos: {}}", "rlimits: {RLIMIT_AS: {}}"] {
        let both = pod(&format!("{block}\n{key}"));
        refused("2.3/container", both, Code::ContradictoryKeys, "pods.p.container");
    }
    warned("2.3/user", pod("user: root"), Code::Deprecated, "pods.p.user");
    refused("2.3/user", pod("user: other"), Code::DifferentUser, "pods.p.user");
    warned("2.3/strategy", pod("strategy: serial"), Code::KeyWithoutEffect, "pods.p.strategy");
    warned("2.3/isolate-tmp", pod("isolate-tmp: true"), Code::KeyWithoutEffect, "pods.p.isolate-tmp");
}
