//! The matrix product behind the convolutions.

/// A matrix in memory: element `j` of row `i` is `start[i * stride + j]`.
#[derive(Clone, Copy)]
pub(super) struct Rows<P> {
    pub start: P,
    pub stride: usize,
}

/// The longest sum that is made in one go. The matrix library splits longer ones too, but where it does depends on the
/// other sizes: then the same image would come out differently in another batch, or on another number of threads.
const DEPTH: usize = 512;

/// `out[r, c] = sum_d weights[r, d] columns[d, c]` for `[rows, depth, count]` of `size`, on this thread; added to what
/// `out` holds if `add`.
///
/// # Safety
/// All elements of the three matrices lie inside memory that may be read, and for `out` written by this thread alone.
pub(super) unsafe fn multiply(
    [rows, depth, count]: [usize; 3],
    weights: Rows<*const f32>,
    columns: Rows<*const f32>,
    out: Rows<*mut f32>,
    add: bool,
) {
    for first in (0..depth).step_by(DEPTH) {
        // SAFETY: the caller's promise for all of `depth` holds for a part of it.
        unsafe {
            gemm::gemm(
                count,
                rows,
                DEPTH.min(depth - first),
                out.start,
                out.stride as isize,
                1,
                add || first > 0,
                columns.start.add(first * columns.stride),
                columns.stride as isize,
                1,
                weights.start.add(first),
                weights.stride as isize,
                1,
                1.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}
