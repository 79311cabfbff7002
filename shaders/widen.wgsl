// Converts half precision to single, two values per thread. For devices whose shaders don't support f16.

const THREADS = 256u;

struct Parameters {
    count: u32,
}

@group(0) @binding(0) var<storage, read_write> halves: array<u32>;
@group(0) @binding(1) var<storage, read_write> singles: array<f32>;
@group(0) @binding(2) var<uniform> parameters: Parameters;

@compute @workgroup_size(THREADS, 1, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let word = (group.x + group.y * groups.x) * THREADS + index;
    let first = 2u * word;
    if (first >= parameters.count) {
        return;
    }
    let pair = unpack2x16float(halves[word]);
    singles[first] = pair.x;
    if (first + 1u < parameters.count) {
        singles[first + 1u] = pair.y;
    }
}
