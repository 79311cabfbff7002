//! numpy's `.npy`: the header and the codes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| residua_fuzz::pictures::read_npy(bytes));
