//! The zip container of a `.pt` file: where its files are, even if compressed.

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek};

use super::extent::Part;
use super::pickle;
use super::pt::RE_SAVE;
use residua_core::error::{Error, Result};
use residua_core::files::bytes::ByteSource;
use residua_core::memory;

/// Folder with a TorchScript program's code, which is never read.
const CODE: &str = "code/";
/// The largest allowed ratio of uncompressed to file size: weights hardly compress.
const MOST_UNPACKED: u64 = 32;

/// The files in a `.pt`, all below one folder, except code.
pub(super) struct Archive<'s> {
    source: &'s ByteSource,
    /// The files one after another, if they are compressed.
    pub unpacked: Option<ByteSource>,
    /// Start and length by name, without the folder.
    pub files: HashMap<String, Part>,
}

impl<'s> Archive<'s> {
    /// Reads the zip's directory.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is damaged, encrypted, or decompresses to far more than its size or the free memory.
    pub fn open(source: &'s ByteSource) -> Result<Self> {
        let reader = BufReader::new(source.reader());
        let mut zip = zip::ZipArchive::new(reader).map_err(damaged)?;
        let (mut files, mut is_packed) = (HashMap::new(), false);
        let (mut total, mut largest) = (0u64, 0);
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).map_err(damaged)?;
            let Some(name) = name_below(&entry)? else { continue };
            if entry.encrypted() {
                return Err(Error::invalid(format!("{name:?} in the file is encrypted: {RE_SAVE}")));
            }
            is_packed |= entry.compression() != zip::CompressionMethod::Stored;
            total = total.saturating_add(entry.size());
            largest = largest.max(entry.size());
            let start = entry.data_start().unwrap_or(u64::MAX);
            let len = entry.compressed_size();
            if start.checked_add(len).is_none_or(|end| end > source.len()) {
                return Err(Error::invalid(format!(
                    "{name:?} ends beyond the file's {} bytes: copy or download the file again",
                    source.len()
                )));
            }
            files.insert(name, (start, len));
        }
        if !is_packed {
            return Ok(Self { source, unpacked: None, files });
        }
        if total > MOST_UNPACKED.saturating_mul(source.len()) {
            return Err(Error::invalid(format!(
                "the file unpacks to more than {MOST_UNPACKED} times its size: {RE_SAVE}"
            )));
        }
        // Each file is copied after it is unpacked.
        let needed = total.saturating_add(largest);
        if !memory::can_hold(needed) {
            return Err(Error::invalid(format!(
                "the compressed file needs {} MB of memory, more than is free: {RE_SAVE}, or close other programs",
                needed / 1_000_000
            )));
        }
        let (parts, files) = unpacked(&mut zip)?;
        Ok(Self { source, unpacked: Some(ByteSource::Joined(parts)), files })
    }

    /// The bytes to which the offsets of `files` refer.
    pub fn content(&self) -> &ByteSource {
        self.unpacked.as_ref().unwrap_or(self.source)
    }

    /// Reads a small file that describes the others.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is missing or too large; [`Error::Io`] if it cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        let &(start, len) = self.files.get(name).ok_or_else(|| {
            Error::invalid(format!(
                "expected {name} in the zip, found none: if it is an archive of a model, unpack it first, else {RE_SAVE}"
            ))
        })?;
        if len > pickle::MAX_BYTES as u64 {
            return Err(Error::invalid(format!(
                "{name} has {len} bytes: expected at most {}",
                pickle::MAX_BYTES
            )));
        }
        self.content().read_at(start, len)
    }

    /// Checks that the file is little-endian.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not.
    pub fn check_byte_order(&self) -> Result<()> {
        // PyTorch before 2.0 did not write the byte order, but ran only on little-endian machines in
        // practice.
        if !self.files.contains_key("byteorder") || self.read("byteorder")? == b"little" {
            return Ok(());
        }
        Err(Error::invalid(format!("the file is not little-endian: on a little-endian machine, {RE_SAVE}")))
    }
}

fn damaged(error: impl std::fmt::Display) -> Error {
    Error::invalid(format!("not a complete .pt file ({error}): copy or download it again"))
}

/// The name of a file in the zip, without the common folder; `None` for code.
fn name_below<R: Read + ?Sized>(entry: &zip::read::ZipFile<'_, R>) -> Result<Option<String>> {
    let name = entry.name().map_err(damaged)?;
    let below = name.split_once('/').map(|(_, below)| below);
    let is_code = below.is_some_and(|below| below.starts_with(CODE));
    Ok((!is_code).then(|| below.unwrap_or(&name).to_owned()))
}

/// Decompresses all files of `zip`, with the position of each when they follow one another.
fn unpacked<R: Read + Seek>(
    zip: &mut zip::ZipArchive<R>,
) -> Result<(Vec<ByteSource>, HashMap<String, Part>)> {
    let (mut parts, mut files, mut start) = (Vec::new(), HashMap::new(), 0);
    for index in 0..zip.len() {
        let entry = zip.by_index(index).map_err(damaged)?;
        let Some(name) = name_below(&entry)? else { continue };
        let size = entry.size();
        let mut bytes = Vec::with_capacity(size as usize);
        let read = entry.take(size + 1).read_to_end(&mut bytes).map_err(damaged)? as u64;
        if read != size {
            return Err(damaged(format!("{name:?} does not have the {size} bytes that its directory lists")));
        }
        parts.push(ByteSource::Memory(bytes.into()));
        files.insert(name, (start, size));
        start += size;
    }
    Ok((parts, files))
}
