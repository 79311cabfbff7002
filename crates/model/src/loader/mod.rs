//! Builds models from named tensors and reports all mismatches at once.

mod linear;

use std::collections::{BTreeMap, HashSet};

use burn::tensor::{Device, Tensor, TensorData};
use half::f16;

use residua_core::config::Precision;
use residua_core::error::{Error, Result};
use residua_core::random::normal;
use residua_core::text::{counted, size};
use residua_kernels::device::largest_tensor;
use residua_kernels::dropout::{Dropout, Noise};
use residua_weights::file::{TensorInfo, WeightFile};

/// How many names one line of a report lists.
const LISTED: usize = 4;

/// Where the values come from.
enum Source<'a> {
    /// A checkpoint.
    File(&'a WeightFile),
    /// Made up, for benchmarks: normal with standard deviation `fan_in^-1/2`.
    Random { seed: u32 },
    /// Existing tensors, flattened: the model uses these, and gradients reach them.
    Given(&'a BTreeMap<String, Tensor<1>>),
    /// Nothing: only names and shapes are wanted.
    Plan,
}

/// One tensor of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Published name.
    pub name: String,
    /// Shape as published.
    pub shape: Vec<usize>,
}

/// Hands out the tensors of a checkpoint by their published names. After the last one, [`Loader::finish`]
/// reports whether the checkpoint was complete; until then a tensor that does not fit is replaced by a single
/// zero.
pub struct Loader<'a> {
    source: Source<'a>,
    device: Device,
    precision: Precision,
    /// Dropout noise for training, and the number of dropout layers so far.
    noise: Option<Noise>,
    places: u32,
    parameters: Vec<Parameter>,
    ignored: Vec<String>,
    problems: Problems,
    /// What the tensors must fit, and what to do if they do not.
    expected: [&'static str; 2],
    progress: Box<dyn FnMut() -> Result<()> + 'a>,
    /// The error from `progress` that ended the load.
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

    /// Loads from `file`. `progress` is called before each tensor; an error from it ends the load, and
    /// [`Self::finish`] returns it.
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

    /// Changes what messages say the tensors must fit (by default, the configuration) and what to do if they
    /// do not.
    pub fn expecting(mut self, what: &'static str, advice: &'static str) -> Self {
        self.expected = [what, advice];
        self
    }

    /// Makes up weights from `seed`.
    pub fn random(seed: u32, device: &Device, precision: Precision) -> Self {
        Self::with(Source::Random { seed }, device, precision)
    }

    /// Builds the model from the flattened tensors in `given`, by name; in training, gradients reach them.
    pub fn from_given(given: &'a BTreeMap<String, Tensor<1>>, device: &Device) -> Self {
        Self::with(Source::Given(given), device, Precision::Stored)
    }

    /// Sets the dropout noise for a training step.
    pub fn dropping(mut self, noise: Option<Noise>) -> Self {
        self.noise = noise;
        self
    }

    /// The next dropout layer of the model, with probability `rate`.
    pub fn dropout(&mut self, rate: f64) -> Dropout {
        self.places += 1;
        Dropout::new(rate, self.noise, self.places)
    }

    /// Collects names and shapes only; the resulting model cannot compute.
    pub fn plan(device: &Device) -> Self {
        Self::with(Source::Plan, device, Precision::Stored)
    }

    /// Whether only names and shapes are collected.
    pub fn is_plan(&self) -> bool {
        matches!(self.source, Source::Plan)
    }

    /// Whether all tensors so far had the requested values and shapes.
    pub fn is_whole(&self) -> bool {
        !self.is_plan() && self.ended.is_none() && self.problems.none()
    }

    /// The device that holds the tensors.
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

    /// Ends the load if a tensor of `bytes` is too large for the device.
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

    /// A codebook `[size, dim]`. Published ones have one more row, for padding, which is dropped.
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

    /// Marks tensors whose names end in `suffix` as part of the checkpoint even though the model does not
    /// read them.
    pub fn ignore(&mut self, suffix: impl Into<String>) {
        self.ignored.push(suffix.into());
    }

    /// Ends the load: returns the requested tensors, or an error that lists all mismatches. Warns of unused
    /// tensors.
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
            ("wrong shape", misshaped),
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
            let found = counted(found, "value");
            self.problems.misshaped.push(format!("{name} (expected {shape:?}, found {found})"));
            return None;
        }
        Some(flat.clone())
    }

    fn values(&mut self, name: &str, shape: &[usize]) -> Option<Vec<f32>> {
        self.read(name, shape, |x| x, WeightFile::read_f32, |x| x.is_finite())
    }

    fn half_values(&mut self, name: &str, shape: &[usize]) -> Option<Vec<f16>> {
        self.read(name, shape, f16::from_f32, WeightFile::read_f16, |x| x.is_finite())
    }

    fn read<T>(
        &mut self,
        name: &str,
        shape: &[usize],
        made: fn(f32) -> T,
        read: fn(&WeightFile, &str) -> Result<Vec<T>>,
        is_finite: fn(&T) -> bool,
    ) -> Option<Vec<T>> {
        let found = self.find(name, shape);
        let read = match &self.source {
            Source::Plan | Source::Given(_) => return None,
            Source::Random { seed } => return Some(made_up(*seed, name, shape).map(made).collect()),
            Source::File(file) => read(file, &found?.name),
        };
        match read {
            Ok(values) if values.iter().all(is_finite) => return Some(values),
            Ok(_) => self.problems.not_finite.push(name.into()),
            Err(error) => self.problems.unreadable.push(format!("{name} ({error})")),
        }
        None
    }
}

/// Made-up values: 1 for gains, 0 for biases, otherwise normal with standard deviation `fan_in^-1/2`.
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

/// The first few `names`, and how many more there are.
fn listed(names: &[String]) -> String {
    let first = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
