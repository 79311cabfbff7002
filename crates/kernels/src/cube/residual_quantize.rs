//! Launches `shaders/residual_quantize.wgsl` and `shaders/residual_take.wgsl` alternately, once per depth.

use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Bound, Shader, changed, constant, empty, launch, own, plain, shader};
#[cfg(test)]
use super::texts::Text;
use crate::embed::Place;
use crate::{GpuKernel, Grain, Variant};
use residua_shaders::RESIDUAL_QUANTIZE;

/// Threads per workgroup of either shader.
const THREADS: u32 = 64;

/// Residuals whose products one thread sums.
const ROWS_OF_A_THREAD: usize = 8;

/// Number of residuals from which a GPU has enough workgroups even with many codes per thread.
const MANY_ROWS: usize = 512;

/// Enough workgroups to fill a GPU. More would not help, and each part that the codes are split into costs a
/// little.
const WORKGROUPS: usize = 512;

/// Largest buffer that every WebGPU device can bind, in bytes.
const MOST_BYTES: usize = 128 << 20;

/// The variant for `rows` of `channels` at `depths` depths. `None` if the partial sums don't fit in one
/// buffer.
pub fn variant(rows: usize, channels: usize, depths: usize) -> Option<Variant> {
    let values = depths * rows * channels;
    let fits = values > 0 && values * size_of::<f32>() <= MOST_BYTES;
    fits.then(|| GpuKernel::ResidualQuantize.variant(Search::place(rows, Grain::current())))
}

/// The block that a workgroup computes: `8 row_threads` residuals by `4 groups code_threads` codes, `depth`
/// channels at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Search {
    row_threads: usize,
    code_threads: usize,
    groups: usize,
    depth: usize,
}

/// For few, more, and any number of residuals; then for a GPU, unless there are [`MANY_ROWS`]: 64 residuals have 64
/// workgroups for 2048 codes, and 512 for 16,384.
const SEARCHES: [Search; 4] = [
    Search { row_threads: 1, code_threads: 64, groups: 4, depth: 2 },
    Search { row_threads: 4, code_threads: 16, groups: 4, depth: 8 },
    Search { row_threads: 8, code_threads: 8, groups: 4, depth: 8 },
    Search { row_threads: 8, code_threads: 8, groups: 1, depth: 8 },
];

/// The search of [`SEARCHES`] for any number of residuals, and that for a GPU.
const ANY: usize = 2;
const SPREAD: usize = 3;

impl Search {
    /// Index into [`SEARCHES`] for `rows` residuals.
    fn place(rows: usize, grain: Grain) -> usize {
        match grain {
            Grain::Fine if rows < MANY_ROWS => SPREAD,
            Grain::Fine => ANY,
            Grain::Coarse => SEARCHES.iter().position(|search| rows <= search.rows()).unwrap_or(ANY),
        }
    }

    fn rows(&self) -> usize {
        ROWS_OF_A_THREAD * self.row_threads
    }

    fn codes(&self) -> usize {
        4 * self.groups * self.code_threads
    }
}

impl Shader for Search {
    const FILE: &'static str = RESIDUAL_QUANTIZE.file;

    fn source(&self) -> String {
        let Self { row_threads, code_threads, groups, depth } = *self;
        let changes = [
            constant("ROW_THREADS", 8, row_threads),
            constant("CODE_THREADS", 8, code_threads),
            constant("GROUPS", 4, groups),
            constant("DEPTH", 8, depth),
        ];
        changed(RESIDUAL_QUANTIZE.source, &changes)
    }
}

/// The `Parameters` of `shaders/residual_quantize.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct SearchParameters {
    rows: u32,
    channels: u32,
    first: u32,
    codes: u32,
    parts: u32,
    tiles: u32,
}

shader!(Take, RESIDUAL_TAKE);

/// The `Parameters` of `shaders/residual_take.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct TakeParameters {
    rows: u32,
    channels: u32,
    depths: u32,
    depth: u32,
    first: u32,
    parts: u32,
}

/// [`crate::operations::Kernels::residua_residual_quantize`].
pub fn residual_quantize(
    latents: CubeTensor,
    table: CubeTensor,
    norms: CubeTensor,
    places: &[Place],
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let (residuals, table, norms) = (own(plain(latents)), plain(table), plain(norms));
    let [rows, channels] = [0, 1].map(|dim| residuals.meta.shape()[dim]);
    let depths = places.len();
    assert!(
        variant(rows, channels, depths).is_some(),
        "{rows} rows of {channels} channels don't fit the kernel"
    );
    assert_eq!(table.meta.shape()[1], channels, "the table must be [rows, C]");
    assert_eq!(norms.meta.num_elements(), table.meta.shape()[0], "expected one norm per row of the table");
    let codes = empty(&residuals, Shape::new([rows, depths]), DType::I32);
    let partial_sums = empty(&residuals, Shape::new([depths, rows, channels]), DType::F32);
    let squares = empty(&residuals, Shape::new([rows, depths]), DType::F32);
    for (depth, place) in places.iter().enumerate() {
        assert!(
            place.size > 0 && place.first + place.size <= table.meta.shape()[0],
            "expected a nonempty codebook within the table"
        );
        let (nearest, parts) = search(&residuals, &table, &norms, place);
        let parameters = TakeParameters {
            rows: rows as u32,
            channels: channels as u32,
            depths: depths as u32,
            depth: depth as u32,
            first: place.first as u32,
            parts,
        };
        let layer = rows * channels;
        let buffers = [
            Bound::values(&nearest),
            // One code for each residual.
            Bound::weights(&table).part(layer),
            Bound::values(&residuals),
            // The sums of the depth before, if there is one, and of this one.
            Bound::values(&partial_sums).part((1 + depth.min(1)) * layer),
            Bound::values(&codes).part(rows),
            Bound::values(&squares).part(rows),
        ];
        launch(Take, THREADS, rows as u32, &buffers, &parameters);
    }
    (codes, partial_sums, squares)
}

/// The code in `place` nearest to each residual within each part of the codes, `[rows, parts, 2]`, and the
/// number of parts.
fn search(
    residuals: &CubeTensor,
    table: &CubeTensor,
    norms: &CubeTensor,
    place: &Place,
) -> (CubeTensor, u32) {
    let [rows, channels] = [0, 1].map(|dim| residuals.meta.shape()[dim]);
    let kernel = SEARCHES[Search::place(rows, Grain::current())];
    let row_blocks = rows.div_ceil(kernel.rows());
    let all_tiles = place.size.div_ceil(kernel.codes());
    let tiles = all_tiles.div_ceil(WORKGROUPS.div_ceil(row_blocks));
    let parts = all_tiles.div_ceil(tiles);
    let nearest = empty(residuals, Shape::new([rows, parts, 2]), DType::I32);
    let parameters = SearchParameters {
        rows: rows as u32,
        channels: channels as u32,
        first: place.first as u32,
        codes: place.size as u32,
        parts: parts as u32,
        tiles: tiles as u32,
    };
    let workgroups = (row_blocks * parts) as u32;
    let buffers = [
        Bound::values(residuals),
        Bound::weights(table).part(place.size * channels),
        Bound::weights(norms).part(place.size),
        Bound::values(&nearest),
    ];
    launch(kernel, THREADS, workgroups, &buffers, &parameters);
    (nearest, parts as u32)
}

/// Every shader source that the host launches.
#[cfg(test)]
pub(super) fn texts() -> Vec<Text> {
    let searches = SEARCHES.map(|search| {
        let Search { row_threads, code_threads, groups, depth } = search;
        let kind = format!("{row_threads}x{code_threads}x{groups}x{depth}");
        Text::new("residual_quantize", kind, THREADS, search.source())
    });
    searches.into_iter().chain([Text::fixed("residual_take", THREADS, Take::SOURCE)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::checks::assert_same_parameters;

    /// At the end, each thread merges the results of one row.
    #[test]
    fn every_block_has_a_thread_for_each_row() {
        assert!(SEARCHES.iter().all(|search| search.rows() <= THREADS as usize));
    }

    /// The residuals of one image.
    #[test]
    fn a_gpu_gets_workgroups_for_all_its_units() {
        for (rows, codes, least) in [(64, 2048, 64), (64, 16_384, 92), (8, 16_384, 92), (512, 2048, 92)] {
            let search = SEARCHES[Search::place(rows, Grain::Fine)];
            let workgroups = rows.div_ceil(search.rows()) * usize::div_ceil(codes, search.codes());
            assert!(workgroups >= least, "{rows} residuals, {codes} codes: {workgroups} workgroups");
        }
    }

    #[test]
    fn host_and_shaders_agree_on_the_parameters() {
        assert_same_parameters!(
            RESIDUAL_QUANTIZE.source,
            SearchParameters {
                rows: Uint,
                channels: Uint,
                first: Uint,
                codes: Uint,
                parts: Uint,
                tiles: Uint
            }
        );
        assert_same_parameters!(
            Take::SOURCE,
            TakeParameters {
                rows: Uint,
                channels: Uint,
                depths: Uint,
                depth: Uint,
                first: Uint,
                parts: Uint
            }
        );
    }
}
