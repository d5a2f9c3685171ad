//! Persistent volumes, as pods, tasks and resource sets write them.

use std::collections::BTreeSet;

use super::{Placed, placed};
use crate::{
    code::Code,
    problem::Problems,
    suggest::Section,
    volume::{VolumeKind, VolumeSpec},
    yaml::reader::Field,
};

/// Longest name of a disk profile.
const MAX_PROFILE: usize = 128;

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
    let kind = fields.required("type", "ROOT or MOUNT", problems).and_then(|field| kind(&field, problems));
    let size = fields.required("size", "a number of MB", problems).and_then(|field| field.megabytes(problems));
    let profiles_field = fields.optional("profiles");
    let profiles = profiles_field.as_ref().map(|field| profiles(field, problems)).unwrap_or_default();
    fields.finish(Section::Volume, problems);
    let kind = match kind? {
        VolumeKind::Mount { .. } => VolumeKind::Mount { profiles },
        VolumeKind::Root => {
            if let Some(field) = profiles_field.filter(|_| !profiles.is_empty()) {
                let message = "profiles choose among whole disks; a ROOT volume must not have any";
                problems.push(Code::ContradictoryKeys, &field.path, &field.key.span, message);
            }
            VolumeKind::Root
        }
    };
    Some(VolumeSpec { path: path?, kind, size_mb: size? })
}

fn kind(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<VolumeKind> {
    let text = field.text(problems)?;
    if text.value == "PATH" {
        // The last generation of the SDK took it for MOUNT without saying so.
        let allowed = "folders of an agent are not reserved as volumes; write ROOT, or MOUNT for a whole disk";
        problems.found(Code::UnknownWord, &field.path, &text.span, &text.value, allowed);
        return None;
    }
    let parse = |text: &str| match text {
        "ROOT" => Some(VolumeKind::Root),
        "MOUNT" => Some(VolumeKind::Mount { profiles: Vec::new() }),
        _ => None,
    };
    field.word(parse, &["ROOT", "MOUNT"], problems).map(|word| word.value)
}

fn profiles(field: &Field<'_>, problems: &mut Problems<'_>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut profiles = Vec::new();
    for item in field.items(problems) {
        let Some(text) = item.text(problems) else { continue };
        let is_profile = (1..=MAX_PROFILE).contains(&text.value.len())
            && text.value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        if !is_profile {
            let allowed = "1 to 128 letters, digits, '_', '.' and '-' are needed";
            problems.found(Code::InvalidName, &item.path, &text.span, &text.value, allowed);
        } else if seen.insert(text.value.clone()) {
            profiles.push(text.value);
        } else {
            problems.found(Code::DuplicateItem, &item.path, &text.span, &text.value, "each profile may be named once");
        }
    }
    profiles
}

/// Parts of letters, digits, `_` and `-` that begin with a letter or digit, joined by single slashes.
fn is_volume_path(path: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    path.split('/').all(is_part)
}
