//! The scheduler inside another program, without any master: it starts, serves, retries and stops.

#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::time::Duration;

use mainstay_engine::journal::Entry;
use mainstay_spec::{PhaseSpec, StepSpec, Strategy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

const SPEC: &str = "\
name: svc
pods:
  hello:
    count: 1
    tasks:
      server:
        goal: RUNNING
        cmd: sleep 1000
        cpus: 0.1
        memory: 32
      once:
        goal: ONCE
        cmd: 'true'
        cpus: 0.1
        memory: 32
";

struct Told(Arc<Mutex<Vec<Entry>>>);

impl Hook for Told {
    fn on_event(&mut self, entry: &Entry, view: &View) {
        assert_eq!(view.spec.name, "svc");
        self.0.lock().unwrap().push(entry.clone());
    }
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", address.port())).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn builder(folder: &Path) -> Builder {
    std::fs::write(folder.join("svc.yml"), SPEC).unwrap();
    std::fs::write(folder.join("executor"), "program").unwrap();
    // Nobody listens there any more.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    Scheduler::builder(folder.join("svc.yml"))
        .env([
            ("MESOS_MASTER", format!("http://{nobody}")),
            ("STATE_STORE", format!("file:{}", folder.join("state").display())),
            ("SCHEDULER_API_HOSTNAME", "127.0.0.1".to_owned()),
        ])
        .listener(TcpListener::bind("127.0.0.1:0").await.unwrap())
        .executor(folder.join("executor"))
}

#[tokio::test]
async fn it_serves_while_the_master_is_away_and_a_second_start_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let mut configurations = Vec::new();
    for _ in 0..2 {
        let (told, stop) = (Arc::default(), CancellationToken::new());
        let plan = PlanSpec {
            name: "greet".into(),
            strategy: Strategy::Serial,
            phases: vec![PhaseSpec {
                name: "greet".into(),
                pod_type: "hello".into(),
                strategy: Strategy::Serial,
                steps: vec![StepSpec { index: 0, tasks: vec!["once".into()] }],
                has_custom_steps: true,
            }],
        };
        let hook = Told(Arc::clone(&told));
        let running = builder(folder.path()).await.plan(plan).hook(hook).stop(stop.clone()).start().await.unwrap();
        let (address, view) = (running.address(), running.view());
        let client = async {
            let plans = get(address, "/v1/plans").await;
            assert!(plans.contains("\"greet\"") && plans.contains("\"deploy\""), "{plans}");
            assert!(get(address, "/v1/artifacts/executor").await.ends_with("program"));
            // Long enough for several attempts to reach the master.
            tokio::time::sleep(Duration::from_millis(700)).await;
            assert!(!view.borrow().is_subscribed);
            stop.cancel();
        };
        let (exit, ()) = tokio::join!(running.run(), client);
        assert_eq!(exit, Exit::stopped());
        configurations.extend(view.borrow().target.clone());
        let stored = |entry: &Entry| matches!(entry, Entry::ConfigurationStored { is_first: true, .. });
        let count = told.lock().unwrap().iter().filter(|entry| stored(entry)).count();
        assert_eq!(count, usize::from(configurations.len() == 1), "stored by the first start only");
    }
    assert_eq!(configurations.len(), 2);
    assert_eq!(configurations[0], configurations[1]);
}

#[tokio::test]
async fn a_state_that_is_in_use_or_of_another_service_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let running = builder(folder.path()).await.stop(stop.clone()).start().await.unwrap();
    let attempt = async {
        let settings =
            store::Settings { lock_attempts: 1, lock_wait: Duration::from_millis(50), ..store::Settings::default() };
        let exit = builder(folder.path()).await.store_settings(settings).run().await;
        stop.cancel();
        exit
    };
    let (first, second) = tokio::join!(running.run(), attempt);
    assert_eq!((first.code, second.code), (0, 8), "{}", second.reason);

    let other = builder(folder.path()).await;
    std::fs::write(folder.path().join("svc.yml"), SPEC.replace("name: svc", "name: other")).unwrap();
    let exit = other.run().await;
    assert_eq!(exit.code, 1);
    assert!(exit.reason.contains("belongs to the service \"svc\""), "{}", exit.reason);
}

#[tokio::test]
async fn a_rule_of_the_services_own_stops_a_first_start_that_breaks_it() {
    use mainstay_engine::config::validators::Problem;

    let folder = tempfile::tempdir().unwrap();
    let rule = Validator::new(|change| vec![Problem::value("name", &change.new.spec.name, "choose another one")]);
    let exit = builder(folder.path()).await.validator(rule).start().await.err().unwrap();
    assert_eq!(exit.code, crate::startup::EXIT_START);
    let text = "Field: 'name'; Value: 'svc'; Message: 'choose another one'; Fatal: false";
    assert!(exit.reason.contains(text), "{}", exit.reason);
}
