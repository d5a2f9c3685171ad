//! Ranges of integers: ports.
//!
//! Invariant: sorted, disjoint, not adjacent, inclusive; so two values of the same numbers are equal.

use std::fmt;

/// Sorted, disjoint, not adjacent, inclusive ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Normalises: sorts, joins overlapping and adjacent ranges, drops those that end before they begin.
    pub fn new(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut sorted: Vec<(u64, u64)> = ranges.into_iter().filter(|(begin, end)| begin <= end).collect();
        sorted.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(sorted.len());
        for (begin, end) in sorted {
            match joined.last_mut() {
                Some(last) if begin <= last.1.saturating_add(1) => last.1 = last.1.max(end),
                _ => joined.push((begin, end)),
            }
        }
        Self(joined)
    }

    /// Just one number.
    pub fn single(number: u64) -> Self {
        Self(vec![(number, number)])
    }

    /// The ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// Whether there is no number at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers there are; saturates.
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, (begin, end)| sum.saturating_add((end - begin).saturating_add(1)))
    }

    /// The number, when there is exactly one.
    pub fn as_single(&self) -> Option<u64> {
        match self.0.as_slice() {
            [(begin, end)] if begin == end => Some(*begin),
            _ => None,
        }
    }

    /// Whether the number is in.
    pub fn contains(&self, number: u64) -> bool {
        let after = self.0.partition_point(|(begin, _)| *begin <= number);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, end)| number <= *end)
    }

    /// Whether every number of the other is in.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|(begin, end)| self.0.iter().any(|mine| mine.0 <= begin && end <= mine.1))
    }

    /// The numbers from `first` to `last`, in order.
    pub fn within(&self, (first, last): (u64, u64)) -> impl Iterator<Item = u64> + '_ {
        let from = self.0.partition_point(|(_, end)| *end < first);
        let within = self.0.iter().skip(from).take_while(move |(begin, _)| *begin <= last);
        within.flat_map(move |(begin, end)| *begin.max(&first)..=*end.min(&last))
    }

    /// Takes one number out; `false` and unchanged when it is not in.
    pub fn take(&mut self, number: u64) -> bool {
        self.take_all(&Self::single(number))
    }

    /// Takes every number of the other out; `false` and unchanged when one of them is not in.
    pub fn take_all(&mut self, other: &Self) -> bool {
        if !self.contains_all(other) {
            return false;
        }
        for (begin, end) in other.iter() {
            let Some(at) = self.0.iter().position(|mine| mine.0 <= begin && end <= mine.1) else { continue };
            let whole = self.0.remove(at);
            // In reverse, so that the left rest ends up before the right one. Neither bound can overflow: the guard says that
            // there is a number beyond it.
            if whole.1 > end {
                self.0.insert(at, (end + 1, whole.1));
            }
            if whole.0 < begin {
                self.0.insert(at, (whole.0, begin - 1));
            }
        }
        true
    }

    /// Puts every number of the other in.
    pub fn insert_all(&mut self, other: &Self) {
        if !other.is_empty() {
            *self = Self::new(self.iter().chain(other.iter()));
        }
    }
}

/// Prints `[1-3,7]`.
impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, (begin, end)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            if begin == end { write!(f, "{begin}")? } else { write!(f, "{begin}-{end}")? }
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn numbers(ranges: &Ranges) -> BTreeSet<u64> {
        ranges.iter().flat_map(|(begin, end)| begin..=end).collect()
    }

    fn some_ranges() -> impl Strategy<Value = Ranges> {
        proptest::collection::vec((0u64..60, 0u64..6), 0..8)
            .prop_map(|pairs| Ranges::new(pairs.into_iter().map(|(begin, length)| (begin, begin + length))))
    }

    fn is_normal(ranges: &Ranges) -> bool {
        let all: Vec<_> = ranges.iter().collect();
        all.iter().all(|(begin, end)| begin <= end)
            && all.iter().zip(all.iter().skip(1)).all(|(left, right)| left.1 + 1 < right.0)
    }

    #[test]
    fn taking_from_the_middle_leaves_both_ends() {
        let mut ranges = Ranges::new([(10, 20)]);
        assert!(ranges.take(15));
        assert_eq!(ranges, Ranges::new([(10, 14), (16, 20)]));
        assert!(!ranges.take(15));
        assert_eq!(ranges.to_string(), "[10-14,16-20]");
        assert_eq!(ranges.count(), 10);
    }

    #[test]
    fn the_largest_number_is_no_special_case() {
        let mut ranges = Ranges::new([(0, u64::MAX)]);
        assert_eq!(ranges.count(), u64::MAX, "saturated");
        assert!(ranges.take(u64::MAX) && ranges.take(0));
        assert_eq!(ranges, Ranges::new([(1, u64::MAX - 1)]));
    }

    proptest! {
        #[test]
        fn arithmetic_is_that_of_sets_and_stays_normal(left in some_ranges(), right in some_ranges(), one in 0u64..70) {
            prop_assert!(is_normal(&left));
            let (before, other) = (numbers(&left), numbers(&right));
            prop_assert_eq!(left.contains(one), before.contains(&one));
            prop_assert_eq!(left.contains_all(&right), other.is_subset(&before));
            prop_assert_eq!(left.count(), before.len() as u64);

            let mut joined = left.clone();
            joined.insert_all(&right);
            prop_assert!(is_normal(&joined));
            prop_assert_eq!(numbers(&joined), &before | &other);

            let mut rest = left.clone();
            let done = rest.take_all(&right);
            prop_assert_eq!(done, other.is_subset(&before));
            prop_assert!(is_normal(&rest));
            prop_assert_eq!(numbers(&rest), if done { &before - &other } else { before });
        }
    }

    #[test]
    fn numbers_are_looked_for_within_bounds() {
        let ranges = Ranges::new([(10, 12), (20, 30)]);
        let first = |first, last| ranges.within((first, last)).next();
        assert_eq!((first(0, 9), first(0, 10), first(11, 99)), (None, Some(10), Some(11)));
        assert_eq!((first(13, 19), first(13, 20), first(25, 25), first(31, 99)), (None, Some(20), Some(25), None));
        assert_eq!(ranges.within((11, 21)).collect::<Vec<_>>(), [11, 12, 20, 21]);
        assert_eq!(ranges.within((0, u64::MAX)).count(), 14);
    }
}
