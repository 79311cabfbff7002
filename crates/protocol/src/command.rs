//! The commands that the models can run.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Condition, Options};
use residua_core::codes::CodeStack;
use residua_core::sampling::morph::Morph;
use residua_core::sampling::{Filter, Forced};
use residua_io::image_io::Picture;
use residua_io::image_io::framing::Framing;

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
    /// One filter per depth.
    pub filters: Vec<Filter>,
    /// Codes to keep.
    pub forced: Option<Forced>,
    /// Whether to send previews of unfinished pictures.
    pub preview: bool,
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

/// A command for the models.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Loads a stage 2 with its stage 1, or a stage 1 alone, in place of the loaded models.
    Load(Options),
    /// Encodes part of a picture of any size.
    Encode(Arc<Picture>, Framing),
    /// Decodes a stack, then all its layers. A newer `Show` replaces it.
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
    /// Renders an animation from one stack to another.
    Morph(MorphPlan),
    /// Counts the codes that a folder's pictures use.
    Usage(PathBuf),
}

/// Commands that replace each other: only the latest command in a slot matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    Load,
    Show,
    Neighbours,
    Choices,
    Explain,
    Surprise,
    CountTokens,
    Usage,
}

impl Command {
    /// Its name in the status bar and the log.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Load(_) => "loading",
            Self::Encode(..) => "encoding",
            Self::Show(_) => "decoding",
            Self::Neighbours { .. } => "looking for neighbours",
            Self::Patches { .. } => "decoding codes",
            Self::Choices { .. } => "decoding choices",
            Self::Explain { .. } => "explaining",
            Self::Surprise { .. } => "measuring surprise",
            Self::CountTokens(_) => "counting tokens",
            Self::Sample(_) => "sampling",
            Self::Morph(_) => "morphing",
            Self::Usage(_) => "counting codes",
        }
    }

    pub(super) fn slot(&self) -> Option<Slot> {
        match self {
            Self::Load(_) => Some(Slot::Load),
            Self::Show(_) => Some(Slot::Show),
            Self::Neighbours { .. } => Some(Slot::Neighbours),
            Self::Choices { .. } => Some(Slot::Choices),
            Self::Explain { .. } => Some(Slot::Explain),
            Self::Surprise { .. } => Some(Slot::Surprise),
            Self::CountTokens(_) => Some(Slot::CountTokens),
            Self::Usage(_) => Some(Slot::Usage),
            Self::Encode(..) | Self::Sample(_) | Self::Morph(_) | Self::Patches { .. } => None,
        }
    }
}
