// Refused: The total use of workgroup storage (16400 bytes) is larger than the maximum allowed (16384 bytes)
@group(0) @binding(0) var<storage, read_write> values: array<f32>;
var<workgroup> shared_values: array<f32, 4097>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) index: u32) {
    shared_values[index] = values[index];
    workgroupBarrier();
    values[index] = shared_values[63u - index];
}
