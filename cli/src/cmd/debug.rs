//! `mainstay debug`.

use clap::{Args, Subcommand};
use mainstay_api::debug::Offers;

use super::{Context, config, parse, state};
use crate::client::{Error, path, with_query};
use crate::render;

/// Why nothing happens, and what the SDK's command line keeps here.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Recent evaluations of offers, and what failed in them
    Offers {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Plans with the state of the scheduler
    Plans(Filter),
    /// Tasks of every step with their last state
    #[command(name = "task-statuses")]
    TaskStatuses(Filter),
    /// Ids of all reservations by agent
    Reservations,
    /// Stored configurations
    #[command(subcommand, visible_alias = "configs")]
    Config(config::Command),
    /// Stored state
    #[command(subcommand)]
    State(state::Command),
    /// Pause and resume pods
    #[command(subcommand, visible_alias = "pods")]
    Pod(PodCommand),
}

/// Selects plans, phases and steps by name.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only this plan
    plan: Option<String>,
    /// Only this phase
    phase: Option<String>,
    /// Only this step
    step: Option<String>,
}

/// Pods under debugging.
#[derive(Debug, Subcommand)]
pub(super) enum PodCommand {
    /// Keep the tasks of a pod from running, with their places kept
    Pause(Tasks),
    /// Let them run again
    Resume(Tasks),
}

/// Tasks of a pod instance.
#[derive(Debug, Args)]
pub(super) struct Tasks {
    /// Pod instance, such as hello-0
    pod: String,
    /// Only these tasks
    #[arg(short, long = "tasks", value_name = "TASK")]
    tasks: Vec<String>,
}

impl Command {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        match self {
            Self::Offers { json: true } => context.get_json("v2/debug/offers"),
            Self::Offers { json: false } => {
                let answer = context.client.get("v2/debug/offers")?.check()?;
                let offers: Offers = parse(&answer)?;
                context.line(&render::offers::text(&offers))
            }
            Self::Plans(filter) => context.get_json(&filter.on("v1/debug/plans")),
            Self::TaskStatuses(filter) => context.get_json(&filter.on("v1/debug/taskStatuses")),
            Self::Reservations => context.get_json("v1/debug/reservations"),
            Self::Config(command) => command.run(context),
            Self::State(command) => command.run(context),
            Self::Pod(PodCommand::Pause(tasks)) => tasks.post(context, "pause"),
            Self::Pod(PodCommand::Resume(tasks)) => tasks.post(context, "resume"),
        }
    }
}

impl Filter {
    fn on(&self, path: &str) -> String {
        let parameters = [("plan", &self.plan), ("phase", &self.phase), ("step", &self.step)];
        with_query(path.to_owned(), &parameters.map(|(name, value)| (name, value.as_deref())))
    }
}

impl Tasks {
    fn post(self, context: &mut Context<'_>, verb: &str) -> Result<(), Error> {
        let body = (!self.tasks.is_empty()).then(|| serde_json::json!(self.tasks).to_string());
        let answer = context.client.post(&path(&["v1", "pod", &self.pod, verb]), body)?.check()?;
        context.json(&answer)
    }
}
