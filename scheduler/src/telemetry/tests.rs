#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::sync::{Arc, Mutex};

use mainstay_engine::ids::{AgentId, ExecutorId, OfferId, PodInstance, ResourceId, TaskId, TaskName};
use mainstay_engine::units::Millis;

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn printed(log: impl FnOnce()) -> String {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .finish();
    tracing::subscriber::with_default(subscriber, log);
    let bytes = buffer.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn entries() -> Vec<Entry> {
    let task = || TaskName::parse("hello-0-server").unwrap();
    let task_id = || TaskId::parse("svc__hello-0-server__1").unwrap();
    let agent_id = || AgentId::parse("a-S0").unwrap();
    let pod = || PodInstance { pod_type: "hello".into(), index: 0 };
    let resource = || ResourceId::parse("r1").unwrap();
    vec![
        Entry::Subscribed { framework_id: "a-0000".into(), master: "m1".into(), is_new: true },
        Entry::Subscribed { framework_id: "a-0000".into(), master: "m1".into(), is_new: false },
        Entry::Disconnected,
        Entry::AgentLost { agent_id: agent_id() },
        Entry::ExecutorLost { agent_id: agent_id(), executor_id: ExecutorId::parse("e").unwrap(), status: Some(9) },
        Entry::WaitingForOffers { step: "hello-0:[server]".into(), why: "waits for an offer".into() },
        Entry::OffersReceived { count: 3 },
        Entry::Evaluated {
            step: "hello-0:[server]".into(),
            offer_id: OfferId::parse("a-O1").unwrap(),
            passed: false,
            report: "Offer 1: failed 1 of 2 evaluation stages for hello-0:[server], offer a-O1, agent h:\n  \
                     PASS(PlacementRuleEvaluationStage): No placement rule defined\n  FAIL(ResourceEvaluationStage): cpus\n"
                .into(),
            is_news: true,
        },
        Entry::Launched { task: task(), task_id: task_id(), agent_id: agent_id(), hostname: "h".into() },
        Entry::OffersMalformed {
            reason: "backward range",
            agent: "a-S0".into(),
            error: "resource 'ports' has the range 3-1".into(),
        },
        Entry::Declined { count: 1, refuse: Millis(5000) },
        Entry::Revived,
        Entry::ReviveThrottled,
        Entry::Suppressed,
        Entry::Evaluated {
            step: "hello-0:[server]".into(),
            offer_id: OfferId::parse("a-O2").unwrap(),
            passed: false,
            report: "Offer 2: failed again".into(),
            is_news: false,
        },
        Entry::StatusReceived {
            task_id: task_id(),
            state: State::Running,
            reason: Some(28),
            message: None,
            is_ready: Some(false),
            is_healthy: None,
            is_news: true,
        },
        Entry::StatusReceived {
            task_id: task_id(),
            state: State::Running,
            reason: Some(9),
            message: None,
            is_ready: None,
            is_healthy: None,
            is_news: false,
        },
        Entry::StatusReceived {
            task_id: task_id(),
            state: State::Running,
            reason: Some(999),
            message: None,
            is_ready: None,
            is_healthy: Some(false),
            is_news: true,
        },
        Entry::StatusReceived {
            task_id: task_id(),
            state: State::Failed,
            reason: Some(1),
            message: Some("exit status 1\nsecond line".into()),
            is_ready: None,
            is_healthy: None,
            is_news: true,
        },
        Entry::StatusIgnored { task_id: task_id(), state: State::Running, why: "an older launch" },
        Entry::UnknownTaskKilled { task_id: task_id(), state: State::Running },
        Entry::TaskKilled { task_id: task_id(), why: "restart" },
        Entry::PlanBegins { plan: "deploy".into(), status: "IN_PROGRESS", steps: 3, complete: 1 },
        Entry::StepChanged {
            plan: "deploy".into(),
            phase: "hello".into(),
            step: "hello-0:[server]".into(),
            from: "PENDING",
            to: "STARTING",
        },
        Entry::PlanChanged { plan: "deploy".into(), from: "IN_PROGRESS", to: "COMPLETE" },
        Entry::RecoveryStarted { pod: pod(), tasks: vec!["server".into(), "agent".into()], kind: "TRANSIENT" },
        Entry::ReservationDropped { pod: pod(), resources: vec![resource()], why: "replaced" },
        Entry::OrphansReleased { agent_id: agent_id(), destroyed: 1, unreserved: vec![resource()] },
        Entry::OperationFailed { operation_id: "o".into(), state: 3, message: Some("no".into()) },
        Entry::ReconciliationStarted { tasks: 4 },
        Entry::ReconciliationFinished { unanswered: 0 },
        Entry::ReconciliationFinished { unanswered: 2 },
        Entry::ConfigurationStored { config_id: "c".into(), is_first: true },
        Entry::ConfigurationRefused { problems: vec!["pod count shrank".into(), "user changed".into()] },
        Entry::ConfigurationWarned { problems: vec!["the name is long".into()] },
        Entry::MasterLacks { version: "1.7.0".into(), features: vec!["pods.hello: seccomp".into()] },
        Entry::StatePartlyUnreadable { path: "Tasks/x/TaskInfo".into(), problem: "truncated".into() },
        Entry::Repaired { task: task(), what: "task id of the status" },
        Entry::CommandReceived { text: "plan deploy continue".into(), answer: "received" },
    ]
}

#[test]
fn every_entry_is_one_event_with_its_level_and_fields() {
    let text: String = entries().iter().map(|entry| printed(|| log(entry))).collect();
    insta::assert_snapshot!(text);
}

// contract: 5.1/FRAMEWORK_LOG_LEVEL
#[test]
fn levels_are_those_of_the_sdk_and_rust_log_wins() {
    #[track_caller]
    fn check(pairs: &[(&str, &str)], expected: &str) {
        let vars = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let found = filter(&vars).map_or_else(|error| error, |filter| filter.to_string());
        assert!(found.contains(expected), "{found}");
    }
    check(&[], "mainstay_scheduler=info");
    check(&[("FRAMEWORK_LOG_LEVEL", "debug")], "mainstay_scheduler=debug");
    check(&[("FRAMEWORK_LOG_LEVEL", "OFF")], "mainstay_scheduler=off");
    check(&[("FRAMEWORK_LOG_LEVEL", "ALL")], "mainstay_scheduler=trace");
    check(&[("FRAMEWORK_LOG_LEVEL", "DEBUG"), ("RUST_LOG", "error")], "error");
    check(&[("FRAMEWORK_LOG_LEVEL", "loud")], "FRAMEWORK_LOG_LEVEL: \"LOUD\" is none of");
}

#[test]
fn a_chain_names_each_cause_once() {
    #[derive(Debug, thiserror::Error)]
    #[error("reading the leader: {source}")]
    struct Repeats {
        source: std::io::Error,
    }
    #[derive(Debug, thiserror::Error)]
    #[error("subscribing")]
    struct Plain(#[source] Repeats);
    let error = Plain(Repeats { source: std::io::Error::other("refused") });
    assert_eq!(chain(&error), "subscribing: reading the leader: refused");
}
