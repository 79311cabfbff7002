//! Actions on the gallery's pictures. Paths are arguments: the panel asks the user for them.

use std::path::Path;
use std::time::Duration;

use web_time::Instant;

use super::{Comparison, Item, Origin};
use crate::app::jobs::Purpose;
use crate::app::log::Level;
use crate::app::state::State;
use residua_core::codes::npy;
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_core::sampling::morph::{Morph, MorphOrder};
use residua_io::image_io::{Picture, folder, sheet};
use residua_protocol::{Command, MorphPlan};

/// Most files shown from a folder.
const MOST_FILES: usize = 500;
/// Time that a frame may spend reading files; it always reads at least one.
const READING: Duration = Duration::from_millis(8);
/// Pixels between the pictures of a grid.
const GAP: usize = 2;
/// Frames of a morph, and how long each is shown.
const MORPH_FRAMES: u32 = 32;
const MORPH_MILLISECONDS: u16 = 80;

impl State {
    /// Shows a folder's pictures instead of the previous folder's.
    pub fn show_folder(&mut self, place: &Path) {
        let mut files = match folder::pictures(place) {
            Ok(found) => {
                folder::warn(place, &found.left_out);
                found.pictures
            }
            Err(error) => return self.log.add(Level::Error, error.to_string()),
        };
        let (count, place) = (files.len(), place.display());
        if count == 0 {
            self.log.add(Level::Warning, format!("{place}: no pictures in this folder"));
        } else if count > MOST_FILES {
            self.log
                .add(Level::Warning, format!("{place}: showing the first {MOST_FILES} of {count} pictures"));
        }
        files.truncate(MOST_FILES);
        self.gallery.remove_all(|_, item| matches!(item.origin, Origin::File(_)));
        self.gallery.unread = files.into();
    }

    /// Reads some more of the folder's files, and logs those that cannot be read. Returns true if more are left.
    pub fn read_folder(&mut self) -> bool {
        let begun = Instant::now();
        while let Some(path) = self.gallery.unread.pop_front() {
            match Item::read(&path) {
                Ok(item) => self.gallery.add(item),
                Err(error) => self.log.add(Level::Warning, error.to_string()),
            }
            if begun.elapsed() >= READING {
                break;
            }
        }
        !self.gallery.unread.is_empty()
    }

    /// Opens the picture at `index` with its codes, or encodes it if it has none.
    pub fn open_item(&mut self, index: usize) {
        let Some(item) = self.gallery.items.get(index).cloned() else { return };
        match (item.stack.clone(), item.full()) {
            (Some(stack), _) => self.open_stack(&item.name, stack, item.recipe.as_deref()),
            (None, Ok(picture)) => self.open_picture(&item.name, picture),
            (None, Err(error)) => self.log.add(Level::Error, error.to_string()),
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
        match Comparison::new(&self.gallery.items[a], &self.gallery.items[b]) {
            Ok(comparison) => self.gallery_view.comparison = Some(comparison),
            Err(error) => self.log.add(Level::Error, error.to_string()),
        }
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
            filters: self.filters.clone(),
        })
    }

    /// Animates a morph and saves it at `path`.
    pub fn morph_to(&mut self, plan: MorphPlan, path: &Path) {
        self.send_for(Command::Morph(plan), Purpose::Save(path.into()));
    }

    /// Saves a finished animation at `path`.
    pub fn save_animation(&mut self, bytes: &[u8], path: &Path) {
        let saved = files::save(path, bytes);
        self.log.saved(path, saved);
    }

    /// Removes the chosen pictures from the list; files stay on disk.
    pub fn remove_chosen(&mut self) {
        let chosen = std::mem::take(&mut self.gallery.chosen);
        self.gallery.remove_all(|index, _| chosen.contains(&index));
    }

    /// Saves a picture as a PNG that carries its codes and recipe.
    pub fn save_item(&mut self, item: &Item, path: &Path) {
        let saved = item.full().and_then(|picture| picture.save_png(path, &item.provenance()));
        self.log.saved(path, saved);
    }

    /// Saves a picture's codes as an `.npy`.
    pub fn save_item_codes(&mut self, item: &Item, path: &Path) {
        let stack = item.stack.as_ref();
        let stack = stack
            .ok_or_else(|| Error::usage(format!("{}: its codes are not known; open it first", item.name)));
        let saved = stack.and_then(|stack| npy::save(path, stack));
        self.log.saved(path, saved);
    }

    /// Saves a grid of pictures.
    pub fn export_grid(&mut self, items: &[Item], path: &Path) {
        let saved = grid(items).and_then(|grid| files::save(path, &grid.to_sheet()?));
        self.log.saved(path, saved);
    }
}

/// The pictures as shown, in a roughly square grid.
fn grid(items: &[Item]) -> Result<Picture> {
    let pictures: Vec<Picture> = items.iter().map(|item| (*item.picture).clone()).collect();
    sheet::grid(&pictures, (pictures.len() as f64).sqrt().ceil() as usize, GAP)
}
