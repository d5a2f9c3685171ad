//! Under which executor the tasks will run.

use std::sync::Arc;

use mainstay_proto::v1;
use prost::Message as _;

use super::OfferStage;
use crate::ids::Generator;
use crate::offer::Offer;
use crate::offer::claim::ExecutorDraft;
use crate::offer::report::{Outcome, Reason};
use crate::offer::requirement::Requirement;
use crate::state::Executor;
use crate::task::info;
use crate::task::status::State;

/// The executor of a task of the pod that lives and is not launched now; without one, a new executor.
pub(in crate::offer) fn evaluate<'a>(
    requirement: &'a Requirement<'a>,
    offer: &Offer,
    is_placed: bool,
    ids: &mut Generator,
) -> (Outcome, ExecutorDraft<'a>) {
    let Some(executor) = is_placed.then(|| running(requirement)).flatten() else {
        let id = ids.executor_id(&requirement.spec.id_safe_name(), &requirement.pod.pod_type);
        let ending = requirement.stored.iter().filter_map(|task| task.executor.as_ref());
        let outcome = match ending.map(|executor| &executor.id).find(|id| is_placed && offer.executor_ids.contains(id))
        {
            Some(ending) => Outcome::fail(OfferStage::Executor, Reason::ExecutorEnding { id: ending.clone() }),
            None => Outcome::pass(OfferStage::Executor, Reason::ExecutorNew { id: id.clone() }),
        };
        return (outcome, ExecutorDraft::New { id, claims: Vec::new() });
    };
    let id = executor.id.clone();
    let outcome = if !is_ours(executor) {
        Outcome::fail(OfferStage::Executor, Reason::ExecutorForeign { id })
    } else if offer.executor_ids.contains(&executor.id) {
        Outcome::pass(OfferStage::Executor, Reason::ExecutorFound { id })
    } else {
        Outcome::fail(OfferStage::Executor, Reason::ExecutorMissing { id })
    };
    (outcome, ExecutorDraft::Running(executor))
}

/// The executor that must be joined: two of one pod instance would be two pods.
fn running<'a>(requirement: &Requirement<'a>) -> Option<&'a Arc<Executor>> {
    let is_live = |state| matches!(state, State::Staging | State::Starting | State::Running);
    requirement
        .stored
        .iter()
        .copied()
        .filter(|task| !task.is_permanently_failed)
        .filter(|task| !requirement.launch.iter().any(|short| requirement.pod.task_name(short) == task.name))
        .filter(|task| task.status.as_ref().is_some_and(|status| is_live(status.state)))
        .find_map(|task| task.executor.as_ref())
}

/// Whether it is our own program; others do not understand how our tasks are packed.
fn is_ours(executor: &Executor) -> bool {
    v1::ExecutorInfo::decode(executor.info.clone()).is_ok_and(|wire| {
        wire.command.is_some_and(|command| {
            command.uris.iter().any(|uri| uri.output_file.as_deref() == Some(info::EXECUTOR_FILE))
        })
    })
}
