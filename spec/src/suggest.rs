//! Near misses: what the author most likely meant, and keys that belong elsewhere.

/// A mapping of the language: what its keys are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Root,
    Scheduler,
    Pod,
    Container,
    Network,
    Rlimit,
    Secret,
    HostVolume,
    ExternalVolume,
    ResourceSet,
    Limits,
    Volume,
    Port,
    PortRange,
    Vip,
    Task,
    Config,
    HealthCheck,
    ReadinessCheck,
    Discovery,
    Encryption,
    Plan,
    Phase,
}

const OF_SCHEDULER: &str = "it belongs under scheduler";
const OF_POD: &str = "it belongs to the pod, not to a task";
const OF_TASK: &str = "it belongs to a task";
const OF_PHASE: &str = "it belongs to a phase";
const OF_HEALTH: &str = "it belongs to health-check; a readiness check is repeated until it succeeds";
const TCP: &str = "every port is tcp";
const LIMITS: &str = "only cpus and memory can be limited";

/// Keys that exist elsewhere, or are documented but never existed, with what to do.
const MISPLACED: &[(Section, &[&str], &str)] = &[
    (Section::Root, &["role", "principal", "zookeeper", "user", "api-port"], OF_SCHEDULER),
    (Section::Root, &["region"], "the region comes from the variable SERVICE_REGION"),
    (Section::Root, &["goal"], "a service always runs; goals belong to tasks"),
    (Section::Root, &["env", "labels", "cmd"], OF_TASK),
    (Section::Root, &["placement", "count", "tasks", "image", "networks"], "it belongs to a pod"),
    (Section::Root, &["phases"], "it belongs to a plan"),
    (Section::Scheduler, &["name", "web-url"], "it belongs to the root"),
    (
        Section::Pod,
        &[
            "cmd",
            "configs",
            "cpus",
            "discovery",
            "env",
            "essential",
            "goal",
            "gpus",
            "health-check",
            "kill-grace-period",
            "labels",
            "memory",
            "ports",
            "readiness-check",
            "resource-limits",
            "resource-set",
            "transport-encryption",
        ],
        OF_TASK,
    ),
    (
        Section::Task,
        &[
            "allow-decommission",
            "container",
            "count",
            "external-volumes",
            "host-volumes",
            "image",
            "networks",
            "placement",
            "pre-reserved-role",
            "resource-sets",
            "rlimits",
            "seccomp-profile-name",
            "seccomp-unconfined",
            "secrets",
            "share-pid-namespace",
        ],
        OF_POD,
    ),
    (Section::Task, &["user"], "every task runs as the user of the service, scheduler.user"),
    (Section::Task, &["pod", "steps"], "it belongs to a phase of a plan"),
    (Section::Limits, &["gpus", "disk", "ports"], LIMITS),
    (Section::ReadinessCheck, &["grace-period", "max-consecutive-failures"], OF_HEALTH),
    (Section::Port, &["protocol"], TCP),
    (Section::Plan, &["steps", "pod"], OF_PHASE),
    (Section::Phase, &["tasks"], "the tasks of a phase stand in its steps"),
    (Section::Phase, &["phases"], "it belongs to a plan"),
];

/// What to do about a key that has its place elsewhere.
pub(crate) fn hint(section: Section, found: &str) -> Option<&'static str> {
    let found = found.to_ascii_lowercase().replace('_', "-");
    let mut rows = MISPLACED.iter().filter(|(of, ..)| *of == section);
    rows.find(|(_, keys, _)| keys.contains(&found.as_str())).map(|(.., hint)| *hint)
}

/// Keys that authors write although they never existed, with the one meant.
const KNOWN_MISTAKES: &[(&str, &str)] = &[
    ("mem", "memory"),
    ("cpu", "cpus"),
    ("gpu", "gpus"),
    ("disk", "volume"),
    ("instances", "count"),
    ("command", "cmd"),
    ("environment", "env"),
    ("constraints", "placement"),
    ("user-name", "user"),
    ("framework-name", "name"),
    ("webui-url", "web-url"),
    ("config", "configs"),
    ("destination", "dest"),
    ("grace-period-seconds", "grace-period"),
    ("kill-grace-period-seconds", "kill-grace-period"),
    ("image", "image-name"),
    ("env", "env-key"),
    ("network", "networks"),
    ("mode", "volume-mode"),
    ("resource", "resource-set"),
    ("uri", "uris"),
];

/// The candidate closest to `found`, when one is close enough to be meant.
pub(crate) fn key<'c>(found: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let found = found.to_ascii_lowercase().replace('_', "-");
    let mistake = KNOWN_MISTAKES.iter().find(|(wrong, _)| *wrong == found);
    if let Some(name) = mistake.and_then(|(_, right)| candidates.iter().find(|name| *name == right)) {
        return Some(name);
    }
    let allowed = match found.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    let distances = candidates.iter().map(|name| (distance(&found, &name.to_ascii_lowercase()), *name));
    distances.filter(|(distance, _)| *distance <= allowed).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Edits between two texts: insert, delete, replace, swap of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    #[test]
    fn near_misses_are_found_and_far_ones_not() {
        let keys = ["cpus", "memory", "ports", "cmd", "volume", "volumes", "goal"];
        for (found, meant) in [
            ("cpu", Some("cpus")),
            ("memmory", Some("memory")),
            ("mem", Some("memory")),
            ("prots", Some("ports")),
            ("command", Some("cmd")),
            ("Goal", Some("goal")),
            ("volumess", Some("volumes")),
            ("banana", None),
            ("x", None),
        ] {
            assert_eq!(super::key(found, &keys), meant, "{found}");
        }
    }
}
