//! Explains codes: the transformer's distribution at each position of a stack, given the codes before it, or for a contextual
//! model, all other cells and the codes above.

use burn::tensor::{Int, Tensor, TensorData};
use residua_core::codes::CodeStack;
use residua_core::config::Architecture;
use residua_core::error::{Error, Result};
use residua_core::sampling::filter::{Filter, distribution};
use residua_core::task::Task;
use residua_model::RqTransformer;
use residua_model::rqtransformer::Masked;
use residua_model::tensors::{codes_to_tensor, read};
pub use residua_protocol::explanation::{Explanation, Suggestion};

/// Cells that a contextual model is asked for at a time, each with a copy of the stack.
const CELLS: usize = 16;

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
    let chosen = stack.at(row, col, depth)?;
    let logits = logits(model, stack, condition, &[row * stack.w() + col])?;
    let classes = logits.dims()[2];
    let logits = read(logits.slice([0..1, depth..depth + 1, 0..classes])).await?;
    explanation(&logits, chosen, count)
}

/// The entropy in bits at each position of `stack`, and the code there with its probability; row-major in
/// (row, column, depth).
/// A contextual model reads the stack once for each cell; `task` counts cells.
///
/// # Errors
/// The task was stopped; the stack does not fit the model.
pub async fn surprise(
    model: &RqTransformer,
    stack: &CodeStack,
    condition: &[u32],
    task: &mut Task<'_>,
) -> Result<Vec<(f32, Suggestion)>> {
    let cells: Vec<usize> = (0..stack.h() * stack.w()).collect();
    let at_a_time = match model.config.kind {
        Architecture::Autoregressive => cells.len(),
        Architecture::Contextual => CELLS,
    };
    let mut found = Vec::with_capacity(stack.codes().len());
    for some in cells.chunks(at_a_time) {
        task.pause().await?;
        let logits = logits(model, stack, condition, some)?;
        let classes = logits.dims()[2];
        let logits = read(logits).await?;
        for logits in logits.chunks(classes) {
            let (probabilities, code) = (probabilities(logits)?, stack.codes()[found.len()]);
            let probability = probabilities[code as usize];
            found.push((entropy(&probabilities), Suggestion { code, probability }));
        }
        task.report(found.len() / stack.depth(), cells.len());
    }
    Ok(found)
}

/// The logits `[N, D, V]` of the codes of `cells`. A contextual model is given all other cells, an autoregressive one those
/// before each cell.
fn logits(model: &RqTransformer, stack: &CodeStack, condition: &[u32], cells: &[usize]) -> Result<Tensor<3>> {
    check(model, stack)?;
    let (all, depth, device) = (model.config.cells(), stack.depth(), model.device());
    let tokens: Vec<i32> = condition.iter().map(|&token| token as i32).collect();
    let condition = Tensor::from_data(TensorData::new(tokens, [1, condition.len()]), device);
    let codes = codes_to_tensor(std::slice::from_ref(stack), device);
    Ok(match model.config.kind {
        Architecture::Autoregressive => {
            let logits = model.logits(codes, condition).codes;
            let classes = logits.dims()[2];
            let rows: Vec<i32> = cells.iter().map(|&cell| cell as i32).collect();
            let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [cells.len()]), device);
            logits.reshape([all, depth, classes]).select(0, rows)
        }
        Architecture::Contextual => {
            let rows: Vec<usize> = cells.iter().enumerate().map(|(i, cell)| i * all + cell).collect();
            let masked = Masked::all_of(&rows, cells.len(), all, device);
            let (codes, condition) = (codes.repeat_dim(0, cells.len()), condition.repeat_dim(0, cells.len()));
            model.masked_logits(codes, condition, &masked)
        }
    })
}

/// Refuses a stack that the model does not know.
fn check(model: &RqTransformer, stack: &CodeStack) -> Result<()> {
    let (expected, found) = (model.config.block_size, stack.shape());
    if found != expected {
        return Err(Error::invalid(format!("expected codes of shape {expected:?}, found {found:?}")));
    }
    stack.validate(&model.config.codebook_sizes()?)
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
