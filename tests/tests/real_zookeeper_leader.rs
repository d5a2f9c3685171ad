//! The election of masters on a real ZooKeeper, as the scheduler follows it. The masters' nodes are written by the test, in the form
//! of Mesos 1.11; who leads is decided by ZooKeeper's numbers.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use mainstay_scheduler::mesos::leader::{Endpoint, Leader, MasterUrl};
use mainstay_tests::zookeeper::{Options, ZooKeeper};
use zookeeper_client::{Acls, Client, CreateMode};

const DEADLINE: Duration = Duration::from_secs(30);

/// A master: its session holds its node.
async fn elect(server: &ZooKeeper, port: u16) -> Client {
    let client = Client::connector()
        .with_session_timeout(Duration::from_secs(20))
        .connect(&server.connect_string())
        .await
        .unwrap();
    client.mkdir("/mesos/log_replicas", &CreateMode::Persistent.with_acls(Acls::anyone_all())).await.unwrap();
    let info = format!(
        r#"{{"address":{{"hostname":"m{port}","ip":"127.0.0.1","port":{port}}},"hostname":"m{port}","id":"x","ip":16777343,"pid":"master@127.0.0.1:{port}","port":{port},"version":"1.11.0"}}"#
    );
    let mode = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
    client.create("/mesos/json.info_", info.as_bytes(), &mode).await.unwrap();
    client
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"))
}

async fn leave(client: Client) {
    let mut states = client.state_watcher();
    drop(client);
    // The node is gone once the session has been closed.
    while !states.changed().await.is_terminated() {}
}

fn port(endpoint: &Endpoint) -> u16 {
    assert_eq!(endpoint.host, "127.0.0.1");
    endpoint.port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_followed_from_no_master_to_the_last() {
    let mut server = ZooKeeper::start_with(&Options::default()).await.unwrap();
    let url = format!("zk://{}/mesos", server.connect_string());
    let mut leader = Leader::new(&MasterUrl::parse(&url).unwrap());

    // Nobody has registered, and not even the path exists.
    assert!(tokio::time::timeout(Duration::from_millis(500), leader.next()).await.is_err());

    let first = elect(&server, 5051).await;
    let known = within("the first master", leader.next()).await;
    assert_eq!(port(&known), 5051);

    // A standby changes nothing.
    let second = elect(&server, 5052).await;
    assert!(tokio::time::timeout(Duration::from_millis(500), leader.changed_from(&known)).await.is_err());

    leave(first).await;
    within("the second master", leader.changed_from(&known)).await;
    let known = leader.next().await;
    assert_eq!(port(&known), 5052);

    // The ensemble restarts: the leader stays known meanwhile, and changes are seen afterwards.
    server.kill();
    assert_eq!(port(&leader.next().await), 5052);
    server.restart().await.unwrap();
    let third = elect(&server, 5053).await;
    leave(second).await;
    within("the third master", leader.changed_from(&known)).await;
    assert_eq!(port(&leader.next().await), 5053);
    leave(third).await;
}
