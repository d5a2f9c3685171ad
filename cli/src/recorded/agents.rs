//! A list of agents as people write it, in YAML or JSON.
//!
//! Shape of each: `hostname`, `cpus`, `mem`; at will `disk`, `gpus`, `ports` (default 31000-32000, as an agent's), `attributes`, `region` with
//! `zone`, `mounts` (`size`, `root`, `profile`), `roles` (what is reserved, by role) and `count` (so many, named `<hostname>-1` and so on).
//! Units: cores; MB.

use std::collections::BTreeMap;

use mainstay_devcluster::AgentConfig;
use mainstay_devcluster::model::resources::{ranges, scalar};
use mainstay_proto::v1::resource::reservation_info::Type as ReservationType;
use mainstay_proto::v1::resource::{DiskInfo, ReservationInfo, disk_info};
use mainstay_proto::v1::{self, Attribute, Resource, value};
use mainstay_scheduler::spec::Scalar;

use super::tree::{self, Node, Place, Value};
use super::{MAX_AGENTS, MAX_RANGES, Problems, Read, Recorded, Wanted};

/// Ports of an agent that does not name any.
const DEFAULT_PORTS: (u64, u64) = (31_000, 32_000);

/// Keys of an agent.
const AGENT: [&str; 12] =
    ["hostname", "count", "cpus", "mem", "disk", "gpus", "ports", "attributes", "region", "zone", "mounts", "roles"];
/// Keys of what is reserved for a role.
const ROLE: [&str; 6] = ["cpus", "mem", "disk", "gpus", "ports", "mounts"];
/// Keys of a mount.
const MOUNT: [&str; 3] = ["size", "root", "profile"];

/// Reads the list.
///
/// Errors: every problem, a line each.
pub(super) fn read(name: &str, text: &str, wanted: Wanted) -> Result<Read, String> {
    let mut problems = Problems::new(name);
    let mut list = List { problems: &mut problems, names: BTreeMap::new(), agents: Vec::new() };
    match tree::parse(text) {
        Ok(Node { value: Value::List(items), place }) => {
            if items.is_empty() {
                list.problem(place, "the list has no agents");
            }
            for item in items {
                list.agent(&item);
            }
        }
        // `agents:` above the list reads well too.
        Ok(Node { value: Value::Map(entries), place }) => match entries.as_slice() {
            [(key, _, Node { value: Value::List(items), .. })] if key == "agents" => {
                if items.is_empty() {
                    list.problem(place, "the list has no agents");
                }
                for item in items {
                    list.agent(item);
                }
            }
            _ => list.problem(place, wanted.expected()),
        },
        Ok(Node { value: Value::Scalar(_), place }) => list.problem(place, wanted.expected()),
        Err((place, problem)) => list.problem(place, &problem),
    }
    let mut agents = list.agents;
    if let Some(text) = problems.text() {
        return Err(text);
    }
    agents.sort_by(|a, b| a.hostname.cmp(&b.hostname));
    Ok(Read { what: Recorded::Agents(agents), notes: Vec::new(), master: None })
}

/// An attribute as an agent reads it from its flag: a number, `[1-3,7-9]`, `{a,b}` or text.
pub(super) fn attribute(name: &str, text: &str) -> Attribute {
    let mut attribute = Attribute { name: name.to_owned(), ..Attribute::default() };
    let inner = |open, close| text.strip_prefix(open)?.strip_suffix(close);
    let range = |part: &str| {
        let (begin, end) = part.trim().split_once('-')?;
        Some(value::Range { begin: begin.trim().parse().ok()?, end: end.trim().parse().ok()? })
    };
    let as_ranges = inner('[', ']').and_then(|list| list.split(',').map(range).collect::<Option<Vec<_>>>());
    if let Some(range) = as_ranges {
        attribute.r#type = value::Type::Ranges.into();
        attribute.ranges = Some(Box::new(value::Ranges { range }));
    } else if let Some(list) = inner('{', '}') {
        attribute.r#type = value::Type::Set.into();
        let item = list.split(',').map(|item| item.trim().to_owned()).collect();
        attribute.set = Some(Box::new(value::Set { item }));
    } else if let Some(number) = text.parse::<f64>().ok().filter(|number| number.is_finite()) {
        attribute.r#type = value::Type::Scalar.into();
        attribute.scalar = Some(value::Scalar { value: number });
    } else {
        attribute.r#type = value::Type::Text.into();
        attribute.text = Some(value::Text { value: text.to_owned() });
    }
    attribute
}

/// A fault domain.
pub(super) fn domain(region: &str, zone: &str) -> v1::DomainInfo {
    use v1::domain_info::{FaultDomain, fault_domain};
    v1::DomainInfo {
        fault_domain: Some(Box::new(FaultDomain {
            region: fault_domain::RegionInfo { name: region.to_owned() },
            zone: fault_domain::ZoneInfo { name: zone.to_owned() },
        })),
    }
}

struct List<'p, 'n> {
    problems: &'p mut Problems<'n>,
    /// Lines of the agents by name.
    names: BTreeMap<String, usize>,
    agents: Vec<AgentConfig>,
}

/// The entries of a mapping by key.
type Entries<'t> = BTreeMap<&'t str, &'t Node>;

/// What ports and mounts of one agent are taken already.
#[derive(Default)]
struct Taken {
    ports: Vec<(u64, u64)>,
    roots: Vec<String>,
}

impl List<'_, '_> {
    fn problem(&mut self, place: Place, message: &str) {
        self.problems.push(&place.to_string(), message);
    }

    fn agent(&mut self, item: &Node) {
        let Some(entries) = self.entries(item, "an agent", &AGENT) else { return };
        let hostname = self.text(&entries, "hostname").unwrap_or_default();
        if !entries.contains_key("hostname") {
            self.problem(item.place, "an agent has no hostname");
        }
        for key in ["cpus", "mem"] {
            if !entries.contains_key(key) {
                self.problem(item.place, &format!("agent {hostname:?} does not say how much {key} it has"));
            }
        }
        let mut taken = Taken::default();
        let mut resources = self.amounts(&entries, &mut taken);
        if !entries.contains_key("ports") {
            resources.push(ranges("ports", &[DEFAULT_PORTS]));
            taken.ports.push(DEFAULT_PORTS);
        }
        for (role, place, what) in self.named(&entries, "roles") {
            if let Err(problem) = role_name(role) {
                self.problem(place, &problem);
            }
            let Some(entries) = self.entries(what, "what is reserved", &ROLE) else { continue };
            let reservation = ReservationInfo {
                r#type: Some(ReservationType::Static.into()),
                role: Some(role.to_owned()),
                ..ReservationInfo::default()
            };
            let reserved = self.amounts(&entries, &mut taken);
            resources
                .extend(reserved.into_iter().map(|one| Resource { reservations: vec![reservation.clone()], ..one }));
        }
        let mut attributes = Vec::new();
        for (name, _, node) in self.named(&entries, "attributes") {
            match &node.value {
                Value::Scalar(text) => attributes.push(attribute(name, text)),
                Value::List(_) | Value::Map(_) => {
                    self.problem(node.place, &format!("attribute {name:?} must be one value; quote it"));
                }
            }
        }
        let domain = match (self.text(&entries, "region"), self.text(&entries, "zone")) {
            (Some(region), Some(zone)) => Some(domain(&region, &zone)),
            (None, None) => None,
            _ => {
                self.problem(item.place, &format!("agent {hostname:?} needs both region and zone, or neither"));
                None
            }
        };
        // What has no name has been told already.
        for hostname in self.hostnames(hostname, &entries).into_iter().filter(|hostname| !hostname.is_empty()) {
            if let Some(line) = self.names.insert(hostname.clone(), item.place.line) {
                self.problem(item.place, &format!("hostname {hostname:?} is given twice, first in line {line}"));
                // Of a hundred equal ones one message is enough.
                break;
            }
            if self.agents.len() == MAX_AGENTS {
                self.problem(item.place, &format!("more than {MAX_AGENTS} agents"));
                break;
            }
            let agent = AgentConfig::new(&hostname, 5051, resources.clone());
            self.agents.push(AgentConfig { attributes: attributes.clone(), domain: domain.clone(), ..agent });
        }
    }

    /// The names of an agent given once, or of so many equal ones.
    fn hostnames(&mut self, hostname: String, entries: &Entries<'_>) -> Vec<String> {
        let Some(node) = entries.get("count") else { return vec![hostname] };
        let count = match &node.value {
            Value::Scalar(text) => text.parse().ok().filter(|count| (1..=MAX_AGENTS).contains(count)),
            Value::List(_) | Value::Map(_) => None,
        };
        if let Some(count) = count {
            return (1..=count).map(|number| format!("{hostname}-{number}")).collect();
        }
        self.problem(node.place, &format!("count must be a whole number from 1 to {MAX_AGENTS}"));
        Vec::new()
    }

    /// The resources of an agent or of one role there.
    fn amounts(&mut self, entries: &Entries<'_>, taken: &mut Taken) -> Vec<Resource> {
        let mut resources = Vec::new();
        for key in ["cpus", "mem", "disk", "gpus"] {
            if let Some(amount) = entries.get(key).and_then(|node| self.amount(node, key)) {
                resources.push(scalar(key, amount));
            }
        }
        if let Some(node) = entries.get("ports") {
            let ports = self.ports(node, taken);
            if !ports.is_empty() {
                resources.push(ranges("ports", &ports));
            }
        }
        let mounts = match entries.get("mounts") {
            Some(Node { value: Value::List(items), .. }) => items.as_slice(),
            Some(node) => {
                self.problem(node.place, "mounts must be a list");
                &[]
            }
            None => &[],
        };
        for item in mounts {
            resources.extend(self.mount(item, taken));
        }
        resources
    }

    fn mount(&mut self, item: &Node, taken: &mut Taken) -> Option<Resource> {
        let entries = self.entries(item, "a mount", &MOUNT)?;
        let size = entries.get("size").and_then(|node| self.amount(node, "size"));
        let root = self.text(&entries, "root");
        for key in ["size", "root"] {
            if !entries.contains_key(key) {
                self.problem(item.place, &format!("a mount has no {key}"));
            }
        }
        let (size, root) = (size?, root?);
        if taken.roots.contains(&root) {
            self.problem(item.place, &format!("the root {root:?} is given twice"));
        }
        taken.roots.push(root.clone());
        let source = disk_info::Source {
            r#type: disk_info::source::Type::Mount.into(),
            mount: Some(disk_info::source::Mount { root: Some(root) }),
            profile: self.text(&entries, "profile"),
            ..disk_info::Source::default()
        };
        let disk = DiskInfo { source: Some(Box::new(source)), ..DiskInfo::default() };
        Some(Resource { disk: Some(Box::new(disk)), ..scalar("disk", size) })
    }

    /// A mapping with known keys only.
    fn entries<'t>(&mut self, node: &'t Node, what: &str, known: &[&str]) -> Option<Entries<'t>> {
        let Value::Map(list) = &node.value else {
            self.problem(node.place, &format!("{what} must be a mapping of {}", known.join(", ")));
            return None;
        };
        let mut entries = Entries::new();
        for (key, place, node) in list {
            if known.contains(&key.as_str()) {
                entries.insert(key, node);
            } else {
                self.problem(*place, &format!("unknown key {key:?} of {what}; known are {}", known.join(", ")));
            }
        }
        Some(entries)
    }

    /// The entries of a mapping with keys of any name.
    fn named<'t>(&mut self, entries: &Entries<'t>, key: &str) -> Vec<(&'t str, Place, &'t Node)> {
        match entries.get(key).copied() {
            Some(Node { value: Value::Map(list), .. }) => {
                list.iter().map(|(key, place, node)| (key.as_str(), *place, node)).collect()
            }
            Some(node) => {
                self.problem(node.place, &format!("{key} must be a mapping"));
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn text(&mut self, entries: &Entries<'_>, key: &str) -> Option<String> {
        let node = entries.get(key)?;
        match &node.value {
            Value::Scalar(text) if text.chars().any(char::is_control) => {
                self.problem(node.place, &format!("{key}: {text:?} has control characters"));
                None
            }
            Value::Scalar(text) if !text.trim().is_empty() && text.len() <= 255 => Some(text.trim().to_owned()),
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => {
                self.problem(node.place, &format!("{key} must be text of 1 to 255 bytes"));
                None
            }
        }
    }

    /// An amount that Mesos can express.
    fn amount(&mut self, node: &Node, key: &str) -> Option<f64> {
        let text = match &node.value {
            Value::Scalar(text) => text.trim(),
            Value::List(_) | Value::Map(_) => "",
        };
        let unit = if matches!(key, "cpus" | "gpus") { "a number, such as 4" } else { "a number of MB, such as 4096" };
        let problem = match text.parse::<f64>() {
            Ok(amount) if amount.is_nan() => format!("{key}: {text:?} is not a number; expected {unit}"),
            Ok(amount) if amount < 0.0 => format!("{key}: {text} is negative"),
            Ok(amount) if Scalar::from_f64(amount).is_none() => format!("{key}: {text} is too large"),
            Ok(amount) => return Some(amount),
            Err(_) => format!("{key}: expected {unit}"),
        };
        self.problem(node.place, &problem);
        None
    }

    /// Ports as `31000-32000`, `1025-2180, 9042`, or a list of such.
    fn ports(&mut self, node: &Node, taken: &mut Taken) -> Vec<(u64, u64)> {
        let texts: Vec<(&str, Place)> = match &node.value {
            Value::Scalar(text) => text.split(',').map(|part| (part.trim(), node.place)).collect(),
            Value::List(items) => items
                .iter()
                .map(|item| match &item.value {
                    Value::Scalar(text) => (text.trim(), item.place),
                    Value::List(_) | Value::Map(_) => ("", item.place),
                })
                .collect(),
            Value::Map(_) => vec![("", node.place)],
        };
        let mut ports = Vec::new();
        if texts.len() > MAX_RANGES {
            self.problem(node.place, &format!("ports: {} ranges; at most {MAX_RANGES} are read", texts.len()));
            return ports;
        }
        for (text, place) in texts {
            let (begin, end) = text.split_once('-').unwrap_or((text, text));
            let number = |text: &str| text.trim().parse::<u64>().ok().filter(|port| (1..=65_535).contains(port));
            let (Some(begin), Some(end)) = (number(begin), number(end)) else {
                self.problem(place, &format!("ports: {text:?} is no port from 1 to 65535 and no range of such"));
                continue;
            };
            if begin > end {
                self.problem(place, &format!("ports: the range {begin}-{end} ends before it begins"));
                continue;
            }
            if let Some(other) = taken.ports.iter().find(|other| other.0 <= end && begin <= other.1) {
                self.problem(place, &format!("ports: {begin}-{end} overlaps {}-{}", other.0, other.1));
                continue;
            }
            taken.ports.push((begin, end));
            ports.push((begin, end));
        }
        ports
    }
}

/// Source: the names of roles that Mesos accepts.
fn role_name(role: &str) -> Result<(), String> {
    let is_bad = |part: &str| {
        matches!(part, "" | "." | ".." | "*") || part.starts_with('-') || part.contains(|c: char| c.is_whitespace())
    };
    if role.split('/').any(is_bad) { Err(format!("{role:?} is no name of a role")) } else { Ok(()) }
}
