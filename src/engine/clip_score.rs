//! How well a folder of pictures fits its captions: the mean CLIP score, by which the paper compares text-to-image models.

use std::path::{Path, PathBuf};

use burn::tensor::Tensor;

use super::condition::Condition;
use super::pictures::read;
use super::recipe::{Recipe, SamplingRecipe};
use super::task::Task;
use crate::error::{Error, Result};
use crate::files::read_limited;
use crate::image_io::Picture;
use crate::image_io::png_text::Provenance;
use crate::metrics::clip::{Clip, clip_score as score};
use crate::train::data::{DataSet, Item};

/// Pictures judged together.
const BATCH: usize = 8;
/// The largest picture whose recipe is read, in bytes.
const LARGEST: u64 = 512 << 20;

/// A picture and what it should show.
#[derive(Clone, Debug, PartialEq)]
pub struct Captioned {
    /// The picture's file.
    pub path: PathBuf,
    /// In words.
    pub caption: String,
}

/// The pictures in `folder`, each with its caption: of `captions.tsv` or `metadata.jsonl`, or else what a PNG that was sampled
/// says that it was made from.
///
/// # Errors
/// There are no pictures, or one has no caption.
pub fn captioned(folder: &Path) -> Result<Vec<Captioned>> {
    let mut captioned = Vec::new();
    for Item { path, caption, .. } in DataSet::open(folder, &[])?.items {
        let caption = match caption {
            Some(caption) => caption,
            None => match sampling(&path)? {
                // A sheet of pictures that are here by themselves.
                Some(sampling) if sampling.count > 1 => continue,
                Some(SamplingRecipe { condition: Condition::Prompt(prompt), .. }) => prompt,
                _ => {
                    return Err(Error::invalid(format!(
                        "{}: expected a caption for it, in captions.tsv, metadata.jsonl or its recipe, found none",
                        path.display()
                    )));
                }
            },
        };
        captioned.push(Captioned { path, caption });
    }
    match captioned.is_empty() {
        true => Err(Error::invalid(format!(
            "{}: expected pictures with captions, found sheets alone",
            folder.display()
        ))),
        false => Ok(captioned),
    }
}

/// What the picture at `path` was sampled from, if it is a PNG that says so.
fn sampling(path: &Path) -> Result<Option<SamplingRecipe>> {
    let Ok(provenance) = Provenance::read(&read_limited(path, LARGEST)?) else { return Ok(None) };
    Ok(provenance.recipe.and_then(|recipe| Recipe::from_json(&recipe).ok()?.sampling))
}

/// The CLIP score of each picture with its caption, a few at a time; their mean is the folder's.
///
/// # Errors
/// A picture cannot be read; [`Error::Cancelled`] if the task was stopped.
pub async fn clip_scores(clip: &Clip, pictures: &[Captioned], task: &mut Task<'_>) -> Result<Vec<f32>> {
    let mut scores = Vec::with_capacity(pictures.len());
    for batch in pictures.chunks(BATCH) {
        task.pause().await?;
        let seen = batch.iter().map(|one| Picture::read(&one.path)).collect::<Result<Vec<_>>>()?;
        let captions = batch.iter().map(|one| clip.caption(&one.caption)).collect();
        scores.extend(read(score(clip.pictures(&seen)?, Tensor::cat(captions, 0))).await?);
        task.report(scores.len(), pictures.len());
    }
    Ok(scores)
}
