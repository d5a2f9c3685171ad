//! The way of an operator's command into the loop and of its answer back.
//!
//! Not the HTTP API, which parses commands and renders answers. Reads use the published view; only what is worth
//! making on demand, the snapshot for explanations, comes this way too.
//! Invariant: a command that was taken is answered after its commit, or its caller is told that no answer came.

use std::time::Duration;

use mainstay_engine::command::{Answer, Command};
use mainstay_engine::explain::Question;
use tokio::sync::{mpsc, oneshot};

/// Commands that may wait for the loop.
///
/// A full queue refuses the caller at once: operators retry, and waiting longer would only hide that the loop is stuck.
pub const COMMANDS_QUEUED: usize = 64;

/// How long a caller waits for its answer; a commit takes milliseconds, a lost store ends the process in about 14 seconds.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// Why a command has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// Too many commands wait; this one was not taken.
    #[error("too many commands are waiting; try again")]
    Full,
    /// The scheduler is ending; this one was not taken or not answered.
    #[error("the scheduler is stopping; try again in a moment")]
    Stopping,
    /// The command was taken but not answered in time; it may still happen.
    #[error("no answer within {} seconds: the state store may be unreachable", ANSWER_DEADLINE.as_secs())]
    NoAnswer,
}

/// Something for the loop on its way, with the place its answer goes to.
#[derive(Debug)]
pub enum Request {
    /// A command.
    Command {
        /// What is wanted.
        command: Command,
        /// Where the answer goes.
        answer: oneshot::Sender<Answer>,
    },
    /// A snapshot from which unfinished steps are explained. It changes nothing and waits for no commit.
    Question {
        /// Where it goes.
        answer: oneshot::Sender<Question>,
    },
}

/// Hands commands to the loop; clones share one queue.
#[derive(Debug, Clone)]
pub struct CommandHandle {
    queue: mpsc::Sender<Request>,
}

/// A queue of commands: the handle for those who ask, the receiver for the one who answers.
pub fn channel() -> (CommandHandle, mpsc::Receiver<Request>) {
    let (queue, requests) = mpsc::channel(COMMANDS_QUEUED);
    (CommandHandle { queue }, requests)
}

impl CommandHandle {
    /// Hands over a command and waits for its answer, which is given after its commit.
    ///
    /// Errors: see [`Busy`]; only [`Busy::NoAnswer`] leaves open whether the command will happen.
    pub async fn send(&self, command: Command) -> Result<Answer, Busy> {
        let (answer, awaited) = oneshot::channel();
        self.ask(Request::Command { command, answer }, awaited).await
    }

    /// Asks for the snapshot from which unfinished steps are explained.
    ///
    /// Errors: see [`Busy`]; while the store cannot be reached the loop answers nothing.
    pub async fn question(&self) -> Result<Question, Busy> {
        let (answer, awaited) = oneshot::channel();
        self.ask(Request::Question { answer }, awaited).await
    }

    async fn ask<T>(&self, request: Request, awaited: oneshot::Receiver<T>) -> Result<T, Busy> {
        self.queue.try_send(request).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Busy::Full,
            mpsc::error::TrySendError::Closed(_) => Busy::Stopping,
        })?;
        match tokio::time::timeout(ANSWER_DEADLINE, awaited).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Busy::Stopping),
            Err(_) => Err(Busy::NoAnswer),
        }
    }
}

#[cfg(test)]
mod tests {
    use mainstay_engine::command::{Answer, Command, PodVerb};

    use super::*;

    fn restart() -> Command {
        Command::Pod { pod: "hello-0".into(), verb: PodVerb::Restart }
    }

    #[tokio::test]
    async fn an_answer_comes_back_to_its_caller() {
        let (handle, mut requests) = channel();
        let asked = tokio::spawn(async move { handle.send(restart()).await });
        let Some(Request::Command { command, answer }) = requests.recv().await else { panic!("the handle lives") };
        assert_eq!(command, restart());
        answer.send(Answer::Received).expect("the caller waits");
        assert_eq!(asked.await.expect("no panic"), Ok(Answer::Received));
    }

    #[tokio::test]
    async fn a_full_queue_and_an_ended_loop_refuse_at_once() {
        let (handle, requests) = channel();
        for _ in 0..COMMANDS_QUEUED {
            let (answer, _) = oneshot::channel();
            handle.queue.try_send(Request::Command { command: restart(), answer }).expect("there is room");
        }
        assert_eq!(handle.send(restart()).await, Err(Busy::Full));
        drop(requests);
        assert_eq!(handle.send(restart()).await, Err(Busy::Stopping));
    }

    #[tokio::test]
    async fn a_dropped_request_tells_its_caller() {
        let (handle, mut requests) = channel();
        let asked = tokio::spawn(async move { handle.send(restart()).await });
        drop(requests.recv().await);
        assert_eq!(asked.await.expect("no panic"), Err(Busy::Stopping));
    }
}
