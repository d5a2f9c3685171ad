//! A value that counts how often it may have been changed, so that what was made of it is known to be good.

use std::ops::{Deref, DerefMut};

/// Invariant: the version is raised whenever somebody could have changed the value; a new value is put into the old one's place.
#[derive(Debug, Clone)]
pub(super) struct Versioned<T> {
    value: T,
    version: u64,
}

impl<T> Versioned<T> {
    pub(super) fn version(&self) -> u64 {
        self.version
    }
}

impl<T> From<T> for Versioned<T> {
    fn from(value: T) -> Self {
        Self { value, version: 0 }
    }
}

impl<T> Deref for Versioned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Versioned<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.version += 1;
        &mut self.value
    }
}
