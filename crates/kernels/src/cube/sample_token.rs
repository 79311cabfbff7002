//! Launches `shaders/sample_token.wgsl`.

use burn::tensor::DType;
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Bound, THREADS, launch, own, plain, shader};
#[cfg(test)]
use super::texts::Text;
use crate::sample_token::Draw;
use crate::{GpuKernel, Variant};

shader!(SampleToken, SAMPLE_TOKEN);

/// Most classes for which the shader's sums fit in 32 bits.
const MOST_CLASSES: usize = 65_536;

/// The variant for rows of `classes` logits, if the kernel takes so many.
pub fn variant(classes: usize) -> Option<Variant> {
    (1..=MOST_CLASSES).contains(&classes).then(|| GpuKernel::SampleToken.into())
}

/// The `Parameters` of `shaders/sample_token.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct SampleTokenParameters {
    rows: u32,
    classes: u32,
    seed_low: u32,
    seed_high: u32,
    first_image: u32,
    image_step: u32,
    place: u32,
    images: u32,
    stride: u32,
    top_k: u32,
    temperature: f32,
    top_p: f32,
    columns: u32,
    column: u32,
}

impl SampleTokenParameters {
    fn new([rows, classes]: [usize; 2], [columns, column]: [usize; 2], draw: &Draw) -> Self {
        let (filter, turns) = (&draw.filter, draw.turns());
        Self {
            rows: rows as u32,
            classes: classes as u32,
            seed_low: draw.seed as u32,
            seed_high: (draw.seed >> 32) as u32,
            first_image: draw.first_image,
            image_step: draw.image_step,
            place: draw.place,
            images: turns.images,
            stride: turns.stride,
            top_k: if filter.top_k < classes { filter.top_k as u32 } else { 0 },
            temperature: normal(filter.temperature),
            top_p: if filter.top_p < 1.0 { normal(filter.top_p) } else { 0.0 },
            columns: columns as u32,
            column: column as u32,
        }
    }
}

/// `x >= 0` with subnormal values raised to the smallest normal one: a shader may flush them to 0, which has
/// a special meaning.
fn normal(x: f32) -> f32 {
    if x > 0.0 { x.max(f32::MIN_POSITIVE) } else { 0.0 }
}

/// [`crate::operations::Kernels::residua_sample_token`].
pub fn sample_token(logits: CubeTensor, codes: CubeTensor, column: usize, draw: &Draw) -> CubeTensor {
    let (logits, codes) = (plain(logits), own(into_contiguous(cast(codes, DType::I32))));
    let [rows, classes] = [0, 1].map(|dim| logits.meta.shape()[dim]);
    let [rows_of_codes, columns] = [0, 1].map(|dim| codes.meta.shape()[dim]);
    assert!(variant(classes).is_some(), "rows of {classes} logits do not fit the kernel");
    assert_eq!(rows_of_codes, rows, "logits and codes must have equally many rows");
    assert!(column < columns, "column {column} of {columns}");
    let parameters = SampleTokenParameters::new([rows, classes], [columns, column], draw);
    let buffers = [Bound::values(&logits), Bound::values(&codes).part(rows)];
    launch(SampleToken, THREADS, rows as u32, &buffers, &parameters);
    codes
}

/// The shader sources that the host launches.
#[cfg(test)]
pub(super) fn texts() -> Vec<Text> {
    vec![Text::fixed("sample_token", THREADS, SampleToken::SOURCE)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::checks::assert_same_parameters;

    #[test]
    fn host_and_shader_agree() {
        assert_same_parameters!(
            SampleToken::SOURCE,
            SampleTokenParameters {
                rows: Uint,
                classes: Uint,
                seed_low: Uint,
                seed_high: Uint,
                first_image: Uint,
                image_step: Uint,
                place: Uint,
                images: Uint,
                stride: Uint,
                top_k: Uint,
                temperature: Float,
                top_p: Float,
                columns: Uint,
                column: Uint,
            }
        );
    }
}
