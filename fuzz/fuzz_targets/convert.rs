#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| facteur_fuzz::run("convert", input));
