//! The task that owns the cluster: inputs in, outputs to streams, disks and processes.
//!
//! Not here: HTTP (`http.rs`), and any decision about the cluster (`model`).
//!
//! Invariant: outputs are carried out in the order in which the model gave them; a volume is linked before the LAUNCH
//! that uses it is written.
//! Invariant: the state is on disk before anything that a step decided is sent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay_proto::v1::{executor, master, scheduler};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::disk;
use crate::model::{AgentIndex, Cluster, Input, Launch, Output};
use crate::process::{self, Order, Place};
use crate::wire::{Encoding, Refusal};

/// Commands that wait for the node; senders wait when it is full.
const COMMANDS: usize = 256;

/// Frames that wait for a slow reader; one that falls further behind is cut off and has to subscribe again.
const FRAMES: usize = 1024;

/// How long executors may take to end by themselves when the cluster is stopped.
const STOP_GRACE: Duration = Duration::from_secs(8);

/// What the servers ask of the node.
pub(crate) enum Command {
    SubscribeScheduler {
        call: Box<scheduler::Call>,
        encoding: Encoding,
        reply: oneshot::Sender<Result<Opened, Refusal>>,
    },
    SubscribeExecutor {
        agent: AgentIndex,
        call: Box<executor::Call>,
        encoding: Encoding,
        reply: oneshot::Sender<Result<Opened, Refusal>>,
    },
    Apply {
        input: Input,
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
    Get {
        kind: master::call::Type,
        reply: oneshot::Sender<Option<Box<master::Response>>>,
    },
    /// The ids of all agents; `None` for one that has not registered yet.
    AgentIds {
        reply: oneshot::Sender<Vec<Option<String>>>,
    },
    Stop {
        reply: oneshot::Sender<()>,
    },
}

/// An accepted subscription.
pub(crate) struct Opened {
    /// Of schedulers only.
    pub(crate) stream_id: Option<String>,
    pub(crate) frames: mpsc::Receiver<Bytes>,
    /// Kept as long as the peer reads: its end is how the node learns that the connection broke.
    pub(crate) alive: oneshot::Sender<()>,
}

struct Stream {
    frames: mpsc::Sender<Bytes>,
    encoding: Encoding,
}

struct Running {
    launch: Launch,
    agent: AgentIndex,
    orders: watch::Sender<Order>,
}

/// What ends beside the commands.
enum Ended {
    Process(Box<Input>),
    Stream(u64),
}

/// The handle's other end.
pub(crate) struct Node {
    cluster: Cluster,
    places: Vec<Place>,
    state_file: PathBuf,
    saved: Vec<u8>,
    started: Instant,
    commands: mpsc::Receiver<Command>,
    next_conn: u64,
    schedulers: BTreeMap<u64, Stream>,
    executors: BTreeMap<u64, (AgentIndex, Stream)>,
    running: BTreeMap<String, Running>,
    ended: JoinSet<Ended>,
}

impl Node {
    /// A node and the way to talk to it.
    pub(crate) fn new(cluster: Cluster, places: Vec<Place>, state_file: PathBuf) -> (Self, mpsc::Sender<Command>) {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let node = Self {
            cluster,
            places,
            state_file,
            saved: Vec::new(),
            started: Instant::now(),
            commands,
            next_conn: 0,
            schedulers: BTreeMap::new(),
            executors: BTreeMap::new(),
            running: BTreeMap::new(),
            ended: JoinSet::new(),
        };
        (node, sender)
    }

    /// Runs until it is told to stop or all handles are gone.
    ///
    /// Cancel safety: dropping it kills every executor, since their orders end with it.
    pub(crate) async fn run(mut self) {
        loop {
            let wakeup = self.cluster.next_wakeup().map(|at| self.started + at);
            let sleep = async {
                match wakeup {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                command = self.commands.recv() => match command {
                    None => break,
                    Some(Command::Stop { reply }) => {
                        self.stop().await;
                        let _ = reply.send(());
                        break;
                    }
                    Some(command) => self.command(command),
                },
                Some(ended) = self.ended.join_next(), if !self.ended.is_empty() => match ended {
                    Ok(Ended::Process(input)) => self.process_ended(*input),
                    Ok(Ended::Stream(conn)) => self.stream_ended(conn),
                    Err(error) => tracing::error!(%error, "a task of the cluster failed"),
                },
                () = sleep => { let _ = self.step(Input::Tick); }
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::SubscribeScheduler { call, encoding, reply } => {
                let (conn, opened) = self.open(encoding, None);
                let result = self.step(Input::SchedulerConnected { conn, call });
                let opened = result.map(|stream_id| Opened { stream_id, ..opened });
                if opened.is_err() {
                    self.schedulers.remove(&conn);
                }
                let _ = reply.send(opened);
            }
            Command::SubscribeExecutor { agent, call, encoding, reply } => {
                let (conn, opened) = self.open(encoding, Some(agent));
                let result = self.step(Input::ExecutorConnected { agent, conn, call });
                let opened = result.map(|stream_id| Opened { stream_id, ..opened });
                if opened.is_err() {
                    self.executors.remove(&conn);
                }
                let _ = reply.send(opened);
            }
            Command::Apply { input, reply } => {
                let result = self.step(input).map(|_| ());
                let _ = reply.send(result);
            }
            Command::Get { kind, reply } => {
                let _ = reply.send(self.cluster.operator_get(kind).map(Box::new));
            }
            Command::AgentIds { reply } => {
                let ids = (0..self.places.len()).map(|agent| self.cluster.agent_id(agent).map(str::to_owned));
                let _ = reply.send(ids.collect());
            }
            Command::Stop { .. } => {}
        }
    }

    /// Makes room for a stream and watches for its end.
    fn open(&mut self, encoding: Encoding, agent: Option<AgentIndex>) -> (u64, Opened) {
        self.next_conn += 1;
        let conn = self.next_conn;
        let (sender, frames) = mpsc::channel(FRAMES);
        let (alive, gone) = oneshot::channel::<()>();
        let stream = Stream { frames: sender, encoding };
        match agent {
            None => drop(self.schedulers.insert(conn, stream)),
            Some(agent) => drop(self.executors.insert(conn, (agent, stream))),
        }
        self.ended.spawn(async move {
            let _ = gone.await;
            Ended::Stream(conn)
        });
        (conn, Opened { stream_id: None, frames, alive })
    }

    fn stream_ended(&mut self, conn: u64) {
        if self.schedulers.remove(&conn).is_some() {
            let _ = self.step(Input::SchedulerDisconnected { conn });
        }
        if let Some((agent, _)) = self.executors.remove(&conn) {
            let _ = self.step(Input::ExecutorDisconnected { agent, conn });
        }
    }

    fn process_ended(&mut self, input: Input) {
        if let Input::ExecutorExited { container_id, .. } | Input::ExecutorLaunchFailed { container_id, .. } = &input {
            self.running.remove(container_id);
        }
        let _ = self.step(input);
    }

    /// One step of the model, carried out; the stream id of a subscription, if it was one.
    fn step(&mut self, input: Input) -> Result<Option<String>, Refusal> {
        let outputs = self.cluster.step(input, self.started.elapsed());
        self.save();
        let mut opened = None;
        let mut refused = None;
        let mut follow_ups = Vec::new();
        for output in outputs {
            match output {
                Output::StreamOpened { stream_id, .. } => opened = Some(stream_id),
                Output::Refused { status, text } => refused = Some((status, text)),
                other => follow_ups.extend(self.carry_out(other)),
            }
        }
        for input in follow_ups {
            // A follow-up is no call: nobody waits for its refusal.
            let _ = self.step(input);
        }
        refused.map_or(Ok(opened), Err)
    }

    /// Carries one output out; what went wrong comes back as the next input.
    fn carry_out(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::StreamOpened { .. } | Output::Refused { .. } => None,
            Output::ToScheduler { conn, event } => {
                let stream = self.schedulers.get(&conn)?;
                let frame = stream.encoding.frame("mesos.v1.scheduler.Event", &*event);
                if stream.frames.try_send(frame).is_err() {
                    self.schedulers.remove(&conn);
                    return Some(Input::SchedulerDisconnected { conn });
                }
                None
            }
            Output::CloseScheduler { conn } => {
                self.schedulers.remove(&conn);
                None
            }
            Output::ToExecutor { agent, conn, event } => {
                let (_, stream) = self.executors.get(&conn)?;
                let frame = stream.encoding.frame("mesos.v1.executor.Event", &*event);
                if stream.frames.try_send(frame).is_err() {
                    self.executors.remove(&conn);
                    return Some(Input::ExecutorDisconnected { agent, conn });
                }
                None
            }
            Output::CloseExecutor { conn, .. } => {
                self.executors.remove(&conn);
                None
            }
            Output::LaunchExecutor { agent, launch } => self.launch(agent, *launch),
            Output::KillContainer { agent, container_id } => match self.running.get(&container_id) {
                Some(running) => {
                    running.orders.send_replace(Order::Kill);
                    None
                }
                None => Some(Input::ExecutorExited { agent, container_id, status: 9 }),
            },
            Output::LinkVolume { agent, container_id, link } => {
                let running = self.running.get(&container_id)?;
                let folder = &self.places[agent].folder;
                let sandbox = disk::sandbox_path(folder, &running.launch);
                let error = disk::create_link(folder, &sandbox, &link).err()?;
                let message = format!("Failed to link volume '{}': {error}", link.volume.id);
                Some(Input::VolumeLinkFailed { agent, container_id, message })
            }
            Output::UnlinkVolume { agent, container_id, container_path } => {
                let running = self.running.get(&container_id)?;
                let sandbox = disk::sandbox_path(&self.places[agent].folder, &running.launch);
                if let Err(error) = disk::remove_link(&sandbox, &container_path) {
                    tracing::warn!(container_id, container_path, %error, "volume not unlinked");
                }
                None
            }
            Output::CreateVolume { agent, volume } => {
                if let Err(error) = disk::create_volume(&self.places[agent].folder, &volume) {
                    tracing::error!(id = volume.id, %error, "volume not created");
                }
                None
            }
            Output::DestroyVolume { agent, volume } => {
                if let Err(error) = disk::destroy_volume(&self.places[agent].folder, &volume) {
                    tracing::error!(id = volume.id, %error, "volume not destroyed");
                }
                None
            }
        }
    }

    fn launch(&mut self, agent: AgentIndex, launch: Launch) -> Option<Input> {
        let place = self.places[agent].clone();
        let container_id = launch.container_id.clone();
        if let Err(error) = disk::create_sandbox(&place.folder, &launch) {
            let message = format!("cannot make the sandbox: {error}");
            return Some(Input::ExecutorLaunchFailed { agent, container_id, message });
        }
        let (orders, watch) = watch::channel(Order::Run);
        self.running.insert(container_id, Running { launch: launch.clone(), agent, orders });
        self.ended.spawn(async move { Ended::Process(Box::new(process::run(place, launch, watch).await)) });
        None
    }

    /// Writes the state when it changed; the rename makes it whole or not at all.
    fn save(&mut self) {
        let state = self.cluster.save();
        if state == self.saved {
            return;
        }
        let draft = self.state_file.with_extension("draft");
        let written = std::fs::write(&draft, &state).and_then(|()| std::fs::rename(&draft, &self.state_file));
        match written {
            Ok(()) => self.saved = state,
            Err(error) => tracing::error!(%error, file = %self.state_file.display(), "cluster state not written"),
        }
    }

    /// Ends all executors, politely first. Their last updates are taken and acknowledged, for they wait for that.
    async fn stop(&mut self) {
        self.save();
        self.schedulers.clear();
        for running in self.running.values() {
            tracing::debug!(agent = running.agent, container = running.launch.container_id, "stopping executor");
            running.orders.send_replace(Order::Terminate);
        }
        let polite = tokio::time::timeout(STOP_GRACE, self.until_ended()).await;
        if polite.is_err() {
            for running in self.running.values() {
                running.orders.send_replace(Order::Kill);
            }
            self.until_ended().await;
        }
        self.executors.clear();
    }

    /// Serves executors until none is left. Cancel-safe.
    async fn until_ended(&mut self) {
        while !self.running.is_empty() {
            tokio::select! {
                Some(command) = self.commands.recv() => match command {
                    // Nobody new is taken in.
                    Command::SubscribeScheduler { .. } | Command::Stop { .. } => {}
                    command => self.command(command),
                },
                Some(ended) = self.ended.join_next() => match ended {
                    Ok(Ended::Process(input)) => self.process_ended(*input),
                    Ok(Ended::Stream(conn)) => self.stream_ended(conn),
                    Err(error) => tracing::error!(%error, "a task of the cluster failed"),
                },
                else => break,
            }
        }
    }
}
