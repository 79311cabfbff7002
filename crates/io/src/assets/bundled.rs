//! The models that come with the program.

use residua_assets::{
    Asset, CHARACTERS_128_AUTOREGRESSIVE, CHARACTERS_128_CONTEXTUAL, CHARACTERS_128_STAGE_1,
};

/// One bundled pair of models.
pub struct Bundled {
    /// Its name.
    pub name: &'static str,
    /// Under what terms it is given, and whom to credit.
    pub licence: &'static str,
    /// An example of a caption, with which the studio begins.
    pub caption: &'static str,
    stage1: Asset,
    stage2: Asset,
}

const CREDIT: &str = "CC BY 4.0, Johan Melin and David Revoy";
const CAPTION: &str = "a blue cat with a red scarf";

/// All of them; the first is the default.
pub const BUNDLED: &[Bundled] = &[
    Bundled {
        name: "characters-128",
        licence: CREDIT,
        caption: CAPTION,
        stage1: CHARACTERS_128_STAGE_1,
        stage2: CHARACTERS_128_CONTEXTUAL,
    },
    Bundled {
        name: "characters-128-ar",
        licence: CREDIT,
        caption: CAPTION,
        stage1: CHARACTERS_128_STAGE_1,
        stage2: CHARACTERS_128_AUTOREGRESSIVE,
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
