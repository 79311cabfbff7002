// Samples one code per row, by the rules of crates/core/src/sampling/filter.rs. CPU reference:
// crates/kernels/src/cpu/sample_token.rs.
//
// One workgroup handles one row. Nothing is sorted: the k-th largest logit and the top-p cutoff are each found
// eight bits at a time, from the highest, with a histogram over the row at every step. A code at a given sum is
// found from the sums of as many stretches of the row as there are threads, and then within one stretch. With
// top-k and top-p, the row is read 11 times.
// Weights are added as whole numbers, whose sums are the same in any order. Every comparison of sums is thus
// consistent with the others.
// Loops around barriers run a number of steps that depends only on constants: Direct3D's older compiler rejects
// others.

// Also the number of values of eight bits.
const THREADS = 256u;

// Units of a weight of 1. A row has at most 65,536 codes, so that the sums of both digits fit in 32 bits.
const UNITS = 1073741824.0;
// A digit of an amount.
const DIGIT_BITS = 15u;
const DIGIT = 32768u;

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
    // Codes in a row of `codes`, and which of them is sampled.
    columns: u32,
    column: u32,
}

// As the bits of f32: shader arithmetic may not handle NaN and infinity.
@group(0) @binding(0) var<storage, read_write> logits: array<u32>;
@group(0) @binding(1) var<storage, read_write> codes: array<i32>;
@group(0) @binding(2) var<uniform> parameters: Parameters;

var<workgroup> words: array<u32, THREADS>;
// Amounts by the value of eight bits of their key: sums of the high and of the low digits.
var<workgroup> high_sums: array<atomic<u32>, THREADS>;
var<workgroup> low_sums: array<atomic<u32>, THREADS>;
// Running sums over the threads.
var<workgroup> sums: array<vec2<u32>, THREADS>;
// What one thread found for all.
var<workgroup> found: vec3<u32>;

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

// An amount is a high and a low digit. This carries what exceeds the low one.
fn carried(amount: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(amount.x + (amount.y >> DIGIT_BITS), amount.y % DIGIT);
}

fn plus(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return carried(a + b);
}

// Grows with the amount even when rounded.
fn value(amount: vec2<u32>) -> f32 {
    return f32(amount.x) * f32(DIGIT) + f32(amount.y);
}

fn amount_of(weight: f32) -> vec2<u32> {
    return carried(vec2<u32>(0u, u32(weight * UNITS + 0.5)));
}

// The sum of `own` over all threads before this one. Afterwards, `sums` ends with the sum over all threads.
fn sum_before(own: vec2<u32>) -> vec2<u32> {
    sums[thread] = own;
    for (var width = 1u; width < THREADS; width *= 2u) {
        workgroupBarrier();
        var sum = sums[thread];
        if (thread >= width) {
            sum = plus(sum, sums[thread - width]);
        }
        workgroupBarrier();
        sums[thread] = sum;
    }
    workgroupBarrier();
    return select(vec2<u32>(0u), sums[max(thread, 1u) - 1u], thread > 0u);
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

struct Best {
    rank: u32,
    // The first code of this rank.
    code: u32,
}

fn best_code() -> Best {
    var own = Best(0u, parameters.classes);
    for (var i = thread; i < parameters.classes; i += THREADS) {
        let other = rank(i);
        if (other > own.rank || own.code == parameters.classes) {
            own = Best(other, i);
        }
    }
    let top = maximum(own.rank);
    let code = select(parameters.classes, own.code, own.rank == top);
    return Best(top, parameters.classes - maximum(parameters.classes - code));
}

// Adds the row's amounts to the histogram of eight bits of their keys, from `shift` on: 1 for each code, by its
// rank, or its weight, by the weight's bits. Counts only keys that match `key` where `mask` has ones.
fn fill(by_weight: bool, key: u32, mask: u32, shift: u32) {
    for (var i = thread; i < parameters.classes; i += THREADS) {
        var own = rank(i);
        var amount = vec2<u32>(0u, min(own, 1u));
        if (by_weight) {
            let own_weight = weight(i);
            own = bitcast<u32>(own_weight);
            amount = amount_of(own_weight);
        }
        if (((own ^ key) & mask) == 0u && (amount.x | amount.y) > 0u) {
            let bin = (own >> shift) % THREADS;
            atomicAdd(&high_sums[bin], amount.x);
            atomicAdd(&low_sums[bin], amount.y);
        }
    }
}

struct Reached {
    key: u32,
    // The sum of the amounts of higher keys.
    above: f32,
    // The sum to reach.
    wanted: f32,
}

// The key at which the sum of amounts, from the highest key down, reaches `wanted`, which for weights is a
// share of their sum. 0 if it never does.
fn reach(by_weight: bool, wanted: f32) -> Reached {
    var key = 0u;
    var mask = 0u;
    var above = vec2<u32>(0u);
    var enough = wanted;
    for (var step = 0u; step < 4u; step++) {
        let shift = 24u - 8u * step;
        atomicStore(&high_sums[thread], 0u);
        atomicStore(&low_sums[thread], 0u);
        workgroupBarrier();
        fill(by_weight, key, mask, shift);
        workgroupBarrier();
        // From the highest bin down.
        let bin = THREADS - 1u - thread;
        let own = carried(vec2<u32>(atomicLoad(&high_sums[bin]), atomicLoad(&low_sums[bin])));
        let before = plus(above, sum_before(own));
        let all = workgroupUniformLoad(&sums[THREADS - 1u]);
        if (by_weight && step == 0u) {
            enough = wanted * value(all);
        }
        if (value(before) < enough && (enough <= value(plus(before, own)) || bin == 0u)) {
            found = vec3<u32>(bin, before);
        }
        let chosen = workgroupUniformLoad(&found);
        key |= chosen.x << shift;
        mask |= (THREADS - 1u) << shift;
        above = chosen.yz;
    }
    return Reached(key, value(above), enough);
}

// The amount of code `i`: its kept weight, or 1 if it is tied at the cutoff of top-p.
fn amount_at(i: u32, of_ties: bool) -> vec2<u32> {
    let own_weight = weight(i);
    let bits = bitcast<u32>(own_weight);
    if (of_ties) {
        return vec2<u32>(0u, select(0u, 1u, bits == cut));
    }
    return select(vec2<u32>(0u), amount_of(own_weight), is_kept(i, bits));
}

// The first code at which the sum of amounts, from the first code on, exceeds `bound`, which for kept weights
// is a share of their sum. The number of codes if it never does.
fn code_beyond(of_ties: bool, bound: f32) -> u32 {
    let stretch = (parameters.classes + THREADS - 1u) / THREADS;
    let start = min(thread * stretch, parameters.classes);
    let end = min(start + stretch, parameters.classes);
    var own = vec2<u32>(0u);
    for (var i = start; i < end; i++) {
        own = plus(own, amount_at(i, of_ties));
    }
    if (thread == 0u) {
        found.x = parameters.classes;
    }
    let before = sum_before(own);
    let all = value(workgroupUniformLoad(&sums[THREADS - 1u]));
    // A share below 1 may be rounded up to the whole.
    let below_all = bitcast<f32>(max(bitcast<u32>(all), 1u) - 1u);
    let limit = select(min(bound * all, below_all), bound, of_ties);
    if (value(before) <= limit && limit < value(plus(before, own))) {
        var sum = before;
        var code = start;
        for (var i = start; i < end; i++) {
            let amount = amount_at(i, of_ties);
            if ((amount.x | amount.y) > 0u) {
                code = i;
            }
            sum = plus(sum, amount);
            if (value(sum) > limit) {
                break;
            }
        }
        found.x = code;
    }
    return workgroupUniformLoad(&found).x;
}

// The rank of the k-th largest logit. At least 1, which excludes codes that are never sampled.
fn rank_of_kth() -> u32 {
    if (parameters.top_k == 0u) {
        return 1u;
    }
    return max(reach(false, f32(parameters.top_k)).key, 1u);
}

// Sets `cut` and `tie_end` so that a code is kept if the weights of likelier codes, and of equally likely
// codes with a lower index, sum to less than the share top-p.
fn keep_likeliest() {
    let reached = reach(true, parameters.top_p);
    cut = reached.key;
    let tied = value(amount_of(bitcast<f32>(cut)));
    let kept = max(ceil((reached.wanted - reached.above) / tied), 1.0);
    tie_end = code_beyond(true, kept - 0.5) + 1u;
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
    let best = best_code();
    var code = best.code;
    if (parameters.temperature > 0.0) {
        largest = bitcast<f32>(logits[row_start + best.code]);
        lowest_rank = rank_of_kth();
        cut = 0u;
        tie_end = 0u;
        if (parameters.top_p > 0.0) {
            keep_likeliest();
        }
        let drawn = min(code_beyond(false, code_uniform(row)), parameters.classes - 1u);
        // Relative to an infinite weight, all others vanish.
        code = select(drawn, best.code, best.rank == INFINITY_RANK);
    }
    return select(i32(code), -1, best.rank == 0u);
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
        codes[row * parameters.columns + parameters.column] = code;
    }
}
