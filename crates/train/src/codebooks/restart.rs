//! Restarts of unused codes: which codes move, and to which latents.

use super::MovingCodebook;
use residua_core::random::{permutation, uniform};

/// Scale of the noise added to copies of latents if there are fewer latents than codes, times 1 / sqrt(dim).
const SPREAD: f32 = 0.01;

/// Domain separators for the random numbers.
mod stream {
    pub const ORDER: u32 = 0x6f72_0000;
    pub const ERROR: u32 = 0x6572_0000;
    pub const SPREAD: u32 = 0x7370_0000;
}

/// Restarts of unused codes: each moves to a latent.
#[derive(Clone, Debug)]
pub struct Restart {
    /// Seed of the random numbers.
    pub seed: u32,
    /// The training step.
    pub step: u32,
    /// At each depth, a code is unused if its average number of latents is below this.
    pub threshold: Vec<f64>,
    /// True to sample latents by their error, like k-means++ (Arthur and Vassilvitskii, 2007), not uniformly.
    /// Uniform sampling crowds codes where latents are dense: on the background, which carries little
    /// information. It also initializes new codebooks before their first use, so that each depth starts from
    /// the residuals of the one above.
    pub by_error: bool,
    /// Latents that sampling by error must not choose; empty if there are none.
    pub blank: Vec<bool>,
}

impl MovingCodebook {
    /// Moves unused codes to some of `latents` `[N, C]`, which are assigned to `codes` `[N]`.
    pub(super) fn restart(&mut self, latents: &[f32], codes: &[usize], restart: &Restart, d: usize) {
        let &Restart { seed, step, ref threshold, by_error, ref blank } = restart;
        let depth = d as u32;
        let count = latents.len() / self.dim;
        let is_dead = |&code: &usize| f64::from(self.cluster_size[code]) < threshold[d];
        let dead: Vec<usize> = (0..self.size()).filter(is_dead).collect();
        let chosen = if by_error {
            self.drawn_by_error(latents, codes, blank, dead.len(), [seed ^ stream::ERROR, step, depth])
        } else {
            // As published, the latents are repeated as a whole until there are enough.
            let repeated = count * self.size().div_ceil(count);
            let order = permutation(repeated, [seed ^ stream::ORDER, step, depth]);
            dead.iter().map(|&code| order[code]).collect()
        };
        for (code, chosen) in dead.into_iter().zip(chosen) {
            let latent = &latents[chosen % count * self.dim..][..self.dim];
            let spread = if count < self.size() { SPREAD / (self.dim as f32).sqrt() } else { 0.0 };
            for (i, (sum, x)) in self.sums[code * self.dim..][..self.dim].iter_mut().zip(latent).enumerate() {
                let word = (chosen * self.dim + i) as u32;
                *sum = x + spread * uniform([seed ^ stream::SPREAD, step, depth, word]);
            }
            self.cluster_size[code] = 1.0;
        }
    }

    /// Samples `wanted` of `latents` one by one, in proportion to the squared distance from the assigned code
    /// or the nearest latent sampled before, whichever is less. Those that are `blank` are not sampled.
    fn drawn_by_error(
        &self,
        latents: &[f32],
        codes: &[usize],
        blank: &[bool],
        wanted: usize,
        stream: [u32; 3],
    ) -> Vec<usize> {
        let rows: Vec<&[f32]> = latents.chunks_exact(self.dim).collect();
        let error =
            |(row, &code): (&&[f32], &usize)| distance(row, &self.weight[code * self.dim..][..self.dim]);
        let mut errors: Vec<f32> = rows.iter().zip(codes).map(error).collect();
        errors.iter_mut().zip(blank).filter(|(_, blank)| **blank).for_each(|(error, _)| *error = 0.0);
        let draw = |i: usize| {
            let total: f64 = errors.iter().map(|&error| f64::from(error)).sum();
            let [seed, step, depth] = stream;
            let mut left = f64::from(uniform([seed, step, depth, i as u32])) * total;
            let is_reached = |&error: &f32| {
                left -= f64::from(error);
                left < 0.0
            };
            let chosen = errors.iter().position(is_reached).unwrap_or(rows.len() - 1);
            let nearer = |(error, row): (&mut f32, &&[f32])| *error = error.min(distance(row, rows[chosen]));
            errors.iter_mut().zip(&rows).for_each(nearer);
            chosen
        };
        (0..wanted).map(draw).collect()
    }
}

/// The squared distance, in parallel partial sums for SIMD.
fn distance(x: &[f32], y: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (x, x_rest) = x.as_chunks::<LANES>();
    let (y, y_rest) = y.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (x, y) in x.iter().zip(y) {
        (0..LANES).for_each(|i| sums[i] += (x[i] - y[i]) * (x[i] - y[i]));
    }
    let rest = x_rest.iter().zip(y_rest).map(|(x, y)| (x - y) * (x - y));
    sums.into_iter().chain(rest).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With 12 latents for 16 codes, each latent is among the 24 copies to choose from as often as the others.
    #[test]
    fn no_latent_is_preferred_when_there_are_few() {
        let latents: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let (threshold, blank) = (vec![1.0], Vec::new());
        let restart = Restart { seed: 3, step: 0, threshold, by_error: false, blank };
        let mut first_four = 0;
        for step in 0..500 {
            let mut book = MovingCodebook::initial(16, 1, 5, 0);
            book.restart(&latents, &[0; 12], &Restart { step, ..restart.clone() }, 0);
            first_four += book.sums.iter().filter(|sum| **sum < 3.5).count();
        }
        // A third of 8,000, within five standard deviations of 25. If only the first four were repeated, it
        // would be half.
        assert!((2542..2792).contains(&first_four), "{first_four}");
    }
}
