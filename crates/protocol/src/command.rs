//! The commands that the models can run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Condition, Options};
use residua_core::codes::CodeStack;
use residua_core::sampling::morph::Morph;
use residua_core::sampling::{Filter, Forced};
use residua_core::text::file_name;
use residua_io::assets::SAMPLE;
use residua_io::image_io::framing::Framing;
use residua_io::image_io::png_text::Provenance;
use residua_io::image_io::{Bytes, Picture};

/// The name of a picture from the clipboard.
pub const PASTED: &str = "clipboard";

/// A picture's codes and how to show them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct View {
    /// The codes.
    pub stack: Arc<CodeStack>,
    /// Number of codes that each cell uses, starting at depth 0; row-major.
    pub limits: Arc<Vec<usize>>,
    /// The encoded picture, at the model's resolution, if there is one.
    pub original: Option<Arc<Picture>>,
}

/// Shows every code of `stack`.
impl From<Arc<CodeStack>> for View {
    fn from(stack: Arc<CodeStack>) -> Self {
        let limits = vec![stack.depth(); stack.h() * stack.w()];
        Self { stack, limits: Arc::new(limits), original: None }
    }
}

/// Settings for sampling.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SamplePlan {
    /// Unconditional, a class or a caption.
    pub condition: Condition,
    /// Random seed.
    pub seed: u64,
    /// Index of the first picture of this seed.
    pub first: u32,
    /// Number of pictures.
    pub count: u32,
    /// One filter per depth; for a contextual model, those of the draft.
    pub filters: Vec<Filter>,
    /// Filters for the revisions of a contextual model, one per depth; `None` for its default.
    pub revise: Option<Vec<Filter>>,
    /// Codes to keep.
    pub forced: Option<Forced>,
    /// Whether to send previews of unfinished pictures.
    pub preview: bool,
}

impl SamplePlan {
    /// The most pictures to keep at a time: all stay in memory.
    pub const MOST_PICTURES: u32 = 10_000;
}

/// Settings for a morph animation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MorphPlan {
    /// The first stack.
    pub from: Arc<CodeStack>,
    /// The last stack.
    pub to: Arc<CodeStack>,
    /// How the first stack turns into the last.
    pub morph: Morph,
    /// Duration of a frame, in milliseconds.
    pub milliseconds: u16,
    /// The condition with which a contextual model revises the cells where the two pictures meet.
    pub condition: Condition,
    /// One filter per depth, for revising these cells.
    pub filters: Vec<Filter>,
}

/// A picture in memory, or a file to read it from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Pictured {
    /// In memory.
    Held(Arc<Picture>),
    /// In this file.
    File(PathBuf),
}

/// How a mask lies over the open picture.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Masking {
    /// Width and height of the whole picture, and which part of it is open, if known: a mask of the same size
    /// is cropped in the same way, any other mask to its middle square.
    pub source: Option<([usize; 2], Framing)>,
    /// Columns and rows of the part that is open, in pixels.
    pub resolution: usize,
    /// Its rows and columns of cells.
    pub cells: [usize; 2],
}

/// What to read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reading {
    /// A file to open: a picture, codes, or a picture that carries codes.
    File(PathBuf),
    /// The sample picture.
    Sample,
    /// A file's picture, without the codes that it may carry.
    Picture(PathBuf),
    /// A picture from the clipboard.
    Pasted {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// 8-bit RGBA, row-major. Alpha is ignored.
        rgba: Bytes,
    },
    /// Which cells of the open picture a mask selects.
    Mask(PathBuf, Masking),
    /// A folder's pictures.
    Folder(PathBuf),
    /// Two pictures to compare.
    Pair([Pictured; 2]),
    /// Whether a folder has a training run.
    Run(PathBuf),
}

/// What to write.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Writing {
    /// A picture as a PNG that carries how it was made.
    Picture(Pictured, Provenance),
    /// Codes as an `.npy`.
    Codes(Arc<CodeStack>),
    /// Pictures in a grid, as a PNG.
    Grid(Vec<Arc<Picture>>),
}

/// A command for the models, or for the files beside them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Loads a stage 2 with its stage 1, or a stage 1 alone, in place of the loaded models.
    Load(Options),
    /// Fetches the files of the model at a place, so that it can be loaded without waiting for them. Only a page has to.
    Fetch(String),
    /// Encodes part of a picture of any size.
    Encode(Arc<Picture>, Framing),
    /// Decodes a stack, then all its layers unless other commands wait. A newer `Show` replaces it.
    Show(View),
    /// Finds the codes nearest to a code, in the codebook at a depth.
    Neighbours {
        /// Depth of the codebook.
        depth: usize,
        /// The code.
        code: u32,
        /// Number of neighbours.
        count: usize,
    },
    /// Decodes each code alone.
    Patches {
        /// Depth of the codebook.
        depth: usize,
        /// The codes.
        codes: Vec<u32>,
    },
    /// Previews alternative codes at a position.
    Choices {
        /// The picture's codes.
        view: View,
        /// Row, column, depth.
        place: [usize; 3],
        /// The codes to try.
        codes: Vec<u32>,
    },
    /// Computes the transformer's distribution at a position.
    Explain {
        /// The codes.
        stack: Arc<CodeStack>,
        /// The picture's condition.
        condition: Condition,
        /// Row, column, depth.
        place: [usize; 3],
        /// Number of suggestions.
        count: usize,
    },
    /// Measures the transformer's uncertainty at each position.
    Surprise {
        /// The codes.
        stack: Arc<CodeStack>,
        /// The picture's condition.
        condition: Condition,
    },
    /// Counts the tokens of a caption.
    CountTokens(String),
    /// Samples pictures.
    Sample(SamplePlan),
    /// Renders an animation from one stack to another, and saves it at a path.
    Morph(MorphPlan, PathBuf),
    /// Counts the codes that a folder's pictures use.
    Usage(PathBuf),
    /// Reads files.
    Read(Reading),
    /// Writes a file.
    Write(PathBuf, Writing),
}

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// With the models, one after the other.
    Models,
    /// On its own thread: the system may never return from reading a file, so nothing waits for it, and a
    /// stopped read ends at once.
    Reads,
    /// Apart from the models, one after the other, and always to the end: a file that the user saved must not be lost.
    Writes,
}

/// Commands that replace each other: only the latest command in a slot matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    Load,
    Fetch,
    Show,
    Neighbours,
    Choices,
    Explain,
    Surprise,
    CountTokens,
    Usage,
    Open,
    Mask,
    Folder,
    Pair,
    Run,
}

impl Command {
    /// Its name in the status bar and the log.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Load(_) => "loading",
            Self::Fetch(_) => "fetching",
            Self::Encode(..) => "encoding",
            Self::Show(_) => "decoding",
            Self::Neighbours { .. } => "looking for neighbours",
            Self::Patches { .. } => "decoding codes",
            Self::Choices { .. } => "decoding choices",
            Self::Explain { .. } => "explaining",
            Self::Surprise { .. } => "measuring surprise",
            Self::CountTokens(_) => "counting tokens",
            Self::Sample(_) => "sampling",
            Self::Morph(..) => "morphing",
            Self::Usage(_) => "counting codes",
            Self::Read(Reading::Folder(_)) => "reading",
            Self::Read(Reading::Pair(_)) => "comparing",
            Self::Read(Reading::Run(_)) => "looking at",
            Self::Read(_) => "opening",
            Self::Write(..) => "saving",
        }
    }

    /// The name of what it reads or writes, unless it is work of the models.
    pub fn file(&self) -> Option<String> {
        let path: &Path = match self {
            Self::Read(
                Reading::File(path)
                | Reading::Picture(path)
                | Reading::Mask(path, _)
                | Reading::Folder(path)
                | Reading::Run(path),
            ) => path,
            Self::Read(Reading::Sample) => Path::new(SAMPLE.path),
            Self::Read(Reading::Pasted { .. }) => Path::new(PASTED),
            Self::Read(Reading::Pair(_)) => return Some("two pictures".into()),
            Self::Write(path, _) => path,
            Self::Fetch(place) => return Some(place.clone()),
            _ => return None,
        };
        Some(file_name(path))
    }

    /// Where it runs.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Read(_) | Self::Fetch(_) => Lane::Reads,
            Self::Write(..) => Lane::Writes,
            _ => Lane::Models,
        }
    }

    pub(super) fn slot(&self) -> Option<Slot> {
        match self {
            Self::Load(_) => Some(Slot::Load),
            Self::Fetch(_) => Some(Slot::Fetch),
            Self::Show(_) => Some(Slot::Show),
            Self::Neighbours { .. } => Some(Slot::Neighbours),
            Self::Choices { .. } => Some(Slot::Choices),
            Self::Explain { .. } => Some(Slot::Explain),
            Self::Surprise { .. } => Some(Slot::Surprise),
            Self::CountTokens(_) => Some(Slot::CountTokens),
            Self::Usage(_) => Some(Slot::Usage),
            Self::Read(Reading::Mask(..)) => Some(Slot::Mask),
            Self::Read(Reading::Folder(_)) => Some(Slot::Folder),
            Self::Read(Reading::Pair(_)) => Some(Slot::Pair),
            Self::Read(Reading::Run(_)) => Some(Slot::Run),
            Self::Read(_) => Some(Slot::Open),
            Self::Encode(..) | Self::Sample(_) | Self::Morph(..) | Self::Patches { .. } | Self::Write(..) => {
                None
            }
        }
    }
}
