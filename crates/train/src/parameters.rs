//! The trained values, under their published names.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};

use super::rank_share::RankShare;
use residua_core::error::{Error, Result};
use residua_kernels::values;
use residua_model::Parameter;
use residua_weights::WeightFile;

/// Values that ranks sum at a time.
const BUCKET: usize = 1 << 22;

/// Tensors by name, each flattened.
pub type Named = BTreeMap<String, Tensor<1>>;

/// The parameters of one model, on its device, without autodiff.
#[derive(Clone, Debug)]
pub struct Parameters {
    shapes: BTreeMap<String, Vec<usize>>,
    values: Named,
}

impl Parameters {
    /// The parameters in `list`, with the values that `initial` returns.
    pub fn new(list: &[Parameter], device: &Device, mut initial: impl FnMut(&Parameter) -> Vec<f32>) -> Self {
        let made = |parameter: &Parameter| {
            let values = initial(parameter);
            debug_assert_eq!(values.len(), parameter.shape.iter().product::<usize>());
            (parameter.name.clone(), Tensor::from_floats(values.as_slice(), device))
        };
        let values = list.iter().map(made).collect();
        Self { shapes: list.iter().map(|p| (p.name.clone(), p.shape.clone())).collect(), values }
    }

    /// Reads the parameters in `list` from `file`, where `prefix` comes before each name.
    ///
    /// # Errors
    /// A tensor is missing, or has another shape.
    pub fn read(list: &[Parameter], file: &WeightFile, prefix: &str, device: &Device) -> Result<Self> {
        let mut read = BTreeMap::new();
        for parameter in list {
            let name = format!("{prefix}{}", parameter.name);
            let shape = file.get(&name).map(|info| &info.shape);
            if shape != Some(&parameter.shape) {
                return Err(Error::invalid(format!(
                    "{}: expected {name} of shape {:?}, found {}",
                    file.name(),
                    parameter.shape,
                    shape.map_or_else(|| "no such tensor".into(), |shape| format!("shape {shape:?}"))
                )));
            }
            read.insert(parameter.name.clone(), file.read_f32(&name)?);
        }
        Ok(Self::new(list, device, |parameter| read.remove(&parameter.name).unwrap_or_default()))
    }

    /// Takes those tensors of `file` whose name, after `prefix`, and shape match a parameter. Returns the
    /// names of the other parameters.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn take(&mut self, file: &WeightFile, prefix: &str) -> Result<Vec<String>> {
        let device = self.device();
        let mut others = Vec::new();
        for (name, shape) in &self.shapes {
            let named = format!("{prefix}{name}");
            if file.get(&named).is_some_and(|info| info.shape == *shape) {
                let value = Tensor::from_floats(file.read_f32(&named)?.as_slice(), &device);
                self.values.insert(name.clone(), value);
            } else {
                others.push(name.clone());
            }
        }
        Ok(others)
    }

    /// The same names and shapes, all zeros.
    pub fn zeros(&self) -> Self {
        Self { shapes: self.shapes.clone(), values: self.map(|_, value| value.zeros_like()) }
    }

    /// The device of the parameters.
    ///
    /// # Panics
    /// There are no parameters.
    pub fn device(&self) -> Device {
        self.values.values().next().expect("a model has parameters").device()
    }

    /// The values by name, flattened.
    pub fn values(&self) -> &Named {
        &self.values
    }

    /// The shapes by name.
    pub fn shapes(&self) -> &BTreeMap<String, Vec<usize>> {
        &self.shapes
    }

    /// Names and shapes.
    pub fn list(&self) -> Vec<Parameter> {
        let parameter =
            |(name, shape): (&String, &Vec<usize>)| Parameter { name: name.clone(), shape: shape.clone() };
        self.shapes.iter().map(parameter).collect()
    }

    /// Total number of values.
    pub fn count(&self) -> usize {
        self.shapes.values().map(|shape| shape.iter().product::<usize>()).sum()
    }

    /// The parameter `name`.
    ///
    /// # Panics
    /// There is no such parameter.
    pub fn get(&self, name: &str) -> Tensor<1> {
        self.values[name].clone()
    }

    /// Sets the parameter `name`.
    pub fn set(&mut self, name: &str, value: Tensor<1>) {
        self.values.insert(name.into(), value);
    }

    /// Copies that track gradients.
    pub fn tracked(&self) -> Named {
        self.map(|_, value| value.autodiff().require_grad())
    }

    /// The values by name, read back from the device.
    pub fn read_back(&self) -> BTreeMap<String, Vec<f32>> {
        self.values.iter().map(|(name, value)| (name.clone(), values(value.clone()))).collect()
    }

    /// Moves each parameter towards `other`: `decay` times the old value plus `1 - decay` times the other.
    pub fn follow(&mut self, other: &Self, decay: f64) {
        let moved = |name: &str, value: Tensor<1>| value * decay + other.get(name) * (1.0 - decay);
        self.values = self.map(moved);
    }

    fn map(&self, change: impl Fn(&str, Tensor<1>) -> Tensor<1>) -> Named {
        self.values.iter().map(|(name, value)| (name.clone(), change(name, value.clone()))).collect()
    }
}

/// Gradients by name; parameters that the loss does not depend on have none.
#[derive(Clone, Debug, Default)]
pub struct Gradients(Named);

impl Gradients {
    /// Gradients of `loss`, a scalar, with respect to `tracked`.
    pub fn of(loss: &Tensor<1>, tracked: &Named) -> Self {
        let mut all = loss.backward();
        let found = |(name, value): (&String, &Tensor<1>)| Some((name.clone(), value.grad_remove(&mut all)?));
        Self(tracked.iter().filter_map(found).collect())
    }

    /// The gradient of `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.0.get(name)
    }

    /// True if there are no gradients.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the gradients of another part of the batch.
    pub fn add(&mut self, other: Self) {
        for (name, gradient) in other.0 {
            let sum = match self.0.remove(&name) {
                Some(before) => before + gradient,
                None => gradient,
            };
            self.0.insert(name, sum);
        }
    }

    /// Multiplies all gradients by `factor`.
    pub fn scale(&mut self, factor: f64) {
        let scaled = |gradient: &mut Tensor<1>| *gradient = gradient.clone() * factor;
        self.0.values_mut().for_each(scaled);
    }

    /// Replaces all gradients by their sums over the ranks of `share`, which have gradients of the same names.
    pub fn sum(&mut self, share: &RankShare) {
        if share.world().is_alone() {
            return;
        }
        let (mut bucket, mut count) = (Vec::new(), 0);
        for (name, gradient) in std::mem::take(&mut self.0) {
            count += gradient.dims()[0];
            bucket.push((name, gradient));
            if count >= BUCKET {
                self.0.extend(summed(std::mem::take(&mut bucket), share));
                count = 0;
            }
        }
        self.0.extend(summed(bucket, share));
    }

    /// The norm of all gradients as one vector.
    pub fn norm(&self) -> f64 {
        let squares = self.0.values().map(|gradient| gradient.clone().powi_scalar(2).sum());
        let squares: Vec<Tensor<1>> = squares.collect();
        if squares.is_empty() { 0.0 } else { f64::from(values(Tensor::cat(squares, 0).sum())[0]).sqrt() }
    }

    /// Clips the norm of all gradients to `longest`; returns the norm before.
    pub fn clip(&mut self, longest: f64) -> f64 {
        let norm = self.norm();
        if norm > longest {
            self.scale(longest / (norm + 1e-6));
        }
        norm
    }
}

/// The sums of the tensors in `bucket` over the ranks of `share`, in one message.
fn summed(bucket: Vec<(String, Tensor<1>)>, share: &RankShare) -> Vec<(String, Tensor<1>)> {
    if bucket.is_empty() {
        return bucket;
    }
    let (names, tensors): (Vec<String>, Vec<Tensor<1>>) = bucket.into_iter().unzip();
    let counts: Vec<usize> = tensors.iter().map(|tensor| tensor.dims()[0]).collect();
    let all = share.sum(Tensor::cat(tensors, 0));
    let mut from = 0;
    let part = |(name, count): (String, usize)| {
        from += count;
        (name, all.clone().narrow(0, from - count, count))
    };
    names.into_iter().zip(counts).map(part).collect()
}
