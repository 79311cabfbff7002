//! Under the limits of each adapter, results match the CPU's.

use burn::tensor::Device;
use residua_core::codes::CodeStack;
use residua_core::config::preset::Preset;
use residua_core::config::{Precision, StateKind};
use residua_core::sampling::{Filter, Forced};
use residua_core::task::Task;
use residua_engine::Stage2;
use residua_engine::reconstruct::{Choice, decode, encode};
use residua_engine::sample::{Sampled, sample};
use residua_io::image_io::Picture;
use residua_kernels::device::{cpu, largest_tensor};
use residua_model::Loader;
use residua_model::generate::Request;
use residua_model::{RqTransformer, RqVae};
use residua_protocol::Options;

use crate::alone;
use crate::profiles::PROFILES;
use crate::stand_in::open;

/// Two blocks are enough: every tensor has its published size.
const SHALLOW: [usize; 2] = [1, 1];

pub fn bundled(device: &Device) -> Stage2 {
    let options = Options {
        model: "characters-128-ar".into(),
        rqvae: None,
        state: StateKind::Auto,
        precision: Precision::Stored,
    };
    Stage2::load(&options, device, &mut Task::unwatched()).unwrap()
}

/// Images of the same condition, `token` in every place.
pub fn sampled(model: &RqTransformer, token: u32, images: u32, forced: Option<Forced>) -> Vec<CodeStack> {
    let condition = vec![token; model.config.block_size_cond];
    let filter = Filter { top_k: 40, top_p: 0.95, ..Filter::NONE };
    let filters = vec![filter; model.config.depth()];
    let request = Request { condition, filters, seed: 3, images: (0..images).into(), forced };
    let mut stacks = Vec::new();
    let keep = async |sampled| {
        if let Sampled::Whole(whole) = sampled {
            stacks.extend(whole);
        }
        Ok(())
    };
    pollster::block_on(sample(model, &request, None, false, &mut Task::unwatched(), keep)).unwrap();
    stacks
}

/// All codes of a stack but those of its last row.
fn above_the_last_row(stack: &CodeStack) -> Forced {
    let [height, width, depth] = stack.shape();
    let keep = (0..height * width * depth).map(|place| place < (height - 1) * width * depth).collect();
    Forced { stack: stack.clone(), keep }
}

pub fn decoded(model: &RqVae, stacks: &[CodeStack]) -> Vec<Picture> {
    pollster::block_on(decode(model, stacks, &mut Task::unwatched())).unwrap()
}

fn encoded(model: &RqVae, pictures: &[Picture]) -> Vec<CodeStack> {
    pollster::block_on(encode(model, pictures, Choice::Nearest, &mut Task::unwatched())).unwrap()
}

fn are_near(found: &[Picture], expected: &[Picture]) {
    for (found, expected) in found.iter().zip(expected) {
        let apart = found.data().iter().zip(expected.data()).map(|(a, b)| (a - b).abs());
        let apart = apart.fold(0.0, f32::max);
        assert!(apart < 1e-3, "{apart}");
    }
}

/// The number of codes that differ, and of all codes.
fn differing(found: &[CodeStack], expected: &[CodeStack]) -> (usize, usize) {
    let pairs = found.iter().zip(expected).flat_map(|(a, b)| a.codes().iter().zip(b.codes()));
    pairs.fold((0, 0), |(differ, all), (a, b)| (differ + usize::from(a != b), all + 1))
}

#[test]
fn the_bundled_model_matches_the_cpu() {
    for profile in PROFILES {
        alone("real::the_bundled_model_matches_the_cpu", profile.name, || {
            let (device, here) = (open(profile), bundled(&cpu()));
            assert!(largest_tensor(&device) <= Some(profile.limits.max_storage_buffer_binding_size));
            let there = bundled(&device);
            let expected = sampled(&here.model, 2, 1, None);
            // A code within rounding of a decision boundary would change all codes after it. That is rare, and does
            // not happen in the last row.
            let forced = above_the_last_row(&expected[0]);
            assert_eq!(sampled(&there.model, 2, 1, Some(forced)), expected);
            let pictures = decoded(&here.stage1.model, &expected);
            are_near(&decoded(&there.stage1.model, &expected), &pictures);
            let (differ, all) =
                differing(&encoded(&there.stage1.model, &pictures), &encoded(&here.stage1.model, &pictures));
            assert!(100 * differ <= all, "{differ} of {all} codes");
        });
    }
}

#[test]
#[ignore = "takes a minute; tests/run full runs it"]
fn ffhq_shapes_fit_the_limits_of_every_browser() {
    alone("real::ffhq_shapes_fit_the_limits_of_every_browser", "", || {
        let device = open(&PROFILES[0]);
        let preset = Preset { layers: SHALLOW, ..*Preset::find("ffhq-355m").unwrap() };
        let loader = || Loader::random(1, &device, Precision::Stored);
        let rqvae = RqVae::load(&mut loader(), &preset.rqvae().unwrap()).unwrap();
        let config = preset.rqtransformer().unwrap();
        let transformer =
            RqTransformer::load(&mut loader(), &config, Some(&rqvae.quantizer.codebooks)).unwrap();
        let stacks = sampled(&transformer, 0, 8, None);
        let pictures = decoded(&rqvae, &stacks[..1]);
        assert_eq!((pictures[0].width(), pictures[0].height()), (256, 256));
        assert!(pictures[0].data().iter().all(|value| value.is_finite()));
    });
}
