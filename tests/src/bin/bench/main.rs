//! Measures what `docs/performance.md` promises: `cargo xtask bench [--only NAME] [--markdown]`.
//!
//! Each row is one function that answers a [`row::Row`]. Never part of the tests: a measured time says more about the machine than about
//! the code.
//!
//! Invariant: a row that cannot be measured here (no ZooKeeper, no static executor) says so instead of a figure.
//!
//! Read next: `row.rs`, then `evaluation.rs` and `pure.rs` (the engine alone), `process.rs` (the program, with a played master) and `author.rs`
//! (specifications).

mod author;
mod child;
mod evaluation;
mod master;
mod process;
mod pure;
mod row;
mod service;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use row::Row;

/// A measurement and the name it is asked for by.
type Bench = (&'static str, fn() -> Result<Vec<Row>>);

const BENCHES: [Bench; 18] = [
    ("memory-10", process::memory_of_10_pods),
    ("memory-1000", process::memory_of_1000_pods),
    ("subscribe", process::start_to_subscribed),
    ("reconcile", process::lock_to_reconciled),
    ("takeover", process::takeover),
    ("decode", pure::decode),
    ("evaluate-all", evaluation::all),
    ("evaluate-kinds", evaluation::kinds),
    ("evaluate-one", evaluation::one),
    ("evaluate-curve", evaluation::curve),
    ("placement", evaluation::question),
    ("commits", pure::commits),
    ("status", process::status_latency),
    ("plan", process::plan_of_1000_steps),
    ("dev", process::dev),
    ("executor", process::executor),
    ("load", author::load_large),
    ("check", author::check),
];

fn main() -> Result<ExitCode> {
    let mut only = None;
    let mut is_markdown = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => only = Some(arguments.next().context("--only needs a name")?),
            "--markdown" => is_markdown = true,
            // A measurement that needs a process of its own.
            "--child" => {
                let (name, times) = (arguments.next(), arguments.next());
                return child::main(&name.context("--child needs a name")?, &times.context("and a number")?);
            }
            other => bail!("unknown argument {other}; known are --only NAME and --markdown"),
        }
    }
    if cfg!(debug_assertions) {
        eprintln!("this is no release build: the figures mean nothing; use `cargo xtask bench`");
    }
    let chosen: Vec<&Bench> =
        BENCHES.iter().filter(|(name, _)| only.as_ref().is_none_or(|wanted| wanted == name)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = BENCHES.iter().map(|(name, _)| *name).collect();
        bail!("no such measurement; known are {}", names.join(", "));
    }
    let mut rows = Vec::new();
    let mut failed = false;
    for (name, bench) in chosen {
        match bench() {
            Ok(measured) => {
                for row in &measured {
                    eprintln!("{row}");
                }
                rows.extend(measured);
            }
            Err(error) => {
                eprintln!("{name}: not measured: {error:#}");
                failed = true;
            }
        }
    }
    if is_markdown {
        print!("{}", row::markdown(&rows));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
