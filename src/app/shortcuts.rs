//! Global keyboard shortcuts. While the user types, they leave text fields the keys that these use.

use eframe::egui::{Context, Key, KeyboardShortcut, Modifiers, Popup};

use super::action::Action;
use super::choose::Wanted;

/// A shortcut and its action.
type Shortcut = (Modifiers, Key, Action);

/// Redo comes before undo, because its keys include undo's.
const SHORTCUTS: [Shortcut; 6] = [
    (Modifiers::COMMAND, Key::Enter, Action::Generate),
    (Modifiers::NONE, Key::Escape, Action::Cancel),
    (Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z, Action::Redo),
    (Modifiers::COMMAND, Key::Z, Action::Undo),
    (Modifiers::COMMAND, Key::O, Action::Choose(Wanted::Picture)),
    (Modifiers::COMMAND, Key::S, Action::SavePicture),
];

/// Keys of shortcuts that a text field uses itself: to undo what was typed, and to be left.
const TYPED: [Key; 2] = [Key::Z, Key::Escape];

const DEPTHS: [Key; 9] =
    [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];

/// How far each arrow key moves the pinned cell: rows, columns.
const ARROWS: [(Key, [isize; 2]); 4] =
    [(Key::ArrowUp, [-1, 0]), (Key::ArrowDown, [1, 0]), (Key::ArrowLeft, [0, -1]), (Key::ArrowRight, [0, 1])];

/// What the pressed shortcuts ask for. `typing`: whether a text field had the focus before the keys were pressed, as Escape
/// has taken it away by now.
pub fn pressed(ctx: &Context, typing: bool) -> Vec<Action> {
    let mut actions = Vec::new();
    // Escape closes an open menu; it must not cancel a job then.
    let in_menu = Popup::is_any_open(ctx);
    for (modifiers, key, action) in SHORTCUTS {
        if in_menu && key == Key::Escape || typing && TYPED.contains(&key) {
            continue;
        }
        if ctx.input_mut(|input| input.consume_shortcut(&KeyboardShortcut::new(modifiers, key))) {
            actions.push(action);
        }
    }
    // A focused widget uses digits and arrows itself.
    if ctx.memory(|memory| memory.focused().is_some()) {
        return actions;
    }
    let pressed = |key: Key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    let depths = DEPTHS.into_iter().enumerate().filter(|(_, key)| pressed(*key));
    actions.extend(depths.map(|(depth, _)| Action::ChooseDepth(depth)));
    let arrows = ARROWS.into_iter().filter(|(key, _)| pressed(*key));
    actions.extend(arrows.map(|(_, by)| Action::MovePin(by)));
    actions
}
