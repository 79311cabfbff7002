//! What the pictures of a folder are made from, as a transformer is given it: their classes or captions.

use crate::error::{Error, Result};
use crate::model::ConditionKind;
use crate::model::config::rqtransformer::RqTransformerConfig;
use crate::model::dropout::Noise;
use crate::random::uniform;
use crate::tokenizer::Tokenizer;

/// Separates what the random numbers are for.
const MERGES: u32 = 0x6d65_7267;

/// Condition tokens of pictures with these `classes` and `captions`; `tokenizer` reads the latter, where the model takes any. In
/// training it leaves out merges (`dataset.bpe_dropout`), as `noise` says: a caption is then split in many ways.
///
/// # Errors
/// There is no tokenizer for captions; a token is not among those of the model.
pub fn condition_tokens(
    config: &RqTransformerConfig,
    tokenizer: Option<&Tokenizer>,
    classes: &[usize],
    captions: &[String],
    noise: Option<Noise>,
) -> Result<Vec<Vec<u32>>> {
    let length = config.block_size_cond;
    let tokens: Vec<Vec<u32>> = match (config.condition(), tokenizer) {
        (ConditionKind::Unconditional, _) => vec![vec![0; length]; classes.len()],
        (ConditionKind::Class, _) => classes.iter().map(|&class| vec![class as u32]).collect(),
        (ConditionKind::Text, Some(tokenizer)) => {
            let rate = config.dataset.bpe_dropout.unwrap_or(0.0) as f32;
            let encode = |(caption, number): (&String, u32)| {
                let mut left_out = merges_left_out(rate, noise, number);
                tokenizer.encode_dropping(caption, length, &mut left_out)
            };
            captions.iter().zip(0..).map(encode).collect()
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

/// Says of one merge after the other whether it is left out of caption `number` of a pass, with probability `rate`.
fn merges_left_out(rate: f32, noise: Option<Noise>, number: u32) -> impl FnMut() -> bool {
    let mut draws = 0..;
    move || match noise {
        Some(Noise { seed, pass }) if rate > 0.0 => {
            let draw = draws.next().expect("an endless range");
            uniform([seed ^ MERGES, pass, number, draw]) < rate
        }
        _ => false,
    }
}
