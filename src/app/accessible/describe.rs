//! Turns egui's accessibility tree into elements for the page.

use std::collections::HashMap;

use eframe::egui::accesskit::{Live, Node, NodeId, Role, Toggled, TreeUpdate};
use eframe::egui::{Context, Pos2, Rect};

use super::action;
use super::element::{Element, States};
use super::roles::{self, Keep, On};

/// Bounds are rounded to a hundredth of a pixel: smaller changes are layout noise and need no update.
const STEPS_PER_PIXEL: f64 = 100.0;

/// Everything that a frame shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    /// In reading order, parents first.
    pub elements: Vec<Element>,
    /// Ids of the elements without a parent.
    pub top: Vec<String>,
    /// Id of the element with keyboard focus.
    pub focus: Option<String>,
}

impl Tree {
    /// Describes the frame that `ctx` has just ended with `update`. egui sends the whole tree with every frame, in points
    /// (the root's scale to physical pixels is ignored). Points times the zoom factor are CSS pixels.
    pub fn describe(ctx: &Context, update: &TreeUpdate) -> Self {
        let mut describer = Describer {
            nodes: update.nodes.iter().map(|(id, node)| (*id, node)).collect(),
            visible: visible(ctx),
            zoom: ctx.zoom_factor().into(),
            elements: Vec::new(),
        };
        let root = update.tree.as_ref().and_then(|tree| describer.nodes.get(&tree.root)).copied();
        let top = root.map_or_else(Vec::new, |root| describer.children(root));
        let elements = describer.elements;
        let focus = id_text(update.focus);
        let focus = elements.iter().any(|element| element.id == focus).then_some(focus);
        Self { elements, top, focus }
    }
}

/// The part of each widget that its scroll area does not clip, in points.
fn visible(ctx: &Context) -> HashMap<NodeId, Rect> {
    ctx.viewport(|viewport| {
        let layers = viewport.prev_pass.widgets.layers();
        layers.flat_map(|(_, widgets)| widgets).map(|w| (w.id.accesskit_id(), w.interact_rect)).collect()
    })
}

fn id_text(id: NodeId) -> String {
    id.0.to_string()
}

struct Describer<'a> {
    nodes: HashMap<NodeId, &'a Node>,
    visible: HashMap<NodeId, Rect>,
    zoom: f64,
    elements: Vec<Element>,
}

impl Describer<'_> {
    /// Describes the contents of `node`; returns the ids of its children on the page.
    fn children(&mut self, node: &Node) -> Vec<String> {
        node.children().iter().flat_map(|&id| self.add(id)).collect()
    }

    /// Describes a node and its contents; returns its id, or its children's ids if it gets no element.
    fn add(&mut self, id: NodeId) -> Vec<String> {
        let Some(&node) = self.nodes.get(&id) else { return Vec::new() };
        if node.is_hidden() {
            return Vec::new();
        }
        let Some(element) = self.element(id, node) else { return self.children(node) };
        let (place, id) = (self.elements.len(), element.id.clone());
        self.elements.push(element);
        self.elements[place].children = self.children(node);
        if node.bounds().is_none() {
            self.elements[place].bounds = around(&self.elements[place + 1..]);
        }
        vec![id]
    }

    /// The element for a node, if it gets one.
    fn element(&self, id: NodeId, node: &Node) -> Option<Element> {
        let (role, keep) = roles::aria(node.role())?;
        let name = self.name(node);
        if keep == Keep::Named && name.is_empty() {
            return None;
        }
        Some(Element {
            id: id_text(id),
            role,
            bounds: self.bounds(id, node),
            actions: action::of(node),
            children: Vec::new(),
            states: states(node, role, &name),
            name,
        })
    }

    /// A label's name is its text; for others it is their own name, that of their labels, or their placeholder.
    fn name(&self, node: &Node) -> String {
        let labels = || {
            let labels = node.labelled_by().iter().filter_map(|id| self.nodes.get(id));
            let texts: Vec<_> = labels.filter_map(|label| own_name(label)).collect();
            (!texts.is_empty()).then(|| texts.join(" "))
        };
        let name = own_name(node).map(String::from).or_else(labels);
        name.or_else(|| node.placeholder().map(String::from)).unwrap_or_default().trim().into()
    }

    /// Where a click hits the widget. A widget that is scrolled out of view keeps its position but has no size.
    fn bounds(&self, id: NodeId, node: &Node) -> [f64; 4] {
        let Some(bounds) = node.bounds() else { return [0.0; 4] };
        let point = |x: f64, y: f64| Pos2::new(x as f32, y as f32);
        let rect = Rect::from_min_max(point(bounds.x0, bounds.y0), point(bounds.x1, bounds.y1));
        let seen = self.visible.get(&id).map_or(rect, |visible| rect.intersect(*visible));
        let seen = if seen.is_positive() { seen } else { Rect::from_min_max(rect.min, rect.min) };
        [seen.min.x, seen.min.y, seen.width(), seen.height()]
            .map(|points| (f64::from(points) * self.zoom * STEPS_PER_PIXEL).round() / STEPS_PER_PIXEL)
    }
}

/// The bounding box of all elements that have a size.
fn around(elements: &[Element]) -> [f64; 4] {
    let sized =
        elements.iter().map(|element| element.bounds).filter(|[_, _, width, height]| width * height > 0.0);
    let corners = sized.map(|[x, y, width, height]| [x, y, x + width, y + height]);
    let join = |a: [f64; 4], b: [f64; 4]| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])];
    corners.reduce(join).map_or([0.0; 4], |[x0, y0, x1, y1]| [x0, y0, x1 - x0, y1 - y0])
}

fn own_name(node: &Node) -> Option<&str> {
    match node.role() {
        Role::Label => node.value(),
        _ => node.label(),
    }
}

fn states(node: &Node, role: &str, name: &str) -> States {
    let number = |value: Option<f64>| value.filter(|value| value.is_finite());
    let toggled = node.toggled().map(|toggled| match toggled {
        Toggled::True => "true",
        Toggled::False => "false",
        Toggled::Mixed => "mixed",
    });
    let on = |place| toggled.filter(|_| roles::on(role) == place);
    let chosen = node.is_selected().map(|selected| if selected { "true" } else { "false" });
    States {
        description: node.description().filter(|text| *text != name).map(String::from),
        value: node.value().filter(|_| role != "text").map(String::from),
        placeholder: node.placeholder().map(String::from),
        valuenow: number(node.numeric_value()),
        min: number(node.min_numeric_value()),
        max: number(node.max_numeric_value()),
        step: number(node.numeric_value_step()),
        checked: on(On::Checked),
        pressed: on(On::Pressed),
        selected: on(On::Selected).or(chosen),
        expanded: node.is_expanded(),
        live: node.live().and_then(|live| match live {
            Live::Off => None,
            Live::Polite => Some("polite"),
            Live::Assertive => Some("assertive"),
        }),
        disabled: node.is_disabled(),
        readonly: node.is_read_only(),
        multiline: node.role() == Role::MultilineTextInput,
    }
}
