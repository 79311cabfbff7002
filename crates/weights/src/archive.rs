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
/// [`Error::Invalid`] if the archive is damaged, has no model, has a model's file as a link, or has a path that
/// leads outside (named in the message); [`Error::Io`] if the archive cannot be read or the disk cannot be
/// written.
pub fn unpack(path: &Path) -> Result<Unpacked> {
    // It is opened several times, which a pipe cannot be.
    files::open(path)?;
    let folder = tempfile::tempdir().map_err(Error::io("create", &std::env::temp_dir()))?;
    let folders = unpack_into(path, folder.path())?;
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
            Err("is a link: pack the file itself, for example with `tar --dereference --hard-dereference`")
        }
        EntryType::Char | EntryType::Block | EntryType::Fifo => Err("is a device: expected a file"),
        _ => Err("is of an unknown kind: expected a file"),
    }
}

/// Copies an entry to a file. As everywhere in tar, the last of several entries of a name is the file: `tar -r`
/// adds them. A truncated archive is detected when looking for the next entry.
fn copy(entry: &mut impl Read, target: &Path, damaged: impl Fn(std::io::Error) -> Error) -> Result<()> {
    let parent = target.parent().unwrap_or(target);
    files::create_folder(parent)?;
    let mut file = File::create(target).map_err(Error::io("create", target))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match entry.read(&mut buffer).map_err(&damaged)? {
            0 => return Ok(()),
            read => file.write_all(&buffer[..read]).map_err(|error| unwritable(target, error))?,
        }
    }
}

fn unwritable(target: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::invalid(format!(
            "the disk is full: cannot unpack to {}; free some space, or set TMPDIR to a folder that has it",
            target.display()
        )),
        _ => Error::io("write", target)(error),
    }
}

/// The tar's bytes, judging by the file's content rather than its extension.
fn decompressed(path: &Path) -> Result<Box<dyn Read>> {
    let is_gzip = start(path).map_err(Error::io("read", path))?.starts_with(&GZIP);
    let reader = BufReader::new(File::open(path).map_err(Error::io("read", path))?);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) })
}

/// The kind of the file at `path`, if it is one that is neither a tar nor compressed with gzip. The first bytes
/// of a tar are a name of the user's, so this is only for a file that is no tar.
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
        let read = self.inner.read(&mut buffer[..allowed])?;
        self.allowance.set(self.allowance.get() - read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tar::{Builder, Header};

    type Entry<'a> = (&'a str, EntryType, &'a [u8]);
    const FILE: EntryType = EntryType::Regular;

    /// A tar, written byte by byte because the `tar` crate would refuse some entries.
    fn tar_of(entries: &[Entry]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, kind, data) in entries {
            let mut header = Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(data.len() as u64);
            header.set_cksum();
            builder.append(&header, *data).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack_bytes(bytes: &[u8]) -> Result<Unpacked> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        unpack(file.path())
    }

    fn message(bytes: &[u8]) -> String {
        unpack_bytes(bytes).unwrap_err().to_string()
    }

    const MODEL: [Entry; 4] = [
        ("./ffhq/", EntryType::Directory, b""),
        ("./ffhq/readme.txt", FILE, b"not unpacked"),
        ("./ffhq/config.yaml", FILE, b"arch:"),
        ("./ffhq/model.pt", FILE, &[7; 3000]),
    ];

    #[test]
    fn a_published_folder_is_unpacked_and_removed_on_drop() {
        for bytes in [tar_of(&MODEL), gzip(&tar_of(&MODEL))] {
            let unpacked = unpack_bytes(&bytes).unwrap();
            let model = unpacked.only().unwrap().clone();
            let config = model.config.unwrap();
            assert_eq!(std::fs::read(&config).unwrap(), b"arch:");
            assert_eq!(std::fs::read(&model.weights).unwrap(), [7; 3000]);
            assert!(!config.with_file_name("readme.txt").exists());
            assert!(
                model.shown.ends_with("ffhq/model.pt") && !model.shown.starts_with(unpacked.folder.path())
            );
            drop(unpacked);
            assert!(!model.weights.exists());
        }
    }

    #[test]
    fn two_stages_keep_their_relative_paths() {
        let stage =
            |n: u8| [(format!("m/stage{n}/config.yaml"), vec![n]), (format!("m/stage{n}/model.pt"), vec![n])];
        let files: Vec<_> = [1, 2].into_iter().flat_map(stage).collect();
        let entries: Vec<Entry> = files.iter().map(|(name, data)| (&name[..], FILE, &data[..])).collect();
        let unpacked = unpack_bytes(&tar_of(&entries)).unwrap();
        let error = unpacked.only().unwrap_err().to_string();
        assert!(error.contains("found m/stage1/model.pt, m/stage2/model.pt"), "{error}");
        let [first, second] = unpacked.models() else { panic!("{unpacked:?}") };
        let across = second.weights.parent().unwrap().join("../stage1/model.pt");
        assert_eq!(std::fs::read(across).unwrap(), std::fs::read(&first.weights).unwrap());
    }

    #[test]
    fn entries_that_could_lead_outside_are_refused_by_name() {
        for (name, kind, expected) in [
            ("../model.pt", FILE, "leads outside"),
            ("a/../../model.pt", FILE, "leads outside"),
            ("/tmp/model.pt", FILE, "leads outside"),
            ("../readme", FILE, "leads outside"),
            ("model.pt", EntryType::Symlink, "is a link"),
            ("model.pt", EntryType::Link, "is a link"),
            ("model.pt", EntryType::Char, "is a device"),
            ("model.pt", EntryType::Block, "is a device"),
            ("model.pt", EntryType::Fifo, "is a device"),
            ("model.pt", EntryType::new(b'V'), "unknown kind"),
        ] {
            let found = message(&tar_of(&[("config.yaml", FILE, b""), (name, kind, b"")]));
            assert!(found.contains(expected) && found.contains(name), "{found}");
        }
    }

    #[test]
    fn a_truncated_or_damaged_archive_is_an_error() {
        let tar = tar_of(&MODEL);
        let packed = gzip(&tar);
        for sixteenth in 0..16 {
            assert!(unpack_bytes(&packed[..packed.len() * sixteenth / 16]).is_err(), "{sixteenth}");
            // A tar ends with two empty blocks: without them it may still be whole.
            assert!(unpack_bytes(&tar[..(tar.len() - 2048) * sixteenth / 16]).is_err(), "{sixteenth}");
        }
        let mut flipped = packed.clone();
        let checksum = flipped.len() - 8;
        flipped[checksum] ^= 1;
        assert!(message(&flipped).contains("not a complete .tar"), "{}", message(&flipped));
        assert!(message(b"some text").contains("not a complete .tar"));
        for (bytes, expected) in [
            (&b"version https://git-lfs.github.com/spec/v1\noid sha256:0"[..], "found a Git LFS pointer"),
            (b"<!DOCTYPE html><title>Sign in</title>", "found a web page"),
            (b"\xfd7zXZ\0", "found xz: unpack it first"),
        ] {
            let found = message(bytes);
            assert!(found.contains(&format!("expected a .tar or .tar.gz, {expected}")), "{found}");
        }
        assert!(message(b"").contains("expected config.yaml and weights"));
        assert!(message(&[b'x'; 2000]).contains("not a complete .tar"));
    }

    #[test]
    fn a_huge_name_is_not_read_into_memory() {
        let name = vec![b'n'; 8 << 20];
        let bytes = gzip(&tar_of(&[MODEL[2], ("././@LongLink", EntryType::GNULongName, &name), MODEL[3]]));
        assert!(bytes.len() < 100_000);
        assert!(message(&bytes).contains("header is larger"), "{}", message(&bytes));
    }

    #[test]
    fn the_wrong_number_of_files_is_an_error() {
        let config = ("m/config.yaml", FILE, &b""[..]);
        for (entries, expected) in [
            (vec![config], "beside the configuration, found none"),
            (vec![("m/a.pt", FILE, &b""[..])], "expected config.yaml beside the weights"),
            (vec![config, ("m/a.pt", FILE, b""), ("m/b.pt", FILE, b"")], "found a.pt, b.pt"),
            (vec![config, ("m/sub/a.pt", FILE, b"")], "beside the configuration, found none"),
        ] {
            let found = message(&tar_of(&entries));
            assert!(found.contains(expected), "{found}");
        }
        let unpacked =
            unpack_bytes(&tar_of(&[config, ("m/a.pt", FILE, b""), ("m/model.pt", FILE, b"")])).unwrap();
        assert!(unpacked.only().unwrap().weights.ends_with("m/model.pt"));
    }

    #[test]
    fn whatever_is_no_models_file_is_passed_over() {
        let extra = [
            ("ffhq/latest", EntryType::Symlink, &b""[..]),
            ("ffhq/notes.txt", EntryType::Link, b""),
            ("ffhq/pipe", EntryType::Fifo, b""),
            ("ffhq/odd", EntryType::new(b'V'), b""),
            ("judges/vgg.pth", FILE, b"without a configuration"),
            ("settings/config.yaml", FILE, b"without weights"),
        ];
        let unpacked = unpack_bytes(&tar_of(&[&MODEL[..], &extra].concat())).unwrap();
        assert!(unpacked.only().unwrap().weights.ends_with("ffhq/model.pt"));
        assert!(!unpacked.folder.path().join("ffhq/latest").is_symlink());
    }

    #[test]
    fn the_last_entry_of_a_name_is_the_file() {
        let newer = [("ffhq/model.pt", FILE, &b"newer"[..])];
        let unpacked = unpack_bytes(&tar_of(&[&MODEL[..], &newer].concat())).unwrap();
        assert_eq!(std::fs::read(&unpacked.only().unwrap().weights).unwrap(), b"newer");
    }

    #[test]
    fn the_latest_checkpoint_stands_for_a_run() {
        let header = r#"{"__metadata__":{"config":"arch:","format":"residua"}}"#;
        let carried = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        let file = |name| (name, FILE, &carried[..]);
        let entries = [
            ("run/config.yaml", FILE, &b"arch:"[..]),
            ("run/run.json", FILE, b"{}"),
            file("run/checkpoints/00000090/model.safetensors"),
            ("run/checkpoints/00000090/training.safetensors", FILE, b"none"),
            file("run/checkpoints/00000100/model.safetensors"),
            file("run/stage1/model.safetensors"),
        ];
        let unpacked = unpack_bytes(&tar_of(&entries)).unwrap();
        let found: Vec<_> = unpacked.models().iter().map(|model| &model.weights).collect();
        let [stage2, stage1] = found[..] else { panic!("{found:?}") };
        assert!(stage2.ends_with("run/checkpoints/00000100/model.safetensors"), "{stage2:?}");
        assert!(stage1.ends_with("run/stage1/model.safetensors"), "{stage1:?}");
    }

    #[test]
    fn a_taming_run_keeps_its_configuration_in_another_folder() {
        let entries = [
            ("logs/checkpoints/last.ckpt", FILE, &b""[..]),
            ("logs/configs/2021-01-01T00-00-00-lightning.yaml", FILE, b""),
            ("logs/configs/2021-01-01T00-00-00-project.yaml", FILE, b""),
        ];
        let unpacked = unpack_bytes(&tar_of(&entries)).unwrap();
        let model = unpacked.only().unwrap();
        assert!(
            model.config.as_ref().is_some_and(|config| config.ends_with("2021-01-01T00-00-00-project.yaml"))
        );
    }

    #[test]
    fn a_full_disk_is_reported() {
        let error = unwritable(Path::new("model.pt"), ErrorKind::StorageFull.into()).to_string();
        assert!(error.contains("the disk is full"), "{error}");
    }
}
