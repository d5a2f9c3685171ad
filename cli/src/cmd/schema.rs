//! `mainstay schema`: the JSON Schema of svc.yml.

use std::io::Write;

use clap::Args;

use crate::author::{self, OK, UNUSABLE};

/// Prints the JSON Schema of specifications, for editors: it describes a specification after rendering.
#[derive(Debug, Args)]
pub(super) struct Schema {}

impl Schema {
    #[allow(clippy::unused_self, reason = "like every command")]
    pub(super) fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
        let printed = serde_json::to_string_pretty(&mainstay_spec::schema::json())
            .map_err(|error| format!("cannot write the schema: {error}"))
            .and_then(|text| author::print(out, &format!("{text}\n")));
        match printed {
            Ok(()) => OK,
            Err(problem) => {
                author::tell(err, "error", &[problem]);
                UNUSABLE
            }
        }
    }
}
