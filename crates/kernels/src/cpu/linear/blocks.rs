//! 8-bit weights: blocks of integers that share a scale.

use crate::cpu::vector::Instructions;

/// The largest integer. The range is symmetric, so that zero stays zero.
const LARGEST: f32 = 127.0;

/// Weights of one output for [`Block::SIZE`] consecutive inputs, each rounded to within half a scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// The largest magnitude of the weights, divided by 127.
    pub scale: f32,
    /// The weights, in units of the scale.
    pub numbers: [i8; Block::SIZE],
}

impl Block {
    /// Weights per block.
    pub const SIZE: usize = 32;

    /// Rounds `weights`: a multiple of [`Block::SIZE`] finite numbers.
    pub fn round(weights: &[f32]) -> Vec<Self> {
        let (blocks, rest) = weights.as_chunks();
        assert!(rest.is_empty(), "expected a multiple of {} weights, found {}", Self::SIZE, weights.len());
        Instructions::best().run(|| blocks.iter().map(Self::of).collect())
    }

    #[inline(always)]
    fn of(weights: &[f32; Self::SIZE]) -> Self {
        let scale = weights.iter().fold(0.0f32, |most, weight| most.max(weight.abs())) / LARGEST;
        // The conversion saturates and turns 0 / 0 into 0.
        Self { scale, numbers: weights.map(|weight| (weight / scale).round_ties_even() as i8) }
    }

    /// The weights that the block represents.
    pub fn weights(&self) -> [f32; Self::SIZE] {
        self.numbers.map(|number| f32::from(number) * self.scale)
    }
}

/// Many blocks, with numbers and scales stored separately.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    pub(super) numbers: &'a [i8],
    pub(super) scales: &'a [f32],
}

impl<'a> Blocks<'a> {
    pub(super) const SIZE: usize = Block::SIZE;

    /// Blocks of `numbers`, with one scale for each [`Block::SIZE`] of them.
    ///
    /// # Panics
    /// If there is not exactly one scale per block.
    pub fn new(numbers: &'a [i8], scales: &'a [f32]) -> Self {
        assert_eq!(numbers.len(), scales.len() * Self::SIZE, "expected one scale per block");
        Self { numbers, scales }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rounding_error_is_at_most_half_a_scale(
            weights in prop::collection::vec(-1.0f32..1.0, Block::SIZE * 3), exponent in -60i32..60,
        ) {
            let weights: Vec<f32> = weights.into_iter().map(|weight| weight * 2f32.powi(exponent)).collect();
            let blocks = Block::round(&weights);
            for (block, weights) in blocks.iter().zip(weights.chunks(Block::SIZE)) {
                let largest = weights.iter().fold(0.0f32, |most, weight| most.max(weight.abs()));
                prop_assert_eq!(block.scale, largest / 127.0);
                prop_assert!(block.numbers.iter().any(|number| number.abs() == 127));
                prop_assert!(block.numbers.iter().all(|&number| number != i8::MIN));
                for (found, weight) in block.weights().iter().zip(weights) {
                    prop_assert!((found - weight).abs() <= block.scale * 0.50001, "{found} for {weight}");
                }
            }
            // Rounding again changes nothing.
            let again: Vec<f32> = blocks.iter().flat_map(Block::weights).collect();
            for (block, again) in blocks.iter().zip(Block::round(&again)) {
                prop_assert_eq!(block.numbers, again.numbers);
            }
        }
    }

    #[test]
    fn zeros_and_the_smallest_numbers_stay_finite() {
        for value in [0.0, f32::from_bits(1), f32::MIN_POSITIVE, 1e38] {
            let [block] = Block::round(&[value; Block::SIZE])[..] else { panic!("expected one block") };
            let [found, ..] = block.weights();
            assert!(
                (found - value).abs() <= f32::max(value * 1e-6, f32::MIN_POSITIVE),
                "{found} for {value}"
            );
        }
        assert_eq!(Block::round(&[0.0; Block::SIZE])[0].weights(), [0.0; Block::SIZE]);
    }

    #[test]
    #[should_panic(expected = "expected a multiple of 32 weights, found 33")]
    fn rejects_a_partial_block() {
        Block::round(&[0.0; 33]);
    }
}
