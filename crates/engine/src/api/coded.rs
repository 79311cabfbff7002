//! An image with its codes.

use std::path::Path;

use image::RgbImage;

use super::{CodeStack, Recipe, Result};
use residua_io::image_io::Picture;
use residua_io::image_io::png_text::Provenance;

/// An image and the codes that it was decoded from.
#[derive(Clone, Debug, PartialEq)]
pub struct Coded {
    /// The image.
    pub image: RgbImage,
    /// Its codes.
    pub codes: CodeStack,
    /// How they were made, if the library made them.
    pub recipe: Option<Recipe>,
}

impl Coded {
    /// Writes a PNG that carries the codes and the recipe, completely or not at all. It replaces a file at `path`.
    ///
    /// ```no_run
    /// # use residua_engine::api::{Error, Model};
    /// let model = Model::load("characters-128")?;
    /// model.sample().prompt("a red cat").run()?[0].save("sample.png")?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let recipe = self.recipe.as_ref().map(Recipe::to_json);
        let provenance = Provenance { recipe, codes: Some(self.codes.clone()) };
        Picture::from_rgb8(&self.image).save_png(path.as_ref(), &provenance)
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use image::Rgb;

    use super::*;
    use residua_protocol::ModelId;

    #[test]
    fn a_saved_image_has_its_pixels_codes_and_recipe() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let image = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8 * 50, y as u8 * 80, 7]));
        let codes = CodeStack::new(1, 2, 2, vec![3, 1, 4, 1]).unwrap();
        let rqvae = ModelId { name: "characters-128".into(), sha256: "0".into() };
        let coded = Coded { image, codes, recipe: Some(Recipe::new("edit", rqvae, None)) };
        coded.save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(image::load_from_memory(&bytes).unwrap().to_rgb8(), coded.image);
        let Provenance { recipe, codes } = Provenance::read(&bytes).unwrap();
        assert_eq!(codes, Some(coded.codes));
        assert_eq!(recipe.map(|recipe| Recipe::from_json(&recipe).unwrap()), coded.recipe);
    }
}
