//! The entry point: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    residua::cli::main()
}
