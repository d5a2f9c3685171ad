//! A pod on pre-reserved agents of a real Mesos: what an operator has set aside for a role is reserved below that role, beside a
//! pod of the service's own role.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use mainstay_tests::hello_world::DEADLINE;
use mainstay_tests::mesos::{AgentOptions, MesosCluster, Options};
use mainstay_tests::port::{BLOCK, free_block};
use mainstay_tests::scheduler::{self, SchedulerUnderTest};
use mainstay_tests::wait::{wait_for, wait_until};
use mainstay_tests::zookeeper::ZooKeeper;
use serde_json::{Value, json};

const SPEC: &str = r#"
name: gate
scheduler:
  principal: gate-principal
pods:
  public:
    count: 1
    pre-reserved-role: slave_public
    tasks:
      server:
        goal: RUNNING
        cmd: |
          echo "$TASK_NAME on $PORT_WEB" >> public-data/starts
          exec sleep 1000
        cpus: 0.1
        memory: 32
        volume: {path: public-data, type: ROOT, size: 20}
        ports: {web: {port: 0, env-key: PORT_WEB}}
        kill-grace-period: 1
  private:
    count: 1
    tasks:
      server:
        goal: RUNNING
        cmd: exec sleep 1000
        cpus: 0.1
        memory: 32
        ports: {web: {port: 0}}
        kill-grace-period: 1
  huge:
    count: 1
    pre-reserved-role: slave_public
    tasks:
      server:
        goal: RUNNING
        cmd: exec sleep 1000
        cpus: 64
        memory: 32
plans:
  deploy:
    strategy: parallel
    phases:
      public: {strategy: serial, pod: public}
      private: {strategy: serial, pod: private}
      huge: {strategy: serial, pod: huge}
"#;

/// The agent on which everything is set aside.
const PUBLIC: usize = 0;
const REFINED: &str = "slave_public/gate-role";

async fn cluster() -> MesosCluster {
    let first = free_block().unwrap();
    let ports = format!("[{first}-{}]", first + BLOCK - 1);
    let role = "(slave_public)";
    let public = AgentOptions {
        resources: Some(format!("cpus{role}:4;mem{role}:4096;disk{role}:10000;ports{role}:{ports}")),
        ..AgentOptions::default()
    };
    MesosCluster::start(Options { agents: vec![public, AgentOptions::default()], ..Options::default() }).await.unwrap()
}

/// The role of every reservation from the bottom up, with its type.
fn stack(resource: &Value) -> Vec<(&str, &str)> {
    let layers = resource["reservations"].as_array().unwrap().iter();
    layers.map(|layer| (layer["type"].as_str().unwrap(), layer["role"].as_str().unwrap())).collect()
}

/// The reservations of the service on an agent: resource id and resource.
async fn own(mesos: &MesosCluster, agent: usize) -> Vec<(String, Value)> {
    let reserved = mesos.reserved_resources(agent).await.unwrap();
    let with_id = |resource: Value| {
        let layers = resource["reservations"].as_array()?;
        let labels = layers.last()?["labels"]["labels"].as_array()?;
        let id = labels.iter().find(|label| label["key"] == "resource_id")?["value"].as_str()?.to_owned();
        Some((id, resource))
    };
    reserved.into_iter().filter_map(with_id).collect()
}

fn ids(own: &[(String, Value)]) -> BTreeSet<String> {
    own.iter().map(|(id, _)| id.clone()).collect()
}

async fn agent_of(mesos: &MesosCluster, task_id: &str) -> usize {
    let tasks = mesos.tasks().await.unwrap();
    mesos.agent_index(&tasks.iter().find(|task| task.id == task_id).unwrap().agent_id).await.unwrap()
}

#[tokio::test]
async fn a_pod_with_a_pre_reserved_role_lives_on_what_is_set_aside() {
    let mesos = cluster().await;
    let zookeeper = ZooKeeper::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("svc.yml");
    std::fs::write(&spec, SPEC).unwrap();
    let options = scheduler::Options::new(spec, &mesos, &zookeeper);
    let mut scheduler = SchedulerUnderTest::start(&options).await.unwrap();
    scheduler.wait_running(&["public-0-server", "private-0-server"], DEADLINE).await.unwrap();
    let frameworks = mesos.frameworks().await.unwrap();
    assert_eq!(frameworks[0]["roles"], json!(["gate-role", REFINED]));

    // Each pod is where its role has something, under its own stack of reservations.
    let launched = scheduler.task_ids().await.unwrap();
    assert_eq!(agent_of(&mesos, &launched["public-0-server"]).await, PUBLIC);
    assert_eq!(agent_of(&mesos, &launched["private-0-server"]).await, 1);
    let public = own(&mesos, PUBLIC).await;
    assert_eq!(public.len(), 7, "cpus, memory, disk, port, and three of the executor: {public:#?}");
    for (_, resource) in &public {
        assert_eq!(stack(resource), [("STATIC", "slave_public"), ("DYNAMIC", REFINED)]);
    }
    for (_, resource) in own(&mesos, 1).await {
        assert_eq!(stack(&resource), [("DYNAMIC", "gate-role")]);
    }

    // Both agents are held against the pod that is too large, by what they have set aside.
    let huge = wait_for("huge-0 is held against both agents", DEADLINE, async || {
        let steps = scheduler.get_json("/v1/placement/huge-0").await?;
        Ok((steps[0]["search"]["agents"] == 2).then(|| steps[0]["search"].clone()))
    })
    .await
    .unwrap();
    assert_eq!(huge["groups"].as_array().unwrap().len(), 1, "{huge:#}");
    assert_eq!(huge["groups"][0]["obstacle"], "cpus of role slave_public short", "{huge:#}");

    // A restart comes back to its reservations, also under a scheduler that has just started.
    scheduler.kill9();
    scheduler.restart().await.unwrap();
    let old = &launched["public-0-server"];
    scheduler.wait_running(&["public-0-server"], DEADLINE).await.unwrap();
    scheduler.pod_restart("public-0").await.unwrap();
    let restarted = scheduler.wait_relaunched("public-0-server", old, DEADLINE).await.unwrap();
    assert_eq!(ids(&own(&mesos, PUBLIC).await), ids(&public));
    let starts = mesos.volumes(PUBLIC)[0].join("starts");
    wait_until("it has started twice on one volume", DEADLINE, async || {
        Ok(std::fs::read_to_string(&starts)?.lines().count() == 2)
    })
    .await
    .unwrap();

    // A replace gives everything back to the operator's role and takes anew.
    scheduler.pod_replace("public-0").await.unwrap();
    scheduler.wait_relaunched("public-0-server", &restarted, DEADLINE).await.unwrap();
    wait_until("what it had is given back", DEADLINE, async || {
        Ok(ids(&own(&mesos, PUBLIC).await).is_disjoint(&ids(&public)) && !starts.exists())
    })
    .await
    .unwrap();
    let new = own(&mesos, PUBLIC).await;
    assert_eq!(new.len(), public.len());
    let cpus = |all: &[Value]| -> f64 {
        let cpus = all.iter().filter(|resource| resource["name"] == "cpus");
        cpus.map(|resource| resource["scalar"]["value"].as_f64().unwrap()).sum()
    };
    let reserved = mesos.reserved_resources(PUBLIC).await.unwrap();
    assert!((cpus(&reserved) - 4.0).abs() < 1e-9, "nothing of the operator's is lost");
    assert_eq!(scheduler.task_ids().await.unwrap()["private-0-server"], launched["private-0-server"]);
}
