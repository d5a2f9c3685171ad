//! Resource limits of tasks on a real Mesos: with the isolators for them and without.
//!
//! The isolators want root and cgroups of the first version.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use mainstay_tests::cgroup::Cgroups;
use mainstay_tests::mesos::{AgentOptions, MesosCluster, Options};
use mainstay_tests::scheduler::{self, SchedulerUnderTest};
use mainstay_tests::wait::{wait_for, wait_until};

const DEADLINE: Duration = Duration::from_secs(60);
const HIERARCHIES: [&str; 4] = ["freezer", "memory", "cpu", "cpuacct"];
/// What the kernel says of a group without a limit of memory.
const NO_LIMIT: u64 = 1 << 62;

/// The server uses more than it reserves, and once, when it is told to, more than its limit. The others come later.
const LIMITS: &str = r"
name: limits
pods:
  node:
    count: 1
    tasks:
      server:
        goal: RUNNING
        cmd: |
          dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null && echo $MESOS_TASK_ID >> FOLDER/used
          until [ -e FOLDER/grow ]; do sleep 0.1; done
          mv FOLDER/grow FOLDER/grown
          dd if=/dev/zero of=/dev/null bs=256M count=1 2>/dev/null || exit 7
          exec sleep 1000
        cpus: 0.1
        memory: 32
        essential: false
        resource-limits: {cpus: 0.5, memory: 128}
      calm:
        goal: RUNNING
        cmd: exec sleep 1000
        cpus: 0.1
        memory: 32
      burst:
        goal: RUNNING
        cmd: exec sleep 1000
        cpus: 0.1
        memory: 32
        resource-limits: {cpus: unlimited, memory: unlimited}
plans:
  deploy:
    phases:
      node:
        pod: node
        steps:
          - default: [[server, calm], [burst]]
";

async fn start_mesos(environment: &[(&str, &str)]) -> MesosCluster {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    // Port 80 is for the sample.
    let resources = Some("cpus:4;mem:4096;disk:10000;ports:[80-80]".to_owned());
    let agent = AgentOptions { environment, resources, ..AgentOptions::default() };
    MesosCluster::start(Options { agents: vec![agent], ..Options::default() }).await.unwrap()
}

fn options(mesos: &MesosCluster, folder: &Path, spec: &str) -> scheduler::Options {
    let file = folder.join("svc.yml");
    fs::write(&file, spec.replace("FOLDER", &folder.to_string_lossy())).unwrap();
    scheduler::Options {
        spec: file,
        mesos_master: mesos.master_url(),
        state_store: format!("file:{}", folder.join("state").display()),
        environment: BTreeMap::new(),
    }
}

/// The groups of the containers of the only agent.
struct Groups(Cgroups);

impl Groups {
    fn new(name: &str) -> Self {
        Self(Cgroups::new(name, &HIERARCHIES))
    }

    async fn start_mesos(&self) -> MesosCluster {
        start_mesos(&[
            ("MESOS_LAUNCHER", "linux"),
            ("MESOS_ISOLATION", "filesystem/linux,cgroups/cpu,cgroups/mem"),
            ("MESOS_CGROUPS_ENABLE_CFS", "true"),
            ("MESOS_CGROUPS_ROOT", self.0.root()),
        ])
        .await
    }

    /// The number in a file of the only container, or of a task's group in any; `None` when there is no such group.
    #[track_caller]
    fn number(&self, hierarchy: &str, task: Option<&str>, file: &str) -> Option<i64> {
        let containers = self.0.containers(hierarchy);
        let of_container = || match containers.as_slice() {
            [container] => container.clone(),
            other => panic!("one container: {other:?}"),
        };
        let group = match task {
            None => of_container(),
            Some(task) => {
                let mut groups = containers.iter().map(|container| container.join(format!("mainstay-{task}")));
                groups.find(|group| group.exists())?
            }
        };
        let text = fs::read_to_string(group.join(format!("{hierarchy}.{file}"))).ok()?;
        Some(text.trim().parse().unwrap())
    }

    fn memory_mb(&self, task: Option<&str>) -> Option<i64> {
        let bytes = self.number("memory", task, "limit_in_bytes")?;
        Some(if bytes.unsigned_abs() > NO_LIMIT { -1 } else { bytes >> 20 })
    }

    /// In thousandths.
    fn cpus(&self, task: Option<&str>) -> Option<i64> {
        let quota = self.number("cpu", task, "cfs_quota_us")?;
        Some(if quota < 0 { -1 } else { quota / 100 })
    }
}

fn lines(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_limit_lets_a_task_use_more_than_it_reserves_and_ends_it_alone_above() {
    let groups = Groups::new("limits");
    let folder = tempfile::tempdir().unwrap();
    let mesos = groups.start_mesos().await;
    let scheduler = SchedulerUnderTest::start(&options(&mesos, folder.path(), LIMITS)).await.unwrap();
    scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    let ids = scheduler.task_ids().await.unwrap();
    let id = |name: &str| ids[&format!("node-0-{name}")].clone();
    let (server, calm, burst) = (id("server"), id("calm"), id("burst"));

    let used = folder.path().join("used");
    wait_until("the server has used more than it reserves", DEADLINE, async || Ok(lines(&used) == [server.clone()]))
        .await
        .unwrap();
    assert_eq!((groups.memory_mb(Some(&server)), groups.cpus(Some(&server))), (Some(128), Some(500)));
    assert_eq!((groups.memory_mb(Some(&calm)), groups.cpus(Some(&calm))), (Some(32), Some(-1)));
    // The second step's, which joined the running executor.
    assert_eq!((groups.memory_mb(Some(&burst)), groups.cpus(Some(&burst))), (None, Some(-1)));
    assert_eq!((groups.memory_mb(None), groups.cpus(None)), (Some(-1), Some(-1)), "one unlimited task lifts the pod's");
    let weights = [&server, &calm, &burst].map(|task| groups.number("cpu", Some(task), "shares").unwrap());
    assert_eq!(weights, [102; 3], "a tenth of a cpu each");

    fs::write(folder.path().join("grow"), "").unwrap();
    let back = scheduler.wait_relaunched("node-0-server", &server, DEADLINE).await.unwrap();
    wait_until("the server is back", DEADLINE, async || Ok(lines(&used) == [server.clone(), back.clone()]))
        .await
        .unwrap();
    scheduler.wait_plan_complete("recovery", DEADLINE).await.unwrap();
    let now = scheduler.task_ids().await.unwrap();
    assert_eq!((&now["node-0-calm"], &now["node-0-burst"]), (&calm, &burst), "the others went on");
    assert_eq!((groups.memory_mb(Some(&back)), groups.cpus(Some(&back))), (Some(128), Some(500)));
    assert_eq!(groups.memory_mb(Some(&server)), None, "the group of the ended launch is gone");
    let log = fs::read_to_string(scheduler.log_path()).unwrap();
    assert!(log.contains("CONTAINER_LIMITATION_MEMORY") && log.contains("out of memory"), "{log}");

    let launched = mesos.launched().await.unwrap();
    assert_eq!(launched["node-0-server"].len(), 2, "{launched:?}");
    drop((scheduler, mesos));
}

#[tokio::test]
async fn the_sample_of_limits_runs_and_a_changed_limit_is_rolled_out() {
    let groups = Groups::new("sample");
    let folder = tempfile::tempdir().unwrap();
    let mesos = groups.start_mesos().await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../svc-specs/hello-world/limits.yml");
    let sample = fs::read_to_string(file).unwrap();
    // Limits of processes above the agent's own need a capability that tests may not have; they have tests of their own.
    let (head, tail) = sample.split_once("    rlimits:\n").unwrap();
    let sample = format!("{head}    resource-sets:\n{}", tail.split_once("    resource-sets:\n").unwrap().1);
    let with =
        |spec: &str| options(&mesos, folder.path(), spec).env("FRAMEWORK_NAME", "limits").env("SLEEP_DURATION", "1000");
    let mut scheduler = SchedulerUnderTest::start(&with(&sample)).await.unwrap();
    scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    let old = scheduler.task_ids().await.unwrap();
    let seen = |ids: &BTreeMap<String, String>| {
        ["hello-0-server", "hello-0-burst", "hello-0-helper"]
            .map(|name| (groups.memory_mb(Some(&ids[name])), groups.cpus(Some(&ids[name]))))
    };
    assert_eq!(seen(&old), [(Some(64), Some(1500)), (None, Some(-1)), (Some(64), Some(-1))]);

    let changed = sample.replace("cpus: 1.5", "cpus: 2.5");
    assert_ne!(changed, sample);
    scheduler.restart_with(&with(&changed)).await.unwrap();
    scheduler.wait_relaunched("hello-0-server", &old["hello-0-server"], DEADLINE).await.unwrap();
    scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    let new = scheduler.task_ids().await.unwrap();
    assert_eq!(seen(&new)[0], (Some(64), Some(2500)));
    drop((scheduler, mesos));
}

#[tokio::test]
async fn an_agent_without_the_isolators_is_told_and_not_asked_all_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut mesos = start_mesos(&[]).await;
    let mut scheduler = SchedulerUnderTest::start(&options(&mesos, folder.path(), LIMITS)).await.unwrap();
    let words = "TASK_DROPPED: CPU limits can only be set on tasks launched in Mesos containers when the agent has loaded the \
                 'cgroups/cpu' isolator";
    let explained = async |scheduler: &SchedulerUnderTest, start: &str| {
        wait_for("the reason in the explanation", DEADLINE, async || {
            let steps = scheduler.get_json("/v1/placement").await?;
            let texts = steps.as_array().into_iter().flatten().filter_map(|step| step["text"].as_str());
            Ok(texts.map(str::to_owned).find(|text| text.contains(start) && text.contains(words)))
        })
        .await
        .unwrap()
    };
    explained(&scheduler, "held back after failures until").await;
    let log = fs::read_to_string(scheduler.log_path()).unwrap();
    assert!(log.contains(words.trim_start_matches("TASK_DROPPED: ")) && log.contains("GC_ERROR"), "{log}");

    // Then it waits for its reservation, of which the master keeps what the executor has that never started: no launch follows.
    let text = explained(&scheduler, "its last launch was").await;
    assert!(text.contains("is not in the offer"), "{text}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let launched = mesos.launched().await.unwrap();
    assert_eq!(launched["node-0-server"].len(), 1, "{launched:?}");

    // An agent that registers anew gives it back; without limits the tasks run there.
    let without: String =
        LIMITS.lines().filter(|line| !line.contains("resource-limits")).flat_map(|line| [line, "\n"]).collect();
    scheduler.restart_with(&options(&mesos, folder.path(), &without)).await.unwrap();
    mesos.restart_agent(0).await.unwrap();
    scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    drop((scheduler, mesos));
}
