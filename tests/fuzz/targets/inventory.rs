//! Whatever somebody wrote as an inventory: it is read, or refused with places that can be drawn.
#![no_main]

use std::path::Path;

use drctl::inventory;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match inventory::parse("fuzz.toml", text, Path::new("/etc/drctl")) {
        Ok(inventory) => drop(inventory.values()),
        Err(error) => drctl_fuzz::draw(&error),
    }
});
