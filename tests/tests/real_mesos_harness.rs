//! Proves the harness of the real Mesos: what the other tests take for granted about it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_tests::mesos::{AgentOptions, MesosCluster, Options};
use mainstay_tests::proc_scan::processes_of_folder;
use mainstay_tests::raw_framework::{RawFramework, framework_info};
use mainstay_tests::wait::wait_until;
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(30);

/// Launches one task with an executor that never speaks to its agent: a plain process in a sandbox.
async fn launch_silent_executor(framework: &RawFramework, offer: &Value, name: &str) {
    let resources: Vec<Value> = array(&offer["resources"])
        .iter()
        .filter(|resource| resource["name"] == "cpus" || resource["name"] == "mem")
        .map(|resource| {
            let mut part = resource.clone();
            part["scalar"]["value"] = json!(if resource["name"] == "cpus" { 0.1 } else { 32.0 });
            part
        })
        .collect();
    let task = json!({
        "name": name, "task_id": {"value": name}, "agent_id": offer["agent_id"], "resources": resources,
        "executor": {
            "type": "CUSTOM", "executor_id": {"value": format!("{name}-executor")},
            "framework_id": {"value": framework.framework_id()}, "resources": resources,
            "command": {"shell": true, "value": "exec sleep 600"},
        },
    });
    let operation = json!({"type": "LAUNCH", "launch": {"task_infos": [task]}});
    let call = json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "operations": [operation]}});
    framework.call(call).await.unwrap();
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[tokio::test]
async fn agents_have_the_resources_attributes_and_domains_they_were_given() {
    let domain = |zone: &str| Some(("north".to_owned(), zone.to_owned()));
    let agents = vec![
        AgentOptions { attributes: Some("rack:r1;ssd:true".to_owned()), domain: domain("a"), ..Default::default() },
        AgentOptions {
            hostname: Some("db.example".to_owned()),
            resources: Some("cpus:1.5;mem:512;disk:900;ports:[10000-10001]".to_owned()),
            domain: domain("b"),
            ..Default::default()
        },
    ];
    let cluster = MesosCluster::start(Options { agents, ..Options::default() }).await.unwrap();
    let info = framework_info("look", None);
    let mut framework = RawFramework::subscribe(&cluster.master_url(), &info).await.unwrap();
    let offers = framework.wait_offers(2, DEADLINE).await.unwrap();
    let by_host: BTreeMap<&str, &Value> =
        offers.iter().map(|offer| (offer["hostname"].as_str().unwrap(), offer)).collect();

    let first = by_host["agent-0"];
    assert_eq!(first["attributes"][0]["text"]["value"], "r1");
    assert_eq!(first["domain"]["fault_domain"]["zone"]["name"], "a");
    let second = by_host["db.example"];
    assert_eq!(second["domain"]["fault_domain"]["zone"]["name"], "b");
    let cpus = array(&second["resources"]).iter().find(|resource| resource["name"] == "cpus").unwrap();
    assert_eq!(cpus["scalar"]["value"], 1.5);
    assert_eq!(cluster.agent_entry(1).await.unwrap()["resources"]["mem"], 512.0);
}

#[tokio::test]
async fn volume_and_reservation_are_seen_from_outside_until_they_are_freed() {
    let cluster = MesosCluster::start(Options::agents(1)).await.unwrap();
    let info = framework_info("keep", None);
    let mut framework = RawFramework::subscribe(&cluster.master_url(), &info).await.unwrap();
    let offer = framework.wait_offers(1, DEADLINE).await.unwrap().remove(0);
    let role = "keep-role";
    let labels = json!({"labels": [{"key": "resource_id", "value": "r-1"}]});
    let reserved = json!({
        "name": "disk", "type": "SCALAR", "scalar": {"value": 64.0}, "allocation_info": {"role": role},
        "reservations": [{"type": "DYNAMIC", "role": role, "principal": "keep", "labels": labels}],
    });
    let mut volume = reserved.clone();
    volume["disk"] = json!({
        "persistence": {"id": "p-1", "principal": "keep"},
        "volume": {"mode": "RW", "container_path": "data"},
    });
    let accept = |offer: &Value, operations: Value| json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "operations": operations}});
    let create = json!([
        {"type": "RESERVE", "reserve": {"resources": [reserved]}},
        {"type": "CREATE", "create": {"volumes": [volume]}},
    ]);
    framework.call(accept(&offer, create)).await.unwrap();
    let one_volume = async |cluster: &MesosCluster| Ok(cluster.volumes(0).len() == 1);
    cluster.wait_until("the volume's folder", DEADLINE, one_volume).await.unwrap();
    assert!(cluster.volumes(0)[0].ends_with("p-1"));
    let listed = cluster.reserved_resources(0).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["disk"]["persistence"]["id"], "p-1");
    assert_eq!(listed[0]["reservations"][0]["labels"]["labels"][0], json!({"key": "resource_id", "value": "r-1"}));

    let offer = framework.wait_offers(1, DEADLINE).await.unwrap().remove(0);
    let free = json!([
        {"type": "DESTROY", "destroy": {"volumes": [volume]}},
        {"type": "UNRESERVE", "unreserve": {"resources": [reserved]}},
    ]);
    framework.call(accept(&offer, free)).await.unwrap();
    cluster
        .wait_until("nothing reserved", DEADLINE, async |cluster| Ok(cluster.reserved_resources(0).await?.is_empty()))
        .await
        .unwrap();
    let no_volume = async |cluster: &MesosCluster| Ok(cluster.volumes(0).is_empty());
    cluster.wait_until("the volume's folder is gone", DEADLINE, no_volume).await.unwrap();
}

#[tokio::test]
async fn agent_keeps_its_id_over_kill_and_restart_and_its_executors_live_on() {
    let mut cluster = MesosCluster::start(Options::agents(3)).await.unwrap();
    let info = framework_info("hold", None);
    let mut framework = RawFramework::subscribe(&cluster.master_url(), &info).await.unwrap();
    let offers = framework.wait_offers(3, DEADLINE).await.unwrap();
    launch_silent_executor(&framework, &offers[0], "held").await;
    let sleeping = || cluster.sandbox_processes().iter().filter(|found| found.command == "sleep 600").count();
    wait_until("the executor runs", DEADLINE, async || Ok(sleeping() == 1)).await.unwrap();
    assert!(cluster.launched().await.unwrap()["held"].contains("held"));

    let agent_id = offers[0]["agent_id"]["value"].as_str().unwrap().to_owned();
    let agent = cluster.agent_index(&agent_id).await.unwrap();
    cluster.kill_agent(agent);
    let gone = async |cluster: &MesosCluster| Ok(cluster.agent_entry(agent).await?["active"] == false);
    cluster.wait_until("the master misses the agent", DEADLINE, gone).await.unwrap();
    let alive = cluster.sandbox_processes();
    assert!(alive.iter().any(|found| found.command == "sleep 600"), "{alive:?}");
    cluster.restart_agent(agent).await.unwrap();
    assert_eq!(cluster.agent_id(agent).await.unwrap(), agent_id);
}

#[tokio::test]
async fn framework_keeps_its_id_over_kill_and_restart_of_the_master() {
    let mut cluster = MesosCluster::start(Options::agents(3)).await.unwrap();
    let info = framework_info("stay", None);
    let mut framework = RawFramework::subscribe(&cluster.master_url(), &info).await.unwrap();
    framework.wait_offers(3, DEADLINE).await.unwrap();
    let id = framework.framework_id().to_owned();
    let agent_id = cluster.agent_id(2).await.unwrap();

    cluster.kill_master();
    while framework.next_event().await.is_ok() {} // Ends, since the stream does.
    cluster.restart_master().await.unwrap();
    assert_eq!(cluster.agent_id(2).await.unwrap(), agent_id, "the registry survives");
    let info = framework_info("stay", Some(&id));
    let mut framework = RawFramework::subscribe(&cluster.master_url(), &info).await.unwrap();
    assert_eq!(framework.framework_id(), id);
    framework.wait_offers(3, DEADLINE).await.unwrap();
    let frameworks = cluster.frameworks().await.unwrap();
    assert_eq!(frameworks.iter().map(|framework| &framework["id"]).collect::<Vec<_>>(), [&json!(id)]);

    cluster.teardown(&id).await.unwrap();
    cluster
        .wait_until("no framework", DEADLINE, async |cluster| Ok(cluster.frameworks().await?.is_empty()))
        .await
        .unwrap();
}

#[tokio::test]
async fn frozen_agent_becomes_unreachable_and_one_marked_gone_never_returns() {
    let mut cluster = MesosCluster::start(Options::agents(2)).await.unwrap();
    cluster.stop_agent(0).unwrap();
    // Unreachable and gone agents are not listed.
    let listed = async |cluster: &MesosCluster, count: usize| {
        anyhow::Ok(array(&cluster.get_json("/slaves").await?["slaves"]).len() == count)
    };
    cluster.wait_until("unreachable", DEADLINE, async |cluster| listed(cluster, 1).await).await.unwrap();
    cluster.continue_agent(0).unwrap();
    cluster.wait_until("back", DEADLINE, async |cluster| listed(cluster, 2).await).await.unwrap();

    cluster.mark_agent_gone(1).await.unwrap();
    cluster.wait_until("gone", DEADLINE, async |cluster| listed(cluster, 1).await).await.unwrap();
    assert_eq!(cluster.agent_entry(0).await.unwrap()["active"], true);
}

#[tokio::test]
async fn dropping_a_cluster_ends_its_executors_too() {
    let cluster = MesosCluster::start(Options::agents(1)).await.unwrap();
    let folder = cluster.folder().to_owned();
    let info = framework_info("drop", None);
    let mut framework = RawFramework::subscribe(&cluster.master_url(), &info).await.unwrap();
    let offers = framework.wait_offers(1, DEADLINE).await.unwrap();
    launch_silent_executor(&framework, &offers[0], "dropped").await;
    wait_until("the executor runs", DEADLINE, async || Ok(!cluster.sandbox_processes().is_empty())).await.unwrap();
    assert!(processes_of_folder(&folder).len() >= 3, "master, agent and executor");

    drop(cluster);
    assert_eq!(processes_of_folder(&folder), []);
    assert!(!folder.exists());
}
