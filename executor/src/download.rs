//! Fetches a task's files from the scheduler, at launch.
//!
//! Not here: the pod's files; the agent fetches those before the executor starts.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use tokio::io::AsyncWriteExt as _;

use crate::http::Connection;
use crate::task::{CONFIG_TEMPLATES, Download};

/// The scheduler may be restarting: so long a download is tried again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries.
const RETRY: Duration = Duration::from_millis(500);

/// Longest wait for the next piece of a file.
const STALL: Duration = Duration::from_secs(10);

/// Largest file, in bytes. Configuration templates have the limit of the SDK's bootstrap.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Fetches a file into a task's folder. Errors: the message of a TASK_FAILED.
pub(crate) async fn fetch(download: &Download, folder: &Path) -> Result<(), String> {
    let started = Instant::now();
    loop {
        match attempt(download, folder).await {
            Ok(()) => return Ok(()),
            Err(Failure::Final(reason)) => return Err(format!("cannot fetch {}: {reason}", download.uri)),
            Err(Failure::Retryable(reason)) if started.elapsed() >= PATIENCE => {
                return Err(format!("cannot fetch {} within {} s: {reason}", download.uri, PATIENCE.as_secs()));
            }
            Err(Failure::Retryable(_)) => tokio::time::sleep(RETRY).await,
        }
    }
}

enum Failure {
    Retryable(String),
    Final(String),
}

async fn attempt(download: &Download, folder: &Path) -> Result<(), Failure> {
    let uri: http::Uri = download.uri.parse().map_err(|error| Failure::Final(format!("{error}")))?;
    let host = uri.authority().map(|authority| authority.host().to_owned());
    let host = host.ok_or_else(|| Failure::Final("the uri has no host".to_owned()))?;
    let authority = format!("{host}:{}", uri.port_u16().unwrap_or(80));
    let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = http::Request::get(target)
        .header("Host", &authority)
        .body(Full::new(Bytes::new()))
        .map_err(|error| Failure::Final(error.to_string()))?;

    let mut connection = Connection::open(&authority).await.map_err(Failure::Retryable)?;
    let answer = connection.send(request).await.map_err(Failure::Retryable)?;
    if answer.status() != http::StatusCode::OK {
        // Also 404: a scheduler that has just started may not have read its configurations yet.
        return Err(Failure::Retryable(format!("the answer is {}", answer.status())));
    }
    let is_template = download.file.starts_with(CONFIG_TEMPLATES);
    let limit = if is_template { crate::config_template::MAX_BYTES } else { MAX_BYTES };

    let path = folder.join(&download.file);
    let local = |error: std::io::Error| Failure::Final(format!("cannot write {}: {error}", download.file));
    if let Some(parent) = path.parent() {
        tokio::fs::create_dir_all(parent).await.map_err(local)?;
    }
    let mut file = tokio::fs::File::create(&path).await.map_err(local)?;
    let mut body = answer.into_body();
    let mut bytes = 0;
    loop {
        let frame = tokio::time::timeout(STALL, body.frame())
            .await
            .map_err(|_| Failure::Retryable("the download stalled".to_owned()))?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| Failure::Retryable(error.to_string()))?;
        let Some(data) = frame.data_ref() else { continue };
        bytes += data.len() as u64;
        if bytes > limit {
            return Err(Failure::Final(format!("it has more than {limit} bytes")));
        }
        file.write_all(data).await.map_err(local)?;
    }
    file.flush().await.map_err(local)?;
    if download.is_executable {
        use std::os::unix::fs::PermissionsExt as _;
        let permissions = std::fs::Permissions::from_mode(0o755);
        tokio::fs::set_permissions(&path, permissions).await.map_err(local)?;
    }
    Ok(())
}
