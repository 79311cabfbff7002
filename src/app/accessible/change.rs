//! The difference between two frames.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::describe::Tree;
use super::element::Element;

/// An update for the page.
#[derive(Debug, Serialize)]
pub struct Change<'a> {
    /// New elements and changed ones, in reading order.
    upsert: Vec<&'a Element>,
    /// Elements that are gone.
    remove: Vec<&'a str>,
    /// Ids of the elements without a parent, if the list changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<&'a [String]>,
    /// Id of the element with keyboard focus.
    focus: Option<&'a str>,
}

impl<'a> Change<'a> {
    /// The change from `before` to `now`, or None if they are equal.
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

    /// The JSON to send.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts, finite numbers and lists are JSON")
    }
}
