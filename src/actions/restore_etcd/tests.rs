//! Real programs of every version at hand, on this machine's own `sh`. Needs root, as a target does.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::actions::Tell;
use crate::inventory::{PkiFiles, parse};
use crate::snapshot::Claims;
use crate::sources::{Chosen, TimeFrom};
use crate::target::{Claim, Target, Tool};
use crate::transport::Local;

#[derive(Debug)]
struct Silent;

#[async_trait]
impl Tell for Silent {
    fn output(&self, _: &str) {}
    fn bytes(&self, _: u64, _: u64) {}
    fn note(&self, _: &str) {}
    async fn confirm(&self, _: &str) -> Option<bool> {
        None
    }
}

/// A target in a folder, and a step that restores into `data` there.
struct Lab {
    root: TempDir,
    inventory: Inventory,
    target: Target,
    facts: Facts,
    snapshot: Chosen,
    values: Values,
    cache: PathBuf,
}

impl Lab {
    async fn new(tool: &str, program: &Path) -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name).display().to_string();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/snapshots/etcd-3.4.db");
        fs::copy(&source, root.path().join("snapshot.db")).unwrap();
        fs::create_dir(root.path().join("lib")).unwrap();
        let target = Target::new(Arc::new(Local), "run-1").at(&path("drctl"));
        target.acquire(Claim { controller: "me", user: "root", take_over: None }).await.unwrap();
        let mut facts = target.facts(&[&path("lib/etcd")]).await.unwrap();
        let help =
            Command::new(program).args(["snapshot", "restore", "--help"]).env("ETCDCTL_API", "3").output().unwrap();
        let bumps = String::from_utf8_lossy(&[help.stdout, help.stderr].concat()).contains("--bump-revision");
        let path_of_tool = program.display().to_string();
        let found = Tool { path: path_of_tool, version: None, restores: true, bumps };
        facts.tools = [(tool.to_owned(), found)].into();
        facts.images.clear();
        let text = "[cluster]\nname = \"a\"\nendpoint = \"10.0.0.1:6443\"\nnode_name = \"cp-1\"\n\
                    advertise_address = \"10.0.0.1\"\n[target]\nhost = \"h\"\n[[snapshots]]\nfolder.path = \"/b\"\n\
                    [pki]\ndir = \"/p\"\n";
        let snapshot = Chosen {
            name: "etcd-3.4.db".to_owned(),
            source: "here".to_owned(),
            path: source,
            size: 49184,
            sha256: String::new(),
            taken: jiff::Timestamp::UNIX_EPOCH,
            time_from: TimeFrom::Name,
            claims: Claims::default(),
            packed: Vec::new(),
            plain: None,
            copy: None,
        };
        let values = [("at".to_owned(), path("")), ("snapshot".to_owned(), path("snapshot.db"))].into();
        let inventory = parse("test", text, Path::new("/")).unwrap();
        Self { inventory, target, facts, snapshot, values, cache: root.path().join("cache"), root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn step() -> RestoreEtcd {
        toml::from_str("snapshot = \"${snapshot}\"\ndata_dir = \"${at}lib/etcd\"").unwrap()
    }

    async fn with<T>(&self, attempt: u32, deed: impl AsyncFnOnce(&Context<'_>) -> T) -> T {
        let stop = CancellationToken::new();
        let cx = Context {
            inventory: &self.inventory,
            target: &self.target,
            facts: &self.facts,
            snapshot: &self.snapshot,
            pki: &PkiFiles::default(),
            values: &self.values,
            run: "run-1",
            accepted: &[],
            step: "restore-etcd",
            attempt,
            limit: Duration::from_mins(1),
            tell: &Silent,
            stop: &stop,
            cache: &self.cache,
        };
        deed(&cx).await
    }

    /// Keeps, applies and looks, as the engine does.
    async fn restore(&self, attempt: u32) -> Result<Verdict, ActionError> {
        self.with(attempt, async |cx| {
            let step = Self::step();
            if let SetAside::Paths(keeps) = step.set_aside(cx)? {
                cx.target.set_aside(cx.step, &keeps).await?;
            }
            step.apply(cx).await?;
            step.verify(cx).await
        })
        .await
    }

    async fn take_back(&self, attempt: u32) {
        self.with(attempt, async |cx| Self::step().undo(cx).await.unwrap()).await;
        self.target.put_back("restore-etcd").await.unwrap();
    }

    /// Paths below `lib`, their modes, owners, times and bytes.
    fn tree(&self) -> String {
        let script = "find . -printf '%p %M %U:%G %T@ %l\\n' | sort; find . -type f -exec sha256sum {} + | sort";
        let output = Command::new("sh").args(["-c", script]).current_dir(self.path("lib")).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn assert_restored(&self) {
        for name in ["member", "member/wal", "member/snap"] {
            let about = fs::metadata(self.path("lib/etcd").join(name)).unwrap();
            assert_eq!((about.mode() & 0o7777, about.uid()), (0o700, 0), "{name}");
        }
        let beside: Vec<_> = fs::read_dir(self.path("lib")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!beside.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{beside:?}");
    }
}

/// Every program at hand that restores.
fn programs() -> Vec<(&'static str, PathBuf)> {
    let lab = std::env::var_os("DRCTL_LAB_CACHE").unwrap_or_else(|| "/var/cache/drctl-lab".into());
    let parts = fs::read_dir(Path::new(&lab).join("parts")).into_iter().flatten().map(|part| part.unwrap().path());
    let own = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let folders: Vec<PathBuf> = parts.chain(own.into_iter().flatten()).collect();
    let found: Vec<_> = ["etcdctl", "etcdutl"]
        .into_iter()
        .flat_map(|tool| folders.iter().map(move |folder| (tool, folder.join(tool))))
        .filter(|(_, program)| program.is_file())
        .collect();
    assert!(!found.is_empty(), "these tests need etcdctl or etcdutl: `tests/lab/lab setup`");
    found
}

fn took(verdict: Result<Verdict, ActionError>) -> bool {
    matches!(verdict.unwrap(), Verdict::Took(_))
}

#[tokio::test]
async fn every_program_restores_and_is_undone() {
    for (tool, program) in programs() {
        let lab = Lab::new(tool, &program).await;
        let before = lab.tree();
        assert!(took(lab.restore(1).await), "{}", program.display());
        lab.assert_restored();
        assert!(took(lab.restore(1).await), "a second time, {}", program.display());
        lab.take_back(1).await;
        lab.take_back(1).await;
        assert_eq!(lab.tree(), before, "{}", program.display());
        assert!(took(lab.restore(2).await));
    }
}

#[tokio::test]
async fn existing_data_comes_back() {
    let (tool, program) = programs().remove(0);
    let lab = Lab::new(tool, &program).await;
    fs::create_dir_all(lab.path("lib/etcd/member/wal")).unwrap();
    fs::write(lab.path("lib/etcd/member/wal/old.wal"), "old").unwrap();
    fs::set_permissions(lab.path("lib/etcd"), fs::Permissions::from_mode(0o750)).unwrap();
    let before = lab.tree();
    assert!(took(lab.restore(1).await));
    lab.assert_restored();
    lab.take_back(1).await;
    assert_eq!(lab.tree(), before);
}

#[tokio::test]
async fn a_mount_point_gets_the_member_folder() {
    let (tool, program) = programs().remove(0);
    let lab = Lab::new(tool, &program).await;
    let data = lab.path("lib/etcd");
    fs::create_dir(&data).unwrap();
    let mount = |program: &str, arguments: &[&str]| {
        assert!(Command::new(program).args(arguments).arg(&data).status().unwrap().success());
    };
    mount("mount", &["-t", "tmpfs", "-o", "mode=755", "none"]);
    fs::create_dir_all(data.join("member/snap")).unwrap();
    fs::write(data.join("member/snap/db"), "old").unwrap();
    fs::create_dir(data.join("lost+found")).unwrap();
    let before = lab.tree();
    let restored = lab.restore(1).await;
    let inside = fs::metadata(data.join("member/wal")).is_ok();
    lab.take_back(1).await;
    let after = lab.tree();
    mount("umount", &[]);
    assert!(took(restored) && inside);
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_bad_snapshot_never_gets_the_name_of_the_data_folder() {
    for (tool, program) in programs() {
        let lab = Lab::new(tool, &program).await;
        let mut bytes = fs::read(lab.path("snapshot.db")).unwrap();
        bytes[30_000] ^= 1;
        fs::write(lab.path("snapshot.db"), bytes).unwrap();
        let error = lab.restore(1).await.unwrap_err();
        assert!(error.to_string().contains("expected sha256"), "{error}");
        assert!(!lab.path("lib/etcd").exists(), "{}", program.display());
        let verdict = lab.with(1, async |cx| Lab::step().verify(cx).await).await;
        assert!(matches!(verdict.unwrap(), Verdict::DidNot { .. }));
        lab.take_back(1).await;
        assert_eq!(fs::read_dir(lab.path("lib")).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn other_data_is_not_taken_for_the_restored() {
    let (tool, program) = programs().remove(0);
    let lab = Lab::new(tool, &program).await;
    assert!(took(lab.restore(1).await));
    let member = lab.path("lib/etcd/member");
    fs::rename(&member, lab.path("lib/etcd/moved")).unwrap();
    assert!(Command::new("cp").arg("-a").arg(lab.path("lib/etcd/moved")).arg(&member).status().unwrap().success());
    let verdict = lab.with(1, async |cx| Lab::step().verify(cx).await).await;
    assert!(matches!(verdict.unwrap(), Verdict::DidNot { .. }));
}
