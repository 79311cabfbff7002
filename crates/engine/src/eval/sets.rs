//! Sets of pictures by their Inception features: the distance between sets, and the inception score of one.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Once;

use burn::tensor::Device;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};

use super::{Pictures, Tally};
use crate::Stage2;
use crate::bulk::{Given, Order, missing};
use crate::reconstruct::decode;
use crate::sample::{Sampled, sample};
use residua_core::error::Result;
use residua_core::part::Part;
use residua_core::random::permutation;
use residua_core::sampling::{Filter, Schedule};
use residua_core::task::Task;
use residua_io::image_io::Picture;
use residua_io::image_io::framing::Framing;
use residua_judges::inception::{CLASSES, FEATURES, Inception, input};
use residua_metrics::frechet::{Moments, Statistics};
use residua_metrics::inception_score::{InceptionScore, Splits, split_of};
use residua_metrics::merge::{Merge, differing};
use residua_model::RqVae;
use residua_model::generate::Request;
use residua_model::rqvae::Partial;
use residua_model::tensors::{from_tensor, read, to_tensor};

/// Inception, which looks at pictures, and the hash of its weights.
#[derive(Debug)]
pub struct Observer {
    network: Inception,
    /// SHA-256 of its file.
    pub sha256: String,
}

/// Sums over Inception's outputs for a set of pictures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    moments: Moments,
    splits: Splits,
}

/// Sums over pictures and their reconstructions.
#[derive(Debug, Serialize, Deserialize)]
pub struct SeenByDepth {
    /// The pictures.
    pub originals: Seen,
    /// Their reconstructions, from the first of each cell's codes, from the first two, and so on.
    pub reconstructions: Vec<Seen>,
}

/// What sets are compared with.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reference {
    /// Statistics from a file, the same for every part.
    Saved(Statistics),
    /// Sums over a set of pictures.
    Seen(Tally<Seen>),
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
    /// Pixels per side to which pictures in folders were resized first. `None`: they were used as they are.
    pub resolution: Option<usize>,
    /// How they became squares: the middle one after resizing the shorter side, or the whole.
    pub framing: Framing,
    /// How Inception's input was made.
    pub resize: &'static str,
    /// The divisor of covariances.
    pub covariance: &'static str,
}

impl Observer {
    /// Loads the weights at `path`.
    ///
    /// # Errors
    /// Those of [`Inception::open`].
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        let (network, sha256) = Inception::open(path, device)?;
        Ok(Self { network, sha256 })
    }

    /// Computes the features of all `pictures`, which make up `splits` splits of the inception score.
    ///
    /// # Errors
    /// The task was stopped; no picture could be read.
    pub async fn look(
        &self,
        pictures: &mut Pictures,
        splits: usize,
        task: &mut Task<'_>,
    ) -> Result<Tally<Seen>> {
        let mut seen = Seen::nothing(splits);
        let shuffled = shuffled(pictures.items().len(), splits);
        while let Some(batch) = pictures.next_batch(task).await? {
            let of_batch: Vec<usize> =
                batch.numbers.iter().map(|&number| shuffled[number as usize]).collect();
            self.add(&mut seen, &batch.pictures, &of_batch).await?;
        }
        Ok(Tally::new(pictures, seen))
    }

    /// Computes the features of all `pictures`, which have the resolution of `model`, and of their
    /// reconstructions from the nearest codes.
    ///
    /// # Errors
    /// Those of [`Self::look`].
    pub async fn look_by_depth(
        &self,
        model: &RqVae,
        pictures: &mut Pictures,
        task: &mut Task<'_>,
    ) -> Result<Tally<SeenByDepth>> {
        let mut originals = Seen::nothing(1);
        let mut reconstructions = vec![Seen::nothing(1); model.config.depth()];
        while let Some(batch) = pictures.next_batch(task).await? {
            let of_batch = vec![0; batch.pictures.len()];
            self.add(&mut originals, &batch.pictures, &of_batch).await?;
            let latents = model.encode(to_tensor(&batch.pictures, model.device()));
            let codes = model.quantizer.quantize(latents).codes;
            for (depth, seen) in reconstructions.iter_mut().enumerate() {
                task.pause().await?;
                let made = from_tensor(model.decode_partial(codes.clone(), Partial::Add(depth))).await?;
                self.add(seen, &made, &of_batch).await?;
            }
        }
        Ok(Tally::new(pictures, SeenByDepth { originals, reconstructions }))
    }

    /// Samples the pictures of `part`, and computes their features.
    ///
    /// # Errors
    /// The orders do not fit the model, or the task was stopped.
    pub async fn look_at_samples(
        &self,
        Plan { stage2, orders, filters, schedule, seed, splits }: &Plan<'_>,
        part: Part,
        task: &mut Task<'_>,
    ) -> Result<Tally<Seen>> {
        let shuffled = shuffled(orders.iter().map(|order| order.images.len()).sum(), *splits);
        let wanted = missing(orders, part, &BTreeSet::new());
        let total = wanted.iter().map(|(_, images)| images.len()).sum();
        let mut seen = Seen::nothing(*splits);
        for (Given { tokens, .. }, images) in wanted {
            let request =
                Request { condition: tokens, filters: filters.clone(), seed: *seed, images, forced: None };
            let mut of_all = images.numbers().map(|number| shuffled[number as usize]);
            let mut silent = task.silent();
            let keep = async |sampled: Sampled| match sampled {
                Sampled::Partly { .. } => Ok(()),
                Sampled::Whole(stacks) => {
                    let made = decode(&stage2.stage1.model, &stacks, &mut task.silent()).await?;
                    let of_batch: Vec<usize> = of_all.by_ref().take(made.len()).collect();
                    self.add(&mut seen, &made, &of_batch).await?;
                    task.report(seen.moments.count(), total);
                    Ok(())
                }
            };
            sample(&stage2.model, &request, schedule.as_ref(), false, &mut silent, keep).await?;
        }
        Ok(Tally { pictures: seen.moments.count(), left_out: Vec::new(), sums: seen })
    }

    /// Adds the features of a batch of pictures, which are in these `splits`.
    async fn add(&self, seen: &mut Seen, pictures: &[Picture], splits: &[usize]) -> Result<()> {
        let inputs: Vec<Picture> = pictures.iter().map(input).collect();
        let found = self.network.forward(to_tensor(&inputs, self.network.device()));
        seen.moments.add(&read(found.features).await?);
        let probabilities = read(softmax(found.logits, 1)).await?;
        splits
            .iter()
            .zip(probabilities.chunks_exact(CLASSES))
            .for_each(|(&split, row)| seen.splits.add(split, row));
        Ok(())
    }
}

/// Pictures to sample and judge.
pub struct Plan<'a> {
    /// The models.
    pub stage2: &'a Stage2,
    /// The conditions and numbers of the pictures, from 0 without gaps.
    pub orders: Vec<Order>,
    /// One per depth.
    pub filters: Vec<Filter>,
    /// How a contextual model drafts and revises.
    pub schedule: Option<Schedule>,
    /// Random seed.
    pub seed: u64,
    /// Number of splits of the inception score.
    pub splits: usize,
}

/// The split of each of `total` pictures. They are shuffled, always in the same way, so that the splits mix classes.
fn shuffled(total: usize, splits: usize) -> Vec<usize> {
    let mut found = vec![0; total];
    for (place, picture) in permutation(total, [0; 3]).into_iter().enumerate() {
        found[picture] = split_of(place, total, splits);
    }
    found
}

impl Merge for Seen {
    fn merge(&mut self, other: Self) -> Result<()> {
        self.moments.merge(other.moments)?;
        self.splits.merge(other.splits)
    }
}

impl Merge for SeenByDepth {
    fn merge(&mut self, other: Self) -> Result<()> {
        self.originals.merge(other.originals)?;
        self.reconstructions.merge(other.reconstructions)
    }
}

impl Merge for Reference {
    fn merge(&mut self, other: Self) -> Result<()> {
        match (self, other) {
            (Self::Seen(seen), Self::Seen(other)) => seen.merge(other),
            (Self::Saved(saved), Self::Saved(other)) if *saved == other => Ok(()),
            (Self::Saved(_), Self::Saved(_)) => Err(differing("the same saved statistics", "others")),
            (Self::Seen(_), Self::Saved(_)) => Err(differing("pictures as reference", "saved statistics")),
            (Self::Saved(_), Self::Seen(_)) => Err(differing("saved statistics as reference", "pictures")),
        }
    }
}

impl Reference {
    /// The statistics, and the number of pictures behind them, if known.
    ///
    /// # Errors
    /// There are fewer than two pictures.
    pub fn statistics(self) -> Result<(Statistics, Option<usize>)> {
        match self {
            Self::Saved(statistics) => Ok((statistics, None)),
            Self::Seen(Tally { pictures, sums, .. }) => Ok((sums.statistics()?, Some(pictures))),
        }
    }
}

impl Seen {
    fn nothing(splits: usize) -> Self {
        Self { moments: Moments::new(FEATURES), splits: Splits::new(CLASSES, splits) }
    }

    /// The inception score.
    ///
    /// # Errors
    /// There are no pictures.
    pub fn score(&self) -> Result<InceptionScore> {
        self.splits.score()
    }

    /// Mean and covariance of the features.
    ///
    /// # Errors
    /// There are fewer than two pictures.
    pub fn statistics(self) -> Result<Statistics> {
        // One warning, even if a command computes several sets.
        static SAID: Once = Once::new();
        let count = self.moments.count();
        if count < FEATURES {
            SAID.call_once(|| tracing::warn!(
                "{count} pictures are fewer than the {FEATURES} features: FID is higher than with more pictures, and only \
                 comparable at the same number of pictures"
            ));
        }
        self.moments.finish()
    }
}

impl Protocol {
    /// The protocol for `pictures` pictures and Inception's weights of this hash. Pictures are cropped.
    pub fn new(
        inception_sha256: &str,
        pictures: usize,
        reference_pictures: Option<usize>,
        resolution: Option<usize>,
    ) -> Self {
        Self {
            inception_sha256: inception_sha256.into(),
            pictures,
            reference_pictures,
            resolution,
            framing: Framing::Middle,
            resize: "whole picture to 299x299, bilinear without antialiasing, values clamped to [-1, 1]",
            covariance: "divided by the number of pictures minus one",
        }
    }
}
