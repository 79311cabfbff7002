//! A fingerprint of a folder of pictures: their names, sizes, classes, captions and listed split.

use std::path::{Component, Path};

use sha2::{Digest, Sha256};

use super::DataSet;
use residua_weights::file::hexadecimal;

/// SHA-256 of all that `data`, in `folder`, knows about its pictures, except their pixels. Moving the folder
/// does not change it.
pub fn fingerprint(folder: &Path, data: &DataSet) -> String {
    let mut hash = Sha256::new();
    for item in &data.items {
        let below = item.path.strip_prefix(folder).unwrap_or(&item.path).components();
        let names: Vec<_> = below.map(|part: Component| part.as_os_str().to_string_lossy()).collect();
        // A picture that has vanished is reported when it is read.
        let size = std::fs::metadata(&item.path).map_or(0, |found| found.len());
        let said = (names, size, item.class.map(|class| &data.classes[class]), &item.captions);
        hash.update(serde_json::to_vec(&said).expect("text and numbers"));
        if data.validation.contains(&item.path) {
            hash.update(b"validation");
        }
    }
    hexadecimal(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn it_changes_with_the_pictures_but_not_with_their_location() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("data");
        let of = |folder: &Path| fingerprint(folder, &DataSet::open(folder, &[]).unwrap());
        fs::create_dir_all(folder.join("a")).unwrap();
        fs::write(folder.join("a/1.png"), b"one").unwrap();
        fs::write(folder.join("2.png"), b"two").unwrap();
        let mut seen = vec![of(&folder)];
        let moved = place.path().join("moved");
        fs::rename(&folder, &moved).unwrap();
        fs::write(moved.join(".DS_Store"), b"").unwrap();
        assert_eq!(of(&moved), seen[0]);
        let changes: [fn(&Path); 6] = [
            |folder| fs::write(folder.join("2.png"), b"three").unwrap(),
            |folder| fs::write(folder.join("3.png"), b"three").unwrap(),
            |folder| fs::write(folder.join("2.txt"), b"a caption").unwrap(),
            |folder| fs::rename(folder.join("a"), folder.join("b")).unwrap(),
            |folder| fs::write(folder.join("train_list.txt"), "3.png\tanother").unwrap(),
            |folder| fs::rename(folder.join("train_list.txt"), folder.join("val_list.txt")).unwrap(),
        ];
        for change in changes {
            change(&moved);
            let changed = of(&moved);
            assert!(!seen.contains(&changed));
            seen.push(changed);
        }
    }
}
