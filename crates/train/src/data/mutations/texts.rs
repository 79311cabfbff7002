//! Texts with captions in random folders: tables, and files beside pictures, as editors and file systems leave them.

use std::fs;

use super::Made;

/// Ends of captions.
const ENDS: [&str; 3] = ["", " &amp; \u{1f9c0}\u{200d}\u{fe0f} ÄÖ", " \u{202e}\u{301}[UNK]"];

/// Tables with captions, by precedence.
pub const TABLES: [&str; 5] =
    ["captions.tsv", "metadata.jsonl", "metadata.csv", "train_list.txt", "val_list.txt"];

/// A text as an editor saves it.
#[derive(Clone, Copy)]
pub enum Saved {
    Plain,
    Marked,
    Utf16,
}

/// The ways to save a text.
pub const SAVED: [Saved; 3] = [Saved::Plain, Saved::Marked, Saved::Utf16];

impl Saved {
    /// The bytes of the file.
    pub fn bytes(self, text: &str) -> Vec<u8> {
        match self {
            Self::Plain => text.into(),
            Self::Marked => format!("\u{feff}{text}").into(),
            Self::Utf16 => {
                "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
            }
        }
    }
}

impl Made {
    /// Adds a text with a caption beside a picture, perhaps behind a link, or one that ends within a letter, which
    /// is left out.
    pub fn caption_beside(&mut self) {
        let Some(picture) = self.any_picture() else { return };
        let text = picture.rsplit_once('.').unwrap().0.to_string() + *self.dice.one(&[".txt", ".caption"]);
        let caption = format!("beside {}{}", self.names, self.dice.one(&ENDS));
        self.names += 1;
        let mut bytes = self.dice.one(&SAVED).bytes(&format!("\r\n {caption}\r\nmore"));
        let is_whole = self.dice.below(5) > 0;
        if !is_whole {
            bytes = format!("{caption}🧀").into();
            bytes.pop();
        }
        match self.dice.below(3) {
            0 => self.write_behind_a_link(&text, &bytes),
            _ => self.write(&text, &bytes),
        }
        // The .txt takes precedence.
        let earlier = text.ends_with(".caption") && self.at(&text).with_extension("txt").exists();
        match (earlier, is_whole) {
            (true, _) => (),
            (false, true) => drop(self.beside.insert(picture, caption)),
            (false, false) => drop(self.beside.remove(&picture)),
        }
    }

    /// Writes a file outside the folder, and a link to it.
    fn write_behind_a_link(&mut self, name: &str, bytes: &[u8]) {
        let beyond = self.place.path().join(format!("outside-{}", self.names));
        self.names += 1;
        fs::write(&beyond, bytes).unwrap();
        let path = self.at(name);
        drop(fs::remove_file(&path));
        #[cfg(unix)]
        std::os::unix::fs::symlink(beyond, path).unwrap();
        #[cfg(windows)]
        fs::rename(beyond, path).unwrap();
    }

    /// Adds a table of captions, in the style of some operating system and editor, perhaps cut off within its last
    /// line.
    pub fn table(&mut self) {
        let name = *self.dice.one(&TABLES);
        let (saved, end) = (*self.dice.one(&SAVED), *self.dice.one(&["\n", "\r\n"]));
        let before = *self.dice.one(&["", "./", "./././", "cat/../", "new/../"]);
        let of_windows = self.dice.below(3) == 0;
        let mut rows: Vec<(String, String)> = Vec::new();
        for _ in 0..self.dice.below(4) {
            rows.extend(self.any_picture().map(|picture| (picture, self.name(", \"of\" a cat"))));
        }
        rows.push(("gone.png".into(), "of nothing".into()));
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let line = |(path, caption): &(String, String)| {
            let path = format!("{before}{path}");
            let path = if of_windows { path.replace('/', "\\") } else { path };
            match name {
                "metadata.jsonl" => serde_json::json!({ "file_name": path, "text": caption }).to_string(),
                "metadata.csv" => format!("{},{}", quoted(&path), quoted(caption)),
                _ => format!("{path}\t {caption}"),
            }
        };
        let cut = match name {
            "metadata.jsonl" => "{\"file_name\": \"go",
            _ => "go",
        };
        let header = (name == "metadata.csv").then(|| "file_name,text".to_string());
        let mut lines: Vec<String> = header.into_iter().chain(rows.iter().map(line)).collect();
        lines.extend((self.dice.below(3) == 0).then(|| cut.to_string()));
        self.write(name, &saved.bytes(&lines.join(end)));
        self.wrong.retain(|_| name != "metadata.jsonl");
        self.tables.insert(name, rows);
    }
}
