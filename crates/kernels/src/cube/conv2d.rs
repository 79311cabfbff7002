//! Launches `shaders/conv2d.wgsl` and `shaders/conv2d_gathered.wgsl`.

use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Bound, Shader, changed, constant, empty, launch_in_parts, shader};
#[cfg(test)]
use super::texts::Text;
use crate::tuned::{Layer, choice};
use crate::{GpuKernel, Grain, Resample, Variant};
use residua_shaders::CONV2D;

/// The variant for `x` and `weight` of these dimensions, and the one used if it is off. Only the gathering shader
/// has no other.
pub fn variants(x: [usize; 4], weight: [usize; 4], resample: Resample) -> [Variant; 2] {
    let [images, in_channels, height, width] = x;
    let [out_channels, _, kernel, _] = weight;
    let out = [images, out_channels, resample.size(height), resample.size(width)].map(|size| size as u32);
    let block = Block::of(in_channels as u32, out, kernel as u32, resample);
    [block, block.map(Block::spare)].map(variant)
}

/// The variant with this block; without one, the gathering shader.
fn variant(block: Option<Block>) -> Variant {
    GpuKernel::Conv2d.variant(BLOCKS.iter().position(|&one| Some(one) == block).unwrap_or(BLOCKS.len()))
}

/// Convolves contiguous f32 tensors: `x` `[B, in, H, W]`, `weight` `[out, in, k, k]`, `bias` `[out]`.
pub fn conv2d(x: CubeTensor, weight: &CubeTensor, bias: &CubeTensor, resample: Resample) -> CubeTensor {
    let [images, in_channels, height, width] = [0, 1, 2, 3].map(|dim| x.meta.shape()[dim]);
    let [out_channels, kernel] = [0, 2].map(|dim| weight.meta.shape()[dim]);
    let [out_height, out_width] = [height, width].map(|size| resample.size(size));
    let y = empty(&x, Shape::new([images, out_channels, out_height, out_width]), DType::F32);
    if y.meta.num_elements() == 0 {
        return y;
    }
    let buffers = [Bound::values(&x), Bound::weights(weight), Bound::weights(bias), Bound::values(&y)];
    let [images, in_channels, out_channels, height, width] =
        [images, in_channels, out_channels, height, width].map(|size| size as u32);
    let [out_height, out_width, kernel] = [out_height, out_width, kernel].map(|size| size as u32);
    let taps = u64::from(kernel * kernel * in_channels);
    let multiply_adds = y.meta.num_elements() as u64 * taps;
    let out = [images, out_channels, out_height, out_width];
    if let Some(best) = Block::of(in_channels, out, kernel, resample) {
        let block = if variant(Some(best)).is_on() { best } else { best.spare() };
        let workgroups = block.workgroups(out);
        let shift = (resample == Resample::Up).into();
        launch_in_parts(block, block.threads(), workgroups, multiply_adds, &buffers, |first| Parameters {
            images,
            in_channels,
            out_channels,
            height,
            width,
            shift,
            first,
        });
    } else {
        let all_pixels = images * out_height * out_width;
        let workgroups = out_channels.div_ceil(GATHERED) * all_pixels.div_ceil(GATHERED);
        let parameters = |first| GatheredParameters {
            in_channels,
            out_channels,
            height,
            width,
            image_pixels: out_height * out_width,
            out_width,
            all_pixels,
            kernel,
            stride: if resample == Resample::Down { 2 } else { 1 },
            first,
        };
        launch_in_parts(Conv2dGathered, GATHERED_THREADS, workgroups, multiply_adds, &buffers, parameters);
    }
    y
}

/// The block that a workgroup of `shaders/conv2d.wgsl` computes: four times its number of threads in each
/// direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Block {
    channel_threads: u32,
    row_threads: u32,
    column_threads: u32,
    /// Input channels in workgroup memory at a time.
    depth: u32,
}

/// Reads the least, if there is enough work. The default in the shader source.
const LARGE: Block = Block { channel_threads: 16, row_threads: 4, column_threads: 4, depth: 4 };

/// For small images, or to occupy more of a device.
const SMALL: Block = Block { channel_threads: 16, row_threads: 2, column_threads: 2, depth: 4 };

/// For the few channels of an output image.
const THIN: Block = Block { channel_threads: 1, row_threads: 8, column_threads: 8, depth: 2 };

const BLOCKS: [Block; 3] = [LARGE, SMALL, THIN];

/// The first two in words.
const NAMES: [&str; 2] = ["blocks of 64x16x16", "blocks of 64x8x8"];

/// Minimum number of workgroups for the large block: enough to occupy most devices.
const MANY: u32 = 32;

impl Block {
    /// The block for an output of these dimensions; `None` for the gathering shader.
    fn of(in_channels: u32, out: [u32; 4], kernel: u32, resample: Resample) -> Option<Self> {
        if kernel != 3 || resample == Resample::Down {
            return None;
        }
        let [images, out_channels, height, width] = out.map(|size| size as usize);
        if out_channels <= 4 {
            return Some(THIN);
        }
        let (in_channels, up) = (in_channels as usize, resample == Resample::Up);
        let layer = Layer::Conv2d { images, in_channels, out_channels, height, width, up };
        let default = usize::from(LARGE.workgroups(out) < MANY);
        Some(BLOCKS[choice(Grain::current(), layer, &NAMES, default)])
    }

    /// Another block for the same convolutions.
    fn spare(self) -> Self {
        if self == SMALL { LARGE } else { SMALL }
    }

    fn threads(self) -> u32 {
        self.channel_threads * self.row_threads * self.column_threads
    }

    fn workgroups(self, [images, channels, rows, columns]: [u32; 4]) -> u32 {
        images
            * channels.div_ceil(4 * self.channel_threads)
            * rows.div_ceil(4 * self.row_threads)
            * columns.div_ceil(4 * self.column_threads)
    }
}

impl Shader for Block {
    const FILE: &'static str = CONV2D.file;

    fn source(&self) -> String {
        let Self { channel_threads, row_threads, column_threads, depth } = *self;
        let changes = [
            constant("CHANNEL_THREADS", LARGE.channel_threads, channel_threads),
            constant("ROW_THREADS", LARGE.row_threads, row_threads),
            constant("COLUMN_THREADS", LARGE.column_threads, column_threads),
            constant("DEPTH", LARGE.depth, depth),
        ];
        changed(CONV2D.source, &changes)
    }
}

/// The `Parameters` of `shaders/conv2d.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Parameters {
    images: u32,
    in_channels: u32,
    out_channels: u32,
    height: u32,
    width: u32,
    shift: u32,
    first: u32,
}

shader!(Conv2dGathered, CONV2D_GATHERED);

/// Channels, and also pixels, that a workgroup of `shaders/conv2d_gathered.wgsl` computes.
const GATHERED: u32 = 64;

/// Threads per workgroup of `shaders/conv2d_gathered.wgsl`.
const GATHERED_THREADS: u32 = 64;

/// The `Parameters` of `shaders/conv2d_gathered.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct GatheredParameters {
    in_channels: u32,
    out_channels: u32,
    height: u32,
    width: u32,
    image_pixels: u32,
    out_width: u32,
    all_pixels: u32,
    kernel: u32,
    stride: u32,
    first: u32,
}

/// Every shader source that the host launches.
#[cfg(test)]
pub(super) fn texts() -> Vec<Text> {
    let blocks = BLOCKS.map(|block| {
        let Block { channel_threads, row_threads, column_threads, depth } = block;
        let kind = format!("{channel_threads}x{row_threads}x{column_threads}x{depth}");
        Text::new("conv2d", kind, block.threads(), block.source())
    });
    let gathered = Text::fixed("conv2d_gathered", GATHERED_THREADS, Conv2dGathered::SOURCE);
    blocks.into_iter().chain([gathered]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::checks::assert_same_parameters;

    #[test]
    fn host_and_shaders_agree() {
        assert_same_parameters!(
            CONV2D.source,
            Parameters {
                images: Uint,
                in_channels: Uint,
                out_channels: Uint,
                height: Uint,
                width: Uint,
                shift: Uint,
                first: Uint,
            }
        );
        assert_same_parameters!(
            Conv2dGathered::SOURCE,
            GatheredParameters {
                in_channels: Uint,
                out_channels: Uint,
                height: Uint,
                width: Uint,
                image_pixels: Uint,
                out_width: Uint,
                all_pixels: Uint,
                kernel: Uint,
                stride: Uint,
                first: Uint,
            }
        );
    }
}
