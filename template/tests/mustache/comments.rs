//! Comment tags.

use mainstay_template::Value;

use crate::{Case, case, plain};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        plain("Inline", "port{{! of the web interface }}=80", "port=80"),
        plain("Multiline", "a=1{{!\nset by the operator,\n  see the guide\n}};b=2\n", "a=1;b=2\n"),
        plain("Standalone", "[main]\n{{! tuned by hand }}\nx=1\n", "[main]\nx=1\n"),
        plain("Indented Standalone", "[main]\n\t {{! tuned by hand }}\nx=1\n", "[main]\nx=1\n"),
        plain("Standalone Line Endings", "a\r\n{{! gone }}\r\nb", "a\r\nb"),
        plain("Standalone Without Previous Line", "   {{! first line }}\nx=1", "x=1"),
        plain("Standalone Without Newline", "x=1\n   {{! last line }}", "x=1\n"),
        plain("Multiline Standalone", "x=1\n{{!\nnobody reads\nthis\n}}\ny=2\n", "x=1\ny=2\n"),
        plain("Indented Multiline Standalone", "x=1\n    {{!\n  nobody reads\n    }}\ny=2\n", "x=1\ny=2\n"),
        plain("Indented Inline", "    x=1 {{! one }}\n", "    x=1 \n"),
        plain("Surrounding Whitespace", "x =  {{! what? }}  1", "x =    1"),
        case(
            "Variable Name Collision",
            Value::from([("! note", 1_i64), ("!note", 2), ("note", 3), ("!", 4)]),
            "<{{! note }}|{{!note}}|{{!}}>",
            "<||>",
        ),
    ]
}
