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
    let mut needs: BTreeMap<u64, (u64, u64, Vec<&str>)> = BTreeMap::new();
    for (path, bytes) in [(crate::target::HOME, size + SMALL), ("/var/lib/etcd", size + LOG)] {
        if let Some(filesystem) = target.facts.paths.get(path).and_then(|state| state.filesystem.as_ref()) {
            let need = needs.entry(filesystem.id).or_insert((0, filesystem.free, Vec::new()));
            need.0 += bytes;
            need.2.push(path);
        }
    }
    needs.into_values().map(|(need, free, paths)| judge(need, free, &paths.join(" and "))).collect()
}

fn judge(need: u64, free: u64, paths: &str) -> Finding {
    let said = format!("{paths} need {} MiB, {} MiB are free", need >> 20, free >> 20);
    if free >= need {
        return Finding::ok("space", said);
    }
    Finding::error(
        "disk-too-small",
        said,
        "free space on the target, or give it a larger disk: the copy, the restored data and etcd's log must all fit",
    )
}
