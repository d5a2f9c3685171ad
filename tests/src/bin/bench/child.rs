//! Measurements in a process of their own: peaks of memory, and instructions as valgrind counts them.
//!
//! The program starts itself with `--child NAME TIMES`; such a child prints one number.
//! Invariant: instructions are the difference of two runs that do the same work more or less often, so that neither the start nor the
//! preparation of the work counts.

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};

use super::process::{peak_memory, resident_memory};
use super::{evaluation, pure};

/// Runs what a child is asked for and prints its number.
pub(crate) fn main(name: &str, times: &str) -> Result<ExitCode> {
    let times: u32 = times.parse().context("--child needs a name and a number")?;
    let number = match name {
        "decode" => pure::memory_of_decoding()?,
        "evaluate-memory" => evaluation::memory()?,
        "fails" => evaluation::repeat(evaluation::What::Fails, times)?,
        "fits" => evaluation::repeat(evaluation::What::Fits, times)?,
        "accepted" => evaluation::repeat(evaluation::What::Accepted, times)?,
        other => match evaluation::Size::parse(other) {
            Some(size) => size.repeat(times)?,
            None => bail!("no such measurement {other}"),
        },
    };
    println!("{number}");
    Ok(ExitCode::SUCCESS)
}

/// The growth of the largest resident memory of this process.
pub(crate) struct Peak {
    before: u64,
}

impl Peak {
    /// From now on.
    ///
    /// Source: `/proc/<pid>/clear_refs`, value 5.
    pub(crate) fn start() -> Result<Self> {
        std::fs::write("/proc/self/clear_refs", "5").context("reset the peak")?;
        Ok(Self { before: resident_memory(std::process::id())? })
    }

    /// Bytes by which the peak since then is above what was there.
    pub(crate) fn above(&self) -> Result<u64> {
        Ok(peak_memory(std::process::id())?.saturating_sub(self.before))
    }
}

/// The number that a child prints; `input` is its standard input.
pub(crate) fn number(name: &str, input: Option<File>) -> Result<u64> {
    let own = std::env::current_exe().context("find the own program")?;
    let mut command = Command::new(own);
    command.args(["--child", name, "1"]).stdin(input.map_or_else(Stdio::null, Stdio::from));
    let output = command.stderr(Stdio::inherit()).output().context("start the own program")?;
    let text = String::from_utf8(output.stdout)?;
    text.trim().parse().with_context(|| format!("no number: {text}"))
}

/// Instructions of one repetition of what a child does, as the mean of some; `None` where valgrind is not installed.
pub(crate) fn instructions(name: &str, times: u32) -> Result<Option<u64>> {
    let has_valgrind = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("valgrind").is_file()));
    if !has_valgrind {
        eprintln!("no valgrind here: instructions are not counted");
        return Ok(None);
    }
    let own = std::env::current_exe().context("find the own program")?;
    // What happens once, like the growth of a buffer to its size, has happened after the first time.
    let (few, many) = (collected(&own, name, 1)?, collected(&own, name, 1 + times)?);
    Ok(Some(many.saturating_sub(few) / u64::from(times)))
}

/// Instructions of a whole child.
fn collected(own: &Path, name: &str, times: u32) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(own);
    let output = command.args(["--child", name, &times.to_string()]).output().context("start valgrind")?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("valgrind: {text}");
    }
    let line = text.lines().find_map(|line| line.split_once("Collected : ")).context("no count of valgrind")?;
    line.1.trim().parse().with_context(|| format!("no number of valgrind: {}", line.1))
}
