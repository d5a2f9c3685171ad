//! Programs under test and the servers they need, as child processes.
//!
//! Invariant: a process starts with an environment of its own, since a scheduler takes every variable it sees as an
//! input of the template.
//! Invariant: a process ends with the [`Process`] that started it. When this test process is killed the kernel ends it
//! (parent-death signal, set by `setpriv`; it follows the *thread*, so start processes on the thread of the test).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::wait::{wait_for, wait_until};

/// Variables that a process keeps of the test's own environment.
const KEPT: [&str; 6] = ["PATH", "HOME", "TMPDIR", "LANG", "RUST_BACKTRACE", "JAVA_HOME"];

/// The folder with the binaries of this build, for example `target/debug`.
///
/// Source: a test's own program is `target/debug/deps/<name>-<hash>`, another binary is `target/debug/<name>`.
pub fn build_folder() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find the test's own program")?;
    let folder = own.parent().context("a program without a folder")?;
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_owned())
}

/// The path of a binary of this workspace.
///
/// Errors: it has not been built; cargo builds only this package's binaries for its tests.
pub fn binary(name: &str) -> Result<PathBuf> {
    let path = build_folder()?.join(name);
    if !path.is_file() {
        bail!("{} is missing: run `cargo build --workspace` first, or `cargo xtask test`", path.display());
    }
    Ok(path)
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Program {
    /// Name used in messages.
    pub name: String,
    /// The program's path, or a name to look up in `PATH`.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment, beside `PATH` and a few others.
    pub environment: BTreeMap<String, String>,
    /// Its working directory; default the test's.
    pub folder: Option<PathBuf>,
    /// The file that gets its output and errors; an existing one is continued.
    pub log: PathBuf,
}

impl Program {
    /// A program without arguments whose output goes to `log`.
    pub fn new(name: &str, path: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            path: path.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            folder: None,
            log: log.into(),
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Sets several variables of its environment.
    pub fn envs(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// Starts it.
    ///
    /// Errors: the log cannot be opened, or `setpriv` (util-linux) or the program is missing.
    pub fn spawn(&self) -> Result<Process> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log: File = log.with_context(|| format!("open log {}", self.log.display()))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.path).args(&self.arguments);
        command.env_clear();
        for name in KEPT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(&self.environment);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let start = std::fs::metadata(&self.log)?.len();
        let child = command.spawn().with_context(|| format!("start {} with setpriv", self.path.display()))?;
        Ok(Process { name: self.name.clone(), child, log: self.log.clone(), log_start: start })
    }
}

/// A running child process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    log_start: u64,
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file with its output.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// What it has written since its start.
    pub fn output(&self) -> Result<String> {
        let bytes = std::fs::read(&self.log).with_context(|| format!("read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(bytes.get(self.log_start as usize..).unwrap_or_default()).into_owned())
    }

    /// Waits for a complete line of its output that contains `text`, and returns it.
    ///
    /// Errors: no such line within `deadline`, or it ended without one.
    pub async fn wait_for_line(&mut self, text: &str, deadline: Duration) -> Result<String> {
        let what = format!("{}: a line with {text:?}", self.name);
        let line = wait_for(&what, deadline, async || {
            let ended = self.child.try_wait()?;
            let output = self.output()?;
            let complete = output.rfind('\n').map_or("", |end| &output[..end]);
            match (complete.lines().find(|line| line.contains(text)), ended) {
                (Some(line), _) => Ok(Some(Ok(line.to_owned()))),
                (None, Some(status)) => Ok(Some(Err(status))),
                (None, None) => Ok(None),
            }
        });
        match line.await? {
            Ok(line) => Ok(line),
            Err(status) => bail!("{what}: it ended with {status}\n{}", tail(&self.log, 20)),
        }
    }

    /// True while it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Fails with the end of its log if it has ended.
    pub fn check_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}\n{}", self.name, tail(&self.log, 20)),
        }
    }

    /// Ends it at once (SIGKILL) and waits until it is gone.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Freezes it (SIGSTOP) and waits until all its threads stand still: one that has not noticed yet may still answer.
    pub fn freeze(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        rustix::process::waitid(WaitId::Pid(Pid::from_child(&self.child)), stopped)?;
        self.check_running()
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sends it a signal.
    ///
    /// Errors: it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.check_running()?;
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).with_context(|| format!("signal {}", self.name))
    }

    /// Waits until it ends by itself.
    ///
    /// Errors: it still runs after `deadline`.
    pub async fn wait_exit(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let what = format!("{} ends", self.name);
        wait_for(&what, deadline, async || Ok(self.child.try_wait()?)).await
    }

    /// Waits until `probe` says that it serves.
    ///
    /// Errors: it ended, or did not serve within `deadline`.
    pub async fn wait_serving(
        &mut self,
        deadline: Duration,
        mut probe: impl AsyncFnMut() -> Result<bool>,
    ) -> Result<()> {
        let what = format!("{} serves", self.name);
        let mut ended = false;
        wait_until(&what, deadline, async || {
            if !self.is_running() {
                ended = true;
                return Ok(true);
            }
            probe().await
        })
        .await
        .with_context(|| tail(&self.log, 20))?;
        if ended { self.check_running() } else { Ok(()) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// The last `lines` of a log with its path, for messages.
pub fn tail(log: &Path, lines: usize) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    format!("end of {}:\n{}", log.display(), all[all.len().saturating_sub(lines)..].join("\n"))
}
