//! What the agent tells the executor: the variables of its environment, read once.
//!
//! Not here: the environment of a task (`folder.rs` makes it from this one).
//!
//! Source: Mesos, environment of an executor.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Never handed to a task.
pub(crate) const TOKEN: &str = "MESOS_EXECUTOR_AUTHENTICATION_TOKEN";

/// The executor's place in the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Environment {
    /// `MESOS_FRAMEWORK_ID`.
    pub(crate) framework_id: String,
    /// `MESOS_EXECUTOR_ID`.
    pub(crate) executor_id: String,
    /// `MESOS_AGENT_ENDPOINT`: `ip:port`.
    pub(crate) agent_endpoint: String,
    /// Path of the executor API, from the actor named in `MESOS_SLAVE_PID`.
    pub(crate) api_path: String,
    /// `MESOS_SANDBOX`, as this process sees it.
    pub(crate) sandbox: PathBuf,
    /// `MESOS_DIRECTORY`, as the agent sees it.
    pub(crate) directory: PathBuf,
    /// Time tasks outlive the agent; `None` without checkpointing.
    pub(crate) recovery_timeout: Option<Duration>,
    /// `MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD`.
    pub(crate) shutdown_grace: Duration,
    /// The token for the agent.
    pub(crate) token: Option<String>,
    /// All variables but the token: the base of each task's environment.
    pub(crate) inherited: BTreeMap<String, String>,
}

/// Why this environment is none of an executor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// A variable is missing.
    #[error("{0} is not set: the executor is started by a Mesos agent")]
    Missing(&'static str),
    /// A duration is none.
    #[error("{0}={1:?} is no duration such as 5secs")]
    Duration(&'static str, String),
}

impl Environment {
    /// Reads the variables.
    pub(crate) fn read(variables: BTreeMap<String, String>) -> Result<Self, Error> {
        let find = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
        let need = |name: &'static str| find(name).ok_or(Error::Missing(name));
        let duration = |name: &'static str, default: Duration| match find(name) {
            Some(text) => parse_duration(&text).ok_or(Error::Duration(name, text)),
            None => Ok(default),
        };
        let directory = find("MESOS_DIRECTORY");
        let sandbox = find("MESOS_SANDBOX").or_else(|| directory.clone()).ok_or(Error::Missing("MESOS_SANDBOX"))?;
        let pid = find("MESOS_SLAVE_PID");
        let actor = pid.as_deref().and_then(|pid| pid.split_once('@')).map(|(actor, _)| actor);
        let recovery_timeout = if find("MESOS_CHECKPOINT").as_deref() == Some("1") {
            Some(duration("MESOS_RECOVERY_TIMEOUT", Duration::from_secs(15 * 60))?)
        } else {
            None
        };
        let mut inherited = variables.clone();
        inherited.remove(TOKEN);
        Ok(Self {
            framework_id: need("MESOS_FRAMEWORK_ID")?,
            executor_id: need("MESOS_EXECUTOR_ID")?,
            agent_endpoint: need("MESOS_AGENT_ENDPOINT")?,
            api_path: match actor {
                Some(actor) if !actor.is_empty() => format!("/{actor}/api/v1/executor"),
                _ => "/api/v1/executor".to_owned(),
            },
            directory: directory.unwrap_or_else(|| sandbox.clone()).into(),
            sandbox: sandbox.into(),
            recovery_timeout,
            shutdown_grace: duration("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", Duration::from_secs(5))?,
            token: find(TOKEN),
            inherited,
        })
    }
}

/// A duration as Mesos prints it: a decimal number directly followed by its unit.
fn parse_duration(text: &str) -> Option<Duration> {
    let split = text.find(|character: char| character.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "secs" => 1.0,
        "mins" => 60.0,
        "hrs" => 3600.0,
        "days" => 86_400.0,
        "weeks" => 604_800.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn variables(more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let base = [
            ("MESOS_FRAMEWORK_ID", "f"),
            ("MESOS_EXECUTOR_ID", "e"),
            ("MESOS_AGENT_ENDPOINT", "127.0.0.1:5051"),
            ("MESOS_SLAVE_PID", "slave(1)@127.0.0.1:5051"),
            ("MESOS_SANDBOX", "/mnt/mesos/sandbox"),
            ("MESOS_DIRECTORY", "/var/lib/mesos/x"),
        ];
        base.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_agents_environment_is_read() {
        let environment = Environment::read(variables(&[
            ("MESOS_CHECKPOINT", "1"),
            ("MESOS_RECOVERY_TIMEOUT", "1.5mins"),
            ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "500ms"),
            (TOKEN, "secret"),
        ]))
        .unwrap();
        assert_eq!(environment.api_path, "/slave(1)/api/v1/executor");
        assert_eq!(environment.recovery_timeout, Some(Duration::from_secs(90)));
        assert_eq!(environment.shutdown_grace, Duration::from_millis(500));
        assert_eq!(environment.token.as_deref(), Some("secret"));
        assert!(!environment.inherited.contains_key(TOKEN));
        assert_eq!(environment.inherited.len(), 9);
    }

    #[test]
    fn without_checkpointing_nothing_outlives_the_agent() {
        for more in [&[][..], &[("MESOS_CHECKPOINT", "0"), ("MESOS_RECOVERY_TIMEOUT", "15mins")]] {
            assert_eq!(Environment::read(variables(more)).unwrap().recovery_timeout, None);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for name in ["MESOS_FRAMEWORK_ID", "MESOS_EXECUTOR_ID", "MESOS_AGENT_ENDPOINT"] {
            let mut variables = variables(&[]);
            variables.remove(name);
            assert_eq!(Environment::read(variables), Err(Error::Missing(name)));
        }
    }

    #[test]
    fn durations_of_mesos() {
        for (text, expected) in [
            ("5secs", Some(Duration::from_secs(5))),
            ("0ns", Some(Duration::ZERO)),
            ("1.5hrs", Some(Duration::from_secs(5400))),
            ("2weeks", Some(Duration::from_secs(1_209_600))),
            ("5", None),
            ("secs", None),
            ("5 parsecs", None),
            ("-1secs", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }
}
