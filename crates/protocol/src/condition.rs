//! The condition of an image: nothing, a class or a caption; and its tokens.

use serde::{Deserialize, Serialize};

use residua_core::config::{ConditionKind, RqTransformerConfig};
use residua_core::error::{Error, Result};
use residua_core::text::{composed, counted, some_of};
use residua_io::tokenizer::{Tokenizer, TokenizerKind};

/// The condition of an image.
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
    /// Whether the model of `config` takes this kind of condition.
    pub fn suits(&self, config: &RqTransformerConfig) -> bool {
        match self {
            Self::Unconditional => {
                config.condition() == ConditionKind::Unconditional || config.null_token().is_some()
            }
            Self::Class(_) => config.condition() == ConditionKind::Class,
            Self::Prompt(_) => config.condition() == ConditionKind::Text,
        }
    }

    /// The tokens for `config`'s model. Unconditional gives those of the null condition, if the model has
    /// one.
    ///
    /// # Errors
    /// The model takes another kind of condition, or has no such class.
    pub fn tokens(&self, config: &RqTransformerConfig) -> Result<Vec<u32>> {
        if let (Self::Unconditional, Some(null)) = (self, config.null_condition()) {
            return Ok(null);
        }
        match (config.condition(), self) {
            (ConditionKind::Unconditional, Self::Unconditional) => Ok(vec![0; config.block_size_cond]),
            (ConditionKind::Class, Self::Class(class)) => Ok(vec![class_number(class, config)?]),
            (ConditionKind::Text, Self::Prompt(prompt)) => caption(prompt, config),
            (ConditionKind::Unconditional, _) => {
                Err(Error::usage("this model is unconditional: leave the class or caption out"))
            }
            (ConditionKind::Class, _) => {
                Err(Error::usage(format!("this model needs a class: {}", known_classes(config))))
            }
            (ConditionKind::Text, _) => Err(Error::usage("this model needs a caption")),
        }
    }
}

/// The condition that `text` describes. No text is the null condition, if the model has one.
pub fn of_caption(text: &str, config: &RqTransformerConfig) -> Condition {
    if text.trim().is_empty() && config.null_token().is_some() {
        Condition::Unconditional
    } else {
        Condition::Prompt(text.into())
    }
}

/// The class `number` by its name, or by its number if an earlier class has the same name.
pub fn class_of(number: usize, config: &RqTransformerConfig) -> Condition {
    let name =
        config.classes.get(number).filter(|name| class_number(name, config).ok() == Some(number as u32));
    Condition::Class(name.cloned().unwrap_or_else(|| number.to_string()))
}

/// The number of a class given by its name or number. Neither case, surrounding spaces nor decomposed letters, as in
/// the names of folders on a Mac, matter.
///
/// # Errors
/// The model has no such class.
pub fn class_number(class: &str, config: &RqTransformerConfig) -> Result<u32> {
    let plain = |name: &str| composed(&name.trim().to_lowercase());
    let wanted = plain(class);
    let by_name = config.classes.iter().position(|name| plain(name) == wanted);
    by_name
        .or_else(|| class.trim().parse().ok().filter(|&number: &usize| number < config.vocab_size_cond))
        .map(|number| number as u32)
        .ok_or_else(|| {
            Error::usage(format!("class {class} does not exist: expected {}", known_classes(config)))
        })
}

fn known_classes(config: &RqTransformerConfig) -> String {
    let numbers = format!("a number from 0 to {}", config.vocab_size_cond - 1);
    if config.classes.is_empty() {
        return numbers;
    }
    format!("{numbers} or one of: {}", some_of(&config.classes))
}

/// The kind of tokenizer of a model's captions; `None` if it takes no captions.
///
/// # Errors
/// The configuration names none, or an unknown one.
pub fn tokenizer_kind(config: &RqTransformerConfig) -> Result<Option<TokenizerKind>> {
    if config.condition() != ConditionKind::Text {
        return Ok(None);
    }
    let name = config.dataset.txt_tok_name.as_deref().ok_or_else(|| {
        Error::invalid(
            "the configuration names no tokenizer (dataset.txt_tok_name), so captions cannot be read",
        )
    })?;
    name.parse().map(Some)
}

/// The tokenizer of a model's captions, if it takes any.
///
/// # Errors
/// The configuration names none, or an unknown one.
pub fn tokenizer(config: &RqTransformerConfig) -> Result<Option<Tokenizer>> {
    let kind = tokenizer_kind(config)?;
    kind.map(|kind| Tokenizer::new(kind, &config.dataset.words)).transpose()
}

/// A caption as a model reads it.
struct Understood {
    tokens: Vec<u32>,
    /// Words that are left out.
    unknown: Vec<String>,
    /// Whether it has more tokens than the model takes.
    is_cut: bool,
    /// Whether it says something, but nothing that the model knows.
    is_strange: bool,
}

fn understood(caption: &str, tokenizer: &Tokenizer, config: &RqTransformerConfig) -> Result<Understood> {
    let tokens = tokenizer.encode(caption, config.block_size_cond);
    match tokens.iter().find(|&&token| token as usize >= config.vocab_size_cond) {
        Some(token) => Err(Error::invalid(format!(
            "the tokenizer {} gives token {token}, but the model only knows {} tokens",
            tokenizer.kind(),
            config.vocab_size_cond
        ))),
        None => Ok(Understood {
            tokens,
            unknown: tokenizer.unknown(caption),
            is_cut: tokenizer.length(caption) > config.block_size_cond,
            is_strange: !caption.trim().is_empty() && tokenizer.ids(caption).is_empty(),
        }),
    }
}

fn caption(prompt: &str, config: &RqTransformerConfig) -> Result<Vec<u32>> {
    let understood = understood(prompt, &known_tokenizer(config)?, config)?;
    if !understood.unknown.is_empty() {
        tracing::warn!("not in this model's vocabulary, so left out: {}", some_of(&understood.unknown));
    }
    if understood.is_cut {
        tracing::warn!("the caption is longer than {} tokens; the rest is cut off", config.block_size_cond);
    }
    if understood.is_strange {
        tracing::warn!("this model knows nothing in the caption {prompt:?}, so it counts as empty");
    }
    Ok(understood.tokens)
}

/// The tokens of many captions, as [`Condition::tokens`] gives those of one. Captions that the model does not read
/// completely are counted in one warning.
///
/// # Errors
/// The model takes no captions, or knows fewer tokens than its tokenizer.
pub fn tokens_of_all(captions: &[String], config: &RqTransformerConfig) -> Result<Vec<Vec<u32>>> {
    let tokenizer = known_tokenizer(config)?;
    let all: Vec<Understood> =
        captions.iter().map(|caption| understood(caption, &tokenizer, config)).collect::<Result<_>>()?;
    let report = |is_meant: fn(&Understood) -> bool, what: &str| {
        let meant: Vec<&String> = captions
            .iter()
            .zip(&all)
            .filter(|(_, read)| is_meant(read))
            .map(|(caption, _)| caption)
            .collect();
        if let Some(first) = meant.first() {
            tracing::warn!(
                "{} of {} {what}, such as {first:?}",
                meant.len(),
                counted(captions.len(), "caption")
            );
        }
    };
    report(|read| !read.unknown.is_empty(), "have words outside this model's vocabulary, which are left out");
    report(|read| read.is_strange, "contain nothing that this model knows, and count as empty");
    report(|read| read.is_cut, "have more tokens than the model takes, so their ends are cut off");
    Ok(all.into_iter().map(|read| read.tokens).collect())
}

/// The tokenizer of a model's captions.
///
/// # Errors
/// The model takes no captions, or its configuration names no known tokenizer.
pub fn known_tokenizer(config: &RqTransformerConfig) -> Result<Tokenizer> {
    tokenizer(config)?.ok_or_else(|| Error::usage("this model takes no captions"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_core::config::{Config, ModelConfig};

    const OF_CAPTIONS: &str = "assets/characters-128/contextual.yaml";
    const OF_CAPTIONS_ALONE: &str = "tests/fixtures/rqt-text/config.yaml";
    const OF_CLASSES: &str = "tests/fixtures/rqt-class/config.yaml";

    fn config(path: &str) -> RqTransformerConfig {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let text = std::fs::read_to_string(format!("{root}/{path}")).expect("a configuration");
        match Config::parse(path, &text).expect("a configuration").model {
            ModelConfig::RqTransformer(config) => *config,
            ModelConfig::RqVae(_) => panic!("{path}: expected a transformer"),
        }
    }

    #[test]
    fn no_caption_is_the_null_condition_if_there_is_one() {
        for (path, expected) in
            [(OF_CAPTIONS, Condition::Unconditional), (OF_CAPTIONS_ALONE, Condition::Prompt(" ".into()))]
        {
            let config = config(path);
            assert_eq!(of_caption(" ", &config), expected);
            assert_eq!(of_caption("a cat", &config), Condition::Prompt("a cat".into()));
        }
    }

    #[test]
    fn many_captions_have_the_tokens_of_each() {
        let mut config = config(OF_CAPTIONS);
        let captions = ["red cat".into(), String::new(), "too long a caption for a cat ".repeat(16)];
        let each = captions.clone().map(|caption| Condition::Prompt(caption).tokens(&config).expect("known"));
        assert_eq!(tokens_of_all(&captions, &config).expect("known"), each);
        config.vocab_size_cond = 2;
        let error = tokens_of_all(&captions, &config).expect_err("too few").to_string();
        assert!(error.contains("the model only knows 2 tokens"), "{error}");
    }

    #[test]
    fn a_class_is_named_unless_an_earlier_one_has_its_name() {
        let mut config = config(OF_CLASSES);
        config.classes = ["crane", "tench", "Crane"].map(String::from).to_vec();
        let class = |name: &str| Condition::Class(name.into());
        assert_eq!(
            [0, 1, 2, 3].map(|number| class_of(number, &config)),
            [class("crane"), class("tench"), class("2"), class("3")]
        );
        for number in [0, 1, 2, 3] {
            assert_eq!(class_of(number, &config).tokens(&config).expect("known"), [number as u32]);
        }
        assert!(class_number("trench", &config).is_err());
        config.classes = ["k\u{e4}se".into(), "O\u{308}l".into()].to_vec();
        for (name, number) in [("Ka\u{308}se", 0), (" K\u{c4}SE\n", 0), ("\u{f6}l", 1), (" 1", 1)] {
            assert_eq!(class_number(name, &config).expect("known"), number);
        }
    }
}
