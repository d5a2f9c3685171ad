//! `pods.<type>.tasks.<name>`.

use std::collections::BTreeMap;

use super::{Placed, labels, placed, pod, resources, uris};
use crate::{
    code::Code,
    health::{HealthCheckSpec, ReadinessCheckSpec},
    isolation::IpcMode,
    problem::{Problems, Span, Spanned},
    suggest::Section,
    task::{DiscoverySpec, Goal, Visibility},
    transport_encryption::{TransportEncryptionKind, TransportEncryptionSpec},
    unsupported::Feature,
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
    pub(crate) uris: Vec<String>,
    pub(crate) transport_encryption: Vec<TransportEncryptionSpec>,
    pub(crate) ipc_mode: Option<IpcMode>,
    pub(crate) shm_size_mb: Option<u32>,
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

/// Reads a task; `is_alone` says that its pod has no other.
pub(crate) fn task(field: &Field<'_>, is_alone: bool, problems: &mut Problems<'_>) -> Option<Task> {
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
    let labels = fields.optional("labels").map(|field| labels::of_text(&field, reserved, problems)).unwrap_or_default();
    let grace = fields.number("kill-grace-period", problems);
    let grace = grace.and_then(|field| field.int(0..=MAX_KILL_GRACE_SECS, problems));
    let uris_field = fields.optional("uris");
    let uris = uris_field.as_ref().map(|field| uris(field, problems)).unwrap_or_default();
    if let Some(field) = uris_field.filter(|_| !uris.is_empty()) {
        field.uses(Feature::TaskUris, problems);
    }
    let encryption_field = fields.optional("transport-encryption");
    let transport_encryption = encryption_field.as_ref().map(|field| encryption(field, problems)).unwrap_or_default();
    if let Some(field) = encryption_field.filter(|_| !transport_encryption.is_empty()) {
        field.uses(Feature::TransportEncryption, problems);
    }
    let (ipc_mode, shm_size_mb) = shared_memory(&mut fields, is_alone, problems);
    fields.finish(Section::Task, problems);
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
        uris,
        transport_encryption,
        ipc_mode,
        shm_size_mb,
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
    fields.finish(Section::Config, problems);
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
    fields.finish(Section::HealthCheck, problems);
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
    fields.finish(Section::ReadinessCheck, problems);
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
    fields.finish(Section::Discovery, problems);
    let visibility = visibility.map_or(Visibility::Cluster, |word| word.value);
    let (prefix, place) = prefix.map(|(path, text)| (text.value, (path, text.span))).unzip();
    Some(Discovery { spec: DiscoverySpec { prefix, visibility }, prefix: place })
}

/// Why a task may not carry a label of this name.
fn reserved(key: &str) -> Option<&'static str> {
    let is_reserved = RESERVED_LABELS.contains(&key) || key.starts_with("offer_") || key.starts_with("readiness_check");
    is_reserved.then_some("the scheduler uses this label itself")
}

fn encryption(field: &Field<'_>, problems: &mut Problems<'_>) -> Vec<TransportEncryptionSpec> {
    let mut specs = Vec::new();
    for item in field.items(problems) {
        let Some(mut fields) = item.map(problems) else { continue };
        let name = fields.required("name", "the first part of the file names", problems).and_then(|field| {
            if field.is_blank() {
                problems.absent_value(&field.path, &field.key.span, "the first part of the file names");
                return None;
            }
            field.text(problems)
        });
        let kinds = [TransportEncryptionKind::Tls, TransportEncryptionKind::Keystore];
        let parse = |text: &str| kinds.into_iter().find(|kind| kind.as_str() == text);
        let kind = fields.required("type", "TLS or KEYSTORE", problems);
        let kind = kind.and_then(|field| field.word(parse, &["TLS", "KEYSTORE"], problems));
        fields.finish(Section::Encryption, problems);
        let spec = name.zip(kind).map(|(name, kind)| TransportEncryptionSpec { name: name.value, kind: kind.value });
        specs.extend(spec);
    }
    specs
}

fn shared_memory(
    fields: &mut Fields<'_>,
    is_alone: bool,
    problems: &mut Problems<'_>,
) -> (Option<IpcMode>, Option<u32>) {
    let mode = fields.optional("ipc-mode").and_then(|field| {
        let mode = pod::ipc_mode(&field, problems)?;
        if !is_alone && mode == IpcMode::Private {
            field.uses(Feature::TaskIpc, problems);
        }
        Some(mode)
    });
    let size = pod::shm_size(fields, (!is_alone).then_some(Feature::TaskShm), problems);
    if let Some((_, field)) = size.as_ref().filter(|_| mode == Some(IpcMode::ShareParent)) {
        let message = "a task that shares the memory of its pod, ipc-mode SHARE_PARENT, has no size of its own";
        problems.push(Code::ContradictoryKeys, &field.path, &field.key.span, message);
    }
    (mode, size.map(|(size, _)| size))
}
