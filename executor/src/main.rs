//! The program `mainstay-executor`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    mainstay_executor::main()
}
