//! `residua eval`: metrics of models, one file per metric.

mod clip;
mod context;
mod fid;
mod likelihood;
mod merge;
mod parts;
mod reconstruction;
mod reference;
mod rfid;
mod samples;
mod statistics;
mod sweep;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::output::Console;
use super::words::{SPLITS, one_of};
use residua_core::error::Result;
use residua_core::text::counted;
use residua_engine::eval::Selection;
use residua_engine::eval::sets::Protocol;
use residua_io::image_io::framing::Framing;
use residua_train::data::Split;

/// Default number of pictures in a batch.
const BATCH: usize = 8;

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
    Merge(merge::MergeParts),
}

impl Eval {
    /// Whether several ranks can do it together.
    pub fn is_shared(&self) -> bool {
        !matches!(self.what, What::Statistics(_) | What::Merge(_))
    }

    /// Prints the metrics.
    pub fn run(&self, console: &Console) -> Result<()> {
        match &self.what {
            What::Reconstruction(command) => command.run(console),
            What::Likelihood(command) => command.run(console),
            What::Rfid(command) => command.run(console),
            What::Fid(command) => command.run(console),
            What::Samples(command) => command.run(console),
            What::Statistics(command) => command.run(console),
            What::Clip(command) => command.run(console),
            What::Merge(command) => command.run(console),
        }
    }
}

/// The pictures to measure on.
#[derive(Args, Clone)]
struct PicturesArguments {
    /// Folder of pictures and subfolders. `eval fid` and `eval samples` also take saved statistics (.npz).
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// Pictures to measure: those that training uses, those that it holds out, or all.
    #[arg(long, value_parser = one_of(SPLITS), default_value = "all")]
    split: Split,
    /// Maximum number of pictures, spread evenly over all. [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Number of pictures in a batch. [default: 8]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
}

impl PicturesArguments {
    /// True if the options select only some of the pictures.
    fn selects(&self) -> bool {
        self.split != Split::All || self.limit.is_some()
    }

    /// The engine's selection.
    fn selection(&self) -> Selection {
        let Self { data, split, limit, .. } = self.clone();
        Selection { folder: data, split, limit, batch: self.batch() }
    }

    /// Number of pictures in a batch.
    fn batch(&self) -> usize {
        self.batch.unwrap_or(BATCH)
    }

    /// True if the data are saved statistics.
    fn is_saved(&self) -> bool {
        self.data.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"))
    }
}

/// Describes the pictures that were measured.
fn measured_on(pictures: usize, left_out: usize, split: Split) -> String {
    let split = match split {
        Split::All => "",
        Split::Train => " of the training split",
        Split::HeldOut => " of the held-out split",
    };
    let left_out = if left_out > 0 { format!(", {left_out} left out") } else { String::new() };
    format!("{}{split}{left_out}", counted(pictures, "picture"))
}

/// Describes how metrics of sets were computed.
fn protocol_lines(protocol: &Protocol) -> String {
    let reference = match protocol.reference_pictures {
        Some(count) => counted(count, "picture"),
        None => "saved statistics".into(),
    };
    let crop = match (protocol.resolution, protocol.framing) {
        (Some(side), Framing::Squeezed) => format!("pictures in folders: as a whole to {side}x{side}; then "),
        (Some(side), _) => {
            format!("pictures in folders: shorter side to {side}, cropped to {side}x{side}; then ")
        }
        (None, _) => String::new(),
    };
    format!(
        "pictures    {}, against {reference}\nresize      {crop}{}\ncovariance  {}\ninception   SHA-256 {}",
        protocol.pictures, protocol.resize, protocol.covariance, protocol.inception_sha256
    )
}
