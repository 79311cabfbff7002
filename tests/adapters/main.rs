//! Models run within the limits and features of real adapters, emulated on a software adapter.
//!
//! A process has one GPU, so each test runs in its own process: see [`alone`].

#[cfg(target_os = "linux")]
mod memory;
mod opengl;
mod profiles;
mod real;
mod small_bindings;
mod stand_in;

use std::process::Command;

/// The environment variable that tells a child process which test to run.
const TEST: &str = "RESIDUA_TEST";

/// Runs `body` in its own process, by starting this test program again with only the test `name` (the path of
/// the calling test). `part` distinguishes several processes of one test.
fn alone(name: &str, part: &str, body: impl FnOnce()) {
    let this = format!("{name} {part}");
    match std::env::var(TEST) {
        Ok(test) if test == this => body(),
        Ok(_) => (),
        Err(_) => {
            let program = std::env::current_exe().unwrap();
            let run = Command::new(program)
                .args(["--exact", name, "--nocapture", "--include-ignored"])
                .env(TEST, &this)
                .output()
                .unwrap();
            let said = [run.stdout, run.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            // A name that matches no test also exits successfully.
            assert!(run.status.success() && said.contains("1 passed"), "{this}:\n{said}");
        }
    }
}
