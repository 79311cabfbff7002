//! What is different between two frames.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::describe::Tree;
use super::element::Element;

/// What the page has to do.
#[derive(Debug, Serialize)]
pub struct Change<'a> {
    /// New elements and changed ones, in reading order.
    upsert: Vec<&'a Element>,
    /// Elements that are gone.
    remove: Vec<&'a str>,
    /// The elements without a parent, if these changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<&'a [String]>,
    /// Which one has the keyboard.
    focus: Option<&'a str>,
}

impl<'a> Change<'a> {
    /// From `before` to `now`, if that is a change at all.
    pub fn between(before: &'a Tree, now: &'a Tree) -> Option<Self> {
        if before == now {
            return None;
        }
        let known: HashMap<_, _> = before.elements.iter().map(|element| (&element.id, element)).collect();
        let present: HashSet<_> = now.elements.iter().map(|element| &element.id).collect();
        let gone = before.elements.iter().filter(|element| !present.contains(&element.id));
        Some(Self {
            upsert: now.elements.iter().filter(|new| known.get(&new.id) != Some(new)).collect(),
            remove: gone.map(|element| element.id.as_str()).collect(),
            top: (before.top != now.top).then_some(&now.top),
            focus: now.focus.as_deref(),
        })
    }

    /// As sent.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts, finite numbers and lists are JSON")
    }
}
