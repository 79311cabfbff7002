//! Kept codes stay, an image does not depend on its batch, and all devices draw the same codes.

use super::*;
use crate::Loader;
use burn::tensor::Device;
use proptest::prelude::*;
use residua_core::codes::CodeStack;
use residua_core::config::{Config, ModelConfig, Precision};
use residua_core::random::code_uniform;
use residua_core::sampling::filter::distribution;
use residua_core::sampling::{Images, Rounds};
use residua_kernels::device::{DeviceChoice, open};
use residua_kernels::values;
use serde_json::json;

const CELLS: usize = 12;
const SIZES: [u32; 3] = [40, 30, 50];

/// A model with random weights and codebooks of three sizes.
fn model(kind: &str, device: &Device) -> RqTransformer {
    let stack = json!({"n_layer": 2, "block": {"n_head": 4}});
    let document = json!({
        "dataset": {"vocab_size": SIZES},
        "arch": {
            "type": kind, "block_size": [4, 3, 3], "embed_dim": 32, "vocab_size_cond": 3,
            "body": stack, "head": stack,
        },
    });
    let ModelConfig::RqTransformer(config) = Config::from_document("test", document).unwrap().model else {
        panic!("expected a transformer")
    };
    RqTransformer::load(&mut Loader::random(3, device, Precision::Stored), &config, None).unwrap()
}

fn contextual(device: &Device) -> RqTransformer {
    model("contextual-rq-transformer", device)
}

fn request(images: impl Into<Images>, forced: Option<Forced>) -> Request {
    let filters =
        vec![Filter::NONE, Filter { top_k: 20, ..Filter::NONE }, Filter { top_p: 0.9, ..Filter::NONE }];
    Request { condition: vec![1], filters, seed: 5, images: images.into(), forced }
}

fn schedule(draft: u32, rounds: u32, parts: u32) -> Schedule {
    let filters = vec![Filter { temperature: 0.8, ..Filter::NONE }; 3];
    Schedule { draft, revise: Rounds { rounds, parts }, filters }
}

fn made(model: &RqTransformer, request: Request, schedule: Schedule) -> Vec<CodeStack> {
    let mut session = DraftAndRevise::new(model, request, schedule).unwrap();
    session.finish();
    assert!(session.known().iter().all(|&known| known));
    pollster::block_on(session.stacks()).unwrap()
}

#[test]
fn kept_codes_never_change() {
    let model = contextual(&Device::flex());
    let code = |place: usize| 0..SIZES[place % 3];
    let codes: Vec<_> = (0..CELLS * 3).map(code).collect();
    let keep = prop_oneof![
        prop::collection::vec(any::<bool>(), CELLS * 3),
        prop::collection::vec(any::<bool>(), CELLS)
            .prop_map(|cells| cells.into_iter().flat_map(|kept| [kept; 3]).collect::<Vec<_>>()),
        Just(vec![true; CELLS * 3]),
    ];
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let strategy = (codes, keep, 0u32..20, 0u32..3, 1u32..20);
    let checked = runner.run(&strategy, |(codes, keep, draft, rounds, parts)| {
        let rounds = if draft == 0 { rounds.max(1) } else { rounds };
        let stack = CodeStack::new(4, 3, 3, codes.clone()).unwrap();
        let forced = Some(Forced { stack, keep: keep.clone() });
        for stack in made(&model, request(0..2, forced), schedule(draft, rounds, parts)) {
            for (place, &code) in stack.codes().iter().enumerate() {
                prop_assert!(code < SIZES[place % 3]);
                prop_assert!(!keep[place] || code == codes[place], "{}", place);
            }
        }
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn an_image_does_not_depend_on_its_batch() {
    let model = contextual(&Device::flex());
    let all = made(&model, request(0..5, None), schedule(5, 2, 3));
    for images in [0..1, 1..3, 2..5] {
        let range = images.start as usize..images.end as usize;
        assert_eq!(made(&model, request(images, None), schedule(5, 2, 3)), all[range]);
    }
    let odd = Images { first: 1, step: 2, count: 2 };
    assert_eq!(made(&model, request(odd, None), schedule(5, 2, 3)), [all[1].clone(), all[3].clone()]);
    assert_ne!(all[0], all[1]);
}

/// The first parts of a draft are shown before the rest is known.
#[test]
fn a_draft_is_filled_part_by_part() {
    let model = contextual(&Device::flex());
    let mut session = DraftAndRevise::new(&model, request(0..2, None), schedule(6, 1, 2)).unwrap();
    let known = |session: &DraftAndRevise| session.known().iter().filter(|&&known| known).count();
    let counts: Vec<usize> = (0..session.total())
        .map(|_| {
            session.step();
            known(&session)
        })
        .collect();
    assert_eq!(counts, [4, 8, 12, 16, 20, 24, 24, 24]);
}

#[test]
fn unsupported_requests_are_refused() {
    let device = Device::flex();
    let refused = |kind: &str, schedule: Schedule| {
        let model = model(kind, &device);
        let found = DraftAndRevise::new(&model, request(0..1, None), schedule);
        found.err().unwrap().to_string()
    };
    assert!(
        refused("rq-transformer", schedule(4, 1, 2))
            .contains("contextual-rq-transformer, found rq-transformer")
    );
    assert!(refused("contextual-rq-transformer", schedule(0, 1, 2)).contains("expected codes to revise"));
}

/// Distance of a draw's random number to the nearest boundary between two codes, on the CPU.
fn margin(
    session: &DraftAndRevise,
    step: &Step,
    image: usize,
    rank: usize,
    depth: usize,
    codes: &[u32],
) -> f32 {
    let orders = session.orders(step.pass);
    let row = image * CELLS + orders[image][rank];
    let device = session.model.device();
    let masked = Masked::new(session.hidden(step, &orders), &[row], CELLS, device);
    let mut cells =
        session.model.begin_masked(session.codes.clone(), session.phase(step).condition.clone(), &masked);
    let above: Vec<i32> = codes[row * 3..][..3].iter().map(|&code| code as i32).collect();
    let above = Tensor::from_data(TensorData::new(above, [1, 3]), device);
    let mut logits = session.model.cell_logits(&mut cells, None, 0);
    for d in 1..=depth {
        logits = session.model.cell_logits(&mut cells, Some(above.clone()), d);
    }
    let kept = distribution(&values(logits), &session.phase(step).filters[depth]).unwrap();
    let place = ((step.pass as usize * CELLS + rank) * 3 + depth) as u32;
    let uniform = code_uniform(session.request.seed, image as u32, place);
    let mut sum = 0.0;
    let bounds = kept.iter().map(|p| {
        sum += p;
        (sum - uniform).abs()
    });
    bounds.fold(1.0, f32::min)
}

/// Runs both devices side by side. Where a random number is at the boundary between two codes, they may
/// differ; such ties are counted, and the GPU continues from the CPU's codes.
#[test]
fn a_seed_gives_the_same_codes_on_a_gpu() {
    let (host, gpu) = (Device::flex(), open(DeviceChoice::Gpu).unwrap());
    let models = [&host, &gpu].map(contextual);
    let [mut expected, mut found] = [&models[0], &models[1]]
        .map(|model| DraftAndRevise::new(model, request(0..3, None), schedule(5, 2, 3)).unwrap());
    let codes = |session: &DraftAndRevise| {
        let stacks = pollster::block_on(session.stacks()).unwrap();
        stacks.into_iter().flat_map(|stack| stack.codes().to_vec()).collect::<Vec<u32>>()
    };
    let (mut draws, mut ties) = (0, 0);
    for step in expected.steps.clone() {
        let before = expected.codes.clone();
        expected.step();
        found.step();
        let (right, other) = (codes(&expected), codes(&found));
        expected.codes = before;
        let orders = expected.orders(step.pass);
        for (image, rank) in (0..3).flat_map(|image| step.ranks.clone().map(move |rank| (image, rank))) {
            draws += 3;
            let row = image * CELLS + orders[image][rank];
            let first = (0..3).find(|d| right[row * 3 + d] != other[row * 3 + d]);
            if let Some(depth) = first {
                let margin = margin(&expected, &step, image, rank, depth, &right);
                assert!(margin < 1e-4, "image {image}, cell {row}, depth {depth}: {margin} off a tie");
                ties += 1;
            }
        }
        let right: Vec<i32> = right.into_iter().map(|code| code as i32).collect();
        let again = |device| Tensor::from_data(TensorData::new(right.clone(), [3 * CELLS, 3]), device);
        (expected.codes, found.codes) = (again(&host), again(&gpu));
    }
    println!("{draws} draws, {ties} ties");
    assert_eq!(draws, 3 * 3 * CELLS * 3);
    assert!(ties * 100 < draws, "{ties} of {draws}");
}
