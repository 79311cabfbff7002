//! PyTorch's `.pt`: the zip, the pickle in it, the tensors.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| residua_fuzz::weights::read_all(bytes));
