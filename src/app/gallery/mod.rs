//! The gallery: the pictures of this session and of one folder.

mod comparison;

pub use comparison::Comparison;

use std::path::PathBuf;
use std::sync::Arc;

use residua_core::codes::CodeStack;
use residua_core::text::file_name;
use residua_io::image_io::Picture;
use residua_io::image_io::png_text::Provenance;
use residua_protocol::{Listed, Recipe};

/// Where a picture comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was sampled.
    Sampled,
    /// It was completed, or sampled as a variation.
    Varied,
    /// It was kept from the editor.
    Edited,
    /// It was read from a file.
    File(PathBuf),
}

/// A picture with everything known about how it was made.
#[derive(Clone, Debug)]
pub struct Item {
    /// The name shown, and used for saving.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The picture; a large one from a file is cropped to its centre and scaled down.
    pub picture: Arc<Picture>,
    /// Its codes, if known.
    pub stack: Option<Arc<CodeStack>>,
    /// How it was made, if known.
    pub recipe: Option<Arc<Recipe>>,
}

/// A picture of a folder.
impl From<Listed> for Item {
    fn from(Listed { path, picture, stack, recipe }: Listed) -> Self {
        Self { name: file_name(&path), origin: Origin::File(path), picture, stack, recipe }
    }
}

impl Item {
    /// The recipe and codes to save in its PNG.
    pub fn provenance(&self) -> Provenance {
        Provenance {
            recipe: self.recipe.as_ref().map(|recipe| recipe.to_json()),
            codes: self.stack.as_ref().map(|stack| (**stack).clone()),
        }
    }

    /// Its file name without the extension.
    pub fn stem(&self) -> &str {
        self.name.rsplit_once('.').map_or(self.name.as_str(), |(stem, _)| stem)
    }
}

/// The pictures, oldest first.
#[derive(Default)]
pub struct Gallery {
    /// All of them.
    pub items: Vec<Item>,
    /// Indices of the chosen ones, in the order they were chosen.
    pub chosen: Vec<usize>,
    /// The comparison of two of them, while it is open.
    pub comparison: Option<Comparison>,
}

impl Gallery {
    /// Adds a picture; appends a number to its name if the name is taken.
    pub fn add(&mut self, mut item: Item) {
        let is_taken = |name: &str| self.items.iter().any(|other| other.name == name);
        if is_taken(&item.name) {
            let numbered = (2..).map(|number| format!("{} ({number})", item.name));
            item.name = numbered.into_iter().find(|name| !is_taken(name)).expect("numbers do not end");
        }
        self.items.push(item);
    }

    /// The chosen picture, if exactly one is chosen.
    pub fn single(&self) -> Option<&Item> {
        let [index] = self.chosen[..] else { return None };
        self.items.get(index)
    }

    /// The codes of the two pictures that are chosen, if they are of one shape.
    pub fn pair(&self) -> Option<[&Arc<CodeStack>; 2]> {
        let [from, to] = self.chosen[..] else { return None };
        let pair = [self.items.get(from)?.stack.as_ref()?, self.items.get(to)?.stack.as_ref()?];
        (pair[0].shape() == pair[1].shape()).then_some(pair)
    }

    /// The chosen pictures in the order they were chosen, or all pictures if none is chosen.
    pub fn chosen_or_all(&self) -> Vec<&Item> {
        if self.chosen.is_empty() {
            self.items.iter().collect()
        } else {
            self.chosen.iter().filter_map(|&index| self.items.get(index)).collect()
        }
    }

    /// Chooses the picture at `index`, or undoes the choice.
    pub fn toggle(&mut self, index: usize) {
        match self.chosen.iter().position(|&chosen| chosen == index) {
            Some(place) => {
                self.chosen.remove(place);
            }
            None => self.chosen.push(index),
        }
    }

    /// Removes the picture at `index`.
    pub fn remove(&mut self, index: usize) {
        self.items.remove(index);
        self.chosen.retain(|&chosen| chosen != index);
        self.chosen.iter_mut().filter(|chosen| **chosen > index).for_each(|chosen| *chosen -= 1);
    }

    /// Removes all pictures for which `is_old` is true.
    pub fn remove_all(&mut self, is_old: impl Fn(usize, &Item) -> bool) {
        for index in (0..self.items.len()).rev() {
            if is_old(index, &self.items[index]) {
                self.remove(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gallery(names: &[&str]) -> Gallery {
        let picture = Arc::new(Picture::new(1, 1, vec![0.0; 3]).expect("whole"));
        let mut gallery = Gallery::default();
        for name in names {
            gallery.add(Item {
                name: (*name).into(),
                origin: Origin::Sampled,
                picture: picture.clone(),
                stack: None,
                recipe: None,
            });
        }
        gallery
    }

    fn names(items: Vec<&Item>) -> Vec<&str> {
        items.into_iter().map(|item| item.name.as_str()).collect()
    }

    #[test]
    fn a_choice_survives_the_removal_of_others() {
        let mut gallery = gallery(&["a", "b", "c"]);
        assert_eq!(names(gallery.chosen_or_all()), ["a", "b", "c"]);
        gallery.toggle(2);
        gallery.toggle(1);
        assert_eq!(names(gallery.chosen_or_all()), ["c", "b"]);
        assert!(gallery.single().is_none());
        gallery.toggle(1);
        gallery.remove(0);
        assert_eq!(gallery.chosen, [1]);
        assert_eq!(gallery.single().expect("one").name, "c");
        gallery.remove_all(|_, item| item.name == "c");
        assert_eq!(names(gallery.chosen_or_all()), ["b"]);
    }

    #[test]
    fn names_are_unique() {
        let gallery = gallery(&["a.png", "a.png", "a.png", "b"]);
        assert_eq!(names(gallery.chosen_or_all()), ["a.png", "a.png (2)", "a.png (3)", "b"]);
        assert_eq!(gallery.items[0].stem(), "a");
        assert_eq!(gallery.items[3].stem(), "b");
    }
}
