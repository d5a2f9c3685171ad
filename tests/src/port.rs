//! Free loopback ports.
//!
//! Invariant: all ports are below the range from which the kernel takes the ports of outgoing connections (32768 on
//! Linux), so a port stays ours while its owner is dead and is about to be restarted.
//! Not a reservation: two test processes could pick one port at the same moment; they start at different places.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use anyhow::{Result, bail};

/// Ports of servers that the harness starts.
const SERVERS: std::ops::Range<u32> = 20_000..31_000;
/// Blocks of ports that agents offer to tasks.
const TASKS: std::ops::Range<u32> = 10_000..20_000;
/// Ports in one block.
pub const BLOCK: u16 = 100;

static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    AtomicU32::new((nanos / 1000).wrapping_add(std::process::id().wrapping_mul(7919)) % 1_000_000)
});

/// Takes a loopback port on which nobody listens.
///
/// Errors: no port of the range is free.
pub fn free_port() -> Result<u16> {
    for _ in SERVERS {
        let port = SERVERS.start + NEXT.fetch_add(1, Ordering::Relaxed) % SERVERS.len() as u32;
        if let Ok(port) = u16::try_from(port)
            && is_free(port)
        {
            return Ok(port);
        }
    }
    bail!("no free loopback port in {SERVERS:?}")
}

/// Takes a block of [`BLOCK`] ports for an agent to offer, and returns its first.
///
/// Every agent of one machine needs a block of its own: their tasks share its loopback.
/// Errors: every block has a port in use.
pub fn free_block() -> Result<u16> {
    let blocks = TASKS.len() as u32 / u32::from(BLOCK);
    for _ in 0..blocks {
        let first = TASKS.start + NEXT.fetch_add(1, Ordering::Relaxed) % blocks * u32::from(BLOCK);
        if let Ok(first) = u16::try_from(first)
            && (first..first + BLOCK).all(is_free)
        {
            return Ok(first);
        }
    }
    bail!("no block of {BLOCK} free loopback ports in {TASKS:?}")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
