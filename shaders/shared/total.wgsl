
// Shared by shaders with `THREADS` threads, a power of four.
var<workgroup> partial: array<f32, THREADS>;

// The sum of `x` over all threads.
fn total(thread: u32, x: f32) -> f32 {
    partial[thread] = x;
    for (var width = THREADS / 4u; width > 0u; width /= 4u) {
        workgroupBarrier();
        if (thread < width) {
            let others = partial[thread + 2u * width] + partial[thread + 3u * width];
            partial[thread] = (partial[thread] + partial[thread + width]) + others;
        }
    }
    return workgroupUniformLoad(&partial[0]);
}
