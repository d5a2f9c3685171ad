//! Resources as the engine computes with them.
//!
//! Not the wire form: `resource/wire.rs` converts both ways, once. Arithmetic lives in `resource/ranges.rs`, `resource/mount.rs`,
//! `resource/matching.rs` and `resource/pool.rs`.
//! Invariant: values are well formed (scalars in thousandths, ranges sorted, disjoint, not adjacent).

mod display;
pub(crate) mod matching;
pub mod mount;
pub mod pool;
pub mod ranges;
pub mod wire;

use std::collections::BTreeSet;

pub use mount::MountWish;
pub use pool::Pool;
pub use ranges::Ranges;

use crate::ids::{PersistenceId, ResourceId};
use crate::units::Scalar;

/// Label of a reservation that holds its id.
pub const LABEL_RESOURCE_ID: &str = "resource_id";
/// Label of a reservation that holds the framework it was made for.
pub const LABEL_FRAMEWORK_ID: &str = "framework_id";
/// Label of a reservation that holds the service it was made for, with several services behind one framework.
pub const LABEL_NAMESPACE: &str = "namespace";

/// One resource of an offer, a task or an executor.
///
/// Source: Mesos v1 `Resource` in the `reservations` format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `cpus`, `mem`, `disk`, `ports`, …
    pub name: String,
    /// How much.
    pub value: Value,
    /// Role it is allocated to.
    pub allocation_role: Option<String>,
    /// Reservation layers, outermost last; empty means unreserved.
    pub reservations: Vec<Reservation>,
    /// What makes a disk more than a part of the agent's root disk. Apart, since hardly any resource has it and large clusters offer many.
    pub disk: Option<Box<Disk>>,
    /// Resource provider.
    pub provider_id: Option<String>,
    /// Shared volume.
    pub shared: bool,
    /// May be taken back at any time.
    pub revocable: bool,
}

/// Amount of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Thousandths; memory and disk in MB.
    Scalar(Scalar),
    /// Ports and the like.
    Ranges(Ranges),
    /// Named items.
    Set(BTreeSet<String>),
}

/// One reservation layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Made by the agent's configuration or at run time.
    pub kind: ReservationKind,
    /// Role.
    pub role: String,
    /// Who made it.
    pub principal: Option<String>,
    /// Labels in wire order.
    pub labels: Vec<(String, Option<String>)>,
}

/// Who made a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationKind {
    /// The agent's configuration.
    Static,
    /// A framework or an operator.
    Dynamic,
}

/// What makes a disk special.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Disk {
    /// Persistent volume.
    pub persistence: Option<Persistence>,
    /// Where a volume appears in a container.
    pub container_path: Option<String>,
    /// Disk it is cut from; `None` is the root disk.
    pub source: Option<DiskSource>,
}

/// Identity of a persistent volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persistence {
    /// Its id.
    pub id: PersistenceId,
    /// Who made it.
    pub principal: Option<String>,
}

/// Where a disk comes from; every field is part of its identity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiskSource {
    /// Wire number of the source type (PATH 1, MOUNT 2, BLOCK 3, RAW 4).
    pub kind: i32,
    /// Root folder of PATH and MOUNT.
    pub root: Option<String>,
    /// Id of a provider's disk.
    pub id: Option<String>,
    /// Profile of a provider's disk.
    pub profile: Option<String>,
    /// Vendor of a provider's disk.
    pub vendor: Option<String>,
    /// Metadata of a provider's disk.
    pub metadata: Vec<(String, Option<String>)>,
}

impl Resource {
    /// Value of a label of the outermost dynamic reservation.
    pub fn reservation_label(&self, key: &str) -> Option<&str> {
        let last = self.reservations.last()?;
        if last.kind == ReservationKind::Static {
            return None;
        }
        last.labels.iter().find(|(name, _)| name == key)?.1.as_deref()
    }

    /// Id of the reservation, when it is one of a scheduler like ours.
    pub fn resource_id(&self) -> Option<ResourceId> {
        ResourceId::parse(self.reservation_label(LABEL_RESOURCE_ID)?).ok()
    }

    /// Id of the volume, when this is one.
    pub fn persistence_id(&self) -> Option<&PersistenceId> {
        Some(&self.disk.as_ref()?.persistence.as_ref()?.id)
    }

    /// The role of the outermost reservation, `*` when unreserved.
    pub fn role(&self) -> &str {
        self.reservations.last().map_or("*", |reservation| reservation.role.as_str())
    }

    /// Whether the outermost reservation was made at run time.
    pub fn is_dynamically_reserved(&self) -> bool {
        self.reservations.last().is_some_and(|last| last.kind == ReservationKind::Dynamic)
    }
}
