//! The filters that codes are sampled with: those of the draft, and those of a contextual model's revisions.

use residua_core::sampling::Filter;
use residua_protocol::Loaded;
use serde::{Deserialize, Serialize};

/// The filters of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Filters {
    /// The model's name.
    pub model: String,
    /// One per depth; for a contextual model, those of the draft.
    pub draft: Vec<Filter>,
    /// Those of a contextual model's revisions, one per depth; `None` for those of the draft.
    pub revise: Option<Vec<Filter>>,
}

impl Filters {
    /// The model's published filters, or [`Filter::NONE`] at each depth without a stage 2.
    pub fn published(loaded: &Loaded) -> Self {
        let (draft, revise) = match &loaded.stage2 {
            Some(stage2) => (stage2.config.sampling.filters.clone(), stage2.config.sampling.revise.clone()),
            None => (vec![Filter::NONE; loaded.codebook_sizes.len()], None),
        };
        Self { model: loaded.name.clone(), draft, revise }
    }

    /// Whether these and the `published` ones are for the same model.
    pub fn are_for_model_of(&self, published: &Self) -> bool {
        let fits = |set: &Vec<Filter>| set.len() == published.draft.len();
        self.model == published.model && fits(&self.draft) && self.revise.as_ref().is_none_or(fits)
    }

    /// The filters of a contextual model's revisions, one per depth.
    pub fn of_revisions(&self) -> &[Filter] {
        self.revise.as_ref().unwrap_or(&self.draft)
    }

    /// Those of the draft, and then those of the revisions if they have their own.
    pub fn sets(&mut self) -> impl Iterator<Item = &mut Vec<Filter>> {
        std::iter::once(&mut self.draft).chain(&mut self.revise)
    }
}
