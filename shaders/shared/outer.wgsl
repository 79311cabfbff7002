
// Shared by convolutions: the outer product of four channels and the values at four pixels, one column per channel.
fn outer(channels: vec4<f32>, values: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(values * channels.x, values * channels.y, values * channels.z, values * channels.w);
}
