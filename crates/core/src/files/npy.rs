//! NumPy's `.npy` files: arrays of numbers.
//!
//! The format is NEP 1: a magic string, a version, the header's length, a header that is a Python dictionary
//! with three entries, then the raw array.

use super::kinds;
use crate::error::{Error, Result};

/// The first bytes of a file.
pub const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// An array as stored in a file.
#[derive(Debug)]
pub struct Array<'a> {
    /// NumPy's name of the type, such as `<f8`; `None` for an array of records.
    pub descr: Option<String>,
    /// Whether the first index varies fastest, rather than the last.
    pub fortran_order: bool,
    /// Elements along each dimension.
    pub shape: Vec<usize>,
    /// The bytes after the header.
    pub data: &'a [u8],
}

impl<'a> Array<'a> {
    /// Parses the bytes of a file, versions 1 to 3. Neither the type nor the length of the data is checked.
    ///
    /// # Errors
    /// The bytes are not such a file.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let (text, data) = split(bytes)?;
        let entry = |key: &str| {
            let quoted = [format!("'{key}':"), format!("\"{key}\":")];
            let start = quoted.iter().find_map(|quoted| text.find(quoted).map(|at| at + quoted.len()));
            let value = start.map(|start| text[start..].trim_start());
            value.ok_or_else(|| Error::invalid(format!("the .npy header has no entry '{key}'")))
        };
        Ok(Self {
            descr: parse_descr(entry("descr")?),
            fortran_order: parse_bool(entry("fortran_order")?)?,
            shape: parse_shape(entry("shape")?)?,
            data,
        })
    }

    /// Checks that the data has as many elements of `width` bytes as the header says.
    ///
    /// # Errors
    /// It does not.
    pub fn check_length(&self, width: usize) -> Result<()> {
        let expected = self.shape.iter().try_fold(width, |bytes, &size| bytes.checked_mul(size));
        if expected == Some(self.data.len()) {
            return Ok(());
        }
        let Self { descr, shape, data, .. } = self;
        Err(Error::invalid(format!(
            "the .npy header promises {shape:?} values of type {}, but {} bytes of data follow",
            descr.as_deref().unwrap_or("record"),
            data.len()
        )))
    }

    /// Reorders `values` so that the last index varies fastest.
    pub fn in_c_order<T: Copy>(&self, values: Vec<T>) -> Vec<T> {
        if !self.fortran_order {
            return values;
        }
        let fortran_index = |mut c_index: usize| {
            let mut index = 0;
            for &size in self.shape.iter().rev() {
                index = index * size + c_index % size;
                c_index /= size;
            }
            index
        };
        (0..values.len()).map(|c_index| values[fortran_index(c_index)]).collect()
    }
}

/// The bytes of a version 1 file, exactly as NumPy writes it. `data` holds the elements, with the last index
/// varying fastest.
pub fn encode(descr: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let one = if shape.len() == 1 { "," } else { "" };
    let sizes = sizes.join(", ");
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}{one}), }}");
    // NumPy aligns the data to 64 bytes, with spaces before the final newline of the header.
    let unpadded = MAGIC.len() + 4 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let length = u16::try_from(header.len()).expect("some numbers and the padding take less than 64 KB");
    [&MAGIC[..], &[1, 0], &length.to_le_bytes(), header.as_bytes(), data].concat()
}

/// The header's text, and the bytes after it.
fn split(bytes: &[u8]) -> Result<(&str, &[u8])> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| Error::invalid(format!("expected a .npy file, found {}", kinds::found(bytes))))?;
    let truncated = || Error::invalid("the .npy file ends inside its header");
    let (&[major, _], rest) = rest.split_first_chunk().ok_or_else(truncated)?;
    let (length, rest) = match major {
        1 => rest.split_first_chunk().map(|(length, rest)| (u32::from(u16::from_le_bytes(*length)), rest)),
        2 | 3 => rest.split_first_chunk().map(|(length, rest)| (u32::from_le_bytes(*length), rest)),
        _ => {
            return Err(Error::invalid(format!(
                "expected version 1, 2 or 3 of the .npy format, found {major}"
            )));
        }
    }
    .ok_or_else(truncated)?;
    let (header, data) = rest.split_at_checked(length as usize).ok_or_else(truncated)?;
    let header = std::str::from_utf8(header).map_err(|_| Error::invalid("the .npy header is not text"))?;
    Ok((header, data))
}

/// The quoted string at the start of `value`.
fn parse_descr(value: &str) -> Option<String> {
    let quote = value.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let end = value[1..].find(quote)?;
    Some(value[1..=end].to_owned())
}

fn parse_bool(value: &str) -> Result<bool> {
    match (value.starts_with("True"), value.starts_with("False")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(Error::invalid("the .npy header's 'fortran_order' is neither True nor False")),
    }
}

/// The tuple at the start of `value`; Python 2 wrote integers as `8L`.
fn parse_shape(value: &str) -> Result<Vec<usize>> {
    let inner = value.strip_prefix('(').and_then(|value| value.split_once(')'));
    let sizes = inner.map(|(inner, _)| {
        let sizes = inner.split(',').map(str::trim).filter(|size| !size.is_empty());
        sizes.map(|size| size.trim_end_matches('L').parse().ok()).collect::<Option<Vec<usize>>>()
    });
    sizes.flatten().ok_or_else(|| Error::invalid("the .npy header's 'shape' is not a tuple of sizes"))
}
