//! Readers that are private in drctl, taken in as they stand: nothing becomes public for the sake of a test.
#![allow(dead_code, reason = "each file is taken in whole, and asked only what reads text")]

use std::hint::black_box;
use std::path::PathBuf;

use russh::keys::PublicKey;

pub use drctl::transport::TransportError;

#[path = "../../../../src/transport/known_hosts/mod.rs"]
mod known_hosts;

#[path = "../../../../src/transport/ssh_config/directives.rs"]
mod directives;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBSl6iLCYzV9WpMRnTTFLSuUgpJ7sVr0TTTaUYDK7SGb";

pub fn known_hosts(bytes: &[u8], name: &str) {
    use known_hosts::{KnownHost, Marker, principal_matches};

    let file = drctl_fuzz::InMemory::new(bytes);
    let names = [name.to_owned(), "10.0.0.10".to_owned()];
    let known = KnownHost::read(&[file.path()], &names).expect("any bytes can be read");
    let key = PublicKey::from_openssh(KEY).expect("a key");
    for marker in [Marker::Key, Marker::Authority, Marker::Revoked] {
        drop(known.find(marker, &key).map(known_hosts::Line::describe));
        known.marked(marker).for_each(|line| drop(line.describe()));
    }
    drop(known.algorithms());
    black_box(principal_matches(name, "10.0.0.10"));
}

pub fn directives(text: &str) -> Vec<PathBuf> {
    use directives::{Directives, Tokens};

    let said = Directives::parse(text);
    black_box((said.number::<u16>("port"), said.first("hostname")));
    let tokens = Tokens::new("cp", "10.0.0.10", 22, "root");
    said.all("identityfile").chain(text.lines()).map(|path| tokens.path(path)).collect()
}
