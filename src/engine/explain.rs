//! Explains codes: the transformer's distribution at each position of a stack, given the codes before it.

pub use super::explanation::{Explanation, Suggestion};
use super::pictures::{codes_to_tensor, read};
use crate::codes::CodeStack;
use crate::error::{Error, Result};
use crate::generate::sampling::{Filter, distribution};
use crate::model::{Architecture, RqTransformer};
use burn::tensor::{Tensor, TensorData};

/// Explains the code of `stack` at (`row`, `col`, `depth`), with the `count` most likely codes there.
///
/// # Errors
/// The stack does not fit the model, or has no such position.
pub async fn explain(
    model: &RqTransformer,
    stack: &CodeStack,
    condition: &[u32],
    [row, col, depth]: [usize; 3],
    count: usize,
) -> Result<Explanation> {
    let logits = logits(model, stack, condition)?;
    let chosen = stack.at(row, col, depth)?;
    let (place, classes) = ((row * stack.w() + col) * stack.depth() + depth, logits.dims()[2]);
    let logits = read(logits.slice([0..1, place..place + 1, 0..classes])).await?;
    explanation(&logits, chosen, count)
}

/// The entropy in bits at each position of `stack`, and the code there with its probability; row-major in
/// (row, column, depth).
///
/// # Errors
/// The stack does not fit the model.
pub async fn surprise(
    model: &RqTransformer,
    stack: &CodeStack,
    condition: &[u32],
) -> Result<Vec<(f32, Suggestion)>> {
    let logits = logits(model, stack, condition)?;
    let classes = logits.dims()[2];
    let logits = read(logits).await?;
    let places = logits.chunks(classes).zip(stack.codes());
    places
        .map(|(logits, &code)| {
            let probabilities = probabilities(logits)?;
            Ok((entropy(&probabilities), Suggestion { code, probability: probabilities[code as usize] }))
        })
        .collect()
}

/// The teacher-forced logits `[1, h w D, V]` of `stack`.
fn logits(model: &RqTransformer, stack: &CodeStack, condition: &[u32]) -> Result<Tensor<3>> {
    let config = &model.config;
    config.kind.must_be(
        Architecture::Autoregressive,
        "explaining codes by those before them",
        "choose an autoregressive model",
    )?;
    if stack.shape() != config.block_size {
        let found = stack.shape();
        return Err(Error::invalid(format!(
            "expected codes of shape {:?}, found {found:?}",
            config.block_size
        )));
    }
    stack.validate(&config.codebook_sizes()?)?;
    let tokens: Vec<i32> = condition.iter().map(|&token| token as i32).collect();
    let condition = Tensor::from_data(TensorData::new(tokens, [1, condition.len()]), model.device());
    let codes = codes_to_tensor(std::slice::from_ref(stack), model.device());
    Ok(model.logits(codes, condition).codes)
}

/// The model's distribution, unfiltered.
fn probabilities(logits: &[f32]) -> Result<Vec<f32>> {
    distribution(logits, &Filter::NONE).ok_or_else(|| {
        Error::invalid("the model gave logits that are not finite; its weights may be damaged")
    })
}

/// Entropy in bits.
fn entropy(probabilities: &[f32]) -> f32 {
    probabilities.iter().map(|p| if *p > 0.0 { -p * p.log2() } else { 0.0 }).sum()
}

/// Explains the code `chosen` from `logits`.
fn explanation(logits: &[f32], chosen: u32, count: usize) -> Result<Explanation> {
    let probabilities = probabilities(logits)?;
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
    let suggestion = |code: usize| Suggestion { code: code as u32, probability: probabilities[code] };
    Ok(Explanation {
        suggestions: order.iter().take(count).map(|&code| suggestion(code)).collect(),
        entropy: entropy(&probabilities),
        chosen: suggestion(chosen as usize),
        rank: order.iter().position(|&code| code == chosen as usize).expect("the stack was validated"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entropy_and_rank_of_a_known_distribution() {
        let logits = [0.0, 2f32.ln(), f32::NEG_INFINITY, 0.0];
        let found = explanation(&logits, 3, 2).expect("finite");
        assert!((found.entropy - 1.5).abs() < 1e-6, "{}", found.entropy);
        assert_eq!(found.suggestions.iter().map(|s| s.code).collect::<Vec<_>>(), [1, 0]);
        assert!((found.chosen.probability - 0.25).abs() < 1e-6);
        assert_eq!(found.rank, 2);
    }
}
