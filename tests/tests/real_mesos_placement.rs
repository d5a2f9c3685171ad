//! Placement on a real Mesos: rules, zones, MOUNT disks and port ranges that decide where a pod goes, the reason why one goes
//! nowhere, and operations that Mesos refuses.
//!
//! MOUNT disks need root: the agents mount them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use mainstay_tests::hello_world::{DEADLINE, HelloWorld, SERVERS};
use mainstay_tests::mesos::{AgentOptions, MesosCluster, Options};
use mainstay_tests::scheduler::{self, SchedulerUnderTest};
use mainstay_tests::wait::{wait_for, wait_until};
use mainstay_tests::zookeeper::ZooKeeper;
use serde_json::{Value, json};

/// A disk that suffices for a store and one that is larger than needed.
const SMALL: u32 = 48;
const LARGE: u32 = 96;

/// Two stores in different zones, two fronts on the only agent without an SSD, and two pods that fit nowhere.
const SPEC: &str = r#"
name: depot
scheduler:
  principal: depot-principal
pods:
  store:
    count: 2
    placement: '[["@zone", "GROUP_BY", "2"], ["hostname", "UNIQUE"], ["media", "LIKE", "s.d"]]'
    tasks:
      node:
        goal: RUNNING
        cmd: |
          test "$(stat -f -c %T store-data/.)" = tmpfs || exit 1
          echo "$TASK_NAME" >> store-data/starts
          exec sleep 1000
        cpus: 0.1
        memory: 32
        volume: {path: store-data, type: MOUNT, size: 40}
        readiness-check: {cmd: test -s store-data/starts, interval: 1, delay: 0, timeout: 5}
        kill-grace-period: 1
  front:
    count: 2
    placement: '[["media", "UNLIKE", "ssd"], ["hostname", "MAX_PER", "2"]]'
    tasks:
      server:
        goal: RUNNING
        cmd: |
          test "$PORT_WEB" -ge {{FIRST_PORT}} || exit 1
          echo "$TASK_NAME" >> front-data/starts
          exec sleep 1000
        cpus: 0.1
        memory: 32
        volume: {path: front-data, type: ROOT, size: 20}
        ports:
          web:
            port: 0
            env-key: PORT_WEB
            ranges: [{begin: {{FIRST_PORT}}, end: {{LAST_PORT}}}]
            vip: {prefix: shop, port: 80}
  vault:
    count: 1
    placement: '[["media", "LIKE", "ssd"]]'
    tasks:
      node:
        goal: RUNNING
        cmd: exec sleep 1000
        cpus: 0.1
        memory: 32
        volume: {path: vault-data, type: MOUNT, size: 500}
  crowd:
    count: 1
    placement: '[["rack", "UNLIKE", "r[1-3]"]]'
    tasks:
      node:
        goal: RUNNING
        cmd: exec sleep 1000
        cpus: 0.1
        memory: 32
plans:
  deploy:
    strategy: parallel
    phases:
      stores: {strategy: serial, pod: store}
      fronts: {strategy: parallel, pod: front}
      vaults: {strategy: parallel, pod: vault}
      crowds: {strategy: parallel, pod: crowd}
"#;

fn agent(zone: &str, attributes: &str, mount_disks: &[u32]) -> AgentOptions {
    AgentOptions {
        attributes: Some(attributes.to_owned()),
        domain: Some(("west".to_owned(), zone.to_owned())),
        mount_disks: mount_disks.to_vec(),
        ..AgentOptions::default()
    }
}

fn options() -> Options {
    let agents = vec![
        agent("west-a", "rack:r1;media:ssd", &[LARGE, SMALL]),
        agent("west-a", "rack:r1;media:ssd", &[SMALL, LARGE]),
        agent("west-b", "rack:r2;media:ssd", &[LARGE, SMALL]),
        agent("west-b", "rack:r3;media:disk", &[]),
    ];
    Options { agents, ..Options::default() }
}

/// The first and the last port an agent offers.
async fn ports(mesos: &MesosCluster, agent: usize) -> (u16, u16) {
    let entry = mesos.agent_entry(agent).await.unwrap();
    let text = entry["resources"]["ports"].as_str().unwrap().to_owned();
    let (first, last) = text.trim_matches(['[', ']']).split_once('-').unwrap();
    (first.parse().unwrap(), last.parse().unwrap())
}

/// Where a MOUNT disk of Mesos's JSON is mounted; `None` for anything else.
fn mount_root(resource: &Value) -> Option<&str> {
    resource["disk"]["source"]["mount"]["root"].as_str()
}

/// The MOUNT volumes on an agent: where, how large, persistence id.
async fn mounts(mesos: &MesosCluster, agent: usize) -> Vec<(String, u32, String)> {
    let reserved = mesos.reserved_resources(agent).await.unwrap();
    let mount = |resource: &Value| {
        let root = mount_root(resource)?.to_owned();
        let size = format!("{}", resource["scalar"]["value"]).parse::<f64>().ok()?;
        let id = resource["disk"]["persistence"]["id"].as_str().unwrap_or_default().to_owned();
        Some((root, if size < f64::from(LARGE) { SMALL } else { LARGE }, id))
    };
    reserved.iter().filter_map(mount).collect()
}

/// The MOUNT disks of an agent that nothing is reserved of.
async fn whole_disks(mesos: &MesosCluster, agent: usize) -> BTreeSet<String> {
    let entry = mesos.agent_entry(agent).await.unwrap();
    let free = entry["unreserved_resources_full"].as_array().unwrap().iter();
    free.filter_map(mount_root).map(str::to_owned).collect()
}

/// The explanation of the only step of a pod, once every agent has made an offer that was given back.
async fn explained(scheduler: &SchedulerUnderTest, pod: &str) -> Value {
    wait_for(&format!("{pod} is held against every agent"), DEADLINE, async || {
        let steps = scheduler.get_json(&format!("/v1/placement/{pod}")).await?;
        assert_eq!(steps.as_array().unwrap().len(), 1, "{steps:#}");
        Ok((steps[0]["search"]["agents"] == 4).then(|| steps[0].clone()))
    })
    .await
    .unwrap()
}

/// Obstacle and number of agents of each group.
fn groups(step: &Value) -> Vec<(&str, u64)> {
    let groups = step["search"]["groups"].as_array().unwrap().iter();
    groups.map(|group| (group["obstacle"].as_str().unwrap(), group["agents"].as_u64().unwrap())).collect()
}

async fn agent_of(mesos: &MesosCluster, task_id: &str) -> usize {
    let tasks = mesos.tasks().await.unwrap();
    mesos.agent_index(&tasks.iter().find(|task| task.id == task_id).unwrap().agent_id).await.unwrap()
}

async fn start(mesos: &MesosCluster, zookeeper: &ZooKeeper, folder: &Path) -> SchedulerUnderTest {
    let spec = folder.join("svc.yml");
    std::fs::write(&spec, SPEC).unwrap();
    let (first, last) = ports(mesos, 3).await;
    let options = scheduler::Options::new(spec, mesos, zookeeper)
        .env("FIRST_PORT", (first + 50).to_string())
        .env("LAST_PORT", last.to_string());
    SchedulerUnderTest::start(&options).await.unwrap()
}

#[tokio::test]
async fn rules_zones_disks_and_ports_decide_where_a_pod_goes_and_why_it_does_not() {
    let mesos = MesosCluster::start(options()).await.unwrap();
    let zookeeper = ZooKeeper::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let scheduler = start(&mesos, &zookeeper, folder.path()).await;
    let placed = ["store-0-node", "store-1-node", "front-0-server", "front-1-server"];
    scheduler.wait_running(&placed, DEADLINE).await.unwrap();
    for task in placed {
        mesos.wait_task(task, "TASK_RUNNING", DEADLINE).await.unwrap();
    }
    let ids = scheduler.task_ids().await.unwrap();

    // One store in each zone, on the smallest disk that suffices; the volume is the whole disk.
    let stores = [agent_of(&mesos, &ids["store-0-node"]).await, agent_of(&mesos, &ids["store-1-node"]).await];
    assert!(stores.contains(&2) && stores.iter().any(|store| *store < 2), "stores are on {stores:?}");
    for store in stores {
        let mounts = mounts(&mesos, store).await;
        assert!(matches!(&mounts[..], [(_, SMALL, id)] if !id.is_empty()), "agent {store}: {mounts:?}");
        assert_eq!(whole_disks(&mesos, store).await.len(), 1, "the large disk is left alone");
    }

    // Both fronts on the agent without an SSD, on ports of the range, under one name.
    let mut numbers = BTreeSet::new();
    let first = ports(&mesos, 3).await.0 + 50;
    let tasks = mesos.get_json("/tasks").await.unwrap();
    for front in ["front-0-server", "front-1-server"] {
        assert_eq!(agent_of(&mesos, &ids[front]).await, 3, "{front}");
        let task = tasks["tasks"].as_array().unwrap().iter().find(|task| task["name"] == front).unwrap();
        let port = &task["discovery"]["ports"]["ports"][0];
        numbers.insert(port["number"].as_u64().unwrap());
        let labels = port["labels"]["labels"].as_array().unwrap();
        let is_vip = |label: &&Value| label["key"].as_str().is_some_and(|key| key.starts_with("VIP_"));
        assert_eq!(labels.iter().find(is_vip).unwrap()["value"], "shop:80", "{port:#}");
    }
    assert!(numbers.len() == 2 && numbers.iter().all(|number| *number >= u64::from(first)), "{numbers:?} from {first}");
    assert_eq!(mesos.volumes(3).len(), 2, "two ROOT volumes");

    // What fits nowhere says why, per group of agents, and what would help.
    let vault = explained(&scheduler, "vault-0").await;
    assert_eq!(vault["waitsFor"], "offer", "{vault:#}");
    assert_eq!(
        groups(&vault),
        [("no MOUNT disk for volume vault-data", 3), ("excluded by media:LIKE:ssd", 1)],
        "{vault:#}"
    );
    assert_eq!(
        vault["search"]["closest"]["changes"],
        json!([format!("volume vault-data of {LARGE} MB instead of 500")]),
        "{vault:#}"
    );
    let crowd = explained(&scheduler, "crowd-0").await;
    assert_eq!(groups(&crowd), [("excluded by rack:UNLIKE:r[1-3]", 4)], "{crowd:#}");
    assert_eq!(crowd["search"]["closest"]["changes"], json!(["no constraint \"rack:UNLIKE:r[1-3]\""]), "{crowd:#}");

    // A replace gives the disk back whole.
    let old = mounts(&mesos, stores[0]).await[0].clone();
    scheduler.pod_replace("store-0").await.unwrap();
    let new = scheduler.wait_relaunched("store-0-node", &ids["store-0-node"], DEADLINE).await.unwrap();
    let agent = agent_of(&mesos, &new).await;
    assert_eq!(agent == 2, stores[0] == 2, "still one store in each zone");
    wait_until("the old volume is gone", DEADLINE, async || {
        let all = [mounts(&mesos, stores[0]).await, mounts(&mesos, agent).await].concat();
        Ok(all.iter().all(|(_, _, id)| *id != old.2))
    })
    .await
    .unwrap();
    let volumes = mounts(&mesos, agent).await;
    assert_eq!(volumes.len(), 1, "{volumes:?}");
    if volumes[0].0 != old.0 {
        assert!(whole_disks(&mesos, stores[0]).await.contains(&old.0), "{} is whole again", old.0);
    }
    for front in ["front-0-server", "front-1-server", "store-1-node"] {
        assert_eq!(scheduler.task_ids().await.unwrap()[front], ids[front], "{front} is left alone");
    }
}

/// Every resource id below a value of Mesos's JSON.
fn resource_ids(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(all) => all.iter().flat_map(resource_ids).collect(),
        Value::Object(label) if label.get("key").is_some_and(|key| key == "resource_id") => {
            label["value"].as_str().map(str::to_owned).into_iter().collect()
        }
        Value::Object(fields) => fields.values().flat_map(resource_ids).collect(),
        _ => BTreeSet::new(),
    }
}

#[tokio::test]
async fn operations_that_mesos_refuses_are_tried_again_and_leave_nothing_behind() {
    const AGENTS: usize = 2;
    let acls = |roles: &str| {
        let rule = json!({"principals": {"type": "ANY"}, "roles": {"type": roles}});
        json!({"create_volumes": [rule]}).to_string()
    };
    let mut options = Options::agents(AGENTS);
    options.master_environment.insert("MESOS_ACLS".to_owned(), acls("NONE"));
    let mut service = HelloWorld::start(options, &[]).await;

    // Reservations pass and volumes do not, so launches fail; they are tried again and again.
    wait_until("volumes are refused", DEADLINE, async || {
        let log = std::fs::read_to_string(service.scheduler.log_path())?;
        Ok(log.lines().filter(|line| line.contains("operation failed")).count() >= 2)
    })
    .await
    .unwrap();
    assert_eq!(service.volumes().len(), 0);
    assert_ne!(service.scheduler.plan("deploy").await.unwrap()["status"], "COMPLETE");

    // The operator allows them; nobody tells the scheduler.
    service.mesos.set_master_flag("MESOS_ACLS", &acls("ANY"));
    service.mesos.kill_master();
    service.mesos.restart_master().await.unwrap();
    service.scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    for server in SERVERS {
        service.mesos.wait_task(server, "TASK_RUNNING", DEADLINE).await.unwrap();
    }

    // What was reserved in vain is given back.
    let mut ours = BTreeSet::new();
    for pod in ["hello-0", "world-0", "world-1"] {
        ours.extend(resource_ids(&service.scheduler.get_json(&format!("/v1/pod/{pod}/info")).await.unwrap()));
    }
    wait_until("nothing is left of the attempts", DEADLINE, async || {
        let mut reserved = BTreeSet::new();
        for agent in 0..AGENTS {
            reserved.extend(resource_ids(&service.mesos.reserved_resources(agent).await?.into()));
        }
        Ok(reserved.is_subset(&ours))
    })
    .await
    .unwrap();
}
