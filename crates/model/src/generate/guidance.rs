//! Classifier-free guidance (Ho, Salimans, arXiv 2207.12598): moves logits away from the unconditional ones.

use burn::tensor::{Int, Tensor};

use residua_core::error::{Error, Result};
use residua_core::sampling::filter::Filter;

/// The conditions a batch is evaluated with, and how their logits are combined.
#[derive(Clone, Debug, PartialEq)]
pub enum Guidance {
    /// Only the condition.
    Condition,
    /// Only the null condition.
    Null,
    /// Both, with the images under the condition first, and a scale for each depth.
    Both(Vec<f32>),
}

impl Guidance {
    /// The guidance that the filters of all depths need. If the condition `is_null`, there is nothing to move away from.
    pub fn of(filters: &[Filter], is_null: bool) -> Self {
        let all = |scale| filters.iter().all(|filter| filter.guidance == scale);
        if is_null || all(1.0) {
            Self::Condition
        } else if all(0.0) {
            Self::Null
        } else {
            Self::Both(filters.iter().map(|filter| filter.guidance).collect())
        }
    }

    /// Batch rows per image.
    pub fn rows_per_image(&self) -> u32 {
        match self {
            Self::Condition | Self::Null => 1,
            Self::Both(_) => 2,
        }
    }

    /// The conditions for each image: `condition`, `null` or both.
    ///
    /// # Errors
    /// A null condition is needed, but there is none.
    pub fn conditions(&self, condition: &[u32], null: Option<Vec<u32>>) -> Result<Vec<Vec<u32>>> {
        let null = || {
            null.ok_or_else(|| {
                Error::usage(
                    "guidance: expected 1, since this model was trained only with its condition (arch.cond_dropout)",
                )
            })
        };
        Ok(match self {
            Self::Condition => vec![condition.to_vec()],
            Self::Null => vec![null()?],
            Self::Both(_) => vec![condition.to_vec(), null()?],
        })
    }

    /// Repeats the codes `[B, ..]` of the images for each row of the batch.
    pub fn rows<const D: usize>(&self, codes: Tensor<D, Int>) -> Tensor<D, Int> {
        match self {
            Self::Condition | Self::Null => codes,
            Self::Both(_) => Tensor::cat(vec![codes.clone(), codes], 0),
        }
    }

    /// Combines the logits `[rows, V]` of all rows into those that codes at `depth` are sampled from. The depth
    /// has `size` codes.
    pub fn logits(&self, logits: Tensor<2>, depth: usize, size: usize) -> Tensor<2> {
        let Self::Both(scales) = self else { return logits };
        let images = logits.dims()[0] / 2;
        // Codes beyond this depth's size have logits of minus infinity, which cannot be subtracted.
        let half = |first: usize| logits.clone().slice([first..first + images, 0..size]);
        let (given, null) = (half(0), half(images));
        match scales[depth] {
            1.0 => given,
            0.0 => null,
            scale => null.clone() + (given - null) * scale,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use serde_json::json;

    use super::*;
    use crate::generate::{DraftAndRevise, Request, Session, Steps};
    use crate::rqtransformer::Masked;
    use crate::{Loader, RqTransformer};
    use residua_core::codes::CodeStack;
    use residua_core::config::{Architecture, Config, ModelConfig, Precision};
    use residua_core::sampling::{Rounds, Schedule};
    use residua_kernels::values;

    const DEPTHS: usize = 3;
    const SIZES: [usize; DEPTHS] = [7, 5, 6];
    const CLASSES: usize = 7;

    /// A class-conditional model, or one with captions of three tokens, with random weights.
    fn model(kind: &str, tokens: usize, cond_dropout: f64) -> RqTransformer {
        let stack = json!({"n_layer": 2, "block": {"n_head": 2}});
        let document = json!({
            "dataset": {"vocab_size": SIZES},
            "arch": {
                "type": kind, "block_size": [2, 2, DEPTHS], "embed_dim": 8, "vocab_size_cond": 4,
                "block_size_cond": tokens, "cond_dropout": cond_dropout, "body": stack, "head": stack,
            },
        });
        let ModelConfig::RqTransformer(config) = Config::from_document("test", document).unwrap().model
        else {
            panic!("expected a transformer")
        };
        let mut loader = Loader::random(5, &Device::flex(), Precision::Stored);
        RqTransformer::load(&mut loader, &config, None).unwrap()
    }

    fn request(condition: &[u32], filters: Vec<Filter>) -> Request {
        Request { condition: condition.to_vec(), filters, seed: 3, images: (0..2).into(), forced: None }
    }

    /// The stacks of a request, drafted and revised by a contextual model.
    fn made(model: &RqTransformer, request: Request) -> Result<Vec<CodeStack>> {
        match model.config.kind {
            Architecture::Autoregressive => Ok(finished(Session::new(model, request)?)),
            Architecture::Contextual => {
                let revise = Rounds { rounds: 1, parts: 2 };
                let schedule = Schedule { draft: 2, revise, filters: request.filters.clone() };
                Ok(finished(DraftAndRevise::new(model, request, schedule)?))
            }
        }
    }

    fn finished(mut session: impl Steps) -> Vec<CodeStack> {
        session.finish();
        pollster::block_on(session.stacks()).unwrap()
    }

    fn sampled(model: &RqTransformer, request: Request) -> Vec<CodeStack> {
        made(model, request).unwrap()
    }

    /// The logits of each code of `stack` from one pass: given the earlier codes, or if `masked`, given no
    /// other cell.
    fn whole_pass(model: &RqTransformer, stack: &CodeStack, condition: &[u32], masked: bool) -> Vec<f64> {
        let device = Device::flex();
        let codes: Vec<i32> = stack.codes().iter().map(|&code| code as i32).collect();
        let condition: Vec<i32> = condition.iter().map(|&token| token as i32).collect();
        let shape = [1, condition.len()];
        let codes = Tensor::from_data(TensorData::new(codes, [1, 2, 2, DEPTHS]), &device);
        let condition = Tensor::from_data(TensorData::new(condition, shape), &device);
        let logits = if masked {
            values(model.masked_logits(codes, condition, &Masked::all_of(&[0, 1, 2, 3], 1, 4, &device)))
        } else {
            values(model.logits(codes, condition).codes)
        };
        logits.into_iter().map(f64::from).collect()
    }

    /// Checks that each code of the greedy `stack` maximizes the guided logits as defined, and counts the
    /// codes that differ from the most likely ones under the condition alone.
    fn moved(
        model: &RqTransformer,
        stack: &CodeStack,
        condition: &[u32],
        scales: [f32; DEPTHS],
        masked: bool,
    ) -> usize {
        let null = model.config.null_condition().unwrap();
        let [given, without] = [condition, &null].map(|tokens| whole_pass(model, stack, tokens, masked));
        let largest = |logits: &[f64]| logits.iter().copied().fold(f64::MIN, f64::max);
        let mut moved = 0;
        for (place, &code) in stack.codes().iter().enumerate() {
            let scale = f64::from(scales[place % DEPTHS]);
            let row = place * CLASSES..place * CLASSES + SIZES[place % DEPTHS];
            let pairs = given[row.clone()].iter().zip(&without[row.clone()]);
            let guided: Vec<f64> = pairs.map(|(given, null)| null + scale * (given - null)).collect();
            assert!(largest(&guided) - guided[code as usize] < 1e-5, "{place}: {guided:?}, {code}");
            moved += usize::from(given[row.start + code as usize] < largest(&given[row]) - 1e-5);
        }
        moved
    }

    #[test]
    fn codes_are_sampled_from_guided_logits() {
        let mut count = 0;
        for condition in [&[2][..], &[3, 0, 1][..]] {
            let model = model("rq-transformer", condition.len(), 0.1);
            for scales in [[3.0; DEPTHS], [0.5; DEPTHS], [1.0, 0.0, 8.0]] {
                let filters = scales.map(|guidance| Filter { guidance, ..Filter::GREEDY });
                let stack = sampled(&model, request(condition, filters.to_vec())).remove(0);
                count += moved(&model, &stack, condition, scales, false);
            }
        }
        assert!(count > 5, "guidance changed {count} codes: too few to tell");
    }

    #[test]
    fn drafts_are_guided_too() {
        let mut count = 0;
        for condition in [&[0][..], &[1], &[2], &[3], &[3, 0, 1], &[2, 2, 0], &[1, 3, 2]] {
            let model = model("contextual-rq-transformer", condition.len(), 0.1);
            for scales in [[3.0; DEPTHS], [1.5, 2.0, 5.0], [0.5, 10.0, 4.0], [1.0, 0.0, 8.0]] {
                let filters = scales.map(|guidance| Filter { guidance, ..Filter::GREEDY }).to_vec();
                let schedule =
                    Schedule { draft: 1, revise: Rounds { rounds: 0, parts: 1 }, filters: filters.clone() };
                let mut session = DraftAndRevise::new(&model, request(condition, filters), schedule).unwrap();
                session.step();
                for stack in pollster::block_on(session.stacks()).unwrap() {
                    count += moved(&model, &stack, condition, scales, true);
                }
            }
        }
        assert!(count > 5, "guidance changed {count} codes: too few to tell");
    }

    #[test]
    fn guidance_of_1_uses_only_the_condition_and_0_the_null_condition() {
        let filters = |guidance: f32| vec![Filter { guidance, ..Filter::NONE }; DEPTHS];
        let with = |class: u32, guidance: f32| Request {
            images: (0..32).into(),
            ..request(&[class], filters(guidance))
        };
        for kind in ["rq-transformer", "contextual-rq-transformer"] {
            let [guided, plain] = [0.1, 0.0].map(|dropout| model(kind, 1, dropout));
            assert_ne!(sampled(&guided, with(2, 1.0)), sampled(&guided, with(2, 0.0)), "{kind}");
            assert_eq!(sampled(&guided, with(4, 1.0)), sampled(&guided, with(2, 0.0)), "{kind}");
            // The null condition is its own guide, and takes one row.
            assert_eq!(sampled(&guided, with(4, 3.0)), sampled(&guided, with(4, 1.0)), "{kind}");
            let refused = made(&plain, with(2, 2.0)).unwrap_err().to_string();
            assert!(refused.contains("arch.cond_dropout"), "{refused}");
            let unknown = made(&plain, with(4, 1.0)).unwrap_err().to_string();
            assert!(unknown.contains("0 to 3, found 4"), "{unknown}");
        }
        assert_eq!(Guidance::of(&filters(3.0), true).rows_per_image(), 1);
    }

    /// Where only some depths are guided, the others have the logits of one condition to the last bit, which sums of the two
    /// would not give.
    #[test]
    fn a_depth_of_guidance_1_or_0_has_the_logits_of_one_condition() {
        let (given, null) = ([0.1f32, -7.0], [1e8f32, 3.0]);
        let logits = Tensor::<2>::from_data(TensorData::new([given, null].concat(), [2, 2]), &Device::flex());
        let both = Guidance::Both(vec![1.0, 0.0, 2.0]);
        assert_eq!(values(both.logits(logits.clone(), 0, 2)), given);
        assert_eq!(values(both.logits(logits.clone(), 1, 2)), null);
        assert_eq!(values(both.logits(logits, 2, 2)), [-1e8, -17.0]);
    }
}
