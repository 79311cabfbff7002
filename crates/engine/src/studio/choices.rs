//! Previews alternative codes at one position of a stack.

use std::sync::Arc;

use super::inspect::{check, check_code, picture};
use residua_core::codes::CodeStack;
use residua_core::error::Result;
use residua_core::task::Task;
use residua_io::image_io::Picture;
use residua_model::RqVae;
use residua_protocol::{Choice, Choices, View, around};

/// Converts a difference of values in -1..1 to 8-bit levels.
const LEVELS: f32 = 127.5;
/// Largest amplification of a change.
const MOST_AMPLIFIED: f32 = 64.0;

/// Decodes `view` with each of `codes` at `place` (row, column, depth), and passes each result to `found`.
///
/// # Errors
/// The model cannot decode the view; the position or a code is out of range; the task was stopped.
pub async fn choices(
    model: &RqVae,
    view: &View,
    place: [usize; 3],
    codes: &[u32],
    task: &mut Task<'_>,
    found: impl Fn(Choices),
) -> Result<()> {
    check(model, view)?;
    let [row, col, depth] = place;
    view.stack.at(row, col, depth)?;
    let before = picture(model, view).await?;
    for (done, &code) in codes.iter().enumerate() {
        task.pause().await?;
        check_code(model, depth, code)?;
        let stack = Arc::new(replaced(&view.stack, place, code)?);
        let after = picture(model, &View { stack, ..view.clone() }).await?;
        let choice = Arc::new(compared(&before, &after, place, &view.stack)?);
        task.report(done + 1, codes.len());
        found(Choices { stack: view.stack.clone(), limits: view.limits.clone(), place, code, choice });
    }
    Ok(())
}

fn replaced(stack: &CodeStack, [row, col, depth]: [usize; 3], code: u32) -> Result<CodeStack> {
    let mut codes = stack.codes().to_vec();
    codes[(row * stack.w() + col) * stack.depth() + depth] = code;
    CodeStack::new(stack.h(), stack.w(), stack.depth(), codes)
}

/// Crops `after` to the area around the cell, and compares it with `before`.
fn compared(before: &Picture, after: &Picture, place: [usize; 3], stack: &CodeStack) -> Result<Choice> {
    let (high, wide) = (after.height() / stack.h(), after.width() / stack.w());
    let [rows, cols] = around([place[0], place[1]], stack.h(), stack.w());
    let crop = |picture: &Picture| {
        picture.crop(cols.start * wide, rows.start * high, cols.len() * wide, rows.len() * high)
    };
    let differences = || before.data().iter().zip(after.data()).map(|(before, after)| after - before);
    let effect = (differences().map(|x| x * x).sum::<f32>() / before.data().len() as f32).sqrt() * LEVELS;
    let largest = differences().fold(0.0f32, |most, x| most.max(x.abs()));
    let amplified = (1.0 / largest).log2().floor().exp2().clamp(1.0, MOST_AMPLIFIED);
    let change = differences().map(|x| amplified * x).collect();
    let change = Picture::new(after.width(), after.height(), change)?;
    Ok(Choice { picture: Arc::new(crop(after)?), change: Arc::new(crop(&change)?), amplified, effect })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_cropped_amplified_and_measured() {
        let stack = CodeStack::new(4, 4, 1, vec![0; 16]).unwrap();
        let before = Picture::new(8, 8, vec![0.5; 192]).unwrap();
        let mut data = before.data().to_vec();
        // Changes one pixel of the cell at row 1, column 2, by 0.1 in each channel.
        for channel in 0..3 {
            data[channel * 64 + 2 * 8 + 4] -= 0.1;
        }
        let after = Picture::new(8, 8, data).unwrap();
        let found = compared(&before, &after, [1, 2, 0], &stack).unwrap();
        assert_eq!((found.picture.width(), found.picture.height(), found.amplified), (6, 6, 8.0));
        assert!((found.effect - 0.1 / 8.0 * LEVELS).abs() < 1e-4, "{}", found.effect);
        // The crop starts at the cell in row 0, column 1.
        let [changed, other] = [2 * 6 + 2, 0].map(|place| found.change.data()[place]);
        assert!((changed + 0.8).abs() < 1e-5 && other == 0.0, "{changed} {other}");
        let same = compared(&before, &before, [0, 0, 0], &stack).unwrap();
        assert_eq!((same.effect, same.amplified), (0.0, MOST_AMPLIFIED));
    }

    #[test]
    fn only_one_code_is_replaced() {
        let stack = CodeStack::new(2, 2, 2, (0..8).collect()).unwrap();
        assert_eq!(replaced(&stack, [1, 0, 1], 9).unwrap().codes(), [0, 1, 2, 3, 4, 9, 6, 7]);
        assert!(stack.at(2, 0, 0).is_err());
    }
}
