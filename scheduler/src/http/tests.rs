//! Every documented case of the API against views made by hand: one row per case, bodies as snapshots.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, header};
use bytes::Bytes;
use mainstay_engine::command::{Answer, Command, PlanVerb, PodVerb};
use mainstay_engine::ids::{AgentId, ConfigId, FrameworkId, PodInstance, TaskId, TaskName};
use mainstay_engine::resource::{LABEL_RESOURCE_ID, Reservation, ReservationKind, Resource, Value};
use mainstay_engine::state::Task;
use mainstay_engine::task::status::{State, Status};
use mainstay_engine::units::{Scalar, Timestamp};
use mainstay_engine::view::{Outcome, Outcomes, PhaseView, PlanView, StepView};
use mainstay_proto::v1;
use mainstay_spec::{ConfigSpec, Goal, PodSpec, ServiceSpec, TaskSpec};
use prost::Message as _;
use tower::ServiceExt as _;

use super::*;
use crate::control::{self, Request as Asked};

const CONFIG: &str = "7a4d4f9e-4b1c-4d0a-9a43-2f6d9f1f0001";
const UNREADABLE: &str = "7a4d4f9e-4b1c-4d0a-9a43-2f6d9f1f0002";

fn spec() -> ServiceSpec {
    let server = TaskSpec {
        name: "server".into(),
        goal: Goal::Running,
        essential: true,
        cmd: "./run".into(),
        env: BTreeMap::new(),
        configs: vec![ConfigSpec {
            name: "conf".into(),
            template_path: "conf.mustache".into(),
            dest: "etc/conf".into(),
            content: "port = {{PORT}}\n".into(),
        }],
        resource_set: "server-resource-set".into(),
        health_check: None,
        readiness_check: None,
        discovery: None,
        labels: Vec::new(),
        kill_grace_period_secs: 0,
        ..TaskSpec::default()
    };
    let hello = PodSpec {
        pod_type: "hello".into(),
        count: 2,
        allow_decommission: false,
        placement: None,
        uris: Vec::new(),
        volumes: Vec::new(),
        resource_sets: Vec::new(),
        tasks: vec![server],
        ..PodSpec::default()
    };
    ServiceSpec {
        name: "/team/hello.world".into(),
        web_url: None,
        principal: "p".into(),
        user: "nobody".into(),
        zookeeper: "zk:2181".into(),
        declared_role: None,
        pods: vec![hello],
        plans: Vec::new(),
        ..ServiceSpec::default()
    }
}

fn step(name: &str, status: &'static str) -> StepView {
    let task = TaskName::parse(name.replace(":[", "-").trim_end_matches(']')).unwrap();
    let launched = (status == "COMPLETE").then(|| (format!("x__{task}__1"), "TASK_RUNNING"));
    StepView {
        id: format!("id-of-{name}"),
        name: name.into(),
        status,
        message: format!("step {name}"),
        errors: Vec::new(),
        is_interrupted: status == "WAITING",
        tasks: vec![(task, launched.as_ref().map(|(id, _)| id.clone()), launched.map(|(_, state)| state))],
    }
}

fn plan(name: &str, status: &'static str, steps: Vec<StepView>) -> PlanView {
    let phase = PhaseView { id: "id-of-phase".into(), name: "hello".into(), status, strategy: "serial", steps };
    let phases = if phase.steps.is_empty() { Vec::new() } else { vec![phase] };
    PlanView { name: name.into(), status, strategy: "serial", errors: Vec::new(), is_interrupted: false, phases }
}

fn port(name: &str, number: u32, is_external: bool, vips: &[&str]) -> v1::Port {
    let label =
        |(place, value): (usize, &&str)| v1::Label { key: format!("VIP_{place}"), value: Some((*value).into()) };
    v1::Port {
        number,
        name: Some(name.into()),
        visibility: Some(i32::from(is_external) * 2),
        labels: Some(Box::new(v1::Labels { labels: vips.iter().enumerate().map(label).collect() })),
        ..v1::Port::default()
    }
}

fn task(index: u32, short: &str, state: Option<State>, addresses: &[&str], ports: Vec<v1::Port>) -> Task {
    let pod = PodInstance { pod_type: "hello".into(), index };
    let name = pod.task_name(short);
    let id = state.map(|_| format!("team.hello.world__{name}__1"));
    let info = v1::TaskInfo {
        name: name.to_string(),
        task_id: v1::TaskId { value: id.clone().unwrap_or_default() },
        agent_id: v1::AgentId { value: "c7b0-S1".into() },
        command: Some(Box::new(v1::CommandInfo { value: Some("./run".into()), ..v1::CommandInfo::default() })),
        discovery: Some(Box::new(v1::DiscoveryInfo {
            name: Some(format!("a.b/{short}-{index}")),
            ports: Some(Box::new(v1::Ports { ports })),
            ..v1::DiscoveryInfo::default()
        })),
        ..v1::TaskInfo::default()
    };
    let status = state.map(|state| Status {
        task_id: TaskId::parse(id.clone().unwrap()).unwrap(),
        state,
        source: None,
        reason: None,
        message: None,
        agent_id: None,
        executor_id: None,
        uuid: None,
        check_exit_code: None,
        has_check_status: false,
        is_healthy: None,
        readiness_label: None,
        addresses: addresses.iter().map(ToString::to_string).collect(),
        timestamp: None,
        bytes: v1::TaskStatus {
            task_id: v1::TaskId { value: id.clone().unwrap() },
            state: state.to_wire(),
            ..v1::TaskStatus::default()
        }
        .encode_to_vec()
        .into(),
    });
    let reservation = Reservation {
        kind: ReservationKind::Dynamic,
        role: "r".into(),
        principal: None,
        labels: vec![(LABEL_RESOURCE_ID.into(), Some(format!("reserved-{name}")))],
    };
    Task {
        name,
        info: info.encode_to_vec().into(),
        task_id: id.map(|id| TaskId::parse(id).unwrap()),
        agent_id: AgentId::parse("c7b0-S1").unwrap(),
        pod,
        config_id: ConfigId::parse(CONFIG).ok(),
        is_permanently_failed: false,
        executor: None,
        resources: vec![Resource {
            name: "cpus".into(),
            value: Value::Scalar(Scalar::from_units(1)),
            allocation_role: None,
            reservations: vec![reservation],
            disk: None,
            provider_id: None,
            shared: false,
            revocable: false,
        }],
        ports: Vec::new(),
        hostname: (short != "lost").then(|| format!("agent-{index}.example")),
        region: None,
        zone: None,
        attributes: Vec::new(),
        has_readiness_check: false,
        status,
    }
}

fn saved_status() -> Bytes {
    let address =
        v1::network_info::IpAddress { ip_address: Some("10.9.9.9".into()), ..v1::network_info::IpAddress::default() };
    let network = v1::NetworkInfo { ip_addresses: vec![address], ..v1::NetworkInfo::default() };
    let container = v1::ContainerStatus { network_infos: vec![network], ..v1::ContainerStatus::default() };
    v1::TaskStatus { container_status: Some(Box::new(container)), ..v1::TaskStatus::default() }.encode_to_vec().into()
}

/// A service in the middle of its deployment.
fn view() -> View {
    let vip = ["/broker:9092"];
    let mut stale = task(1, "stale", Some(State::Failed), &[], vec![]);
    stale.task_id = Some(TaskId::parse("team.hello.world__hello-1-stale__2").unwrap());
    let tasks = [
        task(
            0,
            "server",
            Some(State::Running),
            &["10.0.0.1"],
            vec![port("broker", 1025, true, &vip), port("hidden", 1026, false, &[]), port("", 1027, true, &[])],
        ),
        task(1, "server", Some(State::Staging), &[], vec![port("broker", 2025, true, &vip)]),
        task(
            2,
            "server",
            Some(State::Running),
            &["10.0.0.2", "fd00::2"],
            vec![port("admin", 80, true, &["bad", "x:99999", "/a/b:1", "second:2"])],
        ),
        task(10, "backup", None, &[], vec![port("admin", 81, true, &[])]),
        task(10, "lost", None, &[], vec![port("admin", 82, true, &[])]),
        stale,
    ];
    let mut side = plan("sidecar", "WAITING", vec![step("hello-0:[sidecar]", "PENDING")]);
    side.is_interrupted = true;
    let outcome = |at, passed, pod: &str| Outcome {
        at: Timestamp(at),
        pod_instance: pod.into(),
        passed,
        explanation: vec![
            "PASS(Ports):ok".into(),
            format!("{}(Cpus):0.5 < 1 & <more>", if passed { "PASS" } else { "FAIL" }),
        ],
        offer: "offer of agent-0".into(),
    };
    View {
        spec: Arc::new(spec()),
        framework_id: FrameworkId::parse("c7b0-0000").ok(),
        is_subscribed: true,
        plans: vec![
            Arc::new(plan(
                "deploy",
                "IN_PROGRESS",
                vec![step("hello-0:[server]", "COMPLETE"), step("hello-1:[server]", "PENDING")],
            )),
            Arc::new(plan("recovery", "COMPLETE", vec![])),
            Arc::new(side),
        ],
        tasks: Arc::new(tasks.map(|task| (task.name.clone(), Arc::new(task))).into()),
        target: ConfigId::parse(CONFIG).ok(),
        configurations: Arc::new(BTreeMap::from([
            (ConfigId::parse(CONFIG).unwrap(), Bytes::from_static(b"{\"name\" : \"hello\", \"x\" : 1.2345678E7}")),
            (ConfigId::parse(UNREADABLE).unwrap(), Bytes::from_static(b"?")),
        ])),
        parsed_configurations: Arc::new(BTreeMap::from([(ConfigId::parse(CONFIG).unwrap(), Arc::new(spec()))])),
        properties: Arc::new(BTreeMap::from([
            ("hello-1-server:task-status".to_owned(), saved_status()),
            ("b".to_owned(), Bytes::from_static(b"DEPLOY\xff")),
        ])),
        outcomes: Arc::new(Outcomes {
            recent: [outcome(1, false, "hello-0"), outcome(2, true, "hello-1")].into(),
            accepted: 1,
            rejected: 1,
            failure_reasons: BTreeMap::from([("Cpus".to_owned(), 1)]),
            rejected_agents: BTreeMap::from([("c7b0-S1".to_owned(), 1)]),
        }),
        waiting: Arc::new(vec!["deploy / hello / hello-1:[server]: waits for an offer".into()]),
    }
}

/// The API over a view; commands are answered by a function.
fn api(view: View, answer: impl Fn(Command) -> Answer + Send + 'static) -> Router {
    let (commands, mut requests) = control::channel();
    tokio::spawn(async move {
        while let Some(Asked::Command { command, answer: sender }) = requests.recv().await {
            sender.send(answer(command)).ok();
        }
    });
    router::router(AppState {
        view: watch::channel(Arc::new(view)).1,
        commands,
        executor_path: "/nonexistent/executor".into(),
        service_tld: "autoip.dcos.thisdcos.directory".into(),
        vip_tld: "l4lb.thisdcos.directory".into(),
    })
}

fn readable() -> Router {
    api(view(), |_| unreachable!("a read sends no command"))
}

async fn send(api: &Router, request: Request<Body>) -> Response<Body> {
    api.clone().oneshot(request).await.unwrap()
}

fn request(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

async fn body(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

/// Status line, content type and body of each request.
async fn transcript(api: &Router, requests: impl IntoIterator<Item = Request<Body>>) -> String {
    let mut out = String::new();
    for request in requests {
        let line = format!("{} {}", request.method(), request.uri());
        let response = send(api, request).await;
        let status = response.status().as_u16();
        let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        let body = body(response).await;
        writeln!(out, "> {line}\n< {status} {}\n{body}\n", kind.unwrap_or_default()).unwrap();
    }
    out
}

async fn reads(paths: &[&str]) -> String {
    transcript(&readable(), paths.iter().map(|path| request("GET", path))).await
}

// contract: 3.7/list
#[tokio::test]
async fn plans_are_read() {
    insta::assert_snapshot!(
        reads(&["/v1/plans", "/v1/plans/deploy", "/v1/plan", "/v1/plans/recovery", "/v1/plans/sidecar", "/v1/plans/x"])
            .await
    );
}

// contract: 3.7/get
#[tokio::test]
async fn the_status_of_a_plan_decides_the_code() {
    let mut view = view();
    let mut failed = plan("deploy", "ERROR", vec![]);
    failed.errors = vec!["first".into(), "second".into()];
    view.plans = vec![Arc::new(failed)];
    for (status, code) in [("COMPLETE", 200), ("WAITING", 202), ("DELAYED", 202), ("PENDING", 202), ("STARTED", 202)] {
        view.plans.push(Arc::new(plan(status, status, vec![])));
        let response =
            send(&api(view.clone(), |_| unreachable!()), request("GET", &format!("/v1/plans/{status}"))).await;
        assert_eq!(response.status().as_u16(), code, "{status}");
    }
    let shown = transcript(&api(view, |_| unreachable!()), [request("GET", "/v1/plans/deploy")]).await;
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn pods_are_read_in_both_generations() {
    insta::assert_snapshot!(
        reads(&[
            "/v1/pod",
            "/v1/pod/status",
            "/v1/pod/hello-0/status",
            "/v1/pod/hello-3/status",
            "/v1/pod/hello-0/info",
            "/v1/pod/hello-10/info",
            "/v1/pod/hello-00/info",
            "/v1/pods",
            "/v1/pods/status",
            "/v1/pods/hello-10/status",
            "/v1/pods/hello-3/status",
        ])
        .await
    );
}

#[tokio::test]
async fn without_tasks_pods_are_absent() {
    let mut empty = view();
    empty.tasks = Arc::default();
    let api = api(empty, |_| unreachable!());
    let paths = ["/v1/pod", "/v1/pod/status", "/v1/pods/status", "/v1/endpoints"];
    insta::assert_snapshot!(transcript(&api, paths.map(|path| request("GET", path))).await);
}

// contract: 4.2/task-dns 4.2/vip
#[tokio::test]
async fn endpoints_come_from_external_ports() {
    insta::assert_snapshot!(
        reads(&["/v1/endpoints", "/v1/endpoints/broker", "/v1/endpoints/admin", "/v1/endpoints/hidden"]).await
    );
}

#[tokio::test]
async fn state_and_configurations_are_read() {
    insta::assert_snapshot!(
        reads(&[
            "/v1/state/frameworkId",
            "/v1/state/properties",
            "/v1/state/properties/b",
            "/v1/state/properties/c",
            "/v1/configurations",
            &format!("/v1/configurations/{}", CONFIG.to_uppercase()),
            "/v1/configurations/7a4d4f9e-4b1c-4d0a-9a43-2f6d9f1f0009",
            "/v1/configurations/seven",
            "/v1/configurations/targetId",
            "/v1/configurations/target",
            &format!("/v1/artifacts/template/{CONFIG}/hello/server/conf"),
            &format!("/v1/artifacts/template/{CONFIG}/hello/server/other"),
            &format!("/v1/artifacts/template/{CONFIG}/hello/other/conf"),
            &format!("/v1/artifacts/template/{UNREADABLE}/hello/server/conf"),
            "/v1/artifacts/template/7a4d4f9e-4b1c-4d0a-9a43-2f6d9f1f0009/hello/server/conf",
            "/v1/artifacts/template/seven/hello/server/conf",
            "/v1/artifacts/executor",
        ])
        .await
    );
}

#[tokio::test]
async fn nothing_is_found_before_the_first_registration() {
    let mut young = view();
    young.framework_id = None;
    young.target = None;
    let young_api = api(young.clone(), |_| unreachable!());
    young.target = ConfigId::parse("7a4d4f9e-4b1c-4d0a-9a43-2f6d9f1f0009").ok();
    let broken_api = api(young, |_| unreachable!());
    for (api, path, code) in [
        (&young_api, "/v1/state/frameworkId", 404),
        (&young_api, "/v1/configurations/targetId", 404),
        (&young_api, "/v1/configurations/target", 404),
        (&broken_api, "/v1/configurations/target", 500),
    ] {
        let response = send(api, request("GET", path)).await;
        assert_eq!(response.status().as_u16(), code, "{path}");
        assert_eq!(body(response).await, "");
    }
}

#[tokio::test]
async fn templates_are_plain_text_or_nothing() {
    let path = format!("/v1/artifacts/template/{CONFIG}/hello/server/conf");
    for (accept, code) in
        [("text/plain", 200), ("*/*", 200), ("application/json, TEXT/*;q=0.5", 200), ("application/json", 406)]
    {
        let request = Request::get(&path).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
        assert_eq!(send(&readable(), request).await.status().as_u16(), code, "{accept}");
    }
}

#[tokio::test]
async fn debugging_views_are_read() {
    insta::assert_snapshot!(
        reads(&[
            "/v1/waiting",
            "/v2/debug/offers",
            "/v1/debug/offers",
            "/v1/debug/offers?json=true",
            "/v1/debug/plans",
            "/v1/debug/plans?plan=DEPLOY&phase=hello&step=hello-1:[server]",
            "/v1/debug/plans?plan=x",
            "/v1/debug/plans?phase=hello",
            "/v1/debug/plans?plan=deploy&phase=x",
            "/v1/debug/plans?plan=deploy&step=x",
            "/v1/debug/plans?plan=deploy&phase=hello&step=x",
            "/v1/debug/taskStatuses",
            "/v1/debug/taskStatuses?plan=deploy&phase=hello&step=x",
            "/v1/debug/taskStatuses?plan=x",
            "/v1/debug/reservations",
        ])
        .await
    );
}

#[tokio::test]
async fn health_is_the_first_rule_that_matches() {
    let deployed = || {
        let mut view = view();
        view.plans = vec![
            Arc::new(plan("deploy", "COMPLETE", vec![step("hello-0:[server]", "COMPLETE")])),
            Arc::new(plan("recovery", "COMPLETE", vec![])),
        ];
        view
    };
    let with = |change: &dyn Fn(&mut View)| {
        let mut view = deployed();
        change(&mut view);
        view
    };
    let deploy = |status| {
        with(&|view| {
            let steps = vec![step("hello-0:[server]", status), step("hello-1:[server]", "COMPLETE")];
            view.plans[0] = Arc::new(plan("deploy", "IN_PROGRESS", steps));
        })
    };
    let recovery = |status| {
        with(&|view| view.plans[1] = Arc::new(plan("recovery", "IN_PROGRESS", vec![step("hello-0:[server]", status)])))
    };
    let side = |name: &'static str| {
        with(&|view| view.plans.push(Arc::new(plan(name, "IN_PROGRESS", vec![step("hello-0:[x]", "STARTING")]))))
    };
    let rows: Vec<(&str, View, u16)> = vec![
        ("deployed", deployed(), 200),
        (
            "errors win over everything",
            with(&|view| {
                let mut failed = plan("side", "ERROR", vec![]);
                failed.errors.push("why".into());
                view.plans.push(Arc::new(failed));
                view.framework_id = None;
            }),
            500,
        ),
        ("not registered", with(&|view| view.framework_id = None), 318),
        ("deploy delayed", deploy("DELAYED"), 208),
        ("deploy pending", deploy("PENDING"), 204),
        ("deploy prepared", deploy("PREPARED"), 204),
        ("deploy starting", deploy("STARTING"), 202),
        ("deploy started", deploy("STARTED"), 202),
        ("step held", deploy("WAITING"), 207),
        ("plan held", with(&|view| Arc::make_mut(&mut view.plans[0]).is_interrupted = true), 207),
        ("recovery delayed", recovery("DELAYED"), 208),
        ("recovery pending", recovery("PENDING"), 203),
        ("recovery started", recovery("STARTED"), 205),
        ("restoring", side("restore-s3"), 321),
        ("backing up", side("backup-s3"), 320),
        ("no deploy plan", with(&|view| view.plans.clear()), 503),
        (
            "deploy in no known state",
            with(&|view| view.plans[0] = Arc::new(plan("deploy", "IN_PROGRESS", vec![]))),
            503,
        ),
    ];
    for (name, view, code) in rows {
        let response = send(&api(view, |_| unreachable!()), request("GET", "/v1/health")).await;
        assert_eq!(response.status().as_u16(), code, "{name}");
        assert!(response.headers().get(header::LOCATION).is_none());
        let expected = if code == 204 { String::new() } else { format!("{{\"value\": {code}}}") };
        assert_eq!(body(response).await, expected, "{name}");
    }
    let verbose = api(recovery("STARTED"), |_| unreachable!());
    insta::assert_snapshot!(transcript(&verbose, [request("GET", "/v1/health?verbose=true")]).await);
}

/// What the engine is asked, and what the caller gets for each answer.
#[track_caller]
fn plan_command(plan: &str, verb: PlanVerb, phase: Option<&str>, step: Option<&str>) -> Command {
    Command::Plan { plan: plan.into(), verb, phase: phase.map(Into::into), step: step.map(Into::into) }
}

// contract: 3.7/stop 3.7/others
#[tokio::test]
async fn commands_reach_the_engine_as_they_were_meant() {
    let rows = [
        ("/v1/plans/deploy/stop", plan_command("deploy", PlanVerb::Stop, None, None)),
        ("/v1/plans/deploy/continue", plan_command("deploy", PlanVerb::Continue, None, None)),
        ("/v1/plans/deploy/continue?phase=a+b", plan_command("deploy", PlanVerb::Continue, Some("a b"), None)),
        ("/v1/plans/deploy/interrupt?phase=", plan_command("deploy", PlanVerb::Interrupt, Some(""), None)),
        ("/v1/plans/deploy/interrupt?step=x", plan_command("deploy", PlanVerb::Interrupt, None, None)),
        ("/v1/plans/deploy/restart?phase=&step=", plan_command("deploy", PlanVerb::Restart, None, None)),
        ("/v1/plans/deploy/restart?phase=h", plan_command("deploy", PlanVerb::Restart, Some("h"), None)),
        ("/v1/plans/deploy/restart?step=s", plan_command("deploy", PlanVerb::Restart, None, Some("s"))),
        (
            "/v1/plans/deploy/forceComplete?phase=hello&step=hello-0:[server]",
            plan_command("deploy", PlanVerb::ForceComplete, Some("hello"), Some("hello-0:[server]")),
        ),
        (
            "/v1/plans/my%20plan/forceComplete/?phase=hello&step=hello-0%3A%5Bserver,+side%5D",
            plan_command("my plan", PlanVerb::ForceComplete, Some("hello"), Some("hello-0:[server, side]")),
        ),
        ("/v1/plans/side/start", plan_command("side", PlanVerb::Start(BTreeMap::new()), None, None)),
        ("/v1/plan/continue?phase=ignored", plan_command("deploy", PlanVerb::Continue, None, None)),
        ("/v1/plan/interrupt", plan_command("deploy", PlanVerb::Interrupt, None, None)),
        ("/v1/plan/restart?phase=h&step=s", plan_command("deploy", PlanVerb::Restart, Some("h"), Some("s"))),
        (
            "/v1/plan/forceComplete?phase=h&step=s",
            plan_command("deploy", PlanVerb::ForceComplete, Some("h"), Some("s")),
        ),
        ("/v1/pod/hello-0/restart", Command::Pod { pod: "hello-0".into(), verb: PodVerb::Restart }),
        ("/v1/pods/hello-0/replace", Command::Pod { pod: "hello-0".into(), verb: PodVerb::Replace }),
    ];
    for (path, expected) in rows {
        let asked = Arc::new(std::sync::Mutex::new(None));
        let seen = Arc::clone(&asked);
        let api = api(view(), move |command| {
            *seen.lock().unwrap() = Some(command);
            Answer::Received
        });
        let response = send(&api, request("POST", path)).await;
        assert_eq!(response.status().as_u16(), 200, "{path}");
        assert_eq!(asked.lock().unwrap().take(), Some(expected), "{path}");
        let verb = path.split(['?']).next().unwrap().trim_end_matches('/').rsplit('/').next().unwrap();
        assert_eq!(body(response).await, format!("{{\"message\": \"Received cmd: {verb}\"}}"));
    }
}

// contract: 6.5/pause
#[tokio::test]
async fn every_answer_has_its_code_and_text() {
    let tasks = vec!["dse-1-agent".to_owned(), "dse-1-node".to_owned()];
    let missing = |kind, name: &str| Answer::NotFound { kind, name: name.into() };
    let rows = [
        ("/v1/plans/deploy/restart", Answer::Received, 200, "{\"message\": \"Received cmd: restart\"}"),
        ("/v1/plans/deploy/continue", Answer::Already, 208, "Command has already been reported or completed"),
        ("/v1/plans/x/stop", missing("Plan", "x"), 404, "Element not found"),
        ("/v1/plans/deploy/continue?phase=x", missing("Phase", "x"), 404, "Element not found"),
        ("/v1/plans/deploy/restart?step=s", Answer::MissingPhase, 400, "Missing phase"),
        ("/v1/plans/deploy/restart", Answer::Refused("not now: because".into()), 409, "not now: because"),
        ("/v1/pod/dse-9/restart", missing("Pod", "dse-9"), 404, "Pod dse-9 not found"),
        (
            "/v1/pod/dse-1/replace",
            Answer::PodAction { pod: "dse-1".into(), tasks },
            200,
            "{\n  \"pod\": \"dse-1\",\n  \"tasks\": [\n    \"dse-1-agent\",\n    \"dse-1-node\"\n  ]\n}",
        ),
    ];
    for (path, answer, code, text) in rows {
        let response = send(&api(view(), move |_| answer.clone()), request("POST", path)).await;
        assert_eq!(response.status().as_u16(), code, "{path}");
        assert_eq!(body(response).await, text, "{path}");
    }
    for path in ["/v1/pod/hello-0/pause", "/v1/pod/hello-0/resume"] {
        let response = send(&readable(), request("POST", path)).await;
        assert_eq!(response.status().as_u16(), 501);
        assert_eq!(body(response).await, "not supported yet");
    }
}

#[tokio::test]
async fn a_scheduler_that_stops_says_so() {
    let (commands, requests) = control::channel();
    drop(requests);
    let app = AppState {
        view: watch::channel(Arc::new(view())).1,
        commands,
        executor_path: PathBuf::new(),
        service_tld: String::new(),
        vip_tld: String::new(),
    };
    let response = send(&router::router(app), request("POST", "/v1/plans/deploy/stop")).await;
    assert_eq!(response.status().as_u16(), 503);
    assert_eq!(body(response).await, "the scheduler is stopping; try again in a moment");
}

// contract: 3.7/start
#[tokio::test]
async fn start_reads_its_parameters_strictly() {
    type Row<'a> = (Option<&'a str>, &'a str, &'a [(&'a str, &'a str)]);
    let json = Some("application/json");
    let good: [Row<'_>; 6] = [
        (json, "{}", &[]),
        (json, "", &[]),
        (None, "", &[]),
        (json, r#"{"A": "x\"y", "_b9": 1.50, "C": true}"#, &[("A", "x\"y"), ("C", "true"), ("_b9", "1.50")]),
        (Some("Application/JSON; charset=utf-8"), r#"{"A":"1","A":"2"}"#, &[("A", "2")]),
        (json, "{\"A\": \"\"}\n", &[("A", "")]),
    ];
    let post = |content_type: Option<&str>, body: &str| {
        let mut request = Request::post("/v1/plans/side/start");
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        request.body(Body::from(body.to_owned())).unwrap()
    };
    for (content_type, text, expected) in good {
        let expected: BTreeMap<String, String> = expected.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let api = api(view(), move |command| {
            assert_eq!(command, plan_command("side", PlanVerb::Start(expected.clone()), None, None));
            Answer::Received
        });
        assert_eq!(send(&api, post(content_type, text)).await.status().as_u16(), 200, "{text}");
    }
    let big = format!("{{\"A\": \"{}\"}}", "x".repeat(BODY_BYTES));
    let bad = [
        (None, "{}", 415),
        (Some("text/plain"), "{}", 415),
        (Some("application/x-www-form-urlencoded"), "", 415),
        (json, "{", 400),
        (json, "[]", 400),
        (json, "null", 400),
        (json, r#"{"A": {}}"#, 400),
        (json, r#"{"A": []}"#, 400),
        (json, r#"{"A": null}"#, 400),
        (json, r#"{"9A": "x"}"#, 400),
        (json, r#"{"": "x"}"#, 400),
        (json, r#"{"A-B": "x"}"#, 400),
        (json, big.as_str(), 413),
    ];
    let mut texts = String::new();
    for (content_type, text, code) in bad {
        let response = send(&readable(), post(content_type, text)).await;
        assert_eq!(response.status().as_u16(), code, "{text}");
        writeln!(texts, "{} => {code} {}", &text[..text.len().min(20)], body(response).await).unwrap();
    }
    insta::assert_snapshot!(texts);
}

#[tokio::test]
async fn paths_and_verbs_follow_the_common_rules() {
    let rows = [
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/metrics", 404),
        ("GET", "/v1/plans/", 200),
        ("GET", "/v1/plans//", 404),
        ("HEAD", "/v1/plans/deploy", 202),
        ("HEAD", "/v1/plans/x", 404),
        ("DELETE", "/v1/plans", 405),
        ("POST", "/v1/plans", 405),
        ("GET", "/v1/plans/deploy/stop", 405),
        ("POST", "/v1/plans/deploy/explode", 404),
        ("PUT", "/v1/state/refresh", 409),
        ("OPTIONS", "/v1/plans", 200),
        ("OPTIONS", "/v1/nothing", 404),
        ("POST", "/v1/pods/hello-0/pause", 404),
        ("GET", "/v1/plans/a%2Fb", 404),
    ];
    for (method, path, code) in rows {
        let response = send(&readable(), request(method, path)).await;
        assert_eq!(response.status().as_u16(), code, "{method} {path}");
        let allow = response.headers().get(header::ALLOW).map(|allow| allow.to_str().unwrap().to_owned());
        if code == 405 || (method == "OPTIONS" && code == 200) {
            let expected = if path.ends_with("/stop") { "POST" } else { "GET,HEAD" };
            assert_eq!(allow.as_deref(), Some(expected), "{method} {path}");
        }
        if !path.starts_with("/v1/plans/") && code != 200 || method == "HEAD" {
            assert_eq!(body(response).await, "", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_panic_is_one_500_without_a_body() {
    // No handler is known to panic, so the guard is tried on one made to.
    let guarded = Router::new()
        .route("/", axum::routing::get(async || -> &'static str { panic!("on purpose") }))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(router::panicked));
    let response = send(&guarded, request("GET", "/")).await;
    assert_eq!(response.status().as_u16(), 500);
    assert_eq!(body(response).await, "");
}

/// What the HTTP layer below the router adds can only be seen on a socket.
#[tokio::test]
async fn over_a_socket_lengths_are_sent_and_shutdown_ends_the_server() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let folder = tempfile::tempdir().unwrap();
    let executor = folder.path().join("mainstay-executor");
    std::fs::write(&executor, vec![7u8; 300_000]).unwrap();
    let (commands, _requests) = control::channel();
    let (_sender, view) = watch::channel(Arc::new(view()));
    let app = AppState { view, commands, executor_path: executor, service_tld: "t".into(), vip_tld: "v".into() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(serve(listener, app, shutdown.clone()));

    let ask = async |head: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let split = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        (String::from_utf8(answer[..split].to_vec()).unwrap().to_ascii_lowercase(), answer.len() - split - 4)
    };
    for (head, status, length, sent) in [
        ("GET /v1/artifacts/executor HTTP/1.1", "200 ok", 300_000, 300_000),
        ("HEAD /v1/artifacts/executor HTTP/1.1", "200 ok", 300_000, 0),
        ("GET /v1/plans/x HTTP/1.1", "404 not found", 17, 17),
        ("GET /nothing HTTP/1.1", "404 not found", 0, 0),
        ("PUT /v1/state/refresh HTTP/1.1", "409 conflict", 0, 0),
        ("GET /v1/debug/plans?step=a:[b,c]&phase=x HTTP/1.1", "200 ok", 54, 54),
    ] {
        let (answer, body) = ask(head).await;
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{head}: {answer}");
        assert!(answer.contains(&format!("content-length: {length}")), "{head}: {answer}");
        assert_eq!(body, sent, "{head}");
    }

    // A client that keeps its connection open does not hold the shutdown up.
    let idle = tokio::net::TcpStream::connect(address).await.unwrap();
    shutdown.cancel();
    tokio::time::timeout(DRAIN_WITHIN * 2, server).await.unwrap().unwrap().unwrap();
    drop(idle);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// The API over a fresh engine, which answers questions about placement.
fn explaining(events: Vec<mainstay_engine::event::Event>) -> Router {
    use mainstay_engine::ids::Generator;
    use mainstay_engine::units::Timestamp;
    use mainstay_engine::{Engine, config::Config};

    let config = Config::new("hello-role", "scheduler", 8080);
    let (mut engine, _) =
        Engine::start(config, spec(), BTreeMap::new(), Generator::seeded(1), Timestamp(0)).expect("it starts");
    for event in events {
        engine.step(event, Timestamp(0));
    }
    let (commands, mut requests) = control::channel();
    let view = engine.view();
    tokio::spawn(async move {
        while let Some(Asked::Question { answer }) = requests.recv().await {
            answer.send(engine.question()).ok();
        }
    });
    router::router(AppState {
        view: watch::channel(view).1,
        commands,
        executor_path: PathBuf::new(),
        service_tld: String::new(),
        vip_tld: String::new(),
    })
}

#[tokio::test]
async fn placement_is_explained() {
    let paths =
        ["/v1/placement", "/v1/placement/hello", "/v1/placement/hello-1", "/v1/placement/hello-2", "/v1/placement/x"];
    let requests = paths.map(|path| request("GET", path));
    insta::assert_snapshot!(transcript(&explaining(Vec::new()), requests).await);
}

#[tokio::test]
async fn the_last_offers_are_given_in_the_json_of_mesos() {
    use mainstay_engine::event::{Event, Master};
    use mainstay_engine::ids::{AgentId, FrameworkId, OfferId};
    use mainstay_engine::offer::Offer;
    use mainstay_engine::resource::{Ranges, Reservation, ReservationKind, Resource, Value};
    use mainstay_engine::units::Scalar;

    let plain = |name: &str, value| Resource {
        name: name.into(),
        value,
        allocation_role: Some("hello-role".into()),
        reservations: Vec::new(),
        disk: None,
        provider_id: None,
        shared: false,
        revocable: false,
    };
    let reserved = Reservation {
        kind: ReservationKind::Dynamic,
        role: "hello-role".into(),
        principal: Some("p".into()),
        labels: vec![("resource_id".into(), Some("r1".into())), ("framework_id".into(), Some("another".into()))],
    };
    let too_small = Offer {
        id: OfferId::parse("o1").unwrap(),
        agent_id: AgentId::parse("s1").unwrap(),
        hostname: "a1".into(),
        region: Some("eu".into()),
        zone: Some("eu-1".into()),
        attributes: vec![("rack".into(), "r1".into())],
        resources: vec![
            plain("cpus", Value::Scalar(Scalar::from_millis(10))),
            plain("ports", Value::Ranges(Ranges::new([(1, 2), (5, 9)]))),
            Resource { reservations: vec![reserved], ..plain("mem", Value::Scalar(Scalar::from_units(32))) },
        ],
        executor_ids: Vec::new(),
        allocation_role: Some("hello-role".into()),
    };
    let framework_id = FrameworkId::parse("f1").unwrap();
    let subscribed =
        Event::Subscribed { framework_id, master: Master { region: Some("eu".into()), ..Master::default() } };
    let paths = ["/v1/placement/offers"].map(|path| request("GET", path));
    let none = transcript(&explaining(Vec::new()), paths).await;
    let paths = ["/v1/placement/offers"].map(|path| request("GET", path));
    let one = transcript(&explaining(vec![subscribed, Event::Offers(vec![too_small])]), paths).await;
    insta::assert_snapshot!(format!("{none}{one}"));
}
