//! A guide, carried out: its files are written, its commands run, and what they print is what it shows.
//!
//! Shape of a guide: a block with a language and a path is a file; a block `console` has commands behind `$ ` with their output; a block
//! `console running` has one command that goes on until the next of its kind, or the end, interrupts it. A line `…` stands for any
//! lines. Lines that begin with a time are shown in the order that is usual: each must occur, others may. The port 8099 stands for a free
//! one; ids, times of the log and numbers of chosen ports may be any; `export NAME=VALUE` holds for the commands below it.
//!
//! `MAINSTAY_UPDATE_GUIDE=1 cargo test -p mainstay-cli --test NAME` writes the output of what does not match into the guide; a
//! line `…` has to be put back by hand.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The port that the guide uses.
const PORT: &str = "8099";
/// Far above what anything here takes, for slow machines.
const WITHIN: Duration = Duration::from_secs(60);

/// A fenced block of the guide.
struct Block<'g> {
    info: &'g str,
    text: &'g str,
    line: usize,
}

/// A command and what is shown behind it.
struct Shown<'g> {
    command: &'g str,
    output: Vec<&'g str>,
    line: usize,
}

fn blocks(guide: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, usize, usize)> = None;
    let mut offset = 0;
    for (at, line) in guide.split_inclusive('\n').enumerate() {
        if let Some(info) = line.trim_end().strip_prefix("```") {
            open = match open {
                None => Some((info, offset + line.len(), at + 2)),
                Some((info, start, line)) => {
                    blocks.push(Block { info, text: &guide[start..offset], line });
                    None
                }
            };
        }
        offset += line.len();
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

fn shown<'g>(block: &Block<'g>) -> Vec<Shown<'g>> {
    let mut all: Vec<Shown<'g>> = Vec::new();
    for (at, line) in block.text.lines().enumerate() {
        match (line.strip_prefix("$ "), all.last_mut()) {
            (Some(command), _) => all.push(Shown { command, output: Vec::new(), line: block.line + at }),
            (None, Some(last)) => last.output.push(line),
            (None, None) => panic!("line {}: output without a command", block.line + at),
        }
    }
    all
}

/// A line without what differs between two runs.
fn plain(line: &str) -> String {
    let mut line = without_ids(line.trim_end());
    for agent in 0..3 {
        line = line.replace(&format!("agent-{agent}.localhost"), "agent-N.localhost");
    }
    match line.trim_start().split_once("s  ") {
        Some((seconds, rest)) if seconds.parse::<f64>().is_ok() => format!("TIME {rest}"),
        _ => line,
    }
}

/// A line with `ID` for each UUID and for what counts behind one (`-S0`, `-O8`), `NOW` for a time of the log, also where it is told with `at`,
/// and without the numbers of ports that were chosen.
fn without_ids(line: &str) -> String {
    let is_time = |word: &str| word.len() == 27 && word.ends_with('Z') && word.as_bytes().get(10) == Some(&b'T');
    let line = match line.split_once(' ') {
        Some((first, rest)) if is_time(first) => format!("NOW {rest}"),
        _ => line.to_owned(),
    };
    let mut plain = String::new();
    let mut rest = line.as_str();
    while let Some(first) = rest.chars().next() {
        if let Some(behind) = rest.get(..36).filter(|text| is_uuid(text)).map(|_| &rest[36..]) {
            plain.push_str("ID");
            rest = behind;
            if let Some(number) = behind.strip_prefix("-S").or_else(|| behind.strip_prefix("-O")) {
                rest = without_number(number);
            }
        } else if let Some(behind) = rest.strip_prefix(" at ").and_then(without_moment) {
            plain.push_str(" at NOW");
            rest = behind;
        } else if let Some(number) = rest.strip_prefix("' is ") {
            plain.push_str("' is ");
            rest = without_number(number);
        } else {
            plain.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    plain
}

/// What follows a moment such as `2026-01-02T03:04:05Z`.
fn without_moment(text: &str) -> Option<&str> {
    let (moment, behind) = text.split_at_checked(20)?;
    (moment.ends_with('Z') && moment.as_bytes().get(10) == Some(&b'T')).then_some(behind)
}

fn without_number(text: &str) -> &str {
    text.trim_start_matches(|digit: char| digit.is_ascii_digit())
}

fn is_uuid(text: &str) -> bool {
    text.char_indices().all(|(at, one)| match at {
        8 | 13 | 18 | 23 => one == '-',
        _ => one.is_ascii_hexdigit(),
    })
}

/// Whether the output is the one shown.
fn matches(shown: &[&str], actual: &str) -> bool {
    let (timed, shown): (Vec<String>, Vec<String>) =
        shown.iter().map(|line| plain(line)).partition(|line| line.starts_with("TIME "));
    let (actual_timed, actual): (Vec<String>, Vec<String>) =
        actual.lines().map(plain).partition(|line| line.starts_with("TIME "));
    timed.iter().all(|line| actual_timed.contains(line)) && in_order(&shown, &actual)
}

fn in_order(shown: &[String], actual: &[String]) -> bool {
    match shown.split_first() {
        None => actual.is_empty(),
        Some((first, rest)) if first == "…" => (0..=actual.len()).any(|skipped| in_order(rest, &actual[skipped..])),
        Some((first, rest)) => {
            actual.split_first().is_some_and(|(line, others)| line == first && in_order(rest, others))
        }
    }
}

/// The folder in which the guide is carried out, with the program in the path.
struct Place {
    folder: tempfile::TempDir,
    port: String,
    running: Vec<Child>,
    exported: Vec<(String, String)>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("bin")).unwrap();
        std::fs::create_dir_all(folder.path().join("work")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mainstay"), folder.path().join("bin/mainstay")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        Self { folder, port, running: Vec::new(), exported: Vec::new() }
    }

    fn work(&self) -> std::path::PathBuf {
        self.folder.path().join("work")
    }

    fn command(&self, command: &str) -> Command {
        let path = format!("{}:{}", self.folder.path().join("bin").display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("exec 2>&1; {}", command.replace(PORT, &self.port)));
        shell.current_dir(self.work()).env("PATH", path).stdin(Stdio::null());
        for name in ["MAINSTAY_URL", "PORT_API", "RUST_LOG", "FRAMEWORK_LOG_LEVEL", "NO_COLOR"] {
            shell.env_remove(name);
        }
        shell.envs(self.exported.iter().map(|(name, value)| (name, value.replace(PORT, &self.port))));
        shell
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.work().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Output and errors as a terminal would show them, with the guide's port.
    fn run(&mut self, command: &str) -> String {
        if let Some((name, value)) = command.strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
            self.exported.push((name.to_owned(), value.to_owned()));
            return String::new();
        }
        let output = self.command(command).output().unwrap();
        String::from_utf8(output.stdout).unwrap().replace(&self.port, PORT)
    }

    /// Starts a command in place of the one before it, and waits until it has printed the last line shown.
    fn start(&mut self, shown: &Shown<'_>) -> String {
        self.interrupt();
        let path = self.folder.path().join("running");
        let file = File::create(&path).unwrap();
        self.running.push(self.command(&format!("exec {}", shown.command)).stdout(file).spawn().unwrap());
        let last = plain(shown.output.last().unwrap());
        let since = Instant::now();
        loop {
            let text = std::fs::read_to_string(&path).unwrap().replace(&self.port, PORT);
            if text.lines().any(|line| plain(line) == last) {
                return text;
            }
            assert!(since.elapsed() < WITHIN, "line {}: not printed: {last}\n{text}", shown.line);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Place {
    /// As Ctrl-C does.
    fn interrupt(&mut self) {
        for mut child in self.running.drain(..) {
            kill_process(Pid::from_child(&child), Signal::INT).ok();
            child.wait().ok();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.interrupt();
    }
}

/// Carries out the guide at a path of the repository, which has more than so many commands.
#[track_caller]
pub(crate) fn carry_out(path: &str, more_than: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let guide = std::fs::read_to_string(&path).unwrap();
    let is_update = std::env::var_os("MAINSTAY_UPDATE_GUIDE").is_some();
    let mut updated: Vec<(usize, usize, String)> = Vec::new();
    let mut wrong: Vec<String> = Vec::new();
    let mut place = Place::new();
    let mut commands = 0;
    for block in blocks(&guide) {
        let mut words = block.info.split_whitespace();
        let (kind, file) = (words.next(), words.next());
        match (kind, file) {
            (Some("console"), mode) => {
                for shown in shown(&block) {
                    commands += 1;
                    let actual = if mode == Some("running") { place.start(&shown) } else { place.run(shown.command) };
                    if !matches(&shown.output, &actual) {
                        let expected = shown.output.join("\n");
                        let (line, command) = (shown.line, shown.command);
                        wrong.push(format!("line {line}: {command}\n--- shown\n{expected}\n--- real\n{actual}"));
                        updated.push((shown.line, shown.output.len(), actual));
                    }
                }
            }
            (Some(_), Some(file)) => place.write(file, block.text),
            _ => panic!("line {}: a block needs the name of a file, or `console`", block.line),
        }
    }
    assert!(commands > more_than, "only {commands} commands found");
    if is_update && !updated.is_empty() {
        let mut lines: Vec<String> = guide.lines().map(str::to_owned).collect();
        for (line, length, actual) in updated.into_iter().rev() {
            lines.splice(line..line + length, actual.lines().map(str::to_owned));
        }
        std::fs::write(path, lines.join("\n") + "\n").unwrap();
        panic!("the guide was updated; read the difference");
    }
    assert!(wrong.is_empty(), "the guide shows what does not happen:\n{}", wrong.join("\n"));
}

#[test]
fn what_is_left_out_may_be_anything_and_nothing_else() {
    let lines = "a\nb\n   0.5s  task x\nc\n   1.2s  task y on agent-2.localhost\n";
    assert!(matches(&["a", "b", "c"], lines));
    assert!(matches(&["a", "…", "  9.9s  task y on agent-0.localhost", " 1.0s  task x"], lines));
    assert!(matches(&["…", "c"], lines));
    assert!(!matches(&["a", "c"], lines));
    assert!(!matches(&["a", "b"], lines));
    assert!(!matches(&["a", "b", "c", " 0.1s  task z"], lines));
    let log = "2026-11-25T23:47:58.978105Z  INFO x 868b4700-0330-4470-bf4e-ce66b96863c7-O8, y\n";
    assert!(matches(&["2017-01-02T03:04:05.678901Z  INFO x 00000000-0330-4470-bf4e-ce66b96863c7-O11, y"], log));
    assert!(!matches(&["2017-01-02T03:04:05.678901Z  INFO x 868b4700, y"], log));
}
