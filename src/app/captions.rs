//! How the tokenizer reads the captions on screen. It is on the models' side, so each caption is sent there once.

use std::collections::HashMap;

use residua_protocol::CaptionTokens;

/// Captions kept; typing makes many.
const MOST_KNOWN: usize = 64;

/// The captions requested so far, with their answers.
#[derive(Default)]
pub struct Captions(HashMap<String, Option<CaptionTokens>>);

impl Captions {
    /// How the tokenizer reads `caption`, if it has answered.
    pub fn get(&self, caption: &str) -> Option<&CaptionTokens> {
        self.0.get(caption)?.as_ref()
    }

    /// True if `caption` is new, and must be requested now.
    pub fn want(&mut self, caption: &str) -> bool {
        if self.0.contains_key(caption) {
            return false;
        }
        if self.0.len() == MOST_KNOWN {
            self.0.clear();
        }
        self.0.insert(caption.into(), None);
        true
    }

    /// Stores an answer.
    pub fn learn(&mut self, answer: CaptionTokens) {
        self.0.insert(answer.caption.clone(), Some(answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caption_is_requested_once_and_few_are_kept() {
        let mut captions = Captions::default();
        assert!(captions.want("a cat") && captions.want("a dog") && !captions.want("a cat"));
        assert!(captions.get("a cat").is_none());
        captions.learn(CaptionTokens { caption: "a cat".into(), tokens: 2, unknown: Vec::new() });
        assert_eq!(captions.get("a cat").expect("answered").tokens, 2);
        assert!(captions.get("a dog").is_none());
        (0..MOST_KNOWN).for_each(|number| assert!(captions.want(&number.to_string())));
        assert!(captions.0.len() <= MOST_KNOWN && captions.want("a cat"));
    }
}
