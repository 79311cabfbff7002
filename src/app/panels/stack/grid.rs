//! The picture with its cells: where the pointer pins and selects.

use eframe::egui::{
    Align2, Color32, FontId, Painter, Pos2, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui, Vec2,
    WidgetInfo, vec2,
};

use super::Tool;
use super::cell;
use super::patch::WHOLE;
use crate::app::document::Document;
use crate::app::state::State;

/// Marks are drawn in light on dark, so that they show on every picture.
const LIGHT: Color32 = Color32::from_rgb(255, 255, 255);
const DARK: Color32 = Color32::from_rgb(0, 0, 0);

/// A selection that is being drawn.
#[derive(Clone, Copy, Debug)]
pub struct Drag {
    /// Where it began.
    from: Pos2,
    /// Where it has come to.
    to: Pos2,
}

/// Cells in a rectangle of the screen.
#[derive(Clone, Copy, Debug)]
struct Cells {
    rect: Rect,
    h: usize,
    w: usize,
}

impl Cells {
    fn of(&self, [row, col]: [usize; 2]) -> Rect {
        let part = cell::part([row, col], self.h, self.w);
        let at = |place: Pos2| self.rect.min + place.to_vec2() * self.rect.size();
        Rect::from_min_max(at(part.min), at(part.max))
    }

    /// The cell at a point; the nearest one, if it lies outside.
    fn at(&self, point: Pos2) -> [usize; 2] {
        let part = (point - self.rect.min) / self.rect.size();
        let index = |part: f32, count: usize| ((part.max(0.0) * count as f32) as usize).min(count - 1);
        [index(part.y, self.h), index(part.x, self.w)]
    }

    /// All of them, row-major.
    fn all(self) -> impl Iterator<Item = [usize; 2]> {
        (0..self.h).flat_map(move |row| (0..self.w).map(move |col| [row, col]))
    }

    /// The cells on the way between two points.
    fn between(&self, from: Pos2, to: Pos2) -> Vec<[usize; 2]> {
        let step = (self.rect.size() / vec2(self.w as f32, self.h as f32)).min_elem() / 2.0;
        let steps = ((to - from).length() / step.max(1.0)).ceil().max(1.0) as usize;
        (0..=steps).map(|i| self.at(from + (to - from) * (i as f32 / steps as f32))).collect()
    }

    /// The cells of the rectangle between two points.
    fn spanned(&self, from: Pos2, to: Pos2) -> Vec<[usize; 2]> {
        let ([row0, col0], [row1, col1]) = (self.at(from), self.at(to));
        let (rows, cols) = (row0.min(row1)..=row0.max(row1), col0.min(col1)..=col0.max(col1));
        rows.flat_map(|row| cols.clone().map(move |col| [row, col])).collect()
    }
}

/// Shows the picture and its cells.
pub fn show(ui: &mut Ui, state: &mut State) {
    let Some(document) = &state.document else { return };
    let (h, w) = (document.stack().h(), document.stack().w());
    let shown = document.shown().cloned();
    let (rect, area) = ui.allocate_exact_size(ui.available_size(), Sense::DRAG);
    let rect = fit(rect.shrink(4.0), w as f32 / h as f32);
    match &shown {
        Some(picture) => {
            let texture = state.texture(ui.ctx(), picture);
            ui.painter().image(texture.id(), rect, WHOLE, Color32::WHITE);
        }
        None => {
            let (text, color) = ("decoding…", ui.visuals().text_color());
            ui.painter().text(rect.center(), Align2::CENTER_CENTER, text, FontId::proportional(14.0), color);
        }
    }
    let cells = Cells { rect, h, w };
    // The area takes drags and the cells above it clicks.
    drag(ui, state, &area, cells);
    click(ui, state, &area, cells);
    if let Some(document) = &state.document {
        paint(ui, document, cells, state.stack_view.lines);
    }
    if let (Tool::Rectangle, Some(Drag { from, to })) = (state.stack_view.tool, state.stack_view.drag) {
        let marked = cells.spanned(from, to).into_iter().map(|cell| cells.of(cell));
        outline(ui.painter(), marked.fold(Rect::NOTHING, |all, cell| all.union(cell)), 1.5);
    }
}

/// The largest rectangle of an aspect (width by height) in the middle of another.
fn fit(within: Rect, aspect: f32) -> Rect {
    let height = within.height().min(within.width() / aspect).max(1.0);
    Rect::from_center_size(within.center(), Vec2::new(height * aspect, height))
}

/// Every cell that can be seen has a name, and is pinned or selected by a click.
fn click(ui: &mut Ui, state: &mut State, area: &Response, cells: Cells) {
    for place in cells.all() {
        let rect = cells.of(place);
        if !ui.clip_rect().intersects(rect) {
            continue;
        }
        let [row, col] = place;
        // Arrows move from cell to cell: thousands of stops for the tabulator would be no help.
        let response = ui.interact(rect, area.id.with(place), Sense::CLICK);
        let pinned = state.document.as_ref().is_some_and(|document| document.pinned == Some(place));
        response.widget_info(|| {
            WidgetInfo::selected(Role::Button, true, pinned, format!("row {row}, column {col}"))
        });
        if response.clicked() {
            match state.stack_view.tool {
                Tool::Pin => state.pin(Some(place)),
                Tool::Brush | Tool::Rectangle => select(ui, state, &[place]),
            }
        }
        if state.stack_view.drag.is_none() {
            response.on_hover_ui(|ui| cell::tip(ui, state, place));
        }
    }
}

/// Draws a selection.
fn drag(ui: &Ui, state: &mut State, area: &Response, cells: Cells) {
    let tool = state.stack_view.tool;
    if tool == Tool::Pin {
        return;
    }
    let origin = ui.input(|input| input.pointer.press_origin());
    if area.drag_started() {
        state.stack_view.drag =
            origin.filter(|at| cells.rect.contains(*at)).map(|at| Drag { from: at, to: at });
    }
    let Some(Drag { from, to }) = state.stack_view.drag else { return };
    let now = area.interact_pointer_pos().unwrap_or(to);
    match tool {
        Tool::Brush => {
            select(ui, state, &cells.between(to, now));
            state.stack_view.drag = Some(Drag { from, to: now });
        }
        _ => state.stack_view.drag = Some(Drag { from, to: now }),
    }
    if !area.dragged() {
        if tool == Tool::Rectangle {
            select(ui, state, &cells.spanned(from, now));
        }
        state.stack_view.drag = None;
    }
}

/// Selects cells, or with Shift leaves them out.
fn select(ui: &Ui, state: &mut State, cells: &[[usize; 2]]) {
    let selects = !ui.input(|input| input.modifiers.shift);
    let Some(document) = &mut state.document else { return };
    let w = document.stack().w();
    cells.iter().for_each(|[row, col]| document.selected[row * w + col] = selects);
}

fn paint(ui: &Ui, document: &Document, cells: Cells, lines: bool) {
    let painter = ui.painter();
    let Cells { rect, h, w } = cells;
    if lines {
        let line = |color: Color32| Stroke::new(1.0, color.gamma_multiply(0.25));
        for (offset, color) in [(0.0, LIGHT), (1.0, DARK)] {
            for row in 1..h {
                painter.hline(rect.x_range(), cells.of([row, 0]).top() + offset, line(color));
            }
            for col in 1..w {
                painter.vline(cells.of([0, col]).left() + offset, rect.y_range(), line(color));
            }
        }
    }
    let (depth, limits) = (document.stack().depth(), &document.edit().limits);
    for place in cells.all() {
        let ([row, col], cell) = (place, cells.of(place));
        let index = row * w + col;
        if document.selected[index] {
            painter.rect_filled(cell, 0, ui.visuals().selection.bg_fill.gamma_multiply(0.35));
            border(painter, document, cells, place);
        }
        if limits[index] < depth {
            let corner = cell.right_bottom() - vec2(2.0, 1.0);
            for (offset, color) in [(1.0, DARK), (0.0, LIGHT)] {
                let at = corner + Vec2::splat(offset);
                painter.text(at, Align2::RIGHT_BOTTOM, limits[index], FontId::proportional(11.0), color);
            }
        }
    }
    if let Some(pinned) = document.pinned {
        outline(painter, cells.of(pinned), 2.0);
    }
}

/// The sides of a selected cell that no other selected one shares.
fn border(painter: &Painter, document: &Document, cells: Cells, [row, col]: [usize; 2]) {
    let selected = |row: Option<usize>, col: Option<usize>| match (row, col) {
        (Some(row), Some(col)) if row < cells.h && col < cells.w => document.selected[row * cells.w + col],
        _ => false,
    };
    let rect = cells.of([row, col]);
    let sides = [
        (selected(row.checked_sub(1), Some(col)), [rect.left_top(), rect.right_top()]),
        (selected(Some(row + 1), Some(col)), [rect.left_bottom(), rect.right_bottom()]),
        (selected(Some(row), col.checked_sub(1)), [rect.left_top(), rect.left_bottom()]),
        (selected(Some(row), Some(col + 1)), [rect.right_top(), rect.right_bottom()]),
    ];
    for (_, side) in sides.into_iter().filter(|(shared, _)| !shared) {
        painter.line_segment(side, Stroke::new(3.0, DARK));
        painter.line_segment(side, Stroke::new(1.0, LIGHT));
    }
}

fn outline(painter: &Painter, rect: Rect, width: f32) {
    painter.rect_stroke(rect, 0, Stroke::new(width + 2.0, DARK), StrokeKind::Middle);
    painter.rect_stroke(rect, 0, Stroke::new(width, LIGHT), StrokeKind::Middle);
}

#[cfg(test)]
mod tests {
    use super::*;
    use eframe::egui::pos2;

    const CELLS: Cells = Cells { rect: Rect { min: pos2(10.0, 20.0), max: pos2(50.0, 40.0) }, h: 2, w: 4 };

    #[test]
    fn a_point_has_a_cell_and_the_cell_the_point() {
        for cell in CELLS.all() {
            assert_eq!(CELLS.at(CELLS.of(cell).center()), cell);
        }
        assert_eq!(CELLS.at(pos2(-5.0, 99.0)), [1, 0], "outside, the nearest");
    }

    #[test]
    fn a_fast_brush_leaves_no_gaps() {
        let mut passed = CELLS.between(pos2(12.0, 22.0), pos2(48.0, 22.0));
        passed.dedup();
        assert_eq!(passed, [[0, 0], [0, 1], [0, 2], [0, 3]]);
    }

    #[test]
    fn a_rectangle_may_be_drawn_either_way() {
        let spanned = CELLS.spanned(pos2(35.0, 38.0), pos2(22.0, 21.0));
        assert_eq!(spanned, [[0, 1], [0, 2], [1, 1], [1, 2]]);
    }

    #[test]
    fn a_picture_keeps_its_aspect() {
        let within = Rect::from_min_max(pos2(0.0, 0.0), pos2(100.0, 40.0));
        assert_eq!(fit(within, 1.0), Rect::from_min_max(pos2(30.0, 0.0), pos2(70.0, 40.0)));
    }
}
