//! The embedded cluster over real HTTP, with real processes.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use mainstay_devcluster::model::resources::scalar;
use mainstay_devcluster::{Options, Running, start};
use mainstay_proto::v1::{self, executor, scheduler};
use mainstay_proto::{envelope, recordio};
use prost::Message;

const PROTOBUF: &str = "application/x-protobuf";
const DEADLINE: Duration = Duration::from_secs(30);

type Headers<'a> = &'a [(&'a str, &'a str)];

/// One request on a connection of its own.
async fn send(base: &str, request: Request<Full<Bytes>>) -> Response<Incoming> {
    let address = base.strip_prefix("http://").unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    // The connection lives as long as its body is read.
    std::mem::forget(sender);
    response
}

async fn post(base: &str, path: &str, headers: Headers<'_>, body: Vec<u8>) -> Response<Incoming> {
    let mut request = Request::post(path).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(base, request.body(Full::from(body)).unwrap()).await
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// The event stream of a subscription.
struct Events {
    body: Incoming,
    decoder: recordio::Decoder,
    stream_id: String,
    /// Offers that came while something else was waited for.
    held: Vec<v1::Offer>,
    /// For the whole test: heartbeats would push a limit per event ahead for ever.
    deadline: tokio::time::Instant,
}

impl Events {
    async fn open(base: &str, path: &str, call: &impl Message) -> Self {
        let headers = [("content-type", PROTOBUF), ("accept", PROTOBUF)];
        let response = post(base, path, &headers, call.encode_to_vec()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let stream_id = response.headers().get("mesos-stream-id").map(|id| id.to_str().unwrap().to_owned());
        Self {
            body: response.into_body(),
            decoder: recordio::Decoder::new(),
            stream_id: stream_id.unwrap_or_default(),
            held: Vec::new(),
            deadline: tokio::time::Instant::now() + DEADLINE,
        }
    }

    async fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(frame);
            }
            let frame = tokio::time::timeout_at(self.deadline, self.body.frame()).await.expect("an event in time")?;
            if let Some(data) = frame.unwrap().data_ref() {
                self.decoder.push(data);
            }
        }
    }

    /// The next event but heartbeats.
    async fn scheduler(&mut self) -> scheduler::Event {
        loop {
            let event = scheduler::Event::decode(self.frame().await.expect("the stream is open")).unwrap();
            if event.r#type() != scheduler::event::Type::Heartbeat {
                return event;
            }
        }
    }

    async fn executor(&mut self) -> executor::Event {
        executor::Event::decode(self.frame().await.expect("the stream is open")).unwrap()
    }

    async fn status(&mut self) -> v1::TaskStatus {
        loop {
            let event = self.scheduler().await;
            if let Some(update) = event.update {
                return update.status;
            }
            self.held.extend(event.offers.into_iter().flat_map(|offers| offers.offers));
        }
    }

    async fn offers(&mut self) -> Vec<v1::Offer> {
        loop {
            if !self.held.is_empty() {
                return std::mem::take(&mut self.held);
            }
            let offers = self.scheduler().await.offers;
            self.held.extend(offers.into_iter().flat_map(|offers| offers.offers));
        }
    }
}

fn framework(id: Option<&v1::FrameworkId>) -> scheduler::Call {
    use v1::framework_info::capability::Type;
    let capabilities = [Type::MultiRole, Type::ReservationRefinement, Type::PartitionAware];
    let framework_info = v1::FrameworkInfo {
        user: "root".into(),
        name: "test".into(),
        id: id.cloned(),
        checkpoint: Some(true),
        failover_timeout: Some(3600.0),
        principal: Some("p".into()),
        roles: vec!["r".into()],
        capabilities: capabilities.map(|kind| v1::framework_info::Capability { r#type: Some(kind as i32) }).to_vec(),
        ..Default::default()
    };
    let subscribe = scheduler::call::Subscribe { framework_info, ..Default::default() };
    scheduler::Call {
        framework_id: id.cloned(),
        r#type: Some(scheduler::call::Type::Subscribe as i32),
        subscribe: Some(Box::new(subscribe)),
        ..Default::default()
    }
}

async fn subscribe(cluster: &Running, id: Option<&v1::FrameworkId>) -> (Events, v1::FrameworkId) {
    let mut events = Events::open(&cluster.master_url(), "/api/v1/scheduler", &framework(id)).await;
    let subscribed = events.scheduler().await.subscribed.unwrap();
    assert!(subscribed.framework_id.value.contains('-'));
    (events, subscribed.framework_id)
}

async fn call(cluster: &Running, events: &Events, id: &v1::FrameworkId, mut call: scheduler::Call) -> StatusCode {
    call.framework_id = Some(id.clone());
    let headers = [("content-type", PROTOBUF), ("mesos-stream-id", events.stream_id.as_str())];
    post(&cluster.master_url(), "/api/v1/scheduler", &headers, call.encode_to_vec()).await.status()
}

fn reserved_disk(id: &str) -> (v1::Resource, v1::Resource) {
    let mut plain = scalar("disk", 64.0);
    plain.reservations.push(v1::resource::ReservationInfo {
        r#type: Some(v1::resource::reservation_info::Type::Dynamic as i32),
        role: Some("r".into()),
        principal: Some("p".into()),
        labels: None,
    });
    let mut volume = plain.clone();
    volume.disk = Some(Box::new(v1::resource::DiskInfo {
        persistence: Some(Box::new(v1::resource::disk_info::Persistence {
            id: id.into(),
            principal: Some("p".into()),
        })),
        volume: Some(Box::new(v1::Volume {
            container_path: "data".into(),
            mode: v1::volume::Mode::Rw as i32,
            ..Default::default()
        })),
        source: None,
    }));
    (plain, volume)
}

/// RESERVE, CREATE and LAUNCH of one task with a volume whose executor runs `command`.
fn launch(offer: &v1::Offer, task_id: &str, command: &str) -> scheduler::Call {
    use v1::offer::operation::{Create, Launch, Reserve, Type};
    let (plain, volume) = reserved_disk("v1");
    let is_there = offer.resources.iter().any(mainstay_devcluster::model::resources::is_volume);
    let executor = v1::ExecutorInfo {
        executor_id: v1::ExecutorId { value: format!("executor-of-{task_id}") },
        r#type: Some(v1::executor_info::Type::Custom as i32),
        command: Some(Box::new(v1::CommandInfo { value: Some(command.into()), ..Default::default() })),
        resources: vec![scalar("cpus", 0.1), scalar("mem", 32.0)],
        ..Default::default()
    };
    let task = v1::TaskInfo {
        name: "task".into(),
        task_id: v1::TaskId { value: task_id.into() },
        agent_id: offer.agent_id.clone(),
        resources: vec![scalar("cpus", 0.1), scalar("mem", 32.0), volume.clone()],
        executor: Some(Box::new(executor)),
        ..Default::default()
    };
    let operation = |kind: Type| v1::offer::Operation { r#type: Some(kind as i32), ..Default::default() };
    let reserve = Some(Box::new(Reserve { resources: vec![plain], source: Vec::new() }));
    let create = Some(Box::new(Create { volumes: vec![volume] }));
    let launch = Some(Box::new(Launch { task_infos: vec![task] }));
    let mut operations = vec![
        v1::offer::Operation { reserve, ..operation(Type::Reserve) },
        v1::offer::Operation { create, ..operation(Type::Create) },
    ];
    if is_there {
        operations.clear();
    }
    operations.push(v1::offer::Operation { launch, ..operation(Type::Launch) });
    let accept = scheduler::call::Accept { offer_ids: vec![offer.id.clone()], operations, filters: None };
    scheduler::Call {
        r#type: Some(scheduler::call::Type::Accept as i32),
        accept: Some(Box::new(accept)),
        ..Default::default()
    }
}

async fn wait_for(path: &Path) -> String {
    let waiting = async {
        loop {
            match std::fs::read_to_string(path) {
                Ok(text) if text.ends_with('\n') => return text,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.expect("the file appears")
}

/// The only sandbox of an executor.
fn sandbox(folder: &Path, executor_id: &str) -> PathBuf {
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            if entry.file_name() == executor_id {
                return entry.path().join("runs/latest");
            }
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            }
        }
    }
    panic!("no sandbox of {executor_id}")
}

#[tokio::test]
async fn checks_come_in_the_order_of_a_real_master() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = start(Options::new(folder.path(), 1)).await.unwrap();
    let url = cluster.master_url();
    let path = "/api/v1/scheduler";
    let get = Request::get(path).header("host", "h").body(Full::default()).unwrap();
    assert_eq!(send(&url, get).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    let json = ("content-type", "application/json");
    let subscribe = br#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n"}}}"#.to_vec();
    let unknown = br#"{"type":"REVIVE","framework_id":{"value":"nobody"}}"#.to_vec();
    let no_user = br#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"name":"n"}}}"#.to_vec();
    let rows: [(u16, Headers, Vec<u8>); 8] = [
        (400, &[], subscribe.clone()),
        (415, &[("content-type", "text/plain")], subscribe.clone()),
        (400, &[json], b"{".to_vec()),
        (400, &[json], no_user),
        (400, &[json], br#"{"framework_id":{"value":"x"}}"#.to_vec()),
        (406, &[json, ("accept", "text/plain")], subscribe.clone()),
        (400, &[json, ("mesos-stream-id", "x")], subscribe),
        (400, &[json, ("mesos-stream-id", "x")], unknown),
    ];
    for (index, (expected, headers, body)) in rows.into_iter().enumerate() {
        let response = post(&url, path, headers, body).await;
        assert_eq!(response.status().as_u16(), expected, "row {index}");
        assert!(!text(response).await.is_empty(), "row {index} says why");
    }
    // An invalid FrameworkInfo is no HTTP error.
    let bad_role = br#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n","role":"-x"}}}"#;
    let response = post(&url, "/master/api/v1/scheduler", &[json], bad_role.to_vec()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.headers().contains_key("mesos-stream-id"));
    let body = text(response).await;
    assert!(body.contains("ERROR") && body.contains("-x"), "{body}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_framework_subscribes_and_gets_offers() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = start(Options::new(folder.path(), 2)).await.unwrap();
    let (mut events, id) = subscribe(&cluster, None).await;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 2 {
        for offer in events.offers().await {
            assert_eq!(offer.framework_id, id);
            seen.insert(offer.hostname);
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["agent-1.localhost", "agent-2.localhost"]);
    // A second subscription ends the first.
    let (other, _) = subscribe(&cluster, Some(&id)).await;
    let error = events.scheduler().await.error.unwrap();
    assert_eq!(error.message, "Framework failed over");
    assert_eq!(events.frame().await, None);
    let revive = scheduler::Call { r#type: Some(scheduler::call::Type::Revive as i32), ..Default::default() };
    assert_eq!(call(&cluster, &events, &id, revive.clone()).await, StatusCode::BAD_REQUEST);
    assert_eq!(call(&cluster, &other, &id, revive).await, StatusCode::ACCEPTED);
    // The JSON endpoints agree.
    let get = Request::get("/slaves").header("host", "h").body(Full::default()).unwrap();
    let slaves: serde_json::Value = serde_json::from_str(&text(send(&cluster.master_url(), get).await).await).unwrap();
    assert_eq!(slaves["slaves"].as_array().unwrap().len(), 2);
    let get = Request::get("/frameworks").header("host", "h").body(Full::default()).unwrap();
    let frameworks: serde_json::Value =
        serde_json::from_str(&text(send(&cluster.master_url(), get).await).await).unwrap();
    assert_eq!(frameworks["frameworks"][0]["id"], id.value);
    // And so does the operator API.
    let body = br#"{"type":"GET_AGENTS"}"#.to_vec();
    let response = post(&cluster.master_url(), "/api/v1", &[("content-type", "application/json")], body).await;
    assert!(text(response).await.contains("agent-2.localhost"));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_broken_connection_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = start(Options::new(folder.path(), 1)).await.unwrap();
    let (events, id) = subscribe(&cluster, None).await;
    let stream_id = events.stream_id.clone();
    drop(events);
    let revive = scheduler::Call {
        framework_id: Some(id),
        r#type: Some(scheduler::call::Type::Revive as i32),
        ..Default::default()
    };
    let waiting = async {
        loop {
            let headers = [("content-type", PROTOBUF), ("mesos-stream-id", stream_id.as_str())];
            let url = cluster.master_url();
            if post(&url, "/api/v1/scheduler", &headers, revive.encode_to_vec()).await.status() == StatusCode::FORBIDDEN
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_real_executor_runs_with_its_volume_and_a_restart_finds_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = start(Options::new(folder.path(), 1)).await.unwrap();
    let (mut events, id) = subscribe(&cluster, None).await;
    let offer = events.offers().await.remove(0);
    let command = "echo first > data/file; echo $MESOS_AGENT_ENDPOINT $MESOS_EXECUTOR_ID > up; exec sleep 600";
    assert_eq!(call(&cluster, &events, &id, launch(&offer, "t1", command)).await, StatusCode::ACCEPTED);
    let waiting = async {
        while !folder.path().join("agent-1.localhost/slaves").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap();
    let sandbox_of = sandbox(folder.path(), "executor-of-t1");
    let up = wait_for(&sandbox_of.join("up")).await;
    let (endpoint, executor_id) = up.trim().split_once(' ').unwrap();
    let agent_url = format!("http://{endpoint}");
    assert_eq!(cluster.agent_url(0).as_deref(), Some(agent_url.as_str()));

    // This test plays the executor of that process.
    let mut executor_call = executor::Call {
        executor_id: v1::ExecutorId { value: executor_id.into() },
        framework_id: id.clone(),
        r#type: Some(executor::call::Type::Subscribe as i32),
        subscribe: Some(Box::default()),
        ..Default::default()
    };
    let mut own = Events::open(&agent_url, "/slave(1)/api/v1/executor", &executor_call).await;
    assert_eq!(own.executor().await.subscribed.unwrap().framework_info.id.as_ref(), Some(&id));
    let task = own.executor().await.launch.unwrap().task;
    assert_eq!(task.task_id.value, "t1");
    let status = v1::TaskStatus {
        task_id: task.task_id.clone(),
        state: v1::TaskState::TaskRunning as i32,
        source: Some(v1::task_status::Source::Executor as i32),
        uuid: Some(Bytes::from_static(b"0123456789abcdef")),
        ..Default::default()
    };
    executor_call.subscribe = None;
    executor_call.r#type = Some(executor::call::Type::Update as i32);
    executor_call.update = Some(Box::new(executor::call::Update { status: status.clone() }));
    let headers = [("content-type", PROTOBUF)];
    let response = post(&agent_url, "/api/v1/executor", &headers, executor_call.encode_to_vec()).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(own.executor().await.acknowledged.unwrap().task_id.value, "t1");
    let got = events.status().await;
    assert_eq!((got.state(), got.uuid.as_ref()), (v1::TaskState::TaskRunning, status.uuid.as_ref()));
    assert!(got.container_status.is_some() && got.agent_id == Some(offer.agent_id.clone()));
    // A TASK_STAGING of an executor is refused.
    executor_call.update.as_mut().unwrap().status.set_state(v1::TaskState::TaskStaging);
    let response = post(&agent_url, "/api/v1/executor", &headers, executor_call.encode_to_vec()).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    // Only one cluster works in a folder.
    let second = start(Options::new(folder.path(), 1)).await.unwrap_err();
    assert!(second.to_string().contains("another cluster"), "{second}");
    cluster.shutdown().await;

    // The next run: same framework, same agent, the executor reported as ended, the data there.
    let cluster = start(Options::new(folder.path(), 1)).await.unwrap();
    let (mut events, again) = subscribe(&cluster, Some(&id)).await;
    assert_eq!(again, id);
    let mut old = events.status().await;
    if old.state() == v1::TaskState::TaskRunning {
        // It was never acknowledged: it comes first.
        let acknowledge = scheduler::call::Acknowledge {
            agent_id: old.agent_id.clone().unwrap(),
            task_id: old.task_id.clone(),
            uuid: old.uuid.clone().unwrap(),
        };
        let acknowledge = scheduler::Call {
            r#type: Some(scheduler::call::Type::Acknowledge as i32),
            acknowledge: Some(Box::new(acknowledge)),
            ..Default::default()
        };
        assert_eq!(call(&cluster, &events, &id, acknowledge).await, StatusCode::ACCEPTED);
        old = events.status().await;
    }
    assert_eq!((old.state(), old.task_id.value.as_str()), (v1::TaskState::TaskFailed, "t1"));
    let offer = loop {
        let offers = events.offers().await;
        let found =
            offers.iter().find(|offer| offer.resources.iter().any(mainstay_devcluster::model::resources::is_volume));
        if let Some(offer) = found {
            break offer.clone();
        }
        // What came before the end of the task comes again together with its volume.
        let decline = scheduler::call::Decline {
            offer_ids: offers.into_iter().map(|offer| offer.id).collect(),
            filters: Some(v1::Filters { refuse_seconds: Some(0.0) }),
        };
        let decline = scheduler::Call {
            r#type: Some(scheduler::call::Type::Decline as i32),
            decline: Some(Box::new(decline)),
            ..Default::default()
        };
        assert_eq!(call(&cluster, &events, &id, decline).await, StatusCode::ACCEPTED);
    };
    let command = "cat data/file > seen; exit 7";
    assert_eq!(call(&cluster, &events, &id, launch(&offer, "t2", command)).await, StatusCode::ACCEPTED);
    let failure = loop {
        if let Some(failure) = events.scheduler().await.failure {
            break failure;
        }
    };
    assert_eq!(failure.status, Some(7 << 8));
    let failed = events.status().await;
    assert_eq!(
        (failed.state(), failed.reason()),
        (v1::TaskState::TaskFailed, v1::task_status::Reason::ExecutorTerminated)
    );
    assert_eq!(wait_for(&sandbox(folder.path(), "executor-of-t2").join("seen")).await, "first\n");
    cluster.shutdown().await;
}

#[tokio::test]
async fn envelopes_read_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = start(Options::new(folder.path(), 1)).await.unwrap();
    let mut events = Events::open(&cluster.master_url(), "/api/v1/scheduler", &framework(None)).await;
    loop {
        let frame = events.frame().await.unwrap();
        let event = envelope::Event::decode(frame.clone()).unwrap();
        assert_eq!(event.encode_to_vec(), frame);
        if let Some(offers) = event.offers {
            let offer = v1::Offer::decode(offers.offers[0].clone()).unwrap();
            assert_eq!(offer.hostname, "agent-1.localhost");
            break;
        }
    }
    cluster.shutdown().await;
}
