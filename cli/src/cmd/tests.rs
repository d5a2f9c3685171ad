//! What is typed, what is asked of the scheduler, what it answers, what is shown: a row each.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use clap::CommandFactory as _;

use super::run;

/// One request with a canned answer: the request's head line and body, the exit code, standard output and error.
fn ask(args: &[&str], status: &str, answer: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        let (head, body) = loop {
            let read = stream.read(&mut buffer).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() == length.parse::<usize>().unwrap() {
                break (head.to_owned(), body.to_owned());
            }
        };
        stream.write_all(response.as_bytes()).unwrap();
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
        format!("{} {kind} {body}", head.lines().next().unwrap()).trim_end().to_owned()
    });
    let (code, out, err) = type_in([&["mainstay", "--url", &url], args].concat());
    let asked = server.join().unwrap();
    let err = err.replace(&url, "http://scheduler");
    format!("$ mainstay {}\n> {asked}\n< {status}\nexit {code}\n{out}{err}\n", args.join(" "))
}

fn type_in(args: Vec<&str>) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(args.into_iter().map(str::to_owned).collect::<Vec<_>>(), &mut out, &mut err);
    let code = u8::from(code != std::process::ExitCode::SUCCESS);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

const PLAN: &str = r#"{"phases":[
    {"id":"1","name":"index","status":"COMPLETE","strategy":"serial","steps":[
        {"id":"2","name":"index-0:[server]","status":"COMPLETE","message":""}]},
    {"id":"3","name":"data","status":"PENDING","strategy":"parallel","steps":[
        {"id":"4","name":"data-0:[server]","status":"PENDING"},{"id":"5","name":"data-1:[server]"}]}],
    "errors":[],"status":"IN_PROGRESS","strategy":"serial"}"#;
const MESSAGE: &str = r#"{"message": "Received cmd: x"}"#;

#[test]
fn plan_commands() {
    let mut out = String::new();
    for (args, status, answer) in [
        (&["plan", "list"][..], "200 OK", r#"["deploy","recovery"]"#),
        (&["plan", "status", "deploy"], "202 Accepted", PLAN),
        (&["plan", "status", "deploy", "--json"], "200 OK", r#"{"phases":[],"errors":[],"status":"COMPLETE"}"#),
        (&["plan", "show"], "200 OK", r#"{"phases":[],"errors":[],"status":"COMPLETE"}"#),
        (&["plan", "status", "deploy"], "417 Expectation Failed", r#"{"errors":["why"],"status":"ERROR"}"#),
        (&["plan", "start", "side", "-p", "A=1=2", "--params", "B=", "-pA=3"], "200 OK", MESSAGE),
        (&["plan", "start", "side"], "200 OK", MESSAGE),
        (&["plan", "stop", "deploy"], "200 OK", MESSAGE),
        (&["plan", "pause", "deploy"], "200 OK", MESSAGE),
        (&["plan", "interrupt"], "200 OK", MESSAGE),
        (&["plan", "resume", "deploy", "data 1"], "200 OK", MESSAGE),
        (&["plan", "resume", "deploy", "data 1"], "200 OK", "{}"),
        (&["plan", "force-restart", "deploy", "data", "data-0:[server]"], "200 OK", MESSAGE),
        (&["plan", "restart", "deploy", "data"], "200 OK", MESSAGE),
        (&["plan", "force-complete", "deploy", "data", "data-0:[server]"], "200 OK", MESSAGE),
        (&["plan", "force", "deploy", "data", "data-0:[server]", "--json"], "200 OK", MESSAGE),
        (&["plan", "status", "100%"], "404 Not Found", "Element not found"),
        (&["plan", "pause", "deploy"], "208 Already Reported", "Command has already been reported or completed"),
        (&["plan", "pause", "deploy"], "417 Expectation Failed", ""),
        (&["plan", "force-restart", "deploy"], "409 Conflict", "not now"),
        (&["plan", "status", "deploy"], "200 OK", "<html>"),
    ] {
        write!(out, "{}", ask(args, status, answer)).unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn pod_commands() {
    let service = r#"{"service":"/team/hello-world","pods":[
        {"name":"hello","instances":[{"name":"hello-0","tasks":[{"id":"x","name":"hello-0-server","status":"RUNNING"}]}]},
        {"name":"world","instances":[
            {"name":"world-0","tasks":[{"id":"x","name":"world-0-server","status":"PAUSED"}]},
            {"name":"world-1","tasks":[{"id":"","name":"world-1-server"}]}]}]}"#;
    let instance = r#"{"name":"hello-0","tasks":[{"id":"x","name":"hello-0-server","status":"RUNNING"}]}"#;
    let mut out = String::new();
    for (args, status, answer) in [
        (&["pod", "list"][..], "200 OK", r#"["hello-0"]"#),
        (&["pod", "status"], "200 OK", service),
        (&["pod", "status", "hello-0"], "200 OK", instance),
        (&["pod", "status", "hello-0", "--json"], "200 OK", instance),
        (&["pods", "status"], "200 OK", r#"{"hello-0":[]}"#),
        (&["pod", "info", "hello-0"], "200 OK", r#"[{"info":{},"status":null}]"#),
        (&["pod", "restart", "hello-0"], "200 OK", r#"{"pod":"hello-0","tasks":["hello-0-server"]}"#),
        (&["pods", "replace", "hello-0"], "200 OK", r#"{"pod":"hello-0","tasks":["hello-0-server"]}"#),
        (&["pod", "replace", "hello-9"], "404 Not Found", "Pod hello-9 not found"),
        (&["debug", "pod", "pause", "hello-0", "-t", "server"], "501 Not Implemented", "not supported yet"),
    ] {
        write!(out, "{}", ask(args, status, answer)).unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn reading_commands() {
    let offers = r#"{"offers":[{"timestamp":1,"pod-instance-name":"hello-0","outcome":"fail",
        "explanation":["PASS(Ports):ok","FAIL(Cpus):0.5 < 1"],"offer":"o"}],
        "acceptedCount":0,"failureReasons":{"Cpus":1},"rejectedCount":1,"rejectedAgents":{"S1":1}}"#;
    let mut out = String::new();
    for (args, status, answer) in [
        (&["endpoints"][..], "200 OK", r#"["broker"]"#),
        (&["endpoints", "zookeeper"], "200 OK", "master.mesos:2181/x"),
        (&["endpoints", "x"], "404 Not Found", ""),
        (&["config", "list"], "200 OK", "[]"),
        (&["debug", "config", "show", "1"], "400 Bad Request", ""),
        (&["config", "target"], "200 OK", r#"{"name":"x"}"#),
        (&["config", "target_id"], "200 OK", r#"["x"]"#),
        (&["state", "framework_id"], "200 OK", r#"["c7b0"]"#),
        (&["debug", "state", "properties"], "200 OK", r#"["a"]"#),
        (&["state", "property", "a:b"], "200 OK", "DEPLOY"),
        (&["debug", "state", "refresh_cache"], "409 Conflict", ""),
        (&["debug", "offers"], "200 OK", offers),
        (&["debug", "offers"], "200 OK", "{}"),
        (&["debug", "plans", "deploy", "hello"], "200 OK", "{}"),
        (&["debug", "task-statuses"], "200 OK", "[]"),
        (&["debug", "reservations"], "200 OK", "{}"),
        (&["waiting"], "200 OK", r#"["deploy / hello: waits for offers"]"#),
        (&["waiting"], "200 OK", "[]"),
        (
            &["why", "hello-1"],
            "200 OK",
            r#"[{"text":"deploy hello-1:[server]: none of 2 agents fits\n  2 agents: cpus short by 1 (a, b)"}]"#,
        ),
        (&["why", "hello-1", "--json"], "200 OK", r#"[{"text":"x","unknown":1}]"#),
        (&["why", "a/b"], "404 Not Found", "Pod a/b not found"),
        (&["why"], "200 OK", "[]"),
        (&["plan", "list"], "500 Internal Server Error", ""),
        (&["plan", "list"], "401 Unauthorized", ""),
    ] {
        write!(out, "{}", ask(args, status, answer)).unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn what_goes_wrong_before_the_answer_is_exit_1() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for (args, expected) in [
        (&["plan", "list", "--url", closed.as_str()][..], "Is the scheduler running there?"),
        (&["plan", "list", "--url", "https://x"], "TLS is not supported yet"),
        (&["plan", "list", "--url", "x"], "not of the form http://host:port"),
        (&["plan", "start", "x", "-p", "A"], "must be of the form NAME=VALUE"),
        (&["plan", "status"], "PLAN"),
        (&["explode"], "unrecognized subcommand"),
        (&[], "Usage: mainstay"),
    ] {
        let (code, out, err) = type_in([&["mainstay"], args].concat());
        assert_eq!((code, out.as_str()), (1, ""), "{args:?}");
        assert!(err.contains(expected), "{args:?}: {err}");
    }
}

#[test]
fn help_is_a_success_on_standard_output() {
    let (code, out, err) = type_in(vec!["mainstay", "--help"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("Usage: mainstay"), "{out}");
    super::Cli::command().debug_assert();
}
