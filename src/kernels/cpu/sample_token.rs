//! The draw of one code for every image of a batch.

use crate::generate::sampling::sample;
use crate::kernels::sample_token::Draw;
use crate::random::code_uniform;

/// Codes drawn from `logits` `[rows, V]`; -1 where a row has no number in it. Row `i` is image `first_image + i`.
pub fn sample_token(logits: &[f32], rows: usize, draw: &Draw) -> Vec<i32> {
    (draw.first_image..)
        .zip(logits.chunks(logits.len() / rows))
        .map(|(image, logits)| {
            let uniform = code_uniform(draw.seed, image, draw.place);
            sample(logits, &draw.filter, uniform).map_or(-1, |code| code as i32)
        })
        .collect()
}
