//! What the names of files in users' folders say: images, texts, data of another kind, and system files.

use std::path::Path;

/// File extensions of the supported formats.
const ENDINGS: [&str; 10] = ["png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "dib"];

/// File extensions of other data, and why it is left out.
const OTHERS: [(&[&str], &str); 2] = [
    (
        &[
            "tif", "tiff", "heic", "heif", "avif", "jxl", "jp2", "ppm", "pgm", "pbm", "pnm", "tga", "psd",
            "svg", "ico", "exr", "hdr", "qoi", "dng", "cr2", "nef", "arw",
        ],
        "not PNG, JPEG, WebP, GIF or BMP",
    ),
    (
        &["zip", "tar", "gz", "tgz", "7z", "rar", "parquet", "tfrecord", "tfrecords", "mdb", "arrow"],
        "archives and tables of pictures, which must be unpacked",
    ),
];

/// File extensions of texts that may describe images.
const TEXTS: [&str; 5] = ["txt", "caption", "tsv", "csv", "jsonl"];

/// Folders created by operating systems and archivers, besides those that begin with a dot.
const SYSTEM: [&str; 5] = ["__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"];

/// Whether a file has the name of an image.
pub fn is_picture(path: &Path) -> bool {
    ends_in(path, &ENDINGS)
}

/// Whether a file has the name of a text that may describe images.
pub(super) fn is_text(path: &Path) -> bool {
    ends_in(path, &TEXTS)
}

/// Why a file that looks like data is not read.
pub(super) fn unsupported(path: &Path) -> Option<&'static str> {
    OTHERS.iter().find(|(endings, _)| ends_in(path, endings)).map(|(_, reason)| *reason)
}

/// Whether users do not see the file or folder, or did not make it.
pub(super) fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || SYSTEM.contains(&&*name)
}

fn ends_in(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| endings.contains(&ending.as_str()))
}
