//! hello-world on a real Mesos and a real ZooKeeper, through every kill an operator will meet.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use mainstay_tests::hello_world::{DEADLINE, HelloWorld, SERVERS};
use mainstay_tests::mesos::{AgentOptions, MesosCluster, Options};
use mainstay_tests::port::{BLOCK, free_block};
use mainstay_tests::proc_scan::Found;
use mainstay_tests::wait::{wait_for, wait_until};
use serde_json::Value;

/// The persistence ids of volumes and the resource ids of reservations that a JSON value mentions anywhere.
fn reserved_ids(value: &Value, into: &mut BTreeSet<String>) {
    if value["key"] == "resource_id" {
        into.extend(value["value"].as_str().map(str::to_owned));
    }
    into.extend(value["persistence"]["id"].as_str().map(str::to_owned));
    match value {
        Value::Array(items) => items.iter().for_each(|item| reserved_ids(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| reserved_ids(field, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn deploys_with_volumes_config_and_a_plan_started_by_hand() {
    let service = HelloWorld::deployed().await;
    let ids = service.assert_all_launched_once().await;
    assert!(!ids.contains_key("hello-0-backup"), "the side plan waits for its command");

    let volume = service.starts_of("hello-0-server")[0].0.parent().unwrap().to_owned();
    let greeting = || fs::read_to_string(volume.join("greeting")).unwrap_or_default();
    wait_until("the rendered template", DEADLINE, async || {
        Ok(greeting().contains("greeting = hello\ntask = hello-0-server\nservice = hello-world\nport = "))
    })
    .await
    .unwrap_or_else(|error| panic!("{error}: {}", greeting()));

    service.scheduler.plan_command("backup", "start", "").await.unwrap().success().unwrap();
    service.scheduler.wait_plan_complete("backup", DEADLINE).await.unwrap();
    service.mesos.wait_task("hello-0-backup", "TASK_FINISHED", DEADLINE).await.unwrap();
    let is_backup = |volume: &PathBuf| {
        fs::read_dir(volume).unwrap().any(|file| file.unwrap().file_name().to_string_lossy().starts_with("backup-"))
    };
    assert_eq!(service.volumes().iter().filter(|volume| is_backup(volume)).count(), 1, "in the volume of the pod");
    assert_eq!(service.scheduler.task_ids().await.unwrap()["hello-0-server"], ids["hello-0-server"]);
}

#[tokio::test]
async fn scheduler_killed_in_the_middle_of_a_deploy_and_after_it_launches_nothing_twice() {
    let mut service = HelloWorld::start(Options::agents(3), &[]).await;
    // The first moment at which a launch is known to Mesos; its status may or may not have been stored.
    let known = |tasks: &BTreeMap<String, BTreeSet<String>>, name: &str| tasks.get(name).cloned();
    for server in [SERVERS[0], SERVERS[1]] {
        let what = format!("{server} is launched");
        let before =
            wait_for(&what, DEADLINE, async || Ok(known(&service.mesos.launched().await?, server))).await.unwrap();
        service.scheduler.kill9();
        service.scheduler.restart().await.unwrap();
        let after = known(&service.mesos.launched().await.unwrap(), server).unwrap();
        assert_eq!(after, before);
    }
    service.scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    let ids = service.assert_all_launched_once().await;
    let framework_id = service.scheduler.framework_id().await.unwrap();

    let pids = service.pids();
    service.scheduler.kill9();
    service.scheduler.restart().await.unwrap();
    service.scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    service.scheduler.wait_plan_complete("recovery", DEADLINE).await.unwrap();
    assert_eq!(service.assert_all_launched_once().await, ids);
    assert_eq!(service.pids(), pids);
    assert_eq!(service.scheduler.framework_id().await.unwrap(), framework_id);
    // It is connected and has reconciled: it can still act.
    service.prove_executor_is_connected("world-0").await;
}

#[tokio::test]
async fn executors_reconnect_to_an_agent_that_was_killed_and_came_back() {
    let mut service = HelloWorld::deployed().await;
    let ids = service.assert_all_launched_once().await;
    let pids = service.pids();
    let agent = service.agent_of(&ids["hello-0-server"]).await;
    let agent_id = service.mesos.agent_id(agent).await.unwrap();

    service.mesos.kill_agent(agent);
    let missed = async |mesos: &MesosCluster| Ok(mesos.agent_entry(agent).await?["active"] == false);
    service.mesos.wait_until("the master misses the agent", DEADLINE, missed).await.unwrap();
    service.mesos.restart_agent(agent).await.unwrap();

    assert_eq!(service.mesos.agent_id(agent).await.unwrap(), agent_id);
    service.scheduler.wait_running(&SERVERS, DEADLINE).await.unwrap();
    service.scheduler.wait_plan_complete("recovery", DEADLINE).await.unwrap();
    assert_eq!(service.assert_all_launched_once().await, ids);
    assert_eq!(service.pids(), pids, "the processes never noticed");
    service.prove_executor_is_connected("hello-0").await;
}

#[tokio::test]
async fn scheduler_registers_again_with_its_framework_id_after_the_master_was_killed() {
    let mut service = HelloWorld::deployed().await;
    let ids = service.assert_all_launched_once().await;
    let pids = service.pids();
    let framework_id = service.scheduler.framework_id().await.unwrap();

    service.mesos.kill_master();
    service.mesos.restart_master().await.unwrap();
    let registered = async |mesos: &MesosCluster| {
        let frameworks = mesos.frameworks().await?;
        Ok(frameworks.len() == 1 && frameworks[0]["id"] == *framework_id && frameworks[0]["connected"] == true)
    };
    service.mesos.wait_until("the framework is back under its id", DEADLINE, registered).await.unwrap();

    service.scheduler.wait_plan_complete("recovery", DEADLINE).await.unwrap();
    assert_eq!(service.assert_all_launched_once().await, ids);
    assert_eq!(service.pids(), pids);
    assert_eq!(service.scheduler.framework_id().await.unwrap(), framework_id);
    service.prove_executor_is_connected("world-1").await;
}

#[tokio::test]
async fn killed_task_is_relaunched_on_its_agent_with_its_volume() {
    let service = HelloWorld::deployed().await;
    let ids = service.assert_all_launched_once().await;
    let server = "world-1-server";
    let agent = service.agent_of(&ids[server]).await;
    let volume = service.starts_of(server)[0].0.clone();

    let processes = service.mesos.task_processes(server);
    assert!(!processes.is_empty());
    processes.iter().for_each(Found::kill);
    let new = service.scheduler.wait_relaunched(server, &ids[server], DEADLINE).await.unwrap();
    service.scheduler.wait_plan_complete("recovery", DEADLINE).await.unwrap();

    assert_eq!(service.agent_of(&new).await, agent);
    assert_eq!(service.starts_of(server), [(volume, 2)], "the same volume, with the line of the first start");
    let launched = service.mesos.launched().await.unwrap();
    assert_eq!(launched[server], BTreeSet::from([ids[server].clone(), new]));
    for other in [SERVERS[0], SERVERS[1]] {
        assert_eq!(launched[other], BTreeSet::from([ids[other].clone()]), "{other} was left alone");
    }
}

/// Three agents, each with room for one pod only.
fn tight_agents() -> Options {
    let agent = || {
        let first = free_block().unwrap();
        let resources = format!("cpus:0.3;mem:512;disk:1000;ports:[{first}-{}]", first + BLOCK - 1);
        AgentOptions { resources: Some(resources), ..AgentOptions::default() }
    };
    Options { agents: vec![agent(), agent(), agent()], ..Options::default() }
}

/// Everything an instance has reserved, by what its tasks' infos say.
async fn reserved_by(service: &HelloWorld, pod: &str) -> BTreeSet<String> {
    let info = service.scheduler.get_json(&format!("/v1/pod/{pod}/info")).await.unwrap();
    let mut ids = BTreeSet::new();
    reserved_ids(&info, &mut ids);
    assert!(ids.len() >= 4, "cpus, mem, disk and a volume at least: {info:#}");
    ids
}

/// Waits until no agent has any of these reservations or volumes.
async fn wait_freed(service: &HelloWorld, old: &BTreeSet<String>) {
    wait_until("old reservations and volumes are gone", DEADLINE, async || {
        let mut reserved = BTreeSet::new();
        for agent in 0..service.mesos.agent_count() {
            let resources = service.mesos.reserved_resources(agent).await?;
            reserved_ids(&Value::Array(resources), &mut reserved);
        }
        let left: Vec<&String> = reserved.intersection(old).collect();
        if left.is_empty() { Ok(true) } else { anyhow::bail!("still there: {left:?}") }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn replaced_pod_moves_and_its_old_volume_and_reservation_are_freed() {
    let service = HelloWorld::start(tight_agents(), &[("WORLD_COUNT", "1")]).await;
    service.scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    let ids = service.scheduler.task_ids().await.unwrap();
    let server = "world-0-server";
    let agent = service.agent_of(&ids[server]).await;
    let volume = service.starts_of(server)[0].0.clone();
    let reserved = reserved_by(&service, "world-0").await;

    assert_eq!(service.scheduler.pod_replace("world-0").await.unwrap(), [server]);
    let new = service.scheduler.wait_relaunched(server, &ids[server], DEADLINE).await.unwrap();
    service.scheduler.wait_plan_complete("recovery", DEADLINE).await.unwrap();

    assert_ne!(service.agent_of(&new).await, agent, "only the third agent has room");
    wait_freed(&service, &reserved).await;
    wait_until("the old volume's folder is gone", DEADLINE, async || Ok(!volume.exists())).await.unwrap();
    let starts = service.starts_of(server);
    assert_eq!(starts.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1], "a new and empty volume");
    assert!(reserved_by(&service, "world-0").await.is_disjoint(&reserved), "nothing of the old reservation is reused");
    assert_eq!(service.scheduler.task_ids().await.unwrap()["hello-0-server"], ids["hello-0-server"]);
}

#[tokio::test]
async fn pod_too_big_for_the_cluster_waits_and_says_what_is_short_by_how_much() {
    let service = HelloWorld::start(Options::agents(3), &[("WORLD_CPUS", "100")]).await;
    service.scheduler.wait_running(&["hello-0-server"], DEADLINE).await.unwrap();
    let explanation = wait_for("an evaluation of world-0", DEADLINE, async || {
        let evaluations = service.scheduler.evaluations().await?;
        let of_world = evaluations.into_iter().rfind(|evaluation| evaluation["pod-instance-name"] == "world-0");
        Ok(of_world.filter(|evaluation| evaluation["outcome"] == "fail"))
    })
    .await
    .unwrap();

    let lines: Vec<&str> = explanation["explanation"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let short =
        lines.iter().find(|line| line.starts_with("FAIL(") && line.contains("'cpus'") && line.contains("short by"));
    let short = short.unwrap_or_else(|| panic!("no line says what is short: {lines:#?}"));
    let number = |before: &str| -> f64 {
        let rest = short.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {short}")).1.trim_start();
        rest.split(|letter: char| !letter.is_ascii_digit() && letter != '.').next().unwrap().parse().unwrap()
    };
    assert!((number("wanted") - 100.0).abs() < 1e-9, "{short}");
    assert!(number("available") <= 4.0, "{short}");
    assert!((number("wanted") - number("available") - number("short by")).abs() < 1e-9, "{short}");

    let plan = service.scheduler.plan("deploy").await.unwrap();
    assert_eq!(plan["status"], "IN_PROGRESS", "{plan:#}");
    let status = service.scheduler.step_status("deploy", "world-0:[server]").await.unwrap().unwrap();
    assert!(["PENDING", "PREPARED"].contains(&status.as_str()), "{plan:#}");
    assert_eq!(service.mesos.launched().await.unwrap().keys().collect::<Vec<_>>(), ["hello-0-server"]);
}
