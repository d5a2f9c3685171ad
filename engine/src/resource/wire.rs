//! Wire resources to engine resources and back.
//!
//! Reads both reservation formats (`reservations`, and `role` + `reservation` of old masters and old stored tasks); writes only the
//! first. Not here: any judgement of what a resource is good for.
//! Invariant: `from_wire(to_wire(r)) == r` for every well-formed `r`.
//!
//! Source: Mesos v1 `Resource`; well-formedness as the master checks it.

use std::collections::BTreeSet;

use mainstay_proto::v1;
use mainstay_proto::v1::resource::disk_info::{self, source};
use mainstay_proto::v1::resource::{AllocationInfo, DiskInfo, ReservationInfo, reservation_info};

use super::{Disk, DiskSource, Persistence, Ranges, Reservation, ReservationKind, Resource, Value};
use crate::ids::{self, PersistenceId};
use crate::units::Scalar;

/// Why a wire resource is malformed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "field names say what they hold")]
pub enum Error {
    #[error("a resource has no name")]
    NoName,
    #[error("resource '{name}' has no value of its type {kind}")]
    NoValue { name: String, kind: i32 },
    #[error("resource '{name}' has the amount {amount}, which is negative, not a number or too large")]
    Amount { name: String, amount: f64 },
    #[error("resource '{name}' has the range {begin}-{end}, which ends before it begins")]
    BackwardRange { name: String, begin: u64, end: u64 },
    #[error("resource '{name}' has ranges that overlap at {number}")]
    OverlappingRanges { name: String, number: u64 },
    #[error("resource '{name}' has the item '{item}' twice")]
    DuplicateItem { name: String, item: String },
    #[error("resource '{name}' has a reservation of type {kind}")]
    ReservationKind { name: String, kind: i32 },
    #[error("resource '{name}' has a reservation for the role '{role}'")]
    ReservationRole { name: String, role: String },
    #[error("resource '{name}' is a volume whose id is unusable")]
    Persistence { name: String, source: ids::Error },
}

impl Error {
    /// Kind of problem, without the values.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoName => "resource without a name",
            Self::NoValue { .. } => "resource without a value of its type",
            Self::Amount { .. } => "amount out of bounds",
            Self::BackwardRange { .. } => "backward range",
            Self::OverlappingRanges { .. } => "overlapping ranges",
            Self::DuplicateItem { .. } => "duplicate item",
            Self::ReservationKind { .. } => "unknown kind of reservation",
            Self::ReservationRole { .. } => "reservation without a role",
            Self::Persistence { .. } => "volume without a usable id",
        }
    }
}

impl Resource {
    /// Checks and converts.
    ///
    /// Errors: the first way in which the message is malformed.
    pub fn from_wire(wire: &v1::Resource) -> Result<Self, Error> {
        if wire.name.is_empty() {
            return Err(Error::NoName);
        }
        Ok(Self {
            name: wire.name.clone(),
            value: value_from_wire(wire)?,
            allocation_role: wire.allocation_info.as_ref().and_then(|info| info.role.clone()),
            reservations: reservations_from_wire(wire)?,
            disk: wire.disk.as_deref().map(|disk| disk_from_wire(&wire.name, disk).map(Box::new)).transpose()?,
            provider_id: wire.provider_id.as_ref().map(|id| id.value.clone()),
            shared: wire.shared.is_some(),
            revocable: wire.revocable.is_some(),
        })
    }

    /// The wire form, in the `reservations` format.
    pub fn to_wire(&self) -> v1::Resource {
        let mut wire = v1::Resource {
            name: self.name.clone(),
            disk: self.disk.as_ref().map(|disk| Box::new(disk_to_wire(disk))),
            revocable: self.revocable.then(Default::default),
            shared: self.shared.then(Default::default),
            allocation_info: self.allocation_role.clone().map(|role| AllocationInfo { role: Some(role) }),
            provider_id: self.provider_id.clone().map(|value| v1::ResourceProviderId { value }),
            reservations: self.reservations.iter().map(reservation_to_wire).collect(),
            ..Default::default()
        };
        match &self.value {
            Value::Scalar(amount) => {
                wire.r#type = v1::value::Type::Scalar as i32;
                wire.scalar = Some(v1::value::Scalar { value: amount.to_f64() });
            }
            Value::Ranges(ranges) => {
                wire.r#type = v1::value::Type::Ranges as i32;
                let range = ranges.iter().map(|(begin, end)| v1::value::Range { begin, end }).collect();
                wire.ranges = Some(Box::new(v1::value::Ranges { range }));
            }
            Value::Set(items) => {
                wire.r#type = v1::value::Type::Set as i32;
                wire.set = Some(Box::new(v1::value::Set { item: items.iter().cloned().collect() }));
            }
        }
        wire
    }
}

fn value_from_wire(wire: &v1::Resource) -> Result<Value, Error> {
    let name = || wire.name.clone();
    let missing = || Error::NoValue { name: name(), kind: wire.r#type };
    match v1::value::Type::try_from(wire.r#type) {
        Ok(v1::value::Type::Scalar) => {
            let amount = wire.scalar.ok_or_else(missing)?.value;
            Ok(Value::Scalar(Scalar::from_f64(amount).ok_or_else(|| Error::Amount { name: name(), amount })?))
        }
        Ok(v1::value::Type::Ranges) => {
            let ranges = wire.ranges.as_ref().ok_or_else(missing)?;
            if let Some(bad) = ranges.range.iter().find(|range| range.begin > range.end) {
                return Err(Error::BackwardRange { name: name(), begin: bad.begin, end: bad.end });
            }
            let mut sorted: Vec<(u64, u64)> = ranges.range.iter().map(|range| (range.begin, range.end)).collect();
            sorted.sort_unstable();
            let mut previous = None;
            for (begin, end) in &sorted {
                if previous.is_some_and(|last: u64| *begin <= last) {
                    return Err(Error::OverlappingRanges { name: name(), number: *begin });
                }
                previous = Some(*end);
            }
            Ok(Value::Ranges(Ranges::new(sorted)))
        }
        Ok(v1::value::Type::Set) => {
            let mut items = BTreeSet::new();
            for item in &wire.set.as_ref().ok_or_else(missing)?.item {
                if !items.insert(item.clone()) {
                    return Err(Error::DuplicateItem { name: name(), item: item.clone() });
                }
            }
            Ok(Value::Set(items))
        }
        Ok(v1::value::Type::Text) | Err(_) => Err(missing()),
    }
}

fn reservations_from_wire(wire: &v1::Resource) -> Result<Vec<Reservation>, Error> {
    if !wire.reservations.is_empty() {
        return wire.reservations.iter().map(|layer| layer_from_wire(&wire.name, layer)).collect();
    }
    // The older format: one layer, its role beside it.
    let role = wire.role.as_deref().unwrap_or("*");
    match &wire.reservation {
        None if role == "*" => Ok(Vec::new()),
        None => Ok(vec![Reservation {
            kind: ReservationKind::Static,
            role: role.to_owned(),
            principal: None,
            labels: Vec::new(),
        }]),
        Some(_) if role == "*" || role.is_empty() => {
            Err(Error::ReservationRole { name: wire.name.clone(), role: role.to_owned() })
        }
        Some(layer) => Ok(vec![Reservation {
            kind: ReservationKind::Dynamic,
            role: role.to_owned(),
            principal: layer.principal.clone(),
            labels: pairs_from_wire(layer.labels.as_deref()),
        }]),
    }
}

fn layer_from_wire(name: &str, layer: &ReservationInfo) -> Result<Reservation, Error> {
    let kind = match reservation_info::Type::try_from(layer.r#type.unwrap_or_default()) {
        Ok(reservation_info::Type::Static) => ReservationKind::Static,
        Ok(reservation_info::Type::Dynamic) => ReservationKind::Dynamic,
        Ok(reservation_info::Type::Unknown) | Err(_) => {
            return Err(Error::ReservationKind { name: name.to_owned(), kind: layer.r#type.unwrap_or_default() });
        }
    };
    let role = layer.role.clone().unwrap_or_default();
    if role.is_empty() || role == "*" {
        return Err(Error::ReservationRole { name: name.to_owned(), role });
    }
    Ok(Reservation { kind, role, principal: layer.principal.clone(), labels: pairs_from_wire(layer.labels.as_deref()) })
}

fn reservation_to_wire(layer: &Reservation) -> ReservationInfo {
    let kind = match layer.kind {
        ReservationKind::Static => reservation_info::Type::Static,
        ReservationKind::Dynamic => reservation_info::Type::Dynamic,
    };
    ReservationInfo {
        principal: layer.principal.clone(),
        labels: pairs_to_wire(&layer.labels),
        role: Some(layer.role.clone()),
        r#type: Some(kind as i32),
    }
}

fn disk_from_wire(name: &str, disk: &DiskInfo) -> Result<Disk, Error> {
    let persistence = match &disk.persistence {
        None => None,
        Some(persistence) => Some(Persistence {
            id: PersistenceId::parse(persistence.id.clone())
                .map_err(|source| Error::Persistence { name: name.to_owned(), source })?,
            principal: persistence.principal.clone(),
        }),
    };
    Ok(Disk {
        persistence,
        container_path: disk.volume.as_ref().map(|volume| volume.container_path.clone()),
        source: disk.source.as_ref().map(|source| DiskSource {
            kind: source.r#type,
            root: source
                .mount
                .as_ref()
                .and_then(|mount| mount.root.clone())
                .or_else(|| source.path.as_ref().and_then(|path| path.root.clone())),
            id: source.id.clone(),
            profile: source.profile.clone(),
            vendor: source.vendor.clone(),
            metadata: pairs_from_wire(source.metadata.as_deref()),
        }),
    })
}

fn disk_to_wire(disk: &Disk) -> DiskInfo {
    DiskInfo {
        persistence: disk.persistence.as_ref().map(|persistence| {
            Box::new(disk_info::Persistence {
                id: persistence.id.as_str().to_owned(),
                principal: persistence.principal.clone(),
            })
        }),
        volume: disk.container_path.as_ref().map(|path| {
            Box::new(v1::Volume {
                container_path: path.clone(),
                mode: v1::volume::Mode::Rw as i32,
                ..Default::default()
            })
        }),
        source: disk.source.as_ref().map(|from| {
            Box::new(disk_info::Source {
                r#type: from.kind,
                path: (from.kind == source::Type::Path as i32 && from.root.is_some())
                    .then(|| source::Path { root: from.root.clone() }),
                mount: (from.kind == source::Type::Mount as i32 && from.root.is_some())
                    .then(|| source::Mount { root: from.root.clone() }),
                id: from.id.clone(),
                metadata: pairs_to_wire(&from.metadata),
                profile: from.profile.clone(),
                vendor: from.vendor.clone(),
            })
        }),
    }
}

/// Labels as pairs, in wire order.
pub(crate) fn pairs_from_wire(labels: Option<&v1::Labels>) -> Vec<(String, Option<String>)> {
    labels.map_or_else(Vec::new, |labels| {
        labels.labels.iter().map(|label| (label.key.clone(), label.value.clone())).collect()
    })
}

/// Pairs as labels; nothing at all for no pair.
pub(crate) fn pairs_to_wire(pairs: &[(String, Option<String>)]) -> Option<Box<v1::Labels>> {
    if pairs.is_empty() {
        return None;
    }
    let labels = pairs.iter().map(|(key, value)| v1::Label { key: key.clone(), value: value.clone() }).collect();
    Some(Box::new(v1::Labels { labels }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn scalar(amount: f64) -> v1::Resource {
        v1::Resource { name: "cpus".into(), scalar: Some(v1::value::Scalar { value: amount }), ..Default::default() }
    }

    fn ranges(pairs: &[(u64, u64)]) -> v1::Resource {
        let range = pairs.iter().map(|(begin, end)| v1::value::Range { begin: *begin, end: *end }).collect();
        v1::Resource {
            name: "ports".into(),
            r#type: v1::value::Type::Ranges as i32,
            ranges: Some(Box::new(v1::value::Ranges { range })),
            ..Default::default()
        }
    }

    fn layer(kind: i32, role: &str) -> ReservationInfo {
        ReservationInfo { r#type: Some(kind), role: Some(role.into()), ..Default::default() }
    }

    #[track_caller]
    fn refused(wire: &v1::Resource, expected: &str) {
        assert_eq!(Resource::from_wire(wire).unwrap_err().to_string(), expected);
    }

    #[test]
    fn malformed_resources_are_refused() {
        refused(&v1::Resource::default(), "a resource has no name");
        refused(
            &v1::Resource { name: "cpus".into(), ..Default::default() },
            "resource 'cpus' has no value of its type 0",
        );
        refused(&v1::Resource { r#type: 3, ..scalar(1.0) }, "resource 'cpus' has no value of its type 3");
        refused(&v1::Resource { r#type: 1, ..scalar(1.0) }, "resource 'cpus' has no value of its type 1");
        for (amount, text) in [(-0.5, "-0.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf"), (1e300, "1")] {
            let error = Resource::from_wire(&scalar(amount)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("resource 'cpus' has the amount {text}")), "{error}");
        }
        refused(&ranges(&[(5, 4)]), "resource 'ports' has the range 5-4, which ends before it begins");
        refused(&ranges(&[(7, 9), (1, 7)]), "resource 'ports' has ranges that overlap at 7");
        let twice = v1::Resource {
            name: "s".into(),
            r#type: v1::value::Type::Set as i32,
            set: Some(Box::new(v1::value::Set { item: vec!["a".into(), "a".into()] })),
            ..Default::default()
        };
        refused(&twice, "resource 's' has the item 'a' twice");
        refused(
            &v1::Resource { reservations: vec![layer(0, "r")], ..scalar(1.0) },
            "resource 'cpus' has a reservation of type 0",
        );
        refused(
            &v1::Resource { reservations: vec![layer(2, "*")], ..scalar(1.0) },
            "resource 'cpus' has a reservation for the role '*'",
        );
        refused(
            &v1::Resource { reservation: Some(Box::default()), ..scalar(1.0) },
            "resource 'cpus' has a reservation for the role '*'",
        );
        let nameless = DiskInfo { persistence: Some(Box::default()), ..Default::default() };
        refused(
            &v1::Resource { disk: Some(Box::new(nameless)), ..scalar(1.0) },
            "resource 'cpus' is a volume whose id is unusable",
        );
    }

    #[test]
    fn scalars_are_rounded_to_thousandths_and_adjacent_ranges_joined() {
        assert_eq!(Resource::from_wire(&scalar(0.1 + 0.2)).unwrap().value, Value::Scalar(Scalar::from_millis(300)));
        let ports = Resource::from_wire(&ranges(&[(11, 20), (1, 10)])).unwrap();
        assert_eq!(ports.value, Value::Ranges(Ranges::new([(1, 20)])));
    }

    #[test]
    fn the_older_format_reads_like_the_newer() {
        let labels = Some(Box::new(v1::Labels {
            labels: vec![v1::Label { key: "resource_id".into(), value: Some("r1".into()) }],
        }));
        let older = v1::Resource {
            role: Some("role".into()),
            reservation: Some(Box::new(ReservationInfo {
                principal: Some("p".into()),
                labels: labels.clone(),
                ..Default::default()
            })),
            ..scalar(1.0)
        };
        let newer = v1::Resource {
            reservations: vec![ReservationInfo { principal: Some("p".into()), labels, ..layer(2, "role") }],
            ..scalar(1.0)
        };
        let read = Resource::from_wire(&older).unwrap();
        assert_eq!(read, Resource::from_wire(&newer).unwrap());
        assert_eq!(read.resource_id().unwrap().as_str(), "r1");

        let fixed = v1::Resource { role: Some("slave_public".into()), ..scalar(1.0) };
        let read = Resource::from_wire(&fixed).unwrap();
        assert_eq!(
            read,
            Resource::from_wire(&v1::Resource { reservations: vec![layer(1, "slave_public")], ..scalar(1.0) }).unwrap()
        );
        assert!(!read.is_dynamically_reserved());
        let free = v1::Resource { role: Some("*".into()), ..scalar(1.0) };
        assert_eq!(Resource::from_wire(&free).unwrap().reservations, []);
    }

    #[test]
    fn a_volume_on_a_mount_survives_the_round_trip() {
        let wire = v1::Resource {
            name: "disk".into(),
            allocation_info: Some(AllocationInfo { role: Some("a".into()) }),
            provider_id: Some(v1::ResourceProviderId { value: "rp".into() }),
            reservations: vec![layer(1, "pre"), layer(2, "pre/a")],
            disk: Some(Box::new(DiskInfo {
                persistence: Some(Box::new(disk_info::Persistence { id: "v1".into(), principal: Some("p".into()) })),
                volume: Some(Box::new(v1::Volume {
                    container_path: "data".into(),
                    mode: v1::volume::Mode::Rw as i32,
                    ..Default::default()
                })),
                source: Some(Box::new(disk_info::Source {
                    r#type: source::Type::Mount as i32,
                    mount: Some(source::Mount { root: Some("/dcos/volume0".into()) }),
                    profile: Some("fast".into()),
                    ..Default::default()
                })),
            })),
            ..scalar(100.0)
        };
        let read = Resource::from_wire(&wire).unwrap();
        assert_eq!(read.to_wire(), wire);
        assert_eq!(read.role(), "pre/a");
    }
}
