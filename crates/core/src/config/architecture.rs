//! The transformer architecture of a stage 2: `arch.type`.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How a transformer reads the cells of a stack.
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
    /// The published name, as in `arch.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Autoregressive => "rq-transformer",
            Self::Contextual => "contextual-rq-transformer",
        }
    }

    /// Checks that the model has the architecture that `what` needs; `instead` says what to do if not.
    ///
    /// # Errors
    /// [`Error::Usage`], in one line.
    pub fn must_be(self, expected: Self, what: &str, instead: &str) -> Result<()> {
        if self == expected {
            return Ok(());
        }
        let (expected, found) = (expected.name(), self.name());
        Err(Error::usage(format!("{what} needs a model of arch.type {expected}, found {found}: {instead}")))
    }
}
