//! Recognizes files of the wrong kind by their first bytes.

/// Beginnings, in lower case, of texts that servers send instead of a file, with their kinds and advice.
const TEXTS: &[(&[u8], &str)] = &[
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the file itself: fetch the file with `git lfs pull`, or download it from its page",
    ),
    (b"<!doctype html", HTML),
    (b"<html", HTML),
    (b"<head", HTML),
    (b"<svg", "an SVG drawing: save it as PNG"),
    (b"<?xml", "an XML document: save it as PNG if it is a drawing, else download the file again"),
];
/// First bytes of other formats, with which no text begins, and their kinds with advice.
const FORMATS: &[(&[u8], &str)] = &[
    (b"GGUF\x01\0\0\0", GGUF),
    (b"GGUF\x02\0\0\0", GGUF),
    (b"GGUF\x03\0\0\0", GGUF),
    (b"\x89HDF\r\n", "an HDF5 file, a format of Keras"),
    (b"\x93NUMPY", "an .npy array"),
    (b"\x1f\x8b", "gzip: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "Zstandard: unpack it first"),
    (b"BZh91AY&SY", "bzip2: unpack it first"),
    (b"\xfd7zXZ", "xz: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive: unpack it first"),
    (b"PK\x03\x04", "a zip archive, such as an .npz: unpack it first"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"8BPS\0\x01", "a Photoshop document: save it as PNG or JPEG"),
    (b"\xff\x0a", JXL),
    (b"\0\0\0\x0cJXL ", JXL),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture: save it as PNG or JPEG"),
];
/// What follows the first four bytes of other files.
const BRANDS: &[(&[u8], &str)] = &[
    (b"ftyphei", HEIC),
    (b"ftyphev", HEIC),
    (b"ftypmif1", HEIC),
    (b"ftypavi", "an AVIF picture: save it as PNG or JPEG"),
    (b"ftyp", "a video"),
];

const TIFF: &str = "a TIFF picture, or a camera's raw one: save it as PNG or JPEG";
const JXL: &str = "a JPEG XL picture: save it as PNG or JPEG";
const HEIC: &str = "a HEIC picture: save it as PNG or JPEG";
const GGUF: &str = "a GGUF file, a format of llama.cpp";
const HTML: &str =
    "a web page, not the file: download the file from its direct link, after signing in if necessary";

/// How many first bytes are needed, with room for leading white space.
pub const LONGEST_START: usize = 64;

/// Names the kind of a file that begins with `start`, if it is one that people often confuse with another. A
/// text may follow a byte order mark and white space.
pub fn known(start: &[u8]) -> Option<&'static str> {
    let start = &start[..start.len().min(LONGEST_START)];
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start().to_ascii_lowercase();
    let of = |kinds: &[(&[u8], &'static str)], start: &[u8]| {
        kinds.iter().find(|(beginning, _)| start.starts_with(beginning)).map(|(_, what)| *what)
    };
    // A text does not begin with a zero.
    let after = start.get(4..).filter(|_| start[0] == 0).unwrap_or_default();
    of(TEXTS, &text).or_else(|| of(FORMATS, start)).or_else(|| of(BRANDS, after))
}

/// What to say was found in a file that begins with `start` and is not what its reader expects.
pub fn found(start: &[u8]) -> &'static str {
    match start {
        [] => "an empty file",
        start => known(start).unwrap_or("something else"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_recognized_by_their_first_bytes() {
        for (start, expected) in [
            (&b"version https://git-lfs.github.com/spec/v1\noid sha256:0"[..], "Git LFS"),
            (b"\n\n <!DOCTYPE html><title>Sign in</title>", "a web page"),
            (b"\xef\xbb\xbf<html lang=\"en\">", "a web page"),
            (b"GGUF\x03\0\0\0", "GGUF"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"PK\x03\x04\x14", "a zip archive"),
            (b"\0\0\0\x24ftypheic\0\0\0\0", "HEIC"),
            (b"\0\0\0\x1cftypmif1", "HEIC"),
            (b"\0\0\0\x20ftypavif", "AVIF"),
            (b"II*\0\x08\0\0\0", "TIFF"),
            (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
            (b"\n<svg xmlns", "an SVG drawing"),
            (b"\0\0\0\x20ftypisom", "a video"),
        ] {
            assert!(known(start).unwrap().contains(expected), "{expected}");
        }
        // Binary formats have no byte order mark.
        for start in
            [&b"PK"[..], b"version 2", b"<h", b"\xef\xbb\xbf\x89PNG", b"GGUF is a format", b"an  ftyp"]
        {
            assert_eq!((known(start), found(start)), (None, "something else"));
        }
        assert_eq!((known(b""), found(b"")), (None, "an empty file"));
    }
}
