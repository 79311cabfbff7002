//! The kernels that sample one cell on a GPU, and how long some GPUs need at least to read their weights.

use burn::tensor::Device;
use serde::Serialize;

use super::stages::FILTER;
use super::{SEED, transformer};
use residua_core::config::Precision;
use residua_core::config::preset::Preset;
use residua_core::error::{Error, Result};
use residua_kernels::Grain;
use residua_kernels::device::is_cpu;
use residua_kernels::plan::{Launch, planned};
use residua_model::generate::{Request, Session, Steps};
use residua_model::{Loader, RqTransformer, RqVae};

/// Memory bandwidths by their makers' data sheets, in billions of bytes per second. That of an Iris Xe depends on the
/// memory beside it.
const ADAPTERS: [(&str, f64); 4] = [
    ("NVIDIA GeForce RTX 4070", 504.0),
    ("Apple M2", 100.0),
    ("Intel Iris Xe, LPDDR4X-4266", 68.3),
    ("Intel Iris Xe, DDR4-3200", 51.2),
];

/// The kernels of a cell in the middle of its stack.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The name of the model.
    pub model: String,
    /// Batch size in images.
    pub batch: usize,
    /// Index of the cell.
    pub cell: usize,
    /// The kernels. Launches that differ only in the values that they read are one entry.
    pub kernels: Vec<Planned>,
    /// All launches. Burn's own operations are not counted; a cell needs none.
    pub launches: usize,
    /// Bytes of weights read.
    pub weights: u64,
    /// Bytes of other values read or written.
    pub values: u64,
    /// Lower limits of the time.
    pub floors: Vec<Floor>,
}

/// Equal launches of one kernel.
#[derive(Clone, Debug, Serialize)]
pub struct Planned {
    /// The name of its shader.
    pub kernel: &'static str,
    /// Number of launches.
    pub launches: usize,
    /// Workgroups of each launch.
    pub workgroups: u32,
    /// Threads of each workgroup.
    pub threads: u32,
    /// Bytes of weights read by all launches.
    pub weights: u64,
    /// Bytes of other values read or written by all launches.
    pub values: u64,
}

/// The time that an adapter needs to read all weights from its memory. Other values may stay in its caches.
#[derive(Clone, Debug, Serialize)]
pub struct Floor {
    /// The adapter.
    pub adapter: &'static str,
    /// Its memory bandwidth, in billions of bytes per second.
    pub gigabytes_per_second: f64,
    /// Milliseconds for a cell of the whole batch.
    pub ms: f64,
}

/// Plans a cell of `preset` with random weights on `device`, a GPU, for each of the `batches`.
///
/// # Errors
/// `device` is the CPU, or the preset is not valid.
pub fn plan_preset(
    preset: &Preset,
    batches: &[usize],
    precision: Precision,
    device: &Device,
) -> Result<Vec<Plan>> {
    let rqvae = RqVae::load(&mut Loader::random(SEED, device, Precision::Stored), &preset.rqvae()?)?;
    let (model, _) = transformer(preset, &rqvae, precision, device)?;
    batches.iter().map(|&batch| plan(preset.name, &model, batch)).collect()
}

/// Plans a cell of `model`, which is on a GPU and called `name`, for a batch of `batch` images.
///
/// # Errors
/// The model is on the CPU, or contextual.
pub fn plan(name: &str, model: &RqTransformer, batch: usize) -> Result<Plan> {
    if is_cpu(model.device()) {
        return Err(Error::usage("expected a model on a GPU, found one on the CPU: only a GPU has a plan"));
    }
    let request = request(model, batch);
    let cell = model.config.cells() / 2;
    // Whatever adapter makes the plan, it is one for hardware.
    let launches = Grain::Fine.during(|| {
        let (session, _) = planned(|| {
            let mut session = Session::new(model, request)?;
            (0..cell).for_each(|_| session.step());
            Ok::<_, Error>(session)
        });
        let mut session = session?;
        let ((), launches) = planned(|| session.step());
        Ok::<_, Error>(launches)
    })?;
    let weights: u64 = launches.iter().map(|launch| launch.weights).sum();
    let values: u64 = launches.iter().map(|launch| launch.values).sum();
    let floor = |&(adapter, gigabytes_per_second): &(&'static str, f64)| {
        let ms = weights as f64 / gigabytes_per_second / 1e6;
        Floor { adapter, gigabytes_per_second, ms }
    };
    Ok(Plan {
        model: name.into(),
        batch,
        cell,
        kernels: grouped(&launches),
        launches: launches.len(),
        weights,
        values,
        floors: ADAPTERS.iter().map(floor).collect(),
    })
}

/// A request for `batch` images of `model`.
pub(super) fn request(model: &RqTransformer, batch: usize) -> Request {
    Request {
        condition: vec![0; model.config.block_size_cond],
        filters: vec![FILTER; model.config.depth()],
        seed: u64::from(SEED),
        images: (0..batch as u32).into(),
        forced: None,
    }
}

/// Equal launches together, in the order in which each is first seen.
fn grouped(launches: &[Launch]) -> Vec<Planned> {
    let mut groups: Vec<(&Launch, Planned)> = Vec::new();
    for launch in launches {
        let is_same = |other: &Launch| Launch { values: other.values, ..launch.clone() } == *other;
        let found = groups.iter().position(|(first, _)| is_same(first));
        let place = found.unwrap_or_else(|| {
            let &Launch { kernel, workgroups, threads, .. } = launch;
            groups
                .push((launch, Planned { kernel, launches: 0, workgroups, threads, weights: 0, values: 0 }));
            groups.len() - 1
        });
        let group = &mut groups[place].1;
        group.launches += 1;
        group.weights += launch.weights;
        group.values += launch.values;
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tensor;
    use residua_kernels::device::{DeviceChoice, open};
    use residua_kernels::plan::MOST_MULTIPLY_ADDS;

    #[test]
    fn launches_that_differ_in_their_values_only_are_one_group() {
        let (kernel, workgroups, threads, multiply_adds) = ("linear", 3, 64, 0);
        let launch = |weights, values| Launch { kernel, workgroups, threads, weights, values, multiply_adds };
        let groups = grouped(&[launch(8, 1), launch(9, 1), launch(8, 2)]);
        let found: Vec<_> =
            groups.iter().map(|group| (group.launches, group.weights, group.values)).collect();
        assert_eq!(found, [(2, 16, 3), (1, 9, 1)]);
    }

    /// One picture, and two at once, of the published resolution.
    #[test]
    fn no_launch_of_a_picture_exceeds_the_bound() {
        let (preset, device) = (Preset::find("ffhq-355m").unwrap(), open(DeviceChoice::Gpu).unwrap());
        let mut loader = Loader::random(SEED, &device, Precision::Stored);
        let model = RqVae::load(&mut loader, &preset.rqvae().unwrap()).unwrap();
        let ([h, w, depth], side) = (preset.code_shape, preset.resolution);
        for images in [1, 2] {
            let (_, launches) = planned(|| {
                let latents = model.encode(Tensor::zeros([images, 3, side, side], &device));
                (latents, model.decode_codes(Tensor::zeros([images, h, w, depth], &device)))
            });
            let largest = launches.iter().map(|launch| launch.multiply_adds).max().unwrap();
            // A layer of 128 channels at full resolution nearly fills a launch.
            let layer = (128 * 128 * 9 * side * side) as u64;
            assert!((layer..=MOST_MULTIPLY_ADDS).contains(&largest), "{largest}");
        }
    }

    #[test]
    fn the_cpu_has_no_launches_to_plan() {
        let preset = Preset::find("tiny").unwrap();
        let device = residua_kernels::device::cpu();
        let error = plan_preset(preset, &[1], Precision::F16, &device).unwrap_err().to_string();
        assert!(error.contains("found one on the CPU"), "{error}");
    }
}
