//! The augmentations that configurations name.

use super::{Augmentation, Frame, PLAIN, Part};
use residua_core::error::{Error, Result};
use residua_io::image_io::framing::Framing;

const ALONG: Augmentation = Augmentation { frame: Frame::Along, flip: true, shift: 0 };
const FFHQ: Part = Part { least: 0.75, proportions: [1.0, 1.0] };
const CLIP: Part = Part { least: 0.8, proportions: [3.0 / 4.0, 4.0 / 3.0] };

/// Compares a configured name with a known one.
type Compare = fn(&str, &str) -> bool;

/// The values of `dataset.transforms`, those of the published trainers first.
const NAMED: [(Compare, &str, Augmentation); 8] = [
    (contains, "ffhq", Augmentation { frame: Frame::Anywhere(FFHQ), ..ALONG }),
    (begins, "imagenet", ALONG),
    (begins, "LSUN", PLAIN),
    (begins, "none", PLAIN),
    (is, "dalle-vqvae", Augmentation { frame: Frame::NearMiddle, ..PLAIN }),
    (is, "clip", Augmentation { frame: Frame::AnywhereSqueezed(CLIP), ..PLAIN }),
    (begins, "shift", Augmentation { flip: true, shift: 3, ..PLAIN }),
    (begins, "flip", ALONG),
];

/// Published values for models with another pixel range.
const OF_OTHERS: [&str; 2] = ["dalle", "clip-dvae"];

fn contains(name: &str, word: &str) -> bool {
    name.contains(word)
}
fn begins(name: &str, word: &str) -> bool {
    name.starts_with(word)
}
fn is(name: &str, word: &str) -> bool {
    name == word
}

fn known(kind: &str) -> Option<Augmentation> {
    NAMED.iter().find(|(compare, word, _)| compare(kind, word)).map(|(_, _, augmentation)| *augmentation)
}

impl Augmentation {
    /// The augmentation for the published key `dataset.transforms.type`, or for `dataset.transforms` of
    /// datasets with captions.
    ///
    /// # Errors
    /// The value is for another kind of model.
    pub fn named(kind: Option<&str>) -> Result<Self> {
        let Some(kind) = kind else { return Ok(PLAIN) };
        if OF_OTHERS.contains(&kind) {
            return Err(Error::invalid(format!(
                "dataset.transforms: expected dalle-vqvae or clip for this kind of model, found {kind}"
            )));
        }
        Ok(known(kind).unwrap_or_else(|| {
            let words = NAMED.map(|(_, word, _)| word).join(", ");
            tracing::warn!(
                "dataset.transforms: expected one of {words}, found {kind}; pictures are cropped and flipped as for imagenet"
            );
            ALONG
        }))
    }

    /// How to frame the pictures that a model with this `dataset.transforms` is measured on, as published.
    pub fn measured(kind: Option<&str>) -> Framing {
        match kind.and_then(known).map(|known| known.held_out().frame) {
            Some(Frame::Squeezed) => Framing::Squeezed,
            _ => Framing::Middle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_names_and_our_own_are_known() {
        let named = |name| Augmentation::named(Some(name));
        for name in ["LSUN", "LSUN-cat", "LSUN-church", "LSUN-bedroom", "none"] {
            assert_eq!(named(name).unwrap(), PLAIN, "{name}");
        }
        assert_eq!(named("clip").unwrap().held_out().frame, Frame::Squeezed);
        assert_eq!(named("ffhq1024x1024").unwrap().held_out(), PLAIN);
        assert_eq!(named("shift64x64").unwrap(), Augmentation { flip: true, shift: 3, ..PLAIN });
        let measured = ["dalle-vqvae", "clip", "imagenet256x256", "other"]
            .map(|name| Augmentation::measured(Some(name)));
        assert_eq!(measured, [Framing::Squeezed, Framing::Squeezed, Framing::Middle, Framing::Middle]);
        let error = named("clip-dvae").unwrap_err().to_string();
        assert!(error.contains("expected dalle-vqvae or clip") && error.contains("clip-dvae"), "{error}");
    }
}
