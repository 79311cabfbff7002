//! The cells over the picture, which the pointer pins, selects and revises.

use eframe::egui::{
    Align2, Color32, FontId, Painter, Pos2, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui, Vec2,
    WidgetInfo, vec2,
};

use super::canvas::covered;
use super::drag::{Drag, Step};
use super::{PictureView, View, residuals, surprise, tip};
use crate::app::action::Action;
use crate::app::colors;
use crate::app::document::Document;
use crate::app::state::State;
use crate::app::tool::Tool;

/// Opacity of a map over the picture.
const OPACITY: f32 = 0.75;

/// Marks are light with a dark outline, so that they show on any picture.
const LIGHT: Color32 = Color32::from_rgb(255, 255, 255);
const DARK: Color32 = Color32::from_rgb(0, 0, 0);

/// A grid of cells that fills a rectangle on screen.
#[derive(Clone, Copy, Debug)]
struct Cells {
    rect: Rect,
    h: usize,
    w: usize,
}

impl Cells {
    fn of(&self, [row, col]: [usize; 2]) -> Rect {
        let part = tip::part([row, col], self.h, self.w);
        let at = |place: Pos2| self.rect.min + place.to_vec2() * self.rect.size();
        Rect::from_min_max(at(part.min), at(part.max))
    }

    /// The cell at a point, or the nearest cell to a point outside.
    fn at(&self, point: Pos2) -> [usize; 2] {
        let part = (point - self.rect.min) / self.rect.size();
        let index = |part: f32, count: usize| ((part.max(0.0) * count as f32) as usize).min(count - 1);
        [index(part.y, self.h), index(part.x, self.w)]
    }

    /// All cells, row-major.
    fn all(self) -> impl Iterator<Item = [usize; 2]> {
        (0..self.h).flat_map(move |row| (0..self.w).map(move |col| [row, col]))
    }

    /// The cells along the line between two points.
    fn between(&self, from: Pos2, to: Pos2) -> Vec<[usize; 2]> {
        let step = (self.rect.size() / vec2(self.w as f32, self.h as f32)).min_elem() / 2.0;
        let steps = ((to - from).length() / step.max(1.0)).ceil().max(1.0) as usize;
        (0..=steps).map(|i| self.at(from + (to - from) * (i as f32 / steps as f32))).collect()
    }

    /// The cells in the rectangle spanned by two points.
    fn spanned(&self, from: Pos2, to: Pos2) -> Vec<[usize; 2]> {
        let ([row0, col0], [row1, col1]) = (self.at(from), self.at(to));
        let (rows, cols) = (row0.min(row1)..=row0.max(row1), col0.min(col1)..=col0.max(col1));
        rows.flat_map(|row| cols.clone().map(move |col| [row, col])).collect()
    }
}

/// Shows the cells of the picture that fills `rect`, coloured by the view's values if it has any.
pub fn show(
    ui: &mut Ui,
    state: &State,
    document: &Document,
    view: &mut PictureView,
    actions: &mut Vec<Action>,
    rect: Rect,
) {
    let cells = Cells { rect, h: document.stack().h(), w: document.stack().w() };
    // A drag that no tool uses pans the canvas.
    let sense = if state.tool == Tool::Pin { Sense::hover() } else { Sense::DRAG };
    let area = ui.interact(rect, ui.scope_id().with("cells"), sense);
    drag(ui, state, document, view, actions, &area, cells);
    click(ui, state, document, view, actions, &area, cells);
    if view.view == View::Surprise && state.lacks_surprise() {
        actions.push(Action::AskSurprise);
    }
    if let Some(values) = values(document, view.view) {
        map(&covered(ui, view.cover, rect), cells, &values);
    }
    paint(ui, document, cells, view.lines);
    if let Some(Drag { from, to, .. }) = view.strokes.now.filter(|_| spans(state)) {
        let marked = cells.spanned(from, to).into_iter().map(|cell| cells.of(cell));
        outline(ui.painter(), marked.fold(Rect::NOTHING, |all, cell| all.union(cell)), 1.5);
    }
}

/// The view's values for the cells, row-major, relative to the largest.
fn values(document: &Document, view: View) -> Option<Vec<f32>> {
    match view {
        View::Residuals => residuals::of_cells(document),
        View::Surprise => surprise::of_cells(document),
        _ => None,
    }
}

/// Draws values from 0 to 1 as colours over the cells.
fn map(painter: &Painter, cells: Cells, values: &[f32]) {
    for (place, &value) in cells.all().zip(values) {
        painter.rect_filled(cells.of(place), 0, colors::map(value).gamma_multiply(OPACITY));
    }
}

/// Gives each visible cell an accessible name; a click pins, selects or revises it.
fn click(
    ui: &mut Ui,
    state: &State,
    document: &Document,
    view: &mut PictureView,
    actions: &mut Vec<Action>,
    area: &Response,
    cells: Cells,
) {
    for place in cells.all() {
        let rect = cells.of(place);
        if !ui.clip_rect().intersects(rect) {
            continue;
        }
        let [row, col] = place;
        // The arrow keys move between cells; as Tab stops, thousands of cells would be in the way.
        let response = ui.interact(rect, area.id.with(place), Sense::CLICK);
        let pinned = document.pinned == Some(place);
        response.widget_info(|| {
            WidgetInfo::selected(Role::Button, true, pinned, format!("row {row}, column {col}"))
        });
        if response.clicked() && !view.strokes.is_dropped() {
            match state.tool {
                Tool::Pin => actions.push(Action::Pin(place)),
                Tool::Brush | Tool::Rectangle => actions.push(select(ui, vec![place])),
                Tool::Revise => {
                    actions.extend([SELECT_NONE, select(ui, vec![place]), Action::ReviseSelected]);
                }
            }
        }
        if view.strokes.now.is_none() {
            response.on_hover_ui(|ui| tip::show(ui, document, view, place));
        }
    }
}

/// Whether a drag marks the rectangle that it spans, rather than the cells that it passes.
fn spans(state: &State) -> bool {
    match state.tool {
        Tool::Rectangle => true,
        Tool::Revise => state.revising.rectangle,
        Tool::Brush | Tool::Pin => false,
    }
}

/// Draws a selection; the tool "Revise" resamples it on release. A stroke that is dropped leaves the selection as it was. A
/// click is left to [`click`].
fn drag(
    ui: &Ui,
    state: &State,
    document: &Document,
    view: &mut PictureView,
    actions: &mut Vec<Action>,
    area: &Response,
    cells: Cells,
) {
    let steps = view.strokes.strokes(area);
    if state.tool == Tool::Pin {
        view.strokes.now = None;
        return;
    }
    let (spans, revises) = (spans(state), state.tool == Tool::Revise);
    for step in steps {
        match step {
            Step::Begin(at) => {
                let selected = cells.all().zip(&document.selected).filter(|(_, selected)| **selected);
                view.before = selected.map(|(cell, _)| cell).collect();
                actions.extend(revises.then_some(SELECT_NONE));
                actions.extend((!spans).then(|| select(ui, vec![cells.at(at)])));
            }
            Step::Move(from, to) => actions.extend((!spans).then(|| select(ui, cells.between(from, to)))),
            Step::End(from, to) => {
                actions.extend(spans.then(|| select(ui, cells.spanned(from, to))));
                actions.extend(revises.then_some(Action::ReviseSelected));
            }
            Step::Drop => actions.extend([SELECT_NONE, Action::Select(view.before.clone(), true)]),
        }
    }
}

/// Clears the selection, so that a stroke of the tool "Revise" resamples only its own cells.
const SELECT_NONE: Action = Action::SelectBy(|_| false);

/// Selects cells, or deselects them with Shift.
fn select(ui: &Ui, cells: Vec<[usize; 2]>) -> Action {
    Action::Select(cells, !ui.input(|input| input.modifiers.shift))
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

/// Draws the sides of a selected cell that border on unselected cells.
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
    fn cell_centres_map_back_to_their_cells() {
        for cell in CELLS.all() {
            assert_eq!(CELLS.at(CELLS.of(cell).center()), cell);
        }
        assert_eq!(CELLS.at(pos2(-5.0, 99.0)), [1, 0], "the nearest cell to a point outside");
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
}
