//! Launches `shaders/matmul.wgsl`.

use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Bound, Shader, changed, constant, empty, launch_in_parts};
#[cfg(test)]
use super::texts::Text;
use crate::{GpuKernel, Variant};
use residua_shaders::MATMUL;

/// The tile that a workgroup computes: `8 row_threads` by `16 column_threads` elements, `depth` products of
/// each at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tile {
    row_threads: usize,
    column_threads: usize,
    depth: usize,
}

/// Rows and columns whose products one thread sums.
const ROWS_OF_A_THREAD: usize = 8;
const COLUMNS_OF_A_THREAD: usize = 16;

/// Reads the least, if there is enough work. The default in the shader source.
const LARGE: Tile = Tile { row_threads: 8, column_threads: 8, depth: 16 };

/// For fewer rows, or to occupy more of a device.
const SMALL: Tile = Tile { row_threads: 4, column_threads: 8, depth: 16 };

/// For products with no more rows than one thread sums.
const FLAT: Tile = Tile { row_threads: 1, column_threads: 64, depth: 2 };

/// For products with no more columns than one thread sums.
const TALL: Tile = Tile { row_threads: 64, column_threads: 1, depth: 4 };

const TILES: [Tile; 4] = [LARGE, SMALL, FLAT, TALL];

/// Minimum number of workgroups for the large tile. Smaller tiles spread the work, but each reads more.
const MANY: usize = 8;

impl Tile {
    /// The tile for products of these dimensions.
    fn of(matrices: usize, rows: usize, columns: usize) -> Self {
        let workgroups = matrices * rows.div_ceil(LARGE.rows()) * columns.div_ceil(LARGE.columns());
        match (rows, columns) {
            (..=ROWS_OF_A_THREAD, _) => FLAT,
            (_, ..=COLUMNS_OF_A_THREAD) => TALL,
            _ if rows > SMALL.rows() && workgroups >= MANY => LARGE,
            _ => SMALL,
        }
    }

    /// Another tile for the same products.
    fn spare(self) -> Self {
        if self == SMALL { LARGE } else { SMALL }
    }

    fn variant(self) -> Variant {
        GpuKernel::Matmul.variant(TILES.iter().position(|&one| one == self).expect("TILES has every tile"))
    }

    fn threads(self) -> u32 {
        (self.row_threads * self.column_threads) as u32
    }

    fn rows(self) -> usize {
        ROWS_OF_A_THREAD * self.row_threads
    }

    fn columns(self) -> usize {
        COLUMNS_OF_A_THREAD * self.column_threads
    }
}

impl Shader for Tile {
    const FILE: &'static str = MATMUL.file;

    fn source(&self) -> String {
        let Self { row_threads, column_threads, depth } = *self;
        let changes = [
            constant("ROW_THREADS", LARGE.row_threads, row_threads),
            constant("COLUMN_THREADS", LARGE.column_threads, column_threads),
            constant("DEPTH", LARGE.depth, depth),
        ];
        changed(MATMUL.source, &changes)
    }
}

/// The `Parameters` of `shaders/matmul.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Parameters {
    matrices: u32,
    rows: u32,
    inner: u32,
    columns: u32,
    row_tiles: u32,
    column_tiles: u32,
    a_matrix: u32,
    a_row: u32,
    a_inner: u32,
    b_matrix: u32,
    b_inner: u32,
    b_column: u32,
    first: u32,
}

/// Matrices at a constant stride in memory.
struct Matrices {
    tensor: CubeTensor,
    /// Strides in elements between matrices, rows and columns.
    strides: [u32; 3],
}

impl Matrices {
    /// The matrices of `tensor` `[.., rows, columns]`, copied only if their stride is not constant.
    fn new(tensor: CubeTensor) -> Self {
        let tensor = cast(tensor, DType::F32);
        let even = if tensor.meta.is_tiled() { None } else { even_distance(&tensor) };
        let (tensor, matrix) = match even {
            Some(matrix) => (tensor, matrix),
            None => {
                let size = tensor.meta.shape().iter().rev().take(2).product();
                (into_contiguous(tensor), size)
            }
        };
        let strides = tensor.meta.strides();
        let [row, column] = [2, 1].map(|from_last| strides[strides.len() - from_last]);
        Self { strides: [matrix, row, column].map(|stride| stride as u32), tensor }
    }

    /// Copies the matrices if they share a buffer with `other`: a shader may not bind a buffer twice.
    fn apart_from(self, other: &CubeTensor) -> Self {
        let buffer = |tensor: &CubeTensor| tensor.handle.clone().binding().claim_key().0;
        if buffer(&self.tensor) == buffer(other) {
            Self::new(into_contiguous(self.tensor).copy())
        } else {
            self
        }
    }
}

/// The stride in elements between the matrices of `tensor` `[.., rows, columns]`, if it is constant.
fn even_distance(tensor: &CubeTensor) -> Option<usize> {
    let (shape, strides) = (tensor.meta.shape(), tensor.meta.strides());
    let batch = shape.len() - 2;
    let mut distances = (0..batch).rev().map(|dim| (shape[dim], strides[dim])).filter(|(size, _)| *size > 1);
    let Some((size, distance)) = distances.next() else { return Some(0) };
    let mut end = size * distance;
    for (size, stride) in distances {
        if stride != end {
            return None;
        }
        end *= size;
    }
    Some(distance)
}

/// The variant for products of `[rows, inner]` by `[inner, columns]`, and the one used if it is off.
pub fn variants(matrices: usize, rows: usize, columns: usize) -> [Variant; 2] {
    let tile = Tile::of(matrices, rows, columns);
    [tile.variant(), tile.spare().variant()]
}

/// [`crate::operations::Kernels::residua_matmul`].
pub fn matmul(a: CubeTensor, b: CubeTensor) -> CubeTensor {
    let mut shape: Vec<usize> = a.meta.shape().iter().copied().collect();
    let batch = shape.len() - 2;
    let [rows, inner] = [shape[batch], shape[batch + 1]];
    let columns = b.meta.shape()[batch + 1];
    assert_eq!(b.meta.shape()[..batch], shape[..batch], "both operands must have the same batch dimensions");
    assert_eq!(b.meta.shape()[batch], inner, "the inner dimensions must be equal");
    let matrices: usize = shape[..batch].iter().product();
    shape[batch + 1] = columns;
    let product = empty(&a, Shape::from(shape), DType::F32);
    let a = Matrices::new(a);
    let b = Matrices::new(b).apart_from(&a.tensor);
    let best = Tile::of(matrices, rows, columns);
    let tile = if best.variant().is_on() { best } else { best.spare() };
    let (row_tiles, column_tiles) = (rows.div_ceil(tile.rows()), columns.div_ceil(tile.columns()));
    let [a_matrix, a_row, a_inner] = a.strides;
    let [b_matrix, b_inner, b_column] = b.strides;
    let parameters = |first| Parameters {
        matrices: matrices as u32,
        rows: rows as u32,
        inner: inner as u32,
        columns: columns as u32,
        row_tiles: row_tiles as u32,
        column_tiles: column_tiles as u32,
        a_matrix,
        a_row,
        a_inner,
        b_matrix,
        b_inner,
        b_column,
        first,
    };
    let workgroups = (matrices * row_tiles * column_tiles) as u32;
    let buffers = [&a.tensor, &b.tensor, &product].map(Bound::values);
    let multiply_adds = (product.meta.num_elements() * inner) as u64;
    launch_in_parts(tile, tile.threads(), workgroups, multiply_adds, &buffers, parameters);
    product
}

/// Every shader source that the host launches.
#[cfg(test)]
pub(super) fn texts() -> Vec<Text> {
    let text = |tile: Tile| {
        let kind = format!("{}x{}x{}", tile.row_threads, tile.column_threads, tile.depth);
        Text::new("matmul", kind, tile.threads(), tile.source())
    };
    TILES.map(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::checks::assert_same_parameters;

    #[test]
    fn host_and_shader_agree_on_the_parameters() {
        assert_same_parameters!(
            MATMUL.source,
            Parameters {
                matrices: Uint,
                rows: Uint,
                inner: Uint,
                columns: Uint,
                row_tiles: Uint,
                column_tiles: Uint,
                a_matrix: Uint,
                a_row: Uint,
                a_inner: Uint,
                b_matrix: Uint,
                b_inner: Uint,
                b_column: Uint,
                first: Uint,
            }
        );
    }
}
