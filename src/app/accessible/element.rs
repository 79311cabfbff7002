//! One element of the page: a widget in ARIA terms.

use serde::Serialize;

use super::action::Kind;

/// What the page needs to know about a widget.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Element {
    /// egui's id, in decimal: JavaScript numbers cannot hold 64 bits.
    pub id: String,
    pub role: &'static str,
    pub name: String,
    /// Left, top, width and height of the visible part, in CSS pixels.
    pub bounds: [f64; 4],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Kind>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<String>,
    #[serde(flatten)]
    pub states: States,
}

/// Properties that only some widgets have.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct States {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valuenow: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// "true", "false" or "mixed".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pressed: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selected: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expanded: Option<bool>,
    /// "polite" or "assertive": screen readers announce changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    pub disabled: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub readonly: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub multiline: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}
