// Group normalization, optionally followed by SiLU. CPU reference: crates/kernels/src/cpu/group_norm.rs.
//
// One workgroup normalizes one part of a group. It first combines the statistics of all parts of the group,
// computed by shaders/group_norm_statistics.wgsl, with the method of Chan, Golub and LeVeque.
// Followed by shaders/shared/total.wgsl.

const THREADS = 256u;

// exp of this is finite, and dividing by it gives practically 0.
const LARGEST_EXPONENT = 80.0;

struct Parameters {
    // Groups in all images.
    groups: u32,
    group_size: u32,
    // The last part of a group may be shorter. At most `THREADS` parts.
    part_size: u32,
    parts: u32,
    channels: u32,
    // Pixels in a channel.
    spatial: u32,
    epsilon: f32,
    silu: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
// The mean of each part and the sum of squared deviations from that mean.
@group(0) @binding(1) var<storage, read_write> statistics: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(3) var<storage, read_write> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> parameters: Parameters;

fn part_count(part: u32) -> u32 {
    return min(parameters.part_size, parameters.group_size - part * parameters.part_size);
}

@compute @workgroup_size(THREADS, 1, 1)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = workgroup.x + workgroup.y * workgroups.x;
    if (index >= parameters.groups * parameters.parts) {
        return;
    }
    let group = index / parameters.parts;
    let size = f32(parameters.group_size);

    var own = vec2<f32>();
    var own_count = 0.0;
    if (thread < parameters.parts) {
        own = statistics[group * parameters.parts + thread];
        own_count = f32(part_count(thread));
    }
    let mean = total(thread, own.x * own_count) / size;
    let shift = own.x - mean;
    let variance = total(thread, own.y + own_count * shift * shift) / size;
    let scale = inverseSqrt(variance + parameters.epsilon);

    let part = index % parameters.parts;
    let first = group * parameters.group_size + part * parameters.part_size;
    let count = part_count(part);
    for (var i = thread; i < count; i += THREADS) {
        let at = first + i;
        let channel = at / parameters.spatial % parameters.channels;
        let value = (x[at] - mean) * (scale * gamma[channel]) + beta[channel];
        y[at] = select(value, value / (1.0 + exp(min(-value, LARGEST_EXPONENT))), parameters.silu != 0u);
    }
}
