// A linear layer over dozens of rows, for decoding in batches. CPU reference: crates/kernels/src/cpu/linear.rs.
//
// A workgroup computes a tile of the result. It loads `DEPTH` inputs of its rows, and the weights of its outputs for
// these inputs, into workgroup memory at a time. Four teams of threads share the inputs, and each thread sums 4 rows by
// 4 outputs. The teams' sums are added up at the end. Every tile size sums an element in the same order, so the result
// does not depend on the other rows.
// Followed by shaders/shared/activated.wgsl and shaders/shared/added.wgsl.

// crates/kernels/src/cube/tiled_linear.rs replaces these constants, the type and the function body to suit the layer.
const ROW_THREADS = 8u;
const COLUMN_THREADS = 8u;
const DEPTH = 32u;
alias Stored = vec4<f32>;

// Four weights of an output, or four inputs of a row.
alias Chunk = vec4<f32>;

// Widens the weights stored at index `at`.
fn widened(stored: Stored, at: u32) -> Chunk {
    return stored;
}

const TEAMS = 4u;
const TEAM = ROW_THREADS * COLUMN_THREADS;
const THREADS = TEAMS * TEAM;
const ROWS = 4u * ROW_THREADS;
const COLUMNS = 4u * COLUMN_THREADS;
const CHUNKS = DEPTH / 4u;

struct Parameters {
    rows: u32,
    outputs: u32,
    // Chunks in a row.
    chunks: u32,
    activation: u32,
    // 1 if `y` holds a residual to add to.
    onto: u32,
    // The launch's first tile.
    first: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<Chunk>;
@group(0) @binding(1) var<storage, read_write> weights: array<Stored>;
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> parameters: Parameters;

// First the inputs, indexed by position and four rows, and the weights, indexed by position and four outputs. In the
// end, partial sums, indexed by team, row and four outputs.
const OF_WEIGHTS = DEPTH * ROW_THREADS;
var<workgroup> seen: array<vec4<f32>, max(OF_WEIGHTS + DEPTH * COLUMN_THREADS, TEAMS * ROWS * COLUMN_THREADS)>;

const FOUR = vec4<u32>(0u, 1u, 2u, 3u);

// Rows past the last one repeat it; their results are not written.
fn gather_rows(thread: u32, first_row: u32, first_chunk: u32) {
    for (var i = thread; i < CHUNKS * ROW_THREADS; i += THREADS) {
        let chunk = first_chunk + i % CHUNKS;
        let row = min(first_row + i / CHUNKS * 4u + FOUR, vec4<u32>(parameters.rows - 1u));
        let at = row * parameters.chunks + min(chunk, parameters.chunks - 1u);
        var block = transpose(mat4x4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]));
        if (chunk >= parameters.chunks) {
            block = mat4x4<f32>();
        }
        let slot = i % CHUNKS * 4u * ROW_THREADS + i / CHUNKS;
        seen[slot] = block[0];
        seen[slot + ROW_THREADS] = block[1];
        seen[slot + 2u * ROW_THREADS] = block[2];
        seen[slot + 3u * ROW_THREADS] = block[3];
    }
}

// The same for outputs and their weights.
fn gather_weights(thread: u32, first_column: u32, first_chunk: u32) {
    for (var i = thread; i < CHUNKS * COLUMN_THREADS; i += THREADS) {
        let chunk = first_chunk + i % CHUNKS;
        let output = min(first_column + i / CHUNKS * 4u + FOUR, vec4<u32>(parameters.outputs - 1u));
        let at = output * parameters.chunks + min(chunk, parameters.chunks - 1u);
        var block = transpose(mat4x4<f32>(
            widened(weights[at.x], at.x),
            widened(weights[at.y], at.y),
            widened(weights[at.z], at.z),
            widened(weights[at.w], at.w),
        ));
        if (chunk >= parameters.chunks) {
            block = mat4x4<f32>();
        }
        let slot = OF_WEIGHTS + i % CHUNKS * 4u * COLUMN_THREADS + i / CHUNKS;
        seen[slot] = block[0];
        seen[slot + COLUMN_THREADS] = block[1];
        seen[slot + 2u * COLUMN_THREADS] = block[2];
        seen[slot + 3u * COLUMN_THREADS] = block[3];
    }
}

@compute @workgroup_size(THREADS, 1, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tile = parameters.first + group.x;
    let column_tiles = (parameters.outputs + COLUMNS - 1u) / COLUMNS;
    let first_row = tile / column_tiles * ROWS;
    let first_column = tile % column_tiles * COLUMNS;
    if (first_row >= parameters.rows) {
        return;
    }
    let team = thread / TEAM;
    let own_row = thread % TEAM / COLUMN_THREADS;
    let own_column = thread % COLUMN_THREADS;
    var sums = mat4x4<f32>();
    for (var chunk = 0u; chunk < parameters.chunks; chunk += CHUNKS) {
        workgroupBarrier();
        gather_rows(thread, first_row, chunk);
        gather_weights(thread, first_column, chunk);
        workgroupBarrier();
        for (var i = team; i < DEPTH; i += TEAMS) {
            let columns = seen[OF_WEIGHTS + i * COLUMN_THREADS + own_column];
            sums = added(sums, seen[i * ROW_THREADS + own_row], columns);
        }
    }
    workgroupBarrier();
    let slot = (team * ROWS + 4u * own_row) * COLUMN_THREADS + own_column;
    seen[slot] = sums[0];
    seen[slot + COLUMN_THREADS] = sums[1];
    seen[slot + 2u * COLUMN_THREADS] = sums[2];
    seen[slot + 3u * COLUMN_THREADS] = sums[3];
    workgroupBarrier();
    // There are as many threads as groups of four outputs in the tile.
    var sum = seen[thread];
    for (var other = 1u; other < TEAMS; other++) {
        sum += seen[other * ROWS * COLUMN_THREADS + thread];
    }
    let row = first_row + thread / COLUMN_THREADS;
    let column = first_column + own_column * 4u;
    if (row >= parameters.rows) {
        return;
    }
    for (var i = 0u; i < 4u; i++) {
        if (column + i < parameters.outputs) {
            let at = row * parameters.outputs + column + i;
            var result = activated(sum[i] + bias[column + i]);
            if (parameters.onto == 1u) {
                result += y[at];
            }
            y[at] = result;
        }
    }
}
