//! The `mainstay` command: what authors and operators type.
//!
//! Author's commands read files and print; they touch no network. Operator commands only speak HTTP to a running scheduler; nothing here
//! decides about a service. `dev` is the one command that runs a scheduler, with a cluster of its own; the agents of that cluster then start this very program as their executor, so
//! that one binary is enough.
//! Next: `cmd.rs` for the list of commands, `author.rs` for where variables come from, `client.rs` for requests and errors, `render.rs` for trees, `dev.rs`.

mod author;
mod client;
mod cmd;
mod dev;
mod fit;
mod recorded;
mod render;
mod service;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    if mainstay_executor::is_called(&arguments) {
        return mainstay_executor::main();
    }
    // Not locked: a command may run for as long as its service does, and others write too.
    cmd::run(std::env::args_os(), &mut std::io::stdout(), &mut std::io::stderr())
}
