//! `residua studio`: the window, and how long it takes to draw.

use std::path::PathBuf;

use clap::Args;
use eframe::egui::ThemePreference;
use serde_json::json;

use super::options::DeviceArguments;
use super::output::Console;
use super::target::{self, ForceArguments};
use super::words::{Word, one_of};
use crate::app::bench::frames;
use crate::app::{self, Start};
use residua_core::error::Result;

/// `--theme`
const THEMES: &[Word<ThemePreference>] =
    &[("light", ThemePreference::Light, "Dark on light"), ("dark", ThemePreference::Dark, "Light on dark")];

/// Frames to time.
const FRAMES: usize = 200;

/// Open the studio: see a picture's codes, edit them, and generate new pictures. This is the default
/// subcommand.
#[derive(Args, Default)]
pub struct Studio {
    /// File to open: a picture, a PNG that carries codes, or an .npy of codes.
    file: Option<PathBuf>,
    /// Model: a bundled name (characters-128, characters-128-ar), a folder, or a .pt, .safetensors or
    /// .tar.gz file. [default: the last one used]
    #[arg(long, short, value_name = "NAME|PATH")]
    model: Option<String>,
    /// RQ-VAE to use, if it is not where the transformer's configuration says.
    #[arg(long, value_name = "PATH")]
    rqvae: Option<String>,
    /// Start with this cell pinned; rows and columns count from 0.
    #[arg(long, value_name = "ROW,COL", value_parser = cell)]
    pin: Option<[usize; 2]>,
    /// Colour theme. [default: the last one used]
    #[arg(long, value_parser = one_of(THEMES))]
    theme: Option<ThemePreference>,
    /// Save a screenshot of the window to this file once everything is drawn, and exit.
    #[arg(long, value_name = "PNG")]
    screenshot: Option<PathBuf>,
    /// Replace the screenshot file if it exists.
    #[arg(long, requires = "screenshot")]
    force: bool,
    #[command(flatten)]
    device: DeviceArguments,
}

impl Studio {
    /// Opens the window and returns when it is closed.
    pub fn run(self) -> Result<()> {
        if let Some(path) = &self.screenshot {
            target::check(path, "png", ForceArguments::new(self.force))?;
        }
        let kernels = self.device.kernels()?;
        let start = Start {
            file: self.file,
            model: self.model,
            rqvae: self.rqvae,
            pin: self.pin,
            theme: self.theme,
            screenshot: self.screenshot,
            in_steps: false,
        };
        app::open(start, self.device.device, kernels)
    }
}

/// Prints how long the window takes to draw a frame.
pub fn time(console: &Console) -> Result<()> {
    let measured = frames(FRAMES)?;
    let text = format!(
        "studio, 16x16x8 stack, {} frames: median {:.2} ms, longest {:.2} ms; when idle it {}",
        measured.frames,
        measured.median_ms,
        measured.most_ms,
        if measured.draws_at_rest { "keeps drawing" } else { "draws nothing" }
    );
    console.result(json!(measured), &text)
}

fn cell(text: &str) -> Result<[usize; 2], String> {
    let numbers: Option<Vec<usize>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[row, column]) => Ok([row, column]),
        _ => Err(format!("expected a row and a column such as 2,5, found {text}")),
    }
}
