#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| openline_fuzz_checks::session(bytes));
