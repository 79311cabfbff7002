//! Actions that the page can request on an element.

use eframe::egui::Event;
use eframe::egui::accesskit::{Action, ActionData, ActionRequest, Node, NodeId, TreeId};
use serde::{Deserialize, Serialize};

use super::describe::Tree;
use super::element::Element;
use residua_core::error::{Error, Result};

/// An action on an element.
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

/// Actions that a widget may declare.
const SAID: [Kind; 5] = [Kind::Click, Kind::Focus, Kind::Increment, Kind::Decrement, Kind::SetValue];

impl Kind {
    /// The AccessKit action.
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

/// A request, as the page sends it.
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

/// The actions that `node` supports. `Show` is not listed: egui can scroll to any widget, but no widget declares it.
pub fn of(node: &Node) -> Vec<Kind> {
    let takes = |kind: &Kind| !node.is_disabled() && node.supports_action(kind.action());
    SAID.into_iter().filter(takes).collect()
}

/// The egui event for the page's request `json` on the elements in `shown`.
///
/// # Errors
/// `json` is not an action, its element does not exist, or the element does not support the action.
pub fn event(json: &str, shown: &Tree) -> Result<Event> {
    let asked: Asked = serde_json::from_str(json).map_err(|error| {
        Error::usage(format!("expected an action {{\"id\", \"kind\", \"value\"}}, found {json}: {error}"))
    })?;
    let (id, kind) = (&asked.id, asked.kind);
    let element = shown.elements.iter().find(|element| element.id == *id).ok_or_else(|| {
        Error::usage(format!(
            "expected the id of an element, found \"{id}\": use an id from the latest update"
        ))
    })?;
    let Element { role, name, actions, .. } = element;
    if kind != Kind::Show && !actions.contains(&kind) {
        return Err(Error::usage(format!(
            "the {role} \"{name}\" takes {actions:?}, found {kind:?}: use one of these"
        )));
    }
    Ok(Event::AccessKitActionRequest(ActionRequest {
        action: kind.action(),
        target_tree: TreeId::ROOT,
        target_node: NodeId(id.parse().expect("an element that is shown has egui's id")),
        data: data(&asked, element)?,
    }))
}

/// The new value, in the type that the element takes.
fn data(asked: &Asked, element: &Element) -> Result<Option<ActionData>> {
    if asked.kind != Kind::SetValue {
        return Ok(None);
    }
    let numeric = element.states.valuenow.is_some();
    match &asked.value {
        Some(Value::Number(number)) if numeric => Ok(Some(ActionData::NumericValue(*number))),
        Some(Value::Text(text)) if !numeric => Ok(Some(ActionData::Value(text.as_str().into()))),
        found => {
            let expected = if numeric { "a number" } else { "text" };
            let name = &element.name;
            Err(Error::usage(format!(
                "\"{name}\" takes {expected}, found {found:?}: send a value of that kind"
            )))
        }
    }
}
