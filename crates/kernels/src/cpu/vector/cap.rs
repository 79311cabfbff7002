//! `RESIDUA_VECTORS`, which caps the vector instructions that the kernels use. It is read once.

use std::env::{VarError, var};
use std::sync::LazyLock;

use residua_core::error::{Error, Result};

const SETTING: &str = "RESIDUA_VECTORS";

/// The widest vectors allowed. Every platform accepts all values, whatever its processors support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cap {
    /// Whatever the compiler makes of plain loops.
    None,
    Avx2,
    Avx512,
}

static CAP: LazyLock<Result<Cap, String>> = LazyLock::new(|| parse(var(SETTING)));

fn parse(value: Result<String, VarError>) -> Result<Cap, String> {
    match value.as_deref() {
        Err(VarError::NotPresent) | Ok("" | "avx512") => Ok(Cap::Avx512),
        Ok("avx2") => Ok(Cap::Avx2),
        Ok("none") => Ok(Cap::None),
        Ok(found) => Err(format!("{SETTING}: expected avx512, avx2 or none, found {found}")),
        Err(VarError::NotUnicode(found)) => {
            Err(format!("{SETTING}: expected avx512, avx2 or none, found {}", found.display()))
        }
    }
}

/// The cap, or an error if the setting is invalid.
pub fn cap() -> Result<Cap> {
    CAP.clone().map_err(Error::usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_all_vectors_by_default() {
        assert_eq!(parse(Err(VarError::NotPresent)), Ok(Cap::Avx512));
        for (value, cap) in
            [("", Cap::Avx512), ("avx512", Cap::Avx512), ("avx2", Cap::Avx2), ("none", Cap::None)]
        {
            assert_eq!(parse(Ok(value.into())), Ok(cap), "{value:?}");
        }
        let refused = parse(Ok("sse".into())).unwrap_err();
        assert_eq!(refused, "RESIDUA_VECTORS: expected avx512, avx2 or none, found sse");
    }
}
