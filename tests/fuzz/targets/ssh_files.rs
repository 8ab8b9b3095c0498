//! What known hosts files and `ssh -G` may say.
#![no_main]

mod transport;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8])| {
    transport::known_hosts(input.1, input.0);
    transport::directives(&String::from_utf8_lossy(input.1));
});
