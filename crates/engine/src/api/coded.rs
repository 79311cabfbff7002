//! An image with its codes.

use std::path::Path;

use image::RgbImage;

use super::{CodeStack, Result};
use residua_io::image_io::Picture;
use residua_io::image_io::png_text::Provenance;

/// An image and the codes that it was decoded from.
#[derive(Clone, Debug, PartialEq)]
pub struct Coded {
    /// The image.
    pub image: RgbImage,
    /// Its codes.
    pub codes: CodeStack,
}

impl Coded {
    pub(super) fn new(picture: &Picture, codes: CodeStack) -> Self {
        Self { image: picture.to_rgb8(), codes }
    }

    /// Writes a PNG that carries the codes, completely or not at all. It replaces a file at `path`.
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
        let provenance = Provenance { recipe: None, codes: Some(self.codes.clone()) };
        Picture::from_rgb8(&self.image).save_png(path.as_ref(), &provenance)
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn a_saved_image_has_its_pixels_and_codes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let image = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8 * 50, y as u8 * 80, 7]));
        let coded = Coded { image, codes: CodeStack::new(1, 2, 2, vec![3, 1, 4, 1]).unwrap() };
        coded.save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(image::load_from_memory(&bytes).unwrap().to_rgb8(), coded.image);
        assert_eq!(Provenance::read(&bytes).unwrap().codes, Some(coded.codes));
    }
}
