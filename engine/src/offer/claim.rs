//! What stages took from an offer, and what follows for the whole requirement.
//!
//! Not yet operations: those are made by `operation.rs`, and only when every stage has passed.

use std::sync::Arc;

use mainstay_spec::{PortSpec, ResourceSet, TaskSpec};

use crate::ids::{ExecutorId, PersistenceId, ResourceId};
use crate::resource::Resource;
use crate::state::Executor;
use crate::units::Scalar;

/// One resource that a stage has found for the requirement.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub(super) name: &'static str,
    pub(super) amount: Amount,
    pub(super) id: ResourceId,
    pub(super) basis: Basis<'a>,
    pub(super) volume: Option<VolumeClaim<'a>>,
}

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Amount {
    Scalar(Scalar),
    Port(u16),
}

/// Where it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Basis<'a> {
    /// To be reserved, from what has this role (`*` for none).
    New { role: &'a str },
    /// To be reserved, a whole disk.
    NewMount { disk: &'a Resource },
    /// Reserved earlier, used as it is.
    Reserved { offered: &'a Resource },
    /// Reserved earlier, with another amount.
    Resized { offered: &'a Resource, from: Scalar },
}

/// What makes it a volume.
#[derive(Debug)]
pub(super) struct VolumeClaim<'a> {
    pub(super) id: PersistenceId,
    /// Path of the specification.
    pub(super) path: &'a str,
    /// Whether it does not exist yet.
    pub(super) is_new: bool,
}

impl Claim<'_> {
    /// How many operations it takes.
    fn operations(&self) -> usize {
        let reserves = match (self.basis, self.amount) {
            (Basis::New { .. } | Basis::NewMount { .. }, _) => true,
            (Basis::Resized { from, .. }, Amount::Scalar(to)) => from != to,
            (Basis::Resized { .. }, Amount::Port(_)) | (Basis::Reserved { .. }, _) => false,
        };
        usize::from(reserves) + usize::from(self.volume.as_ref().is_some_and(|volume| volume.is_new))
    }

    /// Whether the stored form changes.
    pub(super) fn is_change(&self) -> bool {
        !matches!(self.basis, Basis::Reserved { .. }) || self.volume.as_ref().is_some_and(|volume| volume.is_new)
    }
}

/// Everything one evaluation has worked out.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) executor: ExecutorDraft<'a>,
    /// Offered reservations that are no longer needed.
    pub(super) orphans: Vec<&'a Resource>,
    pub(super) sets: Vec<SetDraft<'a>>,
    /// Tasks to store, each with the place of its set in `sets`.
    pub(super) tasks: Vec<TaskDraft<'a>>,
}

impl Draft<'_> {
    /// How many operations the accept will have: those of orphans and claims, and the launch.
    pub(super) fn operations(&self) -> usize {
        let of_orphan = |orphan: &&Resource| 1 + usize::from(orphan.persistence_id().is_some());
        let claims = self.claims();
        self.orphans.iter().map(of_orphan).sum::<usize>() + claims.map(Claim::operations).sum::<usize>() + 1
    }

    /// Of the executor and of all sets.
    pub(super) fn claims(&self) -> impl Iterator<Item = &Claim<'_>> {
        let of_executor = match &self.executor {
            ExecutorDraft::New { claims, .. } => claims.as_slice(),
            ExecutorDraft::Running(_) => &[],
        };
        of_executor.iter().chain(self.sets.iter().flat_map(|set| &set.claims))
    }
}

/// The executor the tasks will run under.
#[derive(Debug)]
pub(super) enum ExecutorDraft<'a> {
    /// A new one, with what it holds.
    New { id: ExecutorId, claims: Vec<Claim<'a>> },
    /// One that lives.
    Running(&'a Arc<Executor>),
}

/// A resource set after its stages.
#[derive(Debug)]
pub(super) struct SetDraft<'a> {
    pub(super) set: &'a ResourceSet,
    pub(super) claims: Vec<Claim<'a>>,
    pub(super) ports: Vec<(&'a PortSpec, u16)>,
}

/// A task to store.
#[derive(Debug)]
pub(super) struct TaskDraft<'a> {
    pub(super) spec: &'a TaskSpec,
    pub(super) set: usize,
    pub(super) is_launched: bool,
}
