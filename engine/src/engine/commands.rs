//! What operators ask for.

use std::collections::BTreeSet;

use super::start::overrides_key;
use super::{DEPLOY, Engine, RECOVERY};
use crate::command::{Answer, Command, PlanVerb, PodVerb, Reply};
use crate::effect::Effects;
use crate::ids::{PodInstance, TaskName};
use crate::journal::Entry;
use crate::plan::{Plan, command, overrides};
use crate::state::Task;
use crate::units::Timestamp;

impl Engine {
    pub(super) fn command(&mut self, caller: u64, command: Command, now: Timestamp, effects: &mut Effects) {
        let text = describe(&command);
        // Told before what it causes, once its answer is known.
        let told_at = effects.journal.len();
        let answer = match command {
            Command::Plan { plan, verb, phase, step } => {
                self.plan_command(&plan, &verb, phase.as_deref(), step.as_deref(), now, effects)
            }
            Command::Pod { pod, verb } => self.pod_command(&pod, verb, now, effects),
        };
        effects.journal.insert(told_at, Entry::CommandReceived { text, answer: word(&answer) });
        effects.replies.push(Reply { caller, answer });
    }

    fn plan_command(
        &mut self,
        name: &str,
        verb: &PlanVerb,
        phase: Option<&str>,
        step: Option<&str>,
        now: Timestamp,
        effects: &mut Effects,
    ) -> Answer {
        let Some(at) = self.plans.iter().position(|plan| plan.name == name) else {
            return Answer::NotFound { kind: "Plan", name: name.to_owned() };
        };
        let Some(plan) = self.plans.get_mut(at) else {
            return Answer::NotFound { kind: "Plan", name: name.to_owned() };
        };
        let answer = command::carry_out(plan, verb, phase, step);
        if answer == Answer::Received {
            if matches!(verb, PlanVerb::Restart | PlanVerb::Stop | PlanVerb::Start(_)) {
                let reset = plan.steps().filter(|(_, _, step)| step.is_reset);
                let tasks = reset.flat_map(|(_, _, step)| step.tasks.iter().map(|task| step.pod.task_name(task)));
                let tasks: BTreeSet<TaskName> = tasks.collect();
                for task in &tasks {
                    self.delays.clear(task);
                }
                self.end_delays_of(&tasks, now);
            }
            self.remember_overrides(at, effects);
        }
        answer
    }

    /// Stores what operators did to a plan. Recovery is made anew at every start, so only its interruption is worth keeping.
    pub(super) fn remember_overrides(&mut self, at: usize, effects: &mut Effects) {
        let Some(plan) = self.plans.get(at) else { return };
        let begins_interrupted = at != DEPLOY && at != RECOVERY;
        let target = self.state.target.as_ref().map(ToString::to_string).unwrap_or_default();
        let text = if at == RECOVERY {
            let alone = Plan { is_interrupted: plan.is_interrupted, ..Plan::new(&*plan.name, plan.strategy) };
            overrides::write(&alone, begins_interrupted, &target)
        } else {
            overrides::write(plan, begins_interrupted, &target)
        };
        let key = overrides_key(&plan.name);
        if text.is_empty() {
            self.state.delete_property(&key, &mut effects.commit);
        } else {
            self.state.put_property(&key, text, &mut effects.commit);
        }
    }

    fn pod_command(&mut self, name: &str, verb: PodVerb, now: Timestamp, effects: &mut Effects) -> Answer {
        let found: Option<PodInstance> =
            self.state.tasks.values().map(|task| &task.pod).find(|pod| pod.to_string() == name).cloned();
        let Some(pod) = found else {
            return Answer::NotFound { kind: "Pod", name: name.to_owned() };
        };
        if let Some(unreadable) = self.state.unreadable_of(&pod) {
            return Answer::Refused(format!("Tasks/{unreadable}/TaskInfo cannot be read; repair it first"));
        }
        let tasks: Vec<Task> = self.state.pod_tasks(&pod).into_iter().cloned().collect();
        let why = match verb {
            PodVerb::Restart => "pod restart",
            PodVerb::Replace => "pod replace",
        };
        for task in &tasks {
            self.delays.clear(&task.name);
            // All of them, also a footprint: the instance moves as a whole.
            if verb == PodVerb::Replace {
                self.give_up_task(task, effects);
            }
            if let Some(task_id) = task.task_id.clone().filter(|_| task.is_live()) {
                self.kill(task_id, Some(task.agent_id.clone()), why, now, effects);
            }
        }
        self.end_delays_of(&tasks.iter().map(|task| task.name.clone()).collect(), now);
        Answer::PodAction { pod: name.to_owned(), tasks: tasks.iter().map(|task| task.name.to_string()).collect() }
    }

    /// Steps of every plan with one of these tasks, of which nothing is known any more that would hold them back, go on; unless another of
    /// their tasks holds them back.
    fn end_delays_of(&mut self, tasks: &BTreeSet<TaskName>, now: Timestamp) {
        for plan in &mut self.plans {
            let mut changed = false;
            let delayed = plan.steps_mut().filter(|step| step.delayed_until.is_some());
            for step in delayed.filter(|step| step.tasks.iter().any(|task| tasks.contains(&step.pod.task_name(task)))) {
                step.delayed_until = None;
                step.hold_back(&self.delays, now);
                changed = true;
            }
            plan.version += u64::from(changed);
        }
    }
}

fn describe(command: &Command) -> String {
    match command {
        Command::Plan { plan, verb, phase, step } => {
            let mut text = format!("plan {plan} {}", verb.as_str());
            for (what, name) in [("phase", phase), ("step", step)] {
                if let Some(name) = name {
                    text.extend([" ", what, " ", name.as_str()]);
                }
            }
            text
        }
        Command::Pod { pod, verb: PodVerb::Restart } => format!("pod {pod} restart"),
        Command::Pod { pod, verb: PodVerb::Replace } => format!("pod {pod} replace"),
    }
}

fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Received | Answer::PodAction { .. } => "received",
        Answer::Already => "already",
        Answer::NotFound { .. } => "not found",
        Answer::MissingPhase => "missing phase",
        Answer::Refused(_) => "refused",
    }
}
