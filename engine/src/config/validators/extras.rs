//! Rules that some services add in code.
//!
//! Source: the SDK's validators for the environment of a task and for the use of zones.

use mainstay_spec::placement::Rule;
use mainstay_spec::{PodSpec, ServiceSpec};

use super::{Problem, Validator};

/// What may still happen to a variable that must keep its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EnvChange {
    /// It may get a value when it had none.
    pub may_be_set: bool,
    /// It may lose its value.
    pub may_be_unset: bool,
}

/// The value of a variable of a task stays, apart from what `allowed` says. A task that neither specification has is an error too.
pub fn env_cannot_change(
    pod_type: impl Into<String>,
    task: impl Into<String>,
    variable: impl Into<String>,
    allowed: EnvChange,
) -> Validator {
    let (pod_type, task, variable) = (pod_type.into(), task.into(), variable.into());
    Validator::new(move |change| {
        let Some(old) = change.old else { return Vec::new() };
        let field = format!("pods.{pod_type}.tasks.{task}.env.{variable}");
        let find = |spec: &ServiceSpec| {
            let found = spec.pod(&pod_type)?.task(&task)?;
            Some(found.env.get(&variable).cloned())
        };
        let (Some(old), Some(new)) = (find(old.spec), find(change.new.spec)) else {
            let message =
                format!("the variable {variable} must not change, but there is no task {task} in pod {pod_type}");
            return vec![Problem::value(field, "", message)];
        };
        let is_allowed = match (&old, &new) {
            (None, Some(_)) => allowed.may_be_set,
            (Some(_), None) => allowed.may_be_unset,
            (None, None) => true,
            (Some(old), Some(new)) => old == new,
        };
        if is_allowed {
            return Vec::new();
        }
        let message = format!("the variable {variable} of task {task} cannot change: revert the change");
        vec![Problem::transition(field, old.unwrap_or_default(), new.unwrap_or_default(), message)]
    })
}

/// A pod whose placement looks at the zone keeps doing so, and one that does not never begins to: its data is spread accordingly.
pub fn zone_kept(pod_type: impl Into<String>) -> Validator {
    let pod_type = pod_type.into();
    Validator::new(move |change| {
        let Some(old) = change.old.and_then(|old| old.spec.pod(&pod_type)) else { return Vec::new() };
        let field = format!("pods.{pod_type}.placement");
        let Some(new) = change.new.spec.pod(&pod_type) else {
            return vec![Problem::value(field, "", format!("there is no pod {pod_type} any more"))];
        };
        let has_zone = |pod: &PodSpec| pod.placement.as_ref().is_some_and(Rule::references_zone);
        if has_zone(old) == has_zone(new) {
            return Vec::new();
        }
        let text = |pod: &PodSpec| pod.placement.as_ref().map_or_else(|| "no rule".to_owned(), ToString::to_string);
        let message = if has_zone(old) {
            format!("the placement of pod {pod_type} must keep referring to zones")
        } else {
            format!("the placement of pod {pod_type} cannot begin to refer to zones")
        };
        vec![Problem::transition(field, text(old), text(new), message)]
    })
}

#[cfg(test)]
mod tests {

    use super::super::fixture::{LEFT, PLACED, changed};
    use super::super::{Change, Version, run};
    use super::*;

    fn problems(rule: Validator, old: &ServiceSpec, new: &ServiceSpec) -> Vec<String> {
        let version = |spec| Version { spec, role: "r" };
        let change = Change {
            old: Some(version(old)),
            new: version(new),
            is_deployed: true,
            placed: &PLACED,
            left: &LEFT,
            has_service_account: false,
        };
        let is_own = |problem: &Problem| problem.field.contains("env") || problem.field.contains("placement");
        let found = run(&change, &[rule]);
        found.iter().filter(|problem| is_own(problem)).map(ToString::to_string).collect()
    }

    #[test]
    fn row_7_env_cannot_change() {
        let with = |value: Option<&str>| {
            changed(|spec| {
                let env = &mut spec.pods[0].tasks[0].env;
                drop(env.remove("X"));
                env.extend(value.map(|value| ("X".to_owned(), value.to_owned())));
            })
        };
        let rule = |may_be_set, may_be_unset| {
            env_cannot_change("hello", "server", "X", EnvChange { may_be_set, may_be_unset })
        };
        let none = Vec::<String>::new();
        assert_eq!(problems(rule(false, false), &with(Some("1")), &with(Some("1"))), none);
        assert_eq!(
            problems(rule(true, true), &with(Some("1")), &with(Some("2"))),
            [
                "Field: 'pods.hello.tasks.server.env.X'; Transition: '1' => '2'; Message: 'the variable X of task server \
              cannot change: revert the change'; Fatal: false"
            ]
        );
        assert_eq!(problems(rule(true, false), &with(None), &with(Some("2"))), none);
        assert_eq!(problems(rule(false, true), &with(None), &with(Some("2"))).len(), 1);
        assert_eq!(problems(rule(false, true), &with(Some("1")), &with(None)), none);
        assert_eq!(problems(rule(true, false), &with(Some("1")), &with(None)).len(), 1);
        let missing = env_cannot_change("hello", "gone", "X", EnvChange::default());
        assert_eq!(
            problems(missing, &with(None), &with(None)),
            [
                "Field: 'pods.hello.tasks.gone.env.X'; Value: ''; Message: 'the variable X must not change, but there is no \
              task gone in pod hello'; Fatal: false"
            ]
        );
    }

    #[test]
    fn row_7_zone_is_kept() {
        let with = |rule: &str| changed(|spec| spec.pods[0].placement = Rule::parse(rule, "hello").unwrap());
        let (zone, host) = (with("@zone:GROUP_BY"), with("hostname:UNIQUE"));
        let none = Vec::<String>::new();
        assert_eq!(problems(zone_kept("hello"), &zone, &with("hostname:UNIQUE,@zone:IS:a")), none);
        assert_eq!(
            problems(zone_kept("hello"), &zone, &host),
            [
                "Field: 'pods.hello.placement'; Transition: 'zone spread over all of hello' => 'hostname max 1 of hello'; \
              Message: 'the placement of pod hello must keep referring to zones'; Fatal: false"
            ]
        );
        assert!(problems(zone_kept("hello"), &with(""), &zone)[0].contains("cannot begin to refer to zones"));
        assert_eq!(problems(zone_kept("hello"), &zone, &changed(|spec| drop(spec.pods.remove(0)))).len(), 1);
        assert_eq!(problems(zone_kept("other"), &zone, &host), none);
    }
}
