//! What training programs wrap around a model's weights: nested dictionaries, and prefixes of names.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::chosen::named_tensors;
use super::pickle::{Pickle, Value};
use super::tensor::TensorInfo;

/// Keys under which wrappers keep a state dict, possibly nested, most likely first.
const NESTS: [&str; 8] =
    ["state_dict", "model_state_dict", "model", "module", "generator", "net", "params", "weights"];
/// The same for its moving average.
pub(super) const NESTS_OF_AVERAGE: [&str; 3] = ["state_dict_ema", "model_ema", "ema_state_dict"];
/// How many levels of nesting are searched.
const MOST_NESTS: usize = 4;

/// Prefixes that wrappers add to every name: `DataParallel`, Lightning modules, flattened dictionaries.
const WRAPPERS: [&str; 3] = ["module.", "model.", "state_dict."];

/// Parts that wrappers of single layers add within names: `torch.compile`, FSDP and activation checkpointing.
const WITHIN: [&str; 3] = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/// What Lightning modules have beside the model: parts of a loss, and averages.
const BESIDE: [&str; 7] =
    ["loss.", "losses.", "criterion.", "discriminator.", "perceptual_loss.", "lpips.", "model_ema."];

/// Removes what wrappers added: to the names of single layers, and as a prefix to every name of the model.
pub(super) fn unwrap_names(tensors: &mut [TensorInfo]) {
    for TensorInfo { name, .. } in tensors.iter_mut() {
        if name.split('.').any(|part| WITHIN.contains(&part)) {
            let kept: Vec<&str> = name.split('.').filter(|part| !WITHIN.contains(part)).collect();
            *name = kept.join(".");
        }
    }
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

/// Removes the prefix under which `tensors` has the most of the names that a model reads, `wanted`, whatever
/// the program that added it called the model. Of several, one that does not look like an average wins, then the
/// shortest.
pub(super) fn unwrap_wanted(tensors: &mut Vec<TensorInfo>, wanted: &HashSet<&str>) {
    // Longer endings need no look-up, so that a hostile name of only dots costs no more than its length.
    let longest = wanted.iter().map(|name| name.len()).max().unwrap_or(0);
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for TensorInfo { name, .. } in tensors.iter() {
        let starts = std::iter::once(0).chain(name.match_indices('.').map(|(dot, _)| dot + 1));
        for at in starts.filter(|&at| name.len() - at <= longest && wanted.contains(&name[at..])) {
            *counts.entry(&name[..at]).or_default() += 1;
        }
    }
    let best = counts.into_iter().max_by_key(|&(prefix, count)| {
        (count, !prefix.contains("ema"), Reverse(prefix.len()), Reverse(prefix))
    });
    let Some(prefix) = best.map(|(prefix, _)| prefix.to_owned()).filter(|prefix| !prefix.is_empty()) else {
        return;
    };
    // Without the prefix, a wanted name is that of another part.
    tensors.retain(|tensor| tensor.name.starts_with(&prefix) || !wanted.contains(&*tensor.name));
    for tensor in tensors {
        if let Some(name) = tensor.name.strip_prefix(&prefix) {
            tensor.name = name.to_owned();
        }
    }
}

/// The name in the model of the tensor `name`, if a flattened file has it in its moving average.
pub(super) fn in_average(name: &str) -> Option<&str> {
    NESTS_OF_AVERAGE.iter().find_map(|nest| name.strip_prefix(nest)?.strip_prefix('.'))
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

#[cfg(test)]
mod tests {
    use super::super::tensor::Dtype;
    use super::*;

    fn names_of(names: &[&str], wanted: &[&str]) -> Vec<String> {
        let tensor = |name: &&str| TensorInfo {
            name: name.to_string(),
            dtype: Dtype::F32,
            shape: vec![1],
            start: 0,
            strides: None,
        };
        let mut tensors: Vec<TensorInfo> = names.iter().map(tensor).collect();
        unwrap_wanted(&mut tensors, &wanted.iter().copied().collect());
        tensors.into_iter().map(|tensor| tensor.name).collect()
    }

    #[test]
    fn the_prefix_is_found_by_the_names_that_the_model_reads() {
        let wanted = ["a.w", "a.b", "w"];
        for prefix in ["net.", "generator.", "rqvae.", "vae.", "a.very.deep.", "model.module."] {
            let names = ["a.w", "a.b", "w"].map(|name| format!("{prefix}{name}"));
            let names: Vec<&str> = names.iter().map(String::as_str).chain(["lr_weights"]).collect();
            assert_eq!(names_of(&names, &wanted), ["a.w", "a.b", "w", "lr_weights"], "{prefix}");
        }
        // Names without a prefix stay, whatever else there is.
        assert_eq!(names_of(&["a.w", "a.b", "loss.a.w"], &wanted), ["a.w", "a.b", "loss.a.w"]);
        // Another network has some of the names.
        assert_eq!(names_of(&["judge.w", "net.a.w", "net.w", "w"], &wanted), ["judge.w", "a.w", "w"]);
        // A copy with all of them.
        assert_eq!(names_of(&["net_ema.a.w", "net.a.w"], &wanted), ["net_ema.a.w", "a.w"]);
        assert_eq!(names_of(&["ema.a.w", "autoencoder.a.w"], &wanted), ["ema.a.w", "a.w"]);
        let dots = ".".repeat(1 << 20);
        assert_eq!(names_of(&["x", dots.as_str()], &wanted), ["x", dots.as_str()]);
        assert!(names_of(&[], &wanted).is_empty());
    }
}
