//! The matrix product.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::cube::matmul_variants;
use super::operations::Kernels;
use super::route::{Gradient, Route, route};

/// Multiplies `a` `[.., M, K]` by `b` `[.., K, N]`: `[.., M, N]`, in f32.
///
/// The dimensions before the last two must be equal; there is no broadcasting. The last two may be transposed
/// without a copy. On a CPU the result is that of Burn's product. On a GPU each element is summed in order
/// along `K`, whatever the size.
///
/// # Panics
/// The dimensions do not match.
pub fn matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    assert_eq!(a.dims()[..D - 2], b.dims()[..D - 2], "both operands must have the same batch dimensions");
    let (of_a, of_b) = (a.dims(), b.dims());
    let variants = matmul_variants(of_a[..D - 2].iter().product(), of_a[D - 2], of_b[D - 1]);
    match route(&a.device(), variants, Gradient::Nowhere) {
        Route::Kernel => {
            Tensor::from_dispatch(Dispatch::residua_matmul(a.into_dispatch(), b.into_dispatch()))
        }
        Route::Composed => composed(a, b),
    }
}

/// The same with Burn's own operation.
pub fn composed<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    a.matmul(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cpu;
    use crate::gpu;
    use crate::values;
    use burn::tensor::Device;
    use residua_core::random::uniform;
    use residua_testing::{assert_close, poison, tensor};

    /// `[batch, rows, columns]`, transposed in memory if `turned`.
    fn matrices(dims: [usize; 3], turned: bool, seed: u32, device: &Device) -> Tensor<3> {
        let [batch, rows, columns] = dims;
        if turned {
            tensor([batch, columns, rows], seed, device).swap_dims(1, 2)
        } else {
            tensor(dims, seed, device)
        }
    }

    /// Compares the GPU's product with Burn's on the CPU.
    fn compare(batch: usize, [m, k, n]: [usize; 3], turned: [bool; 2]) {
        let operands = |device: &Device| {
            (matrices([batch, m, k], turned[0], 1, device), matrices([batch, k, n], turned[1], 2, device))
        };
        println!("{batch} of {m}x{k} by {k}x{n}, transposed: {turned:?}");
        let (gpu, (a, b)) = (gpu(), operands(&cpu()));
        let expected = a.matmul(b);
        let (a, b) = operands(&gpu);
        poison([batch, m, n], &gpu);
        let found = matmul(a, b);
        assert_eq!(found.dims(), [batch, m, n]);
        assert_close(&values(found), &values(expected), 1e-5);
    }

    #[test]
    fn gpu_and_cpu_agree_at_the_edges_of_tiles() {
        const SIZES: [usize; 6] = [1, 3, 17, 63, 64, 65];
        for (i, m) in SIZES.into_iter().enumerate() {
            for (j, k) in SIZES.into_iter().enumerate() {
                for (l, n) in SIZES.into_iter().enumerate() {
                    let case = i + j + l;
                    compare([1, 3][case % 2], [m, k, n], [case / 2 % 2 == 1, (i + l) % 2 == 1]);
                }
            }
        }
    }

    #[test]
    fn gpu_and_cpu_agree_on_random_shapes() {
        for case in 0..60 {
            let pick = |word: u32, most: u32| 1 + (uniform([case, word, 7, 5]) * most as f32) as usize;
            let shape = [pick(1, 200), pick(2, 300), pick(3, 200)];
            compare(pick(0, 3), shape, [case % 2 == 0, case / 2 % 2 == 0]);
        }
        // Many tiles, few rows with many columns and the reverse, and many products.
        compare(1, [300, 40, 700], [false, false]);
        compare(2, [5, 30, 1100], [false, true]);
        compare(2, [1100, 30, 5], [true, false]);
        compare(660, [1, 2, 1], [false, false]);
        // More work than one launch may have.
        compare(1, [220, 220, 2200], [false, true]);
    }

    #[test]
    fn on_a_cpu_the_product_is_bit_identical_to_burns() {
        for turned in [[false, false], [true, false], [false, true]] {
            let a = matrices([3, 33, 70], turned[0], 1, &cpu());
            let b = matrices([3, 70, 21], turned[1], 2, &cpu());
            assert_eq!(values(matmul(a.clone(), b.clone())), values(a.matmul(b)));
        }
    }

    #[test]
    fn multiplying_by_the_identity_changes_nothing() {
        let device = gpu();
        for (m, n) in [(3, 70), (65, 9), (130, 64)] {
            let x: Tensor<2> = tensor([m, n], 1, &device);
            let expected = values(x.clone());
            assert_eq!(values(matmul(Tensor::eye(m, &device), x.clone())), expected);
            assert_eq!(values(matmul(x, Tensor::eye(n, &device))), expected);
        }
    }

    /// Few rows, many rows and the columns of a single thread use different kinds of tiles.
    #[test]
    fn an_element_does_not_depend_on_its_neighbours() {
        let device = gpu();
        let (a, b): (Tensor<2>, Tensor<2>) = (tensor([300, 77], 1, &device), tensor([77, 600], 2, &device));
        let whole = matmul(a.clone(), b.clone());
        for (rows, columns) in [(0..5, 0..600), (7..40, 3..90), (100..300, 590..597), (299..300, 599..600)] {
            let part =
                matmul(a.clone().slice([rows.clone(), 0..77]), b.clone().slice([0..77, columns.clone()]));
            let expected = whole.clone().slice([rows, columns]);
            assert_eq!(values(part), values(expected));
        }
    }

    /// The same buffer as both operands, and heads that are neither contiguous nor at a constant stride.
    #[test]
    fn views_are_read_correctly() {
        let (host, device) = (cpu(), gpu());
        let products = |device: &Device| {
            let x: Tensor<4> = tensor([2, 7, 3, 10], 1, device);
            let heads = x.clone().swap_dims(1, 2);
            let squares = matmul(heads.clone(), heads.clone().swap_dims(2, 3));
            let part = x.clone().slice([1..2, 0..7, 0..3, 0..10]).swap_dims(1, 2);
            let of_parts = matmul(part.clone(), part.swap_dims(2, 3));
            let itself: Tensor<2> = tensor([70, 70], 2, device);
            [values(squares), values(of_parts), values(matmul(itself.clone(), itself))]
        };
        for (found, expected) in products(&device).iter().zip(products(&host)) {
            assert_close(found, &expected, 1e-5);
        }
    }

    #[test]
    #[should_panic(expected = "both operands must have the same batch dimensions")]
    fn nothing_is_broadcast() {
        matmul::<3>(Tensor::ones([2, 3, 4], &cpu()), Tensor::ones([1, 4, 5], &cpu()));
    }
}
