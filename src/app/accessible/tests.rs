//! Compares what the page is told about a few widgets with what egui's own test driver sees.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use eframe::egui::accesskit::Role;
use eframe::egui::{self, Rect, Ui, Vec2};
use egui_kittest::kittest::{NodeT, Queryable};
use egui_kittest::{Harness, Node};
use serde_json::{Value, json};

use super::Accessible;

/// Values of the widgets below.
#[derive(Debug)]
struct Values {
    pressed: u32,
    checked: bool,
    heat: f32,
    count: u32,
    text: String,
    choice: usize,
    tall: bool,
}

fn widgets(ui: &mut Ui, values: &mut Values) {
    ui.heading("A form");
    if ui.button("Encode").clicked() {
        values.pressed += 1;
    }
    ui.add_enabled(false, egui::Button::new("Decode"));
    ui.checkbox(&mut values.checked, "Preview");
    ui.add(egui::Slider::new(&mut values.heat, 0.0..=2.0).text("Temperature").show_value(false));
    ui.add(egui::DragValue::new(&mut values.count).range(1..=9).speed(1.0)).accessible_name("Pictures");
    ui.horizontal(|ui| {
        let label = ui.label("Caption");
        ui.text_edit_singleline(&mut values.text).labelled_by(label.id);
    });
    egui::ComboBox::from_label("Model").show_index(ui, &mut values.choice, 2, |i| ["small", "large"][i]);
    ui.add(egui::Button::selectable(values.tall, "Tall"));
    egui::CollapsingHeader::new("More").show(ui, |_| ());
    egui::ScrollArea::vertical().max_height(60.0).show(ui, |ui| {
        for line in 0..10 {
            let _ = ui.button(format!("Line {line}"));
        }
    });
}

/// A model of the page: applies updates as the page does.
struct Page {
    harness: Harness<'static, Values>,
    sent: Arc<Mutex<Vec<String>>>,
    elements: HashMap<String, Value>,
    top: Vec<Value>,
    focus: Value,
}

impl Page {
    fn new() -> Self {
        let values = Values {
            pressed: 0,
            checked: true,
            heat: 0.5,
            count: 4,
            text: "a red fox".into(),
            choice: 0,
            tall: true,
        };
        let sent = Arc::new(Mutex::new(Vec::new()));
        let mut harness =
            Harness::builder().with_size(Vec2::new(400.0, 500.0)).build_ui_state(widgets, values);
        let sender = sent.clone();
        Accessible::install(&harness.ctx, move |json| sender.lock().unwrap().push(json));
        harness.run();
        let mut page = Self { harness, sent, elements: HashMap::new(), top: Vec::new(), focus: Value::Null };
        page.receive();
        page
    }

    /// Applies the pending updates; returns how many elements they touched.
    fn receive(&mut self) -> usize {
        let mut touched = 0;
        for json in self.sent.lock().unwrap().drain(..) {
            let change: Value = serde_json::from_str(&json).unwrap();
            let (upsert, remove) =
                (change["upsert"].as_array().unwrap(), change["remove"].as_array().unwrap());
            touched += upsert.len() + remove.len();
            for element in upsert {
                self.elements.insert(element["id"].as_str().unwrap().into(), element.clone());
            }
            for id in remove {
                self.elements.remove(id.as_str().unwrap()).expect("only known elements are removed");
            }
            if let Some(top) = change.get("top") {
                self.top = top.as_array().unwrap().clone();
            }
            self.focus = change["focus"].clone();
        }
        touched
    }

    fn run(&mut self) {
        self.harness.run();
        self.receive();
    }

    fn get(&self, role: &str, name: &str) -> &Value {
        let found: Vec<_> =
            self.elements.values().filter(|e| e["role"] == role && e["name"] == name).collect();
        assert_eq!(found.len(), 1, "{role} {name:?} in {:#?}", self.elements);
        found[0]
    }

    fn act(&mut self, role: &str, name: &str, kind: &str, value: Value) {
        let action = json!({ "id": self.get(role, name)["id"], "kind": kind, "value": value });
        Accessible::act(&self.harness.ctx, &action.to_string()).unwrap();
        self.run();
    }

    /// All names in reading order.
    fn read(&self, ids: &[Value]) -> Vec<String> {
        let read = |id: &Value| {
            let element = &self.elements[id.as_str().unwrap()];
            let mut names = vec![element["name"].as_str().unwrap().to_owned()];
            if let Some(children) = element.get("children") {
                names.extend(self.read(children.as_array().unwrap()));
            }
            names
        };
        ids.iter().flat_map(read).collect()
    }
}

/// All nodes that the test driver sees.
fn nodes(page: &Page) -> Vec<Node<'_>> {
    let (mut all, mut open) = (Vec::new(), vec![page.harness.root()]);
    while let Some(node) = open.pop() {
        open.extend(node.children());
        all.push(node);
    }
    all
}

fn rect(element: &Value) -> Rect {
    let [x, y, w, h] = [0, 1, 2, 3].map(|i| element["bounds"][i].as_f64().unwrap() as f32);
    Rect::from_min_size([x, y].into(), [w, h].into())
}

fn assert_near(a: Rect, b: Rect) {
    assert!((a.min - b.min).length() < 0.02 && (a.max - b.max).length() < 0.02, "{a} {b}");
}

const WIDGETS: [(&str, &str); 11] = [
    ("text", "A form"),
    ("button", "Encode"),
    ("button", "Decode"),
    ("checkbox", "Preview"),
    ("slider", "Temperature"),
    ("spinbutton", "Pictures"),
    ("text", "Caption"),
    ("textbox", "Caption"),
    ("combobox", "Model"),
    ("button", "Tall"),
    ("button", "More"),
];

#[test]
fn roles_names_and_bounds_match_the_test_driver() {
    for zoom in [1.0, 1.5] {
        let mut page = Page::new();
        page.harness.ctx.set_zoom_factor(zoom);
        page.run();
        for (role, name) in WIDGETS {
            let ours = rect(page.get(role, name));
            let inner = |node: &Node| (node.accesskit_node().label(), node.accesskit_node().value());
            let is_it = |node: &Node| match role {
                "text" => {
                    inner(node).1.as_deref() == Some(name) && node.accesskit_node().role() == Role::Label
                }
                _ => inner(node).0.as_deref() == Some(name),
            };
            let driver: Vec<_> = nodes(&page).into_iter().filter(is_it).map(|node| node.rect()).collect();
            assert_eq!(driver.len(), 1, "{role} {name}");
            // The driver's rectangles are in points.
            assert_near(driver[0] * zoom, ours);
        }
    }
}

#[test]
fn every_input_that_the_test_driver_sees_has_an_element() {
    let page = Page::new();
    let inputs = nodes(&page).into_iter().map(|node| node.accesskit_node());
    let inputs = inputs.filter(|node| egui::accessibility::is_input(node.role()));
    let mut names: Vec<_> = inputs.map(|node| node.label().unwrap()).collect();
    let mut ours: Vec<_> = page.elements.values().filter(|element| element["role"] != "text").collect();
    ours.retain(|element| element.get("actions").is_some() || element.get("disabled").is_some());
    let mut ours: Vec<_> = ours.iter().map(|element| element["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    ours.sort();
    assert_eq!(names, ours);
}

#[test]
fn states_are_sent() {
    let page = Page::new();
    let has = |role, name, key: &str, value: Value| {
        assert_eq!(page.get(role, name).get(key), Some(&value), "{name} {key}");
    };
    has("button", "Encode", "actions", json!(["click", "focus"]));
    has("button", "Decode", "disabled", json!(true));
    has("checkbox", "Preview", "checked", json!("true"));
    has("slider", "Temperature", "valuenow", json!(0.5));
    has("slider", "Temperature", "max", json!(2.0));
    has("slider", "Temperature", "actions", json!(["focus", "increment", "decrement", "set_value"]));
    has("spinbutton", "Pictures", "valuenow", json!(4.0));
    has("spinbutton", "Pictures", "min", json!(1.0));
    has("textbox", "Caption", "value", json!("a red fox"));
    has("combobox", "Model", "value", json!("small"));
    has("button", "Tall", "pressed", json!("true"));
    has("button", "More", "expanded", json!(false));
    assert_eq!(page.get("button", "Decode").get("actions"), None);
    assert_eq!(page.focus, Value::Null);
}

#[test]
fn elements_are_in_reading_order() {
    let page = Page::new();
    let read = page.read(&page.top);
    let mut rest = read.iter();
    for (_, name) in WIDGETS {
        assert!(rest.any(|other| other == name), "{name} in {read:?}");
    }
    assert_eq!(read.len(), page.elements.len());
}

#[test]
fn only_changes_are_sent() {
    let mut page = Page::new();
    (0..3).for_each(|_| page.harness.step());
    assert_eq!(*page.sent.lock().unwrap(), [""; 0]);
    page.harness.state_mut().checked = false;
    page.harness.run();
    assert_eq!(page.receive(), 1);
    assert_eq!(page.get("checkbox", "Preview")["checked"], "false");
}

#[test]
fn requested_actions_are_performed() {
    let mut page = Page::new();
    page.act("button", "Encode", "click", Value::Null);
    page.act("checkbox", "Preview", "click", Value::Null);
    page.act("slider", "Temperature", "set_value", json!(1.25));
    page.act("spinbutton", "Pictures", "increment", Value::Null);
    page.act("textbox", "Caption", "set_value", json!("a blue fox"));
    let values = page.harness.state();
    assert_eq!((values.pressed, values.checked, values.heat, values.count), (1, false, 1.25, 5));
    assert_eq!(values.text, "a blue fox");
    assert_eq!(page.get("textbox", "Caption")["value"], "a blue fox");
    page.act("spinbutton", "Pictures", "set_value", json!(50));
    assert_eq!(page.harness.state().count, 9);
    page.act("button", "Encode", "focus", Value::Null);
    assert_eq!(page.focus, page.get("button", "Encode")["id"]);
}

#[test]
fn an_open_list_is_added_and_a_closed_one_is_removed() {
    let mut page = Page::new();
    page.act("combobox", "Model", "click", Value::Null);
    page.act("button", "large", "click", Value::Null);
    assert_eq!(page.harness.state().choice, 1);
    assert_eq!(page.get("combobox", "Model")["value"], "large");
    assert_eq!(page.elements.values().filter(|element| element["role"] == "listbox").count(), 1);
    // egui closes a list on a click outside, on Escape, or on another click on its button.
    page.act("combobox", "Model", "click", Value::Null);
    assert!(page.elements.values().all(|element| element["role"] != "listbox"));
}

#[test]
fn widgets_scrolled_out_of_view_have_no_size_until_shown() {
    let mut page = Page::new();
    assert!(rect(page.get("button", "Line 0")).area() > 0.0);
    assert_eq!(rect(page.get("button", "Line 9")).area(), 0.0);
    page.act("button", "Line 9", "show", Value::Null);
    let line = rect(page.get("button", "Line 9"));
    assert_near(line, page.harness.get_by_label("Line 9").rect());
    assert_eq!(rect(page.get("button", "Line 0")).area(), 0.0);
}

#[test]
fn refusals_are_one_line_errors() {
    let page = Page::new();
    let id = |role, name| page.get(role, name)["id"].as_str().unwrap().to_owned();
    let asked = |id: String, kind: &str, value: Value| json!({ "id": id, "kind": kind, "value": value });
    let cases = [
        (json!("click"), "expected an action"),
        (asked(id("button", "Encode"), "shout", Value::Null), "unknown variant `shout`"),
        (asked("1".into(), "click", Value::Null), "found \"1\": use an id"),
        (asked(id("button", "Decode"), "click", Value::Null), "the button \"Decode\" takes []"),
        (asked(id("slider", "Temperature"), "set_value", json!("hot")), "takes a number"),
        (asked(id("textbox", "Caption"), "set_value", Value::Null), "takes text"),
    ];
    for (action, part) in cases {
        let error = Accessible::act(&page.harness.ctx, &action.to_string()).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }
    let error = Accessible::act(&egui::Context::default(), "{}").unwrap_err().to_string();
    assert!(error.contains("install it first"), "{error}");
}
