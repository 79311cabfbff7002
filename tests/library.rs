//! Properties of the library that can be tested without the program: given codes are kept, weights survive a
//! round trip through files, cancelling keeps finished batches, and a draft can be revised later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Int, Tensor, TensorData};
use half::f16;
use proptest::prelude::*;
use residua_core::codes::CodeStack;
use residua_core::config::{Precision, StateKind};
use residua_core::sampling::{Filter, Forced, Rounds};
use residua_core::task::Task;
use residua_engine::api::DeviceChoice;
use residua_engine::sample::{Sampled, sample};
use residua_engine::{Model, Stage2};
use residua_kernels::device::cpu;
use residua_model::RqTransformer;
use residua_model::generate::{Request, Session, Steps};
use residua_protocol::Options;
use residua_weights::write::write_safetensors;
use residua_weights::{Dtype, WeightFile};

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(count) }
}

/// The class-conditional fixture: 8x8x4 codes from a codebook of 64, ten classes.
fn model() -> Stage2 {
    let options = Options {
        model: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rqt-class").into(),
        rqvae: None,
        state: StateKind::Auto,
        precision: Precision::Stored,
    };
    Stage2::load(&options, &cpu(), &mut Task::unwatched()).unwrap()
}

/// characters-128-ar, with its transformer weights in `precision`.
fn bundled(precision: Precision) -> RqTransformer {
    let (model, rqvae, state) = ("characters-128-ar".into(), None, StateKind::Auto);
    let options = Options { model, rqvae, state, precision };
    Stage2::load(&options, &cpu(), &mut Task::unwatched()).unwrap().model
}

/// Q8 changes the logits by about a percent, f16 by a hundredth of that. Greedy codes rarely change.
#[test]
fn lower_precision_barely_changes_the_logits() {
    let full = bundled(Precision::Stored);
    let [h, w, depth] = full.config.block_size;
    let length = full.config.block_size_cond;
    let request = Request { condition: vec![3; length], filters: vec![Filter::NONE; depth], ..request(0..4) };
    let stacks = collect(&full, &request, &mut Task::unwatched()).1;
    let codes: Vec<i32> = stacks.iter().flat_map(|stack| stack.codes()).map(|&code| code as i32).collect();
    let codes = Tensor::<4, Int>::from_data(TensorData::new(codes, [4, h, w, depth]), &cpu());
    let logits = |model: &RqTransformer| {
        let condition = Tensor::<2, Int>::full([4, length], 3, &cpu());
        model.logits(codes.clone(), condition).codes.flatten::<2>(0, 1)
    };
    let expected = logits(&full);
    let spread = expected.clone() - expected.clone().mean_dim(1);
    let places = expected.dims()[0];
    for (precision, least, most, agreeing) in
        [(Precision::F16, 0.0, 1e-3, 0.99), (Precision::Q8, 1e-3, 0.03, 0.95)]
    {
        let found = logits(&bundled(precision));
        let error = (found.clone() - expected.clone()).powi_scalar(2).mean().sqrt().into_scalar::<f32>();
        let relative = error / spread.clone().powi_scalar(2).mean().sqrt().into_scalar::<f32>();
        let same = found.argmax(1).equal(expected.clone().argmax(1)).int().sum().into_scalar::<i32>();
        println!("{precision:?}: {relative} of the spread, {same} of {places} greedy codes match");
        assert!((least..most).contains(&relative), "{precision:?}: {relative}");
        assert!(f64::from(same) >= agreeing * places as f64, "{precision:?}: {same} of {places}");
    }
}

fn request(images: std::ops::Range<u32>) -> Request {
    Request {
        condition: vec![3],
        filters: vec![Filter::NONE; 4],
        seed: 11,
        images: images.into(),
        forced: None,
    }
}

#[test]
fn given_codes_are_unchanged_in_every_image() {
    let model = model();
    let codes = prop::collection::vec(0u32..64, 256);
    let keep = prop_oneof![
        prop::collection::vec(any::<bool>(), 256),
        (0usize..=256).prop_map(|first| (0..256).map(|place| place < first).collect::<Vec<bool>>()),
    ];
    let mut runner = proptest::test_runner::TestRunner::new(cases(24));
    let checked = runner.run(&(codes, keep, 1u32..4), |(codes, keep, images)| {
        let stack = CodeStack::new(8, 8, 4, codes.clone()).unwrap();
        let forced = Some(Forced { stack, keep: keep.clone() });
        let mut session = Session::new(&model.model, Request { forced, ..request(0..images) }).unwrap();
        while session.done() < session.total() {
            session.step();
        }
        let stacks = pollster::block_on(session.stacks()).unwrap();
        prop_assert_eq!(stacks.len(), images as usize);
        for stack in stacks {
            for (place, keep) in keep.iter().enumerate() {
                prop_assert!(stack.codes()[place] < 64);
                prop_assert!(!keep || stack.codes()[place] == codes[place], "{}", place);
            }
        }
        Ok(())
    });
    checked.unwrap();
}

/// The result of sampling, and the stacks it returned until then.
fn collect(
    model: &RqTransformer,
    request: &Request,
    task: &mut Task,
) -> (residua_core::Result<()>, Vec<CodeStack>) {
    let mut stacks = Vec::new();
    let keep = async |sampled: Sampled| {
        match sampled {
            Sampled::Whole(batch) => stacks.extend(batch),
            Sampled::Partly { .. } => unreachable!("no previews were requested"),
        }
        Ok(())
    };
    (pollster::block_on(sample(model, request, None, false, task, keep)), stacks)
}

#[test]
fn an_image_is_the_same_in_every_batch() {
    let model = model().model;
    let sampled = |images| collect(&model, &request(images), &mut Task::unwatched()).1;
    let all = sampled(0..19);
    for images in [0..1, 7..9, 8..16, 5..18, 18..19] {
        let range = images.start as usize..images.end as usize;
        assert_eq!(sampled(images), all[range.clone()], "{range:?}");
    }
    let far = sampled(u32::MAX - 1..u32::MAX);
    assert_ne!(far[0], all[0]);
}

/// Cancels the job during its second batch of eight.
#[test]
fn cancelling_keeps_finished_batches() {
    let model = model().model;
    let cells = model.config.cells();
    let stop_after = |limit: usize| {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let mut task = Task::new(stop, move |done, _| {
            if done > limit {
                told.store(true, Ordering::Relaxed);
            }
        });
        collect(&model, &request(0..100), &mut task)
    };
    let (stopped, kept) = stop_after(0);
    assert!(matches!(stopped, Err(residua_core::Error::Cancelled)) && kept.is_empty());
    let (stopped, kept) = stop_after(8 * cells + 5);
    assert!(matches!(stopped, Err(residua_core::Error::Cancelled)));
    assert_eq!(kept, collect(&model, &request(0..8), &mut Task::unwatched()).1);
}

/// A revision draws the same random numbers whether it follows the draft at once or revises the draft's codes later.
#[test]
fn a_draft_can_be_revised_later() {
    let load = |name| Model::builder(name).device(DeviceChoice::Cpu).load().unwrap();
    let model = load("characters-128");
    let (none, twice) = (Rounds { rounds: 0, parts: 1 }, Rounds { rounds: 2, parts: 3 });
    let warm = |_: usize, filter: &mut Filter| filter.temperature = 1.5;
    let drafting = || model.sample().prompt("a red cat").seed(5).first(2).draft(4);
    let draft = drafting().revise(none).run().unwrap().remove(0);
    let at_once = drafting().revise(twice).adjust_revisions(warm).run().unwrap().remove(0);
    let completion = model.complete(&draft.codes, |_, _| false).prompt("a red cat").seed(5).first(2);
    let later = completion.draft(0).revise(twice).adjust_revisions(warm).run().unwrap().remove(0);
    assert_ne!(draft.codes, at_once.codes);
    assert_eq!(later.codes, at_once.codes);
    for (made, made_by, parts, rounds) in
        [(draft, "sample", 4, none), (at_once, "sample", 4, twice), (later, "revise", 0, twice)]
    {
        let recipe = made.recipe.unwrap();
        let sampling = recipe.sampling.unwrap();
        let schedule = sampling.schedule.unwrap();
        assert_eq!((recipe.made_by.as_str(), sampling.seed, sampling.image), (made_by, 5, 2));
        assert_eq!((schedule.draft, schedule.revise), (parts, rounds));
        assert_eq!(schedule.filters[0].temperature == 1.5, rounds == twice);
    }
    let error = load("characters-128-ar").sample().prompt("a red cat").draft(4).run().unwrap_err();
    assert!(error.to_string().starts_with("drafting and revising needs"), "{error}");
}

/// A safetensors file starts with the length of its header. Those bytes can equal the magic bytes of other
/// formats: a pickle's for 128, a zip's for 19280.
#[test]
fn safetensors_are_recognised_for_any_header_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    for length in (0..400).step_by(8).chain((19_000..19_300).step_by(8)) {
        let notes = BTreeMap::from([("note".to_string(), "n".repeat(length))]);
        let tensors = [("weight".to_string(), Dtype::F32, vec![1])];
        write_safetensors(&path, &tensors, &notes, |_| Ok(1f32.to_le_bytes())).unwrap();
        let file = WeightFile::open(&path, StateKind::Auto).unwrap();
        assert_eq!(file.read_f32("weight").unwrap(), [1.0], "{length}");
    }
}

/// f32 values are read back bit for bit, and f16 values are rounded once.
#[test]
fn weights_survive_a_safetensors_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let shape = prop_oneof![
        (1usize..40).prop_map(|n| vec![n]),
        (1usize..9, 1usize..9).prop_map(|(a, b)| vec![a, b]),
        (1usize..4, 1usize..4, 1usize..4, 1usize..4).prop_map(|(a, b, c, d)| vec![a, b, c, d]),
    ];
    let tensor = (shape, any::<bool>(), any::<u32>());
    let tensors = prop::collection::btree_map("[a-z]{1,8}(\\.[a-z0-9]{1,8}){0,3}", tensor, 1..8);
    let mut runner = proptest::test_runner::TestRunner::new(cases(64));
    let checked = runner.run(&(tensors, "\\PC{0,40}"), |(tensors, note)| {
        let values = |name: &str| -> Vec<f32> {
            let (shape, _, seed) = &tensors[name];
            let count = shape.iter().product::<usize>() as u32;
            (0..count).map(|i| residua_core::random::normal([*seed, i, 0, 0])).collect()
        };
        let dtype = |half: bool| if half { Dtype::F16 } else { Dtype::F32 };
        let described: Vec<_> = tensors
            .iter()
            .map(|(name, (shape, half, _))| (name.clone(), dtype(*half), shape.clone()))
            .collect();
        let notes = BTreeMap::from([("note".to_string(), note.clone())]);
        write_safetensors(&path, &described, &notes, |name| {
            let half = tensors[name].1;
            let bytes = |value: f32| {
                if half { f16::from_f32(value).to_le_bytes().to_vec() } else { value.to_le_bytes().to_vec() }
            };
            Ok(values(name).into_iter().flat_map(bytes).collect::<Vec<u8>>())
        })
        .unwrap();
        let file = WeightFile::open(&path, StateKind::Auto).unwrap();
        prop_assert_eq!(file.tensors().len(), tensors.len());
        prop_assert_eq!(&file.metadata()["note"], &note);
        for (name, (shape, half, _)) in &tensors {
            let read_back = |value: f32| if *half { f16::from_f32(value).to_f32() } else { value };
            let expected: Vec<f32> = values(name).into_iter().map(read_back).collect();
            prop_assert_eq!(&file.get(name).unwrap().shape, shape);
            prop_assert_eq!(file.read_f32(name).unwrap(), expected);
        }
        Ok(())
    });
    checked.unwrap();
}
