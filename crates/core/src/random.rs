//! The only source of randomness: a counter-based generator, the same in Rust and WGSL. A number depends on
//! its purpose (seed, image, cell, depth) and never on earlier draws.
//!
//! PCG4D by Jarzynski and Olano, "Hash Functions for GPU Rendering" (JCGT 9(3), 2020): four words in, four
//! out, in 32-bit arithmetic only.

/// Hashes a counter of four words to four well-mixed words.
pub fn pcg4d(counter: [u32; 4]) -> [u32; 4] {
    let mut v = counter.map(|x| x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    mix(&mut v);
    v = v.map(|x| x ^ (x >> 16));
    mix(&mut v);
    v
}

fn mix(v: &mut [u32; 4]) {
    v[0] = v[0].wrapping_add(v[1].wrapping_mul(v[3]));
    v[1] = v[1].wrapping_add(v[2].wrapping_mul(v[0]));
    v[2] = v[2].wrapping_add(v[0].wrapping_mul(v[1]));
    v[3] = v[3].wrapping_add(v[1].wrapping_mul(v[2]));
}

/// A uniform number in `[0, 1)` with 24 bits.
pub fn uniform(counter: [u32; 4]) -> f32 {
    unit(pcg4d(counter)[0])
}

/// The uniform number for one code: seed, image in the batch, and the code's position `cell * D + depth`.
pub fn code_uniform(seed: u64, image: u32, place: u32) -> f32 {
    uniform([seed as u32, (seed >> 32) as u32, image, place])
}

/// Maps a random word to a number below `count`.
pub fn below(word: u32, count: usize) -> usize {
    ((u64::from(word) * count as u64) >> 32) as usize
}

/// A permutation of the numbers below `count`, determined by `key` (Fisher-Yates).
pub fn permutation(count: usize, [a, b, c]: [u32; 3]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        order.swap(i, below(pcg4d([a, b, c, i as u32])[0], i + 1));
    }
    order
}

/// A standard normal number (Box-Muller).
pub fn normal(counter: [u32; 4]) -> f32 {
    let [a, b, ..] = pcg4d(counter);
    let radius = (-2.0 * (1.0 - unit(a)).ln()).sqrt();
    radius * (std::f32::consts::TAU * unit(b)).cos()
}

fn unit(word: u32) -> f32 {
    (word >> 8) as f32 / (1 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_has_each_number_once_and_is_uniform() {
        let mut first = [0; 8];
        for key in 0..8000 {
            let mut order = permutation(8, [key, 2, 3]);
            first[order[0]] += 1;
            order.sort_unstable();
            assert!(order.into_iter().eq(0..8));
        }
        assert!(first.iter().all(|count| (850..1150).contains(count)), "{first:?}");
    }

    #[test]
    fn uniform_numbers_are_even_along_every_word_of_the_counter() {
        for word in 0..4 {
            let mut bins = [0u32; 16];
            for i in 0..16_000 {
                let mut counter = [7, 11, 13, 17];
                counter[word] = i;
                let x = uniform(counter);
                assert!((0.0..1.0).contains(&x));
                bins[(x * 16.0) as usize] += 1;
            }
            // Chi-squared with 15 degrees of freedom: above 45 once in ten thousand.
            let chi: f32 = bins.iter().map(|&n| (n as f32 - 1000.0).powi(2) / 1000.0).sum();
            assert!(chi < 45.0, "word {word}: {bins:?}");
        }
    }

    #[test]
    fn normal_has_mean_zero_and_deviation_one() {
        let values: Vec<f64> = (0..40_000).map(|i| f64::from(normal([3, i, 0, 0]))).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }
}
