#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::super::Tree;
use super::*;

/// A server's rules for one request: all of it or nothing, and every operation must fit what is there.
fn serve(nodes: &mut BTreeMap<String, Bytes>, request: &Request) {
    for (path, op) in &request.ops {
        match op {
            Op::Create(data) => {
                let parent = path.rsplit_once('/').map(|(parent, _)| parent);
                assert!(parent.is_none_or(|parent| nodes.contains_key(parent)), "{path} has no parent");
                assert!(nodes.insert(path.clone(), data.clone()).is_none(), "{path} exists");
            }
            Op::Set(data) => assert!(nodes.insert(path.clone(), data.clone()).is_some(), "{path} is missing"),
            Op::Remove => {
                let below = format!("{path}/");
                assert!(!nodes.keys().any(|other| other.starts_with(&below)), "{path} has children");
                assert!(nodes.remove(path).is_some(), "{path} is missing");
            }
        }
    }
}

fn known(paths: &[&str]) -> BTreeSet<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

fn transaction(puts: &[(&str, usize)], deletes: &[&str]) -> Transaction {
    let mut transaction = Transaction::default();
    for path in deletes {
        transaction.delete(*path);
    }
    for (path, bytes) in puts {
        transaction.put(*path, vec![b'x'; *bytes]);
    }
    transaction
}

/// Paths per request; a removal begins with `-`, a creation with `+`.
fn shown(requests: &[Request]) -> Vec<Vec<String>> {
    let show = |(path, op): &(String, Op)| match op {
        Op::Create(_) => format!("+{path}"),
        Op::Set(_) => path.clone(),
        Op::Remove => format!("-{path}"),
    };
    requests.iter().map(|request| request.ops.iter().map(show).collect()).collect()
}

#[track_caller]
fn check(transaction: &Transaction, nodes: &[&str], expected: &[&[&str]]) {
    assert_eq!(shown(&plan(transaction, &known(nodes), 20).unwrap()), expected);
}

#[test]
fn missing_parents_are_made_in_the_same_request() {
    check(
        &transaction(&[("Tasks/a/TaskInfo", 1), ("Tasks/a/TaskStatus", 1), ("FrameworkID", 1)], &[]),
        &["FrameworkID"],
        &[&["FrameworkID", "+Tasks", "+Tasks/a", "+Tasks/a/TaskInfo", "+Tasks/a/TaskStatus"]],
    );
}

#[test]
fn a_deleted_node_takes_everything_below_it_children_first() {
    check(
        &transaction(&[], &["Tasks/a", "Tasks/missing"]),
        &["Tasks", "Tasks/a", "Tasks/a/Metadata", "Tasks/a/Metadata/x", "Tasks/a-b", "Tasks/a/TaskInfo"],
        &[&["-Tasks/a/TaskInfo", "-Tasks/a/Metadata/x", "-Tasks/a/Metadata", "-Tasks/a"]],
    );
}

#[test]
fn a_put_below_a_deleted_node_keeps_its_parents_without_data() {
    check(
        &transaction(&[("Tasks/a/TaskInfo", 1)], &["Tasks"]),
        &["Tasks", "Tasks/a", "Tasks/a/TaskInfo", "Tasks/a/TaskStatus", "Tasks/b"],
        &[&["Tasks", "-Tasks/a/TaskStatus", "Tasks/a", "Tasks/a/TaskInfo", "-Tasks/b"]],
    );
}

#[test]
fn a_new_configuration_is_stored_before_the_target_and_an_old_one_removed_after_it() {
    check(
        &transaction(
            &[("ConfigTarget", 36), ("Configurations/new", 999_500), ("Properties/x", 20_000)],
            &["Configurations/old"],
        ),
        &["ConfigTarget", "Configurations", "Configurations/old"],
        &[&["+Configurations/new"], &["ConfigTarget", "+Properties", "+Properties/x", "-Configurations/old"]],
    );
}

#[test]
fn a_wiped_tree_keeps_the_uninstall_flag_until_the_end() {
    let nodes = [
        "ConfigTarget",
        "Configurations",
        "Configurations/x",
        "FrameworkID",
        "Properties",
        "Properties/suppressed",
        "Properties/uninstalling",
        "SchemaVersion",
        "Tasks",
        "Tasks/a",
        "servicename",
        "Services",
        "Services/s",
        "Services/s/Tasks",
        "Services/s/Tasks/a",
        "Services/s/Configurations",
        "Services/s/Configurations/c",
    ];
    let wiped =
        ["ConfigTarget", "Configurations", "FrameworkID", "Properties", "SchemaVersion", "Tasks", "servicename"];
    check(
        &transaction(&[], &wiped),
        &nodes[..11],
        &[&[
            "-Tasks/a",
            "-Tasks",
            "-ConfigTarget",
            "-Configurations/x",
            "-Configurations",
            "-servicename",
            "-SchemaVersion",
            "-FrameworkID",
            "-Properties/suppressed",
            "-Properties/uninstalling",
            "-Properties",
        ]],
    );
    check(
        &transaction(&[], &["Services"]),
        &nodes,
        &[&[
            "-Services/s/Tasks/a",
            "-Services/s/Tasks",
            "-Services/s/Configurations/c",
            "-Services/s/Configurations",
            "-Services/s",
            "-Services",
        ]],
    );
}

#[test]
fn requests_stay_below_the_limit_and_a_launch_stays_whole() {
    let mut launches = Transaction::default();
    for task in 0..40 {
        launches.put(format!("Tasks/t{task:02}/TaskInfo"), vec![0; 90_000]);
        launches.put(format!("Tasks/t{task:02}/TaskStatus"), vec![0; 9_000]);
    }
    let requests = plan(&launches, &BTreeSet::new(), 40).unwrap();
    assert_eq!(requests.len(), 4);
    let mut nodes = BTreeMap::new();
    for request in &requests {
        let bytes: usize = request
            .ops
            .iter()
            .map(|(path, op)| 41 + path.len() + 60 + if let Op::Create(data) = op { data.len() } else { 0 })
            .sum();
        assert!(bytes < 1_000_000, "{bytes}");
        serve(&mut nodes, request);
        for task in 0..40 {
            let has = |node: &str| nodes.contains_key(&format!("Tasks/t{task:02}/{node}"));
            assert_eq!(has("TaskInfo"), has("TaskStatus"));
        }
    }
}

#[test]
fn many_removes_are_split() {
    let nodes: Vec<String> =
        (0..30_000).map(|number| format!("Services/s/{number:05}/with-a-rather-long-name")).collect();
    let mut known: BTreeSet<String> = nodes.iter().cloned().collect();
    for node in &nodes {
        known.extend(node.match_indices('/').map(|(slash, _)| node[..slash].to_owned()));
    }
    let requests = plan(&transaction(&[], &["Services"]), &known, 40).unwrap();
    assert!(requests.len() > 5, "{}", requests.len());
    let mut served: BTreeMap<String, Bytes> = known.into_iter().map(|node| (node, Bytes::new())).collect();
    for request in requests {
        for (path, op) in request.ops {
            // The served model looks at every node per remove; here the order alone is checked.
            assert_eq!(op, Op::Remove);
            assert!(served.remove(&path).is_some());
            let next = served.range(format!("{path}/")..).next();
            assert!(next.is_none_or(|(other, _)| !other.starts_with(&format!("{path}/"))), "{path}");
        }
    }
    assert!(served.is_empty());
}

#[test]
fn what_cannot_be_stored_is_refused_before_anything_is_written() {
    let too_large = |puts| {
        let transaction = transaction(puts, &[]);
        match validate(&transaction).and_then(|()| plan(&transaction, &BTreeSet::new(), 40).map(drop)) {
            Err(CommitError::TooLarge { path, .. }) => Some(path),
            other => {
                other.unwrap();
                None
            }
        }
    };
    assert_eq!(too_large(&[("Properties/x", 1_000_000)]), None);
    assert_eq!(too_large(&[("Properties/x", 1_000_001)]).as_deref(), Some("Properties/x"));
    assert_eq!(
        too_large(&[("Tasks/a/TaskInfo", 900_000), ("Tasks/a/TaskStatus", 200_000)]).as_deref(),
        Some("Tasks/a")
    );
    for path in ["", "/a", "a/", "a//b", "a/../b", ".", "lock", "lock/leases", "a\0b"] {
        let mut transaction = Transaction::default();
        transaction.put(path, "x");
        assert!(matches!(validate(&transaction), Err(CommitError::Path { .. })), "{path:?}");
    }
    let mut transaction = Transaction::default();
    transaction.put("locks", "x");
    transaction.put("a/lock", "x");
    validate(&transaction).unwrap();
}

fn path() -> impl Strategy<Value = String> {
    let part =
        prop::sample::select(vec!["a", "a-b", "Tasks", "Configurations", "Properties", "Services", "uninstalling"]);
    prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
}

fn any_transaction() -> impl Strategy<Value = Transaction> {
    let write = prop_oneof![
        3 => prop_oneof![Just(1_usize), Just(300_000), Just(700_000)].prop_map(Some),
        2 => Just(None),
    ];
    prop::collection::vec((path(), write), 0..8).prop_map(|writes| {
        let mut transaction = Transaction::default();
        for (path, write) in writes {
            match write {
                Some(bytes) => transaction.put(path, vec![b'x'; bytes]),
                None => transaction.delete(path),
            }
        }
        transaction
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_transactions_leaves_what_it_says(transactions in prop::collection::vec(any_transaction(), 1..5)) {
        let (mut nodes, mut expected) = (BTreeMap::new(), Tree::new());
        for transaction in transactions {
            let known: BTreeSet<String> = nodes.keys().cloned().collect();
            let Ok(requests) = plan(&transaction, &known, 30) else { continue };
            for request in &requests {
                let bytes: usize = request.ops.iter().map(|(_, op)| match op {
                    Op::Create(data) | Op::Set(data) => data.len(),
                    Op::Remove => 0,
                }).sum();
                prop_assert!(bytes < REQUEST);
                serve(&mut nodes, request);
            }
            transaction.apply_to(&mut expected);
            let stored: Tree = nodes.clone().into_iter().filter(|(_, data)| !data.is_empty()).collect();
            prop_assert_eq!(&stored, &expected);
        }
    }
}
