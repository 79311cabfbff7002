//! Pictures as networks that judge them were trained on: resized, cropped, and normalized by channel.

use burn::tensor::{Device, Tensor, TensorData};

use crate::error::Result;
use crate::image_io::Picture;
use crate::image_io::resize::{Fit, fit_as};

/// How pictures of any size become a network's input.
#[derive(Clone, Copy, Debug)]
pub struct Preparation {
    /// Resizing and cropping.
    pub fit: Fit,
    /// The mean of each channel over [0, 1], which is taken away.
    pub mean: [f32; 3],
    /// The deviation of each channel, which divides the rest.
    pub deviation: [f32; 3],
    /// How pixels become 8 bits first.
    pub rounding: Rounding,
}

/// How values become 8 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rounding {
    /// To the nearest, as they would be saved.
    Nearest,
    /// Downwards.
    Down,
}

impl Preparation {
    /// `pictures` as `[B, 3, resolution, resolution]`. They are seen in 8 bits a channel.
    ///
    /// # Errors
    /// Those of [`fit_as`].
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
