//! How far an offer is from taking a step: the one measure behind every "closest".
//!
//! Amounts of different resources do not add up, shares of what is wanted do.
//! Invariant: the quick look (`offer/screen.rs`) comes to the same distance as the full report of an evaluation.

use crate::units::Scalar;

/// Things in the way, and how much they lack together. Of two, the smaller is the closer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distance {
    obstacles: usize,
    lacks: Share,
}

/// A part of what is wanted.
///
/// Units: millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u64);

impl Share {
    /// All of it: an agent that a rule excludes, a port that somebody else has.
    pub const WHOLE: Self = Self(1_000_000);

    /// What is missing of what is wanted; never nothing.
    pub fn of(missing: Scalar, wanted: Scalar) -> Self {
        let share = missing.to_f64() / wanted.to_f64().max(f64::MIN_POSITIVE);
        // Between nothing and all, so that the cast is exact enough.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and a million")]
        Self((share * 1e6).clamp(1.0, 1e6) as u64)
    }
}

impl Distance {
    /// With another thing in the way that lacks so much.
    #[must_use]
    pub fn and(self, share: Share) -> Self {
        Self { obstacles: self.obstacles + 1, lacks: Share(self.lacks.0.saturating_add(share.0)) }
    }
}

impl FromIterator<Share> for Distance {
    fn from_iter<T: IntoIterator<Item = Share>>(shares: T) -> Self {
        shares.into_iter().fold(Self::default(), Self::and)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_things_are_closer_and_then_smaller_shares() {
        let share = |missing, wanted| Share::of(Scalar::from_millis(missing), Scalar::from_millis(wanted));
        let distance = |shares: &[Share]| shares.iter().copied().collect::<Distance>();
        let (cores, megabytes) = (share(15_900, 16_100), share(32_000, 16_416_000));
        assert!(distance(&[megabytes]) < distance(&[cores]), "32 MB of 16 GB are less than 15.9 of 16.1 cores");
        assert!(distance(&[cores]) < distance(&[Share::WHOLE]));
        assert!(distance(&[Share::WHOLE]) < distance(&[megabytes, megabytes]));
        assert!(distance(&[]) < distance(&[share(1, 1_000_000_000)]), "the least is something");
        assert_eq!(share(5, 0), Share::WHOLE);
    }
}
