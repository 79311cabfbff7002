// Samples one code per row, by the rules of crates/core/src/sampling/filter.rs. CPU reference:
// crates/kernels/src/cpu/sample_token.rs.
//
// One workgroup handles one row. Nothing is sorted: the k-th largest logit, the top-p cutoff and the sampled
// code are each found by bisection, with a count or a sum over the row at every step. Sums of non-negative
// floats in a fixed order grow with their terms even when rounded, so each bisected quantity is monotonic.
// Loops around barriers run a number of steps that depends only on uniforms: Direct3D's older compiler
// rejects others.
// Followed by shaders/shared/total.wgsl.

const THREADS = 256u;

// Bits above those of any weight: weights are at most 1, apart from rounding in `exp`.
const ABOVE_ALL_WEIGHTS = 0x40000000u;
// Weights below exp of this are subnormal and count as 0.
const SMALLEST_EXPONENT = -87.0;

const INFINITY_BITS = 0x7f800000u;
const INFINITY_RANK = 0xff800000u;
const ZERO_RANK = 0x80000000u;

struct Parameters {
    rows: u32,
    classes: u32,
    seed_low: u32,
    seed_high: u32,
    first_image: u32,
    // The distance from each image's number to the next.
    image_step: u32,
    place: u32,
    // After every `images` rows, the place advances by `stride`.
    images: u32,
    stride: u32,
    // 0 keeps all; otherwise at most `classes`.
    top_k: u32,
    // 0 picks the most likely code; never subnormal.
    temperature: f32,
    // 0 keeps all; never subnormal.
    top_p: f32,
}

// As the bits of f32: shader arithmetic may not handle NaN and infinity.
@group(0) @binding(0) var<storage, read_write> logits: array<u32>;
@group(0) @binding(1) var<storage, read_write> codes: array<i32>;
@group(0) @binding(2) var<uniform> parameters: Parameters;

var<workgroup> words: array<u32, THREADS>;

var<private> thread: u32;
var<private> row_start: u32;
// Top-k keeps codes of this rank and above.
var<private> lowest_rank: u32;
// The largest logit.
var<private> largest: f32;
// Top-p keeps codes whose weight bits exceed `cut`, and codes whose weight bits equal `cut` and whose index
// is below `tie_end`.
var<private> cut: u32;
var<private> tie_end: u32;

fn total_count(count: u32) -> u32 {
    words[thread] = count;
    for (var width = THREADS / 4u; width > 0u; width /= 4u) {
        workgroupBarrier();
        if (thread < width) {
            words[thread] += words[thread + width] + words[thread + 2u * width] + words[thread + 3u * width];
        }
    }
    return workgroupUniformLoad(&words[0]);
}

fn maximum(word: u32) -> u32 {
    words[thread] = word;
    for (var width = THREADS / 4u; width > 0u; width /= 4u) {
        workgroupBarrier();
        if (thread < width) {
            let others = max(words[thread + 2u * width], words[thread + 3u * width]);
            words[thread] = max(max(words[thread], words[thread + width]), others);
        }
    }
    return workgroupUniformLoad(&words[0]);
}

// An integer key that orders logits; 0 for NaN and minus infinity, which are never sampled.
fn rank(i: u32) -> u32 {
    let bits = logits[row_start + i];
    let magnitude = bits & 0x7fffffffu;
    let negative = bits != magnitude;
    if (magnitude > INFINITY_BITS || (negative && magnitude == INFINITY_BITS)) {
        return 0u;
    }
    if (magnitude == 0u) {
        return ZERO_RANK;
    }
    return select(bits | 0x80000000u, ~bits, negative);
}

// The unnormalized probability of code `i`; 0 if top-k drops it.
fn weight(i: u32) -> f32 {
    if (rank(i) < lowest_rank) {
        return 0.0;
    }
    let exponent = (bitcast<f32>(logits[row_start + i]) - largest) / parameters.temperature;
    if (exponent < SMALLEST_EXPONENT) {
        return 0.0;
    }
    return exp(exponent);
}

fn is_kept(i: u32, weight_bits: u32) -> bool {
    return weight_bits > cut || (weight_bits == cut && i < tie_end);
}

// The sum of the weights kept below index `end`.
fn kept_mass(end: u32) -> f32 {
    var sum = 0.0;
    for (var i = thread; i < end; i += THREADS) {
        let w = weight(i);
        sum += select(0.0, w, is_kept(i, bitcast<u32>(w)));
    }
    return total(thread, sum);
}

fn largest_rank() -> u32 {
    var found = 0u;
    for (var i = thread; i < parameters.classes; i += THREADS) {
        found = max(found, rank(i));
    }
    return maximum(found);
}

fn first_of_rank(wanted: u32) -> u32 {
    var found = 0u;
    for (var i = thread; i < parameters.classes; i += THREADS) {
        if (rank(i) == wanted) {
            found = max(found, parameters.classes - i);
        }
    }
    return parameters.classes - maximum(found);
}

fn count_from_rank(least: u32) -> u32 {
    var count = 0u;
    for (var i = thread; i < parameters.classes; i += THREADS) {
        count += select(0u, 1u, rank(i) >= least);
    }
    return total_count(count);
}

fn count_of_weight(bits: u32, end: u32) -> u32 {
    var count = 0u;
    for (var i = thread; i < end; i += THREADS) {
        count += select(0u, 1u, bitcast<u32>(weight(i)) == bits);
    }
    return total_count(count);
}

fn last_kept() -> u32 {
    var found = 0u;
    for (var i = thread; i < parameters.classes; i += THREADS) {
        if (is_kept(i, bitcast<u32>(weight(i)))) {
            found = i;
        }
    }
    return maximum(found);
}

// The rank of the k-th largest logit. At least 1, which excludes codes that are never sampled.
fn rank_of_kth(top: u32) -> u32 {
    var low = 1u;
    if (parameters.top_k == 0u) {
        return low;
    }
    var high = top;
    for (var step = 0u; step < 32u; step++) {
        let middle = high - (high - low) / 2u;
        if (count_from_rank(middle) >= parameters.top_k) {
            low = middle;
        } else if (low < high) {
            high = middle - 1u;
        }
    }
    return low;
}

// Sets `cut` and `tie_end` so that a code is kept if the weights of likelier codes, and of equally likely
// codes with a lower index, sum to less than `limit`.
fn keep_likeliest(limit: f32) {
    var low = 0u;
    var high = ABOVE_ALL_WEIGHTS;
    for (var step = 0u; step < 31u; step++) {
        let middle = low + (high - low) / 2u;
        cut = middle;
        if (kept_mass(parameters.classes) < limit) {
            high = middle;
        } else if (low < high) {
            low = middle + 1u;
        }
    }
    cut = low;
    let tied = bitcast<f32>(low);
    let above = kept_mass(parameters.classes);
    var first = 0u;
    var end = parameters.classes;
    for (var step = 0u; (parameters.classes >> step) > 0u; step++) {
        let middle = first + (end - first) / 2u;
        if (above + tied * f32(count_of_weight(low, middle)) >= limit) {
            end = middle;
        } else if (first < end) {
            first = middle + 1u;
        }
    }
    tie_end = first;
}

// The first code at which the cumulative kept weight exceeds `bound`.
fn code_at(bound: f32) -> u32 {
    var low = 0u;
    var high = last_kept();
    for (var step = 0u; (parameters.classes >> step) > 0u; step++) {
        let middle = low + (high - low) / 2u;
        if (kept_mass(middle + 1u) > bound) {
            high = middle;
        } else if (low < high) {
            low = middle + 1u;
        }
    }
    return low;
}

// As in crates/core/src/random.rs: the first word of PCG4D as a number in [0, 1) with 24 bits.
fn code_uniform(row: u32) -> f32 {
    let image = parameters.first_image + row % parameters.images * parameters.image_step;
    let place = parameters.place + row / parameters.images * parameters.stride;
    var v = vec4<u32>(parameters.seed_low, parameters.seed_high, image, place);
    v = mix_words(v * 1664525u + 1013904223u);
    v = mix_words(v ^ (v >> vec4<u32>(16u)));
    return f32(v.x >> 8u) / 16777216.0;
}

fn mix_words(before: vec4<u32>) -> vec4<u32> {
    var v = before;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
}

fn draw(row: u32) -> i32 {
    let top = largest_rank();
    let best = first_of_rank(top);
    var code = best;
    if (parameters.temperature > 0.0) {
        largest = bitcast<f32>(logits[row_start + best]);
        lowest_rank = rank_of_kth(top);
        cut = 0u;
        tie_end = 0u;
        if (parameters.top_p > 0.0) {
            keep_likeliest(parameters.top_p * kept_mass(parameters.classes));
        }
        let drawn = code_at(code_uniform(row) * kept_mass(parameters.classes));
        // Relative to an infinite weight, all others vanish.
        code = select(drawn, best, top == INFINITY_RANK);
    }
    return select(i32(code), -1, top == 0u);
}

@compute @workgroup_size(THREADS, 1, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let row = group.x + group.y * groups.x;
    if (row >= parameters.rows) {
        return;
    }
    thread = index;
    row_start = row * parameters.classes;
    let code = draw(row);
    if (thread == 0u) {
        codes[row] = code;
    }
}
