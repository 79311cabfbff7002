//! Writes files on disk: completely or not at all.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// What to do if the file already exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Keep it, and write nothing.
    Keep,
    /// Replace it.
    Replace,
}

/// Writes `path` as [`write()`] does, replacing an existing file.
///
/// # Errors
/// Those of [`write()`].
pub fn write_atomically(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    write(path, Existing::Replace, fill)
}

/// Writes `path` through a temporary file in the same folder, renamed once `fill` has succeeded: a reader
/// never sees a partial file, and a failure leaves the old one unchanged. A file that replaces another keeps
/// its permissions. Missing folders are created. A link stays a link: its target is written. Anything other
/// than a
/// file, such as a pipe or a device, is written to directly.
///
/// # Errors
/// The folder cannot be written; `path` is a folder; the file exists and must be kept (an [`Error::Io`] of
/// [`ErrorKind::AlreadyExists`]); any error from `fill`.
pub fn write(path: &Path, existing: Existing, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let target = match place(path)? {
        Place::File(target) => target,
        Place::Stream => {
            let mut stream = File::options().write(true).open(path).map_err(Error::io("write", path))?;
            fill(&mut stream)?;
            return stream.flush().map_err(Error::io("write", path));
        }
    };
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create(folder).map_err(Error::io("create", path))?;
    let mut file = temporary(folder).map_err(Error::io("create", path))?;
    if let (Existing::Replace, Ok(replaced)) = (existing, target.metadata()) {
        // Set before there is anything to read in the file.
        file.as_file().set_permissions(replaced.permissions()).map_err(Error::io("create", path))?;
    }
    fill(file.as_file_mut())?;
    file.as_file().sync_all().map_err(Error::io("write", path))?;
    let written = match existing {
        Existing::Keep => file.persist_noclobber(&target).or_else(|error| {
            // Some file systems cannot do that in one step, such as those of memory cards.
            let is_free =
                error.error.kind() != ErrorKind::AlreadyExists && target.symlink_metadata().is_err();
            if is_free { error.file.persist(&target) } else { Err(error) }
        }),
        Existing::Replace => file.persist(&target),
    };
    written.map(drop).map_err(|error| Error::io("write", path)(error.error))
}

/// Creates `folder` and its parents, unless they exist.
///
/// # Errors
/// They cannot be created, for example because a file or a broken link is in the way.
pub fn create_folder(folder: &Path) -> Result<()> {
    create(folder).map_err(Error::io("create", folder))
}

/// If a file is in the way of the folder, the error says that it is not a folder, rather than that it already
/// exists.
fn create(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => ErrorKind::NotADirectory.into(),
        _ => error,
    })
}

/// What exists at a path to be written.
enum Place {
    /// A file or nothing, with all links followed.
    File(PathBuf),
    /// A pipe, a device, or the name of an open descriptor.
    Stream,
}

/// Whether the names in `folder` stand for devices and open descriptors, such as `/dev/stdout`. They are
/// never replaced.
fn is_of_the_system(folder: &Path) -> bool {
    folder == Path::new("/dev") || folder == Path::new("/dev/fd") || folder.starts_with("/proc")
}

/// The longest chain of links; the same limit as in Linux.
const MOST_LINKS: usize = 40;

fn place(path: &Path) -> Result<Place> {
    match path.metadata() {
        Ok(data) if data.is_dir() => {
            return Err(Error::usage(format!(
                "{}: expected a file to write, found a folder",
                path.display()
            )));
        }
        Ok(data) if !data.is_file() => return Ok(Place::Stream),
        _ => {}
    }
    let mut target = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        let folder = target.parent().and_then(|folder| folder.canonicalize().ok());
        if folder.is_some_and(|folder| is_of_the_system(&folder)) {
            return Ok(Place::Stream);
        }
        match target.read_link() {
            Ok(next) => target = target.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => return Ok(Place::File(target)),
        }
    }
    Err(Error::usage(format!("{}: expected a file to write, found circular links", path.display())))
}

/// Whether writing to `path` would replace a file.
///
/// # Errors
/// `path` is a folder.
pub fn would_replace(path: &Path) -> Result<bool> {
    Ok(match place(path)? {
        Place::File(target) => target.symlink_metadata().is_ok(),
        Place::Stream => false,
    })
}

/// Whether `path` is a pipe, a device or an open descriptor.
pub fn is_stream(path: &Path) -> bool {
    matches!(place(path), Ok(Place::Stream))
}

/// Refuses a `path` that [`write()`] could not write, before the work that makes its contents. Nothing is changed.
///
/// # Errors
/// Those of [`write()`].
pub fn check_writable(path: &Path) -> Result<()> {
    let Place::File(target) = place(path)? else { return Ok(()) };
    let unlike_missing =
        |error: &std::io::Error| !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
    // For example a name that is too long.
    if let Some(error) = target.symlink_metadata().err().filter(unlike_missing) {
        return Err(Error::io("create", path)(error));
    }
    let nearest = target.ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let tried =
        if nearest.is_dir() { temporary(nearest).map(drop) } else { Err(ErrorKind::NotADirectory.into()) };
    tried.map_err(Error::io("create", path))
}

/// Refuses an existing `folder` to which no file can be written. Nothing is changed.
///
/// # Errors
/// The folder cannot be written.
pub fn check_folder_writable(folder: &Path) -> Result<()> {
    temporary(folder).map(drop).map_err(Error::io("write", folder))
}

/// A temporary file in `folder`. Errors leave out its name, which means nothing to users.
fn temporary(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    with_usual_permissions().tempfile_in(folder).map_err(|error| {
        let text = error.to_string();
        let reason = text.split_once(" at path ").map_or(text.as_str(), |(reason, _)| reason);
        std::io::Error::new(error.kind(), reason)
    })
}

/// Temporary files with normal permissions, since they will become outputs. By default they would be private.
#[cfg(unix)]
fn with_usual_permissions() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

#[cfg(windows)]
fn with_usual_permissions() -> tempfile::Builder<'static, 'static> {
    tempfile::Builder::new()
}

/// Writes `bytes` to `path`, completely or not at all, replacing an existing file; see [`write()`].
///
/// # Errors
/// The file cannot be written.
pub fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    save_as(path, Existing::Replace, bytes)
}

/// Writes `bytes` to `path`, completely or not at all; see [`write()`].
///
/// # Errors
/// Those of [`write()`].
pub fn save_as(path: &Path, existing: Existing, bytes: &[u8]) -> Result<()> {
    write(path, existing, |file| file.write_all(bytes).map_err(Error::io("write", path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::read_limited;

    #[test]
    fn a_file_is_written_completely_or_left_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        save(&path, b"first").unwrap();
        let failed = write_atomically(&path, |file| {
            file.write_all(b"sec").unwrap();
            Err(Error::Cancelled)
        });
        assert!(matches!(failed, Err(Error::Cancelled)));
        assert_eq!(read_limited(&path, 5).unwrap(), b"first");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left behind");
    }

    #[test]
    fn missing_folders_are_created() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some/more/a.txt");
        save(&path, b"whole").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        let message = save(&path.join("b.txt"), b"").unwrap_err().to_string();
        assert!(message.starts_with("cannot create ") && message.contains("b.txt"), "{message}");
        let message = create_folder(&path).unwrap_err().to_string();
        assert!(message.ends_with("a.txt: not a directory"), "{message}");
    }

    #[test]
    fn what_cannot_be_written_is_known_before() {
        // Unlike those of the temporary files that no message may name.
        let folder = tempfile::Builder::new().prefix("folder").tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        save(&at("file"), b"").unwrap();
        for name in ["new", "file", "some/more/new"] {
            check_writable(&at(name)).unwrap();
        }
        check_folder_writable(folder.path()).unwrap();
        let too_long = "n".repeat(300);
        for name in ["file/new", "file/more/new", too_long.as_str()] {
            let [before, then] = [check_writable(&at(name)), save(&at(name), b"")]
                .map(|refused| refused.unwrap_err().to_string());
            for message in [before, then] {
                assert!(message.contains(name) && !message.contains(".tmp"), "{message}");
            }
        }
        let message = check_folder_writable(&at("file")).unwrap_err().to_string();
        assert!(message.starts_with("cannot write ") && !message.contains(".tmp"), "{message}");
        assert!(check_writable(folder.path()).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "something was left behind");
    }

    #[test]
    fn an_existing_file_is_kept_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        assert!(!would_replace(&path).unwrap());
        save_as(&path, Existing::Keep, b"first").unwrap();
        let error = save_as(&path, Existing::Keep, b"second").unwrap_err();
        assert!(
            matches!(&error, Error::Io { source, .. } if source.kind() == ErrorKind::AlreadyExists),
            "{error}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert!(would_replace(&path).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left behind");
    }

    #[cfg(unix)]
    #[test]
    fn the_target_of_a_link_is_written() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("store")).unwrap();
        std::fs::write(at("store/real"), "old").unwrap();
        // A link to a link to a file, and one to a missing file.
        symlink("store/real", at("one")).unwrap();
        symlink(at("one"), at("two")).unwrap();
        symlink("store/new", at("three")).unwrap();
        save(&at("two"), b"new").unwrap();
        save_as(&at("three"), Existing::Keep, b"first").unwrap();
        assert_eq!(std::fs::read(at("store/real")).unwrap(), b"new");
        assert_eq!(std::fs::read(at("store/new")).unwrap(), b"first");
        assert!(would_replace(&at("three")).unwrap());
        for link in ["one", "two", "three"] {
            assert!(at(link).symlink_metadata().unwrap().is_symlink(), "{link}");
        }
        symlink("around", at("around")).unwrap();
        let message = save(&at("around"), b"").unwrap_err().to_string();
        assert!(message.ends_with("circular links"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_pipes_are_written_to_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let null = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &null).unwrap();
        save_as(&null, Existing::Keep, b"nothing").unwrap();
        assert!(null.symlink_metadata().unwrap().is_symlink());

        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        save_as(&pipe, Existing::Keep, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), b"through");
        assert!(is_stream(&pipe) && !pipe.is_file());
    }

    /// A descriptor's name stands for whatever is open; even a regular file is written, not replaced.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_open_file_is_written_through_its_descriptor() {
        use std::os::fd::AsRawFd;
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("open")).unwrap();
        let name = format!("/proc/self/fd/{}", file.as_raw_fd());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&name, &link).unwrap();
        for path in [Path::new(&name), &link] {
            save_as(path, Existing::Keep, b"codes").unwrap();
            assert_eq!(std::fs::read(folder.path().join("open")).unwrap(), b"codes");
            assert_eq!(file.metadata().unwrap().len(), 5, "another file took its place");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_written_file_has_the_usual_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let [plain, atomic] = ["plain", "atomic"].map(|name| folder.path().join(name));
        std::fs::write(&plain, "").unwrap();
        save(&atomic, b"").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&atomic), mode(&plain));
        // That of the file that it replaces, for example a private one.
        for private in [0o600, 0o640, 0o400] {
            std::fs::set_permissions(&atomic, std::fs::Permissions::from_mode(private)).unwrap();
            save(&atomic, b"again").unwrap();
            assert_eq!(
                (mode(&atomic) & 0o777, std::fs::read(&atomic).unwrap()),
                (private, b"again".to_vec())
            );
        }
    }
}
