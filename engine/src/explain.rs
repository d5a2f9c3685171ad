//! Why each unfinished step is not placed now, as data.
//!
//! A [`Question`] is a cheap snapshot made by the engine; answering it evaluates the last offer of every agent again, away from the
//! engine's thread, so that nobody pays for an explanation that nobody reads. The same answer serves recorded offers.
//! Not the log of evaluations as they happened (`view::Outcomes`).
//!
//! Invariant: a change that is reported was tried: with it applied, every stage passes (`explain/change.rs`).
//! Next: `explain/seen.rs` (offers kept), `explain/search.rs` (offers to groups), `explain/obstacle.rs`, `explain/change.rs`.

pub mod change;
pub mod measure;
pub mod obstacle;
pub mod search;
pub mod seen;
#[cfg(test)]
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use change::Change;
pub use obstacle::{Found, Obstacle};
pub use search::{Closest, Group, Search};
pub use seen::Seen;

use crate::config::Config;
use crate::engine::wanted::Wanted;
use crate::ids::{FrameworkId, PodInstance, TaskId, TaskName};
use crate::offer::Offer;
use crate::offer::placement::Rule;
use crate::state::Task;
use crate::units::Timestamp;

/// Everything an explanation is made from, as it was at one moment.
#[derive(Debug, Clone)]
pub struct Question {
    pub(crate) config: Config,
    pub(crate) framework_id: Option<FrameworkId>,
    /// Region of the master.
    pub(crate) region: Option<String>,
    pub(crate) tasks: Arc<BTreeMap<TaskName, Arc<Task>>>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) steps: Vec<Asked>,
    /// Plans in error, each with why: an update that was refused leaves a plan of which every step is done.
    pub(crate) refused: Vec<(String, Vec<String>)>,
    /// Agents that fit, named at most.
    pub(crate) named: usize,
}

/// Answers given so far, so that steps which want the same are searched for once.
///
/// Invariant: it serves questions about the same offers and tasks; whoever keeps it knows that nothing has changed.
#[derive(Default)]
pub struct Answers(search::Known);

/// One unfinished step.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) plan: String,
    pub(crate) phase: String,
    pub(crate) step: String,
    pub(crate) pod: PodInstance,
    pub(crate) standing: Standing,
    pub(crate) last_failure: String,
}

/// Where a step stands, before offers are looked at.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    /// It is known without looking at offers.
    Known(Waiting),
    /// It wants an offer.
    Wants {
        /// What it wants.
        wanted: Box<Wanted>,
        /// The rule of its pod in the specification in force.
        rule: Option<Rule>,
    },
}

/// Why one step is not done, or a plan as a whole: then phase and step are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Plan.
    pub plan: String,
    /// Phase.
    pub phase: String,
    /// Step, `<pod>-<index>:[<task>, …]`.
    pub step: String,
    /// Pod instance; `None` for a plan as a whole.
    pub pod: Option<PodInstance>,
    /// What it waits for.
    pub waiting: Waiting,
    /// What became of the last launch, when that has failed since its tasks were well; empty otherwise, and when nobody said.
    pub last_failure: String,
}

/// What an unfinished step waits for. Closed: a new reason to wait is a new variant here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// The subscription is not up.
    NotSubscribed,
    /// Mesos is asked what runs; nothing is launched before it has answered.
    Reconciling {
        /// Tasks not answered yet.
        unanswered: usize,
    },
    /// An earlier phase or step of its plan.
    Earlier {
        /// Its name.
        name: String,
    },
    /// An operator: the plan, the phase or a canary gate is held.
    Held {
        /// What is to be continued: `plan deploy` or `phase hello of plan deploy`.
        what: String,
    },
    /// A backoff after failures.
    Delayed {
        /// When it goes on.
        until: Timestamp,
    },
    /// Another plan works on the same pod.
    OtherPlan,
    /// A task that has to end first.
    Ending {
        /// The launch.
        task: TaskId,
    },
    /// Its tasks were launched and are not running, ready or finished yet.
    Launched {
        /// Full task name and last state.
        tasks: Vec<(TaskName, &'static str)>,
    },
    /// It cannot be carried out.
    Error {
        /// Why.
        errors: Vec<String>,
    },
    /// An offer that fits.
    Offer(Box<Search>),
}

impl Question {
    /// Pod instances of the steps asked about.
    pub fn pods(&self) -> impl Iterator<Item = &PodInstance> {
        self.steps.iter().map(|asked| &asked.pod)
    }

    /// The offers it is answered from, by agent, each with when it came.
    pub fn offers(&self) -> impl Iterator<Item = (Timestamp, &Offer)> {
        self.seen.iter()
    }

    /// Our id at the master, once known.
    pub fn framework_id(&self) -> Option<&FrameworkId> {
        self.framework_id.as_ref()
    }

    /// Region of the master, where it has one.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The same question with offers of further agents.
    #[must_use]
    pub fn with_offers<'o>(mut self, offers: impl IntoIterator<Item = &'o Arc<Offer>>, now: Timestamp) -> Self {
        let seen = Arc::make_mut(&mut self.seen);
        for offer in offers {
            seen.share(offer, now);
        }
        self
    }

    /// The same question, answered with the names of so many agents that fit.
    #[must_use]
    pub const fn naming(mut self, named: usize) -> Self {
        self.named = named;
        self
    }

    /// Explains plans that cannot be carried out as a whole, then the unfinished steps of the pods for which `is_wanted` holds, in the order of
    /// the plans.
    pub fn answer(&self, is_wanted: impl Fn(&PodInstance) -> bool) -> Vec<Explanation> {
        self.answer_beside(&mut Answers::default(), is_wanted)
    }

    /// As [`Self::answer`], beside what was answered before.
    pub fn answer_beside(
        &self,
        Answers(known): &mut Answers,
        is_wanted: impl Fn(&PodInstance) -> bool,
    ) -> Vec<Explanation> {
        let has_step = |plan: &str| self.steps.iter().any(|asked| asked.plan == plan);
        let refused = self.refused.iter().filter(|(plan, _)| !has_step(plan)).map(|(plan, errors)| Explanation {
            plan: plan.clone(),
            phase: String::new(),
            step: String::new(),
            pod: None,
            last_failure: String::new(),
            waiting: Waiting::Error { errors: errors.clone() },
        });
        let steps = self.steps.iter().filter(|asked| is_wanted(&asked.pod));
        refused
            .chain(steps.map(|asked| Explanation {
                plan: asked.plan.clone(),
                phase: asked.phase.clone(),
                step: asked.step.clone(),
                pod: Some(asked.pod.clone()),
                last_failure: asked.last_failure.clone(),
                waiting: match &asked.standing {
                    Standing::Known(waiting) => waiting.clone(),
                    Standing::Wants { wanted, rule } => {
                        Waiting::Offer(Box::new(search::search(self, wanted, rule.as_ref(), known)))
                    }
                },
            }))
            .collect()
    }
}

/// Several lines, for people; the first says it all in short.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plan)?;
        if !self.step.is_empty() {
            write!(f, " {}", self.step)?;
        }
        f.write_str(": ")?;
        match &self.waiting {
            Waiting::NotSubscribed => f.write_str("waits for the subscription to a master"),
            Waiting::Reconciling { unanswered } => {
                write!(f, "waits until Mesos has said what runs ({unanswered} tasks unanswered)")
            }
            Waiting::Earlier { name } => write!(f, "waits for {name}"),
            Waiting::Held { what } => write!(f, "held by an operator; continue {what}"),
            Waiting::Delayed { until } => write!(f, "held back after failures until {}", until.utc()),
            Waiting::OtherPlan => f.write_str("waits for another plan that works on the same pod"),
            Waiting::Ending { task } => write!(f, "waits for {task} to end"),
            Waiting::Launched { tasks } => {
                f.write_str("launched, waits for")?;
                for (at, (name, state)) in tasks.iter().enumerate() {
                    write!(f, "{} {name} ({state})", if at == 0 { "" } else { "," })?;
                }
                Ok(())
            }
            Waiting::Error { errors } => write!(f, "cannot be carried out: {}", errors.join("; ")),
            Waiting::Offer(search) => write!(f, "{search}"),
        }?;
        match (self.last_failure.as_str(), &self.waiting) {
            ("", _) => Ok(()),
            (failure, Waiting::Delayed { .. }) => write!(f, "; the last was {failure}"),
            (failure, _) => write!(f, "\n  its last launch was {failure}"),
        }
    }
}
