//! One persistent volume.

use mainstay_spec::{VolumeKind, VolumeSpec};

use super::OfferStage;
use crate::ids::{Generator, PersistenceId, ResourceId};
use crate::offer::claim::{Amount, Basis, Claim, VolumeClaim};
use crate::offer::report::{Outcome, Reason};
use crate::resource::{Pool, Value};
use crate::units::Scalar;

/// Finds the volume: the very one it had, or a new one. A volume that exists keeps its size whatever the specification says.
///
/// One that is gone is made anew only if nothing ever ran on it: its data would be lost without a word.
pub(in crate::offer) fn evaluate<'a>(
    volume: &'a VolumeSpec,
    stored: Option<(ResourceId, PersistenceId)>,
    has_run: bool,
    role: &'a str,
    pool: &mut Pool<'a>,
    ids: &mut Generator,
) -> (Outcome, Option<Claim<'a>>) {
    match stored {
        Some((id, volume_id)) => existing(volume, id, volume_id, has_run, pool),
        None => new(volume, role, pool, ids),
    }
}

fn existing<'a>(
    volume: &'a VolumeSpec,
    id: ResourceId,
    volume_id: PersistenceId,
    has_run: bool,
    pool: &mut Pool<'a>,
) -> (Outcome, Option<Claim<'a>>) {
    let path = volume.path.clone();
    let missing =
        |path, id, volume| (Outcome::fail(OfferStage::Volume, Reason::VolumeMissing { path, id, volume }), None);
    let Some(offered) = pool.take_reserved("disk", &id) else { return missing(path, id, volume_id) };
    let Value::Scalar(size) = offered.value else { return missing(path, id, volume_id) };
    let is_new = match offered.persistence_id() {
        Some(found) if *found == volume_id => false,
        // Some other volume under our reservation: never to be used in place of ours.
        Some(_) => return missing(path, id, volume_id),
        None if has_run => return missing(path, id, volume_id),
        None => true,
    };
    let (id_shown, volume_shown) = (id.clone(), volume_id.clone());
    let reason = if is_new {
        Reason::VolumeCreatedAgain { path, size, id: id_shown, volume: volume_shown }
    } else {
        Reason::VolumeReserved { path, size, id: id_shown, volume: volume_shown }
    };
    let claim = Claim {
        name: "disk",
        amount: Amount::Scalar(size),
        id,
        basis: Basis::Reserved { offered },
        volume: Some(VolumeClaim { id: volume_id, path: &volume.path, is_new }),
    };
    (Outcome::pass(OfferStage::Volume, reason), Some(claim))
}

fn new<'a>(
    volume: &'a VolumeSpec,
    role: &'a str,
    pool: &mut Pool<'a>,
    ids: &mut Generator,
) -> (Outcome, Option<Claim<'a>>) {
    let path = || volume.path.clone();
    let taken: Result<(Scalar, Basis<'a>), Reason> = match &volume.kind {
        VolumeKind::Root => pool
            .take_scalar(role, "disk", volume.size_mb)
            .map(|_| (volume.size_mb, Basis::New { role }))
            .map_err(|shortfall| Reason::VolumeInsufficient { path: path(), shortfall }),
        VolumeKind::Mount { profiles } => match pool.take_mount(role, volume.size_mb, profiles) {
            Ok(disk) => match disk.value {
                Value::Scalar(size) => Ok((size, Basis::NewMount { disk })),
                // `take_mount` only takes scalars.
                Value::Ranges(_) | Value::Set(_) => Ok((volume.size_mb, Basis::NewMount { disk })),
            },
            Err(shortfall) => Err(Reason::NoMount { path: path(), profiles: profiles.clone(), shortfall }),
        },
    };
    match taken {
        Err(reason) => (Outcome::fail(OfferStage::Volume, reason), None),
        Ok((size, basis)) => {
            let (id, volume_id) = (ids.resource_id(), ids.persistence_id());
            let reason = Reason::VolumeNew { path: path(), size, id: id.clone(), volume: volume_id.clone() };
            let claim = Claim {
                name: "disk",
                amount: Amount::Scalar(size),
                id,
                basis,
                volume: Some(VolumeClaim { id: volume_id, path: &volume.path, is_new: true }),
            };
            (Outcome::pass(OfferStage::Volume, reason), Some(claim))
        }
    }
}
