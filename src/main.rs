//! The entry point: all code is in the library.

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    residua::cli::main()
}

/// In a browser, the programs in src/web run instead.
#[cfg(target_family = "wasm")]
fn main() {}
