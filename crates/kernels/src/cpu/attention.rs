//! Attention from new positions to a preallocated cache of keys and values, causal or full.

use rayon::prelude::*;

use super::activation::exp;
use super::linear::{Ahead, block};
use super::vector::{Instructions, Kernel, Simd};

/// Multiply-adds per task: about 10 microseconds.
const PIECE: usize = 1 << 18;

/// Which positions a position attends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Itself and all positions before it.
    Before,
    /// All positions.
    All,
}

/// Keys and values of the positions seen so far, for one layer.
#[derive(Clone, Debug)]
pub struct KvCache {
    /// `[batch, heads, capacity, head_dim]`, so that each head reads one contiguous run.
    keys: Vec<f32>,
    values: Vec<f32>,
    batch: usize,
    heads: usize,
    head_dim: usize,
    capacity: usize,
}

impl KvCache {
    /// A cache with room for `capacity` positions of `batch` sequences.
    ///
    /// # Panics
    /// If a dimension is zero.
    pub fn new(batch: usize, heads: usize, head_dim: usize, capacity: usize) -> Self {
        let len = batch * heads * capacity * head_dim;
        assert!(len > 0, "a cache can't have a zero dimension");
        Self { keys: vec![0.0; len], values: vec![0.0; len], batch, heads, head_dim, capacity }
    }
}

/// Attends from `n` new positions, `position..position + n`. Depending on `reach`, each attends to itself and
/// all positions before it, or also to the new positions after it.
///
/// `qkv` is `[batch, n, 3, heads, head_dim]`: queries, keys and values from one fused linear layer; `n`
/// follows from its length. The new keys and values are written to the cache. Entries from `position + n` on
/// are neither read nor changed, so decoding may rewind and write again. The scale is `head_dim^-0.5`. The
/// result is `[batch, n, heads * head_dim]`; each position's values do not depend on `batch`, `n` or the
/// number of threads.
///
/// # Panics
/// If the lengths do not match or the positions exceed the capacity.
pub fn attention(qkv: &[f32], cache: &mut KvCache, position: usize, reach: Reach) -> Vec<f32> {
    attend(qkv, cache, position, reach, Instructions::best())
}

fn attend(
    qkv: &[f32],
    cache: &mut KvCache,
    position: usize,
    reach: Reach,
    instructions: Instructions,
) -> Vec<f32> {
    let KvCache { keys, values, batch, heads, head_dim, capacity } = cache;
    let (batch, heads, head_dim, capacity) = (*batch, *heads, *head_dim, *capacity);
    let n = qkv.len() / (batch * 3 * heads * head_dim);
    assert_eq!(qkv.len(), batch * n * 3 * heads * head_dim, "qkv must be [batch, n, 3, heads, head_dim]");
    assert!(
        n > 0 && position + n <= capacity,
        "{n} new positions from {position} on do not fit a cache of {capacity}"
    );

    let mut by_head = vec![0.0; batch * heads * n * head_dim];
    let work = 2 * n * (position + n) * head_dim;
    by_head
        .par_chunks_mut(n * head_dim)
        .zip(keys.par_chunks_mut(capacity * head_dim))
        .zip(values.par_chunks_mut(capacity * head_dim))
        .enumerate()
        .with_min_len((PIECE / work).max(1))
        .for_each(|(i, ((out, keys), values))| {
            let qkv = &qkv[i / heads * n * 3 * heads * head_dim..];
            let head = i % heads;
            instructions.run(Head { qkv, head, heads, position, reach, keys, values, head_dim, out });
        });
    if n == 1 { by_head } else { by_position(&by_head, heads, n, head_dim) }
}

/// `[batch, heads, n, head_dim]` to `[batch, n, heads, head_dim]`.
fn by_position(by_head: &[f32], heads: usize, n: usize, head_dim: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(by_head.len());
    for sequence in by_head.chunks(heads * n * head_dim) {
        for (i, head) in (0..n).flat_map(|i| (0..heads).map(move |head| (i, head))) {
            out.extend_from_slice(&sequence[(head * n + i) * head_dim..][..head_dim]);
        }
    }
    out
}

/// One head of one sequence.
struct Head<'a> {
    /// The sequence's part of `qkv`, possibly followed by other sequences.
    qkv: &'a [f32],
    head: usize,
    heads: usize,
    position: usize,
    reach: Reach,
    keys: &'a mut [f32],
    values: &'a mut [f32],
    head_dim: usize,
    /// `[n, head_dim]`
    out: &'a mut [f32],
}

impl Kernel for Head<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { qkv, head, heads, position, reach, keys, values, head_dim, out } = self;
        let end = position + out.len() / head_dim;
        let part = |i: usize, which: usize| &qkv[((i * 3 + which) * heads + head) * head_dim..][..head_dim];
        for at in position..end {
            keys[at * head_dim..][..head_dim].copy_from_slice(part(at - position, 1));
            values[at * head_dim..][..head_dim].copy_from_slice(part(at - position, 2));
        }
        let mut weights = vec![0.0; end];
        for (i, out) in out.chunks_exact_mut(head_dim).enumerate() {
            let seen = match reach {
                Reach::Before => position + i + 1,
                Reach::All => end,
            };
            let weights = &mut weights[..seen];
            // SAFETY: the features are those of `S`; keys and values hold `weights.len()` positions.
            unsafe {
                scores::<S>(part(i, 0), keys, weights);
                softmax(weights, 1.0 / (head_dim as f32).sqrt());
                mix::<S>(weights, values, out);
            }
        }
    }
}

/// The dot product of the query with each key.
///
/// # Safety
/// As [`Simd`]; `keys` holds at least `scores.len()` rows of `query.len()`.
#[inline(always)]
unsafe fn scores<S: Simd>(query: &[f32], keys: &[f32], scores: &mut [f32]) {
    let head_dim = query.len();
    let mut ahead = Ahead::nothing();
    let (fours, rest) = scores.as_chunks_mut::<4>();
    let fours_end = fours.len() * 4;
    // SAFETY: all rows read are below `scores.len()`.
    unsafe {
        for (i, four) in fours.iter_mut().enumerate() {
            let keys = &keys[i * 4 * head_dim..][..4 * head_dim];
            *four = block::<S, &[f32], 1, 4>([query.as_ptr()], keys, head_dim, &mut ahead).map(|[sum]| sum);
        }
        for (i, score) in rest.iter_mut().enumerate() {
            let key = &keys[(fours_end + i) * head_dim..][..head_dim];
            [[*score]] = block::<S, &[f32], 1, 1>([query.as_ptr()], key, head_dim, &mut ahead);
        }
    }
}

/// `softmax(scale * scores)`, in place.
#[inline(always)]
fn softmax(scores: &mut [f32], scale: f32) {
    let mut max = f32::NEG_INFINITY;
    for &score in scores.iter() {
        max = if score > max { score } else { max };
    }
    for score in scores.iter_mut() {
        *score = exp((*score - max) * scale);
    }
    let inverse = 1.0 / scores.iter().sum::<f32>();
    for score in scores.iter_mut() {
        *score *= inverse;
    }
}

/// The weighted sum of the values.
///
/// # Safety
/// As [`Simd`]; `values` holds at least `weights.len()` rows of `out.len()`.
#[inline(always)]
unsafe fn mix<S: Simd>(weights: &[f32], values: &[f32], out: &mut [f32]) {
    let mut column = 0;
    // SAFETY: each step ends at or before the row's end.
    unsafe {
        while column + 4 * S::LANES <= out.len() {
            mix_columns::<S, 4>(weights, values, column, out);
            column += 4 * S::LANES;
        }
        while column + S::LANES <= out.len() {
            mix_columns::<S, 1>(weights, values, column, out);
            column += S::LANES;
        }
    }
    let rows = values.chunks_exact(out.len());
    for column in column..out.len() {
        out[column] = weights.iter().zip(rows.clone()).map(|(weight, row)| weight * row[column]).sum();
    }
}

/// Like [`mix`], for `N` vectors of columns from `column` on.
///
/// # Safety
/// As [`mix`]; the columns end at or before `out.len()`.
#[inline(always)]
unsafe fn mix_columns<S: Simd, const N: usize>(
    weights: &[f32],
    values: &[f32],
    column: usize,
    out: &mut [f32],
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut sums = [S::splat(0.0); N];
        for (p, &weight) in weights.iter().enumerate() {
            let row = values.as_ptr().add(p * out.len() + column);
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum = S::mul_add(S::splat(weight), S::load(row.add(k * S::LANES)), *sum);
            }
        }
        for (k, sum) in sums.into_iter().enumerate() {
            S::store(out.as_mut_ptr().add(column + k * S::LANES), sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(len: usize, seed: u32) -> Vec<f32> {
        (0..len).map(|i| ((i as f32 + 1.0) * 12.9898 + seed as f32).sin() * 2.0).collect()
    }

    /// All positions of one sequence at once, in double precision. `qkv` is `[n, 3, heads, head_dim]`.
    fn reference(qkv: &[f32], heads: usize, head_dim: usize, reach: Reach) -> Vec<f64> {
        let n = qkv.len() / (3 * heads * head_dim);
        let at = |i: usize, which: usize, head: usize, d: usize| {
            f64::from(qkv[((i * 3 + which) * heads + head) * head_dim + d])
        };
        let mut out = Vec::new();
        for (i, head) in (0..n).flat_map(|i| (0..heads).map(move |head| (i, head))) {
            let score = |j| (0..head_dim).map(|d| at(i, 0, head, d) * at(j, 1, head, d)).sum::<f64>();
            let seen = if reach == Reach::All { n } else { i + 1 };
            let weights: Vec<f64> = (0..seen).map(|j| (score(j) / (head_dim as f64).sqrt()).exp()).collect();
            let total: f64 = weights.iter().sum();
            out.extend((0..head_dim).map(|d| {
                weights.iter().enumerate().map(|(j, weight)| weight / total * at(j, 2, head, d)).sum::<f64>()
            }));
        }
        out
    }

    proptest! {
        #[test]
        fn matches_double_precision(
            batch in 1usize..4, heads in 1usize..4, head_dim in 1usize..80, n in 1usize..12, seed in 0u32..1000,
            all in any::<bool>(),
        ) {
            let qkv = values(batch * n * 3 * heads * head_dim, seed);
            let sequence = n * 3 * heads * head_dim;
            let reach = if all { Reach::All } else { Reach::Before };
            let expected: Vec<f64> =
                qkv.chunks(sequence).flat_map(|qkv| reference(qkv, heads, head_dim, reach)).collect();
            for instructions in Instructions::all() {
                let mut cache = KvCache::new(batch, heads, head_dim, n + 3);
                let out = attend(&qkv, &mut cache, 0, reach, instructions);
                for (out, expected) in out.iter().zip(&expected) {
                    prop_assert!((f64::from(*out) - expected).abs() < 2e-5, "{instructions:?}: {out}, {expected}");
                }
            }
        }
    }

    /// Processing one position at a time, or each sequence alone, gives the same bits as all at once.
    #[test]
    fn results_do_not_depend_on_steps_or_batch() {
        let (batch, heads, head_dim, n) = (5, 16, 64, 33);
        let step = 3 * heads * head_dim;
        let qkv = values(batch * n * step, 3);
        let mut cache = KvCache::new(batch, heads, head_dim, 40);
        let at_once = attention(&qkv, &mut cache, 0, Reach::Before);
        for b in 0..batch {
            let mut cache = KvCache::new(1, heads, head_dim, 64);
            for i in 0..n {
                let out = attention(&qkv[(b * n + i) * step..][..step], &mut cache, i, Reach::Before);
                assert_eq!(out, at_once[(b * n + i) * heads * head_dim..][..heads * head_dim]);
            }
        }
    }

    /// After rewinding, decoding does not read the discarded positions.
    #[test]
    fn rewinding_reads_no_discarded_positions() {
        let (first, other, again) = (values(3 * 48, 1), values(3 * 48, 2), values(3 * 48, 3));
        let mut cache = KvCache::new(1, 3, 16, 4);
        attention(&first, &mut cache, 0, Reach::Before);
        let expected = attention(&again, &mut cache, 1, Reach::Before);
        attention(&other, &mut cache, 1, Reach::Before);
        attention(&other, &mut cache, 2, Reach::Before);
        assert_eq!(attention(&again, &mut cache, 1, Reach::Before), expected);
    }

    #[test]
    #[should_panic(expected = "1 new positions from 4 on do not fit a cache of 4")]
    fn rejects_positions_past_the_capacity() {
        attention(&values(3 * 48, 1), &mut KvCache::new(1, 3, 16, 4), 4, Reach::Before);
    }
}
