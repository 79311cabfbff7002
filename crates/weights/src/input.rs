//! The bytes of a pickle, read from its start: single bytes, numbers, lines, and what a length precedes.

use residua_core::error::{Error, Result};

/// What is read, and how far. A read beyond the end is an error.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The number of bytes read so far.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn skip(&mut self, len: usize) -> Result<()> {
        self.take(len).map(drop)
    }

    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// An unsigned little-endian number of `N` bytes.
    pub fn number<const N: usize>(&mut self) -> Result<u64> {
        let mut padded = [0; 8];
        padded[..N].copy_from_slice(self.take(N)?);
        Ok(u64::from_le_bytes(padded))
    }

    /// As many bytes as the preceding length says.
    pub fn counted<const N: usize>(&mut self) -> Result<&'a [u8]> {
        let len = self.number::<N>()?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    pub fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(|&byte| byte == b'\n').ok_or_else(cut_short)?;
        let line = self.take(len)?;
        self.skip(1)?;
        std::str::from_utf8(line).map_err(|_| Error::invalid("expected a name in UTF-8"))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let taken = self.bytes[self.at..].get(..len).ok_or_else(cut_short)?;
        self.at += len;
        Ok(taken)
    }
}

fn cut_short() -> Error {
    Error::invalid("expected more bytes, found the end: the pickle is cut short or damaged")
}
