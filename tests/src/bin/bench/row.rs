//! One line of the table.

use std::fmt;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// A measured value with its unit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value {
    /// A duration.
    Time(Duration),
    /// An amount of memory.
    Bytes(u64),
    /// A number of something.
    Count(u64),
}

impl Value {
    fn number(self) -> f64 {
        match self {
            Self::Time(time) => time.as_secs_f64(),
            Self::Bytes(bytes) => bytes as f64,
            Self::Count(count) => count as f64,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) if *time >= Duration::from_secs(1) => write!(f, "{:.2} s", time.as_secs_f64()),
            Self::Time(time) if *time >= Duration::from_millis(1) => write!(f, "{:.1} ms", time.as_secs_f64() * 1e3),
            Self::Time(time) => write!(f, "{:.2} µs", time.as_secs_f64() * 1e6),
            Self::Bytes(bytes) => write!(f, "{:.2} MiB", *bytes as f64 / 1_048_576.0),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// How, in a few words.
    pub(crate) how: String,
    /// The figure.
    pub(crate) result: Value,
    /// What it should not exceed, where there is such a target.
    pub(crate) target: Option<Value>,
    /// Instructions it takes, where they were counted: less dependent on the machine than its time.
    pub(crate) instructions: Option<u64>,
}

impl Row {
    /// A row.
    pub(crate) fn new(
        what: impl Into<String>,
        how: impl Into<String>,
        result: Value,
        target: impl Into<Option<Value>>,
    ) -> Self {
        Self { what: what.into(), how: how.into(), result, target: target.into(), instructions: None }
    }

    fn verdict(&self) -> String {
        match self.target {
            None => "—".to_owned(),
            Some(target) if self.result.number() <= target.number() => "met".to_owned(),
            Some(target) => format!("missed by {:.0} %", (self.result.number() / target.number() - 1.0) * 100.0),
        }
    }

    fn target_text(&self) -> String {
        self.target.map_or_else(|| "—".to_owned(), |target| format!("≤ {target}"))
    }

    fn instructions_text(&self) -> String {
        match self.instructions {
            None => String::new(),
            Some(count) if count >= 1_000_000 => format!("{:.1} M instructions", count as f64 / 1e6),
            Some(count) => format!("{:.1} k instructions", count as f64 / 1e3),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (result, target) = (self.result.to_string(), self.target_text());
        let instructions = self.instructions_text();
        write!(f, "{:<72} {result:>12}  {target:>12}  {:<8} {instructions}", self.what, self.verdict())
    }
}

/// The table as Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| What | Measured | Target | | Instructions | How |\n|---|---|---|---|---|---|\n");
    for row in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            row.what,
            row.result,
            row.target_text(),
            row.verdict(),
            row.instructions_text(),
            row.how
        );
    }
    text
}

/// The shortest of several runs of `run`, each on a fresh input.
pub(crate) fn best_of<T, R>(times: usize, mut input: impl FnMut() -> T, mut run: impl FnMut(T) -> R) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..times {
        let fresh = input();
        let start = Instant::now();
        let result = run(fresh);
        let took = start.elapsed();
        // What it made is dropped outside the measurement.
        drop(result);
        best = best.min(took);
    }
    best
}
