//! Maps egui's roles to ARIA's, and says which of them get an element.

use eframe::egui::accesskit::Role;

/// When a widget gets an element of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keep {
    /// Always: it can be operated or read, or groups elements that belong together.
    Always,
    /// Only if it has a name. Without one it is mere layout, and its children move up to its parent.
    Named,
}

use Keep::{Always, Named};

/// Every role that gets an element. The others are parts of their parents, such as text runs.
const ROLES: &[(Role, &str, Keep)] = &[
    (Role::Button, "button", Always),
    (Role::DefaultButton, "button", Always),
    (Role::DisclosureTriangle, "button", Always),
    (Role::ColorWell, "button", Always),
    (Role::CheckBox, "checkbox", Always),
    (Role::Switch, "switch", Always),
    (Role::RadioButton, "radio", Always),
    (Role::RadioGroup, "radiogroup", Always),
    (Role::Slider, "slider", Always),
    (Role::SpinButton, "spinbutton", Always),
    (Role::NumberInput, "spinbutton", Always),
    (Role::TextInput, "textbox", Always),
    (Role::MultilineTextInput, "textbox", Always),
    (Role::PasswordInput, "textbox", Always),
    (Role::SearchInput, "searchbox", Always),
    (Role::ComboBox, "combobox", Always),
    (Role::EditableComboBox, "combobox", Always),
    (Role::ListBox, "listbox", Always),
    (Role::ListBoxOption, "option", Always),
    (Role::MenuListOption, "option", Always),
    (Role::Link, "link", Always),
    (Role::Tab, "tab", Always),
    (Role::TabList, "tablist", Always),
    (Role::TabPanel, "tabpanel", Named),
    (Role::Menu, "menu", Always),
    (Role::MenuBar, "menubar", Always),
    (Role::MenuItem, "menuitem", Always),
    (Role::MenuItemCheckBox, "menuitemcheckbox", Always),
    (Role::MenuItemRadio, "menuitemradio", Always),
    (Role::Tree, "tree", Always),
    (Role::TreeItem, "treeitem", Always),
    (Role::List, "list", Always),
    (Role::ListItem, "listitem", Always),
    (Role::Table, "table", Always),
    (Role::Row, "row", Always),
    (Role::Cell, "cell", Always),
    (Role::ColumnHeader, "columnheader", Always),
    (Role::RowHeader, "rowheader", Always),
    (Role::Dialog, "dialog", Always),
    (Role::AlertDialog, "alertdialog", Always),
    (Role::Tooltip, "tooltip", Always),
    (Role::ProgressIndicator, "progressbar", Always),
    (Role::Meter, "meter", Always),
    (Role::Status, "status", Always),
    (Role::Alert, "alert", Always),
    (Role::Log, "log", Always),
    (Role::Splitter, "separator", Named),
    (Role::ScrollBar, "scrollbar", Named),
    (Role::Image, "img", Named),
    (Role::Canvas, "img", Named),
    (Role::Heading, "heading", Named),
    (Role::Label, "text", Named),
    (Role::Paragraph, "text", Named),
    (Role::Window, "dialog", Named),
    (Role::Toolbar, "toolbar", Named),
    (Role::Pane, "region", Named),
    (Role::Region, "region", Named),
    (Role::Group, "group", Named),
    (Role::GenericContainer, "group", Named),
    (Role::ScrollView, "group", Named),
    (Role::Unknown, "group", Named),
];

/// The ARIA role, and when to keep it.
pub fn aria(role: Role) -> Option<(&'static str, Keep)> {
    ROLES.iter().find(|(known, ..)| *known == role).map(|&(_, name, keep)| (name, keep))
}

/// The ARIA state that says whether a two-state widget is on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum On {
    Checked,
    Selected,
    Pressed,
}

/// Roles that do not use `aria-pressed`.
const ON: &[(&str, On)] = &[
    ("checkbox", On::Checked),
    ("switch", On::Checked),
    ("radio", On::Checked),
    ("menuitemcheckbox", On::Checked),
    ("menuitemradio", On::Checked),
    ("option", On::Selected),
    ("tab", On::Selected),
    ("row", On::Selected),
    ("treeitem", On::Selected),
];

/// The state that says whether a widget with this ARIA role is on.
pub fn on(role: &str) -> On {
    ON.iter().find(|(known, _)| *known == role).map_or(On::Pressed, |&(_, on)| on)
}
