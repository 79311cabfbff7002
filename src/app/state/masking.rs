//! Revises the part of the open picture that a mask selects.

use std::path::Path;

use crate::app::document::Document;
use crate::app::files::{name_of, read_mask};
use crate::app::log::Level;
use crate::app::panels::picture::Tool;
use residua_core::error::{Error, Result};
use residua_io::image_io::framing::Framing;
use residua_io::image_io::{Picture, mask};

use super::State;

impl State {
    /// Selects the cells under the mask at `path`, and revises them.
    pub fn revise_by_mask(&mut self, path: &Path) {
        let cells = match self.cells_under(path) {
            Ok(cells) => cells,
            Err(error) => return self.log.add(Level::Error, error.to_string()),
        };
        if let Some(document) = &mut self.document {
            document.selected = cells;
        }
        self.picture_view.tool = Tool::Revise;
        self.revise_selected();
    }

    fn cells_under(&self, path: &Path) -> Result<Vec<bool>> {
        let (Some(document), Some(loaded)) = (&self.document, &self.loaded) else {
            return Err(Error::usage(format!("{}: open a picture before its mask", name_of(path))));
        };
        let mask = read_mask(path)?;
        let mask = framing(document, &mask).apply(&mask, loaded.rqvae.ddconfig.resolution)?;
        let cells = mask::cells(&mask, document.stack().h(), document.stack().w());
        match cells.contains(&true) {
            true => Ok(cells),
            false => Err(Error::invalid(format!(
                "{}: expected a mask that is white, or transparent, over at least one cell, found none: paint a larger part",
                name_of(path)
            ))),
        }
    }
}

/// The part of a mask that belongs to the open picture: if the mask was painted over the whole picture, the part that was
/// encoded; else its middle, as for any picture.
fn framing(document: &Document, mask: &Picture) -> Framing {
    let size = |picture: &Picture| (picture.width(), picture.height());
    let source = document.source.as_ref().filter(|source| size(&source.picture) == size(mask));
    source.map_or(Framing::Middle, |source| source.framing)
}
