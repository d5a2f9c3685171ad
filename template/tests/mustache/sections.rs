//! Sections.

use mainstay_template::{Dialect, Value};

use crate::{Case, case, none};

fn one(name: &str, value: impl Into<Value>) -> Value {
    Value::from([(name, value.into())])
}

fn tls(value: impl Into<Value>) -> Value {
    one("tls", value)
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = truth();
    cases.extend(scopes());
    cases.extend(implicit());
    cases.extend(dotted());
    cases.extend(whitespace());
    cases
}

fn truth() -> Vec<Case> {
    vec![
        case("Truthy", tls(true), "<{{#tls}}on{{/tls}}>", "<on>"),
        case("Falsey", tls(false), "<{{#tls}}on{{/tls}}>", "<>"),
        case("Null is falsey", tls(Value::Null), "<{{#tls}}on{{/tls}}>", "<>"),
        case("Empty List", tls(Value::List(Vec::new())), "<{{#tls}}on{{/tls}}>", "<>"),
        case("Context Misses", none(), "<{{#tls}}on{{/tls}}>", "<>"),
        case("Nested (Truthy)", tls(true), "1{{#tls}}2{{#tls}}3{{/tls}}4{{/tls}}5", "12345"),
        case("Nested (Falsey)", tls(false), "1{{#tls}}2{{#tls}}3{{/tls}}4{{/tls}}5", "15"),
        case(
            "Doubled",
            Value::from([("tls", Value::from(true)), ("x", Value::from("b"))]),
            "{{#tls}}\n- a\n{{/tls}}\n- {{x}}\n{{#tls}}\n- c\n{{/tls}}\n",
            "- a\n- b\n- c\n",
        ),
    ]
}

fn scopes() -> Vec<Case> {
    let racks = || {
        let disk = |path: &str| one("path", path);
        let node = |name: &str, disks: Vec<Value>| Value::from([("node", Value::from(name)), ("disks", disks.into())]);
        let zone = Value::from([("long", "zone-a"), ("short", "a")]);
        let nodes = vec![node("n1", vec![disk("d1"), disk("d2")]), node("n2", vec![disk("d3")])];
        one("racks", vec![Value::from([("zone", zone), ("nodes", nodes.into())])])
    };
    let nest = || {
        let inner = Value::from([("c", Value::from(3_i64)), ("in", Value::from([("d", 4_i64), ("e", 5)]))]);
        Value::from([("one", one("a", 1_i64)), ("two", one("b", 2_i64)), ("three", inner)])
    };
    vec![
        case("Context", one("disk", one("type", "ROOT")), "<{{#disk}}a {{type}} disk{{/disk}}>", "<a ROOT disk>"),
        case(
            "Parent contexts",
            Value::from([
                ("user", Value::from("nobody")),
                ("port", Value::from(1_i64)),
                ("pod", one("port", 2_i64)),
                ("disk", one("type", "ROOT")),
            ]),
            "{{#pod}}{{user}} {{port}} {{disk.type}}{{/pod}}",
            "nobody 2 ROOT",
        ),
        case("Variable test", one("host", "n1"), "{{#host}}{{.}} and {{host}}{{/host}}", "n1 and n1"),
        case(
            "List Contexts",
            racks(),
            "{{#racks}}{{#nodes}}{{zone.short}}/{{node}}:{{#disks}} {{zone.long}}/{{node}}/{{path}}{{/disks}};{{/nodes}}{{/racks}}",
            "a/n1: zone-a/n1/d1 zone-a/n1/d2;a/n2: zone-a/n2/d3;",
        ),
        case(
            "Deeply Nested Contexts",
            nest(),
            "{{#one}}\n{{a}}\n{{#two}}\n{{a}}{{b}}\n{{#three}}\n{{a}}{{b}}{{c}}\n{{#in}}\n{{a}}{{b}}{{c}}{{d}}\n\
             {{#e}}\n{{a}}{{b}}{{c}}{{d}}{{e}}{{.}}\n{{/e}}\n{{d}}{{a}}\n{{/in}}\n{{c}}{{d}}\n{{/three}}\n{{b}}\n{{/two}}\n{{/one}}\n",
            "1\n12\n123\n1234\n123455\n41\n3\n2\n",
        ),
        case(
            "List",
            one("nodes", vec![one("id", 1_i64), one("id", 2_i64), one("id", 3_i64)]),
            "{{#nodes}}[{{id}}]{{/nodes}}",
            "[1][2][3]",
        ),
    ]
}

fn implicit() -> Vec<Case> {
    let list = |values: Vec<Value>| one("list", values);
    let markup = || one("list", vec!["<&>", "\"q\""]);
    vec![
        case("Implicit Iterator - String", one("list", vec!["x", "y"]), "{{#list}}{{.}};{{/list}}", "x;y;"),
        case("Implicit Iterator - Integer", one("list", vec![7_i64, 8]), "{{#list}}{{.}};{{/list}}", "7;8;"),
        case("Implicit Iterator - Decimal", one("list", vec![1.50, 0.125]), "{{#list}}{{.}};{{/list}}", "1.5;0.125;"),
        case(
            "Implicit Iterator - Array",
            list(vec![vec![1_i64, 2].into(), vec!["x", "y"].into()]),
            "{{#list}}<{{#.}}{{.}},{{/.}}>{{/list}}",
            "<1,2,><x,y,>",
        ),
        case("Implicit Iterator - HTML Escaping", markup(), "{{#list}}{{.}};{{/list}}", "&lt;&amp;&gt;;&quot;q&quot;;")
            .deviates(Dialect::Scheduler, "<&>;\"q\";")
            .deviates(Dialect::Config, "&lt;&amp;&gt;;&#34;q&#34;;")
            .deviates(Dialect::Package, "<&>;\\\"q\\\";"),
        case("Implicit Iterator - Triple mustache", markup(), "{{#list}}{{{.}}};{{/list}}", "<&>;\"q\";")
            .deviates(Dialect::Package, "<&>;\\\"q\\\";"),
        case("Implicit Iterator - Ampersand", markup(), "{{#list}}{{&.}};{{/list}}", "<&>;\"q\";")
            .deviates(Dialect::Package, "<&>;\\\"q\\\";"),
        case("Implicit Iterator - Root-level", vec![one("id", "x"), one("id", "y")], "{{#.}}{{id}};{{/.}}", "x;y;"),
    ]
}

fn dotted() -> Vec<Case> {
    let chain = |last: bool| one("a", one("b", tls(last)));
    vec![
        case("Dotted Names - Truthy", chain(true), "<{{#a.b.tls}}on{{/a.b.tls}}>", "<on>"),
        case("Dotted Names - Falsey", chain(false), "<{{#a.b.tls}}on{{/a.b.tls}}>", "<>"),
        case("Dotted Names - Broken Chains", one("a", none()), "<{{#a.b.tls}}on{{/a.b.tls}}>", "<>"),
    ]
}

fn whitespace() -> Vec<Case> {
    vec![
        case("Surrounding Whitespace", tls(true), "x \t{{#tls}} y {{/tls}}\t z", "x \t y \t z"),
        case("Internal Whitespace", tls(true), "x{{#tls}}  {{! y }}\n\t{{/tls}}z\n", "x  \n\tz\n"),
        case("Indented Inline Sections", tls(true), "  {{#tls}}one{{/tls}}\n  {{#tls}}two{{/tls}}\n", "  one\n  two\n"),
        case("Standalone Lines", tls(true), "a\n{{#tls}}\nb\n{{/tls}}\nc\n", "a\nb\nc\n"),
        case("Indented Standalone Lines", tls(true), "a\n   {{#tls}}\nb\n\t{{/tls}}\nc\n", "a\nb\nc\n"),
        case("Standalone Line Endings", tls(true), "a\r\n{{#tls}}\r\n{{/tls}}\r\nb", "a\r\nb"),
        case("Standalone Without Previous Line", tls(true), "   {{#tls}}\nb{{/tls}}\nc", "b\nc"),
        case("Standalone Without Newline", tls(true), "a{{#tls}}\nb\n   {{/tls}}", "a\nb\n"),
        case("Padding", tls(true), "<{{#   tls }}on{{/   tls }}>", "<on>"),
    ]
}
