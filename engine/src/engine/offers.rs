//! The offer cycle: each batch of offers is used, cleaned or given back within one step; none is held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstay_proto::v1 as wire;
use mainstay_spec::Goal;

use super::Engine;
use super::cycle::{Cycle, Fit, Look};
use super::waits::Misfit;
use super::wanted::Wanted;
use crate::effect::{Call, Effects};
use crate::event::MalformedOffer;
use crate::ids::{AgentId, OfferId, PodInstance, ResourceId, TaskId, TaskName};
use crate::journal::Entry;
use crate::limits::{
    ACCEPT_REMAINDER, MALFORMED_TOLD, MISSING_AFTER_OFFERS, OUTCOMES_KEPT, RELEASE_SWEEP, RELEASED_AFTER_OFFERS,
    REPORTS_PER_CYCLE,
};
use crate::offer::Offer;
use crate::offer::leftover;
use crate::offer::placement::{Counts, Rule};
use crate::offer::refusal::Refusal;
use crate::offer::report::Report;
use crate::offer::requirement::{Accepted, Recovery};
use crate::offer::role;
use crate::resource::Resource;
use crate::state::{GivenUp, Planned, Task};
use crate::task::status::{State, Status};
use crate::units::{Millis, Timestamp};
use crate::view::{Outcome, Outcomes};

/// Reservations of a step's pod that its agent offers without.
#[derive(Debug, Default)]
pub(super) struct Missing {
    resources: BTreeSet<ResourceId>,
    /// Looks in a row that missed just these.
    count: u32,
    /// Looks in a row that missed any.
    looks: u32,
}

impl Engine {
    pub(super) fn offers(&mut self, offers: Vec<Offer>, now: Timestamp, effects: &mut Effects) {
        effects.journal.push(Entry::OffersReceived { count: offers.len() });
        if !self.is_subscribed {
            return;
        }
        self.demand.heard(now);
        if !self.reconciler.is_done() {
            // What runs is not known yet. The revive that ends reconciliation brings them back.
            let refused = offers.iter().map(|offer| (offer.id.clone(), &offer.agent_id, Refusal::Unsettled));
            self.decline(refused, now, effects);
            return;
        }
        let offers = self.latest(offers, now, effects);
        let mut is_blocked = false;
        let mut cycle = Cycle::new(offers, &self.config.role, REPORTS_PER_CYCLE);
        let mut pods_launched: BTreeSet<PodInstance> = BTreeSet::new();
        for place in self.candidates().iter().copied() {
            let Some(wanted) = self.wanted(place) else { continue };
            // Another launch into the same instance must see what this one left: next cycle.
            if pods_launched.contains(&wanted.pod) {
                continue;
            }
            if self.blocked_by(&wanted).is_some() {
                is_blocked = true;
                continue;
            }
            if self.try_step(&wanted, &mut cycle, now, effects) {
                pods_launched.insert(wanted.pod);
            }
        }
        if !pods_launched.is_empty() {
            // Siblings that could not be looked at with what is left want the remainder at once.
            self.demand.want_revive();
        }
        let unused = cycle.finish(&mut self.outcomes);
        self.leftovers(unused, is_blocked, now, effects);
    }

    /// The latest offer of every agent and role; those before it are declined, so that the next allocation joins what they hold.
    fn latest(&mut self, offers: Vec<Offer>, now: Timestamp, effects: &mut Effects) -> Vec<Offer> {
        let mut last: BTreeMap<(&AgentId, Option<&str>), usize> = BTreeMap::new();
        for (at, offer) in offers.iter().enumerate() {
            last.insert((&offer.agent_id, offer.allocation_role.as_deref()), at);
        }
        if last.len() == offers.len() {
            return offers;
        }
        let kept: BTreeSet<usize> = last.into_values().collect();
        let (mut latest, mut superseded) = (Vec::with_capacity(kept.len()), Vec::new());
        for (at, offer) in offers.into_iter().enumerate() {
            if kept.contains(&at) { latest.push(offer) } else { superseded.push(offer) }
        }
        let refused = superseded.iter().map(|offer| (offer.id.clone(), &offer.agent_id, Refusal::Superseded));
        self.decline(refused, now, effects);
        latest
    }

    /// Tries one step on the offers left; answers whether it was launched.
    fn try_step(&mut self, wanted: &Wanted, cycle: &mut Cycle, now: Timestamp, effects: &mut Effects) -> bool {
        let told_from = effects.journal.len();
        self.release_removed(wanted, now, effects);
        let Some(look) = self.look(wanted, cycle) else { return false };
        for (at, report) in &look.told {
            if let Some(offer) = cycle.offer(*at) {
                self.record(wanted, offer, report, at + 1, now, effects);
            }
        }
        if let Some(Fit { at, report, is_told, accepted }) = look.fits {
            Arc::make_mut(&mut self.outcomes).accepted += 1;
            if let Some(offer) = cycle.offer(at).filter(|_| is_told) {
                self.record(wanted, offer, &report, at + 1, now, effects);
            }
            self.missing.remove(&wanted.step_id);
            if let Some(offer) = cycle.take(at) {
                self.accept(wanted, &offer, accepted, now, effects);
                return true;
            }
        }
        if look.rejected > 0 {
            self.count_missing(wanted, look.missing, effects);
        }
        if !self.waits_for_offer(wanted, look.why.as_ref(), effects) {
            // The same obstacle again, with every batch of offers: it can be looked up, and need not be told.
            for entry in effects.journal.iter_mut().skip(told_from) {
                if let Entry::Evaluated { is_news, .. } = entry {
                    *is_news = false;
                }
            }
        }
        if let Some(plan) = self.plans.get_mut(wanted.place.plan)
            && let Some(step) = plan.step_mut(wanted.place.phase, wanted.place.step)
            && look.rejected > 0
            && !step.is_prepared
        {
            step.is_prepared = true;
            plan.version += 1;
        }
        false
    }

    /// A pod that is rolled out has no use for what tasks hold that the specification no longer has, and may need it: a task of another name
    /// wants the same port. Volumes stay, for such a task can come back.
    fn release_removed(&mut self, wanted: &Wanted, now: Timestamp, effects: &mut Effects) {
        if wanted.recovery != Recovery::None || self.state.target.as_ref() != Some(&wanted.config_id) {
            return;
        }
        let Some(pod) = wanted.spec.pod(&wanted.pod.pod_type) else { return };
        let stored = self.state.pod_tasks(&wanted.pod);
        let is_removed = |task: &&Task| pod.task(task.short_name()).is_none() && !task.is_live();
        if !stored.iter().any(is_removed) {
            return;
        }
        let (removed, rest): (Vec<&Task>, Vec<&Task>) = stored.iter().copied().partition(is_removed);
        let is_of_rest = |id: &ResourceId| rest.iter().any(|task| task.resource_ids().any(|other| other == *id));
        let plain =
            removed.iter().flat_map(|task| &task.resources).filter(|resource| resource.persistence_id().is_none());
        let gone: BTreeSet<ResourceId> = plain.filter_map(Resource::resource_id).filter(|id| !is_of_rest(id)).collect();
        if gone.is_empty() {
            return;
        }
        self.demand.sweep(now, RELEASE_SWEEP);
        self.drop_reservations(wanted, gone, "its task is no longer in the specification", effects);
    }

    /// Takes reservations out of all tasks of the pod and gives them up: those that are offered again are released.
    fn drop_reservations(
        &mut self,
        wanted: &Wanted,
        gone: BTreeSet<ResourceId>,
        why: &'static str,
        effects: &mut Effects,
    ) {
        let tasks: Vec<Task> = self.state.pod_tasks(&wanted.pod).into_iter().cloned().collect();
        let given_up = GivenUp::of_pod(&tasks.iter().collect::<Vec<_>>());
        self.state.give_up(given_up.into_iter().filter(|(id, _)| gone.contains(id)), &mut effects.commit);
        for task in tasks.iter().filter(|task| task.resource_ids().any(|id| gone.contains(&id))) {
            self.strip(task, &gone, false, effects);
        }
        self.state.confirm_reservations(&wanted.pod, &gone, &mut effects.commit);
        let resources = gone.into_iter().collect();
        effects.journal.push(Entry::ReservationDropped { pod: wanted.pod.clone(), resources, why });
    }

    /// Somebody took reservations of the pod away: when several offers in a row do not show them, they are given up, and the next ones are made
    /// anew. Nothing is lost with them. A volume is never given up here: what it held is gone for good, and only a replace says that this is known.
    fn count_missing(&mut self, wanted: &Wanted, mut missing: BTreeSet<ResourceId>, effects: &mut Effects) {
        // No offer shows what a live task uses, however many are asked for.
        for id in
            self.state.pod_tasks(&wanted.pod).iter().filter(|task| task.is_live()).flat_map(|task| task.resource_ids())
        {
            missing.remove(&id);
        }
        if missing.is_empty() {
            self.missing.remove(&wanted.step_id);
            return;
        }
        let known = self.missing.entry(wanted.step_id).or_default();
        known.looks += 1;
        // The next offer may well show them: it is asked for at once. Not for ever: what an agent has comes in two offers by turns as long as
        // each is asked for while the other is on its way back.
        if known.looks <= MISSING_AFTER_OFFERS {
            self.demand.want_revive();
        }
        known.count = if known.resources == missing { known.count + 1 } else { 1 };
        known.resources = missing;
        if known.count < MISSING_AFTER_OFFERS {
            return;
        }
        if let Some(Missing { resources: missing, .. }) = self.missing.remove(&wanted.step_id) {
            self.drop_reservations(wanted, missing, "its agent no longer has it", effects);
        }
    }

    /// Takes note of why a step that wants an offer waits; told once per change. Returns whether it changed.
    fn waits_for_offer(&mut self, wanted: &Wanted, misfit: Option<&Misfit>, effects: &mut Effects) -> bool {
        if let Some(misfit) = misfit {
            let is_news = self.waits.put_misfit(wanted.step_id, &wanted.step_name, misfit);
            return tell_wait(is_news, &wanted.step_name, misfit, effects);
        }
        // A batch of other agents: what is known of those that count holds.
        let is_known = match &wanted.pinned {
            Some(agent) => self.seen.has_offer_of(agent),
            None => !self.seen.is_empty(),
        };
        if is_known && self.waits.has_looked(wanted.step_id) {
            return false;
        }
        let why = match &wanted.pinned {
            Some(agent) => {
                let hostname = self.state.pod_tasks(&wanted.pod).into_iter().find_map(|task| task.hostname.clone());
                let hostname = hostname.unwrap_or_else(|| "of unknown name".to_owned());
                format!("waits for an offer of agent {hostname} ({agent}), which holds its reservation")
            }
            None => "waits for an offer".to_owned(),
        };
        let is_news = self.waits.put_unoffered(wanted.step_id, &wanted.step_name, &why);
        tell_wait(is_news, &wanted.step_name, &why, effects)
    }

    /// Takes note of what else a step waits for; told once per change. Returns whether it changed.
    pub(super) fn waits(&mut self, step_id: uuid::Uuid, step: &str, why: &str, effects: &mut Effects) -> bool {
        let is_news = self.waits.put(step_id, why);
        tell_wait(is_news, step, &why, effects)
    }

    /// Looks at every offer that is left for one step.
    fn look(&mut self, wanted: &Wanted, cycle: &mut Cycle) -> Option<Look> {
        let stored = self.state.pod_tasks(&wanted.pod);
        let placement = self.spec.pod(&wanted.pod.pod_type).and_then(|pod| pod.placement.as_ref());
        let is_counting = placement.is_some_and(Rule::is_counting);
        // Only counting rules look at other pods.
        let all_tasks: Vec<&Task> =
            if is_counting { self.state.tasks.values().map(Arc::as_ref).collect() } else { Vec::new() };
        let counts = Counts::default();
        let framework_id = self.state.framework_id.as_ref()?;
        let requirement = wanted.requirement(&self.config, framework_id, placement, &stored, &all_tasks, &counts)?;
        // Without a reservation an instance is like any other, unless where its own tasks were is left out of a count.
        let is_alike = wanted.pinned.is_none() && (stored.is_empty() || !is_counting);
        let class = is_alike.then(|| wanted.class());
        Some(cycle.look(&requirement, class, wanted.pinned.as_ref(), &mut self.ids))
    }

    /// Keeps and tells one evaluation in full.
    fn record(
        &mut self,
        wanted: &Wanted,
        offer: &Offer,
        report: &Report,
        number: usize,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let passed = report.passed();
        let outcomes: &mut Outcomes = Arc::make_mut(&mut self.outcomes);
        if outcomes.recent.len() >= OUTCOMES_KEPT {
            outcomes.recent.pop_front();
        }
        outcomes.recent.push_back(Outcome {
            at: now,
            pod_instance: wanted.pod.to_string(),
            passed,
            explanation: report.explanation(),
            offer: offer.text(),
        });
        effects.journal.push(Entry::Evaluated {
            step: wanted.step_name.clone(),
            offer_id: offer.id.clone(),
            passed,
            report: report.render(number, &wanted.step_name, offer),
            is_news: true,
        });
    }

    /// Stores what the accept is going to do, then lets it be sent.
    fn accept(&mut self, wanted: &Wanted, offer: &Offer, accepted: Accepted, now: Timestamp, effects: &mut Effects) {
        // What is left of it is offered anew.
        Arc::make_mut(&mut self.seen).forget(&offer.agent_id);
        // What an agent held that will never come back needs no releasing.
        let stored = self.state.pod_tasks(&wanted.pod);
        let is_gone = |agent: &AgentId| {
            stored.iter().any(|task| task.agent_id == *agent && task.state() == Some(State::GoneByOperator))
        };
        let held = GivenUp::of_pod(&stored).into_iter();
        let old: Vec<(ResourceId, GivenUp)> = held.filter(|(_, held)| !is_gone(&held.agent_id)).collect();
        if let Some(planned) = self.state.planned.get(&wanted.pod) {
            let shown = shown_of(planned, &stored, &accepted.tasks, offer);
            self.state.confirm_reservations(&wanted.pod, &shown, &mut effects.commit);
        }
        let mut launches: Vec<(TaskName, TaskId)> = Vec::new();
        let names: BTreeSet<TaskName> = accepted.tasks.iter().map(|task| task.name.clone()).collect();
        for task in accepted.tasks {
            let status = match &task.task_id {
                Some(id) => {
                    launches.push((task.name.clone(), id.clone()));
                    self.reconciler.expect(id.clone(), Some(offer.agent_id.clone()), now);
                    effects.journal.push(Entry::Launched {
                        task: task.name.clone(),
                        task_id: id.clone(),
                        agent_id: offer.agent_id.clone(),
                        hostname: offer.hostname.clone(),
                    });
                    Status::stub(id, &offer.agent_id, task.executor.as_ref().map(|executor| executor.id.to_string()))
                }
                None => self.kept_status(wanted, &task.name),
            };
            self.state.put_task(Task { status, ..task }, &mut effects.commit);
        }
        if wanted.recovery == Recovery::Permanent {
            // What the specification does not know any more does not move along; left as it is it would have the pod replaced again and again.
            let left: Vec<TaskName> =
                self.state.pod_tasks(&wanted.pod).into_iter().map(|task| task.name.clone()).collect();
            for name in left.into_iter().filter(|name| !names.contains(name)) {
                self.state.delete_task(&name, &mut effects.commit);
            }
        }
        // What was planned for a pod that moves, or for what it has no use for any more, is given up like all it had.
        self.state.forget_unheld_plans(&wanted.pod, &mut effects.commit);
        // Most launches use what the pod had, or had nothing: then there is no need to look at every other pod.
        let own: BTreeSet<ResourceId> = self
            .state
            .pod_tasks(&wanted.pod)
            .iter()
            .filter(|task| !task.is_permanently_failed)
            .flat_map(|task| task.resource_ids())
            .collect();
        let kept = if old.iter().all(|(id, _)| own.contains(id)) { own } else { self.state.kept_resource_ids() };
        let given_up: Vec<_> = old.into_iter().filter(|(id, _)| !kept.contains(id)).collect();
        if !given_up.is_empty() {
            self.state.give_up(given_up, &mut effects.commit);
            self.demand.sweep(now, RELEASE_SWEEP);
        }
        if !accepted.planned.is_empty() {
            let launches = launches.iter().map(|(_, task_id)| task_id.clone()).collect();
            self.state.plan_reservations(&wanted.pod, accepted.planned, &launches, &mut effects.commit);
        }
        if !self.shut_down.is_empty() {
            let tasks = self.state.tasks.values();
            let executors: BTreeSet<_> =
                tasks.filter_map(|task| task.executor.as_ref()).map(|executor| &executor.id).collect();
            self.shut_down.retain(|id| executors.contains(id));
        }
        self.waits.launched(wanted.step_id, &wanted.step_name);
        self.launched(wanted, &launches, effects);
        effects.send.push(Call::Accept {
            offers: vec![offer.id.clone()],
            operations: accepted.operations,
            refuse: ACCEPT_REMAINDER,
        });
    }

    /// The status that a task which is only stored again keeps: what it finished stays finished, unless with another configuration.
    fn kept_status(&self, wanted: &Wanted, name: &TaskName) -> Option<Status> {
        let task = self.state.tasks.get(name)?;
        let status = task.status.as_ref()?;
        let goal =
            wanted.spec.pod(&wanted.pod.pod_type).and_then(|pod| pod.task(task.short_name())).map(|task| task.goal);
        let is_other_run = goal == Some(Goal::Finish) && task.config_id.as_ref() != Some(&wanted.config_id);
        (status.state.is_terminal() && !is_other_run).then(|| status.clone())
    }

    /// Tells the step, and every other unfinished step that waits for the same launch of the same configuration.
    fn launched(&mut self, wanted: &Wanted, launches: &[(TaskName, TaskId)], effects: &mut Effects) {
        let is_target = self.state.target.as_ref() == Some(&wanted.config_id);
        let mut had_reset = false;
        if let Some(plan) = self.plans.get_mut(wanted.place.plan) {
            if let Some(step) = plan.step_mut(wanted.place.phase, wanted.place.step) {
                had_reset = step.is_reset;
                step.launched(launches.iter().cloned());
            }
            plan.version += 1;
        }
        if had_reset {
            self.remember_overrides(wanted.place.plan, effects);
        }
        if !is_target {
            return;
        }
        for (at, plan) in self.plans.iter_mut().enumerate() {
            let mut changed = false;
            let is_held = plan.is_interrupted;
            for step in plan.steps_mut() {
                let is_own = step.id == wanted.step_id;
                if is_own
                    || is_held && at > super::RECOVERY
                    || step.pod != wanted.pod
                    || step.is_complete
                    || step.is_forced
                    || step.is_reset
                {
                    continue;
                }
                let concerned: Vec<_> = launches
                    .iter()
                    .filter(|(name, _)| step.tasks.iter().any(|task| step.pod.task_name(task) == *name))
                    .cloned()
                    .collect();
                changed |= !concerned.is_empty();
                if !concerned.is_empty() {
                    step.launched(concerned);
                }
            }
            plan.version += u64::from(changed);
        }
    }

    /// Offers nobody wanted: reservations of ours that nothing stands on are released, the rest is given back.
    fn leftovers(&mut self, offers: Vec<(Offer, Refusal)>, is_blocked: bool, now: Timestamp, effects: &mut Effects) {
        let role = self.config.role.clone();
        let spec = Arc::clone(&self.spec);
        let framework_id = self.state.framework_id.clone();
        let owner = framework_id.as_ref().map(|framework_id| leftover::Owner {
            role: &role,
            principal: &spec.principal,
            framework_id,
        });
        // Most offers hold nothing of ours.
        let is_ours = |resource: &Resource| owner.is_some_and(|owner| leftover::is_ours(resource, owner));
        let may_have_ours =
            !self.state.releasing.is_empty() || offers.iter().any(|(offer, _)| offer.resources.iter().any(is_ours));
        let keep = if may_have_ours { self.state.kept_resource_ids() } else { BTreeSet::new() };
        let wants_offers = self.wants_offers(now);
        let is_unsettled = is_blocked || self.demand.is_sweeping(now);
        // Several offers have to miss a reservation before it counts as released.
        let releasing: BTreeSet<AgentId> =
            self.state.releasing.values().map(|given_up| given_up.agent_id.clone()).collect();
        let mut unused = Vec::new();
        // No more are kept than these, so a flood of offers costs no more either.
        let kept_from = offers.len().saturating_sub(self.seen.most());
        for (at, (offer, why)) in offers.into_iter().enumerate() {
            let orphans = match owner {
                Some(owner) if !self.is_partly_unreadable => {
                    leftover::orphans(&offer, &keep, owner, &self.state.releasing)
                }
                Some(_) | None => Vec::new(),
            };
            let mut operations = leftover::release(&orphans);
            self.count_unseen(&offer, effects);
            if operations.is_empty() {
                let why = if !wants_offers {
                    Refusal::Idle
                } else if is_unsettled || releasing.contains(&offer.agent_id) {
                    Refusal::Unsettled
                } else {
                    why
                };
                unused.push((offer.id.clone(), offer.agent_id.clone(), why));
                if at >= kept_from {
                    Arc::make_mut(&mut self.seen).put(offer, now);
                }
                continue;
            }
            Arc::make_mut(&mut self.seen).forget(&offer.agent_id);
            self.release(&offer, &mut operations, effects);
            effects.send.push(Call::Accept { offers: vec![offer.id], operations, refuse: ACCEPT_REMAINDER });
            self.demand.sweep(now, RELEASE_SWEEP);
        }
        let refused = unused.iter().map(|(id, agent, why)| (id.clone(), agent, *why));
        self.decline(refused, now, effects);
    }

    /// Offers that could not be read: counted, told once for each problem, and declined.
    pub(super) fn malformed(&mut self, offers: &[MalformedOffer], now: Timestamp, effects: &mut Effects) {
        let unknown = AgentId::parse("unknown").expect("a valid id");
        let outcomes = Arc::make_mut(&mut self.outcomes);
        for offer in offers {
            *outcomes.failure_reasons.entry(format!("MalformedOffer: {}", offer.reason)).or_default() += 1;
            let agent = offer.agent_id.as_ref().unwrap_or(&unknown);
            let text = format!("{agent}: {}", offer.error);
            if self.malformed_told.len() < MALFORMED_TOLD && self.malformed_told.insert(text) {
                let (agent, error) = (agent.to_string(), offer.error.clone());
                effects.journal.push(Entry::OffersMalformed { reason: offer.reason, agent, error });
            }
        }
        if self.is_subscribed {
            let refused = offers.iter().filter_map(|offer| {
                Some((offer.id.clone()?, offer.agent_id.as_ref().unwrap_or(&unknown), Refusal::Malformed))
            });
            self.decline(refused, now, effects);
        }
    }

    /// Gives offers back, those that are refused for the same time with one call.
    pub(super) fn decline<'o>(
        &mut self,
        offers: impl Iterator<Item = (OfferId, &'o AgentId, Refusal)>,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let mut by_span: BTreeMap<Millis, Vec<OfferId>> = BTreeMap::new();
        for (id, agent, why) in offers {
            by_span.entry(self.refusals.span(agent, why)).or_default().push(id);
        }
        for (refuse, offers) in by_span {
            self.demand.refused(now, refuse);
            effects.journal.push(Entry::Declined { count: offers.len(), refuse });
            effects.send.push(Call::Decline { offers, refuse });
        }
    }

    /// Gives each operation an id, so that its outcome is told, and remembers what it releases.
    fn release(&mut self, offer: &Offer, operations: &mut [wire::offer::Operation], effects: &mut Effects) {
        let mut destroyed = 0;
        let mut unreserved = Vec::new();
        for operation in operations {
            let id = self.ids.operation_id();
            destroyed += operation.destroy.as_ref().map_or(0, |destroy| destroy.volumes.len());
            for resource in operation.unreserve.iter().flat_map(|unreserve| &unreserve.resources) {
                let found = Resource::from_wire(resource).ok().and_then(|resource| resource.resource_id());
                if let Some(resource_id) = found {
                    self.releases.insert(id.clone(), resource_id.clone());
                    unreserved.push(resource_id);
                }
            }
            operation.id = Some(wire::OperationId { value: id.as_str().to_owned() });
        }
        effects.journal.push(Entry::OrphansReleased { agent_id: offer.agent_id.clone(), destroyed, unreserved });
    }

    /// A reservation to release that several offers of its agent did not show is gone.
    fn count_unseen(&mut self, offer: &Offer, effects: &mut Effects) {
        let of_agent = self.state.releasing.iter().filter(|(_, given_up)| given_up.agent_id == offer.agent_id);
        let waiting: Vec<_> = of_agent.map(|(id, given_up)| (id.clone(), given_up.role.clone())).collect();
        if waiting.is_empty() {
            return;
        }
        let roles = role::all(&self.spec, self.state.reserved_roles(), &self.config.role);
        let shown: BTreeSet<ResourceId> = offer.resources.iter().filter_map(Resource::resource_id).collect();
        for (id, role) in waiting {
            if shown.contains(&id) {
                self.unseen.remove(&id);
                continue;
            }
            let counts = self.unseen.entry(id.clone()).or_default();
            *counts.entry(role::of_offer(offer, &self.config.role).to_owned()).or_default() += 1;
            let is_missed = |role: &String| counts.get(role).is_some_and(|count| *count >= RELEASED_AFTER_OFFERS);
            // It shows in offers to its own role only. Earlier versions did not keep which one that is.
            let is_gone = match role.filter(|role| roles.contains(role)) {
                Some(role) => is_missed(&role),
                None => roles.iter().all(is_missed),
            };
            if is_gone {
                self.unseen.remove(&id);
                self.state.released(&id, &mut effects.commit);
            }
        }
    }
}

/// Tells why a step waits, where that is news; returns whether it was.
fn tell_wait(is_news: bool, step: &str, why: &impl ToString, effects: &mut Effects) -> bool {
    if is_news {
        effects.journal.push(Entry::WaitingForOffers { step: step.to_owned(), why: why.to_string() });
    }
    is_news
}

/// Planned reservations that this offer proves to exist: it holds them, or names the executor that runs on them. One that is to have a volume
/// is shown with it.
fn shown_of(planned: &Planned, stored: &[&Task], launched: &[Task], offer: &Offer) -> BTreeSet<ResourceId> {
    let has_volume = |id: &ResourceId| {
        let mut held = stored.iter().flat_map(|task| task.reserved());
        held.any(|resource| resource.resource_id().as_ref() == Some(id) && resource.persistence_id().is_some())
    };
    let offered = offer.resources.iter().filter_map(|resource| Some((resource.resource_id()?, resource)));
    let shown = offered
        .filter(|(id, resource)| planned.contains_key(id) && (resource.persistence_id().is_some() || !has_volume(id)));
    let running = launched.iter().filter_map(|task| task.executor.as_ref());
    let running = running.filter(|executor| offer.executor_ids.contains(&executor.id));
    let of_running = running.flat_map(|executor| executor.resources.iter().filter_map(Resource::resource_id));
    shown.map(|(id, _)| id).chain(of_running).collect()
}
