//! Models run within the limits and with the features of real adapters, for which a software one stands in.
//!
//! A process has one GPU, so each test has a process of its own: [`alone`].

#[cfg(target_os = "linux")]
mod memory;
mod profiles;
mod real;
mod small_bindings;
mod stand_in;

use std::process::Command;

/// The test that a process was started for.
const TEST: &str = "RESIDUA_TEST";

/// Runs `body` in a process of its own: this test program again, with `name`, the path of the test that calls, alone.
/// `part` names one of several such processes of a test.
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
            // A name that no test has is no failure to the program.
            assert!(run.status.success() && said.contains("1 passed"), "{this}:\n{said}");
        }
    }
}
