//! Seeded simulation: the real engine against the pure cluster model, in virtual time, with faults.
//!
//! The shell's part (commit, then send, then reply) is played by `simulation/world.rs` in the order the scheduler's loop does it; bytes, events
//! and calls go through the scheduler's own conversion. Only sockets, disks and clocks are missing.
//!
//! Invariant: the same scenario and seed give the same run, to the last byte.
//!
//! Read next: `simulation/world.rs` (what happens), `simulation/faults.rs` (what goes wrong), `simulation/rules.rs` (what must hold).

mod faults;
mod rules;
mod world;

use std::collections::BTreeMap;
use std::fmt;

pub use faults::{CrashPoint, Faults};
use mainstay_spec::ServiceSpec;

/// What is simulated.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// The service.
    pub spec: ServiceSpec,
    /// Agents of the cluster.
    pub agents: usize,
    /// What goes wrong.
    pub faults: Faults,
}

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions that were not empty.
    pub commits: u64,
    /// Calls to the master.
    pub calls: u64,
    /// Starts of the scheduler.
    pub starts: u64,
    /// Events the engine looked at.
    pub events: u64,
    /// Tasks launched.
    pub launches: u64,
    /// Virtual time, ms.
    pub virtual_ms: u64,
}

/// A rule that did not hold.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Scenario.
    pub scenario: &'static str,
    /// Seed.
    pub seed: u64,
    /// Crash point, when one was set.
    pub crash: Option<CrashPoint>,
    /// What is wrong.
    pub what: String,
    /// The last things that happened.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "scenario {}, seed {}, crash {:?}: {}", self.scenario, self.seed, self.crash, self.what)?;
        write!(f, "replay with: cargo xtask sim --scenario {} --seed {}", self.scenario, self.seed)
    }
}

impl std::error::Error for Failure {}

/// Runs one scenario with one seed. `trace_lines` bounds what a failure tells; 0 tells nothing; `usize::MAX` prints everything as it
/// happens.
pub fn run(
    scenario: &Scenario,
    seed: u64,
    crash: Option<CrashPoint>,
    trace_lines: usize,
) -> Result<Stats, Box<Failure>> {
    world::World::new(scenario, seed, crash, trace_lines).run()
}

/// The service of every scenario: two pod types with volumes, two tasks in one pod, a side plan.
pub const SERVICE: &str = "
name: sim
pods:
  hello:
    count: 1
    resource-sets:
      backup-resources: {cpus: 0.1, memory: 32}
    volume: {path: shared, type: ROOT, size: 10}
    tasks:
      server:
        goal: RUNNING
        cmd: run
        cpus: 0.2
        memory: 64
        ports: {http: {port: 0}}
        volume: {path: data, type: ROOT, size: 20}
        readiness-check: {cmd: check, interval: 5, timeout: 5}
      backup:
        goal: FINISH
        cmd: finish
        resource-set: backup-resources
  world:
    count: 2
    placement: 'hostname:UNIQUE'
    tasks:
      main:
        goal: RUNNING
        cmd: run
        cpus: 0.3
        memory: 64
        volume: {path: data, type: ROOT, size: 30}
      aside:
        goal: RUNNING
        essential: false
        cmd: run
        cpus: 0.1
        memory: 32
plans:
  deploy:
    strategy: serial
    phases:
      hello:
        pod: hello
        strategy: serial
        steps:
          - default: [[server]]
      world:
        pod: world
        strategy: parallel
        steps:
          - default: [[main, aside]]
  backup:
    strategy: serial
    phases:
      backup:
        pod: hello
        steps:
          - default: [[backup]]
";

/// The simulated service's specification.
///
/// # Panics
/// When the text above is not a valid specification.
pub fn service() -> ServiceSpec {
    let source = mainstay_spec::Source { file_name: "sim.yml", text: SERVICE };
    let loaded = mainstay_spec::load(source, &BTreeMap::new(), &|path| Err(format!("no file {path}")));
    loaded.unwrap_or_else(|report| panic!("{report}")).spec
}

/// Every scenario by name.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, faults| Scenario { name, spec: service(), agents: 4, faults };
    vec![
        scenario("calm", Faults::none()),
        scenario("network", Faults::network()),
        scenario("crashes", Faults::crashes()),
        scenario("agents", Faults::agents()),
        scenario("operators", Faults::operators()),
        scenario("storm", Faults::everything()),
    ]
}
