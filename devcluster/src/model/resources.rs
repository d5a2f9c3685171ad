//! Arithmetic on Mesos resources: equality, addition, containment, and the two reservation formats.
//!
//! Not here: who may reserve what (`operations.rs`) and which resource is well formed (`validation.rs`).
//!
//! Invariant: inside the model every resource is in the `reservations` format without `allocation_info`; the older
//! format and the allocation exist only at the border (`upgrade`, `downgrade`, `allocate`).
//! Invariant: scalars count in thousandths; entries of one kind are merged unless they are indivisible.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher};

use mainstay_proto::v1::{self, Resource};

use v1::resource::disk_info::source::Type as DiskType;
use v1::resource::reservation_info::Type as ReservationType;
use v1::value::Type as ValueType;

/// A list of resources, merged where Mesos merges.
///
/// An agent with many pods has some thousand entries, nearly all of them reservations of their own: they are found by their keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    entries: Vec<Resource>,
    /// Of each entry.
    keys: Vec<Key>,
}

/// Equal for resources of one kind, different for most others. Allocations do not count.
type Key = u64;

impl Resources {
    /// Merges a list.
    pub fn new(list: impl IntoIterator<Item = Resource>) -> Self {
        let mut resources = Self::default();
        resources.add_all(list);
        resources
    }

    /// The entries.
    pub fn iter(&self) -> std::slice::Iter<'_, Resource> {
        self.entries.iter()
    }

    /// The entries, as messages hold them.
    pub fn to_vec(&self) -> Vec<Resource> {
        self.entries.clone()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The first entry of a resource's kind for which `is_it` holds.
    fn position(&self, key: Key, resource: &Resource, is_it: impl Fn(&Resource) -> bool) -> Option<usize> {
        let is_found =
            |(of_entry, entry): (&Key, &Resource)| *of_entry == key && is_same_kind(entry, resource) && is_it(entry);
        self.keys.iter().zip(&self.entries).position(is_found)
    }

    /// Adds one resource.
    pub fn add(&mut self, resource: Resource) {
        if is_empty(&resource) {
            return;
        }
        let key = key_of(&resource);
        if !is_indivisible(&resource)
            && let Some(index) = self.position(key, &resource, |_| true)
        {
            add_value(&mut self.entries[index], &resource);
            return;
        }
        self.entries.push(resource);
        self.keys.push(key);
    }

    /// Adds every resource of a list.
    pub fn add_all(&mut self, list: impl IntoIterator<Item = Resource>) {
        for resource in list {
            self.add(resource);
        }
    }

    /// Takes one resource out; leaves everything as it is and returns false when it is not wholly there.
    pub fn subtract(&mut self, resource: &Resource) -> bool {
        if is_empty(resource) {
            return true;
        }
        let found = self.position(key_of(resource), resource, |entry| value_contains(entry, resource));
        let Some(index) = found else { return false };
        self.subtract_at(index, resource);
        true
    }

    /// Takes from one entry; returns whether it was used up, and is gone.
    fn subtract_at(&mut self, index: usize, resource: &Resource) -> bool {
        subtract_value(&mut self.entries[index], resource);
        let is_used_up = is_empty(&self.entries[index]);
        if is_used_up {
            self.entries.remove(index);
            self.keys.remove(index);
        }
        is_used_up
    }

    /// Takes a list out, all or nothing.
    pub fn subtract_all(&mut self, list: &[Resource]) -> bool {
        let mut taken: Vec<(usize, Resource, bool)> = Vec::with_capacity(list.len());
        for resource in list.iter().filter(|resource| !is_empty(resource)) {
            let found = self.position(key_of(resource), resource, |entry| value_contains(entry, resource));
            let Some(index) = found else {
                self.put_back(taken);
                return false;
            };
            let before = self.entries[index].clone();
            let is_used_up = self.subtract_at(index, resource);
            taken.push((index, before, is_used_up));
        }
        true
    }

    /// Makes entries what they were before they were taken from, one after the other.
    fn put_back(&mut self, taken: Vec<(usize, Resource, bool)>) {
        for (index, before, is_used_up) in taken.into_iter().rev() {
            if is_used_up {
                self.keys.insert(index, key_of(&before));
                self.entries.insert(index, before);
            } else {
                self.entries[index] = before;
            }
        }
    }

    /// Takes out whatever of the list is there.
    pub fn subtract_present<'a>(&mut self, list: impl IntoIterator<Item = &'a Resource>) {
        for resource in list {
            self.subtract(resource);
        }
    }

    /// What is left without whatever of the list is there. The list may be as messages hold it: allocated, and in the older format.
    pub fn without<'a>(&self, list: impl IntoIterator<Item = &'a Resource>) -> Self {
        let mut order: Vec<(Key, usize)> = self.keys.iter().enumerate().map(|(at, key)| (*key, at)).collect();
        order.sort_unstable();
        let mut entries: Vec<Option<Cow<'_, Resource>>> =
            self.entries.iter().map(|entry| Some(Cow::Borrowed(entry))).collect();
        for resource in list {
            let is_old = resource.role.is_some() || resource.reservation.is_some();
            let resource = if is_old { Cow::Owned(upgraded(resource)) } else { Cow::Borrowed(resource) };
            if is_empty(&resource) {
                continue;
            }
            let key = key_of(&resource);
            let from = order.partition_point(|(of_entry, _)| *of_entry < key);
            let alike = order.iter().skip(from).take_while(|(of_entry, _)| *of_entry == key);
            for (_, at) in alike {
                let Some(entry) = &mut entries[*at] else { continue };
                if !is_same_unallocated(entry, &resource) || !value_contains(entry, &resource) {
                    continue;
                }
                // Most are used as a whole, and need not be copied for that.
                if value_contains(&resource, entry) {
                    entries[*at] = None;
                } else {
                    subtract_value(entry.to_mut(), &resource);
                }
                break;
            }
        }
        let left = entries.into_iter().zip(&self.keys).filter_map(|(entry, key)| Some((entry?.into_owned(), *key)));
        let (entries, keys) = left.unzip();
        Self { entries, keys }
    }

    /// Whether a list is wholly there.
    pub fn contains_all(&self, list: &[Resource]) -> bool {
        match list {
            [] => true,
            [one] => is_empty(one) || self.position(key_of(one), one, |entry| value_contains(entry, one)).is_some(),
            many => self.clone().subtract_all(many),
        }
    }

    /// The sum of a scalar over all entries of a name.
    ///
    /// Units: thousandths.
    pub fn scalar(&self, name: &str) -> i64 {
        self.entries.iter().filter(|entry| entry.name == name).map(scalar_millis).sum()
    }

    /// The entries for which `keep` holds.
    pub fn filter(&self, keep: impl Fn(&Resource) -> bool) -> Self {
        let kept = self.entries.iter().zip(&self.keys).filter(|(entry, _)| keep(entry));
        let (entries, keys) = kept.map(|(entry, key)| (entry.clone(), *key)).unzip();
        Self { entries, keys }
    }
}

impl<'a> IntoIterator for &'a Resources {
    type Item = &'a Resource;
    type IntoIter = std::slice::Iter<'a, Resource>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Resources {
    type Item = Resource;
    type IntoIter = std::vec::IntoIter<Resource>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// Made of what tells most resources apart: their name, their volume and the labels of their reservations.
fn key_of(resource: &Resource) -> Key {
    let mut hasher = Mixer(0);
    (&resource.name, resource.reservations.len(), persistence_id(resource)).hash(&mut hasher);
    for layer in &resource.reservations {
        layer.role().hash(&mut hasher);
        // Labels are a set: their order, and how often one is given, must not count.
        labels(layer).max().hash(&mut hasher);
        labels(layer).min().hash(&mut hasher);
    }
    hasher.finish()
}

/// Quick rather than strong: what hash to the same are compared all the same.
struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A scalar in thousandths, rounded as Mesos rounds.
pub fn millis(value: f64) -> i64 {
    (value * 1000.0).round() as i64
}

/// The scalar of a resource in thousandths, 0 when it has none.
pub fn scalar_millis(resource: &Resource) -> i64 {
    resource.scalar.as_ref().map_or(0, |scalar| millis(scalar.value))
}

/// A plain scalar resource, unreserved.
pub fn scalar(name: &str, value: f64) -> Resource {
    Resource {
        name: name.to_owned(),
        r#type: ValueType::Scalar as i32,
        scalar: Some(v1::value::Scalar { value }),
        ..Resource::default()
    }
}

/// A plain ranges resource, unreserved.
pub fn ranges(name: &str, list: &[(u64, u64)]) -> Resource {
    let range = list.iter().map(|&(begin, end)| v1::value::Range { begin, end }).collect();
    Resource {
        name: name.to_owned(),
        r#type: ValueType::Ranges as i32,
        ranges: Some(Box::new(v1::value::Ranges { range })),
        ..Resource::default()
    }
}

/// Whether a resource is a persistent volume.
pub fn is_volume(resource: &Resource) -> bool {
    persistence_id(resource).is_some()
}

/// The persistence id of a volume.
pub fn persistence_id(resource: &Resource) -> Option<&str> {
    resource.disk.as_ref()?.persistence.as_ref().map(|persistence| persistence.id.as_str())
}

/// The role a resource is reserved to: that of the last layer.
pub fn reservation_role(resource: &Resource) -> Option<&str> {
    resource.reservations.last().map(v1::resource::ReservationInfo::role)
}

/// Whether the last layer of the reservation was made by a framework or an operator at run time.
pub fn is_dynamically_reserved(resource: &Resource) -> bool {
    resource.reservations.last().is_some_and(|last| last.r#type() == ReservationType::Dynamic)
}

/// Whether a framework of `role` may be offered the resource: unreserved, or reserved to the role or an ancestor.
pub fn is_allocatable_to(resource: &Resource, role: &str) -> bool {
    reservation_role(resource).is_none_or(|reserved| is_same_or_below(role, reserved))
}

/// Whether `role` is `ancestor` or lies below it.
pub fn is_same_or_below(role: &str, ancestor: &str) -> bool {
    role == ancestor || role.strip_prefix(ancestor).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether only the whole of the resource can be used: volumes, MOUNT and BLOCK disks, RAW disks with an id.
pub fn is_indivisible(resource: &Resource) -> bool {
    if is_volume(resource) {
        return true;
    }
    disk_source(resource).is_some_and(|source| match source.r#type() {
        DiskType::Mount | DiskType::Block => true,
        DiskType::Raw => source.id.is_some(),
        DiskType::Path | DiskType::Unknown => false,
    })
}

/// The disk's source; `None` for the root disk and for what is no disk.
pub fn disk_source(resource: &Resource) -> Option<&v1::resource::disk_info::Source> {
    resource.disk.as_ref()?.source.as_deref()
}

/// The resource without the last layer of its reservation.
pub fn pop_reservation(resource: &Resource) -> Resource {
    let mut popped = resource.clone();
    popped.reservations.pop();
    popped
}

/// The plain disk a volume was made of.
pub fn strip_volume(resource: &Resource) -> Resource {
    let mut plain = resource.clone();
    plain.shared = None;
    if let Some(disk) = &mut plain.disk {
        disk.persistence = None;
        disk.volume = None;
        if disk.source.is_none() {
            plain.disk = None;
        }
    }
    plain
}

/// Brings a resource into the form of the model: the `reservations` format, no allocation.
pub fn upgrade(resource: &mut Resource) {
    resource.allocation_info = None;
    let role = resource.role.take().filter(|role| role != "*");
    let legacy = resource.reservation.take();
    if !resource.reservations.is_empty() {
        return;
    }
    let Some(role) = role else { return };
    let mut layer = legacy.as_deref().cloned().unwrap_or_default();
    layer.set_type(if legacy.is_some() { ReservationType::Dynamic } else { ReservationType::Static });
    layer.role = Some(role);
    resource.reservations.push(layer);
}

/// The same for one that stays as it is.
pub fn upgraded(resource: &Resource) -> Resource {
    let mut resource = resource.clone();
    upgrade(&mut resource);
    resource
}

/// The resource for a framework without RESERVATION_REFINEMENT; `None` when that format cannot say it.
pub fn downgrade(resource: &Resource) -> Option<Resource> {
    let mut old = resource.clone();
    match std::mem::take(&mut old.reservations).as_slice() {
        [] => old.role = Some("*".to_owned()),
        [one] => {
            old.role.clone_from(&one.role);
            if one.r#type() == ReservationType::Dynamic {
                old.reservation = Some(Box::new(v1::resource::ReservationInfo {
                    principal: one.principal.clone(),
                    labels: one.labels.clone(),
                    ..Default::default()
                }));
            }
        }
        _ => return None,
    }
    Some(old)
}

/// The resource as allocated to a role.
pub fn allocate(mut resource: Resource, role: &str) -> Resource {
    resource.allocation_info = Some(v1::resource::AllocationInfo { role: Some(role.to_owned()) });
    resource
}

/// Whether two resources differ in nothing but their amount.
pub fn is_same_kind(a: &Resource, b: &Resource) -> bool {
    allocation_role(a) == allocation_role(b) && is_same_unallocated(a, b)
}

/// The same, whatever they are allocated to.
fn is_same_unallocated(a: &Resource, b: &Resource) -> bool {
    a.name == b.name
        && a.r#type == b.r#type
        && a.provider_id == b.provider_id
        && a.revocable.is_some() == b.revocable.is_some()
        && a.shared.is_some() == b.shared.is_some()
        && a.disk.is_some() == b.disk.is_some()
        && persistence_id(a) == persistence_id(b)
        && disk_source(a) == disk_source(b)
        && a.reservations.len() == b.reservations.len()
        && a.reservations.iter().zip(&b.reservations).all(|(a, b)| is_same_reservation(a, b))
}

/// Whether two resources are the same, amount included.
pub fn is_equal(a: &Resource, b: &Resource) -> bool {
    is_same_kind(a, b) && value_contains(a, b) && value_contains(b, a)
}

/// Whether two lists hold the same resources, however they are cut into entries.
pub fn are_equal(a: &[Resource], b: &[Resource]) -> bool {
    let (a, b) = (Resources::new(a.iter().cloned()), Resources::new(b.iter().cloned()));
    a.entries.len() == b.entries.len() && a.iter().all(|one| b.iter().any(|other| is_equal(one, other)))
}

/// The role a resource says it is allocated to.
pub fn allocation_role(resource: &Resource) -> Option<&str> {
    resource.allocation_info.as_ref().and_then(|info| info.role.as_deref())
}

fn is_same_reservation(a: &v1::resource::ReservationInfo, b: &v1::resource::ReservationInfo) -> bool {
    // A set of labels; few, so that looking through them costs less than making one.
    let is_within = |a, b| labels(a).all(|label| labels(b).any(|other| other == label));
    a.r#type == b.r#type && a.role == b.role && a.principal == b.principal && is_within(a, b) && is_within(b, a)
}

fn labels(info: &v1::resource::ReservationInfo) -> impl Iterator<Item = (&str, Option<&str>)> {
    let labels = info.labels.iter().flat_map(|labels| &labels.labels);
    labels.map(|label| (label.key.as_str(), label.value.as_deref()))
}

fn is_empty(resource: &Resource) -> bool {
    match resource.r#type() {
        ValueType::Scalar => scalar_millis(resource) == 0,
        ValueType::Ranges => resource.ranges.as_ref().is_none_or(|ranges| ranges.range.is_empty()),
        ValueType::Set => resource.set.as_ref().is_none_or(|set| set.item.is_empty()),
        ValueType::Text => true,
    }
}

/// Whether an entry covers the amount of a resource of the same kind.
fn value_contains(entry: &Resource, wanted: &Resource) -> bool {
    match entry.r#type() {
        ValueType::Scalar if is_indivisible(entry) => scalar_millis(entry) == scalar_millis(wanted),
        ValueType::Scalar => scalar_millis(entry) >= scalar_millis(wanted),
        ValueType::Ranges => {
            let have = normalized(&range_list(entry));
            normalized(&range_list(wanted)).iter().all(|&(begin, end)| have.iter().any(|r| r.0 <= begin && end <= r.1))
        }
        ValueType::Set => items(wanted).is_subset(&items(entry)),
        ValueType::Text => false,
    }
}

fn add_value(entry: &mut Resource, more: &Resource) {
    match entry.r#type() {
        ValueType::Scalar => set_millis(entry, scalar_millis(entry) + scalar_millis(more)),
        ValueType::Ranges => {
            let mut list = range_list(entry);
            list.extend(range_list(more));
            set_ranges(entry, &normalized(&list));
        }
        ValueType::Set => {
            let item = items(entry).union(&items(more)).map(|item| (*item).to_owned()).collect();
            entry.set = Some(Box::new(v1::value::Set { item }));
        }
        ValueType::Text => {}
    }
}

fn subtract_value(entry: &mut Resource, less: &Resource) {
    match entry.r#type() {
        ValueType::Scalar => set_millis(entry, scalar_millis(entry) - scalar_millis(less)),
        ValueType::Ranges => {
            let mut list = normalized(&range_list(entry));
            for (begin, end) in normalized(&range_list(less)) {
                list = list
                    .into_iter()
                    .flat_map(|(from, to)| {
                        let before = (from < begin).then(|| (from, to.min(begin.saturating_sub(1))));
                        let after = (to > end).then(|| (from.max(end + 1), to));
                        if to < begin || from > end { [Some((from, to)), None] } else { [before, after] }
                    })
                    .flatten()
                    .collect();
            }
            set_ranges(entry, &list);
        }
        ValueType::Set => {
            let item = items(entry).difference(&items(less)).map(|item| (*item).to_owned()).collect();
            entry.set = Some(Box::new(v1::value::Set { item }));
        }
        ValueType::Text => {}
    }
}

fn set_millis(entry: &mut Resource, millis: i64) {
    entry.scalar = Some(v1::value::Scalar { value: millis as f64 / 1000.0 });
}

fn set_ranges(entry: &mut Resource, list: &[(u64, u64)]) {
    let range = list.iter().map(|&(begin, end)| v1::value::Range { begin, end }).collect();
    entry.ranges = Some(Box::new(v1::value::Ranges { range }));
}

/// The ranges of a resource as they are written.
pub fn range_list(resource: &Resource) -> Vec<(u64, u64)> {
    resource.ranges.iter().flat_map(|ranges| &ranges.range).map(|range| (range.begin, range.end)).collect()
}

/// Whether two resources have a port, or another item, in common. Scalars never have.
pub fn overlap(a: &Resource, b: &Resource) -> bool {
    if a.name != b.name || a.r#type != b.r#type {
        return false;
    }
    let (ours, theirs) = (range_list(a), range_list(b));
    ours.iter().any(|one| theirs.iter().any(|other| one.0 <= other.1 && other.0 <= one.1))
        || !items(a).is_disjoint(&items(b))
}

/// Sorted, disjoint and not adjacent.
fn normalized(list: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut sorted = list.to_vec();
    sorted.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::with_capacity(sorted.len());
    for (begin, end) in sorted {
        match merged.last_mut() {
            Some(last) if begin <= last.1.saturating_add(1) => last.1 = last.1.max(end),
            _ => merged.push((begin, end)),
        }
    }
    merged
}

fn items(resource: &Resource) -> BTreeSet<&str> {
    resource.set.iter().flat_map(|set| &set.item).map(String::as_str).collect()
}

/// A list the way Mesos prints it, for messages.
pub fn describe<'a>(list: impl IntoIterator<Item = &'a Resource>) -> String {
    let mut text = String::new();
    for resource in list {
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(&resource.name);
        if !resource.reservations.is_empty() {
            text.push_str("(reservations: [");
            for (index, layer) in resource.reservations.iter().enumerate() {
                let kind = if layer.r#type() == ReservationType::Static { "STATIC" } else { "DYNAMIC" };
                let comma = if index == 0 { "" } else { "," };
                let _ = write!(text, "{comma}({kind},{}", layer.role());
                if let Some(principal) = &layer.principal {
                    let _ = write!(text, ",{principal}");
                }
                text.push(')');
            }
            text.push_str("])");
        }
        if let Some(id) = persistence_id(resource) {
            let _ = write!(text, "[{id}]");
        }
        match resource.r#type() {
            ValueType::Scalar => {
                let _ = write!(text, ":{}", scalar_millis(resource) as f64 / 1000.0);
            }
            ValueType::Ranges => {
                let list: Vec<String> = range_list(resource).iter().map(|(b, e)| format!("{b}-{e}")).collect();
                let _ = write!(text, ":[{}]", list.join(", "));
            }
            ValueType::Set => {
                let _ = write!(text, ":{{{}}}", items(resource).into_iter().collect::<Vec<_>>().join(", "));
            }
            ValueType::Text => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reserved(mut resource: Resource, role: &str, label: &str) -> Resource {
        resource.reservations.push(v1::resource::ReservationInfo {
            r#type: Some(ReservationType::Dynamic as i32),
            role: Some(role.into()),
            principal: Some("p".into()),
            labels: Some(Box::new(v1::Labels {
                labels: vec![v1::Label { key: "id".into(), value: Some(label.into()) }],
            })),
        });
        resource
    }

    #[test]
    fn scalars_count_in_thousandths() {
        let mut pool = Resources::new([scalar("cpus", 0.1), scalar("cpus", 0.2)]);
        assert_eq!(pool.scalar("cpus"), 300);
        assert!(!pool.subtract(&scalar("cpus", 0.3004)) || pool.is_empty());
        assert!(Resources::new([scalar("cpus", 0.0001)]).is_empty());
    }

    #[test]
    fn labels_keep_reservations_apart() {
        let pool = Resources::new([
            reserved(scalar("cpus", 1.0), "r", "a"),
            reserved(scalar("cpus", 1.0), "r", "b"),
            reserved(scalar("cpus", 1.0), "r", "a"),
        ]);
        assert_eq!(pool.iter().count(), 2);
        assert!(pool.contains_all(&[reserved(scalar("cpus", 2.0), "r", "a")]));
        assert!(!pool.contains_all(&[reserved(scalar("cpus", 2.0), "r", "b")]));
        assert!(!pool.contains_all(&[scalar("cpus", 1.0)]));
    }

    #[test]
    fn ranges_split_and_merge() {
        let mut pool = Resources::new([ranges("ports", &[(1, 10), (20, 30)])]);
        assert!(pool.subtract(&ranges("ports", &[(5, 5), (20, 22)])));
        assert_eq!(range_list(pool.iter().next().expect("ports are left")), [(1, 4), (6, 10), (23, 30)]);
        assert!(!pool.subtract(&ranges("ports", &[(4, 6)])));
        pool.add(ranges("ports", &[(5, 5), (11, 22)]));
        assert_eq!(range_list(pool.iter().next().expect("ports are left")), [(1, 30)]);
    }

    #[test]
    fn formats_convert_both_ways() {
        let new = reserved(scalar("mem", 32.0), "r", "a");
        let mut old = downgrade(&new).expect("one layer can be said in the older format");
        assert_eq!(old.role.as_deref(), Some("r"));
        assert!(old.reservation.as_ref().is_some_and(|legacy| legacy.role.is_none() && legacy.r#type.is_none()));
        upgrade(&mut old);
        assert_eq!(old, new);
        let mut fixed = Resource { role: Some("r".into()), ..scalar("mem", 1.0) };
        upgrade(&mut fixed);
        assert_eq!(fixed.reservations[0].r#type(), ReservationType::Static);
        assert_eq!(downgrade(&reserved(new, "r/x", "b")), None);
    }

    #[test]
    fn volumes_are_taken_whole_and_their_path_does_not_count() {
        let volume = |size: f64, path: &str| {
            let mut volume = reserved(scalar("disk", size), "r", "a");
            volume.disk = Some(Box::new(v1::resource::DiskInfo {
                persistence: Some(Box::new(v1::resource::disk_info::Persistence { id: "v".into(), principal: None })),
                volume: Some(Box::new(v1::Volume { container_path: path.into(), ..Default::default() })),
                source: None,
            }));
            volume
        };
        let mut pool = Resources::new([volume(10.0, "a")]);
        assert!(!pool.subtract(&volume(5.0, "a")));
        assert!(pool.subtract(&volume(10.0, "b")));
        assert!(pool.is_empty());
        assert_eq!(strip_volume(&volume(10.0, "a")), reserved(scalar("disk", 10.0), "r", "a"));
    }

    #[test]
    fn reserved_resources_go_to_the_role_and_below_it() {
        let resource = reserved(scalar("cpus", 1.0), "a/b", "x");
        assert!(is_allocatable_to(&resource, "a/b") && is_allocatable_to(&resource, "a/b/c"));
        assert!(!is_allocatable_to(&resource, "a") && !is_allocatable_to(&resource, "a/bc"));
    }

    /// Some resources that are alike in this and that.
    fn any_resource() -> impl Strategy<Value = Resource> {
        let scalar = (0_u8..2, 1_u32..5, 0_u8..4, any::<bool>()).prop_map(|(name, amount, label, is_allocated)| {
            let plain = scalar(["cpus", "disk"][usize::from(name)], f64::from(amount));
            let mut one = if label == 0 { plain } else { reserved(plain, "r", &label.to_string()) };
            if label == 3 && one.name == "disk" {
                one.disk = Some(Box::new(v1::resource::DiskInfo {
                    persistence: Some(Box::new(v1::resource::disk_info::Persistence {
                        id: "v".into(),
                        principal: None,
                    })),
                    ..Default::default()
                }));
            }
            if is_allocated { allocate(one, "r") } else { one }
        });
        let ports = (1_u64..9, 0_u64..4).prop_map(|(begin, more)| ranges("ports", &[(begin, begin + more)]));
        prop_oneof![3 => scalar, 1 => ports]
    }

    proptest! {
        #[test]
        fn what_is_left_is_the_same_whether_taken_at_once_or_one_after_the_other(
            has in proptest::collection::vec(any_resource(), 0..12),
            takes in proptest::collection::vec(any_resource(), 0..12),
        ) {
            let pool = Resources::new(has.iter().map(upgraded));
            let mut rest = pool.clone();
            rest.subtract_present(&takes.iter().map(upgraded).collect::<Vec<_>>());
            let old = takes.iter().map(|one| allocate(downgrade(one).expect("one layer at most"), "r"));
            prop_assert_eq!(&pool.without(&old.collect::<Vec<_>>()), &rest);
            prop_assert_eq!(&pool.without(&takes), &rest);
        }

        #[test]
        fn what_cannot_be_taken_as_a_whole_stays_as_it_was(
            has in proptest::collection::vec(any_resource(), 0..12),
            takes in proptest::collection::vec(any_resource(), 0..6),
        ) {
            let before = Resources::new(has);
            let mut after = before.clone();
            let mut one_by_one = before.clone();
            let is_whole = takes.iter().all(|one| one_by_one.subtract(one));
            prop_assert_eq!(before.contains_all(&takes), is_whole);
            prop_assert_eq!(after.subtract_all(&takes), is_whole);
            prop_assert_eq!(after, if is_whole { one_by_one } else { before });
        }

        #[test]
        fn subtracting_what_was_added_gives_the_rest_back(
            base in proptest::collection::vec((0u64..60, 0u64..6), 0..5),
            more in proptest::collection::vec((100u64..160, 0u64..6), 1..5),
            (cpus, extra) in (1u32..5000, 1u32..5000),
        ) {
            let list = |of: &[(u64, u64)]| of.iter().map(|&(begin, len)| (begin, begin + len)).collect::<Vec<_>>();
            let old = Resources::new([ranges("ports", &normalized(&list(&base))), scalar("cpus", f64::from(cpus) / 1000.0)]);
            let added = [ranges("ports", &normalized(&list(&more))), scalar("cpus", f64::from(extra) / 1000.0)];
            let mut sum = old.clone();
            sum.add_all(added.iter().cloned());
            prop_assert!(sum.contains_all(&added) && sum.contains_all(&old.to_vec()));
            prop_assert!(sum.subtract_all(&added));
            prop_assert!(are_equal(&sum.to_vec(), &old.to_vec()));
        }
    }
}
