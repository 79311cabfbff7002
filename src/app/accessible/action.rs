//! What the page may ask of an element.

use eframe::egui::Event;
use eframe::egui::accesskit::{Action, ActionData, ActionRequest, Node, NodeId, TreeId};
use serde::{Deserialize, Serialize};

use super::describe::Tree;
use super::element::Element;
use crate::error::{Error, Result};

/// What can be done to an element.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Click,
    Focus,
    Increment,
    Decrement,
    SetValue,
    /// Scroll it into view.
    Show,
}

/// What a widget may say that it takes.
const SAID: [Kind; 5] = [Kind::Click, Kind::Focus, Kind::Increment, Kind::Decrement, Kind::SetValue];

impl Kind {
    /// What it is to egui.
    fn action(self) -> Action {
        match self {
            Self::Click => Action::Click,
            Self::Focus => Action::Focus,
            Self::Increment => Action::Increment,
            Self::Decrement => Action::Decrement,
            Self::SetValue => Action::SetValue,
            Self::Show => Action::ScrollIntoView,
        }
    }
}

/// As the page sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    id: String,
    kind: Kind,
    value: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Value {
    Number(f64),
    Text(String),
}

/// What can be done to `node`. egui scrolls to every widget when asked, and says so of none.
pub fn of(node: &Node) -> Vec<Kind> {
    let takes = |kind: &Kind| !node.is_disabled() && node.supports_action(kind.action());
    SAID.into_iter().filter(takes).collect()
}

/// What egui is to be told so that the page's `json` comes true for what is `shown`.
///
/// # Errors
/// It is no action, or none for this element.
pub fn event(json: &str, shown: &Tree) -> Result<Event> {
    let asked: Asked = serde_json::from_str(json).map_err(|error| {
        Error::usage(format!("expected an action {{\"id\", \"kind\", \"value\"}}, found {json}: {error}"))
    })?;
    let (id, kind) = (&asked.id, asked.kind);
    let element = shown.elements.iter().find(|element| element.id == *id).ok_or_else(|| {
        Error::usage(format!("expected the id of an element, found \"{id}\": it is gone, look again"))
    })?;
    let Element { role, name, actions, .. } = element;
    if kind != Kind::Show && !actions.contains(&kind) {
        return Err(Error::usage(format!(
            "the {role} \"{name}\" takes {actions:?}, found {kind:?}: ask for one of these"
        )));
    }
    Ok(Event::AccessKitActionRequest(ActionRequest {
        action: kind.action(),
        target_tree: TreeId::ROOT,
        target_node: NodeId(id.parse().expect("an element that is shown has egui's id")),
        data: data(&asked, element)?,
    }))
}

/// The new value, as the element takes it.
fn data(asked: &Asked, element: &Element) -> Result<Option<ActionData>> {
    if asked.kind != Kind::SetValue {
        return Ok(None);
    }
    let numeric = element.states.valuenow.is_some();
    match &asked.value {
        Some(Value::Number(number)) if numeric => Ok(Some(ActionData::NumericValue(*number))),
        Some(Value::Text(text)) if !numeric => Ok(Some(ActionData::Value(text.as_str().into()))),
        found => {
            let expected = if numeric { "a number" } else { "a text" };
            let name = &element.name;
            Err(Error::usage(format!(
                "\"{name}\" takes {expected}, found {found:?}: send a value of that kind"
            )))
        }
    }
}
