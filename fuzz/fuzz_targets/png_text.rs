//! PNG: the text chunks that carry a picture's recipe and codes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| residua_fuzz::pictures::read_png_text(bytes));
