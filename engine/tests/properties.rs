//! What holds for every plan and every order of events.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/script.rs"]
#[allow(dead_code, reason = "shared with the scenarios")]
mod script;

use std::collections::BTreeMap;
use std::path::Path;

use mainstay_engine::command::{Answer, PlanVerb};
use mainstay_engine::ids::PodInstance;
use mainstay_engine::offer::requirement::Recovery;
use mainstay_engine::plan::{Phase, Plan, Status, Step, command, overrides};
use mainstay_spec::Strategy as PlanStrategy;
use proptest::prelude::*;
use uuid::Uuid;

const STRATEGIES: [PlanStrategy; 4] =
    [PlanStrategy::Serial, PlanStrategy::Parallel, PlanStrategy::SerialCanary, PlanStrategy::ParallelCanary];

/// A plan as it is made: nothing done yet.
fn some_plan() -> impl Strategy<Value = Plan> {
    let phase = (0..4_usize, 1..5_u32, any::<bool>());
    (any::<bool>(), proptest::collection::vec(phase, 1..4)).prop_map(|(begins_interrupted, phases)| {
        let mut plan = Plan::new("p", PlanStrategy::Serial);
        plan.is_interrupted = begins_interrupted;
        for (at, (strategy, steps, is_twice)) in phases.into_iter().enumerate() {
            let strategy = STRATEGIES[strategy];
            let is_canary = matches!(strategy, PlanStrategy::SerialCanary | PlanStrategy::ParallelCanary);
            let step = |index: u32, number: u32| {
                let pod = PodInstance { pod_type: "hello".to_owned(), index };
                let id = Uuid::from_u128(u128::from(number) * 100 + at as u128);
                Step::new(id, pod, vec!["server".to_owned()], vec!["server".to_owned()], Recovery::None)
            };
            // Two steps of one name, as an author may list them; only where no gate is.
            let twice = if is_twice && !is_canary { 2 } else { 1 };
            plan.phases.push(Phase {
                id: Uuid::from_u128(at as u128 + 1),
                name: format!("phase {at}"),
                strategy,
                keeps_instance_order: false,
                steps: (0..steps * twice).map(|number| step(number / twice, number)).collect(),
                is_interrupted: false,
                gates: (0..2.min(steps as usize)).filter(|_| is_canary).collect(),
                is_gate_released: false,
            });
        }
        plan
    })
}

type Wish = (u8, Option<u8>, Option<u8>, String);

fn some_wish() -> impl Strategy<Value = Wish> {
    (0..6_u8, proptest::option::of(0..4_u8), proptest::option::of(0..4_u8), ".{0,6}")
}

fn verb((verb, _, _, text): &Wish) -> PlanVerb {
    match verb {
        0 => PlanVerb::Start(BTreeMap::from([("A".to_owned(), text.clone()), (format!("B{text}"), String::new())])),
        1 => PlanVerb::Stop,
        2 => PlanVerb::Continue,
        3 => PlanVerb::Interrupt,
        4 => PlanVerb::ForceComplete,
        _ => PlanVerb::Restart,
    }
}

/// Steps are named by id, since two may have one name.
fn carry_out(plan: &mut Plan, wish: &Wish) -> Answer {
    let phase = wish.1.map(|at| format!("phase {at}"));
    let found = wish.1.and_then(|at| plan.phases.get(usize::from(at)));
    let step = wish.2.map(|at| {
        let step = found.and_then(|phase| phase.steps.get(usize::from(at)));
        step.map_or_else(|| "no such step".to_owned(), |step| step.id.to_string())
    });
    command::carry_out(plan, &verb(wish), phase.as_deref(), step.as_deref())
}

/// Everything of a plan but the count of its changes.
fn text(plan: &Plan) -> String {
    format!("{:#?}", Plan { version: 0, ..plan.clone() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    // `continue` is left out: on a canary phase each one opens a gate.
    #[test]
    fn a_plan_command_given_twice_is_as_good_as_once(
        plan in some_plan(),
        before in proptest::collection::vec(some_wish(), 0..8),
        wish in some_wish(),
    ) {
        prop_assume!(wish.0 != 2);
        let mut plan = plan;
        for wish in &before {
            carry_out(&mut plan, wish);
        }
        let first = carry_out(&mut plan, &wish);
        let once = text(&plan);
        let second = carry_out(&mut plan, &wish);
        prop_assert_eq!(once, text(&plan));
        let is_refused = matches!(first, Answer::NotFound { .. } | Answer::MissingPhase);
        match verb(&wish) {
            _ if is_refused => prop_assert_eq!(second, first),
            PlanVerb::ForceComplete => prop_assert_eq!(second, Answer::Already),
            // A phase behind a gate is told nothing new by being interrupted, and says 200 all the same while a step in front of it moves.
            PlanVerb::Interrupt if wish.1.is_none() => prop_assert_eq!(second, Answer::Already),
            PlanVerb::Start(_) | PlanVerb::Stop => prop_assert_eq!(second, Answer::Received),
            PlanVerb::Interrupt | PlanVerb::Restart | PlanVerb::Continue => {}
        }
    }

    #[test]
    fn what_is_done_to_a_plan_is_the_same_after_a_restart(
        fresh in some_plan(),
        wishes in proptest::collection::vec(some_wish(), 0..10),
    ) {
        let begins_interrupted = fresh.is_interrupted;
        let mut plan = fresh.clone();
        for wish in &wishes {
            carry_out(&mut plan, wish);
        }
        let stored = overrides::write(&plan, begins_interrupted, "target");
        let mut read = fresh.clone();
        overrides::apply(&mut read, &stored, "target");
        // A plan of the author that has come to its end waits to be started again.
        if begins_interrupted && plan.status() == Status::Complete {
            plan.is_interrupted = true;
        }
        prop_assert_eq!(text(&plan), text(&read));

        // Under another target only what was held stays, with the parameters.
        let mut other = fresh.clone();
        overrides::apply(&mut other, &stored, "other");
        prop_assert_eq!(other.is_interrupted, begins_interrupted || plan.is_interrupted);
        prop_assert!(other.steps().all(|(_, _, step)| !step.is_forced && !step.is_reset));
    }
}

const SPECS: [&str; 6] = ["two.yml", "goals.yml", "side.yml", "canary.yml", "shared.yml", "parallel.yml"];
const STATES: [&str; 16] = [
    "RUNNING",
    "RUNNING",
    "RUNNING",
    "FINISHED",
    "STARTING",
    "STAGING",
    "KILLING",
    "FAILED",
    "KILLED",
    "ERROR",
    "LOST",
    "DROPPED",
    "UNREACHABLE",
    "GONE",
    "GONE_BY_OPERATOR",
    "UNKNOWN",
];
const PLANS: [&str; 5] = ["deploy", "recovery", "backup", "repair", "nope"];
const VERBS: [&str; 6] = ["start A=1", "stop", "continue", "interrupt", "forceComplete", "restart"];

/// What happens next, chosen among what can happen.
fn happen(world: &mut script::World, (what, one, two): (u8, usize, usize)) {
    if world.engine.is_none() {
        return world.line("up");
    }
    let line = match what {
        0..=5 => ["offers", "offers", "offers a1", "offers a2 a3"][one % 4].to_owned(),
        6..=15 => {
            // Mostly of the latest launches, now and then of any.
            let launches = &world.cluster.launches;
            if launches.is_empty() {
                return;
            }
            let at = if two % 4 == 0 { one % launches.len() } else { launches.len() - 1 - one % launches.len().min(4) };
            let launch = &launches[at];
            let number = launches[..=at].iter().filter(|other| other.name == launch.name).count();
            let source = if two % 3 == 0 { " master" } else { "" };
            format!("status {}#{number} {}{source}", launch.name, STATES[two % STATES.len()])
        }
        16 => {
            format!("command pod {}-{} {}", ["hello", "world"][one % 2], two % 2, ["restart", "replace"][two % 3 / 2])
        }
        17 | 18 => format!("command plan {} {}", PLANS[one % PLANS.len()], VERBS[two % VERBS.len()]),
        19 => format!("command plan deploy {} phase hello", VERBS[two % VERBS.len()]),
        20 | 21 => format!("advance {}s", [1, 6, 20, 100, 4000][one % 5]),
        22 => "lose accept".to_owned(),
        23 => "crash".to_owned(),
        24 => "disconnect\nsubscribe".to_owned(),
        _ => "crash\nconfig backoff\nup".to_owned(),
    };
    for line in line.lines() {
        world.line(line);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    // After each line the script checks: the engine's invariants, that the store says what memory says, that the master takes every operation,
    // that nothing is launched beside a launch that may live, that no timer is in the past.
    #[test]
    fn no_order_of_events_breaks_the_engine(
        spec in 0..SPECS.len(),
        events in proptest::collection::vec((0..26_u8, 0..1000_usize, 0..1000_usize), 1..70),
    ) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
        let mut world = script::World::new(&folder);
        world.line(&format!("spec {}", SPECS[spec]));
        for agent in ["a1", "a2", "a3"] {
            world.line(&format!("agent {agent} cpus 2 mem 2048 disk 2048 ports 31000-31010"));
        }
        for event in events {
            happen(&mut world, event);
            if let Some(problem) = &world.problem {
                return Err(TestCaseError::fail(format!("{}\n{problem}", script::redact(&world.transcript))));
            }
        }
    }
}
