//! What a step wants from the offers, and what must end before it may want anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstay_spec::ServiceSpec;

use super::Engine;
use super::cycle::Class;
use crate::config::Config;
use crate::ids::{AgentId, ConfigId, FrameworkId, PodInstance, ResourceId, TaskId};
use crate::offer::placement::{Counts, Rule};
use crate::offer::requirement::{Recovery, Requirement};
use crate::plan::coordinator::Place;
use crate::state::Task;

/// What a step's requirement is made of, gathered once per step.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) place: Place,
    pub(crate) step_id: uuid::Uuid,
    pub(crate) step_name: String,
    pub(crate) pod: PodInstance,
    pub(crate) tasks: Vec<String>,
    pub(crate) recovery: Recovery,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) config_id: ConfigId,
    pub(crate) spec: Arc<ServiceSpec>,
    /// The only agent that can do: it holds the reservations of the pod.
    pub(crate) pinned: Option<AgentId>,
    /// Reservations of the pod that nothing has confirmed: nothing ran on them.
    pub(crate) unconfirmed: BTreeSet<ResourceId>,
    /// Region of the master, else that of the service.
    pub(crate) local_region: Option<String>,
}

impl Wanted {
    /// Steps of one class get equal answers from equal offers.
    pub(crate) fn class(&self) -> Class {
        (self.config_id.clone(), self.pod.pod_type.clone(), self.tasks.clone())
    }

    /// The requirement, over the tasks that are stored now; `None` when the specification does not know the pod.
    pub(crate) fn requirement<'a>(
        &'a self,
        config: &'a Config,
        framework_id: &'a FrameworkId,
        placement: Option<&'a Rule>,
        stored: &'a [&'a Task],
        all_tasks: &'a [&'a Task],
        counts: &'a Counts,
    ) -> Option<Requirement<'a>> {
        Some(Requirement {
            config,
            framework_id,
            spec: &self.spec,
            config_id: &self.config_id,
            pod_spec: self.spec.pod(&self.pod.pod_type)?,
            pod: &self.pod,
            launch: &self.tasks,
            recovery: self.recovery,
            parameters: &self.parameters,
            stored,
            unconfirmed: &self.unconfirmed,
            placement,
            local_region: self.local_region.as_deref(),
            all_tasks,
            counts,
        })
    }
}

impl Engine {
    /// Gathers what a step wants; `None` when it wants nothing now.
    pub(super) fn wanted(&self, place: Place) -> Option<Wanted> {
        let plan = self.plans.get(place.plan)?;
        let step = plan.phases.get(place.phase)?.steps.get(place.step)?;
        if !step.wants_launch() {
            return None;
        }
        let stored = self.state.pod_tasks(&step.pod);
        let is_given_up = stored.iter().any(|task| task.is_permanently_failed);
        let recovery = if is_given_up { Recovery::Permanent } else { step.recovery };
        let target = self.state.target.clone()?;
        // A failed pod comes back as it was; the rollout of a newer configuration is the deploy plan's.
        let config_id = match step.recovery {
            Recovery::None => target,
            Recovery::Transient | Recovery::Permanent => {
                let of_tasks: BTreeSet<&ConfigId> = stored
                    .iter()
                    .filter_map(|task| task.config_id.as_ref())
                    .filter(|id| self.state.configuration(id).is_some())
                    .collect();
                if of_tasks.is_empty() || of_tasks.contains(&target) { target } else { (*of_tasks.first()?).clone() }
            }
        };
        let spec = if self.state.target.as_ref() == Some(&config_id) {
            Arc::clone(&self.spec)
        } else {
            Arc::clone(self.state.configuration(&config_id)?)
        };
        let reserved = stored.iter().find(|task| task.resource_ids().next().is_some());
        let pinned = reserved.filter(|_| recovery != Recovery::Permanent).map(|task| task.agent_id.clone());
        Some(Wanted {
            place,
            step_id: step.id,
            step_name: step.name.clone(),
            pod: step.pod.clone(),
            tasks: step.tasks.clone(),
            recovery,
            parameters: plan.parameters.clone(),
            local_region: self.master.region.clone().or_else(|| spec.region.clone()),
            config_id,
            spec,
            pinned,
            unconfirmed: self.state.planned.get(&step.pod).into_iter().flatten().map(|(id, _)| id.clone()).collect(),
        })
    }

    /// The live launch that has to end before this step may launch.
    pub(super) fn blocked_by(&self, wanted: &Wanted) -> Option<TaskId> {
        let pod_spec = wanted.spec.pod(&wanted.pod.pod_type)?;
        let concerned = match wanted.recovery {
            Recovery::Permanent => self.state.pod_tasks(&wanted.pod),
            Recovery::None | Recovery::Transient => self.tasks_sharing(&wanted.pod, pod_spec, &wanted.tasks),
        };
        let live = concerned.into_iter().find(|task| task.is_live()).and_then(|task| task.task_id.clone());
        live.or_else(|| self.strays(&wanted.pod).next())
    }
}
