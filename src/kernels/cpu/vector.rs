//! The vector registers that the decoding kernels are written in, and the choice among them at run time.

use half::f16;

#[cfg(target_arch = "x86_64")]
mod x86;

/// A register of `LANES` floats and the few operations that the kernels need of it.
///
/// # Safety
/// Every method needs the processor features of its implementation: call them only inside [`Kernel::run`],
/// which [`Instructions::run`] reaches with those features. Pointers must be good for `LANES` elements, of any alignment.
pub(super) trait Simd {
    const LANES: usize;
    /// How many of them the processor has.
    const REGISTERS: usize;
    type Vector: Copy;

    /// All lanes equal to `value`.
    unsafe fn splat(value: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    /// Loads half floats and widens them.
    unsafe fn load_f16(from: *const f16) -> Self::Vector;
    unsafe fn store(to: *mut f32, value: Self::Vector);
    /// `a * b + c`
    unsafe fn mul_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The sum of the lanes of each of four vectors; the order of the additions is the same for all four.
    unsafe fn sums(vectors: [Self::Vector; 4]) -> [f32; 4];
    /// Asks for the cache line at `from`, which may lie anywhere.
    unsafe fn prefetch(from: *const u8);
}

/// A piece of work that is compiled once for each set of instructions.
///
/// `run` and all that it calls must be `#[inline(always)]`, so that it is compiled with the features of the
/// function that it lands in.
pub(super) trait Kernel {
    type Output;

    /// # Safety
    /// The processor has the features of `S`.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// A set of instructions that this processor has.
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
    /// The widest.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if x86::Avx512::available() {
                return Self(Set::Avx512);
            }
            if x86::Avx2::available() {
                return Self(Set::Avx2);
            }
        }
        Self(Set::Portable)
    }

    /// The widest and all narrower ones.
    #[cfg(test)]
    pub fn all() -> Vec<Self> {
        match Self::best().0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => vec![Self(Set::Avx512), Self(Set::Avx2), Self(Set::Portable)],
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => vec![Self(Set::Avx2), Self(Set::Portable)],
            Set::Portable => vec![Self(Set::Portable)],
        }
    }

    /// Runs `kernel` with these instructions.
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: a set exists only where the processor has it.
        unsafe {
            match self.0 {
                #[cfg(target_arch = "x86_64")]
                Set::Avx512 => x86::run_avx512(kernel),
                #[cfg(target_arch = "x86_64")]
                Set::Avx2 => x86::run_avx2(kernel),
                Set::Portable => kernel.run::<Portable>(),
            }
        }
    }
}

/// Plain Rust that compilers turn into the baseline vectors of their target (NEON, wasm `simd128`, SSE2).
pub(super) struct Portable;

impl Simd for Portable {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;
    type Vector = [f32; 8];

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 8] {
        [value; 8]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 8] {
        // SAFETY: the caller's pointer is good for `LANES` elements.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const f16) -> [f32; 8] {
        // SAFETY: as above; `f16` is a transparent `u16`.
        let bits = unsafe { from.cast::<[u16; 8]>().read_unaligned() };
        let mut wide = [0.0; 8];
        for lane in 0..8 {
            wide[lane] = widen(bits[lane]);
        }
        wide
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: [f32; 8]) {
        // SAFETY: the caller's pointer is good for `LANES` elements.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(value) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: [f32; 8], b: [f32; 8], mut c: [f32; 8]) -> [f32; 8] {
        for lane in 0..8 {
            // `f32::mul_add` is an instruction on aarch64 and a slow library call elsewhere.
            c[lane] = if cfg!(target_arch = "aarch64") {
                a[lane].mul_add(b[lane], c[lane])
            } else {
                a[lane] * b[lane] + c[lane]
            };
        }
        c
    }

    #[inline(always)]
    unsafe fn sums(vectors: [[f32; 8]; 4]) -> [f32; 4] {
        let mut sums = [0.0; 4];
        for (sum, v) in sums.iter_mut().zip(vectors) {
            *sum = ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
        }
        sums
    }

    #[inline(always)]
    unsafe fn prefetch(_from: *const u8) {}
}

/// A finite half float as `f32`, without a branch: exponent and fraction move into place, and a multiplication
/// by 2^112 corrects the exponent's bias (and normalizes what was subnormal).
#[inline(always)]
fn widen(half: u16) -> f32 {
    let half = u32::from(half);
    let magnitude = f32::from_bits((half & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    f32::from_bits(magnitude.to_bits() | (half & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Widens all half floats with `load_f16`.
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

    /// The lanes' sums of four vectors.
    struct Sums;

    impl Kernel for Sums {
        type Output = (usize, [f32; 4]);

        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> (usize, [f32; 4]) {
            let values: [f32; 64] = std::array::from_fn(|i| i as f32);
            // SAFETY: 64 values are four of the widest vectors.
            unsafe {
                let load = |k: usize| S::load(values.as_ptr().add(k * S::LANES));
                (S::LANES, S::sums([load(0), load(1), load(2), load(3)]))
            }
        }
    }

    #[test]
    fn sums_keep_vectors_apart() {
        for instructions in Instructions::all() {
            let (lanes, sums) = instructions.run(Sums);
            let expected = |k: usize| (k * lanes..(k + 1) * lanes).sum::<usize>() as f32;
            assert_eq!(sums, [0, 1, 2, 3].map(expected), "{instructions:?}");
        }
    }
}
