//! Which part of an image goes to a model: models take squares of one size, users' images have any size.

use super::levels::to_u8;
use super::{Picture, resize};
use residua_core::error::Result;

/// A part of an image, and how it becomes a square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Framing {
    /// The largest centred square, as in the published pipeline.
    #[default]
    Middle,
    /// A square chosen by the user.
    Square(Square),
    /// The whole image, with its longer side shrunk more.
    Squeezed,
}

/// A square within an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Square {
    /// The first column.
    pub left: usize,
    /// The first row.
    pub top: usize,
    /// Number of columns and rows.
    pub side: usize,
}

impl Framing {
    /// The part of `picture` at a model's resolution: `resolution x resolution`.
    ///
    /// # Errors
    /// The square is empty or not within the image, or any error of [`Picture::fit`].
    pub fn apply(self, picture: &Picture, resolution: usize) -> Result<Picture> {
        match self {
            Self::Middle => picture.fit(resolution),
            Self::Square(Square { left, top, side }) => picture.crop(left, top, side, side)?.fit(resolution),
            Self::Squeezed if picture.width() == picture.height() => picture.fit(resolution),
            Self::Squeezed => resize::squeeze(&picture.levels(to_u8), resolution).map(Picture::from),
        }
    }
}

impl Picture {
    /// Like [`Picture::fit`], but the square is anywhere along the longer side: `before` maps the number of pixels
    /// that are left over there after resizing to how many of them come before the square.
    ///
    /// # Errors
    /// Those of [`Picture::fit`].
    pub fn fit_along(&self, resolution: usize, before: impl Fn(u64) -> u64) -> Result<Self> {
        if self.width() == self.height() {
            return self.fit(resolution);
        }
        resize::fit_along(&self.levels(to_u8), resolution, before).map(Self::from)
    }
}

impl Square {
    /// The largest centred square in `width x height` pixels.
    pub fn middle(width: usize, height: usize) -> Self {
        let side = width.min(height);
        Self { left: (width - side) / 2, top: (height - side) / 2, side }
    }

    /// Shrinks and moves the square into `width x height` pixels, keeping it as large as possible and then as
    /// close as possible.
    pub fn within(self, width: usize, height: usize) -> Self {
        let side = self.side.clamp(1, width.min(height));
        Self { left: self.left.min(width - side), top: self.top.min(height - side), side }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::pixels;
    use super::*;

    #[test]
    fn each_framing_gives_a_different_square() {
        let picture = Picture::from_rgb8(&pixels("landscape.png"));
        let (width, height) = (picture.width(), picture.height());
        let square = Square { left: 1, top: 2, side: 30 };
        let framed = |framing: Framing| framing.apply(&picture, 30).unwrap();
        assert_eq!(framed(Framing::Middle), picture.fit(30).unwrap());
        assert_eq!(framed(Framing::Square(square)), picture.crop(1, 2, 30, 30).unwrap());
        assert_eq!((framed(Framing::Squeezed).width(), framed(Framing::Squeezed).height()), (30, 30));
        assert_ne!(framed(Framing::Squeezed), framed(Framing::Middle));
        let outside = Framing::Square(Square { left: width - 29, top: 0, side: 30 });
        assert!(outside.apply(&picture, 30).unwrap_err().to_string().contains("not within"));
        assert!(Square::middle(width, height).side == height);
    }

    #[test]
    fn a_square_is_moved_and_shrunk_into_its_picture() {
        let square = |left, top, side| Square { left, top, side };
        assert_eq!(square(5, 5, 3).within(6, 20), square(3, 5, 3));
        assert_eq!(square(5, 5, 30).within(6, 20), square(0, 5, 6));
        assert_eq!(square(0, 0, 0).within(6, 20), square(0, 0, 1));
        assert_eq!(Square::middle(7, 4), square(1, 0, 4));
    }
}
