//! Section 2.25: placement, as rules. What they mean for an offer is the engine's (`engine/src/offer/placement.rs`).

use mainstay_spec::{Code, placement::Rule};

use super::support::{fine, pod, refused, the_pod, warned};

#[track_caller]
fn rule(text: &str) -> Option<Rule> {
    the_pod(&fine("", pod(&format!("placement: '{text}'")))).placement.clone()
}

#[track_caller]
fn shown(text: &str) -> String {
    rule(text).unwrap().to_string()
}

/// Is read with a warning that something else may be meant.
#[track_caller]
fn odd(text: &str) -> String {
    let input = pod(&format!("placement: '{text}'"));
    let spec = warned("", input, Code::OddPlacement, "pods.p.placement");
    the_pod(&spec).placement.clone().unwrap().to_string()
}

/// Is refused with a message that quotes the text.
#[track_caller]
fn bad(text: &str) -> String {
    let message = refused("", pod(&format!("placement: '{text}'")), Code::InvalidPlacement, "pods.p.placement");
    assert!(message.contains("found "), "{message}");
    message
}

#[test]
fn spellings() {
    // contract: 2.25/spellings 2.25/all-hold 1.9/quoted-raw
    let two = shown("hostname:UNIQUE,rack:LIKE:r1");
    assert_eq!(shown(r#"[["hostname", "UNIQUE"], ["rack", "LIKE", "r1"]]"#), two);
    assert_eq!(two, "hostname max 1 of p AND attribute rack LIKE r1");
    assert_eq!(shown(r#"["hostname", "UNIQUE"]"#), shown("hostname:UNIQUE"));
    assert_eq!(shown(r"rack:IS:a\:b\,c"), "attribute rack IS a:b,c");
    for nothing in ["", "[]"] {
        assert_eq!(rule(nothing), None, "{nothing:?}");
    }
    assert_eq!(the_pod(&fine("2.25/spellings", pod("placement:"))).placement, None);
}

#[test]
fn operators() {
    // contract: 2.25/UNIQUE 2.25/CLUSTER 2.25/IS 2.25/IS_NOT 2.25/LIKE 2.25/UNLIKE 2.25/GROUP_BY 2.25/MAX_PER
    for (text, expected) in [
        ("a:unique", "attribute a max 1 of p"),
        ("a:CLUSTER:x", "attribute a IS x"),
        ("a:Is:x", "attribute a IS x"),
        ("a:IS_NOT:x", "NOT (attribute a IS x)"),
        ("a:LIKE:x.*", "attribute a LIKE x.*"),
        ("a:UNLIKE:x.*", "NOT (attribute a LIKE x.*)"),
        ("a:GROUP_BY", "attribute a spread over all of p"),
        ("a:GROUP_BY:3", "attribute a spread over 3 of p"),
        ("a:MAX_PER:2", "attribute a max 2 of p"),
    ] {
        assert_eq!(shown(text), expected);
    }
    for operator in ["CLUSTER", "IS", "IS_NOT", "LIKE", "UNLIKE", "MAX_PER"] {
        bad(&format!("a:{operator}"));
    }
    // As the SDK does.
    assert_eq!(odd("a:UNIQUE:ignored"), shown("a:UNIQUE"));
    bad("a:GROUP_BY:x");
    bad("a:NEAR:x");
}

#[test]
fn fields() {
    // contract: 2.25/hostname 2.25/@region 2.25/attribute 2.25/counting
    assert_eq!(shown("hostname:IS:a"), shown("@hostname:IS:a"));
    assert_eq!(shown("@region:IS:a"), "region IS a");
    assert_eq!(shown("@zone:MAX_PER:1"), "zone max 1 of p");
    assert_eq!(odd("region:IS:a"), "attribute region IS a");
    assert!(rule("@region:IS:a").unwrap().references_region());
}

#[test]
fn bad_texts_are_reported_when_the_specification_is_read() {
    // contract: 2.25/rows 2.25/invalid 8.1/placement-texts
    bad(r#"[["a", "UNIQUE"]] trailing"#);
    bad(r#"[["a", "IS", "b", "c"]]"#);
    bad(r#"[["a"]]"#);
    bad("a:LIKE");
    bad("a:LIKE:[");
    bad("a:MAX_PER:many");
    assert_eq!(shown(r#"[["a", "IS", "x\"y,z"]]"#), r#"attribute a IS x"y,z"#);
}

#[test]
fn patterns_are_bounded_in_size_and_number() {
    // Found by fuzzing: eight kilobytes of these took a gigabyte.
    let message = bad(r"a:LIKE:\w{50}");
    assert!(message.contains("size limit"), "{message}");
    let rows = |count: usize| vec!["a:LIKE:x"; count].join(",");
    assert!(rule(&rows(100)).is_some());
    assert!(bad(&rows(101)).contains("at most 100 constraints"));
    let pod = |index: usize| {
        format!("  p{index}: {{count: 1, placement: '{}', tasks: {{t: {{goal: ONCE, cmd: x, cpus: 1}}}}}}\n", rows(100))
    };
    let text = |pods: usize| format!("name: n\npods:\n{}", (0..pods).map(pod).collect::<String>());
    fine("", text(1));
    let message = refused("", text(2), Code::InvalidPlacement, "pods.p1.placement");
    assert!(message.contains("more than 100 patterns"), "{message}");
    // What operators write is far below.
    let hosts: Vec<_> = (0..500).map(|index| format!("node-{index}.rack-{}.example.com", index % 7)).collect();
    assert!(rule(&format!("hostname:LIKE:({})", hosts.join("|"))).is_some());
}
