//! From what is written to what is meant: defaults, cross-references, names, routing of variables.
//!
//! Invariant: a [`ServiceSpec`] leaves here only when no error was pushed, so whoever holds one may trust it.
//! Next: `lower/pod.rs`, `lower/plan.rs`, `lower/env.rs`.

mod env;
mod plan;
mod pod;

use std::collections::BTreeMap;

use crate::{
    code::Code,
    diagnostic::Diagnostic,
    problem::{Problems, Spanned},
    raw,
    service::ServiceSpec,
};

/// What lowering needs from outside.
pub(crate) struct Inputs<'i> {
    /// The environment of the scheduler.
    pub(crate) variables: &'i BTreeMap<String, String>,
    /// Reads the file a configuration template names.
    pub(crate) read_file: &'i dyn Fn(&str) -> Result<String, String>,
    /// Diagnostics of other files than the specification itself.
    pub(crate) elsewhere: Vec<Diagnostic>,
    /// How many patterns the placement of all pods holds so far.
    pub(crate) patterns: usize,
}

/// Lowers a whole service.
pub(crate) fn service(raw: raw::Service, inputs: &mut Inputs<'_>, problems: &mut Problems<'_>) -> Option<ServiceSpec> {
    if let Some(name) = &raw.name {
        refuse_double_underscore("name", name, problems);
    }
    if let Some(api_port) = &raw.api_port {
        let outcome = match inputs.variables.get("PORT_API") {
            Some(port) if *port == api_port.value.to_string() => "PORT_API says the same".to_owned(),
            Some(port) => format!("PORT_API is {port} and is used, because that is where the platform routes"),
            None => "PORT_API names the port".to_owned(),
        };
        let message = format!("is an older key without effect; {outcome}");
        problems.push(Code::Deprecated, "scheduler.api-port", &api_port.span, message);
    }
    let name = raw.name.map(|name| name.value).unwrap_or_default();
    let user = raw.user.unwrap_or_else(|| "root".to_owned());
    let pods: Vec<_> = raw.pods.into_iter().map(|pod| pod::lower(pod, &user, inputs, problems)).collect();
    pod::check_across(&pods, problems);
    let plans = plan::lower(raw.plans, &pods, problems);
    if problems.has_errors() {
        return None;
    }
    Some(ServiceSpec {
        principal: raw.principal.unwrap_or_else(|| format!("{name}-principal")),
        name,
        web_url: raw.web_url.filter(|url| !url.is_empty()),
        user,
        zookeeper: raw.zookeeper.unwrap_or_else(|| "master.mesos:2181".to_owned()),
        declared_role: raw.role,
        region: None,
        replacement: None,
        pods: pods.into_iter().map(|pod| pod.spec).collect(),
        plans,
    })
}

/// Names of services, pods and tasks become parts of ids that are joined with `__`.
fn refuse_double_underscore(path: &str, name: &Spanned<String>, problems: &mut Problems<'_>) {
    if name.value.contains("__") {
        let message = format!("the name {:?} contains '__', which separates the parts of ids", name.value);
        problems.push(Code::InvalidName, path, &name.span, message);
    }
}

/// The rules for pod types and task names: they are keys of the stored tree and parts of ids and DNS names.
fn check_name(path: &str, name: &Spanned<String>, problems: &mut Problems<'_>) {
    refuse_double_underscore(path, name, problems);
    let is_odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if name.value.trim().is_empty() {
        problems.push(Code::InvalidName, path, &name.span, "the name is blank");
    } else if name.value.contains('/') {
        let message =
            format!("the name {:?} contains a slash, which separates the nodes of the stored tree", name.value);
        problems.push(Code::InvalidName, path, &name.span, message);
    } else if name.value.contains(is_odd) {
        let message = format!("the name {:?} does not fit DNS; letters, digits, '-', '_' and '.' do", name.value);
        problems.push(Code::OddName, path, &name.span, message);
    }
}
