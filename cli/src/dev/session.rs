//! One run: start the cluster, start the scheduler, show what happens, stop both.
//!
//! Invariant: the scheduler is stopped before the cluster, so that it never takes the end of the cluster for lost tasks.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use mainstay_scheduler::engine::state::Task;
use mainstay_scheduler::engine::task::status::State;
use mainstay_scheduler::engine::view::View;
use mainstay_scheduler::run::Exit;
use mainstay_scheduler::spec::Goal;
use mainstay_scheduler::{CancellationToken, Running, Scheduler, Vars};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::folder::Folder;
use super::happening::{Happening, teller};
use super::line::Line;
use super::show::Show;
use super::{End, Prepared};
use crate::client::DEFAULT_PORT;

/// How often reasons to wait are looked at and the picture is drawn.
const MOMENT: Duration = Duration::from_millis(100);
/// How long a service must be healthy before that is said; the second one after a task has failed, for it may fail again at once.
const HEALTHY_FOR: Duration = Duration::from_millis(150);
const HEALTHY_AFTER_FAILURE_FOR: Duration = Duration::from_secs(3);
/// Exit code after a second Ctrl-C, as a shell has it for a process that it ended.
const EXIT_FORCED: u8 = 130;

/// Variables that `dev` itself decides; a value in a file would point elsewhere.
const OWN: [&str; 4] = ["MESOS_MASTER", "STATE_STORE", "SCHEDULER_API_HOSTNAME", "PORT_API"];

/// What the user asks a process for.
struct Signals(Signal, Signal, Signal);

impl Signals {
    fn new() -> Result<Self, End> {
        let watch = |kind| signal(kind).map_err(|error| End::error(format!("cannot watch signals: {error}")));
        Ok(Self(watch(SignalKind::interrupt())?, watch(SignalKind::terminate())?, watch(SignalKind::hangup())?))
    }

    /// The next wish to end. Cancel-safe.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
            _ = self.2.recv() => {}
        }
    }
}

/// Why the main part of a run is over.
enum Over {
    /// The user wants it.
    Asked,
    /// The scheduler ended by itself.
    Ended(Exit),
    /// `--until-complete`: the service is healthy.
    Complete,
    /// `--until-complete`: it will not be, or not in time.
    Incomplete(Vec<String>),
}

/// How the service is.
enum Health {
    /// On its way.
    Working,
    /// Deployed, nothing to be recovered, this many tasks run.
    Healthy(usize),
    /// The deploy plan has these errors.
    Broken(Vec<String>),
}

/// Runs; gives the exit code.
pub(super) async fn run(mut prepared: Prepared, out: &mut dyn Write) -> Result<u8, End> {
    let mut signals = Signals::new()?;
    let mut show = Show::new(out);
    head(&prepared, &mut show)?;
    let options = mainstay_devcluster::Options::new(prepared.folder.cluster(), prepared.agents);
    let cluster = mainstay_devcluster::start(options).await.map_err(|error| {
        End::error(format!("cannot start the cluster: {}", mainstay_scheduler::telemetry::chain(&error)))
    })?;

    let stop = CancellationToken::new();
    let (teller, happenings) = teller();
    let scheduler = start(&mut prepared, &cluster.master_url(), stop.clone());
    let scheduler = scheduler.map(|builder| builder.hook(teller).start());
    let started = match scheduler {
        Ok(starting) => starting.await.map_err(|exit| End { code: exit.code.max(1), text: exit.reason }),
        Err(end) => Err(end),
    };
    let (over, is_forced) = match started {
        Ok(running) => {
            let view = running.view();
            let mut scheduler = JoinSet::new();
            scheduler.spawn(Running::run(running));
            let over = watch(&prepared, &mut scheduler, view, happenings, &mut signals, &mut show).await;
            show.end_picture();
            show.say(&Line::new("stopping the tasks; Ctrl-C again kills them"));
            let ending = async {
                stop.cancel();
                while scheduler.join_next().await.is_some() {}
                cluster.shutdown().await;
            };
            // Dropped on a second signal, and the cluster with it, which kills what it has.
            let is_forced = tokio::select! {
                () = ending => false,
                () = signals.next() => true,
            };
            (Ok(over), is_forced)
        }
        Err(end) => {
            cluster.shutdown().await;
            (Err(end), false)
        }
    };
    let over = over?;
    if is_forced {
        show.say(&Line::new("killed"));
        return Ok(EXIT_FORCED);
    }
    let again = format!("stopped; the same command goes on with what is in {}", prepared.folder.shown());
    match over {
        Over::Asked | Over::Complete => {
            show.say(&Line::new(again));
            Ok(0)
        }
        Over::Incomplete(reasons) => Err(End::error(reasons.join("\n  "))),
        Over::Ended(exit) => {
            let text = format!("the scheduler ended: {}\nsee {}/scheduler.log", exit.reason, prepared.folder.shown());
            Err(End { code: exit.code.max(1), ..End::error(text) })
        }
    }
}

fn start(
    prepared: &mut Prepared,
    master_url: &str,
    stop: CancellationToken,
) -> Result<mainstay_scheduler::Builder, End> {
    let cannot = |what: &str, error: std::io::Error| End::error(format!("cannot {what}: {error}"));
    let listener = prepared.listener.try_clone().map_err(|error| cannot("use the API's socket", error))?;
    listener.set_nonblocking(true).map_err(|error| cannot("use the API's socket", error))?;
    let listener =
        tokio::net::TcpListener::from_std(listener).map_err(|error| cannot("use the API's socket", error))?;
    // This program is the executor too: main looks at how it is called.
    let executor = std::env::current_exe().map_err(|error| cannot("find this program", error))?;
    let mut vars: Vars = std::mem::take(&mut prepared.vars);
    for name in OWN {
        vars.remove(name);
    }
    vars.insert("MESOS_MASTER".to_owned(), master_url.to_owned());
    vars.insert("STATE_STORE".to_owned(), format!("file:{}", prepared.folder.state().display()));
    vars.insert("SCHEDULER_API_HOSTNAME".to_owned(), "127.0.0.1".to_owned());
    let builder = Scheduler::builder(prepared.spec.clone()).env(vars).listener(listener).executor(executor).stop(stop);
    Ok(builder)
}

/// What is where, and what to try.
fn head(prepared: &Prepared, show: &mut Show<'_>) -> Result<(), End> {
    let address =
        prepared.listener.local_addr().map_err(|error| End::error(format!("cannot use the API's socket: {error}")))?;
    let folder = prepared.folder.shown();
    let program = std::env::args().next().unwrap_or_else(|| "mainstay".to_owned());
    let url = if address.port() == DEFAULT_PORT { String::new() } else { format!(" --url http://{address}") };
    let agents = if prepared.agents == 1 { "1 agent".to_owned() } else { format!("{} agents", prepared.agents) };
    show.say(
        &Line::default().bold(prepared.spec.name.as_str()).plain(format!(
            " from {}, on a Mesos cluster of {agents} inside this process",
            prepared.spec_file.display()
        )),
    );
    let state = if prepared.folder.is_new() {
        format!("{folder} (new)")
    } else {
        format!("{folder} (goes on where the last run ended; remove the folder to begin anew)")
    };
    let entry = |name: &str, text: &str| Line::default().dim(format!("  {name:8}")).plain(text);
    show.say(&entry("state", &state));
    show.say(&entry("output", &format!("{folder}/tasks/TASK/stdout")));
    show.say(&entry("log", &format!("{folder}/scheduler.log")));
    show.say(&entry("API", &format!("http://{address}")));
    show.say(&entry("try", &format!("{program} plan status deploy{url}")));
    show.say(&entry("", &format!("{program} pod status{url}")));
    show.say(&entry("", &format!("curl http://{address}/v1/plans/deploy")));
    for note in &prepared.notes {
        show.say(&entry("note", note));
    }
    for name in OWN.iter().filter(|name| prepared.vars.contains_key(**name)) {
        show.say(&entry("note", &format!("{name} is not used: dev decides that itself")));
    }
    show.say(&Line::default());
    Ok(())
}

/// The main part: shows what happens until something ends it.
async fn watch(
    prepared: &Prepared,
    scheduler: &mut JoinSet<Exit>,
    view: watch::Receiver<Arc<View>>,
    mut happenings: mpsc::Receiver<Happening>,
    signals: &mut Signals,
    show: &mut Show<'_>,
) -> Over {
    let folder = &prepared.folder;
    let mut moments = tokio::time::interval(MOMENT);
    let deadline = prepared.until_complete.map(|within| tokio::time::Instant::now() + within);
    let mut is_reconciled = false;
    let mut told = Told::Nothing;
    let mut healthy_since = None;
    let mut failures = Failures::new();
    loop {
        // Every branch is cancel-safe.
        tokio::select! {
            biased;
            ended = scheduler.join_next() => {
                let exit = match ended {
                    Some(Ok(exit)) => exit,
                    Some(Err(error)) => Exit::new(6, format!("the scheduler failed: {error}")),
                    None => Exit::new(6, "the scheduler did not run"),
                };
                while let Ok(happening) = happenings.try_recv() {
                    show.happened(&happening, folder);
                }
                return Over::Ended(exit);
            }
            () = signals.next() => return Over::Asked,
            Some(happening) = happenings.recv() => {
                match &happening {
                    Happening::Reconciled => is_reconciled = true,
                    Happening::Disconnected => is_reconciled = false,
                    Happening::Launched { task, sandbox: Some(sandbox), .. } => folder.link(task, sandbox),
                    Happening::Task { task, state: State::Failed, message } => {
                        let (count, last) = failures.entry(task.clone()).or_default();
                        *count += 1;
                        *last = message.clone().unwrap_or_default();
                    }
                    _ => {}
                }
                show.happened(&happening, folder);
                continue;
            }
            _ = moments.tick() => {}
        }
        let now = Arc::clone(&view.borrow());
        show.moment(&now, folder);
        let mut health = health(&now, is_reconciled);
        if let Health::Healthy(_) = health {
            let since = *healthy_since.get_or_insert_with(tokio::time::Instant::now);
            let wanted = if failures.is_empty() { HEALTHY_FOR } else { HEALTHY_AFTER_FAILURE_FOR };
            if since.elapsed() < wanted {
                health = Health::Working;
            }
        } else {
            healthy_since = None;
        }
        told = tell(told, &health, show);
        match (prepared.until_complete, health) {
            (Some(_), Health::Healthy(_)) => return Over::Complete,
            (Some(_), Health::Broken(errors)) => {
                return Over::Incomplete([vec!["the deploy plan has errors:".to_owned()], errors].concat());
            }
            _ => {}
        }
        if let Some((deadline, within)) = deadline.zip(prepared.until_complete)
            && tokio::time::Instant::now() >= deadline
        {
            return Over::Incomplete(late(&now, within, &failures, folder));
        }
    }
}

/// What was last said about the service's health.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Healthy,
    Working,
    Broken,
}

fn tell(told: Told, health: &Health, show: &mut Show<'_>) -> Told {
    match (health, told) {
        (Health::Healthy(tasks), Told::Nothing | Told::Working | Told::Broken) => {
            let tasks = if *tasks == 1 { "1 task runs".to_owned() } else { format!("{tasks} tasks run") };
            let word = if told == Told::Nothing { "healthy" } else { "healthy again" };
            show.tell(Line::default().bold(word).plain(format!(": {tasks}. Ctrl-C stops everything.")));
            Told::Healthy
        }
        (Health::Healthy(_), Told::Healthy) => Told::Healthy,
        (Health::Working, Told::Nothing) => Told::Nothing,
        (Health::Working, _) => Told::Working,
        (Health::Broken(_), Told::Broken) => Told::Broken,
        (Health::Broken(errors), _) => {
            for error in errors {
                show.tell(Line::new("deploy ").status("ERROR").plain(format!(": {error}")));
            }
            Told::Broken
        }
    }
}

fn health(view: &View, is_reconciled: bool) -> Health {
    let status = |name: &str| view.plans.iter().find(|plan| plan.name == name).map(|plan| plan.status);
    if status("deploy") == Some("ERROR") {
        let errors = view.plans.iter().filter(|plan| plan.name == "deploy").flat_map(|plan| plan.errors.clone());
        return Health::Broken(errors.collect());
    }
    let is_done = |name| status(name) == Some("COMPLETE");
    let runs = |task: &Task| task.state() == Some(State::Running);
    let is_to_run = |task: &Task| {
        let pod = view.spec.pod(&task.pod.pod_type);
        let spec = pod.and_then(|pod| pod.tasks.iter().find(|spec| spec.name == task.short_name()));
        task.task_id.is_some() && spec.is_some_and(|spec| spec.goal == Goal::Running)
    };
    let mut tasks = view.tasks.values();
    if view.is_subscribed
        && is_reconciled
        && is_done("deploy")
        && is_done("recovery")
        && tasks.all(|task| runs(task) || !is_to_run(task))
    {
        Health::Healthy(view.tasks.values().filter(|task| runs(task)).count())
    } else {
        Health::Working
    }
}

/// How often each task failed, and how last.
type Failures = BTreeMap<String, (usize, String)>;

/// Why `--until-complete` gives up.
fn late(view: &View, within: Duration, failures: &Failures, folder: &Folder) -> Vec<String> {
    let mut reasons = vec![format!("not complete after {} seconds (--timeout):", within.as_secs())];
    for plan in view.plans.iter().filter(|plan| plan.name == "deploy" || plan.name == "recovery") {
        let steps = plan.phases.iter().flat_map(|phase| &phase.steps).filter(|step| step.status != "COMPLETE");
        reasons.extend(steps.map(|step| format!("{} {} is {}", plan.name, step.name, step.status)));
    }
    reasons.extend(super::show::waiting(view).into_iter().cloned());
    reasons.extend(failures.iter().map(|(task, (count, last))| {
        let errors = folder.task(task).join("stderr");
        format!("{task} failed {count} times, last: {last}; its errors: {}", errors.display())
    }));
    reasons.push(format!("see {}/scheduler.log", folder.shown()));
    reasons
}
