//! Keys of pods, tasks and resources with every kind of value: what each becomes in the model, and what is refused.
//!
//! Not the rows of the contract (`contract.rs`), which say that there is a rule; here are its edges.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use mainstay_spec::{
    Code, Diagnostic, Loaded, PodSpec, Report, ResourceSet, ServiceSpec, Severity, Source, TaskSpec, load,
};

#[path = "keys/pod.rs"]
mod pod;
#[path = "keys/resources.rs"]
mod resources;
#[path = "keys/task.rs"]
mod task;

fn try_load(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Report> {
    let variables: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let read_file = |path: &str| match path {
        "missing.conf" => Err("file not found".to_owned()),
        "empty.conf" => Ok(String::new()),
        other => Ok(format!("content of {other}")),
    };
    load(Source { file_name: "svc.yml", text }, &variables, &read_file)
}

#[track_caller]
fn service(text: &str) -> ServiceSpec {
    try_load(text, &[]).unwrap_or_else(|report| panic!("{report}")).spec
}

/// A service with one pod `data` that has these keys and a task `t`.
fn with_pod(keys: &str) -> String {
    format!("name: svc\npods: {{data: {{count: 2, {keys} tasks: {{t: {{goal: RUNNING, cmd: x, cpus: 1}}}}}}}}\n")
}

/// A service with one task `t` that has these keys and a goal and a command.
fn with_task(keys: &str) -> String {
    format!("name: svc\npods: {{data: {{count: 2, tasks: {{t: {{goal: RUNNING, cmd: x, {keys}}}}}}}}}\n")
}

#[track_caller]
fn pod(keys: &str) -> PodSpec {
    service(&with_pod(keys)).pods.remove(0)
}

#[track_caller]
fn task(keys: &str) -> TaskSpec {
    service(&with_task(&format!("cpus: 1, {keys}"))).pods.remove(0).tasks.remove(0)
}

/// The resources of a task with these keys and no others.
#[track_caller]
fn resources(keys: &str) -> ResourceSet {
    service(&with_task(keys)).pods.remove(0).resource_sets.remove(0)
}

fn diagnostics(text: &str) -> Vec<Diagnostic> {
    match try_load(text, &[]) {
        Ok(loaded) => loaded.warnings,
        Err(report) => report.diagnostics,
    }
}

/// The only error is of this code, at this path, and its text contains this.
#[track_caller]
fn refuses(text: &str, code: Code, path: &str, words: &str) {
    says(text, Severity::Error, code, path, words);
}

/// The only warning, apart from features that are not honoured yet, is of this code; there is no error.
#[track_caller]
fn warns(text: &str, code: Code, path: &str, words: &str) {
    let errors: Vec<_> = diagnostics(text).into_iter().filter(|found| found.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    says(text, Severity::Warning, code, path, words);
}

#[track_caller]
fn says(text: &str, severity: Severity, code: Code, path: &str, words: &str) {
    let found: Vec<_> = diagnostics(text)
        .into_iter()
        .filter(|found| found.severity == severity && found.code != Code::NotSupportedYet)
        .collect();
    let expected = (code, path);
    assert_eq!(found.iter().map(|found| (found.code, found.path.as_str())).collect::<Vec<_>>(), [expected], "{text}");
    assert!(found[0].to_string().contains(words), "{}", found[0]);
}

/// There is nothing to say, except perhaps that a feature is not honoured yet.
#[track_caller]
fn is_fine(text: &str) {
    let found: Vec<_> = diagnostics(text).into_iter().filter(|found| found.code != Code::NotSupportedYet).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[track_caller]
fn pod_refuses(keys: &str, code: Code, key: &str, words: &str) {
    refuses(&with_pod(keys), code, &format!("pods.data.{key}"), words);
}

#[track_caller]
fn task_refuses(keys: &str, code: Code, key: &str, words: &str) {
    refuses(&with_task(&format!("cpus: 1, {keys}")), code, &format!("pods.data.tasks.t.{key}"), words);
}
