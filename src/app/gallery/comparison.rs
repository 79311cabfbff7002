//! Compares two pictures.

use std::sync::Arc;

use super::Item;
use residua_io::image_io::Picture;

/// Two pictures and how they differ.
pub struct Comparison {
    /// Their names.
    pub names: [String; 2],
    /// The pictures, scaled down for display if they are large.
    pub pictures: [Arc<Picture>; 2],
    /// Number of differing codes, and of all codes. None unless both have codes of the same shape.
    pub codes: Option<(usize, usize)>,
    /// PSNR between them in decibels, at full size. None if their sizes differ.
    pub psnr: Option<f64>,
}

impl Comparison {
    /// Number of differing codes of two pictures, and of all codes. None unless both have codes of the same shape.
    pub fn of_codes(a: &Item, b: &Item) -> Option<(usize, usize)> {
        let (a, b) = a.stack.as_ref().zip(b.stack.as_ref())?;
        Some((a.diff(b).ok()?.len(), a.codes().len()))
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

    fn item(codes: Option<Vec<u32>>) -> Item {
        Item {
            name: "a".into(),
            origin: Origin::Edited,
            picture: Arc::new(Picture::new(1, 1, vec![0.0; 3]).expect("whole")),
            stack: codes.map(|codes| Arc::new(CodeStack::new(1, 1, codes.len(), codes).expect("whole"))),
            recipe: None,
        }
    }

    #[test]
    fn the_summary_says_how_two_pictures_differ() {
        let summary = |a: &Item, b: &Item, psnr| {
            let pictures = [a.picture.clone(), b.picture.clone()];
            let names = [a.name.clone(), b.name.clone()];
            Comparison { names, pictures, codes: Comparison::of_codes(a, b), psnr }.summary()
        };
        let (a, b) = (item(Some(vec![1, 2, 3])), item(Some(vec![1, 5, 4])));
        assert_eq!(summary(&a, &b, Some(6.0206)), "2 of 3 codes differ; PSNR 6.02 dB");
        assert_eq!(summary(&a, &a, Some(f64::INFINITY)), "0 of 3 codes differ; identical pixels");
        assert_eq!(summary(&a, &item(Some(vec![1, 2])), None), "codes cannot be compared; sizes differ");
        let unknown = item(None);
        assert_eq!(summary(&a, &unknown, Some(f64::INFINITY)), "codes cannot be compared; identical pixels");
    }
}
