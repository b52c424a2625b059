//! Any bytes as a question: the matcher is total and keeps its bounds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| yingda_fuzz::matching(data));
