//! `mainstay why --offers FILE --spec SPEC`: recorded offers explained without a scheduler, with exact text.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/folder.rs"]
mod folder;

use std::fmt::Write as _;

use folder::{Folder, TWO_PODS};

/// As a master sends it in JSON: one agent with room, one without the port, one too small and held by somebody else.
const OFFERS: &str = r#"{
  "type": "OFFERS",
  "offers": {"offers": [
    {"id": {"value": "o1"}, "framework_id": {"value": "f"}, "agent_id": {"value": "s1"}, "hostname": "a1",
     "allocation_info": {"role": "two-pods-role"},
     "attributes": [{"name": "rack", "type": "TEXT", "text": {"value": "r1"}}],
     "resources": [
       {"name": "cpus", "type": "SCALAR", "scalar": {"value": 4.0}, "allocation_info": {"role": "two-pods-role"}},
       {"name": "mem", "type": "SCALAR", "scalar": {"value": 4096.0}, "allocation_info": {"role": "two-pods-role"}},
       {"name": "disk", "type": "SCALAR", "scalar": {"value": 9000.0}, "allocation_info": {"role": "two-pods-role"}},
       {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 9000, "end": 9100}]}, "allocation_info": {"role": "two-pods-role"}}]},
    {"id": {"value": "o2"}, "framework_id": {"value": "f"}, "agent_id": {"value": "s2"}, "hostname": "a2",
     "allocation_info": {"role": "two-pods-role"},
     "resources": [
       {"name": "cpus", "type": "SCALAR", "scalar": {"value": 4.0}, "allocation_info": {"role": "two-pods-role"}},
       {"name": "mem", "type": "SCALAR", "scalar": {"value": 4096.0}, "allocation_info": {"role": "two-pods-role"}},
       {"name": "disk", "type": "SCALAR", "scalar": {"value": 9000.0}, "allocation_info": {"role": "two-pods-role"}},
       {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 32000}]}, "allocation_info": {"role": "two-pods-role"}}]},
    {"id": {"value": "o3"}, "framework_id": {"value": "f"}, "agent_id": {"value": "s3"}, "hostname": "a3",
     "allocation_info": {"role": "two-pods-role"},
     "resources": [
       {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.05}, "allocation_info": {"role": "two-pods-role"}},
       {"name": "mem", "type": "SCALAR", "scalar": {"value": 4096.0}, "allocation_info": {"role": "two-pods-role"},
        "reservations": [{"type": "DYNAMIC", "role": "two-pods-role", "principal": "p",
          "labels": {"labels": [{"key": "resource_id", "value": "r"}]}}]}]}
  ]}
}"#;

const WHY: [&str; 5] = ["why", "--offers", "offers.json", "--spec", "svc.yml"];
const COUNT: [&str; 2] = ["--env", "DATA_COUNT=2"];

fn ask(offers: &str, more: &[&str]) -> String {
    let folder = Folder::new(&[("svc.yml", TWO_PODS), ("offers.json", offers)]);
    folder.run(&[&WHY[..], &COUNT, more].concat())
}

#[test]
fn every_step_is_held_against_the_offers_of_an_event() {
    insta::assert_snapshot!(ask(OFFERS, &[]));
}

#[test]
fn one_pod_is_asked_for_and_the_port_is_missing() {
    let offers = OFFERS.replace("\"begin\": 9000", "\"begin\": 9050");
    let mut said = ask(&offers, &["data-1"]);
    said.push_str(&ask(&offers, &["proxy"]));
    said.push_str(&ask(&offers, &["data-1", "--json"]));
    insta::assert_snapshot!(said);
}

#[test]
fn a_bare_list_of_offers_and_a_list_of_agents_will_do() {
    let from = OFFERS.find('[').unwrap();
    let to = OFFERS.rfind(']').unwrap();
    let mut said = ask(&OFFERS[from..=to], &["data"]);
    said.push_str(&ask("[{hostname: a, cpus: 4, mem: 4096, disk: 1000, ports: 9042}]", &["data"]));
    insta::assert_snapshot!(said);
}

#[test]
fn what_is_no_offer_is_left_out_with_a_note_or_refused() {
    let mut said = String::new();
    for (from, to) in [
        ("\"value\": 0.05", "\"value\": -1"),
        ("\"value\": 0.05", "\"value\": \"NaN\""),
        ("\"value\": 0.05", "\"value\": {}"),
        ("\"value\": 0.05", "\"value\": NaN"),
        ("\"hostname\": \"a3\",", ""),
        ("\"agent_id\": {\"value\": \"s3\"},", ""),
        (
            "{\"begin\": 31000, \"end\": 32000}",
            "{\"begin\": 31000, \"end\": 32000}, {\"begin\": 31500, \"end\": 31600}",
        ),
        ("\"type\": \"OFFERS\"", "\"type\": \"HEARTBEAT\""),
        ("two-pods-role", "others"),
    ] {
        assert!(OFFERS.contains(from), "{from}");
        writeln!(said, "# {from} -> {to}").unwrap();
        said.push_str(&ask(&OFFERS.replace(from, to), &["proxy"]));
    }
    for offers in ["", "nonsense", "{", "{\"offers\": 3}", "{\"offers\": {\"offers\": []}}", "[{\"agent_id\": 1}]"] {
        writeln!(said, "# {offers}").unwrap();
        said.push_str(&ask(offers, &[]));
    }
    said.push_str(&ask(OFFERS, &["data-2"]));
    let folder = Folder::new(&[("svc.yml", "name: x\npods:\n  a: {count: x}\n"), ("offers.json", "")]);
    said.push_str(&folder.run(&WHY));
    said.push_str(&folder.run(&["why", "--offers", "offers.json"]));
    insta::assert_snapshot!(said);
}

// Seen by hand: an agent that the live answer kept out for its region fitted offline.
#[test]
fn pods_stay_in_the_region_of_the_master() {
    let domain = |region: &str| {
        format!(
            "\"domain\": {{\"fault_domain\": {{\"region\": {{\"name\": \"{region}\"}}, \"zone\": {{\"name\": \"z\"}}}}}}"
        )
    };
    let mut offers = OFFERS.to_owned();
    for (host, region) in [("a1", "us"), ("a2", "eu"), ("a3", "eu")] {
        let hostname = format!("\"hostname\": \"{host}\"");
        offers = offers.replace(&hostname, &format!("{hostname}, {}", domain(region)));
    }
    let of_master = |region: &str| {
        let master = if region.is_empty() { String::new() } else { domain(region) };
        offers.replacen('{', &format!("{{\"master_info\": {{{master}}},"), 1)
    };
    let mut said = String::new();
    for (title, offers, more) in [
        ("nobody says", offers.clone(), &["proxy"][..]),
        ("an option", offers.clone(), &["proxy", "--region", "us"]),
        ("a region of nobody", offers.clone(), &["proxy", "--region", "mars"]),
        ("the file", of_master("us"), &["proxy"]),
        ("the file: a master without a region", of_master(""), &["proxy"]),
    ] {
        writeln!(said, "# {title}").unwrap();
        said.push_str(&ask(&offers, more));
    }
    insta::assert_snapshot!(said);
}

/// As if there were none: what is said of no offers is no answer to a question about these.
#[test]
fn offers_to_other_roles_are_said_to_be_of_no_use() {
    let all = ask(&OFFERS.replace("two-pods-role", "others"), &["proxy"]);
    assert!(
        all.contains(
            "offers.json: the offers were made to the role others, the service has the role two-pods-role; none of them says anything about it"
        ),
        "{all}"
    );
    assert!(!all.contains("none has come yet"), "{all}");
    let first = OFFERS.replacen(
        "\"allocation_info\": {\"role\": \"two-pods-role\"},",
        "\"allocation_info\": {\"role\": \"others\"},",
        1,
    );
    let some = ask(&first, &["proxy"]);
    assert!(some.contains("1 of 3 offers were made to the role others"), "{some}");
}
