//! The life of one task: a table of states and inputs. Pure.
//!
//! Not here: updates, timers of checks, the agent's connection (`supervise.rs`).
//!
//! | state | `Prepared` | `PrepareFailed` | `Started` | `StartFailed` | `Exited` | `Gone` | `Kill`, `Unhealthy` |
//! |---|---|---|---|---|---|---|---|
//! | `Preparing` | start it → `Starting` | fail → `Ended` | illegal | illegal | illegal | illegal | abandon, killed → `Ended` |
//! | `Starting` | illegal | illegal | → `Running` | fail → `Ended` | illegal | illegal | → `Stopping` |
//! | `Running` | illegal | illegal | illegal | illegal | kill the group → `Ending` | illegal | SIGTERM → `Stopping` |
//! | `Stopping` | illegal | illegal | SIGTERM | killed → `Ended` | kill the group → `Ending` | illegal | deadline may come nearer |
//! | `Ending` | illegal | illegal | illegal | illegal | illegal | report → `Ended` | ignored |
//! | `Ended` | ignored (abandoned) | ignored (abandoned) | illegal | illegal | illegal | illegal | ignored |
//!
//! Invariant: a task reaches `Ended` only without processes: never started, or leader and group gone.
//! Invariant: a deadline of `Stopping` only moves nearer.

use std::time::Duration;

/// How a task's first process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It exited by itself with this status.
    Status(i32),
    /// This signal ended it.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(formatter, "command exited with status {status}"),
            Self::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(formatter, "command was killed by signal {signal} ({name})"),
                None => write!(formatter, "command was killed by signal {signal}"),
            },
        }
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return None,
    })
}

/// Why a task is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The scheduler, the agent or the executor's own end wants it.
    Requested,
    /// Its health check failed too often.
    Unhealthy,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Its folder, volumes and configuration files are being made.
    Preparing,
    /// Its process is being started.
    Starting,
    /// Its process runs.
    Running,
    /// It has been asked to end; SIGKILL follows at `kill_at` (`None`: was sent).
    Stopping {
        /// When patience ends.
        kill_at: Option<Duration>,
        /// Patience, for a process that starts late.
        grace: Duration,
        /// Why.
        cause: Cause,
    },
    /// Its first process ended; what it left behind is being killed.
    Ending {
        /// How the first process ended.
        exit: Exit,
        /// Whether and why it had been asked to.
        cause: Option<Cause>,
    },
    /// No process of it is left.
    Ended,
}

/// What can happen to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// Everything it needs is there.
    Prepared,
    /// Something it needs cannot be had.
    PrepareFailed,
    /// Its process was started.
    Started,
    /// Its process cannot be started.
    StartFailed,
    /// Its first process ended.
    Exited(Exit),
    /// No process of it is left.
    Gone,
    /// It must end within `grace`; `shortens` tells whether that grace also binds a stop already under way.
    Stop {
        /// Patience.
        grace: Duration,
        /// Whether the sender named this grace.
        shortens: bool,
        /// Why.
        cause: Cause,
    },
}

/// What an input asks for, beside the new state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing.
    Nothing,
    /// Start the process.
    Start,
    /// Forget the preparation, report the kill.
    Abandon(Cause),
    /// Report that it runs, begin its checks.
    ReportRunning,
    /// Report a failure before the start.
    ReportNotStarted,
    /// Report a kill before the start.
    ReportKilledUnstarted(Cause),
    /// Send SIGTERM to the group; the checks end.
    Terminate,
    /// Send SIGKILL to whatever is left; the checks end.
    KillGroup,
    /// Report the end.
    ReportEnd(Exit, Option<Cause>),
}

/// A pair of state and input that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} cannot happen in {state:?}")]
pub(crate) struct Illegal {
    state: State,
    input: Input,
}

impl State {
    /// The table above.
    ///
    /// Errors: an illegal pair leaves the state as it is.
    pub(crate) fn next(self, input: Input, now: Duration) -> Result<(Self, Outcome), Illegal> {
        use Input::{Exited, Gone, PrepareFailed, Prepared, StartFailed, Started, Stop};
        Ok(match (self, input) {
            (Self::Preparing, Prepared) => (Self::Starting, Outcome::Start),
            (Self::Preparing, PrepareFailed) | (Self::Starting, StartFailed) => {
                (Self::Ended, Outcome::ReportNotStarted)
            }
            (Self::Preparing, Stop { cause, .. }) => (Self::Ended, Outcome::Abandon(cause)),
            (Self::Starting, Started) => (Self::Running, Outcome::ReportRunning),
            (Self::Starting, Stop { grace, cause, .. }) => {
                (Self::Stopping { kill_at: Some(now + grace), grace, cause }, Outcome::Nothing)
            }
            (Self::Running, Exited(exit)) => (Self::Ending { exit, cause: None }, Outcome::KillGroup),
            (Self::Running, Stop { grace, cause, .. }) | (Self::Stopping { grace, cause, .. }, Started) => {
                (Self::Stopping { kill_at: Some(now + grace), grace, cause }, Outcome::Terminate)
            }
            (Self::Stopping { cause, .. }, StartFailed) => (Self::Ended, Outcome::ReportKilledUnstarted(cause)),
            (Self::Stopping { cause, .. }, Exited(exit)) => {
                (Self::Ending { exit, cause: Some(cause) }, Outcome::KillGroup)
            }
            (Self::Stopping { kill_at, grace, .. }, Stop { grace: new, shortens, cause }) => {
                let kill_at = kill_at.map(|at| if shortens { at.min(now + new) } else { at });
                (
                    Self::Stopping { kill_at, grace: if shortens { grace.min(new) } else { grace }, cause },
                    Outcome::Nothing,
                )
            }
            (Self::Ending { exit, cause }, Gone) => (Self::Ended, Outcome::ReportEnd(exit, cause)),
            (Self::Ending { .. } | Self::Ended, Stop { .. }) | (Self::Ended, Prepared | PrepareFailed) => {
                (self, Outcome::Nothing)
            }
            (Self::Preparing | Self::Ended, Started | StartFailed | Exited(_) | Gone)
            | (Self::Starting, Prepared | PrepareFailed | Exited(_) | Gone)
            | (Self::Running, Prepared | PrepareFailed | Started | StartFailed | Gone)
            | (Self::Stopping { .. }, Prepared | PrepareFailed | Gone)
            | (Self::Ending { .. }, Prepared | PrepareFailed | Started | StartFailed | Exited(_)) => {
                return Err(Illegal { state: self, input });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const EXIT: Exit = Exit::Status(3);

    const fn stop(seconds: u64, shortens: bool, cause: Cause) -> Input {
        Input::Stop { grace: Duration::from_secs(seconds), shortens, cause }
    }

    const fn stopping(kill_at: Option<u64>, grace: u64, cause: Cause) -> State {
        let kill_at = match kill_at {
            Some(at) => Some(Duration::from_secs(at)),
            None => None,
        };
        State::Stopping { kill_at, grace: Duration::from_secs(grace), cause }
    }

    #[test]
    fn every_legal_pair_does_what_the_table_says() {
        #[track_caller]
        fn check(state: State, input: Input, next: State, outcome: Outcome) {
            assert_eq!(state.next(input, NOW), Ok((next, outcome)), "{state:?} {input:?}");
        }
        use Cause::{Requested, Unhealthy};
        let ending = |cause| State::Ending { exit: EXIT, cause };

        check(State::Preparing, Input::Prepared, State::Starting, Outcome::Start);
        check(State::Preparing, Input::PrepareFailed, State::Ended, Outcome::ReportNotStarted);
        check(State::Preparing, stop(5, false, Requested), State::Ended, Outcome::Abandon(Requested));

        check(State::Starting, Input::Started, State::Running, Outcome::ReportRunning);
        check(State::Starting, Input::StartFailed, State::Ended, Outcome::ReportNotStarted);
        check(State::Starting, stop(5, false, Requested), stopping(Some(105), 5, Requested), Outcome::Nothing);

        check(State::Running, Input::Exited(EXIT), ending(None), Outcome::KillGroup);
        check(State::Running, stop(5, false, Requested), stopping(Some(105), 5, Requested), Outcome::Terminate);
        check(State::Running, stop(7, false, Unhealthy), stopping(Some(107), 7, Unhealthy), Outcome::Terminate);

        let stopped = stopping(Some(103), 5, Requested);
        check(stopped, Input::Started, stopping(Some(105), 5, Requested), Outcome::Terminate);
        check(stopped, Input::StartFailed, State::Ended, Outcome::ReportKilledUnstarted(Requested));
        check(stopped, Input::Exited(EXIT), ending(Some(Requested)), Outcome::KillGroup);
        check(stopped, stop(1, true, Requested), stopping(Some(101), 1, Requested), Outcome::Nothing);
        check(stopped, stop(60, true, Requested), stopping(Some(103), 5, Requested), Outcome::Nothing);
        check(stopped, stop(1, false, Requested), stopped, Outcome::Nothing);
        let killed = stopping(None, 5, Unhealthy);
        check(killed, stop(1, true, Requested), stopping(None, 1, Requested), Outcome::Nothing);
        check(killed, Input::Exited(EXIT), ending(Some(Unhealthy)), Outcome::KillGroup);

        check(ending(None), Input::Gone, State::Ended, Outcome::ReportEnd(EXIT, None));
        check(ending(Some(Unhealthy)), Input::Gone, State::Ended, Outcome::ReportEnd(EXIT, Some(Unhealthy)));
        check(ending(None), stop(1, true, Requested), ending(None), Outcome::Nothing);

        for input in [Input::Prepared, Input::PrepareFailed, stop(1, true, Requested)] {
            check(State::Ended, input, State::Ended, Outcome::Nothing);
        }
    }

    #[test]
    fn all_other_pairs_are_illegal() {
        let states = [
            State::Preparing,
            State::Starting,
            State::Running,
            stopping(None, 1, Cause::Requested),
            State::Ending { exit: EXIT, cause: None },
            State::Ended,
        ];
        let inputs = [
            Input::Prepared,
            Input::PrepareFailed,
            Input::Started,
            Input::StartFailed,
            Input::Exited(EXIT),
            Input::Gone,
        ];
        // One row a state, one column an input: `x` is illegal.
        let expected = ["..xxxx", "xx..xx", "xxxx.x", "xx...x", "xxxxx.", "..xxxx"];
        for (state, row) in states.into_iter().zip(expected) {
            let seen: String =
                inputs.iter().map(|input| if state.next(*input, NOW).is_err() { 'x' } else { '.' }).collect();
            assert_eq!(seen, row, "{state:?}");
        }
    }

    #[test]
    fn exits_read_as_sentences() {
        assert_eq!(Exit::Status(3).to_string(), "command exited with status 3");
        assert_eq!(Exit::Signal(9).to_string(), "command was killed by signal 9 (SIGKILL)");
        assert_eq!(Exit::Signal(64).to_string(), "command was killed by signal 64");
    }
}
