//! Embeddings computed directly from codes, optionally summed over the depths of a cell.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, ExtensionType};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::operations::Kernels;
use super::route::{Gradient, Route, route};
use super::{GpuKernel, Variant};

/// The tables of several depths are joined up to this many bytes, which every WebGPU device can bind.
const MOST_BYTES: usize = 128 << 20;

/// Range of one depth's codes in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Row of the first code.
    pub first: usize,
    /// Number of codes, at least 1.
    pub size: usize,
}

/// The embeddings of the codes of every depth.
#[derive(Clone, Debug)]
pub struct CodeTable {
    /// One table for all depths, `[rows, C]`, or one per depth if that would be too large.
    tables: Vec<Tensor<2>>,
    /// One per depth.
    places: Vec<Place>,
    /// `places` on the device, `[D, 2]`.
    places_there: Tensor<2, Int>,
}

impl CodeTable {
    /// One table `[rows, C]` for several depths, each with its place. Depths may share rows.
    pub fn new(table: Tensor<2>, places: Vec<Place>) -> Self {
        Self { places_there: on_device(&places, &table.device()), tables: vec![table], places }
    }

    /// One table `[K, C]` per depth, at least one.
    pub fn per_depth(tables: Vec<Tensor<2>>) -> Self {
        let joined = tables.iter().map(|table| table.shape().num_elements()).sum::<usize>()
            * size_of::<f32>()
            <= MOST_BYTES;
        let mut rows = 0;
        let place = |table: &Tensor<2>| {
            let (first, size) = (rows, table.dims()[0]);
            rows += if joined { size } else { 0 };
            Place { first, size }
        };
        let places: Vec<Place> = tables.iter().map(place).collect();
        let places_there = on_device(&places, &tables[0].device());
        let tables = if joined { vec![Tensor::cat(tables, 0)] } else { tables };
        Self { tables, places, places_there }
    }

    /// Whether all depths share the same rows.
    pub(super) fn is_shared(&self) -> bool {
        self.tables.len() == 1 && self.places.iter().all(|place| *place == self.places[0])
    }

    /// The table as the argument of a kernel that serves tensors on `device`, where `variant` is that of the GPU;
    /// `None` if no kernel does, or if there are several tables.
    pub(super) fn for_kernel(
        &self,
        device: &Device,
        variant: Option<Variant>,
    ) -> Option<StoredTable<Dispatch>> {
        let [only] = &self.tables[..] else { return None };
        let serves = route(device, variant, Gradient::Nowhere) == Route::Kernel;
        serves.then(|| StoredTable {
            rows: only.clone().into_dispatch(),
            places: self.places.clone(),
            places_there: self.places_there.clone().into_dispatch(),
        })
    }

    /// The embeddings `[N, C]` of `codes` `[N]` at `depth`, with Burn's own operations.
    fn select(&self, codes: Tensor<1, Int>, depth: usize) -> Tensor<2> {
        let Place { first, size } = self.places[depth];
        let table = self.tables.get(depth).unwrap_or(&self.tables[0]);
        table.clone().select(0, codes.clamp(0, size as i32 - 1) + first as i32)
    }
}

/// A [`CodeTable`] with one table, as tensors of a backend.
#[derive(ExtensionType)]
pub struct StoredTable<B: Backend> {
    /// `[rows, C]`.
    pub rows: FloatTensor<B>,
    /// The codes of each depth.
    pub places: Vec<Place>,
    /// The same on the device: the first row and the number of codes of each depth, `[D, 2]`.
    pub places_there: IntTensor<B>,
}

fn on_device(places: &[Place], device: &Device) -> Tensor<2, Int> {
    let words: Vec<i32> =
        places.iter().flat_map(|place| [place.first, place.size]).map(|word| word as i32).collect();
    Tensor::from_data(TensorData::new(words, [places.len(), 2]), device)
}

/// Which codes to embed, and how to combine them.
#[derive(Clone, Copy, Debug)]
pub struct Lookup {
    /// First column used.
    pub first_column: usize,
    /// Depth of the first column. Each following column is one depth further.
    pub first_depth: usize,
    /// Number of columns used, at least 1.
    pub depths: usize,
    /// How the embeddings are combined.
    pub reading: Reading,
}

/// How the embeddings of a row of codes are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Their sum.
    Sum,
    /// The running sums: the first, the first two, and so on.
    RunningSums,
    /// Each separately.
    Each,
}

impl Lookup {
    /// The first `depths` codes of each row.
    pub fn first(depths: usize, reading: Reading) -> Self {
        Self { first_column: 0, first_depth: 0, depths, reading }
    }

    /// Number of vectors per row of codes.
    pub fn outputs(&self) -> usize {
        if self.reading == Reading::Sum { 1 } else { self.depths }
    }
}

/// Embeddings `[N, outputs, C]` of `codes` `[N, columns]`. With `onto` `[n, C]`, row `i % n` of `onto` is
/// added to row `i`; `N` is a multiple of `n`. Codes out of range for their depth, such as -1 for a code that
/// could not be sampled, are clamped.
pub fn embed_codes(
    codes: Tensor<2, Int>,
    table: &CodeTable,
    lookup: Lookup,
    onto: Option<Tensor<2>>,
) -> Tensor<3> {
    match table.for_kernel(&table.tables[0].device(), Some(GpuKernel::EmbedCodes.into())) {
        Some(table) => Tensor::from_dispatch(Dispatch::residua_embed_codes(
            codes.into_dispatch(),
            table,
            lookup,
            onto.into(),
        )),
        None => composed(codes, table, lookup, onto),
    }
}

/// [`embed_codes`] built from Burn's own operations.
pub fn composed(
    codes: Tensor<2, Int>,
    table: &CodeTable,
    lookup: Lookup,
    onto: Option<Tensor<2>>,
) -> Tensor<3> {
    let rows = codes.dims()[0];
    let start = onto.map(|onto| {
        let times = rows / onto.dims()[0];
        onto.repeat_dim(0, times)
    });
    let begun = |embedding: Tensor<2>| match &start {
        Some(start) => start.clone() + embedding,
        None => embedding,
    };
    let mut vectors: Vec<Tensor<2>> = Vec::with_capacity(lookup.depths);
    for i in 0..lookup.depths {
        let column = lookup.first_column + i;
        let code = codes.clone().slice([0..rows, column..column + 1]).reshape([rows]);
        let embedding = table.select(code, lookup.first_depth + i);
        vectors.push(match (lookup.reading, vectors.last()) {
            (Reading::Sum | Reading::RunningSums, Some(sum)) => sum.clone() + embedding,
            _ => begun(embedding),
        });
    }
    let unread = lookup.depths - lookup.outputs();
    Tensor::cat(vectors.into_iter().skip(unread).map(|vector| vector.unsqueeze_dim(1)).collect(), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu;
    use crate::values;
    use residua_core::random::pcg4d;
    use residua_testing::{assert_close, poison, tensor};

    fn size(case: u32, word: u32, most: u32) -> usize {
        1 + (pcg4d([case, word, 8, 8])[0] % most) as usize
    }

    const READINGS: [Reading; 3] = [Reading::Sum, Reading::RunningSums, Reading::Each];

    /// Compares both kernels with Burn's operations on the CPU: all readings, shared and separate tables,
    /// subsets of the columns, codes out of range.
    #[test]
    fn the_kernels_match_burn() {
        let (host, gpu) = (Device::flex(), gpu());
        for case in 0..48 {
            let depth = size(case, 0, 6);
            let first_depth = size(case, 1, depth as u32) - 1;
            let lookup = Lookup {
                first_depth,
                first_column: size(case, 2, 3) - 1,
                depths: size(case, 3, (depth - first_depth) as u32),
                reading: READINGS[case as usize % 3],
            };
            let columns = lookup.first_column + lookup.depths + size(case, 4, 2) - 1;
            let (channels, times) = (size(case, 5, 300), size(case, 6, 9));
            let turns = [1, 1, 5, 70][size(case, 7, 4) - 1];
            let rows = turns * times;
            let sizes: Vec<usize> = (0..depth as u32).map(|d| size(case, 10 + d, 40)).collect();
            println!("case {case}: {rows} x {columns}, {sizes:?} of {channels}, {lookup:?}");
            let codes: Vec<i32> =
                (0..(rows * columns) as u32).map(|i| (pcg4d([case, i, 9, 9])[0] % 44) as i32 - 2).collect();
            let codes = TensorData::new(codes, [rows, columns]);
            let onto: Option<Tensor<2>> = (case % 4 > 0).then(|| tensor([turns, channels], case, &host));
            let table = |device: &Device| match case % 5 {
                0 => CodeTable::new(
                    tensor([40, channels], case, device),
                    sizes.iter().map(|&size| Place { first: 0, size }).collect(),
                ),
                _ => CodeTable::per_depth(
                    sizes.iter().map(|&size| tensor([size, channels], size as u32, device)).collect(),
                ),
            };
            let on = |device: &Device| Tensor::<2, Int>::from_data(codes.clone(), device);
            let expected = values(composed(on(&host), &table(&host), lookup, onto.clone()));
            let found = embed_codes(on(&host), &table(&host), lookup, onto.clone());
            assert_eq!(found.dims(), [rows, lookup.outputs(), channels]);
            assert_close(&values(found), &expected, 1e-6);
            let onto = onto.map(|onto| Tensor::from_data(onto.into_data(), &gpu));
            let there = table(&gpu);
            poison([rows, lookup.outputs(), channels], &gpu);
            let found = embed_codes(on(&gpu), &there, lookup, onto.clone());
            assert_close(&values(found), &expected, 1e-6);
            assert_close(&values(composed(on(&gpu), &there, lookup, onto)), &expected, 1e-6);
        }
    }
}
