//! The author's side: how long a specification takes to load, and what `mainstay check` needs as a process.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use mainstay_tests::process::binary;

use super::process::peak_memory;
use super::row::{Row, Value, best_of};

const PODS: usize = 50;
const LINES: usize = 2_000;
/// Bytes that a pipe holds before a writer waits.
///
/// Source: pipe(7).
const PIPE: usize = 65_536;

/// A template of [`LINES`] lines with [`PODS`] pods, and its variables.
fn large() -> (String, BTreeMap<String, String>) {
    let mut text = String::from("name: {{FRAMEWORK_NAME}}\nscheduler:\n  user: {{USER}}\npods:\n");
    let mut variables =
        BTreeMap::from([("FRAMEWORK_NAME".to_owned(), "large".to_owned()), ("USER".to_owned(), "nobody".to_owned())]);
    for pod in 0..PODS {
        for (name, value) in [("COUNT", "3"), ("CPUS", "0.5"), ("MEM", "512"), ("DISK", "1024")] {
            variables.insert(format!("POD{pod}_{name}"), value.to_owned());
        }
        let _ = write!(
            text,
            "  # Pod {pod} of many.
  pod{pod}:
    count: {{{{POD{pod}_COUNT}}}}
    placement: 'hostname:MAX_PER:1,rack:GROUP_BY:3'
    resource-sets:
      server-resources:
        cpus: {{{{POD{pod}_CPUS}}}}
        memory: {{{{POD{pod}_MEM}}}}
        ports:
          http{pod}:
            port: 0
            env-key: PORT_HTTP
            advertise: true
        volume:
          path: data
          type: ROOT
          size: {{{{POD{pod}_DISK}}}}
    tasks:
      server:
        goal: RUNNING
        resource-set: server-resources
        cmd: |
          echo starting >> data/starts
          {{{{#POD{pod}_FLAGS}}}}
          export FLAGS={{{{POD{pod}_FLAGS}}}}
          {{{{/POD{pod}_FLAGS}}}}
          exec ./server --port=$PORT_HTTP
        env:
          SIZE: '{{{{POD{pod}_DISK}}}}'
        readiness-check:
          cmd: ./ready
          interval: 5
          timeout: 10
      agent:
        goal: ONCE
        cmd: ./agent
        cpus: 0.1
        memory: 64
"
        );
    }
    while text.lines().count() < LINES {
        text.push_str("# The end.\n");
    }
    (text, variables)
}

/// Renders, parses and validates in this process.
pub(crate) fn load_large() -> Result<Vec<Row>> {
    let (text, variables) = large();
    let lines = text.lines().count();
    if lines != LINES {
        bail!("the specification has {lines} lines");
    }
    let load = |()| {
        let source = mainstay_spec::Source { file_name: "large.yml", text: &text };
        mainstay_spec::load(source, &variables, &|path| Err(format!("no file {path}")))
    };
    let loaded = load(()).map_err(|report| anyhow!("{report}"))?;
    if loaded.spec.pods.len() != PODS {
        bail!("{} pods", loaded.spec.pods.len());
    }
    let took = best_of(20, || (), load);
    Ok(vec![Row::new(
        "a specification of 2,000 lines and 50 pods rendered, parsed and validated",
        format!("{} KiB, {} variables; best of 20", text.len() / 1024, variables.len()),
        Value::Time(took),
        Value::Time(Duration::from_millis(20)),
    )])
}

/// The whole process.
pub(crate) fn check() -> Result<Vec<Row>> {
    let hello = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("svc-specs").join("hello-world/svc.yml");
    let folder = tempfile::tempdir()?;
    let big = folder.path().join("large.yml");
    let (text, variables) = large();
    std::fs::write(&big, text)?;
    let lines: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    std::fs::write(folder.path().join("env"), lines.join("\n"))?;
    let target = Some(Value::Time(Duration::from_millis(15)));
    let memory = Value::Bytes(32 << 20);
    let mut rows = Vec::new();
    for (what, spec, target) in [("hello-world", &hello, target), ("the 2,000 lines", &big, None)] {
        rows.push(Row::new(
            format!("`mainstay check` of {what}: the whole process"),
            "from fork to exit; best of 20",
            Value::Time(fastest(spec)?),
            target,
        ));
        rows.push(Row::new(
            format!("`mainstay check` of {what}: peak memory"),
            "VmHWM while it waits to write its result",
            Value::Bytes(memory_of(spec)?),
            memory,
        ));
    }
    Ok(rows)
}

fn command(spec: &PathBuf) -> Result<Command> {
    let mut command = Command::new(binary("mainstay")?);
    command.arg("check").arg(spec).env_clear().stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}

fn fastest(spec: &PathBuf) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let mut command = command(spec)?;
        let start = Instant::now();
        let status = command.status()?;
        best = best.min(start.elapsed());
        if !status.success() {
            bail!("check of {} ended with {status}", spec.display());
        }
    }
    Ok(best)
}

/// Peak memory, read while the process cannot write its result: the pipe is full.
fn memory_of(spec: &PathBuf) -> Result<u64> {
    let (mut reader, mut writer) = std::io::pipe()?;
    writer.write_all(&vec![b'\n'; PIPE])?;
    let mut child = command(spec)?.stdout(writer).spawn()?;
    let start = Instant::now();
    let mut last = 0;
    let peak = loop {
        std::thread::sleep(Duration::from_millis(100));
        if let Some(status) = child.try_wait()? {
            bail!("check did not wait for its reader: {status}");
        }
        // Once it waits nothing changes any more.
        let peak = peak_memory(child.id())?;
        if peak == last {
            break peak;
        }
        last = peak;
        if start.elapsed() > Duration::from_secs(10) {
            bail!("the memory of check does not come to rest");
        }
    };
    let mut rest = String::new();
    reader.read_to_string(&mut rest)?;
    let status = child.wait()?;
    if !status.success() || !rest.contains(": ok: ") {
        bail!("check of {} ended with {status}: {}", spec.display(), rest.trim());
    }
    Ok(peak)
}
