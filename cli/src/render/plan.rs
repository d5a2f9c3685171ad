//! A plan as a tree.

use mainstay_api::plan::{Phase, Plan, Step};

use super::or_unknown;
use super::tree::Node;

/// The tree, then the errors if there are any.
pub(crate) fn tree(name: &str, plan: &Plan) -> String {
    let mut out = Node::new(
        format!("{} ({} strategy) ({})", or_unknown(name), or_unknown(&plan.strategy), or_unknown(&plan.status)),
        plan.phases.iter().map(phase).collect(),
    )
    .draw();
    if !plan.errors.is_empty() {
        out.push_str("\n\nErrors:");
        for error in &plan.errors {
            out.push_str("\n- ");
            out.push_str(error);
        }
    }
    out
}

fn phase(phase: &Phase) -> Node {
    Node::new(
        format!(
            "{} ({} strategy) ({})",
            or_unknown(&phase.name),
            or_unknown(&phase.strategy),
            or_unknown(&phase.status)
        ),
        phase.steps.iter().map(step).collect(),
    )
}

fn step(step: &Step) -> Node {
    Node::new(format!("{} ({})", or_unknown(&step.name), or_unknown(&step.status)), Vec::new())
}

/// What became of a command, as a sentence.
pub(crate) fn sentence(plan: &str, phase: Option<&str>, step: Option<&str>, done: &str, is_done: bool) -> String {
    let subject = match (phase, step) {
        (Some(phase), Some(step)) => format!("\"{plan}\" plan: step \"{step}\" in phase \"{phase}\""),
        (Some(phase), None) => format!("\"{plan}\" plan: phase \"{phase}\""),
        (None, _) => format!("\"{plan}\" plan"),
    };
    format!("{subject} {} {done}.", if is_done { "has been" } else { "could not be" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_missing_shows_as_unknown() {
        assert_eq!(tree("", &Plan::default()), "<UNKNOWN> (<UNKNOWN> strategy) (<UNKNOWN>)");
    }

    #[test]
    fn errors_follow_the_tree() {
        let plan = serde_json::from_str(r#"{"phases":null,"errors":["a","b"],"status":"ERROR","strategy":"serial"}"#);
        assert_eq!(tree("deploy", &plan.unwrap()), "deploy (serial strategy) (ERROR)\n\nErrors:\n- a\n- b");
    }

    #[test]
    fn sentences_name_what_was_meant() {
        assert_eq!(sentence("p", None, None, "paused", true), "\"p\" plan has been paused.");
        assert_eq!(sentence("p", Some("h"), None, "resumed", false), "\"p\" plan: phase \"h\" could not be resumed.");
        assert_eq!(
            sentence("p", Some("h"), Some("s"), "restarted", true),
            "\"p\" plan: step \"s\" in phase \"h\" has been restarted."
        );
    }
}
