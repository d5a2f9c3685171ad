//! Operations that a real Mesos refuses, one kind after the other, and offers that are gone before they are answered: each time the service goes
//! on by itself once the cause is gone.
//!
//! That CREATE is refused is in `real_mesos_placement.rs`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;

use mainstay_tests::hello_world::{DEADLINE, HelloWorld};
use mainstay_tests::mesos::{AgentOptions, MesosCluster, Options};
use mainstay_tests::port::{BLOCK, free_block};
use mainstay_tests::proxy::Proxy;
use mainstay_tests::reserved::{mentioned_ids, resource_ids, volume_id};
use mainstay_tests::scheduler::SchedulerUnderTest;
use mainstay_tests::wait::wait_until;
use mainstay_tests::zookeeper::ZooKeeper;
use serde_json::json;

/// Rules under which everybody may do everything but one thing.
fn everything_but(refused: &str) -> String {
    let rule = |object: &str, action: &str| {
        let kind = if action == refused { "NONE" } else { "ANY" };
        json!([{"principals": {"type": "ANY"}, object: {"type": kind}}])
    };
    let rules = json!({
        "reserve_resources": rule("roles", "reserve_resources"),
        "unreserve_resources": rule("reserver_principals", "unreserve_resources"),
        "create_volumes": rule("roles", "create_volumes"),
        "destroy_volumes": rule("creator_principals", "destroy_volumes"),
        "run_tasks": rule("users", "run_tasks"),
    });
    rules.to_string()
}

/// The operator changes what is refused, with a master of new flags.
async fn refuse(service: &mut HelloWorld, action: &str) {
    service.mesos.set_master_flag("MESOS_ACLS", &everything_but(action));
    service.mesos.kill_master();
    service.mesos.restart_master().await.unwrap();
}

/// Lines of the scheduler's log with a text.
fn told(service: &HelloWorld, text: &str) -> usize {
    let log = fs::read_to_string(service.scheduler.log_path()).unwrap_or_default();
    log.lines().filter(|line| line.contains(text)).count()
}

#[tokio::test]
async fn whatever_mesos_refuses_is_tried_again_until_it_is_allowed() {
    let mut options = Options::agents(1);
    options.master_environment.insert("MESOS_ACLS".to_owned(), everything_but("reserve_resources"));
    let mut service = HelloWorld::start(options, &[("WORLD_COUNT", "0"), ("HELLO_COUNT", "1")]).await;
    let more = async |service: &HelloWorld, text: &str, than: usize| {
        wait_until(text, DEADLINE, async || Ok(told(service, text) > than)).await.unwrap();
    };

    // RESERVE: nothing is there to launch on.
    more(&service, "operation failed", 0).await;
    assert_eq!(service.mesos.reserved_resources(0).await.unwrap().len(), 0);

    // LAUNCH: reserved and created, and not allowed to run.
    let failed = told(&service, "TASK_ERROR");
    refuse(&mut service, "run_tasks").await;
    more(&service, "TASK_ERROR", failed).await;
    assert_eq!(service.mesos.launched().await.unwrap().len(), 0, "nothing has run yet");

    // DESTROY: the deploy ends, and what was reserved in vain stays as long as its volumes do.
    refuse(&mut service, "destroy_volumes").await;
    service.scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    let id = service.scheduler.task_ids().await.unwrap()["hello-0-server"].clone();
    let failed = told(&service, "operation failed");
    service.scheduler.pod_replace("hello-0").await.unwrap();
    let id = service.scheduler.wait_relaunched("hello-0-server", &id, DEADLINE).await.unwrap();
    more(&service, "operation failed", failed).await;
    let own =
        async |service: &HelloWorld| mentioned_ids(&service.scheduler.get_json("/v1/pod/hello-0/info").await.unwrap());
    let left = |reserved: &[serde_json::Value], own: &BTreeSet<String>| -> (usize, usize) {
        let foreign: Vec<_> = reserved.iter().filter(|one| resource_ids(&[(*one).clone()]).is_disjoint(own)).collect();
        (foreign.len(), foreign.iter().filter(|one| volume_id(one).is_some()).count())
    };
    let mine = own(&service).await;
    let (_, volumes) = left(&service.mesos.reserved_resources(0).await.unwrap(), &mine);
    assert!(volumes >= 2, "{volumes} volumes that nobody may destroy");

    // UNRESERVE: the volumes go, their reservations do not.
    refuse(&mut service, "unreserve_resources").await;
    wait_until("the volumes are destroyed", DEADLINE, async || {
        Ok(left(&service.mesos.reserved_resources(0).await?, &mine).1 == 0)
    })
    .await
    .unwrap();
    assert!(left(&service.mesos.reserved_resources(0).await.unwrap(), &mine).0 >= 2, "the reservations stay");

    refuse(&mut service, "nothing").await;
    wait_until("nothing is left of what was given up", DEADLINE, async || {
        Ok(left(&service.mesos.reserved_resources(0).await?, &mine).0 == 0)
    })
    .await
    .unwrap();
    assert_eq!(own(&service).await, mine, "what the pod stands on was left alone all the time");
    assert_eq!(service.scheduler.task_ids().await.unwrap()["hello-0-server"], id, "and it runs on");
}

/// Holds back what the master says while an agent comes, is offered, and goes. The scheduler itself is not frozen: its session with ZooKeeper
/// would end where Mesos takes its time.
async fn behind_its_back(service: &mut HelloWorld, proxy: &Proxy, agent: usize) {
    proxy.stall();
    service.mesos.restart_agent(agent).await.unwrap();
    wait_until("the agent is offered", DEADLINE, async || {
        let frameworks = service.mesos.frameworks().await?;
        Ok(frameworks[0]["offered_resources"]["cpus"].as_f64().unwrap_or_default() > 0.0)
    })
    .await
    .unwrap();
    service.mesos.kill_agent(agent);
    let is_missed = async || Ok(service.mesos.agent_entry(agent).await?["active"] == false);
    wait_until("the offer is rescinded", DEADLINE, is_missed).await.unwrap();
    proxy.flow();
}

#[tokio::test]
async fn an_offer_whose_agent_is_gone_before_the_answer_leaves_nothing_behind() {
    let agent = || {
        let first = free_block().unwrap();
        let resources = format!("cpus:2;mem:1024;disk:1000;ports:[{first}-{}]", first + BLOCK - 1);
        AgentOptions { resources: Some(resources), ..AgentOptions::default() }
    };
    let mut mesos = MesosCluster::start(Options { agents: vec![agent()], ..Options::default() }).await.unwrap();
    mesos.kill_agent(0);
    let is_missed = async |mesos: &MesosCluster| Ok(mesos.agent_entry(0).await?["active"] == false);
    mesos.wait_until("the master misses the agent", DEADLINE, is_missed).await.unwrap();
    let zookeeper = ZooKeeper::start().await.unwrap();
    let proxy = Proxy::start(mesos.master_port()).await.unwrap();
    let mut options = HelloWorld::options(&mesos, &zookeeper, &[("WORLD_COUNT", "0")]);
    options.mesos_master = format!("http://{}", proxy.connect_string());
    let scheduler = SchedulerUnderTest::start(&options).await.unwrap();
    let mut service = HelloWorld { scheduler, mesos, zookeeper };
    wait_until("it takes offers", DEADLINE, async || Ok(told(&service, "reconciliation started") > 0)).await.unwrap();

    behind_its_back(&mut service, &proxy, 0).await;
    // It answers the offer before it reads that there is none any more.
    wait_until("the answer came too late", DEADLINE, async || {
        Ok(told(&service, "reservation dropped") + told(&service, "operation failed") > 0)
    })
    .await
    .unwrap();
    assert_ne!(service.scheduler.plan("deploy").await.unwrap()["status"], "COMPLETE");

    service.mesos.restart_agent(0).await.unwrap();
    service.scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    service.mesos.wait_task("hello-0-server", "TASK_RUNNING", DEADLINE).await.unwrap();
    let own = mentioned_ids(&service.scheduler.get_json("/v1/pod/hello-0/info").await.unwrap());
    assert_eq!(resource_ids(&service.mesos.reserved_resources(0).await.unwrap()), own);
}
