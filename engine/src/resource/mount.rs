//! Which MOUNT disk a volume gets: each takes a whole one.
//!
//! The smallest that suits is the best choice as long as a disk that suits one volume either suits another of the same size too or never does.
//! Lists of profiles that overlap break this: `fast` or `slow` must not take the only `fast` disk from a volume that wants just that.

use super::{Resource, Value, matching};
use crate::units::Scalar;

/// What a volume wants of a MOUNT disk.
///
/// Units: MB.
#[derive(Debug, Clone, Copy)]
pub struct MountWish<'a> {
    /// The least size.
    pub size: Scalar,
    /// Profiles of which the disk has one; empty: a disk without any.
    pub profiles: &'a [String],
}

impl MountWish<'_> {
    /// Whether disks of different profiles suit it. Of one profile the smallest is right: whoever could use it can use a larger one.
    pub fn has_choice(&self) -> bool {
        self.profiles.len() > 1
    }

    /// Size of the disk when its profile is one of those wanted.
    fn size_of(&self, disk: &Resource) -> Option<Scalar> {
        let (Some(source), Value::Scalar(size)) =
            (disk.disk.as_ref().and_then(|disk| disk.source.as_ref()), &disk.value)
        else {
            return None;
        };
        let suits = match &source.profile {
            None => self.profiles.is_empty(),
            Some(profile) => self.profiles.contains(profile),
        };
        suits.then_some(*size)
    }

    fn accepts(&self, disk: &Resource) -> bool {
        self.size_of(disk).is_some_and(|size| size >= self.size)
    }

    /// The smallest of these disks that suits; where disks of several profiles do, one that leaves each volume of `later` a disk, if there is one.
    ///
    /// Errors: the size of the largest disk of a wanted profile, zero without any.
    pub(super) fn choose(&self, disks: &[&Resource], later: &[Self]) -> Result<usize, Scalar> {
        let sized = disks.iter().enumerate().filter_map(|(at, disk)| Some((self.size_of(disk)?, at)));
        let suitable = sized.clone().filter(|(size, _)| *size >= self.size);
        let Some((_, smallest)) = suitable.clone().min() else {
            return Err(sized.map(|(size, _)| size).max().unwrap_or(Scalar::ZERO));
        };
        if !self.has_choice() || later.is_empty() {
            return Ok(smallest);
        }
        let leaves_enough = |(_, taken): &(Scalar, usize)| {
            let rest = disks.iter().enumerate().filter(|(at, _)| at != taken).map(|(_, disk)| *disk);
            can_serve(later, &rest.collect::<Vec<_>>())
        };
        Ok(suitable.filter(leaves_enough).min().map_or(smallest, |(_, at)| at))
    }
}

/// Whether each wish can have a disk of its own.
fn can_serve(wishes: &[MountWish<'_>], disks: &[&Resource]) -> bool {
    let suits = |wish: usize, disk: &Resource| wishes.get(wish).is_some_and(|wish| wish.accepts(disk));
    matching::can_serve(0..wishes.len(), disks.len(), |wish| {
        disks.iter().enumerate().filter(move |(_, disk)| suits(wish, disk)).map(|(at, _)| at)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::resource::pool::SOURCE_MOUNT;
    use crate::resource::{Disk, DiskSource};

    fn disk(size: u64, profile: u8) -> Resource {
        let profile = [None, Some("slow"), Some("fast")][usize::from(profile)].map(str::to_owned);
        let source = DiskSource { kind: SOURCE_MOUNT, profile, ..DiskSource::default() };
        Resource {
            name: "disk".into(),
            value: Value::Scalar(Scalar::from_units(size)),
            allocation_role: Some("r".into()),
            reservations: Vec::new(),
            disk: Some(Box::new(Disk { source: Some(source), ..Disk::default() })),
            provider_id: None,
            shared: false,
            revocable: false,
        }
    }

    fn profiles(which: u8) -> Vec<String> {
        [&[][..], &["slow"], &["fast"], &["slow", "fast"], &["fast", "slow"]][usize::from(which)]
            .iter()
            .map(|name| (*name).to_owned())
            .collect()
    }

    /// Gives each wish its disk in turn, as stages do; how many got one.
    fn given(wishes: &[MountWish<'_>], disks: &[Resource]) -> usize {
        let mut left: Vec<&Resource> = disks.iter().collect();
        (0..wishes.len())
            .filter(|at| wishes[*at].choose(&left, &wishes[at + 1..]).map(|chosen| left.remove(chosen)).is_ok())
            .count()
    }

    /// Tries every way.
    fn is_possible(wishes: &[MountWish<'_>], disks: &[&Resource]) -> bool {
        let Some((wish, rest)) = wishes.split_first() else { return true };
        (0..disks.len()).filter(|at| wish.accepts(disks[*at])).any(|at| {
            let mut left = disks.to_vec();
            left.remove(at);
            is_possible(rest, &left)
        })
    }

    #[test]
    fn a_volume_with_a_choice_of_profiles_leaves_the_only_disk_to_one_without() {
        let disks = [disk(150, 2), disk(200, 1)];
        let (any, fast) = (profiles(3), profiles(2));
        let wish = |size, profiles| MountWish { size: Scalar::from_units(size), profiles };
        assert_eq!(given(&[wish(100, &any), wish(100, &fast)], &disks), 2);
        let refs: Vec<&Resource> = disks.iter().collect();
        assert_eq!(wish(100, &any).choose(&refs, &[]), Ok(0), "alone it takes the smaller");
        assert_eq!(wish(100, &any).choose(&refs, &[wish(180, &fast)]), Ok(0), "nobody can help the other");
    }

    proptest! {
        #[test]
        fn whatever_can_be_placed_is(
            disks in proptest::collection::vec((1u64..6, 0u8..3), 0..6),
            wishes in proptest::collection::vec((1u64..6, 0u8..5), 0..5),
        ) {
            let disks: Vec<Resource> = disks.into_iter().map(|(size, profile)| disk(size, profile)).collect();
            let wishes: Vec<(Scalar, Vec<String>)> =
                wishes.into_iter().map(|(size, which)| (Scalar::from_units(size), profiles(which))).collect();
            let wishes: Vec<MountWish<'_>> =
                wishes.iter().map(|(size, profiles)| MountWish { size: *size, profiles }).collect();
            let possible = is_possible(&wishes, &disks.iter().collect::<Vec<_>>());
            prop_assert_eq!(given(&wishes, &disks) == wishes.len(), possible);
        }
    }
}
