//! Who is offered what: the periodic allocation, decline filters, minimum sizes.
//!
//! Invariant: a resource is in at most one of: used, in one offer, free.
//! Invariant: freed resources are offered by the next periodic run at the earliest, except after a subscription, a
//! REVIVE, an UPDATE_FRAMEWORK or a registration, which allocate at once.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_proto::v1::{self, scheduler};

use super::resources::{self, Resources};
use super::{Cluster, validation};

use v1::framework_info::capability::Type as Capability;

/// Longest refusal.
const MAX_REFUSAL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Resources of one agent, held for one role of one framework.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    pub(super) framework_id: String,
    pub(super) agent_id: String,
    pub(super) role: String,
    pub(super) resources: Resources,
}

/// A refusal: what is contained in it is not offered again for a while.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) role: String,
    pub(super) agent_id: String,
    pub(super) resources: Resources,
    pub(super) until: Duration,
}

impl Cluster {
    /// Notes that something could be offered at the next periodic run.
    pub(super) fn resources_freed(&mut self) {
        self.allocate_at(self.now);
    }

    /// Asks for the first periodic run after a point in time.
    fn allocate_at(&mut self, after: Duration) {
        let interval = self.config.allocation_interval.as_nanos().max(1);
        let run = Duration::from_nanos((((after.as_nanos() / interval) + 1) * interval) as u64);
        self.master.allocate_at = Some(self.master.allocate_at.map_or(run, |at| at.min(run)));
    }

    /// Offers what is free to those who may have it; `only` names one agent.
    pub(super) fn allocate(&mut self, only: Option<&str>) {
        let now = self.now;
        for framework in self.master.frameworks.values_mut() {
            framework.filters.retain(|filter| filter.until > now);
        }
        // While nobody takes offers there is no need to know what is free.
        let has_takers = !self.candidates().is_empty();
        let agents: Vec<String> = self
            .master
            .agents
            .iter()
            .filter(|(id, agent)| has_takers && agent.connected && only.is_none_or(|only| only == id.as_str()))
            .map(|(id, _)| id.clone())
            .collect();
        // Each agent's own are of interest only; what is offered below is of agents whose turn is over.
        let mut offered: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (offer_id, offer) in &self.master.offers {
            offered.entry(offer.agent_id.clone()).or_default().push(offer_id.clone());
        }
        let mut made: BTreeMap<String, Vec<v1::Offer>> = BTreeMap::new();
        for agent_id in agents {
            let mut free = self.free(&agent_id, offered.get(&agent_id).map_or(&[], Vec::as_slice));
            if free.is_empty() {
                continue;
            }
            for (framework_id, role) in self.candidates() {
                let part = self.offerable(&framework_id, &role, &agent_id, &free);
                if part.is_empty() || !self.is_wanted(&framework_id, &role, &agent_id, &part) {
                    continue;
                }
                free.subtract_present(part.iter());
                let offer_id = self.master.new_offer_id();
                let offer =
                    Offer { framework_id: framework_id.clone(), agent_id: agent_id.clone(), role, resources: part };
                made.entry(framework_id).or_default().push(self.offer_message(&offer_id, &offer));
                self.master.offers.insert(offer_id, offer);
            }
        }
        for (framework_id, offers) in made {
            let event = scheduler::Event {
                r#type: Some(scheduler::event::Type::Offers as i32),
                offers: Some(Box::new(scheduler::event::Offers { offers })),
                ..Default::default()
            };
            self.send(&framework_id, event);
        }
        let next =
            self.master.frameworks.values().flat_map(|framework| &framework.filters).map(|filter| filter.until).min();
        if let Some(until) = next {
            // Expiry takes effect at the first run that is not before it.
            self.allocate_at(until.saturating_sub(Duration::from_nanos(1)));
        }
    }

    /// What of an agent is neither used nor in one of these offers.
    fn free(&self, agent_id: &str, offers: &[String]) -> Resources {
        let Some(agent) = self.master.agents.get(agent_id) else { return Resources::default() };
        let mut free = agent.unused().clone();
        for offer in offers.iter().filter_map(|offer_id| self.master.offers.get(offer_id)) {
            free.subtract_present(offer.resources.iter());
        }
        free
    }

    /// Framework roles that take offers, those with the smaller share first.
    fn candidates(&self) -> Vec<(String, String)> {
        let mut list: Vec<(i64, String, String)> = Vec::new();
        let is_contended =
            self.master.frameworks.values().filter(|framework| framework.connection.is_some()).count() > 1;
        let mut total = Resources::default();
        if is_contended {
            self.master.agents.values().for_each(|agent| total.add_all(agent.total.to_vec()));
        }
        for (framework_id, framework) in &self.master.frameworks {
            // Those that take no offers have no place in the order, and their share is of no interest.
            if framework.connection.is_none()
                || validation::roles(&framework.info).iter().all(|role| framework.suppressed.contains(role))
            {
                continue;
            }
            let share = if is_contended { self.share(framework_id, &total) } else { 0 };
            for role in validation::roles(&framework.info) {
                if !framework.suppressed.contains(&role) {
                    list.push((share, framework_id.clone(), role));
                }
            }
        }
        list.sort();
        list.into_iter().map(|(_, framework_id, role)| (framework_id, role)).collect()
    }

    /// The dominant share of a framework, in millionths of the cluster.
    fn share(&self, framework_id: &str, total: &Resources) -> i64 {
        let mut held = Resources::default();
        for agent in self.master.agents.values() {
            let tasks = agent
                .tasks
                .iter()
                .filter(|((of, _), task)| of == framework_id && !super::updates::is_terminal(task.state()));
            held.add_all(tasks.flat_map(|(_, task)| task.resources.clone()));
            let executors = agent.executors.iter().filter(|((of, _), _)| of == framework_id);
            held.add_all(executors.flat_map(|(_, executor)| executor.resources.clone()));
        }
        for offer in self.master.offers.values().filter(|offer| offer.framework_id == framework_id) {
            held.add_all(offer.resources.to_vec());
        }
        ["cpus", "mem", "disk"]
            .into_iter()
            .filter(|name| total.scalar(name) > 0)
            .map(|name| held.scalar(name).saturating_mul(1_000_000) / total.scalar(name))
            .max()
            .unwrap_or(0)
    }

    fn offerable(&self, framework_id: &str, role: &str, agent_id: &str, free: &Resources) -> Resources {
        let Some(framework) = self.master.frameworks.get(framework_id) else { return Resources::default() };
        let info = &framework.info;
        let has = |wanted| validation::has_capability(info, wanted);
        let agent = &self.master.agents[agent_id];
        if agent.total.scalar("gpus") > 0 && !has(Capability::GpuResources) {
            return Resources::default();
        }
        let region = |domain: Option<&v1::DomainInfo>| {
            domain.and_then(|domain| domain.fault_domain.as_ref()).map(|fault| fault.region.name.clone())
        };
        let theirs = region(self.config.agents[agent.index].domain.as_ref());
        if theirs.is_some() && theirs != region(self.config.master_domain.as_ref()) && !has(Capability::RegionAware) {
            return Resources::default();
        }
        free.filter(|resource| {
            resources::is_allocatable_to(resource, role)
                && (resource.shared.is_none() || has(Capability::SharedResources))
                && (resource.revocable.is_none() || has(Capability::RevocableResources))
                && (resource.reservations.len() <= 1 || has(Capability::ReservationRefinement))
        })
    }

    /// Whether a set is large enough to be offered and not refused already.
    fn is_wanted(&self, framework_id: &str, role: &str, agent_id: &str, part: &Resources) -> bool {
        let framework = &self.master.frameworks[framework_id];
        let minimum =
            framework.info.offer_filters.get(role).and_then(|filters| filters.min_allocatable_resources.as_ref());
        let is_allocatable = match minimum {
            None => part.scalar("cpus") >= 10 || part.scalar("mem") >= 32_000,
            Some(minimum) => {
                minimum.quantities.is_empty()
                    || minimum.quantities.iter().any(|set| {
                        set.quantities.iter().all(|(name, least)| part.scalar(name) >= resources::millis(least.value))
                    })
            }
        };
        let part = part.to_vec();
        let is_refused = framework
            .filters
            .iter()
            .any(|filter| filter.role == role && filter.agent_id == agent_id && filter.resources.contains_all(&part));
        is_allocatable && !is_refused
    }

    fn offer_message(&self, offer_id: &str, offer: &Offer) -> v1::Offer {
        let info = &self.master.frameworks[&offer.framework_id].info;
        let agent = &self.master.agents[&offer.agent_id];
        let config = &self.config.agents[agent.index];
        let is_multi = validation::has_capability(info, Capability::MultiRole);
        let executors = agent.executors.keys().filter(|(of, _)| *of == offer.framework_id);
        v1::Offer {
            id: v1::OfferId { value: offer_id.to_owned() },
            framework_id: v1::FrameworkId { value: offer.framework_id.clone() },
            agent_id: v1::AgentId { value: offer.agent_id.clone() },
            hostname: config.hostname.clone(),
            resources: offer
                .resources
                .iter()
                .filter_map(|resource| to_framework(resource, info, &offer.role))
                .collect(),
            executor_ids: executors.map(|(_, id)| v1::ExecutorId { value: id.clone() }).collect(),
            attributes: config.attributes.clone(),
            url: Some(Box::new(v1::Url {
                scheme: "http".into(),
                address: v1::Address {
                    hostname: Some(config.hostname.clone()),
                    ip: Some(config.ip.clone()),
                    port: i32::from(config.port),
                },
                path: Some("/slave(1)".into()),
                ..Default::default()
            })),
            unavailability: None,
            allocation_info: is_multi.then(|| v1::resource::AllocationInfo { role: Some(offer.role.clone()) }),
            domain: config.domain.clone().map(Box::new),
        }
    }

    pub(super) fn decline(&mut self, framework_id: &str, offer_ids: &[v1::OfferId], filters: Option<&v1::Filters>) {
        for offer_id in offer_ids {
            let is_theirs =
                self.master.offers.get(&offer_id.value).is_some_and(|offer| offer.framework_id == framework_id);
            if is_theirs && let Some(offer) = self.master.offers.remove(&offer_id.value) {
                self.refused(framework_id, &offer.role, &offer.agent_id, offer.resources, filters);
            }
        }
        self.resources_freed();
    }

    /// Remembers that a framework did not want these resources.
    pub(super) fn refused(
        &mut self,
        framework_id: &str,
        role: &str,
        agent_id: &str,
        resources: Resources,
        filters: Option<&v1::Filters>,
    ) {
        let asked = filters.map_or(5.0, v1::Filters::refuse_seconds);
        let seconds = if asked < 0.0 || asked.is_nan() { 5.0 } else { asked };
        let refusal = Duration::try_from_secs_f64(seconds).unwrap_or(MAX_REFUSAL).min(MAX_REFUSAL);
        if refusal.is_zero() || resources.is_empty() {
            return;
        }
        let until = self.now + refusal.max(self.config.allocation_interval);
        if let Some(framework) = self.master.frameworks.get_mut(framework_id) {
            let (role, agent_id) = (role.to_owned(), agent_id.to_owned());
            framework.filters.push(Filter { role, agent_id, resources, until });
        }
    }
}

/// A resource as a framework sees it in an offer for one of its roles.
pub(super) fn to_framework(resource: &v1::Resource, info: &v1::FrameworkInfo, role: &str) -> Option<v1::Resource> {
    let is_refining = validation::has_capability(info, Capability::ReservationRefinement);
    let form = if is_refining { Some(resource.clone()) } else { resources::downgrade(resource) }?;
    let is_multi = validation::has_capability(info, Capability::MultiRole);
    Some(if is_multi { resources::allocate(form, role) } else { form })
}
