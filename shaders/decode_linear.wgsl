// A linear layer over a few rows, for decoding. CPU reference: crates/kernels/src/cpu/linear.rs.
// Followed by shaders/shared/few_rows.wgsl and shaders/shared/activated.wgsl.

@group(0) @binding(4) var<uniform> parameters: Parameters;

fn prepare(index: u32) {
}

// Chunk `at` of a row's inputs.
fn input(row: u32, at: u32) -> Chunk {
    return x[row * parameters.loads * PIECES + at];
}
