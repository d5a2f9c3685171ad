//! Offers as no master should send them, taken the whole way: bytes, conversion, the engine, and what it answers.
//!
//! Whatever is in them: nothing panics, every offer whose id can be read is answered once, an ACCEPT uses only what was offered, and nothing that
//! is not ours is unreserved or destroyed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mainstay_devcluster::model::resources::{self, Resources, ranges, scalar};
use mainstay_engine::Engine;
use mainstay_engine::config::Config;
use mainstay_engine::effect::{Call, Effects};
use mainstay_engine::event::{Event, Master};
use mainstay_engine::ids::{AgentId, FrameworkId, Generator};
use mainstay_engine::journal::Entry;
use mainstay_engine::units::Timestamp;
use mainstay_proto::v1 as wire;
use mainstay_proto::v1::offer::operation;
use mainstay_proto::v1::resource::disk_info::{Persistence, Source, source};
use mainstay_proto::v1::resource::reservation_info::Type as ReservationType;
use mainstay_proto::v1::resource::{AllocationInfo, DiskInfo, ReservationInfo};
use mainstay_proto::v1::scheduler::{self, event};
use mainstay_scheduler::mesos::convert::{self, Incoming};
use proptest::prelude::*;
use prost::Message as _;

const ROLE: &str = "hello-role";
const FRAMEWORK: &str = "framework-1";

const SERVICE: &str = "
name: hello
pods:
  node:
    count: 2
    tasks:
      main:
        goal: RUNNING
        cmd: run
        cpus: 0.5
        memory: 64
        ports: {fixed: {port: 31005}, any: {port: 0}}
        volumes:
          root: {path: root, type: ROOT, size: 50}
          mount: {path: mount, type: MOUNT, size: 100}
plans:
  deploy:
    strategy: parallel
    phases:
      all: {strategy: parallel, pod: node}
";

fn engine() -> Engine {
    let source = mainstay_spec::Source { file_name: "svc.yml", text: SERVICE };
    let spec = mainstay_spec::load(source, &BTreeMap::new(), &|path| Err(format!("no file {path}")));
    let spec = spec.unwrap_or_else(|report| panic!("{report}")).spec;
    let config = Config::new(ROLE, "scheduler", 1);
    let (mut engine, _) = Engine::start(config, spec, BTreeMap::new(), Generator::seeded(1), Timestamp(1)).unwrap();
    let framework_id = FrameworkId::parse(FRAMEWORK).unwrap();
    engine.step(Event::Subscribed { framework_id, master: Master::default() }, Timestamp(2));
    engine
}

fn offer(number: usize, resources: Vec<wire::Resource>) -> wire::Offer {
    let allocation = AllocationInfo { role: Some(ROLE.to_owned()) };
    wire::Offer {
        id: wire::OfferId { value: format!("o{number}") },
        framework_id: wire::FrameworkId { value: FRAMEWORK.to_owned() },
        agent_id: wire::AgentId { value: format!("a{number}") },
        hostname: format!("host-{number}"),
        resources: resources
            .into_iter()
            .map(|one| wire::Resource {
                allocation_info: one.allocation_info.or_else(|| Some(allocation.clone())),
                ..one
            })
            .collect(),
        allocation_info: Some(allocation),
        ..Default::default()
    }
}

fn mount(size: f64, path: &str) -> wire::Resource {
    sourced(source::Type::Mount as i32, size, path)
}

fn sourced(kind: i32, size: f64, path: &str) -> wire::Resource {
    let source = Source {
        r#type: kind,
        mount: (kind == source::Type::Mount as i32).then(|| source::Mount { root: Some(path.to_owned()) }),
        ..Default::default()
    };
    wire::Resource {
        disk: Some(Box::new(DiskInfo { source: Some(Box::new(source)), ..Default::default() })),
        ..scalar("disk", size)
    }
}

/// What a pod fits into.
fn good(number: usize) -> Vec<wire::Resource> {
    vec![
        scalar("cpus", 4.0),
        scalar("mem", 4096.0),
        scalar("disk", 8192.0),
        ranges("ports", &[(31_000, 31_010)]),
        mount(200.0, &format!("/m{number}")),
    ]
}

fn reserved(kind: ReservationType, role: &str, labels: &[(&str, &str)], one: wire::Resource) -> wire::Resource {
    let labels: Vec<_> = labels
        .iter()
        .map(|(key, value)| wire::Label { key: (*key).to_owned(), value: Some((*value).to_owned()) })
        .collect();
    let layer = ReservationInfo {
        r#type: Some(kind.into()),
        role: Some(role.to_owned()),
        principal: Some("hello-principal".to_owned()),
        labels: (!labels.is_empty()).then(|| Box::new(wire::Labels { labels })),
    };
    let mut one = one;
    one.reservations.push(layer);
    one
}

fn volume(id: &str, one: wire::Resource) -> wire::Resource {
    let mut one = one;
    one.disk.get_or_insert_default().persistence =
        Some(Box::new(Persistence { id: id.to_owned(), ..Default::default() }));
    one
}

/// Something odd; the number decides the details.
fn odd(kind: u8, number: u64) -> Vec<wire::Resource> {
    let amount = (number % 700) as f64 / 100.0;
    let base = 31_000 + number % 12;
    let of = |role, labels: &[(&str, &str)]| reserved(ReservationType::Dynamic, role, labels, scalar("cpus", amount));
    match kind {
        0 => vec![scalar("cpus", -amount)],
        1 => vec![scalar("mem", f64::NAN)],
        2 => vec![scalar("disk", f64::INFINITY)],
        3 => vec![scalar("cpus", amount), scalar("cpus", amount)],
        4 => vec![ranges("ports", &[(base, base + 4), (base + 2, base + 6)])],
        5 => vec![ranges("ports", &[(base, base + 4)]), ranges("ports", &[(base, base + 4)])],
        6 => vec![wire::Resource { r#type: 9, ..scalar("what", amount) }],
        7 => vec![sourced(9, 500.0, "/x"), sourced(source::Type::Path as i32, 500.0, "/y")],
        8 => vec![of("somebody", &[("resource_id", "theirs")])],
        9 => vec![of(ROLE, &[])],
        10 => vec![of(ROLE, &[("resource_id", "another"), ("framework_id", "framework-2")])],
        11 => vec![of(ROLE, &[("resource_id", "ours"), ("framework_id", FRAMEWORK)])],
        12 => vec![volume("", of(ROLE, &[("resource_id", "ours")]))],
        13 => vec![volume("v", reserved(ReservationType::Dynamic, "somebody", &[], scalar("disk", 300.0)))],
        14 => {
            let labels = [("resource_id", "ours-volume"), ("framework_id", FRAMEWORK)];
            vec![volume("v-ours", reserved(ReservationType::Dynamic, ROLE, &labels, scalar("disk", 300.0)))]
        }
        15 => {
            vec![wire::Resource { revocable: Some(wire::resource::RevocableInfo::default()), ..scalar("cpus", amount) }]
        }
        16 => vec![wire::Resource { shared: Some(wire::resource::SharedInfo::default()), ..scalar("disk", 900.0) }],
        17 => vec![wire::Resource {
            allocation_info: Some(AllocationInfo { role: Some("somebody".to_owned()) }),
            ..scalar("cpus", amount)
        }],
        18 => vec![scalar("cpus", 9e15), scalar("mem", 9e12), scalar("mem", 9e12)],
        19 => vec![scalar("cpus", 0.0004), scalar("disk", 0.0)],
        20 => vec![scalar("ports", 31_005.0)],
        21 => vec![ranges("cpus", &[(1, 4)])],
        22 => vec![ranges("ports", &[(base + 4, base)])],
        23 => (0..200).map(|at| ranges("ports", &[(31_001 + 2 * at, 31_001 + 2 * at)])).collect(),
        24 => vec![ranges("ports", &[(0, 0), (65_530, 70_000), (u64::MAX, u64::MAX)])],
        25 => vec![mount(amount * 50.0, "/m-extra"), mount(amount * 50.0, "/m-extra")],
        26 => vec![reserved(ReservationType::Static, "somebody", &[], scalar("cpus", amount))],
        27 => vec![reserved(ReservationType::Dynamic, "*", &[], scalar("cpus", amount))],
        28 => vec![reserved(ReservationType::Unknown, ROLE, &[("resource_id", "r")], scalar("cpus", amount))],
        29 => vec![scalar("", 1.0)],
        _ => vec![wire::Resource { scalar: None, ..scalar("cpus", 1.0) }],
    }
}

fn read(offers: Vec<wire::Offer>) -> Incoming {
    let event = scheduler::Event {
        r#type: Some(event::Type::Offers.into()),
        offers: Some(Box::new(event::Offers { offers })),
        ..Default::default()
    };
    convert::incoming(event.encode_to_vec().into()).unwrap()
}

/// Both kinds, in the order of the client.
fn feed(engine: &mut Engine, offers: Vec<wire::Offer>, now: u64) -> Vec<Effects> {
    let Incoming::Offers { offers, malformed } = read(offers) else { panic!("offers") };
    let mut effects = Vec::new();
    if !malformed.is_empty() {
        effects.push(engine.step(Event::MalformedOffers(malformed), Timestamp(now)));
    }
    effects.push(engine.step(Event::Offers(offers), Timestamp(now)));
    effects
}

fn is_ours(resource: &wire::Resource) -> bool {
    let label = |key: &str| {
        let labels = resource.reservations.last()?.labels.as_ref()?;
        labels.labels.iter().find(|label| label.key == key)?.value.clone()
    };
    resources::reservation_role(resource) == Some(ROLE)
        && label("resource_id").is_some()
        && label("framework_id").is_none_or(|owner| owner == FRAMEWORK)
}

/// Carries an operation out on what was offered, as the master would; an error where it would refuse.
fn apply(operation: &wire::offer::Operation, pool: &mut Resources) -> Result<(), String> {
    let mut swap = |old: wire::Resource, new: Option<wire::Resource>| {
        if !pool.subtract(&old) {
            return Err(format!("{old:?} is not there"));
        }
        pool.add_all(new);
        Ok(())
    };
    match operation.r#type() {
        operation::Type::Reserve => operation
            .reserve
            .as_ref()
            .unwrap()
            .resources
            .iter()
            .try_for_each(|one| swap(resources::pop_reservation(one), Some(one.clone()))),
        operation::Type::Create => operation
            .create
            .as_ref()
            .unwrap()
            .volumes
            .iter()
            .try_for_each(|one| swap(resources::strip_volume(one), Some(one.clone()))),
        operation::Type::Destroy => operation.destroy.as_ref().unwrap().volumes.iter().try_for_each(|one| {
            if !is_ours(one) {
                return Err(format!("{one:?} is destroyed and is not ours"));
            }
            swap(one.clone(), Some(resources::strip_volume(one)))
        }),
        operation::Type::Unreserve => operation.unreserve.as_ref().unwrap().resources.iter().try_for_each(|one| {
            if !is_ours(one) {
                return Err(format!("{one:?} is unreserved and is not ours"));
            }
            swap(one.clone(), Some(resources::pop_reservation(one)))
        }),
        operation::Type::LaunchGroup => {
            let group = operation.launch_group.as_ref().unwrap();
            let tasks = group.task_group.tasks.iter().flat_map(|task| &task.resources);
            tasks.chain(&group.executor.resources).try_for_each(|one| swap(one.clone(), None))
        }
        other => Err(format!("unexpected {other:?}")),
    }
}

/// Every answer against the offers; the number of pods launched.
fn check(offers: &[wire::Offer], effects: &[Effects]) -> Result<usize, String> {
    let mut answered: BTreeMap<String, u32> = BTreeMap::new();
    let mut launched = 0;
    for call in effects.iter().flat_map(|effects| &effects.send) {
        match call {
            Call::Decline { offers, .. } => {
                for id in offers {
                    *answered.entry(id.to_string()).or_default() += 1;
                }
            }
            Call::Accept { offers: ids, operations, .. } => {
                let mut pool = Resources::default();
                for id in ids {
                    *answered.entry(id.to_string()).or_default() += 1;
                    let offer = offers.iter().find(|offer| offer.id.value == id.as_str()).ok_or("no such offer")?;
                    pool.add_all(offer.resources.iter().cloned());
                }
                for operation in operations {
                    apply(operation, &mut pool)?;
                    launched += usize::from(operation.launch_group.is_some());
                }
            }
            _ => {}
        }
    }
    for offer in offers.iter().filter(|offer| !offer.id.value.is_empty()) {
        if answered.get(&offer.id.value) != Some(&1) {
            return Err(format!("offer {} is answered {:?} times", offer.id.value, answered.get(&offer.id.value)));
        }
    }
    Ok(launched)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_offered_an_accept_uses_only_that(
        batches in proptest::collection::vec(
            proptest::collection::vec(
                (proptest::collection::vec((0_u8..31, any::<u64>()), 0..5), 0_usize..8, 0_u8..20),
                1..4,
            ),
            1..3,
        ),
    ) {
        let mut engine = engine();
        for (turn, batch) in batches.into_iter().enumerate() {
            let mut offers = Vec::new();
            for (at, (odds, missing, damage)) in batch.into_iter().enumerate() {
                let number = 10 * turn + at;
                let mut what = good(number);
                if missing < what.len() {
                    what.remove(missing);
                }
                for (kind, number) in odds {
                    let front = number % 2 == 0;
                    let more = odd(kind, number);
                    if front { what.splice(0..0, more); } else { what.extend(more); }
                }
                let mut offer = offer(number, what);
                match damage {
                    0 => offer.agent_id.value.clear(),
                    1 => offer.id.value.clear(),
                    2 => offer.allocation_info = None,
                    3 => offer.hostname.clear(),
                    // The same agent twice.
                    4 => offer.agent_id.value = format!("a{}", 10 * turn),
                    _ => {}
                }
                offers.push(offer);
            }
            let effects = feed(&mut engine, offers.clone(), 10 + 1000 * turn as u64);
            let checked = check(&offers, &effects);
            prop_assert!(checked.is_ok(), "{}", checked.unwrap_err());
        }
    }
}

/// Each kind of bad input beside an offer that is good: what becomes of it, and where an operator sees it.
#[test]
fn each_kind_of_bad_offer_is_declined_and_counted_or_its_part_is_ignored() {
    // What `failureReasons` counts it under; nothing where only the part is of no use.
    let expected: [(u8, Option<&str>); 31] = [
        (0, Some("amount out of bounds")),
        (1, Some("amount out of bounds")),
        (2, Some("amount out of bounds")),
        (3, None),
        (4, Some("overlapping ranges")),
        (5, None),
        (6, Some("resource without a value of its type")),
        (7, None),
        (8, None),
        (9, None),
        (10, None),
        (11, None),
        (12, Some("volume without a usable id")),
        (13, None),
        (14, None),
        (15, None),
        (16, None),
        (17, None),
        (18, Some("amount out of bounds")),
        (19, None),
        (20, None),
        (21, None),
        (22, Some("backward range")),
        (23, None),
        (24, None),
        (25, None),
        (26, None),
        (27, Some("reservation without a role")),
        (28, Some("unknown kind of reservation")),
        (29, Some("resource without a name")),
        (30, Some("resource without a value of its type")),
    ];
    for (kind, reason) in expected {
        let mut engine = engine();
        let mut what = good(0);
        what.extend(odd(kind, 250));
        let offers = vec![offer(0, what)];
        let effects = feed(&mut engine, offers.clone(), 10);
        let launched = check(&offers, &effects).unwrap_or_else(|problem| panic!("{kind}: {problem}"));
        assert_eq!(launched, usize::from(reason.is_none()), "{kind}: launched beside it");
        let counted: Vec<_> = engine.view().outcomes.failure_reasons.clone().into_iter().collect();
        let wanted: Vec<_> = reason.iter().map(|reason| (format!("MalformedOffer: {reason}"), 1)).collect();
        assert_eq!(counted, wanted, "{kind}");
        let is_told = |effects: &[Effects]| {
            effects
                .iter()
                .flat_map(|one| &one.journal)
                .filter(|one| matches!(one, Entry::OffersMalformed { .. }))
                .count()
        };
        assert_eq!(is_told(&effects), usize::from(reason.is_some()), "{kind}");
        if reason.is_some() {
            // The same again: counted, and not told.
            let effects = feed(&mut engine, offers.clone(), 20);
            check(&offers, &effects).unwrap();
            assert_eq!(is_told(&effects), 0, "{kind}");
            assert_eq!(engine.view().outcomes.failure_reasons.values().sum::<u64>(), 2, "{kind}");
        }
    }
    // An offer of which not even the id can be read cannot be declined.
    let mut engine = engine();
    let mut bad = offer(0, good(0));
    bad.id.value.clear();
    let effects = feed(&mut engine, vec![bad], 10);
    assert!(
        effects
            .iter()
            .flat_map(|one| &one.send)
            .all(|call| !matches!(call, Call::Decline { .. } | Call::Accept { .. }))
    );
    assert_eq!(engine.view().outcomes.failure_reasons.get("MalformedOffer: bad identifier"), Some(&1));
}

/// Mesos requires a hostname of every offer. Rules about hostnames would pass without one, and tasks be launched where nobody finds them.
#[test]
fn an_offer_without_a_hostname_is_declined_and_counted() {
    let mut engine = engine();
    let mut bad = offer(0, good(0));
    bad.hostname.clear();
    let offers = vec![bad, offer(1, good(1))];
    let effects = feed(&mut engine, offers.clone(), 10);
    assert_eq!(check(&offers, &effects), Ok(1), "launched on the good one only");
    let accepts = effects.iter().flat_map(|one| &one.send).filter_map(|call| match call {
        Call::Accept { offers, .. } => Some(offers.iter().map(ToString::to_string).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(accepts.collect::<Vec<_>>(), [["o1".to_owned()]]);
    let counted: Vec<_> = engine.view().outcomes.failure_reasons.clone().into_iter().collect();
    assert_eq!(counted, [("MalformedOffer: offer without a hostname".to_owned(), 1)]);
}

/// Agents come and go under ever new ids: what is counted for one ends with it.
#[test]
fn what_is_counted_of_an_agent_is_forgotten_with_it() {
    let mut engine = engine();
    let offers = vec![offer(0, vec![scalar("cpus", 0.1)]), offer(1, vec![scalar("cpus", 0.1)])];
    check(&offers, &feed(&mut engine, offers.clone(), 10)).unwrap();
    let before = engine.view().outcomes.clone();
    assert_eq!(before.rejected_agents.keys().collect::<Vec<_>>(), ["a0", "a1"]);
    engine.step(Event::AgentLost(AgentId::parse("a0").unwrap()), Timestamp(20));
    let after = engine.view().outcomes.clone();
    assert_eq!(after.rejected_agents.keys().collect::<Vec<_>>(), ["a1"]);
    assert_eq!((after.rejected, &after.failure_reasons), (before.rejected, &before.failure_reasons));
}

/// An agent that is offered twice in one batch is taken at its last word; the first offer is given back for the next allocation to join.
#[test]
fn the_last_offer_of_an_agent_and_role_in_a_batch_counts() {
    let mut engine = engine();
    let mut offers = vec![offer(0, good(0)), offer(1, good(1)), offer(2, good(2)), offer(3, good(3))];
    for one in &mut offers {
        one.agent_id.value = "a".to_owned();
    }
    let other = Some(AllocationInfo { role: Some("other".to_owned()) });
    offers[3].resources.iter_mut().for_each(|one| one.allocation_info.clone_from(&other));
    offers[3].allocation_info = other;
    let effects = feed(&mut engine, offers.clone(), 10);
    assert_eq!(check(&offers, &effects), Ok(1));
    let calls = effects.iter().flat_map(|one| &one.send).filter_map(|call| match call {
        Call::Decline { offers, refuse } => Some((refuse.0 / 1000, offers.iter().map(ToString::to_string).collect())),
        Call::Accept { offers, .. } => Some((0, offers.iter().map(ToString::to_string).collect::<Vec<_>>())),
        _ => None,
    });
    let expected = [(1, vec!["o0", "o1"]), (0, vec!["o2"]), (5, vec!["o3"])];
    assert_eq!(
        calls.collect::<Vec<_>>(),
        expected.map(|(secs, ids)| (secs, ids.into_iter().map(str::to_owned).collect()))
    );
}

/// Ports in a hundred thousand pieces, of which none will do, or one.
#[test]
fn a_hundred_thousand_port_fragments_cost_a_moment() {
    for last in [31_005, 131_071] {
        let mut engine = engine();
        let mut what = good(0);
        what.retain(|one| one.name != "ports");
        let odd_numbers: Vec<(u64, u64)> = (0..100_000).map(|at| (2 * at + 1, 2 * at + 1)).collect();
        let kept: Vec<(u64, u64)> = odd_numbers.into_iter().filter(|(at, _)| last == *at || *at != 31_005).collect();
        what.push(ranges("ports", &kept));
        let offers = vec![offer(0, what)];
        let since = Instant::now();
        let effects = feed(&mut engine, offers.clone(), 10);
        let took = since.elapsed();
        assert_eq!(check(&offers, &effects), Ok(usize::from(last == 31_005)));
        assert!(took < Duration::from_secs(5), "{took:?}, in a build without optimisation");
    }
}
