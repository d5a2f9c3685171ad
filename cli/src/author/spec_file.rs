//! A specification's file.

use std::path::{Path, PathBuf};

use mainstay_scheduler::startup;
use mainstay_spec::{Loaded, Report, Source};

use super::Variables;
use super::text_file;

/// A specification before anything was made of it.
#[derive(Debug)]
pub(crate) struct SpecFile {
    /// As typed; `<stdin>` for standard input.
    pub(crate) name: String,
    /// The folder it lies in; the working directory for standard input.
    pub(crate) folder: PathBuf,
    /// Its text.
    pub(crate) text: String,
}

impl SpecFile {
    /// Reads the file; `-` is standard input.
    ///
    /// Errors: a sentence that says why it cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        if path == Path::new("-") {
            let name = "<stdin>".to_owned();
            let text = text_file::text(&"standard input", std::io::stdin().lock())?;
            return Ok(Self { name, folder: PathBuf::new(), text });
        }
        let text = text_file::read(path).map_err(|problem| {
            let inside = path.join("svc.yml");
            if inside.is_file() { format!("{problem}, for example {}", inside.display()) } else { problem }
        })?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self { name: path.display().to_string(), folder, text })
    }

    /// Renders, reads and checks it, as the scheduler does.
    ///
    /// Errors: every problem found.
    pub(crate) fn load(&self, variables: &Variables) -> Result<Loaded, Report> {
        let source = Source { file_name: &self.name, text: &self.text };
        mainstay_spec::load(source, &variables.values, &|name| startup::read_template(&self.folder, name))
    }
}
