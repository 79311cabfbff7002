//! Global keyboard shortcuts, inactive while the user types.

use eframe::egui::{Context, Key, KeyboardShortcut, Modifiers, Popup};

use super::choose::{self, Wanted};
use super::files;
use super::state::State;

/// A shortcut and its action.
type Shortcut = (Modifiers, Key, fn(&mut State));

/// Redo comes before undo, because its keys include undo's.
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

/// How far each arrow key moves the pinned cell: rows, columns.
const ARROWS: [(Key, [isize; 2]); 4] =
    [(Key::ArrowUp, [-1, 0]), (Key::ArrowDown, [1, 0]), (Key::ArrowLeft, [0, -1]), (Key::ArrowRight, [0, 1])];

/// Runs the actions of the pressed shortcuts.
pub fn handle(ctx: &Context, state: &mut State) {
    // Escape closes an open menu; it must not cancel a job then.
    let in_menu = Popup::is_any_open(ctx);
    for (modifiers, key, action) in SHORTCUTS {
        if in_menu && key == Key::Escape {
            continue;
        }
        if ctx.input_mut(|input| input.consume_shortcut(&KeyboardShortcut::new(modifiers, key))) {
            action(state);
        }
    }
    // A focused widget uses digits and arrows itself.
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
