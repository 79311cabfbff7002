//! Code embeddings on the CPU.

use crate::embed::{Lookup, Place, Reading};

/// The rows of `table` `[rows, C]` for `codes` `[N, columns]` at the depths of `lookup`: `[N, C]` for their
/// sum, `[N, depths, C]` for the other readings. Sums start from the rows of `onto` `[n, C]`, used
/// cyclically. Codes out of range for their depth are clamped.
///
/// # Panics
/// If the lengths do not match.
pub fn embed_codes(
    codes: &[i32],
    columns: usize,
    table: &[f32],
    channels: usize,
    places: &[Place],
    lookup: Lookup,
    onto: Option<&[f32]>,
) -> Vec<f32> {
    let places = &places[lookup.first_depth..][..lookup.depths];
    let mut y = Vec::with_capacity(codes.len() / columns * channels * lookup.outputs());
    for (row, codes) in codes.chunks_exact(columns).enumerate() {
        let start = onto.map(|onto| &onto[row % (onto.len() / channels) * channels..][..channels]);
        for (i, (code, place)) in codes[lookup.first_column..].iter().zip(places).enumerate() {
            let code = (*code).clamp(0, place.size as i32 - 1) as usize;
            let embedding = &table[(place.first + code) * channels..][..channels];
            let above = y.len().checked_sub(channels).filter(|_| i > 0);
            match (lookup.reading, above) {
                (Reading::Sum, Some(at)) => add(&mut y[at..], embedding),
                (Reading::RunningSums, Some(at)) => {
                    y.extend_from_within(at..);
                    add(&mut y[at + channels..], embedding);
                }
                _ => {
                    let at = y.len();
                    match start {
                        Some(start) => y.extend_from_slice(start),
                        None => y.resize(at + channels, 0.0),
                    }
                    add(&mut y[at..], embedding);
                }
            }
        }
    }
    y
}

fn add(sums: &mut [f32], embedding: &[f32]) {
    sums.iter_mut().zip(embedding).for_each(|(sum, x)| *sum += x);
}
