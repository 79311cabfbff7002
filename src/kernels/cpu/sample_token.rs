//! The draw of one code for every image of a batch.

use crate::generate::sampling::sample;
use crate::kernels::sample_token::Draw;

/// Codes drawn from `logits` `[rows, V]`; -1 where a row has no number in it. Each row has the random number
/// that [`Draw::uniform`] says.
pub fn sample_token(logits: &[f32], rows: usize, draw: &Draw) -> Vec<i32> {
    (0..)
        .zip(logits.chunks(logits.len() / rows))
        .map(|(row, logits)| sample(logits, &draw.filter, draw.uniform(row)).map_or(-1, |code| code as i32))
        .collect()
}
