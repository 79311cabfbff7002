// Layer normalization of a few rows and then a linear layer, for decoding. CPU references:
// crates/kernels/src/cpu/layer_norm.rs and linear.rs.
//
// Each workgroup computes mean and variance of the rows for itself, which is faster than another launch.
// Followed by shaders/shared/few_rows.wgsl and shaders/shared/activated.wgsl.

@group(0) @binding(4) var<storage, read_write> gamma: array<Chunk>;
@group(0) @binding(5) var<storage, read_write> beta: array<Chunk>;
@group(0) @binding(6) var<uniform> parameters: Parameters;

// For each row.
var<private> means: array<f32, ROWS>;
var<private> factors: array<f32, ROWS>;

fn prepare(index: u32) {
    let chunks = parameters.loads * PIECES;
    let count = f32(4u * chunks);
    for (var row = 0u; row < ROWS; row++) {
        var sum = vec4<f32>(0.0);
        for (var i = index; i < chunks; i += THREADS) {
            sum += x[row * chunks + i];
        }
        partial[row * THREADS + index] = total(sum);
    }
    fold(index, ROWS, THREADS);
    for (var row = 0u; row < ROWS; row++) {
        means[row] = partial[row * THREADS] / count;
    }
    workgroupBarrier();
    for (var row = 0u; row < ROWS; row++) {
        var sum = vec4<f32>(0.0);
        for (var i = index; i < chunks; i += THREADS) {
            let difference = x[row * chunks + i] - means[row];
            sum += difference * difference;
        }
        partial[row * THREADS + index] = total(sum);
    }
    fold(index, ROWS, THREADS);
    for (var row = 0u; row < ROWS; row++) {
        factors[row] = 1.0 / sqrt(partial[row * THREADS] / count + parameters.epsilon);
    }
    // The partial sums are overwritten next.
    workgroupBarrier();
}

// Chunk `at` of a row's normalized inputs.
fn input(row: u32, at: u32) -> Chunk {
    let own = x[row * parameters.loads * PIECES + at];
    return (own - means[row]) * factors[row] * gamma[at] + beta[at];
}
