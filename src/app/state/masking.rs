//! Revises the part of the open picture that a mask selects.

use std::path::Path;
use std::sync::Arc;

use crate::app::jobs::Purpose;
use crate::app::log::Level;
use crate::app::tool::Tool;
use residua_core::codes::CodeStack;
use residua_core::text::file_name;
use residua_protocol::{Command, Masking, Reading};

use super::State;

impl State {
    /// Reads the mask at `path`, and then revises the cells under it.
    pub fn revise_by_mask(&mut self, path: &Path) {
        let (Some(document), Some(loaded)) = (&self.document, &self.loaded) else {
            let text = format!("{}: open a picture before its mask", file_name(path));
            return self.log.add(Level::Error, text);
        };
        let (stack, source) = (document.stack(), document.source.as_ref());
        let masking = Masking {
            source: source.map(|source| ([source.picture.width(), source.picture.height()], source.framing)),
            resolution: loaded.rqvae.ddconfig.resolution,
            cells: [stack.h(), stack.w()],
        };
        let purpose = Purpose::Revise(document.opened().clone());
        self.send_for(Command::Read(Reading::Mask(path.into(), masking)), purpose);
    }

    /// Selects `cells` and revises them, if the document opened with these codes is still open.
    pub(super) fn revise_cells(&mut self, cells: Vec<bool>, opened: &Arc<CodeStack>) {
        let Some(document) = self.opened_with(opened) else { return };
        document.selected = cells;
        self.tool = Tool::Revise;
        self.revise_selected();
    }
}
