// Converts 8-bit weights to single precision, four per thread. Four weights share a word, and eight words
// share a scale.

const THREADS = 256u;

struct Parameters {
    words: u32,
}

@group(0) @binding(0) var<storage, read_write> packed: array<u32>;
@group(0) @binding(1) var<storage, read_write> scales: array<f32>;
@group(0) @binding(2) var<storage, read_write> singles: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> parameters: Parameters;

@compute @workgroup_size(THREADS, 1, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let word = (group.x + group.y * groups.x) * THREADS + index;
    if (word >= parameters.words) {
        return;
    }
    // Shifts each byte to the top and back down, which extends its sign.
    let numbers = vec4<i32>(vec4<u32>(packed[word]) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
    singles[word] = scales[word / 8u] * vec4<f32>(numbers);
}
