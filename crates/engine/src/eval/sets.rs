//! Sets of pictures by their Inception features: the distance between sets, and the inception score of one.

use std::path::Path;
use std::sync::Once;

use burn::tensor::Device;
use burn::tensor::activation::softmax;
use serde::Serialize;

use super::Pictures;
use crate::Stage2;
use crate::bulk::Order;
use crate::reconstruct::decode;
use crate::sample::{Sampled, sample};
use residua_core::error::Result;
use residua_core::random::permutation;
use residua_core::sampling::{Filter, Schedule};
use residua_core::task::Task;
use residua_io::image_io::Picture;
use residua_judges::inception::{CLASSES, FEATURES, Inception, input};
use residua_metrics::frechet::{Moments, Statistics};
use residua_metrics::inception_score::{InceptionScore, inception_score};
use residua_model::RqVae;
use residua_model::generate::Request;
use residua_model::rqvae::Partial;
use residua_model::tensors::{from_tensor, read, to_tensor};

/// Inception, and the hash of its weights.
#[derive(Debug)]
pub struct Judge {
    network: Inception,
    /// SHA-256 of its file.
    pub sha256: String,
}

/// Inception's outputs for a set of pictures.
#[derive(Debug)]
pub struct Seen {
    moments: Moments,
    /// Class probabilities, picture by picture.
    probabilities: Vec<f32>,
}

/// How metrics of sets were computed; only those computed alike can be compared.
#[derive(Clone, Debug, Serialize)]
pub struct Protocol {
    /// SHA-256 of Inception's weights.
    pub inception_sha256: String,
    /// Pictures measured.
    pub pictures: usize,
    /// Pictures that they were compared with; `None`: saved statistics.
    pub reference_pictures: Option<usize>,
    /// Pixels per side to which pictures in folders were resized and cropped first: the middle square after
    /// resizing the shorter side. `None`: they were used as they are.
    pub resolution: Option<usize>,
    /// How Inception's input was made.
    pub resize: &'static str,
    /// The divisor of covariances.
    pub covariance: &'static str,
}

impl Judge {
    /// Loads the weights at `path`.
    ///
    /// # Errors
    /// Those of [`Inception::open`].
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        let (network, sha256) = Inception::open(path, device)?;
        Ok(Self { network, sha256 })
    }

    /// Computes the features of all `pictures`.
    ///
    /// # Errors
    /// The task was stopped; no picture could be read.
    pub async fn look(&self, pictures: &mut Pictures, task: &mut Task<'_>) -> Result<Seen> {
        let mut seen = Seen::nothing();
        while let Some(batch) = pictures.next_batch(task).await? {
            self.add(&mut seen, &batch.pictures).await?;
        }
        Ok(seen)
    }

    /// Computes the features of all `pictures`, which have the resolution of `model`, and of their
    /// reconstructions from the first of each cell's nearest codes, from the first two, and so on.
    ///
    /// # Errors
    /// Those of [`Self::look`].
    pub async fn look_by_depth(
        &self,
        model: &RqVae,
        pictures: &mut Pictures,
        task: &mut Task<'_>,
    ) -> Result<(Seen, Vec<Seen>)> {
        let mut originals = Seen::nothing();
        let mut reconstructions: Vec<Seen> = (0..model.config.depth()).map(|_| Seen::nothing()).collect();
        while let Some(batch) = pictures.next_batch(task).await? {
            self.add(&mut originals, &batch.pictures).await?;
            let latents = model.encode(to_tensor(&batch.pictures, model.device()));
            let codes = model.quantizer.quantize(latents).codes;
            for (depth, seen) in reconstructions.iter_mut().enumerate() {
                task.pause().await?;
                let made = from_tensor(model.decode_partial(codes.clone(), Partial::Add(depth))).await?;
                self.add(seen, &made).await?;
            }
        }
        Ok((originals, reconstructions))
    }

    /// Samples pictures from `stage2`, in the parts of `schedule` if it is contextual, and computes their
    /// features.
    ///
    /// # Errors
    /// The orders do not fit the model, or the task was stopped.
    pub async fn look_at_samples(
        &self,
        stage2: &Stage2,
        orders: Vec<Order>,
        filters: &[Filter],
        schedule: Option<&Schedule>,
        seed: u64,
        task: &mut Task<'_>,
    ) -> Result<Seen> {
        let total = orders.iter().map(|order| order.images.len()).sum();
        let mut seen = Seen::nothing();
        for Order { given, images } in orders {
            let (condition, filters) = (given.tokens, filters.to_vec());
            let request = Request { condition, filters, seed, images, forced: None };
            let mut silent = task.silent();
            let keep = async |sampled: Sampled| match sampled {
                Sampled::Partly { .. } => Ok(()),
                Sampled::Whole(stacks) => {
                    let made = decode(&stage2.stage1.model, &stacks, &mut task.silent()).await?;
                    self.add(&mut seen, &made).await?;
                    task.report(seen.moments.count(), total);
                    Ok(())
                }
            };
            sample(&stage2.model, &request, schedule, false, &mut silent, keep).await?;
        }
        Ok(seen)
    }

    /// Adds the features of a batch of pictures.
    async fn add(&self, seen: &mut Seen, pictures: &[Picture]) -> Result<()> {
        let inputs: Vec<Picture> = pictures.iter().map(input).collect();
        let found = self.network.forward(to_tensor(&inputs, self.network.device()));
        seen.moments.add(&read(found.features).await?);
        seen.probabilities.extend(read(softmax(found.logits, 1)).await?);
        Ok(())
    }
}

impl Seen {
    fn nothing() -> Self {
        Self { moments: Moments::new(FEATURES), probabilities: Vec::new() }
    }

    /// Number of pictures.
    pub fn count(&self) -> usize {
        self.moments.count()
    }

    /// The inception score over `parts` splits. The pictures are first shuffled, always in the same way, so
    /// that the splits mix classes.
    ///
    /// # Errors
    /// There are fewer pictures than splits.
    pub fn score(&self, parts: usize) -> Result<InceptionScore> {
        let order = permutation(self.count(), [0; 3]);
        let row = |picture: usize| &self.probabilities[picture * CLASSES..][..CLASSES];
        let mixed: Vec<f32> = order.into_iter().flat_map(row).copied().collect();
        inception_score(&mixed, CLASSES, parts)
    }

    /// Mean and covariance of the features.
    ///
    /// # Errors
    /// There are fewer than two pictures.
    pub fn statistics(self) -> Result<Statistics> {
        // One command may compute several sets.
        static SAID: Once = Once::new();
        if self.count() < FEATURES {
            SAID.call_once(|| tracing::warn!(
                "{} pictures are fewer than the {FEATURES} features: distances are larger than with more pictures, and \
                 only comparable at the same number of pictures",
                self.count()
            ));
        }
        self.moments.finish()
    }
}

impl Protocol {
    /// The protocol for `pictures` pictures.
    pub fn new(
        judge: &Judge,
        pictures: usize,
        reference_pictures: Option<usize>,
        resolution: Option<usize>,
    ) -> Self {
        Self {
            inception_sha256: judge.sha256.clone(),
            pictures,
            reference_pictures,
            resolution,
            resize: "whole picture to 299x299, bilinear without antialiasing, values clamped to [-1, 1]",
            covariance: "divided by the number of pictures minus one",
        }
    }
}
