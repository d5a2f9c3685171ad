//! The words of everything an explanation can say.
//!
//! Invariant: a variant that is not named here does not compile, and one without an example fails the test.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::change::Change;
use super::measure::Share;
use super::obstacle::Obstacle;
use super::search::{Closest, Group, Search};
use super::{Explanation, Found, Waiting};
use crate::ids::{AgentId, PodInstance, TaskId, TaskName};
use crate::offer::fixture::scalar;
use crate::offer::placement::Rule;
use crate::units::{Scalar, Timestamp};

/// A function from a value to the name of its variant, with the names of all.
macro_rules! variants {
    ($name:ident, $names:ident, $type:ident: $($variant:ident)+) => {
        const $names: &[&str] = &[$(stringify!($variant)),+];

        fn $name(value: &$type) -> &'static str {
            match value {
                $($type::$variant { .. } => stringify!($variant)),+
            }
        }
    };
}

variants!(obstacle, OBSTACLES, Obstacle: Short PortTaken NoPort NoMount Excluded OtherRegion ReservationAbsent Other);
variants!(change, CHANGES, Change: Less SmallerVolume AskProfile Free FreePort FreeAnyPort AddMount WithoutRule AskRegion ReserveAnew Replace);
variants!(waiting, WAITING, Waiting: NotSubscribed Reconciling Earlier Held Delayed OtherPlan Ending Launched Error Offer);

/// One example a line, behind the name of its variant; every name has one.
#[track_caller]
fn listed<T>(all: &[T], name: impl Fn(&T) -> &'static str, text: impl Fn(&T) -> String, names: &[&str]) -> String {
    let seen: BTreeSet<_> = all.iter().map(&name).collect();
    assert_eq!(seen, names.iter().copied().collect::<BTreeSet<_>>());
    all.iter().map(|one| format!("{} -> {}", name(one), text(one))).collect::<Vec<_>>().join("\n")
}

fn text(text: &str) -> String {
    text.to_owned()
}

const HALF: Scalar = Scalar::from_millis(500);

#[test]
fn every_obstacle_has_its_words() {
    let profiles = |names: &[&str]| names.iter().map(|name| text(name)).collect();
    let all = [
        Obstacle::Short { name: text("cpus"), role: text("*") },
        Obstacle::Short { name: text("mem"), role: text("slow") },
        Obstacle::PortTaken { number: 9042, role: text("*"), holder: Some(text("node-1")) },
        Obstacle::PortTaken { number: 9042, role: text("slow"), holder: Some(text("node-1")) },
        Obstacle::PortTaken { number: 9042, role: text("*"), holder: None },
        Obstacle::PortTaken { number: 9042, role: text("slow"), holder: None },
        Obstacle::NoPort { name: text("http"), role: text("*") },
        Obstacle::NoPort { name: text("http"), role: text("slow") },
        Obstacle::NoMount { path: text("data"), profiles: Vec::new(), role: text("*"), others: Vec::new() },
        Obstacle::NoMount { path: text("data"), profiles: Vec::new(), role: text("slow"), others: Vec::new() },
        Obstacle::NoMount {
            path: text("data"),
            profiles: profiles(&["fast", "ssd"]),
            role: text("*"),
            others: Vec::new(),
        },
        Obstacle::NoMount { path: text("data"), profiles: profiles(&["fast"]), role: text("slow"), others: Vec::new() },
        Obstacle::NoMount {
            path: text("data"),
            profiles: Vec::new(),
            role: text("*"),
            others: vec![Some(text("fast")), Some(text("ssd"))],
        },
        Obstacle::NoMount {
            path: text("data"),
            profiles: profiles(&["fast"]),
            role: text("*"),
            others: vec![None, Some(text("ssd"))],
        },
        Obstacle::NoMount { path: text("data"), profiles: profiles(&["fast"]), role: text("slow"), others: vec![None] },
        Obstacle::Excluded { rule: Rule::parse("hostname:UNLIKE:old-.*", "node").unwrap().unwrap().spelled("node") },
        Obstacle::OtherRegion { region: text("east") },
        Obstacle::ReservationAbsent { what: text("volume data") },
        Obstacle::Other { stage: "ExecutorEvaluationStage", text: text("in the words of the report") },
    ];
    let mut words = listed(&all, obstacle, ToString::to_string, OBSTACLES);
    let short = Found { obstacle: all[0].clone(), short_by: Some(HALF), share: Share::WHOLE };
    words.push_str("\nwith an amount: ");
    words.push_str(&short.to_string());
    insta::assert_snapshot!("every_obstacle", words);
}

#[test]
fn every_change_has_its_words() {
    let (from, to) = (Scalar::from_units(2), HALF);
    let old = Rule::parse("hostname:UNLIKE:old-.*", "node").unwrap().unwrap();
    let all = [
        Change::Less { set: text("server-resource-set"), name: text("cpus"), from, to },
        Change::SmallerVolume { path: text("data"), from, to, is_mount: false },
        Change::AskProfile { path: text("data"), profile: Some(text("fast")) },
        Change::AskProfile { path: text("data"), profile: None },
        Change::Free { name: text("mem"), amount: from, role: text("*") },
        Change::Free { name: text("mem"), amount: from, role: text("slow") },
        Change::FreePort { number: 9042, role: text("*") },
        Change::FreePort { number: 9042, role: text("slow") },
        Change::FreeAnyPort { name: text("http"), number: 1025, role: text("*") },
        Change::FreeAnyPort { name: text("http"), number: 1025, role: text("slow") },
        Change::AddMount { path: text("data"), size: from, profiles: Vec::new(), role: text("*") },
        Change::AddMount { path: text("data"), size: from, profiles: Vec::new(), role: text("slow") },
        Change::AddMount { path: text("data"), size: from, profiles: vec![text("fast"), text("ssd")], role: text("*") },
        Change::AddMount { path: text("data"), size: from, profiles: vec![text("fast")], role: text("slow") },
        Change::WithoutRule { spelled: old.spelled("node"), rule: old },
        Change::AskRegion { region: text("east") },
        Change::ReserveAnew { resources: ["mem", "cpus", "mem"].map(|name| scalar(name, HALF)).to_vec() },
        Change::Replace,
    ];
    insta::assert_snapshot!("every_change", listed(&all, change, ToString::to_string, CHANGES));
}

#[test]
fn everything_a_step_waits_for_has_its_words() {
    let task = |name: &str| TaskName::parse(name).unwrap();
    let agent = || AgentId::parse("agent-1").unwrap();
    let short = Obstacle::Short { name: text("cpus"), role: text("*") };
    let group = |agents, least, most| Group {
        obstacle: short.clone(),
        agents,
        examples: ["a", "b", "c", "d", "e"].iter().take(agents).map(|name| text(name)).collect(),
        short_by: Some((least, most)),
    };
    let closest = |changes| Closest {
        agent_id: agent(),
        hostname: text("a"),
        obstacles: vec![Found { obstacle: short.clone(), short_by: Some(HALF), share: Share::WHOLE }],
        changes,
    };
    let changes = vec![
        Change::Less { set: text("s"), name: text("cpus"), from: Scalar::from_units(2), to: HALF },
        Change::FreePort { number: 80, role: text("*") },
    ];
    let search = |search: Search| Waiting::Offer(Box::new(search));
    let all = [
        Waiting::NotSubscribed,
        Waiting::Reconciling { unanswered: 3 },
        Waiting::Earlier { name: text("phase node") },
        Waiting::Held { what: text("plan deploy") },
        Waiting::Delayed { until: Timestamp(1_500_000_000_000) },
        Waiting::OtherPlan,
        Waiting::Ending { task: TaskId::parse("node-0-server__1").unwrap() },
        Waiting::Launched {
            tasks: vec![(task("node-0-server"), "TASK_STAGING"), (task("node-0-log"), "TASK_RUNNING")],
        },
        Waiting::Error { errors: vec![text("one thing"), text("another")] },
        search(Search::default()),
        search(Search { pinned: Some((agent(), Some(text("host1")))), ..Search::default() }),
        search(Search { pinned: Some((agent(), None)), ..Search::default() }),
        search(Search {
            agents: 7,
            fits: 6,
            fitting: vec![text("a")],
            groups: vec![group(1, HALF, HALF)],
            ..Search::default()
        }),
        search(Search {
            agents: 7,
            groups: vec![group(7, HALF, Scalar::from_units(1))],
            closest: Some(closest(Some(changes))),
            ..Search::default()
        }),
        search(Search {
            agents: 1,
            groups: vec![group(1, HALF, HALF)],
            closest: Some(closest(None)),
            ..Search::default()
        }),
    ];
    let with_failure = |waiting: &Waiting, failure: &str| {
        let explanation = Explanation {
            plan: text("deploy"),
            phase: text("node"),
            step: text("node-0:[server]"),
            pod: Some(PodInstance { pod_type: text("node"), index: 0 }),
            waiting: waiting.clone(),
            last_failure: text(failure),
        };
        explanation.to_string()
    };
    let words = |waiting: &Waiting| with_failure(waiting, "");
    let failure = "TASK_DROPPED: no such isolator";
    assert_eq!(
        with_failure(&Waiting::Delayed { until: Timestamp(1_500_000_000_000) }, failure),
        "deploy node-0:[server]: held back after failures until 2017-07-14T02:40:00Z; the last was TASK_DROPPED: no such isolator"
    );
    assert_eq!(
        with_failure(&Waiting::OtherPlan, failure),
        "deploy node-0:[server]: waits for another plan that works on the same pod\n  its last launch was TASK_DROPPED: no such \
         isolator"
    );
    insta::assert_snapshot!("everything_waited_for", listed(&all, waiting, words, WAITING));
}
