//! The `mainstay` command: what authors and operators type.
//!
//! Not the scheduler (`mainstay-scheduler`) and not the executor. Operator commands only speak HTTP to a running scheduler;
//! nothing here decides about a service.
//! Next: `cmd.rs` for the list of commands, `client.rs` for requests and errors, `render.rs` for trees.

mod client;
mod cmd;
mod render;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Not locked: a command may run for as long as its service does, and others write too.
    cmd::run(std::env::args_os(), &mut std::io::stdout(), &mut std::io::stderr())
}
