//! Launches `shaders/tiled_linear.wgsl`.

use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

use super::Activation;
use super::launch::{Shader, changed, constant, launch_in_parts};
#[cfg(test)]
use super::layer::KINDS;
use super::layer::{CHUNK, Operands, READINGS, kind, number};
#[cfg(test)]
use super::texts::Text;
use crate::tuned::{Layer, choice};
use crate::{GpuKernel, Grain, Variant};
use residua_shaders::TILED_LINEAR;

/// The tile that a workgroup computes: four times its threads in each direction, with `depth` inputs in workgroup memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tile {
    row_threads: usize,
    column_threads: usize,
    depth: usize,
}

/// From the one that reads the least. The first is the default in the shader source.
const TILES: [Tile; 3] = [
    Tile { row_threads: 8, column_threads: 8, depth: 32 },
    Tile { row_threads: 4, column_threads: 4, depth: 64 },
    Tile { row_threads: 4, column_threads: 2, depth: 64 },
];

/// The same in words.
const NAMES: [&str; TILES.len()] = ["tiles of 32x32", "tiles of 16x16", "tiles of 16x8"];

/// Threads that share the sums of four rows by four outputs.
const TEAMS: usize = 4;

/// Two workgroups for each of the 46 units of a GeForce RTX 4070.
const ENOUGH: usize = 92;

impl Tile {
    /// The tile for a layer: by default, the largest that is not mostly empty and gives enough workgroups.
    fn of(rows: usize, inputs: usize, outputs: usize, kind: usize) -> Self {
        let smallest = TILES.len() - 1;
        let is_full = |tile: &Self| tile.rows() <= rows.next_multiple_of(TILES[smallest].rows());
        let suits = |tile: &Self| is_full(tile) && tile.workgroups(rows, outputs) >= ENOUGH;
        let default = TILES.iter().position(suits).unwrap_or(smallest);
        let layer = Layer::Linear { rows, inputs, outputs, kind };
        TILES[choice(Grain::current(), layer, &NAMES, default)]
    }

    fn rows(self) -> usize {
        4 * self.row_threads
    }

    fn columns(self) -> usize {
        4 * self.column_threads
    }

    fn threads(self) -> u32 {
        (TEAMS * self.row_threads * self.column_threads) as u32
    }

    fn workgroups(self, rows: usize, outputs: usize) -> usize {
        rows.div_ceil(self.rows()) * outputs.div_ceil(self.columns())
    }
}

/// A variant of the shader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct TiledLinear {
    /// Index into [`READINGS`].
    kind: usize,
    tile: Tile,
}

impl TiledLinear {
    /// Its number among the variants of [`GpuKernel::DecodeLinear`], after those for few rows.
    fn number(self) -> usize {
        let tile = TILES.iter().position(|&tile| tile == self.tile).expect("TILES has every tile");
        super::linear::VARIANTS + self.kind * TILES.len() + tile
    }
}

impl Shader for TiledLinear {
    const FILE: &'static str = TILED_LINEAR.file;

    fn source(&self) -> String {
        let ([largest, ..], Tile { row_threads, column_threads, depth }) = (TILES, self.tile);
        let mut changes = READINGS[self.kind][Grain::Coarse as usize].changes(4);
        changes.extend([
            constant("ROW_THREADS", largest.row_threads, row_threads),
            constant("COLUMN_THREADS", largest.column_threads, column_threads),
            constant("DEPTH", largest.depth, depth),
        ]);
        changed(TILED_LINEAR.source, &changes)
    }
}

/// The variant for a layer, if the shader takes so many inputs.
pub fn variant(rows: usize, inputs: usize, weights: DType, outputs: usize) -> Option<Variant> {
    let fits = inputs > 0 && inputs.is_multiple_of(CHUNK);
    let kind = kind(weights);
    let shader = TiledLinear { kind, tile: Tile::of(rows, inputs, outputs, kind) };
    fits.then(|| GpuKernel::DecodeLinear.variant(shader.number()))
}

/// The `Parameters` of `shaders/tiled_linear.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Parameters {
    rows: u32,
    outputs: u32,
    chunks: u32,
    activation: u32,
    onto: u32,
    first: u32,
}

/// A layer with a [`variant`].
pub(super) fn tiled_linear(
    operands: Operands,
    activation: Activation,
    residual: Option<CubeTensor>,
) -> CubeTensor {
    let Operands { rows, inputs, outputs, .. } = operands;
    let kind = kind(operands.weight.dtype);
    let tile = Tile::of(rows, inputs, outputs, kind);
    let shader = TiledLinear { kind, tile };
    let onto = u32::from(residual.is_some());
    let y = operands.result(residual);
    let parameters = |first| Parameters {
        rows: rows as u32,
        outputs: outputs as u32,
        chunks: (inputs / CHUNK) as u32,
        activation: number(activation),
        onto,
        first,
    };
    let (workgroups, multiply_adds) =
        (tile.workgroups(rows, outputs) as u32, (rows * outputs * inputs) as u64);
    let buffers = operands.buffers(&y, &[]);
    launch_in_parts(shader, tile.threads(), workgroups, multiply_adds, &buffers, parameters);
    y
}

/// The shader sources that the host launches.
#[cfg(test)]
pub(super) fn texts() -> Vec<Text> {
    let text = |shader: TiledLinear| {
        let TiledLinear { kind, tile } = shader;
        let name = format!("{}-{}x{}", KINDS[kind], tile.rows(), tile.columns());
        Text::new("tiled_linear", name, tile.threads(), shader.source())
    };
    (0..KINDS.len()).flat_map(|kind| TILES.map(|tile| text(TiledLinear { kind, tile }))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::checks::assert_same_parameters;

    #[test]
    fn a_gpu_gets_workgroups_for_all_its_units() {
        for (rows, outputs) in [(9, 1024), (16, 1024), (16, 3072), (64, 1024), (256, 1024), (256, 16_384)] {
            let tile = Tile::of(rows, 1024, outputs, 1);
            let workgroups = tile.workgroups(rows, outputs);
            assert!(workgroups >= ENOUGH, "{rows} rows to {outputs}: {workgroups} workgroups");
            assert!(tile.rows() * rows.div_ceil(tile.rows()) < rows + 16, "{rows} rows: {tile:?}");
        }
    }

    #[test]
    fn host_and_shader_agree() {
        assert_same_parameters!(
            TILED_LINEAR.source,
            Parameters { rows: Uint, outputs: Uint, chunks: Uint, activation: Uint, onto: Uint, first: Uint }
        );
        assert!(TILED_LINEAR.source.contains(&format!("const TEAMS = {TEAMS}u;")));
        for (tile, name) in TILES.into_iter().zip(NAMES) {
            assert_eq!(name, format!("tiles of {}x{}", tile.rows(), tile.columns()));
        }
    }
}
