//! Dot products of a few rows with the weights of a few outputs, with all sums in registers.

use std::ops::Range;

use half::f16;

use super::blocks::Blocks;
use crate::cpu::vector::{Simd, WIDEST};

/// Bytes fetched by one prefetch.
const LINE: usize = 64;

/// Stored weights, output by output, read as `f32`.
pub(in crate::cpu) trait WeightSlice: Copy + Send + Sync {
    /// Bytes per weight, which set the pace of prefetching.
    const BYTES: usize;

    fn len(self) -> usize;

    /// Start of the weights in memory.
    fn start(self) -> *const u8;

    /// The weights in `range`, which covers whole outputs.
    fn part(self, range: Range<usize>) -> Self;

    /// Loads the vector of weights from index `at` on.
    ///
    /// # Safety
    /// As [`Simd`]; there are at least `S::LANES` weights from `at` on.
    unsafe fn load<S: Simd>(self, at: usize) -> S::Vector;

    /// Loads the `count < WIDEST` weights from index `at` on, followed by zeros.
    ///
    /// # Safety
    /// As [`Simd`]; there are at least `count` weights from `at` on.
    unsafe fn load_some<S: Simd>(self, at: usize, count: usize) -> S::Vector;
}

/// Implements [`WeightSlice`] for a slice, loaded with a method of [`Simd`].
macro_rules! slice_of {
    ($element:ty, $zero:expr, $load:ident) => {
        impl WeightSlice for &[$element] {
            const BYTES: usize = size_of::<$element>();

            #[inline(always)]
            fn len(self) -> usize {
                <[$element]>::len(self)
            }

            #[inline(always)]
            fn start(self) -> *const u8 {
                self.as_ptr().cast()
            }

            #[inline(always)]
            fn part(self, range: Range<usize>) -> Self {
                &self[range]
            }

            #[inline(always)]
            unsafe fn load<S: Simd>(self, at: usize) -> S::Vector {
                // SAFETY: same requirements as the caller's.
                unsafe { S::$load(self.as_ptr().add(at)) }
            }

            #[inline(always)]
            unsafe fn load_some<S: Simd>(self, at: usize, count: usize) -> S::Vector {
                // SAFETY: the caller guarantees the elements, and the array is as long as the widest vector.
                unsafe { S::$load(padded(self.as_ptr().add(at), count, $zero).as_ptr()) }
            }
        }
    };
}

slice_of!(f32, 0.0, load);
slice_of!(f16, f16::ZERO, load_f16);

impl WeightSlice for Blocks<'_> {
    // There are few enough scales for the processor's own prefetching.
    const BYTES: usize = size_of::<i8>();

    #[inline(always)]
    fn len(self) -> usize {
        self.numbers.len()
    }

    #[inline(always)]
    fn start(self) -> *const u8 {
        self.numbers.as_ptr().cast()
    }

    #[inline(always)]
    fn part(self, range: Range<usize>) -> Self {
        let scales = &self.scales[range.start / Self::SIZE..range.end / Self::SIZE];
        Self { numbers: &self.numbers[range], scales }
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(self, at: usize) -> S::Vector {
        // SAFETY: the caller guarantees the numbers, there is a scale for each block, and a vector is within
        // one block.
        unsafe {
            let scale = *self.scales.get_unchecked(at / Self::SIZE);
            S::load_i8(self.numbers.as_ptr().add(at)) * scale
        }
    }

    #[inline(always)]
    unsafe fn load_some<S: Simd>(self, at: usize, count: usize) -> S::Vector {
        // SAFETY: as above; the array is as long as the widest vector.
        unsafe {
            let scale = *self.scales.get_unchecked(at / Self::SIZE);
            S::load_i8(padded(self.numbers.as_ptr().add(at), count, 0).as_ptr()) * scale
        }
    }
}

/// Prefetches the next weights into the cache, a little at each step of the current computation.
///
/// The processor's own prefetching stops at every page and treats the rows of a block as unrelated streams.
/// Without this, a single row gets half of the memory bandwidth.
pub(in crate::cpu) struct Ahead {
    next: *const u8,
    /// Passes over the current weights, during which the next weights are fetched once.
    passes: usize,
    /// Bytes of the current weights processed since the last prefetch.
    walked: usize,
}

impl Ahead {
    /// Fetches from `next` on during `passes` passes over the current weights. `next` may be any address: a
    /// prefetch never faults.
    pub fn new(next: *const u8, passes: usize) -> Self {
        Self { next, passes, walked: 0 }
    }

    /// Fetches nothing, for data that is in the cache anyway.
    pub fn nothing() -> Self {
        Self::new(std::ptr::null(), usize::MAX / LINE)
    }

    /// Fetches what is due after another `bytes` of the current weights.
    #[inline(always)]
    unsafe fn step<S: Simd>(&mut self, bytes: usize) {
        self.walked += bytes;
        while self.walked >= LINE * self.passes {
            // SAFETY: the caller guarantees the features, and any address is allowed.
            unsafe { S::prefetch(self.next) };
            self.next = self.next.wrapping_add(LINE);
            self.walked -= LINE * self.passes;
        }
    }
}

/// `sums[o][r]`: the dot product of row `r` of `x` and output `o` of `weights`, with `inputs` elements each.
///
/// Each sum is accumulated in one vector, over the inputs in order, and then reduced by [`sums`]. The order
/// is the same for every `R` and `O`, so a row's result does not depend on the other rows.
///
/// # Safety
/// As [`Simd`]; each of `x` is valid for `inputs` elements, and there are `O * inputs` weights.
#[inline(always)]
pub(in crate::cpu) unsafe fn block<S: Simd, W: WeightSlice, const R: usize, const O: usize>(
    x: [*const f32; R],
    weights: W,
    inputs: usize,
    ahead: &mut Ahead,
) -> [[f32; R]; O] {
    let whole = inputs - inputs % S::LANES;
    // SAFETY: the vectors end at `whole <= inputs`; the rest is copied to arrays of `WIDEST` elements.
    unsafe {
        let mut gathered = [[S::splat(0.0); R]; O];
        let mut i = 0;
        while i < whole {
            ahead.step::<S>(O * S::LANES * W::BYTES);
            let mut w = [S::splat(0.0); O];
            for (o, w) in w.iter_mut().enumerate() {
                *w = weights.load::<S>(o * inputs + i);
            }
            for r in 0..R {
                let value = S::load(x[r].add(i));
                for o in 0..O {
                    gathered[o][r] = S::mul_add(value, w[o], gathered[o][r]);
                }
            }
            i += S::LANES;
        }
        if whole < inputs {
            for (o, gathered) in gathered.iter_mut().enumerate() {
                let w = weights.load_some::<S>(o * inputs + whole, inputs - whole);
                for r in 0..R {
                    let value = padded(x[r].add(whole), inputs - whole, 0.0);
                    gathered[r] = S::mul_add(S::load(value.as_ptr()), w, gathered[r]);
                }
            }
        }
        sums::<S, R, O>(gathered)
    }
}

/// The `count < WIDEST` elements at `from`, followed by zeros.
#[inline(always)]
unsafe fn padded<T: Copy>(from: *const T, count: usize, zero: T) -> [T; WIDEST] {
    let mut all = [zero; WIDEST];
    // SAFETY: the caller's pointer is valid for `count` elements.
    unsafe { std::ptr::copy_nonoverlapping(from, all.as_mut_ptr(), count) };
    all
}

/// The sum of each vector's lanes, four vectors at a time.
#[inline(always)]
unsafe fn sums<S: Simd, const R: usize, const O: usize>(gathered: [[S::Vector; R]; O]) -> [[f32; R]; O] {
    let mut sums = [[0.0; R]; O];
    let mut first = 0;
    while first < R * O {
        let count = if R * O - first < 4 { R * O - first } else { 4 };
        // SAFETY: the features are those of `S`.
        unsafe {
            let mut four = [S::splat(0.0); 4];
            for k in 0..count {
                four[k] = gathered[(first + k) / R][(first + k) % R];
            }
            let four = sums_of_four::<S>(four);
            for k in 0..count {
                sums[(first + k) / R][(first + k) % R] = four[k];
            }
        }
        first += 4;
    }
    sums
}

/// The order of the additions is the same for all four.
#[inline(always)]
unsafe fn sums_of_four<S: Simd>([a, b, c, d]: [S::Vector; 4]) -> [f32; 4] {
    let mut lanes = [0.0; WIDEST];
    // SAFETY: the features are those of `S`, and there is room for the widest vector.
    unsafe {
        let ([ab, ab_high], [cd, cd_high]) = (S::zip(a, b), S::zip(c, d));
        let [low, high] = S::zip_pairs(ab + ab_high, cd + cd_high);
        S::store(lanes.as_mut_ptr(), low + high);
    }
    // Each group of four lanes holds a part of the four sums.
    let mut width = S::LANES;
    while width > 4 {
        width /= 2;
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    [lanes[0], lanes[1], lanes[2], lanes[3]]
}
