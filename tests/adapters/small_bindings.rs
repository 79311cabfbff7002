//! Images can be made even if the maximum buffer binding size is smaller than a batch's layers.

use burn::tensor::Device;
use residua_core::config::{Precision, StateKind};
use residua_core::sampling::Filter;
use residua_core::task::Task;
use residua_engine::Stage2;
use residua_engine::reconstruct::{decode, decode_partly};
use residua_engine::sample::{Sampled, sample};
use residua_kernels::device::{cpu, descriptor, largest_tensor, share};
use residua_model::generate::Request;
use residua_model::tensors::{codes_to_tensor, from_tensor};
use residua_protocol::Options;

use crate::alone;
use crate::stand_in::first;

/// The largest buffer that can be bound. For one image, a layer of the fixture's decoder takes a
/// quarter of it.
const LARGEST: u64 = 1 << 20;

/// The batch size for sampling.
const PICTURES: u32 = 5;

fn weak() -> Device {
    let (instance, adapter) = first();
    let mut wanted = descriptor(&adapter);
    wanted.required_limits.max_storage_buffer_binding_size = LARGEST;
    let (device, queue) = pollster::block_on(adapter.request_device(&wanted)).unwrap();
    share(instance, adapter, device, queue).unwrap()
}

/// The class-conditional fixture, of pictures of 32x32 pixels.
pub fn small(device: &Device) -> Stage2 {
    let options = Options {
        model: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rqt-class").into(),
        rqvae: None,
        state: StateKind::Auto,
        precision: Precision::Stored,
    };
    Stage2::load(&options, device, &mut Task::unwatched()).unwrap()
}

#[test]
fn a_batch_is_split_where_its_layers_exceed_the_binding_size() {
    alone("small_bindings::a_batch_is_split_where_its_layers_exceed_the_binding_size", "", batch);
}

fn batch() {
    let device = weak();
    assert_eq!(largest_tensor(&device), Some(LARGEST));
    let model = small(&device);
    let filter = Filter { top_k: 40, top_p: 0.95, ..Filter::NONE };
    let filters = vec![filter; model.model.config.depth()];
    let request =
        Request { condition: vec![0], filters, seed: 3, images: (0..PICTURES).into(), forced: None };
    let (mut previews, mut stacks) = (0, Vec::new());
    let keep = async |sampled| {
        match sampled {
            Sampled::Partly { codes, known } => {
                previews += decode_partly(&model.stage1.model, *codes, &known).await?.len();
            }
            Sampled::Whole(whole) => stacks.extend(whole),
        }
        Ok(())
    };
    pollster::block_on(sample(&model.model, &request, None, true, &mut Task::unwatched(), keep)).unwrap();
    assert_eq!(previews, 7 * PICTURES as usize);
    let pictures = |model: &Stage2| {
        pollster::block_on(decode(&model.stage1.model, &stacks, &mut Task::unwatched())).unwrap()
    };
    for (found, expected) in pictures(&model).iter().zip(pictures(&small(&cpu()))) {
        let apart =
            found.data().iter().zip(expected.data()).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(apart < 1e-3, "{apart}");
    }
    // Decoded in one batch, they are too large, which is an error.
    let together = model.stage1.model.decode_codes(codes_to_tensor(&stacks, &device));
    assert!(pollster::block_on(from_tensor(together)).is_err());
}
