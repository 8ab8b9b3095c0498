//! Is there room for the copy, the restored data, and etcd's log?

use std::collections::BTreeMap;

use super::Look;
use crate::actions::Finding;

/// etcd preallocates its log twice: once by the restore, once when it starts.
const LOG: u64 = 128 << 20;
/// Certificates, manifests, kubelet's state, job output.
const SMALL: u64 = 64 << 20;

pub(super) fn check(look: &Look) -> Vec<Finding> {
    let (Ok(target), Ok(search)) = (&look.target, &look.snapshot) else {
        return Vec::new();
    };
    let size = search.chosen.size;
    let mut needs: BTreeMap<&str, (u64, u64, &str)> = BTreeMap::new();
    for (path, bytes) in [(crate::target::HOME, size + SMALL), ("/var/lib/etcd", size + LOG)] {
        if let Some(fs) = target.facts.filesystem_of(path) {
            let need = needs.entry(fs.mounted_on.as_str()).or_insert((0, fs.free, path));
            need.0 += bytes;
        }
    }
    needs.into_iter().map(|(mount, (need, free, path))| judge(mount, need, free, path)).collect()
}

fn judge(mount: &str, need: u64, free: u64, path: &str) -> Finding {
    let said = format!("{path} (on {mount}) needs {} MiB, {} MiB are free", need >> 20, free >> 20);
    if free >= need {
        return Finding::ok("space", said);
    }
    Finding::error(
        "disk-too-small",
        said,
        "free space on the target, or give it a larger disk: the copy, the restored data and etcd's log must all fit",
    )
}
