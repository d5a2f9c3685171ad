//! Files in a folder of their own, and the real binary run on them.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

/// A small service: one pod of `DATA_COUNT` instances on agents of their own with a fixed port, one that goes anywhere.
pub(crate) const TWO_PODS: &str = "\
name: two-pods
pods:
  data:
    count: {{DATA_COUNT}}
    placement: '[[\"hostname\", \"UNIQUE\"]]'
    tasks:
      server:
        goal: RUNNING
        cmd: run
        cpus: 1
        memory: 1024
        ports:
          native: {port: 9042}
        volume: {path: data, type: ROOT, size: 2000}
  proxy:
    count: 1
    tasks:
      server:
        goal: RUNNING
        cmd: run
        cpus: 0.1
        memory: 32
";

/// A folder that is removed when dropped.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    /// With these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    /// A file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What was typed, the exit code, standard output and error.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.run_fed(arguments, None)
    }

    /// The same with a file of the folder at standard input.
    pub(crate) fn run_fed(&self, arguments: &[&str], input: Option<&str>) -> String {
        let input = input.map(|name| std::fs::File::open(self.path(name)).unwrap());
        let output = Command::new(env!("CARGO_BIN_EXE_mainstay"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .stdin(input.map_or_else(std::process::Stdio::null, Into::into))
            .output()
            .unwrap();
        let mut said = format!("$ mainstay {}\n", arguments.join(" "));
        said.push_str(&String::from_utf8(output.stdout).unwrap());
        let err = String::from_utf8(output.stderr).unwrap();
        err.lines().for_each(|line| writeln!(said, "err: {line}").unwrap());
        assert!(!err.contains("panicked"), "{err}");
        writeln!(said, "exit {}\n", output.status.code().unwrap()).unwrap();
        said
    }
}
