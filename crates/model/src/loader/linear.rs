//! Weights of linear layers, in the requested precision.

use burn::tensor::{DType, Device, Tensor, TensorData};
use half::f16;

use super::{Loader, Source};
use residua_core::config::Precision;
use residua_kernels::cpu::linear::Block;
use residua_kernels::cpu::memory::room;
use residua_kernels::device::is_cpu;
use residua_kernels::{GpuKernel, Weights, has_gpu_kernel};
use residua_weights::file::Dtype;

impl Loader<'_> {
    /// Weights `[sum of outputs, inputs]` of linear layers that are computed together: the rows of all
    /// `names` (`[outputs, inputs]` each), concatenated, in the precision chosen for such weights.
    pub fn linear_weights(&mut self, names: &[String], [outputs, inputs]: [usize; 2]) -> Weights {
        let (part, shape) = ([outputs, inputs], [outputs * names.len(), inputs]);
        if matches!(self.source, Source::Given(_)) {
            let parts: Vec<Tensor<2>> = names.iter().map(|name| self.tensor(name, part)).collect();
            return Tensor::cat(parts, 0).into();
        }
        let precision = self.kept_in(&names[0], inputs);
        self.check_room(&names[0], bytes(precision, shape));
        let made = match precision {
            // As stored in the file.
            Precision::F16 => self.joined(names, &part, Self::half_values).map(|rows| {
                Tensor::from_data(TensorData::new(rows, shape), (&self.device, DType::F16)).into()
            }),
            Precision::Stored | Precision::Q8 => {
                self.joined(names, &part, Self::values).map(|rows| keep(rows, shape, precision, &self.device))
            }
        };
        made.unwrap_or_else(|| Tensor::zeros([1, 1], &self.device).into())
    }

    /// Weights `[outputs, inputs]` of each of `count` linear layers stored in one tensor `name`
    /// `[count, inputs, outputs]`, in the precision chosen for such weights; empty if the tensor is
    /// unavailable.
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
            // Make it contiguous once, so that no step transposes it again.
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

    /// The values of all `names`, concatenated; `None` if one is unavailable.
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
                // Still request the others: the report names all mismatches.
                None => whole = false,
            }
        }
        whole.then_some(rows)
    }

    /// The precision for linear weights such as `name`; `Stored` means f32. Q8 needs whole blocks, a GPU
    /// reads f16 in groups of eight, and both need the widening kernel: a layer whose input count does not fit
    /// gets the next higher precision.
    fn kept_in(&self, name: &str, inputs: usize) -> Precision {
        let stored_half = matches!(&self.source, Source::File(file)
            if file.get(name).is_some_and(|info| info.dtype == Dtype::F16));
        let widens = is_cpu(&self.device) || has_gpu_kernel(GpuKernel::Widen, &self.device);
        let eights = is_cpu(&self.device) || inputs.is_multiple_of(8);
        match self.precision {
            _ if !widens => Precision::Stored,
            Precision::Q8 if inputs.is_multiple_of(Block::SIZE) => Precision::Q8,
            Precision::F16 | Precision::Q8 if eights => Precision::F16,
            _ if stored_half && eights => Precision::F16,
            _ => Precision::Stored,
        }
    }
}

/// Bytes of weights of `shape` in `precision`, excluding block scales.
fn bytes(precision: Precision, shape: [usize; 2]) -> usize {
    let elements: usize = shape.iter().product();
    match precision {
        Precision::Stored => 4 * elements,
        Precision::F16 => 2 * elements,
        Precision::Q8 => elements,
    }
}

/// Stores the weights `rows` of `shape` in `precision`.
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
    use residua_kernels::device::cpu;
    use residua_kernels::values;

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

    /// A scale covers 32 weights of one output.
    #[test]
    fn inputs_that_do_not_fill_blocks_use_half_precision() {
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
