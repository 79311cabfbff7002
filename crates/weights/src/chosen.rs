//! Which tensors of a pickle are the requested weights.

use std::collections::{HashMap, HashSet};

use super::available::Available;
use super::pickle::{Id, Pickle, Tensor, Value};
use super::wrappers::{NESTS_OF_AVERAGE, below, state_dict};
use residua_core::config::StateKind;
use residua_core::error::{Error, Result};

/// Limit on the total bytes of tensor names found at any depth: nested modules and dictionaries make long ones.
const LONGEST_NAMES: usize = 16 << 20;

/// Tensors by name, which of a checkpoint's weights they are, and which it has.
pub(super) struct Chosen<'p, 'a> {
    pub named: Vec<(String, &'p Tensor<'a>)>,
    pub kind: StateKind,
    pub available: Available,
}

/// The requested weights of `pickle`: a state dict, or else all tensors of a program or of nested dictionaries.
///
/// # Errors
/// [`Error::Invalid`] if it has no weights; [`Error::Usage`] if it does not have the requested ones.
pub(super) fn choose<'p, 'a>(pickle: &'p Pickle<'a>, wanted: StateKind) -> Result<Chosen<'p, 'a>> {
    match pickle.root() {
        Value::Module(attributes) => nested(below_all(pickle, pickle.value(*attributes), submodule)?, wanted),
        root => match state_among(pickle, wanted)? {
            Some((state, kind, available)) => {
                let named = named_tensors(pickle, state).map(|(name, tensor)| (name.to_owned(), tensor));
                Ok(Chosen { named: named.collect(), kind, available })
            }
            None => nested(below_all(pickle, root, dictionary)?, wanted),
        },
    }
}

/// The tensors `found` somewhere below a program or a dictionary that has no state dict.
fn nested<'p, 'a>(found: Vec<(String, &'p Tensor<'a>)>, wanted: StateKind) -> Result<Chosen<'p, 'a>> {
    if found.is_empty() {
        return Err(Error::invalid(
            "expected weights, found none: save with torch.save({'state_dict': model.state_dict()}, path)",
        ));
    }
    if wanted == StateKind::Discriminator {
        return Err(no_discriminator());
    }
    let available = Available { state: true, ema: false };
    Ok(Chosen { named: found, kind: available.choose(wanted)?, available })
}

fn no_discriminator() -> Error {
    Error::usage("no discriminator in this file")
}

/// The requested state dict of the pickle, or of the first part of a list or tuple that has one: some programs save
/// the weights with other things, without naming them.
fn state_among<'p, 'a>(
    pickle: &'p Pickle<'a>,
    wanted: StateKind,
) -> Result<Option<(&'p Value<'a>, StateKind, Available)>> {
    match pickle.root() {
        Value::Tuple(parts) | Value::List(parts) => {
            let chosen = parts.iter().map(|&part| state_of(pickle, pickle.value(part), wanted));
            chosen.filter_map(Result::transpose).next().transpose()
        }
        root => state_of(pickle, root, wanted),
    }
}

/// The requested state dict: below keys that wrappers use, or all of `root`. `None` if there is no state dict.
fn state_of<'p, 'a>(
    pickle: &'p Pickle<'a>,
    root: &'p Value<'a>,
    wanted: StateKind,
) -> Result<Option<(&'p Value<'a>, StateKind, Available)>> {
    let ema = below(pickle, root, &NESTS_OF_AVERAGE).find_map(|dict| state_dict(pickle, dict));
    let state = match state_dict(pickle, root) {
        // A tensor beside the average, such as a step count, does not make the root a state dict.
        Some(bare) if ema.is_some() && std::ptr::eq(bare, root) => None,
        state => state,
    };
    let available = Available { state: state.is_some(), ema: ema.is_some() };
    if state.or(ema).is_none() {
        return Ok(None);
    }
    let kind = available.choose(wanted)?;
    let chosen = match kind {
        StateKind::Ema => ema,
        StateKind::Discriminator => {
            let discriminator = pickle.lookup(root, "discriminator");
            let discriminator = discriminator.filter(|state| matches!(state, Value::Dict(_)));
            return Ok(Some((discriminator.ok_or_else(no_discriminator)?, kind, available)));
        }
        StateKind::State | StateKind::Auto => state,
    };
    Ok(Some((chosen.expect("`Available::choose` picks weights that exist"), kind, available)))
}

/// The attributes of a module in a TorchScript program.
fn submodule(_: Id, value: &Value) -> Option<Id> {
    if let Value::Module(attributes) = value { Some(*attributes) } else { None }
}

/// A dictionary in another one.
fn dictionary(id: Id, value: &Value) -> Option<Id> {
    matches!(value, Value::Dict(_)).then_some(id)
}

/// The tensors in the dictionary `root` and in those that `inner` finds below it, under their keys joined by
/// dots: in a TorchScript program, the names in its state dict. What several others share is listed once.
fn below_all<'p, 'a>(
    pickle: &'p Pickle<'a>,
    root: &'p Value<'a>,
    inner: fn(Id, &Value) -> Option<Id>,
) -> Result<Vec<(String, &'p Tensor<'a>)>> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    let (mut open, mut seen) = (vec![(String::new(), root)], HashSet::new());
    while let Some((path, dict)) = open.pop() {
        let Value::Dict(pairs) = dict else { continue };
        for &(key, id) in pairs {
            let (Some(key), value) = (as_text(pickle.value(key)), pickle.value(id)) else { continue };
            let next = inner(id, value).filter(|&next| seen.insert(next));
            if next.is_none() && !matches!(value, Value::Tensor(_)) {
                continue;
            }
            bytes += path.len() + key.len();
            if bytes > LONGEST_NAMES {
                return Err(Error::invalid(format!(
                    "expected tensor names of at most {LONGEST_NAMES} bytes in total, found more: the file is damaged"
                )));
            }
            if let Value::Tensor(tensor) = value {
                found.push((format!("{path}{key}"), &**tensor));
            }
            open.extend(next.map(|next| (format!("{path}{key}."), pickle.value(next))));
        }
    }
    Ok(found)
}

/// The tensors of a dictionary by name, each name once; other keys and values are ignored.
pub(super) fn named_tensors<'p, 'a>(
    pickle: &'p Pickle<'a>,
    dict: &'p Value<'a>,
) -> impl Iterator<Item = (&'a str, &'p Tensor<'a>)> {
    let pairs = if let Value::Dict(pairs) = dict { &pairs[..] } else { &[] };
    let last: HashMap<&str, usize> = pairs
        .iter()
        .enumerate()
        .filter_map(|(index, pair)| as_text(pickle.value(pair.0)).map(|name| (name, index)))
        .collect();
    pairs.iter().enumerate().filter_map(move |(index, pair)| {
        match (as_text(pickle.value(pair.0)), pickle.value(pair.1)) {
            (Some(name), Value::Tensor(tensor)) if last[name] == index => Some((name, &**tensor)),
            _ => None,
        }
    })
}

fn as_text<'a>(value: &Value<'a>) -> Option<&'a str> {
    if let Value::Str(text) = value { Some(text) } else { None }
}
