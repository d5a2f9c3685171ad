//! `/v1/placement/offers`: the last offer of every agent in the JSON of Mesos, to be kept and explained elsewhere. Ours; the SDK has
//! no such route.
//!
//! Shape: an OFFERS event of the v1 scheduler API, as the master would send it in JSON; beside it, as in a SUBSCRIBED event, `master_info`
//! with the region of the master, in which pods stay that say nothing of regions.
//! Invariant: read back by `mesos/convert.rs` the same offers come out. Attributes are kept as text, which is how rules see them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use mainstay_engine::ids::FrameworkId;
use mainstay_engine::offer::Offer;
use mainstay_engine::resource::{DiskSource, ReservationKind, Resource, Value as Amount, pool::SOURCE_MOUNT};
use mainstay_proto::v1::resource::disk_info;
use serde_json::{Map, Value, json};

use super::answer::unanswered;
use crate::http::json;
use crate::http::router::App;

/// Every offer kept.
pub(in crate::http) async fn list(State(app): State<App>) -> Response {
    let question = match app.commands.question().await {
        Ok(question) => question,
        Err(busy) => return unanswered(busy),
    };
    let written = tokio::task::spawn_blocking(move || {
        let offers: Vec<&Offer> = question.offers().map(|(_, offer)| offer).collect();
        event(&offers, question.framework_id(), question.region())
    });
    match written.await {
        Ok(event) => json::object(StatusCode::OK, &event),
        Err(error) => {
            tracing::error!(%error, "offers could not be written");
            json::empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Offers as an event, of a master in this region.
pub fn event(offers: &[&Offer], framework_id: Option<&FrameworkId>, region: Option<&str>) -> Value {
    let framework = framework_id.map_or("", FrameworkId::as_str);
    let offers: Vec<Value> = offers.iter().map(|offer| one(offer, framework)).collect();
    let master = region
        .map_or_else(|| json!({}), |region| json!({ "domain": { "fault_domain": { "region": { "name": region } } } }));
    json!({ "type": "OFFERS", "offers": { "offers": offers }, "master_info": master })
}

fn id(text: &str) -> Value {
    json!({ "value": text })
}

fn one(offer: &Offer, framework: &str) -> Value {
    let attributes = offer
        .attributes
        .iter()
        .map(|(name, value)| json!({ "name": name, "type": "TEXT", "text": { "value": value } }));
    let mut written = json!({
        "id": id(offer.id.as_str()),
        "framework_id": id(framework),
        "agent_id": id(offer.agent_id.as_str()),
        "hostname": offer.hostname,
    });
    let mut put = |key: &str, value: Value| written[key] = value;
    if offer.region.is_some() || offer.zone.is_some() {
        let name = |name: &Option<String>| json!({ "name": name.as_deref().unwrap_or_default() });
        put("domain", json!({ "fault_domain": { "region": name(&offer.region), "zone": name(&offer.zone) } }));
    }
    put("attributes", attributes.collect());
    put("resources", offer.resources.iter().map(resource).collect());
    put("executor_ids", offer.executor_ids.iter().map(|executor| id(executor.as_str())).collect());
    if let Some(role) = &offer.allocation_role {
        put("allocation_info", json!({ "role": role }));
    }
    written
}

fn resource(resource: &Resource) -> Value {
    let mut written = json!({ "name": resource.name });
    let mut put = |key: &str, value: Value| written[key] = value;
    match &resource.value {
        Amount::Scalar(amount) => {
            put("type", json!("SCALAR"));
            put("scalar", json!({ "value": amount.to_f64() }));
        }
        Amount::Ranges(ranges) => {
            let ranges: Vec<Value> = ranges.iter().map(|(begin, end)| json!({ "begin": begin, "end": end })).collect();
            put("type", json!("RANGES"));
            put("ranges", json!({ "range": ranges }));
        }
        Amount::Set(items) => {
            put("type", json!("SET"));
            put("set", json!({ "item": items }));
        }
    }
    if let Some(role) = &resource.allocation_role {
        put("allocation_info", json!({ "role": role }));
    }
    if !resource.reservations.is_empty() {
        let layers = resource.reservations.iter().map(|layer| {
            let kind = match layer.kind {
                ReservationKind::Static => "STATIC",
                ReservationKind::Dynamic => "DYNAMIC",
            };
            let mut written = json!({ "type": kind, "role": layer.role });
            if let Some(principal) = &layer.principal {
                written["principal"] = json!(principal);
            }
            if !layer.labels.is_empty() {
                written["labels"] = labels(&layer.labels);
            }
            written
        });
        put("reservations", layers.collect());
    }
    if let Some(disk) = &resource.disk {
        let mut written = Map::new();
        if let Some(persistence) = &disk.persistence {
            let mut volume = json!({ "id": persistence.id.as_str() });
            if let Some(principal) = &persistence.principal {
                volume["principal"] = json!(principal);
            }
            written.insert("persistence".to_owned(), volume);
        }
        if let Some(path) = &disk.container_path {
            written.insert("volume".to_owned(), json!({ "container_path": path, "mode": "RW" }));
        }
        if let Some(from) = &disk.source {
            written.insert("source".to_owned(), source(from));
        }
        put("disk", Value::Object(written));
    }
    if let Some(provider) = &resource.provider_id {
        put("provider_id", id(provider));
    }
    if resource.shared {
        put("shared", json!({}));
    }
    if resource.revocable {
        put("revocable", json!({}));
    }
    written
}

fn source(from: &DiskSource) -> Value {
    let mut written = json!({ "type": disk_info::source::Type::try_from(from.kind).unwrap_or_default().as_str_name() });
    if let Some(root) = &from.root {
        written[if from.kind == SOURCE_MOUNT { "mount" } else { "path" }] = json!({ "root": root });
    }
    for (key, value) in [("id", &from.id), ("profile", &from.profile), ("vendor", &from.vendor)] {
        if let Some(value) = value {
            written[key] = json!(value);
        }
    }
    if !from.metadata.is_empty() {
        written["metadata"] = labels(&from.metadata);
    }
    written
}

fn labels(pairs: &[(String, Option<String>)]) -> Value {
    let labels = pairs.iter().map(|(key, value)| match value {
        Some(value) => json!({ "key": key, "value": value }),
        None => json!({ "key": key }),
    });
    json!({ "labels": labels.collect::<Vec<_>>() })
}
