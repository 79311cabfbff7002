//! Prepares pictures for pretrained networks: resizes, crops and normalizes them.

use burn::tensor::{Device, Tensor, TensorData};

use residua_core::error::Result;
use residua_io::image_io::Picture;
use residua_io::image_io::resize::{Fit, fit_as};

/// The preprocessing for a network.
#[derive(Clone, Copy, Debug)]
pub struct Preparation {
    /// Resizing and cropping.
    pub fit: Fit,
    /// Mean of each channel over `[0, 1]`, to subtract.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, to divide by.
    pub deviation: [f32; 3],
    /// How to round pixels to 8 bits first.
    pub rounding: Rounding,
}

/// How to round values to 8 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rounding {
    /// To nearest, as in saved files.
    Nearest,
    /// Down.
    Down,
}

impl Preparation {
    /// `pictures` as `[B, 3, resolution, resolution]`, after rounding to 8 bits per channel.
    ///
    /// # Errors
    /// See [`fit_as`].
    pub fn images(&self, pictures: &[Picture], device: &Device) -> Result<Tensor<4>> {
        let resolution = self.fit.resolution;
        let mut values = Vec::with_capacity(pictures.len() * 3 * resolution * resolution);
        for picture in pictures {
            let image = match self.rounding {
                Rounding::Nearest => picture.to_rgb8(),
                Rounding::Down => picture.to_rgb8_downwards(),
            };
            let pixels = fit_as(&image, self.fit)?.into_raw();
            for channel in 0..3 {
                let (mean, deviation) = (self.mean[channel], self.deviation[channel]);
                let plane = pixels.iter().skip(channel).step_by(3);
                values.extend(plane.map(|&value| (f32::from(value) / 255.0 - mean) / deviation));
            }
        }
        Ok(Tensor::from_data(TensorData::new(values, [pictures.len(), 3, resolution, resolution]), device))
    }
}
