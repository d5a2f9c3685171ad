//! Hands the fuzzer's text to `targets::template`.
#![no_main]

use mainstay_fuzz::targets;

libfuzzer_sys::fuzz_target!(|text: &str| targets::template(text));
