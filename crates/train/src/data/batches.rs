//! Batches in an endless order, prefetched on a thread of their own.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use super::source::{Placed, Source};
use super::{Augmentation, Item, Unreadable};
use crate::rank_share::RankShare;
use residua_core::error::{Error, Result};

/// Batches to prefetch.
const AHEAD: usize = 3;

/// A request for batches.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The pictures.
    pub items: Vec<Item>,
    /// Width and height of the images, in pixels.
    pub resolution: usize,
    /// Batch size.
    pub size: usize,
    /// The augmentation.
    pub augmentation: Augmentation,
    /// Epochs after which the augmentation repeats; `None`: never.
    pub variations: Option<u32>,
    /// Seed of order and augmentation.
    pub seed: u32,
    /// The device to load batches to.
    pub device: Device,
    /// The items found to be unreadable so far.
    pub unreadable: Unreadable,
}

/// A batch.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// `[B, 3, H, W]` in `[-1, 1]`.
    pub images: Tensor<4>,
    /// Indices of the items.
    pub indices: Vec<usize>,
    /// The variation of each item.
    pub variations: Vec<u32>,
    /// Classes; 0 for items without one.
    pub classes: Vec<usize>,
    /// A caption of each item, resampled in each epoch; the first one if nothing is augmented; empty for
    /// items without captions.
    pub captions: Vec<String>,
}

impl Loaded {
    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// True if it has no pictures.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
}

/// An endless sequence of full batches: if an epoch's pictures do not fill its last batch, the first of the
/// next epoch do. Each depends only on the request and its number, so a run that resumes sees
/// the same batches as an uninterrupted one.
pub struct Batches {
    size: usize,
    queue: Receiver<Result<Loaded>>,
}

impl Batches {
    /// Starts at batch `first`, on a thread that ends when this is dropped.
    pub fn start(wish: Wish, first: u64) -> Self {
        Self::shared(wish, first, &RankShare::alone())
    }

    /// The same for a process that loads only its `share`: some of the batches, and some of the pictures of each.
    pub fn shared(wish: Wish, first: u64, share: &RankShare) -> Self {
        let (sender, queue) = sync_channel(AHEAD);
        let size = wish.size;
        let (numbers, rows) = (share.numbers(first), share.rows(size));
        std::thread::spawn(move || fill(&Source::new(wish), numbers, &rows, &sender));
        Self { size, queue }
    }

    /// Pictures per batch, including those that other processes load.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The next batch.
    ///
    /// # Errors
    /// No picture can be read.
    pub fn next_batch(&mut self) -> Result<Loaded> {
        self.queue.recv().unwrap_or_else(|_| Err(Error::invalid("the data can no longer be read")))
    }
}

/// The readable `items` in order, in batches, framed like held-out pictures and not augmented. A batch with
/// unreadable pictures is smaller.
pub fn in_order(wish: &Wish) -> impl Iterator<Item = Loaded> + use<> {
    in_order_by_turns(wish, [0, 1])
}

/// The batches of [`in_order`] that are one of several processes' turn: every `count`-th, from batch `first`.
pub fn in_order_by_turns(wish: &Wish, [first, count]: [usize; 2]) -> impl Iterator<Item = Loaded> + use<> {
    let wish = Wish { augmentation: wish.augmentation.held_out(), ..wish.clone() };
    ordered(wish, 0, false, [first, count])
}

/// All `items` in order, in batches, augmented as in `epoch`. Unreadable pictures are black; batches of a run
/// skip them, see `Source::place`.
pub fn in_epoch(wish: &Wish, epoch: u32) -> impl Iterator<Item = Loaded> + use<> {
    ordered(wish.clone(), epoch, true, [0, 1])
}

/// `all`: include unreadable pictures. Every `step`-th batch, from batch `first`.
fn ordered(wish: Wish, epoch: u32, all: bool, [first, step]: [usize; 2]) -> impl Iterator<Item = Loaded> {
    let source = Source::new(wish);
    let count = source.wish.items.len();
    let size = source.wish.size;
    (first..count.div_ceil(size)).step_by(step).filter_map(move |batch| {
        let places: Vec<usize> = (batch * size..count.min((batch + 1) * size)).collect();
        let read = places.par_iter().map(|&index| {
            let mut pixels = vec![0.0; source.pixels()];
            let is_read = source.write_or_name(index, epoch, &mut pixels).is_ok();
            (is_read || all).then_some((pixels, Placed { index, variation: epoch, caption: 0 }))
        });
        let read: Vec<_> = read.collect();
        let (pixels, placed): (Vec<_>, Vec<_>) = read.into_iter().flatten().unzip();
        (!placed.is_empty()).then(|| source.loaded(pixels.concat(), placed))
    })
}

fn fill(
    source: &Source,
    numbers: impl Iterator<Item = u64>,
    rows: &Range<usize>,
    queue: &SyncSender<Result<Loaded>>,
) {
    for number in numbers {
        // Stop if there is no receiver any more, or nothing can be read.
        let prepared = source.batch(number, rows);
        let failed = prepared.is_err();
        if queue.send(prepared).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
pub mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::data::Frame;
    use residua_io::image_io::Picture;
    use residua_io::image_io::png_text::Provenance;
    use residua_kernels::values;

    /// `count` pictures in `folder`, with classes and captions, in batches of four.
    pub fn wish(folder: &std::path::Path, count: usize) -> Wish {
        let items = (0..count).map(|i| {
            let path = folder.join(format!("{i}.png"));
            let values = (0..3 * 64).map(|j| ((i * 7 + j) % 50) as f32 / 50.0).collect();
            Picture::new(8, 8, values).unwrap().save_png(&path, &Provenance::default()).unwrap();
            Item { path, class: Some(i % 3), captions: (0..i).map(|n| format!("{i}, {n}")).collect() }
        });
        Wish {
            items: items.collect(),
            resolution: 8,
            size: 4,
            augmentation: Augmentation { frame: Frame::Along, flip: true, shift: 1 },
            variations: None,
            seed: 5,
            device: Device::flex(),
            unreadable: Unreadable::default(),
        }
    }

    #[test]
    fn each_epoch_has_all_pictures_once_in_a_new_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut batches = Batches::start(wish(folder.path(), 12), 0);
        let mut epoch =
            || -> Vec<usize> { (0..3).flat_map(|_| batches.next_batch().unwrap().indices).collect() };
        let (first, second) = (epoch(), epoch());
        assert_ne!(first, second);
        for mut indices in [first, second] {
            indices.sort_unstable();
            assert!(indices.into_iter().eq(0..12));
        }
    }

    #[test]
    fn a_resumed_run_sees_the_same_batches() {
        let folder = tempfile::tempdir().unwrap();
        let wish = wish(folder.path(), 10);
        let mut whole = Batches::start(wish.clone(), 0);
        let whole: Vec<Loaded> = (0..8).map(|_| whole.next_batch().unwrap()).collect();
        for first in [1, 5] {
            let mut later = Batches::start(wish.clone(), first);
            for expected in &whole[first as usize..] {
                let found = later.next_batch().unwrap();
                assert_eq!(found.indices, expected.indices);
                assert_eq!(values(found.images), values(expected.images.clone()));
                assert!(found.classes.iter().zip(&found.indices).all(|(class, index)| *class == index % 3));
            }
        }
    }

    #[test]
    fn captions_are_resampled_in_each_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let wish = wish(folder.path(), 4);
        let mut batches = Batches::start(wish.clone(), 0);
        let mut seen = HashSet::new();
        for _ in 0..40 {
            let batch = batches.next_batch().unwrap();
            for (index, caption) in batch.indices.into_iter().zip(batch.captions) {
                assert!(if index == 0 {
                    caption.is_empty()
                } else {
                    wish.items[index].captions.contains(&caption)
                });
                seen.insert(caption);
            }
        }
        assert_eq!(seen.len(), 1 + 1 + 2 + 3, "{seen:?}");
        assert_eq!(in_order(&wish).next().unwrap().captions, ["", "1, 0", "2, 0", "3, 0"]);
    }

    #[test]
    fn variations_repeat_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let wish = Wish { variations: Some(2), ..wish(folder.path(), 4) };
        let mut batches = Batches::start(wish.clone(), 0);
        let mut seen: Vec<(usize, u32, Vec<f32>)> = Vec::new();
        for epoch in 0..4 {
            let batch = batches.next_batch().unwrap();
            assert_eq!(batch.variations, [epoch % 2; 4]);
            let all = in_epoch(&wish, epoch % 2).next().unwrap();
            let all = values(all.images);
            for (&index, pixels) in batch.indices.iter().zip(values(batch.images).chunks(192)) {
                assert_eq!(pixels, &all[index * 192..][..192]);
                seen.push((index, epoch % 2, pixels.to_vec()));
            }
        }
        let [first, second] =
            [0, 1].map(|epoch| seen.iter().find(|s| (s.0, s.1) == (0, epoch)).unwrap().2.clone());
        assert_ne!(first, second);
    }

    #[test]
    fn unreadable_pictures_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let wish = wish(folder.path(), 8);
        std::fs::write(&wish.items[3].path, b"no picture").unwrap();
        let mut batches = Batches::start(wish.clone(), 0);
        let seen: Vec<usize> = (0..8).flat_map(|_| batches.next_batch().unwrap().indices).collect();
        assert_eq!(seen.len(), 32);
        assert!(!seen.contains(&3));
        let seen: Vec<usize> = in_order(&wish).flat_map(|batch| batch.indices).collect();
        assert_eq!(seen, [0, 1, 2, 4, 5, 6, 7]);
        assert_eq!(wish.unreadable.0.lock().unwrap().len(), 1, "it is reported once");
        for item in &wish.items {
            std::fs::write(&item.path, b"no picture").unwrap();
        }
        assert_eq!(in_order(&wish).count(), 0);
        let error = Batches::start(wish, 0).next_batch().unwrap_err().to_string();
        assert!(error.contains(".png"), "{error}");
    }

    #[test]
    fn pictures_in_order_are_not_augmented() {
        let folder = tempfile::tempdir().unwrap();
        let wish = wish(folder.path(), 6);
        let all: Vec<Loaded> = in_order(&wish).collect();
        assert_eq!(all.iter().map(Loaded::len).collect::<Vec<_>>(), [4, 2]);
        let expected = Picture::read(&wish.items[5].path).unwrap();
        let found = &values(all[1].images.clone())[192..];
        assert!(found.iter().zip(expected.data()).all(|(a, b)| (a - b).abs() < 0.005));
    }
}
