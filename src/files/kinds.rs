//! Recognizes files of the wrong kind by their first bytes.

/// A file's first bytes in lower case, and its kind with advice.
const KINDS: &[(&[u8], &str)] = &[
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the file itself: fetch the file with `git lfs pull`, or download it from its page",
    ),
    (b"<!doctype html", HTML),
    (b"<html", HTML),
    (b"<head", HTML),
    (b"<?xml", "an XML document, probably a server's error: download the file again"),
    (b"gguf", "a GGUF file, a format of llama.cpp"),
    (b"\x89hdf\r\n", "an HDF5 file, a format of Keras"),
    (b"\x93numpy", "an .npy array"),
    (b"\x1f\x8b", "gzip: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "Zstandard: unpack it first"),
    (b"bzh", "bzip2: unpack it first"),
    (b"\xfd7zxz", "xz: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"rar!", "a RAR archive: unpack it first"),
    (b"\x89png", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
];

const HTML: &str =
    "a web page, not the file: download the file from its direct link, after signing in if necessary";

/// How many first bytes are needed, with room for leading white space.
pub const LONGEST_START: usize = 64;

/// Names the kind of a file that begins with `start`, if it is one that people often confuse with another.
pub fn known(start: &[u8]) -> Option<&'static str> {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start().to_ascii_lowercase();
    KINDS.iter().find(|(beginning, _)| start.starts_with(beginning)).map(|(_, what)| *what)
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
        ] {
            assert!(known(start).unwrap().contains(expected), "{expected}");
        }
        for start in [&b""[..], b"PK\x03\x04", b"version 2", b"<h"] {
            assert_eq!(known(start), None);
        }
    }
}
