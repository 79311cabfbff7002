//! Tunes the GPU kernels for the layers of a model.

use burn::tensor::{Device, Tensor};

use super::plan::request;
use super::{SEED, transformer};
use residua_core::config::Precision;
use residua_core::config::preset::Preset;
use residua_core::error::{Error, Result};
use residua_kernels::device::is_cpu;
use residua_kernels::plan::planned;
use residua_kernels::tune::{Timing, tune};
use residua_kernels::tuned::asked;
use residua_model::generate::{Session, Steps};
use residua_model::{Loader, RqVae};

/// Times the kernels' variants on `device`, a GPU, for the layers that sample and decode images of `preset` in each of the
/// `batches`, and uses the fastest from now on.
///
/// # Errors
/// `device` is the CPU, the preset is not valid, or the device failed.
pub fn tune_preset(
    preset: &Preset,
    batches: &[usize],
    precision: Precision,
    device: &Device,
) -> Result<Vec<Timing>> {
    if is_cpu(device) {
        return Err(Error::usage("expected a GPU to tune kernels for, found the CPU"));
    }
    // All blocks have the same layers.
    let preset = Preset { layers: preset.layers.map(|blocks| blocks.min(1)), ..*preset };
    let rqvae = RqVae::load(&mut Loader::random(SEED, device, Precision::Stored), &preset.rqvae()?)?;
    let (model, _) = transformer(&preset, &rqvae, precision, device)?;
    let [h, w, depth] = preset.code_shape;
    let work = || {
        for &batch in batches {
            let mut session = Session::new(&model, request(&model, batch))?;
            session.step();
        }
        drop(rqvae.decode_codes(Tensor::zeros([1, h, w, depth], device)));
        Ok::<_, Error>(())
    };
    let ((done, _), asked) = asked(|| planned(work));
    done?;
    tune(&asked, device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_kernels::device::{DeviceChoice, cpu, open};

    #[test]
    fn one_variant_of_each_layer_is_chosen() {
        let (preset, device) = (Preset::find("tiny").unwrap(), open(DeviceChoice::Gpu).unwrap());
        let timings = tune_preset(preset, &[1], Precision::F16, &device).unwrap();
        assert!(timings.iter().all(|timing| timing.microseconds.is_some()), "{timings:?}");
        let layers: Vec<&[Timing]> = timings.chunk_by(|a, b| a.layer == b.layer).collect();
        for variants in &layers {
            assert_eq!(variants.iter().filter(|timing| timing.chosen).count(), 1, "{variants:?}");
        }
        // Four layers of a block, the classifier and the projection of codes; and some convolutions.
        assert!(layers.len() > 6, "{timings:?}");
    }

    #[test]
    fn the_cpu_has_no_kernels_to_tune() {
        let preset = Preset::find("tiny").unwrap();
        let refused = tune_preset(preset, &[1], Precision::F16, &cpu());
        assert!(refused.unwrap_err().to_string().contains("found the CPU"));
    }
}
