//! Unpacks published models from a `.tar.gz`.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use tar::EntryType;
use tempfile::TempDir;

use super::folder::{
    CHECKPOINTS, ModelFiles, endings, is_config, is_weights, latest, listed, models, weights_of,
};
use residua_core::error::{Error, Result};
use residua_core::files::{self, kinds};
use residua_core::task::check_interrupted;

/// File with the names of a model's classes.
const CLASSES: &str = "classes.txt";
/// How gzip begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Limit on the names and attributes before one entry: tar sets none, and they are read into memory.
const MAX_ENTRY_HEADER: u64 = 1 << 20;

/// Models unpacked from an archive. Dropping this deletes the files.
#[derive(Debug)]
pub struct Unpacked {
    folder: TempDir,
    models: Vec<ModelFiles>,
}

impl Unpacked {
    /// The models, sorted by path; a published second stage shares an archive with its first. The layout of
    /// their folders is that of the archive.
    pub fn models(&self) -> &[ModelFiles] {
        &self.models
    }

    /// The only model in the archive.
    ///
    /// # Errors
    /// [`Error::Invalid`] with a list, if there are several.
    pub fn only(&self) -> Result<&ModelFiles> {
        match &self.models[..] {
            [only] => Ok(only),
            several => {
                let weights: Vec<_> = several.iter().map(|model| model.weights.clone()).collect();
                let names = listed(&weights, self.folder.path());
                Err(Error::invalid(format!(
                    "expected one model, found {names}: unpack the archive and name a folder"
                )))
            }
        }
    }
}

/// Unpacks only configurations, weights and class names from the `.tar` or `.tar.gz` at `path` into a
/// temporary folder (in `TMPDIR` or the system's default). It never reads a whole file into memory and trusts
/// no declared size. As in a folder, the latest checkpoint stands for a training run, and what is only part of a
/// model is passed over.
///
/// # Errors
/// [`Error::Invalid`] if the archive is damaged, or has no model, a link in place of a model's file, or a path that
/// leads outside (named in the message), and if the temporary folder cannot be written; [`Error::Io`] if the archive
/// cannot be read; [`Error::Cancelled`] if the process was interrupted.
pub fn unpack(path: &Path) -> Result<Unpacked> {
    // It is opened several times, which a pipe cannot be.
    files::open(path)?;
    let folder = tempfile::tempdir().map_err(unwritable)?;
    // An interruption is no damage.
    let folders = unpack_into(path, folder.path()).or_else(|error| check_interrupted().and(Err(error)))?;
    let (mut found, mut lacking) = (Vec::<ModelFiles>::new(), None);
    for below in folders {
        let (inside, shown) = (folder.path().join(&below), path.join(&below));
        if is_outdated(&inside)? {
            continue;
        }
        let has_weights = !weights_of(&inside)?.is_empty();
        match models(&inside, &shown) {
            Err(error) if !has_weights => lacking = lacking.or(Some(error)),
            Ok(models) if has_weights && models.is_empty() => {
                let what =
                    format!("{}: expected config.yaml beside the weights, found none", shown.display());
                lacking = lacking.or(Some(Error::invalid(what)));
            }
            models => {
                // Checkpoints were found with the folder of their run already.
                let is_known = |model: &ModelFiles| found.iter().any(|known| known.weights == model.weights);
                let new: Vec<ModelFiles> = models?.into_iter().filter(|model| !is_known(model)).collect();
                found.extend(new);
            }
        }
    }
    if found.is_empty() {
        let nothing = || {
            Error::invalid(format!(
                "{}: expected config.yaml and weights ({}), found none",
                path.display(),
                endings()
            ))
        };
        return Err(lacking.unwrap_or_else(nothing));
    }
    Ok(Unpacked { folder, models: found })
}

/// Whether `folder` is a checkpoint of a training run that has a later one.
fn is_outdated(folder: &Path) -> Result<bool> {
    let run = folder.parent().filter(|parent| parent.ends_with(CHECKPOINTS)).and_then(Path::parent);
    run.map_or(Ok(false), |run| latest(run).map(|last| last != run && !last.starts_with(folder)))
}

/// Unpacks the files of models, and returns the folders that received any.
fn unpack_into(path: &Path, target: &Path) -> Result<BTreeSet<PathBuf>> {
    let damaged = |error: std::io::Error| {
        let name = path.display();
        Error::invalid(match of_another_kind(path) {
            Some(found) => format!("{name}: expected a .tar or .tar.gz, found {found}"),
            None => format!("{name}: not a complete .tar or .tar.gz ({error}): download it again"),
        })
    };
    let allowance = Rc::new(Cell::new(MAX_ENTRY_HEADER));
    let mut archive = tar::Archive::new(Metered { inner: decompressed(path)?, allowance: allowance.clone() });
    let mut folders = BTreeSet::new();
    for entry in archive.entries().map_err(damaged)? {
        allowance.set(u64::MAX);
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path().map_err(damaged)?.into_owned();
        let is_taken = takes(&name, entry.header().entry_type())
            .map_err(|what| Error::invalid(format!("{}: entry {name:?} {what}", path.display())))?;
        if is_taken {
            folders.insert(name.parent().unwrap_or(Path::new("")).to_owned());
            copy(&mut entry, &target.join(&name), damaged)?;
        }
        // Read the rest here, so that reading the next header reads nothing else.
        std::io::copy(&mut entry, &mut std::io::sink()).map_err(damaged)?;
        allowance.set(MAX_ENTRY_HEADER);
    }
    // The checksum of a .gz follows the last entry.
    allowance.set(u64::MAX);
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(damaged)?;
    Ok(folders)
}

/// Whether the entry is a file of a model; the reason for refusing it if it could lead outside, or if a model's
/// file is something else. Whatever else is in the archive is not unpacked, so it may be anything.
fn takes(name: &Path, kind: EntryType) -> Result<bool, &'static str> {
    if !name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err("leads outside the folder: do not trust this archive");
    }
    match kind {
        EntryType::Directory | EntryType::XGlobalHeader => Ok(false),
        _ if !(is_weights(name) || is_config(name) || name.ends_with(CLASSES)) => Ok(false),
        EntryType::Regular | EntryType::Continuous => Ok(true),
        EntryType::Symlink | EntryType::Link => {
            Err("is a link: pack the file itself, for example with `tar -h`")
        }
        EntryType::Char | EntryType::Block | EntryType::Fifo => Err("is a device: expected a file"),
        _ => Err("is of an unknown kind: expected a file"),
    }
}

/// Copies an entry to a file. As everywhere in tar, the last of several entries of a name is the file: `tar -r`
/// adds them. A truncated archive is detected when looking for the next entry.
fn copy(entry: &mut impl Read, target: &Path, damaged: impl Fn(std::io::Error) -> Error) -> Result<()> {
    let parent = target.parent().unwrap_or(target);
    std::fs::create_dir_all(parent).map_err(unwritable)?;
    let mut file = File::create(target).map_err(unwritable)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match entry.read(&mut buffer).map_err(&damaged)? {
            0 => return Ok(()),
            read => file.write_all(&buffer[..read]).map_err(unwritable)?,
        }
    }
}

/// The error of a temporary file. It leaves out the file's name, which means nothing to users.
fn unwritable(error: std::io::Error) -> Error {
    let folder = std::env::temp_dir();
    let text = error.to_string();
    let (reason, remedy) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            ("the disk is full", "free some space, or set TMPDIR to a folder that has it")
        }
        _ => {
            let reason = text.split_once(" at path ").map_or(text.as_str(), |(reason, _)| reason);
            (reason, "set TMPDIR to a folder that can be written")
        }
    };
    Error::invalid(format!("cannot unpack into {}: {reason}; {remedy}", folder.display()))
}

/// The tar's bytes, judging by the file's content rather than its extension.
fn decompressed(path: &Path) -> Result<Box<dyn Read>> {
    let is_gzip = start(path).map_err(Error::io("read", path))?.starts_with(&GZIP);
    let reader = BufReader::new(File::open(path).map_err(Error::io("read", path))?);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) })
}

/// The kind of the file at `path`, if it is one that is neither a tar nor compressed with gzip. The first bytes
/// of a tar are a name that a user chose, so this is only for a file that is not a tar.
fn of_another_kind(path: &Path) -> Option<&'static str> {
    kinds::known(&start(path).ok().filter(|start| !start.starts_with(&GZIP))?)
}

/// The first bytes of the file at `path`.
fn start(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path)?.take(kinds::LONGEST_START as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// A reader that gives no more bytes than currently allowed.
struct Metered {
    inner: Box<dyn Read>,
    allowance: Rc<Cell<u64>>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let allowed = usize::try_from(self.allowance.get()).unwrap_or(usize::MAX).min(buffer.len());
        if allowed == 0 && !buffer.is_empty() {
            return Err(std::io::Error::other(format!(
                "an entry's header is larger than {MAX_ENTRY_HEADER} bytes"
            )));
        }
        check_interrupted().map_err(std::io::Error::other)?;
        let read = self.inner.read(&mut buffer[..allowed])?;
        self.allowance.set(self.allowance.get() - read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
