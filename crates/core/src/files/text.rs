//! Text as editors save it: UTF-8 or UTF-16, with or without a byte order mark.

/// The text in `bytes`, without a byte order mark: UTF-8, or UTF-16 if there is a mark for it. `None` if it
/// is neither.
pub(super) fn decode(bytes: &[u8]) -> Option<String> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => String::from_utf8(rest.into()).ok(),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let units = bytes.chunks(2).map(|pair| pair.try_into().ok().map(unit)).collect::<Option<Vec<u16>>>()?;
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_encodings_of_a_text_decode_to_it() {
        let text = "a.png\tEin Käse 🧀";
        let units: Vec<u16> = text.encode_utf16().collect();
        let wide = |mark: [u8; 2], unit: fn(u16) -> [u8; 2]| {
            [mark.to_vec(), units.iter().flat_map(|&wide| unit(wide)).collect()].concat()
        };
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            wide([0xff, 0xfe], u16::to_le_bytes),
            wide([0xfe, 0xff], u16::to_be_bytes),
        ] {
            assert_eq!(decode(&bytes).as_deref(), Some(text));
        }
        assert_eq!([&b"\xe4"[..], b"\xff\xfea", b"\xff\xfe\0\xd8"].map(decode), [None, None, None]);
    }
}
