//! Output of tasks: to rotated files in the task's folder, and to the executor's own output.
//!
//! Not here: who reads the files.
//!
//! Invariant: a task's `stdout` and its one predecessor `stdout.1` together never exceed twice [`MAX_FILE_BYTES`].
//! Invariant: no link is followed when a file is opened: the task's user owns the folder, the executor may be root.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::OFlags;
use tokio::io::AsyncReadExt as _;

use crate::user::Identity;

/// A file is rotated before it grows beyond this.
pub(crate) const MAX_FILE_BYTES: u64 = 2 * 1024 * 1024;

/// Longest part of a line that is held back until its end is there.
const MAX_LINE_BYTES: usize = 8 * 1024;

/// One of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
}

impl Stream {
    /// The name of its file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// The executor's own output.
#[derive(Debug)]
pub(crate) struct Console {
    stdout: File,
    stderr: File,
    has_prefix: AtomicBool,
}

impl Console {
    /// Opens the output of the executor in its sandbox.
    ///
    /// An agent connects descriptors 1 and 2 to pipes of its logger or to the files of the sandbox; an agent in local
    /// mode lets its own terminal through: then the files of the sandbox are appended to.
    pub(crate) fn open(sandbox: &Path) -> io::Result<Self> {
        let stdout = own(io::stdout().as_fd().try_clone_to_owned()?, sandbox, Stream::Stdout)?;
        let stderr = own(io::stderr().as_fd().try_clone_to_owned()?, sandbox, Stream::Stderr)?;
        Ok(Self { stdout, stderr, has_prefix: AtomicBool::new(false) })
    }

    /// From now on each line of a task is preceded by its name.
    pub(crate) fn use_prefix(&self) {
        self.has_prefix.store(true, Ordering::Relaxed);
    }

    /// A line of the executor itself.
    pub(crate) fn note(&self, message: &str) {
        self.write(Stream::Stderr, format!("mainstay-executor: {message}\n").as_bytes());
    }

    /// Nobody can be told when this fails, and a task must not end for it.
    fn write(&self, stream: Stream, bytes: &[u8]) {
        let mut file = match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        };
        let _ = file.write_all(bytes);
    }
}

fn own(descriptor: OwnedFd, sandbox: &Path, stream: Stream) -> io::Result<File> {
    let path = sandbox.join(stream.as_str());
    let file = File::from(descriptor);
    if let Ok(metadata) = file.metadata() {
        let kind = metadata.file_type();
        let is_file =
            fs::metadata(&path).is_ok_and(|named| named.dev() == metadata.dev() && named.ino() == metadata.ino());
        if kind.is_fifo() || kind.is_socket() || is_file {
            return Ok(file);
        }
    }
    OpenOptions::new().append(true).create(true).open(path)
}

/// A file that starts anew before it grows too large.
#[derive(Debug)]
pub(crate) struct Rotated {
    path: PathBuf,
    file: File,
    bytes: u64,
    user: Option<Identity>,
}

impl Rotated {
    /// Creates the file; one that is there is moved away.
    pub(crate) fn create(path: PathBuf, user: Option<Identity>) -> io::Result<Self> {
        let file = create(&path, user.as_ref())?;
        Ok(Self { path, file, bytes: 0, user })
    }

    /// Appends bytes, after rotating if they do not fit.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes > 0 && self.bytes + bytes.len() as u64 > MAX_FILE_BYTES {
            self.file = create(&self.path, self.user.as_ref())?;
            self.bytes = 0;
        }
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn create(path: &Path, user: Option<&Identity>) -> io::Result<File> {
    if fs::symlink_metadata(path).is_ok() {
        let mut old = path.as_os_str().to_owned();
        old.push(".1");
        fs::rename(path, old)?;
    }
    let file = OpenOptions::new().append(true).create_new(true).mode(0o644).open(path)?;
    if let Some(user) = user {
        std::os::unix::fs::fchown(&file, Some(user.uid), Some(user.gid))?;
    }
    Ok(file)
}

/// A file that holds the output of a check's latest run only.
pub(crate) fn create_latest(path: &Path) -> io::Result<File> {
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).custom_flags(no_follow).open(path)
}

/// Copies one stream of a task until it ends.
///
/// Never blocks the task for a full disk: what cannot be written is dropped.
pub(crate) async fn forward(pipe: OwnedFd, stream: Stream, name: String, mut file: Rotated, console: Arc<Console>) {
    let Ok(mut pipe) = tokio::net::unix::pipe::Receiver::from_owned_fd(pipe) else { return };
    let mut buffer = vec![0; MAX_LINE_BYTES];
    let mut lines = Lines::new(&name);
    loop {
        match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                let bytes = &buffer[..count];
                let _ = file.write(bytes);
                if console.has_prefix.load(Ordering::Relaxed) {
                    console.write(stream, &lines.push(bytes));
                } else {
                    let mut all = lines.finish();
                    all.extend_from_slice(bytes);
                    console.write(stream, &all);
                }
            }
        }
    }
    console.write(stream, &lines.finish());
}

/// Puts a name before each line.
#[derive(Debug)]
struct Lines {
    prefix: Vec<u8>,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
}

impl Lines {
    fn new(name: &str) -> Self {
        Self { prefix: format!("[{name}] ").into_bytes(), rest: Vec::new() }
    }

    /// The whole lines so far, each with the prefix.
    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut whole = Vec::with_capacity(bytes.len() + 2 * self.prefix.len());
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(line);
            let is_whole = self.rest.ends_with(b"\n");
            if is_whole || self.rest.len() >= MAX_LINE_BYTES {
                whole.extend_from_slice(&self.prefix);
                whole.append(&mut self.rest);
                if !is_whole {
                    whole.push(b'\n');
                }
            }
        }
        whole
    }

    /// What is left, as a line of its own.
    fn finish(&mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        if !self.rest.is_empty() {
            whole.extend_from_slice(&self.prefix);
            whole.append(&mut self.rest);
            whole.push(b'\n');
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn lines_are_named_whatever_pieces_they_come_in() {
        let mut lines = Lines::new("a");
        assert_eq!(lines.push(b"one\ntw"), b"[a] one\n");
        assert_eq!(lines.push(b"o\n\nthree"), b"[a] two\n[a] \n");
        assert_eq!(lines.finish(), b"[a] three\n");
        assert_eq!(lines.finish(), b"");
        let long = vec![b'x'; MAX_LINE_BYTES];
        assert_eq!(lines.push(&long).len(), MAX_LINE_BYTES + 5, "a line without end is cut");
    }

    #[test]
    fn files_rotate_and_keep_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stdout");
        let mut file = Rotated::create(path.clone(), None).unwrap();
        let chunk = vec![b'x'; 1024 * 1024];
        for _ in 0..5 {
            file.write(&chunk).unwrap();
        }
        file.write(b"last").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 1024 * 1024 + 4);
        assert_eq!(fs::metadata(folder.path().join("stdout.1")).unwrap().len(), MAX_FILE_BYTES);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "safe").unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join("stdout")).unwrap();
        Rotated::create(folder.path().join("stdout"), None).unwrap().write(b"evil").unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join("check")).unwrap();
        assert!(create_latest(&folder.path().join("check")).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "safe");
    }
}
