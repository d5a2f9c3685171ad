//! Reservations and volumes on a real Mesos over a service's life: MOUNT disks given back whole, reservations that grow and shrink, two services and
//! a stranger on the same agents.
//!
//! MOUNT disks need root: the agents mount them.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use mainstay_tests::hello_world::DEADLINE;
use mainstay_tests::mesos::{AgentOptions, MesosCluster, Options};
use mainstay_tests::raw_framework::{RawFramework, framework_info};
use mainstay_tests::reserved::{
    is_volume, label, mentioned_ids, mount_root, read_on_mount, resource_id, resource_ids, volume_id,
};
use mainstay_tests::scheduler::{self, SchedulerUnderTest};
use mainstay_tests::wait::wait_until;
use mainstay_tests::zookeeper::ZooKeeper;
use serde_json::{Value, json};

/// A pod on two disks: one of the pod, one of its task. `{{WIDE}}` and `{{NARROW}}` change with an update.
const SPEC: &str = r#"
name: {{NAME}}
scheduler:
  principal: {{NAME}}-principal
pods:
  store:
    count: {{COUNT}}
    placement: '[["hostname", "MAX_PER", "1"]]'
    volume: {path: shared-data, type: MOUNT, size: 30}
    resource-sets:
      wide:
        cpus: {{WIDE_CPUS}}
        memory: {{WIDE_MEM}}
        ports:
          {{#FIRST}}
          first: {port: 0}
          {{/FIRST}}
          second: {port: 0}
        volume: {path: own-data, type: MOUNT, size: 30}
    tasks:
      node:
        goal: RUNNING
        cmd: |
          echo "$TASK_NAME of {{NAME}} at {{WIDE_CPUS}}" >> own-data/starts
          echo "$TASK_NAME of {{NAME}}" >> shared-data/starts
          exec sleep 1000
        resource-set: wide
        kill-grace-period: 1
"#;

struct Service {
    scheduler: SchedulerUnderTest,
    name: &'static str,
}

impl Service {
    fn options(name: &str, folder: &Path, mesos: &MesosCluster, zookeeper: &ZooKeeper) -> scheduler::Options {
        let spec = folder.join("svc.yml");
        fs::write(&spec, SPEC).unwrap();
        let options = scheduler::Options::new(spec, mesos, zookeeper);
        let values = [("NAME", name), ("COUNT", "1"), ("WIDE_CPUS", "0.3"), ("WIDE_MEM", "64"), ("FIRST", "yes")];
        values.into_iter().fold(options, |options, (key, value)| options.env(key, value))
    }

    async fn start(name: &'static str, options: &scheduler::Options) -> Self {
        Self { scheduler: SchedulerUnderTest::start(options).await.unwrap(), name }
    }

    async fn deployed(&self) {
        self.scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    }

    /// What its stored tasks say they have reserved.
    async fn own(&self, pods: usize) -> BTreeSet<String> {
        let mut own = BTreeSet::new();
        for index in 0..pods {
            own.extend(mentioned_ids(&self.scheduler.get_json(&format!("/v1/pod/store-{index}/info")).await.unwrap()));
        }
        own
    }

    /// Replaces a pod, and waits until it runs and all that is reserved for the service is what its `pods` pods stand on.
    async fn replace(&self, mesos: &MesosCluster, pods: usize) {
        let old = self.scheduler.task_ids().await.unwrap()["store-0-node"].clone();
        self.scheduler.pod_replace("store-0").await.unwrap();
        self.scheduler.wait_relaunched("store-0-node", &old, DEADLINE).await.unwrap();
        wait_until("what it had is given back", DEADLINE, async || {
            Ok(resource_ids(&of_role(mesos, self.name).await?) == self.own(pods).await)
        })
        .await
        .unwrap();
    }
}

/// Everything reserved for a service's role on all agents.
async fn of_role(mesos: &MesosCluster, name: &str) -> anyhow::Result<Vec<Value>> {
    let mut found = Vec::new();
    for agent in 0..mesos.agent_count() {
        let reserved = mesos.reserved_resources(agent).await?.into_iter();
        let role = format!("{name}-role");
        found.extend(reserved.filter(|one| one["reservations"][0]["role"] == *role));
    }
    Ok(found)
}

/// Amounts by name, disks with a source apart, without volumes' ids.
fn amounts(resources: &[Value]) -> BTreeMap<&str, f64> {
    let mut sums = BTreeMap::new();
    for resource in resources.iter().filter(|one| mount_root(one).is_none()) {
        let name = resource["name"].as_str().unwrap();
        let ports = |range: &Value| range["end"].as_f64().unwrap() - range["begin"].as_f64().unwrap() + 1.0;
        let amount = resource["scalar"]["value"]
            .as_f64()
            .unwrap_or_else(|| resource["ranges"]["range"].as_array().unwrap().iter().map(ports).sum());
        *sums.entry(name).or_insert(0.0) += amount;
    }
    sums
}

/// The lines of `starts` in each volume on an agent, by persistence id.
fn starts(mesos: &MesosCluster, agent: usize, reserved: &[Value]) -> BTreeMap<String, Vec<String>> {
    let lines = |volume: &Value| {
        let text = read_on_mount(mesos, agent, volume, "starts")?;
        Some((volume_id(volume)?.to_owned(), text.lines().map(str::to_owned).collect()))
    };
    reserved.iter().filter_map(lines).collect()
}

fn agents(disks: &[&[u32]]) -> Options {
    let agent = |disks: &&[u32]| AgentOptions { mount_disks: disks.to_vec(), ..AgentOptions::default() };
    Options { agents: disks.iter().map(agent).collect(), ..Options::default() }
}

#[tokio::test]
async fn reservations_grow_and_shrink_in_place_and_disks_are_given_back_whole() {
    let mesos = MesosCluster::start(agents(&[&[32, 33]])).await.unwrap();
    let zookeeper = ZooKeeper::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = Service::options("depot", folder.path(), &mesos, &zookeeper);
    let mut service = Service::start("depot", &options).await;
    service.deployed().await;
    let first = of_role(&mesos, "depot").await.unwrap();
    let executor = [("cpus", 0.1), ("mem", 32.0), ("disk", 256.0)];
    let with = |cpus: f64, mem: f64, ports: f64| {
        BTreeMap::from([
            ("cpus", executor[0].1 + cpus),
            ("mem", executor[1].1 + mem),
            ("disk", 256.0),
            ("ports", ports),
        ])
    };
    let close = |found: &BTreeMap<&str, f64>, expected: &BTreeMap<&str, f64>| {
        found.keys().eq(expected.keys()) && found.iter().all(|(name, amount)| (amount - expected[name]).abs() < 1e-9)
    };
    assert!(close(&amounts(&first), &with(0.3, 64.0, 2.0)), "{:?}", amounts(&first));
    let volumes = starts(&mesos, 0, &first);
    assert_eq!(volumes.len(), 2, "a disk of the pod and one of the task: {first:#?}");

    // Less cpus, more memory, one port less; the same reservations, and the same volumes with a second line.
    let id = service.scheduler.task_ids().await.unwrap()["store-0-node"].clone();
    let changed = options.clone().env("WIDE_CPUS", "0.2").env("WIDE_MEM", "96").env("FIRST", "");
    service.scheduler.stop().await.unwrap();
    service.scheduler.restart_with(&changed).await.unwrap();
    service.scheduler.wait_relaunched("store-0-node", &id, DEADLINE).await.unwrap();
    service.deployed().await;
    wait_until("reservations of the new amounts", DEADLINE, async || {
        Ok(close(&amounts(&of_role(&mesos, "depot").await?), &with(0.2, 96.0, 1.0)))
    })
    .await
    .unwrap();
    let second = of_role(&mesos, "depot").await.unwrap();
    assert!(resource_ids(&second).is_subset(&resource_ids(&first)), "nothing is new");
    assert_eq!(resource_ids(&second).len() + 1, resource_ids(&first).len(), "and one port is gone");
    let all_twice = async || {
        let now = starts(&mesos, 0, &second);
        Ok(now.keys().eq(volumes.keys()) && now.values().all(|lines| lines.len() == 2))
    };
    wait_until("both volumes have two starts", DEADLINE, all_twice).await.unwrap();

    // Both disks are the only ones: a replace has to give them back before it can take them.
    service.replace(&mesos, 1).await;
    let third = of_role(&mesos, "depot").await.unwrap();
    assert!(resource_ids(&third).is_disjoint(&resource_ids(&second)), "everything is new");
    let fresh = async || {
        let now = starts(&mesos, 0, &third);
        let is_new = |id: &String| !volumes.contains_key(id);
        Ok(now.len() == 2 && now.keys().all(is_new) && now.values().all(|lines| lines.len() == 1))
    };
    wait_until("new and empty volumes on both disks", DEADLINE, fresh).await.unwrap();
}

/// What a stranger makes in the role of a service: one reservation with a volume that names another framework, one without any label.
async fn strangers_property(mesos: &MesosCluster, role: &str, agents: usize) -> Vec<Value> {
    let mut info = framework_info("stranger", None);
    info["roles"] = json!([role]);
    let mut framework = RawFramework::subscribe(&mesos.master_url(), &info).await.unwrap();
    let offer = framework.wait_offers(agents, DEADLINE).await.unwrap().remove(0);
    let labels = json!({"labels": [
        {"key": "resource_id", "value": "of-a-stranger"},
        {"key": "framework_id", "value": framework.framework_id()},
    ]});
    let reserved = |name: &str, amount: f64, labels: Option<&Value>| {
        let mut layer = json!({"type": "DYNAMIC", "role": role, "principal": "stranger"});
        if let Some(labels) = labels {
            layer["labels"] = labels.clone();
        }
        json!({
            "name": name, "type": "SCALAR", "scalar": {"value": amount}, "allocation_info": {"role": role},
            "reservations": [layer],
        })
    };
    let (disk, cpus) = (reserved("disk", 64.0, Some(&labels)), reserved("cpus", 0.1, None));
    let mut volume = disk.clone();
    volume["disk"] = json!({
        "persistence": {"id": "of-a-stranger", "principal": "stranger"},
        "volume": {"mode": "RW", "container_path": "data"},
    });
    let operations = json!([
        {"type": "RESERVE", "reserve": {"resources": [disk, cpus]}},
        {"type": "CREATE", "create": {"volumes": [volume]}},
    ]);
    let accept = json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "operations": operations}});
    framework.call(accept).await.unwrap();
    wait_until("the stranger's volume", DEADLINE, async || Ok(strange(mesos).await?.len() == 2)).await.unwrap();
    // What it holds stays when it goes.
    framework.call(json!({"type": "TEARDOWN"})).await.unwrap();
    strange(mesos).await.unwrap()
}

/// What is reserved by the stranger.
async fn strange(mesos: &MesosCluster) -> anyhow::Result<Vec<Value>> {
    let mut found = Vec::new();
    for agent in 0..mesos.agent_count() {
        let reserved = mesos.reserved_resources(agent).await?.into_iter();
        found.extend(reserved.filter(|one| one["reservations"][0]["principal"] == "stranger"));
    }
    Ok(found)
}

#[tokio::test]
async fn two_services_and_a_stranger_never_touch_what_is_not_theirs() {
    // Room for both services twice over, so that a replaced pod may land beside the other service.
    let mesos = MesosCluster::start(agents(&[&[32, 33, 34, 35], &[32, 33, 34, 35]])).await.unwrap();
    let stranger = strangers_property(&mesos, "east-role", 2).await;
    let zookeeper = ZooKeeper::start().await.unwrap();
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let options = |name: &str, folder: &Path| Service::options(name, folder, &mesos, &zookeeper).env("COUNT", "2");
    let (east_options, west_options) = (options("east", folder.path()), options("west", other.path()));
    let (mut east, west) = tokio::join!(Service::start("east", &east_options), Service::start("west", &west_options));
    east.deployed().await;
    west.deployed().await;

    // Each pod on an agent of its own by its service's rule, whatever the other has there; each resource bears its owner's marks.
    let snapshot = async |name: &str| {
        let resources = of_role(&mesos, name).await.unwrap();
        resources.into_iter().filter(|one| one["reservations"][0]["principal"] != "stranger").collect::<Vec<_>>()
    };
    for service in [&east, &west] {
        let framework = service.scheduler.framework_id().await.unwrap();
        let reserved = snapshot(service.name).await;
        assert_eq!(resource_ids(&reserved), service.own(2).await, "{}", service.name);
        for resource in &reserved {
            assert_eq!(label(resource, "framework_id"), Some(&*framework), "{resource:#}");
            assert_eq!(resource["reservations"][0]["principal"], format!("{}-principal", service.name));
        }
        assert_eq!(reserved.iter().filter(|one| is_volume(one)).count(), 4);
    }
    let mut disks = BTreeSet::new();
    for agent in 0..2 {
        let reserved = mesos.reserved_resources(agent).await.unwrap();
        let mounts: Vec<&str> = reserved.iter().filter_map(mount_root).collect();
        assert_eq!(mounts.len(), 4, "each service has a pod with two disks on agent {agent}");
        disks.extend(mounts.into_iter().map(str::to_owned));
    }
    assert_eq!(disks.len(), 8, "no disk twice");

    // One replaces, rolls out and cleans up; the other and the stranger have what they had, and the same tasks.
    let (before, tasks) = (snapshot("west").await, west.scheduler.task_ids().await.unwrap());
    let marks = |all: &[Value]| -> BTreeSet<String> {
        let mark = |one: &Value| format!("{:?} {:?} {}", resource_id(one), volume_id(one), one["scalar"]);
        all.iter().map(mark).collect()
    };
    let old = east.scheduler.task_ids().await.unwrap()["store-0-node"].clone();
    let old_reserved = snapshot("east").await;
    east.scheduler.pod_replace("store-0").await.unwrap();
    east.scheduler.wait_relaunched("store-0-node", &old, DEADLINE).await.unwrap();
    wait_until("what east gave up is free", DEADLINE, async || {
        Ok(resource_ids(&snapshot("east").await) == east.own(2).await)
    })
    .await
    .unwrap();
    assert!(!resource_ids(&old_reserved).is_subset(&resource_ids(&snapshot("east").await)), "it has moved to new ones");
    east.scheduler.stop().await.unwrap();
    east.scheduler.restart_with(&east_options.clone().env("WIDE_CPUS", "0.2")).await.unwrap();
    east.deployed().await;
    wait_until("east has only what it wants", DEADLINE, async || {
        Ok(resource_ids(&snapshot("east").await) == east.own(2).await)
    })
    .await
    .unwrap();
    assert_eq!(marks(&snapshot("west").await), marks(&before));
    assert_eq!(west.scheduler.task_ids().await.unwrap(), tasks);
    assert_eq!(marks(&strange(&mesos).await.unwrap()), marks(&stranger), "what is not ours stays as it is");
    for service in [&east, &west] {
        for agent in 0..2 {
            let reserved = of_role(&mesos, service.name).await.unwrap();
            for (id, lines) in starts(&mesos, agent, &reserved) {
                let own = format!(" of {}", service.name);
                assert!(lines.iter().all(|line| line.contains(&own)), "volume {id}: {lines:?}");
            }
        }
    }
}
