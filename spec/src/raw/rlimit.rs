//! `rlimits.<NAME>` of a pod.

use crate::{
    code::Code,
    problem::Problems,
    rlimit::{RlimitKind, RlimitSpec},
    suggest::{self, Section},
    yaml::reader::Field,
};

/// What stands for no limit.
const UNLIMITED: i64 = -1;

/// Reads one limit; nothing behind its name, or an empty map, is unlimited.
pub(super) fn rlimit(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<RlimitSpec> {
    let name = &field.key.value;
    let kind = RlimitKind::from_name(name);
    if kind.is_none() {
        let names: Vec<_> = RlimitKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let near = suggest::key(name, &names).map(|near| format!("did you mean {near}?"));
        let allowed = near.unwrap_or_else(|| format!("allowed: {}", names.join(", ")));
        problems.found(Code::InvalidRlimit, &field.path, &field.key.span, name, &allowed);
    }
    let mut fields = field.map(problems)?;
    let mut value = |name| {
        let field = fields.number(name, problems);
        field.map(|field| field.int(UNLIMITED..=i64::MAX, problems).map(|value| value.value))
    };
    let (soft, hard) = (value("soft"), value("hard"));
    fields.finish(Section::Rlimit, problems);
    let wrong = match (soft, hard) {
        (Some(Some(soft)), Some(Some(hard))) if soft > hard && hard != UNLIMITED => {
            Some(format!("the soft limit {soft} is above the hard limit {hard}"))
        }
        (Some(Some(soft)), Some(Some(hard))) if (soft == UNLIMITED) != (hard == UNLIMITED) => {
            Some("soft and hard must both be -1, or neither".to_owned())
        }
        (Some(Some(_)), None) | (None, Some(Some(_))) => {
            Some("soft and hard must both be given, or neither".to_owned())
        }
        // Nothing is given, or something that could not be read and has been reported.
        _ => None,
    };
    if let Some(message) = wrong {
        problems.push(Code::InvalidRlimit, &field.path, &field.key.span, message);
        return None;
    }
    let values = match (soft.flatten(), hard.flatten()) {
        (Some(soft), Some(hard)) => Option::zip(u64::try_from(soft).ok(), u64::try_from(hard).ok()),
        _ => None,
    };
    Some(RlimitSpec { kind: kind?, values })
}
