//! A program without the window.

use std::ffi::OsString;

use clap::Args;

use super::output::Console;
use residua_core::error::{Error, Result};

/// Open the studio, which this program was built without.
#[derive(Args, Default)]
pub struct Studio {
    /// Whatever a program with the window would take.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _given: Vec<OsString>,
}

impl Studio {
    /// Refuses to open a window.
    pub fn run(self) -> Result<()> {
        refuse()
    }
}

/// Refuses to time the window.
pub fn time(_: &Console) -> Result<()> {
    refuse()
}

fn refuse() -> Result<()> {
    Err(Error::usage(
        "expected a program with the studio, found one without: build Residua with its default features \
         (cargo build --release), or choose another command (residua --help)",
    ))
}
