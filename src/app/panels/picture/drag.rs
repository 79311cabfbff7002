//! Drags over the picture, from the events of the pointer. A slow frame gets many of these at once, even the press, the moves
//! and the release of a whole drag. egui only says where the pointer is at the end of a frame, so it misses such a drag.

use std::collections::BTreeSet;

use eframe::egui::{Event, PointerButton, Pos2, Response, TouchId, TouchPhase};

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
    /// It is dropped: there is a second finger, or the system has taken the touch.
    Drop,
}

/// The drags of one area, by the mouse or one finger. More fingers zoom.
#[derive(Default)]
pub struct Drags {
    /// The drag that has begun.
    pub now: Option<Drag>,
    /// The fingers on the screen.
    fingers: BTreeSet<TouchId>,
    /// Whether the last press became something other than a drag or a click.
    is_dropped: bool,
}

impl Drags {
    /// The steps of strokes over `area` in this frame, in order. A stroke that egui reports as a click has no end.
    pub fn strokes(&mut self, area: &Response) -> Vec<Step> {
        self.steps(area, area.ctx.options(|options| options.input_options.max_click_dist))
    }

    /// The steps of drags of the handle `area` in this frame, in order. It follows the pointer from the press on.
    pub fn pulls(&mut self, area: &Response) -> Vec<Step> {
        self.steps(area, 0.0)
    }

    /// Whether a click in this frame does not count, because there was a second finger.
    pub fn is_dropped(&self) -> bool {
        self.is_dropped
    }

    /// A drag begins to lead once the pointer is further from its start than `most_of_click`.
    fn steps(&mut self, area: &Response, most_of_click: f32) -> Vec<Step> {
        let (events, time) = area.ctx.input(|input| (input.events.clone(), input.time));
        let longest_click = area.ctx.options(|options| options.input_options.max_click_duration);
        let mut steps = Vec::new();
        let end = |drag: Drag| {
            let is_click = !drag.is_far && time - drag.since <= longest_click;
            (!is_click).then_some(Step::End(drag.from, drag.to))
        };
        self.is_dropped &= !self.fingers.is_empty();
        for event in events {
            match event {
                Event::Touch { id, phase, .. } => {
                    self.touch(id, phase);
                    if self.is_dropped {
                        steps.extend(self.now.take().map(|_| Step::Drop));
                    }
                }
                // Some systems report a press for the second finger, too.
                Event::PointerButton { pos, button: PointerButton::Primary, pressed: true, .. }
                    if self.fingers.len() < 2 && self.now.is_none() =>
                {
                    self.is_dropped = false;
                    if takes(area, pos) {
                        self.now = Some(Drag { from: pos, to: pos, since: time, is_far: false });
                        steps.push(Step::Begin(pos));
                    }
                }
                Event::PointerMoved(pos) => {
                    if let Some(drag) = &mut self.now {
                        drag.is_far |= drag.from.distance(pos) > most_of_click;
                        steps.extend(drag.lead(pos));
                    }
                }
                Event::PointerButton { pos, button: PointerButton::Primary, pressed: false, .. } => {
                    if let Some(mut drag) = self.now.take() {
                        steps.extend(drag.lead(pos));
                        steps.extend(end(drag));
                    }
                }
                _ => (),
            }
        }
        // Releases are not seen while the picture is not shown.
        let (is_down, touches) = area.ctx.input(|input| (input.pointer.primary_down(), input.any_touches()));
        if !is_down {
            steps.extend(self.now.take().and_then(end));
        }
        if !touches {
            self.fingers.clear();
        }
        steps
    }

    /// Follows a finger.
    fn touch(&mut self, id: TouchId, phase: TouchPhase) {
        match phase {
            TouchPhase::Start => {
                self.fingers.insert(id);
            }
            TouchPhase::End | TouchPhase::Cancel => {
                self.fingers.remove(&id);
            }
            TouchPhase::Move => (),
        }
        self.is_dropped |= self.fingers.len() > 1 || phase == TouchPhase::Cancel;
    }
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
