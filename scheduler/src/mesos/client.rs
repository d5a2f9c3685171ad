//! Keeps one subscription to the leading master and hands its events to the loop.
//!
//! Not the transport: `subscribe.rs` and `calls.rs`. Not any reaction: events go to the loop, in order.
//!
//! Invariant: subscriptions are numbered; what belongs to an ended one is dropped on both ways: its offers by the loop
//! ([`Handle::is_current`]), its calls in `calls.rs`.
//! Invariant: the task that reads events and the one that sends calls never wait for each other, so that the loop, waiting for
//! either, always gets on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_engine::effect::Call;
use mainstay_engine::event::Event;
use mainstay_engine::ids::{FrameworkId, Generator};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::auth::Auth;
use super::calls::{self, Item, Session};
use super::convert::{self, Incoming};
use super::leader::{Endpoint, Leader, MasterUrl};
use super::subscribe::{Ended, Identity, Subscription};
use crate::telemetry::chain;

/// Events that may wait for the loop; when it is full the stream is not read on, and TCP makes the master wait.
pub const EVENTS_QUEUED: usize = 1024;
/// Calls that may wait for the master; when it is full the loop waits: sending must not run ahead of the master.
pub const CALLS_QUEUED: usize = 1024;
/// First wait before the next attempt to subscribe; doubles.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// Longest wait; also how long a subscription must have lasted for the wait to start over.
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// Number of no subscription.
const NONE: u64 = 0;

/// Exit code when the master ends our subscription for good.
pub const EXIT_DRIVER: u8 = 6;

/// What to connect to, and as whom.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the masters are.
    pub master: MasterUrl,
    /// Who we are.
    pub identity: Identity,
    /// How we prove it.
    pub auth: Auth,
    /// Id from an earlier start.
    pub framework_id: Option<FrameworkId>,
    /// Seed of the jitter.
    pub seed: u128,
}

/// What the client tells the loop.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "all but the last one are events")]
pub enum Message {
    /// Something for the engine, under the subscription of this number.
    Event {
        /// Number of the subscription.
        epoch: u64,
        /// What happened.
        event: Event,
    },
    /// The process must end: the master will not have us.
    Fatal {
        /// Exit code.
        code: u8,
        /// Why, and what to do.
        reason: String,
    },
}

/// The loop's side of the client.
#[derive(Debug)]
pub struct Handle {
    queue: mpsc::Sender<Item>,
    epoch: Arc<AtomicU64>,
}

impl Handle {
    /// A handle whose calls are read by a test, under one standing subscription.
    #[cfg(test)]
    pub(crate) fn for_test(epoch: u64) -> (Self, mpsc::Receiver<Item>) {
        let (queue, items) = mpsc::channel(CALLS_QUEUED);
        (Self { queue, epoch: Arc::new(AtomicU64::new(epoch)) }, items)
    }

    /// Queues a call under the subscription of this number; it is dropped if that one has ended by then.
    ///
    /// Waits while the queue is full. An ended client drops calls too: its end reaches the loop by its messages.
    pub async fn send(&self, epoch: u64, call: Call) {
        if self.queue.send(Item::Call { epoch, call }).await.is_err() {
            tracing::debug!("call dropped: the client has ended");
        }
    }

    /// Whether this subscription still stands; offers of one that does not are void.
    pub fn is_current(&self, epoch: u64) -> bool {
        epoch != NONE && self.epoch.load(Ordering::Acquire) == epoch
    }

    /// Waits until all queued calls have been answered or dropped, at most this long.
    pub async fn flush(&self, at_most: Duration) {
        let (done, flushed) = oneshot::channel();
        if self.queue.send(Item::Flush(done)).await.is_ok() && tokio::time::timeout(at_most, flushed).await.is_err() {
            tracing::warn!("not every call was answered before the end");
        }
    }
}

/// Starts the client's two tasks in `tasks`; they end when `stop` fires.
pub fn start(
    settings: Settings,
    tasks: &mut JoinSet<()>,
    stop: CancellationToken,
) -> (Handle, mpsc::Receiver<Message>) {
    let (queue, calls) = mpsc::channel(CALLS_QUEUED);
    let (messages, received) = mpsc::channel(EVENTS_QUEUED);
    let (session, watched) = watch::channel(None);
    let epoch = Arc::new(AtomicU64::new(NONE));
    let auth = settings.auth.clone();
    tasks.spawn({
        let stop = stop.clone();
        async move {
            // Cancelling drops the connection with it.
            let _ = stop.run_until_cancelled(calls::send_all(calls, watched, auth)).await;
        }
    });
    let client = Client {
        leader: Leader::new(&settings.master),
        random: Generator::seeded(settings.seed),
        framework_id: settings.framework_id.clone(),
        settings,
        messages,
        session,
        current: Arc::clone(&epoch),
        last_epoch: NONE,
    };
    tasks.spawn(async move {
        let _ = stop.run_until_cancelled(client.run()).await;
    });
    (Handle { queue, epoch }, received)
}

struct Client {
    settings: Settings,
    leader: Leader,
    random: Generator,
    framework_id: Option<FrameworkId>,
    messages: mpsc::Sender<Message>,
    session: watch::Sender<Option<Session>>,
    current: Arc<AtomicU64>,
    last_epoch: u64,
}

/// How a subscription went.
enum Outcome {
    /// It ended; try again.
    Lost,
    /// The loop is gone or the master will not have us.
    Over,
}

impl Client {
    async fn run(mut self) {
        let mut failures = 0;
        let mut untried = self.leader.candidates();
        loop {
            let tried = self.leader.next().await;
            let opened =
                Subscription::open(&tried, &self.settings.auth, &self.settings.identity, self.framework_id.as_ref())
                    .await;
            match opened {
                Ok(subscription) => {
                    self.leader.succeeded(&subscription.endpoint);
                    let since = Instant::now();
                    match self.serve(subscription, &tried).await {
                        Outcome::Over => return,
                        Outcome::Lost => {}
                    }
                    if since.elapsed() >= BACKOFF_MAX {
                        failures = 0;
                    }
                    untried = 0;
                }
                Err(error) => {
                    tracing::warn!(master = %tried, error = chain(&error), "cannot subscribe; retrying");
                    untried = untried.saturating_sub(1);
                }
            }
            if untried > 0 {
                continue;
            }
            untried = self.leader.candidates();
            failures += 1;
            let wait = backoff(failures, self.random.next_u64());
            tracing::debug!(wait_ms = wait.as_millis() as u64, "waiting before the next attempt to subscribe");
            tokio::time::sleep(wait).await;
        }
    }

    async fn serve(&mut self, mut subscription: Subscription, tried: &Endpoint) -> Outcome {
        let broken = CancellationToken::new();
        self.last_epoch += 1;
        let epoch = self.last_epoch;
        let mut is_subscribed = false;
        let outcome = loop {
            // Each branch is cancel-safe: nothing is lost when another one wins.
            let frame = tokio::select! {
                frame = subscription.next() => frame,
                () = broken.cancelled() => break Outcome::Lost,
                () = self.leader.changed_from(tried) => {
                    tracing::warn!(master = %subscription.endpoint, "another master leads; subscribing there");
                    break Outcome::Lost;
                }
            };
            let frame = match frame {
                Ok(frame) => frame,
                Err(ended) => {
                    tell_end(&subscription.endpoint, &ended);
                    break Outcome::Lost;
                }
            };
            let message = match convert::incoming(frame) {
                Err(error) => {
                    tracing::warn!(error = chain(&error), "event from the master ignored: it cannot be read");
                    continue;
                }
                Ok(Incoming::Error(text)) => {
                    let reason = self.explain(&text);
                    // Whether or not the loop still listens, there is nothing left to do.
                    let _ = self.messages.send(Message::Fatal { code: EXIT_DRIVER, reason }).await;
                    break Outcome::Over;
                }
                Ok(Incoming::Subscribed { framework_id, master, heartbeat }) => {
                    subscription.expect_heartbeats(heartbeat);
                    self.framework_id = Some(framework_id.clone());
                    self.session.send_replace(Some(Session {
                        epoch,
                        endpoint: subscription.endpoint.clone(),
                        stream_id: subscription.stream_id.clone(),
                        framework_id: framework_id.clone(),
                        broken: broken.clone(),
                    }));
                    self.current.store(epoch, Ordering::Release);
                    is_subscribed = true;
                    Message::Event { epoch, event: Event::Subscribed { framework_id, master } }
                }
                Ok(_) if !is_subscribed => {
                    tracing::warn!(master = %subscription.endpoint, "the stream does not begin with SUBSCRIBED");
                    break Outcome::Lost;
                }
                Ok(Incoming::Offers { offers, malformed }) => {
                    if !malformed.is_empty() {
                        let event = Event::MalformedOffers(malformed);
                        if self.messages.send(Message::Event { epoch, event }).await.is_err() {
                            break Outcome::Over;
                        }
                    }
                    Message::Event { epoch, event: Event::Offers(offers) }
                }
                Ok(Incoming::Event(event)) => Message::Event { epoch, event },
                Ok(Incoming::Heartbeat) => {
                    tracing::trace!("heartbeat");
                    continue;
                }
                Ok(Incoming::Ignored(number)) => {
                    tracing::debug!(number, "event of no interest ignored");
                    continue;
                }
            };
            if self.messages.send(message).await.is_err() {
                break Outcome::Over;
            }
        };
        self.current.store(NONE, Ordering::Release);
        self.session.send_replace(None);
        if is_subscribed && self.messages.send(Message::Event { epoch, event: Event::Disconnected }).await.is_err() {
            return Outcome::Over;
        }
        outcome
    }

    /// What the master's parting words mean and what to do.
    fn explain(&self, text: &str) -> String {
        match (text, &self.framework_id) {
            ("Framework has been removed", Some(id)) => format!(
                "the master has removed framework {id}: it was torn down, or away for longer than its failover timeout of two \
                 weeks. Its tasks have been killed; its reservations and volumes remain. To go on as a new framework with the \
                 same state, start once with MAINSTAY_FORGET_FRAMEWORK_ID={id}"
            ),
            ("Framework failed over", _) => {
                "another scheduler has subscribed with this framework's id and took over; only one \
                 may run: stop that one, or leave this one stopped"
                    .to_owned()
            }
            _ => format!("the master refused the subscription: {text}"),
        }
    }
}

fn tell_end(endpoint: &Endpoint, ended: &Ended) {
    tracing::warn!(master = %endpoint, error = chain(ended), "subscription ended; subscribing again");
}

/// Wait before an attempt after this many failures in a row: doubles up to a cap; the upper half of it is random, so that
/// the frameworks of a cluster do not return to a new master all at once.
fn backoff(failures: u32, random: u64) -> Duration {
    let full = BACKOFF_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(BACKOFF_MAX);
    let half = full / 2;
    half + half.mul_f64((random >> 11) as f64 / (1u64 << 53) as f64)
}

#[cfg(test)]
mod tests;
