//! The models that come with the program.

use super::{Asset, EMOJI_64_STAGE_1, EMOJI_64_STAGE_2, EMOJI_64_STAGE_2_CAPTIONS};

/// One bundled pair of models.
pub struct Bundled {
    /// What `--model` calls it.
    pub name: &'static str,
    /// Under what terms it is given.
    pub licence: &'static str,
    stage1: Asset,
    stage2: Asset,
}

/// All of them; the first is the default.
pub const BUNDLED: &[Bundled] = &[
    Bundled { name: "emoji-64", licence: "MIT", stage1: EMOJI_64_STAGE_1, stage2: EMOJI_64_STAGE_2 },
    Bundled {
        name: "emoji-64-captions",
        licence: "MIT",
        stage1: EMOJI_64_STAGE_1,
        stage2: EMOJI_64_STAGE_2_CAPTIONS,
    },
];

/// The bundled model called `name`.
pub fn find(name: &str) -> Option<&'static Bundled> {
    BUNDLED.iter().find(|bundled| bundled.name == name)
}

impl Bundled {
    /// Its files: stage 1 and stage 2.
    pub fn files(&self) -> [Asset; 2] {
        [self.stage1, self.stage2]
    }
}
