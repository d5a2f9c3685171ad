//! Tags that print a value.

use mainstay_template::{Dialect, Value};

use crate::{Case, case, none, plain};

/// A text with the characters that HTML escapes.
const MARKUP: &str = "<b>\"1 & 2\"</b>";
const ESCAPED: &str = "x=&lt;b&gt;&quot;1 &amp; 2&quot;&lt;/b&gt;";
const VERBATIM: &str = "x=<b>\"1 & 2\"</b>";
const ESCAPED_BY_CONFIG: &str = "x=&lt;b&gt;&#34;1 &amp; 2&#34;&lt;/b&gt;";
const ESCAPED_BY_PACKAGE: &str = "x=<b>\\\"1 & 2\\\"</b>";

fn one(name: &str, value: impl Into<Value>) -> Value {
    Value::from([(name, value.into())])
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = basic();
    cases.extend(dotted());
    cases.extend(implicit());
    cases.extend(whitespace());
    cases
}

fn basic() -> Vec<Case> {
    let markup = || one("x", MARKUP);
    let cores = || one("cores", 4_i64);
    let share = || one("share", 0.250_f64);
    let null = || one("x", Value::Null);
    vec![
        plain("No Interpolation", "level={INFO} }} { done\n", "level={INFO} }} { done\n"),
        case("Basic Interpolation", one("host", "n1"), "at {{host}}.\n", "at n1.\n"),
        case(
            "No Re-interpolation",
            Value::from([("first", "{{second}}"), ("second", "no")]),
            "{{first}} {{{first}}}",
            "{{second}} {{second}}",
        ),
        case("HTML Escaping", markup(), "x={{x}}", ESCAPED)
            .deviates(Dialect::Scheduler, VERBATIM)
            .deviates(Dialect::Config, ESCAPED_BY_CONFIG)
            .deviates(Dialect::Package, ESCAPED_BY_PACKAGE),
        case("Triple Mustache", markup(), "x={{{x}}}", VERBATIM).deviates(Dialect::Package, ESCAPED_BY_PACKAGE),
        case("Ampersand", markup(), "x={{&x}}", VERBATIM).deviates(Dialect::Package, ESCAPED_BY_PACKAGE),
        case("Basic Integer Interpolation", cores(), "cores: {{cores}}", "cores: 4"),
        case("Triple Mustache Integer Interpolation", cores(), "cores: {{{cores}}}", "cores: 4"),
        case("Ampersand Integer Interpolation", cores(), "cores: {{&cores}}", "cores: 4"),
        case("Basic Decimal Interpolation", share(), "share: {{share}}", "share: 0.25"),
        case("Triple Mustache Decimal Interpolation", share(), "share: {{{share}}}", "share: 0.25"),
        case("Ampersand Decimal Interpolation", share(), "share: {{&share}}", "share: 0.25"),
        case("Basic Null Interpolation", null(), "x=<{{x}}>", "x=<>"),
        case("Triple Mustache Null Interpolation", null(), "x=<{{{x}}}>", "x=<>"),
        case("Ampersand Null Interpolation", null(), "x=<{{&x}}>", "x=<>"),
        case("Basic Context Miss Interpolation", none(), "x=<{{x}}>", "x=<>"),
        case("Triple Mustache Context Miss Interpolation", none(), "x=<{{{x}}}>", "x=<>"),
        case("Ampersand Context Miss Interpolation", none(), "x=<{{&x}}>", "x=<>"),
    ]
}

fn dotted() -> Vec<Case> {
    let service = || one("service", one("user", "nobody"));
    let deep = || one("b", one("c", one("d", one("user", "nobody"))));
    vec![
        case(
            "Dotted Names - Basic Interpolation",
            service(),
            "{{service.user}}={{#service}}{{user}}{{/service}}",
            "nobody=nobody",
        ),
        case(
            "Dotted Names - Triple Mustache Interpolation",
            service(),
            "{{{service.user}}}={{#service}}{{{user}}}{{/service}}",
            "nobody=nobody",
        ),
        case(
            "Dotted Names - Ampersand Interpolation",
            service(),
            "{{&service.user}}={{#service}}{{&user}}{{/service}}",
            "nobody=nobody",
        ),
        case("Dotted Names - Arbitrary Depth", one("a", deep()), "as {{a.b.c.d.user}}", "as nobody"),
        case("Dotted Names - Broken Chains", one("a", none()), "<{{a.b.user}}>", "<>"),
        case(
            "Dotted Names - Broken Chain Resolution",
            Value::from([("a", one("b", none())), ("c", one("user", "root"))]),
            "<{{a.b.c.user}}>",
            "<>",
        ),
        case(
            "Dotted Names - Initial Resolution",
            Value::from([("a", deep()), ("b", one("c", one("d", one("user", "outer"))))]),
            "{{#a}}{{b.c.d.user}}{{/a}}",
            "nobody",
        ),
        case(
            "Dotted Names - Context Precedence",
            Value::from([("pod", one("disk", none())), ("disk", one("type", "ROOT"))]),
            "<{{#pod}}{{disk.type}}{{/pod}}>",
            "<>",
        ),
        case("Dotted Names are never single keys", one("disk.type", "ROOT"), "<{{disk.type}}>", "<>")
            .deviates(Dialect::Scheduler, "<ROOT>")
            .deviates(Dialect::Package, "<ROOT>"),
        case(
            "Dotted Names - No Masking",
            Value::from([("disk.type", Value::from("ROOT")), ("disk", one("type", "MOUNT"))]),
            "<{{disk.type}}>",
            "<MOUNT>",
        )
        .deviates(Dialect::Scheduler, "<ROOT>")
        .deviates(Dialect::Package, "<ROOT>"),
    ]
}

fn implicit() -> Vec<Case> {
    vec![
        case("Implicit Iterators - Basic Interpolation", "n1", "at {{.}}", "at n1"),
        case("Implicit Iterators - HTML Escaping", MARKUP, "x={{.}}", ESCAPED)
            .deviates(Dialect::Scheduler, VERBATIM)
            .deviates(Dialect::Config, ESCAPED_BY_CONFIG)
            .deviates(Dialect::Package, ESCAPED_BY_PACKAGE),
        case("Implicit Iterators - Triple Mustache", MARKUP, "x={{{.}}}", VERBATIM)
            .deviates(Dialect::Package, ESCAPED_BY_PACKAGE),
        case("Implicit Iterators - Ampersand", MARKUP, "x={{&.}}", VERBATIM)
            .deviates(Dialect::Package, ESCAPED_BY_PACKAGE),
        case("Implicit Iterators - Basic Integer Interpolation", 4_i64, "cores: {{.}}", "cores: 4"),
    ]
}

fn whitespace() -> Vec<Case> {
    let host = || one("host", "n1");
    vec![
        case("Interpolation - Surrounding Whitespace", host(), "at  {{host}}  now", "at  n1  now"),
        case("Triple Mustache - Surrounding Whitespace", host(), "at  {{{host}}}  now", "at  n1  now"),
        case("Ampersand - Surrounding Whitespace", host(), "at  {{&host}}  now", "at  n1  now"),
        case("Interpolation - Standalone", host(), "\t{{host}} \n", "\tn1 \n"),
        case("Triple Mustache - Standalone", host(), "\t{{{host}}} \n", "\tn1 \n"),
        case("Ampersand - Standalone", host(), "\t{{&host}} \n", "\tn1 \n"),
        case("Interpolation With Padding", host(), "<{{   host }}>", "<n1>"),
        case("Triple Mustache With Padding", host(), "<{{{   host }}}>", "<n1>"),
        case("Ampersand With Padding", host(), "<{{&   host }}>", "<n1>"),
    ]
}
