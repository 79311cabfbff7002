// The codebook search of residual quantization at one depth: finds the nearest code to every residual within
// each part of the codebook. shaders/residual_take.wgsl picks the nearest over all parts and updates the
// residuals. CPU reference: crates/kernels/src/cpu/residual_quantize.rs.
//
// A workgroup compares some residuals with one part of the codebook, a tile of codes at a time. Splitting the
// codebook lets a few residuals occupy a whole GPU. The workgroup loads `DEPTH` channels at a time into
// workgroup memory, and a thread accumulates 8 residuals by 4 `GROUPS` codes in registers. With few codes, reads
// from workgroup memory are the bottleneck; with many, there are few workgroups. The summation order depends only
// on the channels, so a row's code does not depend on the other rows.
// Followed by shaders/shared/added.wgsl.

// The host replaces these four constants to suit the number of residuals and the device.
const ROW_THREADS = 8u;
const CODE_THREADS = 8u;
const GROUPS = 4u;
const DEPTH = 8u;

const THREADS = ROW_THREADS * CODE_THREADS;
const ROWS = 8u * ROW_THREADS;
const CODES = 4u * GROUPS * CODE_THREADS;

// The largest f32, in place of infinity, which WGSL has no literal for. Hexadecimal because browsers reject
// the decimal form as too large.
const FAR = 0x1.fffffep+127;

struct Parameters {
    rows: u32,
    channels: u32,
    // First row of the codes in the table, and the number of codes.
    first: u32,
    codes: u32,
    // Parts that the codes are split into, and tiles of codes in each part.
    parts: u32,
    tiles: u32,
}

@group(0) @binding(0) var<storage, read_write> residuals: array<f32>;
@group(0) @binding(1) var<storage, read_write> table: array<f32>;
// Squared norms of the table's rows.
@group(0) @binding(2) var<storage, read_write> norms: array<f32>;
// For each row and part: the bits of the distance, and the code.
@group(0) @binding(3) var<storage, read_write> nearest: array<vec2<u32>>;
@group(0) @binding(4) var<uniform> parameters: Parameters;

// Indexed by channel and group of four residuals or codes.
var<workgroup> seen_residuals: array<vec4<f32>, DEPTH * 2u * ROW_THREADS>;
var<workgroup> seen_codes: array<vec4<f32>, DEPTH * GROUPS * CODE_THREADS>;
// Indexed by row and by thread along the codes.
var<workgroup> distances: array<f32, 8u * THREADS>;
var<workgroup> nearest_codes: array<u32, 8u * THREADS>;

const FOUR = vec4<u32>(0u, 1u, 2u, 3u);

// For each of the thread's eight rows.
var<private> best_distance: array<f32, 8>;
var<private> best_code: array<u32, 8>;

fn gather_residuals(thread: u32, first_row: u32, first_channel: u32) {
    for (var i = thread; i < DEPTH * 2u * ROW_THREADS; i += THREADS) {
        // Adjacent threads read adjacent elements: channels are contiguous.
        let channel = first_channel + i % DEPTH;
        let row = first_row + i / DEPTH * 4u + FOUR;
        let exists = (row < vec4<u32>(parameters.rows)) & vec4<bool>(channel < parameters.channels);
        let at = select(vec4<u32>(0u), row * parameters.channels + channel, exists);
        let values = vec4<f32>(residuals[at.x], residuals[at.y], residuals[at.z], residuals[at.w]);
        seen_residuals[i % DEPTH * 2u * ROW_THREADS + i / DEPTH] = select(vec4<f32>(0.0), values, exists);
    }
}

fn gather_codes(thread: u32, first_code: u32, first_channel: u32) {
    for (var i = thread; i < DEPTH * GROUPS * CODE_THREADS; i += THREADS) {
        let channel = first_channel + i % DEPTH;
        let code = first_code + i / DEPTH * 4u + FOUR;
        let exists = (code < vec4<u32>(parameters.codes)) & vec4<bool>(channel < parameters.channels);
        let at = select(vec4<u32>(0u), (parameters.first + code) * parameters.channels + channel, exists);
        let values = vec4<f32>(table[at.x], table[at.y], table[at.z], table[at.w]);
        seen_codes[i % DEPTH * GROUPS * CODE_THREADS + i / DEPTH] = select(vec4<f32>(0.0), values, exists);
    }
}

// Updates a row's best code from `code` and the three after it. Ties keep the earlier code.
fn consider(row: u32, code: u32, norms_of_four: vec4<f32>, products: vec4<f32>) {
    let distance = norms_of_four - 2.0 * products;
    for (var i = 0u; i < 4u; i++) {
        if (code + i < parameters.codes && distance[i] < best_distance[row]) {
            best_distance[row] = distance[i];
            best_code[row] = code + i;
        }
    }
}

fn consider_all(row: u32, code: u32, sums: mat4x4<f32>) {
    let at = parameters.first + min(vec4<u32>(code) + FOUR, vec4<u32>(parameters.codes - 1u));
    let four = vec4<f32>(norms[at.x], norms[at.y], norms[at.z], norms[at.w]);
    consider(row, code, four, sums[0]);
    consider(row + 1u, code, four, sums[1]);
    consider(row + 2u, code, four, sums[2]);
    consider(row + 3u, code, four, sums[3]);
}

@compute @workgroup_size(THREADS, 1, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = group.x + group.y * groups.x;
    let part = block % parameters.parts;
    let first_row = block / parameters.parts * ROWS;
    if (first_row >= parameters.rows) {
        return;
    }
    let own_row = thread / CODE_THREADS;
    let own_code = thread % CODE_THREADS;
    for (var i = 0u; i < 8u; i++) {
        best_distance[i] = FAR;
        best_code[i] = 0u;
    }
    for (var tile = 0u; tile < parameters.tiles; tile++) {
        let first_code = (part * parameters.tiles + tile) * CODES;
        // Sums for the upper and lower four rows, and each group of four codes.
        var uppers = array<mat4x4<f32>, GROUPS>();
        var lowers = array<mat4x4<f32>, GROUPS>();
        for (var channel = 0u; channel < parameters.channels; channel += DEPTH) {
            workgroupBarrier();
            gather_residuals(thread, first_row, channel);
            gather_codes(thread, first_code, channel);
            workgroupBarrier();
            for (var i = 0u; i < DEPTH; i++) {
                let upper = seen_residuals[i * 2u * ROW_THREADS + own_row];
                let lower = seen_residuals[i * 2u * ROW_THREADS + ROW_THREADS + own_row];
                for (var four = 0u; four < GROUPS; four++) {
                    let codes = seen_codes[(i * GROUPS + four) * CODE_THREADS + own_code];
                    uppers[four] = added(uppers[four], upper, codes);
                    lowers[four] = added(lowers[four], lower, codes);
                }
            }
        }
        for (var four = 0u; four < GROUPS; four++) {
            let code = first_code + 4u * (four * CODE_THREADS + own_code);
            consider_all(0u, code, uppers[four]);
            consider_all(4u, code, lowers[four]);
        }
    }

    for (var i = 0u; i < 8u; i++) {
        let row = i / 4u * 4u * ROW_THREADS + 4u * own_row + i % 4u;
        distances[row * CODE_THREADS + own_code] = best_distance[i];
        nearest_codes[row * CODE_THREADS + own_code] = best_code[i];
    }
    workgroupBarrier();
    if (thread >= ROWS || first_row + thread >= parameters.rows) {
        return;
    }
    var distance = FAR;
    var nearest_code = 0u;
    for (var i = thread * CODE_THREADS; i < (thread + 1u) * CODE_THREADS; i++) {
        let code = nearest_codes[i];
        if (distances[i] < distance || (distances[i] == distance && code < nearest_code)) {
            distance = distances[i];
            nearest_code = code;
        }
    }
    nearest[(first_row + thread) * parameters.parts + part] = vec2<u32>(bitcast<u32>(distance), nearest_code);
}
