// Refused: workgroup_size(257, 1, 1) that exceeds the maximum allowed (256, 256, 64)
@group(0) @binding(0) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(257)
fn main(@builtin(local_invocation_index) index: u32) {
    values[index] = 1.0;
}
