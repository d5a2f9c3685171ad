//! The loop: the only caller of the engine, and the only place that commits, sends and answers.
//!
//! Takes what is queued, at most a batch of it, steps the engine for each, commits once, then sends, then publishes the view, then
//! answers. Makes no choice about the service. Not the start (`startup.rs`) and not the end (`shutdown.rs`).
//!
//! Invariant: nothing is sent, published or answered before the commit it came with is durable.
//! Invariant: while the store cannot be reached nothing is taken, stepped or sent; once its lock is lost nothing ever is.
//! Invariant: a call carries the number of the subscription the engine knew of when it wanted it, so that it cannot leave under
//! another one.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mainstay_engine::command::Answer;
use mainstay_engine::effect::Effects;
use mainstay_engine::event::Event;
use mainstay_engine::explain::Question;
use mainstay_engine::ids::OfferId;
use mainstay_engine::journal::Entry;
use mainstay_engine::task::status::Status;
use mainstay_engine::units::Timestamp;
use mainstay_engine::view::View;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::control::Request;
use crate::mesos::client::{EXIT_DRIVER, Handle, Message};
use crate::store::Store;
use crate::telemetry;

/// Events of each kind taken into one commit. Large enough that a burst of statuses costs one round trip, small enough that nobody
/// waits long for the answer.
pub const BATCH: usize = 256;
/// How long calls that are under way may take when the process ends.
pub const FLUSH_WITHIN: Duration = Duration::from_secs(5);
/// How long a commit that is under way may take when the process is told to end.
const COMMIT_WITHIN: Duration = Duration::from_secs(5);

/// How the scheduler ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Code for the process; 0 when it was asked to stop.
    pub code: u8,
    /// Why, for people; may have several lines.
    pub reason: String,
}

impl Exit {
    /// An end with a code and its reason.
    pub fn new(code: u8, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// The end somebody asked for.
    pub fn stopped() -> Self {
        Self::new(0, "stopped; the framework stays registered and its tasks run on")
    }
}

/// What the loop needs of the engine.
pub trait Core: Send {
    /// Decides what one event means.
    fn step(&mut self, event: Event, now: Timestamp) -> Effects;
    /// Decides what a burst of statuses means: the same as one after the other, perhaps with less work.
    fn step_statuses(&mut self, statuses: Vec<Status>, now: Timestamp) -> Effects {
        let mut merged = Effects::default();
        for status in statuses {
            merged.merge(self.step(Event::Status(status), now));
        }
        merged
    }
    /// The present moment for readers.
    fn view(&mut self) -> Arc<View>;
    /// What is needed to explain why steps are not done; `None` where nothing can be explained.
    fn question(&mut self) -> Option<Question> {
        None
    }
}

/// Something of a service author that is told what happened, after it has been made durable.
pub trait Hook: Send {
    /// Called once per journal entry, in order, from the loop: it must return soon and must not block.
    fn on_event(&mut self, entry: &Entry, view: &View);
}

/// Time as the engine knows it: the wall clock of the start, carried on by a clock that never goes back.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    wall_ms: u64,
    since: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { wall_ms: wall.as_millis() as u64, since: Instant::now() }
    }

    /// This moment.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.wall_ms.saturating_add(self.since.elapsed().as_millis() as u64))
    }

    /// When a moment will be.
    fn instant(&self, at: Timestamp) -> Instant {
        // A day is as good as never: the timer is set anew after each step.
        let ahead = Duration::from_millis(at.0.saturating_sub(self.wall_ms))
            .min(self.since.elapsed() + Duration::from_secs(86_400));
        self.since + ahead
    }
}

/// The loop and all it owns.
pub struct Loop<C> {
    /// The engine.
    pub core: C,
    /// The open store.
    pub store: Store,
    /// The way of calls to the master.
    pub calls: Handle,
    /// Events of the master.
    pub messages: mpsc::Receiver<Message>,
    /// Commands of operators.
    pub commands: mpsc::Receiver<Request>,
    /// Where views are published.
    pub view: watch::Sender<Arc<View>>,
    /// Who is told what happened.
    pub hooks: Vec<Box<dyn Hook>>,
    /// Time.
    pub clock: Clock,
    /// The one pending timer.
    pub wake_at: Option<Timestamp>,
}

/// Something to step the engine with.
enum Input {
    Message(Message),
    Command(Request),
    Tick,
}

/// What happens next.
enum Next {
    Input(Input),
    Reconnected,
    Exit(Exit),
}

/// Takes offers out that were rescinded before anybody looked at them: an ACCEPT of one would only be refused.
fn drop_rescinded(inputs: &mut [Input]) {
    let rescinded: BTreeSet<OfferId> = inputs
        .iter()
        .filter_map(|input| match input {
            Input::Message(Message::Event { event: Event::Rescinded(id), .. }) => Some(id.clone()),
            _ => None,
        })
        .collect();
    if rescinded.is_empty() {
        return;
    }
    // An offer is rescinded after it was made, so those behind the RESCIND are other ones.
    for input in inputs {
        if let Input::Message(Message::Event { event: Event::Offers(offers), .. }) = input {
            offers.retain(|offer| !rescinded.contains(&offer.id));
        }
    }
}

impl<C: Core> Loop<C> {
    /// Runs until `stop` fires, the store is lost, one of `tasks` ends, or the engine or the master wants the end.
    ///
    /// Gives the store back, so that its lock can be released after everything else has ended.
    pub async fn run(mut self, tasks: &mut JoinSet<()>, stop: &CancellationToken) -> (Exit, Store) {
        let lost = self.store.lost();
        let mut lost = pin!(lost);
        let mut connection = self.store.connection();
        let mut state = State::default();
        let exit = loop {
            let is_connected = *connection.borrow_and_update();
            let timer = self.wake_at.map(|at| self.clock.instant(at));
            // Every branch is cancel-safe: queues keep what is not taken.
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => Next::Exit(Exit::stopped()),
                lost = &mut lost => Next::Exit(Exit::new(lost.exit_code(), lost.to_string())),
                message = self.messages.recv(), if is_connected => match message {
                    Some(message) => Next::Input(Input::Message(message)),
                    None => Next::Exit(Exit::new(EXIT_DRIVER, "the connection to the master ended without a reason")),
                },
                Some(request) = self.commands.recv(), if is_connected => Next::Input(Input::Command(request)),
                () = sleep_until(timer), if is_connected => Next::Input(Input::Tick),
                Some(ended) = tasks.join_next() => Next::Exit(self.task_ended(ended)),
                Ok(()) = connection.changed() => Next::Reconnected,
            };
            let first = match next {
                Next::Input(first) => first,
                Next::Reconnected => {
                    tell_connection(*connection.borrow());
                    continue;
                }
                Next::Exit(exit) => break exit,
            };
            if let Err(exit) = self.batch(first, &mut state, &mut connection, stop).await {
                break exit;
            }
        };
        (exit, self.store)
    }

    /// One turn: steps, one commit, then everything that follows from it.
    async fn batch(
        &mut self,
        first: Input,
        state: &mut State,
        connection: &mut watch::Receiver<bool>,
        stop: &CancellationToken,
    ) -> Result<(), Exit> {
        let mut inputs = self.take(first);
        drop_rescinded(&mut inputs);
        let mut inputs = inputs.into_iter().peekable();
        let mut merged = Effects::default();
        let mut calls = Vec::new();
        let mut fatal = None;
        let mut has_stepped = false;
        while let Some(input) = inputs.next() {
            let event = match input {
                Input::Message(Message::Event { epoch, event }) => {
                    match &event {
                        Event::Subscribed { .. } => state.epoch = epoch,
                        Event::Offers(_) | Event::MalformedOffers(_) if !self.calls.is_current(epoch) => {
                            tracing::debug!("offers dropped: their subscription has ended");
                            continue;
                        }
                        _ => {}
                    }
                    event
                }
                Input::Message(Message::Fatal { code, reason }) => {
                    fatal = Some(Exit::new(code, reason));
                    continue;
                }
                Input::Command(Request::Question { answer }) => {
                    // Nothing is decided, so there is nothing to commit. Who asked may have given up waiting.
                    if let Some(question) = self.core.question() {
                        let _ = answer.send(question);
                    }
                    continue;
                }
                Input::Command(Request::Command { command, answer }) => {
                    state.last_caller += 1;
                    state.waiting.insert(state.last_caller, answer);
                    Event::Command { caller: state.last_caller, command }
                }
                Input::Tick => Event::Tick,
            };
            let now = self.clock.now();
            let mut effects = match event {
                Event::Status(status) => {
                    let mut burst = vec![status];
                    while let Some(Input::Message(Message::Event { event: Event::Status(status), .. })) =
                        inputs.next_if(is_status)
                    {
                        burst.push(status);
                    }
                    self.core.step_statuses(burst, now)
                }
                event => self.core.step(event, now),
            };
            calls.extend(effects.send.drain(..).map(|call| (state.epoch, call)));
            merged.merge(effects);
            has_stepped = true;
        }
        if has_stepped {
            self.wake_at = merged.wake_at;
        }

        self.commit(&merged, stop).await?;
        self.until_connected(connection, stop).await?;
        for (epoch, call) in calls {
            self.calls.send(epoch, call).await;
        }
        let view = self.core.view();
        self.view.send_replace(Arc::clone(&view));
        for reply in merged.replies {
            if let Some(answer) = state.waiting.remove(&reply.caller) {
                // Who asked may have given up waiting.
                let _ = answer.send(reply.answer);
            }
        }
        tell(&merged.journal, &view, &mut self.hooks);
        if let Some((code, reason)) = merged.exit {
            self.calls.flush(FLUSH_WITHIN).await;
            return Err(Exit::new(code, reason));
        }
        fatal.map_or(Ok(()), Err)
    }

    /// The first input and what else is queued, at most [`BATCH`] of each kind; a timer that is due comes last.
    fn take(&mut self, first: Input) -> Vec<Input> {
        let mut inputs = vec![first];
        while inputs.len() < BATCH
            && let Ok(message) = self.messages.try_recv()
        {
            inputs.push(Input::Message(message));
        }
        let messages = inputs.len();
        while inputs.len() - messages < BATCH
            && let Ok(request) = self.commands.try_recv()
        {
            inputs.push(Input::Command(request));
        }
        // A flood of events must not hold the timer back for ever.
        if self.wake_at.is_some_and(|at| at <= self.clock.now()) && !matches!(inputs.first(), Some(Input::Tick)) {
            inputs.push(Input::Tick);
        }
        inputs
    }

    async fn commit(&mut self, effects: &Effects, stop: &CancellationToken) -> Result<(), Exit> {
        if effects.commit.is_empty() {
            return Ok(());
        }
        let nodes = effects.commit.writes.len();
        let since = Instant::now();
        let give_up = async {
            stop.cancelled().await;
            tokio::time::sleep(COMMIT_WITHIN).await;
        };
        let result = tokio::select! {
            biased;
            result = self.store.commit(&effects.commit) => result,
            // Abandoned: whether it happens is open, which is what the next start finds out by reading.
            () = give_up => return Err(Exit::stopped()),
        };
        tracing::debug!(nodes, took_us = since.elapsed().as_micros() as u64, "committed");
        result.map_err(|error| Exit::new(error.exit_code(), telemetry::chain(&error)))
    }

    /// Waits while the store cannot be reached: another scheduler may be about to take over.
    async fn until_connected(
        &mut self,
        connection: &mut watch::Receiver<bool>,
        stop: &CancellationToken,
    ) -> Result<(), Exit> {
        if *connection.borrow() {
            return Ok(());
        }
        tell_connection(false);
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(Exit::stopped()),
            lost = self.store.lost() => Err(Exit::new(lost.exit_code(), lost.to_string())),
            result = async { connection.wait_for(|is_connected| *is_connected).await.map(drop) } => {
                if result.is_err() {
                    return Err(Exit::new(EXIT_DRIVER, "the store ended without a reason"));
                }
                tell_connection(true);
                Ok(())
            }
        }
    }

    fn task_ended(&mut self, ended: Result<(), tokio::task::JoinError>) -> Exit {
        // The client ends after its last words; those say more.
        while let Ok(message) = self.messages.try_recv() {
            if let Message::Fatal { code, reason } = message {
                return Exit::new(code, reason);
            }
        }
        match ended {
            Ok(()) => Exit::new(EXIT_DRIVER, "a part of the scheduler ended unexpectedly"),
            Err(error) => Exit::new(EXIT_DRIVER, format!("a part of the scheduler failed: {error}")),
        }
    }
}

fn is_status(input: &Input) -> bool {
    matches!(input, Input::Message(Message::Event { event: Event::Status(_), .. }))
}

/// What the loop remembers from turn to turn.
#[derive(Default)]
struct State {
    /// Subscription the engine knows of; 0 before the first.
    epoch: u64,
    /// Number of the last caller.
    last_caller: u64,
    /// Who waits for an answer.
    waiting: BTreeMap<u64, oneshot::Sender<Answer>>,
}

/// Logs entries and tells hooks.
pub fn tell(journal: &[Entry], view: &View, hooks: &mut [Box<dyn Hook>]) {
    for entry in journal {
        telemetry::log(entry);
        for hook in hooks.iter_mut() {
            hook.on_event(entry, view);
        }
    }
}

fn tell_connection(is_connected: bool) {
    if is_connected {
        tracing::info!("the state store can be reached again");
    } else {
        tracing::warn!("the state store cannot be reached; nothing is sent to the master until it can");
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
