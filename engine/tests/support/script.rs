//! The line language of scenarios: each line is something that happens; the transcript says what the engine made of it.
//!
//! | Line | Happens |
//! |---|---|
//! | `spec FILE` | the specification of the next start is `scenarios/specs/FILE` |
//! | `edit OLD => NEW` | … with this text replaced (`\n` is a line break) |
//! | `config backoff` | the next start has launch backoff: 10 s, doubled, 60 s at most |
//! | `config fixed POD TASK VARIABLE` | … and a rule that this variable never changes |
//! | `config region NAME` | … and this `SERVICE_REGION` |
//! | `agent NAME cpus 2 mem 1024 disk 4096 ports 31000-31010 attr rack:r1 region west` | an agent is there |
//! | `master region NAME`, `master version VERSION` | what the master says of itself from the next subscription on |
//! | `remove agent NAME` | it is gone with everything on it; statuses are told by `status` |
//! | `start` | the process starts over what is stored |
//! | `identity ID` | the master knows us by this id from now on |
//! | `subscribe` | the master accepts the subscription |
//! | `up` | `start`, `subscribe`, and every unfinished task is answered with its last state |
//! | `offers [NAME…]` | these agents (all of them) are offered in one event |
//! | `status TASK[#N] STATE [ready\|unready] [master] [reason=N]` | the N-th launch (the last one) of a task has this state; `master`: not an update, an answer |
//! | `said REASON MESSAGE…` | the next status comes with the number of a reason and these words |
//! | `answer AGENT STATE` | the master says, asked, what has become of an agent that holds what is to be released |
//! | `clock SECONDS` | the clocks of the agents are this far off from now on, as their updates show |
//! | `refuse TASK REASON MESSAGE…` | its agent drops the last launch of a task, with the number of a reason and these words |
//! | `runs TASK…` | each has RUNNING, ready |
//! | `lose accept` | the next ACCEPT never reaches the master |
//! | `executor lost NAME` | FAILURE event of the agent's executors |
//! | `advance TIME` | time passes; timers go off |
//! | `crash` | the process dies |
//! | `disconnect` | the subscription ends |
//! | `command plan PLAN VERB [phase P] [step S] [NAME=VALUE…]` | an operator wants this |
//! | `command pod POD VERB` | the same for a pod |
//! | `store PATH TEXT`, `unstore PATH` | somebody edits the stored tree (`PATH` of a task by name) |
//! | `aged URI` | the stored configurations become documents of 2017, whose pods fetch an executor from there |
//! | `blank PATH` | the launch id in this stored TaskInfo is emptied |
//! | `reserve AGENT ROLE [LABEL=VALUE…]` | somebody reserves 0.1 cpus there |
//! | `unreserve AGENT NAME…` | an operator takes away the free reservations of these resources there (`volume`: destroys volumes) |
//! | `show plans\|tree\|reservations\|waiting\|tasks\|PATH` | a look at it |

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use mainstay_engine::command::{Command, PlanVerb, PodVerb};
use mainstay_engine::config::validators::{EnvChange, env_cannot_change};
use mainstay_engine::config::{Backoff, Config, region};
use mainstay_engine::effect::{Call, Effects, Write};
use mainstay_engine::event::{Event, Master};
use mainstay_engine::ids::{AgentId, ExecutorId, FrameworkId, Generator};
use mainstay_engine::journal::Entry;
use mainstay_engine::task::status::{State, Status};
use mainstay_engine::units::{Millis, Timestamp};
use mainstay_engine::{Engine, check};
use mainstay_proto::v1;
use mainstay_spec::ServiceSpec;
use prost::Message as _;

use crate::cluster::{Cluster, ROLE};

/// A scenario under way.
pub(crate) struct World {
    folder: std::path::PathBuf,
    spec_text: String,
    framework_id: String,
    config: Config,
    /// The master and its agents.
    pub(crate) cluster: Cluster,
    /// The stored tree.
    pub(crate) stored: BTreeMap<String, Bytes>,
    /// The engine, while the process lives.
    pub(crate) engine: Option<Engine>,
    wake_at: Option<Timestamp>,
    now: Timestamp,
    starts: u64,
    callers: u64,
    updates: u64,
    is_connected: bool,
    loses_accept: bool,
    clock: f64,
    region: Option<String>,
    master: Master,
    told: BTreeMap<String, State>,
    /// Reason and message of the next status.
    said: Option<(i32, String)>,
    /// What does not hold.
    pub(crate) problem: Option<String>,
    /// What happened so far.
    pub(crate) transcript: String,
}

/// Begins the last line of a transcript that ended because something does not hold.
pub(crate) const FAILED: &str = "!! ";

/// Plays a whole scenario; answers its transcript, with ids numbered in the order they appear.
pub(crate) fn play(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let mut world = World::new(file.parent().unwrap());
    for line in text.lines() {
        world.line(line);
        if let Some(problem) = world.problem.take() {
            return format!("{}{FAILED}{}", redact(&world.transcript), redact(&problem));
        }
    }
    redact(&world.transcript)
}

/// Numbers every UUID in the order of appearance.
pub(crate) fn redact(text: &str) -> String {
    let is_uuid = |text: &str| {
        text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
    };
    let mut seen: Vec<&str> = Vec::new();
    let mut out = String::new();
    let mut at = 0;
    while at < text.len() {
        if let Some(uuid) = text.get(at..at + 36).filter(|part| is_uuid(part)) {
            let number = seen.iter().position(|known| *known == uuid).unwrap_or_else(|| {
                seen.push(uuid);
                seen.len() - 1
            });
            let _ = write!(out, "#{}", number + 1);
            at += 36;
        } else {
            let char = text[at..].chars().next().unwrap();
            out.push(char);
            at += char.len_utf8();
        }
    }
    out
}

/// Settings of every scenario.
pub(crate) fn config() -> Config {
    Config::new(ROLE, "scheduler", 1)
}

/// Reads a specification.
pub(crate) fn load(text: &str) -> ServiceSpec {
    let source = mainstay_spec::Source { file_name: "svc.yml", text };
    let loaded = mainstay_spec::load(source, &BTreeMap::new(), &|path| Err(format!("no file {path}")));
    loaded.unwrap_or_else(|report| panic!("{report}")).spec
}

impl World {
    /// An empty world; specifications are found below this folder.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            spec_text: String::new(),
            framework_id: "framework-1".to_owned(),
            config: config(),
            cluster: Cluster::default(),
            stored: BTreeMap::new(),
            engine: None,
            wake_at: None,
            now: Timestamp(1_700_000_000_000),
            starts: 0,
            callers: 0,
            updates: 0,
            is_connected: false,
            loses_accept: false,
            clock: 0.0,
            region: None,
            master: Master::default(),
            told: BTreeMap::new(),
            said: None,
            problem: None,
            transcript: String::new(),
        }
    }

    fn say(&mut self, line: impl AsRef<str>) {
        for line in line.as_ref().lines() {
            self.transcript.push_str("    ");
            self.transcript.push_str(line);
            self.transcript.push('\n');
        }
    }

    /// Takes note that something does not hold; the scenario ends after this line.
    fn fail(&mut self, what: &str) {
        self.problem.get_or_insert_with(|| what.to_owned());
    }

    /// Plays one line.
    pub(crate) fn line(&mut self, line: &str) {
        let line = line.trim_end();
        // The rows of the contract that a scenario shows are no part of the transcript.
        if line.starts_with("# contract:") {
            return;
        }
        if line.is_empty() || line.starts_with('#') {
            self.transcript.push_str(line);
            self.transcript.push('\n');
            return;
        }
        self.transcript.push_str("> ");
        self.transcript.push_str(line);
        self.transcript.push('\n');
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["spec", file] => {
                self.spec_text = std::fs::read_to_string(self.folder.join("specs").join(file)).unwrap();
            }
            ["edit", ..] => {
                // A line's end is trimmed; nothing behind the arrow removes the text.
                let (old, new) = line.trim_start_matches("edit ").split_once(" =>").unwrap();
                let new = new.strip_prefix(' ').unwrap_or(new);
                let (old, new) = (old.replace("\\n", "\n"), new.replace("\\n", "\n"));
                if !self.spec_text.contains(&old) {
                    return self.fail("the specification has no such text");
                }
                self.spec_text = self.spec_text.replace(&old, &new);
            }
            ["config", "backoff"] => {
                self.config.backoff =
                    Some(Backoff { initial: Millis::from_secs(10), factor_millis: 2000, max: Millis::from_secs(60) });
            }
            ["config", "fixed", pod, task, variable] => {
                let rule = env_cannot_change(*pod, *task, *variable, EnvChange::default());
                self.config.validators.push(rule);
            }
            ["config", "region", region] => self.region = Some((*region).to_owned()),
            ["master", "region", region] => self.master.region = Some((*region).to_owned()),
            ["master", "version", version] => self.master.version = Some((*version).to_owned()),
            ["agent", name, rest @ ..] => self.cluster.add(name, rest),
            ["remove", "agent", name] => self.cluster.remove(name),
            ["start"] => self.start(),
            ["subscribe"] => self.subscribe(),
            ["identity", id] => (*id).clone_into(&mut self.framework_id),
            ["up"] => self.up(),
            ["offers", names @ ..] => {
                let offers = self.cluster.offers(names);
                self.feed(Event::Offers(offers));
            }
            ["status", task, state, rest @ ..] => self.status(task, state, rest),
            ["said", reason, message @ ..] => self.said = Some((reason.parse().unwrap(), message.join(" "))),
            ["refuse", task, reason, message @ ..] => {
                self.said = Some((reason.parse().unwrap(), message.join(" ")));
                self.status(task, "DROPPED", &[]);
            }
            ["runs", tasks @ ..] => {
                for task in tasks {
                    self.status(task, "RUNNING", &[]);
                }
            }
            ["answer", agent, state] => {
                let text = format!("TASK_{state}");
                let (state, _, _) = State::ALL.into_iter().find(|(_, _, known)| *known == text).unwrap();
                self.update(format!("mainstay-releasing-{agent}"), agent, state, None, false);
            }
            ["clock", seconds] => self.clock = seconds.parse().unwrap(),
            ["lose", "accept"] => self.loses_accept = true,
            ["executor", "lost", task] => {
                let Some(launch) = self.cluster.launch(task, None).cloned() else { return self.fail("no launch") };
                self.feed(Event::ExecutorLost {
                    agent_id: AgentId::parse(launch.agent).unwrap(),
                    executor_id: ExecutorId::parse(launch.executor).unwrap(),
                    status: None,
                });
            }
            ["advance", time] => self.advance(time),
            ["crash"] => {
                self.engine = None;
                // A new process knows what is stored, and what it is told.
                let state = check::reload(&self.stored);
                let is_stored = |id: &str| {
                    state.tasks.values().any(|task| task.task_id.as_ref().is_some_and(|known| known.as_str() == id))
                };
                for (_, told) in self.told.iter_mut().filter(|(id, told)| told.is_live() && !is_stored(id)) {
                    *told = State::Lost;
                }
                self.wake_at = None;
                self.is_connected = false;
            }
            ["disconnect"] => {
                self.is_connected = false;
                self.feed(Event::Disconnected);
            }
            ["command", rest @ ..] => self.command(rest),
            ["store", path, text @ ..] => {
                self.stored.insert((*path).to_owned(), text.join(" ").into_bytes().into());
            }
            ["unstore", path] => {
                let below = format!("{path}/");
                self.stored.retain(|other, _| other != path && !other.starts_with(&below));
            }
            ["aged", uri] => {
                for (_, data) in self.stored.iter_mut().filter(|(path, _)| path.starts_with("Configurations/")) {
                    let text = String::from_utf8(data.to_vec()).unwrap();
                    let lines = text.lines().filter(|line| !line.contains("\"share-pid-namespace\""));
                    let text = lines.collect::<Vec<_>>().join("\n");
                    let aged = text.replace("\"uris\" : [ ]", &format!("\"uris\" : [ \"{uri}\" ]"));
                    if aged == text {
                        return self.problem = Some("no pod without files".to_owned());
                    }
                    *data = aged.into_bytes().into();
                }
            }
            ["blank", path] => {
                let mut info = v1::TaskInfo::decode(self.stored[*path].as_ref()).unwrap();
                info.task_id.value.clear();
                self.stored.insert((*path).to_owned(), info.encode_to_vec().into());
            }
            ["reserve", agent, role, labels @ ..] => {
                let labels: Vec<_> = labels
                    .iter()
                    .map(|label| label.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).unwrap())
                    .collect();
                self.cluster.reserve_foreign(agent, role, &labels);
            }
            ["unreserve", agent, names @ ..] => {
                for name in names {
                    self.cluster.unreserve(agent, name);
                }
            }
            ["show", what] => self.show(what),
            _ => self.fail("no such line"),
        }
    }

    fn start(&mut self) {
        self.starts += 1;
        let ids = Generator::seeded(u128::from(self.starts));
        let mut spec = load(&self.spec_text);
        region::confine(&mut spec, self.region.as_deref());
        match Engine::start(self.config.clone(), spec, self.stored.clone(), ids, self.now) {
            Ok((engine, effects)) => {
                self.engine = Some(engine);
                self.perform(effects);
            }
            Err(problem) => {
                self.engine = None;
                self.say(format!("does not start, exit code {}: {problem}", problem.exit_code()));
            }
        }
    }

    fn subscribe(&mut self) {
        self.is_connected = true;
        let framework_id = FrameworkId::parse(self.framework_id.clone()).unwrap();
        let master = Master { hostname: "master".to_owned(), ..self.master.clone() };
        self.feed(Event::Subscribed { framework_id, master });
    }

    fn up(&mut self) {
        self.start();
        if self.engine.is_none() {
            return;
        }
        self.subscribe();
        let unfinished: Vec<_> = self
            .engine
            .as_ref()
            .map(|engine| {
                let tasks = engine.state().tasks.values();
                tasks.filter(|task| task.is_live()).filter_map(|task| task.task_id.clone()).collect()
            })
            .unwrap_or_default();
        for task_id in unfinished {
            let state = self.told.get(task_id.as_str()).copied().unwrap_or(State::Lost);
            let agent = self.cluster.launches.iter().find(|launch| launch.id == task_id.as_str());
            let agent = agent.map(|launch| launch.agent.clone()).unwrap_or_default();
            self.update(task_id.as_str().to_owned(), &agent, state, Some(true), false);
        }
    }

    fn status(&mut self, task: &str, state: &str, rest: &[&str]) {
        let (name, number) = match task.split_once('#') {
            Some((name, number)) => (name, Some(number.parse().unwrap())),
            None => (task, None),
        };
        let Some(launch) = self.cluster.launch(name, number).cloned() else { return self.fail("no such launch") };
        let text = format!("TASK_{state}");
        let Some((state, _, _)) = State::ALL.into_iter().find(|(_, _, known)| *known == text) else {
            return self.fail("no such state");
        };
        if state.is_terminal() || state == State::Lost {
            self.cluster.end(&launch.id);
        }
        let is_ready = !rest.contains(&"unready");
        let is_update = !rest.contains(&"master");
        if let Some(reason) = rest.iter().find_map(|word| word.strip_prefix("reason=")) {
            self.said = Some((reason.parse().unwrap(), String::new()));
        }
        self.update(launch.id, &launch.agent, state, Some(is_ready).filter(|_| is_update), is_update);
    }

    fn update(&mut self, id: String, agent: &str, state: State, is_ready: Option<bool>, is_update: bool) {
        self.updates += 1;
        // A launch that is over stays over, whatever is repeated late.
        let told = self.told.entry(id.clone()).or_insert(state);
        if !told.is_terminal() {
            *told = state;
        }
        let has_check = is_ready.is_some() && state == State::Running;
        let said = self.said.take();
        let wire = v1::TaskStatus {
            task_id: v1::TaskId { value: id },
            state: state.to_wire(),
            agent_id: (!agent.is_empty()).then(|| v1::AgentId { value: agent.to_owned() }),
            uuid: is_update.then(|| Bytes::from(format!("update-{}", self.updates))),
            timestamp: Some(self.now.0 as f64 / 1000.0 + if is_update { self.clock } else { 0.0 }),
            reason: said.as_ref().map(|(reason, _)| *reason),
            message: said.map(|(_, message)| message),
            check_status: has_check.then(|| {
                Box::new(v1::CheckStatusInfo {
                    r#type: Some(1),
                    command: Some(v1::check_status_info::Command {
                        exit_code: Some(i32::from(is_ready != Some(true))),
                    }),
                    ..Default::default()
                })
            }),
            ..Default::default()
        };
        let status = Status::parse(wire.encode_to_vec().into()).unwrap();
        self.feed(Event::Status(status));
    }

    fn advance(&mut self, time: &str) {
        let (number, unit) = time.split_at(time.len() - 1);
        let factor = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return self.fail("no such unit"),
        };
        let end = self.now.plus(Millis::from_secs(number.parse::<u64>().unwrap() * factor));
        while let Some(at) = self.wake_at.filter(|at| *at <= end) {
            if at < self.now {
                return self.fail("a timer in the past");
            }
            let passed = at.since(self.now).0;
            let before = self.transcript.len();
            self.now = at.max(self.now);
            self.wake_at = None;
            self.feed(Event::Tick);
            if self.transcript.len() > before {
                let text = format!("    after {}.{:03} s:\n", passed / 1000, passed % 1000);
                self.transcript.insert_str(before, &text);
            }
            if self.wake_at == Some(at) {
                return self.fail("a timer that goes off for ever");
            }
        }
        self.now = end;
    }

    fn command(&mut self, words: &[&str]) {
        let command = match words {
            ["pod", pod, verb] => {
                let verb = match *verb {
                    "restart" => PodVerb::Restart,
                    "replace" => PodVerb::Replace,
                    _ => return self.fail("no such verb"),
                };
                Command::Pod { pod: (*pod).to_owned(), verb }
            }
            ["plan", plan, verb, rest @ ..] => {
                let text = rest.join(" ");
                let (text, step) = match text.split_once("step ") {
                    Some((before, step)) => (before.trim().to_owned(), Some(step.trim().to_owned())),
                    None => (text, None),
                };
                let phase = text.strip_prefix("phase ").map(|phase| phase.trim().to_owned());
                let parameters = text
                    .split(' ')
                    .filter_map(|word| word.split_once('='))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                let verb = match *verb {
                    "start" => PlanVerb::Start(parameters),
                    "stop" => PlanVerb::Stop,
                    "continue" => PlanVerb::Continue,
                    "interrupt" => PlanVerb::Interrupt,
                    "forceComplete" => PlanVerb::ForceComplete,
                    "restart" => PlanVerb::Restart,
                    _ => return self.fail("no such verb"),
                };
                Command::Plan { plan: (*plan).to_owned(), verb, phase, step }
            }
            _ => return self.fail("no such command"),
        };
        self.callers += 1;
        self.feed(Event::Command { caller: self.callers, command });
    }

    /// Hands an event to the engine and does what it wants.
    pub(crate) fn feed(&mut self, event: Event) {
        let now = self.now;
        let Some(engine) = &mut self.engine else { return self.fail("the process is not running") };
        let effects = engine.step(event, now);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Effects) {
        for entry in &effects.journal {
            if let Some(text) = journal(entry) {
                self.say(format!(". {text}"));
            }
        }
        if !effects.commit.is_empty() {
            let writes = effects.commit.writes.iter().map(|(path, write)| match write {
                Write::Put(_) => path.clone(),
                Write::Delete => format!("-{path}"),
            });
            self.say(format!("commit {}", writes.collect::<Vec<_>>().join(" ")));
        }
        effects.commit.apply_to(&mut self.stored);
        for call in join_declines(effects.send) {
            let text = self.send(call);
            self.say(format!("-> {text}"));
        }
        for reply in effects.replies {
            self.say(format!("reply {:?}", reply.answer));
        }
        if let Some((code, reason)) = effects.exit {
            self.say(format!("exit {code}: {reason}"));
        }
        self.wake_at = effects.wake_at;
        if let Some(engine) = &mut self.engine {
            // Reading must never be impossible.
            let _ = engine.view();
            let found = check::violations(engine, &self.stored);
            if !found.is_empty() {
                self.fail(&found.join("\n"));
            }
        }
    }

    fn send(&mut self, call: Call) -> String {
        if !self.is_connected {
            self.fail(&format!("a call while disconnected: {call:?}"));
        }
        match call {
            Call::Accept { offers, operations, refuse } => {
                let offers: Vec<String> = offers.iter().map(ToString::to_string).collect();
                let agent = agent_of(&operations);
                let agent = agent.unwrap_or_else(|| self.agent_of_reservation(&operations));
                if std::mem::take(&mut self.loses_accept) {
                    return format!("ACCEPT {} is lost", offers.join(" "));
                }
                let known = self.cluster.launches.len();
                match self.cluster.accept(&agent, &operations) {
                    Ok(lines) => {
                        self.check_launches(known);
                        format!("ACCEPT {} ({agent}), {} s: {}", offers.join(" "), refuse.0 / 1000, lines.join("; "))
                    }
                    Err(problem) => {
                        self.fail(&format!("the master refuses an ACCEPT: {problem}"));
                        "ACCEPT".to_owned()
                    }
                }
            }
            Call::Decline { offers, refuse } => {
                let offers: Vec<String> = offers.iter().map(ToString::to_string).collect();
                format!("DECLINE {}, {} s", offers.join(" "), refuse.0 / 1000)
            }
            Call::Revive => "REVIVE".to_owned(),
            Call::Suppress => "SUPPRESS".to_owned(),
            Call::Kill { task_id, .. } => format!("KILL {task_id}"),
            Call::Shutdown { executor_id, agent_id } => format!("SHUTDOWN {executor_id} ({agent_id})"),
            Call::Acknowledge { .. } => "ACKNOWLEDGE".to_owned(),
            Call::AcknowledgeOperation { .. } => "ACKNOWLEDGE_OPERATION_STATUS".to_owned(),
            Call::Reconcile { tasks } if tasks.is_empty() => "RECONCILE everything".to_owned(),
            Call::Reconcile { tasks } => {
                format!("RECONCILE {}", tasks.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(" "))
            }
            Call::Teardown => "TEARDOWN".to_owned(),
        }
    }

    /// No task is launched while another launch of it may live, as far as the engine was told.
    fn check_launches(&mut self, known: usize) {
        let (earlier, new) = self.cluster.launches.split_at(known);
        let may_live = |id: &str| self.told.get(id).is_none_or(|state| state.is_live());
        let twice = new.iter().find_map(|launch| {
            let other = earlier.iter().find(|other| other.name == launch.name && may_live(&other.id))?;
            Some(format!("{} is launched while {} may live", launch.id, other.id))
        });
        if let Some(problem) = twice {
            self.fail(&problem);
        }
    }

    /// The agent whose free reservations these operations release.
    fn agent_of_reservation(&self, operations: &[v1::offer::Operation]) -> String {
        use mainstay_engine::resource::Resource;
        let wanted = operations
            .iter()
            .flat_map(|one| &one.unreserve)
            .flat_map(|unreserve| &unreserve.resources)
            .find_map(|resource| Resource::from_wire(resource).ok()?.resource_id());
        let holds = |resource: &Resource| resource.resource_id() == wanted;
        let found = self.cluster.agents.iter().find(|agent| agent.free.iter().any(holds));
        found.map(|agent| agent.name.clone()).unwrap_or_default()
    }

    fn show(&mut self, what: &str) {
        let mut text = String::new();
        match what {
            "plans" => {
                let Some(engine) = &mut self.engine else { return self.fail("the process is not running") };
                for plan in &engine.view().plans {
                    let errors = if plan.errors.is_empty() { String::new() } else { format!(" {:?}", plan.errors) };
                    let _ = writeln!(text, "{} {} {}{errors}", plan.name, plan.strategy, plan.status);
                    for phase in &plan.phases {
                        let _ = writeln!(text, "  {} {} {}", phase.name, phase.strategy, phase.status);
                        for step in &phase.steps {
                            let _ = writeln!(text, "    {} {}", step.name, step.status);
                        }
                    }
                }
            }
            "tree" => {
                for path in self.stored.keys() {
                    let _ = writeln!(text, "{path}");
                }
            }
            "reservations" => text = self.cluster.reservations().join("\n"),
            "waiting" => {
                let Some(engine) = &mut self.engine else { return self.fail("the process is not running") };
                text = engine.view().waiting.join("\n");
            }
            "why" => {
                let Some(engine) = &mut self.engine else { return self.fail("the process is not running") };
                let explained = engine.question().answer(|_| true);
                text = explained.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            }
            "tasks" => {
                for task in check::reload(&self.stored).tasks.values() {
                    let id = task.task_id.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
                    let state = task.state().map_or("-", State::as_str);
                    let mark = if task.is_permanently_failed { " permanently-failed" } else { "" };
                    let config = task.config_id.as_ref().map(ToString::to_string).unwrap_or_default();
                    let _ = writeln!(text, "{} {id} {state} on {} config {config}{mark}", task.name, task.agent_id);
                }
            }
            path => match self.stored.get(path) {
                Some(data) => text = String::from_utf8_lossy(data).into_owned(),
                None => text.push_str("is not there"),
            },
        }
        if text.is_empty() {
            text.push_str("nothing");
        }
        self.say(text);
    }
}

fn agent_of(operations: &[v1::offer::Operation]) -> Option<String> {
    let groups = operations.iter().flat_map(|one| &one.launch_group).flat_map(|group| &group.task_group.tasks);
    let launches = operations.iter().flat_map(|one| &one.launch).flat_map(|launch| &launch.task_infos);
    groups.chain(launches).map(|task| task.agent_id.value.clone()).next()
}

/// What is worth a line; what the calls and commits show is not.
/// Declines without what each agent adds to their time, so that those for one reason are one.
fn join_declines(calls: Vec<Call>) -> Vec<Call> {
    let spans = [1, 5, 10, 20, 40, 60, 300, 3600].map(Millis::from_secs);
    let mut joined: Vec<Call> = Vec::new();
    for call in calls {
        let Call::Decline { offers, refuse } = call else {
            joined.push(call);
            continue;
        };
        let refuse = spans.into_iter().rev().find(|span| *span <= refuse).unwrap_or(refuse);
        match joined.last_mut() {
            Some(Call::Decline { offers: known, refuse: same }) if *same == refuse => {
                known.extend(offers);
                known.sort_by_key(|id| (id.as_str().len(), id.clone()));
            }
            _ => joined.push(Call::Decline { offers, refuse }),
        }
    }
    joined
}

fn journal(entry: &Entry) -> Option<String> {
    Some(match entry {
        Entry::OffersReceived { .. }
        | Entry::StatusReceived { .. }
        | Entry::Declined { .. }
        | Entry::Revived
        | Entry::Suppressed
        | Entry::Subscribed { .. }
        | Entry::CommandReceived { .. }
        | Entry::Launched { .. }
        | Entry::Evaluated { passed: true, .. } => return None,
        Entry::Evaluated { report, .. } => {
            let failures = report.lines().filter(|line| line.trim_start().starts_with("FAIL")).map(str::trim);
            let headline = report.lines().next().unwrap_or_default();
            format!("{headline} {}", failures.collect::<Vec<_>>().join("; "))
        }
        Entry::OffersMalformed { agent, error, .. } => format!("cannot read an offer of {agent}: {error}"),
        Entry::StepChanged { plan, step, from, to, .. } => format!("{plan} {step}: {from} => {to}"),
        Entry::PlanBegins { plan, status, steps, complete } => {
            format!("{plan} begins {status}, {complete} of {steps} steps complete")
        }
        Entry::PlanChanged { plan, from, to } => format!("{plan}: {from} => {to}"),
        Entry::RecoveryStarted { pod, tasks, kind } => format!("recovery of {pod} {tasks:?}: {kind}"),
        Entry::TaskKilled { task_id, why } => format!("kills {task_id}: {why}"),
        Entry::UnknownTaskKilled { task_id, state } => format!("kills unknown {task_id} ({})", state.as_str()),
        Entry::StatusIgnored { task_id, state, why } => format!("passes over {task_id} {}: {why}", state.as_str()),
        Entry::WaitingForOffers { step, why } => format!("{step} {why}"),
        Entry::ConfigurationStored { config_id, is_first } => format!("configuration {config_id}, first: {is_first}"),
        Entry::ConfigurationRefused { problems } => format!("refuses the configuration: {}", problems.join("; ")),
        Entry::ConfigurationWarned { problems } => format!("warns of the configuration: {}", problems.join("; ")),
        Entry::MasterLacks { version, features } => format!("the master ({version}) lacks: {}", features.join("; ")),
        Entry::StatePartlyUnreadable { path, problem } => format!("cannot read {path}: {problem}"),
        Entry::Repaired { task, what } => format!("repairs {task}: {what}"),
        Entry::OrphansReleased { agent_id, destroyed, unreserved } => {
            format!("releases on {agent_id}: {destroyed} volumes, {} reservations", unreserved.len())
        }
        Entry::ReservationDropped { pod, resources, why } => {
            format!("gives up {} reservations of {pod}: {why}", resources.len())
        }
        other => format!("{other:?}"),
    })
}
