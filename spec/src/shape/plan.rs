//! `plans.<name>` and its phases.

use super::{Kind, Names, Shape, key};

pub(crate) static PLAN: Shape = Shape {
    name: "plan",
    about: "Phases in an order. The plan deploy starts by itself, others on request.",
    groups: &[&[
        key("strategy", Kind::Word(&["serial", "parallel"]), "How its phases follow each other.").default("serial"),
        key("phases", Kind::Named(&PHASE, Names::Any), "Phases by name; their order counts.").required(),
    ]],
    is_open: false,
};

pub(crate) static PHASE: Shape = Shape {
    name: "phase",
    about: "Steps over the instances of one pod.",
    groups: &[&[
        key(
            "strategy",
            Kind::Word(&["serial", "parallel", "canary", "serial-canary", "parallel-canary"]),
            "How its steps follow each other; a canary waits for a go-ahead before each of the first two.",
        )
        .default("serial"),
        key("pod", Kind::Text, "Type of the pod.").required(),
        key(
            "steps",
            Kind::Steps,
            "What is launched for each instance: entries with an index or default, each a list of lists of tasks that start \
             together; without it one step per instance launches every task.",
        ),
    ]],
    is_open: false,
};
