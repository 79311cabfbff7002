//! The transformer architecture of a stage 2: `arch.type`.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How a transformer reads the cells of a stack; its text form is the published name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Architecture {
    /// In order, each given the previous ones.
    #[default]
    #[serde(rename = "rq-transformer")]
    Autoregressive,
    /// All at once, some of them masked (Draft-and-Revise, arXiv 2206.04452).
    #[serde(rename = "contextual-rq-transformer")]
    Contextual,
}

impl Architecture {
    /// Checks that the model has the architecture that `what` needs; `instead` says what to do if not.
    ///
    /// # Errors
    /// [`Error::Usage`], in one line.
    pub fn must_be(self, expected: Self, what: &str, instead: &str) -> Result<()> {
        if self == expected {
            return Ok(());
        }
        Err(Error::usage(format!("{what} needs a model of arch.type {expected}, found {self}: {instead}")))
    }
}

impl Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
