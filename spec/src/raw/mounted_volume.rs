//! `host-volumes.<label>` and `external-volumes.<label>` of a pod.

use std::collections::BTreeMap;

use super::{labels::parts, non_blank};
use crate::{
    code::Code,
    mounted_volume::{ExternalVolumeSpec, HostVolumeSpec, VolumeMode},
    problem::Problems,
    suggest::Section,
    yaml::reader::{Field, Fields},
};

/// Reads a folder of the agent.
pub(super) fn host(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<HostVolumeSpec> {
    let mut fields = field.map(problems)?;
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let mut path = |name, wanted: &str, is_absolute: bool| {
        let field = fields.required(name, wanted, problems)?;
        let text = field.text(problems)?;
        let is_path = !text.value.is_empty() && text.value.starts_with('/') == is_absolute;
        if is_path && text.value.chars().all(is_legal) {
            return Some(text.value);
        }
        let allowed = format!("{wanted} of letters, digits, '.', '_', '-' and '/' is needed");
        problems.found(Code::InvalidPath, &field.path, &text.span, &text.value, &allowed);
        None
    };
    let host_path = path("host-path", "an absolute path", true);
    let container_path = path("container-path", "a relative path", false);
    let mode = mode(&mut fields, "mode", problems);
    fields.finish(Section::HostVolume, problems);
    Some(HostVolumeSpec { host_path: host_path?, container_path: container_path?, mode: mode? })
}

/// Reads a volume of a driver.
pub(super) fn external(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<ExternalVolumeSpec> {
    let mut fields = field.map(problems)?;
    let kind = fields.required("type", "DOCKER", problems);
    let kind = kind.and_then(|field| field.word(|text| (text == "DOCKER").then_some(()), &["DOCKER"], problems));
    let container_path = fields.required("container-path", "a path in the container", problems).and_then(|field| {
        if field.is_blank() {
            problems.absent_value(&field.path, &field.key.span, "a path in the container");
            return None;
        }
        field.text(problems)
    });
    let driver_name = non_blank(fields.optional("driver-name"), problems);
    let driver_options = fields.optional("driver-options").map(|field| options(&field, problems)).unwrap_or_default();
    let volume_name = fields.optional("volume-name").filter(|field| !field.is_blank()).and_then(|field| {
        let text = field.text(problems)?;
        if text.value.contains("__") {
            let allowed = "'__' stands for a slash in names of volumes and must not be written";
            problems.found(Code::InvalidName, &field.path, &text.span, &text.value, allowed);
        }
        Some(text.value)
    });
    let mode = mode(&mut fields, "volume-mode", problems);
    fields.finish(Section::ExternalVolume, problems);
    kind?;
    let container_path = container_path?.value;
    Some(ExternalVolumeSpec { container_path, driver_name, driver_options, volume_name, mode: mode? })
}

fn mode(fields: &mut Fields<'_>, name: &'static str, problems: &mut Problems<'_>) -> Option<VolumeMode> {
    let Some(field) = fields.optional(name).filter(|field| !field.is_blank()) else {
        return Some(VolumeMode::default());
    };
    let modes = [VolumeMode::ReadWrite, VolumeMode::ReadOnly];
    let parse = |text: &str| modes.into_iter().find(|mode| mode.as_str() == text);
    field.word(parse, &["RW", "RO"], problems).map(|word| word.value)
}

/// `key=value;key=value`.
fn options(field: &Field<'_>, problems: &mut Problems<'_>) -> BTreeMap<String, String> {
    let Some(text) = field.text(problems) else { return BTreeMap::new() };
    let mut options = BTreeMap::new();
    let list = text.value.strip_suffix(';').unwrap_or(&text.value);
    for (item, part) in parts(list, ';').filter(|_| !list.trim().is_empty()) {
        let pair = item.split_once('=').filter(|(key, value)| !key.trim().is_empty() && !value.contains('='));
        let why = match pair {
            None => "key=value;key=value is needed",
            Some((key, _)) if key.trim() == "name" => {
                "the name of the volume is computed; volume-name is its first part"
            }
            Some((key, value)) => {
                if options.insert(key.trim().to_owned(), value.trim().to_owned()).is_none() {
                    continue;
                }
                "each option may be given once"
            }
        };
        let at = problems.places.inside(&text, part);
        problems.found(Code::InvalidDriverOption, &field.path, &at, item, why);
    }
    options
}
