//! The scheduler as a program: `mainstay-scheduler SVC_YML`, everything else by environment.
//!
//! Not the library: the process, its signals, its log and its exit code are here and nowhere else.

use std::ffi::OsString;
use std::process::ExitCode;

use mainstay_scheduler::run::Exit;
use mainstay_scheduler::{Scheduler, Vars, shutdown, telemetry};
use tokio_util::sync::CancellationToken;

const USAGE: &str = "\
Runs a stateful service on Apache Mesos from its specification.

usage: mainstay-scheduler SVC_YML

Environment: PORT_API (required), MESOS_MASTER, STATE_STORE, SCHEDULER_API_HOSTNAME, EXECUTOR_URI, FRAMEWORK_LOG_LEVEL, RUST_LOG,
and what the specification's template asks for.";

/// Two workers: one for the loop, one for the API; more cost memory and gain nothing.
const WORKERS: usize = 2;
/// Exit code when we ourselves fail.
const EXIT_PANIC: u8 = 6;

fn main() -> ExitCode {
    let spec = match arguments(std::env::args_os().skip(1).collect()) {
        Ok(spec) => spec,
        Err((code, text)) => {
            if code == 0 {
                println!("{text}");
            } else {
                eprintln!("{text}");
            }
            return ExitCode::from(code);
        }
    };
    // A variable that is not text cannot be one of ours.
    let vars: Vars = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    if let Err(problem) = telemetry::init(&vars) {
        eprintln!("{problem}");
        return ExitCode::from(1);
    }
    let exit = run(spec, vars);
    if exit.code == 0 {
        tracing::info!("{}", exit.reason);
    } else {
        eprintln!("{}", exit.reason);
        tracing::error!(code = exit.code, "the scheduler ends");
    }
    ExitCode::from(exit.code)
}

fn arguments(arguments: Vec<OsString>) -> Result<std::path::PathBuf, (u8, String)> {
    match arguments.as_slice() {
        [only] if only == "--help" || only == "-h" => Err((0, USAGE.to_owned())),
        [only] if only == "--version" || only == "-V" => {
            Err((0, concat!("mainstay-scheduler ", env!("CARGO_PKG_VERSION")).to_owned()))
        }
        [spec] if !spec.as_encoded_bytes().starts_with(b"-") => Ok(spec.into()),
        _ => Err((1, USAGE.to_owned())),
    }
}

fn run(spec: std::path::PathBuf, vars: Vars) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::new(1, format!("cannot start the runtime: {error}")),
    };
    // A task of its own, so that a panic in the loop is an exit code and not an abort in the middle of the log.
    let ended = runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut scheduler = tokio::task::JoinSet::new();
        scheduler.spawn(Scheduler::builder(spec).env(vars).stop(stop.clone()).run());
        tokio::select! {
            ended = scheduler.join_next() => ended,
            error = shutdown::stop_on_signal(stop) => {
                Some(Ok(Exit::new(1, format!("cannot watch signals: {error}"))))
            }
        }
    });
    match ended {
        Some(Ok(exit)) => exit,
        Some(Err(error)) => Exit::new(EXIT_PANIC, format!("the scheduler failed: {error}")),
        None => Exit::new(EXIT_PANIC, "the scheduler did not run"),
    }
}
