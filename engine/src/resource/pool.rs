//! What is left of one offer while it is being evaluated.
//!
//! Not here: what a step wants (`offer/stage/`), what Mesos is told (`offer/operation.rs`).

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::{LABEL_RESOURCE_ID, MountWish, Ranges, ReservationKind, Resource, Value};
use crate::ids::ResourceId;
use crate::offer::Offer;
use crate::offer::report::Shortfall;
use crate::units::Scalar;

/// Wire number of the disk source type MOUNT.
pub const SOURCE_MOUNT: i32 = 2;

/// Resources of one offer that no requirement has claimed yet.
///
/// Shape: reservations by resource id; whole MOUNT disks; everything else summed by (role, name). Only what is allocated to the role of
/// the framework enters. Revocable and shared resources, disks of other sources and reservations without a resource id stay outside:
/// nothing here can use them.
/// Units: scalars in thousandths, disk and memory in MB. Never negative.
/// Errors: a take that fails returns what was missing and leaves the pool unchanged.
/// Source: Mesos v1 `Offer.resources`.
#[derive(Debug, Clone)]
pub struct Pool<'a> {
    reserved: Vec<Reserved<'a>>,
    mounts: Vec<Mount<'a>>,
    free: Vec<Free<'a>>,
}

#[derive(Debug, Clone)]
struct Reserved<'a> {
    id: &'a str,
    resource: &'a Resource,
}

#[derive(Debug, Clone)]
struct Mount<'a> {
    role: &'a str,
    resource: &'a Resource,
}

#[derive(Debug, Clone)]
struct Free<'a> {
    role: &'a str,
    name: &'a str,
    amount: Amount<'a>,
}

/// Ranges are borrowed from the offer until something is taken from them.
#[derive(Debug, Clone)]
enum Amount<'a> {
    Scalar(Scalar),
    Ranges(Cow<'a, Ranges>),
}

impl<'a> Pool<'a> {
    /// Everything of the offer that a requirement of this role can use.
    pub fn new(offer: &'a Offer, role: &str) -> Self {
        let mut pool = Self {
            reserved: Vec::with_capacity(offer.resources.len()),
            mounts: Vec::new(),
            free: Vec::with_capacity(4),
        };
        for resource in &offer.resources {
            if resource.allocation_role.as_deref().is_none_or(|allocated| allocated == role) {
                pool.add(resource, resource.reservations.len());
            }
        }
        pool
    }

    /// Adds a resource as if it had only its first `layers` reservations.
    fn add(&mut self, resource: &'a Resource, layers: usize) {
        if resource.revocable || resource.shared {
            return;
        }
        let last = layers.checked_sub(1).and_then(|last| resource.reservations.get(last));
        if let Some(last) = last.filter(|last| last.kind == ReservationKind::Dynamic) {
            let label = last.labels.iter().find(|(key, _)| key == LABEL_RESOURCE_ID);
            if let Some((_, Some(id))) = label {
                self.reserved.push(Reserved { id, resource });
            }
            return;
        }
        let role = last.map_or("*", |last| last.role.as_str());
        if let Some(disk) = &resource.disk {
            // A volume that was given back has been destroyed; any other one is somebody's.
            if disk.persistence.is_some() && layers == resource.reservations.len() {
                return;
            }
            match &disk.source {
                None => {}
                Some(source) if source.kind == SOURCE_MOUNT => return self.mounts.push(Mount { role, resource }),
                Some(_) => return,
            }
        }
        let known = self.free.iter_mut().find(|free| free.role == role && free.name == resource.name);
        match (known.map(|free| &mut free.amount), &resource.value) {
            (Some(Amount::Scalar(left)), Value::Scalar(more)) => *left = left.plus(*more),
            (Some(Amount::Ranges(left)), Value::Ranges(more)) => left.to_mut().insert_all(more),
            (None, Value::Scalar(amount)) => {
                self.free.push(Free { role, name: &resource.name, amount: Amount::Scalar(*amount) });
            }
            (None, Value::Ranges(ranges)) => {
                self.free.push(Free { role, name: &resource.name, amount: Amount::Ranges(Cow::Borrowed(ranges)) });
            }
            // Sets are of no use to any requirement; two kinds of value under one name do not add up.
            (_, Value::Set(_)) | (Some(_), _) => {}
        }
    }

    /// Whether a reservation is still there.
    pub fn has_reserved(&self, id: &str) -> bool {
        self.reserved.iter().any(|reserved| reserved.id == id)
    }

    /// Takes a whole reservation of this kind of resource. Anybody in our role can put our id on something else.
    pub fn take_reserved(&mut self, name: &str, id: &ResourceId) -> Option<&'a Resource> {
        let is_it = |reserved: &Reserved<'_>| reserved.id == id.as_str() && reserved.resource.name == name;
        let at = self.reserved.iter().position(is_it)?;
        Some(self.reserved.remove(at).resource)
    }

    /// How much there is of a scalar under this role.
    pub fn available(&self, role: &str, name: &str) -> Scalar {
        match self.free.iter().find(|free| free.role == role && free.name == name).map(|free| &free.amount) {
            Some(Amount::Scalar(left)) => *left,
            Some(Amount::Ranges(_)) | None => Scalar::ZERO,
        }
    }

    /// Takes an amount that is not reserved (role `*`) or statically reserved for the role; answers what there was before.
    pub fn take_scalar(&mut self, role: &str, name: &'static str, wanted: Scalar) -> Result<Scalar, Shortfall> {
        let available = self.available(role, name);
        let free = self.free.iter_mut().find(|free| free.role == role && free.name == name);
        match (free.map(|free| &mut free.amount), available.minus(wanted)) {
            (Some(Amount::Scalar(left)), Some(rest)) => {
                *left = rest;
                Ok(available)
            }
            _ => Err(Shortfall { name, role: role.to_owned(), wanted, available }),
        }
    }

    /// The ports under this role.
    pub fn ports(&self, role: &str) -> Option<&Ranges> {
        match &self.free.iter().find(|free| free.role == role && free.name == "ports")?.amount {
            Amount::Ranges(left) => Some(left),
            Amount::Scalar(_) => None,
        }
    }

    /// The ports under this role within these bounds, in the order of the numbers.
    pub fn ports_within(&self, role: &str, within: RangeInclusive<u16>) -> impl Iterator<Item = u16> + use<'_, 'a> {
        let within = (u64::from(*within.start()), u64::from(*within.end()));
        self.ports(role).into_iter().flat_map(move |ports| ports.within(within)).filter_map(|port| port.try_into().ok())
    }

    /// Takes one port; `false` when it is not there.
    pub fn take_port(&mut self, role: &str, port: u16) -> bool {
        match self.free.iter_mut().find(|free| free.role == role && free.name == "ports").map(|free| &mut free.amount) {
            Some(Amount::Ranges(left)) => left.contains(u64::from(port)) && left.to_mut().take(u64::from(port)),
            Some(Amount::Scalar(_)) | None => false,
        }
    }

    /// Takes the MOUNT disk that suits a volume best, whole; `later` are those that are taken after it.
    ///
    /// Errors: what is missing, measured against the largest disk of a fitting profile.
    pub fn take_mount(
        &mut self,
        role: &str,
        wish: MountWish<'_>,
        later: &[MountWish<'_>],
    ) -> Result<&'a Resource, Shortfall> {
        let (places, disks): (Vec<usize>, Vec<&Resource>) = self
            .mounts
            .iter()
            .enumerate()
            .filter(|(_, mount)| mount.role == role)
            .map(|(at, mount)| (at, mount.resource))
            .unzip();
        let missing = |available| Shortfall { name: "disk", role: role.to_owned(), wanted: wish.size, available };
        let chosen = wish.choose(&disks, later).map_err(missing)?;
        match places.get(chosen) {
            Some(at) => Ok(self.mounts.remove(*at).resource),
            None => Err(missing(Scalar::ZERO)),
        }
    }

    /// Puts the amount of a reservation that is given up back where it was reserved from.
    pub fn give_back(&mut self, resource: &'a Resource) {
        if let Some(layers) = resource.reservations.len().checked_sub(1) {
            self.add(resource, layers);
        }
    }

    /// Puts back what a reserved scalar has beyond the amount that is wanted of it; the reservation itself stays.
    pub fn give_back_surplus(&mut self, name: &str, id: &ResourceId, wanted: Scalar) {
        let is_it = |reserved: &&Reserved<'a>| reserved.id == id.as_str() && reserved.resource.name == name;
        let Some(resource) = self.reserved.iter().find(is_it).map(|reserved| reserved.resource) else { return };
        if let Value::Scalar(amount) = resource.value
            && let Some(surplus) = amount.minus(wanted)
        {
            self.give_back_part(resource, surplus);
        }
    }

    /// Puts back a part of a reserved scalar.
    fn give_back_part(&mut self, resource: &'a Resource, part: Scalar) {
        let below = resource.reservations.len().checked_sub(2).and_then(|at| resource.reservations.get(at));
        let role = below.map_or("*", |layer| layer.role.as_str());
        match self.free.iter_mut().find(|free| free.role == role && free.name == resource.name) {
            Some(Free { amount: Amount::Scalar(left), .. }) => *left = left.plus(part),
            Some(_) => {}
            None => self.free.push(Free { role, name: &resource.name, amount: Amount::Scalar(part) }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::ids::{AgentId, OfferId, PersistenceId};
    use crate::resource::{Disk, DiskSource, Persistence, Reservation};

    fn offer(resources: Vec<Resource>) -> Offer {
        Offer {
            id: OfferId::parse("o1").unwrap(),
            agent_id: AgentId::parse("a1").unwrap(),
            hostname: "h1".into(),
            region: None,
            zone: None,
            attributes: Vec::new(),
            resources,
            executor_ids: Vec::new(),
            allocation_role: Some("r".into()),
        }
    }

    fn resource(name: &str, value: Value) -> Resource {
        Resource {
            name: name.into(),
            value,
            allocation_role: Some("r".into()),
            reservations: Vec::new(),
            disk: None,
            provider_id: None,
            shared: false,
            revocable: false,
        }
    }

    fn scalar(name: &str, units: u64) -> Resource {
        resource(name, Value::Scalar(Scalar::from_units(units)))
    }

    fn fixed(role: &str) -> Reservation {
        Reservation { kind: ReservationKind::Static, role: role.into(), principal: None, labels: Vec::new() }
    }

    fn dynamic(role: &str, id: &str) -> Reservation {
        Reservation {
            kind: ReservationKind::Dynamic,
            role: role.into(),
            principal: Some("p".into()),
            labels: vec![("resource_id".into(), Some(id.into()))],
        }
    }

    fn mount(units: u64, profile: Option<&str>) -> Resource {
        let source = DiskSource { kind: SOURCE_MOUNT, profile: profile.map(str::to_owned), ..DiskSource::default() };
        Resource { disk: Some(Box::new(Disk { source: Some(source), ..Disk::default() })), ..scalar("disk", units) }
    }

    fn id(text: &str) -> ResourceId {
        ResourceId::parse(text).unwrap()
    }

    const fn units(units: u64) -> Scalar {
        Scalar::from_units(units)
    }

    #[test]
    fn what_no_requirement_can_use_stays_outside() {
        let path = DiskSource { kind: 1, ..DiskSource::default() };
        let volume = Persistence { id: PersistenceId::parse("v").unwrap(), principal: None };
        let offer = offer(vec![
            Resource { revocable: true, ..scalar("cpus", 1) },
            Resource { shared: true, ..scalar("cpus", 2) },
            Resource { allocation_role: Some("other".into()), ..scalar("cpus", 4) },
            Resource {
                reservations: vec![Reservation { labels: Vec::new(), ..dynamic("r", "") }],
                ..scalar("cpus", 8)
            },
            Resource { disk: Some(Box::new(Disk { source: Some(path), ..Disk::default() })), ..scalar("disk", 16) },
            Resource {
                disk: Some(Box::new(Disk { persistence: Some(volume), ..Disk::default() })),
                reservations: vec![fixed("r")],
                ..scalar("disk", 32)
            },
            scalar("cpus", 64),
            Resource { allocation_role: None, ..scalar("cpus", 128) },
        ]);
        let pool = Pool::new(&offer, "r");
        assert_eq!(pool.available("*", "cpus"), units(192));
        assert_eq!((pool.available("*", "disk"), pool.available("r", "disk")), (Scalar::ZERO, Scalar::ZERO));
        assert!(pool.reserved.is_empty() && pool.mounts.is_empty());
    }

    #[test]
    fn a_shortfall_says_how_much_and_changes_nothing() {
        let offer = offer(vec![scalar("cpus", 1), Resource { reservations: vec![fixed("pre")], ..scalar("cpus", 5) }]);
        let mut pool = Pool::new(&offer, "r");
        let shortfall = pool.take_scalar("*", "cpus", units(3)).unwrap_err();
        assert_eq!(shortfall.to_string(), "wanted 3, available 1 in role *, short by 2");
        assert_eq!(pool.available("*", "cpus"), units(1));
        assert_eq!(pool.take_scalar("pre", "cpus", units(5)), Ok(units(5)), "each role has its own amount");
        assert_eq!(pool.take_scalar("*", "gpus", units(1)).unwrap_err().available, Scalar::ZERO);
    }

    fn wish(size: u64, profiles: &[String]) -> MountWish<'_> {
        MountWish { size: units(size), profiles }
    }

    #[test]
    fn the_smallest_sufficient_mount_of_the_profile_is_taken_whole() {
        let offer = offer(vec![mount(100, None), mount(40, None), mount(30, Some("fast")), mount(20, None)]);
        let mut pool = Pool::new(&offer, "r");
        let size = |taken: Result<&Resource, Shortfall>| taken.map(|resource| resource.value.clone());
        assert_eq!(size(pool.take_mount("*", wish(30, &[]), &[])), Ok(Value::Scalar(units(40))));
        assert_eq!(size(pool.take_mount("*", wish(30, &[]), &[])), Ok(Value::Scalar(units(100))));
        assert_eq!(size(pool.take_mount("*", wish(30, &[]), &[])).unwrap_err().available, units(20));
        assert_eq!(size(pool.take_mount("pre", wish(1, &[]), &[])).unwrap_err().available, Scalar::ZERO);
        assert_eq!(size(pool.take_mount("*", wish(30, &["fast".into()]), &[])), Ok(Value::Scalar(units(30))));
    }

    #[test]
    fn what_is_given_back_returns_to_the_layer_below() {
        let refined = Resource { reservations: vec![fixed("pre"), dynamic("pre/r", "r1")], ..scalar("mem", 10) };
        let plain = Resource { reservations: vec![dynamic("r", "r2")], ..mount(50, None) };
        let offer = offer(vec![refined, plain]);
        let mut pool = Pool::new(&offer, "r");
        assert!(pool.take_reserved("cpus", &id("r1")).is_none(), "it is memory");
        let taken = pool.take_reserved("mem", &id("r1")).unwrap();
        assert!(pool.take_reserved("mem", &id("r1")).is_none(), "only once");
        pool.give_back_part(taken, units(3));
        assert_eq!(pool.available("pre", "mem"), units(3));
        pool.give_back(taken);
        assert_eq!(pool.available("pre", "mem"), units(13));
        let taken = pool.take_reserved("disk", &id("r2")).unwrap();
        pool.give_back(taken);
        assert!(pool.take_mount("*", wish(50, &[]), &[]).is_ok());
    }

    #[test]
    fn ports_are_taken_once_and_in_order() {
        let offer = offer(vec![resource("ports", Value::Ranges(Ranges::new([(0, 2), (70_000, 70_001)])))]);
        let mut pool = Pool::new(&offer, "r");
        assert!(pool.take_port("*", 1) && !pool.take_port("*", 1) && !pool.take_port("r", 2));
        let within = |pool: &Pool<'_>, first| pool.ports_within("*", first..=u16::MAX).collect::<Vec<_>>();
        assert_eq!((within(&pool, 0), within(&pool, 2)), (vec![0, 2], vec![2]), "numbers above 65535 are no ports");
        assert!(pool.take_port("*", 2) && within(&pool, 1).is_empty());
    }

    #[derive(Debug, Clone)]
    enum Take {
        Scalar(bool, u64),
        Port(bool, u16),
        FirstPort(bool, u16),
        Mount(bool, u64, bool),
        Reserved(usize),
        GiveBack(usize),
        GiveBackPart(usize, u64),
    }

    /// Reservations of the offer: cpus, a disk, a port; the second half refines what is set aside for `pre`.
    const HELD: usize = 6;

    fn takes() -> impl Strategy<Value = Vec<Take>> {
        let take = prop_oneof![
            (any::<bool>(), 1u64..8).prop_map(|(pre, amount)| Take::Scalar(pre, amount)),
            (any::<bool>(), 0u16..400).prop_map(|(pre, port)| Take::Port(pre, port % 100 % 14 + port / 100 * 100)),
            (any::<bool>(), 0u16..400).prop_map(|(pre, first)| Take::FirstPort(pre, first)),
            (any::<bool>(), 0u64..60, any::<bool>()).prop_map(|(pre, size, fast)| Take::Mount(pre, size, fast)),
            (0..HELD).prop_map(Take::Reserved),
            (0..HELD).prop_map(Take::GiveBack),
            (0..HELD, 0u64..4).prop_map(|(at, part)| Take::GiveBackPart(at, part)),
        ];
        proptest::collection::vec(take, 0..60)
    }

    /// Cpus, disk (thousandths) and ports.
    type Bag = [u64; 3];

    fn bag(name: &str, scalar: Option<Scalar>, ports: Option<&Ranges>) -> Bag {
        let amount = scalar.map_or(0, Scalar::millis);
        let of = |wanted: &str| if name == wanted { amount } else { 0 };
        [of("cpus"), of("disk"), ports.map_or(0, Ranges::count)]
    }

    fn bag_of(resource: &Resource) -> Bag {
        match &resource.value {
            Value::Scalar(amount) => bag(&resource.name, Some(*amount), None),
            Value::Ranges(ranges) => bag(&resource.name, None, Some(ranges)),
            Value::Set(_) => Bag::default(),
        }
    }

    fn sum(bags: impl Iterator<Item = Bag>) -> Bag {
        bags.fold(Bag::default(), |left, right| std::array::from_fn(|at| left[at] + right[at]))
    }

    /// All that is in the pool.
    fn total(pool: &Pool<'_>) -> Bag {
        let free = pool.free.iter().map(|free| match &free.amount {
            Amount::Scalar(amount) => bag(free.name, Some(*amount), None),
            Amount::Ranges(ranges) => bag(free.name, None, Some(ranges)),
        });
        let whole = pool.reserved.iter().map(|one| one.resource).chain(pool.mounts.iter().map(|one| one.resource));
        sum(free.chain(whole.map(bag_of)))
    }

    proptest! {
        #[test]
        fn the_pool_conserves_what_it_was_made_of(
            free in proptest::collection::vec((any::<bool>(), 0u64..10), 0..6),
            ports in proptest::collection::vec((any::<bool>(), 0u64..10, 0u64..4), 0..4),
            disks in proptest::collection::vec((any::<bool>(), 0u64..60, any::<bool>()), 0..5),
            takes in takes(),
        ) {
            let set_aside = |pre: bool| if pre { vec![fixed("pre")] } else { Vec::new() };
            let mut resources = Vec::new();
            for (pre, amount) in free {
                resources.push(Resource { reservations: set_aside(pre), ..scalar("cpus", amount) });
            }
            for (at, (pre, begin, length)) in ports.into_iter().enumerate() {
                // Apart from each other: one offer never offers a port twice.
                let begin = begin + 100 * at as u64;
                let value = Value::Ranges(Ranges::new([(begin, begin + length)]));
                resources.push(Resource { reservations: set_aside(pre), ..resource("ports", value) });
            }
            for (pre, size, fast) in disks {
                resources.push(Resource { reservations: set_aside(pre), ..mount(size, fast.then_some("fast")) });
            }
            for at in 0..HELD {
                let held = match at % 3 {
                    0 => scalar("cpus", 3),
                    1 => mount(50, None),
                    _ => resource("ports", Value::Ranges(Ranges::single(1000 + at as u64))),
                };
                let mut reservations = set_aside(at >= 3);
                reservations.push(dynamic("r", &format!("r{at}")));
                resources.push(Resource { reservations, ..held });
            }
            let usable = sum(resources.iter().map(bag_of));
            // Nothing of these is for us.
            let nameless = Reservation { labels: Vec::new(), ..dynamic("r", "") };
            resources.extend([
                Resource { revocable: true, ..scalar("cpus", 7) },
                Resource { shared: true, ..scalar("disk", 7) },
                Resource { allocation_role: Some("other".into()), ..mount(70, None) },
                Resource { reservations: vec![nameless], ..resource("ports", Value::Ranges(Ranges::new([(5000, 5009)]))) },
            ]);
            let offer = offer(resources);
            let mut pool = Pool::new(&offer, "r");
            prop_assert_eq!(total(&pool), usable);
            let role = |pre: bool| if pre { "pre" } else { "*" };
            let mut taken: Vec<Bag> = Vec::new();
            let mut given: std::collections::BTreeSet<u16> = std::collections::BTreeSet::new();
            let mut held: BTreeMap<usize, &Resource> = BTreeMap::new();
            for take in takes {
                match take {
                    Take::Scalar(pre, amount) => {
                        let before = pool.available(role(pre), "cpus");
                        match pool.take_scalar(role(pre), "cpus", units(amount)) {
                            Ok(available) => {
                                prop_assert!(available == before && before >= units(amount));
                                taken.push(bag("cpus", Some(units(amount)), None));
                            }
                            Err(short) => prop_assert!(short.available == before && before < units(amount)),
                        }
                    }
                    Take::Port(pre, port) => {
                        if pool.take_port(role(pre), port) {
                            prop_assert!(given.insert(port), "port {port} is given twice");
                            taken.push([0, 0, 1]);
                        }
                    }
                    Take::FirstPort(pre, first) => {
                        let found = pool.ports_within(role(pre), first..=first.saturating_add(50)).next();
                        if let Some(port) = found {
                            prop_assert!(pool.take_port(role(pre), port));
                            prop_assert!((first..=first + 50).contains(&port) && given.insert(port), "port {port}");
                            taken.push([0, 0, 1]);
                        }
                    }
                    Take::Mount(pre, size, fast) => {
                        let profiles: &[String] = if fast { &["fast".to_owned()] } else { &[] };
                        if let Ok(disk) = pool.take_mount(role(pre), wish(size, profiles), &[]) {
                            prop_assert!(bag_of(disk)[1] >= units(size).millis());
                            let first = disk.reservations.first();
                            prop_assert_eq!(first.is_some_and(|first| first.kind == ReservationKind::Static), pre);
                            taken.push(bag_of(disk));
                        }
                    }
                    Take::Reserved(at) => {
                        let name = ["cpus", "disk", "ports"][at % 3];
                        if let Some(resource) = pool.take_reserved(name, &id(&format!("r{at}"))) {
                            prop_assert!(held.insert(at, resource).is_none());
                        }
                    }
                    Take::GiveBack(at) => {
                        if let Some(resource) = held.remove(&at) {
                            pool.give_back(resource);
                        }
                    }
                    Take::GiveBackPart(at, part) => {
                        // Only amounts shrink; the rest of it stays reserved.
                        if let Some(resource) = (at % 3 == 0).then(|| held.remove(&at)).flatten() {
                            pool.give_back_part(resource, units(part));
                            taken.push(bag("cpus", units(3).minus(units(part)), None));
                        }
                    }
                }
                let away = taken.iter().copied().chain(held.values().copied().map(bag_of));
                prop_assert_eq!(sum(away.chain([total(&pool)])), usable);
                for ranges in ["*", "pre"].into_iter().filter_map(|role| pool.ports(role)) {
                    let all: Vec<_> = ranges.iter().collect();
                    prop_assert!(all.iter().zip(all.iter().skip(1)).all(|(left, right)| left.1 + 1 < right.0), "{:?}", all);
                }
            }
        }
    }
}
