//! Where results go: file names and extensions, existing files, standard output.

use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::output::Console;
use residua_core::error::{Error, Result};
use residua_core::files::{self, Existing};

/// Extensions of pictures, codes, statistics and weights. A new folder with such a name is a file by mistake.
const ENDINGS: [&str; 10] = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "npy", "npz", "safetensors", "pt"];

/// Names of standard output.
const STDOUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// What to do with existing files.
#[derive(Args, Clone, Copy, Default)]
pub struct ForceArguments {
    /// Replace existing files. Without it, a file that you name must not exist yet, and automatic names get
    /// the next free number.
    #[arg(long)]
    force: bool,
}

impl ForceArguments {
    /// As if `--force` was given, or not.
    pub fn new(force: bool) -> Self {
        Self { force }
    }

    /// What to do with an existing file.
    pub fn existing(self) -> Existing {
        if self.force { Existing::Replace } else { Existing::Keep }
    }
}

/// Where one result goes.
#[derive(Debug)]
pub enum Target {
    /// Standard output, which then carries nothing else.
    Stdout,
    /// A name given by the user.
    Given(PathBuf, Existing),
    /// A name chosen by the program; if it is taken, the next free one of the form `name-2.npy`.
    Chosen(PathBuf, Existing),
}

impl Target {
    /// The target at `path`, whose extension must be `ending`; pipes, devices and `-` need none.
    ///
    /// # Errors
    /// The extension is wrong, the path is a folder or cannot be written, or the file exists and must not be
    /// replaced; there is nothing to replace on standard output.
    pub fn given(path: &Path, ending: &str, force: ForceArguments, console: &Console) -> Result<Self> {
        if is_stdout(path) {
            if force.existing() == Existing::Replace {
                return Err(Error::usage("--force does nothing on standard output: leave it out"));
            }
            console.take_stdout()?;
            return Ok(Self::Stdout);
        }
        check(path, ending, force)?;
        Ok(Self::Given(path.into(), force.existing()))
    }

    /// The target at `given`, or else at `chosen`, which may get a number.
    ///
    /// # Errors
    /// As for [`Target::given`].
    pub fn given_or(
        given: Option<&Path>,
        chosen: impl FnOnce() -> PathBuf,
        ending: &str,
        force: ForceArguments,
        console: &Console,
    ) -> Result<Self> {
        match given {
            Some(path) => Self::given(path, ending, force, console),
            None => Ok(Self::Chosen(chosen(), force.existing())),
        }
    }

    /// The path, as far as it is known before writing; `-` for standard output.
    pub fn path(&self) -> &Path {
        match self {
            Self::Stdout => Path::new(STDOUT[0]),
            Self::Given(path, _) | Self::Chosen(path, _) => path,
        }
    }

    /// The target of picture `number` of several: `picture.png` becomes `picture-003.png`.
    ///
    /// # Errors
    /// The target is standard output, which takes one picture, or a given name is taken.
    pub fn numbered(&self, number: usize) -> Result<Self> {
        let numbered = |path: &Path| with_suffix(path, &format!("-{number:03}"));
        match self {
            Self::Stdout => Err(Error::usage("expected one picture for standard output, found several")),
            Self::Given(path, existing) => {
                let path = numbered(path);
                match existing {
                    Existing::Keep if files::would_replace(&path)? => Err(there_already(&path)),
                    existing => Ok(Self::Given(path, *existing)),
                }
            }
            Self::Chosen(path, existing) => Ok(Self::Chosen(numbered(path), *existing)),
        }
    }

    /// Writes `bytes`, completely or not at all, and returns the path.
    ///
    /// # Errors
    /// The file cannot be written, or its name was taken in the meantime.
    pub fn save(&self, bytes: &[u8]) -> Result<PathBuf> {
        let Self::Chosen(path, Existing::Keep) = self else {
            return self.write(|out, name| out.write_all(bytes).map_err(Error::io("write", name)));
        };
        let next = |count| if count == 1 { path.clone() } else { with_suffix(path, &format!("-{count}")) };
        for name in (1u64..).map(next) {
            if save_new(&name, bytes)? {
                return Ok(name);
            }
        }
        unreachable!("numbers do not run out")
    }

    /// Writes the output of `fill`, completely or not at all, and returns the path. `fill` also gets the name
    /// to use in messages.
    ///
    /// # Errors
    /// The file cannot be written, or its name was taken in the meantime.
    pub fn write(&self, fill: impl FnOnce(&mut dyn Write, &Path) -> Result<()>) -> Result<PathBuf> {
        match self {
            Self::Stdout => {
                let name = Path::new("standard output");
                let mut stdout = std::io::stdout().lock();
                fill(&mut stdout, name)?;
                stdout.flush().map_err(Error::io("write", name))?;
                Ok("-".into())
            }
            Self::Given(path, existing) | Self::Chosen(path, existing) => {
                files::write(path, *existing, |file| fill(file, path))
                    .map_err(|error| if is_taken(&error) { there_already(path) } else { error })?;
                Ok(path.clone())
            }
        }
    }
}

/// Checks that a file of the format `ending` can be written to `path`.
///
/// # Errors
/// As for [`Target::given`].
pub fn check(path: &Path, ending: &str, force: ForceArguments) -> Result<()> {
    let replaces = files::would_replace(path)?;
    let fits = path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
    if !fits && !files::is_stream(path) {
        return Err(Error::usage(format!(
            "{}: expected a name that ends in .{ending}, the output format",
            path.display()
        )));
    }
    match force.existing() {
        Existing::Keep if replaces => Err(there_already(path)),
        _ => files::check_writable(path),
    }
}

/// Creates the folder for several results, if it does not exist.
///
/// # Errors
/// Those of [`check_folder`], or `folder` cannot be created or written.
pub fn folder(folder: &Path) -> Result<()> {
    check_folder(folder)?;
    files::create_folder(folder)?;
    files::check_folder_writable(folder)
}

/// Checks that `folder` can be the name of a folder for several results.
///
/// # Errors
/// It is standard output, or has the name of a file.
pub fn check_folder(folder: &Path) -> Result<()> {
    let expected = |found: &str| {
        Err(Error::usage(format!("{}: expected a folder for several files, found {found}", folder.display())))
    };
    let ending = folder.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.filter(|ending| ENDINGS.contains(&ending.as_str())) {
        _ if is_stdout(folder) => expected("standard output"),
        Some(ending) if !folder.is_dir() => expected(&format!("the name of a file: leave .{ending} out")),
        _ => Ok(()),
    }
}

fn is_stdout(path: &Path) -> bool {
    STDOUT.iter().any(|name| path == Path::new(name))
}

/// Numbered pictures in a folder, `000.png` and so on. Existing pictures keep their numbers and new ones
/// continue after the highest, so that nothing is lost and pictures of different seeds do not mix.
pub struct Numbered<'a> {
    folder: &'a Path,
    existing: Existing,
    /// Offset added to a picture's number within its seed.
    shift: u64,
}

impl<'a> Numbered<'a> {
    /// Pictures of a seed, starting with number `first`.
    ///
    /// # Errors
    /// `folder` cannot be read.
    pub fn new(folder: &'a Path, first: u32, force: ForceArguments) -> Result<Self> {
        let existing = force.existing();
        let free = if existing == Existing::Keep { next_free(folder)? } else { 0 };
        Ok(Self { folder, existing, shift: free.saturating_sub(first.into()) })
    }

    /// Saves picture `image` of the seed; if another run has taken its number, after all others.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&mut self, image: u32, bytes: &[u8]) -> Result<PathBuf> {
        loop {
            let path = self.folder.join(format!("{:03}.png", u64::from(image) + self.shift));
            match self.existing {
                Existing::Replace => return files::save(&path, bytes).map(|()| path),
                Existing::Keep if save_new(&path, bytes)? => return Ok(path),
                Existing::Keep => self.shift = next_free(self.folder)?.saturating_sub(image.into()),
            }
        }
    }
}

/// The number after the last picture's in `folder`.
fn next_free(folder: &Path) -> Result<u64> {
    let number = |path: PathBuf| {
        let is_png = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
        path.file_stem()?.to_str()?.parse::<u32>().ok().filter(|_| is_png)
    };
    let highest = files::list(folder)?.into_iter().filter_map(number).max();
    Ok(highest.map_or(0, |highest| u64::from(highest) + 1))
}

/// Saves `bytes` if nothing exists at `path`; returns true if saved.
fn save_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    match files::save_as(path, Existing::Keep, bytes) {
        Err(error) if is_taken(&error) => Ok(false),
        saved => saved.map(|()| true),
    }
}

fn is_taken(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::AlreadyExists)
}

fn there_already(path: &Path) -> Error {
    Error::usage(format!(
        "{} already exists: choose another name, or use --force to replace it",
        path.display()
    ))
}

/// `picture.png` to `picture-2.png`, for the suffix `-2`.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let part = |part: Option<&OsStr>| part.map(OsStr::to_os_string).unwrap_or_default();
    let mut name = part(path.file_stem());
    name.push(suffix);
    if let Some(ending) = path.extension() {
        name.push(".");
        name.push(ending);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_names_get_a_number_if_chosen_and_are_refused_if_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cat.npy");
        let chosen = |existing| Target::Chosen(path.clone(), existing);
        let names = [1, 2, 3].map(|i| chosen(Existing::Keep).save(&[i]).unwrap());
        let expected = ["cat.npy", "cat-2.npy", "cat-3.npy"].map(|name| folder.path().join(name));
        assert_eq!(names, expected);
        assert_eq!(std::fs::read(&path).unwrap(), [1]);
        let error = Target::Given(path.clone(), Existing::Keep).save(b"").unwrap_err();
        assert!(matches!(&error, Error::Usage(what) if what.contains("already exists")), "{error}");
        assert_eq!(chosen(Existing::Replace).save(&[4]).unwrap(), path);
        assert_eq!(std::fs::read(&path).unwrap(), [4]);
    }

    #[test]
    fn numbers_continue_after_the_highest() {
        let folder = tempfile::tempdir().unwrap();
        let keep = ForceArguments::default();
        let names = |taken: &mut Numbered, images: &[u32]| -> Vec<String> {
            let saved = images.iter().map(|&image| taken.save(image, b"").unwrap());
            saved.map(|path| path.file_name().unwrap().to_str().unwrap().into()).collect()
        };
        let open = |first, force| Numbered::new(folder.path(), first, force).unwrap();
        // A picture keeps its number within its seed if that is free.
        assert_eq!(names(&mut open(2, keep), &[2, 4]), ["002.png", "004.png"]);
        assert_eq!(names(&mut open(0, keep), &[0, 1]), ["005.png", "006.png"]);
        assert_eq!(names(&mut open(9, keep), &[9]), ["009.png"]);
        // Two at once: neither takes the other's numbers.
        let [mut one, mut two] = [open(0, keep), open(0, keep)];
        assert_eq!(names(&mut one, &[0, 1]), ["010.png", "011.png"]);
        assert_eq!(names(&mut two, &[0, 1]), ["012.png", "013.png"]);
        assert_eq!(names(&mut one, &[2]), ["014.png"]);
        assert_eq!(names(&mut open(0, ForceArguments { force: true }), &[0]), ["000.png"]);
        std::fs::write(folder.path().join("4294967295.png"), "").unwrap();
        assert_eq!(names(&mut open(0, keep), &[0]), ["4294967296.png"]);
    }
}
