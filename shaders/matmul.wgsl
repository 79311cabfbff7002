// Batched matrix products of `[M, K]` by `[K, N]`. Both operands are read in place, transposed or not. CPU
// reference: the matrix product of Burn's CPU backend.
//
// A workgroup computes a tile of a product. It loads `DEPTH` columns of `a` and `DEPTH` rows of `b` at a time
// into workgroup memory, and a thread accumulates 8 rows by 16 columns in registers. With only 8 columns,
// reads from workgroup memory would be the bottleneck. Every tile size sums an element in order along `K`, so
// the result does not depend on neighbouring rows and columns or on the batch.
// Followed by shaders/shared/added.wgsl.

// The host replaces these three constants to suit the size.
const ROW_THREADS = 8u;
const COLUMN_THREADS = 8u;
const DEPTH = 16u;

const THREADS = ROW_THREADS * COLUMN_THREADS;

// Groups of four rows and of four columns in a tile.
const ROW_FOURS = 2u * ROW_THREADS;
const COLUMN_FOURS = 4u * COLUMN_THREADS;

struct Parameters {
    matrices: u32,
    rows: u32,
    inner: u32,
    columns: u32,
    row_tiles: u32,
    column_tiles: u32,
    // Strides in elements.
    a_matrix: u32,
    a_row: u32,
    a_inner: u32,
    b_matrix: u32,
    b_inner: u32,
    b_column: u32,
    // The launch's first tile.
    first: u32,
}

@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> product: array<f32>;
@group(0) @binding(3) var<uniform> parameters: Parameters;

// Indexed by position along `K` and group of four rows or columns.
var<workgroup> seen_a: array<vec4<f32>, DEPTH * ROW_FOURS>;
var<workgroup> seen_b: array<vec4<f32>, DEPTH * COLUMN_FOURS>;

const FOUR = vec4<u32>(0u, 1u, 2u, 3u);

// Which element load `i` gathers: a position along `K` and one of `fours` groups. Adjacent threads read
// adjacent elements, so `K` varies fastest unless the groups are contiguous (`side_by_side`).
fn place(i: u32, fours: u32, side_by_side: bool) -> vec2<u32> {
    return select(vec2<u32>(i % DEPTH, i / DEPTH), vec2<u32>(i / fours, i % fours), side_by_side);
}

fn gather_a(thread: u32, matrix: u32, first_row: u32, first_inner: u32) {
    for (var i = thread; i < DEPTH * ROW_FOURS; i += THREADS) {
        let place = place(i, ROW_FOURS, parameters.a_row == 1u);
        let inner = first_inner + place.x;
        let row = first_row + place.y * 4u + FOUR;
        let exists = (row < vec4<u32>(parameters.rows)) & vec4<bool>(inner < parameters.inner);
        let start = matrix * parameters.a_matrix + inner * parameters.a_inner;
        let at = select(vec4<u32>(0u), start + row * parameters.a_row, exists);
        let values = vec4<f32>(a[at.x], a[at.y], a[at.z], a[at.w]);
        seen_a[place.x * ROW_FOURS + place.y] = select(vec4<f32>(0.0), values, exists);
    }
}

fn gather_b(thread: u32, matrix: u32, first_column: u32, first_inner: u32) {
    for (var i = thread; i < DEPTH * COLUMN_FOURS; i += THREADS) {
        let place = place(i, COLUMN_FOURS, parameters.b_column == 1u);
        let inner = first_inner + place.x;
        let column = first_column + place.y * 4u + FOUR;
        let exists = (column < vec4<u32>(parameters.columns)) & vec4<bool>(inner < parameters.inner);
        let start = matrix * parameters.b_matrix + inner * parameters.b_inner;
        let at = select(vec4<u32>(0u), start + column * parameters.b_column, exists);
        let values = vec4<f32>(b[at.x], b[at.y], b[at.z], b[at.w]);
        seen_b[place.x * COLUMN_FOURS + place.y] = select(vec4<f32>(0.0), values, exists);
    }
}

fn write_four(matrix: u32, row: u32, column: u32, sums: vec4<f32>) {
    if (row >= parameters.rows) {
        return;
    }
    let start = (matrix * parameters.rows + row) * parameters.columns;
    for (var i = 0u; i < 4u; i++) {
        if (column + i < parameters.columns) {
            product[start + column + i] = sums[i];
        }
    }
}

fn write_all(matrix: u32, row: u32, column: u32, sums: mat4x4<f32>) {
    write_four(matrix, row, column, sums[0]);
    write_four(matrix, row + 1u, column, sums[1]);
    write_four(matrix, row + 2u, column, sums[2]);
    write_four(matrix, row + 3u, column, sums[3]);
}

@compute @workgroup_size(THREADS, 1, 1)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tile = parameters.first + group.x;
    let first_column = tile % parameters.column_tiles * 4u * COLUMN_FOURS;
    let tile_row = tile / parameters.column_tiles;
    let first_row = tile_row % parameters.row_tiles * 4u * ROW_FOURS;
    let matrix = tile_row / parameters.row_tiles;
    if (matrix >= parameters.matrices) {
        return;
    }
    let own_row = thread / COLUMN_THREADS;
    let own_column = thread % COLUMN_THREADS;
    // Sums for the upper and lower four rows, and each group of four columns.
    var upper_0 = mat4x4<f32>();
    var upper_1 = mat4x4<f32>();
    var upper_2 = mat4x4<f32>();
    var upper_3 = mat4x4<f32>();
    var lower_0 = mat4x4<f32>();
    var lower_1 = mat4x4<f32>();
    var lower_2 = mat4x4<f32>();
    var lower_3 = mat4x4<f32>();
    for (var inner = 0u; inner < parameters.inner; inner += DEPTH) {
        workgroupBarrier();
        gather_a(thread, matrix, first_row, inner);
        gather_b(thread, matrix, first_column, inner);
        workgroupBarrier();
        for (var i = 0u; i < DEPTH; i++) {
            let upper = seen_a[i * ROW_FOURS + own_row];
            let lower = seen_a[i * ROW_FOURS + ROW_THREADS + own_row];
            let slot = i * COLUMN_FOURS + own_column;
            var columns = seen_b[slot];
            upper_0 = added(upper_0, upper, columns);
            lower_0 = added(lower_0, lower, columns);
            columns = seen_b[slot + COLUMN_THREADS];
            upper_1 = added(upper_1, upper, columns);
            lower_1 = added(lower_1, lower, columns);
            columns = seen_b[slot + 2u * COLUMN_THREADS];
            upper_2 = added(upper_2, upper, columns);
            lower_2 = added(lower_2, lower, columns);
            columns = seen_b[slot + 3u * COLUMN_THREADS];
            upper_3 = added(upper_3, upper, columns);
            lower_3 = added(lower_3, lower, columns);
        }
    }
    let row = first_row + 4u * own_row;
    let column = first_column + 4u * own_column;
    let row_below = row + 4u * ROW_THREADS;
    write_all(matrix, row, column, upper_0);
    write_all(matrix, row_below, column, lower_0);
    write_all(matrix, row, column + 4u * COLUMN_THREADS, upper_1);
    write_all(matrix, row_below, column + 4u * COLUMN_THREADS, lower_1);
    write_all(matrix, row, column + 8u * COLUMN_THREADS, upper_2);
    write_all(matrix, row_below, column + 8u * COLUMN_THREADS, lower_2);
    write_all(matrix, row, column + 12u * COLUMN_THREADS, upper_3);
    write_all(matrix, row_below, column + 12u * COLUMN_THREADS, lower_3);
}
