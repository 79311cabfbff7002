//! Starts training runs.

use std::path::{Path, PathBuf};

use eframe::egui::Context;

use residua_engine::train::TrainOptions;
use residua_kernels::device::DeviceChoice;
use residua_protocol::Reading;

use super::State;

impl State {
    /// Checks whether `folder` has a run that can be resumed.
    pub fn look_for_run(&mut self, folder: PathBuf) {
        self.training.folder = (folder.clone(), None);
        self.read(Reading::Run(folder));
    }

    /// Takes in whether `folder` has a run.
    pub(super) fn found_run(&mut self, folder: &Path, found: bool) {
        if self.training.folder.0 == folder {
            self.training.folder.1 = Some(found);
        }
    }

    /// Starts a run, which requests a redraw of `ctx` whenever there is news.
    pub fn train(&mut self, options: TrainOptions, ctx: &Context) {
        let device = if self.device.kind == "cpu" { DeviceChoice::Cpu } else { DeviceChoice::Gpu };
        self.training.start(options, device, ctx);
    }
}
