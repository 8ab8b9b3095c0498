//! Throwaway hosts for one test, in a network of their own.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use drctl::inventory::SshHost;
use drctl::transport::Ssh;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The hosts of one test; gone when it ends.
pub(crate) struct Rig {
    hub: String,
    pub(crate) dir: tempfile::TempDir,
}

impl Rig {
    pub(crate) fn new(name: &str) -> Self {
        Self { hub: format!("drctl-{}-{name}", std::process::id()), dir: tempfile::tempdir().unwrap() }
    }

    fn lab(&self, args: &[&str]) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/lab"));
        command.args(args).env("DRCTL_LAB_HUB", &self.hub).stdin(Stdio::null());
        command
    }

    /// Runs the lab and gives what it printed.
    pub(crate) fn tell(&self, args: &[&str]) -> String {
        let output = self.lab(args).output().unwrap();
        said(args, output)
    }

    /// A light host that sshd answers on, with more lines for `sshd_config`.
    pub(crate) fn up(&self, name: &str, ip: &str, sshd: &str, more: &[&str]) {
        let args = [&["up", name, "light", ip, "--etcd", "none", "--sshd-config", "-"], more].concat();
        let mut child =
            self.lab(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(sshd.as_bytes()).unwrap();
        said(&args, child.wait_with_output().unwrap());
    }

    /// The path of an identity or of another file beside it.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        let plain = self.tell(&["key"]);
        Path::new(plain.trim()).with_file_name(name)
    }

    /// A copy of an identity that lies alone, without what belongs to it.
    pub(crate) fn copy_key(&self, name: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let copy = self.dir.path().join(format!("{name}-{mode:o}"));
        std::fs::copy(self.key(name), &copy).unwrap();
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(mode)).unwrap();
        copy
    }

    /// A known hosts file with this text.
    pub(crate) fn known(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The inventory's words for a login with the lab's key, known host and all; later lines may add to them.
    pub(crate) fn host(&self, name: &str, user: &str, more: &str) -> SshHost {
        let known = self.known(&format!("known_hosts-{name}"), &self.tell(&["known-hosts", name]));
        let ip = self.tell(&["field", name, "ip"]);
        let key = self.key("id_ed25519");
        let mut host: SshHost = toml::from_str(&format!(
            "host = '{}'\nuser = '{user}'\nssh_config = 'none'\nagent = false\n{more}",
            ip.trim()
        ))
        .unwrap();
        host.identity.get_or_insert(key);
        host.known_hosts.get_or_insert(known);
        host
    }

    pub(crate) fn ssh(&self, name: &str, user: &str, more: &str) -> Ssh {
        Ssh::new(&self.host(name, user, more)).unwrap()
    }

    /// Runs the future where the hosts can be reached: on a thread inside the hub.
    pub(crate) fn inside<F: Future<Output: Send> + Send>(&self, future: F) -> F::Output {
        let hub = File::open(format!("/run/netns/{}", self.hub)).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                move_into_link_name_space(hub.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // A panic on the way out would hide the test's own.
        let _ = self.lab(&["down-all"]).output();
    }
}

fn said(args: &[&str], output: Output) -> String {
    assert!(output.status.success(), "lab {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
