//! All of this folder against this machine's own `sh`. Needs root, as a target does.

mod files;
mod jobs;
mod kept;
mod locks;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::{Claim, LockOutcome, Target};
use crate::transport::Local;

/// A folder to play the target's tree, and drctl's folder in it.
struct Host {
    root: TempDir,
}

impl Host {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.root.path().join(name).to_str().unwrap().to_owned()
    }

    fn target(&self, run: &str) -> Target {
        Target::new(Arc::new(Local), run).at(&self.path("state/drctl"))
    }

    /// A target whose lock is held.
    async fn held(&self) -> Target {
        let target = self.target("run-1");
        let outcome = target.acquire(claim("me")).await.unwrap();
        assert!(matches!(outcome, LockOutcome::Acquired { .. }), "{outcome:?}");
        target
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.path(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root.path().join(name)).unwrap()
    }

    /// Everything below `name`: path, kind, mode, owner, time, bytes.
    fn tree(&self, name: &str) -> Vec<String> {
        let mut lines = Vec::new();
        walk(&self.root.path().join(name), &mut lines);
        lines.sort();
        lines
    }
}

fn walk(path: &Path, lines: &mut Vec<String>) {
    let Ok(about) = fs::symlink_metadata(path) else { return };
    let inside = if about.is_symlink() {
        format!("{:?}", fs::read_link(path).unwrap())
    } else if about.is_file() {
        format!("{:?}", fs::read(path).unwrap())
    } else {
        String::new()
    };
    let time = (about.mtime(), about.mtime_nsec());
    let mode = about.permissions().mode();
    lines.push(format!("{} {mode:o} {}:{} {time:?} {inside}", path.display(), about.uid(), about.gid()));
    if about.is_dir() {
        let entries: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        for entry in &entries {
            walk(entry, lines);
        }
    }
}

fn claim(controller: &str) -> Claim<'_> {
    Claim { controller, user: "root", take_over: None }
}

#[tokio::test]
async fn facts_of_this_machine() {
    let host = Host::new();
    let link = host.path("link");
    std::os::unix::fs::symlink("/etc", &link).unwrap();
    let odd = host.write("a b'\n$(id)", "x");
    let absent = host.path("no/such/folder");
    let facts = host.target("run-1").facts(&["/etc", "/proc", &link, &odd, &absent]).await.unwrap();
    assert_eq!(facts.uid, 0);
    assert!(facts.tools.contains_key("flock"));
    assert_eq!(facts.home, super::HomeState::Absent);
    assert_eq!(facts.paths["/proc"].kind, super::PathKind::Mount);
    assert_eq!(facts.paths[&link].kind, super::PathKind::Symlink);
    assert_eq!(facts.paths[&odd].kind, super::PathKind::File);
    assert_eq!(facts.paths[&absent].kind, super::PathKind::Absent);
    assert!(facts.paths[&absent].filesystem.as_ref().unwrap().free > 0);
    assert!(facts.values().keys().all(|name| super::VALUE_NAMES.contains(&name.as_str())));
}

#[tokio::test]
async fn nothing_is_changed_without_the_lock() {
    let host = Host::new();
    let error = host.target("run-1").change("do it", ": >/nowhere/at/all").await.unwrap_err();
    assert!(matches!(error, super::TargetError::LostLock { .. }), "{error}");
}

#[tokio::test]
async fn a_failure_tells_what_the_script_said() {
    let host = Host::new();
    let error = host.held().await.change("do it", "echo oh no >&2; exit 4").await.unwrap_err();
    assert_eq!(error.to_string(), "could not do it on localhost (exit status 4)\n  | oh no");
}
