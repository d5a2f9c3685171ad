//! The embedded cluster answers a framework as a real Mesos does.
//!
//! The same scripted calls go to both; what the framework sees is compared: statuses, operation feedback, the resources
//! it is offered afterwards, and the status codes of bad requests.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use http::Method;
use mainstay_devcluster::model::resources::{ranges, scalar};
use mainstay_tests::http::request;
use mainstay_tests::mesos::{AgentOptions, MesosCluster, Options};
use mainstay_tests::raw_framework::{RawFramework, framework_info};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(40);
const ROLE: &str = "model-role";
const PRINCIPAL: &str = "model";

type Headers = Vec<(&'static str, &'static str)>;

fn quantity(name: &str, amount: f64) -> Value {
    json!({"name": name, "type": "SCALAR", "scalar": {"value": amount}})
}

/// Reserved as the framework reserves, with a label that tells reservations apart.
fn reserved(mut resource: Value, label: &str) -> Value {
    resource["reservations"] = json!([{
        "type": "DYNAMIC", "role": ROLE, "principal": PRINCIPAL,
        "labels": {"labels": [{"key": "resource_id", "value": label}]},
    }]);
    resource
}

fn volume(label: &str, id: &str) -> Value {
    let mut disk = reserved(quantity("disk", 100.0), label);
    disk["disk"] = json!({
        "persistence": {"id": id, "principal": PRINCIPAL},
        "volume": {"container_path": format!("path-{id}"), "mode": "RW"},
    });
    disk
}

/// A resource with one thing changed.
fn with(mut value: Value, pointer: &str, new: Value) -> Value {
    *value.pointer_mut(pointer).unwrap() = new;
    value
}

fn without(mut value: Value, object: &str, key: &str) -> Value {
    value.pointer_mut(object).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    value
}

fn reserve(resources: &[Value]) -> Value {
    json!({"type": "RESERVE", "reserve": {"resources": resources}})
}

fn unreserve(resources: &[Value]) -> Value {
    json!({"type": "UNRESERVE", "unreserve": {"resources": resources}})
}

fn create(volumes: &[Value]) -> Value {
    json!({"type": "CREATE", "create": {"volumes": volumes}})
}

fn destroy(volumes: &[Value]) -> Value {
    json!({"type": "DESTROY", "destroy": {"volumes": volumes}})
}

fn launch(tasks: &[Value]) -> Value {
    json!({"type": "LAUNCH", "launch": {"task_infos": tasks}})
}

/// An executor that ends at once: each of its tasks gets exactly one update.
fn executor(id: &str) -> Value {
    json!({
        "type": "CUSTOM", "executor_id": {"value": id}, "command": {"shell": true, "value": "exit 3"},
        "resources": [quantity("cpus", 0.1), quantity("mem", 32.0), quantity("disk", 10.0)],
    })
}

/// `AGENT` and `FRAMEWORK` are replaced before the call.
fn task(id: &str) -> Value {
    json!({
        "name": "task", "task_id": {"value": id}, "agent_id": {"value": "AGENT"},
        "resources": [quantity("cpus", 0.5), quantity("mem", 64.0)], "executor": executor(&format!("{id}-executor")),
    })
}

fn group(id: &str, tasks: &[Value]) -> Value {
    let mut executor = executor(id);
    executor["framework_id"] = json!({"value": "FRAMEWORK"});
    let tasks: Vec<Value> = tasks.iter().map(|task| without(task.clone(), "", "executor")).collect();
    json!({"type": "LAUNCH_GROUP", "launch_group": {"executor": executor, "task_group": {"tasks": tasks}}})
}

/// Name and operations of each ACCEPT; what one leaves behind is there in the next.
fn script() -> Vec<(&'static str, Vec<Value>)> {
    let cpus = |amount: f64, label: &str| reserved(quantity("cpus", amount), label);
    let disk = |label: &str| reserved(quantity("disk", 100.0), label);
    let plain = |name: &str, amount: f64| quantity(name, amount);
    let mut many = vec![
        ("reserve", vec![reserve(&[cpus(0.5, "a"), disk("a")])]),
        ("reserve more than there is", vec![reserve(&[cpus(9.0, "b")])]),
        ("reserve a list of which one is too much", vec![reserve(&[disk("b"), cpus(9.0, "b")])]),
        ("partial failure", vec![reserve(&[cpus(3.0, "c")]), reserve(&[cpus(3.0, "d")]), unreserve(&[cpus(3.0, "c")])]),
        ("reserve for another role", vec![reserve(&[with(cpus(1.0, "b"), "/reservations/0/role", json!("other"))])]),
        (
            "reserve for another principal",
            vec![reserve(&[with(cpus(1.0, "b"), "/reservations/0/principal", json!("x"))])],
        ),
        ("reserve for no principal", vec![reserve(&[without(cpus(1.0, "b"), "/reservations/0", "principal")])]),
        ("reserve statically", vec![reserve(&[with(cpus(1.0, "b"), "/reservations/0/type", json!("STATIC"))])]),
        ("reserve without a reservation", vec![reserve(&[plain("cpus", 1.0)])]),
        ("reserve too small an amount", vec![reserve(&[cpus(0.0001, "b")])]),
        ("reserve a negative amount", vec![reserve(&[cpus(-1.0, "b")])]),
        (
            "reserve in both formats",
            vec![reserve(&[{
                let mut both = cpus(1.0, "b");
                both["role"] = json!(ROLE);
                both["reservation"] = json!({"principal": PRINCIPAL});
                both["reservations"][0]["role"] = json!("other");
                both
            }])],
        ),
        (
            "reserve in the older format",
            vec![reserve(&[json!({
                "name": "mem", "type": "SCALAR", "scalar": {"value": 64}, "role": ROLE,
                "reservation": {"principal": PRINCIPAL, "labels": {"labels": [{"key": "resource_id", "value": "old"}]}},
            })])],
        ),
        ("unreserve half", vec![unreserve(&[cpus(0.25, "a")])]),
        ("unreserve with other labels", vec![unreserve(&[cpus(0.25, "z")])]),
        ("unreserve what is not reserved", vec![unreserve(&[plain("cpus", 1.0)])]),
        ("create", vec![create(&[volume("a", "v1")])]),
        ("create twice", vec![reserve(&[disk("e")]), create(&[volume("e", "v1")]), unreserve(&[disk("e")])]),
        ("create without a reservation", vec![create(&[without(volume("a", "v2"), "", "reservations")])]),
        ("create without disk to do it", vec![create(&[volume("f", "v3")])]),
        ("unreserve a volume", vec![unreserve(&[volume("a", "v1")])]),
        ("destroy what is not there", vec![destroy(&[volume("a", "v9")])]),
        ("destroy a part", vec![destroy(&[with(volume("a", "v1"), "/scalar/value", json!(50.0))])]),
        (
            "destroy under another path",
            vec![destroy(&[with(volume("a", "v1"), "/disk/volume/container_path", json!("x"))])],
        ),
        (
            "destroy, unreserve, reserve, create at once",
            vec![
                reserve(&[disk("g")]),
                create(&[volume("g", "v4")]),
                destroy(&[volume("g", "v4")]),
                unreserve(&[disk("g")]),
            ],
        ),
        ("launch", vec![launch(&[task("t1")])]),
        ("launch the same id again", vec![launch(&[task("t1")])]),
        (
            "launch two under one executor",
            vec![launch(&[
                with(task("t2"), "/executor", executor("e2")),
                with(task("t3"), "/executor", executor("e2")),
            ])],
        ),
        (
            "launch two that describe one executor differently",
            vec![launch(&[
                with(task("t4"), "/executor", executor("e4")),
                with(task("t5"), "/executor", with(executor("e4"), "/command/value", json!("exit 4"))),
            ])],
        ),
        (
            "launch one bad and one good",
            vec![launch(&[with(task("t6"), "/resources/0/scalar/value", json!(99)), task("t7")])],
        ),
        (
            "launch what fits only without the executor",
            vec![launch(&[with(task("t8"), "/resources/0/scalar/value", json!(3.7))])],
        ),
        ("launch on another agent", vec![launch(&[with(task("t9"), "/agent_id/value", json!("nobody"))])]),
        ("launch with nothing", vec![launch(&[with(task("t10"), "/resources", json!([]))])]),
        ("launch without executor and command", vec![launch(&[without(task("t11"), "", "executor")])]),
        ("launch an executor without command", vec![launch(&[without(task("t12"), "/executor", "command")])]),
        ("launch with an operation id", vec![with_id(launch(&[task("t13")]), "illegal")]),
        ("launch a bad id", vec![launch(&[with(task("t14"), "/task_id/value", json!("t/14"))])]),
        ("launch with the volume", vec![launch(&[with_resource(task("t15"), volume("a", "v1"))])]),
        (
            "launch twice with one volume",
            vec![launch(&[
                with_resource(task("t16"), volume("a", "v1")),
                with_resource(task("t17"), volume("a", "v1")),
            ])],
        ),
        (
            "destroy a volume in use",
            vec![launch(&[with_resource(task("t18"), volume("a", "v1"))]), destroy(&[volume("a", "v1")])],
        ),
        (
            "reserve and launch with it",
            vec![reserve(&[cpus(1.0, "h")]), launch(&[with_resource(task("t19"), cpus(1.0, "h"))])],
        ),
        (
            "launch with a reservation that failed",
            vec![reserve(&[cpus(99.0, "i")]), launch(&[with_resource(task("t20"), cpus(1.0, "i"))])],
        ),
        ("group", vec![group("p1", &[task("g1"), task("g2")])]),
        (
            "group with one bad task",
            vec![group("p2", &[task("g3"), with(task("g4"), "/resources/0/scalar/value", json!(99))])],
        ),
        (
            "group that is too large together",
            vec![group(
                "p3",
                &[
                    with(task("g5"), "/resources/0/scalar/value", json!(2.0)),
                    with(task("g6"), "/resources/0/scalar/value", json!(2.0)),
                ],
            )],
        ),
        ("group without executor type", vec![without(group("p4", &[task("g7")]), "/launch_group/executor", "type")]),
        (
            "group without framework id",
            vec![without(group("p5", &[task("g8")]), "/launch_group/executor", "framework_id")],
        ),
        (
            "group with too little memory",
            vec![with(group("p6", &[task("g9")]), "/launch_group/executor/resources/1/scalar/value", json!(16.0))],
        ),
        (
            "group without disk",
            vec![with(group("p7", &[task("g10")]), "/launch_group/executor/resources/2/name", json!("cpus"))],
        ),
        // Not a group with one task id twice: the 1.11 master aborts on it.
        (
            "launch with a negative grace period",
            vec![launch(&[{
                let mut info = task("t21");
                info["kill_policy"] = json!({"grace_period": {"nanoseconds": -1}});
                info
            }])],
        ),
        (
            "launch with an empty health check",
            vec![launch(&[{
                let mut info = task("t22");
                info["health_check"] = json!({});
                info
            }])],
        ),
        (
            "launch with a health check without type",
            vec![launch(&[{
                let mut info = task("t23");
                info["health_check"] = json!({"command": {"value": "true"}});
                info
            }])],
        ),
        (
            "launch with a check of two kinds",
            vec![launch(&[{
                let mut info = task("t24");
                info["check"] =
                    json!({"type": "COMMAND", "command": {"command": {"value": "true"}}, "tcp": {"port": 1}});
                info
            }])],
        ),
        (
            "launch with a check without its member",
            vec![launch(&[{
                let mut info = task("t26");
                info["check"] = json!({"type": "COMMAND", "tcp": {"port": 1}});
                info
            }])],
        ),
        (
            "launch with a health check of two kinds",
            vec![launch(&[{
                let mut info = task("t27");
                info["health_check"] = json!({"type": "COMMAND", "command": {"value": "true"}, "tcp": {"port": 1}});
                info
            }])],
        ),
        (
            "launch with a health check of two kinds and no type",
            vec![launch(&[{
                let mut info = task("t28");
                info["health_check"] = json!({"command": {"value": "true"}, "http": {"port": 1}});
                info
            }])],
        ),
        (
            "launch with a health check with a bad path",
            vec![launch(&[{
                let mut info = task("t29");
                info["health_check"] = json!({"type": "HTTP", "http": {"port": 1, "path": "x"}});
                info
            }])],
        ),
        (
            "launch with ports of task and executor that overlap",
            vec![launch(&[{
                let ports =
                    json!({"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 31001}]}});
                let mut info = with_resource(task("t30"), ports.clone());
                info["executor"]["resources"].as_array_mut().unwrap().push(ports);
                info
            }])],
        ),
        (
            "launch with a limit below the request",
            vec![launch(&[{
                let mut info = task("t31");
                info["limits"] = json!({"cpus": {"value": 0.1}});
                info
            }])],
        ),
        (
            "launch with one resource in two entries",
            vec![launch(&[with_resource(task("t32"), quantity("cpus", 0.25))])],
        ),
        (
            "launch with an executor that names another framework",
            vec![launch(&[{
                let mut info = task("t33");
                info["executor"]["framework_id"] = json!({"value": "nobody"});
                info
            }])],
        ),
        (
            "launch with an executor in shared cgroups or not",
            vec![launch(&[{
                let mut info = task("t34");
                info["container"] = json!({"type": "MESOS", "linux_info": {"share_cgroups": false}});
                info
            }])],
        ),
        (
            "launch with a container volume without source",
            vec![launch(&[{
                let mut info = task("t35");
                info["container"] = json!({"type": "MESOS", "volumes": [{"container_path": "x", "mode": "RW"}]});
                info
            }])],
        ),
        (
            "launch with an environment without value",
            vec![launch(&[{
                let mut info = task("t25");
                info["executor"]["command"]["environment"] = json!({"variables": [{"name": "A"}]});
                info
            }])],
        ),
    ];
    for (name, pointer, new) in [
        ("create read-only", "/disk/volume/mode", json!("RO")),
        ("create for another principal", "/disk/persistence/principal", json!("x")),
        ("create with a bad id", "/disk/persistence/id", json!("a/b")),
    ] {
        many.push((
            name,
            vec![reserve(&[disk("j")]), create(&[with(volume("j", "v5"), pointer, new)]), unreserve(&[disk("j")])],
        ));
    }
    many.extend(limits());
    many
}

fn with_limits(mut task: Value, limits: Value) -> Value {
    task["limits"] = limits;
    task
}

fn with_cgroups(mut task: Value, share: bool) -> Value {
    task["container"] = json!({"type": "MESOS", "linux_info": {"share_cgroups": share}});
    task
}

/// Resource limits, and the flag that they want in a group; the agents have no isolators for them.
///
/// Not a new executor with what such an agent refuses: the resources of that executor would be gone from all later offers.
fn limits() -> Vec<(&'static str, Vec<Value>)> {
    let mem = |amount: f64| json!({"mem": {"value": amount}});
    // Of a LAUNCH into the executor that a group has started.
    let join = |executor: &str, task: Value| {
        let started = group(executor, std::slice::from_ref(&task));
        launch(&[with(task, "/executor", started["launch_group"]["executor"].clone())])
    };
    vec![
        ("group with limits and shared cgroups", vec![group("l1", &[with_limits(task("l1"), mem(64.0))])]),
        (
            "group with limits that shares cgroups aloud",
            vec![group("l2", &[with_cgroups(with_limits(task("l2"), mem(64.0)), true)])],
        ),
        ("group of which one has its own cgroups", vec![group("l3", &[with_cgroups(task("l3"), false), task("l4")])]),
        (
            "group with a limit below the request",
            vec![group("l5", &[with_cgroups(with_limits(task("l5"), mem(63.0)), false)])],
        ),
        (
            "group with own cgroups",
            vec![group("l6", &[with_cgroups(task("l6"), false), with_cgroups(task("l7"), false)])],
        ),
        (
            "launch with a limit of an unknown name",
            vec![launch(&[with_limits(task("l12"), json!({"disk": {"value": 64.0}}))])],
        ),
        (
            "launch with a limit and no request",
            vec![launch(&[with(with_limits(task("l13"), mem(64.0)), "/resources/1/name", json!("disk"))])],
        ),
        (
            "join a group by a group alike",
            vec![group("l14", &[with_cgroups(task("l14"), false)]), group("l14", &[with_cgroups(task("l15"), false)])],
        ),
        (
            "join a group by a group that shares cgroups",
            vec![group("l16", &[with_cgroups(task("l16"), false)]), group("l16", &[task("l17")])],
        ),
        (
            "join a group that shares cgroups by one that does not",
            vec![group("l18", &[task("l18")]), group("l18", &[with_cgroups(task("l19"), false)])],
        ),
        ("join a group by a launch", vec![group("l20", &[with_cgroups(task("l20"), false)]), join("l20", task("l21"))]),
        (
            "join a group by a launch with limits on an agent without isolators",
            vec![
                group("l24", &[with_cgroups(task("l24"), false)]),
                join("l24", with_limits(task("l25"), mem(64.0))),
                join("l24", with_limits(task("l26"), json!({"cpus": {"value": "Infinity"}}))),
            ],
        ),
        (
            "join a group by a launch with own cgroups",
            vec![group("l22", &[with_cgroups(task("l22"), false)]), join("l22", with_cgroups(task("l23"), false))],
        ),
    ]
}

fn with_id(mut operation: Value, id: &str) -> Value {
    operation["id"] = json!({"value": id});
    operation
}

fn with_resource(mut task: Value, resource: Value) -> Value {
    task["resources"].as_array_mut().unwrap().push(resource);
    task
}

/// The value with the keys of its objects sorted: printers order them as they like.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let all: std::collections::BTreeMap<&String, Value> =
                map.iter().map(|(key, one)| (key, sorted(one))).collect();
            json!(all)
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// One line for a resource: everything but the order of things.
fn describe(resource: &Value) -> String {
    let amount = match resource.get("scalar") {
        Some(scalar) => format!("{:.3}", scalar["value"].as_f64().unwrap()),
        None => resource["ranges"].to_string(),
    };
    format!(
        "{} {amount} {} {} {}",
        resource["name"],
        sorted(&resource["reservations"]),
        sorted(&resource["disk"]["persistence"]),
        resource["allocation_info"]
    )
}

/// Everything of the agent, in offers that are out when this returns, and those offers' ids.
async fn everything(framework: &mut RawFramework, agents: &mut String) -> (Vec<String>, Vec<Value>) {
    let start = Instant::now();
    let mut held: Vec<Value> = Vec::new();
    loop {
        assert!(start.elapsed() < DEADLINE, "not everything was offered: {held:?}");
        let event = framework.wait_event("OFFERS", DEADLINE).await.unwrap();
        held.extend(event["offers"]["offers"].as_array().unwrap().iter().cloned());
        let resources: Vec<&Value> = held.iter().flat_map(|offer| offer["resources"].as_array().unwrap()).collect();
        let sum = |name: &str| -> f64 {
            resources
                .iter()
                .filter(|one| one["name"] == *name)
                .map(|one| one["scalar"]["value"].as_f64().unwrap())
                .sum()
        };
        let is_all = (sum("cpus") - 4.0).abs() < 1e-6
            && (sum("mem") - 4096.0).abs() < 1e-6
            && (sum("disk") - 10000.0).abs() < 1e-6;
        let ids: Vec<Value> = held.iter().map(|offer| offer["id"].clone()).collect();
        if is_all && held.len() == 1 {
            held[0]["agent_id"]["value"].as_str().unwrap().clone_into(agents);
            let mut lines: Vec<String> = resources.into_iter().map(describe).collect();
            lines.sort();
            return (lines, ids);
        }
        let decline = json!({"type": "DECLINE", "decline": {"offer_ids": ids, "filters": {"refuse_seconds": 0.0}}});
        framework.call(decline).await.unwrap();
        held.clear();
    }
}

/// What a framework sees of the script on the master at `url`.
async fn run_script(url: &str) -> Vec<String> {
    let mut info = framework_info("model", None);
    // Lone disks are offered too, so that what is free always comes whole.
    info["offer_filters"] = json!({ROLE: {"min_allocatable_resources": {}}});
    let mut framework = RawFramework::subscribe(url, &info).await.unwrap();
    let framework_id = framework.framework_id().to_owned();
    let mut transcript = Vec::new();
    let mut agent_id = String::new();
    let (_, mut offers) = everything(&mut framework, &mut agent_id).await;
    for (number, (name, operations)) in script().into_iter().enumerate() {
        let mut expected = 0;
        let mut numbered = Vec::new();
        for (index, operation) in operations.into_iter().enumerate() {
            let kind = operation["type"].as_str().unwrap().to_owned();
            match kind.as_str() {
                "LAUNCH" => expected += operation["launch"]["task_infos"].as_array().unwrap().len(),
                "LAUNCH_GROUP" => {
                    expected += operation["launch_group"]["task_group"]["tasks"].as_array().unwrap().len();
                }
                _ => expected += 1,
            }
            let is_launch = kind.starts_with("LAUNCH");
            numbered.push(if is_launch { operation } else { with_id(operation, &format!("op-{number}-{index}")) });
        }
        let text = Value::Array(numbered).to_string().replace("\"AGENT\"", &format!("\"{agent_id}\""));
        let operations: Value =
            serde_json::from_str(&text.replace("\"FRAMEWORK\"", &format!("\"{framework_id}\""))).unwrap();
        let filters = json!({"refuse_seconds": 0.0});
        let call =
            json!({"type": "ACCEPT", "accept": {"offer_ids": offers, "operations": operations, "filters": filters}});
        framework.call(call).await.unwrap();
        let mut seen = answers(&mut framework, expected, name).await;
        seen.sort();
        let (resources, next) = everything(&mut framework, &mut agent_id).await;
        offers = next;
        transcript.push(format!("{name}\n  {}\n  {}", seen.join("\n  "), resources.join("\n  ")));
    }
    transcript
}

/// The next `count` statuses, each acknowledged; the offers between are given back.
async fn answers(framework: &mut RawFramework, count: usize, name: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let mut uuids = BTreeSet::new();
    let start = Instant::now();
    while seen.len() < count {
        let left = DEADLINE.saturating_sub(start.elapsed());
        let event = tokio::time::timeout(left, framework.next_event()).await;
        let event = event.unwrap_or_else(|_| panic!("{name}: {} of {count} answers: {seen:?}", seen.len())).unwrap();
        if let Some(status) = event.pointer("/update/status") {
            let has_uuid = status.get("uuid").is_some();
            if has_uuid {
                let acknowledge =
                    json!({"agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]});
                framework.call(json!({"type": "ACKNOWLEDGE", "acknowledge": acknowledge})).await.unwrap();
                if !uuids.insert(status["uuid"].to_string()) {
                    continue;
                }
            }
            seen.push(format!(
                "{} {} {} {} uuid {has_uuid}",
                status["task_id"]["value"], status["state"], status["source"], status["reason"]
            ));
        }
        if let Some(status) = event.pointer("/update_operation_status/status") {
            let uuid = status.pointer("/uuid/value").cloned();
            if let Some(uuid) = &uuid {
                let acknowledge =
                    json!({"agent_id": status["agent_id"], "operation_id": status["operation_id"], "uuid": uuid});
                let call = json!({"type": "ACKNOWLEDGE_OPERATION_STATUS", "acknowledge_operation_status": acknowledge});
                framework.call(call).await.unwrap();
            }
            let has_agent = status.get("agent_id").is_some();
            seen.push(format!(
                "{} {} uuid {} agent {has_agent}",
                status["operation_id"]["value"],
                status["state"],
                uuid.is_some()
            ));
        }
        if let Some(offers) = event.pointer("/offers/offers").and_then(Value::as_array) {
            let ids: Vec<&Value> = offers.iter().map(|offer| &offer["id"]).collect();
            let decline = json!({"type": "DECLINE", "decline": {"offer_ids": ids, "filters": {"refuse_seconds": 0.0}}});
            framework.call(decline).await.unwrap();
        }
    }
    seen
}

async fn start_both() -> (MesosCluster, mainstay_devcluster::Running, tempfile::TempDir) {
    let agent = AgentOptions {
        hostname: Some("agent-0".into()),
        resources: Some("cpus:4;mem:4096;disk:10000;ports:[31000-31009]".into()),
        ..AgentOptions::default()
    };
    let real = MesosCluster::start(Options { agents: vec![agent], ..Options::default() }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut options = mainstay_devcluster::Options::new(folder.path(), 1);
    options.agents[0].has_cgroups = false;
    options.agents[0].resources =
        vec![scalar("cpus", 4.0), scalar("mem", 4096.0), scalar("disk", 10000.0), ranges("ports", &[(31000, 31009)])];
    let model = mainstay_devcluster::start(options).await.unwrap();
    (real, model, folder)
}

#[tokio::test]
async fn a_framework_sees_the_same_of_every_accept() {
    let (real, model, _folder) = start_both().await;
    let (real_url, model_url) = (real.master_url(), model.master_url());
    let (expected, got) = tokio::join!(run_script(&real_url), run_script(&model_url));
    let differences: Vec<String> = expected
        .iter()
        .zip(&got)
        .filter(|(real, model)| real != model)
        .map(|(real, model)| format!("--- real: {real}\n--- model: {model}"))
        .collect();
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
    assert_eq!(expected.len(), script().len());
    model.shutdown().await;
}

#[tokio::test]
async fn bad_requests_get_the_same_status() {
    let (real, model, _folder) = start_both().await;
    let json_type = ("content-type", "application/json");
    let protobuf = ("content-type", "application/x-protobuf");
    let stream = ("mesos-stream-id", "x");
    let unknown = |call: Value| {
        let mut call = call;
        call["framework_id"] = json!({"value": "nobody"});
        call.to_string()
    };
    let subscribe =
        json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "u", "name": "n"}}}).to_string();
    let other_id = json!({
        "type": "SUBSCRIBE", "framework_id": {"value": "a"},
        "subscribe": {"framework_info": {"user": "u", "name": "n", "id": {"value": "b"}}},
    });
    let bad_uuid = json!({"type": "ACKNOWLEDGE", "acknowledge": {
        "agent_id": {"value": "a"}, "task_id": {"value": "t"}, "uuid": "AAAA"}});
    let no_agent = json!({"type": "ACKNOWLEDGE_OPERATION_STATUS", "acknowledge_operation_status": {
        "uuid": "AAAA", "operation_id": {"value": "o"}}});
    let rows: Vec<(&str, Method, Headers, String)> = vec![
        ("GET", Method::GET, vec![json_type], String::new()),
        ("PUT", Method::PUT, vec![json_type], subscribe.clone()),
        ("no content type", Method::POST, vec![], subscribe.clone()),
        ("other content type", Method::POST, vec![("content-type", "text/plain")], subscribe.clone()),
        (
            "content type with charset",
            Method::POST,
            vec![("content-type", "application/json; charset=utf-8")],
            subscribe.clone(),
        ),
        ("not JSON", Method::POST, vec![json_type], "{".into()),
        ("not protobuf", Method::POST, vec![protobuf], "{}".into()),
        ("empty", Method::POST, vec![json_type], "{}".into()),
        ("unknown type", Method::POST, vec![json_type], unknown(json!({"type": "NOTHING"}))),
        (
            "required field missing",
            Method::POST,
            vec![json_type],
            json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": {"name": "n"}}}).to_string(),
        ),
        ("sub-message missing", Method::POST, vec![json_type], json!({"type": "SUBSCRIBE"}).to_string()),
        ("framework id missing", Method::POST, vec![json_type], json!({"type": "TEARDOWN"}).to_string()),
        ("ids differ", Method::POST, vec![json_type], other_id.to_string()),
        ("short uuid", Method::POST, vec![json_type, stream], unknown(bad_uuid)),
        ("no agent id", Method::POST, vec![json_type, stream], unknown(no_agent)),
        ("unacceptable", Method::POST, vec![json_type, ("accept", "text/plain")], subscribe.clone()),
        ("stream id on SUBSCRIBE", Method::POST, vec![json_type, stream], subscribe),
        ("unknown framework", Method::POST, vec![json_type, stream], unknown(json!({"type": "REVIVE"}))),
        ("unknown framework without stream id", Method::POST, vec![json_type], unknown(json!({"type": "REVIVE"}))),
    ];
    for (name, method, headers, body) in rows {
        for path in ["/api/v1/scheduler", "/master/api/v1/scheduler"] {
            let ask = async |url: String| {
                let url = format!("{url}{path}");
                request(method.clone(), &url, &headers, body.clone().into()).await.unwrap().status
            };
            let (expected, got) = tokio::join!(ask(real.master_url()), ask(model.master_url()));
            assert_eq!(expected, got, "{name} at {path}");
            assert!(expected.as_u16() >= 400, "{name} is no bad request");
        }
    }
    // Of subscribed frameworks: an older stream, none at all, and the right one.
    for url in [real.master_url(), model.master_url()] {
        let old = RawFramework::subscribe(&url, &framework_info("model", None)).await.unwrap();
        let id = old.framework_id().to_owned();
        let new = RawFramework::subscribe(&url, &framework_info("model", Some(&id))).await.unwrap();
        assert!(old.call(json!({"type": "REVIVE"})).await.is_err(), "{url}");
        new.call(json!({"type": "REVIVE"})).await.unwrap();
        new.call(json!({"type": "TEARDOWN"})).await.unwrap();
        assert!(new.call(json!({"type": "REVIVE"})).await.is_err(), "{url}");
    }
    model.shutdown().await;
}
