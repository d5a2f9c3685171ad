//! Section 3 as far as it is written: plans, phases, steps. What they do is the engine's.

use mainstay_spec::{Code, PhaseSpec, ServiceSpec, Strategy};

use super::support::{Input, fine, phase, refused, root, row, warned};

const AT: &str = "plans.deploy.phases.first";

fn first(spec: &ServiceSpec) -> &PhaseSpec {
    &spec.plans[0].phases[0]
}

/// Steps as `index:task+task`.
fn steps(spec: &ServiceSpec) -> Vec<String> {
    first(spec).steps.iter().map(|step| format!("{}:{}", step.index, step.tasks.join("+"))).collect()
}

fn plan(lines: &str) -> Input {
    root(&format!("plans: {{deploy: {{{lines}}}}}"))
}

#[test]
fn plans_and_phases() {
    let strategy =
        |text: &str| fine("3.1/plan-strategy", plan(&format!("{text}, phases: {{f: {{pod: p}}}}"))).plans[0].strategy;
    assert_eq!(strategy("strategy:"), Strategy::Serial);
    assert_eq!(strategy("strategy: serial"), Strategy::Serial);
    assert_eq!(strategy("strategy: parallel"), Strategy::Parallel);
    for word in ["''", "canary", "Serial"] {
        let bad = plan(&format!("strategy: {word}, phases: {{f: {{pod: p}}}}"));
        let message = refused("3.1/plan-strategy", bad, Code::UnknownWord, "plans.deploy.strategy");
        assert!(message.contains("serial, parallel"), "{message}");
    }
    refused("3.1/phases", plan("strategy: serial"), Code::RequiredKey, "plans.deploy.phases");
    refused("3.1/phases", plan("phases:"), Code::MissingValue, "plans.deploy.phases");
    refused("3.1/phases", plan("phases: {f: {pod: p}, f: {pod: p}}"), Code::DuplicateKey, "plans.deploy.phases.f");
    refused("3.1/pod", plan("phases: {f: {}}"), Code::RequiredKey, "plans.deploy.phases.f.pod");
    let message = refused("3.1/pod", plan("phases: {f: {pod: q}}"), Code::UnknownPod, "plans.deploy.phases.f.pod");
    assert!(message.contains("\"q\""), "{message}");
    let of_phase = |word: &str| first(&fine("3.1/phase-strategy", phase(1, &format!("strategy: {word}")))).strategy;
    assert_eq!((of_phase(""), of_phase("serial")), (Strategy::Serial, Strategy::Serial));
    assert_eq!(of_phase("parallel"), Strategy::Parallel);
    assert_eq!((of_phase("canary"), of_phase("serial-canary")), (Strategy::SerialCanary, Strategy::SerialCanary));
    assert_eq!(of_phase("parallel-canary"), Strategy::ParallelCanary);
    refused("3.1/phase-strategy", phase(1, "strategy: random"), Code::UnknownWord, &format!("{AT}.strategy"));
    refused("3.1/phase-strategy", phase(1, "strategy: dependency"), Code::UnknownWord, &format!("{AT}.strategy"));
    assert!(fine("3.1/empty", root("plans: {}")).plans.is_empty());
    let spec =
        warned("3.5/no-deploy", root("plans: {backup: {phases: {f: {pod: p}}}}"), Code::GeneratedDeployPlan, "plans");
    assert_eq!(spec.plans.len(), 1);
}

#[test]
fn accepted_steps() {
    let of = |rows: &str, count: u32, lines: &str| steps(&fine(rows, phase(count, lines)));
    for absent in ["", "steps:", "steps: []"] {
        assert_eq!(of("3.2/absent 3.1/steps", 2, absent), ["0:a+b", "1:a+b"]);
    }
    assert_eq!(of("3.2/together", 2, "steps: [default: [[a, b]]]"), ["0:a+b", "1:a+b"]);
    assert_eq!(of("3.2/two-steps", 2, "steps: [default: [[a], [b]]]"), ["0:a", "0:b", "1:a", "1:b"]);
    assert_eq!(of("3.2/index-wins", 2, "steps: [default: [[b]], 0: [[a]]]"), ["0:a", "1:b"]);
    assert_eq!(of("3.2/index-text", 1, "steps: ['0': [[a]]]"), of("3.2/index-text", 1, "steps: [0: [[a]]]"));
    assert_eq!(of("3.2/default-empty", 2, "steps: [0: [[a]], default: []]"), ["0:a"]);
    assert_eq!(of("3.2/empty-step", 1, "steps: [default: [[], [a]]]"), ["0:a"]);
    for key in ["7", "foo"] {
        let odd = phase(1, &format!("steps: [{key}: [[b]], default: [[a]]]"));
        let spec = warned("3.2/no-instance", odd, Code::UnusedStepIndex, &format!("{AT}.steps.0.{key}"));
        assert_eq!(steps(&spec), ["0:a"]);
    }
}

#[test]
fn refused_steps() {
    let at = |rest: &str| format!("{AT}.steps{rest}");
    let twice = phase(2, "steps: [0: [[a]], '0': [[b]], default: []]");
    refused("3.2/twice", twice, Code::DuplicateStepIndex, &at(".1.0"));
    let twice = phase(2, "steps: [default: [[a]], default: [[b]]]");
    refused("3.2/twice", twice, Code::DuplicateStepIndex, &at(".1.default"));
    refused("3.2/two-keys", phase(2, "steps: [{0: [[a]], 1: [[b]]}]"), Code::StepShape, &at(".0"));
    let message = refused("3.2/flat-list", phase(1, "steps: [default: [a, b]]"), Code::StepShape, &at(".0.default.0"));
    assert!(message.contains("- default: [[first], [second]]"), "{message}");
    refused("3.1/steps", phase(1, "steps: {default: [[a]]}"), Code::StepShape, &at(""));
    let message = refused("3.2/missing", phase(3, "steps: [0: [[a]], 2: [[a]]]"), Code::MissingStepIndex, &at(""));
    assert!(
        message.contains("phase first has no steps for instance 1") && message.contains("- default: []"),
        "{message}"
    );
    let scaled = phase(4, "steps: [0: [[a]], 1: [[a]], 2: [[a]]]");
    let message = refused("3.2/scaled-up 8.2/9", scaled, Code::MissingStepIndex, &at(""));
    assert!(message.contains("instance 3"), "{message}");
    let message =
        refused("3.2/unknown-task", phase(1, "steps: [default: [[c]]]"), Code::UnknownTask, &at(".0.default"));
    assert!(message.contains("\"c\"") && message.contains("a, b"), "{message}");
}

#[test]
fn custom_steps_are_remembered_as_such() {
    row("3.3/parallel-custom", || {
        assert!(
            first(&fine("3.3/parallel-custom", phase(1, "strategy: parallel\nsteps: [default: [[a], [b]]]")))
                .has_custom_steps
        );
        assert!(!first(&fine("3.3/parallel", phase(1, "strategy: parallel"))).has_custom_steps);
    });
}

#[test]
fn tasks_of_one_step_that_exclude_each_other_are_said() {
    let pods = |tasks: &str| {
        root(&format!(
            "pods: {{p: {{count: 1, resource-sets: {{s: {{cpus: 1}}}}, tasks: {{{tasks}}}}}}}\nplans: {{deploy: {{phases: {{f: {{pod: p}}}}}}}}"
        ))
    };
    let set = "a: {goal: ONCE, cmd: x, resource-set: s}, b: {goal: ONCE, cmd: x, resource-set: s}";
    let spec = warned("3.4/conflict", pods(set), Code::StepConflict, "plans.deploy.phases.f");
    assert_eq!(steps(&spec), ["0:a+b"]);
    let prefix = "a: {goal: ONCE, cmd: x, cpus: 1, discovery: {prefix: d}}, b: {goal: ONCE, cmd: x, cpus: 1, discovery: {prefix: d}}";
    warned("3.4/conflict", pods(prefix), Code::StepConflict, "plans.deploy.phases.f");
}

#[test]
fn names_of_plans_have_no_meaning_but_deploy_and_update() {
    let spec = fine("3.6/replace", root("plans: {deploy: {phases: {f: {pod: p}}}, replace: {phases: {f: {pod: p}}}}"));
    assert_eq!((&spec.plans[0].phases, spec.plans[1].name.as_str()), (&spec.plans[1].phases, "replace"));
}

#[test]
fn plans_are_not_stored() {
    row("1.1/plans-not-stored", || {
        let with = fine("", root("plans: {deploy: {phases: {f: {pod: p}}}}"));
        let without = fine("", root(""));
        assert_ne!(with, without);
        assert_eq!(mainstay_spec::to_json(&with, "r"), mainstay_spec::to_json(&without, "r"));
    });
}
