// Mean and squared deviations of each part of the groups that shaders/group_norm_silu.wgsl normalizes.
//
// One workgroup handles one part, so that large groups occupy the whole device. It reads its part twice and
// takes deviations from the part's own mean, which keeps them accurate if the mean is large.
// Followed by shaders/shared/total.wgsl.

const THREADS = 256u;

struct Parameters {
    // Groups in all images.
    groups: u32,
    group_size: u32,
    // The last part of a group may be shorter.
    part_size: u32,
    parts: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
// The mean of each part and the sum of squared deviations from that mean.
@group(0) @binding(1) var<storage, read_write> statistics: array<vec2<f32>>;
@group(0) @binding(2) var<uniform> parameters: Parameters;

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
    let start = index % parameters.parts * parameters.part_size;
    let count = min(parameters.part_size, parameters.group_size - start);
    let first = index / parameters.parts * parameters.group_size + start;
    var sum = 0.0;
    for (var i = thread; i < count; i += THREADS) {
        sum += x[first + i];
    }
    let mean = total(thread, sum) / f32(count);
    var squares = 0.0;
    for (var i = thread; i < count; i += THREADS) {
        let deviation = x[first + i] - mean;
        squares += deviation * deviation;
    }
    let deviations = total(thread, squares);
    if (thread == 0u) {
        statistics[index] = vec2<f32>(mean, deviations);
    }
}
