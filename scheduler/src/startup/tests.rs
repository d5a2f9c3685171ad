#![allow(clippy::unwrap_used)]

use mainstay_spec::{PhaseSpec, StepSpec, Strategy};

use super::*;

const SPEC: &str = "\
name: {{NAME}}
pods:
  hello:
    count: {{COUNT}}
    tasks:
      server:
        goal: RUNNING
        cmd: sleep 1000
        cpus: 0.1
        memory: 32
";

struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new(spec: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("svc.yml"), spec).unwrap();
        std::fs::write(folder.path().join(EXECUTOR), "").unwrap();
        Self { folder }
    }

    fn input(&self, vars: &[(&str, &str)]) -> Input {
        Input {
            source: Source::File(self.folder.path().join("svc.yml")),
            vars: vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            plans: Vec::new(),
            validators: Vec::new(),
            hooks: Vec::new(),
            listener: None,
            executor: Some(self.folder.path().join(EXECUTOR)),
            store_settings: store::Settings::default(),
        }
    }

    /// A report without the folder's name.
    fn refused(&self, mut input: Input) -> String {
        let Err(exit) = check(&mut input) else { panic!("accepted") };
        assert_eq!(exit.code, EXIT_START);
        exit.reason.replace(&self.folder.path().display().to_string(), "FOLDER")
    }
}

const GOOD: &[(&str, &str)] = &[("PORT_API", "8080"), ("NAME", "svc"), ("COUNT", "2"), ("STATE_STORE", "memory:")];

#[test]
fn a_good_start_is_accepted() {
    let folder = Folder::new(SPEC);
    let Ok(checked) = check(&mut folder.input(GOOD)) else { panic!("refused") };
    assert_eq!((checked.spec.name.as_str(), checked.settings.port_api), ("svc", Some(8080)));
    assert_eq!(checked.master.to_string(), "zk://master.mesos:2181/mesos");
    assert_eq!(checked.location, Location::Memory);
}

// contract: 1.1/exit-code
#[test]
fn problems_of_the_environment_the_specification_and_the_folder_come_in_one_report() {
    let folder = Folder::new(SPEC);
    std::fs::remove_file(folder.folder.path().join(EXECUTOR)).unwrap();
    insta::assert_snapshot!(folder.refused(folder.input(&[("NAME", "svc"), ("COUNT", "-1"), ("SDK_UNINSTALL", "")])));
}

#[test]
fn a_feature_that_is_not_honoured_yet_is_a_reason_not_to_start() {
    let encrypted =
        SPEC.replace("        memory: 32", "        memory: 32\n        transport-encryption: [{name: a, type: TLS}]");
    let folder = Folder::new(&encrypted);
    let text = folder.refused(folder.input(GOOD));
    let wanted = "FOLDER/svc.yml:11:9: error[MST-SPEC-0019] pods.hello.tasks.server.transport-encryption: transport encryption is";
    assert!(text.starts_with(wanted), "{text}");
    // The file itself is fine, and a service made of it in code is refused all the same.
    let vars = GOOD.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let spec = load(&folder.folder.path().join("svc.yml"), &vars).unwrap().spec;
    let mut input = folder.input(GOOD);
    input.source = Source::Service(Box::new(spec));
    let text = folder.refused(input);
    assert!(text.starts_with("pods.hello.tasks.server: transport encryption is not supported"), "{text}");
}

#[test]
fn configuration_templates_lie_beside_the_specification_or_in_the_working_directory() {
    let folder = Folder::new(SPEC);
    let root = folder.folder.path();
    std::fs::write(root.join("server.conf"), "beside").unwrap();
    assert_eq!(read_template(root, "server.conf").unwrap(), "beside");
    assert_eq!(read_template(root, "/server.conf").unwrap(), "beside", "never an absolute path");
    assert!(read_template(root, "Cargo.toml").unwrap().contains("mainstay-scheduler"), "tests run in their crate");
    assert!(read_template(root, "missing.conf").unwrap_err().starts_with("No such file"));
    assert!(read_template(root, "/etc/hostname").unwrap_err().starts_with("No such file"));
}

#[test]
fn a_configuration_template_is_a_file_of_bounded_size() {
    let folder = Folder::new(SPEC);
    let root = folder.folder.path();
    // An endless device would take all memory, a pipe all time.
    let up = "../".repeat(root.components().count());
    assert_eq!(read_template(root, &format!("{up}dev/zero")).unwrap_err(), "it is not a regular file");
    assert_eq!(read_template(root, ".").unwrap_err(), "it is not a regular file");
    std::fs::write(root.join("large.conf"), "x".repeat(4 * 1024 * 1024)).unwrap();
    assert_eq!(read_template(root, "large.conf").unwrap().len(), 4 * 1024 * 1024);
    std::fs::write(root.join("large.conf"), "x".repeat(4 * 1024 * 1024 + 1)).unwrap();
    assert_eq!(read_template(root, "large.conf").unwrap_err(), "it has more than the 4194304 bytes allowed");
}

#[test]
fn a_specification_that_cannot_be_read_says_so() {
    let folder = Folder::new(SPEC);
    let mut input = folder.input(GOOD);
    input.source = Source::File(folder.folder.path().join("missing.yml"));
    let text = folder.refused(input);
    assert!(text.starts_with("cannot read the specification FOLDER/missing.yml: No such file"), "{text}");
}

#[test]
fn a_plan_added_in_code_is_checked_like_one_of_the_specification() {
    let folder = Folder::new(SPEC);
    let plan = |name: &str, pod: &str, index: u32, tasks: &[&str]| PlanSpec {
        name: name.into(),
        strategy: Strategy::Serial,
        phases: vec![PhaseSpec {
            name: "phase".into(),
            pod_type: pod.into(),
            strategy: Strategy::Serial,
            steps: vec![StepSpec { index, tasks: tasks.iter().map(ToString::to_string).collect() }],
            has_custom_steps: true,
        }],
    };
    let mut input = folder.input(GOOD);
    input.plans = vec![plan("backup", "hello", 1, &["server"])];
    let Ok(checked) = check(&mut input) else { panic!("refused") };
    assert_eq!(checked.spec.plans.last().unwrap().name, "backup");

    let mut input = folder.input(GOOD);
    input.plans = vec![
        plan("a", "world", 0, &["server"]),
        plan("b", "hello", 2, &["server"]),
        plan("c", "hello", 0, &["client"]),
        plan("d", "hello", 0, &[]),
        plan("d", "hello", 0, &["server"]),
        plan("recovery", "hello", 0, &["server"]),
    ];
    insta::assert_snapshot!(folder.refused(input));
}

#[tokio::test]
async fn a_port_in_use_is_told_with_code_9() {
    let taken = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let exit = bind(port).await.unwrap_err();
    assert_eq!(exit.code, EXIT_API);
    assert!(
        exit.reason.contains(&format!("port {port} (PORT_API)")) && exit.reason.contains("another program"),
        "{}",
        exit.reason
    );
}

#[tokio::test]
async fn our_address_is_that_of_the_route_to_the_master() {
    assert_eq!(route(&MasterUrl::parse("zk://127.0.0.1:2181/mesos").unwrap()).await, "127.0.0.1");
    assert_eq!(route(&MasterUrl::parse("http://127.0.0.1:5050").unwrap()).await, "127.0.0.1");
    // A name that does not resolve leaves a guess, not an end.
    assert!(
        route(&MasterUrl::parse("http://does-not-exist.invalid:1").unwrap()).await.parse::<std::net::IpAddr>().is_ok()
    );
}

#[test]
fn only_the_named_framework_id_is_forgotten() {
    let tree = || {
        let id = wire::FrameworkId { value: "f-0001".into() };
        Tree::from([(FRAMEWORK_ID_NODE.to_owned(), Bytes::from(id.encode_to_vec()))])
    };
    for (named, is_forgotten) in [("f-0001", true), ("f-0002", false)] {
        let (mut tree, mut first) = (tree(), Transaction::default());
        forget(&FrameworkId::parse(named).unwrap(), &mut tree, &mut first);
        assert_eq!((tree.is_empty(), first.writes.len()), (is_forgotten, usize::from(is_forgotten)), "{named}");
    }
    let (mut tree, mut first) = (Tree::new(), Transaction::default());
    forget(&FrameworkId::parse("f").unwrap(), &mut tree, &mut first);
    assert!(first.is_empty());
}
