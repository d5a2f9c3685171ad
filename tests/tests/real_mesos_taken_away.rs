//! An operator of a real Mesos takes reservations and volumes of a service away, behind its back: what is in use Mesos keeps, what is plain
//! is reserved anew, and a volume that is lost waits for a replace and says so.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use mainstay_tests::hello_world::DEADLINE;
use mainstay_tests::mesos::{AgentOptions, MesosCluster, Options};
use mainstay_tests::proc_scan::Found;
use mainstay_tests::reserved::{
    Operate, is_volume, mentioned_ids, operate, read_on_mount, resource_id, resource_ids, take_away,
};
use mainstay_tests::scheduler::{self, SchedulerUnderTest};
use mainstay_tests::wait::{wait_for, wait_until};
use mainstay_tests::zookeeper::ZooKeeper;
use serde_json::{Value, json};

const SPEC: &str = r#"
name: desk
scheduler:
  principal: desk-principal
pods:
  keeper:
    count: 1
    placement: '[["hostname", "IS", "agent-0"]]'
    tasks:
      node:
        goal: RUNNING
        cmd: |
          echo "$TASK_NAME" >> keeper-data/starts
          exec sleep 1000
        cpus: 0.1
        memory: 32
        ports: {web: {port: 0}}
        volume: {path: keeper-data, type: MOUNT, size: 40}
        kill-grace-period: 1
  plain:
    count: 1
    tasks:
      node:
        goal: RUNNING
        cmd: exec sleep 1000
        cpus: 0.1
        memory: 32
        kill-grace-period: 1
"#;

struct Desk {
    scheduler: SchedulerUnderTest,
    mesos: MesosCluster,
    _zookeeper: ZooKeeper,
    _folder: tempfile::TempDir,
}

impl Desk {
    async fn deployed() -> Self {
        let agents = vec![AgentOptions { mount_disks: vec![48], ..AgentOptions::default() }];
        let mesos = MesosCluster::start(Options { agents, ..Options::default() }).await.unwrap();
        let zookeeper = ZooKeeper::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let spec = folder.path().join("svc.yml");
        std::fs::write(&spec, SPEC).unwrap();
        let scheduler = SchedulerUnderTest::start(&scheduler::Options::new(spec, &mesos, &zookeeper)).await.unwrap();
        scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
        Self { scheduler, mesos, _zookeeper: zookeeper, _folder: folder }
    }

    /// What is reserved on the only agent.
    async fn reserved(&self) -> Vec<Value> {
        self.mesos.reserved_resources(0).await.unwrap()
    }

    /// Ends the tasks and executors of pods while nobody looks after them, and waits until what they had is free.
    async fn end_unseen(&mut self, pods: &[&str]) {
        self.scheduler.stop().await.unwrap();
        let is_of = |found: &Found| {
            let executor = found.variable("MESOS_EXECUTOR_ID").unwrap_or_default();
            pods.iter().any(|pod| executor.contains(&format!("__{pod}__")))
        };
        // The executors too: they would wait for the scheduler to take note of the ends.
        self.mesos.sandbox_processes().iter().filter(|found| is_of(found)).for_each(Found::kill);
        let is_over = async |mesos: &MesosCluster| {
            let containers = mesos.agent_json(0, "/containers").await?.to_string();
            Ok(!pods.iter().any(|pod| containers.contains(&format!("__{pod}__"))))
        };
        self.mesos.wait_until("the executors have ended", DEADLINE, is_over).await.unwrap();
    }

    /// How often the keeper has started on its volume; none while it has no process to look through.
    async fn starts(&self) -> usize {
        let reserved = self.reserved().await;
        let volume = reserved.iter().find(|one| is_volume(one));
        let text = volume.and_then(|volume| read_on_mount(&self.mesos, 0, volume, "starts"));
        text.map_or(0, |text| text.lines().count())
    }
}

/// The reservations that a pod's stored tasks name, executor included.
async fn ids_of_pod(scheduler: &SchedulerUnderTest, pod: &str) -> BTreeSet<String> {
    mentioned_ids(&scheduler.get_json(&format!("/v1/pod/{pod}/info")).await.unwrap())
}

/// The explanation of the only step of a pod, once it says `text` somewhere.
async fn explained(scheduler: &SchedulerUnderTest, pod: &str, text: &str) -> Value {
    wait_for(&format!("{pod} is explained with {text:?}"), DEADLINE, async || {
        let steps = scheduler.get_json(&format!("/v1/placement/{pod}")).await?;
        Ok(steps.to_string().contains(text).then(|| steps[0].clone()))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn plain_reservations_are_made_anew_and_a_lost_volume_waits_for_a_replace() {
    let mut desk = Desk::deployed().await;
    let (keeper, plain) = (ids_of_pod(&desk.scheduler, "keeper-0").await, ids_of_pod(&desk.scheduler, "plain-0").await);
    assert_eq!((keeper.len(), plain.len()), (7, 5), "with three of the executor each");
    let of = |all: Vec<Value>, ids: &BTreeSet<String>| -> Vec<Value> {
        all.into_iter().filter(|one| resource_id(one).is_some_and(|id| ids.contains(id))).collect()
    };

    // While it runs Mesos keeps what it stands on, and nobody notices the attempt.
    let running = of(desk.reserved().await, &keeper);
    let volume: Vec<Value> = running.iter().filter(|one| is_volume(one)).cloned().collect();
    assert_eq!(operate(&desk.mesos, 0, Operate::Destroy, &volume).await.unwrap(), 400);
    let bare: Vec<Value> = running.iter().filter(|one| !is_volume(one)).cloned().collect();
    assert_eq!(operate(&desk.mesos, 0, Operate::Unreserve, &bare).await.unwrap(), 409);
    assert_eq!(resource_ids(&desk.reserved().await), keeper.union(&plain).cloned().collect());
    let old = desk.scheduler.task_ids().await.unwrap();

    // All of one pod and everything but the volume of the other.
    desk.end_unseen(&["keeper", "plain"]).await;
    let reserved = desk.reserved().await;
    let taken: Vec<Value> = reserved.iter().filter(|one| !is_volume(one)).cloned().collect();
    assert_eq!(taken.len(), keeper.len() + plain.len() - 1);
    take_away(&desk.mesos, 0, &taken).await.unwrap();
    desk.scheduler.restart().await.unwrap();
    let keeper_id = desk.scheduler.wait_relaunched("keeper-0-node", &old["keeper-0-node"], DEADLINE).await.unwrap();
    desk.scheduler.wait_relaunched("plain-0-node", &old["plain-0-node"], DEADLINE).await.unwrap();
    desk.scheduler.wait_plan_complete("recovery", DEADLINE).await.unwrap();
    wait_until("the second start on the same volume", DEADLINE, async || Ok(desk.starts().await == 2)).await.unwrap();
    let new = ids_of_pod(&desk.scheduler, "keeper-0").await;
    assert_eq!(new.intersection(&keeper).count(), 1, "of what it had it has the volume");
    let plain = ids_of_pod(&desk.scheduler, "plain-0").await;
    assert_eq!(resource_ids(&desk.reserved().await), new.union(&plain).cloned().collect(), "and nothing is left over");

    // The volume itself.
    desk.end_unseen(&["keeper"]).await;
    let volume: Vec<Value> = desk.reserved().await.into_iter().filter(is_volume).collect();
    take_away(&desk.mesos, 0, &volume).await.unwrap();
    desk.scheduler.restart().await.unwrap();
    let why = explained(&desk.scheduler, "keeper-0", "volume").await;
    assert_eq!(
        why["search"]["groups"][0]["obstacle"], "the reserved volume keeper-data is not in the offer",
        "{why:#}"
    );
    let replace = "a replace of the pod, which gives up its volumes";
    assert_eq!(why["search"]["closest"]["changes"], json!([replace]), "{why:#}");
    assert_eq!(desk.scheduler.task_ids().await.unwrap()["keeper-0-node"], keeper_id, "no empty volume in its place");

    desk.scheduler.pod_replace("keeper-0").await.unwrap();
    desk.scheduler.wait_relaunched("keeper-0-node", &keeper_id, DEADLINE).await.unwrap();
    wait_until("the first start on a new volume", DEADLINE, async || Ok(desk.starts().await == 1)).await.unwrap();
    wait_until("nothing is left of the old one", DEADLINE, async || {
        let own = ids_of_pod(&desk.scheduler, "keeper-0").await;
        Ok(resource_ids(&desk.reserved().await) == own.union(&plain).cloned().collect())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_volume_destroyed_below_its_reservation_is_not_replaced_by_an_empty_one() {
    let mut desk = Desk::deployed().await;
    let old = desk.scheduler.task_ids().await.unwrap()["keeper-0-node"].clone();
    desk.end_unseen(&["keeper"]).await;
    let volume: Vec<Value> = desk.reserved().await.into_iter().filter(is_volume).collect();
    assert_eq!(operate(&desk.mesos, 0, Operate::Destroy, &volume).await.unwrap(), 202);
    let is_gone = async || Ok(desk.reserved().await.iter().all(|one| !is_volume(one)));
    wait_until("the volume is gone", DEADLINE, is_gone).await.unwrap();
    desk.scheduler.restart().await.unwrap();

    let why = explained(&desk.scheduler, "keeper-0", "volume").await;
    assert_eq!(
        why["search"]["groups"][0]["obstacle"], "the reserved volume keeper-data is not in the offer",
        "{why:#}"
    );
    assert_eq!(desk.scheduler.task_ids().await.unwrap()["keeper-0-node"], old);
    desk.scheduler.pod_replace("keeper-0").await.unwrap();
    desk.scheduler.wait_relaunched("keeper-0-node", &old, DEADLINE).await.unwrap();
    // The disk that is reserved without a volume has to become free first: it is the only one.
    wait_until("the first start on a new volume", DEADLINE, async || Ok(desk.starts().await == 1)).await.unwrap();
}
