//! The published YAML configurations, with their published keys. Every size is checked before anything is
//! built from it.

pub mod architecture;
mod keys;
mod misfit;
mod precision;
pub mod preset;
pub mod rqtransformer;
pub mod rqvae;
mod sampling;
mod state;
mod taming;
mod transforms;

pub use architecture::Architecture;
pub use precision::Precision;
pub use rqtransformer::{ConditionKind, RqTransformerConfig};
pub use rqvae::{Focus, RqVaeConfig};
pub use sampling::{DefaultSampling, SamplingSection};
pub use state::StateKind;
pub use transforms::Transforms;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::text::counted;

/// A known key that only training reads.
pub type Unread = serde_json::Value;

/// The size limit for a configuration, in bytes; the published ones have about a thousand.
const LONGEST: usize = 1 << 20;

/// The model described by a `config.yaml`.
#[derive(Clone, Debug)]
pub enum ModelConfig {
    /// Stage 1: images to code stacks and back.
    RqVae(Box<RqVaeConfig>),
    /// Stage 2: the distribution of code stacks.
    RqTransformer(Box<RqTransformerConfig>),
}

/// A configuration with its source document, which is stored with converted weights.
#[derive(Clone, Debug)]
pub struct Config {
    /// The model.
    pub model: ModelConfig,
    /// The whole published document, as JSON.
    pub document: serde_json::Value,
    /// Image transforms in training.
    pub transforms: Transforms,
    /// How to rename weights from another program's checkpoints.
    pub names: &'static [Renamed],
}

/// A prefix of weight names in another program's checkpoints, and our prefix; `None` for weights that no
/// model here has.
pub type Renamed = (&'static str, Option<&'static str>);

/// A complete published document. Sections that only training reads are accepted unchecked.
#[derive(Deserialize)]
struct Document {
    arch: serde_json::Value,
    #[serde(default)]
    dataset: Dataset,
    #[serde(default, rename = "loss")]
    _loss: Loss,
    #[serde(default)]
    experiment: Experiment,
    #[serde(default)]
    sampling: Option<sampling::Settings>,
    #[serde(default)]
    vqvae: Vqvae,
    #[serde(default, rename = "optimizer")]
    _optimizer: Unread,
    #[serde(default, rename = "gan")]
    _gan: Unread,
    #[serde(default)]
    classes: Vec<String>,
    #[serde(default, rename = "license")]
    _license: Unread,
    #[serde(default, rename = "seed")]
    _seed: Unread,
    #[serde(default, rename = "runtime")]
    _runtime: Unread,
    #[serde(default, rename = "result_path")]
    _result_path: Unread,
}

/// Section `dataset`: the keys that the model needs.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Dataset {
    /// Name of the data set.
    #[serde(default, rename = "type", alias = "dataset")]
    pub name: Option<String>,
    /// Codebook size of stage 1.
    #[serde(default)]
    pub vocab_size: Option<PerDepth<usize>>,
    /// Vocabulary of the captions.
    #[serde(default)]
    pub vocab_size_txt: Option<usize>,
    /// Caption length in tokens.
    #[serde(default)]
    pub context_length: Option<usize>,
    /// The captions' tokenizer.
    #[serde(default)]
    pub txt_tok_name: Option<String>,
    /// The vocabulary of the tokenizer `words`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// Probability that training skips a BPE merge in a caption.
    #[serde(default, alias = "bpe_pdrop", skip_serializing)]
    pub bpe_dropout: Option<f64>,
    /// Image transforms in training.
    #[serde(default, skip_serializing)]
    pub transforms: Transforms,
    /// The same, if `transforms` is absent. The published trainer saves an empty one beside the other.
    #[serde(default, skip_serializing)]
    transform: Transforms,
    #[serde(default, rename = "root", skip_serializing)]
    _root: Unread,
    #[serde(default, rename = "image_resolution", skip_serializing)]
    _image_resolution: Unread,
}

/// The `txt_tok_name` of the tokenizer whose vocabulary is `dataset.words`.
pub const WORDS: &str = "words";

/// One value for all depths, or one per depth.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(untagged, expecting = "expected one value, or a list with one for each depth, found something else")]
pub enum PerDepth<T> {
    /// The same at every depth.
    Same(T),
    /// One per depth.
    Each(Vec<T>),
}

impl<T: Clone> PerDepth<T> {
    /// The value at each of `depth` depths; `key` is the published key.
    ///
    /// # Errors
    /// There is a list, but with another length.
    pub fn values(&self, key: &str, depth: usize) -> Result<Vec<T>> {
        match self {
            Self::Same(value) => Ok(vec![value.clone(); depth]),
            Self::Each(values) if values.len() == depth => Ok(values.clone()),
            Self::Each(values) => Err(Error::invalid(format!(
                "{key}: expected one value, or {depth} for {}, found {}",
                counted(depth, "depth"),
                values.len()
            ))),
        }
    }
}

/// Section `loss`: the temperature of soft targets; training reads the rest.
#[derive(Clone, Debug, Default, Deserialize)]
struct Loss {
    #[serde(default, rename = "type")]
    _kind: Unread,
    #[serde(default, rename = "temp")]
    _temp: Unread,
    #[serde(default, rename = "stochastic_codes")]
    _stochastic_codes: Unread,
    #[serde(default, rename = "txt_weight")]
    _txt_weight: Unread,
    #[serde(default, rename = "img_weight")]
    _img_weight: Unread,
}

/// Section `experiment`: how the trainer samples; training reads the rest.
#[derive(Clone, Debug, Default, Deserialize)]
struct Experiment {
    #[serde(default)]
    sample: Option<sampling::Settings>,
    #[serde(default, rename = "batch_size")]
    _batch_size: Unread,
    #[serde(default, rename = "total_batch_size")]
    _total_batch_size: Unread,
    #[serde(default, rename = "accumulation", alias = "accu_step")]
    _accumulation: Unread,
    #[serde(default, rename = "epochs")]
    _epochs: Unread,
    #[serde(default, rename = "test_freq")]
    _test_freq: Unread,
    #[serde(default, rename = "save_ckpt_freq")]
    _save_ckpt_freq: Unread,
    #[serde(default, rename = "amp")]
    _amp: Unread,
}

/// Section `vqvae`: the path of stage 1. The published trainer also writes the stage 1 configuration there.
#[derive(Clone, Debug, Default, Deserialize)]
struct Vqvae {
    #[serde(default)]
    ckpt: Option<String>,
    /// Hash of its weights, which our own runs record.
    #[serde(default)]
    sha256: Option<String>,
    #[serde(default, rename = "type")]
    _kind: Unread,
    #[serde(default, rename = "ema")]
    _ema: Unread,
    #[serde(default, rename = "code_hier")]
    _code_hier: Unread,
    #[serde(default, rename = "hparams")]
    _hparams: Unread,
    #[serde(default, rename = "ddconfig")]
    _ddconfig: Unread,
    #[serde(default, rename = "checkpointing")]
    _checkpointing: Unread,
}

impl Config {
    /// Parses a YAML (or JSON) document, called `name` in messages. Warns of unknown keys.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        if text.len() > LONGEST {
            return Err(Error::invalid(format!(
                "{name}: expected a configuration of at most {LONGEST} bytes, found {}",
                text.len()
            )));
        }
        let document: serde_json::Value = serde_saphyr::from_str(text).map_err(|e| {
            let reason = e.render_with_formatter(&serde_saphyr::UserMessageFormatter);
            let first =
                reason.lines().next().unwrap_or("unreadable").trim_start_matches("error: ").to_string();
            Error::invalid(format!("{name}: not a YAML configuration: {first}"))
        })?;
        Self::from_document(name, document)
    }

    /// Reads a parsed document.
    pub fn from_document(name: &str, document: serde_json::Value) -> Result<Self> {
        let (document, names) = match taming::translated(name, &document)? {
            Some(translated) => (translated, taming::NAMES),
            None => (document, &[][..]),
        };
        let mut parts: Document = read_section(name, "", &document)?;
        if parts.dataset.transforms.0.is_none() {
            parts.dataset.transforms = std::mem::take(&mut parts.dataset.transform);
        }
        let kind = parts.arch.get("type").and_then(|t| t.as_str()).unwrap_or("nothing");
        let transforms = parts.dataset.transforms.clone();
        let named = |error: Error| Error::invalid(format!("{name}: {error}"));
        let model = match kind {
            "rq-vae" => {
                let config: RqVaeConfig = read_section(name, "arch", &parts.arch)?;
                config.check().map_err(named)?;
                ModelConfig::RqVae(Box::new(config))
            }
            "rq-transformer" | "contextual-rq-transformer" => {
                let mut config: RqTransformerConfig = read_section(name, "arch", &parts.arch)?;
                config.dataset = parts.dataset;
                config.stage1 = parts.vqvae.ckpt;
                config.stage1_sha256 = parts.vqvae.sha256;
                config.classes = parts.classes;
                config.check().map_err(named)?;
                // Now that its depth is known to be small.
                let sections = [parts.sampling, parts.experiment.sample];
                config.sampling = DefaultSampling::of(sections, config.depth()).map_err(named)?;
                ModelConfig::RqTransformer(Box::new(config))
            }
            other => {
                return Err(Error::invalid(format!(
                    "{name}: expected arch.type rq-vae, rq-transformer or contextual-rq-transformer, found {other}"
                )));
            }
        };
        Ok(Self { model, document, transforms, names })
    }
}

/// Reads one section, with a warning for each unknown key.
pub fn read_section<T: serde::de::DeserializeOwned>(
    name: &str,
    section: &str,
    value: &serde_json::Value,
) -> Result<T> {
    read(name, section, value, &|path, nearest| {
        tracing::warn!("{name}: unknown key {path} is ignored; the nearest known key is {nearest}");
    })
}

/// Reads a section without warnings, for keys that were checked before.
///
/// # Errors
/// A value is missing or has the wrong type.
pub fn read_known<T: serde::de::DeserializeOwned>(
    name: &str,
    section: &str,
    value: &serde_json::Value,
) -> Result<T> {
    read(name, section, value, &|_, _| ())
}

fn read<T: serde::de::DeserializeOwned>(
    name: &str,
    section: &str,
    value: &serde_json::Value,
    report: &dyn Fn(&str, &str),
) -> Result<T> {
    keys::read(value, section, report).map_err(|error| Error::invalid(format!("{name}: {error}")))
}

/// Checks that a dropout `rate` is in `[0, 1)`; `key` is the published key.
pub fn dropout(key: &str, rate: f64) -> Result<()> {
    if (0.0..1.0).contains(&rate) {
        return Ok(());
    }
    Err(Error::invalid(format!("{key}: expected at least 0 and less than 1, found {rate}")))
}

/// Checks that `value` is in `1..=most`; `key` is the published key.
pub fn within(key: &str, value: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(format!("{key}: expected 1 to {most}, found {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGE1: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/rqvae-per-depth/config.yaml"
    ));
    const STAGE2: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/rqt-class/config.yaml"));

    #[test]
    fn reads_both_stages() {
        let ModelConfig::RqVae(vae) = Config::parse("c", STAGE1).expect("stage 1").model else {
            panic!("expected stage 1")
        };
        assert_eq!(vae.codebook_sizes().expect("sizes"), [48, 64, 40]);
        let ModelConfig::RqTransformer(rqt) = Config::parse("c", STAGE2).expect("stage 2").model else {
            panic!("expected stage 2")
        };
        assert_eq!((rqt.block_size, rqt.body.n_layer, rqt.body.block.n_head), ([8, 8, 4], 2, 3));
        assert_eq!(rqt.stage1.as_deref(), Some("../rqvae-shared/model.pt"));
    }

    /// This includes the configurations that the published trainer saves.
    #[test]
    fn no_published_key_is_unknown() {
        let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .join("tests/fixtures/published");
        let added = "sampling: {temp: 1.0, top_k: null, top_p: null}";
        let mut read = 0;
        let listed = [folder.clone(), folder.join("saved")].map(|folder| std::fs::read_dir(folder).unwrap());
        for entry in listed.into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let document: serde_json::Value = serde_saphyr::from_str(&format!("{text}\n{added}\n")).unwrap();
            let unknown = |key: &str, _: &str| panic!("{}: {key}", path.display());
            let parts: Document = keys::read(&document, "", &unknown).unwrap();
            match parts.arch["type"].as_str().unwrap() {
                "rq-vae" => drop(keys::read::<RqVaeConfig>(&parts.arch, "arch", &unknown).unwrap()),
                _ => drop(keys::read::<RqTransformerConfig>(&parts.arch, "arch", &unknown).unwrap()),
            }
            read += 1;
        }
        assert_eq!(read, 9);
    }

    #[test]
    fn a_document_round_trips_through_json() {
        let config = Config::parse("c", STAGE2).expect("stage 2");
        let again = Config::parse("c", &config.document.to_string()).expect("JSON is YAML");
        assert_eq!(config.document, again.document);
    }

    #[test]
    fn bad_documents_get_one_clear_line() {
        let huge = STAGE1.replace("resolution: 32", "resolution: 4000000000");
        let cases = [
            ("arch: [", "not a YAML"),
            ("a: &a [*a]", "c:"),
            ("", "c:"),
            ("arch: {type: gpt}", "found gpt"),
            (huge.as_str(), "resolution"),
            (&STAGE1.replace("ch: 32", "ch: 33"), "32 groups"),
            (&STAGE1.replace("n_embed:", "n_embedd:"), "n_embed"),
            (&STAGE2.replace("n_head: 3", "n_head: 5"), "n_head"),
            (&STAGE2.replace("embed_dim: 48", "embed_dim: -48"), "-48"),
        ];
        for (text, expected) in cases {
            let message = Config::parse("c", text).expect_err(text).to_string();
            assert!(message.contains(expected), "{message:?} lacks {expected:?}");
            assert!(!message.contains('\n'), "{message:?}");
        }
    }
}
