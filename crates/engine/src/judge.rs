//! Scores samples by how well they match their caption (CLIP), or by the probability of their class
//! (rejection sampling, paper section 4.1).

use std::path::Path;

use burn::tensor::{Device, Tensor};

use crate::models::{id_of_file, watched};
use residua_core::config::StateKind;
use residua_core::error::{Error, Result};
use residua_core::task::Task;
use residua_io::image_io::Picture;
use residua_judges::clip::{Clip, clip_score};
use residua_judges::resnet::ResNet;
use residua_model::tensors::read;
use residua_protocol::ModelId;
use residua_protocol::recipe::{Judgement, Measure};
use residua_weights::WeightFile;

/// A model that scores pictures of one caption or class.
pub struct Judge {
    id: ModelId,
    kind: Kind,
}

enum Kind {
    /// CLIP, and the caption's embedding `[1, E]`.
    Caption(Box<(Clip, Tensor<2>)>),
    /// A classifier, and the class.
    Class(Box<ResNet>, usize),
}

impl Judge {
    /// Scores by `caption`, with the CLIP in the file at `path`.
    ///
    /// # Errors
    /// The file is not a CLIP.
    pub fn of_caption(path: &Path, caption: &str, device: &Device, task: &mut Task) -> Result<Self> {
        let file = WeightFile::open(path, StateKind::Auto)?;
        let clip = load_clip(&file, device, task)?;
        let caption = clip.caption(caption);
        Ok(Self { id: id_of_file(&file)?, kind: Kind::Caption(Box::new((clip, caption))) })
    }

    /// Scores by `class`, one of the transformer's `classes` classes, with the ResNet in the file at `path`.
    ///
    /// # Errors
    /// The file is not a ResNet, or has another number of classes.
    pub fn of_class(
        path: &Path,
        class: usize,
        classes: usize,
        device: &Device,
        task: &mut Task,
    ) -> Result<Self> {
        let (classifier, id) = load_classifier(path, classes, device, task)?;
        Ok(Self { id, kind: Kind::Class(Box::new(classifier), class) })
    }

    /// The measure of the scores.
    pub fn measure(&self) -> Measure {
        match self.kind {
            Kind::Caption(..) => Measure::ClipScore,
            Kind::Class(..) => Measure::ClassProbability,
        }
    }

    /// The score of each picture in a batch.
    ///
    /// # Errors
    /// The device failed.
    pub async fn scores(&self, pictures: &[Picture]) -> Result<Vec<f32>> {
        read(match &self.kind {
            Kind::Caption(judge) => clip_score(judge.0.pictures(pictures)?, judge.1.clone()),
            Kind::Class(classifier, class) => classifier.probability(pictures, *class)?,
        })
        .await
    }

    /// The judgement in the recipe of a picture with this score.
    pub fn judgement(&self, score: f32) -> Judgement {
        Judgement { judge: self.id.clone(), measure: self.measure(), score }
    }
}

/// How many pictures to sample so that `count` is the fraction `acceptance` of them.
///
/// # Errors
/// `acceptance` is not above 0 and at most 1, or so small that the number overflows.
pub fn sampled_for(count: u32, acceptance: f64) -> Result<u32> {
    if !(acceptance > 0.0 && acceptance <= 1.0) {
        return Err(Error::usage(format!("acceptance: expected above 0 and at most 1, found {acceptance}")));
    }
    // A rounding error in a whole quotient must not add a picture.
    let sampled = (f64::from(count) / acceptance * (1.0 - 1e-12)).ceil();
    if sampled > f64::from(u32::MAX) {
        return Err(Error::usage(format!("acceptance: {acceptance} is too small: choose a higher rate")));
    }
    Ok(sampled as u32)
}

/// Loads the CLIP in `file`.
///
/// # Errors
/// The file is not a CLIP.
pub fn load_clip(file: &WeightFile, device: &Device, task: &mut Task) -> Result<Clip> {
    Clip::load(file, device, watched(file.tensors().len(), task))
}

/// Loads the ResNet in the file at `path`, for the transformer's `classes` classes.
///
/// # Errors
/// The file is not a ResNet, or has another number of classes.
pub fn load_classifier(
    path: &Path,
    classes: usize,
    device: &Device,
    task: &mut Task,
) -> Result<(ResNet, ModelId)> {
    let file = WeightFile::open(path, StateKind::Auto)?;
    let classifier = ResNet::load(&file, device, watched(file.tensors().len(), task))?;
    if classifier.classes() != classes {
        return Err(Error::invalid(format!(
            "{}: expected a classifier of the transformer's {classes} classes, found one of {}; both must number the classes alike",
            file.name(),
            classifier.classes()
        )));
    }
    Ok((classifier, id_of_file(&file)?))
}

/// The best items so far, best first; ties keep the earlier one.
pub struct Best<T> {
    most: usize,
    /// In descending order of score.
    kept: Vec<(f32, T)>,
}

impl<T> Best<T> {
    /// Keeps the `most` best.
    pub fn new(most: usize) -> Self {
        Self { most, kept: Vec::new() }
    }

    /// True if an item with `score` would be kept.
    pub fn takes(&self, score: f32) -> bool {
        self.kept.len() < self.most
            || self.kept.last().is_some_and(|(least, _)| score.total_cmp(least).is_gt())
    }

    /// Adds an item, and returns the one that no longer fits, if any; it may be the new one.
    pub fn add(&mut self, score: f32, one: T) -> Option<T> {
        let at = self.kept.partition_point(|(other, _)| other.total_cmp(&score).is_ge());
        self.kept.insert(at, (score, one));
        if self.kept.len() > self.most { self.kept.pop().map(|(_, least)| least) } else { None }
    }

    /// Scores and items, best first.
    pub fn into_vec(self) -> Vec<(f32, T)> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_kept_and_ties_keep_the_first() {
        let mut best = Best::new(3);
        let added = [(0.5, 'a'), (0.1, 'b'), (0.5, 'c'), (0.9, 'd'), (0.1, 'e'), (0.5, 'f')];
        let left: Vec<Option<char>> = added.map(|(score, one)| best.add(score, one)).to_vec();
        assert_eq!(left, [None, None, None, Some('b'), Some('e'), Some('f')]);
        assert_eq!(best.into_vec(), [(0.9, 'd'), (0.5, 'a'), (0.5, 'c')]);
    }

    #[test]
    fn the_acceptance_rate_sets_how_many_are_sampled() {
        for (count, acceptance, sampled) in
            [(4, 0.25, 16), (3, 0.3, 10), (1, 0.3, 4), (7, 1.0, 7), (49, 0.7, 70), (10, 0.05, 200)]
        {
            assert_eq!(sampled_for(count, acceptance).unwrap(), sampled, "{count} of {acceptance}");
        }
        for acceptance in [0.0, -1.0, 1.5, f64::NAN, 1e-12] {
            let error = sampled_for(4, acceptance).unwrap_err().to_string();
            assert!(error.starts_with("acceptance: "), "{error}");
        }
    }
}
