//! Properties of a CLIP model that do not follow from its weights: the number of heads, and the activation of
//! its MLPs. OpenAI's models have heads of 64 channels and QuickGELU; those trained with OpenCLIP, by LAION
//! and others, have GELU.

use std::path::Path;

use serde::Deserialize;

use super::names::Names;
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_kernels::Activation;
use residua_weights::WeightFile;

/// Default width of a head.
const HEAD: usize = 64;
/// Widths of OpenCLIP's image encoders with wider heads (ViT-H, -g and -bigG), and their numbers of heads.
/// OpenAI's encoders are narrower.
const LARGE: &[(usize, usize)] = &[(1280, 16), (1408, 16), (1664, 16)];
/// Parts of the names of files with weights trained with OpenCLIP, in lower case.
const OPENCLIP: &[&str] = &["open_clip", "openclip", "laion"];
/// Maximum size of a configuration, in bytes.
const LONGEST: u64 = 1 << 20;

/// The computation of a CLIP model, beyond its shapes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Variant {
    /// Activation of the MLPs.
    pub activation: Activation,
    /// Heads of the image encoder and of the text encoder.
    pub heads: [usize; 2],
}

impl Variant {
    /// The variant of the CLIP model in `file`, whose encoders have these `widths`: from the configuration
    /// beside it (`open_clip_config.json` or Hugging Face's `config.json`), or else guessed from its names.
    ///
    /// # Errors
    /// The configuration cannot be read, or is not supported; the number of heads does not divide a width.
    pub fn of(file: &WeightFile, widths: [usize; 2], names: &Names) -> Result<Self> {
        let beside = |name: &str| Path::new(file.name()).with_file_name(name);
        let configurations = [beside("open_clip_config.json"), beside("config.json")];
        let variant = match configurations.iter().find(|path| files::is_file(path)) {
            Some(path) => configured(path, widths)?,
            None => Self::known(file, widths, names),
        };
        let divides = |(width, heads): (&usize, &usize)| *heads > 0 && width.is_multiple_of(*heads);
        if widths.iter().zip(&variant.heads).all(divides) {
            return Ok(variant);
        }
        Err(Error::invalid(format!(
            "{}: expected numbers of heads that divide the widths {widths:?}, found {:?}; put the model's config.json or \
             open_clip_config.json beside it",
            file.name(),
            variant.heads
        )))
    }

    fn known(file: &WeightFile, widths: [usize; 2], names: &Names) -> Self {
        let large = LARGE.iter().find(|(width, _)| *width == widths[0]);
        let of_usual_width = |width: usize| if width.is_multiple_of(HEAD) { width / HEAD } else { 0 };
        let image = large.map_or(of_usual_width(widths[0]), |(_, heads)| *heads);
        let name = Path::new(file.name()).file_name().map(|name| name.to_string_lossy().to_lowercase());
        let is_called_so = OPENCLIP.iter().any(|part| name.as_ref().is_some_and(|name| name.contains(part)));
        let is_openai = names.openai.is_some_and(|tensor| file.get(tensor).is_some());
        let is_of_openclip = large.is_some() || (is_called_so && !is_openai);
        if !is_openai && !is_of_openclip {
            tracing::warn!(
                "{}: cannot tell who trained this CLIP model; assuming OpenAI, with QuickGELU: if it was trained with OpenCLIP, \
                 put its config.json or open_clip_config.json beside it",
                file.name()
            );
        }
        let activation = if is_of_openclip { Activation::Gelu } else { Activation::QuickGelu };
        Self { activation, heads: [image, of_usual_width(widths[1])] }
    }
}

/// Both formats of configurations; missing values have the defaults of the format.
#[derive(Deserialize)]
#[serde(untagged)]
enum Configuration {
    OpenClip { model_cfg: OpenClip },
    HuggingFace { vision_config: Encoder, text_config: Encoder },
}

#[derive(Deserialize)]
struct OpenClip {
    #[serde(default)]
    quick_gelu: bool,
    vision_cfg: OpenClipImage,
    text_cfg: OpenClipText,
}

#[derive(Deserialize)]
struct OpenClipImage {
    #[serde(default = "head")]
    head_width: usize,
}

#[derive(Deserialize)]
struct OpenClipText {
    #[serde(default = "eight")]
    heads: usize,
}

#[derive(Deserialize)]
struct Encoder {
    #[serde(default = "quick_gelu")]
    hidden_act: String,
    num_attention_heads: Option<usize>,
}

fn head() -> usize {
    HEAD
}

fn eight() -> usize {
    8
}

fn quick_gelu() -> String {
    "quick_gelu".into()
}

/// Reads the variant from the configuration at `path`.
fn configured(path: &Path, widths: [usize; 2]) -> Result<Variant> {
    let wrong = |what: String| Error::invalid(format!("{}: {what}", path.display()));
    let configuration: Configuration = serde_json::from_str(&files::read_text(path, LONGEST)?).map_err(|_| {
        wrong("expected a CLIP configuration (vision_config and text_config, or model_cfg), found something else".into())
    })?;
    match configuration {
        Configuration::OpenClip { model_cfg: OpenClip { quick_gelu, vision_cfg, text_cfg } } => Ok(Variant {
            activation: if quick_gelu { Activation::QuickGelu } else { Activation::Gelu },
            heads: [widths[0] / vision_cfg.head_width.max(1), text_cfg.heads],
        }),
        Configuration::HuggingFace { vision_config, text_config } => {
            let activation = match [vision_config.hidden_act.as_str(), text_config.hidden_act.as_str()] {
                ["quick_gelu", "quick_gelu"] => Activation::QuickGelu,
                ["gelu", "gelu"] => Activation::Gelu,
                found => {
                    return Err(wrong(format!(
                        "hidden_act: expected quick_gelu or gelu for both encoders, found {found:?}"
                    )));
                }
            };
            // Hugging Face's defaults, which are ViT-B's.
            let heads = [
                vision_config.num_attention_heads.unwrap_or(12),
                text_config.num_attention_heads.unwrap_or(8),
            ];
            Ok(Variant { activation, heads })
        }
    }
}
