//! What happened, as far as it is shown: from the scheduler's journal to a bounded queue.
//!
//! Not how it is shown (`plain.rs`, `screen.rs`).

use std::path::PathBuf;

use mainstay_scheduler::Hook;
use mainstay_scheduler::engine::ids::TaskName;
use mainstay_scheduler::engine::journal::Entry;
use mainstay_scheduler::engine::task::status::State;
use mainstay_scheduler::engine::view::View;
use tokio::sync::mpsc;

/// Happenings that wait to be shown. A slow terminal loses what is beyond that; the log has everything.
const QUEUED: usize = 4096;

/// Something worth a line.
#[derive(Debug)]
pub(crate) enum Happening {
    /// The master took us in.
    Subscribed { is_new: bool },
    /// The master is gone.
    Disconnected,
    /// All tasks of an earlier run are accounted for.
    Reconciled,
    /// A step has another status.
    Step { plan: String, phase: String, step: String, to: &'static str },
    /// A plan has another status.
    Plan { plan: String, to: &'static str },
    /// A task was sent to an agent; its folder is relative to the cluster's.
    Launched { task: String, hostname: String, sandbox: Option<PathBuf> },
    /// A task has another state.
    Task { task: String, state: State, message: Option<String> },
    /// A pod is brought back.
    Recovery { pod: String, kind: &'static str },
    /// The new specification cannot replace the stored one.
    Refused { problems: Vec<String> },
    /// Somebody asked for something.
    Command { text: String, answer: &'static str },
}

/// A hook that queues what is shown.
pub(crate) struct Teller(mpsc::Sender<Happening>);

/// A teller and what it tells.
pub(crate) fn teller() -> (Teller, mpsc::Receiver<Happening>) {
    let (sender, receiver) = mpsc::channel(QUEUED);
    (Teller(sender), receiver)
}

impl Hook for Teller {
    fn on_event(&mut self, entry: &Entry, view: &View) {
        if let Some(happening) = read(entry, view)
            && self.0.try_send(happening).is_err()
        {
            tracing::debug!("a happening is not shown: too many at once");
        }
    }
}

fn read(entry: &Entry, view: &View) -> Option<Happening> {
    Some(match entry {
        Entry::Subscribed { is_new, .. } => Happening::Subscribed { is_new: *is_new },
        Entry::Disconnected => Happening::Disconnected,
        // Nothing to ask about is nothing to wait for.
        Entry::ReconciliationStarted { tasks: 0 } | Entry::ReconciliationFinished { unanswered: 0 } => {
            Happening::Reconciled
        }
        Entry::StepChanged { plan, phase, step, to, .. } => {
            Happening::Step { plan: plan.clone(), phase: phase.clone(), step: step.clone(), to }
        }
        Entry::PlanChanged { plan, to, .. } => Happening::Plan { plan: plan.clone(), to },
        Entry::Launched { task, hostname, .. } => {
            Happening::Launched { task: task.to_string(), hostname: hostname.clone(), sandbox: sandbox(task, view) }
        }
        Entry::StatusReceived { task_id, state, message, .. } => {
            let task = task_id.task_name().map_or_else(|| task_id.to_string(), |name| name.to_string());
            Happening::Task { task, state: *state, message: message.clone().filter(|text| !text.trim().is_empty()) }
        }
        Entry::RecoveryStarted { pod, kind, .. } => Happening::Recovery { pod: pod.to_string(), kind },
        Entry::ConfigurationRefused { problems } => Happening::Refused { problems: problems.clone() },
        Entry::CommandReceived { text, answer } => Happening::Command { text: text.clone(), answer },
        _ => return None,
    })
}

/// The folder of a task's current launch, relative to the cluster's.
fn sandbox(task: &TaskName, view: &View) -> Option<PathBuf> {
    let task = view.tasks.get(task)?;
    let runs = [
        task.hostname.as_deref()?,
        "slaves",
        task.agent_id.as_str(),
        "frameworks",
        view.framework_id.as_ref()?.as_str(),
        "executors",
        task.executor.as_ref()?.id.as_str(),
        "runs",
        "latest",
        "tasks",
        task.task_id.as_ref()?.as_str(),
    ];
    Some(runs.iter().collect())
}
