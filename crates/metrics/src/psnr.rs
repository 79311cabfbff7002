//! Peak signal-to-noise ratio.

use super::mse;
use residua_core::error::Result;
use residua_io::image_io::Picture;

/// Peak signal-to-noise ratio of two pictures in decibels, clamped, over `[0, 1]`: `10 log10(1 / MSE)`;
/// infinite if they are equal.
///
/// # Errors
/// The pictures differ in size.
pub fn psnr(a: &Picture, b: &Picture) -> Result<f64> {
    mse(a, b).map(decibels)
}

/// Converts a mean squared error over `[0, 1]` to decibels.
pub fn decibels(mse: f64) -> f64 {
    -10.0 * mse.log10()
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn equals_scikit_image() {
        testing::compare("psnr", psnr);
    }

    #[test]
    fn equal_pictures_have_no_noise() {
        let picture = testing::picture("square.png");
        assert_eq!(psnr(&picture, &picture).unwrap(), f64::INFINITY);
        testing::refuses_other_sizes(psnr);
    }

    #[test]
    fn values_are_clamped_first() {
        let picture = |value| Picture::new(1, 1, vec![value; 3]).unwrap();
        assert_eq!(psnr(&picture(1.0), &picture(7.0)).unwrap(), f64::INFINITY);
        assert_eq!(psnr(&picture(-1.0), &picture(1.0)).unwrap(), 0.0);
    }
}
