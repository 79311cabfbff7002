
// Shared by linear layers over a few rows. Reading the weights dominates the time, so every weight is read once and
// multiplied with all rows. The shader defines `prepare`, which all threads call first, and `input`, a chunk of a row.
//
// A workgroup consists of several teams. A team's threads split the inputs and hold partial sums of a few outputs,
// which are added up in workgroup memory at the end. The summation order depends only on the number of inputs, so a
// row's result does not depend on the other rows.

const THREADS = 256u;
const TEAMS = THREADS / LANES;
// Partial sums that one thread adds at a time. LANES and THREADS are powers of FOLD.
const FOLD = 4u;

// crates/kernels/src/cube/linear.rs replaces these constants, types and function bodies to suit the layer and the
// device.
const ROWS = 1u;
const OUTPUTS = 4u;
// Threads of a team.
const LANES = 16u;
// Lanes that read a segment of a row together. On a GPU that is the whole team; a software rasterizer, whose vectors
// are this long, reads sequentially.
const RUN = 8u;
// Chunks in what one load reads.
const PIECES = 1u;
alias Stored = vec4<f32>;
alias Chunk = vec4<f32>;

// Widens a piece of the weights stored at index `at`.
fn widened(stored: Stored, piece: u32, at: u32) -> Chunk {
    return stored;
}

fn total(chunk: Chunk) -> f32 {
    return (chunk.x + chunk.y) + (chunk.z + chunk.w);
}

struct Parameters {
    outputs: u32,
    // Loads that read a row of weights.
    loads: u32,
    activation: u32,
    // 1 if `y` holds a residual to add to.
    onto: u32,
    // Added to the variance of a row that is normalized.
    epsilon: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<Chunk>;
@group(0) @binding(1) var<storage, read_write> weights: array<Stored>;
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const SUMS = ROWS * OUTPUTS;

// Indexed by sum, team and lane.
var<workgroup> partial: array<f32, SUMS * THREADS>;

// Computes the thread's partial sums for the outputs from `first` on. Outputs past the end repeat the last
// one.
fn accumulate(first: u32, index: u32) {
    var starts: array<u32, OUTPUTS>;
    for (var o = 0u; o < OUTPUTS; o++) {
        starts[o] = min(first + o, parameters.outputs - 1u) * parameters.loads;
    }
    var sums: array<Chunk, SUMS>;
    let lane = index % LANES;
    let segment = (parameters.loads + LANES - 1u) / LANES * RUN;
    let start = lane / RUN * segment;
    let end = min(start + segment, parameters.loads);
    for (var i = start + lane % RUN; i < end; i += RUN) {
        var stored: array<Stored, OUTPUTS>;
        for (var o = 0u; o < OUTPUTS; o++) {
            stored[o] = weights[starts[o] + i];
        }
        for (var piece = 0u; piece < PIECES; piece++) {
            var w: array<Chunk, OUTPUTS>;
            for (var o = 0u; o < OUTPUTS; o++) {
                w[o] = widened(stored[o], piece, starts[o] + i);
            }
            for (var row = 0u; row < ROWS; row++) {
                let inputs = input(row, i * PIECES + piece);
                for (var o = 0u; o < OUTPUTS; o++) {
                    sums[row * OUTPUTS + o] = fma(inputs, w[o], sums[row * OUTPUTS + o]);
                }
            }
        }
    }
    for (var sum = 0u; sum < SUMS; sum++) {
        partial[sum * THREADS + index] = total(sums[sum]);
    }
}

// Adds up each of `count` groups of `size` partial sums. Each group's sum replaces its first.
fn fold(index: u32, count: u32, size: u32) {
    for (var width = size / FOLD; width > 0u; width /= FOLD) {
        workgroupBarrier();
        for (var i = index; i < count * width; i += THREADS) {
            let at = i / width * size + i % width;
            var sum = partial[at];
            for (var k = 1u; k < FOLD; k++) {
                sum += partial[at + k * width];
            }
            partial[at] = sum;
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(THREADS, 1, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let first = (group.x + group.y * groups.x) * TEAMS * OUTPUTS;
    if (first >= parameters.outputs) {
        return;
    }
    prepare(index);
    accumulate(first + index / LANES * OUTPUTS, index);
    fold(index, SUMS * TEAMS, LANES);
    let output = first + index % (TEAMS * OUTPUTS);
    let row = index / (TEAMS * OUTPUTS);
    if (row >= ROWS || output >= parameters.outputs) {
        return;
    }
    let team = (output - first) / OUTPUTS;
    let sum = row * OUTPUTS + (output - first) % OUTPUTS;
    let at = row * parameters.outputs + output;
    var result = activated(partial[sum * THREADS + team * LANES] + bias[output]);
    if (parameters.onto == 1u) {
        result += y[at];
    }
    y[at] = result;
}
