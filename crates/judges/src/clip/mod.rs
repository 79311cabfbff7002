//! CLIP (Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021): how
//! well a picture matches a caption.
//!
//! Supports the weights of OpenAI's vision transformers (ViT-B/32, ViT-B/16, ViT-L/14) and OpenCLIP's, such
//! as LAION's, with their own names or Hugging Face's. Sizes follow from the shapes of the tensors.

mod names;
mod tower;
mod variant;

use burn::tensor::{Device, Int, Tensor, TensorData};

use names::Names;
use tower::{Sizes, Tower};
use variant::Variant;

use super::prepare::{Preparation, Rounding};
use residua_core::config::Precision;
use residua_core::error::{Error, Result};
use residua_io::image_io::Picture;
use residua_io::image_io::resize::{Fit, Interpolation};
use residua_io::tokenizer::{Tokenizer, TokenizerKind};
use residua_kernels::attention::{attend, attend_all};
use residua_kernels::matmul::matmul;
use residua_model::Loader;
use residua_model::rqtransformer::layers::LayerNorm;
use residua_weights::WeightFile;

/// Mean and standard deviation of CLIP's training data.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];
/// Lower bound for the product of the norms.
const SMALLEST: f32 = 1e-8;

/// The image encoder and the text encoder.
pub struct Clip {
    /// The class token, `[1, 1, width]`: its output is the image encoder's.
    class: Tensor<3>,
    /// `[width, 3, patch, patch]`.
    patches: Tensor<4>,
    norm_before: LayerNorm,
    image: Tower,
    /// `[vocabulary, width]`.
    tokens: Tensor<2>,
    text: Tower,
    tokenizer: Tokenizer,
    /// Maximum number of tokens.
    context: usize,
    preparation: Preparation,
    device: Device,
}

impl Clip {
    /// Loads the weights in `file`. `progress` is called before each tensor; its error aborts the load.
    ///
    /// # Errors
    /// The file is not a CLIP model with a vision transformer, or lacks tensors.
    pub fn load(file: &WeightFile, device: &Device, progress: impl FnMut() -> Result<()>) -> Result<Self> {
        let names = names_of(file)?;
        let [_, image_width] = file.shape(names.image.positions)?;
        let [_, text_width] = file.shape(names.text.positions)?;
        let variant = Variant::of(file, [image_width, text_width], names)?;
        let image = Sizes::of(file, &names.image, names, (variant, 0))?;
        let text = Sizes::of(file, &names.text, names, (variant, 1))?;
        let patch = patch(file, image, names)?;
        let tokenizer = Tokenizer::new(TokenizerKind::Simple, &[])?;
        check(file, "text embeddings as wide as image embeddings", image.embedding, text.embedding)?;
        check(file, "tokens in its vocabulary", tokenizer.vocab_size(), file.shape::<2>(names.tokens)?[0])?;

        let resolution = patch * (image.positions - 1).isqrt();
        let mut loader = Loader::from_file(file, device, Precision::Stored, progress)
            .expecting("CLIP", "download the weights again");
        names.unread.iter().for_each(|&name| loader.ignore(name));
        let clip = Self {
            class: loader.tensor(names.class, [image.width]).unsqueeze(),
            patches: loader.tensor(names.patches, [image.width, 3, patch, patch]),
            norm_before: LayerNorm::load(&mut loader, names.norm_before, image.width),
            image: Tower::load(&mut loader, image, &names.image, names),
            tokens: loader.tensor(names.tokens, [tokenizer.vocab_size(), text.width]),
            text: Tower::load(&mut loader, text, &names.text, names),
            tokenizer,
            context: text.positions,
            preparation: Preparation {
                fit: Fit { shorter: resolution, resolution, interpolation: Interpolation::Bicubic },
                mean: MEAN,
                deviation: DEVIATION,
                rounding: Rounding::Down,
            },
            device: device.clone(),
        };
        loader.finish()?;
        Ok(clip)
    }

    /// Embeddings `[B, E]` of pictures of any size; only the center square counts.
    ///
    /// # Errors
    /// A picture cannot be resized.
    pub fn pictures(&self, pictures: &[Picture]) -> Result<Tensor<2>> {
        let images = self.preparation.images(pictures, &self.device)?;
        let [width, channels, patch, _] = self.patches.dims();
        let (batch, grid) = (pictures.len(), self.preparation.fit.resolution / patch);
        let inputs = channels * patch * patch;
        // A convolution whose stride is its kernel size: a linear layer on each patch.
        let cells = images.reshape([batch, channels, grid, patch, grid, patch]).permute([0, 2, 4, 1, 3, 5]);
        let weights = self.patches.clone().reshape([width, inputs]).transpose();
        let cells = matmul(cells.reshape([batch * grid * grid, inputs]), weights);
        let class = self.class.clone().expand([batch, 1, width]);
        let x = Tensor::cat(vec![class, cells.reshape([batch, grid * grid, width])], 1);
        let [_, length, _] = x.dims();
        let x = self.image.placed(x).reshape([batch * length, width]);
        let x = self.norm_before.forward(x).reshape([batch, length, width]);
        Ok(self.image.embed(x, 0, attend_all))
    }

    /// The embedding `[1, E]` of a caption, truncated if it is too long.
    pub fn caption(&self, caption: &str) -> Tensor<2> {
        if self.tokenizer.length(caption) > self.context {
            tracing::warn!("CLIP reads at most {} tokens; the end of {caption:?} is cut off", self.context);
        }
        let mut tokens: Vec<i32> =
            self.tokenizer.encode(caption, self.context).into_iter().map(|token| token as i32).collect();
        // The embedding is the output at the first end token. Attention is causal, so later tokens do not
        // matter.
        let end = self.tokenizer.vocab_size() as i32 - 1;
        let length = tokens.iter().position(|&token| token == end).map_or(tokens.len(), |at| at + 1);
        tokens.truncate(length);
        let ids = Tensor::<1, Int>::from_data(TensorData::new(tokens, [length]), &self.device);
        let x = self.text.placed(self.tokens.clone().select(0, ids).unsqueeze());
        self.text.embed(x, length - 1, |qkv, heads| attend(qkv, heads, None))
    }
}

/// The CLIP score: the cosine similarity of each of the embeddings `pictures` `[B, E]` with its caption's in
/// `captions` `[B, E]`, or with a single one `[1, E]`. `[B, 1]`, in `[-1, 1]`.
pub fn clip_score(pictures: Tensor<2>, captions: Tensor<2>) -> Tensor<2> {
    let norm = |x: &Tensor<2>| x.clone().powi_scalar(2).sum_dim(1).sqrt();
    let norms = (norm(&pictures) * norm(&captions)).clamp_min(SMALLEST);
    (pictures * captions).sum_dim(1) / norms
}

/// The layout of the names in `file`.
fn names_of(file: &WeightFile) -> Result<&'static Names> {
    names::ALL.iter().find(|names| file.get(names.class).is_some()).ok_or_else(|| {
        let known = names::ALL.each_ref().map(|names| names.class).join(" or ");
        Error::invalid(format!(
            "{}: expected CLIP with a vision transformer (ViT), found no tensor {known}",
            file.name()
        ))
    })
}

/// Width and height of a patch, in pixels.
fn patch(file: &WeightFile, image: Sizes, names: &Names) -> Result<usize> {
    let [width, channels, rows, columns] = file.shape(names.patches)?;
    check(file, "patches of 3 channels", 3, channels)?;
    check(file, "square patches: columns", rows, columns)?;
    check(file, "channels of a patch", image.width, width)?;
    let cells = image.positions - 1;
    check(file, "positions of a square of patches", cells.isqrt().pow(2), cells)?;
    Ok(rows)
}

fn check(file: &WeightFile, what: &str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{} is not a supported CLIP model; {what}: expected {expected}, found {found}",
        file.name()
    )))
}
