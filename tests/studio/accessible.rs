//! The accessibility tree sent to the browser.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use eframe::egui::accessibility::is_input;
use egui_kittest::Node;
use egui_kittest::kittest::NodeT;
use residua::app::accessible::Accessible;
use serde_json::Value;

use crate::desk::Desk;

/// Clicked in order, so that everything has been shown: panels, then menus.
const CLICKS: [&str; 14] = [
    "Models",
    "Crop",
    "Reconstruction",
    "Revise",
    "Brush",
    "Pin",
    "row 0, column 0",
    "Codebook",
    "Explain",
    "Gallery",
    "Log and device",
    "File",
    "Edit",
    "View",
];

/// All input widgets that the test driver sees.
fn inputs<'a>(node: Node<'a>, found: &mut Vec<Node<'a>>) {
    if is_input(node.accesskit_node().role()) {
        found.push(node);
    }
    node.children().for_each(|child| inputs(child, found));
}

#[test]
fn every_input_widget_is_exposed_with_its_name() {
    let mut desk = Desk::with_names();
    let sent = Arc::new(Mutex::new(Vec::<String>::new()));
    let sender = sent.clone();
    Accessible::install(&desk.harness.ctx, move |json| sender.lock().unwrap().push(json));
    let mut elements: HashMap<String, Value> = HashMap::new();
    for name in CLICKS {
        desk.click(name);
        for change in sent.lock().unwrap().drain(..) {
            let change: Value = serde_json::from_str(&change).unwrap();
            change["remove"]
                .as_array()
                .unwrap()
                .iter()
                .for_each(|id| drop(elements.remove(id.as_str().unwrap())));
            let upsert = change["upsert"].as_array().unwrap().iter();
            elements.extend(upsert.map(|element| (element["id"].as_str().unwrap().into(), element.clone())));
        }
        for element in elements.values().filter(|element| element.get("actions").is_some()) {
            assert_ne!(element["name"], "", "after {name}: {element}");
        }
        let mut seen = Vec::new();
        inputs(desk.harness.root(), &mut seen);
        assert!(seen.len() > 50, "after {name}: {}", seen.len());
        for node in seen {
            let (id, _) = node.accesskit_node().locate();
            let told = elements
                .get(&id.0.to_string())
                .unwrap_or_else(|| panic!("after {name}: {node:?} is missing"));
            let label =
                node.accesskit_node().label().or(node.accesskit_node().placeholder().map(String::from));
            assert_eq!(told["name"].as_str(), label.as_deref().map(str::trim), "after {name}");
        }
    }
}
