//! `TASKCFG_*`: variables of the scheduler that become variables of tasks.

use std::collections::BTreeMap;

/// Merges the routed variables into the environment of a task; they win over what the author wrote.
///
/// `TASKCFG_ALL_<KEY>` reaches every task, `TASKCFG_<POD>_<KEY>` the tasks of a pod, and the latter wins.
/// With pods `data` and `data-store`, `TASKCFG_DATA_STORE_X` reaches both, as `STORE_X` and as `X`.
pub(super) fn route(env: &mut BTreeMap<String, String>, pod_type: &str, variables: &BTreeMap<String, String>) {
    for prefix in ["TASKCFG_ALL_".to_owned(), format!("TASKCFG_{}_", env_name(pod_type))] {
        for (name, value) in variables.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix)) {
            let key = &name[prefix.len()..];
            if !key.is_empty() {
                env.insert(key.to_owned(), value.clone());
            }
        }
    }
}

/// A pod type as it stands in names of variables: upper case, other characters as underscores.
fn env_name(pod_type: &str) -> String {
    let character = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_uppercase() } else { '_' };
    pod_type.chars().map(character).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    #[track_caller]
    fn check(pod_type: &str, variables: &[(&str, &str)], expected: &[(&str, &str)]) {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let mut env = map(&[("MINE", "yaml")]);
        super::route(&mut env, pod_type, &map(variables));
        let mut expected = map(expected);
        expected.entry("MINE".to_owned()).or_insert_with(|| "yaml".to_owned());
        assert_eq!(env, expected);
    }

    #[test]
    fn variables_are_routed_by_prefix() {
        check(
            "hello",
            &[("TASKCFG_ALL_A", "1"), ("TASKCFG_HELLO_B", "2"), ("TASKCFG_WORLD_C", "3")],
            &[("A", "1"), ("B", "2")],
        );
        check("hello", &[("TASKCFG_ALL_MINE", "routed")], &[("MINE", "routed")]);
        check("hello", &[("TASKCFG_ALL_lower_Case", "1")], &[("lower_Case", "1")]);
        check("hello", &[("TASKCFG_ALL_", "1"), ("TASKCFG_HELLO", "1"), ("OTHER", "1")], &[]);
        // A pod that sorts before ALL wins as well.
        check("agent", &[("TASKCFG_ALL_A", "all"), ("TASKCFG_AGENT_A", "pod")], &[("A", "pod")]);
        check("data-store", &[("TASKCFG_DATA_STORE_X", "1")], &[("X", "1")]);
        check("data", &[("TASKCFG_DATA_STORE_X", "1")], &[("STORE_X", "1")]);
    }
}
