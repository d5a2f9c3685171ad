//! `bootstrap`: a stand-in for the SDK's program of that name, so that `./bootstrap && ./start` in a `cmd` still works.
//!
//! Not here: what the executor has done before the task started; templates are rendered again because the command may
//! have changed its environment. Certificates are not imported into Java's trust store.
//!
//! Differs from the SDK on purpose: names are waited for only when `-resolve=true` is given or
//! `MAINSTAY_BOOTSTRAP_RESOLVE=true`, because plain Mesos has no names of tasks; parents of a file are made.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::config_template;
use crate::task;

/// Between two tries to resolve a name.
const RETRY: Duration = Duration::from_secs(1);

/// The flags.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Flags {
    verbose: bool,
    print_env: bool,
    insecure: bool,
    resolve: bool,
    resolve_hosts: Option<Vec<String>>,
    /// `None`: for ever.
    resolve_timeout: Option<Duration>,
    self_resolve: bool,
    template: bool,
    /// `None`: no limit.
    template_max_bytes: Option<u64>,
    install_certs: bool,
    get_task_ip: bool,
}

/// Runs the program.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let variables = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    match bootstrap(arguments, variables) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bootstrap: {message}");
            ExitCode::FAILURE
        }
    }
}

fn bootstrap(arguments: &[String], mut environment: BTreeMap<String, String>) -> Result<(), String> {
    let resolve = environment.get("MAINSTAY_BOOTSTRAP_RESOLVE").is_some_and(|value| value == "true");
    let flags = parse(arguments, resolve)?;
    let ip = task_ip(&environment)?;
    if flags.get_task_ip {
        print!("{ip}");
        return Ok(());
    }
    for name in ["MESOS_CONTAINER_IP", "LIBPROCESS_IP"] {
        environment.insert(name.to_owned(), ip.to_string());
    }
    if flags.print_env {
        for line in describe(&environment, flags.insecure) {
            println!("{line}");
        }
    }
    if flags.resolve {
        wait_for_names(&flags, &environment, ip)?;
    }
    if flags.template {
        let sandbox = environment.get("MESOS_SANDBOX").map_or_else(|| PathBuf::from("."), PathBuf::from);
        for template in task::config_templates(&environment).map_err(|error| error.to_string())? {
            let limit = flags.template_max_bytes.unwrap_or(u64::MAX);
            let text = config_template::read(&sandbox.join(&template.source), &template.source, limit)
                .and_then(|text| config_template::render_text(&template.source, &text, &environment))
                .map_err(|error| error.to_string())?;
            let path = Path::new(&template.destination);
            path.parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| std::fs::write(path, text))
                .map_err(|error| format!("cannot write {}: {error}", template.destination))?;
            println!("rendered {} to {}", template.source, template.destination);
        }
    }
    if flags.install_certs && Path::new(".ssl").exists() {
        println!("certificates in .ssl are not imported into a Java trust store");
    }
    println!("bootstrap successful");
    Ok(())
}

/// Reads flags of the form `-x`, `--x`, `-x=value`; those that are no booleans also take the next argument.
fn parse(arguments: &[String], resolve: bool) -> Result<Flags, String> {
    let mut flags = Flags {
        verbose: false,
        print_env: true,
        insecure: false,
        resolve,
        resolve_hosts: None,
        resolve_timeout: Some(Duration::from_secs(300)),
        self_resolve: true,
        template: true,
        template_max_bytes: Some(config_template::MAX_BYTES),
        install_certs: true,
        get_task_ip: false,
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let flag = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'));
        let flag = flag.ok_or_else(|| format!("unknown argument {argument:?}"))?;
        let (name, mut value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        if matches!(name, "resolve-hosts" | "resolve-timeout" | "template-max-bytes") && value.is_none() {
            value = Some(rest.next().cloned().ok_or_else(|| format!("flag -{name} has no value"))?);
        }
        let wrong = |value: &str| format!("flag -{name} cannot be {value:?}");
        let boolean = || match value.as_deref() {
            None | Some("true" | "t" | "T" | "TRUE" | "True" | "1") => Ok(true),
            Some("false" | "f" | "F" | "FALSE" | "False" | "0") => Ok(false),
            Some(other) => Err(wrong(other)),
        };
        let text = value.as_deref().unwrap_or_default();
        match name {
            "verbose" => flags.verbose = boolean()?,
            "print-env" => flags.print_env = boolean()?,
            "insecure" => flags.insecure = boolean()?,
            "resolve" => flags.resolve = boolean()?,
            "self-resolve" => flags.self_resolve = boolean()?,
            "template" => flags.template = boolean()?,
            "install-certs" => flags.install_certs = boolean()?,
            "get-task-ip" => flags.get_task_ip = boolean()?,
            "resolve-hosts" => {
                let hosts = text.split(',').map(str::trim).filter(|host| !host.is_empty());
                flags.resolve_hosts = Some(hosts.map(str::to_owned).collect());
            }
            "resolve-timeout" => {
                let timeout = parse_duration(text).ok_or_else(|| wrong(text))?;
                flags.resolve_timeout = (!timeout.is_zero()).then_some(timeout);
            }
            "template-max-bytes" => {
                let limit: u64 = text.parse().map_err(|_| wrong(text))?;
                flags.template_max_bytes = (limit != 0).then_some(limit);
            }
            _ => return Err(format!("unknown flag -{name}")),
        }
    }
    Ok(flags)
}

/// A duration as Go writes it: `5m`, `1h30m`, `1.5s`, `0`.
fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let split = rest.find(|character: char| character.is_ascii_alphabetic())?;
        let number: f64 = rest[..split].parse().ok()?;
        rest = &rest[split..];
        let end = rest.find(|character: char| !character.is_ascii_alphabetic()).unwrap_or(rest.len());
        seconds += number
            * match &rest[..end] {
                "ns" => 1e-9,
                "us" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[end..];
    }
    if text.is_empty() { None } else { Duration::try_from_secs_f64(seconds).ok() }
}

/// The address of the task.
fn task_ip(environment: &BTreeMap<String, String>) -> Result<IpAddr, String> {
    let find = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let text = find("MESOS_CONTAINER_IP").or_else(|| find("LIBPROCESS_IP"));
    let text = text.ok_or_else(|| "neither MESOS_CONTAINER_IP nor LIBPROCESS_IP is set".to_owned())?;
    let ip: IpAddr = text.parse().map_err(|_| format!("{text:?} is no address"))?;
    if !ip.is_unspecified() {
        return Ok(ip);
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").map_err(|error| error.to_string())?;
    let name = name.trim();
    let found = resolve(name)?.into_iter().find(IpAddr::is_ipv4);
    found.ok_or_else(|| format!("the host name {name} has no IPv4 address"))
}

fn resolve(name: &str) -> Result<Vec<IpAddr>, String> {
    let addresses = (name, 0).to_socket_addrs().map_err(|error| format!("cannot resolve {name}: {error}"))?;
    let mut addresses: Vec<IpAddr> = addresses.map(|address| address.ip()).collect();
    addresses.sort();
    addresses.dedup();
    Ok(addresses)
}

fn wait_for_names(flags: &Flags, environment: &BTreeMap<String, String>, ip: IpAddr) -> Result<(), String> {
    let own = environment
        .get("TASK_NAME")
        .zip(environment.get("FRAMEWORK_HOST"))
        .map(|(task, host)| format!("{task}.{host}"));
    let hosts = match &flags.resolve_hosts {
        Some(hosts) => hosts.clone(),
        None => own.clone().into_iter().collect(),
    };
    let started = Instant::now();
    let wait = |name: &str, is_good: &dyn Fn(&[IpAddr]) -> bool| loop {
        let reason = match resolve(name) {
            Ok(addresses) if is_good(&addresses) => return Ok(()),
            Ok(addresses) => format!("{name} resolves to {addresses:?}"),
            Err(reason) => reason,
        };
        if flags.verbose {
            println!("{reason}");
        }
        if flags.resolve_timeout.is_some_and(|timeout| started.elapsed() >= timeout) {
            return Err(reason);
        }
        std::thread::sleep(RETRY);
    };
    for host in &hosts {
        wait(host, &|addresses| !addresses.is_empty())?;
    }
    match own.filter(|_| flags.self_resolve) {
        Some(own) => wait(&own, &|addresses| addresses == [ip]),
        None => Ok(()),
    }
}

/// The environment for the log; secrets are masked.
fn describe(environment: &BTreeMap<String, String>, is_insecure: bool) -> Vec<String> {
    let line = |(name, value): (&String, &String)| {
        let lower = name.to_lowercase();
        let is_secret = ["credential", "password", "secret", "token"].iter().any(|word| lower.contains(word));
        if is_secret && !is_insecure { format!("{name}=********") } else { format!("{name}={value}") }
    };
    environment.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    // contract: 5.4/verbose 5.4/print-env 5.4/resolve 5.4/resolve-hosts 5.4/resolve-timeout 5.4/self-resolve
    // contract: 5.4/template 5.4/template-max-bytes 5.4/install-certs 5.4/get-task-ip 5.4/certificates
    #[test]
    fn every_flag_of_the_sdk_is_taken() {
        let default = parse(&[], false).unwrap();
        assert!(default.print_env && default.template && !default.resolve && !default.insecure);
        assert!(parse(&[], true).unwrap().resolve);
        let flags = parse(
            &words(
                "-verbose --print-env=false -insecure -resolve=true -resolve-hosts a,b --resolve-timeout=0 \
                 -self-resolve=false -template=false -template-max-bytes=0 -install-certs=false -get-task-ip",
            ),
            false,
        )
        .unwrap();
        let expected = Flags {
            verbose: true,
            print_env: false,
            insecure: true,
            resolve: true,
            resolve_hosts: Some(words("a b")),
            resolve_timeout: None,
            self_resolve: false,
            template: false,
            template_max_bytes: None,
            install_certs: false,
            get_task_ip: true,
        };
        assert_eq!(flags, expected);
        for (arguments, expected) in [
            ("-resolve=maybe", "flag -resolve cannot be \"maybe\""),
            ("-else", "unknown flag -else"),
            ("else", "unknown argument \"else\""),
            ("-resolve-hosts", "flag -resolve-hosts has no value"),
        ] {
            assert_eq!(parse(&words(arguments), false), Err(expected.to_owned()));
        }
    }

    #[test]
    fn durations_of_go() {
        for (text, expected) in [
            ("5m", Some(300.0)),
            ("1h30m", Some(5400.0)),
            ("1.5s", Some(1.5)),
            ("0", Some(0.0)),
            ("", None),
            ("5", None),
            ("5x", None),
        ] {
            assert_eq!(parse_duration(text).map(|duration| duration.as_secs_f64()), expected, "{text}");
        }
    }

    // contract: 5.4/print-env 5.4/insecure
    #[test]
    fn secrets_are_masked() {
        let environment = map(&[("A", "1"), ("DB_Password", "p"), ("MY_TOKEN", "t")]);
        assert_eq!(describe(&environment, false), ["A=1", "DB_Password=********", "MY_TOKEN=********"]);
        assert_eq!(describe(&environment, true), ["A=1", "DB_Password=p", "MY_TOKEN=t"]);
    }

    // contract: 5.4/ip
    #[test]
    fn the_ip_is_the_containers_or_libprocess() {
        let ip = |pairs: &[(&str, &str)]| task_ip(&map(pairs)).map(|ip| ip.to_string());
        assert_eq!(ip(&[("MESOS_CONTAINER_IP", "1.2.3.4"), ("LIBPROCESS_IP", "5.6.7.8")]).as_deref(), Ok("1.2.3.4"));
        assert_eq!(ip(&[("MESOS_CONTAINER_IP", ""), ("LIBPROCESS_IP", "5.6.7.8")]).as_deref(), Ok("5.6.7.8"));
        assert!(ip(&[]).is_err());
        assert!(ip(&[("LIBPROCESS_IP", "x")]).is_err());
    }
}
