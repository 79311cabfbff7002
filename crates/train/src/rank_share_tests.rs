//! Ranks that share a run learn what one process does. Here they are threads.

use std::ops::Range;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use burn::tensor::{Device, Tensor};

use super::config::TrainConfig;
use super::data::{Batches, Loaded, wish};
use super::judges::{Judges, Length};
use super::rank_share::RankShare;
use super::rqvae::TrainedRqVae;
use super::run::hash;
use super::stage1::Stage1Training;
use super::stage2::Stage2Training;
use super::trainee::{Measured, Trainee};
use super::validation::Validation;
use residua_core::codes::CodeStack;
use residua_core::config::{Config, ModelConfig, RqVaeConfig};
use residua_core::error::Result;
use residua_core::ranks::{Ranks, World, alone};
use residua_kernels::values;
use residua_testing::{assert_close, tensor};

/// Parts of a step, and pictures of a part.
const PARTS: usize = 2;
const PICTURES: usize = 4;
const STEPS: u64 = 3;

/// Everything that depends on all pictures of a part: moving codebooks and their restarts, the variance of white cells,
/// a discriminator with batch normalization.
const STAGE1: &str = "
arch:
  type: rq-vae
  ema: 0.9
  hparams:
    bottleneck_type: rq
    embed_dim: 8
    n_embed: [12, 6]
    latent_shape: [4, 4, 8]
    code_shape: [4, 4, 2]
    restart_unused_codes: true
    restart_by_error: true
    blank_weight: 0.5
    unquantized_rate: 0.4
    focus: [{rows: [2, 6], columns: [0, 4], weight: 5.0}]
  ddconfig:
    {z_channels: 8, resolution: 8, in_channels: 3, out_ch: 3, ch: 32, ch_mult: [1, 1], num_res_blocks: 1, dropout: 0.1}
optimizer: {type: sgd, init_lr: 0.02, max_gn: 1.0}
gan:
  disc: {arch: {num_layers: 1, ndf: 4}, optimizer: {type: sgd, init_lr: 0.02}}
  loss: {perceptual_weight: 0, disc_weight: 0.5, disc_start: 0}
";

const STAGE2: &str = "
dataset: {vocab_size: [12, 6]}
arch:
  type: KIND
  ema: 0.9
  block_size: [4, 4, 2]
  embed_dim: 16
  vocab_size_cond: 2
  cond_dropout: 0.3
  body: {n_layer: 1, block: {n_head: 2, resid_pdrop: RATE, attn_pdrop: RATE}}
  head: {n_layer: 1, block: {n_head: 2, resid_pdrop: RATE}}
optimizer: {type: sgd, init_lr: 0.1, max_gn: 4.0, weight_decay: 0.01}
loss: {type: soft_target_cross_entropy, temp: 2.0, stochastic_codes: true}
";

/// Where threads exchange what they gather.
struct Room {
    given: Mutex<Vec<Vec<u8>>>,
    all: Barrier,
}

/// A rank's place in a room.
struct Seat {
    room: Arc<Room>,
    rank: usize,
    size: usize,
}

impl Seat {
    /// Sums in the order of the ranks, so that all get the same bits.
    fn summed<const N: usize>(&self, bytes: Vec<u8>, mut add: impl FnMut(usize, [u8; N])) {
        for given in self.gather(bytes) {
            given.as_chunks::<N>().0.iter().enumerate().for_each(|(i, &number)| add(i, number));
        }
    }
}

impl Ranks for Seat {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn local(&self) -> usize {
        self.rank
    }

    fn sum(&self, values: &mut [f32]) {
        let own = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        values.fill(0.0);
        self.summed(own, |i, number| values[i] += f32::from_ne_bytes(number));
    }

    fn sum_f64(&self, values: &mut [f64]) {
        let own = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        values.fill(0.0);
        self.summed(own, |i, number| values[i] += f64::from_ne_bytes(number));
    }

    fn gather(&self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        self.room.given.lock().unwrap()[self.rank] = bytes;
        self.room.all.wait();
        let all = self.room.given.lock().unwrap().clone();
        self.room.all.wait();
        all
    }

    fn waited(&self) -> Duration {
        Duration::ZERO
    }
}

/// What each of `size` ranks gets from `work`.
fn together<T: Send>(size: usize, work: impl Fn(World) -> T + Sync) -> Vec<T> {
    let room = Arc::new(Room { given: Mutex::new(vec![Vec::new(); size]), all: Barrier::new(size) });
    std::thread::scope(|scope| {
        let start = |rank| {
            let world: World = Arc::new(Seat { room: room.clone(), rank, size });
            let work = &work;
            scope.spawn(move || work(world))
        };
        let ranks: Vec<_> = (0..size).map(start).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

/// The pictures `rows` of part `number`; every fourth picture is white.
fn part(number: u64, rows: Range<usize>) -> Loaded {
    let device = Device::flex();
    let images = tensor::<4>([PICTURES, 3, 8, 8], number as u32, &device);
    let white = Tensor::ones([1, 3, 8, 8], &device);
    let images = Tensor::cat(vec![white, images.slice([1..PICTURES, 0..3, 0..8, 0..8])], 0);
    let count = rows.len();
    Loaded {
        images: images.slice([rows.clone(), 0..3, 0..8, 0..8]),
        indices: rows.clone().collect(),
        variations: vec![0; count],
        classes: rows.map(|row| row % 2).collect(),
        captions: vec![String::new(); count],
    }
}

/// What a rank has after some steps.
struct Learned {
    measured: Vec<Measured>,
    weights: Vec<f32>,
    hash: Vec<u8>,
}

/// The rank of `world` learns its share of some steps.
fn learned(mut trainee: Box<dyn Trainee>, share: RankShare) -> Learned {
    trainee.learn_only(share.clone());
    let taken = PARTS / share.teams();
    let step = |step: u64| {
        let numbers = share.numbers(step * PARTS as u64).take(taken);
        let parts: Vec<Result<Loaded>> =
            numbers.map(|number| Ok(part(number, share.rows(PICTURES)))).collect();
        trainee.learn(&mut parts.into_iter(), step, 0.05).unwrap()
    };
    let measured = (0..STEPS).map(step).collect();
    let all = trainee.model();
    let hash = [hash(&all), hash(&trainee.training())].concat();
    Learned { measured, weights: all.into_iter().flat_map(|(_, _, values)| values).collect(), hash }
}

/// Asserts that ranks learn what one process does, and stay equal to each other.
fn assert_alike(begin: impl Fn() -> Box<dyn Trainee> + Sync, in_turn: bool) {
    let whole = learned(begin(), RankShare::new(alone(), PARTS, PICTURES, in_turn).unwrap());
    for size in [2, 3, 4] {
        let ranks = together(size, |world| {
            learned(begin(), RankShare::new(world, PARTS, PICTURES, in_turn).unwrap())
        });
        for rank in &ranks {
            assert!(rank.hash == ranks[0].hash, "{size} ranks have different weights");
            for (found, expected) in rank.measured.iter().zip(&whole.measured) {
                for (name, expected) in expected.all() {
                    let found = found.get(name).unwrap();
                    let off = (found - expected).abs();
                    assert!(off <= 1e-5 * expected.abs().max(1.0), "{size}: {name} {found}, not {expected}");
                }
            }
        }
        assert_close(&ranks[0].weights, &whole.weights, 1e-4);
    }
}

fn stage1() -> (RqVaeConfig, TrainConfig) {
    let config = Config::parse("c", STAGE1).unwrap();
    let train = TrainConfig::of("c", &config).unwrap();
    match config.model {
        ModelConfig::RqVae(model) => (*model, train),
        ModelConfig::RqTransformer(_) => panic!("expected stage 1"),
    }
}

#[test]
fn ranks_learn_stage_1_as_one_process_does() {
    let begin = || -> Box<dyn Trainee> {
        let ((config, train), device) = (stage1(), Device::flex());
        let length = Length { per_epoch: 1, steps: STEPS };
        let judges = Judges::begin(&train, None, 8, length, 3, &device).unwrap();
        Box::new(Stage1Training::begin(&config, &train, 3, &device).unwrap().judged_by(judges))
    };
    assert_alike(begin, true);
}

/// With sampled codes and dropped conditions; with dropout too, or with masked cells, whose number differs between
/// pictures.
#[test]
fn ranks_learn_stage_2_as_one_process_does() {
    for (kind, rate) in [("rq-transformer", "0.3"), ("contextual-rq-transformer", "0.0")] {
        let text = STAGE2.replace("KIND", kind).replace("RATE", rate);
        let begin = || -> Box<dyn Trainee> {
            let device = Device::flex();
            let rqvae = TrainedRqVae::initial(&stage1().0, 3, &device).unwrap().plain().unwrap();
            let config = Config::parse("c", &text).unwrap();
            let train = TrainConfig::of("c", &config).unwrap();
            let ModelConfig::RqTransformer(model) = config.model else { panic!("expected stage 2") };
            Box::new(Stage2Training::begin(&model, &train, rqvae, None, 5, &device).unwrap())
        };
        assert_alike(begin, false);
    }
}

/// Together, ranks load what one process loads, whether they take different parts or share each.
#[test]
fn ranks_load_the_pictures_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let wish = wish(folder.path(), 10);
    let mut whole = Batches::start(wish.clone(), 4);
    let whole: Vec<Loaded> = (0..4).map(|_| whole.next_batch().unwrap()).collect();
    for (size, in_turn) in [(2, false), (2, true), (3, true), (4, false)] {
        let found = together(size, |world| {
            let share = RankShare::new(world, PARTS, PICTURES, in_turn).unwrap();
            let mut batches = Batches::shared(wish.clone(), 4, &share);
            let loaded = share.numbers(4).take(4 / share.teams()).map(|number| {
                let batch = batches.next_batch().unwrap();
                (number, share.rows(PICTURES).start, batch.indices, values(batch.images))
            });
            loaded.collect::<Vec<_>>()
        });
        let mut found = found.concat();
        found.sort_by_key(|&(number, first, ..)| (number, first));
        let expected = whole.iter().flat_map(|batch| batch.indices.clone());
        assert!(found.iter().flat_map(|found| found.2.clone()).eq(expected), "{size} ranks, {in_turn}");
        let expected = whole.iter().flat_map(|batch| values(batch.images.clone()));
        assert!(found.into_iter().flat_map(|found| found.3).eq(expected), "{size} ranks, {in_turn}");
    }
}

/// The losses of ranks `r` are `(r + 1) (x0 + x1 + x2)^2`, so each `x` has the gradient `12 (x0 + x1 + x2)` of their sum.
#[test]
fn sums_have_the_gradients_of_all_losses() {
    let found = together(3, |world| {
        let own = world.rank() as f64 + 1.0;
        let share = RankShare::new(world, 1, 3, true).unwrap();
        let x = Tensor::<1>::from_floats([own as f32], &Device::flex()).autodiff().require_grad();
        let loss = share.sum(x.clone()).powi_scalar(2) * own;
        let number = values(loss.clone().inner())[0];
        [number, values(x.grad(&loss.backward()).unwrap())[0]]
    });
    assert_eq!(found, [[36.0, 72.0], [72.0, 72.0], [108.0, 72.0]]);
}

/// One of the ranks has no batch to measure.
#[test]
fn ranks_measure_as_one_process_does() {
    let batch = |number: usize, found: &mut Validation| {
        let mut measured = Measured::default();
        measured.add("loss", 1.0 / (number + 3) as f64);
        found.add(4 - number, &measured);
        let stack = CodeStack::new(1, 1, 2, vec![number as u32, 1]).unwrap();
        found.count(&[4, 4], &[stack]);
    };
    let mut whole = Validation::default();
    (0..2).for_each(|number| batch(number, &mut whole));
    let whole = whole.finish().unwrap();
    let found = together(3, |world| {
        let mut found = Validation::default();
        (world.rank()..2).step_by(3).for_each(|number| batch(number, &mut found));
        found.merge(world.as_ref()).unwrap();
        found.finish().unwrap()
    });
    assert!(found.iter().all(|found| *found == whole), "{found:?}, not {whole:?}");
}

#[test]
fn more_ranks_than_pictures_are_refused() {
    let refused = together(5, |world| {
        let share = RankShare::new(world, 1, 4, true).map(drop);
        share.unwrap_err().to_string()
    });
    assert!(refused[0].contains("experiment.batch_size: expected 5 or more"), "{}", refused[0]);
}
