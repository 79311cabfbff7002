// The second half of residual quantization at one depth, one workgroup per residual: picks the nearest code
// over all parts (from shaders/residual_quantize.wgsl), then updates the residual and the running sum of
// embeddings. CPU reference: crates/kernels/src/cpu/residual_quantize.rs.

const THREADS = 64u;

const FAR = 0x1.fffffep+127;

struct Parameters {
    rows: u32,
    channels: u32,
    depths: u32,
    depth: u32,
    // First row of this depth's codes in the table.
    first: u32,
    parts: u32,
}

@group(0) @binding(0) var<storage, read_write> nearest: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read_write> table: array<f32>;
@group(0) @binding(2) var<storage, read_write> residuals: array<f32>;
// `[depths, rows, channels]`.
@group(0) @binding(3) var<storage, read_write> partial_sums: array<f32>;
// `[rows, depths]`.
@group(0) @binding(4) var<storage, read_write> codes: array<i32>;
// Squared norms of the residuals, `[rows, depths]`.
@group(0) @binding(5) var<storage, read_write> squares: array<f32>;
@group(0) @binding(6) var<uniform> parameters: Parameters;

var<workgroup> distances: array<f32, THREADS>;
var<workgroup> nearest_codes: array<u32, THREADS>;
var<workgroup> partial: array<f32, THREADS>;

// The nearest code to a row, the lowest on a tie. The same for all threads.
fn nearest_of(row: u32, thread: u32) -> u32 {
    var distance = FAR;
    var code = 0u;
    for (var part = thread; part < parameters.parts; part += THREADS) {
        let found = nearest[row * parameters.parts + part];
        // A thread visits its parts in order of their codes.
        if (bitcast<f32>(found.x) < distance) {
            distance = bitcast<f32>(found.x);
            code = found.y;
        }
    }
    distances[thread] = distance;
    nearest_codes[thread] = code;
    for (var width = THREADS / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if (thread < width) {
            let other = thread + width;
            let nearer = distances[other] < distances[thread];
            let equal = distances[other] == distances[thread] && nearest_codes[other] < nearest_codes[thread];
            if (nearer || equal) {
                distances[thread] = distances[other];
                nearest_codes[thread] = nearest_codes[other];
            }
        }
    }
    return workgroupUniformLoad(&nearest_codes[0]);
}

fn total(sum: f32, thread: u32) -> f32 {
    partial[thread] = sum;
    for (var width = THREADS / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if (thread < width) {
            partial[thread] += partial[thread + width];
        }
    }
    return partial[0];
}

@compute @workgroup_size(THREADS, 1, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.x + group.y * groups.x;
    if (row >= parameters.rows) {
        return;
    }
    let code = nearest_of(row, thread);
    let layer = parameters.rows * parameters.channels;
    var square = 0.0;
    for (var channel = thread; channel < parameters.channels; channel += THREADS) {
        let at = row * parameters.channels + channel;
        let embedding = table[(parameters.first + code) * parameters.channels + channel];
        var sum = embedding;
        if (parameters.depth > 0u) {
            sum += partial_sums[(parameters.depth - 1u) * layer + at];
        }
        partial_sums[parameters.depth * layer + at] = sum;
        let residual = residuals[at] - embedding;
        residuals[at] = residual;
        square += residual * residual;
    }
    square = total(square, thread);
    if (thread == 0u) {
        codes[row * parameters.depths + parameters.depth] = i32(code);
        squares[row * parameters.depths + parameters.depth] = square;
    }
}
