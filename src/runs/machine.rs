//! Which machine this is.

use sha2::{Digest as _, Sha256};

use crate::hex::hex;

/// What no other machine has: systemd's id, else the name.
pub(super) fn id() -> String {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    // An image that was never started has none yet.
    if id.trim().len() == 32 { id } else { rustix::system::uname().nodename().to_string_lossy().into_owned() }
}

/// The machine's mark on what is called `name`: the id itself is not for others to see.
pub(super) fn mark(name: &str, id: &str) -> String {
    let digest = Sha256::new().chain_update(name).chain_update([0]).chain_update(id.trim()).finalize();
    hex(&digest[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_machine_together_have_a_mark_of_their_own() {
        let here = mark("host-1a2b3c4d", "machine\n");
        assert_eq!(here, mark("host-1a2b3c4d", "machine"));
        assert_ne!(here, mark("host-1a2b3c4d", "another machine"));
        assert_ne!(here, mark("host-5e6f7a8b", "machine"));
        assert!(here.len() == 8 && !here.contains("machine"), "{here}");
    }
}
