//! Proves the harness of the real ZooKeeper: what the other tests take for granted about it.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use mainstay_tests::wait::wait_until;
use mainstay_tests::zookeeper::{Options, ZooKeeper};
use zookeeper_client::{Acls, Client, CreateMode};

const DEADLINE: Duration = Duration::from_secs(30);

async fn connect(server: &ZooKeeper, session: Duration) -> Client {
    Client::connector().with_session_timeout(session).connect(&server.connect_string()).await.unwrap()
}

async fn create(client: &Client, path: &str, data: &[u8], mode: CreateMode) {
    client.create(path, data, &mode.with_acls(Acls::anyone_all())).await.unwrap();
}

#[tokio::test]
async fn data_survive_kill_and_restart_on_the_same_port() {
    let mut server = ZooKeeper::start().await.unwrap();
    let address = server.connect_string();
    let client = connect(&server, Duration::from_secs(10)).await;
    create(&client, "/kept", b"value", CreateMode::Persistent).await;

    server.kill();
    assert!(server.word("ruok").await.is_err(), "a killed server answers nothing");
    server.restart().await.unwrap();
    assert_eq!(server.connect_string(), address);
    let client = connect(&server, Duration::from_secs(10)).await;
    assert_eq!(client.get_data("/kept").await.unwrap().0, b"value");
}

#[tokio::test]
async fn frozen_server_answers_nothing_and_goes_on_when_thawed() {
    let mut server = ZooKeeper::start().await.unwrap();
    assert_eq!(server.word("ruok").await.unwrap(), "imok");
    server.freeze().unwrap();
    assert!(server.word("ruok").await.is_err());
    server.thaw().unwrap();
    assert_eq!(server.word("ruok").await.unwrap(), "imok");
}

#[tokio::test]
async fn short_ticks_allow_short_sessions() {
    let second = Duration::from_secs(1);
    let options = Options { tick: Duration::from_millis(200), min_session: second, ..Options::default() };
    let server = ZooKeeper::start_with(&options).await.unwrap();
    let watcher = connect(&server, Duration::from_secs(10)).await;
    let holder = connect(&server, second).await;
    assert_eq!(holder.session_timeout(), second);
    create(&holder, "/mine", b"", CreateMode::Ephemeral).await;
    assert!(watcher.check_stat("/mine").await.unwrap().is_some());

    drop(holder);
    wait_until("the node ends with its session", DEADLINE, async || Ok(watcher.check_stat("/mine").await?.is_none()))
        .await
        .unwrap();
}
