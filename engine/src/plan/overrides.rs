//! What operators did to a plan, as text: kept in the store so that a restart of the scheduler does not undo it.
//!
//! Shape, one fact a line, fields separated by tabs, with `\t`, `\n` and `\\` escaped:
//!
//! ```text
//! target      <configuration id>            the facts about steps and gates hold for this target only
//! interrupted | proceeding                  only when it differs from how the plan begins; proceeding: for this target, until it is complete
//! parameter   <name>  <value>
//! phase       <phase>                       interrupted
//! gates       <phase> <step>…               gates still closed, once one was released
//! forced      <phase> <step> [n]            n: how many steps of this name come before it, when any
//! reset       <phase> <step> [n]
//! ```

use crate::plan::model::Plan;

/// Writes the facts of a plan; empty when there are none.
pub fn write(plan: &Plan, begins_interrupted: bool, target: &str) -> String {
    let mut facts: Vec<Vec<String>> = Vec::new();
    // A plan that has run to its end is not running any more.
    let has_ended = begins_interrupted && plan.is_complete();
    if plan.is_interrupted != begins_interrupted && !has_ended {
        facts.push(vec![if plan.is_interrupted { "interrupted" } else { "proceeding" }.to_owned()]);
    }
    for (name, value) in &plan.parameters {
        facts.push(vec!["parameter".to_owned(), name.clone(), value.clone()]);
    }
    for phase in &plan.phases {
        if phase.is_interrupted {
            facts.push(vec!["phase".to_owned(), phase.name.clone()]);
        }
        if phase.is_gate_released {
            let closed = phase.gates.iter().filter_map(|at| phase.steps.get(*at)).map(|step| step.name.clone());
            facts.push(["gates".to_owned(), phase.name.clone()].into_iter().chain(closed).collect());
        }
        for (at, step) in phase.steps.iter().enumerate() {
            let earlier = phase.steps.iter().take(at).filter(|other| other.name == step.name).count();
            let fact = |what| {
                let number = (earlier > 0).then(|| earlier.to_string());
                [what, phase.name.clone(), step.name.clone()].into_iter().chain(number).collect()
            };
            if step.is_forced {
                facts.push(fact("forced".to_owned()));
            }
            if step.is_reset {
                facts.push(fact("reset".to_owned()));
            }
        }
    }
    if facts.is_empty() {
        return String::new();
    }
    facts.insert(0, vec!["target".to_owned(), target.to_owned()]);
    let line = |fact: &Vec<String>| fact.iter().map(|field| escape(field)).collect::<Vec<_>>().join("\t") + "\n";
    facts.iter().map(line).collect()
}

/// Applies stored facts to a freshly built plan. Lines that fit nothing any more are passed over.
pub fn apply(plan: &mut Plan, text: &str, target: &str) {
    let mut holds = false;
    for line in text.lines() {
        let fields: Vec<String> = line.split('\t').map(unescape).collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        match fields.as_slice() {
            ["target", stored] => holds = *stored == target,
            ["interrupted"] => plan.is_interrupted = true,
            // Under another configuration it would do something that nobody has asked for.
            ["proceeding"] if holds => plan.is_interrupted = false,
            ["parameter", name, value] => {
                plan.parameters.insert((*name).to_owned(), (*value).to_owned());
            }
            ["phase", name] => {
                for phase in plan.phases.iter_mut().filter(|phase| phase.name == *name) {
                    phase.is_interrupted = true;
                }
            }
            ["gates", name, closed @ ..] if holds => {
                for phase in plan.phases.iter_mut().filter(|phase| phase.name == *name) {
                    phase.is_gate_released = true;
                    let steps = phase.steps.iter().enumerate();
                    phase.gates =
                        steps.filter(|(_, step)| closed.contains(&step.name.as_str())).map(|(at, _)| at).collect();
                }
            }
            [what @ ("forced" | "reset"), phase_name, step_name, number @ ..] if holds => {
                let number = number.first().map_or(Ok(0), |number| number.parse());
                for phase in plan.phases.iter_mut().filter(|phase| phase.name == *phase_name) {
                    let mut named = phase.steps.iter_mut().filter(|step| step.name == *step_name);
                    let Some(step) = number.as_ref().ok().and_then(|number| named.nth(*number)) else { continue };
                    if *what == "forced" {
                        step.is_forced = true;
                    } else {
                        step.restart();
                    }
                }
            }
            _ => {}
        }
    }
}

fn escape(field: &str) -> String {
    field.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

fn unescape(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(char) = chars.next() {
        match (char, char == '\\') {
            (_, true) => match chars.next() {
                Some('t') => text.push('\t'),
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some(other) => text.push(other),
                None => {}
            },
            (char, false) => text.push(char),
        }
    }
    text
}
