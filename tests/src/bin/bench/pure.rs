//! The engine and the conversion alone: no socket, no store, no clock but the measuring one.
//!
//! Not here: the evaluation of offers (`evaluation.rs`).

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use mainstay_engine::Engine;
use mainstay_engine::effect::Call;
use mainstay_engine::event::{Event, Master};
use mainstay_engine::ids::{AgentId, FrameworkId, Generator};
use mainstay_engine::offer::Offer;
use mainstay_engine::task::status::{State, Status};
use mainstay_engine::units::Timestamp;
use mainstay_scheduler::mesos::convert::{self, Incoming};

use super::child::{self, Peak};
use super::row::{Row, Value, best_of};
use super::service::{self, ROLE};

pub(crate) const FRAMEWORK: &str = "9e1d5a2c-7d1b-4c3e-9f7a-1b2c3d4e5f60-0000";
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// An engine that is subscribed and reconciled, with what it has stored.
pub(crate) struct Service {
    pub(crate) engine: Engine,
    stored: BTreeMap<String, Bytes>,
}

impl Service {
    pub(crate) fn new(spec: &str) -> Result<Self> {
        let ids = Generator::seeded(1);
        let (engine, effects) =
            Engine::start(service::config(), service::load(spec)?, BTreeMap::new(), ids, NOW).context("start")?;
        let mut service = Self { engine, stored: BTreeMap::new() };
        effects.commit.apply_to(&mut service.stored);
        let event = Event::Subscribed { framework_id: FrameworkId::parse(FRAMEWORK)?, master: Master::default() };
        service.step(event);
        Ok(service)
    }

    /// One event, committed; answers the calls and whether anything was committed.
    pub(crate) fn step(&mut self, event: Event) -> (Vec<Call>, bool) {
        let effects = self.engine.step(event, NOW);
        let has_committed = !effects.commit.is_empty();
        effects.commit.apply_to(&mut self.stored);
        (effects.send, has_committed)
    }
}

/// Offers as the shell hands them to the engine.
pub(crate) fn offers(count: usize, cpus: f64) -> Result<Vec<Offer>> {
    let encoded = service::offers_event((0..count).map(|at| service::offer(at, ROLE, FRAMEWORK, cpus)).collect());
    decoded(encoded)
}

fn decoded(encoded: Bytes) -> Result<Vec<Offer>> {
    match convert::incoming(encoded)? {
        Incoming::Offers { offers, malformed } if malformed.is_empty() => Ok(offers),
        other => bail!("no offers: {other:?}"),
    }
}

/// Transactions from an offer to a pod that runs.
pub(crate) fn commits() -> Result<Vec<Row>> {
    let mut service = Service::new(&service::spec(1, 10, "parallel"))?;
    let (calls, has_committed) = service.step(Event::Offers(offers(1, 1.5)?));
    let accepts = calls.iter().filter(|call| matches!(call, Call::Accept { .. })).count();
    if accepts != 1 || !has_committed {
        bail!("{accepts} pods launched");
    }
    let mut row = Row::new(
        "commits per launched pod",
        "one offer that one pod fits: ids, reservations, volume, both tasks and their statuses",
        Value::Count(u64::from(has_committed)),
        Value::Count(1),
    );
    let launched: Vec<(mainstay_engine::ids::TaskId, AgentId)> = service
        .engine
        .state()
        .tasks
        .values()
        .filter_map(|task| Some((task.task_id.clone()?, task.agent_id.clone())))
        .collect();
    row.how = format!("{} ({} tasks launched)", row.how, launched.len());
    let mut statuses = 0;
    for (task_id, agent_id) in &launched {
        let status = status(task_id, agent_id, 1)?;
        let (_, has_committed) = service.step(Event::Status(status));
        statuses += u64::from(has_committed);
    }
    Ok(vec![
        row,
        Row::new(
            "commits of the TASK_RUNNING of two tasks, when they do not arrive together",
            "one per status; what arrives together shares one",
            Value::Count(statuses),
            None,
        ),
    ])
}

fn status(task_id: &mainstay_engine::ids::TaskId, agent_id: &AgentId, number: u8) -> Result<Status> {
    use prost::Message as _;
    let message = mainstay_proto::v1::TaskStatus {
        task_id: mainstay_proto::v1::TaskId { value: task_id.as_str().to_owned() },
        agent_id: Some(mainstay_proto::v1::AgentId { value: agent_id.as_str().to_owned() }),
        state: mainstay_proto::v1::TaskState::TaskRunning.into(),
        uuid: Some(vec![number; 16].into()),
        ..Default::default()
    };
    let status = Status::parse(Bytes::from(message.encode_to_vec()))?;
    if status.state != State::Running {
        bail!("not running");
    }
    Ok(status)
}

/// An event of 10,000 offers; the memory is measured in a process that does nothing else.
pub(crate) fn decode() -> Result<Vec<Row>> {
    let encoded = ten_thousand();
    let took = best_of(5, || encoded.clone(), |encoded| decoded(encoded).map(|offers| offers.len()));
    let file = tempfile::NamedTempFile::new().context("make a file")?;
    std::fs::write(file.path(), &encoded).context("write the event")?;
    let above = child::number("decode", Some(std::fs::File::open(file.path()).context("read the event")?))?;
    Ok(vec![
        Row::new(
            "an event of 10,000 offers decoded: time",
            format!("bytes ({:.1} MiB) to engine types; best of 5", encoded.len() as f64 / 1_048_576.0),
            Value::Time(took),
            Value::Time(Duration::from_millis(100)),
        ),
        Row::new(
            "an event of 10,000 offers decoded: memory above its bytes",
            "growth of the peak resident memory of a process that decodes one event",
            Value::Bytes(above),
            Value::Bytes(16 << 20),
        ),
    ])
}

fn ten_thousand() -> Bytes {
    service::offers_event((0..10_000).map(|at| service::offer(at, ROLE, FRAMEWORK, 0.5)).collect())
}

/// Bytes of memory that decoding the event of standard input takes above it.
pub(crate) fn memory_of_decoding() -> Result<u64> {
    let mut encoded = Vec::new();
    std::io::stdin().read_to_end(&mut encoded).context("read the event")?;
    // The reading buffer has grown by doubling: only what the event needs counts.
    encoded.shrink_to_fit();
    let encoded = Bytes::from(encoded);
    let peak = Peak::start()?;
    let offers = decoded(encoded.clone())?;
    let above = peak.above()?;
    if offers.len() != 10_000 {
        bail!("{} offers", offers.len());
    }
    Ok(above)
}
