//! Compares two pictures.

use std::sync::Arc;

use super::Item;
use residua_core::error::Result;
use residua_io::image_io::Picture;
use residua_metrics::psnr::psnr;

/// Two pictures and how they differ.
pub struct Comparison {
    /// Their names.
    pub names: [String; 2],
    /// The pictures at full size.
    pub pictures: [Arc<Picture>; 2],
    /// Number of differing codes, and of all codes. None unless both have codes of the same shape.
    pub codes: Option<(usize, usize)>,
    /// PSNR between them in decibels. None if their sizes differ.
    pub psnr: Option<f64>,
}

impl Comparison {
    /// Compares two pictures.
    ///
    /// # Errors
    /// A picture's file can no longer be read.
    pub fn new(a: &Item, b: &Item) -> Result<Self> {
        let pictures = [a.full()?, b.full()?];
        let codes = a.stack.as_ref().zip(b.stack.as_ref()).and_then(|(a, b)| {
            let differing = a.diff(b).ok()?.len();
            Some((differing, a.codes().len()))
        });
        let psnr = psnr(&pictures[0], &pictures[1]).ok();
        Ok(Self { names: [a.name.clone(), b.name.clone()], pictures, codes, psnr })
    }

    /// How they differ, in words.
    pub fn summary(&self) -> String {
        let codes = match self.codes {
            Some((differing, all)) => format!("{differing} of {all} codes differ"),
            None => "codes cannot be compared".to_string(),
        };
        let pixels = match self.psnr {
            Some(psnr) if psnr.is_infinite() => "identical pixels".to_string(),
            Some(psnr) => format!("PSNR {psnr:.2} dB"),
            None => "sizes differ".to_string(),
        };
        format!("{codes}; {pixels}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Origin;
    use super::*;
    use residua_core::codes::CodeStack;

    fn item(size: usize, value: f32, codes: Option<Vec<u32>>) -> Item {
        let picture = Picture::new(size, size, vec![value; 3 * size * size]).expect("whole");
        Item {
            name: format!("{value}"),
            origin: Origin::Edited,
            picture: Arc::new(picture),
            stack: codes.map(|codes| Arc::new(CodeStack::new(1, 1, codes.len(), codes).expect("whole"))),
            recipe: None,
        }
    }

    #[test]
    fn the_summary_says_how_two_pictures_differ() {
        let summary = |a: &Item, b: &Item| Comparison::new(a, b).expect("in memory").summary();
        let (a, b) = (item(1, -1.0, Some(vec![1, 2, 3])), item(1, 0.0, Some(vec![1, 5, 4])));
        assert_eq!(summary(&a, &b), "2 of 3 codes differ; PSNR 6.02 dB");
        assert_eq!(summary(&a, &a), "0 of 3 codes differ; identical pixels");
        let other = item(2, 0.0, Some(vec![1, 2]));
        assert_eq!(summary(&a, &other), "codes cannot be compared; sizes differ");
        assert_eq!(summary(&a, &item(1, -1.0, None)), "codes cannot be compared; identical pixels");
    }
}
