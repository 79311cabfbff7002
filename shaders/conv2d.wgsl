// 3x3 convolution of NCHW images with stride 1, zero padding of 1 and a bias. Each input pixel is first
// repeated 1 << shift times in both directions. CPU reference: crates/kernels/src/cpu/conv2d.rs.
//
// A workgroup computes one block of an image for some output channels. It loads the block with its border and
// the weights into workgroup memory, `DEPTH` input channels at a time. A thread accumulates 4 channels by 4x4
// pixels: for each input channel it reads 6x6 values once for all nine taps, and each weight once for all its
// pixels.
// Followed by shaders/shared/outer.wgsl.

// The host replaces these four constants to suit the shape.
const CHANNEL_THREADS = 16u;
const ROW_THREADS = 4u;
const COLUMN_THREADS = 4u;
const DEPTH = 4u;

const THREADS = CHANNEL_THREADS * ROW_THREADS * COLUMN_THREADS;
const CHANNELS = 4u * CHANNEL_THREADS;
const ROWS = 4u * ROW_THREADS;
const COLUMNS = 4u * COLUMN_THREADS;
const TAPS = 9u;

// The block with its border, four columns per vector.
const SEEN_ROWS = ROWS + 2u;
const SEEN_VECTORS = COLUMN_THREADS + 1u;
const SEEN = SEEN_ROWS * SEEN_VECTORS;

struct Parameters {
    images: u32,
    in_channels: u32,
    out_channels: u32,
    // Size of the input.
    height: u32,
    width: u32,
    shift: u32,
    // The launch's first block.
    first: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> parameters: Parameters;

// Indexed by input channel, tap and group of four output channels.
var<workgroup> weights: array<vec4<f32>, DEPTH * TAPS * CHANNEL_THREADS>;
// Indexed by input channel, row and group of four columns.
var<workgroup> seen: array<vec4<f32>, DEPTH * SEEN>;

const FOUR = vec4<u32>(0u, 1u, 2u, 3u);

// Size of the output, including repeated pixels.
var<private> height: u32;
var<private> width: u32;
var<private> image: u32;
var<private> first_channel: u32;
var<private> first_row: u32;
var<private> first_column: u32;

fn gather_weights(thread: u32, first_input: u32) {
    for (var i = thread; i < DEPTH * TAPS * CHANNEL_THREADS; i += THREADS) {
        // Adjacent threads read adjacent elements: the taps of `DEPTH` input channels are contiguous.
        let term = first_input * TAPS + i % (DEPTH * TAPS);
        let channel = first_channel + i / (DEPTH * TAPS) * 4u + FOUR;
        let end = parameters.in_channels * TAPS;
        let exists = (channel < vec4<u32>(parameters.out_channels)) & vec4<bool>(term < end);
        let at = select(vec4<u32>(0u), channel * end + term, exists);
        let values = vec4<f32>(weight[at.x], weight[at.y], weight[at.z], weight[at.w]);
        let slot = i % (DEPTH * TAPS) * CHANNEL_THREADS + i / (DEPTH * TAPS);
        weights[slot] = select(vec4<f32>(0.0), values, exists);
    }
}

fn gather_pixels(thread: u32, first_input: u32) {
    for (var i = thread; i < DEPTH * SEEN; i += THREADS) {
        let input = first_input + i / SEEN;
        // Positions above and to the left wrap around.
        let row = first_row + i % SEEN / SEEN_VECTORS - 1u;
        let column = first_column + i % SEEN_VECTORS * 4u + FOUR - 1u;
        let exists = (column < vec4<u32>(width)) & vec4<bool>(row < height && input < parameters.in_channels);
        let plane = (image * parameters.in_channels + input) * parameters.height;
        let index = (plane + (row >> parameters.shift)) * parameters.width
            + (column >> vec4<u32>(parameters.shift));
        let at = select(vec4<u32>(0u), index, exists);
        seen[i] = select(vec4<f32>(0.0), vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]), exists);
    }
}

// A row of three taps: their weights for four channels, or their inputs at four pixels.
struct Taps {
    left: vec4<f32>,
    middle: vec4<f32>,
    right: vec4<f32>,
}

fn weights_from(slot: u32) -> Taps {
    return Taps(weights[slot], weights[slot + CHANNEL_THREADS], weights[slot + 2u * CHANNEL_THREADS]);
}

fn seen_from(slot: u32) -> Taps {
    let a = seen[slot];
    let b = seen[slot + 1u].xy;
    return Taps(a, vec4<f32>(a.yzw, b.x), vec4<f32>(a.zw, b));
}

fn weighed(channels: Taps, pixels: Taps) -> mat4x4<f32> {
    return outer(channels.left, pixels.left)
        + outer(channels.middle, pixels.middle)
        + outer(channels.right, pixels.right);
}

fn write(channel: u32, row: u32, column: u32, sums: vec4<f32>) {
    if (channel >= parameters.out_channels || row >= height) {
        return;
    }
    let values = sums + bias[channel];
    let at = ((image * parameters.out_channels + channel) * height + row) * width + column;
    if (column < width) { y[at] = values.x; }
    if (column + 1u < width) { y[at + 1u] = values.y; }
    if (column + 2u < width) { y[at + 2u] = values.z; }
    if (column + 3u < width) { y[at + 3u] = values.w; }
}

fn write_row(channel: u32, row: u32, column: u32, sums: mat4x4<f32>) {
    write(channel, row, column, sums[0]);
    write(channel + 1u, row, column, sums[1]);
    write(channel + 2u, row, column, sums[2]);
    write(channel + 3u, row, column, sums[3]);
}

@compute @workgroup_size(THREADS, 1, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    height = parameters.height << parameters.shift;
    width = parameters.width << parameters.shift;
    let channel_blocks = (parameters.out_channels + CHANNELS - 1u) / CHANNELS;
    // Computed from the parameters only: barriers follow, and private variables may differ between threads.
    let column_blocks = ((parameters.width << parameters.shift) + COLUMNS - 1u) / COLUMNS;
    let row_blocks = ((parameters.height << parameters.shift) + ROWS - 1u) / ROWS;
    let block = parameters.first + group.x;
    let block_image = block / channel_blocks / column_blocks / row_blocks;
    if (block_image >= parameters.images) {
        return;
    }
    image = block_image;
    first_channel = block % channel_blocks * CHANNELS;
    first_column = block / channel_blocks % column_blocks * COLUMNS;
    first_row = block / channel_blocks / column_blocks % row_blocks * ROWS;

    let own_channel = thread / (ROW_THREADS * COLUMN_THREADS);
    let own_row = thread / COLUMN_THREADS % ROW_THREADS * 4u;
    let own_column = thread % COLUMN_THREADS;
    var row_0 = mat4x4<f32>();
    var row_1 = mat4x4<f32>();
    var row_2 = mat4x4<f32>();
    var row_3 = mat4x4<f32>();
    for (var input = 0u; input < parameters.in_channels; input += DEPTH) {
        workgroupBarrier();
        gather_weights(thread, input);
        gather_pixels(thread, input);
        workgroupBarrier();
        for (var i = 0u; i < DEPTH; i++) {
            let slot = i * TAPS * CHANNEL_THREADS + own_channel;
            let top = weights_from(slot);
            let middle = weights_from(slot + 3u * CHANNEL_THREADS);
            let bottom = weights_from(slot + 6u * CHANNEL_THREADS);
            let corner = i * SEEN + own_row * SEEN_VECTORS + own_column;
            var pixels = seen_from(corner);
            row_0 += weighed(top, pixels);
            pixels = seen_from(corner + SEEN_VECTORS);
            row_0 += weighed(middle, pixels);
            row_1 += weighed(top, pixels);
            pixels = seen_from(corner + 2u * SEEN_VECTORS);
            row_0 += weighed(bottom, pixels);
            row_1 += weighed(middle, pixels);
            row_2 += weighed(top, pixels);
            pixels = seen_from(corner + 3u * SEEN_VECTORS);
            row_1 += weighed(bottom, pixels);
            row_2 += weighed(middle, pixels);
            row_3 += weighed(top, pixels);
            pixels = seen_from(corner + 4u * SEEN_VECTORS);
            row_2 += weighed(bottom, pixels);
            row_3 += weighed(middle, pixels);
            pixels = seen_from(corner + 5u * SEEN_VECTORS);
            row_3 += weighed(bottom, pixels);
        }
    }

    let channel = first_channel + 4u * own_channel;
    let row = first_row + own_row;
    let column = first_column + 4u * own_column;
    write_row(channel, row, column, row_0);
    write_row(channel, row + 1u, column, row_1);
    write_row(channel, row + 2u, column, row_2);
    write_row(channel, row + 3u, column, row_3);
}
