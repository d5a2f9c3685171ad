//! What one step wants from one offer.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use mainstay_spec::{PodSpec, ServiceSpec};

use crate::config::Config;
use crate::ids::{ConfigId, FrameworkId, PodInstance, ResourceId};
use crate::offer::placement::{Counts, Rule};
use crate::offer::role;
use crate::resource::{LABEL_RESOURCE_ID, Resource};
use crate::state::Task;

/// Everything evaluation needs to know besides the offer. Borrowed from the engine's state for one evaluation.
///
/// Invariant: `pod_spec` is `spec.pod(&pod.pod_type)`; every name in `launch` is a task of it, at least one; `stored` holds exactly the stored
/// tasks of `pod`.
#[derive(Debug, Clone)]
pub struct Requirement<'a> {
    /// Settings of the process.
    pub config: &'a Config,
    /// Our id at the master.
    pub framework_id: &'a FrameworkId,
    /// The specification the pod is made from.
    pub spec: &'a ServiceSpec,
    /// Its id, written into the label `target_configuration`.
    pub config_id: &'a ConfigId,
    /// The pod type.
    pub pod_spec: &'a PodSpec,
    /// The instance.
    pub pod: &'a PodInstance,
    /// Short names of the tasks to launch, in the order of the step.
    pub launch: &'a [String],
    /// Why it is launched.
    pub recovery: Recovery,
    /// Parameters of the plan, added to the environment of the launched tasks.
    pub parameters: &'a BTreeMap<String, String>,
    /// Stored tasks of this pod instance, by name.
    pub stored: &'a [&'a Task],
    /// Their reservations that nothing has confirmed: no task ever ran on them.
    pub unconfirmed: &'a BTreeSet<ResourceId>,
    /// Placement rule of the pod.
    pub placement: Option<&'a Rule>,
    /// Region that counts as the service's own: that of the master, else `SERVICE_REGION`; `None` when nobody has said.
    pub local_region: Option<&'a str>,
    /// Every stored task of the service, for counting rules.
    pub all_tasks: &'a [&'a Task],
    /// What counting rules found out about them; empty at first, good for this pod instance and these tasks.
    pub counts: &'a Counts,
}

impl<'a> Requirement<'a> {
    /// Role of the pod's reservations, hence of the offers it can use: of those it has, also when the service has another role by now; else of
    /// those it will have.
    pub fn role(&self) -> Cow<'a, str> {
        match self.held_role() {
            Some(role) => Cow::Borrowed(role),
            None => role::of_pod(self.pod_spec, &self.config.role),
        }
    }

    /// Role of the reservations that the pod goes back to.
    fn held_role(&self) -> Option<&'a str> {
        if self.recovery == Recovery::Permanent || self.stored.iter().all(|task| task.is_permanently_failed) {
            return None;
        }
        let mut held = self.stored.iter().copied().flat_map(Task::reserved);
        held.find(|resource| resource.reservation_label(LABEL_RESOURCE_ID).is_some()).map(Resource::role)
    }
}

/// Why a pod is launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recovery {
    /// By a plan, with the target configuration.
    None,
    /// It failed; back to its reservation with its volumes.
    Transient,
    /// It is given up; anywhere, with fresh volumes.
    Permanent,
}

/// What an offer that passed every stage leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// Operations in the order Mesos must apply them.
    pub operations: Vec<mainstay_proto::v1::offer::Operation>,
    /// Tasks stored by the same commit, whether launched or only reserved for; without a status.
    pub tasks: Vec<Task>,
    /// Reservations this accept creates (not those it found); planned until Mesos confirms them.
    pub planned: Vec<ResourceId>,
}
