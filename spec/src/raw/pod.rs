//! `pods.<type>`.

use super::{Placed, mounted_volume, network, placed, resources, rlimit, secret, task, uris, volume};
use crate::{
    code::Code,
    isolation::IpcMode,
    mounted_volume::{ExternalVolumeSpec, HostVolumeSpec},
    network::NetworkSpec,
    problem::{Problems, Spanned},
    rlimit::RlimitSpec,
    secret::SecretSpec,
    suggest::Section,
    unsupported::Feature,
    volume::VolumeSpec,
    yaml::reader::{Field, Fields},
};

/// Most instances of a pod: ten times what the largest known service runs, and few enough to plan one by one.
const MAX_INSTANCES: i64 = 10_000;

/// A pod as written.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) count: Option<u32>,
    pub(crate) allow_decommission: bool,
    pub(crate) placement: Option<Spanned<String>>,
    pub(crate) container: Container,
    pub(crate) uris: Vec<String>,
    pub(crate) user: Option<(String, Spanned<String>)>,
    pub(crate) volumes: Vec<Placed<VolumeSpec>>,
    pub(crate) host_volumes: Vec<HostVolumeSpec>,
    pub(crate) external_volumes: Vec<ExternalVolumeSpec>,
    pub(crate) secrets: Vec<SecretSpec>,
    pub(crate) pre_reserved_role: Option<String>,
    pub(crate) share_pid_namespace: bool,
    pub(crate) seccomp_unconfined: bool,
    pub(crate) seccomp_profile_name: Option<String>,
    pub(crate) ipc_mode: Option<IpcMode>,
    pub(crate) shm_size_mb: Option<u32>,
    pub(crate) resource_sets: Vec<Placed<resources::Resources>>,
    pub(crate) tasks: Vec<Placed<task::Task>>,
}

/// What the older generation wrote into a block of its own.
#[derive(Debug, Default)]
pub(crate) struct Container {
    pub(crate) image: Option<String>,
    pub(crate) networks: Vec<NetworkSpec>,
    pub(crate) rlimits: Vec<RlimitSpec>,
}

/// Reads a pod.
pub(crate) fn pod(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<Pod> {
    let mut fields = field.map(problems)?;
    let count = fields.required("count", "the number of instances", problems);
    let count = count.and_then(|field| field.int(0..=MAX_INSTANCES, problems)).map(|count| count.value as u32);
    let allow_decommission = fields.optional("allow-decommission").and_then(|field| field.boolean(problems));
    let placement = fields.optional("placement").and_then(|field| placement(&field, problems));
    let container = container(&mut fields, problems);
    let uris = fields.optional("uris").map(|field| uris(&field, problems)).unwrap_or_default();
    let user = fields.older("user").filter(|field| !field.is_blank()).and_then(|field| {
        let text = field.text(problems)?;
        Some((field.path, text))
    });
    for (name, why) in [
        ("strategy", "never had an effect; the strategy of a phase stands in plans"),
        ("isolate-tmp", "has no effect; tasks use /tmp of their agent"),
    ] {
        if let Some(field) = fields.older(name) {
            problems.push(Code::KeyWithoutEffect, &field.path, &field.key.span, why);
        }
    }
    // Volumes of the pod itself: both spellings may stand side by side here.
    let mut volumes = volume::volume_map(fields.optional("volumes"), problems);
    if let Some(field) = fields.optional("volume") {
        volumes.extend(volume::volume(&field, problems).and_then(|volume| placed(&field, volume)));
    }
    let host_volumes = each(&mut fields, "host-volumes", Feature::HostVolumes, mounted_volume::host, problems);
    let external_volumes =
        each(&mut fields, "external-volumes", Feature::ExternalVolumes, mounted_volume::external, problems);
    let secrets = each(&mut fields, "secrets", Feature::Secrets, secret::secret, problems);
    let pre_reserved_role = pre_reserved_role(&mut fields, problems);
    let share_pid_namespace = fields.optional("share-pid-namespace").and_then(|field| {
        let value = field.boolean(problems)?;
        if value {
            field.uses(Feature::SharedPids, problems);
        }
        Some(value)
    });
    let (seccomp_unconfined, seccomp_profile_name) = seccomp(&mut fields, problems);
    let ipc_mode = fields.optional("ipc-mode").and_then(|field| {
        let mode = ipc_mode(&field, problems)?;
        if mode == IpcMode::ShareParent {
            let allowed = "a pod has no parent to share with; PRIVATE is allowed, and SHARE_PARENT in a task";
            problems.found(Code::UnknownWord, &field.path, field.span(), mode.as_str(), allowed);
            return None;
        }
        field.uses(Feature::PodIpc, problems);
        Some(mode)
    });
    let shm_size_mb = shm_size(&mut fields, Some(Feature::PodShm), problems).map(|(size, _)| size);
    let sets = fields.optional("resource-sets").map(|field| field.named(problems)).unwrap_or_default();
    let resource_sets = sets.iter().filter_map(|field| placed(field, resources::set(field, problems)?)).collect();
    let mut tasks = Vec::new();
    if let Some(field) = fields.required("tasks", "a map with at least one task", problems) {
        let entries = field.named(problems);
        if entries.is_empty() && field.try_named().is_some() {
            problems.push(Code::EmptyCollection, &field.path, &field.key.span, "is empty; at least one task is needed");
        }
        let is_alone = entries.len() == 1;
        tasks = entries.iter().filter_map(|entry| placed(entry, task::task(entry, is_alone, problems)?)).collect();
    }
    fields.finish(Section::Pod, problems);
    Some(Pod {
        count,
        allow_decommission: allow_decommission.unwrap_or(false),
        placement,
        container,
        uris,
        user,
        volumes,
        host_volumes,
        external_volumes,
        secrets,
        pre_reserved_role,
        share_pid_namespace: share_pid_namespace.unwrap_or(false),
        seccomp_unconfined,
        seccomp_profile_name,
        ipc_mode,
        shm_size_mb,
        resource_sets,
        tasks,
    })
}

/// A constraint is one text, also when it looks like a list.
fn placement(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<Spanned<String>> {
    if field.try_list().is_some() {
        let help = Some("put quotes around it: '[[\"hostname\", \"UNIQUE\"]]'".to_owned());
        let message = "found a list; text is needed";
        problems.push_with_help(Code::WrongType, &field.path, field.span(), message, help);
        return None;
    }
    field.text(problems)
}

/// The values of a map from names to something; the names only tell them apart.
fn each<T>(
    fields: &mut Fields<'_>,
    name: &'static str,
    feature: Feature,
    read: impl Fn(&Field<'_>, &mut Problems<'_>) -> Option<T>,
    problems: &mut Problems<'_>,
) -> Vec<T> {
    let Some(field) = fields.optional(name) else { return Vec::new() };
    let entries = field.named(problems);
    if !entries.is_empty() {
        field.uses(feature, problems);
    }
    entries.iter().filter_map(|entry| read(entry, problems)).collect()
}

/// Image, networks and limits of processes: keys of the pod, or of the older `container` block.
fn container(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Container {
    let mut read = settings(fields, "image", problems);
    let Some(field) = fields.older("container").filter(|field| !field.is_null()) else { return read };
    let message = "is an older spelling of image, networks and rlimits of the pod, as which it is read";
    problems.push(Code::Deprecated, &field.path, &field.key.span, message);
    let both: Vec<_> = ["image", "networks", "rlimits"].into_iter().filter(|name| fields.has(name)).collect();
    let Some(mut block) = field.map(problems) else { return read };
    let older = settings(&mut block, "image-name", problems);
    block.finish(Section::Container, problems);
    if both.is_empty() {
        read = older;
    } else {
        let message = format!("stands beside {} of the pod; write everything into the pod", both.join(" and "));
        problems.push(Code::ContradictoryKeys, &field.path, &field.key.span, message);
    }
    read
}

fn settings(fields: &mut Fields<'_>, image_key: &'static str, problems: &mut Problems<'_>) -> Container {
    let image = fields.optional(image_key).and_then(|field| {
        if field.is_blank() {
            problems.absent_value(&field.path, &field.key.span, "the name of an image");
            return None;
        }
        let text = field.text(problems)?;
        field.uses(Feature::Image, problems);
        Some(text.value.trim().to_owned())
    });
    let networks = each(fields, "networks", Feature::Networks, network::network, problems);
    let rlimits = each(fields, "rlimits", Feature::Rlimits, rlimit::rlimit, problems);
    Container { image, networks, rlimits }
}

/// The role whose reservations are refined; `*` is none.
fn pre_reserved_role(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<String> {
    let field = fields.optional("pre-reserved-role")?;
    let text = field.text(problems)?;
    let role = text.value.trim();
    if matches!(role, "" | "*") {
        return None;
    }
    let is_part = |part: &str| {
        !matches!(part, "" | "." | ".." | "*")
            && !part.starts_with('-')
            && !part.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    if !role.split('/').all(is_part) {
        let allowed = "the name of a role of Mesos is needed, without blanks, leading '-' or empty parts";
        problems.found(Code::InvalidName, &field.path, &text.span, &text.value, allowed);
        return None;
    }
    field.uses(Feature::PreReservedRole, problems);
    Some(role.to_owned())
}

fn seccomp(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> (bool, Option<String>) {
    let unconfined_field = fields.optional("seccomp-unconfined");
    let unconfined = unconfined_field.as_ref().and_then(|field| field.boolean(problems)).unwrap_or(false);
    let profile_field = fields.optional("seccomp-profile-name").filter(|field| !field.is_blank());
    let profile = profile_field.as_ref().and_then(|field| field.text(problems)).map(|text| text.value);
    if let Some(field) = unconfined_field.filter(|_| unconfined) {
        field.uses(Feature::Seccomp, problems);
    }
    if let Some(field) = profile_field {
        field.uses(Feature::Seccomp, problems);
        if unconfined {
            let message = "names a filter, and seccomp-unconfined says that there is none; remove one of them";
            problems.push(Code::ContradictoryKeys, &field.path, &field.key.span, message);
        }
    }
    (unconfined, profile)
}

/// `PRIVATE` or `SHARE_PARENT`.
pub(super) fn ipc_mode(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<IpcMode> {
    let modes = [IpcMode::Private, IpcMode::ShareParent];
    let parse = |text: &str| modes.into_iter().find(|mode| mode.as_str() == text);
    field.word(parse, &["PRIVATE", "SHARE_PARENT"], problems).map(|word| word.value)
}

/// A size of shared memory in MB with its field; it uses the feature, if that is one here.
pub(super) fn shm_size<'t>(
    fields: &mut Fields<'t>,
    feature: Option<Feature>,
    problems: &mut Problems<'_>,
) -> Option<(u32, Field<'t>)> {
    let field = fields.number("shm-size", problems)?;
    let size = field.int(0..=i64::from(i32::MAX), problems)?;
    if let Some(feature) = feature {
        field.uses(feature, problems);
    }
    Some((size.value as u32, field))
}
