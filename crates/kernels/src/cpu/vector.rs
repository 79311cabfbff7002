//! SIMD vectors for the kernels, and the choice of instruction set at run time.

use std::ops::{Add, Mul, Sub};

use half::f16;

mod cap;
#[cfg(target_arch = "x86_64")]
mod x86;

use cap::{Cap, cap};
use residua_core::error::Result;

/// Number of floats in the widest register.
pub(super) const WIDEST: usize = 16;

/// [`WIDEST`] floats on one cache line. Scratch consists of these, so that none of its vectors straddles two
/// lines.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(super) struct Line([f32; WIDEST]);

impl Line {
    pub const ZERO: Self = Self([0.0; WIDEST]);
}

/// A register of `LANES` floats and the few operations that the kernels need.
///
/// # Safety
/// Every method needs the processor features of its implementation: call them only inside [`Kernel::run`],
/// which [`Instructions::run`] calls with those features. Pointers must be valid for `LANES` elements, with
/// any alignment.
pub(super) trait Simd {
    /// A divisor of [`WIDEST`], and a multiple of 4.
    const LANES: usize;
    /// Number of such registers in the processor.
    const REGISTERS: usize;
    /// Addition, subtraction and scaling are lane by lane.
    type Vector: Copy
        + Add<Output = Self::Vector>
        + Sub<Output = Self::Vector>
        + Mul<f32, Output = Self::Vector>;

    /// All lanes equal to `value`.
    unsafe fn splat(value: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    /// Loads half floats and widens them.
    unsafe fn load_f16(from: *const f16) -> Self::Vector;
    /// Loads 8-bit integers and widens them.
    unsafe fn load_i8(from: *const i8) -> Self::Vector;
    unsafe fn store(to: *mut f32, value: Self::Vector);
    /// `a * b + c`
    unsafe fn mul_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Interleaves each group of four lanes of two vectors: `[a0, b0, a1, b1]` and `[a2, b2, a3, b3]`.
    unsafe fn zip(a: Self::Vector, b: Self::Vector) -> [Self::Vector; 2];
    /// The same in pairs: `[a0, a1, b0, b1]` and `[a2, a3, b2, b3]`.
    unsafe fn zip_pairs(a: Self::Vector, b: Self::Vector) -> [Self::Vector; 2];
    /// Prefetches the cache line at `from`, which may be any address.
    unsafe fn prefetch(from: *const u8);

    /// Transposes each 4x4 matrix formed by the same four lanes of the four vectors.
    #[inline(always)]
    unsafe fn transpose([a, b, c, d]: [Self::Vector; 4]) -> [Self::Vector; 4] {
        // SAFETY: the caller guarantees the features.
        unsafe {
            let ([ab, ab_high], [cd, cd_high]) = (Self::zip(a, b), Self::zip(c, d));
            let ([a, b], [c, d]) = (Self::zip_pairs(ab, cd), Self::zip_pairs(ab_high, cd_high));
            [a, b, c, d]
        }
    }
}

/// Work that is compiled once for each instruction set.
///
/// `run` and everything it calls must be `#[inline(always)]`, so that they are compiled with the features of
/// the function that they are inlined into.
pub(super) trait Kernel {
    type Output;

    /// # Safety
    /// The processor has the features of `S`.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// Plain loops, which the compiler vectorizes. `FnOnce` would add a call that is not inlined.
impl<T, F: FnMut() -> T> Kernel for F {
    type Output = T;

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) -> T {
        self()
    }
}

/// An instruction set that this processor has and that the setting allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instructions(Set);

#[derive(Clone, Copy, Debug)]
enum Set {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Instructions {
    /// All available sets, widest first.
    ///
    /// # Panics
    /// If [`cap()`] rejects the setting.
    pub fn all() -> impl Iterator<Item = Self> {
        let cap = cap().unwrap_or_else(|error| panic!("{error}"));
        let sets = [
            #[cfg(target_arch = "x86_64")]
            (Set::Avx512, cap >= Cap::Avx512 && x86::Avx512::available()),
            #[cfg(target_arch = "x86_64")]
            (Set::Avx2, cap >= Cap::Avx2 && x86::Avx2::available()),
            (Set::Portable, cap >= Cap::None),
        ];
        sets.into_iter().filter(|&(_, available)| available).map(|(set, _)| Self(set))
    }

    /// The widest available set.
    pub fn best() -> Self {
        Self::all().next().expect("the portable set is always available")
    }

    /// The common name of the set.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "AVX2",
            Set::Portable if cfg!(target_arch = "aarch64") => "NEON",
            Set::Portable => "baseline vectors",
        }
    }

    /// Runs `kernel` with these instructions.
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: a set is available only if the processor has it.
        unsafe {
            match self.0 {
                #[cfg(target_arch = "x86_64")]
                Set::Avx512 => x86::Avx512::run(kernel),
                #[cfg(target_arch = "x86_64")]
                Set::Avx2 => x86::Avx2::run(kernel),
                Set::Portable => kernel.run::<Portable>(),
            }
        }
    }
}

/// The name of the vector instructions that the kernels use, or an error if `RESIDUA_VECTORS` is invalid.
pub fn vectors() -> Result<&'static str> {
    cap().map(|_| Instructions::best().name())
}

/// Plain Rust that the compiler turns into the target's baseline vectors (NEON, wasm `simd128`, SSE2).
pub(super) struct Portable;

/// Eight floats, in any registers.
#[derive(Clone, Copy)]
pub(super) struct Eight([f32; 8]);

impl Eight {
    #[inline(always)]
    fn each(mut self, other: Self, operator: impl Fn(f32, f32) -> f32) -> Self {
        for lane in 0..8 {
            self.0[lane] = operator(self.0[lane], other.0[lane]);
        }
        self
    }
}

impl Add for Eight {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.each(other, f32::add)
    }
}

impl Sub for Eight {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.each(other, f32::sub)
    }
}

impl Mul<f32> for Eight {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: f32) -> Self {
        self.each(Self([other; 8]), f32::mul)
    }
}

impl Simd for Portable {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;
    type Vector = Eight;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Eight {
        Eight([value; 8])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Eight {
        // SAFETY: the caller's pointer is valid for `LANES` elements.
        Eight(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const f16) -> Eight {
        // SAFETY: as above; `f16` is a transparent `u16`.
        let bits = unsafe { from.cast::<[u16; 8]>().read_unaligned() };
        let mut wide = [0.0; 8];
        for lane in 0..8 {
            wide[lane] = widen(bits[lane]);
        }
        Eight(wide)
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> Eight {
        // SAFETY: the caller's pointer is valid for `LANES` elements.
        Eight(unsafe { from.cast::<[i8; 8]>().read_unaligned() }.map(f32::from))
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: Eight) {
        // SAFETY: the caller's pointer is valid for `LANES` elements.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(value.0) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: Eight, b: Eight, mut c: Eight) -> Eight {
        for lane in 0..8 {
            // `f32::mul_add` is an instruction on aarch64 and a slow library call elsewhere.
            c.0[lane] = if cfg!(target_arch = "aarch64") {
                a.0[lane].mul_add(b.0[lane], c.0[lane])
            } else {
                a.0[lane] * b.0[lane] + c.0[lane]
            };
        }
        c
    }

    #[inline(always)]
    unsafe fn zip(Eight(a): Eight, Eight(b): Eight) -> [Eight; 2] {
        let low = [a[0], b[0], a[1], b[1], a[4], b[4], a[5], b[5]];
        let high = [a[2], b[2], a[3], b[3], a[6], b[6], a[7], b[7]];
        [Eight(low), Eight(high)]
    }

    #[inline(always)]
    unsafe fn zip_pairs(Eight(a): Eight, Eight(b): Eight) -> [Eight; 2] {
        let low = [a[0], a[1], b[0], b[1], a[4], a[5], b[4], b[5]];
        let high = [a[2], a[3], b[2], b[3], a[6], a[7], b[6], b[7]];
        [Eight(low), Eight(high)]
    }

    #[inline(always)]
    unsafe fn prefetch(_from: *const u8) {}
}

/// Converts a finite half float to `f32` without a branch: shifts exponent and fraction into place, then
/// multiplies by 2^112 to correct the exponent bias (and normalize subnormals).
#[inline(always)]
fn widen(half: u16) -> f32 {
    let half = u32::from(half);
    let magnitude = f32::from_bits((half & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    f32::from_bits(magnitude.to_bits() | (half & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Widens all finite half floats with `load_f16`.
    struct Widen<'a>(&'a [f16]);

    impl Kernel for Widen<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> Vec<f32> {
            let mut wide = vec![0.0; self.0.len()];
            for at in (0..wide.len()).step_by(S::LANES) {
                // SAFETY: the test's length is a multiple of every `LANES`.
                unsafe { S::store(wide.as_mut_ptr().add(at), S::load_f16(self.0.as_ptr().add(at))) }
            }
            wide
        }
    }

    #[test]
    fn widens_every_finite_half_float() {
        let all: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).filter(|half| half.is_finite()).collect();
        let expected: Vec<u32> = all.iter().map(|half| half.to_f32().to_bits()).collect();
        for instructions in Instructions::all() {
            let wide: Vec<u32> = instructions.run(Widen(&all)).into_iter().map(f32::to_bits).collect();
            assert!(wide == expected, "{instructions:?}");
        }
    }

    /// Widens every `i8` with `load_i8`.
    struct WidenBytes;

    impl Kernel for WidenBytes {
        type Output = Vec<f32>;

        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> Vec<f32> {
            let all: Vec<i8> = (i8::MIN..=i8::MAX).collect();
            let mut wide = vec![0.0; all.len()];
            for at in (0..all.len()).step_by(S::LANES) {
                // SAFETY: 256 is a multiple of every `LANES`.
                unsafe { S::store(wide.as_mut_ptr().add(at), S::load_i8(all.as_ptr().add(at))) }
            }
            wide
        }
    }

    #[test]
    fn widens_every_i8() {
        let expected: Vec<f32> = (-128..128).map(|number| number as f32).collect();
        for instructions in Instructions::all() {
            assert_eq!(instructions.run(WidenBytes), expected, "{instructions:?}");
        }
    }

    /// Transposes matrices of the numbers from 0 on.
    struct Transposed;

    impl Kernel for Transposed {
        type Output = Vec<f32>;

        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> Vec<f32> {
            let mut values: Vec<f32> = (0..4 * S::LANES).map(|i| i as f32).collect();
            // SAFETY: the values are four vectors.
            unsafe {
                let rows = [0, 1, 2, 3].map(|i| S::load(values.as_ptr().add(i * S::LANES)));
                for (i, column) in S::transpose(rows).into_iter().enumerate() {
                    S::store(values.as_mut_ptr().add(i * S::LANES), column);
                }
            }
            values
        }
    }

    #[test]
    fn transposes_each_matrix() {
        for instructions in Instructions::all() {
            let found = instructions.run(Transposed);
            let lanes = found.len() / 4;
            let expected = |i: usize| i % 4 * lanes + i % lanes / 4 * 4 + i / lanes;
            assert!(found.iter().enumerate().all(|(i, &x)| x == expected(i) as f32), "{instructions:?}");
        }
    }
}
