//! A task as the executor runs it: read once from the agent's TaskInfo, trusted from then on.
//!
//! Not here: doing anything with it.
//!
//! What the scheduler and the executor agree on, beyond Mesos:
//! - `TaskInfo.data` is an encoded `CommandInfo`; without it `TaskInfo.command` is used.
//! - the label `volume:<persistence id>` is the place of that volume in the task's folder; the agent puts the volume at
//!   `mainstay-volume-<persistence id>` in the sandbox.
//! - the label `mount:<name>` is the place in the task's folder of what the agent has mounted at `mainstay-mount-<name>`.
//! - `TaskInfo.container.rlimit_info` holds limits of the task's process.
//! - `TaskInfo.limits` are what the task may use where that is not what it reserved; see `cgroup.rs`.
//!
//! Invariant: a [`TaskId`] is one component of a path.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_proto::v1;
use prost::Message as _;

use crate::cgroup::Amounts;
use crate::health::{HealthRules, Schedule};
use crate::supervise::Rules;

/// Prefix of the name the agent gives a volume in the sandbox; the persistence id follows.
pub(crate) const VOLUME_PREFIX: &str = "mainstay-volume-";

/// Prefix of the label that says where a volume goes; the persistence id follows.
pub(crate) const VOLUME_LABEL_PREFIX: &str = "volume:";

/// Prefix of the name of any other mount in the sandbox; a name that the scheduler made follows.
pub(crate) const MOUNT_PREFIX: &str = "mainstay-mount-";

/// Prefix of the label that says where a mount goes; its name follows.
pub(crate) const MOUNT_LABEL_PREFIX: &str = "mount:";

/// What Mesos calls a megabyte.
const BYTES_PER_MB: f64 = 1024.0 * 1024.0;

/// Folder of the fetched configuration templates in a task's folder.
pub(crate) const CONFIG_TEMPLATES: &str = "config-templates";

/// The id of a task.
///
/// Shape: as Mesos gave it. [`Plan::from_wire`] refuses ids that are no file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskId(String);

impl TaskId {
    /// The id in a message.
    pub(crate) fn from_wire(id: &v1::TaskId) -> Self {
        Self(id.value.clone())
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for TaskId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A program with its arguments; the first argument is the name it sees of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// The file to execute.
    pub(crate) program: String,
    /// Its arguments, without the program.
    pub(crate) arguments: Vec<String>,
    /// Variables of this command.
    pub(crate) environment: BTreeMap<String, String>,
}

/// A file the executor fetches itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Download {
    /// Where from: `http://`.
    pub(crate) uri: String,
    /// Where to, relative to the task's folder.
    pub(crate) file: String,
    /// Whether to make it executable.
    pub(crate) is_executable: bool,
}

/// A volume, or something else that the agent has mounted, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumeLink {
    /// What it is.
    pub(crate) kind: LinkKind,
    /// The persistence id, or the name of a mount.
    pub(crate) id: String,
    /// Its place, relative to the task's folder.
    pub(crate) place: String,
}

/// What a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkKind {
    /// A persistent volume: a folder that belongs to the task's user.
    Volume,
    /// A folder of the agent, a volume of a driver or the file of a secret, which belongs to whom it belongs to.
    Mount,
}

impl VolumeLink {
    /// Its name in the sandbox.
    pub(crate) fn file_name(&self) -> String {
        match self.kind {
            LinkKind::Volume => format!("{VOLUME_PREFIX}{}", self.id),
            LinkKind::Mount => format!("{MOUNT_PREFIX}{}", self.id),
        }
    }
}

/// How messages call it.
impl std::fmt::Display for VolumeLink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            LinkKind::Volume => write!(formatter, "volume {}", self.id),
            LinkKind::Mount => write!(formatter, "the mount for {}", self.place),
        }
    }
}

/// A resource limit of the task's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rlimit {
    /// `RLMT_NOFILE` and the like.
    pub(crate) name: String,
    /// Soft and hard limit; `None`: unlimited.
    pub(crate) limits: Option<(u64, u64)>,
}

/// A configuration file to render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigTemplate {
    /// The template, relative to the task's folder.
    pub(crate) source: String,
    /// The file to write, relative to the task's folder.
    pub(crate) destination: String,
}

/// Everything needed to run a task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// Its id.
    pub(crate) id: TaskId,
    /// Its name.
    pub(crate) name: String,
    /// What to run.
    pub(crate) command: Command,
    /// Who runs it; `None`: the executor's own user.
    pub(crate) user: Option<String>,
    /// What to fetch first.
    pub(crate) downloads: Vec<Download>,
    /// What to link first.
    pub(crate) volumes: Vec<VolumeLink>,
    /// What it reserved and may use.
    pub(crate) amounts: Amounts,
    /// Limits of the process.
    pub(crate) rlimits: Vec<Rlimit>,
    /// The readiness check's command.
    pub(crate) readiness: Option<Command>,
    /// The health check's command.
    pub(crate) health: Option<Command>,
    /// What the supervisor needs.
    pub(crate) rules: Rules,
}

/// Why a task cannot be run. Each is the message of its TASK_FAILED.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// The id would leave the folder of the tasks.
    #[error("task id {0:?} cannot be the name of a folder")]
    Id(String),
    /// `TaskInfo.data` is something else.
    #[error("TaskInfo.data is no CommandInfo: {0}")]
    Data(String),
    /// There is neither data nor command.
    #[error("the task has no command")]
    NoCommand,
    /// A command without value.
    #[error("the command of the {0} is empty")]
    EmptyCommand(&'static str),
    /// A variable whose value is not in the message.
    #[error("variable {0} is a secret that was not resolved")]
    Secret(String),
    /// A check of a kind that is not run here.
    #[error("the {0} is of type {1}; only COMMAND is supported")]
    CheckType(&'static str, String),
    /// A number of seconds that is none.
    #[error("{0} has {1} seconds")]
    Seconds(&'static str, String),
    /// A URI the executor cannot fetch.
    #[error("uri {0:?} of the task cannot be fetched: {1}")]
    Uri(String, &'static str),
    /// A volume without a place.
    #[error("volume {0} has no label \"volume:{0}\" that says where it goes")]
    VolumeWithoutPlace(String),
    /// A volume or mount whose place is not in the task's folder.
    #[error("{0} cannot be placed at {1:?}: a relative path without \"..\" is needed")]
    VolumePlace(VolumeLink, String),
    /// Limits that are no pair.
    #[error("resource limit {0} needs both soft and hard, or neither")]
    Rlimit(String),
    /// A `CONFIG_TEMPLATE_` variable of another shape.
    #[error("variable {0} is not of the form \"source,destination\"")]
    ConfigTemplate(String),
}

impl Plan {
    /// Reads a task.
    pub(crate) fn from_wire(info: &v1::TaskInfo) -> Result<Self, Error> {
        let id = &info.task_id.value;
        if id.is_empty() || id == "." || id == ".." || id.contains(['/', '\0']) {
            return Err(Error::Id(id.clone()));
        }
        let wire = match &info.data {
            Some(data) if !data.is_empty() => {
                v1::CommandInfo::decode(data.clone()).map_err(|error| Error::Data(error.to_string()))?
            }
            _ => info.command.as_deref().cloned().ok_or(Error::NoCommand)?,
        };
        let health = info.health_check.as_deref().map(read_health).transpose()?;
        let readiness = info.check.as_deref().map(read_readiness).transpose()?;
        let (health, health_rules) = health.unzip();
        let (readiness, readiness_schedule) = readiness.unzip();
        let grace = info.kill_policy.as_ref().and_then(|policy| read_grace(policy));
        let command = read_command(&wire, "task")?;
        config_templates(&command.environment)?;
        Ok(Self {
            id: TaskId(id.clone()),
            name: info.name.clone(),
            command,
            user: wire.user.clone().filter(|user| !user.is_empty()),
            downloads: wire.uris.iter().map(read_uri).collect::<Result<_, _>>()?,
            volumes: read_volumes(info)?,
            amounts: read_amounts(info),
            rlimits: read_rlimits(info)?,
            readiness,
            health,
            rules: Rules { kill_grace: grace, readiness: readiness_schedule, health: health_rules },
        })
    }
}

/// The grace period of a kill policy; `None` when it names none or a negative one.
pub(crate) fn read_grace(policy: &v1::KillPolicy) -> Option<Duration> {
    policy.grace_period.and_then(|grace| u64::try_from(grace.nanoseconds).ok()).map(Duration::from_nanos)
}

/// The configuration files that a task's environment asks for.
///
/// Shape: each variable `CONFIG_TEMPLATE_<NAME>` is `<source>,<destination>`.
pub(crate) fn config_templates(environment: &BTreeMap<String, String>) -> Result<Vec<ConfigTemplate>, Error> {
    let mut templates = Vec::new();
    for (name, value) in environment.iter().filter(|(name, _)| name.starts_with("CONFIG_TEMPLATE_")) {
        let parts: Vec<&str> = value.split(',').collect();
        match parts[..] {
            [source, destination] if !source.is_empty() && !destination.is_empty() => {
                templates.push(ConfigTemplate { source: source.to_owned(), destination: destination.to_owned() });
            }
            _ => return Err(Error::ConfigTemplate(name.clone())),
        }
    }
    Ok(templates)
}

fn read_command(command: &v1::CommandInfo, owner: &'static str) -> Result<Command, Error> {
    let value = command.value.clone().filter(|value| !value.is_empty()).ok_or(Error::EmptyCommand(owner))?;
    let (program, arguments) = if command.shell() {
        ("/bin/sh".to_owned(), vec!["-c".to_owned(), value])
    } else {
        (value, command.arguments.iter().skip(1).cloned().collect())
    };
    let mut environment = BTreeMap::new();
    for variable in command.environment.iter().flat_map(|environment| &environment.variables) {
        let value = match (&variable.value, &variable.secret) {
            (Some(value), _) => value.clone(),
            (None, Some(secret)) => secret
                .value
                .as_ref()
                .and_then(|value| String::from_utf8(value.data.to_vec()).ok())
                .ok_or_else(|| Error::Secret(variable.name.clone()))?,
            (None, None) => String::new(),
        };
        environment.insert(variable.name.clone(), value);
    }
    Ok(Command { program, arguments, environment })
}

fn read_health(check: &v1::HealthCheck) -> Result<(Command, HealthRules), Error> {
    use v1::health_check::Type;
    let kind = "health check";
    if !matches!(check.r#type(), Type::Command | Type::Unknown) {
        return Err(Error::CheckType(kind, check.r#type().as_str_name().to_owned()));
    }
    let command = check.command.as_deref().ok_or(Error::EmptyCommand(kind))?;
    let rules = HealthRules {
        schedule: read_schedule(kind, check.delay_seconds(), check.interval_seconds(), check.timeout_seconds())?,
        grace: seconds(kind, check.grace_period_seconds())?,
        max_failures: check.consecutive_failures(),
    };
    Ok((read_command(command, kind)?, rules))
}

fn read_readiness(check: &v1::CheckInfo) -> Result<(Command, Schedule), Error> {
    use v1::check_info::Type;
    let kind = "readiness check";
    if !matches!(check.r#type(), Type::Command | Type::Unknown) {
        return Err(Error::CheckType(kind, check.r#type().as_str_name().to_owned()));
    }
    let command = check.command.as_deref().map(|check| &check.command).ok_or(Error::EmptyCommand(kind))?;
    let schedule = read_schedule(kind, check.delay_seconds(), check.interval_seconds(), check.timeout_seconds())?;
    Ok((read_command(command, kind)?, schedule))
}

fn read_schedule(kind: &'static str, delay: f64, interval: f64, timeout: f64) -> Result<Schedule, Error> {
    let timeout = seconds(kind, timeout)?;
    Ok(Schedule {
        delay: seconds(kind, delay)?,
        interval: seconds(kind, interval)?,
        timeout: (!timeout.is_zero()).then_some(timeout),
    })
}

/// Times above this are cut, so that adding them to a clock cannot overflow: 100 years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

fn seconds(kind: &'static str, value: f64) -> Result<Duration, Error> {
    if value.is_nan() || value < 0.0 {
        return Err(Error::Seconds(kind, value.to_string()));
    }
    Ok(Duration::try_from_secs_f64(value).map_or(LONGEST, |duration| duration.min(LONGEST)))
}

fn read_uri(uri: &v1::command_info::Uri) -> Result<Download, Error> {
    const ARCHIVES: [&str; 9] = [".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".zip", ".gz"];
    let refuse = |why| Error::Uri(uri.value.clone(), why);
    if !uri.value.starts_with("http://") {
        return Err(refuse("the executor fetches plain http only; fetch it with the pod's uris"));
    }
    let file = match &uri.output_file {
        Some(file) if !file.is_empty() => file.clone(),
        _ => uri.value.rsplit('/').next().unwrap_or_default().to_owned(),
    };
    if !is_inner_path(&file) {
        return Err(refuse("its file is not in the task's folder"));
    }
    let is_executable = uri.executable.unwrap_or(false);
    if uri.extract() && !is_executable && ARCHIVES.iter().any(|suffix| file.ends_with(suffix)) {
        return Err(refuse("the executor unpacks no archives; fetch it with the pod's uris"));
    }
    Ok(Download { uri: uri.value.clone(), file, is_executable })
}

/// Whether a path stays below the folder it is relative to.
pub(crate) fn is_inner_path(path: &str) -> bool {
    use std::path::Component;
    let mut components = std::path::Path::new(path).components();
    !path.is_empty()
        && !path.contains('\0')
        && components.clone().any(|component| matches!(component, Component::Normal(_)))
        && components.all(|component| matches!(component, Component::Normal(_) | Component::CurDir))
}

fn read_volumes(info: &v1::TaskInfo) -> Result<Vec<VolumeLink>, Error> {
    let mut links = Vec::new();
    for label in info.labels.iter().flat_map(|labels| &labels.labels) {
        let of_volume = label.key.strip_prefix(VOLUME_LABEL_PREFIX).map(|id| (LinkKind::Volume, id));
        let of_mount = || label.key.strip_prefix(MOUNT_LABEL_PREFIX).map(|id| (LinkKind::Mount, id));
        let Some((kind, id)) = of_volume.or_else(of_mount) else { continue };
        let place = label.value.clone().unwrap_or_default();
        let place = place.trim_end_matches('/').to_owned();
        let link = VolumeLink { kind, id: id.to_owned(), place: place.clone() };
        if !is_inner_path(&place) || !is_inner_path(id) || id.contains('/') {
            return Err(Error::VolumePlace(link, place));
        }
        links.push(link);
    }
    for resource in &info.resources {
        let Some(disk) = resource.disk.as_deref() else { continue };
        let Some(persistence) = &disk.persistence else { continue };
        if !links.iter().any(|link| link.kind == LinkKind::Volume && link.id == persistence.id) {
            return Err(Error::VolumeWithoutPlace(persistence.id.clone()));
        }
    }
    Ok(links)
}

/// Of memory the limit when the task has one, else what it reserved; of cpus both.
fn read_amounts(info: &v1::TaskInfo) -> Amounts {
    let reserved = |name: &str| {
        let resources = info.resources.iter().filter(|resource| resource.name == name);
        resources.filter_map(|resource| resource.scalar.as_ref()).map(|scalar| scalar.value).sum::<f64>()
    };
    // A conversion from floating point ends at the bounds of the integer.
    let some = |amount: f64, unit: f64| (amount > 0.0 && amount.is_finite()).then_some((amount * unit).round() as u64);
    let limit = |name: &str| info.limits.get(name).map(|limit| limit.value);
    Amounts {
        memory: some(limit("mem").unwrap_or_else(|| reserved("mem")), BYTES_PER_MB),
        cpu_millis: some(reserved("cpus"), 1000.0).unwrap_or(0),
        cpu_limit_millis: limit("cpus").and_then(|amount| some(amount, 1000.0)),
    }
}

fn read_rlimits(info: &v1::TaskInfo) -> Result<Vec<Rlimit>, Error> {
    let container = info.container.as_deref();
    let rlimits = container.and_then(|container| container.rlimit_info.as_deref());
    let read = |rlimit: &v1::r_limit_info::RLimit| {
        let name = rlimit.r#type().as_str_name().to_owned();
        match (rlimit.soft, rlimit.hard) {
            (Some(soft), Some(hard)) => Ok(Rlimit { name, limits: Some((soft, hard)) }),
            (None, None) => Ok(Rlimit { name, limits: None }),
            (Some(_), None) | (None, Some(_)) => Err(Error::Rlimit(name)),
        }
    };
    rlimits.iter().flat_map(|rlimits| &rlimits.rlimits).map(read).collect()
}

#[cfg(test)]
mod tests;
