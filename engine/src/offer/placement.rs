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
mod pod_type;
mod region;
mod round_robin;

pub use count::Counts;
pub use mainstay_spec::placement::{Counted, Key, Matcher, Neighbour, Rule};

use super::Offer;
use super::report::{Outcome, Reason};
use super::requirement::Requirement;

/// What keeps the pod away from the agent of this offer, or lets it: its rule, and its region where the rule says nothing about regions.
///
/// Shape: `None` when there is neither.
pub fn judge(requirement: &Requirement<'_>, offer: &Offer) -> Option<Outcome> {
    if let Some(reason) = region::stray(requirement, offer) {
        return Some(Outcome::new(Rule::LocalRegion.class_name(), false, reason));
    }
    requirement.placement.map(|rule| check(rule, requirement, offer))
}

/// Whether the rule lets the pod run on the agent of this offer.
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
            // Of nothing: fails, as in the SDK.
            let passed = passing == children.len() && !children.is_empty();
            return Outcome { stage, passed, reason, children };
        }
        Rule::Or(rules) => {
            let children = children(rules);
            let passing = children.iter().filter(|child| child.passed).count();
            let reason = Reason::RulesPassing { passing, of: children.len() };
            return Outcome { stage, passed: passing > 0, reason, children };
        }
        // Nobody knows what the opposite of an unknown rule is: it must not open what was meant to be closed.
        Rule::Not(rule) if rule.unknown().is_some() => (false, Reason::UnknownRule),
        Rule::Not(rule) => {
            let child = check(rule, requirement, offer);
            return Outcome { stage, passed: !child.passed, reason: Reason::Negated, children: vec![child] };
        }
        Rule::Passthrough => (true, Reason::NoPlacementRule),
        Rule::LocalRegion => region::check(requirement, offer),
        Rule::Agent(wanted) if offer.agent_id.as_str() == wanted => (true, Reason::AgentMatches),
        Rule::Agent(wanted) => {
            (false, Reason::AgentMatchesNot { found: offer.agent_id.clone(), wanted: wanted.clone() })
        }
        Rule::PodType { pod_type, neighbour } => pod_type::check(pod_type, *neighbour, requirement, offer),
        Rule::Unknown(_) => (false, Reason::UnknownRule),
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
            let place_text = place.split('/').next().unwrap();
            let mut place = place.split('/').map(some);
            Task {
                name: crate::ids::TaskName::parse(name).unwrap(),
                pod: PodInstance { pod_type: pod_type.into(), index: index.parse().unwrap() },
                hostname: place.next().unwrap(),
                agent_id: crate::ids::AgentId::parse(place_text.replace("host1", "agent-1")).unwrap(),
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
        check_rule(&Rule::parse(rule, "hello").unwrap().unwrap(), None, others, expected);
    }

    /// A rule made in code; a stored task on `host1` is on the offer's agent.
    #[track_caller]
    fn check_rule(rule: &Rule, local_region: Option<&str>, others: &[&str], expected: &str) {
        let mut world = World::new(pod());
        world.others = tasks(&mut world, others);
        world.master.free = roomy();
        world.local_region = local_region.map(str::to_owned);
        world.pod_mut().placement = Some(rule.clone());
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
    fn a_negation_gives_the_reason_of_what_it_negates() {
        let why = |rule: Rule| {
            let mut world = World::new(pod());
            world.master.free = roomy();
            world.pod_mut().placement = Some(rule);
            let evaluation = world.evaluate(&["server"], crate::offer::requirement::Recovery::None);
            evaluation.report.outcomes.get(1).unwrap().why()
        };
        let is = |host: &str| Rule::parse(&format!("hostname:IS:{host}"), "hello").unwrap().unwrap();
        let not = |rule| Rule::Not(Box::new(rule));
        assert_eq!(why(not(is("host1"))), "not allowed: hostname 'host1' matches 'host1'");
        assert_eq!(why(not(not(is("other")))), "hostname 'host1' does not match 'other'");
        assert_eq!(why(not(is("other"))), "Passes when the rule below fails");
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

    // contract: 2.25/counting
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

    #[test]
    fn regions_and_zones_count_like_any_other_value() {
        let mut world = World::new(pod());
        let others = ["hello-1-a@h1/-/-", "hello-2-a@h2/-/-", "hello-3-a@h3/-/-"];
        world.others = tasks(&mut world, &others);
        for (task, region) in world.others.iter_mut().zip(["west", "west", "east"]) {
            task.region = Some(region.into());
            task.zone = Some(format!("{region}-1"));
        }
        let mut offer = crate::offer::fixture::offer(roomy());
        offer.zone = Some("west-1".into());
        let mut check = |rule: &str, expected: &str| {
            world.pod_mut().placement = Rule::parse(rule, "hello").unwrap();
            let evaluation = world.evaluate_offer(&offer, &["server"], crate::offer::requirement::Recovery::None);
            let outcome = evaluation.report.outcomes.get(1).unwrap();
            assert_eq!(format!("{} {}", outcome.passed, outcome.reason), expected, "{rule}");
        };
        check("@region:MAX_PER:3", "true region 'west' has 2 of at most 3 pods of this type");
        check("@region:MAX_PER:2", "false region 'west' already has 2 pods of this type, at most 2 may be");
        check("@zone:UNIQUE", "false zone 'west-1' already has 2 pods of this type, at most 1 may be");
        check("@zone:MAX_PER:3", "true zone 'west-1' has 2 of at most 3 pods of this type");
        check(
            "@region:GROUP_BY:2",
            "false region 'west' has 2 pods of this type while others have 1 (least) to 2 (most)",
        );
        check("@zone:GROUP_BY", "false zone 'west-1' has 2 pods of this type while others have 1 (least) to 2 (most)");
    }

    #[test]
    fn what_is_counted_is_named() {
        let max = |counted| Rule::MaxPer { key: Key::Hostname, max: 1, counted };
        let others = ["hello-1-a@host1/-/-", "world-0-db@host1/-/-"];
        let check = |counted, expected: &str| check_rule(&max(counted), None, &others, expected);
        check(Counted::All, "false hostname 'host1' already has 2 pods of any type, at most 1 may be");
        check(
            Counted::Pods("world".into()),
            "false hostname 'host1' already has 1 pods of type 'world', at most 1 may be",
        );
        check(
            Counted::TaskNames(Matcher::regex("world-.*").unwrap()),
            "false hostname 'host1' already has 1 pods with a task named 'world-.*', at most 1 may be",
        );
        check(Counted::Pods("none".into()), "true hostname 'host1' has 0 of at most 1 pods of type 'none'");
        let spread = Rule::RoundRobin { key: Key::Hostname, expected: None, counted: Counted::All };
        check_rule(&spread, None, &others, "true hostname 'host1' has 2 pods of any type, the least is 2");
    }

    #[test]
    fn the_local_region_is_that_of_the_master() {
        let check = |local, expected: &str| check_rule(&Rule::LocalRegion, local, &[], expected);
        check(Some("west"), "true The agent is in the region of the master");
        check(Some("east"), "false The agent is in region 'west', the master in 'east'");
        check(None, "true The region of the master is not known: every region counts as its own");
        let mut world = World::new(pod());
        world.local_region = Some("east".into());
        world.pod_mut().placement = Some(Rule::LocalRegion);
        let mut offer = crate::offer::fixture::offer(roomy());
        offer.region = None;
        let evaluation = world.evaluate_offer(&offer, &["server"], crate::offer::requirement::Recovery::None);
        let reason = evaluation.report.outcomes.get(1).unwrap().reason.to_string();
        assert_eq!(reason, "The agent has no region, it counts as in that of the master");
    }

    #[test]
    fn a_pod_that_says_nothing_of_regions_stays_in_that_of_the_master() {
        let judged = |rule: &str, local: Option<&str>| {
            let mut world = World::new(pod());
            world.local_region = local.map(str::to_owned);
            world.pod_mut().placement = Rule::parse(rule, "hello").unwrap();
            let evaluation = world.evaluate(&["server"], crate::offer::requirement::Recovery::None);
            let outcome = evaluation.report.outcomes.get(1).unwrap();
            assert_eq!(outcome.stage, "PlacementRuleEvaluationStage");
            format!("{} {}", outcome.passed, outcome.reason)
        };
        let remote = "false The agent is in region 'west', the master in 'east'";
        assert_eq!(judged("", Some("east")), remote);
        assert_eq!(judged("hostname:UNIQUE", Some("east")), remote);
        assert_eq!(judged("", Some("west")), "true No placement rule defined");
        assert_eq!(judged("", None), "true No placement rule defined");
        assert_eq!(judged("@region:IS:west", Some("east")), "true region 'west' matches 'west'");
    }

    #[test]
    fn no_rule_at_all_is_none_that_passes() {
        check_rule(&Rule::And(Vec::new()), None, &[], "false 0 of 0 rules are passing");
        check_rule(&Rule::Or(Vec::new()), None, &[], "false 0 of 0 rules are passing");
        check_rule(&Rule::Passthrough, None, &[], "true No placement rule defined");
    }

    #[test]
    fn an_agent_is_named_by_its_id() {
        check_rule(&Rule::Agent("agent-1".into()), None, &[], "true The agent is the one that the rule names");
        check_rule(&Rule::Agent("agent".into()), None, &[], "false The agent is 'agent-1', the rule names 'agent'");
    }

    #[test]
    fn pods_of_another_type_are_avoided_or_sought() {
        let rule = |pod_type: &str, neighbour| Rule::PodType { pod_type: pod_type.into(), neighbour };
        let avoid = rule("world", Neighbour::Avoid);
        let seek = rule("world", Neighbour::Colocate);
        let none = "true There is no pod of the other type yet";
        // A type that only begins alike is another type.
        for others in [&[][..], &["hello-1-a@host1/-/-", "world-wide-1-a@host1/-/-"]] {
            check_rule(&avoid, None, others, none);
            check_rule(&seek, None, others, none);
        }
        let here = ["world-1-a@host1/-/-", "world-1-b@host1/-/-", "world-2-a@host2/-/-"];
        check_rule(&avoid, None, &here, "false The agent has 1 pods of type 'world', which the rule avoids");
        check_rule(&seek, None, &here, "true The agent has 1 pods of the type that the rule seeks");
        let there = ["world-1-a@host2/-/-", "world-2-a@host3/-/-"];
        check_rule(&avoid, None, &there, "true None of the 2 pods that the rule avoids is on the agent");
        check_rule(
            &seek,
            None,
            &there,
            "false None of the 2 pods of type 'world', which the rule seeks, is on the agent",
        );
    }

    #[test]
    fn a_pod_does_not_avoid_itself() {
        let avoid = Rule::PodType { pod_type: "hello".into(), neighbour: Neighbour::Avoid };
        check_rule(&avoid, None, &["hello-0-old@host1/-/-"], "true There is no pod of the other type yet");
        check_rule(
            &avoid,
            None,
            &["hello-0-old@host1/-/-", "hello-1-a@host1/-/-"],
            "false The agent has 1 pods of type 'hello', which the rule avoids",
        );
    }

    #[test]
    fn an_unknown_rule_never_passes_and_its_negation_says_so() {
        let unknown = || Rule::Unknown("{}".into());
        check_rule(&unknown(), None, &[], "false A rule of an unknown kind never passes");
        check_rule(&Rule::Or(vec![unknown(), Rule::Passthrough]), None, &[], "true 1 of 2 rules are passing");
        // Nobody knows what the opposite of an unknown rule would be.
        check_rule(&Rule::Not(Box::new(unknown())), None, &[], "false A rule of an unknown kind never passes");
        check_rule(
            &Rule::Not(Box::new(Rule::And(vec![Rule::Passthrough, unknown()]))),
            None,
            &[],
            "false A rule of an unknown kind never passes",
        );
    }
}
