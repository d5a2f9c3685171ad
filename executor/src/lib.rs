//! The executor: runs the tasks of one pod instance on an agent.
//!
//! One process for each pod instance, started by a Mesos agent (`CUSTOM` executor). It makes each task's folder, links
//! its volumes, renders its configuration files, starts, checks and kills its processes, and tells the agent.
//! Not here: what to run and where; the scheduler decides that. Operators read `docs/executor.md`.
//!
//! One binary, several roles ([`main`]): the executor itself; `shim`, the first program of every child; `bootstrap`, a
//! stand-in for the SDK's program of that name.
//!
//! Invariant: decisions are made in `supervise.rs`, which is pure; everything else carries them out.
//! Read next: `supervise.rs`, then `run.rs`.

mod bootstrap;
mod cgroup;
mod config_template;
mod connect;
mod download;
mod environment;
mod folder;
mod health;
mod http;
mod output;
mod process;
mod run;
mod shim;
mod supervise;
mod task;
mod update;
mod user;
mod volume;

use std::path::Path;
use std::process::ExitCode;

/// The name under which any binary with this library in it is the executor.
pub const PROGRAM: &str = "mainstay-executor";

/// The hidden first argument that makes another binary the executor.
pub const SUBCOMMAND: &str = "executor";

const BOOTSTRAP: &str = "bootstrap";

/// Whether a process with these arguments, the program's name first, is to run [`main`].
///
/// True when the file name of the program is `mainstay-executor` or `bootstrap`, or the first argument is `executor`.
pub fn is_called<S: AsRef<str>>(arguments: &[S]) -> bool {
    let name = arguments.first().map(|program| file_name(program.as_ref())).unwrap_or_default();
    name == PROGRAM || name == BOOTSTRAP || arguments.get(1).is_some_and(|first| first.as_ref() == SUBCOMMAND)
}

/// Runs the role that the process's arguments name; the caller returns what it returns.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let name = arguments.first().map(|program| file_name(program)).unwrap_or_default();
    let mut rest = arguments.get(1..).unwrap_or_default();
    if name == BOOTSTRAP {
        return bootstrap::run(rest);
    }
    if rest.first().is_some_and(|first| first == SUBCOMMAND) {
        rest = &rest[1..];
    }
    match rest.first().map(String::as_str) {
        Some("shim") => shim::run(&rest[1..]),
        Some(BOOTSTRAP) => bootstrap::run(&rest[1..]),
        Some("--version") => {
            println!("{PROGRAM} {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some(other) => fail(&format!("unknown argument {other:?}: a Mesos agent starts this program without any")),
        None => execute(),
    }
}

fn execute() -> ExitCode {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let environment = match environment::Environment::read(variables) {
        Ok(environment) => environment,
        Err(error) => return fail(&error.to_string()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(run::run(environment));
            // A copy that is still running must not hold the process.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(format!("cannot start: {error}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("{PROGRAM}: {message}");
    ExitCode::FAILURE
}

fn file_name(program: &str) -> &str {
    Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_knows_when_it_is_the_executor() {
        for (arguments, expected) in [
            (&["mainstay-executor"][..], true),
            (&["/sandbox/mainstay-executor", "shim"], true),
            (&["./bootstrap", "-resolve=false"], true),
            (&["mainstay", "executor"], true),
            (&["mainstay", "dev"], false),
            (&["mainstay"], false),
            (&[], false),
        ] {
            assert_eq!(is_called(arguments), expected, "{arguments:?}");
        }
    }
}
