//! Residual quantization on the CPU: the nearest code at each depth, and the residual it leaves.

use rayon::prelude::*;

use super::layer_norm::sum;
use super::linear::{Ahead, block};
use super::vector::{Instructions, Kernel, Simd, WIDEST};

/// Codes that stay in the cache while all residuals are compared with them. A multiple of every block's
/// number of codes.
const GROUP: usize = 24;

/// Products per task.
const PIECE: usize = 1 << 18;

/// The codebook of one depth.
#[derive(Clone, Copy, Debug)]
pub struct Codes<'a> {
    /// `[K, C]`
    pub embeddings: &'a [f32],
    /// Squared norms of the embeddings, `[K]`.
    pub norms: &'a [f32],
}

/// The result of [`residual_quantize`].
#[derive(Clone, Debug, PartialEq)]
pub struct ResidualCodes {
    /// `[N, D]`
    pub codes: Vec<i32>,
    /// Sums of the embeddings of codes `0..=d`, `[D, N, C]`.
    pub partial_sums: Vec<f32>,
    /// Squared norms of the residuals after codes `0..=d`, `[N, D]`.
    pub squares: Vec<f32>,
}

/// Quantizes `latents` `[N, C]` with `codebooks`, one per depth (paper section 3.1, equation 2). Each depth
/// picks the code nearest to the residual of the previous depths, the lowest index on a tie, and code 0 for
/// NaN. A row's codes depend neither on the other rows nor on the number of threads.
///
/// # Panics
/// If the lengths do not match or a codebook is empty.
pub fn residual_quantize(latents: &[f32], channels: usize, codebooks: &[Codes]) -> ResidualCodes {
    let (rows, depths) = (latents.len() / channels, codebooks.len());
    assert_eq!(latents.len(), rows * channels, "the latents must be [N, C]");
    let mut residuals = latents.to_vec();
    let mut found = ResidualCodes {
        codes: vec![0; rows * depths],
        partial_sums: Vec::with_capacity(depths * rows * channels),
        squares: vec![0.0; rows * depths],
    };
    for (depth, codebook) in codebooks.iter().enumerate() {
        let nearest = nearest(&residuals, channels, codebook);
        let above = found.partial_sums.len();
        for (row, (residual, code)) in residuals.chunks_exact_mut(channels).zip(nearest).enumerate() {
            let embedding = &codebook.embeddings[code as usize * channels..][..channels];
            residual.iter_mut().zip(embedding).for_each(|(r, e)| *r -= e);
            found.codes[row * depths + depth] = code as i32;
            found.squares[row * depths + depth] = sum(residual, |r| r * r);
            found.partial_sums.extend_from_slice(embedding);
        }
        if depth > 0 {
            let (above, sums) = found.partial_sums[above - rows * channels..].split_at_mut(rows * channels);
            sums.iter_mut().zip(above).for_each(|(sum, above)| *sum += *above);
        }
    }
    found
}

/// The code in `codebook` nearest to each residual.
fn nearest(residuals: &[f32], channels: usize, codebook: &Codes) -> Vec<u32> {
    let size = codebook.norms.len();
    assert!(size > 0, "empty codebook");
    assert_eq!(codebook.embeddings.len(), size * channels, "a codebook must be [K, C]");
    let rows = residuals.len() / channels;
    if rows == 0 {
        return Vec::new();
    }
    let width = (PIECE / (channels * rows.div_ceil(4))).max(1).next_multiple_of(GROUP);
    let (mut own, stride) = (Vec::new(), channels.next_multiple_of(WIDEST));
    let residuals = padded(residuals, channels, stride, &mut own);
    let search = |part: usize| {
        let (first, end) = (part * width, size.min((part + 1) * width));
        Instructions::best().run(Search { residuals, channels, stride, codebook, first, end })
    };
    let parts = size.div_ceil(width);
    let merge = |mut near: Vec<Best>, far: Vec<Best>| {
        // Codes in `far` have higher indices, so `near` wins ties.
        near.iter_mut().zip(far).for_each(|(near, far)| near.take(far));
        near
    };
    let all = (0..parts).into_par_iter().with_max_len(1).map(search);
    let best = all.reduce(|| vec![Best::NONE; rows], merge);
    best.into_iter().map(|best| best.code).collect()
}

/// `rows` of `channels` values each, zero-padded to `stride` so that they are whole vectors with the same
/// products. Copied to `scratch` unless `channels` is already `stride`.
#[inline(always)]
fn padded<'a>(rows: &'a [f32], channels: usize, stride: usize, scratch: &'a mut Vec<f32>) -> &'a [f32] {
    if channels == stride {
        return rows;
    }
    scratch.resize(rows.len() / channels * stride, 0.0);
    for (padded, row) in scratch.chunks_exact_mut(stride).zip(rows.chunks_exact(channels)) {
        padded[..channels].copy_from_slice(row);
    }
    scratch
}

/// The nearest code so far.
#[derive(Clone, Copy)]
struct Best {
    distance: f32,
    code: u32,
}

impl Best {
    const NONE: Self = Self { distance: f32::MAX, code: 0 };

    /// Branch-free, because the branch would be unpredictable.
    #[inline(always)]
    fn take(&mut self, other: Self) {
        let nearer = other.distance < self.distance;
        self.distance = if nearer { other.distance } else { self.distance };
        self.code = if nearer { other.code } else { self.code };
    }
}

/// Finds the code among `first..end` nearest to every residual.
struct Search<'a> {
    /// `[N, stride]`
    residuals: &'a [f32],
    channels: usize,
    stride: usize,
    codebook: &'a Codes<'a>,
    first: usize,
    end: usize,
}

impl Kernel for Search<'_> {
    type Output = Vec<Best>;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Vec<Best> {
        let mut best = vec![Best::NONE; self.residuals.len() / self.stride];
        let mut scratch = Vec::new();
        let mut from = self.first;
        while from < self.end {
            let to = self.end.min(from + GROUP);
            // SAFETY: the features are those of `S`.
            unsafe {
                match (best.len(), S::REGISTERS) {
                    (1, _) => self.group::<S, 1, 4>(from, to, &mut best, &mut scratch),
                    (_, 32..) => self.group::<S, 4, 6>(from, to, &mut best, &mut scratch),
                    _ => self.group::<S, 4, 3>(from, to, &mut best, &mut scratch),
                }
            }
            from = to;
        }
        best
    }
}

impl Search<'_> {
    /// Compares all residuals with the codes `from..to`, `R` residuals by `O` codes at a time.
    #[inline(always)]
    unsafe fn group<S: Simd, const R: usize, const O: usize>(
        &self,
        from: usize,
        to: usize,
        best: &mut [Best],
        scratch: &mut Vec<f32>,
    ) {
        let (channels, stride, rows) = (self.channels, self.stride, best.len());
        let embeddings = &self.codebook.embeddings[from * channels..to * channels];
        let next = embeddings.as_ptr_range().end.cast();
        let embeddings = padded(embeddings, channels, stride, scratch);
        let mut ahead = Ahead::new(next, rows.div_ceil(R));
        for row in (0..rows).step_by(R) {
            let mut starts = [self.residuals.as_ptr(); R];
            for (r, start) in starts.iter_mut().enumerate() {
                // Rows past the end repeat the last one: computed but discarded.
                *start = self.residuals[(row + r).min(rows - 1) * stride..].as_ptr();
            }
            let own = &mut best[row..rows.min(row + R)];
            let mut best = [Best::NONE; R];
            best[..own.len()].copy_from_slice(own);
            let mut at = from;
            // SAFETY: the rows begin at `starts`, and the codes below `to` are in the codebook.
            unsafe {
                while at + O <= to {
                    let codes = &embeddings[(at - from) * stride..][..O * stride];
                    self.take(&mut best, at, block::<S, &[f32], R, O>(starts, codes, stride, &mut ahead));
                    at += O;
                }
                while at < to {
                    let code = &embeddings[(at - from) * stride..][..stride];
                    self.take(&mut best, at, block::<S, &[f32], R, 1>(starts, code, stride, &mut ahead));
                    at += 1;
                }
            }
            own.copy_from_slice(&best[..own.len()]);
        }
    }

    /// Updates `best` with the codes from `at` on, given their dot products with each residual.
    #[inline(always)]
    fn take<const R: usize, const O: usize>(&self, best: &mut [Best; R], at: usize, products: [[f32; R]; O]) {
        for (o, (products, norm)) in products.iter().zip(&self.codebook.norms[at..at + O]).enumerate() {
            for (best, product) in best.iter_mut().zip(products) {
                // Without the residual's own squared norm, which does not change the nearest code.
                best.take(Best { distance: norm - 2.0 * product, code: (at + o) as u32 });
            }
        }
    }
}
