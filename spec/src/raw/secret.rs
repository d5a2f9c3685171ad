//! `secrets.<label>` of a pod.

use super::non_blank;
use crate::{code::Code, problem::Problems, secret::SecretSpec, suggest::Section, yaml::reader::Field};

/// Reads one secret.
pub(super) fn secret(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<SecretSpec> {
    let mut fields = field.map(problems)?;
    let wanted = "a path in the store of secrets";
    let secret = fields.required("secret", wanted, problems).and_then(|field| {
        if field.is_blank() {
            problems.absent_value(&field.path, &field.key.span, wanted);
            return None;
        }
        Some((field.text(problems)?, field.path))
    });
    let env_key = non_blank(fields.optional("env-key"), problems);
    let file_field = fields.optional("file").filter(|field| !field.is_blank());
    let mut file = file_field.and_then(|field| Some((field.text(problems)?, field.path)));
    fields.finish(Section::Secret, problems);
    if env_key.is_none() && file.is_none() {
        // Without a word about how it is delivered it becomes a file under its own path.
        file.clone_from(&secret);
    }
    if let Some((text, path)) = file.as_ref().filter(|(text, _)| !is_file(&text.value)) {
        let allowed = "a relative path of letters, digits, '.', '_', '-' and '/' is needed for the file; without env-key \
                       and file it is that of the secret";
        problems.found(Code::InvalidPath, path, &text.span, &text.value, allowed);
        return None;
    }
    Some(SecretSpec { secret: secret?.0.value, env_key, file: file.map(|(text, _)| text.value) })
}

fn is_file(path: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphanumeric() || c == '.';
    path.starts_with(is_first) && path.chars().all(|c| is_first(c) || matches!(c, '_' | '-' | '/' | '\\'))
}
