//! The client against a master of a few lines: raw sockets, so that every byte and every pause is ours.

#![allow(clippy::unwrap_used)]

use mainstay_engine::ids::TaskId;
use mainstay_proto::recordio;
use mainstay_proto::v1 as wire;
use mainstay_proto::v1::scheduler::{Call as WireCall, Event as WireEvent, event};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

struct Master {
    listener: TcpListener,
}

struct Peer {
    stream: TcpStream,
    unread: Vec<u8>,
}

struct Request {
    head: String,
    call: WireCall,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    fn kind(&self) -> i32 {
        self.call.r#type.unwrap()
    }
}

impl Master {
    async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    async fn accept(&self) -> Peer {
        Peer { stream: self.listener.accept().await.unwrap().0, unread: Vec::new() }
    }

    /// Accepts a subscription and confirms it.
    async fn subscribed(&self, heartbeat_secs: f64) -> (Peer, Request) {
        let mut peer = self.accept().await;
        let request = peer.request().await.unwrap();
        peer.begin_stream().await;
        peer.event(&subscribed_event(heartbeat_secs)).await;
        (peer, request)
    }
}

impl Peer {
    async fn request(&mut self) -> Option<Request> {
        loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8(self.unread[..end].to_vec()).unwrap();
                let mut request = Request { head, call: WireCall::default() };
                let length: usize = request.header("content-length").unwrap().parse().unwrap();
                if self.unread.len() >= end + 4 + length {
                    request.call = WireCall::decode(&self.unread[end + 4..end + 4 + length]).unwrap();
                    self.unread.drain(..end + 4 + length);
                    return Some(request);
                }
            }
            if self.stream.read_buf(&mut self.unread).await.unwrap() == 0 {
                return None;
            }
        }
    }

    async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn answer(&mut self, status: &str, headers: &str, text: &str) {
        self.write(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{text}", text.len())).await;
    }

    async fn begin_stream(&mut self) {
        self.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: stream-1\r\n\r\n").await;
    }

    async fn chunk(&mut self, bytes: &[u8]) {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.write(chunk).await;
    }

    async fn event(&mut self, event: &WireEvent) {
        self.chunk(&recordio::encode(&event.encode_to_vec())).await;
    }
}

fn subscribed_event(heartbeat_secs: f64) -> WireEvent {
    WireEvent {
        r#type: Some(event::Type::Subscribed.into()),
        subscribed: Some(Box::new(event::Subscribed {
            framework_id: wire::FrameworkId { value: "f-0001".into() },
            heartbeat_interval_seconds: Some(heartbeat_secs),
            master_info: Some(Box::new(wire::MasterInfo {
                hostname: Some("m1".into()),
                version: Some("1.11.0".into()),
                ..Default::default()
            })),
        })),
        ..Default::default()
    }
}

fn error_event(text: &str) -> WireEvent {
    WireEvent {
        r#type: Some(event::Type::Error.into()),
        error: Some(event::Error { message: text.into() }),
        ..Default::default()
    }
}

fn settings(master: &str) -> Settings {
    Settings {
        master: MasterUrl::parse(master).unwrap(),
        identity: Identity {
            name: "svc".into(),
            user: "root".into(),
            principal: "svc-principal".into(),
            roles: vec!["svc-role".into()],
            webui_url: None,
            is_region_aware: false,
            is_gpu_aware: false,
        },
        auth: Auth::basic("svc-principal", "secret").unwrap(),
        framework_id: None,
        seed: 1,
    }
}

struct Scheduler {
    handle: Handle,
    messages: mpsc::Receiver<Message>,
    _tasks: JoinSet<()>,
}

impl Scheduler {
    fn start(settings: Settings) -> Self {
        let mut tasks = JoinSet::new();
        let (handle, messages) = start(settings, &mut tasks, CancellationToken::new());
        Self { handle, messages, _tasks: tasks }
    }

    async fn event(&mut self) -> (u64, Event) {
        match self.messages.recv().await.unwrap() {
            Message::Event { epoch, event } => (epoch, event),
            other @ Message::Fatal { .. } => panic!("unexpected: {other:?}"),
        }
    }

    async fn subscribed(&mut self) -> u64 {
        match self.event().await {
            (epoch, Event::Subscribed { framework_id, master }) => {
                assert_eq!(framework_id.as_str(), "f-0001");
                assert_eq!((master.hostname.as_str(), master.version.as_deref()), ("m1", Some("1.11.0")));
                epoch
            }
            other => panic!("unexpected: {other:?}"),
        }
    }

    async fn disconnected(&mut self) -> u64 {
        match self.event().await {
            (epoch, Event::Disconnected) => epoch,
            other => panic!("unexpected: {other:?}"),
        }
    }
}

fn kill(task: &str) -> Call {
    Call::Kill { task_id: TaskId::parse(task).unwrap(), agent_id: None }
}

#[tokio::test]
async fn events_come_in_any_pieces_and_calls_go_in_order_on_one_other_connection() {
    let master = Master::start().await;
    let mut scheduler = Scheduler::start(settings(&master.address()));
    let mut stream = master.accept().await;
    let request = stream.request().await.unwrap();
    assert!(request.head.starts_with("POST /api/v1/scheduler HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.header("accept"), Some("application/x-protobuf"));
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(request.header("host"), Some(master.address().as_str()));
    assert_eq!(request.header("authorization"), Some("Basic c3ZjLXByaW5jaXBhbDpzZWNyZXQ="));
    assert_eq!(request.header("mesos-stream-id"), None);
    assert_eq!((request.kind(), request.call.framework_id.as_ref()), (1, None));

    stream.begin_stream().await;
    let offer = wire::Offer {
        id: wire::OfferId { value: "o1".into() },
        agent_id: wire::AgentId { value: "a1".into() },
        hostname: "h".into(),
        ..Default::default()
    };
    let unreadable = wire::Offer { id: wire::OfferId { value: "o2".into() }, ..Default::default() };
    let offers = WireEvent {
        r#type: Some(event::Type::Offers.into()),
        offers: Some(Box::new(event::Offers { offers: vec![offer, unreadable] })),
        ..Default::default()
    };
    let rescind = WireEvent {
        r#type: Some(event::Type::Rescind.into()),
        rescind: Some(Box::new(event::Rescind { offer_id: wire::OfferId { value: "o1".into() } })),
        ..Default::default()
    };
    let heartbeat = b"2\n\x08\x08".to_vec();
    let mut bytes = Vec::new();
    for event in [&subscribed_event(15.0), &offers, &rescind] {
        bytes.extend_from_slice(&recordio::encode(&event.encode_to_vec()));
        bytes.extend_from_slice(&heartbeat);
    }
    for piece in bytes.chunks(3) {
        stream.chunk(piece).await;
    }

    let epoch = scheduler.subscribed().await;
    assert!(scheduler.handle.is_current(epoch));
    match scheduler.event().await {
        (of, Event::MalformedOffers(offers)) => {
            let ids: Vec<_> = offers
                .iter()
                .filter_map(|offer| offer.id.as_ref())
                .map(mainstay_engine::ids::OfferId::as_str)
                .collect();
            assert_eq!((of, ids), (epoch, vec!["o2"]));
        }
        other => panic!("unexpected: {other:?}"),
    }
    match scheduler.event().await.1 {
        Event::Offers(offers) => assert_eq!(offers.iter().map(|o| o.id.as_str()).collect::<Vec<_>>(), ["o1"]),
        other => panic!("unexpected: {other:?}"),
    }
    assert!(matches!(scheduler.event().await.1, Event::Rescinded(id) if id.as_str() == "o1"));

    for call in [kill("t1"), Call::Revive, kill("t2")] {
        scheduler.handle.send(epoch, call).await;
    }
    let mut calls = master.accept().await;
    for (kind, task) in [(6, Some("t1")), (5, None), (6, Some("t2"))] {
        let request = calls.request().await.unwrap();
        assert_eq!(request.kind(), kind);
        assert_eq!(request.call.kill.as_ref().map(|kill| kill.task_id.value.as_str()), task);
        assert_eq!(request.call.framework_id.as_ref().unwrap().value, "f-0001");
        assert_eq!(request.header("mesos-stream-id"), Some("stream-1"));
        assert_eq!(request.header("authorization"), Some("Basic c3ZjLXByaW5jaXBhbDpzZWNyZXQ="));
        calls.answer("202 Accepted", "", "").await;
    }
    scheduler.handle.flush(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn silence_ends_a_subscription_and_the_next_one_keeps_the_id() {
    let master = Master::start().await;
    let mut scheduler = Scheduler::start(settings(&master.address()));
    let (mut silent, _) = master.subscribed(0.01).await;
    let first = scheduler.subscribed().await;
    assert_eq!(scheduler.disconnected().await, first);
    assert!(!scheduler.handle.is_current(first));
    // The connection is closed, so that the master knows too.
    assert!(silent.request().await.is_none());

    let (_stream, request) = master.subscribed(15.0).await;
    assert_eq!(request.call.framework_id.as_ref().unwrap().value, "f-0001");
    assert_eq!(request.call.subscribe.unwrap().framework_info.id.unwrap().value, "f-0001");
    let second = scheduler.subscribed().await;
    assert!(second > first && scheduler.handle.is_current(second));

    // A call of the ended subscription is dropped, a call of this one is sent.
    scheduler.handle.send(first, kill("old")).await;
    scheduler.handle.send(second, kill("new")).await;
    let request = master.accept().await.request().await.unwrap();
    assert_eq!(request.call.kill.unwrap().task_id.value, "new");
}

#[tokio::test]
async fn a_refused_call_ends_the_subscription_and_is_not_repeated() {
    let master = Master::start().await;
    let mut scheduler = Scheduler::start(settings(&master.address()));
    let _stream = master.subscribed(15.0).await;
    let first = scheduler.subscribed().await;
    scheduler.handle.send(first, kill("t1")).await;
    scheduler.handle.send(first, kill("t2")).await;
    let mut calls = master.accept().await;
    assert_eq!(calls.request().await.unwrap().call.kill.unwrap().task_id.value, "t1");
    calls.answer("403 Forbidden", "", "Framework is not subscribed").await;
    assert_eq!(scheduler.disconnected().await, first);
    assert!(calls.request().await.is_none(), "the second call belongs to the ended subscription");
    let _next = master.subscribed(15.0).await;
    assert!(scheduler.subscribed().await > first);
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_call_ends_the_subscription() {
    let master = Master::start().await;
    let mut scheduler = Scheduler::start(settings(&master.address()));
    let _stream = master.subscribed(15.0).await;
    let first = scheduler.subscribed().await;
    scheduler.handle.send(first, Call::Revive).await;
    let mut calls = master.accept().await;
    calls.request().await.unwrap();
    drop(calls);
    assert_eq!(scheduler.disconnected().await, first);
}

#[tokio::test]
async fn a_connection_closed_between_calls_is_opened_again() {
    let master = Master::start().await;
    let mut scheduler = Scheduler::start(settings(&master.address()));
    let _stream = master.subscribed(15.0).await;
    let epoch = scheduler.subscribed().await;
    scheduler.handle.send(epoch, kill("t1")).await;
    let mut calls = master.accept().await;
    calls.request().await.unwrap();
    calls.answer("202 Accepted", "Connection: close\r\n", "").await;
    scheduler.handle.flush(Duration::from_secs(10)).await;
    drop(calls);
    scheduler.handle.send(epoch, kill("t2")).await;
    let request = master.accept().await.request().await.unwrap();
    assert_eq!(request.call.kill.unwrap().task_id.value, "t2");
    assert!(scheduler.handle.is_current(epoch));
}

#[tokio::test]
async fn a_busy_or_starting_master_is_tried_again_and_a_broken_stream_too() {
    let master = Master::start().await;
    let mut scheduler = Scheduler::start(settings(&master.address()));
    for (status, text) in [("503 Service Unavailable", "Master has not finished recovery"), ("404 Not Found", "")] {
        let mut peer = master.accept().await;
        peer.request().await.unwrap();
        peer.answer(status, "", text).await;
    }
    let mut peer = master.accept().await;
    peer.request().await.unwrap();
    peer.begin_stream().await;
    peer.chunk(b"not recordio").await;
    let _stream = master.subscribed(15.0).await;
    scheduler.subscribed().await;
}

#[tokio::test]
async fn redirects_lead_to_the_leader_and_the_calls_go_there() {
    let (standby, leader) = (Master::start().await, Master::start().await);
    let mut scheduler = Scheduler::start(settings(&standby.address()));
    let mut peer = standby.accept().await;
    peer.request().await.unwrap();
    let location = format!("Location: //{}/master/api/v1/scheduler\r\n", leader.address());
    peer.answer("307 Temporary Redirect", &location, "").await;
    let (_stream, request) = leader.subscribed(15.0).await;
    assert!(request.head.starts_with("POST /api/v1/scheduler"));
    let epoch = scheduler.subscribed().await;
    scheduler.handle.send(epoch, Call::Suppress).await;
    assert_eq!(leader.accept().await.request().await.unwrap().kind(), 12);
}

#[tokio::test]
async fn masters_that_point_at_each_other_do_not_hold_it_for_ever() {
    let master = Master::start().await;
    let mut scheduler = Scheduler::start(settings(&master.address()));
    for _ in 0..6 {
        let mut peer = master.accept().await;
        peer.request().await.unwrap();
        peer.answer("307 Temporary Redirect", &format!("Location: //{}\r\n", master.address()), "").await;
    }
    let _stream = master.subscribed(15.0).await;
    scheduler.subscribed().await;
}

#[tokio::test]
async fn a_dead_master_of_the_list_is_passed_over_at_once() {
    let (dead, alive) = (Master::start().await, Master::start().await);
    let list = format!("http://{},{}", dead.address(), alive.address());
    drop(dead);
    let mut scheduler = Scheduler::start(settings(&list));
    let _stream = alive.subscribed(15.0).await;
    scheduler.subscribed().await;
}

#[tokio::test]
async fn parting_words_of_the_master_are_explained_and_final() {
    async fn fatal(text: &str) -> (u8, String) {
        let master = Master::start().await;
        let framework_id = Some(FrameworkId::parse("f-0007").unwrap());
        let mut scheduler = Scheduler::start(Settings { framework_id, ..settings(&master.address()) });
        let mut peer = master.accept().await;
        peer.request().await.unwrap();
        peer.begin_stream().await;
        peer.event(&error_event(text)).await;
        match scheduler.messages.recv().await.unwrap() {
            Message::Fatal { code, reason } => {
                assert!(scheduler.messages.recv().await.is_none(), "the client has ended");
                (code, reason)
            }
            other @ Message::Event { .. } => panic!("unexpected: {other:?}"),
        }
    }
    let (code, reason) = fatal("Framework has been removed").await;
    assert_eq!(code, 6);
    assert!(
        reason.contains("removed framework f-0007") && reason.contains("MAINSTAY_FORGET_FRAMEWORK_ID=f-0007"),
        "{reason}"
    );
    let (code, reason) = fatal("Framework failed over").await;
    assert!(code == 6 && reason.contains("another scheduler has subscribed"), "{reason}");
    let (code, reason) = fatal("Role 'x/..' is invalid").await;
    assert!(code == 6 && reason.contains("Role 'x/..' is invalid"), "{reason}");
}

#[tokio::test]
async fn a_stream_that_begins_with_anything_else_is_dropped() {
    let master = Master::start().await;
    let mut scheduler = Scheduler::start(settings(&master.address()));
    let mut peer = master.accept().await;
    peer.request().await.unwrap();
    peer.begin_stream().await;
    peer.chunk(b"2\n\x08\x08").await;
    let _stream = master.subscribed(15.0).await;
    scheduler.subscribed().await;
}

#[test]
fn the_wait_doubles_to_its_cap_and_is_never_less_than_half() {
    for (failures, full_ms) in
        [(1, 500), (2, 1000), (3, 2000), (5, 8000), (6, 15_000), (60, 15_000), (u32::MAX, 15_000)]
    {
        assert_eq!(backoff(failures, 0), Duration::from_millis(full_ms / 2), "{failures}");
        let most = backoff(failures, u64::MAX);
        assert!(most <= Duration::from_millis(full_ms) && most > Duration::from_millis(full_ms - 1), "{failures}");
    }
}
