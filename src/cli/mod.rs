//! The command line: one file per subcommand, each a thin layer over the engine.

mod begun;
mod bench;
mod bulk;
mod choosing;
mod complete;
mod convert;
mod decode;
mod devices;
mod drafting;
mod encode;
mod eval;
mod explain;
mod folder;
mod info;
mod input;
mod morph;
mod options;
mod output;
mod progress;
mod ranks;
mod reconstruct;
mod revise;
mod sample;
#[cfg_attr(not(feature = "studio"), path = "without_studio.rs")]
mod studio;
mod target;
mod train;
mod verify;
mod words;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use output::Console;
use residua_core::error::{Error, Result};
use residua_core::ranks::{World, alone};
use residua_kernels::device::memory_share;
use residua_kernels::{cpu, verdicts};

/// See how a picture is built from stacked codes, edit them, and generate new pictures.
#[derive(Parser)]
#[command(name = "residua", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print results as JSON on stdout; everything else goes to stderr.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    Reconstruct(reconstruct::Reconstruct),
    Encode(encode::Encode),
    Decode(decode::Decode),
    Sample(sample::Sample),
    Complete(complete::Complete),
    Revise(revise::Revise),
    Morph(morph::Morph),
    Explain(explain::Explain),
    Info(info::Info),
    Convert(convert::Convert),
    Devices(devices::Devices),
    Train(train::Train),
    Eval(eval::Eval),
    Verify(verify::Verify),
    Bench(bench::Bench),
    Studio(studio::Studio),
}

impl Command {
    /// Whether several ranks can do it together.
    fn is_shared(&self) -> bool {
        match self {
            Self::Train(_) => true,
            Self::Sample(command) => command.is_shared(),
            Self::Eval(command) => command.is_shared(),
            Self::Bench(command) => command.is_shared(),
            _ => false,
        }
    }
}

/// Without a subcommand, the studio opens.
impl Default for Command {
    fn default() -> Self {
        Self::Studio(studio::Studio::default())
    }
}

/// Parses this process's arguments and runs the command. Exit codes: 0 success, 1 failure, 2 usage error.
pub fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    residua_kernels::device::quiet_without_desktop();
    #[cfg(unix)]
    crate::signals::fail_beyond_limits();
    let world = match ranks::join() {
        Ok(world) => world,
        Err(error) => return failed(&error, &alone()),
    };
    let Arguments { command, json } = match parsed() {
        Ok(arguments) => arguments,
        Err(error) => return misunderstood(&error, &world),
    };
    output::start_log(&world);
    if let Some(folder) = folder::of_settings() {
        verdicts::remember_in(folder.join("kernels.json"));
    }
    match run(command.unwrap_or_default(), json, &world) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error, &world),
    }
}

fn run(command: Command, json: bool, world: &World) -> Result<()> {
    cpu::vectors()?;
    memory_share()?;
    ranks::check(world, command.is_shared())?;
    // A console catches Ctrl-C, so the studio gets none: there Ctrl-C must close the window.
    let console = || Console::new(json, world.clone());
    match command {
        Command::Reconstruct(command) => command.run(&console()?),
        Command::Encode(command) => command.run(&console()?),
        Command::Decode(command) => command.run(&console()?),
        Command::Sample(command) => command.run(&console()?),
        Command::Complete(command) => command.run(&console()?),
        Command::Revise(command) => command.run(&console()?),
        Command::Morph(command) => command.run(&console()?),
        Command::Explain(command) => command.run(&console()?),
        Command::Info(command) => command.run(&console()?),
        Command::Convert(command) => command.run(&console()?),
        Command::Devices(command) => command.run(&console()?),
        Command::Train(command) => command.run(&console()?),
        Command::Eval(command) => command.run(&console()?),
        Command::Verify(command) => command.run(&console()?),
        Command::Bench(command) => command.run(&console()?),
        Command::Studio(_) if json => Err(Error::usage("the studio prints nothing: leave out --json")),
        Command::Studio(command) => command.run(),
    }
}

fn parsed() -> Result<Arguments, clap::Error> {
    let mut parser = with_negative_numbers(Arguments::command());
    let matches = parser.try_get_matches_from_mut(std::env::args_os())?;
    Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut parser))
}

/// `command`, in which -1 after an option is its value. `--seed -1` is then refused as a seed, with what is expected,
/// rather than as an unknown option `-1`.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let allow = |argument: clap::Arg| {
        let has_value = !argument.is_positional() && argument.get_action().takes_values();
        if has_value { argument.allow_negative_numbers(true) } else { argument }
    };
    command.mut_args(allow).mut_subcommands(with_negative_numbers)
}

/// Rust's messages about text that is no number of the expected type, and what we say instead.
const NO_NUMBERS: [(&str, &str); 5] = [
    ("invalid digit found in string", "expected a whole number, 0 or more"),
    ("cannot parse integer from empty string", "expected a whole number, 0 or more"),
    ("number too large to fit in target type", "expected a smaller number"),
    ("invalid float literal", "expected a number"),
    ("cannot parse float from empty string", "expected a number"),
];

/// Prints what is wrong with the arguments, or the help that they ask for.
fn misunderstood(error: &clap::Error, world: &World) -> ExitCode {
    let code = error.exit_code() as u8;
    ranks::end(world, code, |_| match error.kind() {
        ErrorKind::ValueValidation => {
            let styled = error.render();
            let is_terminal = std::io::stderr().is_terminal();
            let text = if is_terminal { styled.ansi().to_string() } else { styled.to_string() };
            let plain = |text: String, (theirs, ours): &(&str, &str)| text.replace(theirs, ours);
            output::say(NO_NUMBERS.iter().fold(text, plain).trim_end());
        }
        ErrorKind::InvalidUtf8 => output::say(
            "error: expected text in UTF-8, found other bytes: captions, classes, and the names of models must be text; \
             rename a model's file or folder",
        ),
        // There is no other place to report that it cannot be printed.
        _ => error.print().unwrap_or_default(),
    });
    ExitCode::from(code)
}

fn failed(error: &Error, world: &World) -> ExitCode {
    let code = if matches!(error, Error::Usage(_)) { 2 } else { 1 };
    ranks::end(world, code, |rank| {
        // Names in damaged files may contain line breaks and terminal control codes.
        output::say(&format!("residua: {rank}{error}").replace(char::is_control, " "));
    });
    ExitCode::from(code)
}
