//! Finding processes that are nobody's children any more.
//!
//! Executors outlive their agent, so a test finds them as an operator would: by what `/proc` says of their command,
//! folder and environment.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal};

/// A running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its process id.
    pub pid: i32,
    /// When it started, in ticks of the kernel since the machine did. Ids begin anew once they are used up, and tell no order.
    pub started: u64,
    /// Its command line, arguments separated by blanks.
    pub command: String,
    /// Its environment as it was at its start, `NAME=value` each.
    pub environment: Vec<String>,
}

impl Found {
    /// The value of a variable of its environment.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// Sends it a signal; nothing happens when it has ended meanwhile.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }
}

/// All processes but this one, zombies left out, whose command, working directory or environment names `folder`.
///
/// Shape: ordered by process id.
pub fn processes_of_folder(folder: &Path) -> Vec<Found> {
    let needle = folder.to_string_lossy().into_owned();
    let mut found: Vec<Found> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id().cast_signed())
        .filter_map(|pid| read(pid, &needle))
        .collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// Reads one process, if it names `needle`. One that ends while it is read is none.
fn read(pid: i32, needle: &str) -> Option<Found> {
    let folder = format!("/proc/{pid}");
    let words = |file: &str| -> Vec<String> {
        let bytes = fs::read(format!("{folder}/{file}")).unwrap_or_default();
        bytes
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect()
    };
    let command = words("cmdline");
    if command.is_empty() {
        return None; // A kernel thread or a zombie.
    }
    let environment = words("environ");
    let cwd = fs::read_link(format!("{folder}/cwd")).unwrap_or_default();
    let is_ours =
        command.iter().chain(&environment).any(|word| word.contains(needle)) || cwd.to_string_lossy().contains(needle);
    let started = started(&fs::read_to_string(format!("{folder}/stat")).ok()?)?;
    is_ours.then(|| Found { pid, started, command: command.join(" "), environment })
}

/// The 22nd field of `/proc/<pid>/stat`; the second is a name in brackets with whatever in it.
fn started(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_when_it_started() {
        let stat = "12 (a ) b) S 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987 10 11";
        assert_eq!(started(stat), Some(987));
        assert_eq!(started("12 (a"), None);
    }
}
