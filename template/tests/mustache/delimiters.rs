//! Delimiter changes.

use mainstay_template::Value;

use crate::{Case, case, plain};

pub(crate) fn cases() -> Vec<Case> {
    let host = || Value::from([("host", "n1")]);
    let tls = |is_on: bool| Value::from([("tls", Value::from(is_on)), ("port", Value::from("443"))]);
    let partial = "error: 1:3: template one not found: partials are not supported";
    vec![
        case("Pair Behavior", host(), "{{=<% %>=}}at <%host%>, not {{host}}", "at n1, not {{host}}"),
        case("Special Characters", host(), "{{=( )=}}at (host)", "at n1"),
        case(
            "Sections",
            tls(true),
            "begin\n{{#tls}}\n  {{port}} $port$\n{{/tls}}\n{{=$ $=}}\n$#tls$\n  {{port}} $port$\n$/tls$\nend\n",
            "begin\n  443 $port$\n  {{port}} 443\nend\n",
        ),
        case(
            "Inverted Sections",
            tls(false),
            "begin\n{{^tls}}\n  {{port}} $port$\n{{/tls}}\n{{=$ $=}}\n$^tls$\n  {{port}} $port$\n$/tls$\nend\n",
            "begin\n  443 $port$\n  {{port}} 443\nend\n",
        ),
        case("Partial Inheritence", host(), "< {{>one}} >\n{{=$ $=}}\n< $>one$ >\n", "< n1 >\n< n1 >\n")
            .deviates_everywhere(partial),
        case("Post-Partial Behavior", host(), "< {{>one}} >\n< {{host}} >\n", "< n1 >\n< n1 >\n")
            .deviates_everywhere(partial),
        plain("Surrounding Whitespace", "a  {{=<< >>=}}  b", "a    b"),
        plain("Outlying Whitespace (Inline)", "  a  {{=<< >>=}}\nb", "  a  \nb"),
        plain("Standalone Tag", "a\n{{=<< >>=}}\nb\n", "a\nb\n"),
        plain("Indented Standalone Tag", "a\n   {{=<< >>=}}\nb\n", "a\nb\n"),
        plain("Standalone Line Endings", "a\r\n{{=<< >>=}}\r\nb", "a\r\nb"),
        plain("Standalone Without Previous Line", "   {{=<< >>=}}\nb", "b"),
        plain("Standalone Without Newline", "a\n   {{=<< >>=}}", "a\n"),
        case("Pair with Padding", host(), "{{=  <<    >>  =}}<<host>>", "n1"),
    ]
}
