//! Tensors on their way to a file.

use sha2::{Digest, Sha256};

use crate::optimizer::Descent;
use crate::parameters::Parameters;

/// Tensors to write to one file: name, shape and values.
pub type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

/// SHA-256 of the names and values of `tensors`.
pub fn hash(tensors: &Tensors) -> Vec<u8> {
    let mut hash = Sha256::new();
    for (name, _, values) in tensors {
        hash.update(name);
        hash.update(bytemuck::cast_slice::<f32, u8>(values));
    }
    hash.finalize().to_vec()
}

/// All of `parameters`, with `prefix` before each name.
pub fn tensors(parameters: &Parameters, prefix: &str) -> Tensors {
    let mut values = parameters.read_back();
    let described = |(name, shape): (&String, &Vec<usize>)| {
        (format!("{prefix}{name}"), shape.clone(), values.remove(name).unwrap_or_default())
    };
    parameters.shapes().iter().map(described).collect()
}

/// The moments in `descent`, with `prefix` before each name.
pub fn moments(descent: &Descent, prefix: &str) -> Tensors {
    let mut all = tensors(&descent.means, &format!("{prefix}means."));
    all.extend(tensors(&descent.squares, &format!("{prefix}squares.")));
    all
}
