//! ResNet (He et al., "Deep Residual Learning for Image Recognition", 2016) in torchvision's layout: a
//! classifier for ImageNet or other classes. Rejection sampling keeps the samples that it is most confident
//! about.
//!
//! Depth, widths, groups and classes follow from the names and shapes of the weights; batch norms are folded
//! into the convolutions before them.

use burn::tensor::activation::{relu, softmax};
use burn::tensor::module::{conv2d as burn_conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions, PadMode};
use burn::tensor::{Device, Slice, Tensor};

use super::prepare::{Preparation, Rounding};
use residua_core::config::Precision;
use residua_core::error::{Error, Result};
use residua_io::image_io::Picture;
use residua_io::image_io::resize::{Fit, Interpolation};
use residua_kernels::Resample;
use residua_kernels::conv2d::conv2d;
use residua_model::Loader;
use residua_model::rqtransformer::layers::Linear;
use residua_weights::WeightFile;

/// Epsilon of all batch norms.
const EPSILON: f32 = 1e-5;
/// The usual preprocessing for ImageNet evaluation.
const PREPARATION: Preparation = Preparation {
    fit: Fit { shorter: 256, resolution: 224, interpolation: Interpolation::Bilinear },
    mean: [0.485, 0.456, 0.406],
    deviation: [0.229, 0.224, 0.225],
    rounding: Rounding::Nearest,
};

/// A ResNet.
pub struct ResNet {
    stem: Conv,
    blocks: Vec<Block>,
    classifier: Linear,
    classes: usize,
    device: Device,
}

impl ResNet {
    /// Loads the weights in `file`, with torchvision's names. `progress` is called before each tensor; its
    /// error aborts the load.
    ///
    /// # Errors
    /// The file is not a supported ResNet, or lacks tensors.
    pub fn load(file: &WeightFile, device: &Device, progress: impl FnMut() -> Result<()>) -> Result<Self> {
        let loader = Loader::from_file(file, device, Precision::Stored, progress)
            .expecting("a torchvision ResNet", "download the weights again");
        let mut reader = Reader { file, loader };
        reader.loader.ignore("num_batches_tracked");
        let stem = reader.conv(["conv1", "bn1"], 3, 2)?;
        let (mut blocks, mut channels) = (Vec::new(), stem.channels());
        for stage in 1..=4 {
            let path = format!("layer{stage}");
            for i in 0..file.count(&format!("{path}."), ".conv1.weight") {
                let stride = if stage > 1 && i == 0 { 2 } else { 1 };
                blocks.push(reader.block(&format!("{path}.{i}"), channels, stride)?);
                channels = blocks.last().map_or(channels, Block::channels);
            }
        }
        let [classes, _] = file.shape("fc.weight")?;
        let classifier = Linear::load(&mut reader.loader, "fc", [classes, channels], true);
        reader.loader.finish()?;
        Ok(Self { stem, blocks, classifier, classes, device: device.clone() })
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Logits `[B, classes]` of pictures of any size; only the center square counts.
    ///
    /// # Errors
    /// A picture cannot be resized.
    pub fn logits(&self, pictures: &[Picture]) -> Result<Tensor<2>> {
        let images = PREPARATION.images(pictures, &self.device)?;
        let pool = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]);
        let x = max_pool2d(relu(self.stem.forward(images)), pool);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let [batch, channels, height, width] = x.dims();
        let means = x.reshape([batch, channels, height * width]).mean_dim(2);
        Ok(self.classifier.forward(means.reshape([batch, channels])))
    }

    /// The probability that each picture shows `class`, `[B, 1]`.
    ///
    /// # Errors
    /// As [`Self::logits`].
    ///
    /// # Panics
    /// There is no such class.
    pub fn probability(&self, pictures: &[Picture], class: usize) -> Result<Tensor<2>> {
        let all = softmax(self.logits(pictures)?, 1);
        let [batch, _] = all.dims();
        Ok(all.slice([0..batch, class..class + 1]))
    }
}

/// The file and its loader.
struct Reader<'a> {
    file: &'a WeightFile,
    loader: Loader<'a>,
}

impl Reader<'_> {
    /// Loads the convolution and the batch norm with these `names`, for an input with `from` channels.
    fn conv(&mut self, names: [&str; 2], from: usize, stride: usize) -> Result<Conv> {
        let [conv, norm] = names;
        let name = format!("{conv}.weight");
        let [to, each, kernel, columns] = self.file.shape(&name)?;
        let groups = from / each;
        if groups * each != from || !to.is_multiple_of(groups) || kernel != columns || kernel % 2 == 0 {
            return Err(Error::invalid(format!(
                "{} is not a supported ResNet: {name} of {:?} does not take {from} channels",
                self.file.name(),
                [to, each, kernel, columns]
            )));
        }
        let weight = self.loader.tensor(&name, [to, each, kernel, kernel]);
        let [gain, shift, mean, variance] = ["weight", "bias", "running_mean", "running_var"]
            .map(|part| self.loader.tensor(&format!("{norm}.{part}"), [to]));
        let factor = gain / (variance + EPSILON).sqrt();
        let bias = shift - mean * factor.clone();
        let weight = if self.loader.is_whole() {
            weight * factor.reshape([to, 1, 1, 1])
        } else {
            // `finish` reports the error.
            Tensor::zeros([to, each, kernel, kernel], self.loader.device())
        };
        Ok(Conv { weight, bias, stride, groups })
    }

    /// Loads the block whose tensor names start with `path`: three convolutions, or two in shallow networks.
    fn block(&mut self, path: &str, from: usize, stride: usize) -> Result<Block> {
        let count = if self.file.get(&format!("{path}.conv3.weight")).is_some() { 3 } else { 2 };
        let (mut convs, mut channels): (Vec<Conv>, usize) = (Vec::with_capacity(count), from);
        for i in 1..=count {
            // The first 3x3 convolution has the stride.
            let stride = if i == count - 1 { stride } else { 1 };
            let names = [format!("{path}.conv{i}"), format!("{path}.bn{i}")];
            let conv = self.conv(names.each_ref().map(String::as_str), channels, stride)?;
            channels = conv.channels();
            convs.push(conv);
        }
        let names = [format!("{path}.downsample.0"), format!("{path}.downsample.1")];
        let shortcut = match self.file.get(&format!("{}.weight", names[0])) {
            Some(_) => Some(self.conv(names.each_ref().map(String::as_str), from, stride)?),
            None => None,
        };
        let beside = shortcut.as_ref().map_or(from, Conv::channels);
        if beside != channels || (shortcut.is_none() && stride != 1) {
            return Err(Error::invalid(format!(
                "{} is not a supported ResNet: {path} adds {channels} channels to {beside}",
                self.file.name()
            )));
        }
        Ok(Block { convs, shortcut })
    }
}

/// A padded convolution with the batch norm after it folded in.
struct Conv {
    /// `[out, in / groups, k, k]`.
    weight: Tensor<4>,
    bias: Tensor<1>,
    stride: usize,
    groups: usize,
}

impl Conv {
    fn channels(&self) -> usize {
        self.weight.dims()[0]
    }

    /// `[B, in, H, W]` to `[B, out, H / stride, W / stride]`, rounded up.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let kernel = self.weight.dims()[2];
        let (x, resample) = match (kernel, self.stride, self.groups) {
            (1 | 3, 1, 1) => (x, Resample::Same),
            (1, 2, 1) => (every_second(x), Resample::Same),
            // Pad at the top and left; `Resample::Down` pads at the bottom and right.
            (3, 2, 1) => (x.pad((1, 0, 1, 0), PadMode::Constant(0.0)), Resample::Down),
            (_, stride, groups) => {
                let options = ConvOptions::new([stride; 2], [kernel / 2; 2], [1, 1], groups);
                return burn_conv2d(x, self.weight.clone(), Some(self.bias.clone()), options);
            }
        };
        conv2d(x, &self.weight, &self.bias, resample)
    }
}

/// Every second row and column of `[B, C, H, W]`.
fn every_second(x: Tensor<4>) -> Tensor<4> {
    let step = || Slice::new(0, None, 2);
    x.slice([Slice::full(), Slice::full(), step(), step()])
}

/// A residual block.
struct Block {
    convs: Vec<Conv>,
    shortcut: Option<Conv>,
}

impl Block {
    fn channels(&self) -> usize {
        self.convs.last().map_or(0, Conv::channels)
    }

    /// `[B, in, H, W]` to `[B, out, H / stride, W / stride]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let beside = self.shortcut.as_ref().map_or_else(|| x.clone(), |shortcut| shortcut.forward(x.clone()));
        // The input is the output of a `relu` already, so the first one here changes nothing.
        let y = self.convs.iter().fold(x, |y, conv| conv.forward(relu(y)));
        relu(y + beside)
    }
}
