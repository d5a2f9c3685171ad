//! `/v1/pod` (second generation) and `/v1/pods` (first): the pod instances found in the stored tasks.
//!
//! Invariant: a status counts only if it speaks of the launch that is stored.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use mainstay_api::pod::{FlatTask, Instance, Pod, Service, Task as WireTask};
use mainstay_api::text;
use mainstay_engine::command::{Command, PodVerb};
use mainstay_engine::ids::PodInstance;
use mainstay_engine::state::Task;
use mainstay_engine::task::status::Status;
use mainstay_engine::view::View;
use serde_json::{Map, Value, json};

use super::answer::{carry_out, pod_not_found};
use crate::http::message::{self, Printer};
use crate::http::router::App;
use crate::http::{AppState, json};

/// Names of the instances, in lexicographic order (`a-10` before `a-2`).
pub(in crate::http) async fn list(State(app): State<App>) -> Response {
    let mut names: Vec<String> = by_instance(&app.view()).keys().map(ToString::to_string).collect();
    names.sort_unstable();
    json::object(StatusCode::OK, &names)
}

/// All instances, grouped by type, in numeric order.
pub(in crate::http) async fn status(State(app): State<App>) -> Response {
    let view = app.view();
    let mut pods: Vec<Pod> = Vec::new();
    for (pod, tasks) in by_instance(&view) {
        if pods.last().is_none_or(|last| last.name != pod.pod_type) {
            pods.push(Pod { name: pod.pod_type.clone(), instances: Vec::new() });
        }
        if let Some(last) = pods.last_mut() {
            last.instances.push(instance(pod, &tasks));
        }
    }
    json::object(StatusCode::OK, &Service { service: view.spec.name.clone(), pods })
}

/// One instance.
pub(in crate::http) async fn pod_status(State(app): State<App>, Path(name): Path<String>) -> Response {
    let view = app.view();
    match by_instance(&view).into_iter().find(|(pod, _)| pod.to_string() == name) {
        Some((pod, tasks)) => json::object(StatusCode::OK, &instance(pod, &tasks)),
        None => pod_not_found(&name),
    }
}

/// All instances as the first generation shows them: instance name to tasks.
pub(in crate::http) async fn flat_status(State(app): State<App>) -> Response {
    let view = app.view();
    let pods: Map<String, Value> =
        by_instance(&view).into_iter().map(|(pod, tasks)| (pod.to_string(), json!(flat(&tasks)))).collect();
    json::object(StatusCode::OK, &pods)
}

/// One instance as the first generation shows it.
pub(in crate::http) async fn flat_pod_status(State(app): State<App>, Path(name): Path<String>) -> Response {
    let view = app.view();
    match by_instance(&view).into_iter().find(|(pod, _)| pod.to_string() == name) {
        Some((_, tasks)) => json::object(StatusCode::OK, &flat(&tasks)),
        None => json::empty(StatusCode::NOT_FOUND),
    }
}

/// The stored messages of one instance.
pub(in crate::http) async fn info(State(app): State<App>, Path(name): Path<String>) -> Response {
    let view = app.view();
    let Some((_, tasks)) = by_instance(&view).into_iter().find(|(pod, _)| pod.to_string() == name) else {
        return pod_not_found(&name);
    };
    match print(&tasks) {
        Ok(list) => json::bean(StatusCode::OK, &list),
        Err(error) => {
            tracing::error!(pod = name, error = &error as &dyn std::error::Error, "stored task cannot be printed");
            json::empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

fn print(tasks: &[&Task]) -> Result<Vec<Value>, message::Error> {
    let printer = Printer::new()?;
    let element = |task: &&Task| {
        let status = current_status(task).map(|status| printer.task_status(&status.bytes)).transpose()?;
        Ok(json!({ "info": printer.task_info(&task.info)?, "status": status }))
    };
    tasks.iter().map(element).collect()
}

/// Kills the tasks of an instance; they come back in place.
pub(in crate::http) async fn restart(State(app): State<App>, Path(name): Path<String>) -> Response {
    command(&app, name, "restart", PodVerb::Restart).await
}

/// Gives an instance up with its volumes; it comes back anywhere.
pub(in crate::http) async fn replace(State(app): State<App>, Path(name): Path<String>) -> Response {
    command(&app, name, "replace", PodVerb::Replace).await
}

/// Pause and resume.
pub(in crate::http) async fn unsupported() -> Response {
    json::text(StatusCode::NOT_IMPLEMENTED, text::NOT_SUPPORTED)
}

async fn command(app: &AppState, pod: String, word: &str, verb: PodVerb) -> Response {
    carry_out(&app.commands, word, Command::Pod { pod, verb }).await
}

/// Instances in numeric order, each with its tasks sorted by name.
fn by_instance(view: &View) -> BTreeMap<&PodInstance, Vec<&Task>> {
    let mut pods: BTreeMap<&PodInstance, Vec<&Task>> = BTreeMap::new();
    for task in view.tasks.values() {
        pods.entry(&task.pod).or_default().push(task);
    }
    pods
}

fn instance(pod: &PodInstance, tasks: &[&Task]) -> Instance {
    let task = |task: &&Task| WireTask {
        id: task_id(task),
        name: task.name.to_string(),
        status: current_status(task).map(|status| {
            let state = status.state.as_str();
            state.strip_prefix("TASK_").unwrap_or(state).to_owned()
        }),
    };
    Instance { name: pod.to_string(), tasks: tasks.iter().map(task).collect() }
}

fn flat(tasks: &[&Task]) -> Vec<FlatTask> {
    let task = |task: &&Task| FlatTask {
        id: task_id(task),
        name: task.name.to_string(),
        state: current_status(task).map_or(text::NO_STATE, |status| status.state.as_str()).to_owned(),
    };
    tasks.iter().map(task).collect()
}

fn task_id(task: &Task) -> String {
    task.task_id.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// The status of the stored launch, if there is one.
pub(super) fn current_status(task: &Task) -> Option<&Status> {
    task.status.as_ref().filter(|status| Some(&status.task_id) == task.task_id.as_ref())
}
