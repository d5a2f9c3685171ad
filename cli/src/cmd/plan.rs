//! `mainstay plan`.

use clap::{Args, Subcommand};
use mainstay_api::Message;
use serde_json::{Map, Value};

use super::{Context, parse};
use crate::client::{Error, path, with_query};
use crate::render;

/// Plans.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Names of all plans
    List,
    /// A plan as a tree
    Status(Read),
    /// A plan as JSON
    #[command(hide = true)]
    Show(ReadOld),
    /// Start a plan, or start it again once it is complete
    Start {
        /// Plan
        plan: String,
        /// Environment for the tasks of the plan
        #[arg(short, long = "params", value_name = "NAME=VALUE", value_parser = parameter)]
        params: Vec<(String, String)>,
    },
    /// Interrupt a plan and set all its steps back
    Stop {
        /// Plan
        plan: String,
    },
    /// Hold a plan, or one of its phases; what runs already goes on
    Pause(OnPhase),
    /// Hold, answer as JSON
    #[command(hide = true)]
    Interrupt(OnPhaseOld),
    /// Let a plan or phase go on
    Resume(OnPhase),
    /// Let go on, answer as JSON
    #[command(hide = true)]
    Continue(OnPhaseOld),
    /// Do a plan, a phase or a step again
    #[command(name = "force-restart")]
    ForceRestart(Element),
    /// Do again, answer as JSON
    #[command(hide = true)]
    Restart(Element),
    /// Mark a step as done
    #[command(name = "force-complete")]
    ForceComplete(OnStep),
    /// Mark as done, answer as JSON
    #[command(hide = true)]
    Force(OnStep),
}

/// A plan to read.
#[derive(Debug, Args)]
pub(super) struct Read {
    /// Plan
    plan: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A plan to read, in the old words.
#[derive(Debug, Args)]
pub(super) struct ReadOld {
    /// Plan
    #[arg(default_value = "deploy")]
    plan: String,
    /// Accepted, and without effect
    #[arg(long)]
    json: bool,
}

/// A plan or phase.
#[derive(Debug, Args)]
pub(super) struct OnPhase {
    /// Plan
    plan: String,
    /// Phase, by name or id; all that are called so
    phase: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A plan or phase, in the old words.
#[derive(Debug, Args)]
pub(super) struct OnPhaseOld {
    /// Plan
    #[arg(default_value = "deploy")]
    plan: String,
    /// Phase, by name or id; all that are called so
    phase: Option<String>,
    /// Accepted, and without effect
    #[arg(long)]
    json: bool,
}

/// A plan, phase or step.
#[derive(Debug, Args)]
pub(super) struct Element {
    /// Plan
    plan: String,
    /// Phase, by name or id
    phase: Option<String>,
    /// Step, by name or id
    step: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A step.
#[derive(Debug, Args)]
pub(super) struct OnStep {
    /// Plan
    plan: String,
    /// Phase, by name or id
    phase: String,
    /// Step, by name or id
    step: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl From<OnStep> for Element {
    fn from(OnStep { plan, phase, step, json }: OnStep) -> Self {
        Self { plan, phase: Some(phase), step: Some(step), json }
    }
}

/// How the answer to a command is shown.
enum Shown {
    Json,
    Sentence(&'static str),
}

fn shown(is_json: bool, done: &'static str) -> Shown {
    if is_json { Shown::Json } else { Shown::Sentence(done) }
}

impl Command {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        match self {
            Self::List => context.get_json("v1/plans"),
            Self::Status(Read { plan, json }) => read(context, &plan, json),
            Self::Show(ReadOld { plan, json: _ }) => read(context, &plan, true),
            Self::Start { plan, params } => {
                // A repeated name keeps its last value.
                let params: Map<String, Value> =
                    params.into_iter().map(|(key, value)| (key, Value::from(value))).collect();
                let body = Some(Value::Object(params).to_string());
                command(context, "start", [&plan, "", ""], &[], body, &Shown::Json)
            }
            Self::Stop { plan } => command(context, "stop", [&plan, "", ""], &[], None, &Shown::Json),
            Self::Pause(OnPhase { plan, phase, json }) => {
                on_phase(context, "interrupt", &plan, phase, &shown(json, "paused"))
            }
            Self::Interrupt(OnPhaseOld { plan, phase, json: _ }) => {
                on_phase(context, "interrupt", &plan, phase, &Shown::Json)
            }
            Self::Resume(OnPhase { plan, phase, json }) => {
                on_phase(context, "continue", &plan, phase, &shown(json, "resumed"))
            }
            Self::Continue(OnPhaseOld { plan, phase, json: _ }) => {
                on_phase(context, "continue", &plan, phase, &Shown::Json)
            }
            Self::ForceRestart(element) => element.command(context, "restart", "restarted"),
            Self::Restart(element) => Element { json: true, ..element }.command(context, "restart", ""),
            Self::ForceComplete(step) => Element::from(step).command(context, "forceComplete", "forced to complete"),
            Self::Force(step) => Element { json: true, ..step.into() }.command(context, "forceComplete", ""),
        }
    }
}

fn read(context: &mut Context<'_>, plan: &str, is_json: bool) -> Result<(), Error> {
    let answer = context.client.get(&path(&["v1", "plans", plan]))?.check_plan_read()?;
    if is_json {
        return context.json(&answer);
    }
    let tree = render::plan::tree(plan, &parse(&answer)?);
    context.line(&tree)
}

fn on_phase(
    context: &mut Context<'_>,
    verb: &str,
    plan: &str,
    phase: Option<String>,
    shown: &Shown,
) -> Result<(), Error> {
    let query = [("phase", phase.as_deref())];
    command(context, verb, [plan, phase.as_deref().unwrap_or_default(), ""], &query, None, shown)
}

impl Element {
    fn command(self, context: &mut Context<'_>, verb: &str, done: &'static str) -> Result<(), Error> {
        let (phase, step) = (self.phase.as_deref(), self.step.as_deref());
        let query = [("phase", phase), ("step", step)];
        let names = [self.plan.as_str(), phase.unwrap_or_default(), step.unwrap_or_default()];
        command(context, verb, names, &query, None, &shown(self.json, done))
    }
}

/// Sends a command and shows its answer; names are plan, phase and step, empty where not given.
fn command(
    context: &mut Context<'_>,
    verb: &str,
    [plan, phase, step]: [&str; 3],
    query: &[(&str, Option<&str>)],
    body: Option<String>,
    shown: &Shown,
) -> Result<(), Error> {
    let answer = context.client.post(&with_query(path(&["v1", "plans", plan, verb]), query), body)?.check_plan()?;
    match shown {
        Shown::Json => context.json(&answer),
        Shown::Sentence(done) => {
            let given = |name| Some(name).filter(|name: &&str| !name.is_empty());
            let is_done =
                serde_json::from_slice::<Message>(&answer.body).is_ok_and(|message| !message.message.is_empty());
            context.line(&render::plan::sentence(plan, given(phase), given(step), done, is_done))
        }
    }
}

/// `NAME=VALUE`, split at the first `=`.
fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be of the form NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
