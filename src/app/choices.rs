//! Previews of other codes at the pinned position: those already computed, and those still to request.

use std::collections::HashMap;
use std::sync::Arc;

use residua_protocol::{Choice, View};

/// The previews for one position in one view.
#[derive(Default)]
pub struct Choices {
    of: Option<(View, [usize; 3])>,
    known: HashMap<u32, Arc<Choice>>,
    /// Codes requested so far, answered or not.
    asked: Vec<u32>,
}

impl Choices {
    /// Switches to `place` in `view`, and forgets the previews of any other position or view.
    pub fn look_at(&mut self, view: View, place: [usize; 3]) {
        let same = |(of, at): &(View, [usize; 3])| *at == place && is_same(of, &view.stack, &view.limits);
        if !self.of.as_ref().is_some_and(same) {
            *self = Self { of: Some((view, place)), ..Self::default() };
        }
    }

    /// The preview of `code`, if it has arrived.
    pub fn get(&self, code: u32) -> Option<&Arc<Choice>> {
        self.known.get(&code)
    }

    /// The request that gets the previews of all `codes`, or None if they were all requested before. A new request replaces
    /// the last one, so it includes the codes that are still unanswered.
    pub fn want(&mut self, codes: &[u32]) -> Option<(View, [usize; 3], Vec<u32>)> {
        let (view, place) = self.of.clone()?;
        let news: Vec<u32> = codes.iter().copied().filter(|code| !self.asked.contains(code)).collect();
        if news.is_empty() {
            return None;
        }
        self.asked.extend(news);
        let missing = self.asked.iter().copied().filter(|code| !self.known.contains_key(code)).collect();
        Some((view, place, missing))
    }

    /// Takes an answer; ignores one for another position or view.
    pub fn learn(&mut self, answer: residua_protocol::Choices) {
        let residua_protocol::Choices { stack, limits, place, code, choice } = answer;
        if self.of.as_ref().is_some_and(|(of, at)| *at == place && is_same(of, &stack, &limits)) {
            self.known.insert(code, choice);
        }
    }
}

fn is_same(view: &View, stack: &residua_core::codes::CodeStack, limits: &[usize]) -> bool {
    *view.stack == *stack && *view.limits == limits
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_core::codes::CodeStack;
    use residua_io::image_io::Picture;

    fn view(code: u32) -> View {
        Arc::new(CodeStack::new(1, 1, 2, vec![code, 0]).unwrap()).into()
    }

    fn answer(of: &View, place: [usize; 3], code: u32) -> residua_protocol::Choices {
        let picture = Arc::new(Picture::new(1, 1, vec![0.0; 3]).unwrap());
        let choice =
            Arc::new(Choice { picture: picture.clone(), change: picture, amplified: 1.0, effect: 0.0 });
        residua_protocol::Choices { stack: of.stack.clone(), limits: of.limits.clone(), place, code, choice }
    }

    #[test]
    fn a_new_request_includes_unanswered_codes() {
        let mut choices = Choices::default();
        assert!(choices.want(&[1]).is_none(), "no position yet");
        choices.look_at(view(5), [0, 0, 1]);
        assert_eq!(choices.want(&[1, 2]).unwrap().2, [1, 2]);
        choices.learn(answer(&view(5), [0, 0, 1], 1));
        assert!(choices.want(&[2, 1]).is_none(), "nothing is requested twice");
        assert_eq!(choices.want(&[1, 3]).unwrap().2, [2, 3]);
    }

    #[test]
    fn previews_of_another_position_or_stack_are_forgotten() {
        let mut choices = Choices::default();
        choices.look_at(view(5), [0, 0, 1]);
        choices.want(&[1]);
        choices.learn(answer(&view(6), [0, 0, 1], 1));
        choices.learn(answer(&view(5), [0, 0, 0], 1));
        assert!(choices.get(1).is_none());
        choices.learn(answer(&view(5), [0, 0, 1], 1));
        choices.look_at(view(5), [0, 0, 1]);
        assert!(choices.get(1).is_some(), "the same position");
        choices.look_at(view(5), [0, 0, 0]);
        assert!(choices.get(1).is_none() && choices.want(&[1]).is_some());
    }
}
