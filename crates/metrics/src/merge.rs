//! Sums over parts of a set of pictures, which processes compute separately and then merge.

use std::collections::BTreeMap;

use residua_core::error::{Error, Result};

/// Sums that can be computed in parts.
pub trait Merge: Sized {
    /// Adds the sums of another part.
    ///
    /// # Errors
    /// They are of another kind, such as for other codebooks.
    fn merge(&mut self, other: Self) -> Result<()>;
}

/// The error for sums that cannot be added.
pub fn differing(expected: impl std::fmt::Display, found: impl std::fmt::Display) -> Error {
    Error::invalid(format!("cannot merge sums of different kinds: expected {expected}, found {found}"))
}

impl Merge for f64 {
    fn merge(&mut self, other: Self) -> Result<()> {
        *self += other;
        Ok(())
    }
}

impl Merge for u32 {
    fn merge(&mut self, other: Self) -> Result<()> {
        *self = self.saturating_add(other);
        Ok(())
    }
}

/// Element by element.
impl<T: Merge> Merge for Vec<T> {
    fn merge(&mut self, other: Self) -> Result<()> {
        if self.len() != other.len() {
            return Err(differing(format!("{} values", self.len()), other.len()));
        }
        self.iter_mut().zip(other).try_for_each(|(sum, other)| sum.merge(other))
    }
}

impl<T: Merge> Merge for Option<T> {
    fn merge(&mut self, other: Self) -> Result<()> {
        match (self, other) {
            (Some(sum), Some(other)) => sum.merge(other),
            (None, None) => Ok(()),
            (Some(_), None) => Err(differing("a value", "none")),
            (None, Some(_)) => Err(differing("no value", "one")),
        }
    }
}

/// Entries of different pictures, by their numbers.
impl<T> Merge for BTreeMap<u32, T> {
    fn merge(&mut self, other: Self) -> Result<()> {
        self.extend(other);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_the_same_kind_are_added() {
        let mut sums = vec![Some(1.0), None];
        sums.merge(vec![Some(2.5), None]).unwrap();
        assert_eq!(sums, [Some(3.5), None]);
        for (other, message) in [
            (vec![Some(1.0)], "expected 2 values, found 1"),
            (vec![None, None], "expected a value, found none"),
            (vec![Some(1.0), Some(1.0)], "expected no value, found one"),
        ] {
            assert!(sums.merge(other).unwrap_err().to_string().ends_with(message));
        }
        let mut listed = BTreeMap::from([(0, "a"), (2, "c")]);
        Merge::merge(&mut listed, BTreeMap::from([(1, "b")])).unwrap();
        assert_eq!(listed.into_values().collect::<String>(), "abc");
    }
}
