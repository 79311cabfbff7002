//! The classes or captions of a folder's pictures, as condition tokens for a transformer.

use std::path::Path;

use rayon::prelude::*;

use super::data::Item;
use residua_core::config::ConditionKind;
use residua_core::config::rqtransformer::RqTransformerConfig;
use residua_core::error::{Error, Result};
use residua_core::random::uniform;
use residua_core::text::counted;
use residua_io::image_io::folder::read;
use residua_io::tokenizer::Tokenizer;
use residua_kernels::dropout::Noise;

/// Domain separators for the random numbers.
const MERGES: u32 = 0x6d65_7267;
const NULL: u32 = 0x6e75_6c6c;

/// Condition tokens for pictures with these `classes` and `captions`; `tokenizer` encodes the captions of a
/// model that takes them. In training, `noise` drops BPE merges (`dataset.bpe_dropout`), which splits a
/// caption in many ways, and replaces whole conditions by the null condition (`arch.cond_dropout`).
///
/// # Errors
/// Captions need a tokenizer and there is none; a token is outside the model's vocabulary.
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
            return Err(Error::usage(
                "dataset.txt_tok_name: expected a tokenizer for the captions, found none",
            ));
        }
    };
    match tokens.iter().flatten().find(|&&token| token as usize >= config.vocab_size_cond) {
        None => Ok(some_left_out(tokens, config, noise)),
        Some(token) => Err(Error::invalid(format!(
            "vocab_size_cond: expected more than {token}, a token of the data, found {}",
            config.vocab_size_cond
        ))),
    }
}

/// Replaces some of `conditions` by the null condition, as determined by `noise`.
fn some_left_out(
    mut conditions: Vec<Vec<u32>>,
    config: &RqTransformerConfig,
    noise: Option<Noise>,
) -> Vec<Vec<u32>> {
    if let (Some(Noise { seed, pass, first, .. }), Some(null)) = (noise, config.null_condition()) {
        let left_out =
            |number: u32| f64::from(uniform([seed ^ NULL, pass, first + number, 0])) < config.cond_dropout;
        let dropped = conditions.iter_mut().zip(0..).filter(|(_, number)| left_out(*number));
        dropped.for_each(|(condition, _)| condition.clone_from(&null));
    }
    conditions
}

/// Decides merge by merge whether to drop it from caption `number` of a pass, with probability `rate`.
fn merges_left_out(rate: f32, noise: Option<Noise>, number: u32) -> impl FnMut() -> bool {
    let mut draws = 0..;
    move || match noise {
        Some(Noise { seed, pass, first, .. }) if rate > 0.0 => {
            let draw = draws.next().expect("an endless range");
            uniform([seed ^ MERGES, pass, first + number, draw]) < rate
        }
        _ => false,
    }
}

/// Refuses a folder with pictures that lack the class or caption that a model of this `kind` needs. Files
/// that are left out, because they are sheets or cannot be read, need none.
///
/// # Errors
/// [`Error::Usage`], with the number of these pictures and an example.
pub fn check_labels(folder: &Path, items: &[Item], kind: ConditionKind) -> Result<()> {
    let (what, how, lacks): (_, _, fn(&Item) -> bool) = match kind {
        ConditionKind::Unconditional => return Ok(()),
        ConditionKind::Class => {
            ("class", "put pictures into folders named after their classes", |item| item.class.is_none())
        }
        ConditionKind::Text => (
            "caption",
            "write captions.tsv, metadata.jsonl or metadata.csv, or a text file beside each picture",
            |item| item.captions.is_empty(),
        ),
    };
    let lacking: Vec<&Item> =
        items.par_iter().filter(|item| lacks(item) && read(&item.path).is_ok()).collect();
    match lacking.first() {
        None => Ok(()),
        Some(first) => Err(Error::usage(format!(
            "{}: expected a {what} for each picture, as the model is conditioned on it, found none for {} of {}, such as {}; \
             {how}, or allow this (unlabelled)",
            folder.display(),
            lacking.len(),
            items.len(),
            first.path.display()
        ))),
    }
}

/// Refuses captions with a token outside the model's vocabulary, before a step meets them, and warns of those with
/// words that `tokenizer` does not know.
///
/// # Errors
/// [`Error::Invalid`], with such a caption.
pub fn check_captions(
    folder: &Path,
    items: &[Item],
    config: &RqTransformerConfig,
    tokenizer: &Tokenizer,
) -> Result<()> {
    let captions = || items.par_iter().flat_map_iter(|item| &item.captions);
    let most = config.vocab_size_cond;
    let is_outside = |caption: &&String| {
        tokenizer.encode(caption, config.block_size_cond).iter().any(|&token| token as usize >= most)
    };
    // Most tokenizers have no such token.
    let can_be = tokenizer.vocab_size() > most;
    if let Some(caption) = can_be.then(|| captions().find_any(is_outside)).flatten() {
        return Err(Error::invalid(format!(
            "vocab_size_cond: expected {}, the size of the vocabulary {}, found {most}: {caption:?} has a token beyond that",
            tokenizer.vocab_size(),
            tokenizer.kind()
        )));
    }
    let unknown = captions().filter(|caption| !tokenizer.unknown(caption).is_empty()).count();
    if unknown > 0 {
        tracing::warn!(
            "{}: {} with words that are not in dataset.words and are left out",
            folder.display(),
            counted(unknown, "caption")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_core::config::{Config, ModelConfig, WORDS};
    use residua_io::image_io::Picture;
    use residua_io::image_io::png_text::Provenance;
    use residua_io::tokenizer::TokenizerKind;

    #[test]
    fn pictures_without_a_class_or_caption_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let item = |name: &str, class, caption: Option<&str>| Item {
            path: folder.path().join(name),
            class,
            captions: caption.into_iter().map(String::from).collect(),
        };
        let mut items =
            vec![item("a.png", Some(1), None), item("b.png", None, Some("a cat")), item("c.png", None, None)];
        let picture = Picture::new(1, 1, vec![0.0; 3]).unwrap();
        items.iter().for_each(|item| picture.save_png(&item.path, &Provenance::default()).unwrap());
        // Neither is data.
        items.extend([item("broken.png", None, None), item("sheet.png", None, None)]);
        std::fs::write(&items[3].path, b"no picture").unwrap();
        let recipe = Some(r#"{"sampling": {"count": 2}}"#.into());
        picture.save_png(&items[4].path, &Provenance { recipe, codes: None }).unwrap();
        let check = |kind| check_labels(Path::new("data"), &items, kind).map_err(|error| error.to_string());
        assert_eq!(check(ConditionKind::Unconditional), Ok(()));
        let class = check(ConditionKind::Class).unwrap_err();
        assert!(class.contains("a class for each") && class.contains("2 of 5, such as"), "{class}");
        assert!(class.contains("b.png"), "{class}");
        let caption = check(ConditionKind::Text).unwrap_err();
        assert!(caption.contains("a caption for each") && caption.contains("2 of 5, such as"), "{caption}");
        assert!(caption.contains("a.png"), "{caption}");
        assert!(check_labels(Path::new("data"), &items[..1], ConditionKind::Class).is_ok());
    }

    #[test]
    fn captions_beyond_the_vocabulary_are_refused() {
        let config = |most: usize| {
            let document = serde_json::json!({
                "dataset": {"vocab_size": 8, "txt_tok_name": WORDS, "words": ["red"]},
                "arch": {
                    "type": "rq-transformer", "block_size": [1, 1, 1], "embed_dim": 8, "vocab_size_cond": most,
                    "block_size_cond": 4, "body": {"n_layer": 1}, "head": {"n_layer": 1},
                },
            });
            match Config::from_document("test", document).unwrap().model {
                ModelConfig::RqTransformer(config) => config,
                ModelConfig::RqVae(_) => panic!("expected a transformer"),
            }
        };
        let words = ["red", "cat"].map(String::from);
        let tokenizer = Tokenizer::new(TokenizerKind::Words, &words).unwrap();
        let item = |caption: &str| Item { path: "a.png".into(), class: None, captions: vec![caption.into()] };
        let items = [item("a red thing"), item("red cat")];
        let check =
            |items: &[Item], most| check_captions(Path::new("data"), items, &config(most), &tokenizer);
        assert!(check(&items, 3).is_ok() && check(&items[..1], 2).is_ok());
        let error = check(&items, 2).unwrap_err().to_string();
        assert!(error.contains("vocab_size_cond: expected 3") && error.contains("\"red cat\""), "{error}");
    }

    #[test]
    fn conditions_are_dropped_at_the_configured_rate() {
        let document = serde_json::json!({
            "dataset": {"vocab_size": 8},
            "arch": {
                "type": "rq-transformer", "block_size": [1, 1, 1], "embed_dim": 8, "vocab_size_cond": 3, "cond_dropout": 0.25,
                "body": {"n_layer": 1}, "head": {"n_layer": 1},
            },
        });
        let ModelConfig::RqTransformer(config) = Config::from_document("test", document).unwrap().model
        else {
            panic!("expected a transformer")
        };
        let classes = vec![1; 4000];
        let tokens = |pass| {
            let noise = Some(Noise::new(7, pass));
            condition_tokens(&config, None, &classes, &[], noise).unwrap().concat()
        };
        let left_out = tokens(0).iter().filter(|&&token| token == 3).count();
        // Within five standard deviations.
        assert!((863..1137).contains(&left_out), "{left_out}");
        assert_ne!(tokens(0), tokens(1));
        assert_eq!(condition_tokens(&config, None, &classes, &[], None).unwrap().concat(), vec![1; 4000]);
    }
}
