//! Which of a model's weights a file has.

use residua_core::config::StateKind;
use residua_core::error::{Error, Result};

/// Which weights a checkpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Available {
    /// The trained weights.
    pub state: bool,
    /// Their exponential moving average.
    pub ema: bool,
}

impl Available {
    /// The weights to load for the request `wanted`.
    ///
    /// # Errors
    /// [`Error::Usage`] if the file does not have them.
    pub(super) fn choose(self, wanted: StateKind) -> Result<StateKind> {
        let missing = |what, key, other| {
            Err(Error::usage(format!("no {what} weights ({key}) in this file: use the {other} ones")))
        };
        match wanted {
            StateKind::State if !self.state => missing("trained", "state_dict", "EMA"),
            StateKind::Ema if !self.ema => missing("EMA", "state_dict_ema", "trained"),
            StateKind::Auto if self.state => Ok(StateKind::State),
            StateKind::Auto => Ok(StateKind::Ema),
            kind => Ok(kind),
        }
    }
}
