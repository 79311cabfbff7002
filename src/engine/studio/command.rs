//! What the models can be asked for.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codes::CodeStack;
use crate::engine::{Condition, Options};
use crate::generate::morph::Morph;
use crate::generate::{Filter, Forced, Schedule};
use crate::image_io::Picture;
use crate::image_io::framing::Framing;

/// A picture's codes as they are looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct View {
    /// The codes.
    pub stack: Arc<CodeStack>,
    /// How many of its codes each cell uses, from the top; row-major.
    pub limits: Arc<Vec<usize>>,
    /// What the stack is to look like, if there is such a picture, of the model's size.
    pub original: Option<Arc<Picture>>,
}

/// A view of all codes of `stack`.
impl From<Arc<CodeStack>> for View {
    fn from(stack: Arc<CodeStack>) -> Self {
        let limits = vec![stack.depth(); stack.h() * stack.w()];
        Self { stack, limits: Arc::new(limits), original: None }
    }
}

/// What to sample.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SamplePlan {
    /// Nothing, a class or a caption.
    pub condition: Condition,
    /// Seed of all draws.
    pub seed: u64,
    /// Number of the first picture among those of the seed.
    pub first: u32,
    /// How many pictures.
    pub count: u32,
    /// One filter a depth.
    pub filters: Vec<Filter>,
    /// Parts and rounds for a contextual model; `None` for its usual ones. An autoregressive model has no use for it.
    pub schedule: Option<Schedule>,
    /// Codes that are kept.
    pub forced: Option<Forced>,
    /// Whether to show the picture as it grows.
    pub preview: bool,
}

/// What to animate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MorphPlan {
    /// The first stack.
    pub from: Arc<CodeStack>,
    /// The last stack.
    pub to: Arc<CodeStack>,
    /// How one becomes the other.
    pub morph: Morph,
    /// How long a frame is shown, in milliseconds.
    pub milliseconds: u16,
    /// What a contextual model is told that the pictures show, as it revises the cells where the two meet.
    pub condition: Condition,
    /// One filter a depth, for these cells.
    pub filters: Vec<Filter>,
}

/// Something that the models do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Loads a stage 2 with its stage 1, or a stage 1 alone; they take the place of those loaded.
    Load(Options),
    /// Encodes a part of a picture of any size.
    Encode(Arc<Picture>, Framing),
    /// Decodes a stack, then all its layers. A newer one takes its place.
    Show(View),
    /// The codes nearest to one, of the codebook at a depth.
    Neighbours {
        /// Depth of the codebook.
        depth: usize,
        /// The code.
        code: u32,
        /// How many.
        count: usize,
    },
    /// What each code looks like alone.
    Patches {
        /// Depth of the codebook.
        depth: usize,
        /// The codes.
        codes: Vec<u32>,
    },
    /// What each of some codes would do at a place.
    Choices {
        /// The picture's codes.
        view: View,
        /// Row, column, depth.
        place: [usize; 3],
        /// The codes.
        codes: Vec<u32>,
    },
    /// The transformer's distribution at a place.
    Explain {
        /// The codes.
        stack: Arc<CodeStack>,
        /// What the picture was made from.
        condition: Condition,
        /// Row, column, depth.
        place: [usize; 3],
        /// How many suggestions.
        count: usize,
    },
    /// How sure the transformer is at each place.
    Surprise {
        /// The codes.
        stack: Arc<CodeStack>,
        /// What the picture was made from.
        condition: Condition,
    },
    /// How many tokens a caption has.
    CountTokens(String),
    /// New pictures.
    Sample(SamplePlan),
    /// An animation from one stack to another.
    Morph(MorphPlan),
    /// Which codes the pictures of a folder use.
    Usage(PathBuf),
}

/// Of the commands in one slot only the last matters.
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
    /// What a person calls it.
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
