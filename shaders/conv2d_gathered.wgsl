// Convolutions of NCHW images that shaders/conv2d.wgsl does not handle: 1x1, and 3x3 with stride 2, padded
// with one zero row below and one zero column to the right. CPU reference: crates/kernels/src/cpu/conv2d.rs.
//
// An implicit matrix product (im2col) of the weights [out_channels, k k in_channels] by the tap inputs [k k
// in_channels, pixels], which are never stored as a whole. A workgroup computes one tile of channels by
// pixels and gathers its inputs into workgroup memory, for one tap and `DEPTH` input channels at a time. A
// thread accumulates 8 channels by 8 pixels. Pixels are numbered across the whole batch, so that small images
// share a tile.
// Followed by shaders/shared/outer.wgsl.

const CHANNEL_THREADS = 8u;
const PIXEL_THREADS = 8u;
const DEPTH = 8u;

const THREADS = CHANNEL_THREADS * PIXEL_THREADS;
// Groups of four channels or pixels.
const CHANNEL_VECTORS = 2u * CHANNEL_THREADS;
const PIXEL_VECTORS = 2u * PIXEL_THREADS;

struct Parameters {
    in_channels: u32,
    out_channels: u32,
    height: u32,
    width: u32,
    // Pixels of one output image, one row of it, and all images.
    image_pixels: u32,
    out_width: u32,
    all_pixels: u32,
    kernel: u32,
    stride: u32,
    // The launch's first tile.
    first: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> parameters: Parameters;

var<workgroup> weights: array<vec4<f32>, CHANNEL_VECTORS * DEPTH>;
var<workgroup> pixels: array<vec4<f32>, PIXEL_VECTORS * DEPTH>;
// Source of each of the tile's pixels: the start of its image, and the row and column that the first tap
// reads.
var<workgroup> images: array<vec4<u32>, PIXEL_VECTORS>;
var<workgroup> rows: array<vec4<u32>, PIXEL_VECTORS>;
var<workgroup> columns: array<vec4<u32>, PIXEL_VECTORS>;

// A row outside every image, for pixels past the last one.
const NOWHERE = 0x80000000u;
const FOUR = vec4<u32>(0u, 1u, 2u, 3u);

var<private> thread: u32;
var<private> first_channel: u32;
var<private> first_pixel: u32;

fn place_pixels() {
    for (var i = thread; i < PIXEL_VECTORS; i += THREADS) {
        let pixel = first_pixel + 4u * i + FOUR;
        let inside = pixel % parameters.image_pixels;
        let exists = pixel < vec4<u32>(parameters.all_pixels);
        let size = parameters.in_channels * parameters.height * parameters.width;
        images[i] = pixel / parameters.image_pixels * size;
        rows[i] = select(vec4<u32>(NOWHERE), inside / parameters.out_width * parameters.stride, exists);
        columns[i] = inside % parameters.out_width * parameters.stride;
    }
}

fn gather_weights(first_input: u32, tap: u32) {
    let taps = parameters.kernel * parameters.kernel;
    for (var i = thread; i < CHANNEL_VECTORS * DEPTH; i += THREADS) {
        let input = first_input + i % DEPTH;
        let channel = first_channel + 4u * (i / DEPTH) + FOUR;
        let exists = (channel < vec4<u32>(parameters.out_channels)) & vec4<bool>(input < parameters.in_channels);
        let index = (channel * parameters.in_channels + input) * taps + tap;
        let at = select(vec4<u32>(0u), index, exists);
        let values = vec4<f32>(weight[at.x], weight[at.y], weight[at.z], weight[at.w]);
        weights[i % DEPTH * CHANNEL_VECTORS + i / DEPTH] = select(vec4<f32>(0.0), values, exists);
    }
}

fn gather_pixels(first_input: u32, tap: u32) {
    for (var i = thread; i < PIXEL_VECTORS * DEPTH; i += THREADS) {
        let input = first_input + i / PIXEL_VECTORS;
        let row = rows[i % PIXEL_VECTORS] + tap / parameters.kernel;
        let column = columns[i % PIXEL_VECTORS] + tap % parameters.kernel;
        let inside = (row < vec4<u32>(parameters.height)) & (column < vec4<u32>(parameters.width));
        let exists = inside & vec4<bool>(input < parameters.in_channels);
        let plane = images[i % PIXEL_VECTORS] + input * (parameters.height * parameters.width);
        let index = plane + row * parameters.width + column;
        let at = select(vec4<u32>(0u), index, exists);
        pixels[i] = select(vec4<f32>(0.0), vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]), exists);
    }
}

fn write(channel: u32, first: u32, sums: vec4<f32>) {
    if (channel >= parameters.out_channels) {
        return;
    }
    let pixel = first + FOUR;
    let image = pixel / parameters.image_pixels;
    let inside = pixel % parameters.image_pixels;
    let at = (image * parameters.out_channels + channel) * parameters.image_pixels + inside;
    let values = sums + bias[channel];
    if (pixel.x < parameters.all_pixels) { y[at.x] = values.x; }
    if (pixel.y < parameters.all_pixels) { y[at.y] = values.y; }
    if (pixel.z < parameters.all_pixels) { y[at.z] = values.z; }
    if (pixel.w < parameters.all_pixels) { y[at.w] = values.w; }
}

fn write_block(channel: u32, first: u32, sums: mat4x4<f32>) {
    write(channel, first, sums[0]);
    write(channel + 1u, first, sums[1]);
    write(channel + 2u, first, sums[2]);
    write(channel + 3u, first, sums[3]);
}

@compute @workgroup_size(THREADS, 1, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let tile = parameters.first + group.x;
    let channel_tiles = (parameters.out_channels + 4u * CHANNEL_VECTORS - 1u) / (4u * CHANNEL_VECTORS);
    first_channel = tile % channel_tiles * (4u * CHANNEL_VECTORS);
    // Not a private variable: barriers follow, and private variables may differ between threads.
    let pixel = tile / channel_tiles * (4u * PIXEL_VECTORS);
    if (pixel >= parameters.all_pixels) {
        return;
    }
    first_pixel = pixel;
    thread = index;
    let row = thread / PIXEL_THREADS;
    let column = thread % PIXEL_THREADS;
    place_pixels();

    var upper_left = mat4x4<f32>();
    var upper_right = mat4x4<f32>();
    var lower_left = mat4x4<f32>();
    var lower_right = mat4x4<f32>();
    let taps = parameters.kernel * parameters.kernel;
    for (var input = 0u; input < parameters.in_channels; input += DEPTH) {
        for (var tap = 0u; tap < taps; tap++) {
            workgroupBarrier();
            gather_weights(input, tap);
            gather_pixels(input, tap);
            workgroupBarrier();
            for (var i = 0u; i < DEPTH; i++) {
                let upper = weights[i * CHANNEL_VECTORS + row];
                let lower = weights[i * CHANNEL_VECTORS + CHANNEL_THREADS + row];
                let left = pixels[i * PIXEL_VECTORS + column];
                let right = pixels[i * PIXEL_VECTORS + PIXEL_THREADS + column];
                upper_left += outer(upper, left);
                upper_right += outer(upper, right);
                lower_left += outer(lower, left);
                lower_right += outer(lower, right);
            }
        }
    }

    let upper = first_channel + 4u * row;
    let lower = upper + 4u * CHANNEL_THREADS;
    let left = first_pixel + 4u * column;
    let right = left + 4u * PIXEL_THREADS;
    write_block(upper, left, upper_left);
    write_block(upper, right, upper_right);
    write_block(lower, left, lower_left);
    write_block(lower, right, lower_right);
}
