//! Executors without processes, for the simulation: they answer the events of a [`crate::model`] cluster.
//!
//! Feed every output of the cluster to [`FakeExecutors::observe`]; when [`FakeExecutors::next_wakeup`] has come, step the
//! cluster with every input of [`FakeExecutors::poll`]. What a task does is decided by a [`Script`].
//!
//! Not here: anything a real executor does to files or processes.
//!
//! Invariant: same seed, script and observations, same inputs.
//! Invariant: an update is repeated on every subscription until the agent acknowledged it; one that ends a task is sent
//! once.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use mainstay_proto::v1::{self, executor};

use crate::model::ids::Rng;
use crate::model::{AgentIndex, Input, Launch, Output};

use executor::call::Type as CallType;
use executor::event::Type as EventType;
use v1::TaskState;
use v1::task_status::{Reason, Source};

/// Time between two attempts to reach the agent: well within its patience of two seconds.
const RETRY: Duration = Duration::from_millis(500);

/// How long an executor looks for its agent, as `MESOS_RECOVERY_TIMEOUT` says.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// What one task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskScript {
    /// Runs until it is killed.
    Runs,
    /// Runs and ends well after a while.
    Finishes(Duration),
    /// Runs and fails after a while.
    Fails(Duration),
    /// Fails at once, before it runs.
    FailsToStart,
}

/// What executors and tasks do.
pub trait Script {
    /// What a task does, asked once when it arrives.
    fn task(&mut self, task: &v1::TaskInfo, rng: &mut Rng) -> TaskScript;

    /// The longest time that starting a process, a readiness check or a kill takes.
    fn longest_delay(&self) -> Duration {
        Duration::from_millis(200)
    }

    /// How long an executor without tasks waits for more before it exits.
    fn idle(&self) -> Duration {
        Duration::from_secs(5)
    }
}

/// A script by a function of the task alone.
impl<F: FnMut(&v1::TaskInfo, &mut Rng) -> TaskScript> Script for F {
    fn task(&mut self, task: &v1::TaskInfo, rng: &mut Rng) -> TaskScript {
        self(task, rng)
    }
}

/// All fake executors of a cluster.
pub struct FakeExecutors<S> {
    script: S,
    rng: Rng,
    next_conn: u64,
    executors: BTreeMap<String, FakeExecutor>,
    due: BTreeMap<(Duration, u64), (String, Action)>,
    next_action: u64,
}

struct FakeExecutor {
    agent: AgentIndex,
    framework_id: v1::FrameworkId,
    executor_id: v1::ExecutorId,
    has_checkpoint: bool,
    conn: Option<u64>,
    is_subscribed: bool,
    /// Since when it looks for its agent.
    lost_at: Duration,
    /// Whether it exits as soon as no task is left and no update unacknowledged.
    leaving: bool,
    unacknowledged_tasks: BTreeMap<String, v1::TaskInfo>,
    unacknowledged: VecDeque<v1::TaskStatus>,
    tasks: BTreeMap<String, FakeTask>,
    idle_since: u64,
}

struct FakeTask {
    info: v1::TaskInfo,
    script: TaskScript,
    is_killed: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Action {
    Subscribe,
    Start(String),
    Check(String),
    End(String, TaskState),
    ExitIfIdle(u64),
    Exit(i32),
}

impl<S: Script> FakeExecutors<S> {
    /// No executors yet.
    pub fn new(seed: u64, script: S) -> Self {
        Self {
            script,
            rng: Rng::new(seed ^ 0x000e_c570),
            // Far from the connection numbers that a test counts up from zero.
            next_conn: 1 << 48,
            executors: BTreeMap::new(),
            due: BTreeMap::new(),
            next_action: 0,
        }
    }

    /// The script, to change what later tasks do.
    pub fn script_mut(&mut self) -> &mut S {
        &mut self.script
    }

    /// Takes in what the cluster did at `now`.
    pub fn observe(&mut self, outputs: &[Output], now: Duration) {
        for output in outputs {
            match output {
                Output::LaunchExecutor { agent, launch } => self.launched(*agent, launch, now),
                Output::KillContainer { container_id, .. } if self.executors.contains_key(container_id) => {
                    self.schedule(now, container_id, Action::Exit(9));
                }
                Output::ToExecutor { conn, event, .. } => self.event(*conn, event, now),
                Output::CloseExecutor { conn, .. } => self.closed(*conn, now),
                _ => {}
            }
        }
    }

    /// When [`Self::poll`] has something next.
    pub fn next_wakeup(&self) -> Option<Duration> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// The next thing that executors do by `now`; call it until it returns `None`, observing in between.
    pub fn poll(&mut self, now: Duration) -> Option<Input> {
        loop {
            let key = *self.due.keys().next().filter(|(at, _)| *at <= now)?;
            let (container_id, action) = self.due.remove(&key)?;
            if let Some(input) = self.act(&container_id, action, now) {
                return Some(input);
            }
        }
    }

    /// Makes the process of a task fail now, as by a crash; false when no executor holds such a task.
    pub fn fail_task(&mut self, task_id: &str, now: Duration) -> bool {
        let found = self.executors.iter().find(|(_, one)| one.tasks.contains_key(task_id)).map(|(id, _)| id.clone());
        if let Some(container_id) = &found {
            self.schedule(now, container_id, Action::End(task_id.to_owned(), TaskState::TaskFailed));
        }
        found.is_some()
    }

    /// Makes an executor's process die now with everything in it; false when there is none in that container.
    pub fn crash(&mut self, container_id: &str, now: Duration) -> bool {
        let is_there = self.executors.contains_key(container_id);
        if is_there {
            self.schedule(now, container_id, Action::Exit(9));
        }
        is_there
    }

    /// Ids of the tasks whose processes run, with their containers.
    pub fn running_tasks(&self) -> Vec<(String, String)> {
        let tasks = self.executors.iter().flat_map(|(container_id, one)| {
            one.tasks.keys().map(move |task_id| (task_id.clone(), container_id.clone()))
        });
        tasks.collect()
    }

    fn schedule(&mut self, at: Duration, container_id: &str, action: Action) {
        self.next_action += 1;
        self.due.insert((at, self.next_action), (container_id.to_owned(), action));
    }

    fn schedule_soon(&mut self, now: Duration, container_id: &str, action: Action) {
        let longest = self.script.longest_delay().as_micros() as u64;
        let delay = Duration::from_micros(1 + self.rng.below(longest));
        self.schedule(now + delay, container_id, action);
    }

    fn launched(&mut self, agent: AgentIndex, launch: &Launch, now: Duration) {
        let executor = FakeExecutor {
            agent,
            framework_id: launch.framework_info.id.clone().unwrap_or_default(),
            executor_id: launch.executor_info.executor_id.clone(),
            has_checkpoint: launch.framework_info.checkpoint(),
            conn: None,
            is_subscribed: false,
            lost_at: now,
            leaving: false,
            unacknowledged_tasks: BTreeMap::new(),
            unacknowledged: VecDeque::new(),
            tasks: BTreeMap::new(),
            idle_since: 0,
        };
        self.executors.insert(launch.container_id.clone(), executor);
        self.schedule_soon(now, &launch.container_id, Action::Subscribe);
    }

    fn container_of(&self, conn: u64) -> Option<String> {
        self.executors.iter().find(|(_, one)| one.conn == Some(conn)).map(|(id, _)| id.clone())
    }

    fn closed(&mut self, conn: u64, now: Duration) {
        let Some(container_id) = self.container_of(conn) else { return };
        let Some(one) = self.executors.get_mut(&container_id) else { return };
        one.conn = None;
        one.is_subscribed = false;
        one.lost_at = now;
        if one.has_checkpoint {
            self.schedule(now + Duration::from_millis(50), &container_id, Action::Subscribe);
        } else {
            self.schedule(now, &container_id, Action::Exit(0));
        }
    }

    fn event(&mut self, conn: u64, event: &executor::Event, now: Duration) {
        let Some(container_id) = self.container_of(conn) else { return };
        match event.r#type() {
            EventType::Subscribed => {
                if let Some(one) = self.executors.get_mut(&container_id) {
                    one.is_subscribed = true;
                }
                self.note_idle(&container_id, now);
            }
            EventType::Launch => {
                let task = event.launch.as_ref().map(|launch| launch.task.clone());
                self.accept_tasks(&container_id, task.into_iter().collect(), now);
            }
            EventType::LaunchGroup => {
                let tasks = event.launch_group.as_ref().map(|group| group.task_group.tasks.clone());
                self.accept_tasks(&container_id, tasks.unwrap_or_default(), now);
            }
            EventType::Kill => {
                let task_id = event.kill.as_ref().map(|kill| kill.task_id.value.clone()).unwrap_or_default();
                self.kill(&container_id, &task_id, now);
            }
            EventType::Acknowledged => {
                if let (Some(one), Some(acknowledged)) = (self.executors.get_mut(&container_id), &event.acknowledged) {
                    one.unacknowledged.retain(|status| status.uuid.as_ref() != Some(&acknowledged.uuid));
                    one.unacknowledged_tasks.remove(&acknowledged.task_id.value);
                }
                self.note_idle(&container_id, now);
            }
            EventType::Shutdown => {
                if let Some(one) = self.executors.get_mut(&container_id) {
                    one.leaving = true;
                    let ids: Vec<String> = one.tasks.keys().cloned().collect();
                    for task_id in ids {
                        self.kill(&container_id, &task_id, now);
                    }
                }
                self.note_idle(&container_id, now);
            }
            EventType::Error => self.schedule(now, &container_id, Action::Exit(1)),
            EventType::Message | EventType::Heartbeat | EventType::Unknown => {}
        }
    }

    fn accept_tasks(&mut self, container_id: &str, tasks: Vec<v1::TaskInfo>, now: Duration) {
        for info in tasks {
            let script = self.script.task(&info, &mut self.rng);
            let task_id = info.task_id.value.clone();
            if let Some(one) = self.executors.get_mut(container_id) {
                one.unacknowledged_tasks.insert(task_id.clone(), info.clone());
                one.tasks.insert(task_id.clone(), FakeTask { info, script, is_killed: false });
            }
            self.schedule_soon(now, container_id, Action::Start(task_id));
        }
    }

    fn kill(&mut self, container_id: &str, task_id: &str, now: Duration) {
        let Some(task) = self.executors.get_mut(container_id).and_then(|one| one.tasks.get_mut(task_id)) else {
            return;
        };
        if !std::mem::replace(&mut task.is_killed, true) {
            self.schedule_soon(now, container_id, Action::End(task_id.to_owned(), TaskState::TaskKilled));
        }
    }

    /// Starts the wait for more work, or leaves, when an executor has no tasks and nothing to tell.
    fn note_idle(&mut self, container_id: &str, now: Duration) {
        let idle = self.script.idle();
        let Some(one) = self.executors.get_mut(container_id) else { return };
        if !one.tasks.is_empty() || !one.unacknowledged.is_empty() {
            return;
        }
        one.idle_since += 1;
        let (mark, leaving) = (one.idle_since, one.leaving);
        let at = if leaving { now } else { now + idle };
        self.schedule(at, container_id, Action::ExitIfIdle(mark));
    }

    fn act(&mut self, container_id: &str, action: Action, now: Duration) -> Option<Input> {
        let agent = self.executors.get(container_id)?.agent;
        match action {
            Action::Subscribe => self.subscribe(container_id, now),
            Action::Start(task_id) => self.start(container_id, &task_id, now),
            Action::Check(task_id) => self.check(container_id, &task_id),
            Action::End(task_id, state) => self.end(container_id, &task_id, state),
            Action::ExitIfIdle(mark) => {
                let one = self.executors.get(container_id)?;
                let is_idle = one.idle_since == mark && one.tasks.is_empty() && one.unacknowledged.is_empty();
                is_idle.then(|| self.exit(container_id, agent, 0))
            }
            Action::Exit(status) => Some(self.exit(container_id, agent, status)),
        }
    }

    fn exit(&mut self, container_id: &str, agent: AgentIndex, status: i32) -> Input {
        self.executors.remove(container_id);
        Input::ExecutorExited { agent, container_id: container_id.to_owned(), status }
    }

    fn call(one: &FakeExecutor, kind: CallType) -> executor::Call {
        executor::Call {
            executor_id: one.executor_id.clone(),
            framework_id: one.framework_id.clone(),
            r#type: Some(kind as i32),
            ..Default::default()
        }
    }

    fn subscribe(&mut self, container_id: &str, now: Duration) -> Option<Input> {
        self.next_conn += 1;
        let conn = self.next_conn;
        let one = self.executors.get_mut(container_id)?;
        if one.is_subscribed {
            return None;
        }
        if now > one.lost_at + RECOVERY_TIMEOUT {
            let agent = one.agent;
            return Some(self.exit(container_id, agent, 1 << 8));
        }
        one.conn = Some(conn);
        let subscribe = executor::call::Subscribe {
            unacknowledged_tasks: one.unacknowledged_tasks.values().cloned().collect(),
            unacknowledged_updates: one
                .unacknowledged
                .iter()
                .map(|status| executor::call::Update { status: status.clone() })
                .collect(),
        };
        let mut call = Self::call(one, CallType::Subscribe);
        call.subscribe = Some(Box::new(subscribe));
        let agent = one.agent;
        // Refused calls have no answer event: try again until SUBSCRIBED has come.
        self.schedule(now + RETRY, container_id, Action::Subscribe);
        Some(Input::ExecutorConnected { agent, conn, call: Box::new(call) })
    }

    fn update(
        &mut self,
        container_id: &str,
        task_id: &str,
        state: TaskState,
        fill: impl FnOnce(&mut v1::TaskStatus),
    ) -> Option<Input> {
        let uuid = self.rng.uuid_bytes();
        let one = self.executors.get_mut(container_id)?;
        let mut status = v1::TaskStatus {
            task_id: v1::TaskId { value: task_id.to_owned() },
            executor_id: Some(one.executor_id.clone()),
            uuid: Some(Bytes::copy_from_slice(&uuid)),
            ..Default::default()
        };
        status.set_state(state);
        status.set_source(Source::Executor);
        fill(&mut status);
        one.unacknowledged.push_back(status.clone());
        if !one.is_subscribed {
            return None;
        }
        let mut call = Self::call(one, CallType::Update);
        call.update = Some(Box::new(executor::call::Update { status }));
        Some(Input::ExecutorCall { agent: one.agent, call: Box::new(call) })
    }

    fn start(&mut self, container_id: &str, task_id: &str, now: Duration) -> Option<Input> {
        let task = self.executors.get(container_id)?.tasks.get(task_id)?;
        if task.is_killed {
            return None;
        }
        let (script, info) = (task.script, task.info.clone());
        let end = match script {
            TaskScript::FailsToStart => return self.end(container_id, task_id, TaskState::TaskFailed),
            TaskScript::Runs => None,
            TaskScript::Finishes(after) => Some((after, TaskState::TaskFinished)),
            TaskScript::Fails(after) => Some((after, TaskState::TaskFailed)),
        };
        if let Some((after, state)) = end {
            self.schedule(now + after, container_id, Action::End(task_id.to_owned(), state));
        }
        if info.check.is_some() || info.health_check.is_some() {
            self.schedule_soon(now, container_id, Action::Check(task_id.to_owned()));
        }
        self.update(container_id, task_id, TaskState::TaskRunning, |status| {
            // An empty result says that there is a check and no result yet.
            status.check_status = info.check.as_ref().map(|check| Box::new(check_status(check, None)));
        })
    }

    fn check(&mut self, container_id: &str, task_id: &str) -> Option<Input> {
        let task = self.executors.get(container_id)?.tasks.get(task_id)?;
        if task.is_killed {
            return None;
        }
        let info = task.info.clone();
        self.update(container_id, task_id, TaskState::TaskRunning, |status| {
            status.check_status = info.check.as_ref().map(|check| Box::new(check_status(check, Some(0))));
            status.healthy = info.health_check.is_some().then_some(true);
            status.set_reason(if info.check.is_some() {
                Reason::TaskCheckStatusUpdated
            } else {
                Reason::TaskHealthCheckStatusUpdated
            });
        })
    }

    fn end(&mut self, container_id: &str, task_id: &str, state: TaskState) -> Option<Input> {
        self.executors.get_mut(container_id)?.tasks.remove(task_id)?;
        self.update(container_id, task_id, state, |_| ())
    }
}

/// The result of a command check; `None`: none yet.
fn check_status(check: &v1::CheckInfo, exit_code: Option<i32>) -> v1::CheckStatusInfo {
    use v1::check_info::Type;
    let mut status = v1::CheckStatusInfo { r#type: check.r#type, ..Default::default() };
    match check.r#type() {
        Type::Http => {
            let status_code = exit_code.map(|_| 200);
            status.http = Some(v1::check_status_info::Http { status_code });
        }
        Type::Tcp => {
            let succeeded = exit_code.map(|code| code == 0);
            status.tcp = Some(v1::check_status_info::Tcp { succeeded });
        }
        Type::Command | Type::Unknown => status.command = Some(v1::check_status_info::Command { exit_code }),
    }
    status
}
