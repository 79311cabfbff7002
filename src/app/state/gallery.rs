//! Actions on the gallery's pictures. Paths are arguments: the panel asks the user for them.

use std::path::Path;

use crate::app::gallery::{Comparison, Item, Origin};
use crate::app::jobs::Purpose;
use residua_core::sampling::morph::{Morph, MorphOrder};
use residua_protocol::{Command, MorphPlan, Pictured, Reading, Writing};

use super::State;

/// Frames of a morph, and how long each is shown.
const MORPH_FRAMES: u32 = 32;
const MORPH_MILLISECONDS: u16 = 80;

impl State {
    /// Shows a folder's pictures instead of the previous folder's.
    pub fn show_folder(&mut self, place: &Path) {
        self.read(Reading::Folder(place.into()));
    }

    /// Opens the picture at `index` with its codes, or encodes it if it has none.
    pub fn open_item(&mut self, index: usize) {
        let Some(item) = self.gallery.items.get(index).cloned() else { return };
        match (item.stack, item.origin) {
            (Some(stack), _) => self.open_stack(&item.name, stack, item.recipe.as_deref()),
            (None, Origin::File(path)) => self.read(Reading::Picture(path)),
            (None, _) => self.open_picture(&item.name, item.picture),
        }
    }

    /// Restores the sampling settings that made the chosen picture.
    pub fn restore_chosen(&mut self) {
        if let Some(recipe) = self.gallery.single().and_then(|item| item.recipe.clone()) {
            self.restore(&recipe);
        }
    }

    /// Compares the two chosen pictures.
    pub fn compare_chosen(&mut self) {
        let [a, b] = self.gallery.chosen[..] else { return };
        let [a, b] = [a, b].map(|index| &self.gallery.items[index]);
        let purpose = Purpose::Compare([a.name.clone(), b.name.clone()], Comparison::of_codes(a, b));
        let pair = Reading::Pair([a.full(), b.full()]);
        self.send_for(Command::Read(pair), purpose);
    }

    /// The morph from the first chosen picture to the second, if two with codes of one shape are chosen.
    pub fn morph_plan(&self) -> Option<MorphPlan> {
        let [from, to] = self.gallery.pair()?;
        Some(MorphPlan {
            from: from.clone(),
            to: to.clone(),
            morph: Morph { order: MorphOrder::Distance, frames: MORPH_FRAMES, seed: self.settings.seed },
            milliseconds: MORPH_MILLISECONDS,
            condition: self.condition.clone(),
            filters: self.filters().of_revisions().to_vec(),
        })
    }

    /// Animates a morph and saves it at `path`.
    pub fn morph_to(&mut self, plan: MorphPlan, path: &Path) {
        self.send(Command::Morph(plan, path.into()));
    }

    /// Removes the chosen pictures from the list; files stay on disk.
    pub fn remove_chosen(&mut self) {
        let chosen = std::mem::take(&mut self.gallery.chosen);
        self.gallery.remove_all(|index, _| chosen.contains(&index));
    }

    /// Saves a picture as a PNG that carries its codes and recipe.
    pub fn save_item(&mut self, item: &Item, path: &Path) {
        self.write(path, Writing::Picture(item.full(), item.provenance()));
    }

    /// Saves pictures, as shown, in a roughly square grid.
    pub fn export_grid(&mut self, items: &[Item], path: &Path) {
        let pictures = items.iter().map(|item| item.picture.clone()).collect();
        self.write(path, Writing::Grid(pictures));
    }
}

impl Item {
    /// The picture at full size.
    fn full(&self) -> Pictured {
        match &self.origin {
            Origin::File(path) => Pictured::File(path.clone()),
            Origin::Sampled | Origin::Varied | Origin::Edited => Pictured::Held(self.picture.clone()),
        }
    }
}
