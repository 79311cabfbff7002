//! The pictures of this session.

use std::path::PathBuf;
use std::sync::Arc;

use crate::codes::CodeStack;
use crate::engine::Recipe;
use crate::image_io::Picture;

/// Where a picture comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was sampled.
    Sampled,
    /// It was completed, or its like was sampled.
    Varied,
    /// It was kept from the editor.
    Edited,
    /// It lies in a file.
    File(PathBuf),
}

/// A picture with all that is known of its making.
#[derive(Clone, Debug)]
pub struct Item {
    /// The name under which it is shown and saved.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The picture.
    pub picture: Arc<Picture>,
    /// Its codes, if they are known.
    pub stack: Option<Arc<CodeStack>>,
    /// How it was made, if that is known.
    pub recipe: Option<Arc<Recipe>>,
}

/// The pictures of this session, oldest first.
#[derive(Default)]
pub struct Gallery {
    /// All of them.
    pub items: Vec<Item>,
    /// Indices of the ones that are chosen, in the order of choice.
    pub chosen: Vec<usize>,
}

impl Gallery {
    /// Adds a picture.
    pub fn add(&mut self, item: Item) {
        self.items.push(item);
    }

    /// Chooses the picture at `index`, or no longer.
    pub fn toggle(&mut self, index: usize) {
        match self.chosen.iter().position(|&chosen| chosen == index) {
            Some(place) => {
                self.chosen.remove(place);
            }
            None => self.chosen.push(index),
        }
    }

    /// Takes the picture at `index` out.
    pub fn remove(&mut self, index: usize) {
        self.items.remove(index);
        self.chosen.retain(|&chosen| chosen != index);
        self.chosen.iter_mut().filter(|chosen| **chosen > index).for_each(|chosen| *chosen -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_survives_the_removal_of_others() {
        let picture = Arc::new(Picture::new(1, 1, vec![0.0; 3]).expect("whole"));
        let item = |name: &str| Item {
            name: name.into(),
            origin: Origin::Sampled,
            picture: picture.clone(),
            stack: None,
            recipe: None,
        };
        let mut gallery = Gallery::default();
        ["a", "b", "c"].iter().for_each(|name| gallery.add(item(name)));
        gallery.toggle(2);
        gallery.toggle(1);
        gallery.toggle(1);
        gallery.remove(0);
        assert_eq!(gallery.chosen, [1]);
        assert_eq!(gallery.items[1].name, "c");
    }
}
