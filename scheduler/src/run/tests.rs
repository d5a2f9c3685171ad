//! The loop around a core that does as it is told: what matters here is what happens when, and what does not happen.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Mutex;

use mainstay_engine::command::{Command, PodVerb, Reply};
use mainstay_engine::effect::Call;
use mainstay_engine::event::Master;
use mainstay_engine::ids::{AgentId, FrameworkId, OfferId};
use mainstay_engine::units::Millis;
use mainstay_spec::ServiceSpec;

use super::*;
use crate::control::{Busy, CommandHandle};
use crate::mesos::calls::Item;
use crate::store::{Fault, Memory};

/// What a test wants of one step.
type Script = Box<dyn FnMut(&Event, Timestamp) -> Effects + Send>;

struct Scripted {
    script: Script,
    steps: Arc<Mutex<Vec<String>>>,
}

impl Core for Scripted {
    fn step(&mut self, event: Event, now: Timestamp) -> Effects {
        self.steps.lock().unwrap().push(name(&event));
        (self.script)(&event, now)
    }

    fn view(&mut self) -> Arc<View> {
        let steps = self.steps.lock().unwrap().clone();
        Arc::new(View { waiting: Arc::new(steps), ..view() })
    }
}

fn name(event: &Event) -> String {
    match event {
        Event::Subscribed { .. } => "subscribed".into(),
        Event::Rescinded(id) => format!("rescinded {id}"),
        Event::Offers(offers) => format!("offers {}", offers.len()),
        Event::Command { .. } => "command".into(),
        Event::Tick => "tick".into(),
        Event::Disconnected => "disconnected".into(),
        other => format!("{other:?}"),
    }
}

fn view() -> View {
    View {
        spec: Arc::new(ServiceSpec {
            name: "svc".into(),
            web_url: None,
            principal: "p".into(),
            user: "root".into(),
            zookeeper: "z".into(),
            declared_role: None,
            pods: Vec::new(),
            plans: Vec::new(),
            ..ServiceSpec::default()
        }),
        framework_id: None,
        is_subscribed: false,
        plans: Vec::new(),
        tasks: Arc::default(),
        target: None,
        configurations: Arc::default(),
        parsed_configurations: Arc::new(BTreeMap::new()),
        properties: Arc::default(),
        outcomes: Arc::default(),
        waiting: Arc::default(),
    }
}

struct Bench {
    memory: Memory,
    messages: mpsc::Sender<Message>,
    commands: CommandHandle,
    calls: mpsc::Receiver<Item>,
    view: watch::Receiver<Arc<View>>,
    steps: Arc<Mutex<Vec<String>>>,
    told: Arc<Mutex<Vec<String>>>,
    stop: CancellationToken,
    main: Option<Loop<Scripted>>,
    tasks: JoinSet<()>,
}

struct Told(Arc<Mutex<Vec<String>>>);

impl Hook for Told {
    fn on_event(&mut self, entry: &Entry, view: &View) {
        self.0.lock().unwrap().push(format!("{entry:?} after {} steps", view.waiting.len()));
    }
}

impl Bench {
    /// Under the subscription of number 1.
    async fn new(script: impl FnMut(&Event, Timestamp) -> Effects + Send + 'static) -> Self {
        let memory = Memory::new();
        let (store, _) = Store::memory(&memory, "svc").await.unwrap();
        let (messages, received) = mpsc::channel(1000);
        let (commands, requests) = crate::control::channel();
        let (handle, calls) = Handle::for_test(1);
        let (publish, view) = watch::channel(Arc::new(view()));
        let (steps, told) = (Arc::default(), Arc::default());
        let main = Loop {
            core: Scripted { script: Box::new(script), steps: Arc::clone(&steps) },
            store,
            calls: handle,
            messages: received,
            commands: requests,
            view: publish,
            hooks: vec![Box::new(Told(Arc::clone(&told)))],
            clock: Clock::start(),
            wake_at: None,
        };
        let bench = Self {
            memory,
            messages,
            commands,
            calls,
            view,
            steps,
            told,
            stop: CancellationToken::new(),
            main: Some(main),
            tasks: JoinSet::new(),
        };
        bench.event(1, subscribed());
        bench
    }

    fn event(&self, epoch: u64, event: Event) {
        self.messages.try_send(Message::Event { epoch, event }).unwrap();
    }

    async fn run(&mut self) -> Exit {
        let (exit, store) = self.main.take().unwrap().run(&mut self.tasks, &self.stop).await;
        store.close().await;
        exit
    }

    /// Runs until the loop has nothing left to do, then stops it.
    async fn settle(&mut self) -> Exit {
        let stop = self.stop.clone();
        // With the clock stopped, time passes only when nobody has anything to do.
        let end = async move {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            stop.cancel();
        };
        tokio::join!(self.run(), end).0
    }

    fn sent(&mut self) -> Vec<(u64, Call)> {
        let mut sent = Vec::new();
        while let Ok(item) = self.calls.try_recv() {
            match item {
                Item::Call { epoch, call } => sent.push((epoch, call)),
                // Who asked may have stopped waiting.
                Item::Flush(done) => drop(done.send(())),
            }
        }
        sent
    }

    fn steps(&self) -> Vec<String> {
        self.steps.lock().unwrap().clone()
    }
}

fn subscribed() -> Event {
    Event::Subscribed { framework_id: FrameworkId::parse("f").unwrap(), master: Master::default() }
}

fn rescinded(id: &str) -> Event {
    Event::Rescinded(OfferId::parse(id).unwrap())
}

/// Stores the event's name and sends one call that names it.
fn note(event: &Event) -> Effects {
    let mut effects = Effects::default();
    if let Event::Rescinded(id) = event {
        effects.commit.put(format!("Properties/{id}"), "x");
        effects.send.push(Call::Decline { offers: vec![id.clone()], refuse: Millis(0) });
        effects.journal.push(Entry::Revived);
    }
    if let Event::Command { caller, .. } = event {
        effects.commit.put("Properties/command", "x");
        effects.replies.push(Reply { caller: *caller, answer: Answer::Received });
    }
    effects
}

fn decline(id: &str) -> Call {
    Call::Decline { offers: vec![OfferId::parse(id).unwrap()], refuse: Millis(0) }
}

fn restart() -> Command {
    Command::Pod { pod: "hello-0".into(), verb: PodVerb::Restart }
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_one_commit_and_keeps_its_order() {
    let mut bench = Bench::new(|event, _| note(event)).await;
    let before = bench.memory.commits();
    for id in ["a", "b", "c"] {
        bench.event(1, rescinded(id));
    }
    let exit = bench.settle().await;
    assert_eq!(exit, Exit::stopped());
    assert_eq!(bench.memory.commits() - before, 1);
    assert_eq!(bench.sent(), ["a", "b", "c"].map(|id| (1, decline(id))));
    assert_eq!(bench.steps(), ["subscribed", "rescinded a", "rescinded b", "rescinded c"]);
    assert_eq!(bench.view.borrow().waiting.len(), 4);
    assert_eq!(*bench.told.lock().unwrap(), vec!["Revived after 4 steps"; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_cut_into_batches() {
    let mut bench = Bench::new(|event, _| note(event)).await;
    let before = bench.memory.commits();
    for number in 0..2 * BATCH {
        bench.event(1, rescinded(&number.to_string()));
    }
    bench.settle().await;
    assert_eq!(bench.memory.commits() - before, 3, "the subscription and {} events", 2 * BATCH);
    assert_eq!(bench.sent().len(), 2 * BATCH);
}

#[tokio::test(start_paused = true)]
async fn a_failed_commit_sends_publishes_and_answers_nothing() {
    for (fault, is_stored) in [(Fault::BeforeApply, false), (Fault::AfterApply, true)] {
        let mut bench = Bench::new(|event, _| note(event)).await;
        bench.memory.fail_commit(bench.memory.commits() + 1, fault);
        bench.event(1, rescinded("a"));
        let commands = bench.commands.clone();
        let asked = commands.send(restart());
        let (exit, answer) = tokio::join!(bench.run(), asked);
        assert_eq!(exit.code, 8, "{}", exit.reason);
        assert_eq!(answer, Err(Busy::Stopping));
        assert_eq!(bench.sent(), []);
        assert!(bench.view.borrow().waiting.is_empty() && bench.told.lock().unwrap().is_empty());
        assert_eq!(bench.memory.tree().contains_key("Properties/a"), is_stored);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_given_after_the_commit_and_the_view() {
    let mut bench = Bench::new(|event, _| note(event)).await;
    let (commands, stop, memory) = (bench.commands.clone(), bench.stop.clone(), bench.memory.clone());
    let view = bench.view.clone();
    let asked = async {
        let answer = commands.send(restart()).await;
        let seen = (memory.tree().contains_key("Properties/command"), view.borrow().waiting.last().cloned());
        stop.cancel();
        (answer, seen)
    };
    let (exit, (answer, seen)) = tokio::join!(bench.run(), asked);
    assert_eq!((exit.code, answer), (0, Ok(Answer::Received)));
    assert_eq!(seen, (true, Some("command".into())));
}

#[tokio::test(start_paused = true)]
async fn a_lost_lock_ends_the_process_with_8_and_takes_nothing_more() {
    let mut bench = Bench::new(|event, _| note(event)).await;
    bench.memory.expire();
    bench.event(1, rescinded("a"));
    let exit = bench.run().await;
    assert_eq!(exit.code, 8);
    assert_eq!((bench.steps(), bench.sent()), (Vec::new(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_or_sent_while_the_store_is_away() {
    let mut bench = Bench::new(|event, _| note(event)).await;
    let memory = bench.memory.clone();
    memory.set_connected(false);
    bench.event(1, rescinded("a"));
    let steps = Arc::clone(&bench.steps);
    let stop = bench.stop.clone();
    let script = async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let while_away = steps.lock().unwrap().len();
        memory.set_connected(true);
        tokio::time::sleep(Duration::from_secs(60)).await;
        stop.cancel();
        while_away
    };
    let (exit, while_away) = tokio::join!(bench.run(), script);
    assert_eq!((exit.code, while_away), (0, 0));
    assert_eq!(bench.sent(), [(1, decline("a"))]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_goes_away_between_step_and_send_holds_the_calls_back() {
    let shared = Arc::new(Mutex::new(None::<Memory>));
    let from_step = Arc::clone(&shared);
    let mut bench = Bench::new(move |event, _| {
        let mut effects = note(event);
        if matches!(event, Event::Rescinded(_)) {
            effects.commit.writes.clear();
            from_step.lock().unwrap().as_ref().unwrap().set_connected(false);
        }
        effects
    })
    .await;
    *shared.lock().unwrap() = Some(bench.memory.clone());
    bench.event(1, rescinded("a"));
    let memory = bench.memory.clone();
    let lose = async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        memory.expire();
    };
    let (exit, ()) = tokio::join!(bench.run(), lose);
    assert_eq!(exit.code, 8);
    assert_eq!(bench.sent(), []);
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_an_ended_subscription_is_void() {
    let mut bench = Bench::new(|event, _| note(event)).await;
    // Subscription 1 has ended, 2 stands; the messages of 1 are still queued.
    bench.main.as_mut().unwrap().calls = {
        let (handle, calls) = Handle::for_test(2);
        bench.calls = calls;
        handle
    };
    bench.event(1, Event::Offers(Vec::new()));
    bench.event(1, rescinded("a"));
    bench.event(1, Event::Disconnected);
    bench.event(2, subscribed());
    bench.event(2, Event::Offers(Vec::new()));
    bench.event(2, rescinded("b"));
    bench.event(1, Event::MalformedOffers(Vec::new()));
    bench.settle().await;
    assert_eq!(
        bench.steps(),
        ["subscribed", "rescinded a", "disconnected", "subscribed", "offers 0", "rescinded b"],
        "the offers of 1 are not among them"
    );
    // The call of 1 still says so, and is dropped where calls are sent.
    assert_eq!(bench.sent(), [(1, decline("a")), (2, decline("b"))]);
}

#[tokio::test(start_paused = true)]
async fn an_offer_rescinded_before_it_is_looked_at_is_not_looked_at() {
    let mut bench = Bench::new(|event, _| note(event)).await;
    let offer = |id: &str| mainstay_engine::offer::Offer {
        id: OfferId::parse(id).unwrap(),
        agent_id: AgentId::parse("a").unwrap(),
        hostname: "h".into(),
        region: None,
        zone: None,
        attributes: Vec::new(),
        resources: Vec::new(),
        executor_ids: Vec::new(),
        allocation_role: None,
    };
    bench.event(1, Event::Offers(vec![offer("void"), offer("good")]));
    bench.event(1, rescinded("void"));
    bench.event(1, Event::Offers(vec![offer("later")]));
    bench.settle().await;
    assert_eq!(bench.steps(), ["subscribed", "offers 1", "rescinded void", "offers 1"]);
}

#[tokio::test(start_paused = true)]
async fn the_timer_goes_off_at_its_moment_and_only_the_last_one_counts() {
    let ticks = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ticks);
    let mut bench = Bench::new(move |event, now| {
        let mut effects = Effects::default();
        match event {
            Event::Subscribed { .. } => effects.wake_at = Some(now.plus(Millis(1000))),
            Event::Rescinded(_) => effects.wake_at = Some(now.plus(Millis(5000))),
            Event::Tick => seen.lock().unwrap().push(now),
            _ => {}
        }
        effects
    })
    .await;
    let start = bench.main.as_ref().unwrap().clock.now();
    bench.event(1, rescinded("a"));
    bench.settle().await;
    let ticks = ticks.lock().unwrap().clone();
    assert_eq!(ticks.len(), 1);
    let after = ticks[0].since(start).0;
    assert!((5000..5010).contains(&after), "{after}");
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_is_due_is_not_held_back_by_a_flood() {
    let mut bench = Bench::new(|event, now| {
        let mut effects = Effects::default();
        if !matches!(event, Event::Tick) {
            effects.wake_at = Some(now);
        }
        effects
    })
    .await;
    for number in 0..2 * BATCH {
        bench.event(1, rescinded(&number.to_string()));
    }
    bench.settle().await;
    let steps = bench.steps();
    assert_eq!(
        steps.iter().position(|step| step == "tick"),
        Some(2 * BATCH),
        "in the second batch, not after all of them"
    );
}

#[tokio::test(start_paused = true)]
async fn the_engines_wish_to_end_is_carried_out_after_everything_else() {
    let mut bench = Bench::new(|event, _| {
        let mut effects = note(event);
        if matches!(event, Event::Rescinded(_)) {
            effects.exit = Some((2, "cannot store the framework id".into()));
        }
        effects
    })
    .await;
    bench.event(1, rescinded("a"));
    let exit = bench.run().await;
    assert_eq!(exit, Exit::new(2, "cannot store the framework id"));
    assert_eq!(bench.sent(), [(1, decline("a"))]);
    assert!(bench.memory.tree().contains_key("Properties/a"));
}

#[tokio::test(start_paused = true)]
async fn the_masters_last_words_end_the_process() {
    let mut bench = Bench::new(|event, _| note(event)).await;
    bench.messages.try_send(Message::Fatal { code: 6, reason: "removed".into() }).unwrap();
    assert_eq!(bench.run().await, Exit::new(6, "removed"));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_ends_or_panics_ends_the_process() {
    let mut bench = Bench::new(|event, _| note(event)).await;
    bench.tasks.spawn(async {});
    let exit = bench.run().await;
    assert_eq!((exit.code, exit.reason.as_str()), (6, "a part of the scheduler ended unexpectedly"));

    let mut bench = Bench::new(|event, _| note(event)).await;
    bench.tasks.spawn(async { panic!("a bug") });
    let exit = bench.run().await;
    assert!(exit.code == 6 && exit.reason.contains("panic"), "{}", exit.reason);
}
