//! `pods.<type>.tasks.<name>`.

use std::collections::BTreeMap;

use super::{Placed, placed, resources};
use crate::{
    code::Code,
    health::{HealthCheckSpec, ReadinessCheckSpec},
    problem::{Problems, Span, Spanned},
    task::{DiscoverySpec, Goal, Visibility},
    yaml::reader::{Field, Fields},
};

/// Longest time between SIGTERM and SIGKILL: 14 days.
const MAX_KILL_GRACE_SECS: i64 = 1_209_600;
/// Labels the scheduler itself puts on tasks.
const RESERVED_LABELS: &[&str] =
    &["target_configuration", "task_type", "index", "goal_state", "transient", "permanently-failed"];

/// A task as written.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) goal: Option<Goal>,
    pub(crate) essential: bool,
    pub(crate) cmd: Option<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) configs: Vec<Placed<Config>>,
    pub(crate) resource_set: Option<(String, Spanned<String>)>,
    pub(crate) resources: resources::Resources,
    pub(crate) health_check: Option<HealthCheckSpec>,
    pub(crate) readiness_check: Option<ReadinessCheckSpec>,
    pub(crate) discovery: Option<Discovery>,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) kill_grace_period_secs: u32,
}

/// A configuration file as written.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) template: Spanned<String>,
    pub(crate) dest: Spanned<String>,
}

/// Discovery settings and where the prefix stands.
#[derive(Debug)]
pub(crate) struct Discovery {
    pub(crate) spec: DiscoverySpec,
    pub(crate) prefix: Option<(String, Span)>,
}

/// Reads a task.
pub(crate) fn task(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<Task> {
    let mut fields = field.map(problems)?;
    let goal = fields.required("goal", "RUNNING, FINISH or ONCE", problems).and_then(|field| goal(&field, problems));
    let essential = fields.optional("essential").and_then(|field| field.boolean(problems)).unwrap_or(true);
    let cmd = fields.required("cmd", "a shell command", problems).and_then(|field| field.text(problems));
    let env = fields.optional("env").map(|field| env(&field, problems)).unwrap_or_default();
    let configs = fields.optional("configs").map(|field| field.named(problems)).unwrap_or_default();
    let configs = configs.iter().filter_map(|field| placed(field, config(field, problems)?)).collect();
    let resource_set = fields.optional("resource-set").filter(|field| !field.is_blank()).and_then(|field| {
        let text = field.text(problems)?;
        Some((field.path, text))
    });
    let resources = resources::resources(&mut fields, problems);
    let health_check = fields.optional("health-check").and_then(|field| health_check(&field, problems));
    let readiness_check = fields.optional("readiness-check").and_then(|field| readiness_check(&field, problems));
    let discovery = fields.optional("discovery").and_then(|field| discovery(&field, problems));
    let labels = fields.optional("labels").map(|field| labels(&field, problems)).unwrap_or_default();
    let grace = fields.number("kill-grace-period", problems);
    let grace = grace.and_then(|field| field.int(0..=MAX_KILL_GRACE_SECS, problems));
    fields.not_supported_yet("transport-encryption", "transport encryption is", problems);
    fields.not_supported_yet("ipc-mode", "IPC modes are", problems);
    fields.not_supported_yet("shm-size", "shared memory sizes are", problems);
    fields.not_supported_yet("uris", "URIs of a single task are", problems);
    fields.finish(problems);
    Some(Task {
        goal,
        essential,
        cmd: cmd.map(|cmd| cmd.value),
        env,
        configs,
        resource_set,
        resources,
        health_check,
        readiness_check,
        discovery,
        labels,
        kill_grace_period_secs: grace.map_or(0, |grace| grace.value as u32),
    })
}

fn goal(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<Goal> {
    let parse = |text: &str| match text.trim().to_ascii_uppercase().as_str() {
        "RUNNING" => Some((Goal::Running, false)),
        "FINISH" => Some((Goal::Finish, false)),
        "ONCE" => Some((Goal::Once, false)),
        "FINISHED" => Some((Goal::Once, true)),
        _ => None,
    };
    let word = field.word(parse, &["RUNNING", "FINISH", "ONCE"], problems)?;
    if word.value.1 {
        let message = "FINISHED is the older word for ONCE, which is what it means here";
        problems.push(Code::Deprecated, &field.path, &word.span, message);
    }
    Some(word.value.0)
}

fn env(field: &Field<'_>, problems: &mut Problems<'_>) -> BTreeMap<String, String> {
    let entries = field.named(problems);
    let variable = |entry: &Field<'_>| Some((entry.key.value.clone(), entry.text(problems)?.value));
    entries.iter().filter_map(variable).collect()
}

fn config(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<Config> {
    let mut fields = field.map(problems)?;
    let mut path = |name, wanted, problems: &mut Problems<'_>| {
        let field = fields.required(name, wanted, problems)?;
        if field.is_blank() {
            problems.absent_value(&field.path, &field.key.span, wanted);
            return None;
        }
        field.text(problems)
    };
    let template = path("template", "the path of a file", problems);
    let dest = path("dest", "a path in the sandbox", problems);
    fields.finish(problems);
    Some(Config { template: template?, dest: dest? })
}

/// A required number of seconds.
fn seconds(fields: &mut Fields<'_>, name: &'static str, problems: &mut Problems<'_>) -> Option<u32> {
    let field = fields.required(name, "a number of seconds", problems)?;
    field.int(0..=i64::from(i32::MAX), problems).map(|number| number.value as u32)
}

fn command(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<String> {
    let field = fields.required("cmd", "a shell command", problems)?;
    if field.is_blank() {
        problems.absent_value(&field.path, &field.key.span, "a shell command");
        return None;
    }
    field.text(problems).map(|cmd| cmd.value)
}

fn health_check(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<HealthCheckSpec> {
    let mut fields = field.map(problems)?;
    let cmd = command(&mut fields, problems);
    let interval = seconds(&mut fields, "interval", problems);
    let grace_period = seconds(&mut fields, "grace-period", problems);
    let failures = fields.required("max-consecutive-failures", "a number of at least 1", problems);
    let failures = failures.and_then(|field| field.int(1..=i64::from(i32::MAX), problems));
    let delay = seconds(&mut fields, "delay", problems);
    let timeout = seconds(&mut fields, "timeout", problems);
    fields.finish(problems);
    Some(HealthCheckSpec {
        cmd: cmd?,
        interval_secs: interval?,
        grace_period_secs: grace_period?,
        max_consecutive_failures: failures?.value as u32,
        delay_secs: delay?,
        timeout_secs: timeout?,
    })
}

fn readiness_check(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<ReadinessCheckSpec> {
    let mut fields = field.map(problems)?;
    let cmd = command(&mut fields, problems);
    let interval = seconds(&mut fields, "interval", problems);
    let timeout = seconds(&mut fields, "timeout", problems);
    let delay = fields.number("delay", problems).and_then(|field| field.int(0..=i64::from(i32::MAX), problems));
    fields.finish(problems);
    Some(ReadinessCheckSpec {
        cmd: cmd?,
        interval_secs: interval?,
        delay_secs: delay.map_or(0, |delay| delay.value as u32),
        timeout_secs: timeout?,
    })
}

fn discovery(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<Discovery> {
    let mut fields = field.map(problems)?;
    let prefix = fields.optional("prefix").filter(|field| !field.is_blank()).and_then(|field| {
        let text = field.text(problems)?;
        Some((field.path, text))
    });
    let parse = |text: &str| match text {
        "FRAMEWORK" => Some(Visibility::Framework),
        "CLUSTER" => Some(Visibility::Cluster),
        "EXTERNAL" => Some(Visibility::External),
        _ => None,
    };
    let visibility = fields
        .optional("visibility")
        .filter(|field| !field.is_blank())
        .and_then(|field| field.word(parse, &["FRAMEWORK", "CLUSTER", "EXTERNAL"], problems));
    fields.finish(problems);
    let visibility = visibility.map_or(Visibility::Cluster, |word| word.value);
    let (prefix, place) = prefix.map(|(path, text)| (text.value, (path, text.span))).unzip();
    Some(Discovery { spec: DiscoverySpec { prefix, visibility }, prefix: place })
}

/// `key:value,key:value`, split at commas and then at the first colon.
fn labels(field: &Field<'_>, problems: &mut Problems<'_>) -> Vec<(String, String)> {
    let Some(text) = field.text(problems) else { return Vec::new() };
    if text.value.is_empty() {
        return Vec::new();
    }
    let mut labels: Vec<(String, String)> = Vec::new();
    let list = text.value.strip_suffix(',').unwrap_or(&text.value);
    for item in list.split(',') {
        let pair = item.split_once(':').map(|(key, value)| (key.trim(), value.trim()));
        let Some((key, value)) = pair.filter(|(key, _)| !key.is_empty()) else {
            problems.found(Code::InvalidLabel, &field.path, &text.span, item, "key:value,key:value is needed");
            continue;
        };
        let is_reserved =
            RESERVED_LABELS.contains(&key) || key.starts_with("offer_") || key.starts_with("readiness_check");
        if is_reserved {
            problems.found(Code::InvalidLabel, &field.path, &text.span, key, "the scheduler uses this label itself");
        } else if labels.iter().any(|(earlier, _)| earlier == key) {
            problems.found(Code::InvalidLabel, &field.path, &text.span, key, "each label may be given once");
        } else {
            labels.push((key.to_owned(), value.to_owned()));
        }
    }
    labels
}
