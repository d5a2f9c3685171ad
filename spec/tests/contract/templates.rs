//! Sections 1.1 to 1.7 through the whole journey. The forms of tags one by one are the template crate's.

use mainstay_spec::Code;

use super::support::{Input, fine, loaded, refused, root, row, task, warned};

/// What a tag comes out as, with the variable `X`.
#[track_caller]
fn shown(tag: &str, value: Option<&str>) -> String {
    let mut input = task(&format!("cmd: |-\n  <{tag}>"));
    if let Some(value) = value {
        input = input.with("X", value);
    }
    let loaded = loaded(input).unwrap_or_else(|report| panic!("{report}"));
    let cmd = loaded.spec.pods[0].tasks[0].cmd.clone();
    cmd.strip_prefix('<').and_then(|cmd| cmd.strip_suffix('>')).unwrap_or(&cmd).to_owned()
}

#[test]
fn from_text_to_service() {
    row("1.1/file 1.1/context 1.1/rendered-kept 1.1/parse 1.2/variable 1.2/raw", || {
        let loaded = loaded(root("name: {{X}}{{{X}}}{{&X}}\nweb-url: '{{UNSET}}é'").with("X", "a")).unwrap();
        assert_eq!((loaded.spec.name.as_str(), loaded.spec.web_url.as_deref()), ("aaa", Some("é")));
        assert!(loaded.rendered.contains("name: aaa\nweb-url: 'é'"), "{}", loaded.rendered);
        assert_eq!(loaded.warnings.len(), 1);
        assert!(loaded.warnings[0].message.contains("UNSET"));
    });
}

#[test]
fn values_and_their_truth() {
    let truth = |value: Option<&str>| shown("{{#X}}yes{{/X}}{{^X}}no{{/X}}", value);
    // contract: 1.2/section 1.2/inverted 8.1/test-render-inverted
    assert_eq!(shown("{{#X}}{{.}}{{/X}}", Some("a")), "a");
    row("1.3/unset", || assert_eq!((shown("{{X}}", None), truth(None)), (String::new(), "no".to_owned())));
    row("1.3/empty", || assert_eq!((shown("{{X}}", Some("")), truth(Some(""))), (String::new(), "no".to_owned())));
    for word in ["false", "False", "FALSE"] {
        row("1.3/false", || {
            assert_eq!((shown("{{X}}", Some(word)), truth(Some(word))), ("false".to_owned(), "no".to_owned()));
        });
    }
    for word in ["true", "True", "TRUE"] {
        row("1.3/true 8.2/3", || {
            assert_eq!((shown("{{X}}", Some(word)), truth(Some(word))), ("true".to_owned(), "yes".to_owned()));
        });
    }
    for word in ["0", "no", "off", "null", "none", "[]", "{}"] {
        row("1.3/words 8.2/4", || {
            assert_eq!((shown("{{{X}}}", Some(word)), truth(Some(word))), (word.to_owned(), "yes".to_owned()));
        });
    }
    row("1.3/blanks", || {
        assert_eq!((shown("{{X}}", Some("  ")), truth(Some("  "))), ("  ".to_owned(), "yes".to_owned()));
    });
    row("1.3/other", || assert_eq!((shown("{{X}}", Some("a")), truth(Some("a"))), ("a".to_owned(), "yes".to_owned())));
    row("1.3/surrounded", || {
        assert_eq!((shown("{{X}}", Some(" FALSE ")), truth(Some(" FALSE "))), (" FALSE ".to_owned(), "yes".to_owned()));
    });
    row("8.1/test-render-inverted", || {
        assert_eq!(shown("{{^X}}inverted {{X}}{{/X}}", Some("false")), "inverted false");
        assert_eq!(shown("{{^X}}inverted {{X}}{{/X}}", Some("")), "inverted ");
    });
    row("1.2/not-rendered-again", || assert_eq!(shown("{{{X}}}", Some("{{Y}}")), "{{Y}}"));
}

#[test]
fn what_the_sdk_escaped_is_used_as_it_is_with_a_warning() {
    for value in ["a&b", "<", ">", "\"", "'", "`", "a=b", "a\tb", "a\r"] {
        row("1.4/entities 1.4/controls", || {
            let input = task("cmd: |-\n  {{X}}").with("X", value);
            let loaded = loaded(input).unwrap();
            let codes: Vec<_> = loaded.warnings.iter().map(|warning| warning.code).collect();
            assert_eq!(codes, [Code::ValueNotEscaped], "{value:?}");
            assert!(loaded.rendered.contains(value), "{value:?}");
        });
        row("1.2/raw", || {
            assert!(loaded(task("cmd: |-\n  {{{X}}}").with("X", value)).unwrap().warnings.is_empty(), "{value:?}");
        });
    }
    fine("1.4/slash", task("cmd: '{{X}}'").with("X", "a/b"));
}

#[test]
fn missing_variables() {
    let lines = |tags: &str| {
        let loaded = loaded(task(&format!("cmd: |\n  x\n  {tags}"))).unwrap();
        loaded.warnings.iter().filter(|warning| warning.code == Code::VariableUnset).count()
    };
    row("1.6/variable 1.6/default-mode", || {
        assert_eq!((lines("{{X}}"), lines("{{{X}}}"), lines("{{&X}}")), (1, 1, 1));
        let loaded =
            loaded("name: n{{X}}\n# {{X}}\npods: {p: {count: 1, tasks: {t: {goal: ONCE, cmd: x, cpus: 1}}}}").unwrap();
        assert!(loaded.warnings[0].message.contains("X is not set"), "{:?}", loaded.warnings);
        assert!(loaded.warnings[0].message.contains("(lines 1, 2)"), "{:?}", loaded.warnings);
    });
    row("1.6/section-not-taken", || assert_eq!(lines("{{#Y}}{{X}}{{/Y}}"), 0));
    row("1.6/section-name", || assert_eq!((lines("{{#X}}{{/X}}"), lines("{{^X}}{{/X}}")), (0, 0)));
    row("1.6/inverted-inside", || assert_eq!(lines("{{^X}}{{X}}{{/X}}"), 1));
    fine("1.6/empty", task("cmd: a{{X}}").with("X", ""));
    warned("1.6/residual-tag", task("cmd: a {{{X}}}").with("X", "{{LEFT}}"), Code::LeftoverTag, "");
    let message =
        refused("1.6/required-number", super::support::pod("count: {{COUNT}}"), Code::MissingValue, "pods.p.count");
    assert!(message.contains("COUNT is not set"), "{message}");
}

#[test]
fn template_errors_are_fatal() {
    let bad = |rows: &str, text: &str, code: Code| refused(rows, Input::from(format!("name: n\n{text}\n")), code, "");
    let message = bad("1.7/unclosed-tag", "web-url: {{X", Code::TemplateTag);
    assert!(message.starts_with("svc.yml:2:10:"), "{message}");
    assert!(bad("1.7/unclosed-section", "{{#A}}", Code::TemplateSection).contains('A'));
    let report = loaded("{{#A}}{{/B}}{{/A}}").unwrap_err().to_string();
    row("1.7/mismatched", || assert!(report.contains("{{/B}}") && report.contains("section A"), "{report}"));
    bad("1.7/empty-tag", "{{}}", Code::TemplateTag);
    bad("1.7/partial 1.2/partial", "{{>part}}", Code::TemplatePartial);
}
