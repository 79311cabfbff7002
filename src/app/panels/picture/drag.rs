//! Drags over the picture, from the events of the pointer. A slow frame gets many of these at once, even the press, the moves
//! and the release of a whole drag. egui only says where the pointer is at the end of a frame, so it misses such a drag.

use eframe::egui::{Event, PointerButton, Pos2, Response};

/// A drag that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Drag {
    /// Start point.
    pub from: Pos2,
    /// Current end point.
    pub to: Pos2,
    /// When it began, in seconds.
    since: f64,
    /// Whether it has gone too far for a click.
    is_far: bool,
}

impl Drag {
    /// Moves its end to a point, unless it may still become a click.
    fn lead(&mut self, to: Pos2) -> Option<Step> {
        let from = self.is_far.then(|| std::mem::replace(&mut self.to, to))?;
        Some(Step::Move(from, to))
    }
}

/// What happens to a drag.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// It begins at this point; it may become a click.
    Begin(Pos2),
    /// It moves from a point to another.
    Move(Pos2, Pos2),
    /// It ends, after leading from a point to another.
    End(Pos2, Pos2),
}

/// The steps of drags over `area` in this frame, in order. `drag` is the one that has begun, and is kept up to date. A drag
/// that egui reports as a click has no end.
pub fn steps(area: &Response, drag: &mut Option<Drag>) -> Vec<Step> {
    let (events, time, is_down) =
        area.ctx.input(|input| (input.events.clone(), input.time, input.pointer.primary_down()));
    let limits = area.ctx.options(|options| options.input_options);
    let mut steps = Vec::new();
    let end = |drag: Drag| {
        let is_click = !drag.is_far && time - drag.since <= limits.max_click_duration;
        (!is_click).then_some(Step::End(drag.from, drag.to))
    };
    for event in events {
        match event {
            Event::PointerButton { pos, button: PointerButton::Primary, pressed: true, .. }
                if takes(area, pos) =>
            {
                *drag = Some(Drag { from: pos, to: pos, since: time, is_far: false });
                steps.push(Step::Begin(pos));
            }
            Event::PointerMoved(pos) => {
                if let Some(drag) = drag {
                    drag.is_far |= drag.from.distance(pos) > limits.max_click_dist;
                    steps.extend(drag.lead(pos));
                }
            }
            Event::PointerButton { pos, button: PointerButton::Primary, pressed: false, .. } => {
                if let Some(mut drag) = drag.take() {
                    steps.extend(drag.lead(pos));
                    steps.extend(end(drag));
                }
            }
            _ => (),
        }
    }
    // The release was not seen if the picture was not shown at the time.
    if !is_down {
        steps.extend(drag.take().and_then(end));
    }
    steps
}

/// Whether a press at `pos` begins a drag of `area`: no other layer and no other widget that can be dragged is above it.
fn takes(area: &Response, pos: Pos2) -> bool {
    let is_top = area.ctx.layer_id_at(pos) == Some(area.layer_id);
    is_top
        && area.ctx.viewport(|viewport| {
            let widgets = viewport.prev_pass.widgets.get_layer(area.layer_id);
            let takers = widgets.filter(|widget| {
                widget.enabled && widget.sense.senses_drag() && widget.interact_rect.contains(pos)
            });
            takers.last().is_some_and(|widget| widget.id == area.id)
        })
}
