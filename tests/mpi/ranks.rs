//! Runs the program on several ranks.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::desk::{Desk, Run};

/// The program with the words of each of `lines` on some ranks, ready to run in `desk`'s folder.
pub fn mpirun(desk: &Desk, lines: &[(usize, &str)]) -> Command {
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "--allow-run-as-root"]);
    for (i, (count, line)) in lines.iter().enumerate() {
        if i > 0 {
            command.arg(":");
        }
        let program = desk.command(line);
        command.args(["-n", &count.to_string()]).arg(program.get_program()).args(program.get_args());
    }
    command.current_dir(desk.path("")).env_remove("RUST_LOG").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `line` on `count` ranks.
pub fn run(desk: &Desk, count: usize, line: &str) -> Run {
    Run::of(mpirun(desk, &[(count, line)]).output().expect("mpirun, of the package openmpi-bin"))
}

/// Runs `line` on `count` ranks, which must succeed.
pub fn does(desk: &Desk, count: usize, line: &str) -> Run {
    let run = run(desk, count, line);
    assert_eq!(run.code, Some(0), "{line}: {run:?}");
    run
}

/// The result of `line` on `count` ranks, which print exactly one JSON document.
pub fn json(desk: &Desk, count: usize, line: &str) -> Value {
    does(desk, count, &format!("--json {line}")).json()
}

/// The lines in which the program says why it failed.
pub fn refusals(run: &Run) -> Vec<&str> {
    run.stderr.lines().filter(|line| line.starts_with("residua: ")).collect()
}
