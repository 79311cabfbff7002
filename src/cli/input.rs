//! What a person hands over: a picture, codes, or a picture that carries codes.

use std::path::Path;

use crate::codes::{CodeStack, npy};
use crate::engine::reconstruct::Choice;
use crate::engine::{Recipe, Task, reconstruct};
use crate::error::{Error, Result};
use crate::files::read_limited;
use crate::image_io::Picture;
use crate::image_io::png_text::Provenance;
use crate::model::RqVae;

/// Largest picture or code file that is read, in bytes.
const LARGEST: u64 = 512 << 20;

/// Codes, and the recipe that came with them.
pub struct Codes {
    /// One stack, or several of an `.npy`.
    pub stacks: Vec<CodeStack>,
    /// How they were made, if the file says.
    pub recipe: Option<Recipe>,
}

impl Codes {
    /// Reads codes from an `.npy`, or from a PNG that carries them.
    pub fn read(path: &Path) -> Result<Self> {
        match Self::carried(path)? {
            Some(codes) => Ok(codes),
            None => Err(Error::invalid(format!(
                "{}: expected an .npy of codes, or a PNG that carries codes; this picture carries none (`encode` makes them)",
                path.display()
            ))),
        }
    }

    /// Reads codes from an `.npy` or a PNG; a picture without codes is encoded by `model`.
    pub fn read_or_encode(path: &Path, model: &RqVae, task: &mut Task) -> Result<Self> {
        if let Some(codes) = Self::carried(path)? {
            return Ok(codes);
        }
        let picture = Picture::read(path)?;
        let stacks = pollster::block_on(reconstruct::encode(model, &[picture], Choice::Nearest, task))?;
        Ok(Self { stacks, recipe: None })
    }

    /// The single stack, for what works on one.
    pub fn single(mut self, path: &Path) -> Result<(CodeStack, Option<Recipe>)> {
        match self.stacks.len() {
            1 => Ok((self.stacks.remove(0), self.recipe)),
            count => Err(Error::usage(format!("{}: expected one code stack, found {count}", path.display()))),
        }
    }

    fn carried(path: &Path) -> Result<Option<Self>> {
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) {
            return Ok(Some(Self { stacks: npy::load(path)?, recipe: None }));
        }
        let provenance = provenance(path)?;
        let Some(stack) = provenance.codes else { return Ok(None) };
        let recipe = provenance.recipe.as_ref().map(|text| Recipe::from_json(text)).transpose()?;
        Ok(Some(Self { stacks: vec![stack], recipe }))
    }
}

/// The recipe that the PNG at `path` carries.
pub fn read_recipe(path: &Path) -> Result<Recipe> {
    match provenance(path)?.recipe {
        Some(recipe) => Recipe::from_json(&recipe),
        None => Err(Error::invalid(format!(
            "{}: expected a PNG that carries its recipe, found none in it",
            path.display()
        ))),
    }
}

/// What the picture at `path` carries, with its models named as seen from here.
fn provenance(path: &Path) -> Result<Provenance> {
    let provenance = Provenance::read(&read_limited(path, LARGEST)?)
        .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))?;
    Ok(provenance.located(path))
}

/// The file's name without folder and ending, for naming what is made of it.
pub fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "picture".into(), |stem| stem.to_string_lossy().into_owned())
}
