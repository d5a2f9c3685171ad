//! Exactly what the YAML may say, key by key, with the place of everything that is looked at again later.
//!
//! Rules of one value or one mapping are checked here; rules across mappings, defaults and names in `lower.rs`.
//! A feature that is not honoured yet is read like any other, and noted.
//! Invariant: a part that could not be read is left out, and only after a problem was pushed.
//! Next: `raw/pod.rs`, `raw/task.rs`, `raw/plan.rs`; what these consist of stands in files of its own.

mod labels;
mod mounted_volume;
mod network;
pub(crate) mod plan;
pub(crate) mod pod;
mod port;
pub(crate) mod resources;
mod rlimit;
mod secret;
pub(crate) mod task;
mod volume;

use crate::{
    code::Code,
    problem::{Problems, Spanned},
    suggest::Section,
    yaml::{
        Node,
        reader::{Field, Fields},
    },
};

/// A leaf of the model with its name and place.
#[derive(Debug)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    /// Keys that lead to it.
    pub(crate) path: String,
    /// The key that names it, or the value for an item of a list.
    pub(crate) name: Spanned<String>,
}

/// The root of a specification.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) web_url: Option<String>,
    pub(crate) principal: Option<String>,
    pub(crate) zookeeper: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) api_port: Option<Spanned<i64>>,
    pub(crate) pods: Vec<Placed<pod::Pod>>,
    /// `None` when there is no `plans` at all.
    pub(crate) plans: Option<Placed<Vec<Placed<plan::Plan>>>>,
}

/// Reads the document.
pub(crate) fn service(root: &Node, problems: &mut Problems<'_>) -> Option<Service> {
    let mut fields = Fields::root(root, problems)?;
    let name = fields.required("name", "the name of the service", problems).and_then(|field| {
        let text = field.text(problems)?;
        if text.value.trim().is_empty() {
            problems.absent_value(&field.path, &field.key.span, "the name of the service");
            return None;
        }
        Some(text)
    });
    let web_url = text(fields.optional("web-url"), problems);
    let mut service = Service {
        name,
        web_url,
        principal: None,
        zookeeper: None,
        user: None,
        role: None,
        api_port: None,
        pods: Vec::new(),
        plans: None,
    };
    if let Some(field) = fields.optional("scheduler") {
        scheduler(&mut service, &field, problems);
    }
    if let Some(field) = fields.required("pods", "a map with at least one pod", problems) {
        let entries = field.named(problems);
        if entries.is_empty() && field.try_named().is_some() {
            problems.push(Code::EmptyCollection, &field.path, &field.key.span, "is empty; at least one pod is needed");
        }
        service.pods = entries.iter().filter_map(|entry| placed(entry, pod::pod(entry, problems)?)).collect();
    }
    if let Some(field) = fields.optional("plans") {
        let plans = field.named(problems);
        if !plans.is_empty() {
            let value = plans.iter().filter_map(|entry| placed(entry, plan::plan(entry, problems)?)).collect();
            service.plans = placed(&field, value);
        }
    }
    fields.finish(Section::Root, problems);
    Some(service)
}

fn scheduler(service: &mut Service, field: &Field<'_>, problems: &mut Problems<'_>) {
    let Some(mut fields) = field.map(problems) else { return };
    service.principal = non_blank(fields.optional("principal"), problems);
    service.zookeeper = non_blank(fields.optional("zookeeper"), problems);
    service.user = non_blank(fields.optional("user"), problems);
    if let Some(field) = fields.optional("role").filter(|field| !field.is_blank()) {
        let message = "is an older key; it is honoured, and a role enforced by the platform wins over it";
        problems.push(Code::Deprecated, &field.path, &field.key.span, message);
        service.role = non_blank(Some(field), problems);
    }
    if let Some(field) = fields.number("api-port", problems) {
        service.api_port = field.int(1..=65535, problems);
    }
    fields.finish(Section::Scheduler, problems);
}

/// Literal text of a field that may be absent.
pub(crate) fn text(field: Option<Field<'_>>, problems: &mut Problems<'_>) -> Option<String> {
    field?.text(problems).map(|text| text.value)
}

/// The same, where blanks alone count as absent.
pub(crate) fn non_blank(field: Option<Field<'_>>, problems: &mut Problems<'_>) -> Option<String> {
    text(field, problems).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Files to fetch.
pub(crate) fn uris(field: &Field<'_>, problems: &mut Problems<'_>) -> Vec<String> {
    let mut uris = Vec::new();
    for item in field.items(problems) {
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

/// A value with the name and place of its field.
#[allow(clippy::unnecessary_wraps, reason = "reads well at the end of a `filter_map`")]
pub(crate) fn placed<T>(field: &Field<'_>, value: T) -> Option<Placed<T>> {
    Some(Placed { value, path: field.path.clone(), name: field.key.clone() })
}
