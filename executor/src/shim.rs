//! The shim: the first program of every child. It sets up itself, then becomes the command.
//!
//! Not here: the process group, the working directory, the environment and the descriptors; the standard library sets
//! those between fork and exec (`process.rs`).
//!
//! `mainstay-executor shim --parent PID [--cgroup FILE]… [--user UID:GID:G1,G2] [--rlimit NAME=SOFT:HARD]… -- PROGRAM ARGUMENT…`
//!
//! Why a program of our own: what happens between fork and exec in another program needs `unsafe`.
//! Invariant: the cgroup is joined and limits are set before the user changes (both may need root), and the death signal after it (a change
//! of user clears it).
//! Invariant: a child whose executor died before the signal was set does not start.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::{Gid, Uid};

/// Exit status of a child that could not become its command; the reason is in its stderr.
pub(crate) const CANNOT_START: u8 = 125;

/// Runs the shim. Returns only when it fails.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let Err(message) = become_command(arguments);
    eprintln!("mainstay-executor: {message}");
    ExitCode::from(CANNOT_START)
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    parent: Option<i32>,
    cgroups: Vec<String>,
    user: Option<(u32, u32, Vec<u32>)>,
    rlimits: Vec<(String, Option<u64>, Option<u64>)>,
    command: Vec<String>,
}

fn parse(arguments: &[String]) -> Result<Request, String> {
    let mut request = Request::default();
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        if flag == "--" {
            request.command = rest.cloned().collect();
            return Ok(request);
        }
        let value = rest.next().ok_or_else(|| format!("shim: {flag} has no value"))?;
        let wrong = || format!("shim: {flag} cannot be {value:?}");
        match flag.as_str() {
            "--parent" => request.parent = Some(value.parse().map_err(|_| wrong())?),
            "--cgroup" => request.cgroups.push(value.clone()),
            "--user" => {
                let mut parts = value.split(':');
                let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok()).ok_or_else(wrong);
                let (uid, gid) = (number()?, number()?);
                let groups = parts.next().unwrap_or_default().split(',').filter(|group| !group.is_empty());
                let groups = groups.map(|group| group.parse::<u32>().map_err(|_| wrong())).collect::<Result<_, _>>()?;
                request.user = Some((uid, gid, groups));
            }
            "--rlimit" => {
                let (name, limits) = value.split_once('=').ok_or_else(wrong)?;
                let (soft, hard) = limits.split_once(':').ok_or_else(wrong)?;
                let limit = |text: &str| match text {
                    "unlimited" => Ok(None),
                    number => number.parse::<u64>().map(Some).map_err(|_| wrong()),
                };
                request.rlimits.push((name.to_owned(), limit(soft)?, limit(hard)?));
            }
            _ => return Err(format!("shim: unknown flag {flag}")),
        }
    }
    Err("shim: no command".to_owned())
}

fn become_command(arguments: &[String]) -> Result<std::convert::Infallible, String> {
    let request = parse(arguments)?;
    let Some((program, arguments)) = request.command.split_first() else {
        return Err("shim: no command".to_owned());
    };
    for file in request.cgroups {
        // Zero is the writer itself. Every process it starts is born into the group.
        std::fs::write(&file, "0").map_err(|error| format!("cannot join the cgroup {file}: {error}"))?;
    }
    for (name, soft, hard) in request.rlimits {
        let resource = resource(&name).ok_or_else(|| format!("resource limit {name} is not known here"))?;
        rustix::process::setrlimit(resource, Rlimit { current: soft, maximum: hard })
            .map_err(|error| format!("cannot set resource limit {name}: {error}"))?;
    }
    if let Some((uid, gid, groups)) = request.user {
        let groups: Vec<Gid> = groups.into_iter().map(Gid::from_raw).collect();
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::thread::set_thread_groups(&groups)
            .and_then(|()| rustix::thread::set_thread_res_gid(gid, gid, gid))
            .and_then(|()| rustix::thread::set_thread_res_uid(uid, uid, uid))
            .map_err(|error| format!("cannot become user {} group {}: {error}", uid.as_raw(), gid.as_raw()))?;
    }
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("cannot set the parent death signal: {error}"))?;
    if request
        .parent
        .is_some_and(|parent| rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent))
    {
        return Err("the executor died".to_owned());
    }
    let error = std::process::Command::new(program).args(arguments).exec();
    Err(format!("cannot execute {program}: {error}"))
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "RLMT_AS" => Resource::As,
        "RLMT_CORE" => Resource::Core,
        "RLMT_CPU" => Resource::Cpu,
        "RLMT_DATA" => Resource::Data,
        "RLMT_FSIZE" => Resource::Fsize,
        "RLMT_LOCKS" => Resource::Locks,
        "RLMT_MEMLOCK" => Resource::Memlock,
        "RLMT_MSGQUEUE" => Resource::Msgqueue,
        "RLMT_NICE" => Resource::Nice,
        "RLMT_NOFILE" => Resource::Nofile,
        "RLMT_NPROC" => Resource::Nproc,
        "RLMT_RSS" => Resource::Rss,
        "RLMT_RTPRIO" => Resource::Rtprio,
        "RLMT_RTTIME" => Resource::Rttime,
        "RLMT_SIGPENDING" => Resource::Sigpending,
        "RLMT_STACK" => Resource::Stack,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn arguments_are_read_in_any_order() {
        let request = parse(&words(
            "--rlimit RLMT_NOFILE=1:2 --parent 7 --cgroup /g --cgroup /h --user 1:2:3,4 --rlimit RLMT_CORE=unlimited:unlimited -- a --user b",
        ));
        let expected = Request {
            parent: Some(7),
            cgroups: vec!["/g".to_owned(), "/h".to_owned()],
            user: Some((1, 2, vec![3, 4])),
            rlimits: vec![("RLMT_NOFILE".to_owned(), Some(1), Some(2)), ("RLMT_CORE".to_owned(), None, None)],
            command: words("a --user b"),
        };
        assert_eq!(request, Ok(expected));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (arguments, expected) in [
            ("", "shim: no command"),
            ("--parent", "shim: --parent has no value"),
            ("--parent x -- a", "shim: --parent cannot be \"x\""),
            ("--user 1 -- a", "shim: --user cannot be \"1\""),
            ("--rlimit RLMT_CPU=1 -- a", "shim: --rlimit cannot be \"RLMT_CPU=1\""),
            ("--else 1 -- a", "shim: unknown flag --else"),
        ] {
            assert_eq!(parse(&words(arguments)), Err(expected.to_owned()), "{arguments:?}");
        }
    }

    #[test]
    fn every_limit_of_mesos_is_known() {
        use mainstay_proto::v1::r_limit_info::r_limit::Type;
        for number in 1..=16 {
            let name = Type::try_from(number).unwrap().as_str_name();
            assert!(resource(name).is_some(), "{name}");
        }
        assert!(resource(Type::Unknown.as_str_name()).is_none());
    }
}
