//! Files that describe agents, or hold offers that somebody recorded.
//!
//! Which of the forms a file has is seen from its content: a list of agents as people write it (`agents.rs`), what a master answers at
//! `/master/slaves` (`master.rs`), offers in the JSON of the v1 scheduler API (`offers.rs`), which is also what our scheduler gives at
//! `/v1/placement/offers`.
//!
//! Invariant: no content of a file makes this panic; every problem names the file and the place in it.
//! Invariant: agents are sorted by name, so that their order in the file decides nothing.

mod agents;
mod master;
mod offers;
mod tree;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use mainstay_devcluster::AgentConfig;
use mainstay_scheduler::engine::offer::Offer;
pub(crate) use offers::of_agent as offer_of;
use serde_json::Value;

/// Largest file read: what a master with some ten thousand agents answers.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Most agents of one file.
const MAX_AGENTS: usize = 20_000;
/// Most ranges of one resource of an agent; real ones have some hundred when much runs there.
const MAX_RANGES: usize = 1000;
/// Problems shown of one file.
const MAX_SHOWN: usize = 20;

/// What a file holds.
#[derive(Debug)]
pub(crate) enum Recorded {
    /// A described cluster.
    Agents(Vec<AgentConfig>),
    /// Offers that were made once.
    Offers(Vec<Offer>),
}

/// What was read, and what its reader should know.
#[derive(Debug)]
pub(crate) struct Read {
    /// What the file holds.
    pub(crate) what: Recorded,
    /// Parts that were left out, and why.
    pub(crate) notes: Vec<String>,
    /// What the file says of the master.
    pub(crate) master: Option<Master>,
}

/// The master that the offers of a file came from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Master {
    /// Its region, when it has one.
    pub(crate) region: Option<String>,
}

/// Problems of one file, in the order of their places.
#[derive(Debug)]
struct Problems<'n> {
    name: &'n str,
    lines: Vec<String>,
    more: usize,
}

impl<'n> Problems<'n> {
    fn new(name: &'n str) -> Self {
        Self { name, lines: Vec::new(), more: 0 }
    }

    fn push(&mut self, place: &str, message: &str) {
        if self.lines.len() < MAX_SHOWN {
            self.lines.push(format!("{}{place}: {message}", self.name));
        } else {
            self.more += 1;
        }
    }

    /// All of them as one text; `None` when there is none.
    fn text(mut self) -> Option<String> {
        if self.more > 0 {
            self.lines.push(format!("{}: and {} more problems", self.name, self.more));
        }
        (!self.lines.is_empty()).then(|| self.lines.join("\n"))
    }
}

/// What a reader can use, for messages about files that hold nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Agents alone.
    Agents,
    /// Offers, or agents that would make them.
    Offers,
}

impl Wanted {
    const fn expected(self) -> &'static str {
        match self {
            Self::Agents => "expected a list of agents (docs/cli.md), or the answer of a master at /master/slaves",
            Self::Offers => {
                "expected a list of agents (docs/cli.md), the answer of a master at /master/slaves, or recorded offers"
            }
        }
    }
}

/// Reads a file; `-` is standard input.
///
/// Errors: every problem found, a line each.
pub(crate) fn read(path: &Path, wanted: Wanted) -> Result<Read, String> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "<stdin>".to_owned() } else { path.display().to_string() };
    let cannot = |why: &dyn std::fmt::Display| format!("cannot read {name}: {why}");
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => cannot(&"there is no such file"),
        io::ErrorKind::IsADirectory => cannot(&"it is a folder; name the file"),
        _ => cannot(&error),
    };
    let mut bytes = Vec::new();
    let from: Box<dyn io::Read> =
        if is_stdin { Box::new(io::stdin().lock()) } else { Box::new(File::open(path).map_err(failed)?) };
    // One more byte than allowed tells whether there are more; an endless device ends here.
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(cannot(&format!("it is larger than {MAX_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|error| cannot(&format!("it is not text: {error}")))?;
    parse(&name, &text, wanted)
}

/// Standard input can be read once.
///
/// Errors: both files are it.
pub(crate) fn at_most_one_stdin(one: &str, first: &Path, other: &str, second: &Path) -> Result<(), String> {
    let stdin = Path::new("-");
    if first == stdin && second == stdin {
        return Err(format!("{one} and {other} are both -; only one of them can be standard input"));
    }
    Ok(())
}

/// Reads the text of a file.
///
/// Errors: every problem found, a line each.
pub(crate) fn parse(name: &str, text: &str, wanted: Wanted) -> Result<Read, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(format!("{name}: the file is empty; {}", wanted.expected()));
    }
    let begins_like_json = text.trim_start().starts_with(['{', '[']);
    let json = if begins_like_json { serde_json::from_str::<Value>(text) } else { Ok(Value::Null) };
    match &json {
        Ok(value) if offers::is_like(value) => return offers::read(name, value),
        Ok(value) if value.get("slaves").is_some() => return master::read(name, value),
        _ => {}
    }
    agents::read(name, text, wanted).map_err(|problems| match json {
        // It was meant to be JSON, so that is what is wrong with it.
        Err(error) => format!("{name}:{}:{}: not JSON: {}", error.line(), error.column().max(1), why(&error)),
        Ok(_) => problems,
    })
}

/// The reader's message without the place at its end.
fn why(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why).to_owned()
}

#[cfg(test)]
mod tests;
