//! The matrix product behind the convolutions.

/// A matrix in memory: element `j` of row `i` is `start[i * stride + j]`.
#[derive(Clone, Copy)]
pub(super) struct Rows<P> {
    pub start: P,
    pub stride: usize,
}

/// The longest sum computed in one go. The matrix library also splits longer sums, but at places that depend
/// on the other sizes, so the same image would come out differently in another batch or on another number of
/// threads.
const DEPTH: usize = 512;

/// `out[r, c] = sum_d weights[r, d] columns[d, c]`, computed on this thread. With `add`, the result is added
/// to `out`.
///
/// # Safety
/// All elements of the three matrices are in readable memory, and those of `out` are written by this thread
/// only.
pub(super) unsafe fn multiply(
    [rows, depth, count]: [usize; 3],
    weights: Rows<*const f32>,
    columns: Rows<*const f32>,
    out: Rows<*mut f32>,
    add: bool,
) {
    for first in (0..depth).step_by(DEPTH) {
        // SAFETY: the caller's guarantee for all of `depth` covers any part of it.
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
