//! What each agent of a large cluster would offer the service, asked of the model a few agents at a time.
//!
//! With it a run needs to know only those agents where something can land (`world.rs`), since everything that a master or an executor does
//! costs by the agents it knows.
//!
//! Invariant: an offer is as the master would make it while nothing runs; an agent without one is kept back, whatever the service wants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mainstay_devcluster::{AgentConfig, Cluster, Config, Input, Output};
use mainstay_proto::v1::scheduler::{self, call};
use mainstay_proto::v1::{DomainInfo, Filters, FrameworkInfo, OfferId};
use mainstay_scheduler::engine::offer::Offer;
use mainstay_scheduler::mesos::convert::{self, Incoming};
use prost::Message as _;

/// Agents of one model.
const TOGETHER: usize = 128;
/// Seeds of the models, far from those of the runs, so that no agent has the id of another.
const SEEDS: u64 = 1 << 32;
/// Most roles of a service, each of which may be offered a part of an agent.
const ROLES: usize = 16;
/// Longer than anybody waits here.
const FOR_EVER: f64 = 1e6;

/// Offers by the name of their agent.
pub(super) type Offers = BTreeMap<String, Vec<Arc<Offer>>>;

/// Asks.
///
/// Errors: the model refuses the service.
pub(super) fn offers(
    agents: &[AgentConfig],
    master: Option<&DomainInfo>,
    framework: &FrameworkInfo,
) -> Result<Offers, String> {
    let mut all = Offers::new();
    for (number, agents) in agents.chunks(TOGETHER).enumerate() {
        let mut config = Config::new(agents.to_vec(), SEEDS + number as u64);
        config.master_domain = master.cloned();
        for offer in of_cluster(Cluster::new(config), framework)? {
            all.entry(offer.hostname.clone()).or_default().push(Arc::new(offer));
        }
    }
    Ok(all)
}

/// Everything a cluster offers; what is offered is turned down, so that another role is offered the rest.
fn of_cluster(mut cluster: Cluster, framework: &FrameworkInfo) -> Result<Vec<Offer>, String> {
    let subscribe = call::Subscribe { framework_info: framework.clone(), ..call::Subscribe::default() };
    let call = scheduler::Call {
        r#type: Some(call::Type::Subscribe.into()),
        subscribe: Some(Box::new(subscribe)),
        ..scheduler::Call::default()
    };
    let mut now = Duration::ZERO;
    let mut input = Input::SchedulerConnected { conn: 1, call: Box::new(call) };
    let mut stream = None;
    let mut offers = Vec::new();
    let mut seen = BTreeSet::new();
    for _ in 0..=ROLES {
        let mut made: Vec<OfferId> = Vec::new();
        let mut framework_id = None;
        let later = now + Duration::from_secs(2);
        for output in cluster.step(input, now).into_iter().chain(cluster.step(Input::Tick, later)) {
            match output {
                Output::StreamOpened { stream_id, .. } => stream = Some(stream_id),
                Output::ToScheduler { event, .. } => {
                    let incoming = convert::incoming(event.encode_to_vec().into());
                    match incoming.map_err(|error| format!("an event of the model cannot be read: {error}"))? {
                        Incoming::Offers { offers: some, .. } => {
                            for offer in some {
                                made.push(OfferId { value: offer.id.to_string() });
                                framework_id = event
                                    .offers
                                    .iter()
                                    .flat_map(|all| &all.offers)
                                    .next()
                                    .map(|one| one.framework_id.clone());
                                if seen.insert((offer.agent_id.clone(), offer.allocation_role.clone())) {
                                    offers.push(offer);
                                }
                            }
                        }
                        Incoming::Error(text) => return Err(format!("the master would refuse the service: {text}")),
                        _ => {}
                    }
                }
                Output::Refused { status, text } => {
                    return Err(format!("the model of Mesos refuses a call with {status}: {text}"));
                }
                _ => {}
            }
        }
        if made.is_empty() {
            break;
        }
        let filters = Some(Filters { refuse_seconds: Some(FOR_EVER) });
        let call = scheduler::Call {
            framework_id,
            r#type: Some(call::Type::Decline.into()),
            decline: Some(Box::new(call::Decline { offer_ids: made, filters })),
            ..scheduler::Call::default()
        };
        now = later;
        input = Input::SchedulerCall { stream_id: stream.clone(), call: Box::new(call) };
    }
    Ok(offers)
}
