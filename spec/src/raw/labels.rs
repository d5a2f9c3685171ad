//! Labels: `key:value,key:value`, and for networks also a map.

use std::ops::Range;

use crate::{code::Code, problem::Problems, yaml::reader::Field};

/// Labels as text, split at commas and then at the first colon; `refuse` says why a key may not be used.
pub(super) fn of_text(
    field: &Field<'_>,
    refuse: impl Fn(&str) -> Option<&'static str>,
    problems: &mut Problems<'_>,
) -> Vec<(String, String)> {
    let Some(text) = field.text(problems) else { return Vec::new() };
    if text.value.is_empty() {
        return Vec::new();
    }
    let mut labels: Vec<(String, String)> = Vec::new();
    let list = text.value.strip_suffix(',').unwrap_or(&text.value);
    for (item, part) in parts(list, ',') {
        let mut found = |found: &str, allowed: &str| {
            let blanks = item.len() - item.trim_start().len();
            let at = problems.places.inside(&text, part.start + blanks..part.end);
            problems.found(Code::InvalidLabel, &field.path, &at, found, allowed);
        };
        let pair = item.split_once(':').map(|(key, value)| (key.trim(), value.trim()));
        let Some((key, value)) = pair.filter(|(key, _)| !key.is_empty()) else {
            found(item, "key:value,key:value is needed");
            continue;
        };
        if let Some(reason) = refuse(key) {
            found(key, reason);
        } else if labels.iter().any(|(earlier, _)| earlier == key) {
            found(key, "each label may be given once");
        } else {
            labels.push((key.to_owned(), value.to_owned()));
        }
    }
    labels
}

/// Labels as text, or as a map, as the older generation writes those of networks.
pub(super) fn of_text_or_map(field: &Field<'_>, problems: &mut Problems<'_>) -> Vec<(String, String)> {
    let Some(entries) = field.try_named() else { return of_text(field, |_| None, problems) };
    entries.iter().filter_map(|entry| Some((entry.key.value.clone(), entry.text(problems)?.value))).collect()
}

/// The parts of a text between separators, each with where it stands.
pub(super) fn parts(text: &str, separator: char) -> impl Iterator<Item = (&str, Range<usize>)> {
    let mut next = 0;
    text.split(separator).map(move |part| {
        let start = next;
        next += part.len() + separator.len_utf8();
        (part, start..start + part.len())
    })
}
