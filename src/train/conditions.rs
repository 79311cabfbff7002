//! What the pictures of a folder are made from, as a transformer is given it: their classes or captions.

use std::path::Path;

use super::data::Item;
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

/// Refuses pictures of `folder` that lack what a model of this `kind` is given.
///
/// # Errors
/// [`Error::Usage`], with the number of these pictures and the first.
pub fn check_labels(folder: &Path, items: &[Item], kind: ConditionKind) -> Result<()> {
    let (what, how, lacks): (_, _, fn(&Item) -> bool) = match kind {
        ConditionKind::Unconditional => return Ok(()),
        ConditionKind::Class => {
            ("class", "put pictures into folders named after their classes", |item| item.class.is_none())
        }
        ConditionKind::Text => (
            "caption",
            "write captions.tsv, metadata.jsonl or metadata.csv, or a text beside each picture",
            |item| item.caption.is_none(),
        ),
    };
    let lacking: Vec<&Item> = items.iter().filter(|item| lacks(item)).collect();
    match lacking.first() {
        None => Ok(()),
        Some(first) => Err(Error::usage(format!(
            "{}: expected a {what} for each picture, which this model is given, found none for {} of {}, such as {}; {how}, \
             or go on without (--unlabelled)",
            folder.display(),
            lacking.len(),
            items.len(),
            first.path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_without_what_the_model_is_given_are_counted() {
        let item = |name: &str, class, caption: Option<&str>| Item {
            path: name.into(),
            class,
            caption: caption.map(String::from),
        };
        let items =
            [item("a.png", Some(1), None), item("b.png", None, Some("a cat")), item("c.png", None, None)];
        let check = |kind| check_labels(Path::new("data"), &items, kind).map_err(|error| error.to_string());
        assert_eq!(check(ConditionKind::Unconditional), Ok(()));
        let class = check(ConditionKind::Class).unwrap_err();
        assert!(class.contains("a class for each") && class.contains("2 of 3, such as b.png"), "{class}");
        let caption = check(ConditionKind::Text).unwrap_err();
        assert!(
            caption.contains("a caption for each") && caption.contains("2 of 3, such as a.png"),
            "{caption}"
        );
        assert!(check_labels(Path::new("data"), &items[..1], ConditionKind::Class).is_ok());
    }
}
