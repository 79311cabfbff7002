//! Which model a checkpoint is, and whether a transformer and an RQ-VAE belong together.

use half::f16;
use sha2::{Digest, Sha256};

use crate::Checkpoint;
use residua_core::error::Result;
use residua_core::task::check_interrupted;
use residua_weights::file::hexadecimal;

impl Checkpoint {
    /// Whether this transformer learned from the codes of `stage1`, as far as its configuration says.
    ///
    /// # Errors
    /// This is not a transformer, or `stage1` cannot be read.
    pub fn learned_from(&self, stage1: &Self) -> Result<bool> {
        self.rqtransformer()?.stage1_sha256.as_ref().map_or(Ok(true), |learned| stage1.is(learned))
    }

    /// Whether `hash` is this model's: that of its tensors, or that of its file, which earlier versions
    /// recorded.
    ///
    /// # Errors
    /// A tensor is missing, or the file cannot be read.
    pub fn is(&self, hash: &str) -> Result<bool> {
        Ok(self.content()? == hash || self.weights.sha256()? == hash)
    }

    /// SHA-256 of the tensors that the model reads, in half precision, so that it stays the same when the model
    /// is converted. The tensors are read only for the first call.
    ///
    /// # Errors
    /// A tensor is missing or cannot be read; the process was interrupted.
    pub fn content(&self) -> Result<&str> {
        self.content_unless(check_interrupted)
    }

    /// Like [`Self::content`], but ends with the error that `watch` returns; it is called before each tensor.
    ///
    /// # Errors
    /// Those of [`Self::content`], or the error from `watch`.
    pub fn content_unless(&self, mut watch: impl FnMut() -> Result<()>) -> Result<&str> {
        if let Some(known) = self.content.get() {
            return Ok(known);
        }
        let mut hash = Sha256::new();
        for parameter in self.parameters()? {
            watch()?;
            let values = self.weights.read_f16(&parameter.name)?;
            hash.update(format!("{} {};", parameter.name, values.len()));
            hash.update(bytemuck::cast_slice::<f16, u8>(&values));
        }
        Ok(self.content.get_or_init(|| hexadecimal(&hash.finalize())))
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Stage;
    use crate::checkpoint::convert::convert;
    use residua_core::config::StateKind;
    use residua_core::files::bytes::ByteSource;
    use residua_io::assets::bundled::BUNDLED;
    use residua_weights::Dtype;

    fn open(name: &str, kind: StateKind) -> Checkpoint {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("tests/fixtures").join(name);
        Checkpoint::open(&path.display().to_string(), None, kind).unwrap()
    }

    #[test]
    fn a_model_is_known_by_its_tensors_whatever_its_file() {
        let published = open("rqvae-shared", StateKind::Auto);
        let hash = published.content().unwrap();
        let file = published.weights.sha256().unwrap();
        assert!(published.is(hash).unwrap() && published.is(file).unwrap() && !published.is("0").unwrap());
        for dtype in [Dtype::F32, Dtype::F16] {
            let mut bytes = Vec::new();
            convert(&published, &mut bytes, Path::new("one.safetensors"), dtype, |_| Ok(())).unwrap();
            let source = ByteSource::Memory(bytes.into());
            let converted = Checkpoint::from_source("one.safetensors", source, StateKind::Auto).unwrap();
            assert!(converted.is(hash).unwrap() && !converted.is(file).unwrap(), "{dtype:?}");
        }
    }

    #[test]
    fn bundled_transformers_know_their_rqvae() {
        let open_bundled = |name, stage| Checkpoint::open(name, Some(stage), StateKind::Auto).unwrap();
        let other = open("rqvae-shared", StateKind::Auto);
        for transformer in BUNDLED.iter().map(|model| open_bundled(model.name, Stage::RqTransformer)) {
            let learned_from = |rqvae: &Checkpoint| transformer.learned_from(rqvae).unwrap();
            for rqvae in BUNDLED.iter().map(|model| open_bundled(model.name, Stage::RqVae)) {
                assert!(learned_from(&rqvae), "{} from {}", transformer.name, rqvae.name);
            }
            assert!(!learned_from(&other), "{}", transformer.name);
        }
    }

    /// One file may hold two models.
    #[test]
    fn a_moving_average_is_another_model() {
        let [trained, average] = [StateKind::State, StateKind::Ema].map(|kind| open("rqt-class", kind));
        assert!(!average.is(trained.content().unwrap()).unwrap());
        assert_eq!(average.weights.sha256().unwrap(), trained.weights.sha256().unwrap());
    }
}
