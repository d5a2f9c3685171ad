//! What the scripts of shipped specifications decide, tried with stand-ins for the tools they ask.
//!
//! Not whether they are valid shell: that is `shipped.rs`.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use tempfile::TempDir;

/// The folder of a task with its `environment.sh`.
struct Task {
    folder: TempDir,
    env: BTreeMap<String, String>,
}

impl Task {
    fn new(service: &str, env: &[(&str, &str)]) -> Self {
        let env: BTreeMap<_, _> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../svc-specs").join(service);
        let template = fs::read_to_string(path.join("environment.sh.mustache")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let script = mainstay_template::render_config(&template, &env).unwrap();
        fs::write(folder.path().join("environment.sh"), script).unwrap();
        Self { folder, env }
    }

    /// Runs a script after `environment.sh`; its output, and what it said when it failed.
    fn run(&self, script: &str) -> Result<String, String> {
        let output = Command::new("sh")
            .args(["-ec", &format!(". ./environment.sh\n{script}")])
            .current_dir(self.folder.path())
            .envs(&self.env)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

#[test]
fn zookeeper_lists_its_servers() {
    let task = |count| {
        let ports = [("ZOOKEEPER_PEER_PORT", "2888"), ("ZOOKEEPER_ELECTION_PORT", "3888")];
        let names = [("ZOOKEEPER_COUNT", count), ("FRAMEWORK_HOST", "zk.test")];
        Task::new("zookeeper", &[names, ports].concat()).run("server_list").unwrap()
    };
    assert_eq!(task("1"), "server.1=127.0.0.1:2888:3888");
    let two = "server.1=zookeeper-0-server.zk.test:2888:3888\nserver.2=zookeeper-1-server.zk.test:2888:3888";
    assert_eq!(task("2"), two);
}

fn cassandra() -> Task {
    Task::new(
        "cassandra",
        &[
            ("FRAMEWORK_HOST", "c"),
            ("NODE_COUNT", "4"),
            ("NODE_SEEDS", "2"),
            ("CASSANDRA_STORAGE_PORT", "7000"),
            ("CASSANDRA_DATA_CENTER", "dc1"),
        ],
    )
}

/// A seed joins without data: who lists itself, and when, is what keeps data from being missed.
#[test]
fn a_cassandra_node_is_its_own_seed_only_with_its_data_or_as_the_first_of_all() {
    let seeds = |index: u32, running: &str, has_data: bool, remote: &str| {
        let task = cassandra();
        if has_data {
            fs::create_dir(task.folder.path().join("cassandra-data")).unwrap();
            fs::write(task.folder.path().join("cassandra-data/joined"), "").unwrap();
        }
        let script = format!(
            "POD_INSTANCE_INDEX={index}\nCASSANDRA_REMOTE_SEEDS={remote}\n\
             answers() {{ case ' {running} ' in *\" $1 \"*) return 0 ;; esac; return 1; }}\n\
             choose_seeds\necho \"$seeds $ring_answers\""
        );
        task.run(&script).unwrap().replace("-server.c", "")
    };
    let (first, second) = ("node-0-server.c", "node-1-server.c");
    // The first deployment: only the first node founds the ring.
    assert_eq!(seeds(0, "", false, ""), "node-1,node-0 false");
    assert_eq!(seeds(1, first, false, ""), "node-0 true");
    assert_eq!(seeds(1, "", false, ""), "node-0 false");
    assert_eq!(seeds(3, first, false, ""), "node-0,node-1 true");
    // A replaced first node finds the ring and joins it.
    assert_eq!(seeds(0, second, false, ""), "node-1 true");
    // After a power failure any seed with its data may be the first to come back.
    assert_eq!(seeds(1, "", true, ""), "node-0,node-1 false");
    assert_eq!(seeds(3, "", true, ""), "node-0,node-1 false");
    assert_eq!(seeds(0, "", false, "far"), "far,node-1,node-0 false");
}

#[test]
fn a_cassandra_node_takes_over_the_one_address_that_is_lost() {
    let lost = |index: u32, known: &[&str]| {
        let peers = known.join("\\n ");
        // Node 0 does not answer; node 3 is new or was never there.
        let script = format!(
            "POD_INSTANCE_INDEX={index}\n\
             getent() {{ case $2 in node-[012]-*) echo \"10.0.0.$(echo \"$2\" | cut -c 6) STREAM x\" ;; *) return 2 ;; esac; }}\n\
             cql() {{ test \"$1\" != node-0-server.c || return 1; printf ' peer | data_center\\n---+---\\n {peers}\\n\\n(9 rows)\\n'; }}\n\
             lost_address"
        );
        cassandra().run(&script)
    };
    let both = ["10.0.0.0 | dc1", "10.0.0.1 | dc1", "10.0.0.2 | dc1", "10.7.7.7 | dc2"];
    assert_eq!(lost(3, &both), Ok(String::new()));
    assert_eq!(lost(1, &["10.0.0.0 | dc1", "10.0.0.2 | dc1", "10.0.0.9 | dc1"]), Ok("10.0.0.9".to_owned()));
    // Replaced on the same agent, it has the address that the others miss.
    assert_eq!(lost(1, &["10.0.0.1 | dc1", "10.0.0.0 | dc1"]), Ok("10.0.0.1".to_owned()));
    let error = lost(1, &["10.0.0.8 | dc1", "10.0.0.9 | dc1"]).unwrap_err();
    assert!(error.contains("10.0.0.8 10.0.0.9"), "{error}");
}

#[test]
fn an_empty_hdfs_journal_becomes_one_of_the_name_space_that_is_there() {
    let task = Task::new("hdfs", &[("NAMESERVICE", "files"), ("JAVA_HOME", "/java")]);
    let version = task.folder.path().join("journal-data/edits/files/current/VERSION");
    // The first deployment: there is no name node, and nothing is written.
    assert_eq!(task.run("fetch_version() { return 1; }\nadopt_journal"), Ok(String::new()));
    assert!(!version.exists());
    let fetch = "fetch_version() { test \"$1\" = 1 || return 1\n\
                 printf 'namespaceID=7\\nblockpoolID=B\\nstorageType=NAME_NODE\\ncTime=0\\nclusterID=C\\nlayoutVersion=-66\\n'; }\n";
    let told = task.run(&format!("{fetch}adopt_journal")).unwrap();
    assert_eq!(told, "is a journal of the name space of name node 1");
    let expected = "namespaceID=7\ncTime=0\nclusterID=C\nlayoutVersion=-66\nstorageType=JOURNAL_NODE\n";
    assert_eq!(fs::read_to_string(&version).unwrap(), expected);
    // A journal that has its data never asks again.
    fs::write(&version, "mine").unwrap();
    assert_eq!(task.run(&format!("{fetch}adopt_journal")), Ok(String::new()));
    assert_eq!(fs::read_to_string(&version).unwrap(), "mine");
}
