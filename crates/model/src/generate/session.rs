//! A batch of stacks in progress: one cell per step, so that it can be shown, stopped and resumed.

use burn::tensor::{Int, Tensor, TensorData};

use super::guidance::Guidance;
use super::steps::Steps;
use crate::RqTransformer;
use crate::rqtransformer::Decoding;
use residua_core::config::{Architecture, RqTransformerConfig};
use residua_core::error::{Error, Result};
use residua_core::sampling::filter::Filter;
use residua_core::sampling::{Forced, Images};
use residua_core::text::counted;
use residua_kernels::sample_token::{Draw, sample_into};

/// What to sample.
#[derive(Clone, Debug)]
pub struct Request {
    /// The condition's tokens: a class, a padded caption, or 0 for an unconditional model.
    pub condition: Vec<u32>,
    /// One filter per depth.
    pub filters: Vec<Filter>,
    /// Seed for all draws.
    pub seed: u64,
    /// Which images of that seed: image `i` is the same in every batch.
    pub images: Images,
    /// Codes that are given, the same for all images.
    pub forced: Option<Forced>,
}

impl Request {
    /// Whether the condition is the null condition of the model of `config`.
    pub fn is_null(&self, config: &RqTransformerConfig) -> bool {
        config.null_condition().is_some_and(|null| null == self.condition)
    }

    /// Checks that the request fits the model of `config`.
    ///
    /// # Errors
    /// The condition, a filter or the given codes do not fit, or there is no image to sample.
    pub fn check(&self, config: &RqTransformerConfig) -> Result<()> {
        let (length, vocabulary) = (config.block_size_cond, config.vocab_size_cond);
        if self.condition.len() != length {
            let (expected, found) = (counted(length, "condition token"), self.condition.len());
            return Err(Error::usage(format!("the model takes {expected}, found {found}")));
        }
        let is_known = |token: u32| (token as usize) < vocabulary || self.is_null(config);
        if let Some(token) = self.condition.iter().find(|&&token| !is_known(token)) {
            return Err(Error::usage(format!(
                "the model's conditions are 0 to {}, found {token}",
                vocabulary - 1
            )));
        }
        if self.images.is_empty() {
            return Err(Error::usage("expected at least one image to sample, found 0"));
        }
        if self.filters.len() != config.depth() {
            return Err(Error::usage(format!(
                "expected {}, one for each depth, found {}",
                counted(config.depth(), "filter"),
                self.filters.len()
            )));
        }
        self.filters.iter().try_for_each(Filter::check)?;
        self.forced.as_ref().map_or(Ok(()), |forced| check_forced(forced, config))
    }
}

/// Checks that given codes fit the model of `config`.
fn check_forced(Forced { stack, keep }: &Forced, config: &RqTransformerConfig) -> Result<()> {
    if stack.shape() != config.block_size {
        let (expected, found) = (config.block_size, stack.shape());
        return Err(Error::invalid(format!(
            "the model's code stacks are {expected:?}, the given one is {found:?}"
        )));
    }
    stack.validate(&config.codebook_sizes()?)?;
    if keep.len() != stack.codes().len() {
        return Err(Error::usage("expected one flag for each code of the stack"));
    }
    Ok(())
}

/// A batch in progress.
pub struct Session<'a> {
    model: &'a RqTransformer,
    request: Request,
    guidance: Guidance,
    /// Codebook sizes.
    sizes: Vec<usize>,
    decoding: Decoding,
    /// The codes so far, `[B, cells D]`; code 0 where there is none yet. `None` only while one is written, so that a
    /// second handle does not turn the write into a copy.
    codes: Option<Tensor<2, Int>>,
    /// Cells done.
    done: usize,
}

impl<'a> Session<'a> {
    /// Reads the condition and the given leading cells.
    pub fn new(model: &'a RqTransformer, request: Request) -> Result<Self> {
        model.config.kind.must_be(
            Architecture::Autoregressive,
            "sampling cell by cell",
            "draft and revise with it",
        )?;
        request.check(&model.config)?;
        let (batch, device) = (request.images.len(), model.device());
        let guidance = Guidance::of(&request.filters, request.is_null(&model.config));
        let condition = conditions(model, &request, &guidance)?;
        let (cells, depth) = (model.config.cells(), model.config.depth());
        let begun = (0..cells * depth).map(|place| given_code(&request, place).unwrap_or(0));
        let codes = repeat(&begun.collect::<Vec<_>>(), [batch, cells * depth], device);
        let is_given = |cell: &usize| {
            (cell * depth..(cell + 1) * depth).all(|place| given_code(&request, place).is_some())
        };
        let done = (0..cells).take_while(is_given).count();
        // The last cell is never read: nothing comes after it.
        let read = done.min(cells - 1);
        let known = (read > 0).then(|| {
            let known = codes.clone().slice([0..batch, 0..read * depth]).reshape([batch, read, depth]);
            guidance.rows(known)
        });
        let decoding = model.begin(condition, known);
        let sizes = model.config.codebook_sizes()?;
        Ok(Self { model, sizes, request, guidance, decoding, codes: Some(codes), done })
    }

    /// The codes so far, `[B, cells D]`.
    fn stacks_so_far(&self) -> Tensor<2, Int> {
        self.codes.clone().expect("every write puts the codes back")
    }

    /// Generates the codes of `cell`, the next one.
    fn write_cell(&mut self, cell: usize) {
        let depth = self.model.config.depth();
        let is_drawn = |d: usize| given_code(&self.request, cell * depth + d).is_none();
        // No logits are needed below the last code that is not given.
        let end = (0..depth).rev().find(|&d| is_drawn(d)).map_or(0, |last| last + 1);
        let drawn: Vec<bool> = (0..end).map(is_drawn).collect();
        for (d, is_drawn) in drawn.into_iter().enumerate() {
            let above = (d > 0).then(|| self.guidance.rows(self.stacks_so_far()));
            let logits = self.model.code_logits(&mut self.decoding, above, cell, d);
            if is_drawn {
                self.draw(logits, d, cell * depth + d);
            }
        }
    }

    /// Writes a code for each image at `place`, which is at `depth`.
    fn draw(&mut self, logits: Tensor<2>, depth: usize, place: usize) {
        let Request { filters, seed, images, .. } = &self.request;
        let logits = self.guidance.logits(logits, depth, self.sizes[depth]);
        let draw = Draw {
            filter: filters[depth],
            seed: *seed,
            first_image: images.first,
            image_step: images.step,
            place: place as u32,
            turns: None,
        };
        let codes = self.codes.take().expect("every write puts the codes back");
        self.codes = Some(sample_into(logits, &draw, codes, place));
    }
}

/// A step is a cell; images are shown after each row of cells.
impl Steps for Session<'_> {
    fn done(&self) -> usize {
        self.done
    }

    fn total(&self) -> usize {
        self.model.config.cells()
    }

    fn shown_every(&self) -> usize {
        self.model.config.block_size[1]
    }

    fn step(&mut self) {
        let cell = self.done;
        if cell == self.total() {
            return;
        }
        self.write_cell(cell);
        if cell + 1 < self.total() {
            let codes = self.guidance.rows(self.stacks_so_far());
            self.model.read_cell(&mut self.decoding, codes, cell);
        }
        self.done += 1;
    }

    fn codes(&self) -> Tensor<4, Int> {
        let [h, w, depth] = self.model.config.block_size;
        self.stacks_so_far().reshape([self.request.images.len(), h, w, depth])
    }

    fn known(&self) -> Vec<bool> {
        let of_one = (0..self.total()).map(|cell| cell < self.done()).collect::<Vec<_>>();
        of_one.repeat(self.request.images.len())
    }
}

/// The code at `place`, if it is given.
pub(super) fn given_code(request: &Request, place: usize) -> Option<u32> {
    let forced = request.forced.as_ref()?;
    forced.keep[place].then(|| forced.stack.codes()[place])
}

/// The condition for each row of a batch, `[rows, length]`.
pub(super) fn conditions(
    model: &RqTransformer,
    request: &Request,
    guidance: &Guidance,
) -> Result<Tensor<2, Int>> {
    let conditions = guidance.conditions(&request.condition, model.config.null_condition())?;
    let of_all = |tokens: &Vec<u32>| repeat(tokens, [request.images.len(), tokens.len()], model.device());
    Ok(Tensor::cat(conditions.iter().map(of_all).collect(), 0))
}

/// Repeats `row` for every image.
pub(super) fn repeat(row: &[u32], shape: [usize; 2], device: &burn::tensor::Device) -> Tensor<2, Int> {
    let values: Vec<i32> = (0..shape[0]).flat_map(|_| row.iter().map(|&x| x as i32)).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
