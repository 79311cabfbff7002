//! Captions of pictures: in a table, or in a text file beside each picture.
//!
//! ```text
//! captions.tsv      path, tab, caption
//! metadata.jsonl    {"file_name": "a.png", "text": "a red cat"}, or a list of texts
//! metadata.csv      with the columns file_name and text, separated by commas, semicolons or tabs
//! train_list.txt    as captions.tsv: the lists of the published code
//! val_list.txt      the same, of pictures that are held out
//! a.txt, a.caption  for a.png: the first line
//! ```
//!
//! A table may have several rows for a picture, each with one of its captions. A last line that was cut off
//! while it was written is left out. Pictures in a table may have names without an extension, as the published
//! script for CC3M saves them.

mod tables;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use residua_core::error::{Error, Result};
use residua_core::files;
use residua_core::text::composed;
use residua_io::image_io::folder::{self, Found, LeftOut};

use tables::{TABLES, VALIDATION, whole_rows};

/// Maximum size of a table, in bytes.
const LONGEST: u64 = 1 << 30;

/// Maximum size of a text file beside a picture, in bytes.
const LONGEST_TEXT: u64 = 1 << 20;

/// Extensions of text files beside pictures, by precedence.
const BESIDE: [&str; 2] = ["txt", "caption"];

/// What tables and texts say about pictures.
#[derive(Debug, Default)]
pub struct Told {
    /// Captions by path, in the order of the table.
    pub captions: BTreeMap<PathBuf, Vec<String>>,
    /// Pictures in a `val_list.txt`.
    pub validation: BTreeSet<PathBuf>,
}

/// What is said about the pictures `found` in `root`. Warns about captions of missing pictures.
///
/// # Errors
/// A table cannot be read.
pub fn read(root: &Path, found: &Found) -> Result<Told> {
    let (pictures, texts) = (Pictures::of(found), Texts::of(found));
    let Told { mut captions, mut validation } = Told::default();
    let mut left_out = Vec::new();
    for folder in &found.folders {
        for (name, parse) in TABLES {
            let Some(table) = texts.find(&folder.join(name)) else { continue };
            let (rows, is_cut) = whole_rows(&text_of(table)?, parse)
                .map_err(|wrong| Error::invalid(format!("{}: {wrong}", table.display())))?;
            if is_cut {
                left_out.push(LeftOut { path: table.clone(), reason: "last lines that are cut off".into() });
            }
            let mut here: BTreeMap<&PathBuf, Vec<String>> = BTreeMap::new();
            for (path, caption) in rows {
                let picture = pictures.find(folder, &path);
                if name == VALIDATION {
                    validation.extend(picture.cloned());
                }
                let reason = match (picture, caption.filter(|text| !text.trim().is_empty())) {
                    (Some(picture), Some(caption)) if !captions.contains_key(picture) => {
                        here.entry(picture).or_default().push(caption.trim().to_string());
                        continue;
                    }
                    (Some(_), None) => continue,
                    (Some(_), Some(_)) => "captions of pictures that another table already describes",
                    (None, _) => "captions of missing pictures",
                };
                left_out.push(LeftOut { path: path.into(), reason: reason.into() });
            }
            captions.extend(here.into_iter().map(|(picture, captions)| (picture.clone(), captions)));
        }
    }
    for picture in &found.pictures {
        if let Some(text) = texts.beside(picture).filter(|_| !captions.contains_key(picture)) {
            match first_line(text) {
                Ok(Some(caption)) => drop(captions.insert(picture.clone(), vec![caption])),
                Ok(None) => (),
                Err(error) => left_out.push(LeftOut { path: text.clone(), reason: unread(&error) }),
            }
        }
    }
    folder::warn(root, &left_out);
    Ok(Told { captions, validation })
}

/// The files of a folder that may be pictures, by their paths without `.` and `..` and in composed form (NFC).
struct Pictures<'f>(HashMap<String, &'f PathBuf>);

impl<'f> Pictures<'f> {
    fn of(found: &'f Found) -> Self {
        Self(found.pictures.iter().chain(&found.unnamed).map(|path| (key(path), path)).collect())
    }

    /// The picture that a table in `folder` calls `name`, with slashes or backslashes.
    fn find(&self, folder: &Path, name: &str) -> Option<&'f PathBuf> {
        let paths = [name.trim().to_string(), name.trim().replace('\\', "/")];
        paths.iter().find_map(|path| self.0.get(&key(&folder.join(path))).copied())
    }
}

fn key(path: &Path) -> String {
    composed(&files::plain(path).to_string_lossy())
}

/// The texts of a folder, by their paths with the extension in lower case.
struct Texts<'f>(HashMap<PathBuf, &'f PathBuf>);

impl<'f> Texts<'f> {
    fn of(found: &'f Found) -> Self {
        let lower =
            |path: &Path| path.with_extension(path.extension().unwrap_or_default().to_ascii_lowercase());
        Self(found.texts.iter().map(|path| (lower(path), path)).collect())
    }

    /// The text at `path`, whose extension is in lower case.
    fn find(&self, path: &Path) -> Option<&'f PathBuf> {
        self.0.get(path).copied()
    }

    /// The text beside a picture.
    fn beside(&self, picture: &Path) -> Option<&'f PathBuf> {
        BESIDE.iter().find_map(|ending| self.find(&picture.with_extension(ending)))
    }
}

/// Why text files beside pictures were not read, without their names, so that one line covers them all.
fn unread(error: &Error) -> String {
    match error {
        Error::Io { source, .. } => format!("texts that cannot be read ({source})"),
        _ => format!("texts that are not in UTF-8 or have more than {} MB", LONGEST_TEXT >> 20),
    }
}

/// The first line of a text file that is not blank.
fn first_line(text: &Path) -> Result<Option<String>> {
    let text = files::read_text(text, LONGEST_TEXT)?;
    Ok(text.lines().map(str::trim).find(|line| !line.is_empty()).map(String::from))
}

/// The text of a table, without a character that is cut off at its end.
fn text_of(table: &Path) -> Result<String> {
    let bytes = files::read_limited(table, LONGEST)?;
    let end = match std::str::from_utf8(&bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    };
    files::as_text(table, &bytes[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The captions read from a folder with the pictures a/1.png and b/2.png and these text files.
    fn captions(texts: &[(&str, &[u8])]) -> Result<Vec<(String, String)>> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [("a/1.png", &b""[..]), ("b/2.png", b"")].iter().chain(texts) {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let Told { captions, .. } = read(root.path(), &folder::all_pictures(root.path()).unwrap())?;
        let short =
            |path: PathBuf| path.strip_prefix(root.path()).unwrap().to_str().unwrap().replace('\\', "/");
        Ok(captions.into_iter().map(|(path, captions)| (short(path), captions.join(" | "))).collect())
    }

    fn both() -> Vec<(String, String)> {
        [("a/1.png", "a red cat"), ("b/2.png", "two, or \"three\" dogs")]
            .map(|(p, c)| (p.into(), c.into()))
            .into()
    }

    #[test]
    fn all_formats_are_read_alike() {
        let forms: [&[(&str, &[u8])]; 11] = [
            &[("captions.tsv", b"a/1.png\ta red cat\n\nb/2.png\ttwo, or \"three\" dogs\n")],
            &[("captions.tsv", b"\xef\xbb\xbf./a/1.png\ta red cat\r\n.\\b\\2.png\ttwo, or \"three\" dogs\r\n")],
            &[
                ("a/captions.tsv", b"1.png\ta red cat\n../b/2.png\ttwo, or \"three\" dogs"),
                ("b/captions.tsv", b""),
            ],
            &[(
                "metadata.jsonl",
                b"{\"file_name\":\"a/1.png\",\"text\":\"a red cat\"}\r\n{\"file_name\":\"b/2.png\",\"caption\":\"two, or \\\"three\\\" dogs\"}",
            )],
            &[("metadata.csv", b"file_name,text\na/1.png,a red cat\nb/2.png,\"two, or \"\"three\"\" dogs\"\n")],
            &[(
                "metadata.csv",
                b"\xef\xbb\xbfid,Caption,file_name\r\n1,a red cat,./a/1.png\r\n2,\"two, or \"\"three\"\" dogs\",b/2.png\r\n",
            )],
            &[("metadata.csv", b"file_name;text\na/1.png;a red cat\nb/2.png;\"two, or \"\"three\"\" dogs\"\n")],
            &[("metadata.csv", b"file_name\ttext\na/1.png\ta red cat\nb/2.png\t\"two, or \"\"three\"\" dogs\"\n")],
            &[("a/1.txt", b"a red cat\r\n"), ("b/2.caption", b"\n  two, or \"three\" dogs \nanother")],
            &[("a/1.txt", b"\xff\xfea\0 \0r\0e\0d\0 \0c\0a\0t\0"), ("b/2.txt", b"two, or \"three\" dogs")],
            // Earlier tables win; a text file beside a picture is used if no table has a caption.
            &[
                ("captions.tsv", b"a/1.png\ta red cat\nnone.png\ta dog\n"),
                ("metadata.csv", b"file_name,text\na/1.png,another\n"),
                ("a/1.txt", b"a dog"),
                ("b/2.txt", b"two, or \"three\" dogs"),
            ],
        ];
        for texts in forms {
            assert_eq!(captions(texts).unwrap(), both(), "{texts:?}");
        }
    }

    #[test]
    fn a_picture_may_have_a_list_of_captions() {
        let lines = br#"{"file_name": "a/1.png", "text": ["a cat", "a red cat"]}
            {"file_name": "b/2.png", "captions": []}"#;
        let found = captions(&[("metadata.jsonl", lines)]).unwrap();
        assert_eq!(found, [("a/1.png".into(), "a cat | a red cat".into())]);
    }

    #[test]
    fn names_may_have_extensions_in_capitals() {
        let forms: [&[(&str, &[u8])]; 2] = [
            &[("a/1.TXT", b"a red cat"), ("b/2.Caption", b"two, or \"three\" dogs")],
            &[("captions.TSV", b"a/1.png\ta red cat\nb/2.png\ttwo, or \"three\" dogs\n")],
        ];
        for texts in forms {
            assert_eq!(captions(texts).unwrap(), both(), "{texts:?}");
        }
        // The usual name takes precedence.
        let two: &[(&str, &[u8])] = &[("a/1.TXT", b"a dog"), ("a/1.txt", b"a cat")];
        if cfg!(target_os = "linux") {
            assert_eq!(captions(two).unwrap(), [("a/1.png".into(), "a cat".into())]);
        }
    }

    #[test]
    fn the_lists_of_the_published_code_are_read() {
        let lists: &[(&str, &[u8])] = &[
            ("train_list.txt", b"a/1.png\ta red cat\n"),
            ("val_list.txt", b"b/2.png\ttwo, or \"three\" dogs\n"),
        ];
        assert_eq!(captions(lists).unwrap(), both());
        assert!(captions(&[("train_list.txt", b"a/1.png 3\nb/2.png 4\n")]).unwrap().is_empty());
    }

    #[test]
    fn a_last_line_that_is_cut_off_is_left_out() {
        let tables: [(&str, &[u8]); 5] = [
            ("captions.tsv", b"a/1.png\ta red cat\nb/2.p"),
            ("metadata.jsonl", b"{\"file_name\":\"a/1.png\",\"text\":\"a red cat\"}\n{\"file_name\":\"b/2"),
            (
                "metadata.jsonl",
                b"{\"path\":\"a/1.png\",\"text\":\"a red cat\"}\n{\"path\":\"b/2.png\",\"text\":\"K\xc3",
            ),
            ("metadata.csv", b"file_name,text\na/1.png,a red cat\nb/2.png"),
            ("train_list.txt", b"a/1.png\ta red cat\nb/2.png"),
        ];
        for table in tables {
            assert_eq!(captions(&[table]).unwrap(), both()[..1], "{table:?}");
        }
    }

    #[test]
    fn texts_are_left_out_without_their_names() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.txt");
        let reason = || unread(&first_line(&path).unwrap_err());
        assert!(!reason().contains("a.txt"), "{}", reason());
        std::fs::write(&path, b"K\xe4se").unwrap();
        assert_eq!(reason(), "texts that are not in UTF-8 or have more than 1 MB");
    }

    #[test]
    fn a_picture_may_have_several_captions() {
        let rows = b"a/1.png\ta red cat\nb/2.png\ta dog\na/1.png\ta cat\na/1.png\t \n";
        let found = captions(&[("captions.tsv", rows)]).unwrap();
        assert_eq!(
            found,
            [("a/1.png".into(), "a red cat | a cat".into()), ("b/2.png".into(), "a dog".into())]
        );
    }

    #[test]
    fn invalid_tables_are_refused_in_one_line() {
        let cases: [(&str, &[u8], &str); 6] = [
            ("captions.tsv", b"a/1.png\tok\nb/2.png no tab\n", "line 2 is not a file with a caption"),
            ("metadata.jsonl", b"{\"file_name\":\"a/1.png\",\"te", "line 1 is not a file with a caption"),
            ("metadata.jsonl", b"[]", "line 1 is not a file with a caption"),
            ("metadata.csv", b"name,label\na/1.png,3\n", "found name, label"),
            (
                "metadata.csv",
                b"file_name,text\na/1.png\n",
                "line 2, column 2: expected 2 values, as in the first line, found 1",
            ),
            ("captions.tsv", b"a/1.png\t\xe4\n", "UTF-8"),
        ];
        for (name, text, message) in cases {
            let error = captions(&[(name, text)]).unwrap_err().to_string();
            assert!(error.contains(message) && error.contains(name) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn pictures_without_a_caption_have_none() {
        let empty: [&[(&str, &[u8])]; 5] = [
            &[],
            &[("captions.tsv", b""), ("metadata.jsonl", b"\n"), ("metadata.csv", b""), ("a/1.txt", b"")],
            &[("metadata.csv", b"file_name,label\na/1.png,3\n")],
            &[("metadata.jsonl", b"{\"file_name\":\"a/1.png\",\"text\":null}")],
            &[("a/1.txt", b" \n"), ("notes.txt", b"not of a picture"), ("b/2.txt", b"\xe4")],
        ];
        for texts in empty {
            assert!(captions(texts).unwrap().is_empty(), "{texts:?}");
        }
    }
}
