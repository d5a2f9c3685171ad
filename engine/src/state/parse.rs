//! From stored bytes to a [`Task`]: our own, and those of both generations of the SDK.
//!
//! Invariant: reading never changes the bytes; what is missing but not needed is absent in the result, what is needed and missing is an
//! error that names it.
//! Source: Mesos v1 `TaskInfo`; the v0 messages of the SDK have the same bytes.

use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use mainstay_proto::splice;
use mainstay_proto::v1;
use prost::Message as _;

use super::{Executor, Task};
use crate::ids::{self, AgentId, ConfigId, ExecutorId, PodInstance, TaskId, TaskName};
use crate::resource::{self, Resource, Value};
use crate::task::labels;
use crate::task::status::{self, Status};

/// Prefix of a port that an older task names only by its environment variable.
///
/// The older generation stores no port names; its tasks say the number in `PORT_<NAME>` or in the `env-key`.
pub const PORT_VARIABLE_PREFIX: char = '$';

/// Executor id of the message into which older schedulers packed command and data.
const PACKED_EXECUTOR_ID: &str = "command_data_package_executor";

/// Why stored bytes are not a usable task.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "field names say what they hold")]
pub enum ParseError {
    #[error("cannot decode the stored TaskInfo of {name}")]
    Decode { name: TaskName, source: prost::DecodeError },
    #[error("cannot walk the stored TaskInfo of {name}: {problem}")]
    Walk { name: TaskName, problem: String },
    #[error("the stored TaskInfo of {name} names the task '{found}'")]
    OtherName { name: TaskName, found: String },
    #[error("the stored TaskInfo of {name} has an unusable {field}")]
    Id { name: TaskName, field: &'static str, source: ids::Error },
    #[error("the stored TaskInfo of {name} has no usable label '{label}'")]
    Label { name: TaskName, label: &'static str },
    #[error("the stored TaskInfo of {name} has a malformed resource")]
    Resource { name: TaskName, source: resource::wire::Error },
    #[error("the stored status of {name} is unusable")]
    Status { name: TaskName, source: status::parse::Error },
}

impl Task {
    /// Reads a stored task.
    ///
    /// Errors: not messages, unusable ids, missing labels, malformed resources, another task's message.
    pub fn parse(name: TaskName, info: Bytes, status: Option<Bytes>) -> Result<Self, ParseError> {
        let wire =
            v1::TaskInfo::decode(info.clone()).map_err(|source| ParseError::Decode { name: name.clone(), source })?;
        let executor = match (wire.executor.as_deref(), executor_bytes(&name, &info, &wire)?) {
            (Some(wire), Some(bytes)) => Some(Arc::new(read_executor(&name, wire, bytes)?)),
            _ => None,
        };
        let resources = resources(&name, &wire.resources)?;
        let task = Self::read(name, info, &wire, resources, executor)?;
        let status = status.map(Status::parse).transpose();
        let status = status.map_err(|source| ParseError::Status { name: task.name.clone(), source })?;
        Ok(Self { status, ..task })
    }

    /// The task that an accept will have stored; `resources` and `executor` are those of the message.
    ///
    /// Errors: as [`Task::parse`]; none for messages this engine made.
    pub(crate) fn of_accept(
        name: TaskName,
        wire: &v1::TaskInfo,
        resources: Vec<Resource>,
        executor: Arc<Executor>,
    ) -> Result<Self, ParseError> {
        Self::read(name, wire.encode_to_vec().into(), wire, resources, Some(executor))
    }

    fn read(
        name: TaskName,
        info: Bytes,
        wire: &v1::TaskInfo,
        resources: Vec<Resource>,
        executor: Option<Arc<Executor>>,
    ) -> Result<Self, ParseError> {
        if wire.name != name.as_str() {
            return Err(ParseError::OtherName { name, found: wire.name.clone() });
        }
        let id_error = |field| {
            let name = name.clone();
            move |source| ParseError::Id { name, field, source }
        };
        let task_id = match wire.task_id.value.as_str() {
            "" => None,
            text => Some(TaskId::parse(text).map_err(id_error("task id"))?),
        };
        let label = |key: &'static str| label_value(wire.labels.as_deref(), key);
        let no_label = |label| ParseError::Label { name: name.clone(), label };
        let pod_type = label(labels::TASK_TYPE).filter(|text| !text.is_empty());
        let pod = PodInstance {
            pod_type: pod_type.ok_or_else(|| no_label(labels::TASK_TYPE))?.to_owned(),
            index: label(labels::INDEX).and_then(|text| text.parse().ok()).ok_or_else(|| no_label(labels::INDEX))?,
        };
        Ok(Self {
            task_id,
            agent_id: AgentId::parse(wire.agent_id.value.clone()).map_err(id_error("agent id"))?,
            pod,
            config_id: label(labels::TARGET_CONFIGURATION)
                .map(|text| ConfigId::parse(text).map_err(id_error("configuration id")))
                .transpose()?,
            is_permanently_failed: label(labels::PERMANENTLY_FAILED) == Some("true"),
            executor,
            ports: ports(wire, &resources),
            resources,
            hostname: label(labels::OFFER_HOSTNAME).map(str::to_owned),
            region: label(labels::OFFER_REGION).map(str::to_owned),
            zone: label(labels::OFFER_ZONE).map(str::to_owned),
            attributes: label(labels::OFFER_ATTRIBUTES).map_or_else(Vec::new, labels::attributes_from_text),
            has_readiness_check: wire.check.is_some() || label(labels::READINESS_CHECK).is_some(),
            status: None,
            name,
            info,
        })
    }
}

fn label_value<'a>(labels: Option<&'a v1::Labels>, key: &str) -> Option<&'a str> {
    labels?.labels.iter().find(|label| label.key == key)?.value.as_deref()
}

/// The embedded executor exactly as it lies in the stored message.
fn executor_bytes(name: &TaskName, info: &Bytes, wire: &v1::TaskInfo) -> Result<Option<Bytes>, ParseError> {
    const EXECUTOR: u32 = 5;
    let Some(executor) = wire.executor.as_deref() else { return Ok(None) };
    let fields =
        splice::fields(info).map_err(|error| ParseError::Walk { name: name.clone(), problem: error.to_string() })?;
    let mut found = fields.iter().filter(|field| field.number == EXECUTOR);
    let (Some(field), None) = (found.next(), found.next()) else {
        // Two occurrences mean the merge of both, which lies nowhere in the bytes.
        return Ok(Some(executor.encode_to_vec().into()));
    };
    let mut payload = field.bytes;
    for _key_then_length in 0..2 {
        prost::encoding::decode_varint(&mut payload)
            .map_err(|source| ParseError::Decode { name: name.clone(), source })?;
    }
    Ok(Some(info.slice_ref(payload.chunk())))
}

fn read_executor(name: &TaskName, wire: &v1::ExecutorInfo, info: Bytes) -> Result<Executor, ParseError> {
    let id = ExecutorId::parse(wire.executor_id.value.clone());
    let id = id.map_err(|source| ParseError::Id { name: name.clone(), field: "executor id", source })?;
    let mut resources = resources(name, &wire.resources)?;
    for disk in resources.iter_mut().filter_map(|resource| resource.disk.as_mut()) {
        // Ours names a volume after its id, because that name must be unique in the sandbox; a label has the path.
        let Some(persistence) = &disk.persistence else { continue };
        let key = format!("{}{}", labels::VOLUME_PREFIX, persistence.id);
        if let Some(path) = label_value(wire.labels.as_deref(), &key) {
            disk.container_path = Some(path.to_owned());
        }
    }
    Ok(Executor { id, info, resources })
}

fn resources(name: &TaskName, wire: &[v1::Resource]) -> Result<Vec<Resource>, ParseError> {
    wire.iter()
        .map(|resource| {
            Resource::from_wire(resource).map_err(|source| ParseError::Resource { name: name.clone(), source })
        })
        .collect()
}

/// Chosen ports: by name from the discovery, or, for tasks of the older generation, by environment variable.
fn ports(wire: &v1::TaskInfo, resources: &[Resource]) -> Vec<(String, u16)> {
    let announced =
        wire.discovery.iter().filter_map(|discovery| discovery.ports.as_deref()).flat_map(|ports| &ports.ports);
    let mut ports: Vec<(String, u16)> =
        announced.filter_map(|port| Some((port.name.clone()?, u16::try_from(port.number).ok()?))).collect();
    if !ports.is_empty() {
        return ports;
    }
    let is_reserved = |number: u16| {
        resources.iter().any(|resource| {
            resource.name == "ports"
                && matches!(&resource.value, Value::Ranges(ranges) if ranges.contains(u64::from(number)))
        })
    };
    let unpacked = unpack_command(wire);
    let command = wire.command.as_deref().or(unpacked.as_ref());
    let variables =
        command.and_then(|command| command.environment.as_deref()).into_iter().flat_map(|env| &env.variables);
    for variable in variables {
        let number = variable.value.as_deref().and_then(|value| value.parse::<u16>().ok());
        if let Some(number) = number.filter(|number| is_reserved(*number)) {
            ports.push((format!("{PORT_VARIABLE_PREFIX}{}", variable.name), number));
        }
    }
    ports
}

/// The command of a task whose scheduler packed it into the data.
fn unpack_command(wire: &v1::TaskInfo) -> Option<v1::CommandInfo> {
    let packed = v1::ExecutorInfo::decode(wire.data.clone()?).ok()?;
    (packed.executor_id.value == PACKED_EXECUTOR_ID).then_some(packed.command).flatten().map(|command| *command)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use mainstay_proto::v1::resource::{DiskInfo, ReservationInfo, disk_info};

    use super::*;
    use crate::task::labels::label;

    fn name() -> TaskName {
        TaskName::parse("hello-0-server").unwrap()
    }

    #[allow(clippy::unnecessary_wraps, reason = "the shape of the field it fills")]
    fn labels(pairs: &[(&str, &str)]) -> Option<Box<v1::Labels>> {
        Some(Box::new(v1::Labels { labels: pairs.iter().map(|(key, value)| label(*key, *value)).collect() }))
    }

    fn reservation(id: &str) -> ReservationInfo {
        ReservationInfo {
            principal: Some("p".into()),
            labels: labels(&[("resource_id", id)]),
            role: None,
            r#type: None,
        }
    }

    fn scalar(name: &str, amount: f64, id: &str) -> v1::Resource {
        v1::Resource {
            name: name.into(),
            scalar: Some(v1::value::Scalar { value: amount }),
            reservations: vec![ReservationInfo { role: Some("r".into()), r#type: Some(2), ..reservation(id) }],
            ..Default::default()
        }
    }

    fn variable(name: &str, value: &str) -> v1::environment::Variable {
        v1::environment::Variable { name: name.into(), value: Some(value.into()), ..Default::default() }
    }

    fn stored() -> v1::TaskInfo {
        v1::TaskInfo {
            name: "hello-0-server".into(),
            task_id: v1::TaskId { value: "svc__hello-0-server__u".into() },
            agent_id: v1::AgentId { value: "a1".into() },
            resources: vec![scalar("cpus", 0.5, "r1")],
            labels: labels(&[
                ("index", "0"),
                ("offer_attributes", "rack:r1"),
                ("offer_hostname", "h1"),
                ("target_configuration", "c1"),
                ("task_type", "hello"),
            ]),
            ..Default::default()
        }
    }

    fn parse(wire: &v1::TaskInfo) -> Result<Task, ParseError> {
        Task::parse(name(), wire.encode_to_vec().into(), None)
    }

    #[test]
    fn a_task_of_the_newer_generation_is_read() {
        let port = |number, name: &str| v1::Port { number, name: Some(name.into()), ..Default::default() };
        let volume = v1::Resource {
            disk: Some(Box::new(DiskInfo {
                persistence: Some(Box::new(disk_info::Persistence { id: "p1".into(), principal: None })),
                volume: Some(Box::new(v1::Volume {
                    container_path: "mainstay-volume-p1".into(),
                    mode: 1,
                    ..Default::default()
                })),
                source: None,
            })),
            ..scalar("disk", 10.0, "r3")
        };
        let wire = v1::TaskInfo {
            executor: Some(Box::new(v1::ExecutorInfo {
                executor_id: v1::ExecutorId { value: "svc__hello__u".into() },
                resources: vec![scalar("cpus", 0.1, "r2"), volume],
                labels: labels(&[("DCOS_SPACE", "/"), ("volume:p1", "pod-data")]),
                ..Default::default()
            })),
            discovery: Some(Box::new(v1::DiscoveryInfo {
                ports: Some(Box::new(v1::Ports { ports: vec![port(9000, "web"), port(9001, "admin")] })),
                ..Default::default()
            })),
            check: Some(Box::default()),
            ..stored()
        };
        let mut bytes = wire.encode_to_vec();
        // A field that no TaskInfo has: it stays in the bytes.
        prost::encoding::uint64::encode(1000, &7, &mut bytes);
        let status = v1::TaskStatus { task_id: wire.task_id.clone(), state: 1, ..Default::default() };
        let task = Task::parse(name(), bytes.clone().into(), Some(status.encode_to_vec().into())).unwrap();
        assert_eq!(task.info, bytes);
        assert_eq!(task.task_id.as_ref().unwrap().as_str(), "svc__hello-0-server__u");
        assert_eq!(task.pod, PodInstance { pod_type: "hello".into(), index: 0 });
        assert_eq!(task.config_id.as_ref().unwrap().as_str(), "c1");
        assert_eq!((task.hostname.as_deref(), task.region.as_deref(), task.zone.as_deref()), (Some("h1"), None, None));
        assert_eq!(task.attributes, [("rack".to_owned(), "r1".to_owned())]);
        assert_eq!(task.ports, [("web".to_owned(), 9000), ("admin".to_owned(), 9001)]);
        assert_eq!(task.resources.first().unwrap().resource_id().unwrap().as_str(), "r1");
        assert!(task.has_readiness_check && !task.is_permanently_failed);
        assert_eq!(task.status.as_ref().unwrap().state, status::State::Running);
        let executor = task.executor.unwrap();
        assert_eq!(executor.info, wire.executor.as_ref().unwrap().encode_to_vec());
        assert_eq!(executor.id.as_str(), "svc__hello__u");
        let paths: Vec<_> =
            executor.resources.iter().filter_map(|one| one.disk.as_ref()?.container_path.as_deref()).collect();
        assert_eq!(paths, ["pod-data"], "the path of the specification, not the name in the sandbox");
    }

    #[test]
    fn a_task_of_the_older_generation_is_read() {
        let command = v1::CommandInfo {
            environment: Some(Box::new(v1::Environment {
                variables: vec![variable("PORT_WEB", "9001"), variable("INDEX", "3"), variable("LIMIT", "9500")],
            })),
            ..Default::default()
        };
        let wire = v1::TaskInfo {
            resources: vec![v1::Resource {
                name: "ports".into(),
                r#type: 1,
                ranges: Some(Box::new(v1::value::Ranges {
                    range: vec![v1::value::Range { begin: 9000, end: 9001 }, v1::value::Range { begin: 80, end: 80 }],
                })),
                role: Some("hello-role".into()),
                reservation: Some(Box::new(reservation("r1"))),
                ..Default::default()
            }],
            labels: labels(&[
                ("index", "2"),
                ("task_type", "hello"),
                ("readiness_check", "CgA="),
                ("permanently-failed", "true"),
            ]),
            command: Some(Box::new(command.clone())),
            ..stored()
        };
        let task = parse(&wire).unwrap();
        assert_eq!(task.ports, [("$PORT_WEB".to_owned(), 9001)]);
        assert!(task.has_readiness_check && task.is_permanently_failed);
        assert_eq!(task.pod.index, 2);
        assert_eq!(task.resources.first().unwrap().role(), "hello-role");

        let packed = v1::ExecutorInfo {
            executor_id: v1::ExecutorId { value: PACKED_EXECUTOR_ID.into() },
            command: Some(Box::new(command)),
            ..Default::default()
        };
        let wire = v1::TaskInfo { command: None, data: Some(packed.encode_to_vec().into()), ..wire };
        assert_eq!(parse(&wire).unwrap().ports, task.ports, "also when still packed");
    }

    #[test]
    fn a_footprint_has_no_task_id() {
        let footprint = v1::TaskInfo { task_id: v1::TaskId::default(), ..stored() };
        assert_eq!(parse(&footprint).unwrap().task_id, None);
    }

    #[test]
    fn what_is_needed_and_missing_is_named() {
        let error = |wire: v1::TaskInfo| parse(&wire).unwrap_err().to_string();
        assert_eq!(
            error(v1::TaskInfo { name: "other".into(), ..stored() }),
            "the stored TaskInfo of hello-0-server names the task 'other'"
        );
        assert_eq!(
            error(v1::TaskInfo { agent_id: v1::AgentId::default(), ..stored() }),
            "the stored TaskInfo of hello-0-server has an unusable agent id"
        );
        assert_eq!(
            error(v1::TaskInfo { labels: labels(&[("index", "0")]), ..stored() }),
            "the stored TaskInfo of hello-0-server has no usable label 'task_type'"
        );
        assert_eq!(
            error(v1::TaskInfo { labels: labels(&[("task_type", "hello"), ("index", "x")]), ..stored() }),
            "the stored TaskInfo of hello-0-server has no usable label 'index'"
        );
        assert_eq!(
            error(v1::TaskInfo { resources: vec![scalar("cpus", -1.0, "r")], ..stored() }),
            "the stored TaskInfo of hello-0-server has a malformed resource"
        );
        assert_eq!(
            Task::parse(name(), Bytes::from_static(b"\xff"), None).unwrap_err().to_string(),
            "cannot decode the stored TaskInfo of hello-0-server"
        );
        assert_eq!(
            Task::parse(name(), stored().encode_to_vec().into(), Some(Bytes::new())).unwrap_err().to_string(),
            "the stored status of hello-0-server is unusable"
        );
    }
}
