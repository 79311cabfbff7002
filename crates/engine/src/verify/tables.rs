//! The cases without a model: sampling filters and tokenizers.

use std::path::Path;

use serde::Deserialize;
use std::collections::BTreeMap;

use super::golden::Golden;
use super::{Case, Comparison};
use residua_core::error::{Error, Result};
use residua_core::files::read_limited;
use residua_core::sampling::filter::{Filter, distribution};
use residua_io::tokenizer::{Tokenizer, TokenizerKind};

/// Largest difference allowed between probabilities.
const PROBABILITY: f64 = 2e-6;
/// Size limit of a golden file of tokenizers, in bytes.
const LARGEST: u64 = 64 << 20;

/// Compares the distributions `probs_t{T}_k{K}_p{P}` of `logits`. Which of several equal logits top-p keeps
/// is arbitrary in the published sampler (its sort is not stable), so the probabilities of equal logits are
/// compared as a set.
pub fn sampling_filter(folder: &Path, golden: &Golden) -> Result<Case> {
    let shape: [usize; 2] = golden.shape("logits")?;
    let classes = shape[1];
    let logits = golden.values("logits")?;
    let mut comparisons = Vec::new();
    for name in golden.names().filter(|name| name.starts_with("probs_")) {
        let filter = filter_of(name)?;
        golden.check(name, shape)?;
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        for (row, golden) in logits.chunks(classes).zip(golden.values(name)?.chunks(classes)) {
            let ours = distribution(row, &filter).unwrap_or_else(|| vec![f32::NAN; classes]);
            found.extend(by_logit(row, &ours));
            expected.extend(by_logit(row, golden));
        }
        comparisons.push(Comparison::of_values(name, &found, &expected, PROBABILITY));
    }
    Ok(Case { folder: folder.to_path_buf(), comparisons })
}

/// `probabilities` in the order of their logits, equal logits in the order of probability.
fn by_logit(logits: &[f32], probabilities: &[f32]) -> Vec<f32> {
    let mut pairs: Vec<(f32, f32)> = logits.iter().copied().zip(probabilities.iter().copied()).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    pairs.into_iter().map(|(_, probability)| probability).collect()
}

fn filter_of(name: &str) -> Result<Filter> {
    let number = |letter: char| {
        let part = name.split('_').find_map(|part| part.strip_prefix(letter)?.parse::<f32>().ok());
        part.ok_or_else(|| Error::invalid(format!("expected a name like probs_t0.7_k10_p0.92, found {name}")))
    };
    Ok(Filter {
        temperature: number('t')?,
        top_k: number('k')? as usize,
        top_p: number('p')?,
        ..Filter::NONE
    })
}

#[derive(Deserialize)]
struct Captions {
    captions: Vec<String>,
    tokenizers: BTreeMap<String, Ids>,
}

#[derive(Deserialize)]
struct Ids {
    #[serde(default)]
    context_length: Option<usize>,
    ids: Vec<Vec<u32>>,
}

/// Compares the ids of captions, and counts captions that differ.
pub fn tokenizers(folder: &Path) -> Result<Case> {
    let path = folder.join("golden.json");
    let golden: Captions = serde_json::from_slice(&read_limited(&path, LARGEST)?)
        .map_err(|e| Error::invalid(format!("{}: not a golden file of tokenizers: {e}", path.display())))?;
    if golden.captions.is_empty() {
        return Err(Error::invalid(format!("{}: expected captions, found none", path.display())));
    }
    let mut comparisons = Vec::new();
    for (name, Ids { context_length, ids }) in &golden.tokenizers {
        let kind: TokenizerKind = name.parse()?;
        let tokenizer = Tokenizer::new(kind, &[])?;
        let found = golden.captions.iter().map(|caption| match (kind, context_length) {
            // The published code adds start and end tokens to these later; the golden ids are without.
            (TokenizerKind::Simple, _) | (_, None) => tokenizer.ids(caption),
            (_, Some(length)) => tokenizer.encode(caption, *length),
        });
        let wrong = found.zip(ids).filter(|(found, expected)| found != *expected).count();
        let missing = golden.captions.len().abs_diff(ids.len());
        comparisons.push(Comparison::of_codes(name, wrong + missing, 0));
    }
    Ok(Case { folder: folder.to_path_buf(), comparisons })
}
