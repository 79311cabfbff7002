//! The pictures that a model is measured on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::bulk::{Order, file};
use residua_core::error::{Error, Result};
use residua_core::part::Part;
use residua_core::task::Task;
use residua_core::text::counted;
pub use residua_io::image_io::folder::LeftOut;
use residua_io::image_io::framing::Framing;
use residua_io::image_io::{Picture, folder};
use residua_protocol::Condition;
use residua_train::data::{DataSet, Item, Split, fingerprint};

/// Which pictures to measure.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The folder, as for training.
    pub folder: PathBuf,
    /// Which split of its pictures.
    pub split: Split,
    /// Maximum number of pictures, spread evenly over all; `None`: all.
    pub limit: Option<usize>,
    /// Number of pictures in a batch.
    pub batch: usize,
}

/// The pictures of a selection, batch by batch. Unreadable ones are named in a warning and left out.
#[derive(Debug)]
pub struct Pictures {
    items: Vec<Item>,
    part: Part,
    /// The numbers of the items in the part.
    numbers: Vec<u32>,
    resolution: Option<usize>,
    framing: Framing,
    batch: usize,
    /// How many of these were tried.
    taken: usize,
    /// How many of these were read.
    read: usize,
    /// Names of the classes, in the order of their indices.
    pub classes: Vec<String>,
    /// Files left out so far, when the folder was listed or because they could not be read.
    pub left_out: Vec<LeftOut>,
}

/// Some pictures, with their numbers, classes and captions.
pub struct Batch {
    /// The pictures, as the model takes them.
    pub pictures: Vec<Picture>,
    /// Their entries, in the same order.
    pub items: Vec<Item>,
    /// Their numbers among all entries, including those that cannot be read.
    pub numbers: Vec<u32>,
}

impl Pictures {
    /// Finds the pictures of `selection`; `classes` are the model's class names, if it has any. The pictures
    /// are resized and cropped for a model of `resolution`, or keep their own sizes if that is `None`.
    ///
    /// # Errors
    /// Those of [`DataSet::open`]; the split has no pictures; a limit or batch is 0.
    pub fn open(selection: &Selection, classes: &[String], resolution: Option<usize>) -> Result<Self> {
        let Selection { folder, split, limit, batch } = selection;
        let data = DataSet::open(folder, classes)?;
        let mut items = data.of(*split);
        if items.is_empty() {
            return Err(Error::usage(format!(
                "{}: expected pictures of the requested split, found none among its {}; use the split all",
                folder.display(),
                data.items.len()
            )));
        }
        let limit = limit.unwrap_or(items.len()).min(items.len());
        if limit == 0 {
            return Err(Error::usage("limit: expected at least 1, found 0"));
        }
        items = (0..limit).map(|i| items[i * items.len() / limit].clone()).collect();
        let (classes, left_out) = (data.classes, data.left_out);
        Ok(Self { resolution, classes, left_out, ..Self::of(items, *batch)? })
    }

    /// The samples of `orders` in `folder`, with their captions, at their own sizes. Whatever else is in the
    /// folder is not among them.
    ///
    /// # Errors
    /// A batch is 0.
    pub fn sampled(folder: &Path, orders: &[Order], batch: usize) -> Result<Self> {
        let items = orders.iter().flat_map(|Order { given, images }| {
            let captions = match &given.condition {
                Condition::Prompt(caption) => vec![caption.clone()],
                Condition::Class(_) | Condition::Unconditional => Vec::new(),
            };
            images.clone().map(move |number| Item {
                path: file(folder, number),
                class: None,
                captions: captions.clone(),
            })
        });
        Self::of(items.collect(), batch)
    }

    /// Some pictures, at their own sizes.
    fn of(items: Vec<Item>, batch: usize) -> Result<Self> {
        if batch == 0 {
            return Err(Error::usage("batch: expected at least 1, found 0"));
        }
        let (part, numbers) = (Part::WHOLE, (0..items.len() as u32).collect());
        let (classes, left_out) = (Vec::new(), Vec::new());
        let (resolution, framing) = (None, Framing::Middle);
        Ok(Self { items, part, numbers, resolution, framing, batch, taken: 0, read: 0, classes, left_out })
    }

    /// The same, but batches have only those in `part`. The first part alone has the files that were left out when the
    /// folder was listed.
    pub fn only(mut self, part: Part) -> Self {
        self.numbers.retain(|&number| part.has(number));
        if part.index() > 0 {
            self.left_out.clear();
        }
        Self { part, ..self }
    }

    /// The same, resized and cropped for a model of `resolution`.
    pub fn fitted_to(self, resolution: Option<usize>) -> Self {
        Self { resolution, ..self }
    }

    /// The same, but framed like this when they are resized: by default, they are cropped to the middle square.
    pub fn framed(self, framing: Framing) -> Self {
        Self { framing, ..self }
    }

    /// Only those in `files`.
    pub fn among(mut self, files: &BTreeSet<PathBuf>) -> Self {
        self.items.retain(|item| files.contains(&item.path));
        self.numbers = (0..self.items.len() as u32).collect();
        self
    }

    /// The entries of all parts, including those that cannot be read.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// How many were read so far.
    pub fn read_so_far(&self) -> usize {
        self.read
    }

    /// Identifies the entries of all parts, which are in `folder`: their names, sizes, classes and captions.
    pub fn fingerprint(&self, folder: &Path) -> String {
        let (items, classes) = (self.items.clone(), self.classes.clone());
        let (validation, left_out) = (BTreeSet::new(), Vec::new());
        fingerprint(folder, &DataSet { items, classes, validation, left_out })
    }

    /// The captions, if all pictures that can be read have one.
    pub fn captions(&self) -> Option<Vec<String>> {
        let items = self.items.iter().filter(|item| item.caption().is_some() || self.read(item).is_ok());
        items.map(|item| item.caption().map(String::from)).collect()
    }

    /// The next batch of readable pictures; `None` after the last. `task` counts pictures.
    ///
    /// # Errors
    /// The task was stopped; no picture could be read.
    pub async fn next_batch(&mut self, task: &mut Task<'_>) -> Result<Option<Batch>> {
        let mut read = Batch { pictures: Vec::new(), items: Vec::new(), numbers: Vec::new() };
        while read.items.is_empty() {
            task.pause().await?;
            task.report(self.taken, self.numbers.len());
            if self.taken == self.numbers.len() {
                return self.end().map(|()| None);
            }
            let end = self.numbers.len().min(self.taken + self.batch);
            let numbers = &self.numbers[self.taken..end];
            self.taken = end;
            let picture = |&number: &u32| self.read(&self.items[number as usize]);
            let pictures: Vec<Result<Picture>> = numbers.par_iter().map(picture).collect();
            for (&number, picture) in numbers.iter().zip(pictures) {
                let item = &self.items[number as usize];
                match picture {
                    Ok(picture) => {
                        self.read += 1;
                        read.pictures.push(picture);
                        read.items.push(item.clone());
                        read.numbers.push(number);
                    }
                    Err(error) => {
                        tracing::warn!("left out: {error}");
                        let reason = error.to_string();
                        self.left_out.push(LeftOut { path: item.path.clone(), reason });
                    }
                }
            }
        }
        Ok(Some(read))
    }

    fn read(&self, item: &Item) -> Result<Picture> {
        let picture = folder::read(&item.path)?;
        match self.resolution {
            Some(resolution) => self.framing.apply(&picture, resolution),
            None => Ok(picture),
        }
    }

    /// Another part may have pictures that can be read.
    fn end(&self) -> Result<()> {
        match self.left_out.last() {
            Some(last) if self.read == 0 && self.part == Part::WHOLE => {
                let files = counted(self.items.len(), "file");
                Err(Error::invalid(format!("expected pictures, found none in {files}; {}", last.reason)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::Given;
    use residua_io::image_io::png_text::Provenance;

    fn selection(count: usize, split: Split, limit: Option<usize>) -> (tempfile::TempDir, Selection) {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..count {
            let picture = Picture::new(6, 4, vec![i as f32 / count as f32; 72]).unwrap();
            picture.save_png(&folder.path().join(format!("{i:03}.png")), &Provenance::default()).unwrap();
        }
        let selection = Selection { folder: folder.path().into(), split, limit, batch: 4 };
        (folder, selection)
    }

    fn names(selection: &Selection) -> Vec<String> {
        let mut pictures = Pictures::open(selection, &[], Some(2)).unwrap();
        let mut names = Vec::new();
        while let Some(batch) = pollster::block_on(pictures.next_batch(&mut Task::unwatched())).unwrap() {
            assert!(batch.pictures.iter().all(|picture| picture.width() == 2));
            let name = |item: &Item| item.path.file_stem().unwrap().to_string_lossy().into_owned();
            names.extend(batch.items.iter().map(name));
        }
        names
    }

    #[test]
    fn a_limit_spreads_over_all_pictures() {
        let (_folder, selection) = selection(10, Split::All, Some(4));
        assert_eq!(names(&selection), ["000", "002", "005", "007"]);
        assert_eq!(names(&Selection { limit: Some(99), ..selection }).len(), 10);
    }

    #[test]
    fn pictures_are_cropped_or_squeezed() {
        let (folder, selection) = selection(1, Split::All, None);
        let sides = Picture::new(6, 4, (0..72).map(|i| (i % 6) as f32 / 3.0 - 1.0).collect()).unwrap();
        sides.save_png(&folder.path().join("000.png"), &Provenance::default()).unwrap();
        let read = |framing| {
            let mut pictures = Pictures::open(&selection, &[], Some(4)).unwrap().framed(framing);
            let batch = pollster::block_on(pictures.next_batch(&mut Task::unwatched())).unwrap();
            batch.unwrap().pictures.remove(0).data()[0]
        };
        // The middle square lacks the darkest column.
        assert!((read(Framing::Middle) + 2.0 / 3.0).abs() < 0.01, "{}", read(Framing::Middle));
        assert!(read(Framing::Squeezed) < -0.75, "{}", read(Framing::Squeezed));
    }

    #[test]
    fn unreadable_pictures_are_named_and_left_out() {
        let (folder, selection) = selection(6, Split::All, None);
        (0..5).for_each(|i| std::fs::write(folder.path().join(format!("{i:03}.png")), b"none").unwrap());
        assert_eq!(names(&selection), ["005"]);
        std::fs::write(folder.path().join("005.png"), b"none").unwrap();
        let mut pictures = Pictures::open(&selection, &[], None).unwrap();
        let error = pollster::block_on(pictures.next_batch(&mut Task::unwatched())).err().unwrap();
        assert!(
            error.to_string().contains("none in 6 files") && error.to_string().contains("005.png"),
            "{error}"
        );
        assert_eq!(pictures.left_out.len(), 6);
    }

    #[test]
    fn parts_have_each_picture_once() {
        let (folder, selection) = selection(7, Split::All, None);
        std::fs::write(folder.path().join("004.png"), b"none").unwrap();
        std::fs::write(folder.path().join(".hidden.png"), b"none").unwrap();
        let open = || Pictures::open(&selection, &[], None).unwrap();
        let whole = open();
        for (part, expected, left_out) in
            [("0/3", vec![0, 3, 6], 1), ("1/3", vec![1], 1), ("2/3", vec![2, 5], 0)]
        {
            let mut pictures = open().only(part.parse().unwrap());
            assert_eq!(pictures.fingerprint(folder.path()), whole.fingerprint(folder.path()));
            let mut numbers = Vec::new();
            while let Some(batch) = pollster::block_on(pictures.next_batch(&mut Task::unwatched())).unwrap() {
                let name = |number: &u32| folder.path().join(format!("{number:03}.png"));
                assert!(
                    batch.items.iter().zip(&batch.numbers).all(|(item, number)| item.path == name(number))
                );
                numbers.extend(batch.numbers);
            }
            assert_eq!((numbers, pictures.left_out.len()), (expected, left_out), "{part}");
        }
    }

    #[test]
    fn only_pictures_that_can_be_read_need_captions() {
        let (folder, selection) = selection(2, Split::All, None);
        let captions = || Pictures::open(&selection, &[], None).unwrap().captions();
        std::fs::write(folder.path().join("captions.tsv"), "000.png\ta cat\n").unwrap();
        assert_eq!(captions(), None);
        std::fs::write(folder.path().join("001.png"), b"none").unwrap();
        assert_eq!(captions().unwrap(), ["a cat"]);
    }

    #[test]
    fn samples_are_those_of_the_plan() {
        let given = Given { condition: Condition::Prompt("a cat".into()), tokens: vec![0] };
        let orders = [Order { given: given.clone(), images: 0..2 }, Order { given, images: 5..6 }];
        let pictures = Pictures::sampled(Path::new("made"), &orders, 4).unwrap();
        let names: Vec<String> =
            pictures.items().iter().map(|item| item.path.display().to_string().replace('\\', "/")).collect();
        assert_eq!(names, ["made/000000.png", "made/000001.png", "made/000005.png"]);
        assert_eq!(pictures.captions().unwrap(), ["a cat"; 3]);
        assert!(Pictures::sampled(Path::new("made"), &orders, 0).is_err());
    }

    #[test]
    fn a_split_without_pictures_is_refused() {
        let (_folder, selection) = selection(1, Split::HeldOut, None);
        let error = Pictures::open(&selection, &[], None).unwrap_err().to_string();
        assert!(error.contains("the split all"), "{error}");
        let error = Pictures::open(&Selection { split: Split::All, batch: 0, ..selection }, &[], None);
        assert!(error.unwrap_err().to_string().contains("batch: "));
    }
}
