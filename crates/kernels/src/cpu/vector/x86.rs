//! AVX-512 and AVX2 vectors.

use std::arch::x86_64::*;
use std::ops::{Add, Mul, Sub};

use half::f16;

use super::{Kernel, Simd};

/// Defines an instruction set from its features, its register type and the names of its intrinsics.
macro_rules! set {
    (
        $(#[$meta:meta])* $set:ident: [$($feature:tt)+];
        $vector:ident: $register:ident, $lanes:literal lanes, $registers:literal registers;
        $splat:ident $load:ident $load_half:ident $widen:ident $store:ident;
        $load_bytes:ident $widen_bytes:ident $convert:ident;
        $add:ident $sub:ident $mul:ident $mul_add:ident;
        $low:ident $high:ident $low_pair:ident $high_pair:ident $to_pairs:ident $from_pairs:ident
    ) => {
        $(#[$meta])*
        pub struct $set;

        impl $set {
            /// Whether this processor supports the set.
            pub fn available() -> bool {
                $(is_x86_feature_detected!($feature))&&+
            }

            /// Runs `kernel`, compiled for this set.
            ///
            /// # Safety
            /// The set is available.
            #[target_feature($(enable = $feature),+)]
            pub unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
                // SAFETY: this function enables the features.
                unsafe { kernel.run::<Self>() }
            }
        }

        /// A register. Whoever creates one guarantees that the processor supports it.
        #[derive(Clone, Copy)]
        pub struct $vector($register);

        impl Add for $vector {
            type Output = Self;

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: a vector exists, so the processor supports it.
                Self(unsafe { $add(self.0, other.0) })
            }
        }

        impl Sub for $vector {
            type Output = Self;

            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                // SAFETY: a vector exists, so the processor supports it.
                Self(unsafe { $sub(self.0, other.0) })
            }
        }

        impl Mul<f32> for $vector {
            type Output = Self;

            #[inline(always)]
            fn mul(self, other: f32) -> Self {
                // SAFETY: a vector exists, so the processor supports it.
                Self(unsafe { $mul(self.0, $splat(other)) })
            }
        }

        // SAFETY of all functions: the contract of `Simd` guarantees the features and the elements.
        impl Simd for $set {
            const LANES: usize = $lanes;
            const REGISTERS: usize = $registers;
            type Vector = $vector;

            #[inline(always)]
            unsafe fn splat(value: f32) -> $vector {
                $vector(unsafe { $splat(value) })
            }

            #[inline(always)]
            unsafe fn load(from: *const f32) -> $vector {
                $vector(unsafe { $load(from) })
            }

            #[inline(always)]
            unsafe fn load_f16(from: *const f16) -> $vector {
                $vector(unsafe { $widen($load_half(from.cast())) })
            }

            #[inline(always)]
            unsafe fn load_i8(from: *const i8) -> $vector {
                $vector(unsafe { $convert($widen_bytes($load_bytes(from.cast()))) })
            }

            #[inline(always)]
            unsafe fn store(to: *mut f32, value: $vector) {
                unsafe { $store(to, value.0) }
            }

            #[inline(always)]
            unsafe fn mul_add(a: $vector, b: $vector, c: $vector) -> $vector {
                $vector(unsafe { $mul_add(a.0, b.0, c.0) })
            }

            #[inline(always)]
            unsafe fn zip(a: $vector, b: $vector) -> [$vector; 2] {
                unsafe { [$vector($low(a.0, b.0)), $vector($high(a.0, b.0))] }
            }

            #[inline(always)]
            unsafe fn zip_pairs(a: $vector, b: $vector) -> [$vector; 2] {
                unsafe {
                    let (a, b) = ($to_pairs(a.0), $to_pairs(b.0));
                    [$vector($from_pairs($low_pair(a, b))), $vector($from_pairs($high_pair(a, b)))]
                }
            }

            #[inline(always)]
            unsafe fn prefetch(from: *const u8) {
                unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
            }
        }
    };
}

set! {
    /// All AVX-512 processors except the first, a coprocessor, have these extensions.
    Avx512: ["avx512f" "avx512bw" "avx512dq" "avx512vl" "avx2" "fma" "f16c"];
    Sixteen: __m512, 16 lanes, 32 registers;
    _mm512_set1_ps _mm512_loadu_ps _mm256_loadu_si256 _mm512_cvtph_ps _mm512_storeu_ps;
    _mm_loadu_si128 _mm512_cvtepi8_epi32 _mm512_cvtepi32_ps;
    _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_fmadd_ps;
    _mm512_unpacklo_ps _mm512_unpackhi_ps _mm512_unpacklo_pd _mm512_unpackhi_pd _mm512_castps_pd _mm512_castpd_ps
}

set! {
    /// Nearly all processors since 2013.
    Avx2: ["avx2" "fma" "f16c"];
    Eight: __m256, 8 lanes, 16 registers;
    _mm256_set1_ps _mm256_loadu_ps _mm_loadu_si128 _mm256_cvtph_ps _mm256_storeu_ps;
    _mm_loadl_epi64 _mm256_cvtepi8_epi32 _mm256_cvtepi32_ps;
    _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_fmadd_ps;
    _mm256_unpacklo_ps _mm256_unpackhi_ps _mm256_unpacklo_pd _mm256_unpackhi_pd _mm256_castps_pd _mm256_castpd_ps
}
