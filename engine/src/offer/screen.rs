//! A quick look at whether an offer can be ruled out, for the many pairs of a large cluster.
//!
//! Looks only at the free scalars of an offer, in the order in which the stages of a new pod take them. What it rules out, a full evaluation
//! (`evaluate.rs`) rules out with the same failed stages; whatever it is not sure of is left to that.
//!
//! Invariant: never rules out what a full evaluation accepts; tested against it.

use mainstay_spec::VolumeKind;

use super::requirement::Requirement;
use super::stage::OfferStage;
use super::{Offer, role};
use crate::explain::measure::{Distance, Share};
use crate::resource::{Pool, Ranges};
use crate::units::Scalar;

/// Largest number of a port.
const LAST_PORT: u64 = 65_535;
/// Takes that fit a [`Failed`].
const MAX_TAKES: usize = 64;
const NAMES: [&str; 3] = ["cpus", "mem", "disk"];

/// What an offer has free to take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Free {
    /// In the order of `NAMES`.
    scalars: [Scalar; 3],
    /// How many ports; 0 when not all of them are usable numbers.
    ports: u64,
}

impl Free {
    /// Of one offer to a service of role `main`: what pods of the offer's role can take.
    pub fn of(offer: &Offer, main: &str) -> Self {
        let offered = role::of_offer(offer, main);
        let (pool, below) = (Pool::new(offer, offered), role::refined_by(offered, main));
        let usable = |ports: &&Ranges| ports.iter().all(|(_, last)| last <= LAST_PORT);
        Self {
            scalars: NAMES.map(|name| pool.available(below, name)),
            ports: pool.ports(below).filter(usable).map_or(0, Ranges::count),
        }
    }
}

/// Which takes of a screen fail, a bit each, the first in the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed(u64);

/// What a new pod takes of an offer, in order.
#[derive(Debug)]
pub struct Screen {
    takes: Vec<Take>,
    fixed_ports: Vec<u16>,
    /// With so many free ports every port without a number finds one.
    enough_ports: u64,
}

#[derive(Debug)]
struct Take {
    /// Index into the scalars.
    at: usize,
    amount: Scalar,
    stage: OfferStage,
}

impl Screen {
    /// The takes of a pod that has nothing reserved; `None` when they are of a kind that is not looked at here.
    pub fn new(requirement: &Requirement<'_>) -> Option<Self> {
        let (pod, config) = (requirement.pod_spec, requirement.config);
        let mut screen = Self { takes: Vec::new(), fixed_ports: Vec::new(), enough_ports: 0 };
        screen.volumes(&pod.volumes)?;
        let overhead = [(0, config.executor_cpus), (2, config.executor_disk_mb), (1, config.executor_mem_mb)];
        for (at, amount) in overhead.into_iter().filter(|(_, amount)| !amount.is_zero()) {
            screen.takes.push(Take { at, amount, stage: OfferStage::Resource });
        }
        let mut tasks: Vec<_> = pod.tasks.iter().collect();
        tasks.sort_by(|left, right| left.name.cmp(&right.name));
        let mut seen: Vec<&str> = Vec::new();
        for task in tasks {
            if seen.contains(&task.resource_set.as_str()) {
                continue;
            }
            seen.push(&task.resource_set);
            let set = pod.resource_set(&task.resource_set)?;
            if set.gpus.is_some() || set.ports.iter().any(|port| !port.ranges.is_empty()) {
                return None;
            }
            // In a network of their own ports take nothing of an agent.
            let of_agent = if pod.uses_host_ports() { set.ports.as_slice() } else { &[] };
            for port in of_agent {
                match port.port {
                    Some(number) if screen.fixed_ports.contains(&number) => return None,
                    Some(number) => screen.fixed_ports.push(number),
                    None => screen.enough_ports += 1,
                }
            }
            for (at, amount) in [(0, set.cpus), (1, set.memory_mb)] {
                screen.takes.extend(amount.map(|amount| Take { at, amount, stage: OfferStage::Resource }));
            }
            screen.volumes(&set.volumes)?;
        }
        // A port that is chosen is neither 0 nor one that some task of the pod, launched or not, asks for by number.
        let asked_for = pod.resource_sets.iter().flat_map(|set| &set.ports).filter(|port| port.port.is_some()).count();
        if screen.enough_ports > 0 {
            screen.enough_ports += 1 + asked_for as u64;
        }
        (screen.takes.len() <= MAX_TAKES).then_some(screen)
    }

    fn volumes(&mut self, volumes: &[mainstay_spec::VolumeSpec]) -> Option<()> {
        for volume in volumes {
            match volume.kind {
                VolumeKind::Root => {
                    self.takes.push(Take { at: 2, amount: volume.size_mb, stage: OfferStage::Volume });
                }
                VolumeKind::Mount { .. } => return None,
            }
        }
        Some(())
    }

    /// Which takes fail on this offer; `None` when none does, or when more than these may fail.
    pub fn failed(&self, free: &Free, offer: &Offer, main: &str) -> Option<Failed> {
        let mut left = free.scalars;
        let mut failed = 0_u64;
        for (number, take) in self.takes.iter().enumerate() {
            let left = left.get_mut(take.at)?;
            // A take that fails takes nothing.
            match left.minus(take.amount) {
                Some(rest) => *left = rest,
                None => failed |= 1 << number,
            }
        }
        let has_ports = || {
            free.ports >= self.enough_ports
                && (self.fixed_ports.is_empty() || {
                    let offered = role::of_offer(offer, main);
                    let pool = Pool::new(offer, offered);
                    let ports = pool.ports(role::refined_by(offered, main));
                    self.fixed_ports.iter().all(|number| ports.is_some_and(|ports| ports.contains(u64::from(*number))))
                })
        };
        (failed != 0 && has_ports()).then_some(Failed(failed))
    }

    /// How far an offer is from taking the pod of which these takes fail.
    pub fn distance(&self, failed: Failed, free: &Free) -> Distance {
        let lacking = |(at, left): (usize, Scalar)| {
            let takes = self.takes.iter().enumerate().filter(|(_, take)| take.at == at);
            let (mut left, mut short, mut wanted) = (left, Scalar::ZERO, Scalar::ZERO);
            for (number, take) in takes {
                wanted = wanted.plus(take.amount);
                if failed.0 & (1 << number) == 0 {
                    left = left.minus(take.amount).unwrap_or(Scalar::ZERO);
                } else {
                    short = short.plus(take.amount);
                }
            }
            (!short.is_zero()).then(|| Share::of(short.minus(left).unwrap_or(Scalar::ZERO), wanted))
        };
        free.scalars.iter().copied().enumerate().filter_map(lacking).collect()
    }

    /// The stages that fail, in order, each with the resource it looks for.
    pub fn stages(&self, failed: Failed) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.takes
            .iter()
            .enumerate()
            .filter(move |(number, _)| failed.0 & (1 << number) != 0)
            .map(|(_, take)| (take.stage.as_str(), NAMES.get(take.at).copied().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use mainstay_spec::PodSpec;
    use proptest::prelude::*;

    use super::*;
    use crate::explain::obstacle;
    use crate::offer::evaluate::evaluate;
    use crate::offer::fixture::{self, ROLE, World, pod, port, root_volume, scalar, set, units};
    use crate::offer::requirement::Recovery;
    use crate::resource::Value;

    /// What both say about one offer.
    #[track_caller]
    fn compare(pod: PodSpec, offer: &Offer) {
        let world = World::new(pod);
        let mut ids = world.ids.clone();
        let screened = world.with_requirement(&["server", "agent"], Recovery::None, |requirement| {
            let screen = Screen::new(requirement)?;
            let failed = screen.failed(&Free::of(offer, ROLE), offer, ROLE)?;
            let distance = screen.distance(failed, &Free::of(offer, ROLE));
            Some((screen.stages(failed).collect::<Vec<_>>(), distance))
        });
        let (report, (passed, far)) = world.with_requirement(&["server", "agent"], Recovery::None, |requirement| {
            let evaluation = evaluate(requirement, offer, &mut ids);
            let passed = evaluation.passed();
            let distance = obstacle::distance(&evaluation.report, requirement, offer);
            (evaluation.report, (passed, distance))
        });
        if let Some((stages, distance)) = screened {
            assert_eq!(distance, far);
            let obstacles: Vec<_> = report
                .obstacles()
                .into_iter()
                .map(|one| (one.stage, one.reason.shortfall().map_or("", |shortfall| shortfall.name)))
                .collect();
            assert_eq!(stages, obstacles, "{}", report.render(1, "step", offer));
            assert!(!passed);
        }
    }

    fn roomy_ports(ranges: &[(u64, u64)]) -> crate::resource::Resource {
        fixture::resource("ports", Value::Ranges(Ranges::new(ranges.iter().copied())))
    }

    #[test]
    fn what_lacks_cpu_is_ruled_out_with_its_stages() {
        let offer = fixture::offer(vec![
            scalar("cpus", crate::units::Scalar::from_millis(700)),
            scalar("mem", units(100)),
            scalar("disk", units(5000)),
            roomy_ports(&[(8000, 9000)]),
        ]);
        let world = World::new(pod());
        let stages = world.with_requirement(&["server", "agent"], Recovery::None, |requirement| {
            let screen = Screen::new(requirement).unwrap();
            let failed = screen.failed(&Free::of(&offer, ROLE), &offer, ROLE).unwrap();
            screen.stages(failed).collect::<Vec<_>>()
        });
        let stage = "ResourceEvaluationStage";
        assert_eq!(stages, [(stage, "mem"), (stage, "cpus"), (stage, "mem")]);
        compare(pod(), &offer);
    }

    proptest! {
        #[test]
        fn a_screen_and_an_evaluation_agree(
            cpus in 0_u64..2000,
            mem in 0_u64..400,
            disk in 0_u64..2000,
            ports in proptest::collection::vec((8078_u64..8084, 0_u64..3), 0..3),
            has_fixed in any::<bool>(),
            dynamic in 0_usize..3,
            volume in 1_u64..1500,
        ) {
            let offer = fixture::offer(vec![
                scalar("cpus", crate::units::Scalar::from_millis(cpus)),
                scalar("mem", units(mem)),
                scalar("disk", units(disk)),
                roomy_ports(&ports.iter().map(|(first, more)| (*first, first + more)).collect::<Vec<_>>()),
            ]);
            let mut wanted = set("agent-set");
            wanted.volumes = vec![root_volume("more", volume)];
            wanted.ports = (0..dynamic).map(|at| port(&format!("p{at}"), None)).collect();
            if has_fixed {
                wanted.ports.push(port("fixed", Some(8080)));
            }
            let mut pod = pod();
            pod.resource_sets.truncate(1);
            for set in &mut pod.resource_sets {
                set.ports.retain(|port| port.port.is_none());
            }
            pod.resource_sets.push(wanted);
            compare(pod, &offer);
        }
    }
}
