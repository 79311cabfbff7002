//! Whether a transformer and an RQ-VAE belong together.

use half::f16;
use sha2::{Digest, Sha256};

use crate::Checkpoint;
use residua_core::error::Result;
use residua_weights::file::hexadecimal;

impl Checkpoint {
    /// Whether this transformer learned from the codes of `stage1`, as far as its configuration says: that of
    /// a run has the hash of its RQ-VAE's file, that of a converted model the hash of the tensors.
    ///
    /// # Errors
    /// This is not a transformer, or `stage1` cannot be read.
    pub fn learned_from(&self, stage1: &Self) -> Result<bool> {
        let Some(learned) = &self.rqtransformer()?.stage1_sha256 else { return Ok(true) };
        Ok(stage1.weights.sha256()? == learned || stage1.content()? == *learned)
    }

    /// SHA-256 of the tensors that the model reads, which stays the same when the model is converted:
    /// therefore of their values in half precision.
    ///
    /// # Errors
    /// A tensor is missing or cannot be read.
    pub(super) fn content(&self) -> Result<String> {
        let mut hash = Sha256::new();
        for parameter in self.parameters()? {
            let values = self.weights.read_f16(&parameter.name)?;
            hash.update(format!("{} {};", parameter.name, values.len()));
            hash.update(bytemuck::cast_slice::<f16, u8>(&values));
        }
        Ok(hexadecimal(&hash.finalize()))
    }
}
