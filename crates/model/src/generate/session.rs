//! A batch of stacks in progress: one cell per step, so that it can be shown, stopped and resumed.

use burn::tensor::{Int, Tensor, TensorData};

use super::guidance::Guidance;
use super::steps::Steps;
use crate::RqTransformer;
use crate::rqtransformer::Decoding;
use residua_core::codes::CodeStack;
use residua_core::config::{Architecture, RqTransformerConfig};
use residua_core::error::{Error, Result};
use residua_core::sampling::filter::Filter;
use residua_core::sampling::{Forced, Images};
use residua_core::text::counted;
use residua_kernels::arrived;
use residua_kernels::sample_token::{Draw, sample_token};

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
    /// The cells so far, `[B, D]` each, in raster order.
    cells: Vec<Tensor<2, Int>>,
}

impl<'a> Session<'a> {
    /// Reads the condition and the given leading cells.
    pub fn new(model: &'a RqTransformer, request: Request) -> Result<Self> {
        model.config.kind.must_be(
            Architecture::Autoregressive,
            "sampling cell by cell",
            "use `sample`, `complete` or `revise`, which draft and revise",
        )?;
        request.check(&model.config)?;
        let (batch, device) = (request.images.len(), model.device());
        let guidance = Guidance::of(&request.filters, request.is_null(&model.config));
        let condition = conditions(model, &request, &guidance)?;
        let cells: Vec<Tensor<2, Int>> = (0..model.config.cells())
            .map_while(|cell| given(&request, cell, model.config.depth()))
            .map(|codes| repeat(&codes, [batch, codes.len()], device))
            .collect();
        // The last cell is never read: nothing comes after it.
        let read = cells.len().min(model.config.cells() - 1);
        let known = (read > 0).then(|| {
            Tensor::cat(cells[..read].iter().map(|cell| cell.clone().unsqueeze_dim::<3>(1)).collect(), 1)
        });
        let decoding = model.begin(condition, known.map(|known| guidance.rows(known)));
        Ok(Self { model, sizes: model.config.codebook_sizes()?, request, guidance, decoding, cells })
    }

    /// Generates the codes `[B, D]` of the next cell.
    fn next_cell(&mut self, cell: usize) -> Tensor<2, Int> {
        let (batch, depth) = (self.request.images.len(), self.model.config.depth());
        // No logits are needed below the last code that is not given.
        let last = (0..depth).rev().find(|&d| given_code(&self.request, cell * depth + d).is_none());
        let mut codes: Vec<Tensor<1, Int>> = Vec::with_capacity(depth);
        for d in 0..depth {
            let place = cell * depth + d;
            let logits = last.is_some_and(|last| d <= last).then(|| {
                let above = codes.last().cloned().map(|codes| self.guidance.rows(codes));
                self.model.code_logits(&mut self.decoding, above, d)
            });
            codes.push(match (given_code(&self.request, place), logits) {
                (None, Some(logits)) => self.draw(logits, d, place),
                (Some(code), _) => repeat(&[code], [batch, 1], self.model.device()).reshape([batch]),
                (None, None) => unreachable!("a code that is not given is at or above the last such one"),
            });
        }
        Tensor::cat(codes.into_iter().map(|codes| codes.unsqueeze_dim(1)).collect(), 1)
    }

    fn draw(&self, logits: Tensor<2>, depth: usize, place: usize) -> Tensor<1, Int> {
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
        sample_token(logits, &draw)
    }
}

/// The stacks of `codes` `[B, h, w, D]`, read back in one transfer.
pub(super) async fn read_stacks(codes: Tensor<4, Int>) -> Result<Vec<CodeStack>> {
    let ([_, h, w, depth], device) = (codes.dims(), codes.device());
    let data = arrived(&device, codes.into_data_async()).await?;
    let codes: Vec<i64> = data.convert::<i64>().try_to_vec().expect("converted to i64 just above");
    let code = |&code: &i64| {
        u32::try_from(code)
            .map_err(|_| Error::invalid("the model's logits are NaN; its weights may be damaged"))
    };
    let stack = |codes: &[i64]| CodeStack::new(h, w, depth, codes.iter().map(code).collect::<Result<_>>()?);
    codes.chunks(h * w * depth).map(stack).collect()
}

/// A step is a cell; images are shown after each row of cells.
impl Steps for Session<'_> {
    fn done(&self) -> usize {
        self.cells.len()
    }

    fn total(&self) -> usize {
        self.model.config.cells()
    }

    fn shown_every(&self) -> usize {
        self.model.config.block_size[1]
    }

    fn step(&mut self) {
        let cell = self.cells.len();
        if cell == self.total() {
            return;
        }
        let codes = self.next_cell(cell);
        if cell + 1 < self.total() {
            self.model.read_cell(&mut self.decoding, self.guidance.rows(codes.clone()), cell);
        }
        self.cells.push(codes);
    }

    fn codes(&self) -> Tensor<4, Int> {
        let [h, w, depth] = self.model.config.block_size;
        let (batch, to_come) = (self.request.images.len(), self.total() - self.cells.len());
        let mut cells = self.cells.clone();
        if to_come > 0 {
            cells.push(Tensor::zeros([batch, to_come * depth], self.model.device()));
        }
        Tensor::cat(cells, 1).reshape([batch, h, w, depth])
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

/// The codes of a cell, if all are given.
fn given(request: &Request, cell: usize, depth: usize) -> Option<Vec<u32>> {
    (cell * depth..(cell + 1) * depth).map(|place| given_code(request, place)).collect()
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
