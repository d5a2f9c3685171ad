//! Text files that somebody wrote by hand, read with an eye on everything that can be wrong with a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest file read; nothing that is written by hand comes near.
pub(crate) const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Reads a file as text.
///
/// Errors: a sentence with the path and what to do, for a missing file, a folder, a file beyond [`MAX_BYTES`], and for what is not UTF-8.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let name = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| cannot(&name, &error))?;
    if metadata.is_dir() {
        return Err(format!("cannot read {name}: it is a folder; name the file"));
    }
    let file = File::open(path).map_err(|error| cannot(&name, &error))?;
    text(&name, file)
}

/// Reads a stream to its end.
///
/// Errors: as for [`read`].
pub(crate) fn text(name: &dyn std::fmt::Display, from: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    // One more byte than allowed tells whether there are more; an endless device ends here.
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| cannot(name, &error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("cannot read {name}: it is larger than {MAX_BYTES} bytes"));
    }
    if bytes.contains(&0) {
        return Err(format!("cannot read {name}: it is a binary file, not text"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let (before, rest) = error.as_bytes().split_at(good);
        let before = String::from_utf8_lossy(before);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let byte = rest.first().copied().unwrap_or_default();
        format!("cannot read {name}: byte {byte:#04x} at {line}:{column} is not UTF-8; save the file as UTF-8")
    })
}

fn cannot(name: &dyn std::fmt::Display, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("cannot read {name}: there is no such file"),
        io::ErrorKind::PermissionDenied => format!("cannot read {name}: permission denied"),
        _ => format!("cannot read {name}: {error}"),
    }
}
