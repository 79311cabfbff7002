//! Generates a batch of stacks with a contextual model: drafts them part by part, then revises them part by
//! part (Draft-and-Revise, arXiv 2206.04452, section 3.3, algorithms 1 and 2).

#[cfg(test)]
mod tests;

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

/// A part of the cells to sample, as positions in the order of a pass.
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
        let times = guidance.rows_per_image() as usize;
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
