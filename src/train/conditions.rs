//! What the pictures of a folder are made from, as a transformer is given it: their classes or captions.

use crate::error::{Error, Result};
use crate::model::ConditionKind;
use crate::model::config::rqtransformer::RqTransformerConfig;
use crate::tokenizer::Tokenizer;

/// Condition tokens of pictures with these `classes` and `captions`; `tokenizer` reads the latter, where the model takes any.
///
/// # Errors
/// There is no tokenizer for captions; a token is not among those of the model.
pub fn condition_tokens(
    config: &RqTransformerConfig,
    tokenizer: Option<&Tokenizer>,
    classes: &[usize],
    captions: &[String],
) -> Result<Vec<Vec<u32>>> {
    let length = config.block_size_cond;
    let tokens: Vec<Vec<u32>> = match (config.condition(), tokenizer) {
        (ConditionKind::Unconditional, _) => vec![vec![0; length]; classes.len()],
        (ConditionKind::Class, _) => classes.iter().map(|&class| vec![class as u32]).collect(),
        (ConditionKind::Text, Some(tokenizer)) => {
            captions.iter().map(|caption| tokenizer.encode(caption, length)).collect()
        }
        (ConditionKind::Text, None) => {
            return Err(Error::usage("dataset.txt_tok_name: expected the captions' tokenizer, found none"));
        }
    };
    match tokens.iter().flatten().find(|&&token| token as usize >= config.vocab_size_cond) {
        None => Ok(tokens),
        Some(token) => Err(Error::invalid(format!(
            "vocab_size_cond: expected more than {token}, which the data have, found {}",
            config.vocab_size_cond
        ))),
    }
}
