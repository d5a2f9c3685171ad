//! The engine and the conversion alone: no socket, no store, no clock but the measuring one.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use mainstay_engine::Engine;
use mainstay_engine::effect::Call;
use mainstay_engine::event::{Event, Master};
use mainstay_engine::ids::{AgentId, ConfigId, FrameworkId, Generator, PodInstance};
use mainstay_engine::offer::Offer;
use mainstay_engine::offer::evaluate::evaluate;
use mainstay_engine::offer::requirement::{Recovery, Requirement};
use mainstay_engine::task::status::{State, Status};
use mainstay_engine::units::Timestamp;
use mainstay_scheduler::mesos::convert::{self, Incoming};

use super::process::{peak_memory, resident_memory};
use super::row::{Row, Value, best_of};
use super::service::{self, ROLE};

const FRAMEWORK: &str = "9e1d5a2c-7d1b-4c3e-9f7a-1b2c3d4e5f60-0000";
/// Evaluations of which the mean is taken.
const TIMES: u32 = 10_000;
const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// An engine that is subscribed and reconciled, with what it has stored.
struct Service {
    engine: Engine,
    stored: BTreeMap<String, Bytes>,
}

impl Service {
    fn new(spec: &str) -> Result<Self> {
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
    fn step(&mut self, event: Event) -> (Vec<Call>, bool) {
        let effects = self.engine.step(event, NOW);
        let has_committed = !effects.commit.is_empty();
        effects.commit.apply_to(&mut self.stored);
        (effects.send, has_committed)
    }
}

/// Offers as the shell hands them to the engine.
fn offers(count: usize, cpus: f64) -> Result<Vec<Offer>> {
    let encoded = service::offers_event((0..count).map(|at| service::offer(at, ROLE, FRAMEWORK, cpus)).collect());
    decoded(encoded)
}

fn decoded(encoded: Bytes) -> Result<Vec<Offer>> {
    match convert::incoming(encoded)? {
        Incoming::Offers { offers, malformed } if malformed.is_empty() => Ok(offers),
        other => bail!("no offers: {other:?}"),
    }
}

/// 10,000 offers, none of which fits any of 1,000 pods.
pub(crate) fn evaluate_all() -> Result<Vec<Row>> {
    let took = rejected(1)?;
    Ok(vec![Row::new(
        "10,000 offers against 1,000 pods, every rejection explained",
        "`Engine::step` on one OFFERS event; 1,000 pending steps of one pod type; best of 5",
        Value::Time(took),
        Value::Time(Duration::from_millis(250)),
    )])
}

/// The same with many pod types, where nothing found out about one helps another.
pub(crate) fn evaluate_kinds() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for kinds in [10, 500] {
        rows.push(Row::new(
            format!("the same, the pods of {kinds} pod types that all differ"),
            "as above; best of 5",
            Value::Time(rejected(kinds)?),
            // What helps with many instances of a type cannot help here.
            (kinds <= 10).then_some(Value::Time(Duration::from_millis(250))),
        ));
    }
    Ok(rows)
}

fn rejected(kinds: usize) -> Result<Duration> {
    let spec = service::spec(kinds, 1000, "parallel");
    // Too little cpu everywhere.
    let offers = offers(10_000, 0.5)?;
    let mut service = Service::new(&spec)?;
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let event = Event::Offers(offers.clone());
        let start = Instant::now();
        let effects = service.engine.step(event, NOW);
        best = best.min(start.elapsed());
        if effects.send.iter().any(|call| matches!(call, Call::Accept { .. })) {
            bail!("an offer was accepted");
        }
    }
    let view = service.engine.view();
    let explained = view.waiting.iter().filter(|line| line.contains("none of 10000 offers fits")).count();
    if explained != 1000 || view.outcomes.rejected != 5 * 10_000 * 1000 {
        bail!("{explained} steps explained, {} rejections counted", view.outcomes.rejected);
    }
    Ok(best)
}

/// One offer against one pod whose evaluation has 14 stages.
pub(crate) fn evaluate_one() -> Result<Vec<Row>> {
    let spec = service::load(service::FOURTEEN_STAGES)?;
    let config = service::config();
    let pod_spec = spec.pods.first().context("a pod")?;
    let launch = ["server".to_owned(), "agent".to_owned()];
    let parameters = BTreeMap::new();
    let (framework_id, config_id) = (FrameworkId::parse(FRAMEWORK)?, ConfigId::parse("configuration")?);
    let requirement = Requirement {
        config: &config,
        framework_id: &framework_id,
        spec: &spec,
        config_id: &config_id,
        pod_spec,
        pod: &PodInstance { pod_type: pod_spec.pod_type.clone(), index: 0 },
        launch: &launch,
        recovery: Recovery::None,
        parameters: &parameters,
        stored: &[],
        placement: None,
        local_region: None,
        all_tasks: &[],
        counts: &mainstay_engine::offer::placement::Counts::default(),
    };
    let mut ids = Generator::seeded(1);
    let mut rows = Vec::new();
    for (what, cpus, passes) in [("that fails", 0.5, false), ("that passes, with the operations to send", 8.0, true)] {
        let offers = offers(1, cpus)?;
        let offer = offers.first().context("an offer")?;
        let evaluation = evaluate(&requirement, offer, &mut ids);
        let stages = evaluation.report.outcomes.len();
        if stages != 14 || evaluation.accepted.is_some() != passes {
            bail!("{stages} stages: {}", evaluation.report.render(1, "step", offer));
        }
        let took = best_of(
            5,
            || (),
            |()| {
                let mut length = 0;
                for _ in 0..TIMES {
                    let evaluation = evaluate(&requirement, offer, &mut ids);
                    length += evaluation.report.outcomes.len();
                }
                length
            },
        );
        rows.push(Row::new(
            format!("one offer against one pod of 14 stages {what}"),
            "`evaluate` with its report; mean of 10,000, best of 5",
            Value::Time(took / TIMES),
            (!passes).then_some(Value::Time(Duration::from_micros(5))),
        ));
        let took = best_of(
            5,
            || (),
            |()| {
                let mut length = 0;
                for _ in 0..TIMES {
                    let evaluation = evaluate(&requirement, offer, &mut ids);
                    length += evaluation.report.render(1, "step", offer).len();
                }
                length
            },
        );
        rows.push(Row::new(
            format!("one offer against one pod of 14 stages {what}, report written out as text"),
            "the same and `Report::render`; mean of 10,000, best of 5",
            Value::Time(took / TIMES),
            (!passes).then_some(Value::Time(Duration::from_micros(5))),
        ));
    }
    Ok(rows)
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
    let own = std::env::current_exe().context("find the own program")?;
    let file = tempfile::NamedTempFile::new().context("make a file")?;
    std::fs::write(file.path(), &encoded).context("write the event")?;
    let input = std::fs::File::open(file.path()).context("read the event")?;
    let mut command = Command::new(own);
    let output = command.args(["--child", "decode"]).stdin(input).output().context("start the own program")?;
    let text = String::from_utf8(output.stdout)?;
    let above: u64 = text.trim().parse().with_context(|| format!("no number: {text}"))?;
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

/// Measurements that need a process of their own; prints one number.
pub(crate) fn child(name: &str) -> Result<ExitCode> {
    match name {
        "decode" => {
            let mut encoded = Vec::new();
            std::io::stdin().read_to_end(&mut encoded).context("read the event")?;
            // The reading buffer has grown by doubling: only what the event needs counts.
            encoded.shrink_to_fit();
            let encoded = Bytes::from(encoded);
            let own = std::process::id();
            std::fs::write("/proc/self/clear_refs", "5").context("reset the peak")?;
            let before = resident_memory(own)?;
            let offers = decoded(encoded.clone())?;
            let after = peak_memory(own)?;
            if offers.len() != 10_000 {
                bail!("{} offers", offers.len());
            }
            println!("{}", after.saturating_sub(before));
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("no such measurement {other}"),
    }
}
