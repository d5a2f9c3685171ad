//! `/v1/endpoints`: where the service can be reached, from the ports of the stored tasks.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use mainstay_api::endpoint::Endpoint;
use mainstay_engine::state::Task;
use mainstay_engine::view::View;
use mainstay_proto::v1;
use prost::{DecodeError, Message as _};

use super::pods::current_status;
use crate::http::router::App;
use crate::http::{AppState, json};

/// Names, sorted.
pub(in crate::http) async fn list(State(app): State<App>) -> Response {
    match collect(&app) {
        Ok(endpoints) => json::object(StatusCode::OK, &endpoints.keys().collect::<Vec<_>>()),
        Err(error) => unreadable(&error),
    }
}

/// One endpoint.
pub(in crate::http) async fn show(State(app): State<App>, Path(name): Path<String>) -> Response {
    match collect(&app) {
        Ok(endpoints) => match endpoints.get(&name) {
            Some(endpoint) => json::object(StatusCode::OK, endpoint),
            None => json::empty(StatusCode::NOT_FOUND),
        },
        Err(error) => unreadable(&error),
    }
}

fn unreadable(error: &DecodeError) -> Response {
    tracing::error!(%error, "stored task cannot be read");
    json::empty(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Ports with external visibility and a name, grouped by that name over all tasks in the order of their names.
fn collect(app: &AppState) -> Result<BTreeMap<String, Endpoint>, DecodeError> {
    let view = app.view();
    let mut endpoints: BTreeMap<String, Endpoint> = BTreeMap::new();
    for task in view.tasks.values() {
        let info = v1::TaskInfo::decode(task.info.clone())?;
        let Some(discovery) = info.discovery else { continue };
        let Some(host) = host(&view, task) else { continue };
        let name = discovery.name.as_deref().unwrap_or(task.name.as_str());
        let dns_host = format!("{}.{}", dns_label(name), view.spec.framework_host(&app.service_tld));
        for port in discovery.ports.iter().flat_map(|ports| &ports.ports) {
            let port_name = port.name.as_deref().unwrap_or_default();
            if port_name.is_empty() || port.visibility != Some(v1::discovery_info::Visibility::External as i32) {
                continue;
            }
            let vips = vips(port, &view, &app.vip_tld);
            let endpoint = endpoints.entry(port_name.to_owned()).or_default();
            // A port behind two virtual addresses is listed once for each, as clients know it.
            for _ in 0..vips.len().max(1) {
                endpoint.address.push(format!("{host}:{}", port.number));
                endpoint.dns.push(format!("{dns_host}:{}", port.number));
            }
            endpoint.vip = vips.into_iter().next_back().or(endpoint.vip.take());
        }
    }
    Ok(endpoints)
}

/// Address of the container by the latest status, else by the last one saved before it, else the agent.
fn host(view: &View, task: &Task) -> Option<String> {
    let addresses = current_status(task).map(|status| status.addresses.clone()).unwrap_or_default();
    let addresses = if addresses.is_empty() { saved_addresses(view, task) } else { addresses };
    match addresses.as_slice() {
        [] => task.hostname.clone(),
        [one] => Some(one.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}

/// The property holds the bytes of a status, or is of no use.
fn saved_addresses(view: &View, task: &Task) -> Vec<String> {
    let saved = view.properties.get(&format!("{}:task-status", task.name));
    let Some(status) = saved.and_then(|bytes| v1::TaskStatus::decode(bytes.clone()).ok()) else { return Vec::new() };
    let networks = status.container_status.map(|container| container.network_infos).unwrap_or_default();
    networks.into_iter().flat_map(|network| network.ip_addresses).filter_map(|address| address.ip_address).collect()
}

/// Dots to dashes; segments between slashes reversed and joined by dashes.
fn dns_label(name: &str) -> String {
    let mut segments: Vec<&str> = name.split('/').filter(|segment| !segment.is_empty()).collect();
    segments.reverse();
    segments.join("-").replace('.', "-")
}

/// Virtual addresses of a port; labels of another form are passed over.
fn vips(port: &v1::Port, view: &View, tld: &str) -> Vec<String> {
    let labels = port.labels.iter().flat_map(|labels| &labels.labels).filter(|label| label.key.starts_with("VIP_"));
    let address = |label: &v1::Label| {
        let (name, number) = label.value.as_deref()?.rsplit_once(':')?;
        let (name, number) = (name.replace('/', ""), number.parse::<u16>().ok()?);
        (!name.is_empty()).then(|| format!("{name}.{}:{number}", view.spec.vip_host(tld)))
    };
    labels.filter_map(address).collect()
}
