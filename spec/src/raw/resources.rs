//! What a task or a resource set reserves: cpus, memory, ports, volumes.

use super::{Placed, non_blank, placed};
use crate::{
    code::Code,
    port::{PortSpec, VipSpec},
    problem::{Problems, Span},
    scalar::Scalar,
    volume::{VolumeKind, VolumeSpec},
    yaml::reader::{Field, Fields},
};

/// Resources as written, of a task or a resource set.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    pub(crate) cpus: Option<Scalar>,
    pub(crate) memory_mb: Option<Scalar>,
    pub(crate) ports: Vec<Placed<PortSpec>>,
    pub(crate) volumes: Vec<Placed<VolumeSpec>>,
    /// Resource keys that were given, whether or not their values could be read, with their paths and places.
    pub(crate) given: Vec<(&'static str, String, Span)>,
}

impl Resources {
    /// Whether a key was given that counts as a resource; volumes alone do not.
    pub(crate) fn has_resources(&self) -> bool {
        self.given.iter().any(|(name, ..)| matches!(*name, "cpus" | "gpus" | "memory" | "ports"))
    }
}

/// Reads a resource set.
pub(crate) fn set(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<Resources> {
    let mut fields = field.map(problems)?;
    let resources = resources(&mut fields, problems);
    fields.finish(problems);
    Some(resources)
}

/// Takes the resource keys of a task or resource set.
pub(crate) fn resources(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Resources {
    let mut resources = Resources::default();
    let mut given = Vec::new();
    for name in ["cpus", "memory", "gpus"] {
        // An unset variable has been reported; it must not also read as "no resources".
        let field = fields.any(name);
        if let Some(field) = field.filter(|field| !field.is_blank() || problems.is_unset_after(&field.key.span)) {
            given.push((name, field.path, field.key.span));
        }
    }
    resources.cpus = fields.number("cpus", problems).and_then(|field| field.amount(problems));
    resources.memory_mb = fields.number("memory", problems).and_then(|field| field.megabytes(problems));
    fields.not_supported_yet("gpus", "GPUs are", problems);
    fields.not_supported_yet("resource-limits", "resource limits are", problems);
    if let Some(field) = fields.optional("ports") {
        let entries = field.named(problems);
        if !entries.is_empty() || field.try_named().is_none() {
            given.push(("ports", field.path.clone(), field.key.span.clone()));
        }
        resources.ports = entries.iter().filter_map(|entry| placed(entry, port(entry, problems)?)).collect();
    }
    let (single, several) = (fields.optional("volume"), fields.optional("volumes"));
    if let (Some(single), Some(_)) = (&single, &several) {
        let message = "volume and volumes are both given; use one of them";
        problems.push(Code::VolumeAndVolumes, &single.path, &single.key.span, message);
    }
    for (name, field) in [("volume", &single), ("volumes", &several)] {
        if let Some(field) = field {
            given.push((name, field.path.clone(), field.key.span.clone()));
        }
    }
    if let Some(field) = &single {
        resources.volumes.extend(volume(field, problems).and_then(|volume| placed(field, volume)));
    }
    resources.volumes.extend(volume_map(several, problems));
    resources.given = given;
    resources
}

/// The volumes of a `volumes` map.
pub(crate) fn volume_map(field: Option<Field<'_>>, problems: &mut Problems<'_>) -> Vec<Placed<VolumeSpec>> {
    let entries = field.map(|field| field.named(problems)).unwrap_or_default();
    entries.iter().filter_map(|entry| placed(entry, volume(entry, problems)?)).collect()
}

/// Reads one volume.
pub(crate) fn volume(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<VolumeSpec> {
    let mut fields = field.map(problems)?;
    let path = fields.required("path", "a relative path", problems).and_then(|field| {
        let text = field.text(problems)?;
        let path = text.value.trim_end_matches('/').to_owned();
        if !is_volume_path(&path) {
            let allowed = "a relative path of letters, digits, '_' and '-' is needed, each part beginning with a \
                           letter or digit";
            problems.found(Code::InvalidPath, &field.path, &text.span, &text.value, allowed);
            return None;
        }
        Some(path)
    });
    let kinds = ["ROOT", "MOUNT"];
    let kind = fields.required("type", "ROOT or MOUNT", problems).and_then(|field| {
        let word = field.word(|text| ["ROOT", "MOUNT", "PATH"].into_iter().find(|k| *k == text), &kinds, problems)?;
        if word.value != "ROOT" {
            let message = format!("{} volumes are not supported yet; use ROOT", word.value);
            problems.push(Code::NotSupportedYet, &field.path, &word.span, message);
            return None;
        }
        Some(VolumeKind::Root)
    });
    let size = fields.required("size", "a number of MB", problems).and_then(|field| field.megabytes(problems));
    fields.not_supported_yet("profiles", "volume profiles are", problems);
    fields.finish(problems);
    Some(VolumeSpec { path: path?, kind: kind?, size_mb: size? })
}

/// Parts of letters, digits, `_` and `-` that begin with a letter or digit, joined by single slashes.
fn is_volume_path(path: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    path.split('/').all(is_part)
}

/// Reads one port.
fn port(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<PortSpec> {
    let mut fields = field.map(problems)?;
    let number = fields
        .required("port", "a port number, 0 for one chosen at placement", problems)
        .and_then(|field| field.int(0..=65535, problems));
    let env_key = non_blank(fields.optional("env-key"), problems);
    let advertise = fields.optional("advertise").and_then(|field| field.boolean(problems)).unwrap_or(false);
    let vip = fields.optional("vip").and_then(|vip_field| vip(&vip_field, &field.key.value, problems));
    fields.not_supported_yet("ranges", "port ranges are", problems);
    fields.finish(problems);
    let port = u16::try_from(number?.value).ok().filter(|port| *port != 0);
    Some(PortSpec { name: field.key.value.clone(), port, env_key, advertise, vip, ..PortSpec::default() })
}

fn vip(field: &Field<'_>, port_name: &str, problems: &mut Problems<'_>) -> Option<VipSpec> {
    let mut fields = field.map(problems)?;
    let port = fields.required("port", "a port number", problems).and_then(|field| field.int(1..=65535, problems));
    let prefix = non_blank(fields.optional("prefix"), problems).unwrap_or_else(|| port_name.to_owned());
    if let Some(field) = fields.optional("protocol") {
        let protocol = field.word(|text| text.eq_ignore_ascii_case("tcp").then_some(()), &["tcp"], problems);
        if protocol.is_some() {
            let message = "is an older key; every virtual address is tcp";
            problems.push(Code::Deprecated, &field.path, &field.key.span, message);
        }
    }
    if let Some(field) = fields.optional("advertise") {
        match field.boolean(problems) {
            Some(true) => {
                let message = "is an older key; a port with a virtual address is listed anyway";
                problems.push(Code::Deprecated, &field.path, &field.key.span, message);
            }
            Some(false) => {
                let message = "virtual addresses that are not listed are not supported yet";
                problems.push(Code::NotSupportedYet, &field.path, field.span(), message);
            }
            None => {}
        }
    }
    fields.finish(problems);
    Some(VipSpec { prefix, port: u16::try_from(port?.value).ok()?, advertise: true })
}
