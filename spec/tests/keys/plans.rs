//! Section 3: shapes of `plans`.

use mainstay_spec::Strategy;

use super::*;

/// Three instances of a pod with tasks `a` and `b`, and these plans.
fn with_plans(plans: &str) -> String {
    format!(
        "name: n\npods: {{p: {{count: 3, tasks: {{a: {{goal: ONCE, cmd: x, cpus: 1}}, b: {{goal: ONCE, cmd: x, cpus: 1}}}}}}}}\n\
         plans: {plans}\n"
    )
}

fn with_steps(steps: &str) -> String {
    with_plans(&format!("{{deploy: {{phases: {{first: {{pod: p, steps: {steps}}}}}}}}}"))
}

fn steps(steps: &str) -> Vec<String> {
    let spec = service(&with_steps(steps));
    spec.plans[0].phases[0].steps.iter().map(|step| format!("{}:{}", step.index, step.tasks.join("+"))).collect()
}

#[track_caller]
fn steps_refuse(steps: &str, code: Code, key: &str, words: &str) {
    refuses(&with_steps(steps), code, &format!("plans.deploy.phases.first.{key}"), words);
}

#[test]
fn plan_strategy() {
    let plan = |strategy: &str| with_plans(&format!("{{deploy: {{{strategy} phases: {{first: {{pod: p}}}}}}}}"));
    for (text, strategy) in [
        ("", Strategy::Serial),
        ("strategy: ,", Strategy::Serial),
        ("strategy: serial,", Strategy::Serial),
        ("strategy: parallel,", Strategy::Parallel),
    ] {
        assert_eq!(service(&plan(text)).plans[0].strategy, strategy);
    }
    for word in ["''", "canary", "random", "SERIAL"] {
        let text = plan(&format!("strategy: {word},"));
        refuses(&text, Code::UnknownWord, "plans.deploy.strategy", "allowed: serial, parallel");
    }
}

#[test]
fn plan_phases() {
    refuses(&with_plans("{deploy: {}}"), Code::RequiredKey, "plans.deploy.phases", "a map of phases");
    refuses(&with_plans("{deploy: {phases: }}"), Code::MissingValue, "plans.deploy.phases", "a map of phases");
    let twice = with_plans("{deploy: {phases: {first: {pod: p}, first: {pod: p}}}}");
    refuses(&twice, Code::DuplicateKey, "plans.deploy.phases.first", "given twice");
    let order = service(&with_plans("{deploy: {phases: {z: {pod: p}, a: {pod: p}}}}"));
    assert_eq!(order.plans[0].phases.iter().map(|phase| phase.name.as_str()).collect::<Vec<_>>(), ["z", "a"]);
}

#[test]
fn phase_pod() {
    let phase = |keys: &str| with_plans(&format!("{{deploy: {{phases: {{first: {keys}}}}}}}"));
    refuses(&phase("{}"), Code::RequiredKey, "plans.deploy.phases.first.pod", "the type of a pod");
    refuses(&phase("{pod: q}"), Code::UnknownPod, "plans.deploy.phases.first.pod", "the service has the pods p");
}

#[test]
fn phase_strategy() {
    let strategy = |word: &str| {
        let text = with_plans(&format!("{{deploy: {{phases: {{first: {{pod: p, strategy: {word}}}}}}}}}"));
        service(&text).plans[0].phases[0].strategy
    };
    for (word, expected) in [
        ("", Strategy::Serial),
        ("serial", Strategy::Serial),
        ("parallel", Strategy::Parallel),
        ("canary", Strategy::SerialCanary),
        ("serial-canary", Strategy::SerialCanary),
        ("parallel-canary", Strategy::ParallelCanary),
    ] {
        assert_eq!(strategy(word), expected);
    }
    let text = with_plans("{deploy: {strategy: parallel, phases: {first: {pod: p}}}}");
    assert_eq!(service(&text).plans[0].phases[0].strategy, Strategy::Serial, "whatever the plan's");
}

#[test]
fn steps_default_to_one_per_instance_with_all_tasks() {
    for none in ["", "[]", "~"] {
        assert_eq!(steps(none), ["0:a+b", "1:a+b", "2:a+b"], "{none}");
    }
}

#[test]
fn steps_of_every_instance() {
    assert_eq!(steps("[{default: [[a, b]]}]"), ["0:a+b", "1:a+b", "2:a+b"]);
    assert_eq!(steps("[{default: [[a], [b]]}]"), ["0:a", "0:b", "1:a", "1:b", "2:a", "2:b"]);
    assert_eq!(steps("[{default: []}]"), Vec::<String>::new());
    assert_eq!(steps("[{default: [[]]}]"), Vec::<String>::new());
}

#[test]
fn steps_of_one_instance_win() {
    for key in ["0", "'0'", "\"0\""] {
        let steps = steps(&format!("[{{default: [[b]]}}, {{{key}: [[a]]}}]"));
        assert_eq!(steps, ["0:a", "1:b", "2:b"], "{key}: the order of the entries does not matter");
    }
}

#[test]
fn steps_of_no_instance_are_ignored_with_a_warning() {
    for key in ["7", "foo", "-1", "01"] {
        let text = with_steps(&format!("[{{default: [[a]]}}, {{{key}: [[b]]}}]"));
        warns(&text, Code::UnusedStepIndex, &format!("plans.deploy.phases.first.steps.1.{key}"), "is no instance");
        assert_eq!(service(&text).plans[0].phases[0].steps.len(), 3);
    }
}

#[test]
fn steps_given_twice() {
    steps_refuse("[{0: [[a]]}, {'0': [[b]]}, {default: []}]", Code::DuplicateStepIndex, "steps.1.0", "already given");
    steps_refuse("[{default: []}, {default: []}]", Code::DuplicateStepIndex, "steps.1.default", "already given");
}

#[test]
fn steps_of_another_shape() {
    steps_refuse("[{0: [[a]], 1: [[a]]}]", Code::StepShape, "steps.0", "an entry has 2 keys");
    steps_refuse("[{default: [a, b]}]", Code::StepShape, "steps.0.default.0", "instead of a list of tasks");
    steps_refuse("[{default: a}]", Code::StepShape, "steps.0.default", "write [] for no steps");
    steps_refuse("a", Code::StepShape, "steps", "found \"a\"");
    steps_refuse("[a]", Code::StepShape, "steps.0", "- default: [[first], [second]]");
    steps_refuse("[~]", Code::StepShape, "steps.0", "found nothing");
    let text = with_steps("[{default: [[a, ~]]}]");
    warns(&text, Code::EmptyListItem, "plans.deploy.phases.first.steps.0.default.0.1", "skipped");
}

#[test]
fn steps_missing_for_an_instance() {
    let words = "has no steps for instance 1, 2 and no default";
    steps_refuse("[{0: [[a]]}]", Code::MissingStepIndex, "steps", words);
    steps_refuse("[{0: [[a]]}]", Code::MissingStepIndex, "steps", "write - default: [] for no steps");
}

#[test]
fn steps_with_unknown_tasks() {
    steps_refuse("[{default: [[a, c]]}]", Code::UnknownTask, "steps.0.default", "pod p has the tasks a, b");
}

#[test]
fn steps_whose_tasks_exclude_each_other_are_told_and_stay() {
    let text = |keys: &str, steps: &str| {
        format!(
            "name: n\npods: {{p: {{count: 1, resource-sets: {{s: {{cpus: 1}}}}, tasks: {{a: {{goal: ONCE, cmd: x, {keys}}}, b: \
             {{goal: ONCE, cmd: x, {keys}}}}}}}}}\nplans: {{deploy: {{phases: {{first: {{pod: p, steps: {steps}}}}}}}}}\n"
        )
    };
    for (keys, words) in [
        ("resource-set: s", "tasks a and b share the resource set s"),
        ("cpus: 1, discovery: {prefix: d}", "tasks a and b share the discovery prefix d"),
    ] {
        let together = text(keys, "[{default: [[a, b]]}]");
        warns(&together, Code::StepConflict, "plans.deploy.phases.first.steps.0.default", words);
        let spec = service(&together);
        assert_eq!(spec.plans[0].phases[0].steps.len(), 1);
        let tasks = &spec.plans[0].phases[0].steps[0].tasks;
        assert_eq!(spec.pods[0].step_conflict(tasks).as_deref(), Some(words));
        is_fine(&text(keys, "[{default: [[a], [b]]}]"));
    }
}

#[test]
fn plans_without_deploy_get_one() {
    let text = with_plans("{sidecar: {phases: {first: {pod: p}}}}");
    warns(&text, Code::GeneratedDeployPlan, "plans", "there is no plan deploy");
}
