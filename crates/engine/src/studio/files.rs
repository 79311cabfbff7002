//! Reads and writes the user's files, beside the models: a slow disk delays neither them nor the window.

use std::path::Path;
use std::sync::Arc;

use residua_core::codes::{CodeStack, npy};
use residua_core::error::{Error, Result};
use residua_core::files::{self, read_limited, read_watched};
use residua_core::task::Task;
use residua_core::text::file_name;
use residua_io::assets::{self, SAMPLE};
use residua_io::image_io::decode::decode;
use residua_io::image_io::folder::{self, Found};
use residua_io::image_io::framing::Framing;
use residua_io::image_io::png_text::{Provenance, has_its_pixels};
use residua_io::image_io::{Bytes, Picture, edited, mask, resize, sheet};
use residua_metrics::psnr;
use residua_protocol::{
    Content, Listed, Masking, Opened, Output, PASTED, Pictured, Reading, Recipe, Writing,
};

/// Size limit of pictures and codes, in bytes.
const LARGEST: u64 = 1 << 30;
/// Most files shown from a folder.
const MOST_FILES: usize = 500;
/// Longer side of a folder's pictures, in pixels: in full they would fill the memory.
const MOST_LISTED: usize = 256;
/// Longer side of compared pictures, in pixels: more would not fit a graphics device, or a window.
const MOST_COMPARED: usize = 1024;
/// Pixels between the pictures of a grid.
const GAP: usize = 2;

/// Reads what was asked for, and passes it to `output`.
///
/// # Errors
/// A file cannot be read or is not what was asked for, or the task was stopped.
pub async fn read(reading: Reading, task: &mut Task<'_>, output: &impl Fn(Output)) -> Result<()> {
    let opened = |path: &Path, picture| Opened {
        path: path.into(),
        content: Content::Picture(Arc::new(picture)),
        recipe: None,
    };
    output(match reading {
        Reading::File(path) => Output::Opened(open(&path, &watched(&path, task)?, output)?),
        Reading::Sample => {
            let bytes = assets::open(SAMPLE)?;
            Output::Opened(open(Path::new(SAMPLE.path), &bytes.read_at(0, bytes.len())?, output)?)
        }
        Reading::Picture(path) => {
            let picture = Picture::from_bytes(&watched(&path, task)?).map_err(|error| named(&path, error))?;
            Output::Opened(opened(&path, picture))
        }
        Reading::Pasted { width, height, rgba: Bytes(rgba) } => {
            Output::Opened(opened(Path::new(PASTED), Picture::from_rgba8(width, height, &rgba)?))
        }
        Reading::Mask(path, masking) => Output::Masked(selected(&path, &masking, task)?),
        Reading::Folder(place) => return list(&place, task, output).await,
        Reading::Pair(pair) => compare(&pair)?,
        Reading::Run(folder) => {
            let found = files::is_file(&folder.join("config.yaml"));
            Output::Run(folder, found)
        }
    });
    Ok(())
}

/// Writes `writing` to the file at `path`, completely or not at all.
///
/// # Errors
/// A picture to be written cannot be read, or the file cannot be written.
pub fn write(path: &Path, writing: &Writing) -> Result<()> {
    let bytes = match writing {
        Writing::Picture(picture, provenance) => in_full(picture)?.to_png(provenance, path)?,
        Writing::Codes(stack) => npy::encode(stack),
        Writing::Grid(pictures) => {
            let pictures: Vec<Picture> = pictures.iter().map(|picture| (**picture).clone()).collect();
            let columns = (pictures.len() as f64).sqrt().ceil() as usize;
            sheet::grid(&pictures, columns, GAP)?.to_sheet()?
        }
    };
    files::save(path, &bytes)
}

/// The picture at full size.
fn in_full(picture: &Pictured) -> Result<Arc<Picture>> {
    match picture {
        Pictured::Held(picture) => Ok(picture.clone()),
        Pictured::File(path) => Picture::read(path).map(Arc::new),
    }
}

/// Adds the file's name to an error.
fn named(path: &Path, error: Error) -> Error {
    Error::invalid(format!("{}: {error}", file_name(path)))
}

/// All bytes of a file.
fn watched(path: &Path, task: &mut Task<'_>) -> Result<Vec<u8>> {
    read_watched(path, LARGEST, &mut |done, length| {
        task.report(done, length.max(done));
        task.check()
    })
}

/// What the file at `path`, with these `bytes`, holds. Its pixels are decoded only if its codes are missing or may not
/// match them.
fn open(path: &Path, bytes: &[u8], output: &impl Fn(Output)) -> Result<Opened> {
    let found = |content, recipe| Opened { path: path.into(), content, recipe };
    let named = |error| named(path, error);
    let is_npy = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
    if is_npy || bytes.starts_with(files::npy::MAGIC) {
        let mut stacks = npy::decode(bytes).map_err(named)?;
        if stacks.len() > 1 {
            let (name, count) = (file_name(path), stacks.len());
            output(Output::Warned(format!("{name} has {count} stacks; opening the first")));
        }
        return Ok(found(Content::Codes(Arc::new(stacks.remove(0))), None));
    }
    let Carried { codes, recipe } = match carried(path, bytes) {
        Ok(carried) => carried,
        Err(error) => {
            // The picture may be whole.
            let Ok(image) = decode(bytes) else { return Err(named(error)) };
            output(Output::Warned(format!("{}; the picture itself is encoded", named(error))));
            return Ok(found(Content::Picture(Arc::new(image.into())), None));
        }
    };
    let image = match codes.map(|stack| (stack, edited(bytes))) {
        Some((stack, None)) => return Ok(found(Content::Codes(Arc::new(stack)), recipe)),
        Some((_, Some(image))) => {
            let name = file_name(path);
            let text = format!("{name} was edited after its codes were saved, so it is encoded again");
            output(Output::Warned(text));
            image
        }
        None => decode(bytes).map_err(named)?,
    };
    Ok(found(Content::Picture(Arc::new(image.into())), recipe))
}

/// What a picture says about how it was made.
#[derive(Default)]
struct Carried {
    codes: Option<CodeStack>,
    recipe: Option<Arc<Recipe>>,
}

fn carried(path: &Path, bytes: &[u8]) -> Result<Carried> {
    let Provenance { recipe, codes } = Provenance::read(bytes)?.located(path);
    let recipe = recipe.and_then(|text| Recipe::if_readable(&file_name(path), &text, ""));
    Ok(Carried { codes, recipe: recipe.map(Arc::new) })
}

/// The cells that the mask at `path` selects, row-major.
fn selected(path: &Path, masking: &Masking, task: &mut Task<'_>) -> Result<Vec<bool>> {
    let named = |error| named(path, error);
    let mask = mask::from_bytes(&watched(path, task)?).map_err(named)?;
    let of_source = masking.source.filter(|(size, _)| *size == [mask.width(), mask.height()]);
    let framing = of_source.map_or(Framing::Middle, |(_, framing)| framing);
    let [rows, columns] = masking.cells;
    let mask = framing.apply(&mask, masking.resolution).map_err(named)?;
    let cells = mask::cells(&mask, rows, columns);
    if cells.contains(&true) {
        Ok(cells)
    } else {
        Err(named(Error::invalid(
            "expected a mask that is white, or transparent, over at least one cell, found none: paint a larger part",
        )))
    }
}

/// Reads a folder's pictures one by one. Files that cannot be read are only warned of.
async fn list(place: &Path, task: &mut Task<'_>, output: &impl Fn(Output)) -> Result<()> {
    let Found { pictures: mut files, left_out, .. } = folder::pictures(place)?;
    folder::warn(place, &left_out);
    let (count, name) = (files.len(), place.display());
    if count == 0 {
        output(Output::Warned(format!("{name}: no pictures in this folder")));
    } else if count > MOST_FILES {
        output(Output::Warned(format!("{name}: showing the first {MOST_FILES} of {count} pictures")));
    }
    files.truncate(MOST_FILES);
    output(Output::Folder);
    for (done, file) in files.iter().enumerate() {
        task.pause().await?;
        output(match listed(file, output) {
            Ok(listed) => Output::Listed(listed),
            Err(error) => Output::Warned(error.to_string()),
        });
        task.report(done + 1, files.len());
    }
    Ok(())
}

/// Reads a picture of a folder, with the codes and recipe that it carries. If these cannot be read, the picture may
/// still be whole.
fn listed(path: &Path, output: &impl Fn(Output)) -> Result<Listed> {
    let named = |error| named(path, error);
    let bytes = read_limited(path, LARGEST)?;
    let image = decode(&bytes).map_err(named)?;
    let Carried { codes, recipe } = carried(path, &bytes).unwrap_or_else(|error| {
        output(Output::Warned(format!("{}; the picture is shown without codes", named(error))));
        Carried::default()
    });
    let stack = codes.filter(|_| has_its_pixels(&bytes, &image) != Some(false)).map(Arc::new);
    let is_large = image.width().max(image.height()) as usize > MOST_LISTED;
    let image = if is_large { resize::fit(&image, MOST_LISTED)? } else { image };
    Ok(Listed { path: path.into(), picture: Arc::new(image.into()), stack, recipe })
}

fn compare([one, other]: &[Pictured; 2]) -> Result<Output> {
    let pictures = [in_full(one)?, in_full(other)?];
    let psnr = psnr(&pictures[0], &pictures[1]).ok();
    Ok(Output::Compared { pictures: pictures.map(|picture| picture.showable(MOST_COMPARED)), psnr })
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use std::cell::RefCell;

    use residua_io::image_io::png_text::encode_png;

    use super::*;

    fn outputs(reading: Reading) -> Result<Vec<Output>> {
        let outputs = RefCell::new(Vec::new());
        let keep = |output| outputs.borrow_mut().push(output);
        pollster::block_on(read(reading, &mut Task::unwatched(), &keep))?;
        Ok(outputs.into_inner())
    }

    #[test]
    fn a_large_picture_of_a_folder_is_scaled_down_and_read_again_at_full_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.png");
        let picture = Picture::new(300, 260, vec![-1.0; 3 * 300 * 260]).unwrap();
        picture.save_png(&path, &Provenance::default()).unwrap();
        let found = outputs(Reading::Folder(folder.path().into())).unwrap();
        let [Output::Folder, Output::Listed(listed)] = &found[..] else { panic!("{found:?}") };
        assert_eq!((listed.picture.width(), listed.picture.height()), (256, 256));
        assert!(listed.stack.is_none() && listed.recipe.is_none());
        let found = outputs(Reading::Picture(path.clone())).unwrap();
        let [Output::Opened(Opened { content: Content::Picture(full), .. })] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(**full, picture);
        std::fs::write(&path, b"no picture").unwrap();
        let message = outputs(Reading::Picture(path)).unwrap_err().to_string();
        assert!(message.starts_with("large.png: expected a picture"), "{message}");
    }

    #[test]
    fn a_picture_with_an_unreadable_recipe_is_listed_with_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = Provenance { recipe: Some("not JSON".into()), codes: None };
        let bytes = encode_png(&image::RgbImage::new(4, 3), &recipe).unwrap();
        std::fs::write(folder.path().join("a.png"), bytes).unwrap();
        let found = outputs(Reading::Folder(folder.path().into())).unwrap();
        let [Output::Folder, Output::Warned(warning), Output::Listed(listed)] = &found[..] else {
            panic!("{found:?}")
        };
        assert!(warning.starts_with("a.png: the picture's text chunk residua:recipe cannot be"), "{warning}");
        assert_eq!((listed.picture.width(), listed.picture.height()), (4, 3));
    }

    #[test]
    fn a_pasted_picture_has_its_pixels_without_alpha() {
        let rgba = Bytes(vec![255, 0, 0, 9, 0, 255, 255, 255]);
        let found = outputs(Reading::Pasted { width: 2, height: 1, rgba: rgba.clone() }).unwrap();
        let [Output::Opened(Opened { content: Content::Picture(picture), .. })] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(picture.data(), [1.0, -1.0, -1.0, 1.0, -1.0, 1.0]);
        assert!(outputs(Reading::Pasted { width: 3, height: 1, rgba }).is_err());
    }

    #[test]
    fn large_pictures_are_compared_in_full_and_shown_smaller() {
        let picture =
            |width, value| Pictured::Held(Arc::new(Picture::new(width, 1, vec![value; 3 * width]).unwrap()));
        let found = outputs(Reading::Pair([picture(2000, -1.0), picture(2000, 0.0)])).unwrap();
        let [Output::Compared { pictures, psnr: Some(psnr) }] = &found[..] else { panic!("{found:?}") };
        assert!((psnr - 6.02).abs() < 0.01, "{psnr}");
        assert_eq!(pictures.each_ref().map(|picture| picture.width()), [1000, 1000]);
        let found = outputs(Reading::Pair([picture(1, 0.0), picture(2, 0.0)])).unwrap();
        assert!(matches!(found[..], [Output::Compared { psnr: None, .. }]));
    }
}
