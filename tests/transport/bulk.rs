//! Large payloads, both ways.

use std::fmt::Write as _;

use drctl::transport::{Request, Transport};
use sha2::{Digest as _, Sha256};

use crate::rig::Rig;
use crate::say;

const SIZE: u32 = 100_000_000;

#[test]
fn a_hundred_megabytes_up_and_down() {
    let rig = Rig::new("bulk");
    rig.up("a", "10.77.0.10", "", &[]);
    let ssh = rig.ssh("a", "ops", "");
    // A counter is as good as random bytes here: nothing compresses, and nothing repeats.
    let bytes: Vec<u8> = (0..SIZE / 4).flat_map(u32::to_le_bytes).collect();
    let mut digest = String::new();
    Sha256::digest(&bytes).iter().for_each(|byte| write!(digest, "{byte:02x}").unwrap());
    rig.inside(async {
        say(&ssh, "true").await.unwrap();
        let mut payload = &bytes[..];
        let up = Request { stdin: Some(&mut payload), ..Request::new("cat >/root/bulk; sha256sum /root/bulk") };
        let reply = ssh.run(up).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&reply.stdout), format!("{digest}  /root/bulk\n"));

        let mut received = Vec::new();
        let down = Request { stdout: Some(&mut received), ..Request::new("cat /root/bulk") };
        assert_eq!(ssh.run(down).await.unwrap().status, 0);
        assert!(received == bytes, "{} bytes", received.len());
    });
}
