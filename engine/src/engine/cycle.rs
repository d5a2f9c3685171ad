//! One batch of offers and what was found out about it so far.
//!
//! Steps that want the same (a pod type has many instances) share one scan: an offer that was too small for the first is not looked at again
//! for the others, yet every rejection is counted for every step. A counting placement rule sees each launch, so its scans end with one.
//!
//! Invariant: an offer is passed over only if a full evaluation for this very step would reject it, or if it is made to another role than
//! the step's; that one is no rejection.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::waits::{Misfit, Nearest};
use crate::explain::measure::Distance;
use crate::explain::obstacle;
use crate::ids::{AgentId, ConfigId, Generator, ResourceId};
use crate::offer::Offer;
use crate::offer::evaluate::evaluate;
use crate::offer::placement::{self, Rule};
use crate::offer::refusal::Refusal;
use crate::offer::report::{Outcome, Report};
use crate::offer::requirement::{Accepted, Requirement};
use crate::offer::role;
use crate::offer::screen::{Failed, Free, Screen};
use crate::offer::stage::OfferStage;
use crate::view::Outcomes;

/// Steps of equal class get equal answers.
pub(crate) type Class = (ConfigId, String, Vec<String>);

/// A batch of offers.
pub(super) struct Cycle {
    /// Of the service; pods that refine another role have one of their own.
    role: String,
    /// `None` once used.
    offers: Vec<Option<Offer>>,
    /// Of each offer; made when first asked for.
    free: Vec<Free>,
    /// Where the offers of each agent are; made when first asked for.
    by_agent: Option<BTreeMap<AgentId, Vec<usize>>>,
    scans: BTreeMap<Class, Scan>,
    /// What steps whose scan was not kept made of each offer.
    refusals: Vec<Refusal>,
    /// Evaluations that may still be told in full.
    reports: usize,
    /// Rejections of offers that are gone, and of steps whose scan was not kept.
    rejected_agents: BTreeMap<AgentId, u64>,
    rejected: u64,
    failure_reasons: BTreeMap<&'static str, u64>,
}

/// What one class of steps found.
#[derive(Default)]
struct Scan {
    is_counting: bool,
    /// Of its steps; offers to others are of no interest.
    role: String,
    /// Offers before this index have been looked at.
    next: usize,
    /// Why each offer was rejected: index into `kinds` plus one; 0 is not rejected, or gone.
    verdicts: Vec<u16>,
    /// How far each rejected offer is from fitting.
    distances: Vec<Distance>,
    kinds: Vec<Kind>,
    /// The last kind a screen came to.
    screened: Option<(Failed, u16)>,
    /// How many steps looked at the offers before an index.
    looks: BTreeMap<usize, u64>,
    /// The offer that is closest to fitting and the first thing in its way; sought anew when that is used.
    closest: Option<(usize, Nearest)>,
}

/// Offers rejected for the same stages.
struct Kind {
    /// Stages that failed, with the resource that is short, where one is.
    stages: Vec<(&'static str, &'static str)>,
    /// How many offers of the batch.
    offers: u64,
    /// Whether the placement rule is among them.
    is_excluded: bool,
}

/// An offer that a step fits.
pub(super) struct Fit {
    /// Index of the offer.
    pub(super) at: usize,
    pub(super) report: Report,
    /// Whether the report is to be told in full.
    pub(super) is_told: bool,
    pub(super) accepted: Accepted,
}

/// What came of one step.
#[derive(Default)]
pub(super) struct Look {
    /// Evaluations to be told in full, with the index of their offer.
    pub(super) told: Vec<(usize, Report)>,
    /// The offer it fits, if any.
    pub(super) fits: Option<Fit>,
    /// Offers that were looked at and rejected.
    pub(super) rejected: u64,
    /// Why none fits, when some were looked at.
    pub(super) why: Option<Misfit>,
    /// Reservations without a volume that the pod has and its agent did not offer.
    pub(super) missing: BTreeSet<ResourceId>,
}

impl Cycle {
    /// Of these offers, with so many evaluations to be told in full.
    pub(super) fn new(offers: Vec<Offer>, role: &str, reports: usize) -> Self {
        Self {
            role: role.to_owned(),
            refusals: vec![Refusal::default(); offers.len()],
            offers: offers.into_iter().map(Some).collect(),
            free: Vec::new(),
            by_agent: None,
            scans: BTreeMap::new(),
            reports,
            rejected_agents: BTreeMap::new(),
            rejected: 0,
            failure_reasons: BTreeMap::new(),
        }
    }

    pub(super) fn offer(&self, at: usize) -> Option<&Offer> {
        self.offers.get(at)?.as_ref()
    }

    /// Tries every offer that is left, or those of the one agent that can do, in order.
    pub(super) fn look(
        &mut self,
        requirement: &Requirement<'_>,
        class: Option<Class>,
        pinned: Option<&AgentId>,
        ids: &mut Generator,
    ) -> Look {
        if let Some(agent) = pinned {
            return self.look_at_agent(requirement, agent, ids);
        }
        if self.free.is_empty() {
            let none = Free::default();
            let of = |offer: &Option<Offer>| offer.as_ref().map_or(none, |offer| Free::of(offer, &self.role));
            self.free = self.offers.iter().map(of).collect();
        }
        let is_counting = requirement.placement.is_some_and(Rule::is_counting);
        let mut scan = class.as_ref().and_then(|class| self.scans.remove(class)).unwrap_or_default();
        scan.is_counting = is_counting;
        let role = requirement.role();
        role.as_ref().clone_into(&mut scan.role);
        scan.verdicts.resize(self.offers.len(), 0);
        scan.distances.resize(self.offers.len(), Distance::default());
        let screen = Screen::new(requirement);
        let mut look = Look::default();
        let mut at = 0;
        while at < self.offers.len() {
            let is_told = self.reports > 0;
            if !is_told && at < scan.next {
                at = scan.next;
                continue;
            }
            let (Some(Some(offer)), Some(free)) = (self.offers.get(at), self.free.get(at)) else {
                at += 1;
                continue;
            };
            if role::of_offer(offer, &self.role) != role {
                at += 1;
                continue;
            }
            let screened = screen.as_ref().filter(|_| !is_told).and_then(|screen| {
                let failed = screen.failed(free, offer, &self.role)?;
                let may_run = placement::judge(requirement, offer).is_none_or(|outcome| outcome.passed);
                may_run.then_some((screen, failed))
            });
            if let Some((screen, failed)) = screened {
                scan.screened(at, screen, failed);
                scan.far(at, screen.distance(failed, free));
            } else {
                let evaluation = evaluate(requirement, offer, ids);
                self.reports = self.reports.saturating_sub(1);
                if let Some(accepted) = evaluation.accept(requirement, offer, ids) {
                    look.fits = Some(Fit { at, report: evaluation.report, is_told, accepted });
                    break;
                }
                if at >= scan.next {
                    scan.evaluated(at, &evaluation.report);
                    scan.far(at, obstacle::distance(&evaluation.report, requirement, offer));
                }
                if is_told {
                    look.told.push((at, evaluation.report));
                }
            }
            at += 1;
        }
        scan.next = scan.next.max(at);
        *scan.looks.entry(scan.next).or_default() += 1;
        look.rejected = scan.kinds.iter().map(|kind| kind.offers).sum();
        for kind in &scan.kinds {
            for (stage, _) in &kind.stages {
                *self.failure_reasons.entry(stage).or_default() += kind.offers;
            }
        }
        self.rejected += look.rejected;
        if look.fits.is_none() && look.rejected > 0 {
            look.why = scan.explain(look.rejected, &self.offers, requirement, ids);
        }
        if let Some(class) = class {
            self.scans.insert(class, scan);
        } else {
            self.count_agents(&scan);
            scan.refusals(&self.offers, &self.role, &mut self.refusals);
        }
        look
    }

    fn look_at_agent(&mut self, requirement: &Requirement<'_>, agent: &AgentId, ids: &mut Generator) -> Look {
        let by_agent = self.by_agent.get_or_insert_with(|| {
            let mut by_agent: BTreeMap<AgentId, Vec<usize>> = BTreeMap::new();
            for (at, offer) in self.offers.iter().enumerate() {
                if let Some(offer) = offer {
                    by_agent.entry(offer.agent_id.clone()).or_default().push(at);
                }
            }
            by_agent
        });
        let role = requirement.role();
        let mut look = Look::default();
        let mut closest: Option<(Distance, Nearest)> = None;
        for at in by_agent.get(agent).into_iter().flatten().copied() {
            let Some(Some(offer)) = self.offers.get(at) else { continue };
            if role::of_offer(offer, &self.role) != role {
                continue;
            }
            let evaluation = evaluate(requirement, offer, ids);
            let is_told = self.reports > 0;
            self.reports = self.reports.saturating_sub(1);
            if let Some(accepted) = evaluation.accept(requirement, offer, ids) {
                look.fits = Some(Fit { at, report: evaluation.report, is_told, accepted });
                break;
            }
            look.rejected += 1;
            look.missing.extend(evaluation.report.missing());
            if let Some(refusal) = self.refusals.get_mut(at) {
                // Its reservations are here, or were.
                *refusal = (*refusal).max(Refusal::Waiting);
            }
            *self.rejected_agents.entry(agent.clone()).or_default() += 1;
            let obstacles = evaluation.report.obstacles();
            for obstacle in &obstacles {
                *self.failure_reasons.entry(obstacle.stage).or_default() += 1;
            }
            let distance = obstacle::distance(&evaluation.report, requirement, offer);
            if closest.as_ref().is_none_or(|(least, _)| distance < *least) {
                closest = Some((distance, nearest(offer, obstacles.first().copied())));
            }
            if is_told {
                look.told.push((at, evaluation.report));
            }
        }
        self.rejected += look.rejected;
        look.why = closest.map(|(_, nearest)| Misfit { offers: look.rejected, nearest, counts: String::new() });
        look
    }

    /// Uses an offer up: something was launched, so counting rules have to count again.
    pub(super) fn take(&mut self, at: usize) -> Option<Offer> {
        let offer = self.offers.get_mut(at)?.take()?;
        let ended: Vec<Class> =
            self.scans.iter().filter(|(_, scan)| scan.is_counting).map(|(class, _)| class.clone()).collect();
        for class in ended {
            if let Some(scan) = self.scans.remove(&class) {
                self.count_agents_with(&scan, at, &offer.agent_id);
                scan.refusals(&self.offers, &self.role, &mut self.refusals);
            }
        }
        for scan in self.scans.values_mut() {
            let looks: u64 = scan.looks.range(at + 1..).map(|(_, count)| *count).sum();
            if scan.forget(at) && looks > 0 {
                *self.rejected_agents.entry(offer.agent_id.clone()).or_default() += looks;
            }
        }
        Some(offer)
    }

    fn count_agents(&mut self, scan: &Scan) {
        let mut looks = scan.looks.iter().rev().peekable();
        let mut count = 0;
        for (at, verdict) in scan.verdicts.iter().enumerate().rev() {
            while let Some((_, more)) = looks.next_if(|(next, _)| **next > at) {
                count += more;
            }
            if let (true, Some(Some(offer))) = (*verdict != 0 && count > 0, self.offers.get(at)) {
                match self.rejected_agents.get_mut(&offer.agent_id) {
                    Some(known) => *known += count,
                    None => drop(self.rejected_agents.insert(offer.agent_id.clone(), count)),
                }
            }
        }
    }

    /// The same, with the agent of an offer that is no longer there.
    fn count_agents_with(&mut self, scan: &Scan, at: usize, agent: &AgentId) {
        self.count_agents(scan);
        let looks: u64 = scan.looks.range(at + 1..).map(|(_, count)| *count).sum();
        if looks > 0 && scan.verdicts.get(at).is_some_and(|verdict| *verdict != 0) {
            *self.rejected_agents.entry(agent.clone()).or_default() += looks;
        }
    }

    /// Ends the cycle: counts what was rejected, gives back what nobody used, each with why.
    pub(super) fn finish(mut self, outcomes: &mut Arc<Outcomes>) -> Vec<(Offer, Refusal)> {
        for scan in self.scans.values() {
            scan.refusals(&self.offers, &self.role, &mut self.refusals);
        }
        let unused = self.offers.iter_mut().zip(std::mem::take(&mut self.refusals));
        if self.rejected == 0 {
            return unused.filter_map(|(offer, why)| Some((offer.take()?, why))).collect();
        }
        let refusals: Vec<Refusal> = unused.map(|(_, why)| why).collect();
        let outcomes = Arc::make_mut(outcomes);
        for scan in std::mem::take(&mut self.scans).into_values() {
            self.count_agents(&scan);
        }
        outcomes.rejected += self.rejected;
        for (stage, count) in self.failure_reasons {
            *outcomes.failure_reasons.entry(stage.to_owned()).or_default() += count;
        }
        for (agent, count) in self.rejected_agents {
            // The agents of one cluster bound this map: one that is lost is forgotten.
            match outcomes.rejected_agents.get_mut(agent.as_str()) {
                Some(known) => *known += count,
                None => drop(outcomes.rejected_agents.insert(agent.to_string(), count)),
            }
        }
        self.offers.into_iter().zip(refusals).filter_map(|(offer, why)| Some((offer?, why))).collect()
    }
}

impl Scan {
    fn screened(&mut self, at: usize, screen: &Screen, failed: Failed) {
        // One agent after the other fails alike.
        let known = self.screened.filter(|(known, _)| *known == failed).map(|(_, verdict)| verdict);
        let verdict = known.unwrap_or_else(|| self.kind(screen.stages(failed).collect(), false));
        self.screened = Some((failed, verdict));
        self.mark(at, verdict);
    }

    fn evaluated(&mut self, at: usize, report: &Report) {
        let name = |outcome: &Outcome| outcome.reason.shortfall().map_or("", |shortfall| shortfall.name);
        let stages = report.obstacles().into_iter().map(|outcome| (outcome.stage, name(outcome))).collect();
        let is_of_rule = |outcome: &Outcome| !outcome.passed && outcome.stage == OfferStage::Placement.as_str();
        let verdict = self.kind(stages, report.outcomes.iter().any(is_of_rule));
        self.mark(at, verdict);
    }

    /// The number of a kind: its index plus one.
    fn kind(&mut self, stages: Vec<(&'static str, &'static str)>, is_excluded: bool) -> u16 {
        let known = self.kinds.iter().position(|kind| kind.is_excluded == is_excluded && kind.stages == stages);
        let at = known.unwrap_or_else(|| {
            self.kinds.push(Kind { stages, offers: 0, is_excluded });
            self.kinds.len() - 1
        });
        // Sets of failed stages of one requirement; if there were ever more, the last one would stand for the rest.
        u16::try_from(at + 1).unwrap_or(u16::MAX)
    }

    fn far(&mut self, at: usize, distance: Distance) {
        if let Some(slot) = self.distances.get_mut(at) {
            *slot = distance;
        }
    }

    fn mark(&mut self, at: usize, verdict: u16) {
        if let (Some(slot), Some(kind)) =
            (self.verdicts.get_mut(at), self.kinds.get_mut(usize::from(verdict).saturating_sub(1)))
        {
            *slot = verdict;
            kind.offers += 1;
        }
    }

    /// What these steps make of each offer; where they did not look, one of them found what it wanted before.
    fn refusals(&self, offers: &[Option<Offer>], role: &str, refusals: &mut [Refusal]) {
        for (at, (refusal, offer)) in refusals.iter_mut().zip(offers).enumerate() {
            if offer.as_ref().is_none_or(|offer| role::of_offer(offer, role) != self.role) {
                continue;
            }
            let verdict = self.verdicts.get(at).filter(|_| at < self.next);
            let kind = verdict.and_then(|verdict| self.kinds.get(usize::from(*verdict).checked_sub(1)?));
            let why = match kind {
                Some(kind) if kind.is_excluded => Refusal::Excluded,
                Some(_) | None => Refusal::Waiting,
            };
            *refusal = (*refusal).max(why);
        }
    }

    /// An offer is gone; answers whether it had been rejected.
    fn forget(&mut self, at: usize) -> bool {
        let verdict = self.verdicts.get_mut(at).map(std::mem::take).unwrap_or_default();
        let Some(kind) = usize::from(verdict).checked_sub(1).and_then(|kind| self.kinds.get_mut(kind)) else {
            return false;
        };
        kind.offers -= 1;
        if self.closest.as_ref().is_some_and(|(closest, _)| *closest == at) {
            self.closest = None;
        }
        true
    }

    /// Why no offer fits: the closest one, and how many failed at which stage first.
    fn explain(
        &mut self,
        rejected: u64,
        offers: &[Option<Offer>],
        requirement: &Requirement<'_>,
        ids: &mut Generator,
    ) -> Option<Misfit> {
        if self.closest.is_none() {
            let all = self.verdicts.iter().zip(&self.distances).zip(offers).enumerate();
            let rejected = all.filter_map(|(at, ((verdict, distance), offer))| {
                (*verdict != 0).then_some((*distance, &offer.as_ref()?.hostname, at))
            });
            let at = rejected.min().map(|(.., at)| at);
            self.closest = at.and_then(|at| {
                let offer = offers.get(at)?.as_ref()?;
                let report = evaluate(requirement, offer, ids).report;
                Some((at, nearest(offer, report.first_failure())))
            });
        }
        let (_, nearest) = self.closest.clone()?;
        let mut text = String::new();
        if rejected > 1 {
            let mut firsts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
            for kind in &self.kinds {
                if let Some(first) = kind.stages.first() {
                    *firsts.entry(*first).or_default() += kind.offers;
                }
            }
            let mut separator = "; offers by the stage that fails first:";
            for ((stage, name), count) in firsts.into_iter().filter(|(_, count)| *count > 0) {
                let _ = write!(text, "{separator} {stage}");
                if !name.is_empty() {
                    let _ = write!(text, " ({name})");
                }
                let _ = write!(text, ": {count}");
                separator = ",";
            }
        }
        Some(Misfit { offers: rejected, nearest, counts: text })
    }
}

fn nearest(offer: &Offer, obstacle: Option<&Outcome>) -> Nearest {
    let why = obstacle.map(Outcome::why).unwrap_or_default();
    Nearest { hostname: offer.hostname.clone(), why }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::ids::OfferId;
    use crate::offer::fixture::{self, ROLE, World, pod, scalar, units};
    use crate::offer::requirement::Recovery;
    use crate::resource::{Ranges, Value};
    use crate::units::Scalar;

    fn offer(number: usize, millis: u64, mem: u64, first_port: u64) -> Offer {
        let ports = Value::Ranges(Ranges::new([(first_port, 8090)]));
        Offer {
            id: OfferId::parse(format!("o{number}")).unwrap(),
            agent_id: AgentId::parse(format!("a{}", number / 2)).unwrap(),
            hostname: format!("h{}", number / 2),
            ..fixture::offer(vec![
                scalar("cpus", Scalar::from_millis(millis)),
                scalar("mem", units(mem)),
                scalar("disk", units(5000)),
                fixture::resource("ports", ports),
            ])
        }
    }

    /// What an offer has, the size of its disk, and which role it is made to.
    type Numbers = ((u64, u64, u64), u64, u8);

    /// The offer made to the role below `public`, of what is set aside for that or of what is nobody's.
    fn refined(offer: Offer, is_set_aside: bool) -> Offer {
        Offer {
            allocation_role: Some(format!("public/{ROLE}")),
            resources: fixture::refined(offer.resources, "public", is_set_aside),
            ..offer
        }
    }

    type Trace = (Vec<(Option<usize>, u64, Option<String>)>, u64, BTreeMap<String, u64>, BTreeMap<String, u64>);

    /// Steps of two classes in turn; answers what each found, and the counts.
    fn run(world: &World, offers: &[Offer], steps: usize, budget: usize) -> Trace {
        let mut cycle = Cycle::new(offers.to_vec(), ROLE, budget);
        let mut ids = Generator::seeded(1);
        let mut found = Vec::new();
        for step in 0..steps {
            let launch: &[&str] = if step % 3 == 2 { &["agent"] } else { &["server", "agent"] };
            let class = (
                ConfigId::parse("c").unwrap(),
                "hello".to_owned(),
                launch.iter().map(|name| (*name).to_owned()).collect(),
            );
            let look = world.with_requirement(launch, Recovery::None, |requirement| {
                cycle.look(requirement, Some(class), None, &mut ids)
            });
            let fits = look.fits.map(|fit| fit.at);
            if let Some(at) = fits {
                cycle.take(at);
            }
            found.push((fits, look.rejected, look.why.map(|misfit| misfit.to_string())));
        }
        let mut outcomes = Arc::new(Outcomes::default());
        let left = cycle.finish(&mut outcomes);
        assert_eq!(left.len(), offers.len() - found.iter().filter(|(fits, _, _)| fits.is_some()).count());
        (found, outcomes.rejected, outcomes.failure_reasons.clone(), outcomes.rejected_agents.clone())
    }

    #[test]
    fn offers_to_another_role_are_passed_over_and_are_no_rejections() {
        let mut world = World::new(pod());
        world.pod_mut().pre_reserved_role = Some("public".into());
        let refined = |number, millis| refined(offer(number, millis, 4000, 8078), true);
        // The first would do if it were made to the role of the pod; the second is too small, the third fits.
        let offers = [offer(0, 4000, 4000, 8078), refined(1, 100), refined(2, 4000), offer(3, 4000, 4000, 8078)];
        for budget in [0, 10] {
            let (found, rejected, _, agents) = run(&world, &offers, 2, budget);
            assert_eq!(
                found.iter().map(|(fits, count, _)| (*fits, *count)).collect::<Vec<_>>(),
                [(Some(2), 1), (None, 1)]
            );
            assert_eq!((rejected, agents), (2, BTreeMap::from([("a0".to_owned(), 2)])));
            let mut cycle = Cycle::new(offers.to_vec(), ROLE, budget);
            let class = (ConfigId::parse("c").unwrap(), "hello".to_owned(), Vec::new());
            world.with_requirement(&["server", "agent"], Recovery::None, |requirement| {
                cycle.look(requirement, Some(class), None, &mut Generator::seeded(1))
            });
            let why: Vec<_> = cycle.finish(&mut Arc::default()).into_iter().map(|(_, why)| why).collect();
            assert_eq!(why, [Refusal::Elsewhere, Refusal::Waiting, Refusal::Waiting, Refusal::Elsewhere]);
        }
    }

    proptest! {
        // With a rule that counts, a launch changes the answers for the steps behind it, so only the first step is sure to be placed in any order;
        // the others are once the next batches have come.
        #[test]
        fn the_order_of_offers_decides_where_and_never_whether(
            (sizes, shuffled) in proptest::collection::vec(((900_u64..1400, 200_u64..400, 8078_u64..8083), 0_u64..120, 0_u8..6), 1..12)
                .prop_flat_map(|sizes| {
                    let offers: Vec<usize> = (0..sizes.len()).collect();
                    (Just(sizes), Just(offers).prop_shuffle())
                }),
            wants_disk in any::<bool>(),
            is_refined in any::<bool>(),
            rule in proptest::option::of(proptest::sample::select(vec!["hostname:LIKE:h[024]", "hostname:UNIQUE", "hostname:MAX_PER:2"])),
            steps in 1_usize..10,
            budget in 0_usize..12,
        ) {
            // A disk of its own each, of the size wanted or not; some are made to the other of two roles, some set aside for it.
            let one = |(at, ((millis, mem, first_port), disk, of_role)): (usize, &Numbers)| {
                let mut offer = offer(2 * at, *millis, *mem, *first_port);
                offer.resources.push(fixture::mount(*disk, "/m"));
                if *of_role < 4 {
                    return if is_refined { refined(offer, *of_role > 0) } else { offer };
                }
                if is_refined { offer } else { refined(offer, *of_role == 4) }
            };
            let in_order: Vec<_> = sizes.iter().enumerate().map(one).collect();
            let mut pod = pod();
            pod.pre_reserved_role = is_refined.then(|| "public".to_owned());
            if let Some(set) = pod.resource_sets.first_mut().filter(|_| wants_disk) {
                set.volumes.push(fixture::mount_volume("whole", 60));
            }
            pod.placement = rule.and_then(|text| Rule::parse(text, "hello").unwrap());
            let is_counting = pod.placement.as_ref().is_some_and(Rule::is_counting);
            let world = World::new(pod);
            let both: &[&str] = &["server", "agent"];
            let fitting: Vec<String> = in_order
                .iter()
                .filter(|offer| world.with_requirement(both, Recovery::None, |requirement| evaluate(requirement, offer, &mut Generator::seeded(1)).passed()))
                .map(|offer| offer.id.to_string())
                .collect();
            let mixed: Vec<_> = shuffled.iter().filter_map(|at| in_order.get(*at).cloned()).collect();
            for offers in [in_order, mixed] {
                let mut cycle = Cycle::new(offers, ROLE, budget);
                let mut ids = Generator::seeded(1);
                let mut used = Vec::new();
                for _ in 0..if is_counting { 1 } else { steps } {
                    let class = (ConfigId::parse("c").unwrap(), "hello".to_owned(), Vec::new());
                    let look = world.with_requirement(both, Recovery::None, |requirement| {
                        cycle.look(requirement, Some(class), None, &mut ids)
                    });
                    used.extend(look.fits.and_then(|fit| cycle.take(fit.at)).map(|offer| offer.id.to_string()));
                }
                prop_assert!(used.iter().all(|id| fitting.contains(id)));
                prop_assert_eq!(used.len(), fitting.len().min(if is_counting { 1 } else { steps }));
            }
        }
    }

    #[test]
    fn each_offer_is_given_back_with_why_it_is_of_no_use() {
        let rule = |text: &str| Rule::parse(text, "hello").unwrap();
        let offers = [offer(0, 1400, 400, 8078), offer(2, 1, 1, 8078), offer(4, 1, 1, 8078)];
        let why = |rule: Option<Rule>, pinned: Option<&str>, looks: usize, budget: usize| {
            let mut pod = pod();
            pod.placement = rule;
            let world = World::new(pod);
            let mut cycle = Cycle::new(offers.to_vec(), ROLE, budget);
            let mut ids = Generator::seeded(1);
            let pinned = pinned.map(|agent| AgentId::parse(agent).unwrap());
            for _ in 0..looks {
                let class = (ConfigId::parse("c").unwrap(), "hello".to_owned(), Vec::new());
                let look = world.with_requirement(&["server", "agent"], Recovery::None, |requirement| {
                    cycle.look(requirement, pinned.is_none().then_some(class), pinned.as_ref(), &mut ids)
                });
                if let Some(Fit { at, .. }) = look.fits {
                    cycle.take(at);
                }
            }
            let left = cycle.finish(&mut Arc::default());
            left.into_iter().map(|(offer, why)| format!("{}: {why:?}", offer.hostname)).collect::<Vec<_>>()
        };
        for budget in [0, 100] {
            assert_eq!(why(None, None, 0, budget), ["h0: Elsewhere", "h1: Elsewhere", "h2: Elsewhere"], "nobody asked");
            // The first is used. What was not looked at may well be of use to the next.
            assert_eq!(why(None, None, 1, budget), ["h1: Waiting", "h2: Waiting"]);
            assert_eq!(why(None, None, 2, budget), ["h1: Waiting", "h2: Waiting"]);
            let kept_off = ["h0: Excluded", "h1: Waiting", "h2: Excluded"];
            assert_eq!(why(rule("hostname:LIKE:h1"), None, 1, budget), kept_off);
            let kept_off = ["h0: Excluded", "h1: Excluded", "h2: Excluded"];
            assert_eq!(why(rule("hostname:LIKE:x"), None, 2, budget), kept_off);
            let bound = ["h0: Elsewhere", "h1: Waiting", "h2: Elsewhere"];
            assert_eq!(why(None, Some("a1"), 1, budget), bound, "its own agent has too little");
            assert_eq!(why(None, Some("a9"), 1, budget), ["h0: Elsewhere", "h1: Elsewhere", "h2: Elsewhere"]);
        }
    }

    proptest! {
        #[test]
        fn passing_over_offers_changes_no_decision_and_no_count(
            sizes in proptest::collection::vec((900_u64..1400, 200_u64..400, 8078_u64..8083), 1..12),
            rule in proptest::option::of(Just("hostname:LIKE:h[024]")),
            steps in 1_usize..10,
        ) {
            let offers: Vec<_> = sizes
                .iter()
                .enumerate()
                .map(|(at, (millis, mem, first_port))| offer(at, *millis, *mem, *first_port))
                .collect();
            let mut pod = pod();
            pod.placement = rule.and_then(|text| Rule::parse(text, "hello").unwrap());
            let world = World::new(pod);
            let in_full = run(&world, &offers, steps, usize::MAX);
            prop_assert_eq!(&run(&world, &offers, steps, 0), &in_full);
            prop_assert_eq!(&run(&world, &offers, steps, 7), &in_full);
            let agents: u64 = in_full.3.values().sum();
            prop_assert_eq!(agents, in_full.1, "each rejection is of one agent");
            // What each step saw, looked at one by one.
            let mut gone = Vec::new();
            for (fits, rejected, _) in &in_full.0 {
                let before = (0..fits.unwrap_or(offers.len())).filter(|at| !gone.contains(at)).count();
                prop_assert_eq!(*rejected, before as u64);
                gone.extend(*fits);
            }
        }
    }
}
