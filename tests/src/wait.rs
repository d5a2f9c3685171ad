//! Waiting for something to become true.
//!
//! Invariant: a wait ends as soon as its condition holds, and never later than its deadline.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Pause before the second look; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Asks `probe` until it answers with a value.
///
/// Shape: `Ok(Some(value))` ends the wait; `Ok(None)` and `Err(_)` both mean "not yet", since what is asked may just
/// have been killed.
/// Errors: after `deadline`, naming `what` and the last error of the probe.
pub async fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match probe().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if start.elapsed() >= deadline {
            match error {
                Some(error) => bail!("{what}: not within {deadline:?}; last answer: {error:#}"),
                None => bail!("{what}: not within {deadline:?}"),
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Asks `probe` until it says true; otherwise like [`wait_for`].
pub async fn wait_until(what: &str, deadline: Duration, mut probe: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    wait_for(what, deadline, async || Ok(probe().await?.then_some(()))).await
}
