//! Random folders: each is read correctly, down to a batch of training, or refused with a one-line message.
//! `RESIDUA_MUTATIONS=10000` tries that many folders; the default takes about a second.

mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;

use texts::{SAVED, TABLES};

use super::*;
use crate::conditions::check_labels;
use residua_core::config::ConditionKind;
use residua_core::random::{below, pcg4d};
use residua_io::image_io::Picture;
use residua_io::image_io::png_text::Provenance;
use residua_io::tokenizer::{Tokenizer, TokenizerKind};

/// Number of folders, unless another is given. Each has up to eleven of the mutations below, so that each mutation
/// is tried about 27 times.
const FOLDERS: u32 = 100;

/// Values of `dataset.transforms`, with all ways to crop.
const TRANSFORMS: [&str; 6] = ["none", "ffhq256x256", "imagenet256x256", "dalle-vqvae", "clip", "shift64x64"];

/// Widths and heights of pictures.
const SIZES: [[usize; 2]; 4] = [[2, 2], [1, 1], [1, 9], [9, 2]];

/// Starts of names, with what tables quote or escape, and decomposed letters. Windows allows no quotes in names.
const STARTS: [&str; 4] = ["", "", if cfg!(windows) { "it's, " } else { "it's, \"so\" #1 " }, "e\u{301}; "];

/// A seeded random number generator.
struct Dice {
    seed: u32,
    thrown: u32,
}

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.thrown += 1;
        below(pcg4d([self.seed, self.thrown, 0, 0])[0], limit)
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// A folder, and what reading it should give.
struct Made {
    place: tempfile::TempDir,
    dice: Dice,
    /// Pictures to be listed; true if they can be read.
    pictures: BTreeMap<String, bool>,
    /// Rows of caption tables, by the table's name.
    tables: BTreeMap<&'static str, Vec<(String, String)>>,
    /// Captions beside pictures.
    beside: BTreeMap<String, String>,
    /// Class names listed in a file.
    listed: Option<Vec<String>>,
    /// Expected errors: one of these parts must be in the message.
    wrong: Vec<&'static str>,
    names: usize,
}

/// Random changes to a folder.
const MUTATIONS: [fn(&mut Made); 20] = [
    |made| drop(made.add_picture("")),
    |made| drop(made.add_picture("")),
    |made| {
        let folder = made
            .dice
            .one(&[
                "deep/".repeat(12),
                "x.png/".into(),
                "cat/val_list.txt/".into(),
                "ÄÖ ü/🧀/".into(),
                "n".repeat(200) + "/",
            ])
            .clone();
        made.add_picture(&folder);
    },
    // Files left behind by operating systems.
    |made| {
        let name = made.dice.one(&["._", ".", ".ipynb_checkpoints/", "__MACOSX/", "@eaDir/"]).to_string();
        let (folder, name) = (made.folder(), name + &made.name(".png"));
        made.write(&(folder + &name), b"hidden");
    },
    // Files that are not pictures, or are damaged.
    |made| {
        let folder = made.folder();
        let name = folder + &made.name(made_ending(made.names));
        made.write(&name, b"not a picture");
    },
    |made| {
        let (folder, cut) = (made.folder(), made.dice.below(45));
        let name = folder + &made.name(".PNG");
        made.write(&name, &picture([2, 2], None)[..cut]);
        made.pictures.insert(name, false);
    },
    |made| {
        let name = made.folder() + &made.name(".png");
        made.write(&name, &picture([2, 2], Some(r#"{"sampling": {"count": 4}}"#)));
        made.pictures.insert(name, false);
    },
    |made| {
        if let Some(name) = made.any_picture() {
            fs::remove_file(made.at(&name)).unwrap();
            made.pictures.remove(&name);
        }
    },
    // Links.
    |made| drop(made.link(PathBuf::from("nowhere.png"), ".png")),
    |made| drop(made.link(PathBuf::from(".."), "")),
    |made| drop(made.link(made.root(), "")),
    |made| {
        if let Some(name) = made.any_picture() {
            made.link(made.at(&name), ".png");
        }
    },
    |made| {
        let (outside, name) = (format!("outside-{}", made.names), made.name(".jpg"));
        let beyond = made.place.path().join(&outside);
        fs::create_dir(&beyond).unwrap();
        fs::write(beyond.join(&name), picture([2, 2], None)).unwrap();
        let link = made.link(beyond, "");
        if made.at(&link).is_dir() {
            made.pictures.insert(format!("{link}/{name}"), true);
        }
    },
    |made| made.special(),
    // Captions.
    |made| made.caption_beside(),
    |made| made.caption_beside(),
    |made| made.table(),
    |made| made.table(),
    |made| {
        made.write("metadata.jsonl", b"{\"file_name\": \"1.png\", \"text\": \"ha");
        made.tables.remove("metadata.jsonl");
        made.wrong.push("line 1 is not a file with a caption");
    },
    |made| {
        let mut classes: Vec<String> = made.classes().into_iter().rev().collect();
        classes.push("unused".into());
        let saved = *made.dice.one(&SAVED);
        made.write("classes.txt", &saved.bytes(&format!("{}\r\n", classes.join("\r\n"))));
        made.listed = Some(classes);
    },
];

fn made_ending(number: usize) -> &'static str {
    [".txt.bak", ".db", ".tiff", "", ".heic", ".json"][number % 6]
}

/// The bytes of a picture file.
fn picture([width, height]: [usize; 2], recipe: Option<&str>) -> Vec<u8> {
    let picture = Picture::new(width, height, vec![0.5; 3 * width * height]).unwrap();
    let provenance = Provenance { recipe: recipe.map(String::from), codes: None };
    residua_io::image_io::png_text::encode_png(&picture.to_rgb8(), &provenance).unwrap()
}

impl Made {
    fn new(seed: u32) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("data")).unwrap();
        let dice = Dice { seed, thrown: 0 };
        let (pictures, tables, beside) = Default::default();
        let mut made =
            Self { place, dice, pictures, tables, beside, listed: None, wrong: Vec::new(), names: 0 };
        for folder in ["cat/", "dog/"] {
            made.add_picture(folder);
        }
        made
    }

    fn root(&self) -> PathBuf {
        self.place.path().join("data")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// A new name.
    fn name(&mut self, ending: &str) -> String {
        self.names += 1;
        format!("{}{ending}", self.names)
    }

    fn folder(&mut self) -> String {
        self.dice.one(&["", "cat/", "dog/", "cat/below/"]).to_string()
    }

    fn any_picture(&mut self) -> Option<String> {
        let names: Vec<String> = self.pictures.keys().cloned().collect();
        (!names.is_empty()).then(|| self.dice.one(&names).clone())
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn add_picture(&mut self, within: &str) -> String {
        let ending = *self.dice.one(&[".png", ".JPG", ".webp", "~dark.gif", " copy.bmp", ".jpeg"]);
        let start = *self.dice.one(&STARTS);
        let name = format!("{within}{}{start}{}", self.folder(), self.name(ending));
        let size = *self.dice.one(&SIZES);
        self.write(&name, &picture(size, None));
        self.pictures.insert(name.clone(), true);
        name
    }

    /// Adds a link to `to` and returns its name. Dangling links, cycles and links to listed pictures add
    /// nothing.
    fn link(&mut self, to: PathBuf, ending: &str) -> String {
        let name = self.name(ending);
        #[cfg(unix)]
        std::os::unix::fs::symlink(to, self.at(&name)).unwrap();
        #[cfg(windows)]
        drop(to);
        name
    }

    /// Adds a pipe: whoever opens it waits for its other end.
    fn special(&mut self) {
        let name = self.dice.one(&[".png", ".txt", ".jsonl"]).to_string();
        let name = self.name(&name);
        #[cfg(unix)]
        assert!(std::process::Command::new("mkfifo").arg(self.at(&name)).status().unwrap().success());
        #[cfg(windows)]
        drop(name);
    }

    fn classes(&self) -> BTreeSet<String> {
        self.pictures.keys().filter_map(|name| Some(name.split_once('/')?.0.to_string())).collect()
    }

    fn caption(&self, picture: &str) -> Option<String> {
        let mut rows = TABLES.into_iter().filter_map(|table| self.tables.get(table)).flatten();
        let row = rows.find(|(path, _)| path == picture);
        row.map(|(_, caption)| caption).or(self.beside.get(picture)).cloned()
    }

    /// Names of the pictures that can be read.
    fn whole(&self) -> impl Iterator<Item = &String> {
        self.pictures.iter().filter(|(_, is_whole)| **is_whole).map(|(name, _)| name)
    }

    /// Reads the folder and compares; `tokenizer` encodes its captions.
    fn check(mut self, tokenizer: &Tokenizer) {
        if self.pictures.is_empty() {
            // Captions are read first: they may name pictures.
            self.wrong.push("expected pictures");
        } else if self
            .listed
            .as_ref()
            .is_some_and(|listed| !self.classes().iter().all(|class| listed.contains(class)))
        {
            self.wrong.push("expected folders named after the classes");
        }
        let root = self.root();
        let data = match DataSet::open(&root, &[]) {
            Ok(data) => data,
            Err(error) => {
                let text = error.to_string();
                assert!(self.wrong.iter().any(|part| text.contains(part)), "{text}: {:?}", self.wrong);
                return assert!(!text.contains('\n'), "{text}");
            }
        };
        assert!(self.wrong.is_empty(), "expected {:?}, found {data:?}", self.wrong);
        let classes = self.listed.clone().unwrap_or_else(|| self.classes().into_iter().collect());
        let short = |path: &Path| path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        let found: BTreeMap<String, _> = data
            .items
            .iter()
            .map(|item| (short(&item.path), (item.class, item.caption().map(String::from))))
            .collect();
        let class = |name: &str| {
            classes.iter().position(|class| name.split_once('/').is_some_and(|(it, _)| it == class))
        };
        let said = |name: &String| (name.clone(), (class(name), self.caption(name)));
        assert_eq!(found, self.pictures.keys().map(said).collect::<BTreeMap<_, _>>());
        assert_eq!(data.classes, classes);
        let named: BTreeSet<&Path> = data.left_out.iter().map(|left| left.path.as_path()).collect();
        assert_eq!(named.len(), data.left_out.len(), "each is reported once: {:?}", data.left_out);
        self.check_labelled(&data);
        let wish = Wish {
            items: data.items.clone(),
            resolution: 2,
            size: 8,
            augmentation: Augmentation::named(Some(*self.dice.one(&TRANSFORMS))).unwrap(),
            variations: None,
            seed: self.dice.seed,
            device: Device::flex(),
            unreadable: Unreadable::default(),
        };
        self.check_read(&wish, short);
        self.check_batch(wish, tokenizer);
    }

    /// A model refuses the folder exactly if some of the readable pictures lack what it takes.
    fn check_labelled(&self, data: &DataSet) {
        for (kind, lacking) in [
            (ConditionKind::Unconditional, 0),
            (ConditionKind::Class, self.whole().filter(|name| !name.contains('/')).count()),
            (ConditionKind::Text, self.whole().filter(|name| self.caption(name).is_none()).count()),
        ] {
            let checked = check_labels(&self.root(), &data.items, kind).map_err(|error| error.to_string());
            let expected = format!("found none for {lacking} of {}, such as", data.items.len());
            match checked {
                Ok(()) => assert_eq!(lacking, 0, "{data:?}"),
                Err(told) => assert!(lacking > 0 && told.contains(&expected), "{expected}: {told}"),
            }
        }
    }

    /// The readable pictures are read, and nothing else.
    fn check_read(&self, wish: &Wish, short: impl Fn(&Path) -> String) {
        let read = in_order(wish).flat_map(|batch| batch.indices);
        let read: BTreeSet<String> = read.map(|index| short(&wish.items[index].path)).collect();
        assert_eq!(read, self.whole().cloned().collect::<BTreeSet<_>>());
    }

    /// Training gets a full batch, augmented, whose captions can be encoded; it fails only if no picture can be
    /// read.
    fn check_batch(&self, wish: Wish, tokenizer: &Tokenizer) {
        let (size, readable) = (wish.size, self.whole().count());
        match Batches::start(wish, 0).next_batch() {
            Ok(batch) => {
                assert_eq!((batch.len(), readable > 0), (size, true));
                for caption in &batch.captions {
                    assert_eq!(tokenizer.encode(caption, 16).len(), 16, "{caption}");
                }
            }
            Err(error) => assert_eq!(readable, 0, "{error}"),
        }
    }
}

#[test]
fn every_folder_is_read_or_refused() {
    let given = std::env::var("RESIDUA_MUTATIONS").ok().map(|number| number.parse().expect("a number"));
    let tokenizer = Tokenizer::new(TokenizerKind::Bpe16kHuggingface, &[]).unwrap();
    for seed in 0..given.unwrap_or(FOLDERS) {
        // A failure names the seed that reproduces it.
        let outcome = std::panic::catch_unwind(|| {
            let mut made = Made::new(seed);
            for _ in 0..made.dice.below(12) {
                made.dice.one(&MUTATIONS)(&mut made);
            }
            made.check(&tokenizer);
        });
        assert!(outcome.is_ok(), "folder {seed}");
    }
}
