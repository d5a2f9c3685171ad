//! Configuration files: rendered with the task's environment, written into its folder.
//!
//! Not here: fetching templates (`download.rs`), the template language (`mainstay-template`).
//!
//! Invariant: nothing is written outside the sandbox and the task's volumes, also when a link points there.
//! Invariant: a file appears whole or not at all, and never through a link that has its name.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::task::ConfigTemplate;

/// Largest template, in bytes; that of the SDK's bootstrap.
pub(crate) const MAX_BYTES: u64 = 1024 * 1024;

/// Why a configuration file cannot be made. Each is the message of a TASK_FAILED.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The template is not there.
    #[error("cannot read the configuration template {path}: {source}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The template is too large.
    #[error("the configuration template {path} has {bytes} bytes, more than {limit}")]
    TooLarge {
        /// Which.
        path: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The template cannot be rendered.
    #[error("cannot render the configuration template {path}: {reason}")]
    Render {
        /// Which.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file would not be in the sandbox.
    #[error("the configuration file {path} would be outside the sandbox")]
    Outside {
        /// Which.
        path: String,
    },
    /// The file cannot be written.
    #[error("cannot write the configuration file {path}: {source}")]
    Write {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// Where files may be written.
#[derive(Debug)]
pub(crate) struct Bounds<'a> {
    /// What the paths of a template are relative to.
    pub(crate) folder: &'a Path,
    /// The executor's sandbox.
    pub(crate) sandbox: &'a Path,
    /// Folders of volumes, resolved.
    pub(crate) volumes: &'a [PathBuf],
}

/// Renders one template and writes its file; the path written.
pub(crate) fn render(
    template: &ConfigTemplate,
    environment: &BTreeMap<String, String>,
    bounds: &Bounds<'_>,
) -> Result<PathBuf, Error> {
    let text = read(&bounds.folder.join(&template.source), &template.source, MAX_BYTES)?;
    let text = render_text(&template.source, &text, environment)?;
    let path = &template.destination;
    let wrong = |source| Error::Write { path: path.clone(), source };
    let outside = || Error::Outside { path: path.clone() };

    let target =
        resolve(bounds.folder, path).filter(|target| target.starts_with(bounds.sandbox)).ok_or_else(outside)?;
    let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else { return Err(outside()) };
    fs::create_dir_all(parent).map_err(wrong)?;
    let parent = parent.canonicalize().map_err(wrong)?;
    let sandbox = bounds.sandbox.canonicalize().map_err(wrong)?;
    if !parent.starts_with(&sandbox) && !bounds.volumes.iter().any(|volume| parent.starts_with(volume)) {
        return Err(outside());
    }
    let target = parent.join(name);
    let mut temporary = name.to_owned();
    temporary.push(".mainstay-new");
    let temporary = parent.join(temporary);
    // A leftover of a crash, or a link someone put there: `create_new` follows neither.
    if fs::symlink_metadata(&temporary).is_ok() {
        fs::remove_file(&temporary).map_err(wrong)?;
    }
    let mut file = fs::File::create_new(&temporary).map_err(wrong)?;
    io::Write::write_all(&mut file, text.as_bytes()).map_err(wrong)?;
    fs::rename(&temporary, &target).map_err(wrong)?;
    Ok(target)
}

/// Reads a template of at most `limit` bytes.
pub(crate) fn read(path: &Path, name: &str, limit: u64) -> Result<String, Error> {
    let wrong = |source| Error::Read { path: name.to_owned(), source };
    let bytes = fs::metadata(path).map_err(wrong)?.len();
    if bytes > limit {
        return Err(Error::TooLarge { path: name.to_owned(), bytes, limit });
    }
    fs::read_to_string(path).map_err(wrong)
}

/// Renders a template's text.
pub(crate) fn render_text(name: &str, text: &str, environment: &BTreeMap<String, String>) -> Result<String, Error> {
    mainstay_template::render_config(text, environment)
        .map_err(|error| Error::Render { path: name.to_owned(), reason: error.to_string() })
}

/// A path below a folder, its `..` taken literally; `None` when it climbs above the root.
fn resolve(folder: &Path, path: &str) -> Option<PathBuf> {
    let mut resolved = PathBuf::new();
    for component in folder.join(path).components() {
        match component {
            Component::ParentDir => {
                if !resolved.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            Component::RootDir | Component::Normal(_) | Component::Prefix(_) => resolved.push(component),
        }
    }
    Some(resolved)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    struct Place {
        _root: tempfile::TempDir,
        sandbox: PathBuf,
        folder: PathBuf,
        volume: PathBuf,
    }

    fn place() -> Place {
        let root = tempfile::tempdir().unwrap();
        let base = root.path().canonicalize().unwrap();
        let (sandbox, volume) = (base.join("sandbox"), base.join("volume"));
        let folder = sandbox.join("tasks/t");
        fs::create_dir_all(folder.join("config-templates")).unwrap();
        fs::create_dir(&volume).unwrap();
        fs::write(folder.join("config-templates/a"), "port={{PORT}}\n{{#TLS}}\ntls\n{{/TLS}}\n").unwrap();
        fs::write(folder.join("config-templates/bad"), "{{#A}}").unwrap();
        std::os::unix::fs::symlink(&volume, folder.join("data")).unwrap();
        std::os::unix::fs::symlink(&base, folder.join("out")).unwrap();
        Place { _root: root, sandbox, folder, volume }
    }

    fn attempt(place: &Place, source: &str, destination: &str) -> Result<PathBuf, Error> {
        let environment =
            BTreeMap::from([("PORT".to_owned(), "80".to_owned()), ("TLS".to_owned(), "False".to_owned())]);
        let template = ConfigTemplate { source: source.to_owned(), destination: destination.to_owned() };
        let volumes = [place.volume.clone()];
        render(&template, &environment, &Bounds { folder: &place.folder, sandbox: &place.sandbox, volumes: &volumes })
    }

    // contract: 5.4/config-template
    #[test]
    fn files_go_where_they_may() {
        let place = place();
        for (destination, expected) in [
            ("etc/app.conf", place.folder.join("etc/app.conf")),
            ("./x/../y", place.folder.join("y")),
            ("../../shared.conf", place.sandbox.join("shared.conf")),
            ("data/app.conf", place.volume.join("app.conf")),
        ] {
            assert_eq!(attempt(&place, "config-templates/a", destination).unwrap(), expected);
            assert_eq!(fs::read_to_string(expected).unwrap(), "port=80\n");
        }
    }

    #[test]
    fn files_never_leave_the_sandbox() {
        let place = place();
        for destination in ["../../../x", "../../../../../../../../x", "/etc/x", "out/x"] {
            let error = attempt(&place, "config-templates/a", destination).unwrap_err();
            assert!(matches!(error, Error::Outside { .. }), "{destination}: {error}");
        }
    }

    #[test]
    fn a_link_of_the_files_name_is_replaced() {
        let place = place();
        let victim = place.sandbox.parent().unwrap().join("victim");
        fs::write(&victim, "safe").unwrap();
        std::os::unix::fs::symlink(&victim, place.folder.join("conf")).unwrap();
        std::os::unix::fs::symlink(&victim, place.folder.join("conf.mainstay-new")).unwrap();
        attempt(&place, "config-templates/a", "conf").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "safe");
        assert_eq!(fs::read_to_string(place.folder.join("conf")).unwrap(), "port=80\n");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let place = place();
        let message = |source: &str| attempt(&place, source, "x").unwrap_err().to_string();
        assert!(
            message("config-templates/none")
                .starts_with("cannot read the configuration template config-templates/none")
        );
        assert!(
            message("config-templates/bad")
                .starts_with("cannot render the configuration template config-templates/bad")
        );
        fs::write(place.folder.join("large"), vec![b'x'; MAX_BYTES as usize + 1]).unwrap();
        assert_eq!(message("large"), "the configuration template large has 1048577 bytes, more than 1048576");
    }
}
