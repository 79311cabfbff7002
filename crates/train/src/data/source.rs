//! Loads the pictures of batches. Those that cannot be read are skipped, and reported once.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::{Loaded, Wish};
use residua_core::error::{Error, Result};
use residua_core::random::{pcg4d, permutation};
use residua_io::image_io::folder;

/// Bytes of framed pictures to cache.
const MOST_KEPT: usize = 1 << 30;

/// This many unreadable pictures in a row end the run.
const MOST_UNREADABLE: usize = 1000;

/// Domain separators for the random numbers.
const ORDER: u32 = 0x6f72_6465;
const CAPTION: u32 = 0x6361_7074;

/// Unreadable pictures. Each is reported once, however often it comes up.
#[derive(Clone, Debug, Default)]
pub struct Unreadable(pub(super) Arc<Mutex<HashSet<PathBuf>>>);

impl Unreadable {
    fn name(&self, path: &Path, error: &Error) {
        let mut named = self.0.lock().expect("nothing panics while it holds this");
        if named.insert(path.into()) {
            tracing::warn!("skipped in training, {} so far: {error}", named.len());
        }
    }
}

/// A picture in a batch.
pub struct Placed {
    /// Index of the item.
    pub index: usize,
    /// Its variation.
    pub variation: u32,
    /// Its caption, modulo the number of its captions.
    pub caption: u32,
}

/// Loads the batches of a request.
pub struct Source {
    /// The request.
    pub wish: Wish,
    /// Cache of framed pictures by index, as bytes.
    kept: Mutex<HashMap<usize, Arc<[u8]>>>,
    /// The order of the epoch that was used last.
    order: Mutex<(u64, Arc<Vec<usize>>)>,
}

impl Source {
    /// Nothing is loaded yet.
    pub fn new(wish: Wish) -> Self {
        let order = Mutex::new((0, Arc::new(order(wish.items.len(), wish.seed, 0))));
        Self { wish, kept: Mutex::default(), order }
    }

    /// Values per picture.
    pub fn pixels(&self) -> usize {
        3 * self.wish.resolution * self.wish.resolution
    }

    /// The pictures `rows` of batch `number`.
    pub fn batch(&self, number: u64, rows: &Range<usize>) -> Result<Loaded> {
        let first = number * self.wish.size as u64 + rows.start as u64;
        let mut pixels = vec![0.0; rows.len() * self.pixels()];
        let parts = pixels.par_chunks_exact_mut(self.pixels()).enumerate();
        let placed = parts.map(|(i, to)| self.place(first + i as u64, to));
        let placed = placed.collect::<Result<Vec<_>>>()?;
        Ok(self.loaded(pixels, placed))
    }

    /// Loads the picture at `place` of the endless order, or else the next one that can be read.
    fn place(&self, place: u64, to: &mut [f32]) -> Result<Placed> {
        let count = self.wish.items.len() as u64;
        let epoch = place / count;
        let order = self.order(epoch);
        let variation = self.wish.variations.map_or(epoch as u32, |many| (epoch % u64::from(many)) as u32);
        let mut last = None;
        for offset in 0..count.min(MOST_UNREADABLE as u64) {
            let index = order[((place + offset) % count) as usize];
            match self.write_or_name(index, variation, to) {
                Ok(()) => {
                    let caption = pcg4d([self.wish.seed ^ CAPTION, epoch as u32, index as u32, 0])[0];
                    return Ok(Placed { index, variation, caption });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::invalid("expected pictures to train on, found none")))
    }

    fn order(&self, epoch: u64) -> Arc<Vec<usize>> {
        let mut known = self.order.lock().expect("nothing panics while it holds this");
        if known.0 != epoch {
            *known = (epoch, Arc::new(order(self.wish.items.len(), self.wish.seed, epoch)));
        }
        known.1.clone()
    }

    /// Loads picture `index` in one of its variations; reports it if it cannot be read.
    pub fn write_or_name(&self, index: usize, variation: u32, to: &mut [f32]) -> Result<()> {
        let written = self.write(index, variation, to);
        written.inspect_err(|error| self.wish.unreadable.name(&self.wish.items[index].path, error))
    }

    /// Loads picture `index` in one of its variations.
    fn write(&self, index: usize, variation: u32, to: &mut [f32]) -> Result<()> {
        let variation = self.wish.augmentation.of(self.wish.seed, variation, index as u32);
        let side = self.wish.resolution;
        let kept = self.kept.lock().expect("nothing panics while it holds this").get(&index).cloned();
        let framed = match kept {
            Some(framed) => framed,
            None => {
                let picture = folder::read(&self.wish.items[index].path)?;
                let framed: Arc<[u8]> =
                    variation.frame(&picture, side)?.data().iter().map(|&x| byte(x)).collect();
                if variation.frames_alike(picture.width(), picture.height()) {
                    let mut kept = self.kept.lock().expect("nothing panics while it holds this");
                    if kept.len() * self.pixels() < MOST_KEPT {
                        kept.insert(index, framed.clone());
                    }
                }
                framed
            }
        };
        variation.write(&framed, side, to);
        Ok(())
    }

    /// The batch of the pictures `placed`. Their `pixels` stand one after another.
    pub fn loaded(&self, pixels: Vec<f32>, placed: Vec<Placed>) -> Loaded {
        let shape = [placed.len(), 3, self.wish.resolution, self.wish.resolution];
        let item = |placed: &Placed| &self.wish.items[placed.index];
        let caption = |placed: &Placed| match &item(placed).captions[..] {
            [] => String::new(),
            captions => captions[placed.caption as usize % captions.len()].clone(),
        };
        Loaded {
            images: Tensor::from_data(TensorData::new(pixels, shape), &self.wish.device),
            classes: placed.iter().map(|placed| item(placed).class.unwrap_or(0)).collect(),
            captions: placed.iter().map(caption).collect(),
            indices: placed.iter().map(|placed| placed.index).collect(),
            variations: placed.iter().map(|placed| placed.variation).collect(),
        }
    }
}

fn byte(x: f32) -> u8 {
    ((x + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8
}

/// The order of the items in `epoch`.
fn order(count: usize, seed: u32, epoch: u64) -> Vec<usize> {
    permutation(count, [seed ^ ORDER, epoch as u32, (epoch >> 32) as u32])
}
