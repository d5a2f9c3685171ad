//! The author's commands as their users meet them: the real binary, real files, exact output.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const MAINSTAY: &str = env!("CARGO_BIN_EXE_mainstay");
const SVC_SPECS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../svc-specs");

const SPEC: &str = "\
name: {{NAME}}
pods:
  node:
    count: {{NODE_COUNT}}
    tasks:
      server:
        goal: RUNNING
        cmd: ./server {{#FLAGS}}{{{FLAGS}}}{{/FLAGS}}
        cpus: 0.5
        memory: 128
";

const ENV: &str = "# of the service\nNAME=demo\n\nNODE_COUNT = 3\n";

const CONFIG: &str = r#"{
  "type": "object",
  "properties": {
    "service": {
      "type": "object",
      "properties": {
        "name": {"type": "string", "default": "demo"},
        "flags": {"type": "string", "default": ""},
        "secret": {"type": "string", "default": ""}
      },
      "additionalProperties": false
    },
    "node": {
      "type": "object",
      "properties": {
        "count": {"type": "integer", "default": 3, "minimum": 1},
        "placement": {"type": "string", "default": "[[\"hostname\", \"UNIQUE\"]]"}
      }
    }
  }
}
"#;

const MARATHON: &str = r#"{
  "id": "{{service.name}}",
  "env": {
    "NAME": "{{service.name}}",
    {{#service.flags}}
    "FLAGS": "{{service.flags}}",
    {{/service.flags}}
    "DEMO_URI": "{{resource.assets.uris.demo}}",
    "PLACEMENT": "{{{node.placement}}}",
    "CREDENTIAL": {"secret": "serviceCredential"},
    "FIXED": 7,
    "NODE_COUNT": "{{node.count}}"
  }
}
"#;

/// A folder with files.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            folder.write(name, text.as_bytes());
        }
        folder
    }

    /// With a specification and what renders it.
    fn demo() -> Self {
        Self::new(&[("svc.yml", SPEC), ("env", ENV)])
    }

    /// With a package beside it, and no file `env`.
    fn package() -> Self {
        Self::new(&[
            ("svc.yml", SPEC),
            ("package/config.json", CONFIG),
            ("package/marathon.json.mustache", MARATHON),
            ("package/resource.json", "{\n  \"assets\": {\"uris\": {\"demo\": \"http://x/demo.tgz\"}}\n}\n"),
            ("package/package.json", r#"{"name": "demo", "version": "1.0.0"}"#),
        ])
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(MAINSTAY);
        command.args(arguments).current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        run(&mut self.command(arguments))
    }

    #[track_caller]
    fn gives(&self, arguments: &[&str], code: i32, out: &str, err: &str) {
        assert_eq!(self.run(arguments), (code, out.to_owned(), err.to_owned()), "{arguments:?}");
    }
}

fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Runs with this on standard input.
fn fed(command: &mut Command, input: &[u8]) -> (i32, String, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const OK: &str = "svc.yml: ok: service demo, 1 pod, 3 instances, 3 tasks\n";

#[test]
fn a_right_specification_is_ok() {
    Folder::demo().gives(&["check", "svc.yml"], 0, OK, "");
}

#[test]
fn every_problem_is_shown_and_the_last_line_counts_them() {
    let folder = Folder::demo();
    folder.write("svc.yml", SPEC.replace("RUNNING", "RUNING").replace("0.5", "{{CPUS}}").as_bytes());
    let expected = "\
svc.yml:7:15: error[MST-SPEC-0018] pods.node.tasks.server.goal: found \"RUNING\"; allowed: RUNNING, FINISH, ONCE; did you mean RUNNING?
 7 |         goal: RUNING
   |               ^^^^^^

svc.yml:9:15: error[MST-SPEC-0016] pods.node.tasks.server.cpus: is empty because the variable CPUS is not set; a number is needed
 9 |         cpus: {{CPUS}}
   |               ^^^^^^^^
   = help: set CPUS

svc.yml: refused: 2 errors
";
    folder.gives(&["check", "svc.yml"], 1, expected, "");
}

#[test]
fn strict_refuses_warnings() {
    let folder = Folder::demo();
    folder.write("svc.yml", (SPEC.to_owned() + "web-url: {{URL}}\n").as_bytes());
    let warning = "\
svc.yml:11:10: warning[MST-SPEC-0006]: the variable URL is not set; nothing is put in its place
 11 | web-url: {{URL}}
    |          ^^^^^^^

";
    let ok = "svc.yml: ok: service demo, 1 pod, 3 instances, 3 tasks, 1 warning\n";
    folder.gives(&["check", "svc.yml"], 0, &format!("{warning}{ok}"), "");
    let refused = "svc.yml: refused: 1 warning, which --strict does not allow\n";
    folder.gives(&["check", "--strict", "svc.yml"], 1, &format!("{warning}{refused}"), "");
    folder.gives(&["check", "--strict", "svc.yml", "--env", "URL=x"], 0, OK, "");
}

#[test]
fn several_specifications_are_checked_each_with_its_own_variables() {
    let folder = Folder::new(&[
        ("a/svc.yml", SPEC),
        ("a/env", "NAME=a\nNODE_COUNT=1"),
        ("b/svc.yml", SPEC),
        ("b/env", "NAME=b\nNODE_COUNT=x"),
    ]);
    let expected = "\
a/svc.yml: ok: service a, 1 pod, 1 instance, 1 task
b/svc.yml:4:12: error[MST-SPEC-0014] pods.node.count: found \"x\" (from NODE_COUNT); a whole number from 0 to 10000 is needed
 4 |     count: {{NODE_COUNT}}
   |            ^^^^^^^^^^^^^^

b/svc.yml: refused: 1 error
";
    folder.gives(&["check", "a/svc.yml", "b/svc.yml"], 1, expected, "");
    let missing = "mainstay: error: cannot read c/svc.yml: there is no such file\n";
    folder.gives(&["check", "a/svc.yml", "b/svc.yml", "c/svc.yml"], 2, expected, missing);
}

#[test]
fn json_is_one_stable_document() {
    let folder = Folder::demo();
    folder.write("bad.yml", SPEC.replace("RUNNING", "RUNING").as_bytes());
    let (code, out, err) = folder.run(&["check", "--json", "svc.yml", "bad.yml", "none.yml"]);
    assert_eq!((code, err.as_str()), (2, ""));
    let document: Value = serde_json::from_str(&out).unwrap();
    let file = |name: &str, ok: bool| {
        json!({"file": name, "ok": ok, "unreadable": [], "service": null, "errors": 0, "warnings": 0,
               "diagnostics": [], "notes": []})
    };
    let mut good = file("svc.yml", true);
    good["service"] = json!({"name": "demo", "pods": 1, "instances": 3, "tasks": 3, "plans": 0});
    let mut bad = file("bad.yml", false);
    bad["errors"] = json!(1);
    bad["diagnostics"] = json!([{
        "code": "MST-SPEC-0018", "severity": "error", "file": "bad.yml", "line": 7, "column": 15,
        "rendered": {"line": 7, "column": 15}, "path": "pods.node.tasks.server.goal",
        "message": "found \"RUNING\"; allowed: RUNNING, FINISH, ONCE; did you mean RUNNING?", "help": null,
        "known": [], "page": "docs/errors/MST-SPEC-0018.md"
    }]);
    let mut none = file("none.yml", false);
    none["unreadable"] = json!(["cannot read none.yml: there is no such file"]);
    assert_eq!(document, json!({"ok": false, "files": [good, bad, none]}));
}

#[test]
fn later_sources_of_variables_win() {
    let folder = Folder::demo();
    folder.write("one", b"NODE_COUNT=4\nFLAGS=one");
    folder.write("two", b"NODE_COUNT=5\n");
    let explain = |arguments: &[&str]| {
        let mut command = folder.command(&[&["render", "--explain", "svc.yml"], arguments].concat());
        let (code, out, err) = run(command.env("NODE_COUNT", "9").env("FLAGS", "process"));
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
        let of = |name: &str| {
            let start = out.find(name).unwrap();
            out[start..].lines().take(2).map(str::trim).collect::<Vec<_>>().join(" ")
        };
        (of("NODE_COUNT"), of("FLAGS"))
    };
    let own = |left: &str, right: &str| (left.to_owned(), right.to_owned());
    let unused = "FLAGS is not set used in line 8 (section), line 8 (raw, not reached)";
    assert_eq!(explain(&[]), own("NODE_COUNT = \"3\" from env:4", unused));
    let process = "the process's environment";
    assert_eq!(
        explain(&["--inherit-env"]),
        own(&format!("NODE_COUNT = \"9\" from {process}"), &format!("FLAGS = \"process\" from {process}"))
    );
    assert_eq!(
        explain(&["--env-file", "one", "--inherit-env", "--env-file", "two"]),
        own("NODE_COUNT = \"5\" from two:1", "FLAGS = \"one\" from one:2")
    );
    assert_eq!(
        explain(&["--env", "NODE_COUNT=6", "--env-file", "two", "--env", "FLAGS=a=b"]),
        own("NODE_COUNT = \"6\" from --env", "FLAGS = \"a=b\" from --env")
    );
}

#[test]
fn what_cannot_be_read_is_exit_2_and_says_why() {
    let folder = Folder::demo();
    folder.write("binary", &[0x7f, b'E', b'L', b'F', 0, 1]);
    folder.write("latin1.yml", b"name: x\nuser: J\xfcrgen\n");
    folder.write("large.yml", &vec![b'#'; 5 * 1024 * 1024]);
    folder.write("bad.env", b"A=1\nB\nA=2\n");
    folder.write("folder/svc.yml", SPEC.as_bytes());
    folder.write("empty/file", b"");
    let error = |text: &str| format!("mainstay: error: {text}\n");
    for command in ["check", "render", "explain"] {
        for (arguments, expected) in [
            (&["none.yml"][..], error("cannot read none.yml: there is no such file")),
            (&["empty"], error("cannot read empty: it is a folder; name the file")),
            (&["folder"], error("cannot read folder: it is a folder; name the file, for example folder/svc.yml")),
            (&["binary"], error("cannot read binary: it is a binary file, not text")),
            (&["latin1.yml"], error("cannot read latin1.yml: byte 0xfc at 2:8 is not UTF-8; save the file as UTF-8")),
            (&["large.yml"], error("cannot read large.yml: it is larger than 4194304 bytes")),
            (&["/dev/zero"], error("cannot read /dev/zero: it is larger than 4194304 bytes")),
            (&["svc.yml", "--env-file", "none"], error("cannot read none: there is no such file")),
            (
                &["svc.yml", "--env-file", "bad.env", "--env", "=x", "--env", "y"],
                error("bad.env: line 2: \"B\" is not KEY=VALUE")
                    + &error("bad.env: line 3: A is given twice")
                    + &error("--env \"=x\" is not of the form KEY=VALUE")
                    + &error("--env \"y\" is not of the form KEY=VALUE"),
            ),
            (&["svc.yml", "--universe", "none"], error("--universe none: there is no such folder")),
        ] {
            folder.gives(&[&[command], arguments].concat(), 2, "", &expected);
        }
        for arguments in [&[][..], &["svc.yml", "--env"], &["svc.yml", "--options", "x"], &["svc.yml", "--what"]] {
            let (code, out, err) = folder.run(&[&[command], arguments].concat());
            assert_eq!((code, out.as_str()), (2, ""), "{command} {arguments:?}");
            assert!(err.starts_with("error: "), "{err}");
        }
    }
    folder.write("env", b"\xff");
    let expected = error("cannot read env: byte 0xff at 1:1 is not UTF-8; save the file as UTF-8");
    folder.gives(&["check", "svc.yml"], 2, "", &expected);
    let (code, _, _) = folder.run(&["schema", "surplus"]);
    assert_eq!(code, 2);
}

#[test]
fn a_text_beyond_the_limits_of_the_language_is_an_error_of_the_specification() {
    let folder = Folder::demo();
    folder.write("svc.yml", &[SPEC.as_bytes(), &vec![b'#'; 2 * 1024 * 1024]].concat());
    let (code, out, err) = folder.run(&["check", "svc.yml"]);
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(out.starts_with("svc.yml:1:1: error[MST-SPEC-0004]: "), "{out}");
    assert!(out.ends_with("svc.yml: refused: 1 error\n"), "{out}");
    let (code, out, err) = folder.run(&["render", "svc.yml"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("error[MST-SPEC-0004]") && err.ends_with("error: svc.yml cannot be rendered\n"), "{err}");
}

#[test]
fn standard_input_is_a_specification_of_the_working_directory() {
    let folder = Folder::demo();
    let (code, out, err) = fed(&mut folder.command(&["check", "-"]), SPEC.as_bytes());
    assert_eq!((code, out.as_str(), err.as_str()), (0, OK.replace("svc.yml", "<stdin>").as_str(), ""));
    let (code, out, err) = fed(&mut folder.command(&["render", "-"]), b"a: {{NAME}}\n");
    assert_eq!((code, out.as_str(), err.as_str()), (0, "a: demo\n", ""));
    let (code, out, err) = fed(&mut folder.command(&["check", "-"]), b"a\0");
    let expected = "mainstay: error: cannot read standard input: it is a binary file, not text\n";
    assert_eq!((code, out.as_str(), err.as_str()), (2, "", expected));
}

#[test]
fn templates_are_looked_for_beside_the_specification_then_in_the_working_directory() {
    let folder = Folder::new(&[("own/svc.yml", ""), ("own/env", ENV), ("own/a.conf", "own"), ("b.conf", "b")]);
    let spec = |template: &str| {
        format!("{SPEC}        configs:\n          conf:\n            template: {template}\n            dest: x\n")
    };
    for template in ["a.conf", "/a.conf", "b.conf"] {
        folder.write("own/svc.yml", spec(template).as_bytes());
        let (code, out, _) = folder.run(&["check", "own/svc.yml"]);
        assert_eq!(code, 0, "{template}: {out}");
    }
    folder.write("own/svc.yml", spec("c.conf").as_bytes());
    let (code, out, _) = folder.run(&["check", "own/svc.yml"]);
    assert_eq!(code, 1);
    assert!(out.contains("MST-SPEC-0035") && out.contains("No such file"), "{out}");
}

#[test]
fn rendering_prints_the_text_and_tells_what_is_missing() {
    let folder = Folder::new(&[("svc.yml", "a: {{A}}\nb: {{B}} {{A}}\n{{#C}}c{{/C}}\n"), ("env", "B=2")]);
    let missing =
        "svc.yml:1:4: warning[MST-SPEC-0006]: the variable A is not set; nothing is put in its place (lines 1, 2)\n";
    folder.gives(&["render", "svc.yml"], 0, "a: \nb: 2 \n\n", missing);
    let strict = format!("{missing}mainstay: error: not set, which --strict does not allow: A\n");
    folder.gives(&["render", "--strict", "svc.yml"], 1, "", &strict);
    folder.gives(&["render", "--strict", "svc.yml", "--env", "A="], 0, "a: \nb: 2 \n\n", "");
    let (code, out, err) = folder.run(&["render", "--json", "svc.yml"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let expected = json!({"file": "svc.yml", "ok": true, "text": "a: \nb: 2 \n\n", "notes": [], "missing": [
        {"name": "A", "line": 1, "column": 4}, {"name": "A", "line": 2, "column": 10}]});
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected);
    folder.write("svc.yml", b"a: {{#A}}\n");
    let (code, out, err) = folder.run(&["render", "svc.yml"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("svc.yml:1:4: error[MST-SPEC-0002]: "), "{err}");
}

#[test]
fn each_variable_is_explained_and_secrets_are_masked() {
    let text = "a: {{A}}\n{{#DB_PASSWORD}}\np: {{{DB_PASSWORD}}}\n{{/DB_PASSWORD}}\n{{^A}}\nb: {{B}}\n{{/A}}\n";
    let folder = Folder::new(&[("svc.yml", text), ("env", "A=x\\n\"\nDB_PASSWORD=hunter2\nTYPO=1\n")]);
    let expected = r#"A = "x\\n\""
  from env:1
  used in line 1 (value), line 5 (inverted)

DB_PASSWORD = ******** (--show-secrets shows it)
  from env:2
  used in line 2 (section), line 3 (raw)

B is not set
  used in line 6 (value, not reached)

set, and not used by the template:
  TYPO from env:3
"#;
    folder.gives(&["render", "--explain", "svc.yml"], 0, expected, "");
    let shown = expected.replace("******** (--show-secrets shows it)", "\"hunter2\"");
    folder.gives(&["render", "--explain", "--show-secrets", "svc.yml"], 0, &shown, "");
    let (_, out, _) = folder.run(&["render", "--explain", "--json", "svc.yml"]);
    assert!(!out.contains("hunter2"), "{out}");
    let document: Value = serde_json::from_str(&out).unwrap();
    let expected = json!({"name": "DB_PASSWORD", "value": null, "is_set": true, "is_masked": true, "origin": "env:2",
        "uses": [{"line": 2, "column": 1, "kind": "section", "is_reached": true},
                 {"line": 3, "column": 4, "kind": "raw", "is_reached": true}]});
    assert_eq!(document["variables"][1], expected);
    assert_eq!(document["unused"], json!([{"name": "TYPO", "origin": "env:3"}]));
    assert_eq!(document.get("text"), None);
}

const PACKAGE_NOTES: &str = "\
mainstay: note: package/marathon.json.mustache:10:19: CREDENTIAL is a secret; it has no value here
mainstay: note: package/marathon.json.mustache:11:14: Marathon wants the value of FIXED in quotes
";

#[test]
fn a_package_sets_variables_from_defaults_and_options() {
    let folder = Folder::package();
    // Only for a try-out: it must not hide what the package forgets.
    folder.write("env", b"NODE_COUNT=99\nNAME=no\n");
    folder.gives(&["check", "svc.yml", "--universe", "package"], 0, OK, PACKAGE_NOTES);
    folder.write("options.json", b"{\n  \"service\": {\n    \"flags\": \"--say \\\"hi\\\"\"\n  }\n}\n");
    let arguments = ["render", "--explain", "svc.yml", "--universe", "package", "--options", "options.json"];
    let expected = r#"NAME = "demo"
  from package/marathon.json.mustache:4, service.name by default of package/config.json:7
  used in line 1 (value)

NODE_COUNT = "3"
  from package/marathon.json.mustache:12, node.count by default of package/config.json:16
  used in line 4 (value)

FLAGS = "--say \"hi\""
  from package/marathon.json.mustache:6, service.flags of options.json:3
  used in line 8 (section), line 8 (raw)

set, and not used by the template:
  DEMO_URI from package/marathon.json.mustache:8, resource.assets.uris.demo of package/resource.json:2
  FIXED from package/marathon.json.mustache:11
  PLACEMENT from package/marathon.json.mustache:9, node.placement by default of package/config.json:17
"#;
    folder.gives(&arguments, 0, expected, PACKAGE_NOTES);
    folder.gives(&[&arguments[..], &["--env", "NAME=last"]].concat(), 0, &expected.replace(
        "NAME = \"demo\"\n  from package/marathon.json.mustache:4, service.name by default of package/config.json:7",
        "NAME = \"last\"\n  from --env",
    ), PACKAGE_NOTES);
}

#[test]
fn options_that_the_package_does_not_take_are_errors_with_their_place() {
    let folder = Folder::package();
    let check = |options: &str, expected: &str| {
        folder.write("options.json", options.as_bytes());
        let arguments = ["check", "svc.yml", "--universe", "package", "--options", "options.json"];
        folder.gives(&arguments, 2, "", expected);
    };
    let error = |text: &str| format!("mainstay: error: {text}\n");
    check(
        "[1]",
        &error("options.json:1:1: this is a list; an object such as {\"service\": {\"name\": \"x\"}} is needed"),
    );
    check("{\"node\": {\n  \"count\" 3}}", &error("options.json:2:11: this is not JSON: expected `:`"));
    check(
        "{\n  \"node\": {\"count\": \"3\"},\n  \"service\": {\"nmae\": \"x\"}\n}",
        &(error("options.json:3:23: service.nmae: there is no such option; known here: name, flags, secret")
            + &error("options.json:2:21: node.count: found \"3\"; the type must be integer")),
    );
    check("{\"node\": {\"count\": 0}}", &error("options.json:1:20: node.count: found 0; it must be at least 1"));

    folder.write("options.json", b"{\"node\": {\"cpus\": 2}}");
    let unknown = "mainstay: note: options.json:1:19: node.cpus: there is no such option, so it has no effect; \
                   known here: count, placement\n";
    let arguments = ["check", "svc.yml", "--universe", "package", "--options", "options.json"];
    folder.gives(&arguments, 0, OK, &format!("{unknown}{PACKAGE_NOTES}"));

    let lone = Folder::new(&[
        ("svc.yml", SPEC),
        ("options.json", "{}"),
        ("package/marathon.json.mustache", "{}"),
        ("package/package.json", "{}"),
    ]);
    let expected = error("options.json: options are given, but the package has no config.json that would know them");
    lone.gives(&arguments, 2, "", &expected);
}

#[test]
fn a_broken_package_is_an_error_with_its_place() {
    let folder = Folder::package();
    let check = |file: &str, text: &str, expected: &[&str]| {
        let package = Folder::package();
        package.write(file, text.as_bytes());
        let expected = format!("mainstay: error: {}\n", expected.join("\nmainstay: error: "));
        package.gives(&["check", "svc.yml", "--universe", "package"], 2, "", &expected);
    };
    let template = "package/marathon.json.mustache";
    check(
        template,
        &MARATHON.replace("\"FIXED\": 7,", "\"FIXED\": 7"),
        // A comma short: the reader stumbles over the next line.
        &["package/marathon.json.mustache:12:5: the rendered text is not JSON: expected `,` or `}`; \
           its line 9 is: \"NODE_COUNT\": \"3\""],
    );
    check(
        template,
        &MARATHON.replace("{{node.count}}\"", "{{node.count}}"),
        &["package/marathon.json.mustache:12:34: the rendered text is not JSON: \
           control character (\\u0000-\\u001F) found while parsing a string; its line 9 is: \"NODE_COUNT\": \"3"],
    );
    check(
        template,
        &MARATHON.replace("{{/service.flags}}", ""),
        &["package/marathon.json.mustache:5:5: section service.flags is not closed; {{/service.flags}} is missing"],
    );
    check(template, "[]", &["package/marathon.json.mustache: the rendered text is a list; an object is needed"]);
    check(template, r#"{"env": "x"}"#, &["package/marathon.json.mustache: env is a text; an object is needed"]);
    check(
        template,
        "{\n\"env\": {\n\"A\": null, \"B\": [1]}}",
        &[
            "package/marathon.json.mustache:3:6: A is null; Marathon takes text only",
            "package/marathon.json.mustache:3:17: B is a list; Marathon takes text only",
        ],
    );
    check("package/config.json", "{", &["package/config.json:1:1: this is not JSON: EOF while parsing an object"]);
    check(
        "package/package.json",
        "7",
        &["package/package.json:1:1: this is a number; \
        an object such as {\"service\": {\"name\": \"x\"}} is needed"],
    );
    check(
        "package/config.json",
        &CONFIG.replace("\"default\": 3,", "\"default\": \"3\","),
        &["package/config.json:16:18: node.count: found \"3\"; the type must be integer"],
    );
    folder.write(template, MARATHON.replace("{{node.count}}", "{{node.cuont}}").as_bytes());
    let (code, out, err) = folder.run(&["check", "svc.yml", "--universe", "package"]);
    assert_eq!(code, 1, "{out}");
    let note = "mainstay: note: package/marathon.json.mustache:12:20: there is no option node.cuont; \
                nothing is put in its place\n";
    assert_eq!(err, format!("{note}{PACKAGE_NOTES}"));
    std::fs::remove_file(folder.0.path().join("package/package.json")).unwrap();
    std::fs::remove_file(folder.0.path().join(template)).unwrap();
    let expected = "mainstay: error: cannot read package/package.json: there is no such file\n\
                    mainstay: error: cannot read package/marathon.json.mustache: there is no such file\n";
    folder.gives(&["check", "svc.yml", "--universe", "package"], 2, "", expected);
}

/// Places are found once, not anew for each of many variables.
#[test]
fn a_package_of_many_variables_in_one_line_takes_no_longer_than_its_size_asks_for() {
    let many = 20_000;
    let mut config = r#"{"properties":{"o":{"properties":{"#.to_owned();
    let mut template = r#"{"env":{"NAME":"demo","NODE_COUNT":"1""#.to_owned();
    for at in 0..many {
        let comma = if at == 0 { "" } else { "," };
        write!(config, "{comma}\"v{at}\":{{\"default\":{at}}}").unwrap();
        write!(template, ",\"V{at}\":\"{{{{o.v{at}}}}}\"").unwrap();
    }
    let folder = Folder::package();
    folder.write("package/config.json", (config + "}}}}").as_bytes());
    folder.write("package/marathon.json.mustache", (template + "}}").as_bytes());
    let since = std::time::Instant::now();
    let (code, out, _) = folder.run(&["render", "--explain", "svc.yml", "--universe", "package"]);
    assert_eq!(code, 0);
    let last = "V9999 from package/marathon.json.mustache:1, o.v9999 by default of package/config.json:1";
    assert!(out.trim_end().ends_with(last), "{}", out.lines().last().unwrap_or_default());
    assert!(since.elapsed() < std::time::Duration::from_secs(20), "{:?}", since.elapsed());
}

/// The same of many mistakes, of which not all are told.
#[test]
fn options_with_many_mistakes_in_one_line_take_no_longer_than_their_size_asks_for() {
    let mut options = "\u{feff}{\"o0\":\"x\"".to_owned();
    for at in 1..40_000 {
        write!(options, ",\"o{at}\":\"{}\"", "x".repeat(50)).unwrap();
    }
    let folder = Folder::package();
    folder.write("options.json", (options + "}").as_bytes());
    let since = std::time::Instant::now();
    let (code, _, err) = folder.run(&["check", "svc.yml", "--universe", "package", "--options", "options.json"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.starts_with("mainstay: note: options.json:1:7: o0: there is no such option"), "{err}");
    assert!(err.contains("\nmainstay: note: there are more than 100 of these; the others are not shown\n"), "{err}");
    assert!(since.elapsed() < std::time::Duration::from_secs(20), "{:?}", since.elapsed());
}

#[test]
fn lines_of_a_variable_that_is_not_set_are_told_once_each() {
    let folder = Folder::new(&[("svc.yml", &("# {{A}} {{A}}\n".repeat(30) + "# {{B}} {{B}}\n"))]);
    let (code, _, err) = folder.run(&["render", "svc.yml"]);
    assert_eq!(code, 0, "{err}");
    let lines: Vec<_> = (1..=20).map(|line| line.to_string()).collect();
    let warning = |place: &str, name: &str, lines: &str| {
        format!(
            "svc.yml:{place}: warning[MST-SPEC-0006]: the variable {name} is not set; nothing is put in its place{lines}\n"
        )
    };
    let expected = warning("1:3", "A", &format!(" (lines {})", lines.join(", "))) + &warning("31:3", "B", "");
    assert_eq!(err, expected);
}

const RICH: &str = "\
name: /team/rich
pods:
  data:
    count: 2
    allow-decommission: true
    placement: 'hostname:UNIQUE,rack:GROUP_BY:3'
    volume: {path: shared, type: ROOT, size: 10}
    resource-sets:
      big:
        cpus: 1.5
        memory: 1024
        ports:
          client:
            port: 9042
            vip: {prefix: db, port: 9042}
        volumes:
          logs: {path: logs, type: MOUNT, size: 5000, profiles: [ssd]}
    tasks:
      server: {goal: RUNNING, cmd: ./server, resource-set: big}
      repair: {goal: ONCE, essential: false, cmd: \"./repair\\n./more\", resource-set: big}
  web:
    count: 1
    tasks:
      page:
        goal: RUNNING
        cmd: ./page
        cpus: 0.1
        memory: 32
plans:
  deploy:
    strategy: parallel
    phases:
      data: {pod: data, strategy: serial-canary, steps: [{default: [[server]]}]}
      web: {pod: web}
  repair:
    strategy: serial
    phases:
      all: {pod: data, strategy: parallel, steps: [{default: [[repair]]}]}
  update:
    strategy: serial
    phases:
      web: {pod: web}
";

#[test]
fn a_specification_is_explained() {
    let folder = Folder::new(&[("svc.yml", RICH)]);
    let expected = "\
/team/rich: 2 pods, 3 instances, 5 tasks
in total: 3.4 cpus, 2176 MB memory, 788 MB disk, 2 whole disks, 2 ports

names
  role                team__rich-role
  principal           /team/rich-principal
  user                root
  state               /dcos-service-team__rich in ZooKeeper master.mesos:2181
  scheduler on DC/OS  rich-team.marathon.autoip.dcos.thisdcos.directory
  tasks               <task>.teamrich.autoip.dcos.thisdcos.directory
  virtual addresses   <name>.teamrich.l4lb.thisdcos.directory

pods
data × 2, may shrink
├─ each needs of one agent: 1.6 cpus, 1056 MB memory, 266 MB disk, 1 whole disk, 1 port
│  ├─ 0.1 cpus, 32 MB memory, 256 MB disk for the executor, included
│  ├─ free there: port 9042
│  └─ where: one instance of data per agent, and instances of data spread evenly over 3 values of the attribute rack
├─ all together: 3.2 cpus, 2112 MB memory, 532 MB disk, 2 whole disks, 2 ports
├─ volume shared: 10 MB of the shared disk, shared by its tasks
├─ task server (RUNNING)
│  ├─ 1.5 cpus, 1024 MB memory, 1 whole disk, 1 port (resource set big, shared with repair)
│  ├─ port client: 9042, in $PORT_CLIENT, listed as an endpoint, virtual address db.teamrich.l4lb.thisdcos.directory:9042
│  ├─ volume logs: a whole disk of at least 5000 MB with the profile ssd
│  ├─ known as data-<index>-server.teamrich.autoip.dcos.thisdcos.directory
│  └─ launched by deploy
└─ task repair (ONCE, not essential)
   ├─ 1.5 cpus, 1024 MB memory, 1 whole disk, 1 port (resource set big, shared with server)
   ├─ port client: 9042, in $PORT_CLIENT, listed as an endpoint, virtual address db.teamrich.l4lb.thisdcos.directory:9042
   ├─ volume logs: a whole disk of at least 5000 MB with the profile ssd
   ├─ known as data-<index>-repair.teamrich.autoip.dcos.thisdcos.directory
   └─ launched by repair
web × 1
├─ each needs of one agent: 0.2 cpus, 64 MB memory, 256 MB disk
│  ├─ 0.1 cpus, 32 MB memory, 256 MB disk for the executor, included
│  └─ where: anywhere
└─ task page (RUNNING)
   ├─ 0.1 cpus, 32 MB memory
   ├─ known as web-<index>-page.teamrich.autoip.dcos.thisdcos.directory
   └─ launched by deploy, update

plans
deploy (parallel)
├─ data (serial-canary)
│  ├─ data-0:[server], waits for `mainstay plan resume`
│  └─ data-1:[server], waits for `mainstay plan resume`
└─ web (serial)
   └─ web-0:[page]
update (serial, takes the place of deploy once that was complete)
└─ web (serial)
   └─ web-0:[page]
repair (serial, started by `mainstay plan start repair`)
└─ all (parallel)
   ├─ data-0:[repair]
   └─ data-1:[repair]
";
    folder.gives(&["explain", "svc.yml"], 0, expected, "");
}

#[test]
fn an_explanation_follows_the_settings_of_the_scheduler() {
    let folder = Folder::new(&[("svc.yml", RICH)]);
    let settings = ["--env", "EXECUTOR_CPUS=0.5", "--env", "VIP_TLD=vip.test", "--env", "MESOS_ALLOCATION_ROLE=a/b"];
    let (code, out, err) = folder.run(&[&["explain", "--json", "svc.yml"], &settings[..]].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["names"]["role"], "a__b");
    assert_eq!(document["names"]["framework_vip_host"], "teamrich.vip.test");
    let data = &document["pods"][0];
    let needs = json!({"cpus": 2, "memory_mb": 1056, "gpus": 0, "disk_mb": 266, "mount_disks": 1, "ports": 1});
    assert_eq!((&data["needs"], &data["fixed_ports"]), (&needs, &json!([9042])));
    assert_eq!(data["tasks"][1]["plans"], json!(["repair"]));
    assert_eq!(document["total"]["cpus"], json!(4.6));
    let strategies: Vec<_> = document["plans"].as_array().unwrap().iter().map(|plan| &plan["strategy"]).collect();
    assert_eq!(strategies, ["parallel", "serial", "serial"]);
    let (_, out, _) = folder.run(&["explain", "svc.yml", "--env", "SERVICE_REGION=east"]);
    assert!(out.contains("the region is east"), "{out}");
    let (code, _, err) = folder.run(&["explain", "svc.yml", "--env", "PORT_API=x"]);
    assert_eq!((code, err.as_str()), (0, "mainstay: note: PORT_API: \"x\" cannot be read\n"));
}

#[test]
fn what_is_not_supported_yet_is_a_warning_and_stands_in_the_explanation() {
    let folder = Folder::demo();
    folder.write(
        "svc.yml",
        SPEC.replace("        cpus:", "        transport-encryption: [{name: a, type: TLS}]\n        cpus:").as_bytes(),
    );
    let (code, out, _) = folder.run(&["check", "svc.yml"]);
    assert_eq!(code, 0);
    assert!(
        out.starts_with("svc.yml:9:9: warning[MST-SPEC-0019] pods.node.tasks.server.transport-encryption: "),
        "{out}"
    );
    assert!(out.ends_with("3 tasks, 1 warning\n"), "{out}");
    let (code, _, _) = folder.run(&["check", "--strict", "svc.yml"]);
    assert_eq!(code, 1);
    let (code, out, err) = folder.run(&["explain", "svc.yml"]);
    let note = "mainstay: note: svc.yml has 1 warning; `mainstay check` shows them\n";
    assert_eq!((code, err.as_str()), (0, note));
    assert!(
        out.contains("\nnot supported by this version yet\n  pods.node.tasks.server: transport encryption is not "),
        "{out}"
    );
}

#[test]
fn what_has_errors_is_not_explained() {
    let folder = Folder::demo();
    let (code, out, err) = folder.run(&["explain", "svc.yml", "--env", "NODE_COUNT=-1"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("svc.yml:4:12: error["), "{err}");
    assert!(err.ends_with("mainstay: error: svc.yml has errors, so there is nothing to explain\n"), "{err}");
}

#[test]
fn the_schema_is_json_and_describes_itself() {
    let folder = Folder::demo();
    let (code, out, err) = folder.run(&["schema"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let schema: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(schema["$defs"]["pod"].is_object());
}

/// A reader that goes away is no reason to complain.
#[test]
fn a_closed_pipe_is_not_an_error() {
    let folder = Folder::demo();
    // More than a pipe holds, so that writing must fail.
    let many = vec!["svc.yml"; 3000];
    for arguments in [[&["check"], &many[..]].concat(), vec!["schema"], vec!["render", "svc.yml"]] {
        let mut child = folder.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert!(!line.is_empty());
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{}", arguments[0]);
    }
}

#[test]
fn a_full_disk_is_told() {
    let folder = Folder::demo();
    for command in ["check", "render", "explain"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = folder.command(&[command, "svc.yml"]).stdout(full).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        let expected = "mainstay: error: cannot write the result: No space left on device (os error 28)\n";
        assert_eq!((output.status.code(), err.as_str()), (Some(2), expected), "{command}");
    }
}

/// Colours are for people: never into a pipe, not with NO_COLOR.
#[test]
fn a_terminal_gets_colours_unless_told_otherwise() {
    let folder = Folder::demo();
    folder.write("svc.yml", SPEC.replace("RUNNING", "RUNING").as_bytes());
    let on_terminal = |no_color: &str| {
        let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
        let terminal = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&terminal).unwrap();
        rustix::pty::unlockpt(&terminal).unwrap();
        let name = rustix::pty::ptsname(&terminal, Vec::new()).unwrap();
        let side = std::fs::OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let mut command = folder.command(&["check", "svc.yml"]);
        command.env("TERM", "xterm").env("NO_COLOR", no_color).stdout(side);
        let code = command.status().unwrap().code();
        drop(command);
        let mut text = Vec::new();
        // Reading fails once the other side is closed.
        std::fs::File::from(terminal).read_to_end(&mut text).ok();
        (code, String::from_utf8(text).unwrap())
    };
    let (code, coloured) = on_terminal("");
    assert_eq!(code, Some(1));
    assert!(coloured.contains("\u{1b}[31merror[MST-SPEC-0018]\u{1b}[0m"), "{coloured:?}");
    let (_, plain) = on_terminal("1");
    assert!(plain.contains(": error[MST-SPEC-0018] ") && !plain.contains('\u{1b}'), "{plain:?}");
    let (_, piped, _) = folder.run(&["check", "svc.yml"]);
    assert!(!piped.contains('\u{1b}'), "{piped:?}");
}

#[test]
fn every_shipped_specification_passes_and_can_be_explained() {
    let folder = Folder::new(&[]);
    let mut seen = 0;
    for entry in std::fs::read_dir(SVC_SPECS).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(entry.path()).unwrap().flatten() {
            let path = file.path();
            if path.extension() != Some(Path::new("x.yml").extension().unwrap()) {
                continue;
            }
            let spec = path.to_str().unwrap();
            let (code, out, _) = folder.run(&["check", spec]);
            assert_eq!(code, 0, "{out}");
            let (code, out, err) = folder.run(&["explain", spec]);
            assert_eq!(code, 0, "{err}");
            assert!(out.contains("\nplans\ndeploy ("), "{out}");
            seen += 1;
        }
    }
    assert!(seen > 0);
}
