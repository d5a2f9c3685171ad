//! One step of a command: a program that is run, named and timed.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::root;

/// A program to run, with the name that the reader sees.
pub(crate) struct Phase {
    name: &'static str,
    command: Command,
}

impl Phase {
    /// A call of the cargo that runs us, at the workspace's root.
    pub(crate) fn cargo(name: &'static str, arguments: &[&str]) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut phase = Self::program(name, cargo).args(arguments);
        if std::env::var_os("CI").is_some() {
            // Nothing of an incremental build would be used again.
            phase.command.env("CARGO_INCREMENTAL", "0");
        }
        phase
    }

    /// A call of any program, at the workspace's root.
    pub(crate) fn program(name: &'static str, program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root()).stdin(Stdio::null());
        Self { name, command }
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it, and prints its name before and its duration after.
    ///
    /// Errors: it cannot be started, or it fails.
    pub(crate) fn run(mut self) -> Result<()> {
        println!("== {}", self.name);
        let start = Instant::now();
        let status =
            self.command.status().with_context(|| format!("start {}", self.command.get_program().display()))?;
        let seconds = start.elapsed().as_secs_f64();
        if !status.success() {
            bail!("{} failed after {seconds:.1} s ({status})", self.name);
        }
        println!("== {}: {seconds:.1} s", self.name);
        Ok(())
    }
}

/// What a program prints.
///
/// Errors: it cannot be started, or it fails; the error shows what it said.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {program}"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
