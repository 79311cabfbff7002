//! How a picture was made, as stored in its PNG: enough to make it again.

use serde::{Deserialize, Deserializer, Serialize};

use super::condition::Condition;
use residua_core::config::{Precision, StateKind, read_known};
use residua_core::error::{Error, Result};
use residua_core::sampling::{Filter, Schedule};

/// A model by name and content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelId {
    /// Where it was opened from: a bundled model's name or a path.
    pub name: String,
    /// SHA-256 of its tensors (`Checkpoint::content`), the same in every file format; of the
    /// file, for weights without a configuration.
    pub sha256: String,
}

/// How a picture was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Version of Residua.
    pub residua: String,
    /// `reconstruct`, `decode`, `sample`, `complete`, `revise` or `edit`.
    pub made_by: String,
    /// The RQ-VAE.
    pub rqvae: ModelId,
    /// How it was sampled, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SamplingRecipe>,
    /// How it was scored, if it was selected among others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
}

/// The score that a picture was selected by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The model that scored it.
    pub judge: ModelId,
    /// The measure of the score.
    pub measure: Measure,
    /// The picture's score.
    pub score: f32,
}

/// What pictures are selected by; higher is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// How well it matches its caption: a cosine, in `[-1, 1]`.
    ClipScore,
    /// The probability of its class, in `[0, 1]`.
    ClassProbability,
    /// How well the sampled codes fit the kept ones after them: the mean log2 probability that the
    /// transformer gives to the kept codes; at most 0.
    KeptLikelihood,
}

impl Measure {
    /// The name shown to users.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClipScore => "CLIP score",
            Self::ClassProbability => "class probability",
            Self::KeptLikelihood => "likelihood of the later, kept codes",
        }
    }
}

/// How a stack was sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamplingRecipe {
    /// The RQ-Transformer.
    pub rqtransformer: ModelId,
    /// Class, caption or nothing.
    pub condition: Condition,
    /// Random seed.
    pub seed: u64,
    /// The picture's number within that seed; for a sheet, that of its first picture.
    pub image: u32,
    /// Pictures in a sheet; 1 for a single one.
    pub count: u32,
    /// One per depth.
    pub filters: Vec<Filter>,
    /// How a contextual model drafted and revised it; `filters` applies to the draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// `cpu` or `gpu`: rounding differs between devices, so samples may differ.
    pub device: String,
    /// Precision of the transformer's weights.
    #[serde(alias = "half", deserialize_with = "precision_or_half")]
    pub precision: Precision,
    /// Which weights of the checkpoints were requested.
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
        const NAME: &str = "this version cannot read the picture's recipe";
        let value =
            serde_json::from_str(text).map_err(|_| Error::invalid(format!("{NAME}: it is not JSON")))?;
        read_known(NAME, "", &value)
    }

    /// From the PNG text of the picture `name`, if this version can read it. Otherwise there is a warning that ends with
    /// `advice`, but no error: a newer version may have written it, and the codes beside it are the same.
    pub fn if_readable(name: &str, text: &str, advice: &str) -> Option<Self> {
        let unread = |error: Error| tracing::warn!("{name}: {error}{advice}");
        Self::from_json(text).map_err(unread).ok()
    }
}

/// Reads the precision; older recipes only say if it was `half`.
fn precision_or_half<'de, D: Deserializer<'de>>(recipe: D) -> std::result::Result<Precision, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected stored, f16 or q8, found something else")]
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
    use residua_core::sampling::Rounds;
    use serde_json::{Value, json};

    fn recipe() -> Recipe {
        let model = ModelId { name: "characters-128".into(), sha256: "0".into() };
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
    fn a_recipe_round_trips_through_json() {
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

    /// A newer version may write what this one does not know.
    #[test]
    fn what_cannot_be_read_is_named() {
        for (place, value, expected) in [
            ("/sampling/seed", json!(-1), "sampling.seed: expected a whole number, 0 or more, found -1"),
            (
                "/sampling/condition",
                json!({"image": "a"}),
                "expected one of unconditional, class, prompt, found image",
            ),
            ("/sampling/precision", json!("q2"), "sampling.precision: expected stored, f16 or q8"),
            ("/sampling/filters", json!("none"), "sampling.filters: expected a list, found \"none\""),
            ("/rqvae", json!([1, 2]), "rqvae: expected a mapping, found a list"),
        ] {
            let mut newer: Value = serde_json::from_str(&recipe().to_json()).unwrap();
            *newer.pointer_mut(place).unwrap() = value;
            let error = Recipe::from_json(&newer.to_string()).unwrap_err().to_string();
            assert!(error.starts_with("this version cannot read the picture's recipe: "), "{error}");
            assert!(error.contains(expected), "{error}");
        }
        let mut newer: Value = serde_json::from_str(&recipe().to_json()).unwrap();
        newer["more"] = json!({"of": "it"});
        assert_eq!(Recipe::from_json(&newer.to_string()).unwrap(), recipe());
    }

    /// Pictures outlive versions: older ones only say if weights were halved.
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
