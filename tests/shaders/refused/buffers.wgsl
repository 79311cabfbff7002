// Refused: The number of storage buffers (9) in the Compute stage exceeds the maximum per-stage limit (8)
@group(0) @binding(0) var<storage, read_write> buffer_0: array<f32>;
@group(0) @binding(1) var<storage, read_write> buffer_1: array<f32>;
@group(0) @binding(2) var<storage, read_write> buffer_2: array<f32>;
@group(0) @binding(3) var<storage, read_write> buffer_3: array<f32>;
@group(0) @binding(4) var<storage, read_write> buffer_4: array<f32>;
@group(0) @binding(5) var<storage, read_write> buffer_5: array<f32>;
@group(0) @binding(6) var<storage, read_write> buffer_6: array<f32>;
@group(0) @binding(7) var<storage, read_write> buffer_7: array<f32>;
@group(0) @binding(8) var<storage, read_write> buffer_8: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) index: u32) {
    buffer_0[index] = buffer_1[index] + buffer_2[index] + buffer_3[index] + buffer_4[index]
        + buffer_5[index] + buffer_6[index] + buffer_7[index] + buffer_8[index];
}
