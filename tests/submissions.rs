//! How often sampling waits for a GPU, and how many kernels it launches, on any adapter. Our own kernels are counted
//! where they are launched. Burn's own kernels and transfers pass no point of ours, so wgpu's log records count all
//! requests.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::Device;
use log::{LevelFilter, Log, Metadata, Record};
use residua_core::config::Architecture;
use residua_core::config::preset::Preset;
use residua_core::config::{Precision, StateKind};
use residua_core::sampling::{Filter, Rounds, Schedule};
use residua_core::task::Task;
use residua_engine::Stage2;
use residua_engine::bench;
use residua_engine::reconstruct::decode_partly;
use residua_engine::sample::{Sampled, sample};
use residua_kernels::device::{DeviceChoice, open};
use residua_kernels::plan::planned;
use residua_kernels::{GpuKernel, Grain};
use residua_model::Loader;
use residua_model::generate::{DraftAndRevise, Request, Session, Steps};
use residua_model::{RqTransformer, RqVae};
use residua_protocol::Options;

/// Burn submits this many kernels at a time.
const FULL: usize = 32;

/// Requests to the GPU.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counts {
    /// Queue submissions.
    submissions: usize,
    /// Buffers mapped for reading by the host.
    readbacks: usize,
    /// Kernel dispatches.
    dispatches: usize,
}

/// Counts wgpu's log records.
struct Counter {
    submissions: AtomicUsize,
    readbacks: AtomicUsize,
    dispatches: AtomicUsize,
}

static COUNTER: Counter = Counter {
    submissions: AtomicUsize::new(0),
    readbacks: AtomicUsize::new(0),
    dispatches: AtomicUsize::new(0),
};

impl Log for Counter {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.target().starts_with("wgpu_core::")
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let message = record.args().to_string();
        if message == "Queue::submit" {
            self.submissions.fetch_add(1, Relaxed);
        } else if message.starts_with("Buffer::map_async ") && message.contains("host: Read") {
            self.readbacks.fetch_add(1, Relaxed);
        } else if message.starts_with("ComputePass::dispatch") {
            self.dispatches.fetch_add(1, Relaxed);
        }
    }

    fn flush(&self) {}
}

impl Counter {
    fn counts(&self) -> Counts {
        Counts {
            submissions: self.submissions.load(Relaxed),
            readbacks: self.readbacks.load(Relaxed),
            dispatches: self.dispatches.load(Relaxed),
        }
    }
}

/// Exclusive access to the GPU: all tests in this process share the counters.
struct Gpu {
    device: Device,
    _alone: MutexGuard<'static, ()>,
}

impl Gpu {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        // Fails if another test has set it already.
        let _ = log::set_logger(&COUNTER);
        log::set_max_level(LevelFilter::Trace);
        let device = open(DeviceChoice::Gpu).unwrap();
        // Otherwise each kernel would be checked at its first use, and the check would be counted too.
        GpuKernel::ALL.into_iter().for_each(|kernel| kernel.switch(true));
        Self { device, _alone: alone }
    }

    /// Runs `work`, waits for the GPU to finish it, and counts its requests.
    fn counted<T>(&self, work: impl FnOnce() -> T) -> (T, Counts) {
        self.device.sync().unwrap();
        let before = COUNTER.counts();
        let result = work();
        self.device.sync().unwrap();
        let after = COUNTER.counts();
        let counts = Counts {
            submissions: after.submissions - before.submissions,
            readbacks: after.readbacks - before.readbacks,
            dispatches: after.dispatches - before.dispatches,
        };
        (result, counts)
    }
}

/// Random weights of `preset`.
fn random(preset: &Preset, device: &Device) -> (RqVae, RqTransformer) {
    let mut loader = Loader::random(1, device, Precision::F16);
    let rqvae = RqVae::load(&mut loader, &preset.rqvae().unwrap()).unwrap();
    let codebooks = &rqvae.quantizer.codebooks;
    let config = preset.rqtransformer().unwrap();
    let transformer = RqTransformer::load(&mut loader, &config, Some(codebooks)).unwrap();
    (rqvae, transformer)
}

/// The bundled autoregressive model.
fn bundled(device: &Device) -> (RqVae, RqTransformer) {
    let (model, rqvae, state) = ("characters-128-ar".into(), None, StateKind::Auto);
    let options = Options { model, rqvae, state, precision: Precision::F16 };
    let stage2 = Stage2::load(&options, device, &mut Task::unwatched()).unwrap();
    (stage2.stage1.model, stage2.model)
}

/// Two tiny models, and one as deep as the published FFHQ model (24 blocks in the body, 4 in the head) but
/// narrow: the number of kernels does not depend on the width. A position embedding of 64 values begins where every
/// adapter can bind it, so Burn copies none.
fn presets() -> [Preset; 3] {
    let tiny = Preset { width: 64, head_width: 16, ..*Preset::find("tiny").unwrap() };
    let small = Preset { code_shape: [4, 4, 2], multipliers: &[1, 2, 2, 2], layers: [1, 2], ..tiny };
    [tiny, small, Preset { layers: [24, 4], ..tiny }]
}

fn request(model: &RqTransformer, images: std::ops::Range<u32>) -> Request {
    let filter = Filter { top_k: 40, top_p: 0.95, ..Filter::NONE };
    let condition = vec![0; model.config.block_size_cond];
    Request {
        condition,
        filters: vec![filter; model.config.depth()],
        seed: 3,
        images: images.into(),
        forced: None,
    }
}

#[test]
fn an_image_without_previews_is_read_back_once_at_any_size() {
    let gpu = Gpu::new();
    let [tiny, small, _] = presets();
    for (name, (_, model)) in [
        ("tiny", random(&tiny, &gpu.device)),
        ("small", random(&small, &gpu.device)),
        ("characters-128-ar", bundled(&gpu.device)),
    ] {
        for images in [0..1, 0..3] {
            let count = images.len();
            let mut stacks = Vec::new();
            let (done, counts) = gpu.counted(|| {
                pollster::block_on(sample(
                    &model,
                    &request(&model, images),
                    None,
                    false,
                    &mut Task::unwatched(),
                    async |sampled| {
                        match sampled {
                            Sampled::Whole(batch) => stacks.extend(batch),
                            Sampled::Partly { .. } => unreachable!("no previews were requested"),
                        }
                        Ok(())
                    },
                ))
            });
            done.unwrap();
            println!("{name}, {count} images: {counts:?}");
            assert_eq!(stacks.len(), count);
            assert_eq!(counts.readbacks, 1, "{name}");
            // Full batches of kernels, plus one flush per cell, so that the reported progress is real.
            let most = counts.dispatches / FULL + model.config.cells() + 2;
            assert!(counts.submissions <= most, "{name}: {counts:?}, expected at most {most} submissions");
        }
    }
}

#[test]
fn a_preview_adds_one_readback() {
    let gpu = Gpu::new();
    let [_, small, _] = presets();
    for (rqvae, model) in [random(&small, &gpu.device), bundled(&gpu.device)] {
        let mut previews = 0;
        let (done, counts) = gpu.counted(|| {
            pollster::block_on(sample(
                &model,
                &request(&model, 0..2),
                None,
                true,
                &mut Task::unwatched(),
                async |sampled| {
                    if let Sampled::Partly { codes, known } = sampled {
                        assert_eq!(decode_partly(&rqvae, *codes, &known).await?.len(), 2);
                        previews += 1;
                    }
                    Ok(())
                },
            ))
        });
        done.unwrap();
        assert_eq!(previews, model.config.block_size[0] - 1);
        assert_eq!(counts.readbacks, previews + 1, "{counts:?}");
    }
}

/// Kernels of our own in each step that is left, without running any.
fn launches(mut session: impl Steps) -> Vec<usize> {
    (session.done()..session.total()).map(|_| planned(|| session.step()).1.len()).collect()
}

/// The deep preset and the bundled model, with their names.
fn models(device: &Device) -> [(&'static str, RqTransformer); 2] {
    let [.., deep] = presets();
    [("deep", random(&deep, device).1), ("characters-128-ar", bundled(device).1)]
}

/// On hardware and on a software rasterizer, for one image and for a full batch.
#[test]
fn every_cell_launches_what_the_plan_lists() {
    let gpu = Gpu::new();
    for (name, model) in models(&gpu.device) {
        let plan = bench::plan(name, &model, 1).unwrap();
        for (grain, images) in Grain::ALL.into_iter().flat_map(|grain| [(grain, 1), (grain, 8)]) {
            let mut found = grain
                .during(|| launches(planned(|| Session::new(&model, request(&model, 0..images)).unwrap()).0));
            // After the last cell, the model need not read it.
            let last = found.pop().unwrap();
            assert!(last < plan.launches, "{name}: {last}");
            assert_eq!(
                found,
                vec![plan.launches; model.config.cells() - 1],
                "{name}, {grain:?}, {images} images"
            );
        }
    }
}

/// Dispatches per cell of so many `images`, sampling included, after the first cells.
fn dispatches_of_a_cell(gpu: &Gpu, model: &RqTransformer, images: u32) -> usize {
    let mut session = Session::new(model, request(model, 0..images)).unwrap();
    (0..3).for_each(|_| session.step());
    let counts = [(); 3].map(|()| gpu.counted(|| session.step()).1);
    println!("cells: {counts:?}");
    counts.iter().map(|counts| counts.dispatches).min().unwrap()
}

/// Most launches of Burn's own in a cell: it occasionally adds one.
const OF_BURN: usize = 1;

#[test]
fn no_operation_of_a_cell_is_burns_own() {
    let gpu = Gpu::new();
    for (name, model) in models(&gpu.device) {
        let launches = bench::plan(name, &model, 1).unwrap().launches;
        for images in [1, 8] {
            let dispatches = dispatches_of_a_cell(&gpu, &model, images);
            assert!(
                (launches..=launches + OF_BURN).contains(&dispatches),
                "{name}: {dispatches} of {launches}"
            );
        }
        // The count sees Burn's own operations.
        GpuKernel::ALL.into_iter().for_each(|kernel| kernel.switch(false));
        let composed = dispatches_of_a_cell(&gpu, &model, 1);
        GpuKernel::ALL.into_iter().for_each(|kernel| kernel.switch(true));
        assert!(composed > launches + OF_BURN, "{name}: {composed} of {launches}");
    }
}

/// The totals of the tiny preset, counted by hand from its configuration.
#[test]
fn a_plan_lists_what_a_cell_reads() {
    let gpu = Gpu::new();
    let [tiny, ..] = presets();
    let (_, model) = random(&tiny, &gpu.device);
    let plan = bench::plan("tiny", &model, 1).unwrap();
    let (half, single) = (2, 4);
    let [body, head] = tiny.layers;
    let (width, depth, codes, channels) = (tiny.width, tiny.code_shape[2], tiny.codebook, 16);
    // Every depth passes through the head.
    let blocks = body + depth * head;
    // A product reads a bias, and a norm its scale and shift: queries, keys and values, projection, and the MLP.
    let linear = |inputs: usize, outputs: usize| inputs * outputs * half + outputs * single;
    let norm = 2 * width * single;
    let block = [3 * width, width, 4 * width].map(|outputs| linear(width, outputs)).iter().sum::<usize>()
        + linear(4 * width, width)
        + 2 * norm;
    // A code's embedding, and where its depth starts and ends in the table.
    let embedding = channels * single + 2 * size_of::<i32>();
    let classifier = norm + linear(width, codes);
    // The cell before, and all codes above each code.
    let read = depth + (1..depth).sum::<usize>();
    let weights = blocks * block + depth * classifier + read * embedding + depth * linear(channels, width);
    assert_eq!(plan.weights, weights as u64);
    // Product, attention, product; two products. Product and draw. Look-up and product. A norm is part of the product
    // after it.
    assert_eq!(plan.launches, 5 * blocks + 2 * depth + 2 * depth);
}

/// Besides our kernels, a contextual model uses Burn's own operations, but not for each cell.
#[test]
fn drafting_takes_one_readback_and_the_same_kernels_for_any_part_size() {
    let gpu = Gpu::new();
    let [.., deep] = presets();
    let rqvae = random(&deep, &gpu.device).0;
    let mut config = deep.rqtransformer().unwrap();
    config.kind = Architecture::Contextual;
    let mut loader = Loader::random(1, &gpu.device, Precision::F16);
    let model = RqTransformer::load(&mut loader, &config, Some(&rqvae.quantizer.codebooks)).unwrap();
    let request = request(&model, 0..2);
    let revise = Rounds { rounds: 1, parts: 2 };
    let schedule = Schedule { draft: 4, revise, filters: request.filters.clone() };
    let session = || DraftAndRevise::new(&model, request.clone(), schedule.clone()).unwrap();
    for grain in Grain::ALL {
        let launches = grain.during(|| launches(session()));
        assert!(launches.iter().all(|&count| count == launches[0]), "{grain:?}: {launches:?}");
    }
    let (_, plan) = planned(|| session().step());
    let count = |kernel| plan.iter().filter(|launch| launch.kernel == kernel).count();
    let ([body, head], depth) = (deep.layers, config.depth());
    let counts = ["attention", "decode_attention", "sample_token"].map(count);
    assert_eq!(
        counts,
        [body, depth * head, depth],
        "every block attends, and every depth draws, by our kernels"
    );
    let mut session = session();
    let parts: Vec<usize> =
        (0..session.total()).map(|_| gpu.counted(|| session.step()).1.dispatches).collect();
    println!("kernels a part: {parts:?}");
    // The first four parts have 16 cells, the last two 32. A kernel for each cell would add as many to these.
    let (fewest, most) = (parts.iter().min().unwrap(), parts.iter().max().unwrap());
    assert!(most - fewest < 16, "{parts:?}");
    let mut pictures = 0;
    let (done, counts) = gpu.counted(|| {
        let task = &mut Task::unwatched();
        pollster::block_on(sample(&model, &request, Some(&schedule), false, task, async |sampled| {
            match sampled {
                Sampled::Whole(batch) => pictures += batch.len(),
                Sampled::Partly { .. } => unreachable!("no previews were asked for"),
            }
            Ok(())
        }))
    });
    done.unwrap();
    assert_eq!((pictures, counts.readbacks), (2, 1), "{counts:?}");
}
