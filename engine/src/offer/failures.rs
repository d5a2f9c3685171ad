//! Every reason for which a stage can fail, out of an evaluation that fails with it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_proto::v1;
use mainstay_spec::placement::{Key, Neighbour, Rule};
use mainstay_spec::{NetworkSpec, PodSpec, PortRange, PortSpec, ResourceSet};

use super::fixture::Evaluated;
use super::fixture::{World, mount_volume, pod, port, redact, root_volume, scalar, set, task, units};
use super::reason::Reason;
use super::reason::tests::{all, variant};
use super::report::Outcome;
use super::requirement::Recovery;
use crate::ids::{PodInstance, TaskName};
use crate::state::Task;

/// Whether a stage or rule can fail with it. Without a wildcard: a new reason has to be put on one side.
const fn can_fail(reason: &Reason) -> bool {
    match reason {
        Reason::ExecutorMissing { .. }
        | Reason::ExecutorForeign { .. }
        | Reason::ExecutorEnding { .. }
        | Reason::ExecutorElsewhere { .. }
        | Reason::UnknownRule
        | Reason::MatchesNot { .. }
        | Reason::KeyAbsent { .. }
        | Reason::MaxReached { .. }
        | Reason::Unbalanced { .. }
        | Reason::OtherValuesFirst { .. }
        | Reason::RegionRemote { .. }
        | Reason::AgentMatchesNot { .. }
        | Reason::NotBeside { .. }
        | Reason::NotAway { .. }
        | Reason::Negated
        | Reason::RulesPassing { .. }
        | Reason::ChildrenFailed
        | Reason::Insufficient(_)
        | Reason::ReservedMissing { .. }
        | Reason::GrowthInsufficient { .. }
        | Reason::PortMissing { .. }
        | Reason::PortTaken { .. }
        | Reason::NoPortLeft { .. }
        | Reason::NoPortOfNetwork { .. }
        | Reason::VolumeInsufficient { .. }
        | Reason::NoMount { .. }
        | Reason::VolumeMissing { .. } => true,
        Reason::ExecutorNew { .. }
        | Reason::ExecutorFound { .. }
        | Reason::NoPlacementRule
        | Reason::PlacementKept
        | Reason::Matches { .. }
        | Reason::KeyAbsentAllowed { .. }
        | Reason::BelowMax { .. }
        | Reason::Balanced { .. }
        | Reason::RegionLocal
        | Reason::RegionAbsent
        | Reason::RegionUnknown
        | Reason::AgentMatches
        | Reason::NoPodOfType
        | Reason::Beside { .. }
        | Reason::Away { .. }
        | Reason::ChildrenPassed
        | Reason::Sufficient { .. }
        | Reason::Reserved { .. }
        | Reason::Grown { .. }
        | Reason::Shrunk { .. }
        | Reason::OfRunningExecutor { .. }
        | Reason::PortNew { .. }
        | Reason::PortReserved { .. }
        | Reason::PortOfNetwork { .. }
        | Reason::VolumeNew { .. }
        | Reason::VolumeReserved { .. }
        | Reason::VolumeCreatedAgain { .. }
        | Reason::VolumeOfRunningExecutor { .. }
        | Reason::Launch { .. }
        | Reason::Footprint { .. }
        | Reason::Unchanged { .. }
        | Reason::OrphanUnreserved { .. }
        | Reason::OrphanDestroyed { .. }
        | Reason::OrphanAbsent { .. } => false,
    }
}

/// The first failure of each kind, as its line in a report.
#[derive(Default)]
struct Failures(BTreeMap<String, String>);

impl Failures {
    fn add(&mut self, evaluation: &Evaluated) {
        assert_eq!(evaluation.accepted, None);
        evaluation.report.outcomes.iter().for_each(|outcome| self.outcome(outcome));
    }

    fn outcome(&mut self, outcome: &Outcome) {
        if !outcome.passed {
            let line = || redact(&format!("FAIL({}): {}", outcome.stage, outcome.reason));
            self.0.entry(variant(&outcome.reason)).or_insert_with(line);
        }
        outcome.children.iter().for_each(|child| self.outcome(child));
    }
}

fn one(wanted: ResourceSet) -> World {
    let tasks = vec![task("server", "s")];
    World::new(PodSpec { uris: Vec::new(), volumes: Vec::new(), resource_sets: vec![wanted], tasks, ..pod() })
}

/// Rules against an agent `host1` in rack `r1` of region `west`, beside two pods of the type and one of another.
fn placement(failures: &mut Failures) {
    let mut template = one(set("s"));
    template.launch(&["server"], Recovery::None);
    let template = template.stored.remove(0);
    let stored = |pod_type: &str, index: u32, rack: &str, hostname: &str| Task {
        name: TaskName::parse(format!("{pod_type}-{index}-server")).unwrap(),
        pod: PodInstance { pod_type: pod_type.into(), index },
        hostname: Some(hostname.into()),
        agent_id: crate::ids::AgentId::parse(if hostname == "host1" { "agent-1" } else { "agent-2" }).unwrap(),
        attributes: vec![("rack".into(), rack.into())],
        ..template.clone()
    };
    let others = [
        stored("hello", 1, "r1", "host1"),
        stored("hello", 2, "r1", "host2"),
        stored("hello", 3, "r2", "host2"),
        stored("world", 0, "r2", "host2"),
    ];
    let parsed = |text: &str| Rule::parse(text, "hello").unwrap().unwrap();
    let neighbour = |pod_type: &str, neighbour| Rule::PodType { pod_type: pod_type.into(), neighbour };
    let rules = [
        parsed("hostname:IS:host2"),
        parsed("@zone:IS:z"),
        parsed("hostname:UNLIKE:host[12]"),
        parsed("rack:GROUP_BY"),
        parsed("rack:MAX_PER:2,rack:IS:r1"),
        Rule::RoundRobin {
            key: Key::Hostname,
            expected: Some(3),
            counted: mainstay_spec::placement::Counted::Pods("hello".into()),
        },
        Rule::Unknown("{}".into()),
        Rule::LocalRegion,
        Rule::Agent("agent-2".into()),
        neighbour("world", Neighbour::Colocate),
        neighbour("hello", Neighbour::Avoid),
    ];
    for (at, rule) in rules.into_iter().enumerate() {
        let mut world = one(set("s"));
        // The last of the first pods leaves each host with one, so that only the number of hosts is wrong.
        world.others = others
            .iter()
            .enumerate()
            .filter(|(other, _)| at != 5 || *other != 2)
            .map(|(_, task)| task.clone())
            .collect();
        world.local_region = matches!(rule, Rule::LocalRegion).then(|| "east".into());
        world.pod_mut().placement = Some(rule);
        failures.add(&world.evaluate(&["server"], Recovery::None));
    }
}

/// A pod that is new, on an agent where next to nothing is left.
fn new_pod(failures: &mut Failures) {
    let mut world = one(ResourceSet {
        ports: vec![port("fixed", Some(80)), port("any", None)],
        volumes: vec![root_volume("data", 900), mount_volume("fast", 500)],
        ..set("s")
    });
    world.master.free = vec![scalar("cpus", units(4)), scalar("disk", units(1000))];
    failures.add(&world.evaluate(&["server"], Recovery::None));
}

/// A pod that has reservations.
fn placed_pod(failures: &mut Failures) {
    let placed = || {
        let mut world = one(ResourceSet {
            ports: vec![port("fixed", Some(8080))],
            volumes: vec![root_volume("data", 100)],
            ..set("s")
        });
        world.launch(&["server"], Recovery::None);
        world
    };
    let mut elsewhere = placed();
    elsewhere.end();
    elsewhere.master.free = super::fixture::roomy();
    failures.add(&elsewhere.evaluate(&["server"], Recovery::Transient));

    let mut grown = placed();
    grown.end();
    grown.pod_mut().resource_sets.first_mut().unwrap().cpus = Some(units(9));
    failures.add(&grown.evaluate(&["server"], Recovery::None));

    let mut ending = placed();
    ending.end();
    let mut offer = ending.offer();
    offer.executor_ids = ending.stored.iter().filter_map(|task| Some(task.executor.as_ref()?.id.clone())).collect();
    failures.add(&ending.evaluate_offer(&offer, &["server"], Recovery::Transient));
}

/// A task that joins the executor of another one that runs.
fn running_executor(failures: &mut Failures) {
    let running = || {
        let mut world = World::new(pod());
        world.launch(&["server", "agent"], Recovery::None);
        world
    };
    let mut gone = running();
    let mut offer = gone.offer();
    offer.executor_ids.clear();
    failures.add(&gone.evaluate_offer(&offer, &["agent"], Recovery::Transient));

    let mut foreign = running();
    for executor in foreign.stored.iter_mut().filter_map(|task| task.executor.as_mut()).map(Arc::make_mut) {
        let mut wire = <v1::ExecutorInfo as prost::Message>::decode(executor.info.clone()).unwrap();
        wire.command = None;
        wire.r#type = Some(v1::executor_info::Type::Default as i32);
        executor.info = prost::Message::encode_to_vec(&wire).into();
    }
    failures.add(&foreign.evaluate(&["agent"], Recovery::Transient));

    let mut elsewhere = running();
    elsewhere.pod_mut().image = Some("busybox".into());
    failures.add(&elsewhere.evaluate(&["agent"], Recovery::None));
}

/// A pod in a network of its own that has no number left.
fn network(failures: &mut Failures) {
    let taken = PortSpec { ranges: vec![PortRange { begin: 80, end: 80 }], ..port("any", None) };
    let mut world = one(ResourceSet { ports: vec![port("fixed", Some(80)), taken], ..set("s") });
    world.pod_mut().networks = vec![NetworkSpec { name: "dcos".into(), ..NetworkSpec::default() }];
    failures.add(&world.evaluate(&["server"], Recovery::None));
}

#[test]
fn every_reason_to_fail_comes_out_of_an_evaluation() {
    let mut failures = Failures::default();
    placement(&mut failures);
    new_pod(&mut failures);
    placed_pod(&mut failures);
    running_executor(&mut failures);
    network(&mut failures);
    let lines: Vec<_> = failures.0.iter().map(|(name, line)| format!("{name} -> {line}")).collect();
    insta::assert_snapshot!("every_failure", lines.join("\n"));
    let mut expected: Vec<_> = all().iter().filter(|reason| can_fail(reason)).map(variant).collect();
    expected.sort();
    expected.dedup();
    assert_eq!(failures.0.into_keys().collect::<Vec<_>>(), expected);
}
