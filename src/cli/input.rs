//! Input files: a picture, codes, or a picture that carries codes.

use std::io::Read;
use std::path::Path;

use residua_core::codes::{CodeStack, npy};
use residua_core::error::{Error, Result};
use residua_core::files::npy::MAGIC;
use residua_core::files::{as_text, kinds, read_limited};
use residua_core::task::Task;
use residua_engine::reconstruct::{self, Choice, check_codes};
use residua_io::image_io::Picture;
use residua_io::image_io::decode::decode;
use residua_io::image_io::png_text::{Provenance, has_its_pixels};
use residua_model::RqVae;
use residua_protocol::Recipe;

/// Size limit of a picture or code file, in bytes.
const LARGEST: u64 = 1 << 30;
/// Mean difference, in 8-bit levels, allowed between pictures that different devices or compilers decode
/// from the same codes.
const MOST_ROUNDING: u64 = 4;
/// The name of standard input.
pub const STDIN: &str = "-";

/// Codes, and the recipe that came with them.
pub struct Codes {
    /// One stack, or several from an `.npy`.
    pub stacks: Vec<CodeStack>,
    /// How they were made, if the file says.
    pub recipe: Option<Recipe>,
    /// Whether the file's pixels belong to the codes.
    pixels: Pixels,
}

/// Whether a file's pixels belong to its codes.
enum Pixels {
    /// They do, or there are none.
    Own,
    /// They were changed to this picture.
    Changed(Picture),
    /// Unknown: an older version wrote this picture without a checksum, or no recipe says which model made it.
    Unchecked(Picture),
}

impl Codes {
    /// Reads codes from an `.npy`, or from a PNG that carries them.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = bytes(path)?;
        let codes = Self::carried(path, &bytes)?.ok_or_else(|| {
            let found = match decode(&bytes) {
                Ok(_) => "a picture that carries none (`encode` creates them)",
                Err(_) => kinds::found(&bytes),
            };
            Error::invalid(format!(
                "{}: expected an .npy of codes, or a PNG that carries codes, found {found}",
                name(path)
            ))
        })?;
        if let Pixels::Changed(_) = codes.pixels {
            codes.warn_of_edits(path, "they decode to the picture before that change");
        }
        Ok(codes)
    }

    /// Refuses codes that `model` cannot decode; the error names the file at `path`.
    pub fn check(&self, path: &Path, model: &RqVae) -> Result<()> {
        self.stacks.iter().zip(1..).try_for_each(|(stack, number)| {
            let checked = check_codes(model, stack).map_err(|error| match self.stacks.len() {
                1 => error,
                count => Error::invalid(format!("stack {number} of {count}: {error}")),
            });
            in_file(path, checked)
        })
    }

    /// True if the file was changed, or if that is unknown and `model` cannot decode its codes, or decodes them to a
    /// different picture.
    fn show_another(&self, model: &RqVae) -> Result<bool> {
        let shown = match &self.pixels {
            Pixels::Own => return Ok(false),
            Pixels::Changed(_) => return Ok(true),
            Pixels::Unchecked(_) if self.stacks.iter().any(|stack| check_codes(model, stack).is_err()) => {
                return Ok(true);
            }
            Pixels::Unchecked(shown) => shown,
        };
        let made = pollster::block_on(reconstruct::decode(model, &self.stacks, &mut Task::unwatched()))?;
        Ok(made.first().is_some_and(|made| differ(made, shown)))
    }

    /// Warns if it is unknown whether the file's picture was changed, and it differs from `made`, the one decoded from
    /// its codes.
    pub fn compare(&self, path: &Path, made: &Picture) {
        if let Pixels::Unchecked(shown) = &self.pixels
            && differ(made, shown)
        {
            self.warn_of_edits(path, "they decode to a different picture");
        }
    }

    fn warn_of_edits(&self, path: &Path, outcome: &str) {
        let or = match self.pixels {
            Pixels::Unchecked(_) => ", or they belong to another model",
            Pixels::Own | Pixels::Changed(_) => "",
        };
        tracing::warn!("{} was changed after its codes were written{or}: {outcome}", name(path));
    }

    /// The only stack and its recipe; an error if there are several.
    pub fn single(mut self, path: &Path) -> Result<(CodeStack, Option<Recipe>)> {
        match self.stacks.len() {
            1 => Ok((self.stacks.remove(0), self.recipe)),
            count => Err(Error::usage(format!("{}: expected one code stack, found {count}", name(path)))),
        }
    }

    fn carried(path: &Path, bytes: &[u8]) -> Result<Option<Self>> {
        let is_npy = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
        if is_npy || bytes.starts_with(MAGIC) {
            let stacks = in_file(path, npy::decode(bytes))?;
            return Ok(Some(Self { stacks, recipe: None, pixels: Pixels::Own }));
        }
        let provenance = provenance(path, bytes)?;
        let Some(stack) = provenance.codes else { return Ok(None) };
        let (recipe, advice) = (provenance.recipe.as_ref(), "; give its model with --model");
        let recipe = recipe.and_then(|text| Recipe::if_readable(&name(path), text, advice));
        let image = in_file(path, decode(bytes))?;
        let pixels = match has_its_pixels(bytes, &image) {
            Some(true) if recipe.is_some() => Pixels::Own,
            Some(false) => Pixels::Changed(image.into()),
            Some(true) | None => Pixels::Unchecked(image.into()),
        };
        Ok(Some(Self { stacks: vec![stack], recipe, pixels }))
    }
}

/// A file of codes, or a picture, that is read before it is known which model it needs.
pub struct Source<'a> {
    path: &'a Path,
    bytes: Vec<u8>,
    carried: Result<Option<Codes>>,
}

impl<'a> Source<'a> {
    /// Reads the file at `path`.
    pub fn read(path: &'a Path) -> Result<Self> {
        let bytes = bytes(path)?;
        let carried = Codes::carried(path, &bytes);
        Ok(Self { path, bytes, carried })
    }

    /// How its codes were made, if it says.
    pub fn recipe(&self) -> Option<&Recipe> {
        self.carried.as_ref().ok()?.as_ref()?.recipe.as_ref()
    }

    /// Its codes. `model` encodes a picture whose codes are missing or damaged, or that was changed after they
    /// were written.
    pub fn codes(self, model: &RqVae, task: &mut Task) -> Result<Codes> {
        let Self { path, bytes, carried } = self;
        let (picture, recipe) = match carried {
            Err(error) => {
                // The picture may be whole.
                let Ok(picture) = Picture::from_bytes(&bytes) else { return Err(error) };
                tracing::warn!("{error}; the picture itself is encoded");
                (picture, None)
            }
            Ok(None) => (in_file(path, Picture::from_bytes(&bytes))?, None),
            Ok(Some(codes)) => {
                if !codes.show_another(model)? {
                    codes.check(path, model)?;
                    return Ok(codes);
                }
                codes.warn_of_edits(path, "the changed picture is encoded again");
                match codes.pixels {
                    Pixels::Own => return Ok(codes),
                    Pixels::Changed(picture) | Pixels::Unchecked(picture) => (picture, codes.recipe),
                }
            }
        };
        let stacks = pollster::block_on(reconstruct::encode(model, &[picture], Choice::Nearest, task))?;
        Ok(Codes { stacks, recipe, pixels: Pixels::Own })
    }
}

/// True if two pictures differ by more than rounding: in size, or in their levels on average.
fn differ(one: &Picture, other: &Picture) -> bool {
    let [one, other] = [one, other].map(Picture::to_rgb8);
    let sum: u64 = one.iter().zip(other.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    one.dimensions() != other.dimensions() || sum > MOST_ROUNDING * one.len() as u64
}

/// The recipe that the PNG at `path` carries.
pub fn read_recipe(path: &Path) -> Result<Recipe> {
    match provenance(path, &bytes(path)?)?.recipe {
        Some(recipe) => in_file(path, Recipe::from_json(&recipe)),
        None => Err(Error::invalid(format!(
            "{}: expected a PNG that carries its recipe, found no recipe",
            name(path)
        ))),
    }
}

/// The picture at `path`, at its full size.
pub fn picture(path: &Path) -> Result<Picture> {
    in_file(path, Picture::from_bytes(&bytes(path)?))
}

/// All bytes of the file at `path`, or of standard input if it is `-`.
pub fn bytes(path: &Path) -> Result<Vec<u8>> {
    if path != Path::new(STDIN) {
        return read_limited(path, LARGEST);
    }
    let mut bytes = Vec::new();
    let name = Path::new(&name(path)).to_path_buf();
    std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes).map_err(Error::io("read", &name))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::invalid(format!("standard input has more than the {} MB allowed", LARGEST >> 20)));
    }
    Ok(bytes)
}

/// The text in the file at `path`, in UTF-8 or UTF-16.
pub fn text(path: &Path) -> Result<String> {
    as_text(Path::new(&name(path)), &bytes(path)?)
}

/// The recipe and codes in the picture at `path`, with model paths relative to the current folder.
fn provenance(path: &Path, bytes: &[u8]) -> Result<Provenance> {
    Ok(in_file(path, Provenance::read(bytes))?.located(path))
}

/// Adds the file's name to an error.
pub fn in_file<T>(path: &Path, result: Result<T>) -> Result<T> {
    result.map_err(|error| Error::invalid(format!("{}: {error}", name(path))))
}

/// The file's name in messages.
fn name(path: &Path) -> String {
    if path == Path::new(STDIN) { "standard input".into() } else { path.display().to_string() }
}

/// The file's name without folder and extension, for naming outputs.
pub fn stem(path: &Path) -> String {
    if path == Path::new(STDIN) {
        return "picture".into();
    }
    path.file_stem().map_or_else(|| "picture".into(), |stem| stem.to_string_lossy().into_owned())
}
