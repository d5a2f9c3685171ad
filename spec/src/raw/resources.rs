//! What a task or a resource set reserves, and how much more it may use: cpus, memory, gpus, ports, volumes, limits.

use super::{
    Placed, placed,
    port::port,
    volume::{volume, volume_map},
};
use crate::{
    code::Code,
    port::PortSpec,
    problem::{Problems, Span},
    resource_set::{Limit, ResourceLimits},
    scalar::Scalar,
    suggest::Section,
    unsupported::Feature,
    volume::VolumeSpec,
    yaml::reader::{Field, Fields},
};

/// Resources as written, of a task or a resource set.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    pub(crate) cpus: Option<Scalar>,
    pub(crate) memory_mb: Option<Scalar>,
    pub(crate) gpus: Option<Scalar>,
    pub(crate) ports: Vec<Placed<PortSpec>>,
    pub(crate) volumes: Vec<Placed<VolumeSpec>>,
    pub(crate) limits: ResourceLimits,
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
    fields.finish(Section::ResourceSet, problems);
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
    if let Some(field) = fields.number("gpus", problems) {
        resources.gpus =
            field.whole_amount("a whole number up to 2147483647 is needed: Mesos refuses a part of a GPU", problems);
        if resources.gpus.is_some() {
            field.uses(Feature::Gpus, problems);
        }
    }
    if let Some(field) = fields.optional("resource-limits") {
        given.push(("resource-limits", field.path.clone(), field.key.span.clone()));
        resources.limits = limits(&field, &resources, problems);
    }
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

/// Limits, none of which may be below what is requested.
fn limits(field: &Field<'_>, requested: &Resources, problems: &mut Problems<'_>) -> ResourceLimits {
    let Some(mut fields) = field.map(problems) else { return ResourceLimits::default() };
    let cpus = fields.number("cpus", problems);
    let mut memory = fields.number("memory", problems);
    // What the documentation of the SDK calls it.
    if let Some(other) = fields.older("mem").filter(|field| !field.is_blank()) {
        if memory.is_some() {
            let message = "mem and memory are the same limit; use memory";
            problems.push(Code::ContradictoryKeys, &other.path, &other.key.span, message);
        }
        memory = memory.or(Some(other));
    }
    fields.finish(Section::Limits, problems);
    let limits = ResourceLimits {
        cpus: cpus.and_then(|field| limit(&field, requested.cpus, problems)),
        memory_mb: memory.and_then(|field| limit(&field, requested.memory_mb, problems)),
    };
    if limits != ResourceLimits::default() {
        field.uses(Feature::ResourceLimits, problems);
    }
    limits
}

fn limit(field: &Field<'_>, requested: Option<Scalar>, problems: &mut Problems<'_>) -> Option<Limit> {
    let text = field.text(problems)?;
    if text.value.trim() == "unlimited" {
        return Some(Limit::Unlimited);
    }
    let amount = field.amount_or("a number greater than 0 or unlimited is needed", problems)?;
    if let Some(requested) = requested.filter(|requested| amount < *requested) {
        let allowed = format!("at least the requested {requested} is needed");
        problems.found(Code::LimitBelowRequest, &field.path, &text.span, &text.value, &allowed);
        return None;
    }
    Some(Limit::Amount(amount))
}
