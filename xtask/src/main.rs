//! The only list of commands: `cargo xtask test|check|bench|sim|dist|setup`.
//!
//! Each command is a list of phases; a phase is one program, and the first that fails ends the command.
//!
//! Invariant: `test` runs everything or fails; what cannot be installed is an error, never a skipped test.
//!
//! Read next: `setup.rs`, what the tests need from outside.

mod phase;
mod setup;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::phase::Phase;

const USAGE: &str = "\
cargo xtask COMMAND

  test [ARGS...]   install what the tests need, then format, lints, build, every test and doc test;
                   with ARGS only the tests that `cargo test ARGS...` names, after a build of everything
  check            format and lints
  bench [ARGS...]  the measurements of docs/performance.md, in a release build
  sim [ARGS...]    the simulation: --seed S replays one seed, --seeds N runs N of them
  dist             release binaries and the static executor, into target/dist
  setup            install what the tests need (ZooKeeper, a Java runtime, a real Mesos)
";

/// The target on which a static executor is built; musl links without a library of the system.
const STATIC_TARGET: &str = "x86_64-unknown-linux-musl";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else { bail!("which command?\n\n{USAGE}") };
    match (command.as_str(), rest) {
        ("test", []) => test(),
        ("test", rest) => test_some(rest),
        ("check", []) => check(),
        ("bench", rest) => {
            let run = ["run", "--release", "--package", "mainstay-tests", "--bin", "bench", "--"];
            Phase::cargo("release binaries", &["build", "--release", "--workspace", "--bins"]).run()?;
            if has_target(STATIC_TARGET)? {
                let executor = ["build", "--profile", "executor", "--package", "mainstay-executor", "--bins"];
                Phase::cargo("static executor", &executor).args(["--target", STATIC_TARGET]).run()?;
            }
            Phase::cargo("bench", &run).args(rest).run()
        }
        ("sim", rest) => {
            let run = ["run", "--package", "mainstay-tests", "--bin", "sim", "--"];
            Phase::cargo("simulation", &run).args(rest).run()
        }
        ("dist", []) => dist(),
        ("setup", []) => setup::all(&target_folder()),
        ("help" | "--help" | "-h", _) => {
            print!("{USAGE}");
            Ok(())
        }
        ("check" | "dist" | "setup", [surplus, ..]) => bail!("{command} takes no {surplus}\n\n{USAGE}"),
        (unknown, _) => bail!("no command {unknown}\n\n{USAGE}"),
    }
}

/// The workspace's root, whose layout this program knows.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// Where cargo builds.
fn target_folder() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        // Relative to the folder that cargo was started in, as ours.
        Some(folder) => std::path::absolute(&folder).unwrap_or_else(|_| folder.into()),
        None => root().join("target"),
    }
}

fn test() -> Result<()> {
    setup::all(&target_folder())?;
    check()?;
    // The tests start binaries of other packages, which `cargo test` alone would build only if it tests them.
    Phase::cargo("build", &["build", "--workspace", "--all-targets"]).run()?;
    // Cargo runs the test binaries one after another, so two of the real ones never compete.
    Phase::cargo("tests", &["test", "--workspace"]).env("MAINSTAY_MESOS", setup::mesos_folder(&target_folder())).run()
}

fn test_some(arguments: &[String]) -> Result<()> {
    setup::all(&target_folder())?;
    Phase::cargo("build", &["build", "--workspace"]).run()?;
    let tests = Phase::cargo("tests", &["test"]).args(arguments);
    tests.env("MAINSTAY_MESOS", setup::mesos_folder(&target_folder())).run()
}

fn check() -> Result<()> {
    Phase::cargo("format", &["fmt", "--all", "--check"]).run()?;
    Phase::cargo("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()
}

fn dist() -> Result<()> {
    let target = target_folder();
    let dist = target.join("dist");
    Phase::cargo(
        "release binaries",
        &["build", "--release", "--package", "mainstay-cli", "--package", "mainstay-scheduler", "--bins"],
    )
    .run()?;
    let executor = ["build", "--profile", "executor", "--package", "mainstay-executor", "--bins"];
    let executor_folder = if has_target(STATIC_TARGET)? {
        Phase::cargo("static executor", &executor).args(["--target", STATIC_TARGET]).run()?;
        target.join(STATIC_TARGET).join("executor")
    } else {
        println!(
            "xtask: {STATIC_TARGET} is not installed (rustup target add {STATIC_TARGET}): the executor is dynamic"
        );
        Phase::cargo("executor", &executor).run()?;
        target.join("executor")
    };
    std::fs::create_dir_all(&dist)?;
    for (folder, name) in [
        (target.join("release"), "mainstay"),
        (target.join("release"), "mainstay-scheduler"),
        (executor_folder, "mainstay-executor"),
    ] {
        let bytes = std::fs::copy(folder.join(name), dist.join(name))
            .map_err(|error| anyhow::anyhow!("copy {}: {error}", folder.join(name).display()))?;
        println!("{bytes:>12} bytes  {}", dist.join(name).display());
    }
    Ok(())
}

/// True when the compiler has the standard library of `target`.
fn has_target(target: &str) -> Result<bool> {
    let folder = phase::output("rustc", &["--print", "target-libdir", "--target", target])?;
    Ok(Path::new(folder.trim()).is_dir())
}
