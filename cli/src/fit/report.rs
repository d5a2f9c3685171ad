//! An outcome for people and for programs.

use std::fmt::Write as _;

use mainstay_scheduler::http::v1::placement::to_wire;
use serde_json::{Value, json};

use super::{Amounts, Left, Outcome, Place, Pod, Volume};

/// Lines about agents in the text; those where something landed come first.
const LISTED: usize = 20;

/// Several lines: the verdict, each pod instance, what does not fit and why, what is left.
pub(crate) fn text(outcome: &Outcome) -> String {
    let mut text = verdict(outcome);
    let groups: Vec<(String, &Pod)> = outcome.pods.chunk_by(is_alike).filter_map(group).collect();
    let width = groups.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (name, pod) in groups {
        let _ = write!(text, "\n  {name:width$}  {}", standing(pod));
        for explanation in &pod.waiting {
            let _ = write!(text, "\n    {}", explanation.to_string().replace('\n', "\n    "));
        }
    }
    let mut left: Vec<&Left> = outcome.left.iter().collect();
    left.sort_by_key(|left| !left.is_used);
    let lines: Vec<(String, &Left, usize)> = left.chunk_by(|a, b| is_left_alike(a, b)).flat_map(together).collect();
    let listed = || lines.iter().take(LISTED);
    let width = listed().map(|(name, ..)| name.chars().count()).max().unwrap_or_default();
    text.push_str("\nleft:");
    for (name, one, _) in listed() {
        let _ = write!(text, "\n  {name:width$}  {}", left_over(one));
    }
    let more: usize = lines.iter().skip(LISTED).map(|(.., agents)| agents).sum();
    if more > 0 {
        let _ = write!(text, "\n  and {} (--json has all)", counted(more, "more agent"));
    }
    text
}

fn verdict(outcome: &Outcome) -> String {
    let fitting = outcome.pods.iter().filter(|pod| pod.fits()).count();
    let all = outcome.pods.len();
    let (tried, fit) = outcome.orders;
    let kept_back = outcome.never_offered.len();
    let mut agents = counted(outcome.left.len().saturating_sub(kept_back), "agent");
    if kept_back > 0 {
        let _ = write!(agents, ", {kept_back} more {} never offered", if kept_back == 1 { "is" } else { "are" });
    }
    let mut text = format!("{}: {fitting} of {} ", outcome.service, counted(all, "pod instance"));
    let _ = write!(text, "{} on {agents}", if all == 1 { "fits" } else { "fit" });
    if fit > 0 && fit < tried {
        let _ = write!(
            text,
            "\nIt depends on which agent offers first: of {tried} orders tried, {fit} fit all; this is one that does not."
        );
    }
    text
}

/// Whether two pod instances that follow each other are told of in one: neither was placed, for the same reasons.
fn is_alike(a: &Pod, b: &Pod) -> bool {
    let pod_type = |pod: &Pod| pod.name.rsplit_once('-').map(|(pod_type, _)| pod_type.to_owned());
    let reasons = |pod: &Pod| {
        // The step's name, which has the instance's in it, is all that may differ.
        pod.waiting.iter().map(|one| one.to_string().replacen(&one.step, "", 1)).collect::<Vec<_>>()
    };
    let is_unplaced = |pod: &Pod| pod.is_planned && pod.place.is_none() && !pod.fits();
    is_unplaced(a) && is_unplaced(b) && pod_type(a) == pod_type(b) && reasons(a) == reasons(b)
}

/// The first of a group, under the name of all.
fn group(pods: &[Pod]) -> Option<(String, &Pod)> {
    match pods {
        [] => None,
        [one] => Some((one.name.clone(), one)),
        [first, second] => Some((format!("{}, {}", first.name, second.name), first)),
        [first, .., last] => Some((format!("{} to {}", first.name, last.name), first)),
    }
}

/// Whether two agents that follow each other are told of in one: of one kind by their names, untouched, and with the same left.
fn is_left_alike(a: &Left, b: &Left) -> bool {
    let kind = |left: &'_ Left| left.hostname.trim_end_matches(|one: char| one.is_ascii_digit()).len();
    let is_one_kind = kind(a) < a.hostname.len() && a.hostname.get(..kind(a)) == b.hostname.get(..kind(b));
    is_one_kind && !a.is_used && !b.is_used && a.own == b.own && a.reserved == b.reserved
}

/// Each line: under which name, what, of how many agents.
fn together<'l>(alike: &[&'l Left]) -> Vec<(String, &'l Left, usize)> {
    match alike {
        [first, _, .., last] => {
            vec![(format!("{} to {} ({} agents)", first.hostname, last.hostname, alike.len()), *first, alike.len())]
        }
        few => few.iter().map(|one| (one.hostname.clone(), *one, 1)).collect(),
    }
}

fn standing(pod: &Pod) -> String {
    match (&pod.place, pod.fits()) {
        _ if !pod.is_planned => "is not in the deploy plan".to_owned(),
        (Some(place), true) => placed(place),
        (Some(place), false) => format!("placed only in part: {}", placed(place)),
        (None, true) => "has nothing to run".to_owned(),
        (None, false) => "not placed".to_owned(),
    }
}

fn placed(place: &Place) -> String {
    let mut text = place.hostname.clone();
    let ports: Vec<String> = place.ports.iter().map(|(name, number)| format!("{name} {number}")).collect();
    if !ports.is_empty() {
        let _ = write!(text, "; {} {}", if ports.len() == 1 { "port" } else { "ports" }, ports.join(", "));
    }
    let volumes: Vec<String> = place
        .volumes
        .iter()
        .map(|volume| {
            let disk = volume.root.as_ref().map_or(String::new(), |root| format!(" on {root}"));
            format!("{} {} MB{disk}", volume.path, volume.size)
        })
        .collect();
    if !volumes.is_empty() {
        let _ = write!(text, "; {} {}", if volumes.len() == 1 { "volume" } else { "volumes" }, volumes.join(", "));
    }
    text
}

fn left_over(left: &Left) -> String {
    let reserved = left.reserved.iter().map(|(role, of_role)| format!("; of role {role}: {}", amounts(of_role)));
    amounts(&left.own) + &reserved.collect::<String>()
}

fn amounts(left: &Amounts) -> String {
    let mut parts: Vec<String> = ["cpus", "mem", "disk", "gpus"]
        .into_iter()
        .filter_map(|name| Some(format!("{name} {}", left.sums.get(name)?)))
        .collect();
    let others = left.sums.iter().filter(|(name, _)| !["cpus", "mem", "disk", "gpus"].contains(&name.as_str()));
    parts.extend(others.map(|(name, amount)| format!("{name} {amount}")));
    if !left.ports.is_empty() {
        let range = |(begin, end): &(u64, u64)| {
            if begin == end { begin.to_string() } else { format!("{begin}-{end}") }
        };
        let ranges = left.ports.iter().map(range);
        parts.push(format!("ports {}", ranges.collect::<Vec<_>>().join(",")));
    }
    parts.extend(left.mounts.iter().map(|(root, size)| format!("{root} {size}")));
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// One document. Shape: stable; keys are added, never changed.
pub(crate) fn json(outcome: &Outcome) -> Value {
    json!({
        "service": outcome.service,
        "fits": outcome.fits(),
        "orders": { "tried": outcome.orders.0, "fit": outcome.orders.1 },
        "pods": outcome.pods.iter().map(pod).collect::<Vec<_>>(),
        "left": outcome.left.iter().map(left).collect::<Vec<_>>(),
        "notes": outcome.notes,
    })
}

fn pod(pod: &Pod) -> Value {
    json!({
        "pod": pod.name,
        "fits": pod.fits(),
        "planned": pod.is_planned,
        "agent": pod.place.as_ref().map(|place| &place.hostname),
        "ports": pod.place.iter().flat_map(|place| &place.ports)
            .map(|(name, number)| json!({ "name": name, "number": number })).collect::<Vec<_>>(),
        "volumes": pod.place.iter().flat_map(|place| &place.volumes).map(volume).collect::<Vec<_>>(),
        "waiting": pod.waiting.iter().map(to_wire).collect::<Vec<_>>(),
    })
}

fn volume(volume: &Volume) -> Value {
    json!({ "path": volume.path, "sizeMb": volume.size.to_f64(), "root": volume.root })
}

fn left(left: &Left) -> Value {
    let reserved = left.reserved.iter().map(|(role, of_role)| (role.clone(), amounts_json(of_role).into()));
    let mut value = serde_json::Map::new();
    value.insert("agent".to_owned(), json!(left.hostname));
    value.extend(amounts_json(&left.own));
    value.insert("reserved".to_owned(), reserved.collect::<serde_json::Map<_, _>>().into());
    value.into()
}

fn amounts_json(left: &Amounts) -> serde_json::Map<String, Value> {
    let sums = left.sums.iter().map(|(name, amount)| (name.clone(), json!(amount.to_f64())));
    let mounts = left.mounts.iter().map(|(root, size)| json!({ "root": root, "sizeMb": size.to_f64() }));
    let entries = [
        ("amounts", Value::Object(sums.collect())),
        ("ports", json!(left.ports)),
        ("mounts", Value::Array(mounts.collect())),
    ];
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
