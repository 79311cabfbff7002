//! The entry point: everything is in the library.

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    residua::cli::main()
}

/// A browser runs the programs in src/web instead.
#[cfg(target_family = "wasm")]
fn main() {}
