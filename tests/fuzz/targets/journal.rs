//! Whatever lies where a journal should: it is read, or refused; what is read can be told.
//!
//! Bytes are taken as they are, and again as records whose sums are right, so that replay is reached.
#![no_main]

use drctl::journal;
use drctl::report::Report;
use drctl_fuzz::InMemory;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    read(&summed(bytes));
});

fn read(bytes: &[u8]) {
    let file = InMemory::new(bytes);
    if let Ok((state, records)) = journal::read(&file.path()) {
        let report = Report::of(&state, &records, None);
        drop(report.to_string());
        serde_json::to_string(&report).expect("a report can be written");
        drop(state.outputs());
    }
}

/// Every line with the sum that a writer would have given it.
fn summed(bytes: &[u8]) -> Vec<u8> {
    let mut sum = "0".repeat(16);
    let mut out = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let text = String::from_utf8_lossy(line);
        let body = text.rsplit_once(",\"sum\":\"").map_or(&*text, |(body, _)| body);
        let digest = Sha256::new().chain_update(&sum).chain_update(body).finalize();
        sum = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        out.extend_from_slice(format!("{body},\"sum\":\"{sum}\"}}\n").as_bytes());
    }
    out
}
