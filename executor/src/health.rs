//! When a check runs, and what its results mean. Pure: no process, no clock.
//!
//! Not here: starting and killing the check's process (`run.rs`), what a verdict does to the task (`supervise.rs`).
//!
//! | `Timer` phase | time reached | process ended |
//! |---|---|---|
//! | `Waiting { at }` | start the check → `Running` | ignored |
//! | `Running { kill_at }` | kill the check → `TimedOut` | result counts → `Waiting` (interval) |
//! | `TimedOut` | – | counts as "no result" → `Waiting` (interval) |
//! | `Stopped` | – | ignored |
//!
//! Invariant: of one timer at most one process lives.
//! Source: `HealthCheck` and `CheckInfo` of Mesos v1; the rules are those of its built-in executors.

use std::time::Duration;

/// Checks never run more often than this, whatever the interval says: an interval of 0 would keep a core busy.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// The two checks a task may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// `TaskInfo.check`: observed, reported, never kills.
    Readiness,
    /// `TaskInfo.health_check`: kills after too many failures.
    Health,
}

impl Kind {
    /// The word used in messages and file names.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Readiness => "readiness-check",
            Self::Health => "health-check",
        }
    }
}

/// What a check's process said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckResult {
    /// It exited by itself with this status.
    Code(i32),
    /// Nothing: it has not run yet, took too long, could not start, or a signal ended it.
    Missing,
}

impl CheckResult {
    /// The exit status.
    pub(crate) fn exit_code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            Self::Missing => None,
        }
    }
}

/// When a check runs.
///
/// Units: `delay` counts from the task's start, `interval` from the end of the check before; a check that takes longer
/// than `timeout` is killed, `None` waits for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// Wait before the first check.
    pub(crate) delay: Duration,
    /// Wait between two checks.
    pub(crate) interval: Duration,
    /// Longest run of one check.
    pub(crate) timeout: Option<Duration>,
}

/// The rules of a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HealthRules {
    /// When it runs.
    pub(crate) schedule: Schedule,
    /// Failures this long after the task's start are ignored until the first success.
    pub(crate) grace: Duration,
    /// So many failures in a row end the task.
    pub(crate) max_failures: u32,
}

/// What a timer wants done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Start the check's process.
    Start,
    /// Kill the check's process: it took too long.
    Kill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting { at: Duration },
    Running { kill_at: Option<Duration> },
    TimedOut,
    Stopped,
}

/// The clockwork of one check.
#[derive(Debug, Clone)]
pub(crate) struct Timer {
    schedule: Schedule,
    phase: Phase,
}

impl Timer {
    /// A timer of a task that started at `now`.
    pub(crate) fn new(schedule: Schedule, now: Duration) -> Self {
        Self { schedule, phase: Phase::Waiting { at: now + schedule.delay } }
    }

    /// When [`Timer::tick`] has something to say next.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        match self.phase {
            Phase::Waiting { at } => Some(at),
            Phase::Running { kill_at } => kill_at,
            Phase::TimedOut | Phase::Stopped => None,
        }
    }

    /// What is due at `now`.
    pub(crate) fn tick(&mut self, now: Duration) -> Option<Due> {
        match self.phase {
            Phase::Waiting { at } if now >= at => {
                self.phase = Phase::Running { kill_at: self.schedule.timeout.map(|timeout| now + timeout) };
                Some(Due::Start)
            }
            Phase::Running { kill_at: Some(at) } if now >= at => {
                self.phase = Phase::TimedOut;
                Some(Due::Kill)
            }
            Phase::Waiting { .. } | Phase::Running { .. } | Phase::TimedOut | Phase::Stopped => None,
        }
    }

    /// The check's process ended; the result that counts, or `None` when nobody waits for one.
    pub(crate) fn ended(&mut self, result: CheckResult, now: Duration) -> Option<CheckResult> {
        let result = match self.phase {
            Phase::Running { .. } => result,
            Phase::TimedOut => CheckResult::Missing,
            Phase::Waiting { .. } | Phase::Stopped => return None,
        };
        self.phase = Phase::Waiting { at: now + self.schedule.interval.max(MIN_INTERVAL) };
        Some(result)
    }

    /// Ends the checks; tells whether a process is to be killed.
    pub(crate) fn stop(&mut self) -> bool {
        let is_running = matches!(self.phase, Phase::Running { .. });
        self.phase = Phase::Stopped;
        is_running
    }
}

/// Readiness: remembers the last exit code and notices changes.
#[derive(Debug, Clone)]
pub(crate) struct Readiness {
    /// The clockwork.
    pub(crate) timer: Timer,
    result: CheckResult,
}

impl Readiness {
    /// A readiness check of a task that started at `now`.
    pub(crate) fn new(schedule: Schedule, now: Duration) -> Self {
        Self { timer: Timer::new(schedule, now), result: CheckResult::Missing }
    }

    /// The latest result.
    pub(crate) fn result(&self) -> CheckResult {
        self.result
    }

    /// Takes a result; tells whether it differs from the one before.
    pub(crate) fn ended(&mut self, result: CheckResult, now: Duration) -> bool {
        match self.timer.ended(result, now) {
            Some(result) if result != self.result => {
                self.result = result;
                true
            }
            Some(_) | None => false,
        }
    }
}

/// What a health check's result means for its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing to tell.
    Unchanged,
    /// The task became healthy or unhealthy.
    Changed,
    /// Too many failures in a row: the task must end.
    Kill,
}

/// Liveness: counts failures.
#[derive(Debug, Clone)]
pub(crate) struct Liveness {
    /// The clockwork.
    pub(crate) timer: Timer,
    rules: HealthRules,
    started_at: Duration,
    has_succeeded: bool,
    failures: u32,
    healthy: Option<bool>,
}

impl Liveness {
    /// A health check of a task that started at `now`.
    pub(crate) fn new(rules: HealthRules, now: Duration) -> Self {
        let timer = Timer::new(rules.schedule, now);
        Self { timer, rules, started_at: now, has_succeeded: false, failures: 0, healthy: None }
    }

    /// What to report; `None` before the first result that counts.
    pub(crate) fn healthy(&self) -> Option<bool> {
        self.healthy
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Takes a result.
    pub(crate) fn ended(&mut self, result: CheckResult, now: Duration) -> Verdict {
        let Some(result) = self.timer.ended(result, now) else { return Verdict::Unchanged };
        let before = self.healthy;
        if result == CheckResult::Code(0) {
            self.has_succeeded = true;
            self.failures = 0;
            self.healthy = Some(true);
        } else {
            if !self.has_succeeded && now.saturating_sub(self.started_at) <= self.rules.grace {
                return Verdict::Unchanged;
            }
            self.failures += 1;
            self.healthy = Some(false);
            if self.failures >= self.rules.max_failures.max(1) {
                return Verdict::Kill;
            }
        }
        if self.healthy == before { Verdict::Unchanged } else { Verdict::Changed }
    }
}

#[cfg(test)]
mod tests {
    use super::CheckResult::{Code, Missing};
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const SCHEDULE: Schedule = Schedule { delay: s(5), interval: s(10), timeout: Some(s(2)) };

    #[test]
    fn a_timer_waits_starts_kills_and_waits_again() {
        let mut timer = Timer::new(SCHEDULE, s(100));
        assert_eq!((timer.tick(s(104)), timer.wake_at()), (None, Some(s(105))));
        assert_eq!((timer.tick(s(105)), timer.wake_at()), (Some(Due::Start), Some(s(107))));
        assert_eq!(timer.tick(s(106)), None);
        assert_eq!((timer.tick(s(107)), timer.wake_at()), (Some(Due::Kill), None));
        assert_eq!(timer.tick(s(120)), None);
        assert_eq!((timer.ended(Code(0), s(121)), timer.wake_at()), (Some(Missing), Some(s(131))));
        assert_eq!(timer.ended(Code(0), s(122)), None, "no process was running");
        assert_eq!(timer.tick(s(131)), Some(Due::Start));
        assert_eq!((timer.ended(Code(3), s(132)), timer.wake_at()), (Some(Code(3)), Some(s(142))));
        assert!(!timer.stop());
        assert_eq!((timer.tick(s(200)), timer.wake_at()), (None, None));
    }

    #[test]
    fn stopping_tells_whether_a_check_runs_and_its_result_is_ignored() {
        let mut timer = Timer::new(Schedule { timeout: None, ..SCHEDULE }, s(0));
        assert_eq!((timer.tick(s(5)), timer.wake_at()), (Some(Due::Start), None));
        assert!(timer.stop());
        assert_eq!(timer.ended(Code(0), s(6)), None);
    }

    #[test]
    fn an_interval_of_nothing_does_not_spin() {
        let mut timer = Timer::new(Schedule { delay: s(0), interval: s(0), timeout: None }, s(0));
        assert_eq!(timer.tick(s(0)), Some(Due::Start));
        timer.ended(Code(1), s(1));
        assert_eq!(timer.wake_at(), Some(s(1) + MIN_INTERVAL));
    }

    #[test]
    fn readiness_reports_changes_only() {
        let mut readiness = Readiness::new(SCHEDULE, s(0));
        let mut at = 5;
        let mut check = |result, expected| {
            readiness.timer.tick(s(at));
            assert_eq!(readiness.ended(result, s(at + 1)), expected, "{result:?} at {at}");
            assert_eq!(readiness.result(), result);
            at += 11;
        };
        check(Missing, false);
        check(Code(1), true);
        check(Code(1), false);
        check(Code(0), true);
        check(Code(0), false);
        check(Missing, true);
        check(Code(0), true);
    }

    // contract: 6.4/health
    #[test]
    fn health_counts_failures_after_grace_or_first_success() {
        #[track_caller]
        fn check(max_failures: u32, results: &[(u64, CheckResult, Verdict)]) {
            let schedule = Schedule { delay: s(0), interval: s(0), timeout: None };
            let mut liveness = Liveness::new(HealthRules { schedule, grace: s(60), max_failures }, s(100));
            for &(at, result, expected) in results {
                assert_eq!(liveness.timer.tick(s(at)), Some(Due::Start));
                assert_eq!(liveness.ended(result, s(at)), expected, "{result:?} at {at}");
            }
        }
        use Verdict::{Changed, Kill, Unchanged};
        // Within the grace period failures do not count, before the first success.
        check(1, &[(101, Code(1), Unchanged), (160, Missing, Unchanged), (161, Code(1), Kill)]);
        // After a success they do.
        check(2, &[(101, Code(0), Changed), (102, Code(1), Changed), (103, Code(1), Kill)]);
        // A success resets the count.
        check(
            2,
            &[
                (101, Code(0), Changed),
                (102, Code(1), Changed),
                (103, Code(0), Changed),
                (104, Code(0), Unchanged),
                (105, Missing, Changed),
                (106, Missing, Kill),
            ],
        );
        // A maximum of 0 is read as 1.
        check(0, &[(170, Code(9), Kill)]);
    }
}
