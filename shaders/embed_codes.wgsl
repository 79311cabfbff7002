// Embeddings of codes, each depth's from its own rows of one table: their sum over the depths, the sums so far at each
// depth, or each by itself; from nothing or onto some rows. The twin is src/kernels/cpu/embed_codes.rs.

const THREADS = 64u;

struct Parameters {
    rows: u32,
    // Codes in a row, of which those of `depths` columns are taken from `first_column` on.
    columns: u32,
    first_column: u32,
    // Of the first of them.
    first_depth: u32,
    depths: u32,
    channels: u32,
    // 0 the sum, 1 the sums so far, 2 each.
    reading: u32,
    // Rows of `onto`, taken by turns; 0 for none.
    onto_rows: u32,
}

@group(0) @binding(0) var<storage, read_write> codes: array<i32>;
@group(0) @binding(1) var<storage, read_write> table: array<f32>;
// Of each depth, where its codes begin in the table and how many there are.
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
        // No code reads what is not its depth's: -1 stands for one that could not be drawn.
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
