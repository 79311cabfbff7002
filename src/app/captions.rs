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

    /// True if `caption` was not requested yet.
    pub fn is_new(&self, caption: &str) -> bool {
        !self.0.contains_key(caption)
    }

    /// Records that a new `caption` is requested.
    pub fn want(&mut self, caption: &str) {
        if self.0.len() == MOST_KNOWN {
            self.0.clear();
        }
        self.0.insert(caption.into(), None);
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
        ["a cat", "a dog"].into_iter().for_each(|caption| captions.want(caption));
        assert!(!captions.is_new("a cat") && !captions.is_new("a dog") && captions.is_new("a pig"));
        assert!(captions.get("a cat").is_none());
        captions.learn(CaptionTokens { caption: "a cat".into(), tokens: 2, unknown: Vec::new() });
        assert_eq!(captions.get("a cat").expect("answered").tokens, 2);
        assert!(captions.get("a dog").is_none());
        (0..MOST_KNOWN).for_each(|number| captions.want(&number.to_string()));
        assert!(captions.0.len() <= MOST_KNOWN && captions.is_new("a cat"));
    }
}
