//! Sampling in bulk, for evaluation: pictures of every class, or of a list of captions, in a folder that a
//! later call can continue.
//!
//! ```text
//! samples.json      what determines the pictures
//! 000000.png        a picture, with its codes and its recipe
//! captions.tsv      their captions, if they have any
//! codes.npy         all codes (n, h, w, depth), once all pictures are there
//! ```
//!
//! Several processes may each sample a part of the pictures into one folder, at once: they write the same plan, each
//! picture is whole or not there, and whoever finds all pictures there writes the lists.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Stage2;
use super::reconstruct::decode;
use super::sample::{Sampled, sample};
use residua_core::codes::{CodeStack, npy};
use residua_core::config::{ConditionKind, Precision, RqTransformerConfig, StateKind};
use residua_core::error::{Error, Result};
use residua_core::files::{self, Existing};
use residua_core::part::Part;
use residua_core::sampling::{Filter, Images, Schedule};
use residua_core::task::Task;
use residua_io::image_io;
use residua_io::image_io::png_text::Provenance;
use residua_model::generate::Request;
use residua_protocol::condition::{class_of, tokens_of_all};
use residua_protocol::recipe::SamplingRecipe;
use residua_protocol::{Condition, ModelId, Recipe};

/// The file that records what determines the pictures of a folder.
const PLAN: &str = "samples.json";

/// The files with the codes and captions of all pictures.
const LISTS: [&str; 2] = ["codes.npy", "captions.tsv"];

/// Size limit of these files, in bytes: enough for a million captions.
const LONGEST: u64 = 1 << 30;

/// The condition of some of the pictures.
#[derive(Clone, Debug)]
pub struct Given {
    /// For users.
    pub condition: Condition,
    /// Its tokens, for the model.
    pub tokens: Vec<u32>,
}

/// Pictures of one condition, by their numbers within a seed.
#[derive(Clone, Debug)]
pub struct Order {
    /// Their condition.
    pub given: Given,
    /// Their numbers.
    pub images: Range<u32>,
}

/// All conditions that the model of `config` takes: every class, each of the `captions`, or the unconditional
/// one.
///
/// # Errors
/// The model takes captions, and there are none, or it knows fewer tokens than its tokenizer.
pub fn conditions(config: &RqTransformerConfig, captions: &[String]) -> Result<Vec<Given>> {
    let length = config.block_size_cond;
    match config.condition() {
        ConditionKind::Unconditional => {
            Ok(vec![Given { condition: Condition::Unconditional, tokens: vec![0; length] }])
        }
        ConditionKind::Class => {
            let named = config.classes.len();
            let classes = if named > 0 { named } else { config.vocab_size_cond };
            let given = |class| Given { condition: class_of(class, config), tokens: vec![class as u32] };
            Ok((0..classes).map(given).collect())
        }
        ConditionKind::Text if captions.is_empty() => Err(Error::usage(
            "this model needs captions: give one, a file of captions, or a folder of pictures with captions.tsv",
        )),
        ConditionKind::Text => {
            let given = |(caption, tokens): (&String, Vec<u32>)| Given {
                condition: Condition::Prompt(caption.clone()),
                tokens,
            };
            Ok(captions.iter().zip(tokens_of_all(captions, config)?).map(given).collect())
        }
    }
}

/// Spreads `total` pictures over all `given` conditions as evenly as possible.
pub fn spread(given: Vec<Given>, total: u32) -> Vec<Order> {
    let all = given.len() as u64;
    let until = |which: usize| (u64::from(total) * which as u64 / all) as u32;
    let orders = given.into_iter().enumerate();
    let orders = orders.map(|(which, given)| Order { given, images: until(which)..until(which + 1) });
    orders.filter(|order| !order.images.is_empty()).collect()
}

/// A bulk sampling job.
pub struct Bulk<'a> {
    /// The models.
    pub stage2: &'a Stage2,
    /// One per depth.
    pub filters: Vec<Filter>,
    /// How a contextual model drafts and revises.
    pub schedule: Option<Schedule>,
    /// Random seed.
    pub seed: u64,
    /// Precision of the transformer's weights.
    pub precision: Precision,
    /// Which weights of the checkpoints were requested.
    pub weights: StateKind,
    /// The conditions and numbers of the pictures.
    pub orders: Vec<Order>,
    /// Which of these to sample.
    pub part: Part,
}

/// What determines the pictures of a folder, as stored there. Models are given by hash, since they may move.
#[derive(PartialEq, Serialize, Deserialize)]
struct Plan {
    rqvae_sha256: String,
    rqtransformer_sha256: String,
    seed: u64,
    filters: Vec<Filter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<Schedule>,
    device: String,
    precision: Precision,
    weights: StateKind,
    orders: Vec<(Condition, Range<u32>)>,
}

/// The result of a call.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Filled {
    /// Pictures that it sampled.
    pub made: usize,
    /// Pictures that were already there.
    pub found: usize,
}

impl Bulk<'_> {
    /// Samples the pictures of the part that `folder` lacks or that are damaged there. Then, if those of all parts are
    /// there, writes the lists of all. If the task is stopped, finished pictures stay for a later call.
    ///
    /// # Errors
    /// The folder has pictures of another plan, a file cannot be written, or the task was stopped.
    pub async fn fill(&self, folder: &Path, task: &mut Task<'_>) -> Result<Filled> {
        // Each id reads all weights.
        let models = [self.stage2.stage1.id()?, self.stage2.id()?];
        self.claim(folder, &models)?;
        let mut codes = whole(folder, &self.there(folder, self.part)?)?;
        let (found, total) = (codes.len(), self.count(self.part));
        let there = codes.keys().copied().collect();
        for (Given { condition, tokens }, images) in missing(&self.orders, self.part, &there) {
            let mut numbers = images.numbers();
            let (filters, seed) = (self.filters.clone(), self.seed);
            let request = Request { condition: tokens, filters, seed, images, forced: None };
            let mut silent = task.silent();
            let keep = async |sampled: Sampled| {
                let Sampled::Whole(stacks) = sampled else { return Ok(()) };
                // Unwatched, so that a stop does not lose codes that were sampled.
                let model = &self.stage2.stage1.model;
                let pictures = decode(model, &stacks, &mut Task::unwatched()).await?;
                for ((picture, stack), number) in pictures.iter().zip(stacks).zip(numbers.by_ref()) {
                    let recipe = Some(self.recipe(&models, number, &condition).to_json());
                    let provenance = Provenance { recipe, codes: Some(stack.clone()) };
                    picture.save_png(&file(folder, number), &provenance)?;
                    codes.insert(number, stack);
                }
                task.report(codes.len(), total);
                Ok(())
            };
            sample(&self.stage2.model, &request, self.schedule.as_ref(), false, &mut silent, keep).await?;
        }
        let made = codes.len() - found;
        if let Some(codes) = self.completed(folder, codes)? {
            self.list(folder, codes)?;
        }
        Ok(Filled { made, found })
    }

    /// The `codes` of this part with those of all others, if their pictures are in `folder`, too.
    fn completed(
        &self,
        folder: &Path,
        mut codes: BTreeMap<u32, CodeStack>,
    ) -> Result<Option<BTreeMap<u32, CodeStack>>> {
        let total = self.count(Part::WHOLE);
        let mut others = self.there(folder, Part::WHOLE)?;
        others.retain(|&number| !self.part.has(number));
        // Reading takes time, so only if no name is missing.
        if codes.len() + others.len() == total {
            codes.extend(whole(folder, &others)?);
        }
        Ok((codes.len() == total).then_some(codes))
    }

    /// The numbers of the planned pictures of `part` that are in `folder`.
    fn there(&self, folder: &Path, part: Part) -> Result<Vec<u32>> {
        let there = numbers(folder)?;
        let planned = self.orders.iter().flat_map(|order| there.range(order.images.clone()));
        Ok(planned.copied().filter(|&number| part.has(number)).collect())
    }

    /// How many pictures `part` has.
    fn count(&self, part: Part) -> usize {
        self.orders.iter().flat_map(|order| order.images.clone()).filter(|&number| part.has(number)).count()
    }

    /// Writes the plan to the folder, or checks the one that is there.
    fn claim(&self, folder: &Path, [rqvae, rqtransformer]: &[ModelId; 2]) -> Result<()> {
        let plan = Plan {
            rqvae_sha256: rqvae.sha256.clone(),
            rqtransformer_sha256: rqtransformer.sha256.clone(),
            seed: self.seed,
            filters: self.filters.clone(),
            schedule: self.schedule.clone(),
            device: residua_kernels::device::kind(self.stage2.model.device()).into(),
            precision: self.precision,
            weights: self.weights,
            orders: self
                .orders
                .iter()
                .map(|order| (order.given.condition.clone(), order.images.clone()))
                .collect(),
        };
        let path = folder.join(PLAN);
        files::create_folder(folder)?;
        // Looked for before the plan: another part writes its plan before any picture.
        let is_used = LISTS.iter().any(|name| folder.join(name).exists()) || !numbers(folder)?.is_empty();
        if !path.exists() {
            if is_used {
                return Err(Error::usage(format!(
                    "{}: expected a new folder or one with {PLAN}, found other numbered pictures or lists: choose another folder",
                    folder.display()
                )));
            }
            let bytes = serde_json::to_vec_pretty(&plan).map_err(Error::invalid)?;
            match files::save_as(&path, Existing::Keep, &bytes) {
                // Another part was faster.
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {}
                saved => return saved,
            }
        }
        let found: Option<Plan> = serde_json::from_slice(&files::read_limited(&path, LONGEST)?).ok();
        if found.is_some_and(|found| found == plan) {
            Ok(())
        } else {
            Err(Error::usage(format!(
                "{}: expected samples of this model, seed, conditions, filters and device, found others: choose another folder",
                folder.display()
            )))
        }
    }

    /// The recipe of one picture.
    fn recipe(&self, [rqvae, rqtransformer]: &[ModelId; 2], number: u32, condition: &Condition) -> Recipe {
        let sampling = SamplingRecipe {
            rqtransformer: rqtransformer.clone(),
            condition: condition.clone(),
            seed: self.seed,
            image: number,
            count: 1,
            filters: self.filters.clone(),
            schedule: self.schedule.clone(),
            device: residua_kernels::device::kind(self.stage2.model.device()).into(),
            precision: self.precision,
            weights: self.weights,
        };
        Recipe::new("sample", rqvae.clone(), Some(sampling))
    }

    /// Writes all `codes`, and the captions if there are any.
    fn list(&self, folder: &Path, codes: BTreeMap<u32, CodeStack>) -> Result<()> {
        let mut captions = String::new();
        for Order { given, images } in &self.orders {
            let Condition::Prompt(caption) = &given.condition else { continue };
            let caption = caption.replace(['\t', '\n', '\r'], " ");
            captions.extend(images.clone().map(|number| format!("{}\t{caption}\n", name(number))));
        }
        let [all_codes, all_captions] = LISTS.map(|name| folder.join(name));
        let codes: Vec<CodeStack> = codes.into_values().collect();
        files::save(&all_codes, &npy::encode_all(&codes)?)?;
        if captions.is_empty() { Ok(()) } else { files::save(&all_captions, captions.as_bytes()) }
    }
}

fn name(number: u32) -> String {
    format!("{number:06}.png")
}

/// The path of picture `number`.
pub fn file(folder: &Path, number: u32) -> PathBuf {
    folder.join(name(number))
}

/// The codes of those of the pictures `there` in `folder` that are whole, by number. Warns of damaged ones.
fn whole(folder: &Path, there: &[u32]) -> Result<BTreeMap<u32, CodeStack>> {
    let read: Result<Vec<Option<CodeStack>>> =
        there.par_iter().map(|&number| codes(&file(folder, number))).collect();
    let read = there.iter().copied().zip(read?);
    Ok(read.filter_map(|(number, codes)| Some((number, codes?))).collect())
}

/// The codes that the picture at `path` carries; `None`, with a warning, if the file is damaged.
fn codes(path: &Path) -> Result<Option<CodeStack>> {
    let bytes = files::read_limited(path, LONGEST)?;
    // Text precedes the pixels, so that codes alone do not mean that a file is whole.
    match image_io::decode::decode(&bytes).and_then(|_| Provenance::read(&bytes)) {
        Ok(Provenance { codes: Some(codes), .. }) => Ok(Some(codes)),
        Ok(_) => Err(Error::invalid(format!(
            "{}: expected a picture with its codes, found no codes: delete it",
            path.display()
        ))),
        Err(error) => {
            tracing::warn!("{}: {error}: it will be sampled again", path.display());
            Ok(None)
        }
    }
}

/// The numbers of the pictures in `folder`.
fn numbers(folder: &Path) -> Result<BTreeSet<u32>> {
    let number = |path: PathBuf| {
        let number = path.file_name()?.to_str()?.strip_suffix(".png")?.parse().ok()?;
        (file(folder, number) == path).then_some(number)
    };
    let files = std::fs::read_dir(folder).map_err(Error::io("list", folder))?;
    Ok(files.filter_map(|file| number(file.ok()?.path())).collect())
}

/// The pictures of `orders` in `part`, without those that are already `there`.
pub(crate) fn missing(orders: &[Order], part: Part, there: &BTreeSet<u32>) -> Vec<(Given, Images)> {
    let runs = |order: &Order| {
        let wanted = order.images.clone().filter(|number| part.has(*number) && !there.contains(number));
        let given = order.given.clone();
        Images::runs(wanted, part.count()).into_iter().map(move |images| (given.clone(), images))
    };
    orders.iter().flat_map(runs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(class: usize) -> Given {
        Given { condition: Condition::Class(class.to_string()), tokens: vec![class as u32] }
    }

    fn ranges(orders: &[Order]) -> Vec<(u32, Range<u32>)> {
        orders.iter().map(|order| (order.given.tokens[0], order.images.clone())).collect()
    }

    #[test]
    fn pictures_are_spread_evenly() {
        let orders = |classes, total| ranges(&spread((0..classes).map(given).collect(), total));
        assert_eq!(orders(3, 6), [(0, 0..2), (1, 2..4), (2, 4..6)]);
        assert_eq!(orders(3, 7), [(0, 0..2), (1, 2..4), (2, 4..7)]);
        assert_eq!(orders(4, 2), [(1, 0..1), (3, 1..2)]);
        assert_eq!(orders(2, 0), []);
        // Intermediate products exceed 32 bits.
        assert_eq!(orders(1000, u32::MAX).last().unwrap().1.end, u32::MAX);
    }

    #[test]
    fn existing_pictures_are_not_sampled_again() {
        let orders = spread([0, 1].map(given).to_vec(), 10);
        let left = |part: &str, there: &[u32]| -> Vec<(u32, Vec<u32>)> {
            let missing = missing(&orders, part.parse().unwrap(), &there.iter().copied().collect());
            missing.into_iter().map(|(given, images)| (given.tokens[0], images.numbers().collect())).collect()
        };
        assert_eq!(left("0/1", &[]), [(0, vec![0, 1, 2, 3, 4]), (1, vec![5, 6, 7, 8, 9])]);
        assert_eq!(left("0/1", &[0, 1, 4, 5, 7, 99]), [(0, vec![2, 3]), (1, vec![6]), (1, vec![8, 9])]);
        assert_eq!(left("0/1", &(0..10).collect::<Vec<_>>()), []);
        assert_eq!(left("1/2", &[]), [(0, vec![1, 3]), (1, vec![5, 7, 9])]);
        assert_eq!(left("1/2", &[2, 7]), [(0, vec![1, 3]), (1, vec![5]), (1, vec![9])]);
    }
}
