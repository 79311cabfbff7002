//! Builds models from named tensors, and reports everything that does not fit at once.

use std::collections::{BTreeMap, HashSet};

use burn::tensor::{DType, Device, Tensor, TensorData};
use half::f16;

use super::weights::{Dtype, TensorInfo, WeightFile};
use crate::device::{is_cpu, largest_tensor};
use crate::error::{Error, Result};
use crate::kernels::cpu::linear::Block;
use crate::kernels::cpu::memory::room;
use crate::kernels::{GpuKernel, Weights, has_gpu_kernel};
use crate::model::Precision;
use crate::model::dropout::{Dropout, Noise};
use crate::random::normal;
use crate::text::size;

/// How many names one line of a report lists.
const LISTED: usize = 4;

/// Where the values come from.
enum Source<'a> {
    /// A checkpoint.
    File(&'a WeightFile),
    /// Made up, for benches: normal with standard deviation `fan_in^-1/2`.
    Random { seed: u32 },
    /// Tensors that are there already, flattened: the model is made of these, and gradients reach them.
    Given(&'a BTreeMap<String, Tensor<1>>),
    /// Nowhere: only names and shapes are wanted.
    Plan,
}

/// One tensor that a model is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Published name.
    pub name: String,
    /// Shape as published.
    pub shape: Vec<usize>,
}

/// Hands out the tensors of a checkpoint by their published names. After the last one, [`Loader::finish`] says whether
/// the checkpoint was whole; until then a tensor that does not fit is replaced by a single zero.
pub struct Loader<'a> {
    source: Source<'a>,
    device: Device,
    precision: Precision,
    /// What training leaves out, and the places so far that do.
    noise: Option<Noise>,
    places: u32,
    parameters: Vec<Parameter>,
    ignored: Vec<String>,
    problems: Problems,
    /// What the tensors must fit, and what to do where they do not.
    expected: [&'static str; 2],
    progress: Box<dyn FnMut() -> Result<()> + 'a>,
    /// What `progress` ended the load with.
    ended: Option<Error>,
}

#[derive(Default)]
struct Problems {
    missing: Vec<String>,
    misshaped: Vec<String>,
    not_finite: Vec<String>,
    unreadable: Vec<String>,
}

impl Problems {
    fn none(&self) -> bool {
        [&self.missing, &self.misshaped, &self.not_finite, &self.unreadable]
            .iter()
            .all(|list| list.is_empty())
    }
}

impl<'a> Loader<'a> {
    fn with(source: Source<'a>, device: &Device, precision: Precision) -> Self {
        Self {
            source,
            device: device.clone(),
            precision,
            noise: None,
            places: 0,
            parameters: Vec::new(),
            ignored: Vec::new(),
            problems: Problems::default(),
            expected: ["its configuration", "check that config.yaml belongs to it"],
            progress: Box::new(|| Ok(())),
            ended: None,
        }
    }

    /// Loads from `file`. `progress` is called before each tensor; its error ends the load, which [`Self::finish`] returns.
    pub fn from_file(
        file: &'a WeightFile,
        device: &Device,
        precision: Precision,
        progress: impl FnMut() -> Result<()> + 'a,
    ) -> Self {
        let mut loader = Self::with(Source::File(file), device, precision);
        loader.progress = Box::new(progress);
        loader
    }

    /// Says in messages what the tensors must fit, where that is no configuration, and what to do where they do not.
    pub fn expecting(mut self, what: &'static str, advice: &'static str) -> Self {
        self.expected = [what, advice];
        self
    }

    /// Makes weights up from `seed`.
    pub fn random(seed: u32, device: &Device, precision: Precision) -> Self {
        Self::with(Source::Random { seed }, device, precision)
    }

    /// Makes the model of `given` tensors, flattened, by their names; in training, gradients reach them.
    pub fn from_given(given: &'a BTreeMap<String, Tensor<1>>, device: &Device) -> Self {
        Self::with(Source::Given(given), device, Precision::Stored)
    }

    /// The model leaves out what `noise` says, for a step of training.
    pub fn dropping(mut self, noise: Option<Noise>) -> Self {
        self.noise = noise;
        self
    }

    /// The next place of the model where numbers are left out in training, with probability `rate`.
    pub fn dropout(&mut self, rate: f64) -> Dropout {
        self.places += 1;
        Dropout::new(rate, self.noise, self.places)
    }

    /// Collects names and shapes only; the model built from it is of no use.
    pub fn plan(device: &Device) -> Self {
        Self::with(Source::Plan, device, Precision::Stored)
    }

    /// Whether the model under construction can compute.
    pub fn is_plan(&self) -> bool {
        matches!(self.source, Source::Plan)
    }

    /// Whether all tensors so far had the values and shapes asked for.
    pub fn is_whole(&self) -> bool {
        !self.is_plan() && self.ended.is_none() && self.problems.none()
    }

    /// The device that the tensors are made on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The tensor `name` of `shape`, in f32.
    pub fn tensor<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Tensor<D> {
        self.check_room(name, 4 * shape.iter().product::<usize>());
        let tensor = match &self.source {
            Source::Given(given) => {
                let given = *given;
                self.given(given, name, &shape).map(|flat| flat.reshape(shape))
            }
            _ => self
                .values(name, &shape)
                .map(|values| Tensor::from_data(TensorData::new(values, shape), &self.device)),
        };
        tensor.unwrap_or_else(|| Tensor::zeros([1; D], &self.device))
    }

    /// Weights `[sum of outputs, inputs]` of linear layers that are computed together: the rows of all `names`
    /// (`[outputs, inputs]` each), one after the other, in the precision chosen for such weights.
    pub fn linear_weights(&mut self, names: &[String], [outputs, inputs]: [usize; 2]) -> Weights {
        let (part, shape) = ([outputs, inputs], [outputs * names.len(), inputs]);
        if matches!(self.source, Source::Given(_)) {
            let parts: Vec<Tensor<2>> = names.iter().map(|name| self.tensor(name, part)).collect();
            return Tensor::cat(parts, 0).into();
        }
        let precision = self.kept_in(&names[0], inputs);
        self.check_room(&names[0], bytes(precision, shape));
        let made = match precision {
            // As it is in the file.
            Precision::F16 => self.joined(names, &part, Self::half_values).map(|rows| {
                Tensor::from_data(TensorData::new(rows, shape), (&self.device, DType::F16)).into()
            }),
            Precision::Stored | Precision::Q8 => {
                self.joined(names, &part, Self::values).map(|rows| keep(rows, shape, precision, &self.device))
            }
        };
        made.unwrap_or_else(|| Tensor::zeros([1, 1], &self.device).into())
    }

    /// Weights `[outputs, inputs]` of each of `count` linear layers that lie in one tensor `name` `[count, inputs, outputs]`, in
    /// the precision chosen for such weights; none if the tensor is not to be had.
    pub fn stacked_linear_weights(
        &mut self,
        name: &str,
        count: usize,
        [outputs, inputs]: [usize; 2],
    ) -> Vec<Weights> {
        let whole = [count, inputs, outputs];
        if matches!(self.source, Source::Given(_)) {
            let all = self.tensor(name, whole);
            if !self.is_whole() {
                return Vec::new();
            }
            let layer = |i| all.clone().slice([i..i + 1, 0..inputs, 0..outputs]).reshape([inputs, outputs]);
            // Made contiguous once, so that no step transposes it again.
            let rows = |weight: Tensor<2>| weight.transpose().reshape([outputs * inputs]);
            return (0..count).map(|i| rows(layer(i)).reshape([outputs, inputs]).into()).collect();
        }
        let precision = self.kept_in(name, inputs);
        self.check_room(name, bytes(precision, [outputs, inputs]));
        let Some(values) = self.values(name, &whole) else { return Vec::new() };
        let layers = values.chunks_exact(inputs * outputs);
        let rows = |layer: &[f32]| {
            (0..outputs)
                .flat_map(|o| (0..inputs).map(move |i| (i, o)))
                .map(|(i, o)| layer[i * outputs + o])
                .collect()
        };
        layers.map(|layer| keep(rows(layer), [outputs, inputs], precision, &self.device)).collect()
    }

    /// Ends the load where a tensor of `bytes` is larger than the device takes.
    fn check_room(&mut self, name: &str, bytes: usize) {
        let Some(largest) = largest_tensor(&self.device).filter(|&largest| bytes as u64 > largest) else {
            return;
        };
        self.ended.get_or_insert_with(|| {
            Error::invalid(format!(
                "{name} takes {}, but this graphics device binds at most {}: run the model on the CPU, or in f16 or q8",
                size(bytes as u64),
                size(largest)
            ))
        });
    }

    /// The values of all `names`, one after the other; `None` if one is not to be had.
    fn joined<T>(
        &mut self,
        names: &[String],
        shape: &[usize],
        read: impl Fn(&mut Self, &str, &[usize]) -> Option<Vec<T>>,
    ) -> Option<Vec<T>> {
        let mut rows = Vec::new();
        let mut whole = true;
        for name in names {
            match read(self, name, shape) {
                Some(values) => {
                    if rows.capacity() == 0 {
                        rows = room(values.len() * names.len());
                    }
                    rows.extend(values);
                }
                // The others are asked for all the same: a report names everything that does not fit.
                None => whole = false,
            }
        }
        whole.then_some(rows)
    }

    /// A codebook `[size, dim]`; published ones have one more row, for padding, which is dropped.
    pub fn codebook(&mut self, name: &str, [size, dim]: [usize; 2]) -> Tensor<2> {
        let bare = match &self.source {
            Source::File(file) => file.get(name).is_some_and(|info| info.shape == [size, dim]),
            Source::Given(_) => true,
            Source::Random { .. } | Source::Plan => false,
        };
        let rows = if bare { size } else { size + 1 };
        let codebook = self.tensor(name, [rows, dim]);
        if self.is_whole() { codebook.slice([0..size, 0..dim]) } else { codebook }
    }

    /// Says that tensors whose names end in `suffix` belong to the checkpoint though the model does not read them.
    pub fn ignore(&mut self, suffix: impl Into<String>) {
        self.ignored.push(suffix.into());
    }

    /// Ends a load: the tensors that were asked for, or everything that did not fit. Unused tensors are warned of.
    pub fn finish(self) -> Result<Vec<Parameter>> {
        if let Some(error) = self.ended {
            return Err(error);
        }
        let (name, unused) = match &self.source {
            Source::File(file) => (file.name(), self.unused(file)),
            Source::Given(_) => ("this run", Vec::new()),
            Source::Random { .. } | Source::Plan => return Ok(self.parameters),
        };
        if self.problems.none() {
            if !unused.is_empty() {
                tracing::warn!("{name} has {} that this model does not use", listed(&unused));
            }
            return Ok(self.parameters);
        }
        let Problems { missing, misshaped, not_finite, unreadable } = self.problems;
        let lists = [
            ("missing", missing),
            ("of another shape", misshaped),
            ("with NaN or infinite values", not_finite),
            ("unreadable", unreadable),
            ("unused", unused),
        ];
        let report: Vec<String> = lists
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{what}: {}", listed(names)))
            .collect();
        let [expected, advice] = self.expected;
        Err(Error::invalid(format!("{name} does not fit {expected}; {}; {advice}", report.join("; "))))
    }

    fn unused(&self, file: &WeightFile) -> Vec<String> {
        let used: HashSet<&str> = self.parameters.iter().map(|p| p.name.as_str()).collect();
        let known = |name: &str| self.ignored.iter().any(|suffix| name.ends_with(suffix.as_str()));
        let names = file.tensors().iter().map(|info| info.name.as_str());
        names.filter(|name| !used.contains(name) && !known(name)).map(String::from).collect()
    }

    /// How linear weights such as `name` are kept; `Stored` in f32. Blocks are whole ones, and a GPU reads f16 in pairs and
    /// widens either by a kernel: a layer whose inputs do not fit is kept in the next higher precision.
    fn kept_in(&self, name: &str, inputs: usize) -> Precision {
        let stored_half = matches!(&self.source, Source::File(file)
            if file.get(name).is_some_and(|info| info.dtype == Dtype::F16));
        let widens = is_cpu(&self.device) || has_gpu_kernel(GpuKernel::Widen, &self.device);
        let pairs = is_cpu(&self.device) || inputs.is_multiple_of(2);
        match self.precision {
            _ if !widens => Precision::Stored,
            Precision::Q8 if inputs.is_multiple_of(Block::SIZE) => Precision::Q8,
            Precision::F16 | Precision::Q8 if pairs => Precision::F16,
            _ if stored_half && pairs => Precision::F16,
            _ => Precision::Stored,
        }
    }

    /// Registers the parameter and finds it in the file: `None` if there is nothing to read.
    fn find(&mut self, name: &str, shape: &[usize]) -> Option<TensorInfo> {
        self.parameters.push(Parameter { name: name.into(), shape: shape.into() });
        let Source::File(file) = &self.source else { return None };
        if self.ended.is_none() {
            self.ended = (self.progress)().err();
        }
        if self.ended.is_some() {
            return None;
        }
        match file.get(name) {
            None => self.problems.missing.push(name.into()),
            Some(info) if info.shape != shape => {
                self.problems.misshaped.push(format!("{name} (expected {shape:?}, found {:?})", info.shape));
            }
            Some(info) => return Some(info.clone()),
        }
        None
    }

    /// One of the `given` tensors, if it has as many elements as `shape`.
    fn given(
        &mut self,
        given: &BTreeMap<String, Tensor<1>>,
        name: &str,
        shape: &[usize],
    ) -> Option<Tensor<1>> {
        self.parameters.push(Parameter { name: name.into(), shape: shape.into() });
        let Some(flat) = given.get(name) else {
            self.problems.missing.push(name.into());
            return None;
        };
        let (found, expected) = (flat.dims()[0], shape.iter().product::<usize>());
        if found != expected {
            self.problems.misshaped.push(format!("{name} (expected {shape:?}, found {found} values)"));
            return None;
        }
        Some(flat.clone())
    }

    fn values(&mut self, name: &str, shape: &[usize]) -> Option<Vec<f32>> {
        let found = self.find(name, shape);
        match &self.source {
            Source::Plan | Source::Given(_) => None,
            Source::Random { seed } => Some(made_up(*seed, name, shape).collect()),
            Source::File(file) => {
                let read = file.read_f32(&found?.name);
                self.checked(name, read, |x| x.is_finite())
            }
        }
    }

    fn half_values(&mut self, name: &str, shape: &[usize]) -> Option<Vec<f16>> {
        let found = self.find(name, shape);
        match &self.source {
            Source::Plan | Source::Given(_) => None,
            Source::Random { seed } => Some(made_up(*seed, name, shape).map(f16::from_f32).collect()),
            Source::File(file) => {
                let read = file.read_f16(&found?.name);
                self.checked(name, read, |x| x.is_finite())
            }
        }
    }

    fn checked<T>(
        &mut self,
        name: &str,
        read: Result<Vec<T>>,
        is_finite: impl Fn(&T) -> bool,
    ) -> Option<Vec<T>> {
        match read {
            Ok(values) => {
                if !values.iter().all(is_finite) {
                    self.problems.not_finite.push(name.into());
                    return None;
                }
                Some(values)
            }
            Err(error) => {
                self.problems.unreadable.push(format!("{name} ({error})"));
                None
            }
        }
    }
}

/// Made-up values: gains are 1, biases 0, the rest normal with standard deviation `fan_in^-1/2`.
fn made_up(seed: u32, name: &str, shape: &[usize]) -> Box<dyn Iterator<Item = f32>> {
    let count = shape.iter().product::<usize>();
    if shape.len() == 1 {
        let value = if name.ends_with(".weight") { 1.0 } else { 0.0 };
        return Box::new(std::iter::repeat_n(value, count));
    }
    let deviation = (shape[1..].iter().product::<usize>() as f32).powf(-0.5);
    let stream = name.bytes().fold(seed, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    Box::new((0..count as u32).map(move |i| deviation * normal([stream, i, 0, 0])))
}

/// The first few of `names`, and how many more there are.
fn listed(names: &[String]) -> String {
    let first = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// Bytes of weights of `shape` in `precision`, all but the scales of blocks.
fn bytes(precision: Precision, shape: [usize; 2]) -> usize {
    let elements: usize = shape.iter().product();
    match precision {
        Precision::Stored => 4 * elements,
        Precision::F16 => 2 * elements,
        Precision::Q8 => elements,
    }
}

/// Weights `rows` of `shape` in `precision`.
fn keep(rows: Vec<f32>, shape: [usize; 2], precision: Precision, device: &Device) -> Weights {
    match precision {
        Precision::Stored => Tensor::from_data(TensorData::new(rows, shape), device).into(),
        Precision::F16 => {
            let halves: Vec<f16> = rows.into_iter().map(f16::from_f32).collect();
            Tensor::from_data(TensorData::new(halves, shape), (device, DType::F16)).into()
        }
        Precision::Q8 => Weights::from_blocks(&Block::round(&rows), shape, device),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cpu;
    use crate::kernels::values;

    fn kept(precision: Precision, shape: [usize; 2]) -> Weights {
        let names = ["a", "b", "c"].map(String::from);
        Loader::random(1, &cpu(), precision).linear_weights(&names, shape)
    }

    #[test]
    fn fewer_bits_take_less_memory() {
        let [stored, half, eighth] = [Precision::Stored, Precision::F16, Precision::Q8]
            .map(|precision| kept(precision, [64, 96]).bytes());
        assert_eq!(stored, 3 * 64 * 96 * 4);
        assert_eq!(half, stored / 2);
        assert_eq!(eighth, stored / 4 + stored / 32);
    }

    #[test]
    fn stacked_layers_are_the_transposed_parts_of_their_tensor() {
        let [count, outputs, inputs] = [3, 5, 64];
        let all = values(Loader::random(1, &cpu(), Precision::Stored).tensor("w", [count, inputs, outputs]));
        for (precision, off) in [(Precision::Stored, 0.0), (Precision::F16, 1e-3), (Precision::Q8, 1e-2)] {
            let mut loader = Loader::random(1, &cpu(), precision);
            let layers = loader.stacked_linear_weights("w", count, [outputs, inputs]);
            assert_eq!(layers.iter().map(Weights::bytes).sum::<usize>(), count * bytes_kept(precision));
            for (layer, expected) in layers.iter().zip(all.chunks(inputs * outputs)) {
                for (place, found) in values(layer.single()).iter().enumerate() {
                    let expected = expected[place % inputs * outputs + place / inputs];
                    assert!((found - expected).abs() <= off, "{found} but expected {expected}");
                }
            }
        }
        fn bytes_kept(precision: Precision) -> usize {
            let scales = if precision == Precision::Q8 { 4 * 5 * 64 / 32 } else { 0 };
            bytes(precision, [5, 64]) + scales
        }
    }

    /// A scale is for 32 weights of one output.
    #[test]
    fn inputs_that_do_not_fill_blocks_are_kept_in_half_precision() {
        for (inputs, in_blocks) in [(32, true), (96, true), (48, false), (33, false), (4, false)] {
            let weights = kept(Precision::Q8, [5, inputs]);
            match weights {
                Weights::Blocks { packed, scales } => {
                    assert!(in_blocks, "{inputs}");
                    assert_eq!([packed.dims(), scales.dims()], [[15, inputs / 4], [15, inputs / 32]]);
                }
                Weights::Dense(weight) => {
                    assert!(!in_blocks, "{inputs}");
                    assert_eq!((weight.dims(), weight.dtype()), ([15, inputs], DType::F16));
                }
            }
        }
    }
}
