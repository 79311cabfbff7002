//! Mean squared error.

use super::{check_same_size, unit};
use residua_core::error::Result;
use residua_io::image_io::Picture;

/// Mean squared error of two pictures, clamped, over `[0, 1]`: a quarter of the value over `[-1, 1]`.
///
/// # Errors
/// The pictures differ in size.
pub fn mse(a: &Picture, b: &Picture) -> Result<f64> {
    check_same_size(a, b)?;
    let squares = a.data().iter().zip(b.data()).map(|(&a, &b)| (unit(a) - unit(b)).powi(2));
    Ok(squares.sum::<f64>() / a.data().len() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn equals_scikit_image() {
        testing::compare("mse", mse);
        testing::refuses_other_sizes(mse);
    }
}
