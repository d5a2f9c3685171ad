//! What operators did to a plan, as text: kept in the store so that a restart of the scheduler does not undo it.
//!
//! Shape, one fact a line, fields separated by tabs, with `\t`, `\n` and `\\` escaped:
//!
//! ```text
//! target      <configuration id>            the facts about steps and gates hold for this target only
//! interrupted | proceeding                  only when it differs from how the plan begins
//! parameter   <name>  <value>
//! phase       <phase>                       interrupted
//! gates       <phase> <step>…               gates still closed, once one was released
//! forced      <phase> <step>
//! reset       <phase> <step>
//! ```

use crate::plan::model::Plan;

/// Writes the facts of a plan; empty when there are none.
pub fn write(plan: &Plan, begins_interrupted: bool, target: &str) -> String {
    let mut facts: Vec<Vec<&str>> = Vec::new();
    if plan.is_interrupted != begins_interrupted {
        facts.push(vec![if plan.is_interrupted { "interrupted" } else { "proceeding" }]);
    }
    for (name, value) in &plan.parameters {
        facts.push(vec!["parameter", name, value]);
    }
    for phase in &plan.phases {
        if phase.is_interrupted {
            facts.push(vec!["phase", &phase.name]);
        }
        if phase.is_gate_released {
            let closed = phase.gates.iter().filter_map(|at| phase.steps.get(*at)).map(|step| step.name.as_str());
            facts.push(["gates", &phase.name].into_iter().chain(closed).collect());
        }
        for step in &phase.steps {
            if step.is_forced {
                facts.push(vec!["forced", &phase.name, &step.name]);
            }
            if step.is_reset {
                facts.push(vec!["reset", &phase.name, &step.name]);
            }
        }
    }
    if facts.is_empty() {
        return String::new();
    }
    facts.insert(0, vec!["target", target]);
    let line = |fact: &Vec<&str>| fact.iter().map(|field| escape(field)).collect::<Vec<_>>().join("\t") + "\n";
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
            ["proceeding"] => plan.is_interrupted = false,
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
            [what @ ("forced" | "reset"), phase_name, step_name] if holds => {
                let phases = plan.phases.iter_mut().filter(|phase| phase.name == *phase_name);
                for step in phases.flat_map(|phase| phase.steps.iter_mut()).filter(|step| step.name == *step_name) {
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
