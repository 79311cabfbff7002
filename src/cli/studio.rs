//! `residua studio`: the window.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use eframe::egui::ThemePreference;

use super::options::DeviceArguments;
use super::target::{self, ForceArguments};
use crate::app::{self, Start};
use crate::error::Result;

/// Open the studio: see a picture's codes, change them, and make new pictures. This is what runs without a subcommand.
#[derive(Args, Default)]
pub struct Studio {
    /// A picture, a PNG that carries codes, or an .npy of codes.
    file: Option<PathBuf>,
    /// A bundled model (emoji-64, emoji-64-captions), a folder, a .pt, a .safetensors or a .tar.gz. [default: the last one]
    #[arg(long, short, value_name = "NAME|PATH")]
    model: Option<String>,
    /// The RQ-VAE, if it does not lie where the transformer's configuration says.
    #[arg(long, value_name = "PATH")]
    rqvae: Option<String>,
    /// Begin with this cell pinned; rows and columns count from 0.
    #[arg(long, value_name = "ROW,COL", value_parser = cell)]
    pin: Option<[usize; 2]>,
    /// Light or dark; else as the last time.
    #[arg(long, value_enum)]
    theme: Option<Theme>,
    /// Save a picture of the window there once everything is drawn, and end.
    #[arg(long, value_name = "PNG")]
    screenshot: Option<PathBuf>,
    /// Replace that picture if it is there already.
    #[arg(long, requires = "screenshot")]
    force: bool,
    #[command(flatten)]
    device: DeviceArguments,
}

/// How the window looks.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl From<Theme> for ThemePreference {
    fn from(theme: Theme) -> Self {
        match theme {
            Theme::Light => Self::Light,
            Theme::Dark => Self::Dark,
        }
    }
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
            theme: self.theme.map(ThemePreference::from),
            screenshot: self.screenshot,
        };
        app::open(start, self.device.device, kernels)
    }
}

fn cell(text: &str) -> Result<[usize; 2], String> {
    let numbers: Option<Vec<usize>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[row, column]) => Ok([row, column]),
        _ => Err(format!("expected a row and a column such as 2,5, found {text}")),
    }
}
