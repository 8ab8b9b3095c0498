//! Everything that others than root could see of the programs that run, on the target and on the controller.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::Host;

/// Records until it is dropped: each dynamic program tells of itself when it starts, and whatever lives longer than some
/// milliseconds is looked at from outside.
pub(crate) struct Recorder {
    merged: String,
    /// What the controller's programs wrote; what was seen of all of them.
    folder: PathBuf,
    preload: PathBuf,
    stop: Arc<AtomicBool>,
    watch: Option<JoinHandle<()>>,
}

fn compiled(log: &Path, to: &Path) {
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(to)
        .arg(format!("-DLOG=\"{}\"", log.display()))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/secrets/recorder.c"))
        .status()
        .expect("`cc`, which links Rust's programs too");
    assert!(made.success());
}

/// Everybody's programs write there.
fn open_to_all(log: &Path) {
    fs::write(log, "").expect("a log");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    fs::set_permissions(log, mode).expect("its mode");
}

impl Recorder {
    pub(crate) fn start(host: &Host<'_>, folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        let merged = host.field("merged");
        compiled(Path::new("/recorded"), Path::new(&format!("{merged}/recorder.so")));
        open_to_all(Path::new(&format!("{merged}/recorded")));
        fs::write(format!("{merged}/etc/ld.so.preload"), "/recorder.so\n").expect("every program loads it");
        let preload = folder.join("recorder.so");
        compiled(&folder.join("recorded"), &preload);
        open_to_all(&folder.join("recorded"));
        let stop = Arc::new(AtomicBool::new(false));
        let watch = std::thread::spawn({
            let (stop, seen, keys) =
                (Arc::clone(&stop), folder.join("seen"), PathBuf::from(&merged).join("etc/kubernetes/pki"));
            move || watch(&stop, &seen, &keys)
        });
        Self { merged, folder: folder.to_owned(), preload, stop, watch: Some(watch) }
    }

    /// drctl, recorded as well, and what it starts.
    pub(crate) fn recorded(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.preload);
    }

    /// Stops; what was recorded lies in these files.
    pub(crate) fn stop(&mut self) -> Vec<PathBuf> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(watch) = self.watch.take() {
            watch.join().expect("the watch ends");
            fs::write(format!("{}/etc/ld.so.preload", self.merged), "").expect("nothing loads it any more");
            fs::copy(format!("{}/recorded", self.merged), self.folder.join("target")).expect("the target's records");
            fs::remove_file(format!("{}/recorded", self.merged)).expect("it goes");
        }
        ["recorded", "seen", "target"].map(|name| self.folder.join(name)).to_vec()
    }

    /// The modes that files of this name, or of a name made of it, had at any moment.
    pub(crate) fn modes(&self, name: &str) -> HashSet<(String, String)> {
        let mut modes = HashSet::new();
        for log in ["target", "seen"] {
            let text = fs::read(self.folder.join(log)).expect("the records");
            for line in String::from_utf8_lossy(&text).lines() {
                let mut words = line.strip_prefix("MODE ").into_iter().flat_map(|rest| rest.splitn(2, ' '));
                if let (Some(mode), Some(path)) = (words.next(), words.next())
                    && path.contains(name)
                {
                    modes.insert((mode.to_owned(), path.rsplit('/').next().unwrap_or(path).to_owned()));
                }
            }
        }
        modes
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Looks at every process of the machine, which the hosts' are too, and at the modes of the keys.
fn watch(stop: &AtomicBool, seen: &Path, keys: &Path) {
    let mut known = HashSet::new();
    let mut all = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for process in fs::read_dir("/proc").expect("/proc").filter_map(Result::ok) {
            // A process that goes on to another program keeps its number.
            let text =
                ["cmdline", "environ"].map(|file| fs::read(process.path().join(file)).unwrap_or_default()).concat();
            if process.file_name().as_encoded_bytes()[0].is_ascii_digit()
                && !text.is_empty()
                && known.insert(text.clone())
            {
                all.extend_from_slice(&text);
                all.push(b'\n');
            }
        }
        for file in fs::read_dir(keys).into_iter().flatten().filter_map(Result::ok) {
            if let Ok(about) = file.metadata() {
                let line = format!("MODE {:o} {}\n", about.mode() & 0o7777, file.path().display());
                if known.insert(line.clone().into_bytes()) {
                    all.extend_from_slice(line.as_bytes());
                }
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    fs::write(seen, all).expect("what was seen");
}
