//! Copies of snapshots that nobody needs any more: each holds every Secret of a cluster, and a check may run every few minutes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A copy that was fetched, or chosen, so lately may be needed by a command that has not begun its run yet.
const FRESH: Duration = Duration::from_hours(1);
/// A download that broke off is worth going on with for so long.
const WORTHWHILE: Duration = Duration::from_hours(24);

/// Removes the copies that are neither kept nor fresh, and old downloads that broke off and nobody is at.
pub fn sweep(cache: &Path, keep: &[PathBuf]) -> io::Result<()> {
    let entries = match std::fs::read_dir(cache) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let limit = match path.extension().and_then(|extension| extension.to_str()) {
            // Another file is somebody's own: the folder may be a source besides.
            _ if !is_copy(&path) => continue,
            Some("db") if !keep.contains(&path) => FRESH,
            Some("part") => WORTHWHILE,
            _ => continue,
        };
        match remove_older(&path, limit) {
            // Another process was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    Ok(())
}

/// By the name that `download.rs` gives its copies.
fn is_copy(path: &Path) -> bool {
    let key = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('-'));
    key.is_some_and(|(key, _)| key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn remove_older(path: &Path, limit: Duration) -> io::Result<()> {
    let file = File::open(path)?;
    let age = SystemTime::now().duration_since(file.metadata()?.modified()?).unwrap_or_default();
    // Who downloads holds the lock.
    if age > limit && file.try_lock().is_ok() { std::fs::remove_file(path) } else { Ok(()) }
}

/// Makes a copy fresh again.
pub(super) fn freshen(path: &Path) -> io::Result<()> {
    File::options().append(true).open(path)?.set_modified(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_old_and_not_kept_goes() {
        let cache = tempfile::tempdir().unwrap();
        let named = |name: &str| cache.path().join(format!("0123456789abcdef-{name}"));
        let make_at = |path: PathBuf, hours: u64| {
            let file = File::create(&path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_hours(hours)).unwrap();
            (path, file)
        };
        let make = |name: &str, hours: u64| make_at(named(name), hours);
        make_at(cache.path().join("somebodys-own.db"), 100);
        let (kept, _) = make("kept.db", 100);
        let (again, _) = make("again.db", 100);
        freshen(&again).unwrap();
        let (_, held) = make("held.part", 100);
        held.try_lock().unwrap();
        for (name, hours) in [("new.db", 0), ("old.db", 2), ("new.part", 2), ("old.part", 25), ("other", 100)] {
            make(name, hours);
        }
        sweep(cache.path(), &[kept]).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(cache.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut copies = ["again.db", "held.part", "kept.db", "new.db", "new.part", "other"]
            .map(|name| named(name).file_name().unwrap().to_str().unwrap().to_owned())
            .to_vec();
        copies.push("somebodys-own.db".to_owned());
        assert_eq!(left, copies);
        sweep(Path::new("/no/such/folder"), &[]).unwrap();
    }
}
