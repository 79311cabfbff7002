//! Pictures of single codes: those already rendered, and those to request next. Only one request runs at a time, so a
//! newer one never replaces an older one.

use std::collections::HashMap;
use std::sync::Arc;

use residua_io::image_io::Picture;
use residua_protocol::CodePatches;

/// Codes per request. An edit waits at most as long as one request takes.
pub const BATCH: usize = 8;

/// Codes that may wait; older ones have usually scrolled out of view.
const MOST_WANTED: usize = 64;

/// Pictures kept. Beyond this number all are dropped, and those in view are requested again.
const MOST_KNOWN: usize = 4096;

/// A depth and a code.
type Key = (usize, u32);

/// The pictures of codes.
#[derive(Default)]
pub struct Patches {
    known: HashMap<Key, Arc<Picture>>,
    /// Waiting for a request, latest last.
    wanted: Vec<Key>,
    /// Requested but not answered.
    asked: Vec<Key>,
}

impl Patches {
    /// The picture of `code` at `depth`.
    pub fn get(&self, depth: usize, code: u32) -> Option<&Arc<Picture>> {
        self.known.get(&(depth, code))
    }

    /// Queues those of `codes` at `depth` that are neither known nor requested.
    pub fn want(&mut self, depth: usize, codes: &[u32]) {
        for key in codes.iter().rev().map(|&code| (depth, code)) {
            if !self.known.contains_key(&key) && !self.asked.contains(&key) {
                self.wanted.retain(|other| *other != key);
                self.wanted.push(key);
            }
        }
        let old = self.wanted.len().saturating_sub(MOST_WANTED);
        self.wanted.drain(..old);
    }

    /// True if no request is running.
    pub fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }

    /// The next request, for codes at one depth; None while one is running.
    pub fn next(&mut self) -> Option<(usize, Vec<u32>)> {
        let depth = self.wanted.last().filter(|_| self.is_idle())?.0;
        self.asked = self.wanted.iter().rev().filter(|key| key.0 == depth).take(BATCH).copied().collect();
        self.wanted.retain(|key| !self.asked.contains(key));
        Some((depth, self.asked.iter().map(|key| key.1).collect()))
    }

    /// Stores an answer.
    pub fn learn(&mut self, answer: &CodePatches) {
        if self.known.len() + answer.patches.len() > MOST_KNOWN {
            self.known.clear();
        }
        self.known.extend(answer.patches.iter().map(|(code, patch)| ((answer.depth, *code), patch.clone())));
    }

    /// Ends the request, answered or not.
    pub fn over(&mut self) {
        self.asked.clear();
    }

    /// Drops the codes that still wait for a request.
    pub fn give_up(&mut self) {
        self.wanted.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(depth: usize, codes: &[u32]) -> CodePatches {
        let picture = Arc::new(Picture::new(1, 1, vec![0.0; 3]).expect("whole"));
        CodePatches { depth, patches: codes.iter().map(|&code| (code, picture.clone())).collect() }
    }

    #[test]
    fn the_latest_codes_come_first_and_none_is_requested_twice() {
        let mut patches = Patches::default();
        patches.want(0, &[1, 2]);
        patches.want(1, &[3]);
        patches.want(0, &[4, 1]);
        assert_eq!(patches.next(), Some((0, vec![4, 1, 2])));
        patches.want(0, &[2]);
        assert_eq!(patches.next(), None, "one request at a time");
        patches.learn(&answer(0, &[4, 1]));
        patches.over();
        assert!(patches.get(0, 4).is_some() && patches.get(1, 4).is_none());
        assert_eq!(patches.next(), Some((1, vec![3])));
        patches.over();
        patches.want(0, &[4, 2]);
        assert_eq!(patches.next(), Some((0, vec![2])), "a stopped request can be repeated");
    }

    #[test]
    fn requests_are_small_and_old_codes_are_dropped() {
        let mut patches = Patches::default();
        (0..100).for_each(|code| patches.want(0, &[code]));
        assert_eq!(patches.next(), Some((0, (92..100).rev().collect())));
        patches.over();
        let rest = std::iter::from_fn(|| {
            let next = patches.next();
            patches.over();
            next
        });
        assert_eq!(rest.map(|(_, codes)| codes.len()).sum::<usize>(), MOST_WANTED - BATCH);
    }
}
