//! Fetches an executor's artifacts into its sandbox, as the agent's `mesos-fetcher` does.
//!
//! Not here: the fetcher cache, and schemes other than `http`, `file` and plain paths (each an explicit error).
//!
//! Invariant: a failed artifact fails the launch; an HTTP answer other than 200 is a failure.

use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use mainstay_proto::v1::command_info::Uri;
use tokio::io::AsyncWriteExt as _;

/// The longest that one artifact may go without a byte.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Why an artifact is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the URI '{0}' is invalid")]
    Invalid(String),
    #[error("the scheme of '{0}' is not supported by this cluster: use http, file or a path")]
    Scheme(String),
    #[error("'{0}' leads out of the sandbox")]
    Outside(String),
    #[error("cannot connect to {address}")]
    Connect { address: String, source: std::io::Error },
    #[error("cannot download '{uri}'")]
    Download { uri: String, source: hyper::Error },
    #[error("'{uri}' answered {status}")]
    Status { uri: String, status: u16 },
    #[error("'{0}' stalled")]
    Stalled(String),
    #[error("cannot store '{path}'")]
    Store { path: PathBuf, source: std::io::Error },
    #[error("'{program}' failed on '{path}' with {status}")]
    Unpack { program: &'static str, path: PathBuf, status: String },
}

/// Fetches every artifact, in order.
pub(crate) async fn fetch(uris: &[Uri], sandbox: &Path) -> Result<(), Error> {
    for uri in uris {
        fetch_one(uri, sandbox).await?;
    }
    Ok(())
}

async fn fetch_one(uri: &Uri, sandbox: &Path) -> Result<(), Error> {
    let target = sandbox.join(target_name(uri)?);
    if let Some(parent) = target.parent() {
        let store = |source| Error::Store { path: parent.to_owned(), source };
        tokio::fs::create_dir_all(parent).await.map_err(store)?;
    }
    let value = uri.value.as_str();
    match value.split_once("://") {
        Some(("http", rest)) => download(value, rest, &target).await?,
        Some(("file", path)) => copy(Path::new(path), &target).await?,
        Some(_) => return Err(Error::Scheme(value.to_owned())),
        None if value.starts_with('/') => copy(Path::new(value), &target).await?,
        None => return Err(Error::Invalid(value.to_owned())),
    }
    if uri.executable() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o755);
        return tokio::fs::set_permissions(&target, mode).await.map_err(|source| Error::Store { path: target, source });
    }
    if uri.extract() { unpack(&target, sandbox).await } else { Ok(()) }
}

/// The name in the sandbox: `output_file`, or what follows the last slash, query included.
fn target_name(uri: &Uri) -> Result<PathBuf, Error> {
    let value = uri.value.as_str();
    if value.contains(['\\', '\'', '\0']) {
        return Err(Error::Invalid(value.to_owned()));
    }
    let name = if let Some(name) = &uri.output_file {
        PathBuf::from(name)
    } else {
        let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
        let name = rest.rsplit_once('/').map(|(_, name)| name).filter(|name| !name.is_empty());
        PathBuf::from(name.ok_or_else(|| Error::Invalid(value.to_owned()))?)
    };
    // A real agent lets `..` through; nothing good comes of that on a person's own machine.
    if name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        Ok(name)
    } else {
        Err(Error::Outside(name.display().to_string()))
    }
}

async fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    tokio::fs::copy(from, to).await.map(|_| ()).map_err(|source| Error::Store { path: from.to_owned(), source })
}

async fn download(uri: &str, rest: &str, target: &Path) -> Result<(), Error> {
    let stalled = || Error::Stalled(uri.to_owned());
    let failed = |source| Error::Download { uri: uri.to_owned(), source };
    let (authority, path) =
        rest.split_once('/').map_or((rest, "/".to_owned()), |(host, path)| (host, format!("/{path}")));
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let connecting = tokio::net::TcpStream::connect(&address);
    let stream = tokio::time::timeout(STALL_TIMEOUT, connecting).await.map_err(|_| stalled())?;
    let stream = stream.map_err(|source| Error::Connect { address: address.clone(), source })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let request = http::Request::get(path).header(http::header::HOST, authority).body(Empty::<Bytes>::new());
    let request = request.map_err(|_| Error::Invalid(uri.to_owned()))?;
    let store = |source| Error::Store { path: target.to_owned(), source };
    let receive = async {
        let response =
            tokio::time::timeout(STALL_TIMEOUT, sender.send_request(request)).await.map_err(|_| stalled())?;
        let response = response.map_err(failed)?;
        if response.status() != http::StatusCode::OK {
            return Err(Error::Status { uri: uri.to_owned(), status: response.status().as_u16() });
        }
        let mut file = tokio::fs::File::create(target).await.map_err(store)?;
        let mut body = response.into_body();
        while let Some(frame) = tokio::time::timeout(STALL_TIMEOUT, body.frame()).await.map_err(|_| stalled())? {
            if let Some(data) = frame.map_err(failed)?.data_ref() {
                file.write_all(data).await.map_err(store)?;
            }
        }
        file.flush().await.map_err(store)
    };
    // The connection is driven here, beside the transfer, instead of by a task of its own.
    tokio::pin!(connection);
    tokio::pin!(receive);
    let mut is_open = true;
    loop {
        tokio::select! {
            biased;
            done = &mut receive => return done,
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}

async fn unpack(archive: &Path, sandbox: &Path) -> Result<(), Error> {
    let name = archive.to_string_lossy().into_owned();
    let ends = |list: &[&str]| list.iter().any(|end| name.ends_with(end));
    let archive_text = name.as_str();
    let folder = sandbox.to_string_lossy().into_owned();
    if ends(&[".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz"]) {
        run("tar", &["-C", &folder, "-xf", archive_text], archive).await
    } else if ends(&[".zip"]) {
        run("unzip", &["-o", "-d", &folder, archive_text], archive).await
    } else if ends(&[".gz"]) {
        run("gunzip", &["-kf", archive_text], archive).await
    } else {
        Ok(())
    }
}

async fn run(program: &'static str, arguments: &[&str], archive: &Path) -> Result<(), Error> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match command.status().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Unpack { program, path: archive.to_owned(), status: status.to_string() }),
        Err(error) => Err(Error::Unpack { program, path: archive.to_owned(), status: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn uri(value: &str) -> Uri {
        Uri { value: value.into(), ..Uri::default() }
    }

    #[test]
    fn names_come_from_the_output_file_or_the_last_part() {
        #[track_caller]
        fn check(expected: Option<&str>, uri: &Uri) {
            assert_eq!(target_name(uri).ok(), expected.map(PathBuf::from));
        }
        check(Some("b.tgz"), &uri("http://h/a/b.tgz"));
        check(Some("b?x=1"), &uri("http://h/a/b?x=1"));
        check(None, &uri("http://h/"));
        check(None, &uri("http://h"));
        check(None, &uri("http://h/a'b"));
        let named = |name: &str| Uri { output_file: Some(name.into()), ..uri("http://h/a") };
        check(Some("d/e"), &named("d/e"));
        check(None, &named("/d"));
        check(None, &named("../d"));
    }

    #[tokio::test]
    async fn files_are_copied_marked_and_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let (from, sandbox) = (folder.path().join("from"), folder.path().join("sandbox"));
        std::fs::create_dir_all(&from).unwrap();
        std::fs::create_dir_all(&sandbox).unwrap();
        std::fs::write(from.join("x"), "content").unwrap();
        let tar = from.join("x.tar.gz");
        let made =
            std::process::Command::new("tar").arg("-C").arg(&from).arg("-czf").arg(&tar).arg("x").status().unwrap();
        assert!(made.success());
        let x = from.join("x");
        let run = Uri { executable: Some(true), output_file: Some("bin/run".into()), ..uri(x.to_str().unwrap()) };
        fetch(&[run, uri(&format!("file://{}", tar.display()))], &sandbox).await.unwrap();
        assert_eq!(std::fs::read(sandbox.join("x")).unwrap(), b"content");
        assert!(sandbox.join("x.tar.gz").exists());
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(sandbox.join("bin/run")).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o755);
        assert!(matches!(fetch(&[uri("ftp://h/x")], &sandbox).await, Err(Error::Scheme(_))));
        assert!(matches!(fetch(&[uri("/nowhere/x")], &sandbox).await, Err(Error::Store { .. })));
    }

    #[tokio::test]
    async fn http_must_answer_200() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            for answer in [
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            ] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 1024];
                let read = stream.read(&mut request).await.unwrap();
                assert!(request[..read].starts_with(b"GET /a?b=c HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let sandbox = tempfile::tempdir().unwrap();
        let artifact = [Uri { output_file: Some("out".into()), ..uri(&format!("http://{address}/a?b=c")) }];
        let work = async {
            fetch(&artifact, sandbox.path()).await.unwrap();
            assert_eq!(std::fs::read(sandbox.path().join("out")).unwrap(), b"hello");
            assert!(matches!(fetch(&artifact, sandbox.path()).await, Err(Error::Status { status: 404, .. })));
        };
        tokio::join!(serve, work);
    }
}
