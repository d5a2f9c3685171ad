//! Runs the simulation by hand: `cargo xtask sim [--scenario NAME] [--seed S | --seeds N [--from S]]`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use mainstay_tests::simulation;

fn main() -> anyhow::Result<ExitCode> {
    let mut scenario = None;
    let mut seed = None;
    let mut seeds = 1000_u64;
    let mut from = 0_u64;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--scenario" => scenario = Some(value()?),
            "--seed" => seed = Some(value()?.parse().context("--seed")?),
            "--seeds" => seeds = value()?.parse().context("--seeds")?,
            "--from" => from = value()?.parse().context("--from")?,
            other => bail!("unknown argument {other}; known are --scenario, --seed, --seeds, --from"),
        }
    }
    let scenarios: Vec<_> = simulation::scenarios()
        .into_iter()
        .filter(|one| scenario.as_ref().is_none_or(|wanted| one.name == wanted))
        .collect();
    if scenarios.is_empty() {
        let names: Vec<_> = simulation::scenarios().iter().map(|one| one.name).collect();
        bail!("no such scenario; known are {}", names.join(", "));
    }
    let mut failures = 0;
    for scenario in &scenarios {
        let range = seed.map_or(from..from + seeds, |seed| seed..seed + 1);
        let mut done = 0;
        let began = std::time::Instant::now();
        for number in range {
            let trace = if seed.is_some() { usize::MAX } else { 120 };
            match simulation::run(scenario, number, None, trace) {
                Ok(stats) => {
                    done += 1;
                    if seed.is_some() {
                        println!("{} seed {number}: {stats:?}", scenario.name);
                    }
                }
                Err(failure) => {
                    failures += 1;
                    println!("{failure}\n");
                    if failures >= 5 {
                        return Ok(ExitCode::FAILURE);
                    }
                }
            }
        }
        println!("{}: {done} runs in {:.1} s", scenario.name, began.elapsed().as_secs_f64());
    }
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
