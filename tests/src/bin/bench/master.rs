//! A played Mesos master: it accepts one subscription, offers agents that are always free, and says that whatever is launched runs.
//!
//! Not a model of Mesos (`mainstay_devcluster` is): it answers at once, so that what is measured is the scheduler.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mainstay_proto::recordio;
use mainstay_proto::v1 as wire;
use mainstay_proto::v1::scheduler::{Call, Event, call, event};
use prost::Message as _;

use super::service;

const FRAMEWORK: &str = "9e1d5a2c-7d1b-4c3e-9f7a-1b2c3d4e5f60-0000";

/// Name of a RECONCILE that names no task: the scheduler sends it when it has all answers.
pub(crate) const IMPLICIT: &str = "implicit RECONCILE";

/// What the master does and has seen.
#[derive(Default)]
struct State {
    /// The subscription's connection.
    stream: Option<TcpStream>,
    role: String,
    /// Agents of which one has room for one pod.
    agents: usize,
    cpus: f64,
    /// Agents whose offer was accepted.
    used: BTreeSet<usize>,
    /// Whether a revive brings offers.
    offers: bool,
    /// Whether what is launched is said to run.
    runs: bool,
    /// When each kind of call came last, and how many there were.
    calls: BTreeMap<&'static str, (Instant, usize)>,
    /// When the scheduler subscribed last.
    subscribed: Option<Instant>,
    /// Launched tasks with their agents.
    launched: Vec<(wire::TaskId, wire::AgentId)>,
    numbers: u64,
}

/// A running master; its threads end with the process.
#[derive(Clone)]
pub(crate) struct Master {
    state: Arc<Mutex<State>>,
    port: u16,
}

impl Master {
    /// Starts with this many agents, each with room for one pod.
    pub(crate) fn start(agents: usize, cpus: f64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
        let port = listener.local_addr()?.port();
        let state = State { agents, cpus, offers: true, runs: true, ..State::default() };
        let master = Self { state: Arc::new(Mutex::new(state)), port };
        let accepting = master.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let master = accepting.clone();
                // A connection that breaks ends its thread and nothing else.
                std::thread::spawn(move || drop(master.serve(stream)));
            }
        });
        Ok(master)
    }

    /// Its address for `MESOS_MASTER`.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a revive brings offers, and whether what is launched is said to run.
    pub(crate) fn set(&self, offers: bool, runs: bool) {
        let mut state = self.state();
        state.offers = offers;
        state.runs = runs;
    }

    /// When the scheduler subscribed last.
    pub(crate) fn subscribed(&self) -> Option<Instant> {
        self.state().subscribed
    }

    /// How many calls of a kind came, and when the last did.
    pub(crate) fn calls(&self, kind: &str) -> Option<(Instant, usize)> {
        self.state().calls.get(kind).copied()
    }

    /// How many tasks were launched.
    pub(crate) fn launched(&self) -> usize {
        self.state().launched.len()
    }

    /// Sends offers of all agents, whoever asked.
    pub(crate) fn offer(&self) -> Result<()> {
        self.state().offer()
    }

    /// Says that the tasks launched last run; answers when that began to leave.
    pub(crate) fn run_last(&self, count: usize) -> Result<Instant> {
        let mut state = self.state();
        let first = state.launched.len().saturating_sub(count);
        let tasks: Vec<_> = state.launched.get(first..).unwrap_or_default().to_vec();
        let start = Instant::now();
        state.updates(&tasks, true)?;
        Ok(start)
    }

    fn serve(&self, stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        loop {
            let mut length = 0;
            let mut line = String::new();
            loop {
                line.clear();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                let lower = line.trim_end().to_ascii_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse()?;
                }
                if lower.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            let call = Call::decode(body.as_slice()).context("decode a call")?;
            let kind = call.r#type();
            if kind == call::Type::Subscribe {
                self.subscribe(&call, stream.try_clone()?)?;
                continue;
            }
            (&stream).write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?;
            self.called(kind, &call)?;
        }
    }

    fn subscribe(&self, call: &Call, mut stream: TcpStream) -> Result<()> {
        stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nMesos-Stream-Id: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        )?;
        let info = call.subscribe.as_ref().context("a SUBSCRIBE without its part")?;
        let mut state = self.state();
        state.subscribed = Some(Instant::now());
        state.role = info.framework_info.roles.first().cloned().unwrap_or_default();
        state.stream = Some(stream);
        state.used.clear();
        state.send(&Event {
            r#type: Some(event::Type::Subscribed.into()),
            subscribed: Some(Box::new(event::Subscribed {
                framework_id: wire::FrameworkId { value: FRAMEWORK.to_owned() },
                heartbeat_interval_seconds: Some(3600.0),
                ..Default::default()
            })),
            ..Default::default()
        })
    }

    fn called(&self, kind: call::Type, call: &Call) -> Result<()> {
        let mut state = self.state();
        let is_implicit = call.reconcile.as_ref().is_some_and(|reconcile| reconcile.tasks.is_empty());
        let name = if is_implicit { IMPLICIT } else { kind.as_str_name() };
        let count = state.calls.get(name).map_or(0, |(_, count)| *count);
        state.calls.insert(name, (Instant::now(), count + 1));
        if kind == call::Type::Revive && state.offers {
            state.offer()?;
        }
        if let Some(accept) = &call.accept {
            state.accepted(accept)?;
        }
        if let Some(reconcile) = call.reconcile.as_ref().filter(|reconcile| !reconcile.tasks.is_empty()) {
            let asked = reconcile.tasks.iter();
            let tasks: Vec<_> =
                asked.map(|task| (task.task_id.clone(), task.agent_id.clone().unwrap_or_default())).collect();
            state.updates(&tasks, false)?;
        }
        Ok(())
    }
}

impl State {
    fn send(&mut self, event: &Event) -> Result<()> {
        self.send_raw(&recordio::encode(&event.encode_to_vec()))
    }

    fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(stream) = &mut self.stream else { bail!("nobody is subscribed") };
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        stream.write_all(&chunk).context("send an event")
    }

    fn offer(&mut self) -> Result<()> {
        self.numbers += 1;
        let round = self.numbers;
        let offers: Vec<_> = (0..self.agents)
            .filter(|agent| !self.used.contains(agent))
            .map(|agent| {
                let mut offer = service::offer(agent, &self.role, FRAMEWORK, self.cpus);
                offer.id.value = format!("{}-{round}", offer.id.value);
                offer
            })
            .collect();
        if offers.is_empty() {
            return Ok(());
        }
        self.send_raw(&recordio::encode(&service::offers_event(offers)))
    }

    fn accepted(&mut self, accept: &call::Accept) -> Result<()> {
        let mut tasks = Vec::new();
        for operation in &accept.operations {
            let single = operation.launch.iter().flat_map(|launch| &launch.task_infos);
            let grouped = operation.launch_group.iter().flat_map(|group| &group.task_group.tasks);
            tasks.extend(single.chain(grouped).map(|task| (task.task_id.clone(), task.agent_id.clone())));
        }
        for (_, agent) in &tasks {
            if let Some(number) = agent.value.rsplit('S').next().and_then(|number| number.parse().ok()) {
                self.used.insert(number);
            }
        }
        self.launched.extend(tasks.iter().cloned());
        if self.runs { self.updates(&tasks, true) } else { Ok(()) }
    }

    /// TASK_RUNNING of each, as an update of the executor or as an answer of the master.
    fn updates(&mut self, tasks: &[(wire::TaskId, wire::AgentId)], is_update: bool) -> Result<()> {
        let mut bytes = Vec::new();
        for (task_id, agent_id) in tasks {
            self.numbers += 1;
            let mut status = wire::TaskStatus {
                task_id: task_id.clone(),
                agent_id: Some(agent_id.clone()),
                state: wire::TaskState::TaskRunning.into(),
                timestamp: Some(1_700_000_000.0 + self.numbers as f64),
                ..Default::default()
            };
            if is_update {
                status.source = Some(wire::task_status::Source::Executor.into());
                status.uuid = Some(u128::from(self.numbers).to_be_bytes().to_vec().into());
            } else {
                status.source = Some(wire::task_status::Source::Master.into());
                status.reason = Some(wire::task_status::Reason::Reconciliation.into());
            }
            let event = Event {
                r#type: Some(event::Type::Update.into()),
                update: Some(Box::new(event::Update { status })),
                ..Default::default()
            };
            bytes.extend_from_slice(&recordio::encode(&event.encode_to_vec()));
        }
        self.send_raw(&bytes)
    }
}

/// Asks until it answers, at most `within`.
pub(crate) fn until<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return Ok(value);
        }
        if start.elapsed() > within {
            bail!("{what}: not within {within:?}");
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}
