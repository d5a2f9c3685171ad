//! The evaluation of offers: one against one pod, and how its cost grows with offers and pods.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mainstay_engine::effect::Call;
use mainstay_engine::event::Event;
use mainstay_engine::ids::{ConfigId, FrameworkId, Generator, PodInstance};
use mainstay_engine::offer::evaluate::evaluate;
use mainstay_engine::offer::placement::Counts;
use mainstay_engine::offer::requirement::{Recovery, Requirement};

use super::child::{self, Peak};
use super::pure::{FRAMEWORK, NOW, Service, offers};
use super::row::{Row, Value, best_of};
use super::service;

/// Evaluations of which the mean is taken.
const TIMES: u32 = 10_000;
/// Target for one evaluation with its report.
const ONE: Duration = Duration::from_micros(5);
/// Target for 10,000 offers against 1,000 pods.
const ALL: Duration = Duration::from_millis(250);
/// Target for the memory of that above the offers.
const ALL_MEMORY: u64 = 64 << 20;

/// What is done with one offer and one pod whose evaluation has 14 stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// An offer that lacks cpus is evaluated.
    Fails,
    /// One that fits is evaluated.
    Fits,
    /// One that fits is evaluated and accepted.
    Accepted,
    /// One that lacks cpus is evaluated, and the report is written out.
    FailsAsText,
    /// The same for one that fits.
    FitsAsText,
}

/// Does it so often; answers a number that depends on all results.
pub(crate) fn repeat(what: What, times: u32) -> Result<u64> {
    with_one(what, |run| Ok((0..times).map(|_| run()).sum()))
}

/// Hands a function that does it once to another.
fn with_one<T>(what: What, use_it: impl FnOnce(&mut dyn FnMut() -> u64) -> Result<T>) -> Result<T> {
    let spec = service::load(service::FOURTEEN_STAGES)?;
    let config = service::config();
    let pod_spec = spec.pods.first().context("a pod")?;
    let launch = ["init".to_owned(), "server".to_owned()];
    let parameters = BTreeMap::new();
    let (framework_id, config_id) = (FrameworkId::parse(FRAMEWORK)?, ConfigId::parse("configuration")?);
    let counts = Counts::default();
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
        unconfirmed: &BTreeSet::new(),
        placement: None,
        local_region: None,
        all_tasks: &[],
        counts: &counts,
    };
    let mut ids = Generator::seeded(1);
    let passes = matches!(what, What::Fits | What::Accepted | What::FitsAsText);
    let offers = offers(1, if passes { 8.0 } else { 0.5 })?;
    let offer = offers.first().context("an offer")?;
    {
        let evaluation = evaluate(&requirement, offer, &mut ids);
        let stages = evaluation.report.outcomes.len();
        let operations =
            evaluation.accept(&requirement, offer, &mut ids).map_or(0, |accepted| accepted.operations.len());
        if stages != 14 || evaluation.passed() != passes || operations != evaluation.report.recommendations {
            bail!("{stages} stages, {operations} operations: {}", evaluation.report.render(1, "step", offer));
        }
    }
    use_it(&mut || {
        let evaluation = evaluate(&requirement, offer, &mut ids);
        let length = match what {
            What::Fails | What::Fits => evaluation.report.outcomes.len(),
            What::Accepted => {
                let accepted = evaluation.accept(&requirement, offer, &mut ids);
                accepted.map_or(0, |accepted| accepted.operations.len())
            }
            What::FailsAsText | What::FitsAsText => evaluation.report.render(1, "step", offer).len(),
        };
        length as u64
    })
}

/// One offer against one pod whose evaluation has 14 stages.
pub(crate) fn one() -> Result<Vec<Row>> {
    let (evaluated, written) = ("`evaluate` with its report", "the same and `Report::render`");
    let whats = [
        (What::Fails, Some("fails"), "that does not fit", evaluated),
        (What::FailsAsText, None, "that does not fit, report written out as text", written),
        (What::Fits, Some("fits"), "that fits", evaluated),
        (What::FitsAsText, None, "that fits, report written out as text", written),
        (
            What::Accepted,
            Some("accepted"),
            "that fits, with all operations and task descriptions to send and to store",
            "the same and `Evaluation::accept`",
        ),
    ];
    let mut rows = Vec::new();
    for (what, counted, which, how) in whats {
        let took = with_one(what, |run| Ok(best_of(5, || (), |()| (0..TIMES).map(|_| run()).sum::<u64>())))?;
        let mut row = Row::new(
            format!("one offer against one pod of 14 stages {which}"),
            format!("{how}; mean of 10,000, best of 5"),
            Value::Time(took / TIMES),
            matches!(what, What::Fails | What::Fits).then_some(Value::Time(ONE)),
        );
        if let Some(counted) = counted {
            row.instructions = child::instructions(counted, 1000)?;
        }
        rows.push(row);
    }
    Ok(rows)
}

/// So many offers against so many pending pods.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    offers: usize,
    pods: usize,
    /// Pod types that all differ.
    kinds: usize,
    /// Whether every pod finds an offer, else none does.
    fits: bool,
}

impl Size {
    const fn rejected(offers: usize, pods: usize, kinds: usize) -> Self {
        Self { offers, pods, kinds, fits: false }
    }

    const fn placed(pods: usize) -> Self {
        Self { offers: pods, pods, kinds: 1, fits: true }
    }

    fn name(self) -> String {
        let Self { offers, pods, kinds, fits } = self;
        format!("{offers}x{pods}x{kinds}x{}", u8::from(fits))
    }

    /// What [`Self::name`] has written.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let numbers: Vec<usize> = name.split('x').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let [offers, pods, kinds, fits] = numbers.as_slice() else { return None };
        Some(Self { offers: *offers, pods: *pods, kinds: *kinds, fits: *fits != 0 })
    }

    fn service(self) -> Result<Service> {
        Service::new(&service::spec(self.kinds, self.pods, "parallel"))
    }

    /// Engines see the offers one after the other, each for the first time; the shortest time that one takes.
    fn measure(self, times: u32) -> Result<Duration> {
        let Self { offers: count, pods, fits, .. } = self;
        // Too little cpu everywhere; or enough for one pod each.
        let offers = offers(count, if fits { 1.5 } else { 0.5 })?;
        let mut best = Duration::MAX;
        for _ in 0..times {
            let mut service = self.service()?;
            let event = Event::Offers(offers.clone());
            let start = Instant::now();
            let effects = service.engine.step(event, NOW);
            best = best.min(start.elapsed());
            let accepted = effects.send.iter().filter(|call| matches!(call, Call::Accept { .. })).count();
            let view = service.engine.view();
            if fits {
                if accepted != pods {
                    bail!("{accepted} of {pods} pods placed");
                }
                continue;
            }
            let one = if count == 1 { "the offer".to_owned() } else { format!("none of {count} offers fits") };
            let explained = view.waiting.iter().filter(|line| line.contains(&one)).count();
            if accepted != 0 || explained != pods || view.outcomes.rejected != (count * pods) as u64 {
                bail!("{accepted} accepted, {explained} explained, {} rejections", view.outcomes.rejected);
            }
        }
        Ok(best)
    }

    /// The same for counting; answers something that depends on it.
    pub(crate) fn repeat(self, times: u32) -> Result<u64> {
        self.measure(times).map(|took| u64::from(took > Duration::ZERO))
    }

    /// Instructions of one such event, without those of the engine's start.
    fn instructions(self) -> Result<Option<u64>> {
        child::instructions(&self.name(), 1)
    }

    fn row(self, what: impl Into<String>, target: Option<Duration>) -> Result<Row> {
        let times = if self.fits { 3 } else { 5 };
        let took = self.measure(times)?;
        let how = format!("`Engine::step` on one OFFERS event; best of {times}");
        let mut row = Row::new(what, how, Value::Time(took), target.map(Value::Time));
        row.instructions = self.instructions()?;
        Ok(row)
    }
}

/// 10,000 offers, none of which fits any of 1,000 pods.
pub(crate) fn all() -> Result<Vec<Row>> {
    let memory = child::number("evaluate-memory", None)?;
    Ok(vec![
        Size::rejected(10_000, 1000, 1)
            .row("10,000 offers against 1,000 pods, every rejection explained", Some(ALL))?,
        Row::new(
            "the same: memory above the offers",
            "growth of the peak resident memory of a process that evaluates one such event",
            Value::Bytes(memory),
            Value::Bytes(ALL_MEMORY),
        ),
    ])
}

/// The growth of the peak of memory while 10,000 offers that are there already meet 1,000 pods.
pub(crate) fn memory() -> Result<u64> {
    let size = Size::rejected(10_000, 1000, 1);
    let mut service = size.service()?;
    let event = Event::Offers(offers(size.offers, 0.5)?);
    let peak = Peak::start()?;
    service.engine.step(event, NOW);
    let view = service.engine.view();
    let above = peak.above()?;
    if view.outcomes.rejected != 10_000 * 1000 {
        bail!("{} rejections", view.outcomes.rejected);
    }
    Ok(above)
}

/// The same with many pod types, where nothing found out about one helps another.
pub(crate) fn kinds() -> Result<Vec<Row>> {
    let row = |kinds: usize| {
        // What helps with many instances of a type cannot help with as many types.
        let target = (kinds <= 10).then_some(ALL);
        Size::rejected(10_000, 1000, kinds)
            .row(format!("the same, the pods of {kinds} pod types that all differ"), target)
    };
    Ok(vec![row(10)?, row(500)?])
}

/// How the cost grows.
pub(crate) fn curve() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for offers in [100, 1000, 10_000] {
        let size = Size::rejected(offers, 1000, 10);
        rows.push(size.row(format!("curve of offers: {offers} against 1,000 pods of 10 types, none fits"), None)?);
    }
    for pods in [100, 1000, 10_000] {
        let size = Size::rejected(10_000, pods, 10);
        rows.push(size.row(format!("curve of pods: 10,000 offers against {pods} of 10 types, none fits"), None)?);
    }
    for pods in [100, 1000, 10_000] {
        let size = Size::placed(pods);
        rows.push(size.row(format!("curve of placed pods: {pods} on as many offers, every one fits"), None)?);
    }
    Ok(rows)
}

/// Why 1,000 pods are not placed, asked while the last offers are kept.
pub(crate) fn question() -> Result<Vec<Row>> {
    let size = Size::rejected(10_000, 1000, 10);
    let mut service = size.service()?;
    service.step(Event::Offers(offers(size.offers, 0.5)?));
    let kept = service.engine.question().offers().count();
    let asked = best_of(5, || (), |()| service.engine.question());
    let question = service.engine.question();
    let mut explained = 0;
    let answered = best_of(3, || (), |()| explained = question.answer(|_| true).len());
    if explained != size.pods {
        bail!("{explained} steps explained");
    }
    Ok(vec![
        Row::new(
            "`/v1/placement` of 1,000 pending pods of 10 types: the engine's part",
            format!("`Engine::question`, the time in which it can do nothing else; {kept} offers kept; best of 5"),
            Value::Time(asked),
            None,
        ),
        Row::new(
            "the same: the answer",
            "`Question::answer`, on a thread of its own; best of 3",
            Value::Time(answered),
            None,
        ),
    ])
}
