//! Generates a batch of stacks with a contextual model: drafts them part by part, then revises them part by
//! part (Draft-and-Revise, arXiv 2206.04452, section 3.3, algorithms 1 and 2).

use std::ops::Range;

use burn::tensor::{Bool, Int, Tensor, TensorData};

use super::guidance::Guidance;
use super::session::{Request, conditions, given_code, repeat};
use super::steps::Steps;
use crate::RqTransformer;
use crate::rqtransformer::Masked;
use residua_core::config::Architecture;
use residua_core::error::{Error, Result};
use residua_core::sampling::partition::{order, parts};
use residua_core::sampling::{Filter, Forced, Schedule};
use residua_kernels::sample_token::{Draw, Turns, sample_into};

/// A batch in progress: each step generates one part in one pass through the body.
pub struct DraftAndRevise<'a> {
    model: &'a RqTransformer,
    request: Request,
    /// For the draft, and for revisions.
    phases: [Phase; 2],
    /// Codebook sizes.
    sizes: Vec<usize>,
    /// Cells with at least one code that is not given.
    free: Vec<usize>,
    /// The codes so far, `[B * cells, D]`; code 0 where there is none yet.
    codes: Tensor<2, Int>,
    steps: Vec<Step>,
    done: usize,
}

/// The settings that can differ between draft and revisions.
struct Phase {
    filters: Vec<Filter>,
    guidance: Guidance,
    /// One condition for each batch row, `[rows, length]`.
    condition: Tensor<2, Int>,
}

impl Phase {
    fn new(model: &RqTransformer, request: &Request, filters: &[Filter]) -> Result<Self> {
        let guidance = Guidance::of(filters, request.is_null(&model.config));
        let condition = conditions(model, request, &guidance)?;
        Ok(Self { filters: filters.to_vec(), guidance, condition })
    }
}

/// A part of the cells to sample, as ranks in the order of a pass.
#[derive(Clone)]
struct Step {
    /// 0 is the draft, others are revisions.
    pass: u32,
    ranks: Range<usize>,
}

/// An order of the free cells for each image in the batch.
type Orders = Vec<Vec<usize>>;

impl<'a> DraftAndRevise<'a> {
    /// Starts from the given codes, or from the complete given stack if the schedule has no draft.
    ///
    /// # Errors
    /// The model is not contextual, the request or schedule does not fit it, or there are no codes to revise.
    pub fn new(model: &'a RqTransformer, request: Request, schedule: Schedule) -> Result<Self> {
        let config = &model.config;
        config.kind.must_be(
            Architecture::Contextual,
            "drafting and revising",
            "an autoregressive model samples cell by cell, once",
        )?;
        request.check(config)?;
        schedule.check(config.depth())?;
        if schedule.draft == 0 && request.forced.is_none() {
            return Err(Error::usage("expected codes to revise, found none: draft some first"));
        }
        let depth = config.depth();
        let all = || (0..config.cells()).collect();
        let free: Vec<usize> = request.forced.as_ref().map_or_else(all, Forced::free);
        let batch = request.images.len();
        let begun = (0..config.cells() * depth).map(|place| match schedule.draft {
            0 => request.forced.as_ref().map_or(0, |forced| forced.stack.codes()[place]),
            _ => given_code(&request, place).unwrap_or(0),
        });
        let codes = repeat(&begun.collect::<Vec<_>>(), [batch, config.cells() * depth], model.device());
        Ok(Self {
            phases: [
                Phase::new(model, &request, &request.filters)?,
                Phase::new(model, &request, &schedule.filters)?,
            ],
            sizes: config.codebook_sizes()?,
            codes: codes.reshape([batch * config.cells(), depth]),
            steps: steps(&schedule, free.len()),
            done: 0,
            model,
            request,
            free,
        })
    }

    fn orders(&self, pass: u32) -> Orders {
        let Request { seed, images, .. } = &self.request;
        images.numbers().map(|image| order(&self.free, *seed, image, pass)).collect()
    }

    /// The masked cells in `step`, image by image: the part itself, and in a draft all later parts.
    fn hidden(&self, step: &Step, orders: &Orders) -> Vec<bool> {
        let cells = self.model.config.cells();
        let end = if step.pass == 0 { self.free.len() } else { step.ranks.end };
        let mut hidden = vec![false; orders.len() * cells];
        for (image, order) in orders.iter().enumerate() {
            order[step.ranks.start..end].iter().for_each(|cell| hidden[image * cells + cell] = true);
        }
        hidden
    }

    /// Samples new codes `[N, D]` for the cells at `rows`.
    fn draw(&self, step: &Step, orders: &Orders, rows: &[usize]) -> Tensor<2, Int> {
        let (model, depth) = (self.model, self.model.config.depth());
        let Phase { guidance, condition, .. } = self.phase(step);
        // With both conditions, each image has two rows with the same masked and requested cells.
        let times = guidance.rows_an_image() as usize;
        let hidden = self.hidden(step, orders).repeat(times);
        let next = self.codes.dims()[0];
        let asked: Vec<usize> = (0..times).flat_map(|i| rows.iter().map(move |row| i * next + row)).collect();
        let masked = Masked::new(hidden, &asked, model.config.cells(), model.device());
        let mut cells = model.begin_masked(guidance.rows(self.codes.clone()), condition.clone(), &masked);
        let given = self.given(rows);
        let mut codes = Tensor::<2, Int>::zeros([rows.len(), depth], model.device());
        for d in 0..depth {
            let above = (d > 0).then(|| guidance.rows(codes.clone()));
            let logits = guidance.logits(model.cell_logits(&mut cells, above, d), d, self.sizes[d]);
            codes = self.draw_depth(logits, codes, step, d);
            if let Some((is_given, given)) = &given {
                codes = codes.mask_where(is_given.clone(), given.clone());
            }
        }
        codes
    }

    /// Samples one code at `depth` of `codes` `[N, D]` for each row of `logits` `[N, V]`, in the row order of
    /// [`Self::step`]. The random number depends on the pass, the cell's rank in it and the depth, so no two draws of
    /// an image share one.
    fn draw_depth(
        &self,
        logits: Tensor<2>,
        codes: Tensor<2, Int>,
        step: &Step,
        depth: usize,
    ) -> Tensor<2, Int> {
        let [cells, depths] = [self.model.config.cells(), self.model.config.depth()];
        let Request { seed, images, .. } = &self.request;
        let draw = Draw {
            filter: self.phase(step).filters[depth],
            seed: *seed,
            first_image: images.first,
            image_step: images.step,
            place: ((step.pass as usize * cells + step.ranks.start) * depths + depth) as u32,
            turns: Some(Turns { images: images.count, stride: depths as u32 }),
        };
        sample_into(logits, &draw, codes, depth)
    }

    fn phase(&self, step: &Step) -> &Phase {
        &self.phases[usize::from(step.pass > 0)]
    }

    /// Which codes of the cells at `rows` are given, and these codes, `[N, D]`; `None` if none is.
    fn given(&self, rows: &[usize]) -> Option<(Tensor<2, Bool>, Tensor<2, Int>)> {
        let (cells, depths) = (self.model.config.cells(), self.model.config.depth());
        let places = rows.iter().flat_map(|row| (0..depths).map(move |d| row % cells * depths + d));
        let given: Vec<Option<u32>> = places.map(|place| given_code(&self.request, place)).collect();
        if given.iter().all(Option::is_none) {
            return None;
        }
        let (device, shape) = (self.model.device(), [rows.len(), depths]);
        let codes: Vec<i32> = given.iter().map(|code| code.unwrap_or(0) as i32).collect();
        let is_given: Vec<bool> = given.iter().map(Option::is_some).collect();
        let is_given = Tensor::from_data(TensorData::new(is_given, shape), device);
        Some((is_given, Tensor::from_data(TensorData::new(codes, shape), device)))
    }
}

/// A step is a part of the cells, and each step is shown.
impl Steps for DraftAndRevise<'_> {
    fn done(&self) -> usize {
        self.done
    }

    fn total(&self) -> usize {
        self.steps.len()
    }

    fn shown_every(&self) -> usize {
        1
    }

    fn step(&mut self) {
        let Some(step) = self.steps.get(self.done).cloned() else { return };
        let orders = self.orders(step.pass);
        // All images at one rank, then the next rank, so that the rows of one draw are adjacent.
        let cells = self.model.config.cells();
        let row =
            |rank: usize| orders.iter().enumerate().map(move |(image, order)| image * cells + order[rank]);
        let rows: Vec<usize> = step.ranks.clone().flat_map(row).collect();
        let drawn = self.draw(&step, &orders, &rows);
        self.codes = written(self.codes.clone(), drawn, &rows);
        self.done += 1;
    }

    fn codes(&self) -> Tensor<4, Int> {
        let [h, w, depth] = self.model.config.block_size;
        self.codes.clone().reshape([self.request.images.len(), h, w, depth])
    }

    fn known(&self) -> Vec<bool> {
        let all = self.request.images.len() * self.model.config.cells();
        match self.steps.get(self.done) {
            Some(step) if step.pass == 0 => {
                let hidden = self.hidden(step, &self.orders(step.pass));
                hidden.into_iter().map(|hidden| !hidden).collect()
            }
            _ => vec![true; all],
        }
    }
}

/// The parts of all passes over `free` cells.
fn steps(schedule: &Schedule, free: usize) -> Vec<Step> {
    let revisions = (1..=schedule.revise.rounds).map(|pass| (pass, schedule.revise.parts));
    let passes = std::iter::once((0, schedule.draft)).chain(revisions);
    passes
        .flat_map(|(pass, count)| {
            parts(free, count as usize).into_iter().map(move |ranks| Step { pass, ranks })
        })
        .collect()
}

/// `codes` `[B * cells, D]` with `new` `[N, D]` at `rows`. Rows are selected from the concatenation, because
/// no device writes in place.
fn written(codes: Tensor<2, Int>, new: Tensor<2, Int>, rows: &[usize]) -> Tensor<2, Int> {
    let (all, device) = (codes.dims()[0], codes.device());
    let mut picked: Vec<i32> = (0..all as i32).collect();
    for (&row, new) in rows.iter().zip(all as i32..) {
        picked[row] = new;
    }
    let picked = Tensor::from_data(TensorData::new(picked, [all]), &device);
    Tensor::cat(vec![codes, new], 0).select(0, picked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Loader;
    use burn::tensor::Device;
    use proptest::prelude::*;
    use residua_core::codes::CodeStack;
    use residua_core::config::{Config, ModelConfig, Precision};
    use residua_core::random::code_uniform;
    use residua_core::sampling::filter::distribution;
    use residua_core::sampling::{Images, Rounds};
    use residua_kernels::device::{DeviceChoice, open};
    use residua_kernels::values;
    use serde_json::json;

    const CELLS: usize = 12;
    const SIZES: [u32; 3] = [40, 30, 50];

    /// A model with random weights and codebooks of three sizes.
    fn model(kind: &str, device: &Device) -> RqTransformer {
        let stack = json!({"n_layer": 2, "block": {"n_head": 4}});
        let document = json!({
            "dataset": {"vocab_size": SIZES},
            "arch": {
                "type": kind, "block_size": [4, 3, 3], "embed_dim": 32, "vocab_size_cond": 3,
                "body": stack, "head": stack,
            },
        });
        let ModelConfig::RqTransformer(config) = Config::from_document("test", document).unwrap().model
        else {
            panic!("expected a transformer")
        };
        RqTransformer::load(&mut Loader::random(3, device, Precision::Stored), &config, None).unwrap()
    }

    fn contextual(device: &Device) -> RqTransformer {
        model("contextual-rq-transformer", device)
    }

    fn request(images: impl Into<Images>, forced: Option<Forced>) -> Request {
        let filters =
            vec![Filter::NONE, Filter { top_k: 20, ..Filter::NONE }, Filter { top_p: 0.9, ..Filter::NONE }];
        Request { condition: vec![1], filters, seed: 5, images: images.into(), forced }
    }

    fn schedule(draft: u32, rounds: u32, parts: u32) -> Schedule {
        let filters = vec![Filter { temperature: 0.8, ..Filter::NONE }; 3];
        Schedule { draft, revise: Rounds { rounds, parts }, filters }
    }

    fn made(model: &RqTransformer, request: Request, schedule: Schedule) -> Vec<CodeStack> {
        let mut session = DraftAndRevise::new(model, request, schedule).unwrap();
        session.finish();
        assert!(session.known().iter().all(|&known| known));
        pollster::block_on(session.stacks()).unwrap()
    }

    #[test]
    fn kept_codes_never_change() {
        let model = contextual(&Device::flex());
        let code = |place: usize| 0..SIZES[place % 3];
        let codes: Vec<_> = (0..CELLS * 3).map(code).collect();
        let keep = prop_oneof![
            prop::collection::vec(any::<bool>(), CELLS * 3),
            prop::collection::vec(any::<bool>(), CELLS)
                .prop_map(|cells| cells.into_iter().flat_map(|kept| [kept; 3]).collect::<Vec<_>>()),
            Just(vec![true; CELLS * 3]),
        ];
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let strategy = (codes, keep, 0u32..20, 0u32..3, 1u32..20);
        let checked = runner.run(&strategy, |(codes, keep, draft, rounds, parts)| {
            let rounds = if draft == 0 { rounds.max(1) } else { rounds };
            let stack = CodeStack::new(4, 3, 3, codes.clone()).unwrap();
            let forced = Some(Forced { stack, keep: keep.clone() });
            for stack in made(&model, request(0..2, forced), schedule(draft, rounds, parts)) {
                for (place, &code) in stack.codes().iter().enumerate() {
                    prop_assert!(code < SIZES[place % 3]);
                    prop_assert!(!keep[place] || code == codes[place], "{}", place);
                }
            }
            Ok(())
        });
        checked.unwrap();
    }

    #[test]
    fn an_image_does_not_depend_on_its_batch() {
        let model = contextual(&Device::flex());
        let all = made(&model, request(0..5, None), schedule(5, 2, 3));
        for images in [0..1, 1..3, 2..5] {
            let range = images.start as usize..images.end as usize;
            assert_eq!(made(&model, request(images, None), schedule(5, 2, 3)), all[range]);
        }
        let odd = Images { first: 1, step: 2, count: 2 };
        assert_eq!(made(&model, request(odd, None), schedule(5, 2, 3)), [all[1].clone(), all[3].clone()]);
        assert_ne!(all[0], all[1]);
    }

    /// The first parts of a draft are shown before the rest is known.
    #[test]
    fn a_draft_is_filled_part_by_part() {
        let model = contextual(&Device::flex());
        let mut session = DraftAndRevise::new(&model, request(0..2, None), schedule(6, 1, 2)).unwrap();
        let known = |session: &DraftAndRevise| session.known().iter().filter(|&&known| known).count();
        let counts: Vec<usize> = (0..session.total())
            .map(|_| {
                session.step();
                known(&session)
            })
            .collect();
        assert_eq!(counts, [4, 8, 12, 16, 20, 24, 24, 24]);
    }

    #[test]
    fn unsupported_requests_are_refused() {
        let device = Device::flex();
        let refused = |kind: &str, schedule: Schedule| {
            let model = model(kind, &device);
            let found = DraftAndRevise::new(&model, request(0..1, None), schedule);
            found.err().unwrap().to_string()
        };
        assert!(
            refused("rq-transformer", schedule(4, 1, 2))
                .contains("contextual-rq-transformer, found rq-transformer")
        );
        assert!(refused("contextual-rq-transformer", schedule(0, 1, 2)).contains("expected codes to revise"));
    }

    /// Distance of a draw's random number to the nearest boundary between two codes, on the CPU.
    fn margin(
        session: &DraftAndRevise,
        step: &Step,
        image: usize,
        rank: usize,
        depth: usize,
        codes: &[u32],
    ) -> f32 {
        let orders = session.orders(step.pass);
        let row = image * CELLS + orders[image][rank];
        let device = session.model.device();
        let masked = Masked::new(session.hidden(step, &orders), &[row], CELLS, device);
        let mut cells =
            session.model.begin_masked(session.codes.clone(), session.phase(step).condition.clone(), &masked);
        let above: Vec<i32> = codes[row * 3..][..3].iter().map(|&code| code as i32).collect();
        let above = Tensor::from_data(TensorData::new(above, [1, 3]), device);
        let mut logits = session.model.cell_logits(&mut cells, None, 0);
        for d in 1..=depth {
            logits = session.model.cell_logits(&mut cells, Some(above.clone()), d);
        }
        let kept = distribution(&values(logits), &session.phase(step).filters[depth]).unwrap();
        let place = ((step.pass as usize * CELLS + rank) * 3 + depth) as u32;
        let uniform = code_uniform(session.request.seed, image as u32, place);
        let mut sum = 0.0;
        let bounds = kept.iter().map(|p| {
            sum += p;
            (sum - uniform).abs()
        });
        bounds.fold(1.0, f32::min)
    }

    /// Runs both devices side by side. Where a random number is at the boundary between two codes, they may
    /// differ; such ties are counted, and the GPU continues from the CPU's codes.
    #[test]
    fn a_seed_gives_the_same_codes_on_a_gpu() {
        let (host, gpu) = (Device::flex(), open(DeviceChoice::Gpu).unwrap());
        let models = [&host, &gpu].map(contextual);
        let [mut expected, mut found] = [&models[0], &models[1]]
            .map(|model| DraftAndRevise::new(model, request(0..3, None), schedule(5, 2, 3)).unwrap());
        let codes = |session: &DraftAndRevise| {
            let stacks = pollster::block_on(session.stacks()).unwrap();
            stacks.into_iter().flat_map(|stack| stack.codes().to_vec()).collect::<Vec<u32>>()
        };
        let (mut draws, mut ties) = (0, 0);
        for step in expected.steps.clone() {
            let before = expected.codes.clone();
            expected.step();
            found.step();
            let (right, other) = (codes(&expected), codes(&found));
            expected.codes = before;
            let orders = expected.orders(step.pass);
            for (image, rank) in (0..3).flat_map(|image| step.ranks.clone().map(move |rank| (image, rank))) {
                draws += 3;
                let row = image * CELLS + orders[image][rank];
                let first = (0..3).find(|d| right[row * 3 + d] != other[row * 3 + d]);
                if let Some(depth) = first {
                    let margin = margin(&expected, &step, image, rank, depth, &right);
                    assert!(margin < 1e-4, "image {image}, cell {row}, depth {depth}: {margin} off a tie");
                    ties += 1;
                }
            }
            let right: Vec<i32> = right.into_iter().map(|code| code as i32).collect();
            let again = |device| Tensor::from_data(TensorData::new(right.clone(), [3 * CELLS, 3]), device);
            (expected.codes, found.codes) = (again(&host), again(&gpu));
        }
        println!("{draws} draws, {ties} ties");
        assert_eq!(draws, 3 * 3 * CELLS * 3);
        assert!(ties * 100 < draws, "{ties} of {draws}");
    }
}
