//! Inception v3 for the Fréchet inception distance: the network of 2015-12-05 in its standard PyTorch port
//! (`pt_inception-2015-12-05-6726825d.pth`), with torchvision's tensor names. It differs from torchvision's
//! own: average pools exclude the padding, and the last block uses max pooling.

mod input;
mod layers;
mod table;

pub use input::{SIDE, input};

use std::path::Path;

use burn::tensor::{Device, Tensor};

use layers::{Block, Step};
use residua_core::config::{Precision, StateKind};
use residua_core::error::{Error, Result};
use residua_model::{Loader, Parameter};
use residua_weights::WeightFile;
use table::{BLOCKS, STEM};
pub use table::{CLASSES, FEATURES};

/// Inception v3.
#[derive(Debug)]
pub struct Inception {
    /// The layers before the blocks, in order.
    stem: Vec<Step>,
    blocks: Vec<Block>,
    /// `[classes, features]`
    weight: Tensor<2>,
    bias: Tensor<1>,
    device: Device,
}

/// The network's outputs.
#[derive(Debug)]
pub struct Seen {
    /// Features of the last pool, `[B, 2048]`.
    pub features: Tensor<2>,
    /// Logits of 1,008 classes, `[B, 1008]`.
    pub logits: Tensor<2>,
}

impl Inception {
    /// Loads the weights at `path`; also returns their SHA-256.
    ///
    /// # Errors
    /// The file cannot be read, or holds another network.
    pub fn open(path: &Path, device: &Device) -> Result<(Self, String)> {
        let file = WeightFile::open(path, StateKind::Auto)?;
        check(&file, &Self::parameters(device)?)?;
        let mut loader = Loader::from_file(&file, device, Precision::Stored, || Ok(()));
        let network = Self::load(&mut loader);
        loader.finish()?;
        Ok((network, file.sha256()?.to_owned()))
    }

    /// The network's parameters.
    ///
    /// # Errors
    /// Does not fail.
    pub fn parameters(device: &Device) -> Result<Vec<Parameter>> {
        let mut loader = Loader::plan(device);
        Self::load(&mut loader);
        loader.finish()
    }

    /// Loads all tensors.
    pub fn load(loader: &mut Loader) -> Self {
        loader.ignore(".num_batches_tracked");
        let (stem, mut channels) = Step::load_all(loader, "", STEM, 3);
        let mut blocks = Vec::with_capacity(BLOCKS.len());
        for (path, branches) in BLOCKS {
            let block = Block::load(loader, path, branches, channels);
            channels = block.channels();
            blocks.push(block);
        }
        debug_assert_eq!(channels, FEATURES);
        Self {
            stem,
            blocks,
            weight: loader.tensor("fc.weight", [CLASSES, FEATURES]),
            bias: loader.tensor("fc.bias", [CLASSES]),
            device: loader.device().clone(),
        }
    }

    /// The network's device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Runs the network on images `[B, 3, 299, 299]` in `[-1, 1]`.
    pub fn forward(&self, images: Tensor<4>) -> Seen {
        let x = self.stem.iter().fold(images, |x, step| step.forward(x));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let [batch, channels, height, width] = x.dims();
        let features = x.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels]);
        let logits = features.clone().matmul(self.weight.clone().transpose())
            + self.bias.clone().unsqueeze_dim::<2>(0);
        Seen { features, logits }
    }
}

/// Refuses a file unless it has all `parameters`.
fn check(file: &WeightFile, parameters: &[Parameter]) -> Result<()> {
    let shape = |name: &str| file.get(name).map(|info| info.shape.as_slice());
    match parameters.iter().find(|parameter| shape(&parameter.name) != Some(&parameter.shape)) {
        None => Ok(()),
        Some(Parameter { name, shape: expected }) => Err(Error::invalid(format!(
            "{}: expected the Inception v3 of FID (pt_inception-2015-12-05-6726825d.pth), which has {name} of shape \
             {expected:?}, found {}",
            file.name(),
            shape(name).map_or_else(|| "no such tensor".into(), |shape| format!("{shape:?}"))
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use residua_core::random::pcg4d;
    use residua_io::image_io::Picture;
    use residua_kernels::values;
    use residua_model::tensors::to_tensor;
    use residua_testing::assert_close;
    use std::collections::BTreeMap;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");

    /// The synthetic weights of the golden values, as `make_metrics_golden.py` makes them.
    fn made_up(Parameter { name, shape }: &Parameter) -> Vec<f32> {
        let stream = name
            .bytes()
            .fold(2_166_136_261u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
        let signed = |index: u32| (pcg4d([0, stream, index, 0])[0] >> 8) as f32 / (1 << 23) as f32 - 1.0;
        let fan_in: usize = shape[1..].iter().product();
        let (mean, spread) = match (name.as_str(), shape.len()) {
            (name, _) if name.ends_with("running_var") => (1.0, 0.5),
            (name, _) if name.ends_with("bn.weight") => (1.0, 0.1),
            (_, 1) => (0.0, 0.1),
            _ => (0.0, (6.0 / fan_in as f64).sqrt() as f32),
        };
        (0..shape.iter().product::<usize>() as u32).map(|index| mean + spread * signed(index)).collect()
    }

    fn network(device: &Device) -> Inception {
        let tensor = |parameter: &Parameter| {
            let values = made_up(parameter);
            let shape = [values.len()];
            (parameter.name.clone(), Tensor::from_data(TensorData::new(values, shape), device))
        };
        let given: BTreeMap<String, Tensor<1>> =
            Inception::parameters(device).unwrap().iter().map(tensor).collect();
        let mut loader = Loader::from_given(&given, device);
        let network = Inception::load(&mut loader);
        loader.finish().unwrap();
        network
    }

    #[test]
    fn outputs_match_the_standard_port() {
        let network = network(&Device::flex());
        let numbers = |value: &serde_json::Value| -> Vec<f32> {
            value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
        };
        let golden = std::fs::read(format!("{FIXTURES}/metrics/inception.json")).unwrap();
        for case in serde_json::from_slice::<Vec<serde_json::Value>>(&golden).unwrap() {
            let path = format!("{FIXTURES}/imageio/{}", case["picture"].as_str().unwrap());
            let picture = input(&Picture::read(path.as_ref()).unwrap());
            let seen = network.forward(to_tensor(&[picture], network.device()));
            for (name, tensor, step) in [("features", seen.features, 64), ("logits", seen.logits, 42)] {
                let found = values(tensor);
                let some: Vec<f32> = found.iter().copied().step_by(step).collect();
                assert_close(&some, &numbers(&case[name]), 1e-4);
                let norm = found.iter().map(|x| x * x).sum::<f32>().sqrt();
                assert_close(&[norm], &[case[format!("{name}_norm")].as_f64().unwrap() as f32], 1e-4);
            }
        }
    }

    #[test]
    fn another_network_is_refused() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/checkpoint/bare.pt");
        let error = Inception::open(Path::new(path), &Device::flex()).unwrap_err().to_string();
        assert!(error.contains("Conv2d_1a_3x3.conv.weight") && error.contains("no such tensor"), "{error}");
    }
}
