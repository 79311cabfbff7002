//! What training programs wrap around a model's weights: nested dictionaries, and prefixes of names.

use super::pickle::{Pickle, Value};
use super::pt::named_tensors;
use super::tensor::TensorInfo;

/// Keys under which wrappers keep a state dict, possibly nested, most likely first.
const NESTS: [&str; 8] =
    ["state_dict", "model_state_dict", "model", "module", "generator", "net", "params", "weights"];
/// The same for its moving average.
pub(super) const NESTS_OF_AVERAGE: [&str; 3] = ["state_dict_ema", "model_ema", "ema_state_dict"];
/// How many levels of nesting are searched.
const MOST_NESTS: usize = 4;

/// Prefixes that wrappers add to every name: `DataParallel`, Lightning modules, `torch.compile`, flattened
/// dictionaries.
const WRAPPERS: [&str; 4] = ["module.", "model.", "_orig_mod.", "state_dict."];

/// What Lightning modules have beside the model: parts of a loss, and averages.
const BESIDE: [&str; 7] =
    ["loss.", "losses.", "criterion.", "discriminator.", "perceptual_loss.", "lpips.", "model_ema."];

/// Removes the prefixes that wrappers added to every name of the model.
pub(super) fn unwrap_names(tensors: &mut [TensorInfo]) {
    let is_beside = |tensor: &TensorInfo| BESIDE.iter().any(|part| tensor.name.starts_with(part));
    let mut inner: Vec<&mut TensorInfo> = tensors.iter_mut().filter(|tensor| !is_beside(tensor)).collect();
    let common = |inner: &[&mut TensorInfo], len: usize| {
        let is_common = |wrapper: &&str| inner.iter().all(|tensor| tensor.name[len..].starts_with(wrapper));
        WRAPPERS.into_iter().find(is_common).filter(|_| !inner.is_empty())
    };
    let mut len = 0;
    while let Some(wrapper) = common(&inner, len) {
        len += wrapper.len();
    }
    for tensor in &mut inner {
        tensor.name.drain(..len);
    }
}

/// The state dict in `value`: the innermost dictionary with tensors, going by the keys that wrappers use.
pub(super) fn state_dict<'p, 'a>(pickle: &'p Pickle<'a>, value: &'p Value<'a>) -> Option<&'p Value<'a>> {
    let has_tensors = |value: &&'p Value<'a>| named_tensors(pickle, value).next().is_some();
    let next = |value: &&'p Value<'a>| {
        let mut found = below(pickle, value, &NESTS).peekable();
        let first = found.peek().copied();
        found.find(has_tensors).or(first)
    };
    std::iter::successors(Some(value), next).take(MOST_NESTS + 1).filter(has_tensors).last()
}

/// The dictionaries in `value` under one of `keys`, in the order of `keys`.
pub(super) fn below<'p, 'a>(
    pickle: &'p Pickle<'a>,
    value: &'p Value<'a>,
    keys: &'static [&'static str],
) -> impl Iterator<Item = &'p Value<'a>> {
    let found = keys.iter().filter_map(|key| pickle.lookup(value, key));
    found.filter(|found| matches!(found, Value::Dict(_)))
}
