//! One persistent volume.

use mainstay_spec::{VolumeKind, VolumeSpec};

use super::OfferStage;
use crate::ids::{Generator, PersistenceId, ResourceId};
use crate::offer::claim::{Amount, Basis, Claim, VolumeClaim};
use crate::offer::report::{Outcome, Reason};
use crate::resource::{MountWish, Pool, Value};
use crate::units::Scalar;

/// What is known where a volume is taken.
pub(in crate::offer) struct Take<'a, 'l> {
    /// Role of what is free to take.
    pub(in crate::offer) role: &'a str,
    /// What the volumes after it want of MOUNT disks.
    pub(in crate::offer) later: &'l [MountWish<'a>],
    /// Whether anything ever ran on what is stored.
    pub(in crate::offer) has_run: bool,
}

/// What a volume wants of a MOUNT disk; `None` for a part of the root disk.
pub(in crate::offer) fn mount_wish(volume: &VolumeSpec) -> Option<MountWish<'_>> {
    match &volume.kind {
        VolumeKind::Root => None,
        VolumeKind::Mount { profiles } => Some(MountWish { size: volume.size_mb, profiles }),
    }
}

/// Finds the volume: the very one it had, or a new one. A volume that exists keeps its size whatever the specification says.
///
/// One that is gone is made anew only if nothing ever ran on it: its data would be lost without a word.
pub(in crate::offer) fn evaluate<'a>(
    volume: &'a VolumeSpec,
    stored: Option<(ResourceId, PersistenceId)>,
    take: &Take<'a, '_>,
    pool: &mut Pool<'a>,
    ids: &mut Generator,
) -> (Outcome, Option<Claim<'a>>) {
    match stored {
        Some((id, volume_id)) => existing(volume, id, volume_id, take.has_run, pool),
        None => new(volume, take, pool, ids),
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
    &Take { role, later, .. }: &Take<'a, '_>,
    pool: &mut Pool<'a>,
    ids: &mut Generator,
) -> (Outcome, Option<Claim<'a>>) {
    let path = || volume.path.clone();
    let taken: Result<(Scalar, Basis<'a>), Reason> = match &volume.kind {
        VolumeKind::Root => pool
            .take_scalar(role, "disk", volume.size_mb)
            .map(|_| (volume.size_mb, Basis::New { role }))
            .map_err(|shortfall| Reason::VolumeInsufficient { path: path(), shortfall }),
        VolumeKind::Mount { profiles } => {
            match pool.take_mount(role, MountWish { size: volume.size_mb, profiles }, later) {
                Ok(disk) => match disk.value {
                    Value::Scalar(size) => Ok((size, Basis::NewMount { disk })),
                    // `take_mount` only takes scalars.
                    Value::Ranges(_) | Value::Set(_) => Ok((volume.size_mb, Basis::NewMount { disk })),
                },
                Err(shortfall) => Err(Reason::NoMount { path: path(), profiles: profiles.clone(), shortfall }),
            }
        }
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
