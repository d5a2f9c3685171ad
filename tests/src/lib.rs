//! Whole-system tests: real processes, a real Mesos, a real ZooKeeper.
//!
//! This library starts, stops, kills and questions them; the tests themselves are in `tests/tests/`, one file per
//! dependency, and `docs/testing.md` says how to run one. It is not a fake of anything, and it decides nothing: what a
//! test expects stands in the test.
//!
//! Invariant: every process started here ends with the value that started it, also when a test panics, and with the
//! test's own process when that is killed.
//! Invariant: nothing waits for a fixed time; [`wait::wait_for`] sleeps between two looks, and so do values that end what they started.
//!
//! Read next: `mesos.rs`, then `scheduler.rs`.

pub mod cgroup;
pub mod hello_world;
pub mod http;
pub mod mesos;
pub mod port;
pub mod proc_scan;
pub mod process;
pub mod proxy;
pub mod raw_framework;
pub mod reserved;
pub mod scheduler;
pub mod simulation;
pub mod wait;
pub mod zookeeper;
