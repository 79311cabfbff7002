//! Sums over pictures: what each part of an evaluation computes, and what the figures of all parts come from.

use serde::{Deserialize, Serialize};

use super::{LeftOut, Pictures};
use residua_core::error::{Error, Result};
use residua_metrics::merge::Merge;
use residua_model::RqVae;

/// Sums over some of the pictures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tally<S> {
    /// Pictures measured.
    pub pictures: usize,
    /// Pictures that could not be read, by path.
    pub left_out: Vec<LeftOut>,
    /// The sums over the pictures.
    pub sums: S,
}

impl<S> Tally<S> {
    /// The `sums` over all `pictures` that were read.
    pub fn new(pictures: &mut Pictures, sums: S) -> Self {
        let mut left_out = std::mem::take(&mut pictures.left_out);
        left_out.sort();
        Self { pictures: pictures.read_so_far(), left_out, sums }
    }

    /// The same, if there are pictures to take a mean of.
    ///
    /// # Errors
    /// There are none.
    pub fn of_some(self) -> Result<Self> {
        match self.pictures {
            0 => Err(Error::invalid(
                "expected at least one picture in all parts, found none that could be read",
            )),
            _ => Ok(self),
        }
    }
}

impl<S: Merge> Merge for Tally<S> {
    fn merge(&mut self, other: Self) -> Result<()> {
        self.pictures += other.pictures;
        self.left_out.extend(other.left_out);
        self.left_out.sort();
        self.sums.merge(other.sums)
    }
}

/// The sizes of a picture and of its codes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sizes {
    /// Pixels per side.
    pub resolution: usize,
    /// Cells of a picture.
    pub cells: usize,
    /// Codebook sizes by depth.
    pub codebooks: Vec<usize>,
}

impl Sizes {
    /// Those of `model`.
    ///
    /// # Errors
    /// Its configuration names no codebook sizes.
    pub fn of(model: &RqVae) -> Result<Self> {
        let [h, w, _] = model.config.hparams.code_shape;
        Ok(Self {
            resolution: model.config.ddconfig.resolution,
            cells: h * w,
            codebooks: model.config.codebook_sizes()?,
        })
    }

    /// Pixels of a picture.
    pub fn pixels(&self) -> f64 {
        self.resolution.pow(2) as f64
    }
}
