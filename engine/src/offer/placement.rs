//! Whether a placement rule lets a pod run on the agent of an offer.
//!
//! Rules look at the offer and at *all* stored tasks of the service, running or not. Counting rules count pod instances of the exact type
//! (the SDK counts tasks, and by a name prefix); tasks of the instance that is being placed never count.
//! Not the rules themselves and not their spelling: `mainstay_spec::placement`.
//!
//! Read next: `placement/key.rs` for what can be looked at, `placement/count.rs`.

mod count;
mod key;
mod matcher;
mod max_per;
mod round_robin;

pub use count::Counts;
pub use mainstay_spec::placement::{Counted, Key, Matcher, Rule};

use super::Offer;
use super::report::{Outcome, Reason};
use super::requirement::Requirement;

/// Whether the pod may run on the agent of this offer.
pub fn check(rule: &Rule, requirement: &Requirement<'_>, offer: &Offer) -> Outcome {
    let children = |rules: &[Rule]| rules.iter().map(|rule| check(rule, requirement, offer)).collect::<Vec<_>>();
    let stage = rule.class_name();
    let (passed, reason) = match rule {
        Rule::Match { key, matcher } => matcher::check(matcher, key, offer),
        Rule::MaxPer { key, max, counted } => max_per::check(key, *max, counted, requirement, offer),
        Rule::RoundRobin { key, expected, counted } => round_robin::check(key, *expected, counted, requirement, offer),
        Rule::And(rules) => {
            let children = children(rules);
            let passing = children.iter().filter(|child| child.passed).count();
            let reason = Reason::RulesPassing { passing, of: children.len() };
            return Outcome { stage, passed: passing == children.len(), reason, children };
        }
        Rule::Or(rules) => {
            let children = children(rules);
            let passing = children.iter().filter(|child| child.passed).count();
            let reason = Reason::RulesPassing { passing, of: children.len() };
            return Outcome { stage, passed: passing > 0, reason, children };
        }
        Rule::Not(rule) => {
            let child = check(rule, requirement, offer);
            return Outcome { stage, passed: !child.passed, reason: Reason::Negated, children: vec![child] };
        }
        Rule::Passthrough => (true, Reason::NoPlacementRule),
        Rule::LocalRegion | Rule::Agent(_) | Rule::PodType { .. } | Rule::Unknown(_) => (false, Reason::UnknownRule),
    };
    Outcome::new(stage, passed, reason)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ids::PodInstance;
    use crate::offer::fixture::{World, pod, roomy};
    use crate::state::Task;

    /// Stored tasks from `pod-index-task@hostname/rack/zone`, `-` for none.
    fn tasks(world: &mut World, texts: &[&str]) -> Vec<Task> {
        let template = {
            world.launch(&["server"], crate::offer::requirement::Recovery::None);
            let task = world.stored.first().unwrap().clone();
            world.stored.clear();
            task
        };
        let some = |text: &str| (text != "-").then(|| text.to_owned());
        let one = |text: &&str| {
            let (name, place) = text.split_once('@').unwrap();
            let mut parts = name.rsplitn(3, '-');
            let (_task, index, pod_type) = (parts.next(), parts.next().unwrap(), parts.next().unwrap());
            let mut place = place.split('/').map(some);
            Task {
                name: crate::ids::TaskName::parse(name).unwrap(),
                pod: PodInstance { pod_type: pod_type.into(), index: index.parse().unwrap() },
                hostname: place.next().unwrap(),
                region: None,
                attributes: place.next().unwrap().map(|rack| ("rack".to_owned(), rack)).into_iter().collect(),
                zone: place.next().unwrap(),
                ..template.clone()
            }
        };
        texts.iter().map(one).collect()
    }

    /// The offer is of `host1`, rack `r1`, region `west`, without a zone.
    #[track_caller]
    fn check(rule: &str, others: &[&str], expected: &str) {
        let mut world = World::new(pod());
        world.others = tasks(&mut world, others);
        world.master.free = roomy();
        world.pod_mut().placement = Rule::parse(rule, "hello").unwrap();
        let evaluation = world.evaluate(&["server"], crate::offer::requirement::Recovery::None);
        let outcome = evaluation.report.outcomes.get(1).unwrap();
        assert_eq!(outcome.stage, "PlacementRuleEvaluationStage");
        assert_eq!(format!("{} {}", outcome.passed, outcome.reason), expected, "{rule}");
    }

    #[test]
    fn matches() {
        check("hostname:IS:host1", &[], "true hostname 'host1' matches 'host1'");
        check("hostname:LIKE:host", &[], "false hostname 'host1' does not match 'host'");
        check("hostname:LIKE:x|host[0-9]", &[], "true hostname 'host1' matches 'x|host[0-9]'");
        check("rack:CLUSTER:r1", &[], "true attribute rack 'r1' matches 'r1'");
        check("Rack:CLUSTER:r1", &[], "false The agent has no attribute Rack");
        check("@region:IS:west", &[], "true region 'west' matches 'west'");
        check("@zone:LIKE:.*", &[], "false The agent has no zone");
        check("@zone:UNLIKE:.*", &[], "true Passes when the rule below fails");
        // In the SDK any other attribute that differs lets it pass.
        check("rack:IS_NOT:r1", &[], "false Passes when the rule below fails");
        check("none:IS_NOT:r1", &[], "true Passes when the rule below fails");
        check("hostname:IS:host1,rack:IS:r2", &[], "false 1 of 2 rules are passing");
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let matches = |wanted: &str, found: &str| {
            let mut offer = crate::offer::fixture::offer(Vec::new());
            offer.attributes = vec![("n".into(), found.into())];
            matcher::check(&Matcher::Exact(wanted.into()), &Key::Attribute("n".into()), &offer).0
        };
        assert!(matches("3", "3.000") && matches("0.5", ".5004") && matches("-2", "-2.0") && matches("-0", "0"));
        assert!(!matches("3", "3.001") && !matches("-2", "2") && !matches("3", "3a") && !matches("1e400", "2e400"));
    }

    #[test]
    fn unique_counts_pods_of_the_exact_type_but_not_the_placed_one() {
        let free = "true hostname 'host1' has 0 of at most 1 pods of this type";
        check("hostname:UNIQUE", &[], free);
        check("hostname:UNIQUE", &["hello-0-old@host1/r1/-", "hello-1-x@host2/r1/-", "other-1-x@host1/r1/-"], free);
        // The SDK counts by prefix: `hello-world` would count as `hello`.
        check("hostname:UNIQUE", &["hello-world-1-x@host1/r1/-"], free);
        check(
            "hostname:UNIQUE",
            &["hello-1-x@host1/r1/-"],
            "false hostname 'host1' already has 1 pods of this type, at most 1 may be",
        );
    }

    #[test]
    fn max_per_counts_pods_not_tasks() {
        let two_tasks = ["hello-1-a@host1/r1/-", "hello-1-b@host1/r1/-"];
        check("rack:MAX_PER:2", &two_tasks, "true attribute rack 'r1' has 1 of at most 2 pods of this type");
        let pods = ["hello-1-a@h/r1/-", "hello-2-b@h/r1/-", "hello-3-b@h/-/-"];
        check("rack:MAX_PER:2", &pods, "false attribute rack 'r1' already has 2 pods of this type, at most 2 may be");
        check("@zone:MAX_PER:2", &[], "false The agent has no zone");
        check("none:UNIQUE", &[], "false The agent has no attribute none");
        check("@region:MAX_PER:1", &[], "true region 'west' has 0 of at most 1 pods of this type");
    }

    #[test]
    fn group_by_fills_the_emptiest_first() {
        let rack = "rack:GROUP_BY";
        check(rack, &[], "true attribute rack 'r1' has 0 pods of this type, the least is 0");
        check(rack, &["hello-1-a@h/r1/-"], "true attribute rack 'r1' has 1 pods of this type, the least is 1");
        check(
            rack,
            &["hello-1-a@h/r1/-", "hello-2-a@h/r1/-", "hello-3-a@h/r2/-"],
            "false attribute rack 'r1' has 2 pods of this type while others have 1 (least) to 2 (most)",
        );
        check(
            "rack:GROUP_BY:3",
            &["hello-1-a@h/r1/-", "hello-2-a@h/r2/-"],
            "false attribute rack 'r1' already has pods of this type while only 2 of 3 expected values have any",
        );
        check(
            "rack:GROUP_BY:2",
            &["hello-1-a@h/r1/-", "hello-2-a@h/r2/-"],
            "true attribute rack 'r1' has 1 pods of this type, the least is 1",
        );
        check("@zone:GROUP_BY", &[], "false The agent has no zone");
    }
}
