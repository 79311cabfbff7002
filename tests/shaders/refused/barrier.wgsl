// Refused: 'workgroupBarrier' must only be called from uniform control flow
@group(0) @binding(0) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) index: u32) {
    if (values[index] > 0.0) {
        workgroupBarrier();
    }
    values[index] = 1.0;
}
