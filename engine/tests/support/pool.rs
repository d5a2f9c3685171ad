//! What one agent has free, kept as strictly as a master keeps it: nothing is taken that is not there exactly.
//!
//! Shared by the unit tests of the offer evaluation and by the scenarios, which each name the types below once.

use super::v1;
use super::{Disk, ReservationKind, Resource, Scalar, Value};

pub(super) fn read(wire: &[v1::Resource]) -> Result<Vec<Resource>, String> {
    wire.iter().map(|resource| Resource::from_wire(resource).map_err(|error| error.to_string())).collect()
}

pub(super) fn popped(resource: &Resource) -> Resource {
    let mut popped = resource.clone();
    popped.reservations.pop();
    popped
}

pub(super) fn without_volume(volume: &Resource) -> Resource {
    let source = volume.disk.as_ref().and_then(|disk| disk.source.clone());
    Resource { disk: source.map(|source| Box::new(Disk { source: Some(source), ..Disk::default() })), ..volume.clone() }
}

/// What must be equal for two resources to add up.
fn key(resource: &Resource) -> Resource {
    let mut key = Resource { value: Value::Scalar(Scalar::ZERO), ..resource.clone() };
    if let Some(disk) = &mut key.disk {
        disk.container_path = None;
        if let Some(persistence) = &mut disk.persistence {
            persistence.principal = None;
        }
    }
    for layer in &mut key.reservations {
        layer.labels.sort();
        assert!(layer.kind == ReservationKind::Static || layer.principal.is_some(), "a reservation of nobody");
    }
    key
}

fn is_whole(resource: &Resource) -> bool {
    resource.disk.as_ref().is_some_and(|disk| disk.persistence.is_some() || disk.source.is_some())
}

pub(super) fn take(pool: &mut Vec<Resource>, wanted: &Resource) -> Result<(), String> {
    let found = pool.iter().position(|have| {
        key(have) == key(wanted)
            && match (&have.value, &wanted.value) {
                (Value::Scalar(have), Value::Scalar(want)) if is_whole(wanted) => have == want,
                (Value::Scalar(have), Value::Scalar(want)) => have >= want,
                (Value::Ranges(have), Value::Ranges(want)) => have.contains_all(want),
                _ => false,
            }
    });
    let at = found.ok_or_else(|| format!("not free: {wanted}\nfree: {pool:#?}"))?;
    let have = &mut pool[at];
    let is_empty = match (&mut have.value, &wanted.value) {
        (Value::Scalar(have), Value::Scalar(want)) => {
            *have = have.minus(*want).ok_or("less than nothing")?;
            have.is_zero()
        }
        (Value::Ranges(have), Value::Ranges(want)) => have.take_all(want) && have.is_empty(),
        _ => false,
    };
    if is_empty {
        pool.remove(at);
    }
    Ok(())
}

pub(super) fn add(pool: &mut Vec<Resource>, resource: Resource) {
    let known = pool.iter_mut().find(|have| key(have) == key(&resource) && !is_whole(&resource));
    match (known.map(|known| &mut known.value), &resource.value) {
        (Some(Value::Scalar(have)), Value::Scalar(more)) => *have = have.plus(*more),
        (Some(Value::Ranges(have)), Value::Ranges(more)) => have.insert_all(more),
        _ => pool.push(resource),
    }
}
