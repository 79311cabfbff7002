//! Vector arithmetic that compiles everywhere: sixteen floats at a time, and functions built for the widest unit.

use std::ops::{Add, Mul, Sub};

/// How many floats [`Lanes`] holds: one AVX-512 register, two of AVX2, four of NEON or WebAssembly.
pub(super) const LANES: usize = 16;

/// Sixteen floats, aligned to a cache line so that no load of a scratch buffer straddles two.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(super) struct Lanes(pub [f32; LANES]);

impl Lanes {
    pub const ZERO: Self = Self([0.0; LANES]);
}

/// One operator, lane by lane, between two vectors and between a vector and a number.
macro_rules! lanewise {
    ($($operator:ident $method:ident $symbol:tt),*) => {$(
        impl $operator for Lanes {
            type Output = Self;
            #[inline(always)]
            fn $method(mut self, other: Self) -> Self {
                for i in 0..LANES {
                    self.0[i] $symbol other.0[i];
                }
                self
            }
        }
        impl $operator<f32> for Lanes {
            type Output = Self;
            #[inline(always)]
            fn $method(mut self, other: f32) -> Self {
                for i in 0..LANES {
                    self.0[i] $symbol other;
                }
                self
            }
        }
    )*};
}
lanewise!(Add add +=, Sub sub -=, Mul mul *=);

/// What compilers do not find by themselves for a vector unit.
pub(super) trait Unit {
    /// Transposes each of the four 4x4 matrices whose rows are the same four lanes of the four vectors.
    ///
    /// # Safety
    /// The machine has the unit.
    unsafe fn transpose(rows: [Lanes; 4]) -> [Lanes; 4];
}

/// Any machine.
pub(super) struct Anywhere;

impl Unit for Anywhere {
    #[inline(always)]
    unsafe fn transpose(rows: [Lanes; 4]) -> [Lanes; 4] {
        let mut columns = [Lanes::ZERO; 4];
        for matrix in (0..LANES).step_by(4) {
            for (i, row) in rows.iter().enumerate() {
                for (j, column) in columns.iter_mut().enumerate() {
                    column.0[matrix + i] = row.0[matrix + j];
                }
            }
        }
        columns
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    //! The same with the instructions of AVX2 and AVX-512.

    use std::arch::x86_64::*;

    use super::{Lanes, Unit};

    /// The steps of a transposition are the same in every width: pairs, then pairs of pairs.
    macro_rules! transpose {
        (
            $rows:ident, $low:ident, $high:ident, $to_pairs:ident, $from_pairs:ident, $low_pair:ident, $high_pair:ident
        ) => {{
            let [a, b, c, d] = $rows;
            let (ab_low, ab_high) = ($to_pairs($low(a, b)), $to_pairs($high(a, b)));
            let (cd_low, cd_high) = ($to_pairs($low(c, d)), $to_pairs($high(c, d)));
            [
                $from_pairs($low_pair(ab_low, cd_low)),
                $from_pairs($high_pair(ab_low, cd_low)),
                $from_pairs($low_pair(ab_high, cd_high)),
                $from_pairs($high_pair(ab_high, cd_high)),
            ]
        }};
    }

    /// Sixteen floats a register.
    pub struct Avx512;

    impl Unit for Avx512 {
        #[inline(always)]
        unsafe fn transpose(rows: [Lanes; 4]) -> [Lanes; 4] {
            // SAFETY: the unit is there by contract, and both types are sixteen floats aligned to 64 bytes.
            unsafe {
                let rows: [__m512; 4] = std::mem::transmute(rows);
                std::mem::transmute(transpose!(
                    rows,
                    _mm512_unpacklo_ps,
                    _mm512_unpackhi_ps,
                    _mm512_castps_pd,
                    _mm512_castpd_ps,
                    _mm512_unpacklo_pd,
                    _mm512_unpackhi_pd
                ))
            }
        }
    }

    /// Eight floats a register.
    pub struct Avx2;

    impl Unit for Avx2 {
        #[inline(always)]
        unsafe fn transpose(rows: [Lanes; 4]) -> [Lanes; 4] {
            // SAFETY: the unit is there by contract, and both types are sixteen floats.
            unsafe {
                let rows: [[__m256; 2]; 4] = std::mem::transmute(rows);
                let mut columns = rows;
                for half in 0..2 {
                    let rows = [rows[0][half], rows[1][half], rows[2][half], rows[3][half]];
                    let transposed = transpose!(
                        rows,
                        _mm256_unpacklo_ps,
                        _mm256_unpackhi_ps,
                        _mm256_castps_pd,
                        _mm256_castpd_ps,
                        _mm256_unpacklo_pd,
                        _mm256_unpackhi_pd
                    );
                    for (column, vector) in columns.iter_mut().zip(transposed) {
                        column[half] = vector;
                    }
                }
                std::mem::transmute(columns)
            }
        }
    }
}

/// Defines a function whose body is compiled several times, for AVX-512, for AVX2 and for any machine, and that
/// runs the best of them that this machine has, which the body knows as the type parameter. Everything the body
/// calls must be `#[inline(always)]` to profit.
macro_rules! widest {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$unit:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $out:ty)? $body:block
    ) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $out)? {
            #[inline(always)]
            fn on<$unit: $crate::kernels::cpu::lanes::Unit>($($arg: $ty),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            {
                use $crate::kernels::cpu::lanes::x86::{Avx2, Avx512};

                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $out)? {
                    on::<Avx512>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $out)? {
                    on::<Avx2>($($arg),*)
                }
                let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
                let has_avx512 = has_avx2
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw");
                if has_avx512 {
                    // SAFETY: every feature that the function is compiled for has just been seen on this machine.
                    return unsafe { avx512($($arg),*) };
                }
                if has_avx2 {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            on::<$crate::kernels::cpu::lanes::Anywhere>($($arg),*)
        }
    };
}
pub(super) use widest;

#[cfg(test)]
mod tests {
    use super::*;

    /// The four vectors, transposed as the definition says.
    fn expected(rows: &[Lanes; 4]) -> Vec<f32> {
        let at = |i: usize| rows[i % 4].0[i % LANES / 4 * 4 + i / LANES];
        (0..4 * LANES).map(at).collect()
    }

    widest! {
        fn transposed<U>(rows: &[Lanes; 4]) -> [Lanes; 4] {
            // SAFETY: `U` is a unit of this machine.
            unsafe { U::transpose(*rows) }
        }
    }

    #[test]
    fn every_unit_transposes_alike() {
        let mut rows = [Lanes::ZERO; 4];
        for (i, value) in bytemuck::cast_slice_mut::<_, f32>(&mut rows).iter_mut().enumerate() {
            *value = i as f32;
        }
        let flat = |rows: [Lanes; 4]| bytemuck::cast_slice::<_, f32>(&rows).to_vec();
        assert_eq!(flat(transposed(&rows)), expected(&rows), "the widest");
        // SAFETY: any machine has this unit.
        assert_eq!(flat(unsafe { Anywhere::transpose(rows) }), expected(&rows), "anywhere");
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: just seen.
            assert_eq!(flat(unsafe { x86::Avx2::transpose(rows) }), expected(&rows), "AVX2");
        }
    }
}
