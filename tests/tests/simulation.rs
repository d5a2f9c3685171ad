//! Seeded simulation of the engine over the cluster model: see `mainstay_tests::simulation`.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_tests::simulation::{self, CrashPoint, Failure, Scenario, Stats};

/// Held by whoever uses all cores: side by side two of them would only take longer each.
static CORES: Mutex<()> = Mutex::new(());

/// Runs jobs on all cores and returns what the first failing one says.
///
/// A run that fails is run again to tell what happened: tracing every run would double the time.
fn on_all_cores<J: Sync>(jobs: &[J], run: impl Fn(&J, usize) -> Result<Stats, Box<Failure>> + Sync) {
    // A failed run poisons it; the others are worth running all the same.
    let _cores = CORES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let next = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(2, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    if run(job, 0).is_err() {
                        match run(job, 120) {
                            Err(failure) => panic!("{failure}"),
                            Ok(_) => panic!("a run failed once and passed when repeated"),
                        }
                    }
                }
            });
        }
    });
}

fn scenario(name: &str) -> Scenario {
    simulation::scenarios().into_iter().find(|one| one.name == name).expect("a scenario of this name")
}

/// A thousand seeds and more, spread over the kinds of trouble.
#[test]
fn seeds_of_every_scenario_come_to_rest() {
    let jobs: Vec<(Scenario, u64)> = simulation::scenarios()
        .into_iter()
        .flat_map(|scenario| {
            let seeds = match scenario.name {
                "calm" => 20,
                "storm" => 300,
                _ => 175,
            };
            (0..seeds).map(move |seed| (scenario.clone(), seed))
        })
        .collect();
    assert!(jobs.len() >= 1000);
    on_all_cores(&jobs, |(scenario, seed), trace| simulation::run(scenario, *seed, None, trace));
}

/// The process dies before and after every commit and every call of a deployment, a failure, a restart and a replacement.
#[test]
fn a_crash_at_any_commit_or_call_loses_nothing() {
    for name in ["calm", "operators"] {
        let scenario = scenario(name);
        let seed = 7;
        let stats = simulation::run(&scenario, seed, None, 120).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(stats.commits >= 8 && stats.calls > 20, "{stats:?}");
        let commits = (1..=stats.commits).flat_map(|at| [CrashPoint::BeforeCommit(at), CrashPoint::AfterCommit(at)]);
        let calls = (1..=stats.calls).flat_map(|at| [CrashPoint::BeforeCall(at), CrashPoint::AfterCall(at)]);
        let points: Vec<CrashPoint> = commits.chain(calls).collect();
        on_all_cores(&points, |point, trace| simulation::run(&scenario, seed, Some(*point), trace));
    }
}

/// The same seed is the same run: what a failure prints can be replayed.
#[test]
fn a_seed_repeats_itself() {
    let scenario = scenario("storm");
    for seed in 0..5 {
        let once = simulation::run(&scenario, seed, None, 0).unwrap_or_else(|failure| panic!("{failure}"));
        let again = simulation::run(&scenario, seed, None, 0).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(once, again);
    }
}
