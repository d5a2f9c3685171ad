//! Inverted sections.

use mainstay_template::Value;

use crate::{Case, case, none};

fn tls(value: impl Into<Value>) -> Value {
    Value::from([("tls", value.into())])
}

pub(crate) fn cases() -> Vec<Case> {
    let empty = || Value::List(Vec::new());
    let chain = |last: bool| Value::from([("a", Value::from([("b", tls(last))]))]);
    vec![
        case("Falsey", tls(false), "<{{^tls}}plain{{/tls}}>", "<plain>"),
        case("Truthy", tls(true), "<{{^tls}}plain{{/tls}}>", "<>"),
        case("Null is falsey", tls(Value::Null), "<{{^tls}}plain{{/tls}}>", "<plain>"),
        case("Context", tls(Value::from([("port", "443")])), "<{{^tls}}no {{port}}{{/tls}}>", "<>"),
        case("List", tls(vec![1_i64, 2]), "<{{^tls}}{{.}}{{/tls}}>", "<>"),
        case("Empty List", tls(empty()), "<{{^tls}}nothing{{/tls}}>", "<nothing>"),
        case(
            "Doubled",
            Value::from([("tls", Value::from(false)), ("x", Value::from("b"))]),
            "{{^tls}}\n- a\n{{/tls}}\n- {{x}}\n{{^tls}}\n- c\n{{/tls}}\n",
            "- a\n- b\n- c\n",
        ),
        case("Nested (Falsey)", tls(false), "1{{^tls}}2{{^tls}}3{{/tls}}4{{/tls}}5", "12345"),
        case("Nested (Truthy)", tls(true), "1{{^tls}}2{{^tls}}3{{/tls}}4{{/tls}}5", "15"),
        case("Context Misses", none(), "<{{^tls}}unset{{/tls}}>", "<unset>"),
        case("Dotted Names - Truthy", chain(true), "<{{^a.b.tls}}off{{/a.b.tls}}>", "<>"),
        case("Dotted Names - Falsey", chain(false), "<{{^a.b.tls}}off{{/a.b.tls}}>", "<off>"),
        case("Dotted Names - Broken Chains", Value::from([("a", none())]), "<{{^a.b.tls}}off{{/a.b.tls}}>", "<off>"),
        case("Surrounding Whitespace", tls(false), "x \t{{^tls}} y {{/tls}}\t z", "x \t y \t z"),
        case("Internal Whitespace", tls(false), "x{{^tls}}  {{! y }}\n\t{{/tls}}z\n", "x  \n\tz\n"),
        case(
            "Indented Inline Sections",
            tls(false),
            "  {{^tls}}one{{/tls}}\n  {{^tls}}two{{/tls}}\n",
            "  one\n  two\n",
        ),
        case("Standalone Lines", tls(false), "a\n{{^tls}}\nb\n{{/tls}}\nc\n", "a\nb\nc\n"),
        case("Standalone Indented Lines", tls(false), "a\n   {{^tls}}\nb\n\t{{/tls}}\nc\n", "a\nb\nc\n"),
        case("Standalone Line Endings", tls(false), "a\r\n{{^tls}}\r\n{{/tls}}\r\nb", "a\r\nb"),
        case("Standalone Without Previous Line", tls(false), "   {{^tls}}\nb{{/tls}}\nc", "b\nc"),
        case("Standalone Without Newline", tls(false), "a{{^tls}}\nb\n   {{/tls}}", "a\nb\n"),
        case("Padding", tls(false), "<{{^   tls }}plain{{/   tls }}>", "<plain>"),
    ]
}
