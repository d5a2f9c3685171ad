//! The supervisor: decides everything the executor does. Pure: events and a time in, actions out.
//!
//! Not here: processes, sockets, files (`run.rs` performs the actions and reports back), the table of one task's life
//! (`supervise/life.rs`), the rules of checks (`health.rs`).
//!
//! | link | `Disconnected` | time reached | `Subscribed` |
//! |---|---|---|---|
//! | `Down { retry_at }` | ignored | `Connect` → `Connecting` | ignored |
//! | `Connecting` | → `Down` (100 ms) | – | send what is unsent → `Up` |
//! | `Up` | → `Down` (100 ms) | – | ignored |
//!
//! Invariant: an update is kept until the agent acknowledges it, and every SUBSCRIBE carries all that are kept.
//! Invariant: updates of one task are sent in the order they were made.
//! Invariant: a terminal update is made only when no process of the task is left.
//! Invariant: `Exit` is asked for only when every task has ended.
//! Source: Mesos v1 executor API (`MESOS_RECOVERY_TIMEOUT`, `MESOS_CHECKPOINT`, reconnecting, acknowledging).

pub(crate) mod life;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mainstay_proto::v1;
use mainstay_proto::v1::TaskState;
use mainstay_proto::v1::task_status::Reason;

use crate::health::{CheckResult, Due, HealthRules, Kind, Liveness, Readiness, Schedule, Verdict};
use crate::task::TaskId;
use crate::update::{Update, Uuid, Uuids};
use life::{Cause, Exit, Input, Outcome, State};

/// Bounds of the supervisor; each is a time.
pub(crate) mod limits {
    use std::time::Duration;

    /// Between two attempts to reach the agent. An agent that restarts waits 2 s for its executors.
    pub(crate) const RECONNECT: Duration = Duration::from_millis(100);
    /// After the last task ended and was acknowledged: a launch may be on its way.
    pub(crate) const LINGER: Duration = Duration::from_secs(5);
    /// Longest wait for a first task, or for an acknowledgement while the agent is connected: an agent that no longer
    /// knows the task forwards the update without one.
    pub(crate) const UNHEARD: Duration = Duration::from_secs(60);
    /// An agent that answers but refuses us this long will not take us back (it waits at most 15 s for its executors).
    pub(crate) const REFUSED: Duration = Duration::from_secs(20);
    /// Patience for the first subscription: the agent's own default.
    pub(crate) const FIRST_SUBSCRIPTION: Duration = Duration::from_secs(60);
    /// Between two looks whether a dying task's processes are gone.
    pub(crate) const PROBE: Duration = Duration::from_millis(20);
    /// Kill grace of a task that names none: that of Mesos's own executors.
    pub(crate) const KILL_GRACE: Duration = Duration::from_secs(3);
}

/// The time of an event: monotonic for delays, wall clock for records.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Now {
    /// Since the start of the process.
    pub(crate) monotonic: Duration,
    /// Seconds since the epoch.
    pub(crate) wall_seconds: f64,
}

/// What the agent said in the environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// How long tasks outlive the connection; `None`: the framework does not checkpoint.
    pub(crate) recovery_timeout: Option<Duration>,
    /// Time from SHUTDOWN to the agent's kill.
    pub(crate) shutdown_grace: Duration,
    /// Seed of the updates' identifiers: a random v4 UUID.
    pub(crate) seed: Uuid,
}

/// What the supervisor knows of a task's specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Rules {
    /// SIGTERM to SIGKILL; `None`: [`limits::KILL_GRACE`].
    pub(crate) kill_grace: Option<Duration>,
    /// The readiness check.
    pub(crate) readiness: Option<Schedule>,
    /// The health check.
    pub(crate) health: Option<HealthRules>,
}

/// A task to launch.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// As received; handed back to a restarted agent that may not have stored it.
    pub(crate) info: Box<v1::TaskInfo>,
    /// Its rules, or why it cannot be run.
    pub(crate) rules: Result<Rules, String>,
}

/// Everything that can happen. Closed: a new source of work is a new variant here.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The agent took the subscription.
    Subscribed {
        /// Whether the framework understands TASK_KILLING.
        knows_killing: bool,
    },
    /// The connection, or the attempt to make one, ended.
    Disconnected {
        /// Whether the agent answered and refused us.
        is_refusal: bool,
    },
    /// LAUNCH or LAUNCH_GROUP.
    Launch(Vec<Launch>),
    /// KILL.
    Kill(TaskId, Option<Duration>),
    /// ACKNOWLEDGED.
    Acknowledged(TaskId, Uuid),
    /// SHUTDOWN, or SIGTERM to the executor.
    Shutdown,
    /// The task's folder is ready, or why it cannot be.
    Prepared(TaskId, Result<(), String>),
    /// The task's process runs, or why it cannot.
    Started(TaskId, Result<(), String>),
    /// The task's first process ended.
    Exited {
        /// Which task.
        task: TaskId,
        /// How.
        exit: Exit,
        /// Whether the kernel killed a process of the container for lack of memory meanwhile.
        out_of_memory: bool,
    },
    /// No process of the task is left.
    Gone(TaskId),
    /// A check's process ended; without an exit code when a signal ended it or it could not start.
    CheckEnded(TaskId, Kind, CheckResult),
    /// Time passed.
    Tick,
}

/// Everything the executor may do. Closed: a new way to touch the world is a new variant here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Subscribe with these.
    Connect {
        /// Tasks of which no update was acknowledged.
        tasks: Vec<v1::TaskInfo>,
        /// Updates not acknowledged, oldest first.
        updates: Vec<Update>,
    },
    /// Send an update on the current connection.
    Send(Update),
    /// Make the task's folder; answer with `Prepared`.
    Prepare(TaskId),
    /// Stop preparing; no answer.
    Abandon(TaskId),
    /// Start the task's process; answer with `Started`.
    Start(TaskId),
    /// SIGTERM to the task's process group.
    Terminate(TaskId),
    /// SIGKILL to every process of the task.
    Kill(TaskId),
    /// Look whether any process of the task is left; answer with `Gone` if none is.
    Probe(TaskId),
    /// The task ended; forget it.
    Forget(TaskId),
    /// Start a check; answer with `CheckEnded`.
    StartCheck(TaskId, Kind),
    /// SIGKILL to a check.
    KillCheck(TaskId, Kind),
    /// For the executor's log.
    Note(String),
    /// End the process.
    Exit,
}

#[derive(Debug)]
struct Task {
    /// Kept until an update of the task is acknowledged.
    info: Option<Box<v1::TaskInfo>>,
    rules: Rules,
    state: State,
    readiness: Option<Readiness>,
    liveness: Option<Liveness>,
    out_of_memory: bool,
    /// When to look again whether its processes are gone.
    probe_at: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down { retry_at: Duration },
    Connecting,
    Up,
}

#[derive(Debug)]
struct Pending {
    update: Update,
    /// Whether the current connection, or the attempt under way, has carried it.
    is_sent: bool,
}

/// Why and how the executor is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// Not.
    No,
    /// The agent wants it: wait for acknowledgements until then.
    Until(Duration),
    /// There is no agent to wait for.
    Alone,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Supervisor {
    settings: Settings,
    uuids: Uuids,
    tasks: BTreeMap<TaskId, Task>,
    pending: VecDeque<Pending>,
    link: Link,
    /// Since when there is no subscription.
    down_since: Option<Duration>,
    refused_since: Option<Duration>,
    was_subscribed: bool,
    had_tasks: bool,
    knows_killing: bool,
    leaving: Leaving,
    /// The last time something ended or was acknowledged.
    quiet_since: Duration,
    has_exited: bool,
}

impl Supervisor {
    /// A supervisor without tasks and without a connection; the first `Tick` makes it connect.
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            uuids: Uuids::new(settings.seed),
            settings,
            tasks: BTreeMap::new(),
            pending: VecDeque::new(),
            link: Link::Down { retry_at: Duration::ZERO },
            down_since: Some(Duration::ZERO),
            refused_since: None,
            was_subscribed: false,
            had_tasks: false,
            knows_killing: false,
            leaving: Leaving::No,
            quiet_since: Duration::ZERO,
            has_exited: false,
        }
    }

    /// The one entry: an event, then everything that is due.
    pub(crate) fn step(&mut self, event: Event, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Subscribed { knows_killing } => self.subscribed(knows_killing, now, &mut actions),
            Event::Disconnected { is_refusal } => self.disconnected(is_refusal, now),
            Event::Launch(launches) => {
                for launch in launches {
                    self.launch(launch, now, &mut actions);
                }
            }
            Event::Kill(task, grace) => {
                let own = self.tasks.get(&task).and_then(|task| task.rules.kill_grace);
                let shortens = grace.is_some();
                let grace = grace.or(own).unwrap_or(limits::KILL_GRACE);
                if self.tasks.contains_key(&task) {
                    self.input(
                        &task,
                        Input::Stop { grace, shortens, cause: Cause::Requested },
                        None,
                        now,
                        &mut actions,
                    );
                } else {
                    actions.push(Action::Note(format!("kill of unknown task {task} ignored")));
                }
            }
            Event::Acknowledged(task, uuid) => self.acknowledged(&task, &uuid, now),
            Event::Shutdown => {
                if self.leaving == Leaving::No {
                    self.leaving = Leaving::Until(now.monotonic + self.settings.shutdown_grace);
                    self.stop_all(Some(self.settings.shutdown_grace), now, &mut actions);
                }
            }
            Event::Prepared(task, result) => {
                self.result(&task, Input::Prepared, Input::PrepareFailed, result, now, &mut actions);
            }
            Event::Started(task, result) => {
                self.result(&task, Input::Started, Input::StartFailed, result, now, &mut actions);
            }
            Event::Exited { task, exit, out_of_memory } => {
                if let Some(task) = self.tasks.get_mut(&task) {
                    task.out_of_memory = out_of_memory;
                }
                self.input(&task, Input::Exited(exit), None, now, &mut actions);
            }
            Event::Gone(task) => self.input(&task, Input::Gone, None, now, &mut actions),
            Event::CheckEnded(task, kind, result) => self.check_ended(&task, kind, result, now, &mut actions),
            Event::Tick => {}
        }
        self.due(now, &mut actions);
        actions
    }

    /// When the next `Tick` is due.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        let tasks = self.tasks.values().flat_map(|task| {
            let kill_at = match task.state {
                State::Stopping { kill_at, .. } => kill_at,
                State::Preparing | State::Starting | State::Running | State::Ending { .. } | State::Ended => None,
            };
            [
                kill_at,
                task.probe_at,
                task.readiness.as_ref().and_then(|readiness| readiness.timer.wake_at()),
                task.liveness.as_ref().and_then(|liveness| liveness.timer.wake_at()),
            ]
        });
        let retry_at = match self.link {
            Link::Down { retry_at } if self.leaving != Leaving::Alone => Some(retry_at),
            Link::Down { .. } | Link::Connecting | Link::Up => None,
        };
        tasks.chain([retry_at, self.give_up_at(), self.exit_at()]).flatten().min()
    }

    /// Whether any task is not over.
    pub(crate) fn has_live_tasks(&self) -> bool {
        self.tasks.values().any(|task| task.state != State::Ended)
    }

    fn subscribed(&mut self, knows_killing: bool, now: Now, actions: &mut Vec<Action>) {
        match self.link {
            Link::Connecting => {}
            Link::Down { .. } | Link::Up => return,
        }
        self.link = Link::Up;
        if !self.was_subscribed {
            self.quiet_since = now.monotonic;
        }
        self.was_subscribed = true;
        self.down_since = None;
        self.refused_since = None;
        self.knows_killing = knows_killing;
        for pending in self.pending.iter_mut().filter(|pending| !pending.is_sent) {
            pending.is_sent = true;
            actions.push(Action::Send(pending.update.clone()));
        }
    }

    fn disconnected(&mut self, is_refusal: bool, now: Now) {
        match self.link {
            Link::Down { .. } => return,
            Link::Connecting | Link::Up => {}
        }
        self.link = Link::Down { retry_at: now.monotonic + limits::RECONNECT };
        self.down_since.get_or_insert(now.monotonic);
        if is_refusal {
            self.refused_since.get_or_insert(now.monotonic);
        } else {
            self.refused_since = None;
        }
    }

    fn launch(&mut self, launch: Launch, now: Now, actions: &mut Vec<Action>) {
        let id = TaskId::from_wire(&launch.info.task_id);
        if self.tasks.contains_key(&id) {
            actions.push(Action::Note(format!("task {id} was launched before; the second launch is ignored")));
            return;
        }
        self.had_tasks = true;
        let refusal = match (&launch.rules, self.leaving) {
            (Err(message), _) => Some(message.clone()),
            (Ok(_), Leaving::Until(_) | Leaving::Alone) => Some("the executor is shutting down".to_owned()),
            (Ok(_), Leaving::No) => None,
        };
        let state = if refusal.is_some() { State::Ended } else { State::Preparing };
        let task = Task {
            info: Some(launch.info),
            rules: launch.rules.unwrap_or_default(),
            state,
            readiness: None,
            liveness: None,
            out_of_memory: false,
            probe_at: None,
        };
        self.tasks.insert(id.clone(), task);
        if let Some(message) = refusal {
            self.quiet_since = now.monotonic;
            self.report(&id, TaskState::TaskFailed, Some(message), None, now, actions);
            actions.push(Action::Forget(id));
            return;
        }
        self.report(&id, TaskState::TaskStarting, None, None, now, actions);
        actions.push(Action::Prepare(id));
    }

    fn acknowledged(&mut self, id: &TaskId, uuid: &Uuid, now: Now) {
        let before = self.pending.len();
        self.pending.retain(|pending| pending.update.uuid != *uuid);
        if self.pending.len() == before {
            return;
        }
        self.quiet_since = now.monotonic;
        if let Some(task) = self.tasks.get_mut(id) {
            task.info = None;
        }
        self.forget_ended();
    }

    /// Drops tasks that are over and whose updates are all acknowledged.
    fn forget_ended(&mut self) {
        let pending = &self.pending;
        self.tasks
            .retain(|id, task| task.state != State::Ended || pending.iter().any(|pending| pending.update.task == *id));
    }

    fn stop_all(&mut self, at_most: Option<Duration>, now: Now, actions: &mut Vec<Action>) {
        // A second before the agent's patience ends, so that the kill and its report fit in.
        let bound = at_most.map(|grace| grace.saturating_sub(Duration::from_secs(1)).max(grace / 2));
        for id in self.tasks.keys().cloned().collect::<Vec<_>>() {
            let own = self.tasks.get(&id).and_then(|task| task.rules.kill_grace).unwrap_or(limits::KILL_GRACE);
            let grace = bound.map_or(own, |bound| own.min(bound));
            let input = Input::Stop { grace, shortens: bound.is_some(), cause: Cause::Requested };
            self.input(&id, input, None, now, actions);
        }
    }

    fn result(
        &mut self,
        id: &TaskId,
        good: Input,
        bad: Input,
        result: Result<(), String>,
        now: Now,
        actions: &mut Vec<Action>,
    ) {
        match result {
            Ok(()) => self.input(id, good, None, now, actions),
            Err(message) => self.input(id, bad, Some(message), now, actions),
        }
    }

    fn input(&mut self, id: &TaskId, input: Input, message: Option<String>, now: Now, actions: &mut Vec<Action>) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let outcome = match task.state.next(input, now.monotonic) {
            Ok((state, outcome)) => {
                task.state = state;
                outcome
            }
            Err(illegal) => {
                actions.push(Action::Note(format!("task {id}: {illegal}")));
                return;
            }
        };
        match outcome {
            Outcome::Nothing => {}
            Outcome::Start => actions.push(Action::Start(id.clone())),
            Outcome::Abandon(cause) => {
                actions.push(Action::Abandon(id.clone()));
                self.end(id, killed_state(cause), Some("killed before it was started".to_owned()), now, actions);
            }
            Outcome::ReportRunning => {
                task.readiness = task.rules.readiness.map(|schedule| Readiness::new(schedule, now.monotonic));
                task.liveness = task.rules.health.map(|rules| Liveness::new(rules, now.monotonic));
                self.report(id, TaskState::TaskRunning, None, None, now, actions);
            }
            Outcome::ReportNotStarted => self.end(id, TaskState::TaskFailed, message, now, actions),
            Outcome::ReportKilledUnstarted(cause) => {
                self.end(id, killed_state(cause), Some("killed before it was started".to_owned()), now, actions);
            }
            Outcome::Terminate => {
                self.stop_checks(id, actions);
                actions.push(Action::Terminate(id.clone()));
                if self.knows_killing {
                    self.report(id, TaskState::TaskKilling, None, None, now, actions);
                }
            }
            Outcome::KillGroup => {
                task.probe_at = Some(now.monotonic + limits::PROBE);
                self.stop_checks(id, actions);
                actions.push(Action::Kill(id.clone()));
                actions.push(Action::Probe(id.clone()));
            }
            Outcome::ReportEnd(exit, cause) => {
                let (state, message) = self.describe_end(id, exit, cause);
                self.end(id, state, Some(message), now, actions);
            }
        }
    }

    fn describe_end(&self, id: &TaskId, exit: Exit, cause: Option<Cause>) -> (TaskState, String) {
        let task = self.tasks.get(id);
        match cause {
            Some(Cause::Requested) => (TaskState::TaskKilled, format!("killed on request: {exit}")),
            Some(Cause::Unhealthy) => {
                let failures = task.and_then(|task| task.liveness.as_ref()).map_or(0, Liveness::failures);
                (TaskState::TaskFailed, format!("health check failed {failures} times in a row: {exit}"))
            }
            None if task.is_some_and(|task| task.out_of_memory) && exit != Exit::Status(0) => {
                (TaskState::TaskFailed, format!("out of memory: {exit}"))
            }
            None => {
                let state = if exit == Exit::Status(0) { TaskState::TaskFinished } else { TaskState::TaskFailed };
                (state, exit.to_string())
            }
        }
    }

    fn end(&mut self, id: &TaskId, state: TaskState, message: Option<String>, now: Now, actions: &mut Vec<Action>) {
        let mut reason = None;
        if let Some(task) = self.tasks.get_mut(id) {
            task.probe_at = None;
            if task.out_of_memory && state == TaskState::TaskFailed {
                reason = Some(Reason::ContainerLimitationMemory);
            }
        }
        self.quiet_since = now.monotonic;
        self.report(id, state, message, reason, now, actions);
        actions.push(Action::Forget(id.clone()));
    }

    fn stop_checks(&mut self, id: &TaskId, actions: &mut Vec<Action>) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        if task.readiness.as_mut().is_some_and(|readiness| readiness.timer.stop()) {
            actions.push(Action::KillCheck(id.clone(), Kind::Readiness));
        }
        if task.liveness.as_mut().is_some_and(|liveness| liveness.timer.stop()) {
            actions.push(Action::KillCheck(id.clone(), Kind::Health));
        }
    }

    fn check_ended(&mut self, id: &TaskId, kind: Kind, result: CheckResult, now: Now, actions: &mut Vec<Action>) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let running = TaskState::TaskRunning;
        match kind {
            Kind::Readiness => {
                let Some(readiness) = &mut task.readiness else { return };
                if readiness.ended(result, now.monotonic) {
                    self.report(id, running, None, Some(Reason::TaskCheckStatusUpdated), now, actions);
                }
            }
            Kind::Health => {
                let Some(liveness) = &mut task.liveness else { return };
                match liveness.ended(result, now.monotonic) {
                    Verdict::Unchanged => {}
                    Verdict::Changed => {
                        self.report(id, running, None, Some(Reason::TaskHealthCheckStatusUpdated), now, actions);
                    }
                    Verdict::Kill => {
                        let grace = task.rules.kill_grace.unwrap_or(limits::KILL_GRACE);
                        let input = Input::Stop { grace, shortens: false, cause: Cause::Unhealthy };
                        actions
                            .push(Action::Note(format!("task {id}: health check failed too often, ending the task")));
                        self.input(id, input, None, now, actions);
                    }
                }
            }
        }
    }

    fn report(
        &mut self,
        id: &TaskId,
        state: TaskState,
        message: Option<String>,
        reason: Option<Reason>,
        now: Now,
        actions: &mut Vec<Action>,
    ) {
        let task = self.tasks.get(id);
        let is_live = matches!(state, TaskState::TaskRunning | TaskState::TaskKilling);
        let liveness = task.and_then(|task| task.liveness.as_ref());
        let update = Update {
            task: id.clone(),
            uuid: self.uuids.generate(),
            state,
            message,
            reason,
            healthy: liveness.and_then(Liveness::healthy),
            check: task.and_then(|task| task.readiness.as_ref()).filter(|_| is_live).map(Readiness::result),
            timestamp: now.wall_seconds,
        };
        let is_sent = self.link == Link::Up;
        if is_sent {
            actions.push(Action::Send(update.clone()));
        }
        self.pending.push_back(Pending { update, is_sent });
    }

    /// Everything whose time has come.
    fn due(&mut self, now: Now, actions: &mut Vec<Action>) {
        for (id, task) in &mut self.tasks {
            if let State::Stopping { kill_at, .. } = &mut task.state
                && kill_at.is_some_and(|at| now.monotonic >= at)
            {
                *kill_at = None;
                actions.push(Action::Kill(id.clone()));
            }
            if task.probe_at.is_some_and(|at| now.monotonic >= at) {
                task.probe_at = Some(now.monotonic + limits::PROBE);
                // Once more: a process may have been forked between the look and the kill.
                actions.push(Action::Kill(id.clone()));
                actions.push(Action::Probe(id.clone()));
            }
            let timers = [
                (Kind::Readiness, task.readiness.as_mut().map(|readiness| &mut readiness.timer)),
                (Kind::Health, task.liveness.as_mut().map(|liveness| &mut liveness.timer)),
            ];
            for (kind, timer) in timers {
                match timer.and_then(|timer| timer.tick(now.monotonic)) {
                    Some(Due::Start) => actions.push(Action::StartCheck(id.clone(), kind)),
                    Some(Due::Kill) => actions.push(Action::KillCheck(id.clone(), kind)),
                    None => {}
                }
            }
        }
        if self.give_up_at().is_some_and(|at| now.monotonic >= at) {
            actions.push(Action::Note("the agent does not take us back; ending the tasks".to_owned()));
            self.leaving = Leaving::Alone;
            let bound =
                if self.settings.recovery_timeout.is_none() { Some(self.settings.shutdown_grace) } else { None };
            self.stop_all(bound, now, actions);
        }
        if self.exit_at().is_some_and(|at| now.monotonic >= at) {
            self.has_exited = true;
            actions.push(Action::Exit);
            return;
        }
        if let Link::Down { retry_at } = self.link
            && now.monotonic >= retry_at
            && self.leaving != Leaving::Alone
        {
            self.connect(actions);
        }
    }

    fn connect(&mut self, actions: &mut Vec<Action>) {
        self.link = Link::Connecting;
        for pending in &mut self.pending {
            pending.is_sent = true;
        }
        actions.push(Action::Connect {
            tasks: self.tasks.values().filter_map(|task| task.info.as_deref().cloned()).collect(),
            updates: self.pending.iter().map(|pending| pending.update.clone()).collect(),
        });
    }

    /// When the absent agent is given up.
    fn give_up_at(&self) -> Option<Duration> {
        if self.leaving == Leaving::Alone {
            return None;
        }
        let patience = if self.was_subscribed {
            self.settings.recovery_timeout.unwrap_or(Duration::ZERO)
        } else {
            limits::FIRST_SUBSCRIPTION
        };
        let by_silence = self.down_since.map(|since| since + patience);
        let by_refusal = self.refused_since.map(|since| since + limits::REFUSED);
        by_silence.into_iter().chain(by_refusal).min()
    }

    /// When the process may end.
    fn exit_at(&self) -> Option<Duration> {
        if self.has_exited || self.has_live_tasks() {
            return None;
        }
        let is_acknowledged = self.pending.is_empty();
        match self.leaving {
            Leaving::Alone => Some(Duration::ZERO),
            Leaving::Until(_) if is_acknowledged => Some(Duration::ZERO),
            Leaving::Until(deadline) => Some(deadline),
            Leaving::No if is_acknowledged && self.had_tasks => Some(self.quiet_since + limits::LINGER),
            Leaving::No if self.link == Link::Up => Some(self.quiet_since + limits::UNHEARD),
            Leaving::No => None,
        }
    }
}

fn killed_state(cause: Cause) -> TaskState {
    match cause {
        Cause::Requested => TaskState::TaskKilled,
        Cause::Unhealthy => TaskState::TaskFailed,
    }
}

#[cfg(test)]
mod tests;
