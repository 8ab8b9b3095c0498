//! Whatever somebody wrote as a playbook: it is read, or refused with places that can be drawn.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use drctl::inventory::{self, Inventory};
use drctl::playbook;
use libfuzzer_sys::fuzz_target;

static INVENTORY: LazyLock<Inventory> = LazyLock::new(|| {
    let text = include_str!("../../../inventory.example.toml");
    inventory::parse("inventory.toml", text, Path::new("/etc/drctl")).expect("the example is right")
});

fuzz_target!(|text: &str| {
    match playbook::parse("fuzz.toml", text, &INVENTORY) {
        Ok(playbook) => {
            // Every step's folder has its own name.
            let mut names: Vec<_> = playbook.steps.iter().map(|step| step.name.as_str()).collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        }
        Err(error) => drctl_fuzz::draw(&error),
    }
});
