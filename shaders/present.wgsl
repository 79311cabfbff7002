// Draws an image and its original into a window without a copy: either one, their difference in viridis
// colours, or both with a wipe between them. CPU reference: crates/io/src/image_io/present.rs.

struct Parameters {
    // Size of the images, which are planar (channel, row, column), in [-1, 1].
    width: u32,
    height: u32,
    // Position and size of the whole image on the target, in target pixels. It may extend outside the target.
    left: i32,
    top: i32,
    columns: u32,
    rows: u32,
    // 0: original, 1: image, 2: errors, 3: wipe.
    shown: u32,
    // The error that gets the last colour, as a fraction of the range; or the position of the wipe, from 0 to
    // 1.
    amount: f32,
    // 1 if the target converts linear light to sRGB itself.
    linear: u32,
}

@group(0) @binding(0) var<storage, read> picture: array<f32>;
@group(0) @binding(1) var<storage, read> original: array<f32>;
@group(0) @binding(2) var<uniform> parameters: Parameters;

const STEPS = 9u;

const VIRIDIS = array<vec3<f32>, STEPS>(
    vec3(68.0, 1.0, 84.0),
    vec3(71.0, 44.0, 122.0),
    vec3(59.0, 81.0, 139.0),
    vec3(44.0, 113.0, 142.0),
    vec3(33.0, 144.0, 141.0),
    vec3(39.0, 173.0, 129.0),
    vec3(92.0, 200.0, 99.0),
    vec3(170.0, 220.0, 50.0),
    vec3(253.0, 231.0, 37.0),
);

// A single triangle that covers the viewport.
@vertex
fn vertex(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    return vec4(f32(index & 1u) * 4.0 - 1.0, f32(index >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

@fragment
fn fragment(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let x = at(position.x, parameters.left, parameters.columns);
    let y = at(position.y, parameters.top, parameters.rows);
    let pixel = under(y, parameters.height, parameters.rows) * parameters.width
        + under(x, parameters.width, parameters.columns);
    let wiped = f32(x) + 0.5 < parameters.amount * f32(parameters.columns);
    var color: vec3<f32>;
    if (parameters.shown == 2u) {
        let apart = abs(picture_at(pixel) - original_at(pixel));
        color = viridis((apart.r + apart.g + apart.b) / 3.0 / parameters.amount);
    } else if (parameters.shown == 0u || (parameters.shown == 3u && wiped)) {
        color = original_at(pixel);
    } else {
        color = picture_at(pixel);
    }
    if (parameters.linear == 1u) {
        color = to_linear(color);
    }
    return vec4(color, 1.0);
}

// The column or row, within the drawn image, that contains a position on the target.
fn at(position: f32, start: i32, size: u32) -> u32 {
    return u32(clamp(i32(position) - start, 0, i32(size) - 1));
}

// The image's exact column or row under the centre of a target pixel.
fn under(place: u32, size: u32, target_size: u32) -> u32 {
    return (2u * place + 1u) * size / (2u * target_size);
}

fn picture_at(pixel: u32) -> vec3<f32> {
    let plane = parameters.width * parameters.height;
    return unit(vec3(picture[pixel], picture[plane + pixel], picture[2u * plane + pixel]));
}

fn original_at(pixel: u32) -> vec3<f32> {
    let plane = parameters.width * parameters.height;
    return unit(vec3(original[pixel], original[plane + pixel], original[2u * plane + pixel]));
}

// Maps [-1, 1] to [0, 1] and clamps.
fn unit(values: vec3<f32>) -> vec3<f32> {
    return clamp(values * 0.5 + 0.5, vec3(0.0), vec3(1.0));
}

fn viridis(value: f32) -> vec3<f32> {
    var map = VIRIDIS;
    let place = clamp(value, 0.0, 1.0) * f32(STEPS - 1u);
    let below = min(u32(place), STEPS - 2u);
    return mix(map[below], map[below + 1u], place - f32(below)) / 255.0;
}

// Decodes sRGB (IEC 61966-2-1) to linear light.
fn to_linear(color: vec3<f32>) -> vec3<f32> {
    let high = pow((color + 0.055) / 1.055, vec3(2.4));
    return select(high, color / 12.92, color <= vec3(0.04045));
}
