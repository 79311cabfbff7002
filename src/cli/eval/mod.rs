//! `residua eval`: how good models are, one file a kind of figure.

mod clip;
mod context;
mod fid;
mod likelihood;
mod reconstruction;
mod reference;
mod rfid;
mod samples;
mod statistics;
mod sweep;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::output::Console;
use crate::engine::eval::Selection;
use crate::engine::eval::sets::Protocol;
use crate::error::Result;
use crate::train::data::Split;

/// Measure a model on a folder of pictures.
#[derive(Args)]
pub struct Eval {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Reconstruction(reconstruction::Reconstruction),
    Likelihood(likelihood::Likelihood),
    Rfid(rfid::Rfid),
    Fid(fid::Fid),
    Samples(samples::Samples),
    Statistics(statistics::SaveStatistics),
    Clip(clip::ClipScore),
}

impl Eval {
    /// Prints the figures.
    pub fn run(&self, console: &Console) -> Result<()> {
        match &self.what {
            What::Reconstruction(command) => command.run(console),
            What::Likelihood(command) => command.run(console),
            What::Rfid(command) => command.run(console),
            What::Fid(command) => command.run(console),
            What::Samples(command) => command.run(console),
            What::Statistics(command) => command.run(console),
            What::Clip(command) => command.run(console),
        }
    }
}

/// On which pictures.
#[derive(Args, Clone)]
struct PicturesArguments {
    /// The folder of pictures, and of folders with pictures.
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// Those that training learns from, those that it holds out, or both.
    #[arg(long, value_enum, default_value = "all")]
    split: Split,
    /// At most so many, spread evenly over all. [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Pictures at a time.
    #[arg(long, default_value_t = 8, value_name = "N")]
    batch: usize,
}

impl PicturesArguments {
    /// Whether not all pictures are taken.
    fn selects(&self) -> bool {
        self.split != Split::All || self.limit.is_some()
    }

    /// For the engine.
    fn selection(&self) -> Selection {
        let Self { data, split, limit, batch } = self.clone();
        Selection { folder: data, split, limit, batch }
    }
}

/// What was measured on, in words.
fn measured_on(pictures: usize, left_out: usize, split: Split) -> String {
    let split = match split {
        Split::All => "",
        Split::Train => " that are learned from",
        Split::HeldOut => " that are held out",
    };
    let left_out = if left_out > 0 { format!(", {left_out} left out") } else { String::new() };
    format!("{pictures} pictures{split}{left_out}")
}

/// How figures of sets were come by, in words.
fn protocol_lines(protocol: &Protocol) -> String {
    let reference = match protocol.reference_pictures {
        Some(count) => format!("{count} pictures"),
        None => "saved statistics".into(),
    };
    let crop = match protocol.resolution {
        Some(side) => {
            format!("pictures of folders: shorter side to {side}, middle {side}x{side} kept; then ")
        }
        None => String::new(),
    };
    format!(
        "pictures    {}, against {reference}\nresize      {crop}{}\ncovariance  {}\ninception   SHA-256 {}",
        protocol.pictures, protocol.resize, protocol.covariance, protocol.inception_sha256
    )
}
