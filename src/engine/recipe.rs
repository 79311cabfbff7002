//! How a picture was made, as its PNG carries it: enough to make it again.

use serde::{Deserialize, Deserializer, Serialize};

use super::condition::Condition;
use crate::error::{Error, Result};
use crate::generate::{Filter, Schedule};
use crate::model::{Precision, StateKind};

/// A model by name and content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelId {
    /// Where it was opened from: a bundled model's name or a path.
    pub name: String,
    /// SHA-256 of the weight file.
    pub sha256: String,
}

/// What made a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Version of Residua.
    pub residua: String,
    /// `reconstruct`, `decode`, `sample`, `complete`, `revise` or `edit`.
    pub made_by: String,
    /// The RQ-VAE.
    pub rqvae: ModelId,
    /// The sampling, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SamplingRecipe>,
    /// What it was chosen by, where it was chosen among others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
}

/// What a picture was chosen by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The weights.
    pub judge: ModelId,
    /// What they say.
    pub measure: Measure,
    /// The picture's.
    pub score: f32,
}

/// What pictures are chosen by: more is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// How well it fits its caption: a cosine, in [-1, 1].
    ClipScore,
    /// That it shows its class: in [0, 1].
    ClassProbability,
    /// How well what was sampled leads to what was kept after it: the mean of the logarithms of the probabilities that the
    /// transformer gives those codes, in bits; at most 0.
    KeptLikelihood,
}

impl Measure {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClipScore => "CLIP score",
            Self::ClassProbability => "class probability",
            Self::KeptLikelihood => "likelihood of the kept codes after it",
        }
    }
}

/// What made a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamplingRecipe {
    /// The RQ-Transformer.
    pub rqtransformer: ModelId,
    /// Class, caption or nothing.
    pub condition: Condition,
    /// Seed of all draws.
    pub seed: u64,
    /// The picture's number among those of that seed; for a sheet, its first.
    pub image: u32,
    /// Pictures in a sheet; 1 for a single one.
    pub count: u32,
    /// One a depth.
    pub filters: Vec<Filter>,
    /// How a contextual model drafted and revised it; the filters are those of the draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// `cpu` or `gpu`: other devices round otherwise, and a draw may then fall otherwise.
    pub device: String,
    /// How the transformer's weights were kept.
    #[serde(alias = "half", deserialize_with = "precision_or_half")]
    pub precision: Precision,
    /// Which weights of the checkpoints were asked for.
    pub weights: StateKind,
}

impl Recipe {
    /// A recipe of this version.
    pub fn new(made_by: &str, rqvae: ModelId, sampling: Option<SamplingRecipe>) -> Self {
        let residua = env!("CARGO_PKG_VERSION").to_string();
        Self { residua, made_by: made_by.into(), rqvae, sampling, judgement: None }
    }

    /// As PNG text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a recipe holds only strings and finite numbers")
    }

    /// From PNG text.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| {
            Error::invalid(format!("the picture's recipe is not one that this version reads: {e}"))
        })
    }
}

/// The precision; in older recipes, whether it was `half`.
fn precision_or_half<'de, D: Deserializer<'de>>(recipe: D) -> std::result::Result<Precision, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Told {
        Half(bool),
        Precision(Precision),
    }
    Ok(match Told::deserialize(recipe)? {
        Told::Half(true) => Precision::F16,
        Told::Half(false) => Precision::Stored,
        Told::Precision(precision) => precision,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Rounds;
    use serde_json::{Value, json};

    fn recipe() -> Recipe {
        let model = ModelId { name: "emoji-64".into(), sha256: "0".into() };
        let sampling = SamplingRecipe {
            rqtransformer: model.clone(),
            condition: Condition::Unconditional,
            seed: 1,
            image: 0,
            count: 1,
            filters: vec![Filter::NONE],
            schedule: None,
            device: "cpu".into(),
            precision: Precision::Q8,
            weights: StateKind::Auto,
        };
        Recipe::new("sample", model, Some(sampling))
    }

    #[test]
    fn a_recipe_survives_its_text() {
        let judge = ModelId { name: "clip.pt".into(), sha256: "1".into() };
        let judgement = Some(Judgement { judge, measure: Measure::ClipScore, score: 0.25 });
        let mut drafted = recipe();
        if let Some(sampling) = &mut drafted.sampling {
            let filters = vec![Filter::GREEDY];
            sampling.schedule = Some(Schedule { draft: 9, revise: Rounds { rounds: 3, parts: 2 }, filters });
        }
        for recipe in [recipe(), Recipe { judgement, ..recipe() }, drafted] {
            assert_eq!(Recipe::from_json(&recipe.to_json()).unwrap(), recipe);
        }
    }

    /// Pictures outlive versions: older ones say only whether weights were halved.
    #[test]
    fn older_recipes_say_half() {
        for (half, precision) in [(true, Precision::F16), (false, Precision::Stored)] {
            let mut older: Value = serde_json::from_str(&recipe().to_json()).unwrap();
            let sampling = older["sampling"].as_object_mut().unwrap();
            assert_eq!(sampling.remove("precision"), Some(json!("q8")));
            sampling.insert("half".into(), json!(half));
            assert_eq!(Recipe::from_json(&older.to_string()).unwrap().sampling.unwrap().precision, precision);
        }
    }
}
