//! The smallest service that uses the scheduler as a library: its specification, one plan of its own, one hook of its own.
//!
//! `PORT_API=8080 MESOS_MASTER=http://master:5050 STATE_STORE=file:state mainstay-example-minimal svc.yml`, then
//! `curl -X POST localhost:8080/v1/plans/greet/start` runs the plan.

use std::process::ExitCode;

use anyhow::Context as _;
use mainstay_scheduler::engine::journal::Entry;
use mainstay_scheduler::engine::view::View;
use mainstay_scheduler::spec::{PhaseSpec, PlanSpec, StepSpec, Strategy};
use mainstay_scheduler::{CancellationToken, Hook, Scheduler, Vars, shutdown, telemetry};

/// Says when the service is up, in its own words.
struct Announce;

impl Hook for Announce {
    fn on_event(&mut self, entry: &Entry, view: &View) {
        if let Entry::PlanChanged { plan, to: "COMPLETE", .. } = entry {
            println!("{}: plan {plan} is complete", view.spec.name);
        }
    }
}

/// Runs the task `greet` beside the running server whenever somebody starts it.
fn greet() -> PlanSpec {
    PlanSpec {
        name: "greet".to_owned(),
        strategy: Strategy::Serial,
        phases: vec![PhaseSpec {
            name: "greet".to_owned(),
            pod_type: "hello".to_owned(),
            strategy: Strategy::Serial,
            steps: vec![StepSpec { index: 0, tasks: vec!["greet".to_owned()] }],
            has_custom_steps: true,
        }],
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let spec = std::env::args().nth(1).context("usage: mainstay-example-minimal SVC_YML")?;
    let vars: Vars = std::env::vars().collect();
    telemetry::init(&vars).map_err(anyhow::Error::msg)?;
    let stop = CancellationToken::new();
    let scheduler = Scheduler::builder(spec.as_str()).env(vars).plan(greet()).hook(Announce).stop(stop.clone());
    let exit = tokio::select! {
        exit = scheduler.run() => exit,
        error = shutdown::stop_on_signal(stop) => return Err(error.into()),
    };
    println!("{}", exit.reason);
    Ok(ExitCode::from(exit.code))
}
