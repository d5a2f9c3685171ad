//! hello-world on a real Mesos, started again with another specification: what changes in place, what is refused, and what stops it.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use mainstay_tests::hello_world::{DEADLINE, HelloWorld, SERVERS};
use mainstay_tests::mesos::Options;
use mainstay_tests::proc_scan::Found;
use mainstay_tests::wait::wait_until;
use serde_json::Value;
use zookeeper_client::{Acls, Client, CreateMode};

/// Root of the stored tree.
const ROOT: &str = "/dcos-service-hello-world";

async fn start_again(service: &mut HelloWorld, environment: &[(&str, &str)]) {
    let options = HelloWorld::options(&service.mesos, &service.zookeeper, environment);
    service.scheduler.process().unwrap().terminate().unwrap();
    service.scheduler.process().unwrap().wait_exit(DEADLINE).await.unwrap();
    service.scheduler.restart_with(&options).await.unwrap();
}

async fn agents(service: &HelloWorld, ids: &BTreeMap<String, String>) -> BTreeMap<&'static str, usize> {
    let mut agents = BTreeMap::new();
    for server in SERVERS {
        agents.insert(server, service.agent_of(&ids[server]).await);
    }
    agents
}

/// Every node below the root with its data, the lock's own left out.
async fn tree(service: &HelloWorld) -> BTreeMap<String, Vec<u8>> {
    let client = client(service).await;
    let mut tree = BTreeMap::new();
    let mut open = vec![ROOT.to_owned()];
    while let Some(path) = open.pop() {
        let (data, _) = client.get_data(&path).await.unwrap();
        let children = client.list_children(&path).await.unwrap();
        open.extend(children.iter().filter(|name| *name != "lock").map(|name| format!("{path}/{name}")));
        tree.insert(path, data);
    }
    tree
}

/// Asserts that nothing was written, and names what was.
#[track_caller]
fn assert_same(after: &BTreeMap<String, Vec<u8>>, before: &BTreeMap<String, Vec<u8>>) {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ: Vec<_> = paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(differ.is_empty(), "written or removed: {differ:?}");
}

async fn client(service: &HelloWorld) -> Client {
    Client::connect(&service.zookeeper.connect_string()).await.unwrap()
}

/// What a reservation of an instance is worth: memory of all tasks, MB.
async fn reserved_mem(service: &HelloWorld, pod: &str) -> f64 {
    let info = service.scheduler.get_json(&format!("/v1/pod/{pod}/info")).await.unwrap();
    let resources = info[0]["info"]["resources"].as_array().unwrap();
    resources
        .iter()
        .filter(|resource| resource["name"] == "mem")
        .map(|resource| resource["scalar"]["value"].as_f64().unwrap())
        .sum()
}

#[tokio::test]
async fn changed_command_is_rolled_out_in_place_one_after_the_other() {
    let mut service = HelloWorld::deployed().await;
    let old = service.assert_all_launched_once().await;
    let old_agents = agents(&service, &old).await;
    let volumes: BTreeSet<_> = service.volumes().into_iter().collect();
    let target = service.scheduler.get_json("/v1/configurations/targetId").await.unwrap();

    // The command holds the duration, the environment the greeting; memory grows in place.
    let changed = [("SLEEP_DURATION", "2"), ("GREETING", "bonjour"), ("WORLD_MEM", "48")];
    start_again(&mut service, &changed).await;
    // While one server is on its way the others run.
    let mut fewest = SERVERS.len();
    wait_until("the new configuration is rolled out", DEADLINE, async || {
        let statuses = service.scheduler.task_statuses().await?;
        let running = SERVERS.iter().filter(|server| statuses.get(**server).is_some_and(|word| word == "RUNNING"));
        fewest = fewest.min(running.count());
        Ok(service.scheduler.plan("deploy").await?["status"] == "COMPLETE")
    })
    .await
    .unwrap();
    assert!(fewest >= SERVERS.len() - 1, "only {fewest} servers ran at one moment");

    let new = service.scheduler.task_ids().await.unwrap();
    assert_eq!(agents(&service, &new).await, old_agents);
    assert_eq!(service.volumes().into_iter().collect::<BTreeSet<_>>(), volumes, "no volume came or went");
    let launched = service.mesos.launched().await.unwrap();
    for server in SERVERS {
        assert_eq!(launched[server], BTreeSet::from([old[server].clone(), new[server].clone()]), "{server}");
        assert_eq!(service.starts_of(server).iter().map(|(_, starts)| *starts).collect::<Vec<_>>(), [2], "{server}");
        let processes = service.mesos.task_processes(server);
        assert!(!processes.is_empty() && processes.iter().all(|found| found.variable("GREETING") == Some("bonjour")));
    }
    let volume = service.starts_of("hello-0-server")[0].0.parent().unwrap().to_owned();
    let greeting = || fs::read_to_string(volume.join("greeting")).unwrap_or_default();
    wait_until("the template is rendered anew", DEADLINE, async || Ok(greeting().contains("greeting = bonjour")))
        .await
        .unwrap();
    assert!((reserved_mem(&service, "world-0").await - 48.0).abs() < 1e-9);

    assert_ne!(service.scheduler.get_json("/v1/configurations/targetId").await.unwrap(), target);
    // The same specification once more is no change.
    start_again(&mut service, &changed).await;
    service.scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    service.scheduler.wait_plan_complete("recovery", DEADLINE).await.unwrap();
    assert_eq!(service.scheduler.task_ids().await.unwrap(), new);

    // The backup that has not run since still stands on the old configuration, which is dropped once it has.
    let configurations = async |service: &HelloWorld| {
        service.scheduler.get_json("/v1/configurations").await.unwrap().as_array().unwrap().len()
    };
    assert_eq!(configurations(&service).await, 2);
    service.scheduler.plan_command("backup", "start", "").await.unwrap().success().unwrap();
    service.scheduler.wait_plan_complete("backup", DEADLINE).await.unwrap();
    start_again(&mut service, &changed).await;
    assert_eq!(configurations(&service).await, 1);
}

#[tokio::test]
async fn greater_count_adds_an_instance_and_leaves_the_others_alone() {
    let mut service = HelloWorld::deployed().await;
    let old = service.assert_all_launched_once().await;
    start_again(&mut service, &[("WORLD_COUNT", "3")]).await;
    service.scheduler.wait_running(&["world-2-server"], DEADLINE).await.unwrap();
    service.scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    assert_eq!(service.assert_all_launched_once().await.len(), old.len() + 1);
    let new = service.scheduler.task_ids().await.unwrap();
    assert!(SERVERS.iter().all(|server| old[*server] == new[*server]));
}

#[tokio::test]
async fn refused_change_is_shown_and_the_service_runs_on_as_it_was() {
    let mut service = HelloWorld::deployed().await;
    let old = service.assert_all_launched_once().await;
    let pids = service.pids();
    // Statuses are stored as the master tells them, also when they say the same.
    let decided = async |service: &HelloWorld| {
        let mut tree = tree(service).await;
        tree.retain(|path, _| !path.ends_with("/TaskStatus") && !path.ends_with(":task-status"));
        tree
    };
    let before = decided(&service).await;

    start_again(&mut service, &[("HELLO_DISK", "50"), ("GREETING", "bonjour")]).await;
    let plan = service.scheduler.wait_plan("deploy", "ERROR", DEADLINE).await.unwrap();
    let answer = service.scheduler.get("/v1/plans/deploy").await.unwrap();
    assert_eq!(answer.status.as_u16(), 417, "{plan:#}");
    let errors: Vec<&str> = plan["errors"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(
        errors.len() == 1 && errors[0].contains("pods.hello.tasks.server.volumes") && errors[0].contains("50"),
        "{errors:?}"
    );
    service.scheduler.wait_plan_complete("recovery", DEADLINE).await.unwrap();
    assert_same(&decided(&service).await, &before);

    // It is registered, and still brings back what fails, as it was.
    assert_eq!(service.scheduler.task_ids().await.unwrap(), old);
    assert_eq!(service.pids(), pids);
    let server = "hello-0-server";
    service.mesos.task_processes(server).iter().for_each(Found::kill);
    let new = service.scheduler.wait_relaunched(server, &old[server], DEADLINE).await.unwrap();
    assert_eq!(service.agent_of(&new).await, service.agent_of(&old[server]).await);
    assert_eq!(service.starts_of(server).iter().map(|(_, starts)| *starts).collect::<Vec<_>>(), [2]);
    let processes = service.mesos.task_processes(server);
    assert!(!processes.is_empty() && processes.iter().all(|found| found.variable("GREETING") == Some("hello")));

    // The old specification, or one that may replace it, ends the error.
    start_again(&mut service, &[("HELLO_DISK", "25"), ("GREETING", "hello")]).await;
    service.scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    assert_eq!(service.scheduler.task_ids().await.unwrap()[server], new);
}

#[tokio::test]
async fn service_that_is_being_uninstalled_is_not_started_as_if_it_were_not() {
    let mut service = HelloWorld::start(Options::agents(1), &[("WORLD_COUNT", "1")]).await;
    service.scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    service.scheduler.process().unwrap().terminate().unwrap();
    let stopped = service.scheduler.process().unwrap().wait_exit(DEADLINE).await.unwrap();
    assert_eq!(stopped.code(), Some(0), "a scheduler that is asked to stop does");

    let node = format!("{ROOT}/Properties/uninstalling");
    let mode = CreateMode::Persistent.with_acls(Acls::anyone_all());
    client(&service).await.create(&node, b"true", &mode).await.unwrap();
    let before = tree(&service).await;
    let error = service.scheduler.restart().await.unwrap_err();
    let exit = service.scheduler.process().unwrap().wait_exit(Duration::from_secs(5)).await.unwrap();
    assert_eq!(exit.code(), Some(11), "{error:#}");
    let output = service.scheduler.process().unwrap().output().unwrap();
    assert!(output.contains("is being uninstalled"), "{output}");
    assert_same(&tree(&service).await, &before);
    let frameworks = service.mesos.frameworks().await.unwrap();
    assert_eq!(frameworks.len(), 1, "the framework is left alone");
    assert_eq!(frameworks[0]["connected"], false);
}
