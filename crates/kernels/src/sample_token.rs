//! Samples one code for every image of a batch.

mod composed;

pub use composed::composed;

use burn::backend::Dispatch;
use burn::tensor::{Int, Tensor};

use super::cube::sample_token_variant;
use super::operations::Kernels;
use super::route::{Gradient, Route, route};
use residua_core::random::code_uniform;
use residua_core::sampling::Filter;

/// How codes are sampled.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// Filter applied to the logits first.
    pub filter: Filter,
    /// Seed of the session.
    pub seed: u64,
    /// Number of the batch's first image.
    pub first_image: u32,
    /// Distance from each image's number to the next.
    pub image_step: u32,
    /// Place of the code in its stack, `cell * D + depth`.
    pub place: u32,
    /// Layout of rows for several places; `None` if all rows are for the same place.
    pub turns: Option<Turns>,
}

/// Layout of rows for several places: place by place, with all images of each.
#[derive(Clone, Copy, Debug)]
pub struct Turns {
    /// Number of images, at least 1.
    pub images: u32,
    /// Distance between places.
    pub stride: u32,
}

impl Draw {
    /// The random number for `row`.
    pub fn uniform(&self, row: u32) -> f32 {
        let Turns { images, stride } = self.turns();
        let place = self.place.wrapping_add(row / images * stride);
        let image = self.first_image.wrapping_add((row % images).wrapping_mul(self.image_step));
        code_uniform(self.seed, image, place)
    }

    /// The layout of rows, with a default for a single place.
    pub fn turns(&self) -> Turns {
        self.turns.unwrap_or(Turns { images: u32::MAX, stride: 0 })
    }
}

/// Codes `[B]` sampled from `logits` `[B, V]`; -1 if a row has nothing to sample from (only NaN and minus
/// infinity). Row `i` is image `first_image + i * image_step`, unless [`Draw::turns`] gives another layout.
///
/// The codes stay on the device. All devices use the same random number and the same rules, but a GPU rounds
/// weights to 2^-30 of the largest. If the random number, or the top-p threshold, is within rounding error (about
/// 1e-6) of the boundary between two codes, a GPU may sample a different code than a CPU.
pub fn sample_token(logits: Tensor<2>, draw: &Draw) -> Tensor<1, Int> {
    let rows = logits.dims()[0];
    let codes = Tensor::empty([rows, 1], &logits.device());
    sample_into(logits, draw, codes, 0).reshape([rows])
}

/// `codes` `[B, columns]` with those of [`sample_token`] in `column`: written in place, unless something else refers to
/// `codes`.
pub fn sample_into(logits: Tensor<2>, draw: &Draw, codes: Tensor<2, Int>, column: usize) -> Tensor<2, Int> {
    let [rows, classes] = logits.dims();
    match route(&logits.device(), sample_token_variant(classes), Gradient::Nowhere) {
        Route::Kernel => {
            let (logits, codes) = (logits.into_dispatch(), codes.into_dispatch());
            Tensor::from_dispatch(Dispatch::residua_sample_token(logits, codes, column, *draw))
        }
        Route::Composed => {
            let drawn = composed(logits, draw).unsqueeze_dim(1);
            codes.slice_assign([0..rows, column..column + 1], drawn)
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use safetensors::SafeTensors;

    use super::*;
    use crate::cpu;
    use crate::gpu;
    use residua_core::random::{pcg4d, uniform};

    /// Largest error of a sum of rounded weights.
    const ROUNDING: f64 = 1e-5;

    fn on_gpu(logits: &[f32], rows: usize, draw: &Draw) -> Vec<i32> {
        let data = TensorData::new(logits.to_vec(), [rows, logits.len() / rows]);
        drawn(Tensor::from_data(data, &gpu()), draw)
    }

    fn drawn(logits: Tensor<2>, draw: &Draw) -> Vec<i32> {
        sample_token(logits, draw).into_data().try_to_vec().unwrap()
    }

    /// Contents of a row: rounding steps (0: no rounding, NaN: all NaN) and the value that replaces some of
    /// the logits.
    const KINDS: [(f32, f32); 8] = [
        (0.0, 0.0),
        (4.0, 0.0),
        (1.0, 0.0),
        (0.0, f32::NEG_INFINITY),
        (2.0, f32::NAN),
        (0.0, f32::INFINITY),
        (0.0, -0.0),
        (f32::NAN, f32::NEG_INFINITY),
    ];

    /// A row of `classes` logits, rounded to `1 / steps` (0: not at all), with one in five replaced by
    /// `oddity` (0: none).
    fn row(classes: usize, (steps, oddity): (f32, f32), seed: u32) -> Vec<f32> {
        let spread = [0.0, 1.0, 6.0, 30.0][seed as usize % 4];
        let logit = |i: u32| {
            let x = (uniform([seed, i, 1, 0]) * 2.0 - 1.0) * spread;
            match oddity {
                oddity if oddity.to_bits() != 0 && uniform([seed, i, 2, 0]) < 0.2 => oddity,
                _ if steps == 0.0 => x,
                _ => (x * steps).round() / steps,
            }
        };
        (0..classes as u32).map(logit).collect()
    }

    /// The distribution to sample from, computed differently: in f64 and by sorting.
    fn exact(logits: &[f32], filter: &Filter, top_p: f64) -> Vec<f64> {
        let mut order: Vec<usize> = (0..logits.len()).filter(|&i| logits[i] > f32::NEG_INFINITY).collect();
        order.sort_by(|&a, &b| logits[b].partial_cmp(&logits[a]).unwrap().then(a.cmp(&b)));
        let largest = logits[order[0]];
        if filter.temperature == 0.0 || largest == f32::INFINITY {
            order.truncate(1);
        } else if filter.top_k > 0 && filter.top_k < order.len() {
            let kth = logits[order[filter.top_k - 1]];
            order.retain(|&i| logits[i] >= kth);
        }
        let weight = |i: usize| match order.len() {
            1 => 1.0,
            _ => ((f64::from(logits[i]) - f64::from(largest)) / f64::from(filter.temperature)).exp(),
        };
        let total: f64 = order.iter().map(|&i| weight(i)).sum();
        let mut kept = vec![0.0; logits.len()];
        let mut before = 0.0;
        for &i in &order {
            if top_p <= 0.0 || top_p >= 1.0 || before < top_p * total {
                kept[i] = weight(i);
                before += weight(i);
            }
        }
        kept.iter().map(|w| w / before).collect()
    }

    /// Whether rounding explains that `code` was sampled: a cutoff within rounding of the exact one keeps it,
    /// and the random number is within rounding of its share.
    fn is_explained(code: i32, logits: &[f32], filter: &Filter, uniform: f32) -> bool {
        let Ok(code) = usize::try_from(code) else { return false };
        let top_p = f64::from(filter.top_p);
        let cuts = [top_p, top_p - ROUNDING, top_p + ROUNDING];
        cuts.iter().take(if filter.top_p > 0.0 { 3 } else { 1 }).any(|&top_p| {
            let shares = exact(logits, filter, top_p);
            let below: f64 = shares[..code].iter().sum();
            let share = below - ROUNDING..below + shares[code] + ROUNDING;
            shares[code] > 0.0 && share.contains(&f64::from(uniform))
        })
    }

    /// Compares `way` with the CPU reference for random shapes, filters and oddities, and for rows of `large`
    /// classes. The reference gets minus infinity in place of NaN.
    fn draws_what_the_twin_draws(
        way: impl Fn(&[f32], usize, &Draw) -> Vec<i32>,
        cases: u32,
        large: &[usize],
    ) {
        let (mut rows_in_all, mut differing) = (0, 0);
        let mut compare = |batch: usize, classes: usize, case: u32| {
            let pick = |n: usize, word: u32| (uniform([case, word, 3, 1]) * n as f32) as usize;
            let filter = Filter {
                temperature: [1.0, 0.3, 2.5, 0.0, 1e-40][pick(17, 0) / 4],
                top_k: [0, 1, 5, classes / 2, classes + 3][pick(5, 1)],
                top_p: [0.0, 0.05, 0.5, 0.92, 0.999, 1.0][pick(6, 2)],
                ..Filter::NONE
            };
            let [low, high, first_image, place] = pcg4d([case, 0, 0, 9]);
            let seed = u64::from(high) << 32 | u64::from(low);
            let turns = case.is_multiple_of(3).then_some(Turns { images: 1 + case % 4, stride: case % 5 });
            let draw =
                Draw { filter, seed, first_image: first_image >> 1, image_step: 1 + case % 3, place, turns };
            let logits: Vec<f32> = (0..batch as u32)
                .flat_map(|i| row(classes, KINDS[pick(KINDS.len(), 4 + i)], case * 16 + i))
                .collect();
            let cleaned: Vec<f32> =
                logits.iter().map(|&x| if x.is_nan() { f32::NEG_INFINITY } else { x }).collect();
            let expected = cpu::sample_token::sample_token(&cleaned, batch, &draw);
            let found = way(&logits, batch, &draw);
            rows_in_all += batch;
            for (i, (&found, &expected)) in found.iter().zip(&expected).enumerate() {
                if found != expected {
                    differing += 1;
                    let uniform = draw.uniform(i as u32);
                    let logits = &cleaned[i * classes..(i + 1) * classes];
                    assert!(
                        is_explained(found, logits, &filter, uniform),
                        "case {case}, row {i} of {batch}x{classes}, {filter:?}: {found}, expected {expected}"
                    );
                }
            }
        };
        for case in 0..cases {
            let size = uniform([case, 0, 4, 1]);
            let classes = [1.0, 2.0, 255.0, 256.0, 257.0, 700.0 * size + 1.0, 3000.0 * size + 1.0];
            compare(1 + case as usize % 9, classes[case as usize % 7] as usize, case);
        }
        for (case, classes) in (1000..).zip(large) {
            compare(2, *classes, case);
        }
        println!("{differing} of {rows_in_all} rows differ");
        assert!(differing * 100 < rows_in_all, "{differing} of {rows_in_all} rows differ");
    }

    #[test]
    fn the_kernel_matches_the_cpu_reference() {
        let large = [16_384, 20_000, 19_999, 20_000, 16_385, 8193, 20_000, 65_536];
        draws_what_the_twin_draws(on_gpu, 300, &large);
    }

    /// More codes than the kernel takes.
    #[test]
    fn very_many_codes_are_drawn_from_by_burns_operations() {
        let logits: Vec<f32> = (0..70_000).map(|i| (i % 65_537) as f32).collect();
        let draw = Draw {
            filter: Filter { top_k: 1, ..Filter::NONE },
            seed: 1,
            first_image: 0,
            image_step: 1,
            place: 0,
            turns: None,
        };
        assert_eq!(on_gpu(&logits, 1, &draw), [65_536]);
    }

    #[test]
    fn burns_operations_match_the_cpu_reference() {
        let on = |device: Device| {
            move |logits: &[f32], rows: usize, draw: &Draw| {
                let data = TensorData::new(logits.to_vec(), [rows, logits.len() / rows]);
                let codes = composed(Tensor::from_data(data, &device), draw);
                codes.into_data().convert::<i32>().try_to_vec().unwrap()
            }
        };
        draws_what_the_twin_draws(on(Device::flex()), 300, &[16_384, 20_000]);
        draws_what_the_twin_draws(on(gpu()), 8, &[16_384]);
    }

    #[test]
    fn the_kernel_matches_the_published_distributions() {
        let bytes = std::fs::read(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/sampling-filter/golden.safetensors"
        ))
        .unwrap();
        let golden = SafeTensors::deserialize(&bytes).unwrap();
        let row = |name: &str, row: usize| -> Vec<f32> {
            let values = golden.tensor(name).unwrap();
            let row: &[[u8; 4]] = &bytemuck::cast_slice(values.data())[row * 96..(row + 1) * 96];
            row.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
        };
        const DRAWS: usize = 4000;
        for (at, temperature, top_k, top_p) in [(0, 0.7, 10, 0.0), (1, 1.0, 0, 0.0), (2, 1.0, 0, 0.92)] {
            let filter = Filter { temperature, top_k, top_p, ..Filter::NONE };
            let draw = Draw { filter, seed: 77, first_image: 0, image_step: 1, place: 5, turns: None };
            let codes = on_gpu(&row("logits", at).repeat(DRAWS), DRAWS, &draw);
            let expected = row(&format!("probs_t{temperature:?}_k{top_k}_p{top_p:?}"), at);
            let mut counts = vec![0u32; 96];
            codes.iter().for_each(|&code| counts[code as usize] += 1);
            for (code, (&count, &p)) in counts.iter().zip(&expected).enumerate() {
                // Five standard deviations: exceeded by chance once in millions.
                let deviation = (p * (1.0 - p) / DRAWS as f32).sqrt();
                let frequency = count as f32 / DRAWS as f32;
                assert!(
                    (frequency - p).abs() <= 5.0 * deviation + if p > 0.0 { 1.0 / DRAWS as f32 } else { 0.0 },
                    "row {at}, code {code}: {frequency}, expected {p}"
                );
            }
        }
    }

    #[test]
    fn slices_and_transposes_are_read_correctly() {
        let logits: Vec<f32> = (0..7).flat_map(|i| row(130, KINDS[0], 4 * i + 2)).collect();
        let draw = Draw {
            filter: Filter { top_k: 40, ..Filter::NONE },
            seed: 3,
            first_image: 2,
            image_step: 1,
            place: 0,
            turns: None,
        };
        let expected = on_gpu(&logits, 7, &draw);
        let whole = Tensor::<2>::from_data(TensorData::new(logits, [7, 130]), &gpu());
        let transposed = (whole.clone().transpose() + 0.0).transpose();
        assert_eq!(drawn(transposed, &draw), expected);
        let part = Draw { first_image: 5, ..draw };
        assert_eq!(drawn(whole.clone().slice([3..7, 0..130]), &part), expected[3..]);
        let wide = Tensor::cat(vec![whole.clone() + 9.0, whole], 1);
        assert_eq!(drawn(wide.slice([3..7, 130..260]), &part), expected[3..]);
    }

    /// The other columns stay as they are, in the codes before too.
    #[test]
    fn codes_are_written_to_one_column() {
        let logits: Vec<f32> = (0..5).flat_map(|i| row(300, KINDS[0], i)).collect();
        let draw =
            Draw { filter: Filter::NONE, seed: 4, first_image: 0, image_step: 1, place: 0, turns: None };
        let expected = cpu::sample_token::sample_token(&logits, 5, &draw);
        let before: Vec<i32> = (0..15).collect();
        for device in [Device::flex(), gpu()] {
            let read = |codes: Tensor<2, Int>| -> Vec<i32> {
                codes.into_data().convert::<i32>().try_to_vec().unwrap()
            };
            let logits = || Tensor::<2>::from_data(TensorData::new(logits.clone(), [5, 300]), &device);
            let begun = Tensor::<2, Int>::from_data(TensorData::new(before.clone(), [5, 3]), &device);
            let first = sample_into(logits(), &draw, begun.clone(), 1);
            let by_hand = |columns: &[usize]| -> Vec<i32> {
                (0..15)
                    .map(|i| if columns.contains(&(i % 3)) { expected[i / 3] } else { before[i] })
                    .collect()
            };
            assert_eq!(read(first.clone()), by_hand(&[1]));
            // A row's own random number depends on its index only, so the second column gets the same codes.
            assert_eq!(read(sample_into(logits(), &draw, first, 2)), by_hand(&[1, 2]));
            assert_eq!(read(begun), before);
        }
    }

    /// Sampling rows of several places at once gives the same codes as sampling each place alone.
    #[test]
    fn several_places_match_each_place_alone() {
        let logits: Vec<f32> = (0..12).flat_map(|i| row(90, KINDS[0], i)).collect();
        let one =
            Draw { filter: Filter::NONE, seed: 8, first_image: 4, image_step: 2, place: 6, turns: None };
        let all = Draw { turns: Some(Turns { images: 3, stride: 5 }), ..one };
        let each = |turn: usize| {
            let draw = Draw { place: 6 + 5 * turn as u32, ..one };
            cpu::sample_token::sample_token(&logits[turn * 3 * 90..][..3 * 90], 3, &draw)
        };
        let expected: Vec<i32> = (0..4).flat_map(each).collect();
        assert_eq!(cpu::sample_token::sample_token(&logits, 12, &all), expected);
        assert_eq!(on_gpu(&logits, 12, &all), expected);
    }

    /// The codes can be used as indices without conversion.
    #[test]
    fn many_rows_are_sampled_and_their_codes_work_as_indices() {
        let rows = 660;
        let logits: Vec<f32> =
            (0..rows).flat_map(|i| (0..3).map(move |j| (i % 3 == j) as u8 as f32)).collect();
        let draw =
            Draw { filter: Filter::GREEDY, seed: 0, first_image: 0, image_step: 1, place: 0, turns: None };
        let logits = Tensor::<2>::from_data(TensorData::new(logits, [rows, 3]), &gpu());
        let codes = sample_token(logits, &draw);
        assert_eq!(codes.dtype(), Tensor::<1, Int>::zeros([1], &gpu()).dtype());
        let table = Tensor::<2>::from_floats([[10.0], [20.0], [30.0]], &gpu());
        let taken = crate::values(table.select(0, codes));
        assert!(taken.iter().enumerate().all(|(i, &x)| x == [10.0, 20.0, 30.0][i % 3]));
    }
}
