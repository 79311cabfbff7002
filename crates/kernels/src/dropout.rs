//! Dropout: in training, sets random elements to zero and scales the others up.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use residua_core::random::pcg4d;

/// Elements per parallel task, a multiple of 4.
const PIECE: usize = 1 << 14;

/// Determines which elements a training pass drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    /// The seed of the run.
    pub seed: u32,
    /// The pass through the model: a step, or a part of one.
    pub pass: u32,
    /// If several processes share a pass: how many of its pictures come before this process's.
    pub first: u32,
    /// The number of this process's pictures.
    pub pictures: u32,
}

impl Noise {
    /// The noise of a pass that one process makes.
    pub fn new(seed: u32, pass: u32) -> Self {
        Self { seed, pass, first: 0, pictures: 1 }
    }

    /// How many of a layer's elements come before those of this process, which has `elements`, picture by picture.
    fn before(self, elements: usize) -> usize {
        elements / self.pictures as usize * self.first as usize
    }
}

/// One dropout layer; off outside training.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dropout(Option<Site>);

#[derive(Clone, Copy, Debug)]
struct Site {
    rate: f32,
    noise: Noise,
    number: u32,
}

impl Dropout {
    /// Drops elements with probability `rate`, as determined by `noise`; `number` must differ between the
    /// dropout layers of a model.
    pub fn new(rate: f64, noise: Option<Noise>, number: u32) -> Self {
        Self(noise.filter(|_| rate > 0.0).map(|noise| Site { rate: rate as f32, noise, number }))
    }

    /// Whether nothing is dropped.
    pub fn is_off(&self) -> bool {
        self.0.is_none()
    }

    /// Applies dropout to `x`.
    pub fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let Some(Site { rate, noise, number }) = self.0 else { return x };
        let (shape, device) = (x.shape(), x.device());
        let before = noise.before(shape.num_elements());
        // Four elements share a draw, and the first may be in the middle of one.
        let skipped = before % 4;
        let bound = (f64::from(rate) * f64::from(u32::MAX)) as u32;
        let factor = 1.0 / (1.0 - rate);
        let mut factors = vec![0.0f32; skipped + shape.num_elements()];
        let pieces = factors.par_chunks_mut(PIECE).enumerate();
        pieces.for_each(|(piece, factors)| {
            for (i, factors) in factors.chunks_mut(4).enumerate() {
                let draw = before / 4 + piece * PIECE / 4 + i;
                let words = pcg4d([noise.seed, noise.pass, number, draw as u32]);
                let drawn = words.map(|word| if word < bound { 0.0 } else { factor });
                factors.copy_from_slice(&drawn[..factors.len()]);
            }
        });
        factors.drain(..skipped);
        x * Tensor::from_data(TensorData::new(factors, shape), &device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values;
    use burn::tensor::Device;

    fn dropped(rate: f64, pass: u32, number: u32) -> Vec<f32> {
        let x = Tensor::<2>::ones([100, 101], &Device::flex());
        values(Dropout::new(rate, Some(Noise::new(3, pass)), number).apply(x))
    }

    #[test]
    fn the_mean_is_kept_and_layers_differ() {
        let found = dropped(0.25, 0, 0);
        let left_out = found.iter().filter(|&&x| x == 0.0).count() as f32 / found.len() as f32;
        assert!((left_out - 0.25).abs() < 0.02, "{left_out}");
        assert!(found.iter().all(|&x| x == 0.0 || (x - 4.0 / 3.0).abs() < 1e-6));
        assert_eq!(found, dropped(0.25, 0, 0));
        assert_ne!(found, dropped(0.25, 1, 0));
        assert_ne!(found, dropped(0.25, 0, 1));
    }

    /// Processes that share a pass drop what one process would.
    #[test]
    fn a_shared_pass_drops_the_same_elements() {
        let of = |first: usize, pictures: usize| {
            let noise = Noise { first: first as u32, pictures: pictures as u32, ..Noise::new(3, 9) };
            // 7 elements for each picture, so that most begin in the middle of a draw.
            let x = Tensor::<2>::ones([pictures, 7], &Device::flex());
            values(Dropout::new(0.5, Some(noise), 2).apply(x))
        };
        let whole = of(0, 11);
        for at in 1..11 {
            assert_eq!([of(0, at), of(at, 11 - at)].concat(), whole, "{at}");
        }
    }

    #[test]
    fn nothing_is_dropped_when_dropout_is_off() {
        assert!(dropped(0.0, 0, 0).iter().all(|&x| x == 1.0));
        let x = Tensor::<1>::ones([8], &Device::flex());
        assert_eq!(values(Dropout::new(0.9, None, 0).apply(x)), [1.0; 8]);
    }
}
