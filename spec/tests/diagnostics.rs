//! Bad specifications and what is said about them, as snapshots; every code has one, and a page.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, path::PathBuf};

use mainstay_spec::{Code, Loaded, Report, Severity, Source, load};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn variables() -> BTreeMap<String, String> {
    [
        ("NAME", "hello"),
        ("VALUE", "a=b"),
        ("QUOTED", "{{LEFT_OVER}}"),
        ("HELLO_COUNT", "1"),
        ("PORT_API", "8080"),
        ("RULE", "rack:NEAR:x"),
        ("RULES", &format!("hostname:UNIQUE,rack:LIKE:{},\track:LIK:r1,media:LIKE:[x", "r".repeat(90))),
        ("LONG", &"x".repeat(600_000)),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn load_text(text: &str) -> Result<Loaded, Report> {
    let read_file = |path: &str| match path {
        "empty.conf" => Ok(String::new()),
        "broken.conf" => Ok("ok\n  {{#OPEN}}\n".to_owned()),
        _ => Err("file not found".to_owned()),
    };
    load(Source { file_name: "svc.yml", text }, &variables(), &read_file)
}

fn printed(text: &str) -> String {
    match load_text(text) {
        Ok(loaded) => loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"),
        Err(report) => report.to_string(),
    }
}

#[test]
fn bad_specifications() {
    insta::glob!("bad/*.yml", |path| {
        let text = fs::read_to_string(path).unwrap();
        insta::with_settings!({omit_expression => true}, {
            insta::assert_snapshot!(printed(&text));
        });
    });
}

#[test]
fn what_is_not_honoured_is_a_warning_until_someone_wants_to_run_it() {
    let text = fs::read_to_string(folder().join("tests/bad/not_yet.yml")).unwrap();
    let loaded = load_text(&text).unwrap();
    let report = loaded.unsupported().unwrap();
    assert!(report.diagnostics.iter().all(|d| (d.code, d.severity) == (Code::NotSupportedYet, Severity::Error)));
    insta::assert_snapshot!("unsupported", report);
    // The model says the same, for specifications built in code. The pod world writes an older block.
    let features = |text: &str| text.rsplit(": ").next().unwrap_or_default().to_owned();
    let mut by_model: Vec<_> = loaded.spec.unsupported().iter().map(|sentence| features(sentence)).collect();
    let mut by_place: Vec<_> = report.diagnostics.iter().map(|d| features(&d.message)).collect();
    by_model.sort();
    by_place.sort();
    assert_eq!(by_model, by_place);
    let plain = load_text("name: n\npods: {p: {count: 1, tasks: {t: {goal: ONCE, cmd: x, cpus: 1}}}}\n").unwrap();
    assert_eq!((plain.unsupported(), plain.spec.unsupported()), (None, Vec::new()));
}

#[test]
fn limits_are_diagnostics() {
    let too_long = "x".repeat(1024 * 1024 + 1);
    let too_deep = format!("{}{}", "{{#NAME}}".repeat(65), "{{/NAME}}".repeat(65));
    let too_nested = format!("name: {}{}", "[".repeat(40), "]".repeat(40));
    let too_many = format!("name: [{}]", "a, ".repeat(60_000));
    let far_too_nested = format!("name: {}", "[".repeat(5_000));
    let first = |text: &str| {
        // The codes of limits, of YAML and of its features; that the rest of the specification is wrong too is not the point.
        let printed = printed(text);
        let is_meant =
            |line: &&str| ["04]", "08]", "09]", "10]"].iter().any(|code| line.contains(&format!("SPEC-00{code}")));
        printed.lines().find(is_meant).unwrap().to_owned()
    };
    // Each of these would grow without bound if it were expanded.
    let bomb: Vec<_> = ('b'..='z').map(|c| format!("&{c} [*a, *a]")).collect();
    let aliases = format!("name: [&a [x, x], {}]", bomb.join(", "));
    let merged = "name: {<<: {b: c}}\n".to_owned();
    let itself = "name: &a [*a]\n".to_owned();
    let rendered = format!("name: {}", "{{LONG}}".repeat(2));
    let all = [too_long, too_deep, too_nested, too_many, far_too_nested, aliases, merged, itself, rendered];
    insta::assert_snapshot!("limits", all.map(|text| first(&text)).join("\n"));
}

#[test]
fn the_issues_bad_inputs_are_all_in_one_report() {
    let report = load_text(&fs::read_to_string(folder().join("tests/bad/issue_2_spec.yml")).unwrap()).unwrap_err();
    let codes: Vec<_> = report.diagnostics.iter().map(|d| (d.code, d.path.as_str(), d.position.line)).collect();
    let server = "pods.hello.tasks.server";
    assert_eq!(
        codes,
        [
            (Code::UnknownKey, format!("{server}.cpu").as_str(), 9),
            (Code::MissingValue, format!("{server}.cpus").as_str(), 10),
            (Code::OutOfRange, format!("{server}.ports.http.port").as_str(), 14),
            (Code::OutOfRange, "pods.world.tasks.server.cpus", 21),
            (Code::UnknownKey, "pods.world.tasks.server.memmory", 22),
            (Code::DuplicateKey, "pods.hello", 23),
        ]
    );
    let unset = &report.diagnostics[1];
    assert!(unset.message.contains("HELLO_CPUS is not set"), "{}", unset.message);
    assert!(
        report
            .to_string()
            .contains("svc.yml:23:3: error[MST-SPEC-0011] pods.hello: given twice: in line 3 and in line 23")
    );
}

#[test]
fn every_code_has_a_page_and_a_snapshot() {
    let snapshots: String = fs::read_dir(folder().join("tests/snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("diagnostics__"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut problems = Vec::new();
    for code in Code::ALL {
        if !snapshots.contains(&format!("[{code}]")) {
            problems.push(format!("{code} ({}) is in no snapshot", code.title()));
        }
        let page = fs::read_to_string(folder().join(format!("../docs/errors/{code}.md"))).unwrap_or_default();
        let heading = format!("# {code}: {}\n", code.title());
        if !page.starts_with(&heading) || !page.contains("```") || !page.contains("## Remedy") {
            problems.push(format!("{code} needs a page that begins with {heading:?} and has an example and a remedy"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let numbers: Vec<_> = Code::ALL.iter().map(|code| code.number()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b));
}

#[test]
fn what_pages_show_is_what_is_printed() {
    let mut pages = 0;
    for code in Code::ALL {
        let page = fs::read_to_string(folder().join(format!("../docs/errors/{code}.md"))).unwrap();
        let block = |kind: &str| {
            let (_, rest) = page.split_once(&format!("```{kind}\n"))?;
            rest.split_once("\n```").map(|(block, _)| block)
        };
        let (Some(keys), Some(shown)) = (block("yaml"), block("text")) else { continue };
        pages += 1;
        // The indentation says whether the keys belong to a pod or to a task.
        let is_task = keys.starts_with("        ");
        let (of_pod, of_task) = if is_task { ("", keys) } else { (keys, "        cpus: 1") };
        let text = format!(
            "name: hello\npods:\n  hello:\n    count: 1\n{of_pod}\n    tasks:\n      server:\n        goal: RUNNING\n        \
                            cmd: ./server\n{of_task}\n"
        );
        let text = text.replace("\n\n", "\n");
        let diagnostics = match load_text(&text) {
            Ok(loaded) => loaded.warnings,
            Err(report) => report.diagnostics,
        };
        let found = diagnostics.iter().find(|diagnostic| diagnostic.code == *code).map(ToString::to_string);
        assert_eq!(found.as_deref(), Some(shown), "{code}");
    }
    assert!(pages >= 11, "{pages}");
}
