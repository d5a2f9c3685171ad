//! Sections 2.1 and 2.2.

use super::*;

const PODS: &str = "pods: {p: {count: 1, tasks: {t: {goal: ONCE, cmd: x, cpus: 1}}}}\n";

fn scheduler(keys: &str) -> String {
    format!("name: /path/to/svc\nscheduler: {keys}\n{PODS}")
}

#[test]
fn root_name() {
    assert_eq!(service(&format!("name: /path/to/svc\n{PODS}")).name, "/path/to/svc");
    refuses(PODS, Code::RequiredKey, "name", "the name of the service");
    refuses(&format!("name: ''\n{PODS}"), Code::MissingValue, "name", "is empty");
    refuses(&format!("name:\n{PODS}"), Code::MissingValue, "name", "is empty");
    refuses(&format!("name: a__b\n{PODS}"), Code::InvalidName, "name", "'__'");
}

#[test]
fn root_web_url() {
    assert_eq!(service(&format!("name: n\n{PODS}")).web_url, None);
    assert_eq!(service(&format!("name: n\nweb-url: ''\n{PODS}")).web_url, None);
    assert_eq!(service(&format!("name: n\nweb-url: http://x\n{PODS}")).web_url.as_deref(), Some("http://x"));
}

#[test]
fn root_scheduler_is_optional() {
    for section in ["", "scheduler:\n", "scheduler: {}\n"] {
        let spec = service(&format!("name: n\n{section}{PODS}"));
        assert_eq!((spec.principal.as_str(), spec.user.as_str()), ("n-principal", "root"));
    }
}

#[test]
fn root_pods() {
    refuses("name: n\n", Code::RequiredKey, "pods", "at least one pod");
    refuses("name: n\npods: {}\n", Code::EmptyCollection, "pods", "is empty");
    refuses("name: n\npods:\n", Code::MissingValue, "pods", "is empty");
    let pod = "{count: 1, tasks: {t: {goal: ONCE, cmd: x, cpus: 1}}}";
    let spec = service(&format!("name: n\npods: {{b: {pod}, a: {pod}, c: {pod}}}\n"));
    assert_eq!(spec.pods.iter().map(|pod| pod.pod_type.as_str()).collect::<Vec<_>>(), ["b", "a", "c"]);
}

#[test]
fn root_plans_are_optional() {
    for plans in ["", "plans:\n", "plans: {}\n"] {
        let text = format!("name: n\n{PODS}{plans}");
        assert_eq!(service(&text).plans, []);
        is_fine(&text);
    }
}

#[test]
fn root_refuses_anything_else() {
    refuses(&format!("name: n\ngoal: RUNNING\n{PODS}"), Code::UnknownKey, "goal", "a service always runs");
    refuses(&format!("name: n\nbanana: 1\n{PODS}"), Code::UnknownKey, "banana", "known here: name, web-url, scheduler");
    for key in ["role", "region", "env", "labels"] {
        refuses(&format!("name: n\n{key}: x\n{PODS}"), Code::UnknownKey, key, "unknown key; ");
    }
}

#[test]
fn scheduler_principal() {
    assert_eq!(service(&scheduler("{}")).principal, "/path/to/svc-principal");
    assert_eq!(service(&scheduler("{principal: ''}")).principal, "/path/to/svc-principal");
    assert_eq!(service(&scheduler("{principal: me}")).principal, "me");
}

#[test]
fn scheduler_zookeeper() {
    assert_eq!(service(&scheduler("{zookeeper: }")).zookeeper, "master.mesos:2181");
    assert_eq!(service(&scheduler("{zookeeper: 'a:1,b:2'}")).zookeeper, "a:1,b:2");
}

#[test]
fn scheduler_user() {
    assert_eq!(service(&scheduler("{user: ''}")).user, "root");
    assert_eq!(service(&scheduler("{user: nobody}")).user, "nobody");
}

#[test]
fn scheduler_role_is_older_and_honoured() {
    let text = scheduler("{role: theirs}");
    assert_eq!(service(&text).role(), "theirs");
    warns(&text, Code::Deprecated, "scheduler.role", "it is honoured");
    assert_eq!(service(&scheduler("{}")).role(), "path__to__svc-role");
}

#[test]
fn scheduler_api_port_is_older_and_port_api_wins() {
    let text = scheduler("{api-port: 9090}");
    warns(&text, Code::Deprecated, "scheduler.api-port", "PORT_API names the port");
    let said = |port| try_load(&text, &[("PORT_API", port)]).unwrap().warnings[0].message.clone();
    assert!(said("8080").contains("PORT_API is 8080 and is used"), "{}", said("8080"));
    assert!(said("9090").contains("PORT_API says the same"), "{}", said("9090"));
}

#[test]
fn scheduler_refuses_anything_else() {
    refuses(&scheduler("{web-url: x}"), Code::UnknownKey, "scheduler.web-url", "it belongs to the root");
}
