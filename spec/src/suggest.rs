//! Near misses: what the author most likely meant.

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
