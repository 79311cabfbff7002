//! The reference that sets of pictures are compared with.

use std::path::Path;

use super::super::output::Console;
use super::PicturesArguments;
use residua_core::error::{Error, Result};
use residua_core::part::Part;
use residua_engine::eval::Pictures;
use residua_engine::eval::sets::{self, Observer};
use residua_io::image_io::framing::Framing;
use residua_io::image_io::resize;
use residua_judges::inception::FEATURES;
use residua_metrics::frechet::Statistics;

/// Number of samples in published evaluations.
const PUBLISHED: u32 = 50_000;

/// Number of splits of the inception score in published evaluations.
const SPLITS: usize = 10;

/// Number of splits of a set whose inception score is not asked for.
pub const UNSCORED: usize = 1;

/// Fewest pictures that have a covariance.
const FEWEST: usize = 2;

/// A reference, before its features are computed.
pub enum Reference {
    /// Statistics from a file.
    Saved(Statistics),
    /// The pictures of a folder.
    Pictures(Pictures),
}

impl Reference {
    /// Opens the reference that `arguments` name: statistics if it ends in `.npz`, else pictures. Statistics
    /// refuse a `resolution`, and must have as many features as those of samples.
    pub fn open(arguments: &PicturesArguments, resolution: Option<usize>) -> Result<Self> {
        let data = &arguments.data;
        if !arguments.is_saved() {
            let pictures = Pictures::open(&arguments.selection(), &[], None)?;
            enough(data, pictures.items().len())?;
            return Ok(Self::Pictures(pictures));
        }
        if resolution.is_some() || arguments.selects() {
            return Err(Error::usage(
                "--data names saved statistics: leave out --split, --limit and --resolution, which only apply to pictures",
            ));
        }
        let statistics = Statistics::read(data)?;
        match statistics.mean.len() {
            FEATURES => Ok(Self::Saved(statistics)),
            found => Err(Error::invalid(format!(
                "{}: expected statistics of Inception's {FEATURES} features, found {found}: choose a file made with its last \
                 pooling layer",
                data.display()
            ))),
        }
    }

    /// The default number of samples to compare with it.
    pub fn count(&self) -> u32 {
        match self {
            Self::Saved(_) => PUBLISHED,
            Self::Pictures(pictures) => pictures.items().len() as u32,
        }
    }

    /// The captions of its pictures, if all have one.
    pub fn captions(&self) -> Vec<String> {
        match self {
            Self::Saved(_) => Vec::new(),
            Self::Pictures(pictures) => pictures.captions().unwrap_or_default(),
        }
    }

    /// Identifies its pictures, if it has any, which are in `folder`.
    pub fn fingerprint(&self, folder: &Path) -> Option<String> {
        match self {
            Self::Saved(_) => None,
            Self::Pictures(pictures) => Some(pictures.fingerprint(folder)),
        }
    }

    /// Its statistics, or the sums over its pictures in `part`, resized like this.
    pub fn seen(
        self,
        observer: &Observer,
        resolution: Option<usize>,
        framing: Framing,
        part: Part,
        console: &Console,
    ) -> Result<sets::Reference> {
        match self {
            Self::Saved(statistics) => Ok(sets::Reference::Saved(statistics)),
            Self::Pictures(pictures) => {
                let mut pictures = pictures.fitted_to(resolution).framed(framing).only(part);
                let mut task = console.task("looking");
                pollster::block_on(observer.look(&mut pictures, UNSCORED, &mut task))
                    .map(sets::Reference::Seen)
            }
        }
    }
}

/// Refuses a folder with too few pictures.
pub fn enough(folder: &Path, count: usize) -> Result<()> {
    if count < FEWEST {
        return Err(Error::usage(format!(
            "{}: expected at least {FEWEST} pictures, found {count}",
            folder.display()
        )));
    }
    Ok(())
}

/// The number of splits of the inception score of `count` pictures: as `asked`, else the published number, or
/// fewer if there are fewer pictures.
///
/// # Errors
/// There are fewer than two pictures, or fewer than splits.
pub fn splits(asked: Option<usize>, count: usize) -> Result<usize> {
    if count < FEWEST {
        return Err(Error::usage(format!("-n: expected at least {FEWEST} samples, found {count}")));
    }
    let splits = asked.unwrap_or(SPLITS.min(count));
    if !(1..=count).contains(&splits) {
        return Err(Error::usage(format!(
            "--splits: expected 1 to {count}, the number of pictures, found {splits}"
        )));
    }
    Ok(splits)
}

/// Refuses a `--resolution` to which no picture can be resized.
pub fn check_resolution(asked: Option<usize>) -> Result<()> {
    let checked = asked.map_or(Ok(()), resize::check_resolution);
    checked.map_err(|error| Error::usage(format!("--resolution: {error}")))
}
