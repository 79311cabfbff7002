// Causal attention from one new position to a KV cache. The new key and value are written to the cache first.
// CPU reference: crates/kernels/src/cpu/attention.rs.
//
// One workgroup computes one head of one sequence.
// Followed by shaders/shared/total.wgsl.

const THREADS = 256u;
// Larger heads and caches take another path: see crates/kernels/src/cube/attention.rs.
const LARGEST_HEAD = 256u;
const MOST_POSITIONS = 3072u;
// Below every score.
const LOWEST = -3.4028234e38;

struct Parameters {
    // Heads in all sequences.
    heads_in_all: u32,
    // Heads in one sequence.
    heads: u32,
    head_dim: u32,
    capacity: u32,
    position: u32,
    scale: f32,
}

// Each sequence's query, key and value, concatenated.
@group(0) @binding(0) var<storage, read_write> qkv: array<f32>;
// For each head, its dimensions by positions. A thread computes the score of one position, so adjacent threads
// read adjacent elements.
@group(0) @binding(1) var<storage, read_write> keys: array<f32>;
// For each head, positions by its dimensions: here, a thread sums one dimension.
@group(0) @binding(2) var<storage, read_write> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> parameters: Parameters;

var<workgroup> query: array<f32, LARGEST_HEAD>;
var<workgroup> weights: array<f32, MOST_POSITIONS>;

var<private> thread: u32;
// Start of this head's part of the caches.
var<private> cache_start: u32;

fn maximum(x: f32) -> f32 {
    partial[thread] = x;
    for (var width = THREADS / 4u; width > 0u; width /= 4u) {
        workgroupBarrier();
        if (thread < width) {
            let others = max(partial[thread + 2u * width], partial[thread + 3u * width]);
            partial[thread] = max(max(partial[thread], partial[thread + width]), others);
        }
    }
    return workgroupUniformLoad(&partial[0]);
}

// Loads and scales the new query, and writes the new key and value to the cache.
fn take(head: u32) {
    let head_dim = parameters.head_dim;
    let width = parameters.heads * head_dim;
    let start = head / parameters.heads * 3u * width + head % parameters.heads * head_dim;
    for (var i = thread; i < head_dim; i += THREADS) {
        query[i] = qkv[start + i] * parameters.scale;
        keys[cache_start + i * parameters.capacity + parameters.position] = qkv[start + width + i];
        values[cache_start + parameters.position * head_dim + i] = qkv[start + 2u * width + i];
    }
    storageBarrier();
    workgroupBarrier();
}

// The dot product of the query and the key at `position`.
fn score(position: u32) -> f32 {
    var at = cache_start + position;
    var sum = 0.0;
    for (var i = 0u; i < parameters.head_dim; i++) {
        sum = fma(query[i], keys[at], sum);
        at += parameters.capacity;
    }
    return sum;
}

// Computes the unnormalized attention weights and returns their sum.
fn weigh() -> f32 {
    var largest = LOWEST;
    for (var p = thread; p <= parameters.position; p += THREADS) {
        weights[p] = score(p);
        largest = max(largest, weights[p]);
    }
    largest = maximum(largest);
    var sum = 0.0;
    for (var p = thread; p <= parameters.position; p += THREADS) {
        weights[p] = exp(max(weights[p] - largest, -87.0));
        sum += weights[p];
    }
    return total(thread, sum);
}

// The thread's share of the weighted sum of values: one column, every `step`th position.
fn mix(column: u32, start: u32, step: u32) -> f32 {
    var sum = 0.0;
    for (var p = start; p <= parameters.position; p += step) {
        sum = fma(weights[p], values[cache_start + p * parameters.head_dim + column], sum);
    }
    return sum;
}

@compute @workgroup_size(THREADS, 1, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let head = group.x + group.y * groups.x;
    if (head >= parameters.heads_in_all) {
        return;
    }
    thread = index;
    let head_dim = parameters.head_dim;
    cache_start = head * parameters.capacity * head_dim;
    take(head);
    let sum = weigh();
    let teams = THREADS / head_dim;
    if (index < teams * head_dim) {
        partial[index] = mix(index % head_dim, index / head_dim, teams);
    }
    workgroupBarrier();
    if (index < head_dim) {
        var mixed = partial[index];
        for (var team = 1u; team < teams; team++) {
            mixed += partial[team * head_dim + index];
        }
        y[head * head_dim + index] = mixed / sum;
    }
}
