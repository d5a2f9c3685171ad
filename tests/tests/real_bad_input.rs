//! What goes wrong around a scheduler, with the real binaries: each gets a clear line and the documented code, and nothing is half-written.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use ::http::Method;
use mainstay_tests::hello_world::{DEADLINE, HelloWorld};
use mainstay_tests::http;
use mainstay_tests::mesos::{MesosCluster, Options};
use mainstay_tests::port::free_port;
use mainstay_tests::proc_scan::Found;
use mainstay_tests::proxy::Proxy;
use mainstay_tests::scheduler::{self, SchedulerUnderTest};
use mainstay_tests::wait::wait_until;
use mainstay_tests::zookeeper::{self, ZooKeeper};
use zookeeper_client::{Acls, Client, CreateMode};

/// Root of the stored tree of hello-world.
const ROOT: &str = "/dcos-service-hello-world";
/// A master that nobody is.
const NOBODY: &str = "http://127.0.0.1:9";

async fn client(server: &ZooKeeper) -> Client {
    Client::connect(&server.connect_string()).await.unwrap()
}

async fn create(client: &Client, path: &str, data: &str) {
    client.create(path, data.as_bytes(), &CreateMode::Persistent.with_acls(Acls::anyone_all())).await.unwrap();
}

/// Every node below `root` with its data, locks left out; empty when there is no such node.
async fn tree(client: &Client, root: &str) -> BTreeMap<String, Vec<u8>> {
    let mut tree = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let Ok((data, _)) = client.get_data(&path).await else { continue };
        let children = client.list_children(&path).await.unwrap();
        open.extend(children.iter().filter(|name| *name != "lock").map(|name| format!("{path}/{name}")));
        tree.insert(path, data);
    }
    tree
}

/// A scheduler of hello-world, with the environment beside the specification.
fn hello_world(mesos_master: &str, state_store: String) -> scheduler::Options {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../svc-specs/hello-world");
    let spec = folder.join("svc.yml");
    let mesos_master = mesos_master.to_owned();
    let options = scheduler::Options { spec, mesos_master, state_store, environment: BTreeMap::new() };
    options.env_file(&folder.join("env")).unwrap()
}

/// Starts a scheduler that must end by itself: its exit code and what it wrote.
async fn ends(options: &scheduler::Options) -> (Option<i32>, String) {
    let mut scheduler = SchedulerUnderTest::launch(options).unwrap();
    let exit = scheduler.process().unwrap().wait_exit(DEADLINE).await.unwrap();
    (exit.code(), scheduler.process().unwrap().output().unwrap())
}

/// Asserts that `text` has each of `parts`, in this order.
#[track_caller]
fn assert_told(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { panic!("no {part:?} (in this order) in:\n{text}") };
        rest = after;
    }
}

/// How often `text` was written since the last start.
fn count(scheduler: &mut SchedulerUnderTest, text: &str) -> usize {
    scheduler.process().unwrap().output().unwrap().matches(text).count()
}

#[tokio::test]
async fn bad_specification_is_one_report_and_writes_nothing() {
    let zookeeper = ZooKeeper::start().await.unwrap();
    let client = client(&zookeeper).await;
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("svc.yml");
    let mut options = scheduler::Options {
        spec: spec.clone(),
        mesos_master: NOBODY.to_owned(),
        state_store: format!("zk://{}", zookeeper.connect_string()),
        environment: BTreeMap::new(),
    };

    fs::write(&spec, "name: broken\npods:\n{{#HAS_POD}}\n  hello:\n    count: 1\n").unwrap();
    let (code, told) = ends(&options).await;
    assert_eq!(code, Some(1), "{told}");
    assert_told(&told, &["svc.yml:3:", "HAS_POD", "nothing was written"]);

    let text = "\
name: broken
pods:
  hello:
    count: {{HELLO_COUNT}}
    tasks:
      server:
        goal: RUNNING
        cmd: sleep 1000
        cpus: -1
        memory: 32
        ports:
          http:
            port: 65536
        colour: green
  hello:
    count: 1
    tasks:
      server:
        goal: RUNNING
        cmd: sleep 1000
        cpus: 0.1
        memory: 32
";
    fs::write(&spec, text).unwrap();
    options = options.env("EXECUTOR_CPUS", "many");
    let (code, told) = ends(&options).await;
    assert_eq!(code, Some(1), "{told}");
    for parts in [
        &["EXECUTOR_CPUS", "help"][..],
        &["svc.yml:4:", "HELLO_COUNT"],
        &["svc.yml:9:", "cpus"],
        &["svc.yml:13:", "65535"],
        &["svc.yml:14:", "colour"],
        &["svc.yml:15:", "hello"],
    ] {
        assert_told(&told, parts);
    }
    assert_told(&told, &["nothing was written"]);
    assert!(!told.contains("panicked"), "{told}");

    let (code, told) = ends(&scheduler::Options { spec: folder.path().join("none.yml"), ..options.clone() }).await;
    assert_eq!(code, Some(1), "{told}");
    assert_told(&told, &["none.yml"]);
    assert_eq!(client.list_children("/").await.unwrap(), ["zookeeper"]);
}

#[tokio::test]
async fn port_in_use_is_told_and_writes_nothing() {
    let zookeeper = ZooKeeper::start().await.unwrap();
    let port = free_port().unwrap();
    let _taken = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    let state = format!("zk://{}", zookeeper.connect_string());
    let (code, told) = ends(&hello_world(NOBODY, state).env("PORT_API", port.to_string())).await;
    assert_eq!(code, Some(9), "{told}");
    assert_told(&told, &[&port.to_string(), "PORT_API"]);
    assert_eq!(client(&zookeeper).await.list_children("/").await.unwrap(), ["zookeeper"]);
}

#[tokio::test]
async fn tree_of_another_service_is_refused_and_left_as_it_is() {
    let zookeeper = ZooKeeper::start().await.unwrap();
    let client = client(&zookeeper).await;
    create(&client, ROOT, "").await;
    // Both names have the same root.
    create(&client, &format!("{ROOT}/servicename"), "/hello-world").await;
    create(&client, &format!("{ROOT}/SchemaVersion"), "1").await;
    create(&client, &format!("{ROOT}/ConfigTarget"), "7a4d4f9e-4b1c-4d0a-9a43-2f6d9f1f0001").await;
    let before = tree(&client, ROOT).await;
    let (code, told) = ends(&hello_world(NOBODY, format!("zk://{}", zookeeper.connect_string()))).await;
    assert_eq!(code, Some(1), "{told}");
    assert_told(&told, &["belongs to", "/hello-world"]);
    assert_eq!(tree(&client, ROOT).await, before);
}

#[tokio::test]
async fn zookeeper_that_cannot_be_reached_is_tried_again_until_it_can() {
    let mut zookeeper = ZooKeeper::start().await.unwrap();
    zookeeper.kill();
    let state = format!("zk://{}", zookeeper.connect_string());
    let mut scheduler = SchedulerUnderTest::launch(&hello_world(NOBODY, state)).unwrap();
    let told = "zookeeper cannot be reached";
    wait_until("three attempts", DEADLINE, async || Ok(count(&mut scheduler, told) >= 3)).await.unwrap();
    // 0.25 + 0.5 + 1 s are the shortest pauses before the fourth.
    assert!(count(&mut scheduler, told) <= 4);
    assert!(scheduler.process().unwrap().is_running());
    zookeeper.restart().await.unwrap();
    let started = async || Ok(scheduler.get("/v1/plans/deploy").await?.status.as_u16() == 202);
    wait_until("the API answers", DEADLINE, started).await.unwrap();
    assert!(tree(&client(&zookeeper).await, ROOT).await.contains_key(&format!("{ROOT}/ConfigTarget")));
}

#[tokio::test]
async fn master_that_cannot_be_reached_is_tried_again_until_it_can() {
    let mut mesos = MesosCluster::start(Options::agents(1)).await.unwrap();
    mesos.kill_master();
    let options = hello_world(&mesos.master_url(), "memory:".to_owned()).env("WORLD_COUNT", "1");
    let mut scheduler = SchedulerUnderTest::start(&options).await.unwrap();
    let told = "cannot subscribe; retrying";
    wait_until("three attempts", DEADLINE, async || Ok(count(&mut scheduler, told) >= 3)).await.unwrap();
    assert!(count(&mut scheduler, told) <= 4);
    assert!(scheduler.process().unwrap().output().unwrap().contains(&mesos.master_addr()), "the line names the master");
    assert_eq!(scheduler.get("/v1/health").await.unwrap().status.as_u16(), 318, "not registered");
    assert_eq!(scheduler.plan("deploy").await.unwrap()["status"], "PENDING");
    mesos.restart_master().await.unwrap();
    scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    assert_eq!(scheduler.get("/v1/health").await.unwrap().status.as_u16(), 200);
}

#[tokio::test]
async fn requests_that_make_no_sense_get_their_codes_and_change_nothing() {
    let mut scheduler = SchedulerUnderTest::start(&hello_world(NOBODY, "memory:".to_owned())).await.unwrap();
    let before = scheduler.get("/v1/plans/deploy").await.unwrap().body;
    let json = [("content-type", "application/json")];
    let text = [("content-type", "text/plain")];
    let none: [(&str, &str); 0] = [];
    for (method, path, headers, body, code) in [
        (Method::GET, "/v1/plans/nope", &none[..], "", 404),
        (Method::POST, "/v1/plans/nope/start", &json, "{}", 404),
        (Method::POST, "/v1/plans/nope/continue", &none, "", 404),
        (Method::POST, "/v1/plans/deploy/start", &json, "{", 400),
        (Method::POST, "/v1/plans/deploy/start", &json, "[]", 400),
        (Method::POST, "/v1/plans/deploy/start", &json, r#"{"A":{}}"#, 400),
        (Method::POST, "/v1/plans/deploy/start", &json, r#"{"not a name":"x"}"#, 400),
        (Method::POST, "/v1/plans/deploy/start", &json, "\u{0}\u{1}", 400),
        (Method::POST, "/v1/plans/deploy/start", &text, "x", 415),
        (Method::POST, "/v1/plans/deploy/restart?phase=nope", &none, "", 404),
        (Method::POST, "/v1/plans/deploy/forceComplete?phase=hello-deploy&step=nope", &none, "", 404),
        (Method::POST, "/v1/plans/deploy/forceComplete?step=hello-0:%5Bserver%5D", &none, "", 400),
        (Method::DELETE, "/v1/plans/deploy", &none, "", 405),
        (Method::GET, "/v1/pod/nope-0/status", &none, "", 404),
        (Method::POST, "/v1/pod/nope-0/replace", &none, "", 404),
        (Method::POST, "/v1/pod/nope/restart", &none, "", 404),
        (Method::GET, "/v1/configurations/nope", &none, "", 400),
        (Method::GET, "/v1/configurations/7a4d4f9e-4b1c-4d0a-9a43-2f6d9f1f0001", &none, "", 404),
        (Method::GET, "/v1/endpoints/nope", &none, "", 404),
        (Method::GET, "/v1/nope", &none, "", 404),
        (Method::GET, "/v1/plans/%FF", &none, "", 400),
        (Method::GET, "/../../etc/passwd", &none, "", 404),
    ] {
        let url = scheduler.url(path);
        let reply = http::request(method.clone(), &url, headers, body.to_owned().into()).await.unwrap();
        assert_eq!(reply.status.as_u16(), code, "{method} {path} {body:?}: {}", reply.text());
    }
    let url = scheduler.url("/v1/plans/deploy/start");
    // Refused before it is read: the answer may come as an end of the connection.
    if let Ok(reply) = http::request(Method::POST, &url, &json, vec![b' '; 8 << 20].into()).await {
        assert_eq!(reply.status.as_u16(), 413);
    }
    assert_eq!(scheduler.get("/v1/plans/deploy").await.unwrap().body, before);
    assert!(scheduler.process().unwrap().is_running());
}

/// A service whose state is behind a proxy, with sessions of two seconds.
#[tokio::test]
async fn lost_session_ends_the_process_and_nothing_is_written_after() {
    let mesos = MesosCluster::start(Options::agents(1)).await.unwrap();
    let session = Duration::from_secs(2);
    let short = zookeeper::Options { tick: Duration::from_millis(500), max_session: session, ..Default::default() };
    let zookeeper = ZooKeeper::start_with(&short).await.unwrap();
    let proxy = Proxy::start(zookeeper.port()).await.unwrap();
    let state = format!("zk://{}", proxy.connect_string());
    let options = hello_world(&mesos.master_url(), state).env("WORLD_COUNT", "1");
    let mut scheduler = SchedulerUnderTest::start(&options).await.unwrap();
    scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    let ids = scheduler.task_ids().await.unwrap();
    let client = client(&zookeeper).await;
    let before = tree(&client, ROOT).await;

    proxy.refuse();
    // Something to store, which must not be.
    mesos.task_processes("world-0-server").iter().for_each(Found::kill);
    let exit = scheduler.process().unwrap().wait_exit(DEADLINE).await.unwrap();
    let told = scheduler.process().unwrap().output().unwrap();
    assert_eq!(exit.code(), Some(8), "{told}");
    assert_told(&told, &["session"]);
    proxy.open();
    assert_eq!(tree(&client, ROOT).await, before);
    assert_eq!(mesos.launched().await.unwrap()["world-0-server"].len(), 1, "nothing is launched without the lock");

    scheduler.restart().await.unwrap();
    let new = scheduler.wait_relaunched("world-0-server", &ids["world-0-server"], DEADLINE).await.unwrap();
    assert_eq!(scheduler.task_ids().await.unwrap()["hello-0-server"], ids["hello-0-server"]);
    assert_eq!(mesos.launched().await.unwrap()["world-0-server"], [ids["world-0-server"].clone(), new].into());
}

#[tokio::test]
async fn removed_framework_is_explained_and_the_remedy_brings_the_service_back_with_its_data() {
    let mut service = HelloWorld::start(Options::agents(1), &[("WORLD_COUNT", "1")]).await;
    service.scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    let (ids, id) = (service.scheduler.task_ids().await.unwrap(), service.scheduler.framework_id().await.unwrap());
    let client = client(&service.zookeeper).await;
    service.scheduler.process().unwrap().terminate().unwrap();
    service.scheduler.process().unwrap().wait_exit(DEADLINE).await.unwrap();
    service.mesos.teardown(&id).await.unwrap();
    let before = tree(&client, ROOT).await;

    // The API may or may not have answered before.
    let _ = service.scheduler.restart().await;
    let exit = service.scheduler.process().unwrap().wait_exit(DEADLINE).await.unwrap();
    let told = service.scheduler.process().unwrap().output().unwrap();
    assert_eq!(exit.code(), Some(6), "{told}");
    let remedy = format!("MAINSTAY_FORGET_FRAMEWORK_ID={id}");
    assert_told(&told, &["removed", &remedy]);
    assert_eq!(tree(&client, ROOT).await, before);

    let forget = [("WORLD_COUNT", "1"), ("MAINSTAY_FORGET_FRAMEWORK_ID", id.as_str())];
    let options = HelloWorld::options(&service.mesos, &service.zookeeper, &forget);
    service.scheduler.restart_with(&options).await.unwrap();
    for server in ["hello-0-server", "world-0-server"] {
        service.scheduler.wait_relaunched(server, &ids[server], DEADLINE).await.unwrap();
        let starts: Vec<usize> = service.starts_of(server).iter().map(|(_, starts)| *starts).collect();
        assert_eq!(starts, [2], "{server} is on its old volume");
    }
    assert_ne!(service.scheduler.framework_id().await.unwrap(), id);

    // What the removed framework reserved is still freed when it is given up.
    service.scheduler.wait_plan_complete("recovery", DEADLINE).await.unwrap();
    let server = "world-0-server";
    let volume = service.starts_of(server)[0].0.clone();
    let old = service.scheduler.task_ids().await.unwrap()[server].clone();
    service.scheduler.pod_replace("world-0").await.unwrap();
    service.scheduler.wait_relaunched(server, &old, DEADLINE).await.unwrap();
    wait_until("the old volume is gone", DEADLINE, async || Ok(!volume.exists())).await.unwrap();
}
