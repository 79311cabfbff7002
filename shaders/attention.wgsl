// Attention of whole sequences: from every position to all of its sequence, or to itself and those before.
// CPU reference: crates/kernels/src/cpu/attention.rs.
//
// One workgroup computes a tile of positions for one head. It reads the keys and values tile by tile, and keeps for each
// query the largest score so far, with the sums of weights and of weighted values relative to that score.

const THREADS = 64u;
const QUERIES = 16u;
const KEYS = 16u;
// Threads that share a query.
const TEAM = THREADS / QUERIES;
// Larger heads take another path: see crates/kernels/src/cube/attention.rs.
const LARGEST_HEAD = 64u;
// Columns of the result per thread.
const COLUMNS = LARGEST_HEAD / TEAM;
// Below every score.
const LOWEST = -3.4028234e38;

struct Parameters {
    // Tiles of queries in all heads of all sequences.
    tiles_in_all: u32,
    // Tiles of one head.
    tiles: u32,
    // Heads in one sequence.
    heads: u32,
    head_dim: u32,
    length: u32,
    // 1 if later positions are not seen.
    causal: u32,
    scale: f32,
}

// Each position's query, key and value, concatenated.
@group(0) @binding(0) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> parameters: Parameters;

var<workgroup> queries: array<f32, QUERIES * LARGEST_HEAD>;
// A tile of keys, then of values.
var<workgroup> rows: array<f32, KEYS * LARGEST_HEAD>;
var<workgroup> scores: array<f32, QUERIES * KEYS>;

var<private> thread: u32;

// Where part `part` (query, key or value) of this head starts at the first position of its sequence.
fn start_of(head: u32, part: u32) -> u32 {
    let width = parameters.heads * parameters.head_dim;
    return (head / parameters.heads * parameters.length * 3u + part) * width
        + head % parameters.heads * parameters.head_dim;
}

// Loads and scales queries; positions after the end repeat the last.
fn take_queries(head: u32, first: u32) {
    let start = start_of(head, 0u);
    let stride = 3u * parameters.heads * parameters.head_dim;
    for (var i = thread; i < QUERIES * parameters.head_dim; i += THREADS) {
        let row = i / parameters.head_dim;
        let column = i % parameters.head_dim;
        let position = min(first + row, parameters.length - 1u);
        queries[row * LARGEST_HEAD + column] = qkv[start + position * stride + column] * parameters.scale;
    }
}

// Loads a tile of keys (part 1) or values (part 2); positions after the end repeat the last.
fn take_rows(head: u32, first: u32, part: u32) {
    let start = start_of(head, part);
    let stride = 3u * parameters.heads * parameters.head_dim;
    for (var i = thread; i < KEYS * parameters.head_dim; i += THREADS) {
        let row = i / parameters.head_dim;
        let column = i % parameters.head_dim;
        let position = min(first + row, parameters.length - 1u);
        rows[row * LARGEST_HEAD + column] = qkv[start + position * stride + column];
    }
}

// The dot product of a query and a key of their tiles.
fn score(query: u32, key: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < parameters.head_dim; i++) {
        sum = fma(queries[query * LARGEST_HEAD + i], rows[key * LARGEST_HEAD + i], sum);
    }
    return sum;
}

@compute @workgroup_size(THREADS, 1, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let tile = group.x + group.y * groups.x;
    if (tile >= parameters.tiles_in_all) {
        return;
    }
    thread = index;
    let head = tile / parameters.tiles;
    let first = tile % parameters.tiles * QUERIES;
    let query = index / TEAM;
    let member = index % TEAM;
    let position = first + query;
    let is_causal = parameters.causal == 1u;
    // Positions that any query of the tile sees, and that this one sees.
    let end = select(parameters.length, min(first + QUERIES, parameters.length), is_causal);
    let seen = select(parameters.length, min(position + 1u, parameters.length), is_causal);

    take_queries(head, first);
    var largest = LOWEST;
    var total = 0.0;
    var sums: array<f32, COLUMNS>;
    for (var start = 0u; start < end; start += KEYS) {
        // The values of the tile before are no longer needed.
        workgroupBarrier();
        take_rows(head, start, 1u);
        workgroupBarrier();
        for (var key = member; key < KEYS; key += TEAM) {
            scores[query * KEYS + key] = score(query, key);
        }
        workgroupBarrier();
        take_rows(head, start, 2u);
        workgroupBarrier();

        let count = min(max(seen, start) - start, KEYS);
        var next = largest;
        for (var key = 0u; key < count; key++) {
            next = max(next, scores[query * KEYS + key]);
        }
        let shrink = exp(max(largest - next, -87.0));
        total *= shrink;
        for (var i = 0u; i < COLUMNS; i++) {
            sums[i] *= shrink;
        }
        for (var key = 0u; key < count; key++) {
            let weight = exp(max(scores[query * KEYS + key] - next, -87.0));
            total += weight;
            for (var i = 0u; i < COLUMNS; i++) {
                let column = i * TEAM + member;
                if (column < parameters.head_dim) {
                    sums[i] = fma(weight, rows[key * LARGEST_HEAD + column], sums[i]);
                }
            }
        }
        largest = next;
    }

    if (position < parameters.length) {
        let width = parameters.heads * parameters.head_dim;
        let row = (head / parameters.heads * parameters.length + position) * width;
        let start = row + head % parameters.heads * parameters.head_dim;
        for (var i = 0u; i < COLUMNS; i++) {
            let column = i * TEAM + member;
            if (column < parameters.head_dim) {
                y[start + column] = sums[i] / total;
            }
        }
    }
}
