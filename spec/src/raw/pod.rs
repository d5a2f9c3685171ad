//! `pods.<type>`.

use super::{Placed, placed, resources, task};
use crate::{
    code::Code,
    problem::{Problems, Spanned},
    volume::VolumeSpec,
    yaml::reader::Field,
};

/// Most instances of a pod: ten times what the largest known service runs, and few enough to plan one by one.
const MAX_INSTANCES: i64 = 10_000;

/// A pod as written.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) count: Option<u32>,
    pub(crate) allow_decommission: bool,
    pub(crate) placement: Option<Spanned<String>>,
    pub(crate) uris: Vec<String>,
    pub(crate) user: Option<(String, Spanned<String>)>,
    pub(crate) volumes: Vec<Placed<VolumeSpec>>,
    pub(crate) resource_sets: Vec<Placed<resources::Resources>>,
    pub(crate) tasks: Vec<Placed<task::Task>>,
}

/// Keys of the language that are refused for now, with how a message names them.
const NOT_YET: &[(&str, &str)] = &[
    ("image", "container images are"),
    ("networks", "networks are"),
    ("rlimits", "resource limits of processes (rlimits) are"),
    ("secrets", "secrets are"),
    ("host-volumes", "host volumes are"),
    ("external-volumes", "external volumes are"),
    ("seccomp-profile-name", "seccomp profiles are"),
    ("ipc-mode", "IPC modes are"),
    ("shm-size", "shared memory sizes are"),
];

/// Reads a pod.
pub(crate) fn pod(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<Pod> {
    let mut fields = field.map(problems)?;
    let count = fields.required("count", "the number of instances", problems);
    let count = count.and_then(|field| field.int(0..=MAX_INSTANCES, problems)).map(|count| count.value as u32);
    let allow_decommission = fields.optional("allow-decommission").and_then(|field| field.boolean(problems));
    let placement = fields.optional("placement").and_then(|field| field.text(problems));
    let uris = fields.optional("uris").map(|field| uris(&field, problems)).unwrap_or_default();
    let user = fields.older("user").filter(|field| !field.is_blank()).and_then(|field| {
        let text = field.text(problems)?;
        Some((field.path, text))
    });
    for (name, feature) in NOT_YET {
        fields.not_supported_yet(name, feature, problems);
    }
    if let Some(field) = fields.older("container") {
        field.refuse_unless_empty("the older container block (image, networks, rlimits) is", problems);
    }
    for (name, feature) in [
        ("share-pid-namespace", "sharing the process namespace is"),
        ("seccomp-unconfined", "running without seccomp is"),
    ] {
        if let Some(field) = fields.optional(name)
            && field.boolean(problems) == Some(true)
        {
            problems.push(Code::NotSupportedYet, &field.path, field.span(), format!("{feature} not supported yet"));
        }
    }
    if let Some(field) = fields.optional("pre-reserved-role")
        && field.text(problems).is_some_and(|text| !matches!(text.value.trim(), "" | "*"))
    {
        let message = "pre-reserved roles are not supported yet";
        problems.push(Code::NotSupportedYet, &field.path, field.span(), message);
    }
    for (name, why) in [
        ("strategy", "never had an effect; the strategy of a phase stands in plans"),
        ("isolate-tmp", "has no effect; /tmp is always private"),
    ] {
        if let Some(field) = fields.older(name) {
            problems.push(Code::KeyWithoutEffect, &field.path, &field.key.span, why);
        }
    }
    // Volumes of the pod itself: both spellings may stand side by side here.
    let mut volumes = resources::volume_map(fields.optional("volumes"), problems);
    if let Some(field) = fields.optional("volume") {
        volumes.extend(resources::volume(&field, problems).and_then(|volume| placed(&field, volume)));
    }
    let sets = fields.optional("resource-sets").map(|field| field.named(problems)).unwrap_or_default();
    let resource_sets = sets.iter().filter_map(|field| placed(field, resources::set(field, problems)?)).collect();
    let mut tasks = Vec::new();
    if let Some(field) = fields.required("tasks", "a map with at least one task", problems) {
        let entries = field.named(problems);
        if entries.is_empty() && field.try_named().is_some() {
            problems.push(Code::EmptyCollection, &field.path, &field.key.span, "is empty; at least one task is needed");
        }
        tasks = entries.iter().filter_map(|entry| placed(entry, task::task(entry, problems)?)).collect();
    }
    fields.finish_as(Code::IgnoredPodKey, problems);
    Some(Pod {
        count,
        allow_decommission: allow_decommission.unwrap_or(false),
        placement,
        uris,
        user,
        volumes,
        resource_sets,
        tasks,
    })
}

fn uris(field: &Field<'_>, problems: &mut Problems<'_>) -> Vec<String> {
    let mut uris = Vec::new();
    for item in field.list(problems).unwrap_or_default() {
        if item.is_null() {
            problems.push(Code::EmptyListItem, &item.path, item.span(), "is empty and skipped");
            continue;
        }
        let Some(uri) = item.text(problems) else { continue };
        let is_legal = |c: char| !c.is_whitespace() && !c.is_control() && !"\"<>\\^`{|}".contains(c);
        if uri.value.is_empty() || !uri.value.chars().all(is_legal) {
            let allowed = "a URI without blanks, quotes, braces or backslashes is needed";
            problems.found(Code::InvalidUri, &item.path, &uri.span, &uri.value, allowed);
            continue;
        }
        uris.push(uri.value);
    }
    uris
}
