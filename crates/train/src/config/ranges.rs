//! Checks that numbers are in range. Each comes with its key, for the message.

use std::fmt::Display;

use residua_core::error::{Error, Result};

/// Refuses values that are not above 0.
pub fn all_positive<K: Display>(values: &[(K, f64)]) -> Result<()> {
    match values.iter().find(|(_, value)| !(*value > 0.0 && value.is_finite())) {
        None => Ok(()),
        Some((key, value)) => Err(Error::invalid(format!("{key}: expected a number above 0, found {value}"))),
    }
}

/// Refuses values below 0.
pub fn none_negative<K: Display>(values: &[(K, f64)]) -> Result<()> {
    match values.iter().find(|(_, value)| !(*value >= 0.0 && value.is_finite())) {
        None => Ok(()),
        Some((key, value)) => {
            Err(Error::invalid(format!("{key}: expected a number of 0 or more, found {value}")))
        }
    }
}

/// Refuses values outside [0, 1).
pub fn all_parts<K: Display>(values: &[(K, f64)]) -> Result<()> {
    match values.iter().find(|(_, value)| !(0.0..1.0).contains(value)) {
        None => Ok(()),
        Some((key, value)) => {
            Err(Error::invalid(format!("{key}: expected 0 or more and less than 1, found {value}")))
        }
    }
}
