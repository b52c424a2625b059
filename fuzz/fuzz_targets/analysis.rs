//! Any bytes as a text: the analysis is total and idempotent.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| yingda_fuzz::analysis(data));
