//! From one stack to another, cell by cell.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::partition;
use crate::codes::CodeStack;
use crate::error::{Error, Result};

/// The order in which cells change over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MorphOrder {
    /// From the middle of the picture outward.
    #[default]
    Distance,
    /// Row by row.
    Raster,
    /// At random, by the seed.
    Random,
}

/// How many frames there may be: all stay in memory until the animation is written.
const FRAMES: RangeInclusive<u32> = 2..=10_000;

/// How one stack becomes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Morph {
    /// The order of the cells.
    pub order: MorphOrder,
    /// Frames, the first and the last included; 2 to 10,000.
    pub frames: u32,
    /// Seed of a random order.
    pub seed: u64,
}

/// One step of the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Cells that have switched have the second stack's codes, the others the first stack's.
    pub stack: CodeStack,
    /// Cells with a neighbour on the other side, row-major: cells that may fit badly. None in the first and
    /// last frame.
    pub seam: Vec<bool>,
}

impl Morph {
    /// The frames from one stack to another. Only cells that differ are spread over the frames.
    ///
    /// # Errors
    /// The shapes differ, or there are too few or too many frames.
    pub fn frames(&self, from: &CodeStack, to: &CodeStack) -> Result<Vec<Frame>> {
        if !FRAMES.contains(&self.frames) {
            let (least, most) = (FRAMES.start(), FRAMES.end());
            return Err(Error::usage(format!("expected {least} to {most} frames, found {}", self.frames)));
        }
        let mut differing: Vec<usize> =
            from.diff(to)?.into_iter().map(|(row, col, _)| row * from.w() + col).collect();
        differing.dedup();
        let (order, last) = (self.sorted(differing, from), self.frames as usize - 1);
        let mut stack = from.clone();
        let (mut changed, mut done) = (vec![false; from.h() * from.w()], 0);
        (0..=last)
            .map(|frame| {
                for &cell in &order[done..order.len() * frame / last] {
                    changed[cell] = true;
                    let (row, col) = (cell / from.w(), cell % from.w());
                    (0..from.depth()).try_for_each(|d| stack.set(row, col, d, to.at(row, col, d)?))?;
                }
                done = order.len() * frame / last;
                let is_between = done > 0 && done < order.len();
                let seam =
                    if is_between { seam(&changed, from.h(), from.w()) } else { vec![false; changed.len()] };
                Ok(Frame { stack: stack.clone(), seam })
            })
            .collect()
    }

    fn sorted(&self, mut cells: Vec<usize>, stack: &CodeStack) -> Vec<usize> {
        match self.order {
            MorphOrder::Raster => cells,
            MorphOrder::Random => partition::order(&cells, self.seed, 0, 0),
            MorphOrder::Distance => {
                // Twice the distances, which are whole numbers.
                let along = |place: usize, count: usize| (2 * place + 1).abs_diff(count).pow(2);
                cells.sort_by_key(|cell| {
                    along(cell / stack.w(), stack.h()) + along(cell % stack.w(), stack.w())
                });
                cells
            }
        }
    }
}

/// Cells of which one of the eight neighbours is on the other side.
fn seam(changed: &[bool], h: usize, w: usize) -> Vec<bool> {
    let near = |place: usize, count: usize| place.saturating_sub(1)..(place + 2).min(count);
    let is_seam = |cell: usize| {
        let mut around = near(cell / w, h).flat_map(|row| near(cell % w, w).map(move |col| row * w + col));
        around.any(|other| changed[other] != changed[cell])
    };
    (0..h * w).map(is_seam).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stack(h: usize, w: usize, code: impl Fn(usize) -> u32) -> CodeStack {
        CodeStack::new(h, w, 2, (0..h * w * 2).map(code).collect()).expect("whole")
    }

    proptest! {
        #[test]
        fn frames_lead_from_one_stack_to_the_other(
            h in 1usize..6, w in 1usize..6, frames in 2u32..40, seed: u64, equal in 1usize..5,
            order in prop_oneof![Just(MorphOrder::Distance), Just(MorphOrder::Raster), Just(MorphOrder::Random)],
        ) {
            let from = stack(h, w, |place| place as u32);
            let to = stack(h, w, |place| if place / 2 % equal == 0 { place as u32 } else { 1000 + place as u32 });
            let found = Morph { order, frames, seed }.frames(&from, &to).unwrap();
            prop_assert_eq!(found.len(), frames as usize);
            prop_assert_eq!(&found[0].stack, &from);
            prop_assert_eq!(&found[found.len() - 1].stack, &to);
            prop_assert!(found[0].seam.iter().chain(&found[found.len() - 1].seam).all(|seam| !seam));
            for pair in found.windows(2) {
                let left = |frame: &Frame| frame.stack.diff(&to).unwrap();
                prop_assert!(left(&pair[1]).iter().all(|place| left(&pair[0]).contains(place)), "no cell changes back");
                for (cell, codes) in pair[1].stack.cells().enumerate() {
                    let whole = [&from, &to].map(|stack| stack.cells().nth(cell).unwrap() == codes);
                    prop_assert!(whole[0] || whole[1], "cell {} is of one stack", cell);
                }
            }
        }
    }

    #[test]
    fn the_middle_changes_first_and_its_border_is_the_seam() {
        let (from, to) = (stack(5, 5, |_| 0), stack(5, 5, |_| 1));
        let frames = Morph { order: MorphOrder::Distance, frames: 26, seed: 0 }.frames(&from, &to).unwrap();
        let changed: Vec<usize> = frames[1]
            .stack
            .cells()
            .enumerate()
            .filter(|(_, codes)| codes[0] == 1)
            .map(|(cell, _)| cell)
            .collect();
        assert_eq!(changed, [12]);
        let seam: Vec<usize> = (0..25).filter(|&cell| frames[1].seam[cell]).collect();
        assert_eq!(seam, [6, 7, 8, 11, 12, 13, 16, 17, 18]);
    }

    #[test]
    fn stacks_of_two_shapes_and_single_frames_are_refused() {
        let morph = Morph { order: MorphOrder::Raster, frames: 2, seed: 0 };
        assert!(morph.frames(&stack(2, 2, |_| 0), &stack(2, 3, |_| 0)).is_err());
        for frames in [0, 1, FRAMES.end() + 1, u32::MAX] {
            assert!(Morph { frames, ..morph }.frames(&stack(2, 2, |_| 0), &stack(2, 2, |_| 0)).is_err());
        }
    }
}
