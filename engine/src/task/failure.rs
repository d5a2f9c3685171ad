//! Why tasks that are not well failed, and growing delays between launches of those that keep failing.
//!
//! Delays are kept in the store, so that a scheduler that restarts does not launch a failing task at once; failures that hold nothing back
//! are not.

use std::collections::BTreeMap;

use crate::config::Backoff;
use crate::ids::TaskName;
use crate::units::{Millis, Timestamp};

/// Longest text kept of why a task failed, in bytes: two lines of a terminal.
const WHY_BYTES: usize = 240;

/// Delay of each failing task, and why the last launch failed.
///
/// Source: the SDK's opt-in backoff: `delay = min(max, initial × factor^k)`, cleared when the task is ready.
#[derive(Debug, Clone, Default)]
pub struct Delays {
    by_task: BTreeMap<TaskName, Delay>,
    is_changed: bool,
}

#[derive(Debug, Clone)]
struct Delay {
    span: Millis,
    until: Timestamp,
    why: String,
}

impl Delay {
    /// Whether it ever held the task back.
    const fn holds(&self) -> bool {
        self.span.0 > 0
    }
}

impl Delays {
    /// Reads what [`Self::write`] wrote; lines that cannot be read are dropped.
    ///
    /// No delay is longer than its span from now on, whatever the clock did in between.
    pub fn read(text: &str, now: Timestamp) -> Self {
        let line = |line: &str| {
            let mut fields = line.splitn(4, ' ');
            let name = TaskName::parse(fields.next()?).ok()?;
            let span = Millis(fields.next()?.parse().ok()?);
            let until = Timestamp(fields.next()?.parse().ok()?).min(now.plus(span));
            Some((name, Delay { span, until, why: fields.next().unwrap_or_default().to_owned() }))
        };
        Self { by_task: text.lines().filter_map(line).collect(), is_changed: false }
    }

    /// One line per task that is or was held back; empty when there is none.
    pub fn write(&self) -> String {
        let line = |(name, delay): (&TaskName, &Delay)| {
            format!("{name} {} {} {}", delay.span.0, delay.until.0, delay.why).trim_end().to_owned() + "\n"
        };
        self.by_task.iter().filter(|(_, delay)| delay.holds()).map(line).collect()
    }

    /// Whether there is something to write since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// Takes note of a failure; returns until when the task is held back.
    ///
    /// Shape: of `why` one line of bounded length is kept.
    pub fn failed(&mut self, name: &TaskName, why: &str, backoff: Backoff, now: Timestamp) -> Timestamp {
        let next = match self.by_task.get(name).filter(|last| last.holds()) {
            None => backoff.initial,
            Some(last) => Millis(last.span.0.saturating_mul(backoff.factor_millis.max(1000)) / 1000),
        };
        let span = Millis(next.0.min(backoff.max.0));
        let until = now.plus(span);
        self.by_task.insert(name.clone(), Delay { span, until, why: one_line(why) });
        self.is_changed = true;
        until
    }

    /// Takes note of a failure that holds nothing back.
    ///
    /// Shape: as [`Self::failed`].
    pub fn note(&mut self, name: &TaskName, why: &str) {
        let delay = self.by_task.entry(name.clone()).or_insert(Delay {
            span: Millis(0),
            until: Timestamp(0),
            why: String::new(),
        });
        let why = one_line(why);
        self.is_changed |= delay.holds() && delay.why != why;
        delay.why = why;
    }

    /// Until when the task is held back, if it still is.
    pub fn until(&self, name: &TaskName, now: Timestamp) -> Option<Timestamp> {
        self.by_task.get(name).map(|delay| delay.until).filter(|until| *until > now)
    }

    /// Why the last launch of the task failed, while it counts; empty when nobody said.
    pub fn why(&self, name: &TaskName) -> Option<&str> {
        self.by_task.get(name).map(|delay| delay.why.as_str())
    }

    /// The task is well, or an operator wants it now.
    pub fn clear(&mut self, name: &TaskName) {
        self.is_changed |= self.by_task.remove(name).is_some_and(|delay| delay.holds());
    }
}

fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.len() + word.len() >= WHY_BYTES {
            line.push_str(" …");
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_up_to_its_bound_and_starts_over_when_cleared() {
        let backoff = Backoff { initial: Millis(60_000), factor_millis: 2000, max: Millis(200_000) };
        let name = TaskName::parse("hello-0-server").expect("a valid name");
        let mut delays = Delays::default();
        let seen: Vec<u64> = (0..4).map(|_| delays.failed(&name, "", backoff, Timestamp(1)).0).collect();
        assert_eq!(seen, [60_001, 120_001, 200_001, 200_001]);
        delays.clear(&name);
        assert_eq!(delays.failed(&name, "", backoff, Timestamp(1)).0, 60_001);
    }

    #[test]
    fn a_failure_that_holds_nothing_back_is_known_and_not_written() {
        let name = TaskName::parse("hello-0-server").expect("a valid name");
        let mut delays = Delays::default();
        delays.note(&name, "TASK_FAILED:  exit 3");
        assert_eq!((delays.why(&name), delays.until(&name, Timestamp(0))), (Some("TASK_FAILED: exit 3"), None));
        assert_eq!((delays.write().as_str(), delays.take_changed()), ("", false));
        let backoff = Backoff { initial: Millis(1000), factor_millis: 2000, max: Millis(60_000) };
        assert_eq!(
            delays.failed(&name, "TASK_ERROR", backoff, Timestamp(0)),
            Timestamp(1000),
            "the first that holds back"
        );
        delays.note(&name, "TASK_FAILED: exit 4");
        assert_eq!(delays.write(), "hello-0-server 1000 1000 TASK_FAILED: exit 4\n");
        assert!(delays.take_changed());
        delays.clear(&name);
        assert_eq!((delays.why(&name), delays.write().as_str()), (None, ""));
        assert!(delays.take_changed());
    }

    #[test]
    fn a_delay_is_read_back_and_never_longer_than_it_was() {
        let backoff = Backoff { initial: Millis(60_000), factor_millis: 2000, max: Millis(200_000) };
        let name = TaskName::parse("hello-0-server").expect("a valid name");
        let mut delays = Delays::default();
        delays.failed(&name, "TASK_ERROR: one\n  two ", backoff, Timestamp(1_000_000));
        assert_eq!(delays.write(), "hello-0-server 60000 1060000 TASK_ERROR: one two\n");
        assert!(delays.take_changed() && !delays.take_changed());
        let text = delays.write();
        let mut read = Delays::read(&format!("{text}no line of ours\n"), Timestamp(1_010_000));
        assert_eq!(read.write(), text);
        assert_eq!(read.until(&name, Timestamp(1_010_000)), Some(Timestamp(1_060_000)));
        assert_eq!(read.until(&name, Timestamp(1_060_000)), None);
        assert_eq!(read.why(&name), Some("TASK_ERROR: one two"));
        assert_eq!(read.failed(&name, "", backoff, Timestamp(0)), Timestamp(120_000), "it goes on growing");
        let long = "word ".repeat(1000);
        read.failed(&name, &long, backoff, Timestamp(0));
        assert!(read.why(&name).is_some_and(|why| why.len() <= WHY_BYTES + " …".len() && why.ends_with("word …")));
        let without = Delays::read("hello-0-server 1 5\n", Timestamp(0));
        assert_eq!((without.why(&name), without.write().as_str()), (Some(""), "hello-0-server 1 1\n"));
        // A clock that was set back.
        assert_eq!(Delays::read(&text, Timestamp(5)).until(&name, Timestamp(5)), Some(Timestamp(60_005)));
    }
}
