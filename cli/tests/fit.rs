//! `mainstay fit` as its users meet it: the real binary, files in, exact text and exit code out.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/folder.rs"]
mod folder;

use folder::{Folder, TWO_PODS};

/// Three agents, one of them small.
const AGENTS: &str = "\
- {hostname: a, cpus: 4, mem: 4096, disk: 10000, ports: '1025-2180, 9042'}
- {hostname: b, cpus: 4, mem: 4096, disk: 10000, ports: 9042}
- {hostname: c, cpus: 0.5, mem: 128, disk: 10000, ports: 9042}
";

/// The small pod fits on both agents, the large one on one.
const TIGHT: &str = "\
name: tight
pods:
  small:
    count: 1
    tasks:
      server: {goal: RUNNING, cmd: run, cpus: 1, memory: 256}
  large:
    count: 1
    tasks:
      server: {goal: RUNNING, cmd: run, cpus: 3, memory: 256}
";
const TIGHT_AGENTS: &str = "\
- {hostname: a, cpus: 1.5, mem: 4096, disk: 4096}
- {hostname: b, cpus: 3.5, mem: 4096, disk: 4096}
";

#[test]
fn a_service_that_fits_says_where() {
    let folder = Folder::new(&[("svc.yml", TWO_PODS), ("agents.yml", AGENTS)]);
    let said = folder.run(&["fit", "svc.yml", "--agents", "agents.yml", "--env", "DATA_COUNT=2"]);
    insta::assert_snapshot!(said);
}

#[test]
fn what_does_not_fit_is_explained_and_the_rest_is_placed_all_the_same() {
    let folder = Folder::new(&[("svc.yml", TWO_PODS), ("agents.yml", AGENTS)]);
    let said = folder.run(&["fit", "svc.yml", "--agents", "agents.yml", "--env", "DATA_COUNT=5"]);
    insta::assert_snapshot!(said);
}

/// Of two agents without a disk that is large enough, the one that has a smaller disk is the closest.
#[test]
fn an_agent_whose_disk_is_too_small_is_closer_than_one_without() {
    let spec = "\
name: disks
pods:
  data:
    count: 1
    tasks:
      server: {goal: RUNNING, cmd: run, cpus: 0.1, memory: 32, volume: {path: data, type: MOUNT, size: 500}}
";
    let agents = "\
- {hostname: a, cpus: 4, mem: 4096, disk: 10000}
- {hostname: b, cpus: 4, mem: 4096, disk: 10000, mounts: [{size: 150, root: /mnt/1}]}
";
    let folder = Folder::new(&[("svc.yml", spec), ("agents.yml", agents)]);
    let said = folder.run(&["fit", "svc.yml", "--agents", "agents.yml"]);
    assert!(said.contains("closest: b: no MOUNT disk for volume data\n"), "{said}");
    assert!(said.contains("it would fit there with volume data of 150 MB instead of 500\n"), "{said}");
}

/// What the guide shows is what is printed.
#[test]
fn the_guide_shows_what_is_printed() {
    let guide = include_str!("../../docs/placement.md");
    let indented = |text: &str| text.lines().flat_map(|line| ["    ", line, "\n"]).collect::<String>();
    let shown = |text: &str| assert!(guide.contains(&indented(text.trim_end())), "missing:\n{}", indented(text));
    let folder = Folder::new(&[("svc.yml", TWO_PODS), ("agents.yml", AGENTS)]);
    shown(TWO_PODS);
    shown(AGENTS);
    for count in ["DATA_COUNT=2", "DATA_COUNT=5"] {
        shown(&folder.run(&["fit", "svc.yml", "--agents", "agents.yml", "--env", count]));
    }
    let folder = Folder::new(&[("svc.yml", TIGHT), ("agents.yml", TIGHT_AGENTS)]);
    shown(TIGHT_AGENTS);
    shown(&folder.run(&["fit", "svc.yml", "--agents", "agents.yml"]));
}

#[test]
fn the_same_as_one_document() {
    let folder = Folder::new(&[("svc.yml", TWO_PODS), ("agents.yml", AGENTS)]);
    let said = folder.run(&["fit", "svc.yml", "--agents", "agents.yml", "--env", "DATA_COUNT=3", "--json"]);
    insta::assert_snapshot!(said);
}

#[test]
fn agents_of_one_kind_are_counted_out_and_roles_mounts_and_zones_understood() {
    let agents = "\
agents:
- hostname: disks
  count: 2
  cpus: 8
  mem: 16384
  disk: 1000
  region: eu
  zone: eu-1
  attributes: {rack: r1, level: 3}
  mounts:
  - {size: 2000, root: /mnt/1, profile: fast}
  - {size: 90000, root: /mnt/2}
- hostname: public
  cpus: 4
  mem: 4096
  disk: 1000
  region: eu
  zone: eu-2
  ports: []
  roles:
    slave_public: {cpus: 3, mem: 2048, ports: [80, 443]}
";
    let spec = "\
name: disks
pods:
  store:
    count: 2
    placement: '[[\"@zone\", \"IS\", \"eu-1\"]]'
    tasks:
      server:
        goal: RUNNING
        cmd: run
        cpus: 1
        memory: 1024
        volume: {path: data, type: MOUNT, size: 1000}
  edge:
    count: 1
    tasks:
      server:
        goal: RUNNING
        cmd: run
        cpus: 2
        memory: 1024
        ports:
          web: {port: 80}
";
    let folder = Folder::new(&[("svc.yml", spec), ("agents.yml", agents)]);
    insta::assert_snapshot!(folder.run(&["fit", "svc.yml", "--agents", "agents.yml"]));
}

#[test]
fn gates_of_a_canary_are_opened_and_tasks_that_end_end() {
    let spec = "\
name: steps
pods:
  data:
    count: 2
    resource-sets:
      all: {cpus: 1, memory: 256}
    tasks:
      init: {goal: ONCE, cmd: init, resource-set: all}
      server: {goal: RUNNING, cmd: run, resource-set: all}
plans:
  deploy:
    strategy: serial
    phases:
      data:
        strategy: serial-canary
        pod: data
        steps:
        - default: [[init], [server]]
";
    let agents = "[{\"hostname\": \"a\", \"cpus\": 3, \"mem\": 1024, \"disk\": 1000}]";
    let folder = Folder::new(&[("svc.yml", spec), ("agents.json", agents)]);
    insta::assert_snapshot!(folder.run(&["fit", "svc.yml", "--agents", "agents.json"]));
}

/// The large pod needs the large agent; whether the small one leaves it there depends on who offers first.
#[test]
fn what_depends_on_the_order_of_offers_is_no_fit() {
    let folder = Folder::new(&[("svc.yml", TIGHT), ("agents.yml", TIGHT_AGENTS)]);
    insta::assert_snapshot!(folder.run(&["fit", "svc.yml", "--agents", "agents.yml"]));
}

#[test]
fn agents_as_a_master_lists_them() {
    let folder = Folder::new(&[("svc.yml", TWO_PODS), ("slaves.json", include_str!("slaves.json"))]);
    let said = folder.run(&["fit", "svc.yml", "--agents", "slaves.json", "--env", "DATA_COUNT=2"]);
    insta::assert_snapshot!(said);
}

/// The answer of a real master with the service running: what it holds is not free, and a second copy has room beside it.
#[test]
fn what_runs_on_a_real_agent_is_not_free() {
    let spec = "\
name: used
pods:
  hello:
    count: 2
    tasks:
      server:
        goal: RUNNING
        cmd: run
        cpus: 1.7
        memory: 64
        ports:
          http: {port: 0}
        volume: {path: data, type: ROOT, size: 100}
";
    let folder = Folder::new(&[("svc.yml", spec), ("slaves.json", include_str!("slaves_in_use.json"))]);
    insta::assert_snapshot!(folder.run(&["fit", "svc.yml", "--agents", "slaves.json"]));
}

#[test]
fn agents_that_are_kept_back_are_named() {
    let agents = "\
- {hostname: a, cpus: 4, mem: 4096, disk: 9000, ports: 9042, gpus: 2}
- {hostname: b, cpus: 0, mem: 0, ports: []}
- {hostname: c, cpus: 4, mem: 4096, disk: 9000, ports: 9042}
";
    let folder = Folder::new(&[("svc.yml", TWO_PODS), ("agents.yml", agents)]);
    insta::assert_snapshot!(folder.run(&["fit", "svc.yml", "--agents", "agents.yml", "--env", "DATA_COUNT=1"]));
}

#[test]
fn regions_other_than_the_masters_are_not_offered() {
    let agents = "\
- {hostname: a, cpus: 4, mem: 4096, disk: 9000, ports: 9042, region: eu, zone: eu-1}
- {hostname: b, cpus: 4, mem: 4096, disk: 9000, ports: 9042, region: us, zone: us-1}
- {hostname: c, cpus: 4, mem: 4096, disk: 9000, ports: 9042, region: us, zone: us-2}
";
    let folder = Folder::new(&[("svc.yml", TWO_PODS), ("agents.yml", agents)]);
    let arguments = ["fit", "svc.yml", "--agents", "agents.yml", "--env", "DATA_COUNT=2"];
    let mut said = folder.run(&arguments);
    for region in ["eu", "mars"] {
        said.push_str(&folder.run(&[&arguments[..], &["--region", region]].concat()));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn what_cannot_be_used_is_said_with_its_place() {
    let mut said = String::new();
    let many =
        (0..200).map(|index| format!("- {{hostname: a{index}, cpus: x, mem: 1}}")).collect::<Vec<_>>().join("\n");
    let ports = (0..1001).map(|at| (2 * at + 1).to_string()).collect::<Vec<_>>();
    let fragments = format!("- {{hostname: a, cpus: 1, mem: 1, ports: '{}'}}\n", ports.join(","));
    let ranges =
        ports.iter().map(|port| format!(r#"{{"begin": {port}, "end": {port}}}"#)).collect::<Vec<_>>().join(",");
    let listed = format!(
        r#"{{"slaves": [{{"hostname": "a", "unreserved_resources_full": [{{"name": "ports", "type": "RANGES", "ranges": {{"range": [{ranges}]}}}}]}}]}}"#
    );
    for (name, text) in [
        ("empty.yml", ""),
        ("blank.json", " \n\n"),
        ("text.yml", "hello\n"),
        ("no-list.yml", "a: 1\n"),
        ("none.yml", "[]\n"),
        ("broken.json", "{\"slaves\": [\n"),
        ("broken.yml", "- hostname: a\n  cpus: [1\n"),
        ("deep.yml", &"[".repeat(100)),
        ("alias.yml", "- &a {hostname: a, cpus: 1, mem: 1}\n"),
        ("nameless.yml", "- {cpus: 1, mem: 1}\n- {hostname: '', cpus: 1, mem: 1}\n"),
        ("twice.yml", "- {hostname: a, cpus: 1, mem: 1}\n- {hostname: a, cpus: 1, mem: 1}\n"),
        ("keys.yml", "- {hostname: a, cpus: 1, mem: 1, memory: 3}\n- {hostname: b, cpus: 1, cpus: 2, mem: 1}\n"),
        (
            "amounts.yml",
            "- {hostname: a, cpus: -1, mem: .nan, disk: NaN, gpus: 1e300}\n- {hostname: b, cpus: inf, mem: 4 GB}\n\
             - {hostname: c}\n- {hostname: d, cpus: [1], mem: {a: 1}}\n",
        ),
        (
            "ports.yml",
            "- {hostname: a, cpus: 1, mem: 1, ports: '10-20, 15-30'}\n- {hostname: b, cpus: 1, mem: 1, ports: [0, 70000, 9-3, x, '']}\n\
             - {hostname: c, cpus: 1, mem: 1, ports: 80-90, roles: {r: {ports: 90}}}\n",
        ),
        (
            "rest.yml",
            "- {hostname: a, cpus: 1, mem: 1, region: eu}\n- {hostname: b, cpus: 1, mem: 1, roles: {'*': {cpus: 1}, r: 3}}\n\
             - {hostname: c, cpus: 1, mem: 1, mounts: [{size: 3}, {root: /a}, 7]}\n\
             - {hostname: d, cpus: 1, mem: 1, mounts: [{size: 3, root: /a}, {size: 3, root: /a}]}\n\
             - {hostname: e, cpus: 1, mem: 1, count: 0}\n- {hostname: f, cpus: 1, mem: 1, attributes: {a: [1-3]}}\n- 7\n",
        ),
        ("state.json", r#"{"slaves": [{"hostname": "a", "resources": {"cpus": 1}}]}"#),
        ("no-agents.json", r#"{"slaves": []}"#),
        (
            "slaves.json",
            r#"{"slaves": [{"unreserved_resources_full": []},
                {"hostname": "a", "unreserved_resources_full": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": -1}}]},
                {"hostname": "b", "unreserved_resources_full": [{"name": "cpus", "type": "NONE"}]},
                {"hostname": "c", "unreserved_resources_full": {}},
                {"hostname": "d", "unreserved_resources_full": [{"type": "SCALAR"}]},
                {"hostname": "e", "unreserved_resources_full": []},
                {"hostname": "e", "unreserved_resources_full": []}]}"#,
        ),
        ("gone.json", r#"{"slaves": [{"hostname": "a", "active": false, "unreserved_resources_full": []}]}"#),
        (
            "offers.json",
            r#"{"type": "OFFERS", "offers": {"offers": [{"id": {"value": "o"}, "framework_id": {"value": "f"}, "agent_id": {"value": "a"}, "hostname": "h"}]}}"#,
        ),
        ("many.yml", &many),
        ("control.yml", "- {hostname: \"a\\nb\", cpus: 1, mem: 1}\n"),
        ("fragments.yml", &fragments),
        ("fragments.json", &listed),
    ] {
        let folder = Folder::new(&[("svc.yml", TWO_PODS), (name, text)]);
        said.push_str(&folder.run(&["fit", "svc.yml", "--agents", name, "--env", "DATA_COUNT=1"]));
    }
    let folder = Folder::new(&[("svc.yml", "name: x\npods: {}\n")]);
    std::fs::write(folder.path("binary"), [0xff, 0xfe, 0]).unwrap();
    said.push_str(&folder.run(&["fit", "svc.yml", "--agents", "absent.yml"]));
    said.push_str(&folder.run(&["fit", "svc.yml", "--agents", "binary", "--env", "=1"]));
    said.push_str(&folder.run(&["fit", "absent.yml", "--agents", "."]));
    insta::assert_snapshot!(said);
}

/// What a role has left is for the pods that go to that role, and for nobody else.
#[test]
fn what_is_left_is_told_by_role_and_in_the_order_of_numbers() {
    let spec = "\
name: edges
pods:
  edge:
    count: 2
    pre-reserved-role: slow
    placement: '[[\"hostname\", \"UNIQUE\"]]'
    tasks:
      server: {goal: RUNNING, cmd: run, cpus: 1, memory: 512}
";
    let agents = "\
- {hostname: w, count: 120, cpus: 2, mem: 1024, disk: 1000}
- {hostname: e, count: 2, cpus: 2, mem: 1024, disk: 1000, roles: {slow: {cpus: 4, mem: 2048, disk: 1000}}}
- {hostname: other, cpus: 1, mem: 1024, disk: 1000}
";
    let folder = Folder::new(&[("svc.yml", spec), ("agents.yml", agents)]);
    insta::assert_snapshot!(folder.run(&["fit", "svc.yml", "--agents", "agents.yml"]));
}

#[test]
fn one_instance_fits_or_not_and_agents_that_are_not_offered_do_not_count() {
    let spec =
        "name: one\npods:\n  p:\n    count: 1\n    tasks:\n      t: {goal: RUNNING, cmd: run, cpus: 9, memory: 32}\n";
    let agents = "\
- {hostname: a, cpus: 4, mem: 4096, disk: 9000}
- {hostname: g, cpus: 40, mem: 4096, disk: 9000, gpus: 1}
";
    let folder = Folder::new(&[("svc.yml", spec), ("agents.yml", agents)]);
    let said = folder.run(&["fit", "svc.yml", "--agents", "agents.yml"]);
    assert!(said.contains("one: 0 of 1 pod instance fits on 1 agent, 1 more is never offered\n"), "{said}");
}

#[test]
fn one_of_both_files_may_be_standard_input() {
    let folder = Folder::new(&[("svc.yml", TWO_PODS), ("agents.yml", AGENTS)]);
    let count = ["--env", "DATA_COUNT=2"];
    let answer = |said: &str| said.split_once('\n').unwrap().1.to_owned();
    let wanted = answer(&folder.run(&[&["fit", "svc.yml", "--agents", "agents.yml"][..], &count].concat()));
    assert!(wanted.contains("3 of 3 pod instances fit"), "{wanted}");
    let agents_fed = folder.run_fed(&[&["fit", "svc.yml", "--agents", "-"][..], &count].concat(), Some("agents.yml"));
    assert_eq!(answer(&agents_fed), wanted);
    let spec_fed = folder.run_fed(&[&["fit", "-", "--agents", "agents.yml"][..], &count].concat(), Some("svc.yml"));
    assert_eq!(answer(&spec_fed), wanted);
    let both = folder.run_fed(&["fit", "-", "--agents", "-"], Some("svc.yml"));
    assert!(both.contains("SPEC and --agents are both -; only one of them can be standard input"), "{both}");
    let bad = folder.run_fed(&["fit", "svc.yml", "--agents", "-", "--env", "DATA_COUNT=2"], None);
    assert!(bad.contains("<stdin>: the file is empty; expected a list of agents"), "{bad}");
}
