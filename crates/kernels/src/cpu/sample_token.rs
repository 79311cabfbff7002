//! Samples one code for every image of a batch.

use crate::sample_token::Draw;
use residua_core::sampling::filter::sample;

/// Codes sampled from `logits` `[rows, V]`; -1 if a row has nothing to sample from. The random number of each
/// row is [`Draw::uniform`].
pub fn sample_token(logits: &[f32], rows: usize, draw: &Draw) -> Vec<i32> {
    (0..)
        .zip(logits.chunks(logits.len() / rows))
        .map(|(row, logits)| sample(logits, &draw.filter, draw.uniform(row)).map_or(-1, |code| code as i32))
        .collect()
}
