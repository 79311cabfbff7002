//! `residua eval statistics`: saves a folder's feature statistics for later distances.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::super::options::DeviceArguments;
use super::super::output::{Console, shown};
use super::super::target::{ForceArguments, Target};
use super::reference::{UNSCORED, check_resolution};
use super::{PicturesArguments, protocol_lines};
use residua_core::error::Result;
use residua_engine::eval::sets::{Observer, Protocol};
use residua_engine::eval::{Pictures, Tally};

/// Save the mean and covariance of a folder's Inception features as .npz, for `eval fid --data`.
#[derive(Args)]
pub struct SaveStatistics {
    #[command(flatten)]
    pictures: PicturesArguments,
    /// Inception weights: the file pt_inception-2015-12-05-6726825d.pth.
    #[arg(long, value_name = "PATH")]
    inception: PathBuf,
    /// Resize the shorter side to N pixels and crop to the middle square. [default: use pictures as they are]
    #[arg(long, value_name = "N")]
    resolution: Option<usize>,
    /// .npz file to write.
    #[arg(long, short, value_name = "NPZ")]
    out: PathBuf,
    #[command(flatten)]
    force: ForceArguments,
    #[command(flatten)]
    device: DeviceArguments,
}

impl SaveStatistics {
    /// Writes the file and prints how it was computed.
    pub fn run(&self, console: &Console) -> Result<()> {
        check_resolution(self.resolution)?;
        let target = Target::given(&self.out, "npz", self.force, console)?;
        let device = self.device.open()?;
        let observer = Observer::open(&self.inception, &device)?;
        let mut pictures = Pictures::open(&self.pictures.selection(), &[], self.resolution)?;
        let mut task = console.task("looking");
        let looked = pollster::block_on(observer.look(&mut pictures, UNSCORED, &mut task))?;
        let Tally { pictures: count, left_out, sums } = looked;
        let protocol = Protocol::new(&observer.sha256, count, Some(count), self.resolution);
        let path = target.save(&sums.statistics()?.encode())?;
        console.wrote(&path);
        let value = json!({ "file": shown(&path), "protocol": protocol, "left_out": left_out });
        console.result(value, &protocol_lines(&protocol))
    }
}
