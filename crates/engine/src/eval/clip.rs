//! How well a folder of pictures matches its captions: the mean CLIP score, which the paper uses to compare
//! text-to-image models.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{LeftOut, Pictures, Tally, mean};
use residua_core::error::{Error, Result};
use residua_core::files::read_limited;
use residua_core::task::Task;
use residua_core::text::shown_path;
use residua_io::image_io::png_text::Provenance;
use residua_judges::clip::{Clip, clip_score};
use residua_model::tensors::read;
use residua_protocol::recipe::SamplingRecipe;
use residua_protocol::{Condition, Recipe};

/// Size limit of a picture whose recipe is read, in bytes.
const LARGEST: u64 = 512 << 20;

/// How well a folder matches its captions.
#[derive(Clone, Debug, Serialize)]
pub struct ClipScores {
    /// The mean of all scores.
    pub clip_score: f64,
    /// The score of each picture.
    pub pictures: Vec<Scored>,
    /// Pictures that could not be read, by path.
    pub left_out: Vec<LeftOut>,
}

/// How well a picture matches its caption.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scored {
    /// The picture's file.
    #[serde(serialize_with = "shown_path")]
    pub path: PathBuf,
    /// Its caption.
    pub caption: String,
    /// The cosine of their embeddings.
    pub score: f64,
}

/// Scores `pictures`, at their own sizes, by the captions of their folder, or else by the prompt in a sampled
/// PNG's recipe; each by its number. `task` counts pictures.
///
/// # Errors
/// A picture has no caption; the task was stopped; no picture could be read.
pub async fn clip_scores(
    clip: &Clip,
    pictures: &mut Pictures,
    task: &mut Task<'_>,
) -> Result<Tally<BTreeMap<u32, Scored>>> {
    let mut scored = BTreeMap::new();
    while let Some(batch) = pictures.next_batch(task).await? {
        let (mut seen, mut captions) = (Vec::new(), Vec::new());
        for (picture, item) in batch.pictures.into_iter().zip(batch.items) {
            let caption = item.caption().map_or_else(|| told(&item.path), |caption| Ok(caption.into()))?;
            seen.push(picture);
            captions.push((item.path, caption));
        }
        let texts = captions.iter().map(|(_, caption)| clip.caption(caption)).collect();
        let scores = read(clip_score(clip.pictures(&seen)?, Tensor::cat(texts, 0))).await?;
        let of = |((path, caption), score)| Scored { path, caption, score: f64::from(score) };
        scored.extend(batch.numbers.into_iter().zip(captions.into_iter().zip(scores).map(of)));
    }
    Ok(Tally::new(pictures, scored))
}

impl ClipScores {
    /// The mean of all scores.
    ///
    /// # Errors
    /// There are none.
    pub fn of(tally: Tally<BTreeMap<u32, Scored>>) -> Result<Self> {
        let Tally { left_out, sums, .. } = tally.of_some()?;
        let pictures: Vec<Scored> = sums.into_values().collect();
        let scores: Vec<f64> = pictures.iter().map(|scored| scored.score).collect();
        Ok(Self { clip_score: mean(&scores), pictures, left_out })
    }
}

/// The prompt in the recipe of the picture at `path`.
fn told(path: &Path) -> Result<String> {
    let provenance = Provenance::read(&read_limited(path, LARGEST)?).unwrap_or_default();
    match provenance.recipe.and_then(|recipe| Recipe::from_json(&recipe).ok()?.sampling) {
        Some(SamplingRecipe { condition: Condition::Prompt(prompt), .. }) => Ok(prompt),
        _ => Err(Error::invalid(format!(
            "{}: expected a caption in captions.tsv, metadata.jsonl, metadata.csv, a text file next to it or its recipe, found none",
            path.display()
        ))),
    }
}
