//! The store on a real ZooKeeper: what people and other schedulers see, and what losing a server, a connection, an answer, a session or
//! the lock does to commits.
#![allow(clippy::unwrap_used)]

#[path = "../../scheduler/src/store/tests/behaviours.rs"]
mod behaviours;

use std::path::Path;
use std::time::{Duration, Instant};

use behaviours::{Place, put};
use bytes::Bytes;
use mainstay_engine::effect::Transaction;
use mainstay_scheduler::store::{CommitError, Error, Location, Memory, Settings, Store, Tree};
use mainstay_tests::process::{Process, Program};
use mainstay_tests::proxy::{Fault, Proxy};
use mainstay_tests::wait::wait_until;
use mainstay_tests::zookeeper::{Options, ZooKeeper};
use zookeeper_client::{Acls, Client, CreateMode};

const DEADLINE: Duration = Duration::from_secs(30);
/// Short, so that a lost session is soon over.
const SESSION: Duration = Duration::from_secs(4);

async fn start() -> ZooKeeper {
    ZooKeeper::start_with(&Options { tick: Duration::from_millis(500), ..Options::default() }).await.unwrap()
}

async fn client(server: &ZooKeeper) -> Client {
    Client::connector().with_session_timeout(Duration::from_secs(20)).connect(&server.connect_string()).await.unwrap()
}

fn settings() -> Settings {
    Settings { session: SESSION, ..Settings::default() }
}

fn at(connect: String) -> Location {
    Location::ZooKeeper { connect }
}

async fn open(connect: String, name: &str) -> (Store, Tree) {
    Store::open(&at(connect), name, &settings()).await.unwrap()
}

/// Waits a moment only: the lock is expected to be held.
async fn open_in_vain(server: &ZooKeeper, name: &str) -> Error {
    let settings = Settings { lock_attempts: 1, lock_wait: Duration::from_millis(300), ..settings() };
    Store::open(&at(server.connect_string()), name, &settings).await.unwrap_err()
}

async fn create(client: &Client, path: &str, data: &str, mode: CreateMode) -> String {
    let (_, number) = client.create(path, data.as_bytes(), &mode.with_acls(Acls::anyone_all())).await.unwrap();
    if mode == CreateMode::EphemeralSequential { format!("{path}{number}") } else { path.to_owned() }
}

async fn mkdir(client: &Client, path: &str) {
    client.mkdir(path, &CreateMode::Persistent.with_acls(Acls::anyone_all())).await.unwrap();
}

async fn text(client: &Client, path: &str) -> String {
    String::from_utf8(client.get_data(path).await.unwrap().0).unwrap()
}

async fn children(client: &Client, path: &str) -> Vec<String> {
    let mut children = client.list_children(path).await.unwrap();
    children.sort();
    children
}

async fn remove(client: &Client, path: &str) {
    let mut below = vec![path.to_owned()];
    let mut next = 0;
    while let Some(path) = below.get(next).cloned() {
        let children = client.list_children(&path).await.unwrap_or_default();
        below.extend(children.into_iter().map(|name| format!("{path}/{name}")));
        next += 1;
    }
    for path in below.iter().rev() {
        let _ = client.delete(path, None).await;
    }
}

#[tokio::test]
async fn it_behaves_as_a_store() {
    let server = start().await;
    let client = client(&server).await;
    behaviours::all(async || {
        wait_until("the last store has let go", DEADLINE, async || {
            remove(&client, "/dcos-service-team__db").await;
            Ok(client.check_stat("/dcos-service-team__db").await?.is_none())
        })
        .await
        .unwrap();
        Place::At(at(server.connect_string()))
    })
    .await;
}

#[tokio::test]
async fn a_person_finds_the_tree_as_the_sdk_laid_it_out() {
    let server = start().await;
    let client = client(&server).await;
    let (mut store, _) = open(server.connect_string(), "/hello-world").await;
    let mut launch = put("FrameworkID", "f");
    launch.put("ConfigTarget", "id");
    launch.put("Configurations/id", "{}");
    launch.put("Tasks/hello-0-server/TaskInfo", "info");
    launch.put("Tasks/hello-0-server/TaskStatus", "status");
    launch.put("Properties/last-completed-update-type", "DEPLOY");
    store.commit(&launch).await.unwrap();

    let root = "/dcos-service-hello-world";
    assert_eq!(
        children(&client, root).await,
        [
            "ConfigTarget",
            "Configurations",
            "FrameworkID",
            "Properties",
            "SchemaVersion",
            "Tasks",
            "lock",
            "servicename"
        ]
    );
    for (path, data) in [
        ("", ""),
        ("/servicename", "/hello-world"),
        ("/SchemaVersion", "1"),
        ("/Tasks", ""),
        ("/Tasks/hello-0-server", ""),
        ("/Tasks/hello-0-server/TaskInfo", "info"),
        ("/Tasks/hello-0-server/TaskStatus", "status"),
        ("/Configurations/id", "{}"),
        ("/Properties/last-completed-update-type", "DEPLOY"),
    ] {
        assert_eq!(text(&client, &format!("{root}{path}")).await, data, "{path}");
    }
    // The launch took one transaction: its nodes have one creation number.
    let mut created = Vec::new();
    for path in ["FrameworkID", "Tasks/hello-0-server/TaskInfo", "Tasks/hello-0-server/TaskStatus"] {
        created.push(client.check_stat(&format!("{root}/{path}")).await.unwrap().unwrap().czxid);
    }
    assert!(created.iter().all(|number| *number == created[0]), "{created:?}");

    store.close().await;
    assert_eq!(children(&client, &format!("{root}/lock")).await, ["leases", "locks"]);
    for folder in ["leases", "locks"] {
        assert!(children(&client, &format!("{root}/lock/{folder}")).await.is_empty(), "released at once");
    }
}

#[tokio::test]
async fn a_tree_that_the_older_generation_nested_is_not_started_empty() {
    let server = start().await;
    let client = client(&server).await;
    mkdir(&client, "/dcos-service-team/db").await;
    create(&client, "/dcos-service-team/db/FrameworkID", "f", CreateMode::Persistent).await;
    let location = at(server.connect_string());
    for _ in 0..2 {
        let error = Store::open(&location, "/team/db", &settings()).await.unwrap_err();
        assert!(matches!(error, Error::NestedRoot { .. }), "{error:?}");
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("/dcos-service-team/db"), "{error}");
    }
    assert_eq!(text(&client, "/dcos-service-team/db/FrameworkID").await, "f");
    assert_eq!(children(&client, "/dcos-service-team__db").await, ["lock"]);
    // Another service of the same folder has nothing there.
    open(server.connect_string(), "/team/other").await;
}

#[tokio::test]
async fn schedulers_of_both_older_generations_are_excluded_both_ways() {
    let server = start().await;
    let client = client(&server).await;
    let lock = "/dcos-service-hello/lock";
    let sequence = CreateMode::EphemeralSequential;
    for folder in ["leases", "locks"] {
        mkdir(&client, &format!("{lock}/{folder}")).await;
    }

    // The older one holds its mutex; the newer one holds its lease, and nothing else.
    for held in [format!("{lock}/_c_0-lock-"), format!("{lock}/leases/_c_0-lease-")] {
        let node = create(&client, &held, "10.0.0.1", sequence).await;
        let error = open_in_vain(&server, "hello").await;
        assert!(matches!(error, Error::Locked { .. }), "{error:?}");
        assert_eq!(error.exit_code(), 8);
        assert!(error.to_string().contains("10.0.0.1"), "{error}");
        assert_eq!(
            children(&client, "/dcos-service-hello").await,
            ["lock"],
            "nothing is written before the lock is held"
        );

        // It lets go while we wait.
        let location = at(server.connect_string());
        let waits = async { Store::open(&location, "hello", &settings()).await.unwrap() };
        let lets_go = async {
            let (folder, _) = held.rsplit_once('/').unwrap();
            let ours = "-lease-";
            wait_until("our store waits", DEADLINE, async || {
                let waiting = children(&client, folder).await;
                Ok(waiting.iter().filter(|name| name.contains("-lock-") || name.contains(ours)).count() > 1)
            })
            .await
            .unwrap();
            client.delete(&node, None).await.unwrap();
        };
        let ((store, _), ()) = tokio::join!(waits, lets_go);

        // While we hold: a mutex of the older one has us ahead; the newer one gets its inner mutex, but sees our lease.
        let mutexes: Vec<_> =
            children(&client, lock).await.into_iter().filter(|name| name.contains("-lock-")).collect();
        assert_eq!(mutexes.len(), 1, "{mutexes:?}");
        assert!(mutexes[0].starts_with("_c_"), "{mutexes:?}");
        assert_eq!(children(&client, &format!("{lock}/locks")).await, Vec::<String>::new());
        let leases = children(&client, &format!("{lock}/leases")).await;
        assert_eq!(leases.len(), 1, "{leases:?}");
        store.close().await;
        remove(&client, "/dcos-service-hello/servicename").await;
        remove(&client, "/dcos-service-hello/SchemaVersion").await;
    }
}

const HOLDER: &str = "MAINSTAY_TEST_HOLDER";

/// Not a test of its own: the other process of the next test, which holds the lock until it is killed.
#[tokio::test]
async fn holder() {
    let Ok(connect) = std::env::var(HOLDER) else { return };
    let (mut store, _) = open(connect, "hello").await;
    for number in 0_u64.. {
        store.commit(&put("Properties/last", &number.to_string())).await.unwrap();
        if number == 10 {
            println!("\nholding");
        }
    }
}

async fn start_holder(server: &ZooKeeper, folder: &Path) -> Process {
    let mut holder = Program::new("holder", std::env::current_exe().unwrap(), folder.join("log"))
        .arg("--exact")
        .arg("holder")
        .arg("--nocapture")
        .env(HOLDER, server.connect_string())
        .spawn()
        .unwrap();
    holder.wait_for_line("holding", DEADLINE).await.unwrap();
    holder
}

#[tokio::test]
async fn a_killed_scheduler_is_replaced_when_its_session_is_over() {
    let server = start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut holder = start_holder(&server, folder.path()).await;
    let error = open_in_vain(&server, "hello").await;
    assert!(error.to_string().contains(&format!("process {}", holder.pid())), "{error}");

    holder.kill9();
    let killed = Instant::now();
    let (_store, tree) = open(server.connect_string(), "hello").await;
    let took = killed.elapsed();
    assert!(took <= SESSION + Duration::from_secs(2), "{took:?}");
    let last: u64 = std::str::from_utf8(&tree["Properties/last"]).unwrap().parse().unwrap();
    assert!(last >= 10, "{last}");
}

#[tokio::test]
async fn a_scheduler_that_was_frozen_beyond_its_session_writes_nothing_when_it_goes_on() {
    let server = start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut holder = start_holder(&server, folder.path()).await;
    // In the middle of a stream of commits: one is on its way.
    holder.freeze().unwrap();
    let (mut store, _) = open(server.connect_string(), "hello").await;
    store.commit(&put("Properties/last", "new")).await.unwrap();
    holder.thaw().unwrap();
    wait_until("the frozen one ends", DEADLINE, async || Ok(!holder.is_running())).await.unwrap();
    assert!(holder.output().unwrap().contains("Lost"), "{}", holder.output().unwrap());
    assert_eq!(text(&client(&server).await, "/dcos-service-hello/Properties/last").await, "new");
    assert!(*store.connection().borrow());
}

#[tokio::test]
async fn a_lost_session_ends_all_writing() {
    let server = start().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    let (mut old, _) = open(proxy.connect_string(), "hello").await;
    old.commit(&put("Properties/a", "old")).await.unwrap();
    let lost = old.lost();
    let mut connection = old.connection();
    assert!(*connection.borrow());

    proxy.refuse();
    let cut = Instant::now();
    connection.wait_for(|connected| !connected).await.unwrap();
    assert!(cut.elapsed() < SESSION, "it is known before anybody else can have the lock");
    // This one waits for the connection, and must neither be sent later nor reported as done.
    let late = put("Properties/a", "late");
    let commit = async {
        let error = old.commit(&late).await.unwrap_err();
        assert!(matches!(error, CommitError::Lost(_)), "{error:?}");
        assert_eq!(error.exit_code(), 8);
    };
    let takeover = async {
        let (mut new, tree) = open(server.connect_string(), "hello").await;
        assert_eq!(tree["Properties/a"], "old");
        new.commit(&put("Properties/a", "new")).await.unwrap();
        proxy.open();
        new
    };
    let ((), new) = tokio::join!(commit, takeover);
    assert_eq!(lost.await.exit_code(), 8);
    assert!(!*connection.borrow());
    assert!(matches!(old.commit(&late).await, Err(CommitError::Lost(_))));
    assert_eq!(text(&client(&server).await, "/dcos-service-hello/Properties/a").await, "new");
    new.close().await;
}

#[tokio::test]
async fn a_removed_lock_node_ends_all_writing() {
    let server = start().await;
    let client = client(&server).await;
    let lock = "/dcos-service-hello/lock";
    for folder in [lock.to_owned(), format!("{lock}/leases")] {
        let (mut store, _) = open(server.connect_string(), "hello").await;
        let lost = store.lost();
        let nodes = children(&client, &folder).await;
        let ours = nodes.iter().find(|name| name.contains("-lock-") || name.contains("-lease-")).unwrap();
        client.delete(&format!("{folder}/{ours}"), None).await.unwrap();
        let lost = tokio::time::timeout(DEADLINE, lost).await.unwrap();
        assert!(lost.reason().contains("removed"), "{lost}");
        let error = store.commit(&put("Properties/a", "late")).await.unwrap_err();
        assert!(matches!(error, CommitError::Lost(_)), "{error:?}");
        assert!(client.check_stat("/dcos-service-hello/Properties").await.unwrap().is_none());
        store.close().await;
    }

    // The server refuses, too, when the removal was not noticed yet: the fence is in the same transaction.
    let (mut store, _) = open(server.connect_string(), "hello").await;
    let lease = children(&client, &format!("{lock}/leases")).await.remove(0);
    let removed = client.delete(&format!("{lock}/leases/{lease}"), None);
    let transaction = put("Properties/a", "late");
    let (removed, committed) = tokio::join!(removed, store.commit(&transaction));
    removed.unwrap();
    // Whichever came first: no write after the removal.
    if committed.is_err() {
        assert!(client.check_stat("/dcos-service-hello/Properties").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_lease_that_somebody_else_wrote_ends_all_writing() {
    let server = start().await;
    let client = client(&server).await;
    let (mut store, _) = open(server.connect_string(), "hello").await;
    let leases = "/dcos-service-hello/lock/leases";
    let lease = children(&client, leases).await.remove(0);
    client.set_data(&format!("{leases}/{lease}"), b"mine", None).await.unwrap();
    let error = store.commit(&put("Properties/a", "late")).await.unwrap_err();
    assert!(matches!(error, CommitError::Lost(_)), "{error:?}");
    assert!(client.check_stat("/dcos-service-hello/Properties").await.unwrap().is_none());
    assert!(store.lost().await.reason().contains("changed"));
}

/// Commits that each make one node and raise one counter: the counter's version says how often commits were applied.
struct Counted {
    store: Store,
    done: u32,
}

impl Counted {
    async fn commit(&mut self) {
        self.done += 1;
        let mut transaction = put("Properties/counter", &self.done.to_string());
        transaction.put(format!("Properties/n{:06}", self.done), "x");
        self.store.commit(&transaction).await.unwrap();
    }

    async fn check(&self, client: &Client) {
        client.sync("/dcos-service-hello").await.unwrap();
        let (data, stat) = client.get_data("/dcos-service-hello/Properties/counter").await.unwrap();
        assert_eq!(data, self.done.to_string().into_bytes(), "nothing is lost");
        assert_eq!(stat.version, i32::try_from(self.done).unwrap() - 1, "nothing is applied twice");
        let nodes = children(client, "/dcos-service-hello/Properties").await;
        assert_eq!(nodes.len(), self.done as usize + 1);
    }
}

#[tokio::test]
async fn an_undecided_commit_is_applied_exactly_once() {
    let server = start().await;
    let client = client(&server).await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    let (store, _) = open(proxy.connect_string(), "hello").await;
    let mut counted = Counted { store, done: 0 };
    // The first strikes at the commit, the next ones at the barriers that settle it.
    for faults in [
        &[][..],
        &[Fault::LoseReply],
        &[Fault::LoseRequest],
        &[Fault::LoseReply, Fault::LoseReply],
        &[Fault::LoseReply, Fault::LoseRequest],
        &[Fault::LoseRequest, Fault::LoseReply],
        &[Fault::LoseRequest, Fault::LoseRequest, Fault::LoseReply],
        &[Fault::LoseRequest, Fault::LoseReply, Fault::LoseReply],
    ] {
        proxy.plan(faults);
        counted.commit().await;
        assert_eq!(proxy.planned(), 0, "{faults:?}");
        counted.check(&client).await;
    }
    // The request waits in a connection that the client has given up, and reaches the server after all was settled.
    proxy.plan(&[Fault::HoldRequest]);
    counted.commit().await;
    proxy.release();
    counted.commit().await;
    counted.check(&client).await;
    assert!(*counted.store.connection().borrow());
}

#[tokio::test]
async fn commits_survive_kills_and_freezes_of_the_server() {
    let mut server = start().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    let settings = Settings { session: Duration::from_secs(20), ..settings() };
    let (store, _) = Store::open(&at(proxy.connect_string()), "hello", &settings).await.unwrap();
    let mut counted = Counted { store, done: 0 };
    let lost = counted.store.lost();
    let (stop, stopped) = tokio::sync::watch::channel(false);

    let work = async {
        while !*stopped.borrow() {
            counted.commit().await;
        }
    };
    let trouble = async {
        for round in 0..3_u64 {
            for cut in 0..10 {
                tokio::time::sleep(Duration::from_millis(20 + 7 * cut + round)).await;
                proxy.cut();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            server.kill();
            server.restart().await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            server.freeze().unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            proxy.cut();
            tokio::time::sleep(Duration::from_millis(200)).await;
            server.thaw().unwrap();
        }
        stop.send_replace(true);
    };
    tokio::select! {
        lost = lost => panic!("{lost}"),
        _ = async { tokio::join!(work, trouble) } => {}
    }
    assert!(counted.done > 50, "{}", counted.done);
    counted.check(&client(&server).await).await;
}

#[tokio::test]
async fn a_tree_edited_by_hand_does_not_stop_the_writer() {
    let server = start().await;
    let client = client(&server).await;
    let (mut store, _) = open(server.connect_string(), "hello").await;
    store.commit(&put("Tasks/a/TaskInfo", "1")).await.unwrap();
    store.commit(&put("Tasks/b/TaskInfo", "1")).await.unwrap();

    remove(&client, "/dcos-service-hello/Tasks/a").await;
    create(&client, "/dcos-service-hello/Tasks/b/note", "mine", CreateMode::Persistent).await;
    create(&client, "/dcos-service-hello/Tasks/c", "", CreateMode::Persistent).await;
    let mut change = put("Tasks/a/TaskInfo", "2");
    change.put("Tasks/c/TaskInfo", "2");
    change.delete("Tasks/b");
    store.commit(&change).await.unwrap();
    store.close().await;
    let (_store, tree) = open(server.connect_string(), "hello").await;
    let tasks: Vec<_> = tree.iter().filter(|(path, _)| path.starts_with("Tasks/")).collect();
    let two = Bytes::from_static(b"2");
    assert_eq!(tasks, [(&"Tasks/a/TaskInfo".to_owned(), &two), (&"Tasks/c/TaskInfo".to_owned(), &two)]);
}

#[tokio::test]
async fn a_large_tree_is_read_whole_and_removed_in_parts() {
    let server = start().await;
    let (mut store, mut expected) = open(server.connect_string(), "hello").await;
    let mut transaction = Transaction::default();
    for task in 0..4_000 {
        for node in ["TaskInfo", "TaskStatus"] {
            let path = format!("Tasks/pod-{task}-with-a-name-of-usual-length/{node}");
            transaction.put(&*path, path.clone().into_bytes());
            expected.insert(path.clone(), path.into_bytes().into());
        }
    }
    store.commit(&transaction).await.unwrap();
    store.close().await;
    let (mut store, tree) = open(server.connect_string(), "hello").await;
    assert!(tree == expected);
    let mut wipe = Transaction::default();
    wipe.delete("Tasks");
    store.commit(&wipe).await.unwrap();
    assert_eq!(children(&client(&server).await, "/dcos-service-hello").await, ["SchemaVersion", "lock", "servicename"]);
}

#[tokio::test]
async fn an_unreachable_server_is_tried_until_the_deadline() {
    let nobody = mainstay_tests::port::free_port().unwrap();
    let settings = Settings { unreachable: Duration::from_millis(1200), ..settings() };
    let started = Instant::now();
    let error = Store::open(&at(format!("127.0.0.1:{nobody}")), "hello", &settings).await.unwrap_err();
    let took = started.elapsed();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(error.exit_code(), 1);
    assert!(error.is_retryable());
    assert!(took >= Duration::from_millis(1200) && took < DEADLINE, "{took:?}");
}

#[tokio::test]
async fn a_server_that_comes_late_is_waited_for() {
    let mut server = start().await;
    server.kill();
    let location = at(server.connect_string());
    let settings = settings();
    let (opened, ()) = tokio::join!(Store::open(&location, "hello", &settings), async {
        server.restart().await.unwrap();
    });
    opened.unwrap();
}
