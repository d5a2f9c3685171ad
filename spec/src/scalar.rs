//! Fixed-point quantities, the only arithmetic done on scalar resources.

use std::fmt;

/// A scalar amount as Mesos computes with it: an integer number of thousandths.
///
/// Shape: never negative. Units: thousandths of a cpu, of a MB, of a gpu.
/// Errors: `parse` refuses negative, not finite and too large numbers.
/// Source: Mesos rounds every scalar to three decimals before it compares, adds or subtracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scalar(u64);

impl Scalar {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Above this a double no longer holds every thousandth exactly.
    const MAX_MILLIS: u64 = 1 << 53;
    /// The largest amount.
    pub(crate) const MAX: Self = Self(Self::MAX_MILLIS);

    /// The amount of `millis` thousandths.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The amount of `units` whole units.
    pub const fn from_units(units: u64) -> Self {
        Self(units.saturating_mul(1000))
    }

    /// Rounds a wire number to thousandths; `None` when it is negative, not finite or beyond 2^53 thousandths.
    pub fn from_f64(value: f64) -> Option<Self> {
        let millis = (value * 1000.0).round();
        (value >= 0.0 && millis.is_finite() && millis <= Self::MAX_MILLIS as f64).then_some(Self(millis as u64))
    }

    /// The wire form.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Thousandths.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum; saturates far above anything an agent has.
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left after taking `other`, or `None` when there is too little.
    pub const fn minus(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(left) => Some(Self(left)),
            None => None,
        }
    }
}

/// Prints without trailing zeros: `0.5`, `1024`.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, millis) = (self.0 / 1000, self.0 % 1000);
        if millis == 0 {
            return write!(f, "{whole}");
        }
        let text = format!("{millis:03}");
        write!(f, "{whole}.{}", text.trim_end_matches('0'))
    }
}
