#![allow(clippy::unwrap_used)]

use super::*;
use crate::health::CheckResult::{Code, Missing};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn id(text: &str) -> TaskId {
    TaskId::from_wire(&v1::TaskId { value: text.to_owned() })
}

/// A supervisor with a clock; actions are written as short words.
struct World {
    supervisor: Supervisor,
    now: Duration,
    /// Identifiers of the updates sent, oldest first.
    sent: Vec<Update>,
}

impl World {
    fn new(recovery_timeout: Option<Duration>) -> Self {
        let settings = Settings { recovery_timeout, shutdown_grace: s(5), seed: *uuid::Uuid::new_v4().as_bytes() };
        Self { supervisor: Supervisor::new(settings), now: Duration::ZERO, sent: Vec::new() }
    }

    fn subscribed() -> Self {
        let mut world = Self::new(Some(s(900)));
        assert_eq!(world.step(Event::Tick), ["connect"]);
        assert!(world.step(Event::Subscribed { knows_killing: false }).is_empty());
        world
    }

    /// With a running task `a`; everything is acknowledged.
    fn running(rules: Rules) -> Self {
        let mut world = Self::subscribed();
        assert_eq!(world.launch("a", rules), ["send a TaskStarting", "prepare a"]);
        assert_eq!(world.step(Event::Prepared(id("a"), Ok(()))), ["start a"]);
        assert_eq!(world.step(Event::Started(id("a"), Ok(()))), ["send a TaskRunning"]);
        world.acknowledge_all();
        world
    }

    fn step(&mut self, event: Event) -> Vec<String> {
        let now = Now { monotonic: self.now, wall_seconds: 1e9 };
        let actions = self.supervisor.step(event, now);
        actions.into_iter().map(|action| self.word(action)).collect()
    }

    fn word(&mut self, action: Action) -> String {
        match action {
            Action::Connect { tasks, updates } => {
                let tasks: Vec<String> = tasks.iter().map(|task| format!(" {}", task.task_id.value)).collect();
                let states: Vec<String> = updates.iter().map(|update| format!(" {:?}", update.state)).collect();
                format!("connect{}{}", tasks.concat(), states.concat())
            }
            Action::Send(update) => {
                let word = format!("send {} {:?}", update.task, update.state);
                self.sent.push(update);
                word
            }
            Action::Prepare(task) => format!("prepare {task}"),
            Action::Abandon(task) => format!("abandon {task}"),
            Action::Start(task) => format!("start {task}"),
            Action::Terminate(task) => format!("terminate {task}"),
            Action::Kill(task) => format!("kill {task}"),
            Action::Probe(task) => format!("probe {task}"),
            Action::Forget(task) => format!("forget {task}"),
            Action::StartCheck(task, kind) => format!("start {} {task}", kind.as_str()),
            Action::KillCheck(task, kind) => format!("kill {} {task}", kind.as_str()),
            Action::Note(message) => format!("note {message}"),
            Action::Exit => "exit".to_owned(),
        }
    }

    /// Lets time pass to the next timer.
    fn wake(&mut self) -> Vec<String> {
        self.now = self.supervisor.wake_at().unwrap();
        self.step(Event::Tick)
    }

    fn at(&mut self, now: Duration) -> Vec<String> {
        self.now = now;
        self.step(Event::Tick)
    }

    fn launch(&mut self, task: &str, rules: Rules) -> Vec<String> {
        self.step(Event::Launch(vec![launch(task, Ok(rules))]))
    }

    fn acknowledge_all(&mut self) {
        for update in std::mem::take(&mut self.sent) {
            self.step(Event::Acknowledged(update.task, update.uuid));
        }
    }

    fn exit(&mut self, task: &str, exit: Exit) -> Vec<String> {
        self.step(Event::Exited { task: id(task), exit, out_of_memory: false })
    }

    fn last(&self) -> &Update {
        self.sent.last().unwrap()
    }
}

fn launch(task: &str, rules: Result<Rules, String>) -> Launch {
    let info = v1::TaskInfo { task_id: v1::TaskId { value: task.to_owned() }, ..Default::default() };
    Launch { info: Box::new(info), rules }
}

#[test]
fn a_task_runs_to_its_end_and_the_executor_lingers() {
    #[track_caller]
    fn check(exit: Exit, state: TaskState, message: &str) {
        let mut world = World::running(Rules::default());
        assert_eq!(world.exit("a", exit), ["kill a", "probe a"]);
        assert_eq!(world.step(Event::Gone(id("a"))), [format!("send a {state:?}"), "forget a".to_owned()]);
        assert_eq!((world.last().state, world.last().message.as_deref()), (state, Some(message)));
        world.now = s(10);
        world.acknowledge_all();
        assert_eq!(world.supervisor.wake_at(), Some(s(15)));
        assert_eq!(world.at(ms(14_999)), [""; 0]);
        assert_eq!(world.at(s(15)), ["exit"]);
    }
    check(Exit::Status(0), TaskState::TaskFinished, "command exited with status 0");
    check(Exit::Status(3), TaskState::TaskFailed, "command exited with status 3");
    check(Exit::Signal(11), TaskState::TaskFailed, "command was killed by signal 11 (SIGSEGV)");
}

#[test]
fn a_new_launch_ends_the_lingering() {
    let mut world = World::running(Rules::default());
    world.exit("a", Exit::Status(0));
    world.step(Event::Gone(id("a")));
    world.acknowledge_all();
    world.now = s(3);
    assert_eq!(world.launch("b", Rules::default()), ["send b TaskStarting", "prepare b"]);
    assert_eq!(world.at(s(600)), [""; 0]);
    assert_eq!(world.supervisor.wake_at(), None);
}

#[test]
fn the_terminal_update_waits_until_every_process_is_gone() {
    let mut world = World::running(Rules::default());
    world.exit("a", Exit::Status(0));
    for _ in 0..3 {
        assert_eq!(world.wake(), ["kill a", "probe a"]);
    }
    assert_eq!(world.now, ms(60));
    assert_eq!(world.step(Event::Gone(id("a"))), ["send a TaskFinished", "forget a"]);
}

#[test]
fn a_kill_is_gentle_then_not() {
    let grace = Rules { kill_grace: Some(s(30)), ..Rules::default() };
    let mut world = World::running(grace);
    assert_eq!(world.step(Event::Kill(id("a"), None)), ["terminate a"]);
    assert_eq!(world.step(Event::Kill(id("a"), None)), [""; 0], "the same kill again changes nothing");
    assert_eq!(world.supervisor.wake_at(), Some(s(30)));
    world.now = s(10);
    assert_eq!(world.step(Event::Kill(id("a"), Some(s(60)))), [""; 0], "a longer grace does not delay");
    assert_eq!(world.supervisor.wake_at(), Some(s(30)));
    assert_eq!(world.step(Event::Kill(id("a"), Some(s(5)))), [""; 0]);
    assert_eq!(world.at(s(15)), ["kill a"]);
    assert_eq!(world.supervisor.wake_at(), None);
    world.exit("a", Exit::Signal(9));
    assert_eq!(world.step(Event::Gone(id("a"))), ["send a TaskKilled", "forget a"]);
    assert_eq!(world.last().message.as_deref(), Some("killed on request: command was killed by signal 9 (SIGKILL)"));
}

#[test]
fn the_kills_own_grace_and_the_default_hold() {
    let mut world = World::running(Rules { kill_grace: Some(s(30)), ..Rules::default() });
    world.step(Event::Kill(id("a"), Some(s(2))));
    assert_eq!(world.supervisor.wake_at(), Some(s(2)));
    let mut world = World::running(Rules::default());
    world.step(Event::Kill(id("a"), None));
    assert_eq!(world.supervisor.wake_at(), Some(limits::KILL_GRACE));
}

#[test]
fn task_killing_is_sent_to_who_knows_it() {
    let mut world = World::new(Some(s(900)));
    world.step(Event::Tick);
    world.step(Event::Subscribed { knows_killing: true });
    world.launch("a", Rules::default());
    world.step(Event::Prepared(id("a"), Ok(())));
    world.step(Event::Started(id("a"), Ok(())));
    assert_eq!(world.step(Event::Kill(id("a"), None)), ["terminate a", "send a TaskKilling"]);
}

#[test]
fn a_kill_before_the_start_leaves_nothing_behind() {
    let mut world = World::subscribed();
    world.launch("a", Rules::default());
    assert_eq!(world.step(Event::Kill(id("a"), None)), ["abandon a", "send a TaskKilled", "forget a"]);
    assert_eq!(world.step(Event::Prepared(id("a"), Ok(()))), [""; 0], "what was abandoned is ignored");
    assert_eq!(world.step(Event::Kill(id("a"), None)), [""; 0]);
    world.acknowledge_all();
    assert_eq!(world.step(Event::Kill(id("a"), None)), ["note kill of unknown task a ignored"]);
}

#[test]
fn what_cannot_start_fails_with_its_reason() {
    let mut world = World::subscribed();
    world.launch("a", Rules::default());
    let failed = Event::Prepared(id("a"), Err("volume v is not in the sandbox".to_owned()));
    assert_eq!(world.step(failed), ["send a TaskFailed", "forget a"]);
    assert_eq!(world.last().message.as_deref(), Some("volume v is not in the sandbox"));

    world.launch("b", Rules::default());
    world.step(Event::Prepared(id("b"), Ok(())));
    let failed = Event::Started(id("b"), Err("no such file".to_owned()));
    assert_eq!(world.step(failed), ["send b TaskFailed", "forget b"]);

    let launches = vec![launch("c", Err("no command".to_owned())), launch("d", Ok(Rules::default()))];
    let actions = world.step(Event::Launch(launches));
    assert_eq!(actions, ["send c TaskFailed", "forget c", "send d TaskStarting", "prepare d"]);
}

#[test]
fn a_task_is_launched_once() {
    let mut world = World::running(Rules::default());
    let actions = world.launch("a", Rules::default());
    assert_eq!(actions, ["note task a was launched before; the second launch is ignored"]);
}

// contract: 6.4/readiness
#[test]
fn readiness_goes_along_with_running() {
    let schedule = Schedule { delay: s(0), interval: s(5), timeout: Some(s(2)) };
    let mut world = World::subscribed();
    world.launch("a", Rules { readiness: Some(schedule), ..Rules::default() });
    world.step(Event::Prepared(id("a"), Ok(())));
    let actions = world.step(Event::Started(id("a"), Ok(())));
    assert_eq!(actions, ["send a TaskRunning", "start readiness-check a"]);
    assert_eq!((world.last().check, world.last().reason), (Some(Missing), None));

    let ended = |code| Event::CheckEnded(id("a"), Kind::Readiness, code);
    assert_eq!(world.step(ended(Code(1))), ["send a TaskRunning"]);
    assert_eq!((world.last().check, world.last().reason), (Some(Code(1)), Some(Reason::TaskCheckStatusUpdated)));
    assert_eq!(world.wake(), ["start readiness-check a"]);
    assert_eq!(world.step(ended(Code(1))), [""; 0], "no change, no update");
    world.wake();
    assert_eq!(world.step(ended(Code(0))), ["send a TaskRunning"]);
    world.wake();
    assert_eq!(world.wake(), ["kill readiness-check a"], "it takes too long");
    assert_eq!(world.step(ended(Missing)), ["send a TaskRunning"]);
    assert_eq!(world.last().check, Some(Missing));
    world.wake();
    assert_eq!(world.step(Event::Kill(id("a"), None)), ["kill readiness-check a", "terminate a"]);
    assert_eq!(world.step(ended(Missing)), [""; 0]);
    world.exit("a", Exit::Status(0));
    world.step(Event::Gone(id("a")));
    assert_eq!(world.last().check, None);
}

#[test]
fn an_unhealthy_task_is_ended_and_failed() {
    let schedule = Schedule { delay: s(0), interval: s(1), timeout: None };
    let health = HealthRules { schedule, grace: s(0), max_failures: 2 };
    let mut world = World::subscribed();
    world.launch("a", Rules { health: Some(health), ..Rules::default() });
    world.step(Event::Prepared(id("a"), Ok(())));
    assert_eq!(world.step(Event::Started(id("a"), Ok(()))), ["send a TaskRunning", "start health-check a"]);
    assert_eq!(world.last().healthy, None);

    let ended = |code| Event::CheckEnded(id("a"), Kind::Health, code);
    assert_eq!(world.step(ended(Code(0))), ["send a TaskRunning"]);
    assert_eq!((world.last().healthy, world.last().reason), (Some(true), Some(Reason::TaskHealthCheckStatusUpdated)));
    world.wake();
    assert_eq!(world.step(ended(Code(1))), ["send a TaskRunning"]);
    assert_eq!(world.last().healthy, Some(false));
    world.wake();
    let actions = world.step(ended(Code(1)));
    assert_eq!(actions, ["note task a: health check failed too often, ending the task", "terminate a"]);
    assert_eq!(world.exit("a", Exit::Signal(15)), ["kill a", "probe a"]);
    world.step(Event::Gone(id("a")));
    assert_eq!((world.last().state, world.last().healthy), (TaskState::TaskFailed, Some(false)));
    assert_eq!(
        world.last().message.as_deref(),
        Some("health check failed 2 times in a row: command was killed by signal 15 (SIGTERM)")
    );
}

#[test]
fn lack_of_memory_is_told() {
    let mut world = World::running(Rules::default());
    world.step(Event::Exited { task: id("a"), exit: Exit::Signal(9), out_of_memory: true });
    world.step(Event::Gone(id("a")));
    assert_eq!(world.last().message.as_deref(), Some("out of memory: command was killed by signal 9 (SIGKILL)"));
    assert_eq!(world.last().reason, Some(Reason::ContainerLimitationMemory));
}

#[test]
fn a_new_subscription_carries_what_was_not_acknowledged() {
    let mut world = World::running(Rules::default());
    world.launch("b", Rules::default());
    world.sent.clear();
    assert_eq!(world.step(Event::Disconnected { is_refusal: false }), [""; 0]);
    assert_eq!(world.supervisor.wake_at(), Some(limits::RECONNECT));
    // While there is no connection, nothing is sent but everything kept.
    assert_eq!(world.step(Event::Prepared(id("b"), Ok(()))), ["start b"]);
    assert_eq!(world.step(Event::Started(id("b"), Ok(()))), [""; 0]);
    assert_eq!(world.wake(), ["connect b TaskStarting TaskRunning"]);
    assert_eq!(world.exit("a", Exit::Status(0)), ["kill a", "probe a"]);
    assert_eq!(world.step(Event::Gone(id("a"))), ["forget a"]);
    // Only what the SUBSCRIBE did not carry is sent now.
    assert_eq!(world.step(Event::Subscribed { knows_killing: false }), ["send a TaskFinished"]);
    // It breaks again before anything was acknowledged.
    world.step(Event::Disconnected { is_refusal: false });
    assert_eq!(world.wake(), ["connect b TaskStarting TaskRunning TaskFinished"]);
}

#[test]
fn attempts_go_on_every_100_ms_until_the_recovery_timeout() {
    let mut world = World::running(Rules { kill_grace: Some(s(7)), ..Rules::default() });
    let mut attempts = 0;
    world.step(Event::Disconnected { is_refusal: false });
    loop {
        let actions = world.wake();
        if actions != ["connect"] {
            assert_eq!(actions, ["note the agent does not take us back; ending the tasks", "terminate a"]);
            break;
        }
        attempts += 1;
        world.step(Event::Disconnected { is_refusal: false });
    }
    assert_eq!((world.now, attempts), (s(900), 8999));
    assert_eq!(world.wake(), ["kill a"], "after the task's own grace");
    assert_eq!(world.now, s(907));
    world.exit("a", Exit::Signal(9));
    assert_eq!(world.step(Event::Gone(id("a"))), ["forget a", "exit"]);
}

#[test]
fn an_agent_that_refuses_us_is_given_up_sooner() {
    let mut world = World::running(Rules::default());
    world.step(Event::Disconnected { is_refusal: false });
    world.wake();
    world.step(Event::Disconnected { is_refusal: true });
    let since = world.now;
    let mut last = Vec::new();
    while world.now < since + limits::REFUSED {
        last = world.wake();
        world.step(Event::Disconnected { is_refusal: true });
    }
    assert_eq!(last, ["note the agent does not take us back; ending the tasks", "terminate a"]);
}

#[test]
fn without_checkpointing_tasks_end_with_the_connection() {
    let mut world = World::new(None);
    assert_eq!(world.step(Event::Tick), ["connect"]);
    // The first subscription is tried for a minute: the agent may be slow.
    world.step(Event::Disconnected { is_refusal: false });
    assert_eq!(world.wake(), ["connect"]);
    world.step(Event::Subscribed { knows_killing: false });
    world.launch("a", Rules { kill_grace: Some(s(60)), ..Rules::default() });
    world.step(Event::Prepared(id("a"), Ok(())));
    world.step(Event::Started(id("a"), Ok(())));
    let actions = world.step(Event::Disconnected { is_refusal: false });
    assert_eq!(actions, ["note the agent does not take us back; ending the tasks", "terminate a"]);
    assert_eq!(world.supervisor.wake_at(), Some(world.now + s(4)), "within the agent's patience");
    world.exit("a", Exit::Status(0));
    assert_eq!(world.step(Event::Gone(id("a"))), ["forget a", "exit"]);
}

#[test]
fn a_shutdown_ends_tasks_within_the_agents_patience() {
    let mut world = World::running(Rules { kill_grace: Some(s(60)), ..Rules::default() });
    assert_eq!(world.step(Event::Shutdown), ["terminate a"]);
    assert_eq!(world.step(Event::Shutdown), [""; 0]);
    let late = world.launch("b", Rules::default());
    assert_eq!(late, ["send b TaskFailed", "forget b"]);
    assert_eq!(world.wake(), ["kill a"]);
    assert_eq!(world.now, s(4));
    world.exit("a", Exit::Signal(9));
    assert_eq!(world.step(Event::Gone(id("a"))), ["send a TaskKilled", "forget a"]);
    let updates = std::mem::take(&mut world.sent);
    let words: Vec<_> =
        updates.into_iter().flat_map(|update| world.step(Event::Acknowledged(update.task, update.uuid))).collect();
    assert_eq!(words, ["exit"], "as soon as all is acknowledged");
}

#[test]
fn a_shutdown_does_not_wait_for_ever_for_acknowledgements() {
    let mut world = World::running(Rules::default());
    world.step(Event::Shutdown);
    world.exit("a", Exit::Status(0));
    world.step(Event::Gone(id("a")));
    assert_eq!(world.wake(), ["exit"]);
    assert_eq!(world.now, s(5));
}

#[test]
fn an_update_that_is_never_acknowledged_does_not_keep_the_executor() {
    let mut world = World::running(Rules::default());
    world.exit("a", Exit::Status(0));
    world.step(Event::Gone(id("a")));
    assert_eq!(world.wake(), ["exit"]);
    assert_eq!(world.now, limits::UNHEARD);
}

#[test]
fn an_executor_that_is_given_no_task_ends() {
    let mut world = World::subscribed();
    assert_eq!(world.wake(), ["exit"]);
    assert_eq!(world.now, limits::UNHEARD);
}
