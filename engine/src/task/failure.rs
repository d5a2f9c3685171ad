//! Growing delays between launches of a task that keeps failing.

use std::collections::BTreeMap;

use crate::config::Backoff;
use crate::ids::TaskName;
use crate::units::Millis;

/// Delay of each failing task.
///
/// Source: the SDK's opt-in backoff: `delay = min(max, initial × factor^k)`, cleared when the task is ready.
#[derive(Debug, Clone, Default)]
pub struct Delays {
    by_task: BTreeMap<TaskName, Millis>,
}

impl Delays {
    /// Takes note of a failure; returns how long the task is held back.
    pub fn failed(&mut self, name: &TaskName, backoff: Backoff) -> Millis {
        let next = match self.by_task.get(name) {
            None => backoff.initial,
            Some(last) => Millis(last.0.saturating_mul(backoff.factor_millis.max(1000)) / 1000),
        };
        let next = Millis(next.0.min(backoff.max.0));
        self.by_task.insert(name.clone(), next);
        next
    }

    /// The task is well, or an operator wants it now.
    pub fn clear(&mut self, name: &TaskName) {
        self.by_task.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_up_to_its_bound_and_starts_over_when_cleared() {
        let backoff = Backoff { initial: Millis(60_000), factor_millis: 2000, max: Millis(200_000) };
        let name = TaskName::parse("hello-0-server").expect("a valid name");
        let mut delays = Delays::default();
        let seen: Vec<u64> = (0..4).map(|_| delays.failed(&name, backoff).0).collect();
        assert_eq!(seen, [60_000, 120_000, 200_000, 200_000]);
        delays.clear(&name);
        assert_eq!(delays.failed(&name, backoff).0, 60_000);
    }
}
