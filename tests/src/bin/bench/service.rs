//! Services and offers of any size.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, anyhow};
use mainstay_engine::config::Config;
use mainstay_proto::v1 as wire;
use mainstay_proto::v1::scheduler::{Event, event};
use mainstay_spec::ServiceSpec;
use prost::Message as _;

/// Role of the services here.
pub(crate) const ROLE: &str = "bench-role";

/// A service of `kinds` pod types with `pods` instances in all, each with two tasks; deployed in parallel or one after the other.
pub(crate) fn spec(kinds: usize, pods: usize, strategy: &str) -> String {
    let mut text = String::from("name: bench\npods:\n");
    for kind in 0..kinds {
        let count = pods / kinds + usize::from(kind < pods % kinds);
        let _ = write!(
            text,
            "  data{kind}:
    count: {count}
    tasks:
      server:
        goal: RUNNING
        cmd: ./server
        cpus: {cpus}
        memory: 1024
        ports: {{http: {{port: 0}}}}
        volume: {{path: data, type: ROOT, size: 1000}}
      agent:
        goal: RUNNING
        essential: false
        cmd: ./agent
        cpus: 0.1
        memory: 64
",
            cpus = 1.0 + kind as f64 / 1000.0
        );
    }
    let _ = write!(text, "plans:\n  deploy:\n    strategy: {strategy}\n    phases:\n");
    for kind in 0..kinds {
        let _ = write!(
            text,
            "      data{kind}:\n        pod: data{kind}\n        strategy: {strategy}\n        steps:\n          - default: [[server, agent]]\n"
        );
    }
    text
}

/// One pod whose evaluation has 14 stages: two tasks, one of them with a declared resource set, two ports, two volumes.
pub(crate) const FOURTEEN_STAGES: &str = "
name: bench
pods:
  hello:
    count: 1
    resource-sets:
      server-resources:
        cpus: 1
        memory: 256
        ports: {http: {port: 0}, peer: {port: 0}}
        volumes:
          data: {path: data, type: ROOT, size: 100}
          log: {path: log, type: ROOT, size: 50}
    tasks:
      server:
        goal: RUNNING
        cmd: ./server
        resource-set: server-resources
      init:
        goal: ONCE
        cmd: ./init
        cpus: 0.1
        memory: 64
";

/// Reads a specification.
pub(crate) fn load(text: &str) -> Result<ServiceSpec> {
    let source = mainstay_spec::Source { file_name: "bench.yml", text };
    let loaded = mainstay_spec::load(source, &BTreeMap::new(), &|path| Err(format!("no file {path}")));
    loaded.map(|loaded| loaded.spec).map_err(|report| anyhow!("{report}"))
}

/// Settings as the scheduler has them by default.
pub(crate) fn config() -> Config {
    Config::new(ROLE, "scheduler", 1)
}

/// An offer as a master of Mesos 1.11 sends it: four free resources, attributes, a domain.
pub(crate) fn offer(number: usize, role: &str, framework_id: &str, cpus: f64) -> wire::Offer {
    let scalar = |name: &str, value: f64| wire::Resource {
        name: name.to_owned(),
        r#type: wire::value::Type::Scalar.into(),
        scalar: Some(wire::value::Scalar { value }),
        allocation_info: Some(wire::resource::AllocationInfo { role: Some(role.to_owned()) }),
        ..Default::default()
    };
    let ports = wire::Resource {
        name: "ports".to_owned(),
        r#type: wire::value::Type::Ranges.into(),
        ranges: Some(Box::new(wire::value::Ranges {
            range: vec![wire::value::Range { begin: 1025, end: 2180 }, wire::value::Range { begin: 2182, end: 32000 }],
        })),
        allocation_info: Some(wire::resource::AllocationInfo { role: Some(role.to_owned()) }),
        ..Default::default()
    };
    let attribute = |name: &str, value: String| wire::Attribute {
        name: name.to_owned(),
        r#type: wire::value::Type::Text.into(),
        text: Some(wire::value::Text { value }),
        ..Default::default()
    };
    let hostname = format!("agent-{number}.example.org");
    wire::Offer {
        id: wire::OfferId { value: format!("9e1d5a2c-7d1b-4c3e-9f7a-1b2c3d4e5f60-O{number}") },
        framework_id: wire::FrameworkId { value: framework_id.to_owned() },
        agent_id: agent_id(number),
        hostname: hostname.clone(),
        attributes: vec![attribute("rack", format!("r{}", number % 40)), attribute("disk", "ssd".to_owned())],
        resources: vec![scalar("cpus", cpus), scalar("mem", 65_536.0), scalar("disk", 500_000.0), ports],
        allocation_info: Some(wire::resource::AllocationInfo { role: Some(role.to_owned()) }),
        ..Default::default()
    }
}

/// Id of an agent.
pub(crate) fn agent_id(number: usize) -> wire::AgentId {
    wire::AgentId { value: format!("9e1d5a2c-7d1b-4c3e-9f7a-1b2c3d4e5f60-S{number}") }
}

/// An OFFERS event, encoded.
pub(crate) fn offers_event(offers: Vec<wire::Offer>) -> bytes::Bytes {
    let event = Event {
        r#type: Some(event::Type::Offers.into()),
        offers: Some(Box::new(event::Offers { offers })),
        ..Default::default()
    };
    event.encode_to_vec().into()
}
