//! What a pod's container is made of, on a real Mesos: limits of processes, mounts of the agent's folders, shared memory, images, networks of
//! its own, volumes of an external driver.
//!
//! Most of it needs root and a freezer cgroup of the first version. Secrets need more of an agent than these have.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mainstay_tests::cgroup::Cgroups;
use mainstay_tests::mesos::{AgentOptions, MesosCluster, Options};
use mainstay_tests::process::binary;
use mainstay_tests::scheduler::{self, SchedulerUnderTest};
use mainstay_tests::wait::{wait_for, wait_until};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);

/// A cluster of one agent with these flags, and a scheduler of this specification; the state is in memory.
async fn start(folder: &Path, environment: &[(&str, &str)], spec: &str) -> (MesosCluster, SchedulerUnderTest) {
    start_at(None, folder, environment, spec).await
}

async fn start_at(
    address: Option<Ipv4Addr>,
    folder: &Path,
    environment: &[(&str, &str)],
    spec: &str,
) -> (MesosCluster, SchedulerUnderTest) {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let agent = AgentOptions { address, environment, ..AgentOptions::default() };
    let mesos = MesosCluster::start(Options { agents: vec![agent], ..Options::default() }).await.unwrap();
    let file = folder.join("svc.yml");
    fs::write(&file, spec.replace("FOLDER", &folder.to_string_lossy())).unwrap();
    let options = scheduler::Options {
        spec: file,
        mesos_master: mesos.master_url(),
        state_store: "memory:".into(),
        environment: BTreeMap::new(),
    };
    let scheduler = SchedulerUnderTest::start(&options).await.unwrap();
    (mesos, scheduler)
}

/// Runs a program that has to succeed.
#[track_caller]
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The flags of an agent that keeps its containers in these groups.
fn flags<'a>(cgroups: &'a Cgroups, isolation: &'static str) -> Vec<(&'static str, &'a str)> {
    vec![("MESOS_LAUNCHER", "linux"), ("MESOS_ISOLATION", isolation), ("MESOS_CGROUPS_ROOT", cgroups.root())]
}

/// What the task has written when it is done.
async fn written(file: &Path) -> String {
    let done = async || Ok(fs::read_to_string(file).ok().filter(|text| text.ends_with("end\n")));
    wait_for("what the task has to say", DEADLINE, done).await.unwrap()
}

const LIMITS: &str = r"
name: limits
pods:
  node:
    count: 1
    rlimits:
      RLIMIT_NOFILE: {soft: 321, hard: 654}
      RLIMIT_CORE: {soft: 0, hard: 0}
      RLIMIT_CPU: {soft: 777, hard: 888}
    tasks:
      server:
        goal: RUNNING
        cmd: |
          { ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -St; grep 'open files' /proc/$PPID/limits; echo end; } > FOLDER/out
          exec sleep 1000
        cpus: 0.1
        memory: 32
";

/// The soft and hard limit of open files that the executor has itself.
fn of_executor(text: &str) -> Vec<&str> {
    let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().skip(3).take(2).collect()
}

#[tokio::test]
async fn limits_of_processes_hold_with_and_without_the_isolator() {
    for isolation in ["posix/cpu,posix/mem,filesystem/posix", "posix/cpu,posix/mem,filesystem/posix,posix/rlimits"] {
        let folder = tempfile::tempdir().unwrap();
        let (_mesos, _scheduler) = start(folder.path(), &[("MESOS_ISOLATION", isolation)], LIMITS).await;
        let text = written(&folder.path().join("out")).await;
        assert!(text.starts_with("321\n654\n0\n777\n"), "{isolation}: {text}");
        assert_eq!(of_executor(&text) == ["321", "654"], isolation.contains("rlimits"), "{isolation}: {text}");
    }
}

const MOUNTS: &str = r"
name: mounts
pods:
  node:
    count: 1
    host-volumes:
      writable: {host-path: FOLDER/writable, container-path: deep/writable}
      fixed: {host-path: FOLDER/fixed, container-path: fixed, mode: RO}
    ipc-mode: PRIVATE
    shm-size: 8
    tasks:
      server:
        goal: RUNNING
        cmd: |
          { cat fixed/file; touch fixed/new || echo refused; df -m /dev/shm | tail -1; echo end; } > deep/writable/out 2>&1
          exec sleep 1000
        cpus: 0.1
        memory: 32
";

#[tokio::test]
async fn an_agent_that_cannot_mount_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (mesos, scheduler) = start(folder.path(), &[], MOUNTS).await;
    mesos.wait_task("node-0-server", "TASK_FAILED", DEADLINE).await.unwrap();
    let log = wait_for("the reason in the log", DEADLINE, async || {
        let log = fs::read_to_string(scheduler.log_path())?;
        Ok(log.contains("TASK_FAILED").then_some(log))
    });
    let log = log.await.unwrap();
    assert!(log.contains("Volumes in ContainerInfo is not supported"), "{log}");
}

#[tokio::test]
async fn folders_of_the_agent_are_seen_below_the_folder_of_the_task() {
    let cgroups = Cgroups::new("mounts", &["freezer"]);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("writable")).unwrap();
    fs::create_dir(root.join("fixed")).unwrap();
    fs::write(root.join("fixed/file"), "of the agent\n").unwrap();
    let _running = start(root, &flags(&cgroups, "filesystem/linux,namespaces/ipc"), MOUNTS).await;
    let text = written(&root.join("writable/out")).await;

    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.first(), Some(&"of the agent"), "{text}");
    assert!(lines[1].contains("Read-only file system") && lines[2] == "refused", "{text}");
    assert!(lines[3].starts_with("tmpfs") && lines[3].split_whitespace().nth(1) == Some("8"), "{text}");
    assert!(!root.join("fixed/new").exists());
}

/// A file system of an image: a shell, and what a dynamic executor is linked with. It knows no users, as many small images.
fn fill_layer(layer: &Path) {
    for folder in ["bin", "etc", "tmp", "proc", "sys", "dev"] {
        fs::create_dir_all(layer.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", layer.join("bin/busybox")).unwrap();
    for name in ["sh", "cat", "echo", "sleep", "test", "ls"] {
        std::os::unix::fs::symlink("busybox", layer.join("bin").join(name)).unwrap();
    }
    fs::write(layer.join("etc/made-of"), "a layer of the test\n").unwrap();
    // A static one has no list.
    let libraries = Command::new("ldd").arg(binary("mainstay-executor").unwrap()).output().unwrap();
    let text = String::from_utf8_lossy(&libraries.stdout).into_owned();
    for library in text.split_whitespace().filter(|word| word.starts_with('/')) {
        let target = layer.join(library.trim_start_matches('/'));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(library, target).unwrap();
    }
}

/// An image in a folder that an agent takes for a registry, in the form of `docker save`.
fn save_image(registry: &Path, name: &str) {
    const LAYER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let work = tempfile::tempdir().unwrap();
    let (layer, image) = (work.path().join("layer"), work.path().join("image"));
    fill_layer(&layer);
    fs::create_dir_all(image.join(LAYER)).unwrap();
    let path = |path: &Path| path.to_string_lossy().into_owned();
    run("tar", &["-C", &path(&layer), "-cf", &path(&image.join(LAYER).join("layer.tar")), "."]);
    let json = json!({
        "id": LAYER, "created": "2026-01-01T00:00:00Z", "architecture": "amd64", "os": "linux",
        "config": {"Env": ["PATH=/bin", "OF_IMAGE=yes"], "WorkingDir": "/etc"},
    });
    fs::write(image.join(LAYER).join("json"), json.to_string()).unwrap();
    fs::write(image.join(LAYER).join("VERSION"), "1.0").unwrap();
    fs::write(image.join("repositories"), json!({name: {"latest": LAYER}}).to_string()).unwrap();
    fs::create_dir_all(registry).unwrap();
    let target = registry.join(format!("{name}.tar"));
    run("tar", &["-C", &path(&image), "-cf", &path(&target), "repositories", LAYER]);
}

const IMAGE: &str = r#"
name: images
pods:
  node:
    count: 1
    image: tiny
    tasks:
      server:
        goal: RUNNING
        cmd: |
          echo "$TASK_NAME" >> image-data/starts
          { cat /etc/made-of; test -e /usr/bin || echo "nothing of the agent"; echo "$OF_IMAGE"; echo end; } > image-data/out
          exec sleep 1000
        cpus: 0.1
        memory: 32
        volume: {path: image-data, type: ROOT, size: 20}
        kill-grace-period: 1
"#;

#[tokio::test]
async fn a_pod_sees_its_image_and_its_volume() {
    let cgroups = Cgroups::new("image", &["freezer"]);
    let folder = tempfile::tempdir().unwrap();
    let (registry, store) = (folder.path().join("registry"), folder.path().join("store"));
    save_image(&registry, "tiny");
    let (registry, store) = (registry.to_string_lossy(), store.to_string_lossy());
    let mut flags = flags(&cgroups, "filesystem/linux,docker/runtime");
    flags.extend([
        ("MESOS_IMAGE_PROVIDERS", "docker"),
        ("MESOS_IMAGE_PROVISIONER_BACKEND", "copy"),
        ("MESOS_DOCKER_REGISTRY", &*registry),
        ("MESOS_DOCKER_STORE_DIR", &*store),
    ]);
    let (mesos, scheduler) = start(folder.path(), &flags, IMAGE).await;
    scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
    let volume = mesos.volumes(0)[0].clone();
    let text = written(&volume.join("out")).await;
    assert_eq!(text, "a layer of the test\nnothing of the agent\nyes\nend\n");

    // The next container of the pod has the same volume.
    let old = scheduler.task_ids().await.unwrap()["node-0-server"].clone();
    scheduler.pod_restart("node-0").await.unwrap();
    scheduler.wait_relaunched("node-0-server", &old, DEADLINE).await.unwrap();
    let twice = async || Ok(fs::read_to_string(volume.join("starts"))?.lines().count() == 2);
    wait_until("two starts in one volume", DEADLINE, twice).await.unwrap();
}

const EXTERNAL: &str = r#"
name: external
pods:
  node:
    count: 1
    external-volumes:
      data:
        type: DOCKER
        volume-mode: RW
        container-path: ext-data
        driver-name: stand-in
        driver-options: size=3;color=red
    tasks:
      server:
        goal: RUNNING
        cmd: |
          { echo "$TASK_NAME"; echo end; } > ext-data/out
          exec sleep 1000
        cpus: 0.1
        memory: 32
        kill-grace-period: 1
"#;

fn write_program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_volume_of_an_external_driver_is_asked_for_by_name_and_options_and_written() {
    let cgroups = Cgroups::new("external", &["freezer"]);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let calls = root.join("calls");
    // As dvdcli answers: with the folder it has mounted.
    let program = format!(
        "#!/bin/sh\necho \"$*\" >> {}\nfor word; do case $word in --volumename=*) name=${{word#*=}};; esac; done\n\
         if [ \"$1\" = mount ]; then mkdir -p {1}/volumes/$name && echo {1}/volumes/$name; fi\n",
        calls.display(),
        root.display()
    );
    write_program(&root.join("bin/dvdcli"), &program);
    let path = format!("{}:{}", root.join("bin").display(), std::env::var("PATH").unwrap());
    let checkpoints = root.join("checkpoints").to_string_lossy().into_owned();
    let mut flags = flags(&cgroups, "filesystem/linux,docker/volume");
    flags.extend([("PATH", &*path), ("MESOS_DOCKER_VOLUME_CHECKPOINT_DIR", &*checkpoints)]);
    let (_mesos, scheduler) = start(root, &flags, EXTERNAL).await;
    let text = written(&root.join("volumes/external_node_0/out")).await;
    assert_eq!(text, "node-0-server\nend\n");
    let called = fs::read_to_string(&calls).unwrap();
    let mount: BTreeSet<&str> = called.lines().find(|line| line.starts_with("mount")).unwrap().split(' ').collect();
    let options = ["--volumeopts=size=3", "--volumeopts=color=red"];
    let wanted = ["mount", "--volumedriver=stand-in", "--volumename=external_node_0"].into_iter().chain(options);
    assert_eq!(mount, wanted.collect(), "{called}");

    // A replaced pod has the same volume: it is the driver's, not Mesos's.
    let old = scheduler.task_ids().await.unwrap()["node-0-server"].clone();
    fs::remove_file(root.join("volumes/external_node_0/out")).unwrap();
    scheduler.pod_replace("node-0").await.unwrap();
    scheduler.wait_relaunched("node-0-server", &old, DEADLINE).await.unwrap();
    written(&root.join("volumes/external_node_0/out")).await;
}

/// A bridge of this machine with an address; it goes with this value.
struct Bridge {
    name: String,
    subnet: String,
}

impl Bridge {
    fn new() -> Self {
        // Addresses for measurements, which nobody routes.
        let number = std::process::id();
        let subnet = format!("198.{}.{}", 18 + number / 250 % 2, number % 250);
        let bridge = Self { name: format!("mst{number}"), subnet };
        run("ip", &["link", "add", &bridge.name, "type", "bridge"]);
        run("ip", &["addr", "add", &format!("{}.1/24", bridge.subnet), "dev", &bridge.name]);
        run("ip", &["link", "set", &bridge.name, "up"]);
        bridge
    }

    fn address(&self) -> Ipv4Addr {
        format!("{}.1", self.subnet).parse().unwrap()
    }

    /// A network of this name with ten addresses from `first` on, made by Debian's bridge plugin behind one that writes down what it is told.
    fn network(&self, folder: &Path, name: &str, first: u8) {
        let config = json!({
            "cniVersion": "0.2.0", "name": name, "type": "recorder", "bridge": self.name,
            "ipam": {
                "type": "host-local", "subnet": format!("{}.0/24", self.subnet), "gateway": self.address(),
                "rangeStart": format!("{}.{first}", self.subnet), "rangeEnd": format!("{}.{}", self.subnet, first + 9),
                "dataDir": folder.join("addresses").join(name),
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        });
        let configs = folder.join("networks");
        fs::create_dir_all(&configs).unwrap();
        fs::write(configs.join(format!("{name}.json")), config.to_string()).unwrap();
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.name]).status();
    }
}

const NETWORKS: &str = r#"
name: networks
pods:
  overlay:
    count: 1
    networks:
      dcos: {labels: 'team:greetings'}
    tasks:
      server:
        goal: RUNNING
        cmd: exec busybox httpd -f -p "$PORT_HTTP"
        cpus: 0.1
        memory: 32
        ports:
          http: {port: 80, env-key: PORT_HTTP, advertise: true}
        kill-grace-period: 1
  bridged:
    count: 1
    networks:
      mesos-bridge:
    tasks:
      server:
        goal: RUNNING
        cmd: exec busybox httpd -f -p "$PORT_ANY"
        cpus: 0.1
        memory: 32
        ports:
          any: {port: 0, env-key: PORT_ANY, advertise: true}
        kill-grace-period: 1
"#;

/// The network of a task's container by the word of the master.
async fn network_of(mesos: &MesosCluster, task: &str) -> Value {
    let tasks = mesos.get_json("/tasks").await.unwrap();
    let found = tasks["tasks"].as_array().unwrap().iter().find(|known| known["name"] == *task).unwrap();
    let status = found["statuses"].as_array().unwrap().iter().find(|status| status["state"] == "TASK_RUNNING").unwrap();
    status["container_status"]["network_infos"][0].clone()
}

#[tokio::test]
async fn pods_have_networks_of_their_own_and_are_found_there() {
    let cgroups = Cgroups::new("networks", &["freezer"]);
    let bridge = Bridge::new();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let told = root.join("told");
    let recorder = format!(
        "#!/bin/sh\ninput=$(cat)\nprintf '%s %s\\n' \"$CNI_COMMAND\" \"$(printf %s \"$input\" | tr '\\n' ' ')\" >> {}\n\
                 printf %s \"$input\" | /usr/lib/cni/bridge\n",
        told.display()
    );
    write_program(&root.join("plugins/recorder"), &recorder);
    bridge.network(root, "dcos", 10);
    bridge.network(root, "mesos-bridge", 20);
    let plugins = format!("{}:/usr/lib/cni", root.join("plugins").display());
    let configs = root.join("networks").to_string_lossy().into_owned();
    let mut flags = flags(&cgroups, "filesystem/linux,network/cni");
    flags.extend([("MESOS_NETWORK_CNI_PLUGINS_DIR", &*plugins), ("MESOS_NETWORK_CNI_CONFIG_DIR", &*configs)]);
    let (mesos, scheduler) = start_at(Some(bridge.address()), root, &flags, NETWORKS).await;
    scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();

    // An overlay: an address of its own, any port, nothing reserved.
    let network = network_of(&mesos, "overlay-0-server").await;
    let address = network["ip_addresses"][0]["ip_address"].as_str().unwrap().to_owned();
    assert!(address.starts_with(&bridge.subnet), "{network:#}");
    assert_eq!(network["name"], "dcos");
    assert_eq!(network["labels"], json!([{"key": "team", "value": "greetings"}]));
    let endpoint = scheduler.get_json("/v1/endpoints/http").await.unwrap();
    assert_eq!(endpoint["address"], json!([format!("{address}:80")]), "{endpoint:#}");
    let connects = async |to: String| {
        wait_until(&format!("something answers at {to}"), DEADLINE, async || Ok(TcpStream::connect(&to).is_ok()))
            .await
            .unwrap();
    };
    connects(format!("{address}:80")).await;

    // A bridge: a port of the agent is reserved and told to the plugin, which is to lead it to the same one inside.
    let network = network_of(&mesos, "bridged-0-server").await;
    let inside = network["ip_addresses"][0]["ip_address"].as_str().unwrap().to_owned();
    assert_ne!(inside, address);
    let reserved = mesos.reserved_resources(0).await.unwrap();
    let ports: Vec<&Value> = reserved.iter().filter(|one| one["name"] == "ports").collect();
    assert_eq!(ports.len(), 1, "only the bridge has ports of the agent: {ports:#?}");
    let port = ports[0]["ranges"]["range"][0]["begin"].as_u64().unwrap();
    connects(format!("{inside}:{port}")).await;
    let endpoint = scheduler.get_json("/v1/endpoints/any").await.unwrap();
    assert_eq!(endpoint["address"], json!([format!("{inside}:{port}")]), "{endpoint:#}");
    let text = fs::read_to_string(&told).unwrap();
    let line = text.lines().find(|line| line.contains("\"mesos-bridge\"")).unwrap();
    let input: Value = serde_json::from_str(line.strip_prefix("ADD ").unwrap()).unwrap();
    let mappings = &input["args"]["org.apache.mesos"]["network_info"]["port_mappings"];
    assert_eq!(mappings[0]["host_port"], port, "{input:#}");
    assert_eq!(mappings[0]["container_port"], port, "{input:#}");
}
