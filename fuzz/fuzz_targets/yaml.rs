//! The published YAML configurations, and the same as JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| residua_fuzz::yaml::read_config(bytes));
