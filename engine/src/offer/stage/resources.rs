//! One scalar resource: cpus, memory, the disk of an executor.

use super::OfferStage;
use crate::ids::{Generator, ResourceId};
use crate::offer::claim::{Amount, Basis, Claim};
use crate::offer::report::{Outcome, Reason};
use crate::resource::{Pool, Resource, Value};
use crate::units::Scalar;

/// Finds an amount: the reservation it had, grown or shrunk where the wish has changed, or a new one.
///
/// The pool has what one that shrinks does not need already: all of a pod give back before any takes.
pub(in crate::offer) fn evaluate<'a>(
    name: &'static str,
    wanted: Scalar,
    stored: Option<ResourceId>,
    role: &'a str,
    pool: &mut Pool<'a>,
    ids: &mut Generator,
) -> (Outcome, Option<Claim<'a>>) {
    let claim = |id, basis| Some(Claim { name, amount: Amount::Scalar(wanted), id, basis, volume: None });
    let Some(id) = stored else {
        return match pool.take_scalar(role, name, wanted) {
            Ok(available) => {
                let id = ids.resource_id();
                let reason = Reason::Sufficient { name, role: role.to_owned(), wanted, available, id: id.clone() };
                (Outcome::pass(OfferStage::Resource, reason), claim(id, Basis::New { role }))
            }
            Err(shortfall) => (Outcome::fail(OfferStage::Resource, Reason::Insufficient(shortfall)), None),
        };
    };
    let Some((offered, from)) = pool.take_reserved(name, &id).and_then(with_scalar) else {
        return (Outcome::fail(OfferStage::Resource, Reason::ReservedMissing { name, id }), None);
    };
    if from == wanted {
        let reason = Reason::Reserved { name, amount: wanted, id: id.clone() };
        return (Outcome::pass(OfferStage::Resource, reason), claim(id, Basis::Reserved { offered }));
    }
    let reason = if from.minus(wanted).is_some() {
        Reason::Shrunk { name, from, to: wanted, id: id.clone() }
    } else {
        let missing = wanted.minus(from).unwrap_or(Scalar::ZERO);
        if let Err(shortfall) = pool.take_scalar(role, name, missing) {
            let reason = Reason::GrowthInsufficient { from, to: wanted, id, shortfall };
            return (Outcome::fail(OfferStage::Resource, reason), None);
        }
        Reason::Grown { name, from, to: wanted, id: id.clone() }
    };
    (Outcome::pass(OfferStage::Resource, reason), claim(id, Basis::Resized { offered, from }))
}

fn with_scalar(resource: &Resource) -> Option<(&Resource, Scalar)> {
    match resource.value {
        Value::Scalar(amount) => Some((resource, amount)),
        Value::Ranges(_) | Value::Set(_) => None,
    }
}
