// Layer normalization, one row per workgroup. CPU reference: crates/kernels/src/cpu/layer_norm.rs.
// Followed by shaders/shared/total.wgsl.

const THREADS = 256u;

struct Parameters {
    rows: u32,
    width: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(2) var<storage, read_write> beta: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> parameters: Parameters;

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
    let start = row * parameters.width;
    let count = f32(parameters.width);
    var sum = 0.0;
    for (var i = thread; i < parameters.width; i += THREADS) {
        sum += x[start + i];
    }
    let mean = total(thread, sum) / count;
    var squares = 0.0;
    for (var i = thread; i < parameters.width; i += THREADS) {
        let difference = x[start + i] - mean;
        squares += difference * difference;
    }
    let scale = 1.0 / sqrt(total(thread, squares) / count + parameters.epsilon);
    for (var i = thread; i < parameters.width; i += THREADS) {
        y[start + i] = (x[start + i] - mean) * scale * gamma[i] + beta[i];
    }
}
