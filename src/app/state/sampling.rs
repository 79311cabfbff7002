//! Samples new pictures, and new codes for part of a picture.

use crate::app::document::Document;
use crate::app::filters::Filters;
use crate::app::gallery::{Item, Origin};
use crate::app::jobs::Purpose;
use crate::app::log::Level;
use residua_core::sampling::Forced;
use residua_protocol::{Command, SamplePlan};

use super::State;

impl State {
    /// Samples new pictures into the gallery.
    pub fn generate(&mut self) {
        let plan = self.plan(self.settings.count, None);
        self.send_for(Command::Sample(plan), Purpose::Collect(Origin::Sampled));
    }

    /// Resamples the selected cells of the open stack, as an edit.
    pub fn resample_selected(&mut self) {
        let Some(document) = self.document.as_ref().filter(|document| document.has_selection()) else {
            return self.log.add(Level::Warning, "select the cells to resample first");
        };
        let (forced, cells) = (forced(document), document.selected.clone());
        let plan = self.plan(1, Some(forced));
        self.replace_by(plan, "resample cells", cells);
    }

    /// Samples a plan, and replaces the open codes of `cells` by the result, as an edit that undo calls `what`.
    pub(super) fn replace_by(&mut self, plan: SamplePlan, what: &'static str, cells: Vec<bool>) {
        let Some(document) = &self.document else { return };
        let opened = document.opened().clone();
        self.send_for(Command::Sample(plan), Purpose::Replace { what, opened, cells });
    }

    /// Samples pictures that share the kept codes of the open stack, into the gallery.
    pub fn vary(&mut self, keep: Vec<bool>) {
        let Some(document) = &self.document else { return };
        let forced = Forced { stack: (**document.stack()).clone(), keep };
        let plan = self.plan(self.settings.count, Some(forced));
        self.send_for(Command::Sample(plan), Purpose::Collect(Origin::Varied));
    }

    /// The filters that apply to the loaded model: those that the user set for it, or else the published ones.
    pub fn filters(&self) -> Filters {
        let Some(loaded) = &self.loaded else { return Filters::default() };
        let published = Filters::published(loaded);
        let set = self.settings.filters.clone().filter(|set| set.are_for_model_of(&published));
        set.unwrap_or(published)
    }

    /// Makes a sampling plan from the current settings and seed. Then changes the seed unless it is locked, so
    /// that the next pictures differ.
    pub(super) fn plan(&mut self, count: u32, forced: Option<Forced>) -> SamplePlan {
        let seed = self.settings.seed;
        if !self.settings.seed_locked {
            self.settings.next_seed();
        }
        let document = self.document.as_ref().filter(|_| forced.is_some());
        let filters = self.filters();
        SamplePlan {
            condition: document.map_or(&self.condition, |document| &document.condition).clone(),
            seed,
            first: 0,
            count: count.max(1),
            revise: Some(filters.of_revisions().to_vec()),
            filters: filters.draft,
            forced,
            preview: self.settings.preview,
        }
    }

    /// Adds the open stack and its picture to the gallery, if it is decoded.
    pub fn keep(&mut self) {
        let Some(document) = &self.document else { return };
        let Some(picture) = document.decoded() else { return };
        self.gallery.add(Item {
            name: document.name.clone(),
            origin: Origin::Edited,
            picture: picture.clone(),
            stack: Some(document.stack().clone()),
            recipe: self.recipe().map(std::sync::Arc::new),
        });
    }
}

/// Keeps all cells of the open stack except the selected ones.
fn forced(document: &Document) -> Forced {
    Forced { stack: (**document.stack()).clone(), keep: document.kept() }
}
