//! What an image is made from: nothing, a class or a caption; and its tokens.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::RqTransformerConfig;
use crate::model::rqtransformer::ConditionKind;
use crate::tokenizer::{Tokenizer, TokenizerKind};

/// What an image is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing.
    Unconditional,
    /// A class, by number or name.
    Class(String),
    /// A caption.
    Prompt(String),
}

impl Condition {
    /// The tokens that `config`'s model is given.
    ///
    /// # Errors
    /// The model is of another kind, or has no such class.
    pub fn tokens(&self, config: &RqTransformerConfig) -> Result<Vec<u32>> {
        match (config.condition(), self) {
            (ConditionKind::Unconditional, Self::Unconditional) => Ok(vec![0; config.block_size_cond]),
            (ConditionKind::Class, Self::Class(class)) => Ok(vec![class_number(class, config)?]),
            (ConditionKind::Text, Self::Prompt(prompt)) => caption(prompt, config),
            (ConditionKind::Unconditional, _) => {
                Err(Error::usage("this model is unconditional: leave --class and --prompt out"))
            }
            (ConditionKind::Class, _) => {
                Err(Error::usage(format!("this model needs --class, {}", known_classes(config))))
            }
            (ConditionKind::Text, _) => Err(Error::usage("this model needs --prompt TEXT")),
        }
    }
}

/// A class by its name (in any case) or its number.
fn class_number(class: &str, config: &RqTransformerConfig) -> Result<u32> {
    let by_name = config.classes.iter().position(|name| name.to_lowercase() == class.to_lowercase());
    by_name
        .or_else(|| class.parse().ok().filter(|&number: &usize| number < config.vocab_size_cond))
        .map(|number| number as u32)
        .ok_or_else(|| {
            Error::usage(format!("class {class} does not exist: expected {}", known_classes(config)))
        })
}

fn known_classes(config: &RqTransformerConfig) -> String {
    let numbers = format!("a number from 0 to {}", config.vocab_size_cond - 1);
    match config.classes.len() {
        0 => numbers,
        1..=20 => format!("{numbers} or one of: {}", config.classes.join(", ")),
        _ => format!("{numbers} or a class name (`info` lists them)"),
    }
}

fn caption(prompt: &str, config: &RqTransformerConfig) -> Result<Vec<u32>> {
    let name = config.dataset.txt_tok_name.as_deref().ok_or_else(|| {
        Error::invalid(
            "the configuration names no tokenizer (dataset.txt_tok_name), so captions cannot be read",
        )
    })?;
    let tokenizer = Tokenizer::new(name.parse::<TokenizerKind>()?)?;
    let tokens = tokenizer.encode(prompt, config.block_size_cond);
    if tokenizer.ids(prompt).len() > config.block_size_cond {
        tracing::warn!("the caption is longer than {} tokens; its end is cut", config.block_size_cond);
    }
    match tokens.iter().find(|&&token| token as usize >= config.vocab_size_cond) {
        Some(token) => Err(Error::invalid(format!(
            "the tokenizer {name} gives token {token}, but the model knows {} only",
            config.vocab_size_cond
        ))),
        None => Ok(tokens),
    }
}
