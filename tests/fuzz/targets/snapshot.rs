//! Whatever bytes lie where a snapshot should.
#![no_main]

use drctl::snapshot::{Keyspace, Knowledge, examine};
use drctl_fuzz::InMemory;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let file = InMemory::new(bytes);
    drop(examine(&file.path()));
    drop(Knowledge::read(&file.path()));
    if let Ok(keyspace) = Keyspace::open(&file.path()) {
        drop(keyspace.for_each_live(|_| ()));
    }
});
