//! Keys that work everywhere, as long as nobody is typing.

use eframe::egui::{Context, Key, KeyboardShortcut, Modifiers, Popup};

use super::choose::{self, Wanted};
use super::files;
use super::state::State;

/// A key and what it does.
type Shortcut = (Modifiers, Key, fn(&mut State));

/// Redo comes before undo: its keys are undo's and one more.
const SHORTCUTS: [Shortcut; 6] = [
    (Modifiers::COMMAND, Key::Enter, State::generate),
    (Modifiers::NONE, Key::Escape, State::cancel),
    (Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z, |state| state.step_history(false)),
    (Modifiers::COMMAND, Key::Z, |state| state.step_history(true)),
    (Modifiers::COMMAND, Key::O, |state| choose::open(state, Wanted::Picture)),
    (Modifiers::COMMAND, Key::S, files::save_picture),
];

const DEPTHS: [Key; 9] =
    [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];

/// Rows and columns that the arrows move the pinned cell by.
const ARROWS: [(Key, [isize; 2]); 4] =
    [(Key::ArrowUp, [-1, 0]), (Key::ArrowDown, [1, 0]), (Key::ArrowLeft, [0, -1]), (Key::ArrowRight, [0, 1])];

/// Does what the pressed keys ask for.
pub fn handle(ctx: &Context, state: &mut State) {
    // Escape closes an open menu, and stops nothing then.
    let in_menu = Popup::is_any_open(ctx);
    for (modifiers, key, action) in SHORTCUTS {
        if in_menu && key == Key::Escape {
            continue;
        }
        if ctx.input_mut(|input| input.consume_shortcut(&KeyboardShortcut::new(modifiers, key))) {
            action(state);
        }
    }
    // A widget with the focus has its own use for digits and arrows.
    if ctx.memory(|memory| memory.focused().is_some()) {
        return;
    }
    let pressed = |key: Key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    for (depth, key) in DEPTHS.into_iter().enumerate() {
        if pressed(key) {
            state.choose_depth(depth);
        }
    }
    for (key, [rows, columns]) in ARROWS {
        if pressed(key)
            && let Some(document) = &mut state.document
        {
            document.move_pin(rows, columns);
            state.look_at_pinned();
        }
    }
}
