//! Any bytes as a request body, and as the text of a valid one: the answer is always a decision or a problem.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| yingda_fuzz::message_endpoint(data));
