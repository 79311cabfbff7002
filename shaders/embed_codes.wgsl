// Looks up code embeddings. All depths share one table, each with its own range of rows. The result is the
// sum over depths, the running sum at each depth, or each embedding separately, optionally added to given
// rows. CPU reference: crates/kernels/src/cpu/embed_codes.rs.

const THREADS = 64u;

struct Parameters {
    rows: u32,
    // Codes in a row. The `depths` columns from `first_column` on are used.
    columns: u32,
    first_column: u32,
    // Depth of the first column used.
    first_depth: u32,
    depths: u32,
    channels: u32,
    // 0: sum, 1: running sums, 2: each separately.
    reading: u32,
    // Rows of `onto`, used cyclically; 0 if there are none.
    onto_rows: u32,
}

@group(0) @binding(0) var<storage, read_write> codes: array<i32>;
@group(0) @binding(1) var<storage, read_write> table: array<f32>;
// For each depth: the first row of its codes in the table, and their number.
@group(0) @binding(2) var<storage, read_write> places: array<vec2<i32>>;
@group(0) @binding(3) var<storage, read_write> onto: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> parameters: Parameters;

@compute @workgroup_size(THREADS, 1, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let blocks = (parameters.channels + THREADS - 1u) / THREADS;
    let block = group.x + group.y * groups.x;
    let row = block / blocks;
    let channel = block % blocks * THREADS + thread;
    if (row >= parameters.rows || channel >= parameters.channels) {
        return;
    }
    var start = 0.0;
    if (parameters.onto_rows > 0u) {
        start = onto[row % parameters.onto_rows * parameters.channels + channel];
    }
    var sum = start;
    for (var i = 0u; i < parameters.depths; i++) {
        let place = places[parameters.first_depth + i];
        // Clamped to the depth's own rows: -1 marks a code that could not be sampled.
        let code = clamp(codes[row * parameters.columns + parameters.first_column + i], 0, place.y - 1);
        let embedding = table[u32(place.x + code) * parameters.channels + channel];
        if (parameters.reading == 2u) {
            sum = start;
        }
        sum += embedding;
        if (parameters.reading != 0u) {
            y[(row * parameters.depths + i) * parameters.channels + channel] = sum;
        }
    }
    if (parameters.reading == 0u) {
        y[row * parameters.channels + channel] = sum;
    }
}
