//! Getting a session: with patience, a line per attempt, and a look at the servers' version.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;
use zookeeper_client::{Client, Error as Failure};

use super::{Error, Settings};

/// First wait after a failed attempt; doubles up to [`LONGEST`], each with up to half of it taken off at random.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);
/// How long a server may take to tell its version.
const VERSION_ANSWER: Duration = Duration::from_millis(500);
/// Entries of the address that the client gets at least. See [`repeated`].
const ENTRIES: usize = 8;

/// A session, and whether all servers that told their version know multi-reads (3.6).
pub(super) async fn connect(connect: &str, settings: &Settings) -> Result<(Client, bool), Error> {
    let started = Instant::now();
    let (mut attempt, mut wait) = (0_u32, FIRST);
    let client = loop {
        attempt += 1;
        let session = Client::connector()
            .with_session_timeout(settings.session)
            .with_fail_eagerly()
            .connect(&repeated(connect))
            .await;
        let failure = match session {
            Ok(client) => break client,
            Err(failure) => failure,
        };
        let waited = started.elapsed();
        let pause = jittered(wait).min(settings.unreachable.saturating_sub(waited));
        if pause.is_zero() {
            return Err(Error::Unreachable { connect: connect.to_owned(), waited, source: failure });
        }
        let (failure, wait_ms) = (reason(&failure), pause.as_millis() as u64);
        tracing::warn!(connect, attempt, wait_ms, failure, "zookeeper cannot be reached, trying again");
        sleep(pause).await;
        wait = (wait * 2).min(LONGEST);
    };
    Ok((client, speaks_multi_read(connect).await?))
}

fn reason(failure: &Failure) -> String {
    match failure {
        Failure::NoHosts => "no server accepts a session".to_owned(),
        other => other.to_string(),
    }
}

/// At least half of the wait, at most all of it.
fn jittered(wait: Duration) -> Duration {
    let half = wait / 2;
    half + half.mul_f64(f64::from(Uuid::new_v4().as_u128() as u16) / f64::from(u16::MAX))
}

/// The address with its servers repeated. The client doubles its pause each time it has gone through the list, without a cap: with one
/// entry it tries 6.3 s and then 12.7 s after a loss, and two unlucky restarts of the server end a session of 10 s. With eight entries no
/// gap within a session is longer than 3.2 s.
fn repeated(connect: &str) -> String {
    let entries = connect.split(',').count();
    vec![connect; ENTRIES.div_ceil(entries)].join(",")
}

/// Asks every server; one that does not answer (or must not) counts as older for multi-reads, which only costs speed.
async fn speaks_multi_read(connect: &str) -> Result<bool, Error> {
    let mut asked = JoinSet::new();
    for server in connect.split(',').map(str::to_owned) {
        asked.spawn(async move {
            let answer = timeout(VERSION_ANSWER, ask_version(&server)).await;
            (server, answer.ok().and_then(Result::ok))
        });
    }
    let mut speaks = true;
    while let Some(answer) = asked.join_next().await {
        let Ok((server, Some(answer))) = answer else {
            speaks = false;
            continue;
        };
        match parse_version(&answer) {
            // Transactions with `create2` came with 3.5; an older server drops the connection at each.
            Some((version, number)) if number < (3, 5) => return Err(Error::OldServer { server, version }),
            Some((_, number)) => speaks &= number >= (3, 6),
            None => speaks = false,
        }
    }
    Ok(speaks)
}

async fn ask_version(server: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(b"srvr").await?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Finds `3.8.0` and (3, 8) in `Zookeeper version: 3.8.0-5a02a05, built on …`.
fn parse_version(answer: &str) -> Option<(String, (u32, u32))> {
    let version = answer.lines().find_map(|line| line.strip_prefix("Zookeeper version: "))?;
    let version = version.split([',', '-', ' ']).next()?;
    let mut parts = version.split('.').map(str::parse);
    match (parts.next()?, parts.next()?) {
        (Ok(major), Ok(minor)) => Some((version.to_owned(), (major, minor))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_servers_say() {
        #[track_caller]
        fn check(answer: &str, expected: Option<(u32, u32)>) {
            assert_eq!(parse_version(answer).map(|(_, number)| number), expected, "{answer}");
        }
        check("Zookeeper version: 3.8.0-5a02a05, built on 2022-02-25\nLatency min/avg/max: 0/0/0\n", Some((3, 8)));
        check("Zookeeper version: 3.4.14--1, built on 2019\n", Some((3, 4)));
        check("Zookeeper version: 3.10.0 , built on\n", Some((3, 10)));
        check("srvr is not executed because it is not in the whitelist.\n", None);
        check("Zookeeper version: x\n", None);
        check("", None);
    }

    #[test]
    fn an_address_has_at_least_eight_entries() {
        assert_eq!(repeated("a:1").split(',').count(), 8);
        assert_eq!(repeated("a:1,b:2,c:3"), ["a:1,b:2,c:3"; 3].join(","));
    }

    #[test]
    fn a_wait_is_jittered_by_up_to_half() {
        for _ in 0..1000 {
            let wait = jittered(LONGEST);
            assert!(wait >= LONGEST / 2 && wait <= LONGEST, "{wait:?}");
        }
    }
}
