//! safetensors: the header and the tensors.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| residua_fuzz::weights::read_all(bytes));
