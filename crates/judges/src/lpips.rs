//! LPIPS, a perceptual distance (Zhang et al., arXiv 1801.03924): version 0.1 with VGG16. Gradients reach the
//! pictures; the network is frozen.

use std::path::PathBuf;

use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor, TensorData};

use residua_core::config::StateKind;
use residua_core::error::{Error, Result};
use residua_kernels::Resample;
use residua_kernels::conv2d::conv2d;
use residua_weights::{TensorInfo, WeightFile};

/// Minimum height and width of a picture: the network halves them four times.
pub const LEAST_SIZE: usize = 16;

/// The convolutions of each stage, by their indices in torchvision's `features`. Stages after the first start
/// with pooling.
const STAGES: [&[usize]; 5] = [&[0, 2], &[5, 7], &[10, 12, 14], &[17, 19, 21], &[24, 26, 28]];

/// Subtracted from each channel of a picture.
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];

/// Then divides each channel.
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];

/// Added to the squared norm of a pixel's channels, so that the gradient is finite at zero. It is too small
/// to matter elsewhere.
const EPSILON: f64 = 1e-20;

/// The network and the weights of its features.
#[derive(Debug)]
pub struct Lpips {
    stages: Vec<Stage>,
    /// [`SHIFT`] and [`SCALE`], `[1, 3, 1, 1]`.
    scaling: [Tensor<4>; 2],
}

/// The convolutions between two poolings, and the weights of the resulting channels in the distance.
#[derive(Debug)]
struct Stage {
    /// Weights `[out, in, 3, 3]` and biases `[out]`.
    convs: Vec<(Tensor<4>, Tensor<1>)>,
    /// `[1, out, 1, 1]`.
    lin: Tensor<4>,
}

impl Lpips {
    /// Reads the network from the files at `paths`: torchvision's `vgg16` and the `lpips` package's
    /// `vgg.pth`, or one file with both. Expects their names; the widths follow from the files.
    ///
    /// # Errors
    /// A file cannot be read; a tensor is missing, has another shape, or has NaN or infinite values.
    pub fn load(paths: &[PathBuf], device: &Device) -> Result<Self> {
        let open = |path: &PathBuf| WeightFile::open(path, StateKind::Auto);
        Self::from_files(&paths.iter().map(open).collect::<Result<Vec<_>>>()?, device)
    }

    /// Reads the network from open `files`.
    ///
    /// # Errors
    /// See [`Lpips::load`].
    pub fn from_files(files: &[WeightFile], device: &Device) -> Result<Self> {
        let reader = Reader { files, device };
        let mut channels = 3;
        let mut stage = |(index, places): (usize, &&[usize])| {
            let mut convs = Vec::new();
            for place in *places {
                let name = |kind: &str| {
                    [format!("features.{place}.{kind}"), format!("net.slice{}.{place}.{kind}", index + 1)]
                };
                let weight = reader.tensor(&name("weight"), [None, Some(channels), Some(3), Some(3)])?;
                channels = weight.dims()[0];
                convs.push((weight, reader.tensor(&name("bias"), [Some(channels)])?));
            }
            let name = format!("lin{index}.model.1.weight");
            let lin = reader.tensor(&[name], [Some(1), Some(channels), Some(1), Some(1)])?;
            Ok(Stage { convs, lin })
        };
        let scaling = [SHIFT, SCALE]
            .map(|values| Tensor::from_data(TensorData::new(values.to_vec(), [1, 3, 1, 1]), device));
        Ok(Self { stages: STAGES.iter().enumerate().map(&mut stage).collect::<Result<_>>()?, scaling })
    }

    /// The distance between each picture of `a` and the one of `b`, `[B]`; 0 if they are equal. Both are `[B,
    /// 3, H, W]` in `[-1, 1]`, at least [`LEAST_SIZE`] high and wide.
    pub fn distance(&self, a: Tensor<4>, b: Tensor<4>) -> Tensor<1> {
        let images = a.dims()[0];
        let (ours, theirs) = (self.features(a), self.features(b));
        let parts = self.stages.iter().zip(ours.into_iter().zip(theirs)).map(|(stage, (a, b))| {
            let difference = (a - b).powi_scalar(2);
            let lin = beside(&stage.lin, &difference);
            (difference * lin).sum_dim(1).mean_dim(2).mean_dim(3).reshape([images])
        });
        parts.reduce(|sum, part| sum + part).expect("there are five stages")
    }

    /// The features of `images` after each stage, `[B, channels, h, w]`; the channels of each pixel have norm
    /// 1.
    fn features(&self, images: Tensor<4>) -> Vec<Tensor<4>> {
        let [shift, scale] = self.scaling.each_ref().map(|constant| beside(constant, &images));
        let mut x = (images - shift) / scale;
        let mut seen = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            if index > 0 {
                x = max_pool2d(x, MaxPoolOptions::new([2, 2]));
            }
            for (weight, bias) in &stage.convs {
                let (weight, bias) = (beside(weight, &x), beside(bias, &x));
                x = relu(conv2d(x, &weight, &bias, Resample::Same));
            }
            let length = (x.clone().powi_scalar(2).sum_dim(1) + EPSILON).sqrt();
            seen.push(x.clone() / length);
        }
        seen
    }
}

/// A constant on the autodiff device if `other` is there, else unchanged.
fn beside<const D: usize, const E: usize>(constant: &Tensor<D>, other: &Tensor<E>) -> Tensor<D> {
    if other.is_autodiff() { constant.clone().autodiff() } else { constant.clone() }
}

/// Finds tensors in several files.
struct Reader<'a> {
    files: &'a [WeightFile],
    device: &'a Device,
}

impl Reader<'_> {
    /// The tensor with one of `names`; checks those sizes in `expected` that are given.
    fn tensor<const D: usize>(&self, names: &[String], expected: [Option<usize>; D]) -> Result<Tensor<D>> {
        let (file, info) = self.find(names)?;
        let fits = |(found, expected): (&usize, &Option<usize>)| {
            *found > 0 && expected.is_none_or(|expected| *found == expected)
        };
        let complain = |what: String| Error::invalid(format!("{}: {}: {what}", file.name(), info.name));
        if info.shape.len() != D || !info.shape.iter().zip(&expected).all(fits) {
            let sizes = expected.map(|size| size.map_or("any".into(), |size| size.to_string()));
            return Err(complain(format!(
                "expected the shape [{}], found {:?}",
                sizes.join(", "),
                info.shape
            )));
        }
        let values = file.read_f32(&info.name)?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(complain("expected numbers, found NaN or infinite values".into()));
        }
        Ok(Tensor::from_data(TensorData::new(values, info.shape.clone()), self.device))
    }

    fn find(&self, names: &[String]) -> Result<(&WeightFile, &TensorInfo)> {
        let named = |file| names.iter().find_map(|name| WeightFile::get(file, name)).map(|info| (file, info));
        self.files.iter().find_map(named).ok_or_else(|| {
            let files: Vec<&str> = self.files.iter().map(WeightFile::name).collect();
            Error::invalid(format!(
                "{}: expected the tensor {}, found none; LPIPS takes torchvision's vgg16 and the lpips package's vgg.pth",
                files.join(" and "),
                names[0]
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_kernels::device::{DeviceChoice, open};
    use residua_kernels::values;
    use residua_testing::assert_close;
    use residua_weights::write::{Described, write_safetensors};
    use std::path::Path;

    fn fixture(name: &str) -> PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("tests/fixtures/lpips").join(name)
    }

    fn paths() -> Vec<PathBuf> {
        vec![fixture("vgg16.pth"), fixture("lin.pth")]
    }

    struct Golden(WeightFile);

    impl Golden {
        fn open() -> Self {
            Self(WeightFile::open(&fixture("distances.safetensors"), StateKind::Auto).unwrap())
        }

        fn values(&self, name: &str) -> Vec<f32> {
            self.0.read_f32(name).unwrap()
        }

        fn images(&self, name: &str, device: &Device) -> Tensor<4> {
            let shape = self.0.get(name).unwrap().shape.clone();
            Tensor::from_data(TensorData::new(self.values(name), shape), device)
        }
    }

    #[test]
    fn distances_and_gradients_match_pytorch() {
        let golden = Golden::open();
        for device in [Device::flex(), open(DeviceChoice::Gpu).unwrap()] {
            let lpips = Lpips::load(&paths(), &device).unwrap();
            let [a, b] = ["a", "b"].map(|name| golden.images(name, &device));
            let plain = lpips.distance(a.clone(), b.clone());
            assert_close(&values(plain), &golden.values("distance"), 1e-4);
            let a = a.autodiff().require_grad();
            let distance = lpips.distance(a.clone(), b.autodiff());
            assert_close(&values(distance.clone().inner()), &golden.values("distance"), 1e-4);
            let found = a.grad(&distance.mean().backward()).expect("the distance depends on it");
            assert_close(&values(found), &golden.values("gradient"), 1e-4);
        }
    }

    #[test]
    fn a_picture_has_distance_0_from_itself() {
        let device = Device::flex();
        let lpips = Lpips::load(&paths(), &device).unwrap();
        // A single colour: in so small a network, the features of many pixels are all zero.
        let grey = Tensor::<4>::zeros([2, 3, 16, 16], &device).autodiff().require_grad();
        let distance = lpips.distance(grey.clone(), grey.clone());
        assert_eq!(values(distance.clone().inner()), [0.0, 0.0]);
        let found = values(grey.grad(&distance.sum().backward()).unwrap());
        assert!(found.iter().all(|&slope| slope == 0.0), "{found:?}");
    }

    /// Writes the tensors of both files to `path`, with names and values changed by `change`.
    fn rewrite(path: &Path, change: impl Fn(&str, &mut Vec<f32>) -> Option<String>) {
        let mut all = Vec::new();
        for file in paths().iter().map(|path| WeightFile::open(path, StateKind::Auto).unwrap()) {
            for info in file.tensors() {
                let mut values = file.read_f32(&info.name).unwrap();
                let Some(name) = change(&info.name, &mut values) else { continue };
                all.push(((name, residua_weights::Dtype::F32, info.shape.clone()), values));
            }
        }
        let described: Vec<Described> = all.iter().map(|(described, _)| described.clone()).collect();
        let read = |name: &str| {
            let (_, values) = all.iter().find(|((other, ..), _)| other == name).unwrap();
            Ok(bytemuck::cast_slice::<f32, u8>(values))
        };
        write_safetensors(path, &described, &Default::default(), read).unwrap();
    }

    #[test]
    fn one_file_with_the_package_names_is_read() {
        let (device, folder) = (Device::flex(), tempfile::tempdir().unwrap());
        let path = folder.path().join("both.safetensors");
        rewrite(&path, |name, _| {
            let Some(rest) = name.strip_prefix("features.") else { return Some(name.into()) };
            let place: usize = rest.split('.').next()?.parse().ok()?;
            let slice = STAGES.iter().position(|places| places.contains(&place))? + 1;
            Some(format!("net.slice{slice}.{rest}"))
        });
        let golden = Golden::open();
        let [a, b] = ["a", "b"].map(|name| golden.images(name, &device));
        let distance = Lpips::load(&[path], &device).unwrap().distance(a, b);
        assert_close(&values(distance), &golden.values("distance"), 1e-4);
    }

    #[test]
    fn tensors_that_do_not_fit_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("odd.safetensors");
        let message = |paths: &[PathBuf]| Lpips::load(paths, &Device::flex()).unwrap_err().to_string();
        let half = message(&paths()[..1]);
        assert!(half.contains("expected the tensor lin0.model.1.weight"), "{half}");
        let half = message(&paths()[1..]);
        assert!(half.contains("expected the tensor features.0.weight"), "{half}");
        // A convolution of another stage instead.
        rewrite(&path, |name, _| match name {
            "features.5.weight" => None,
            "features.10.weight" => Some("features.5.weight".into()),
            other => Some(other.into()),
        });
        let odd = message(std::slice::from_ref(&path));
        assert!(
            odd.contains("features.5.weight: expected the shape [any, 4, 3, 3], found [8, 8, 3, 3]"),
            "{odd}"
        );
        rewrite(&path, |name, values| {
            values[0] = if name == "lin3.model.1.weight" { f32::NAN } else { values[0] };
            Some(name.into())
        });
        let nan = message(&[path]);
        assert!(nan.contains("lin3.model.1.weight: expected numbers"), "{nan}");
    }
}
