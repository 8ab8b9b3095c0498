//! Keys and passwords are in this process's memory: neither a crash nor its user's other programs get at it.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// From now on no core dump is made, of this process or of those it starts, and no other process of the same user reads
/// its memory.
pub(super) fn forbid() -> Result<(), Errno> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // A kernel that hands dumps to a program does not look at the limit.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}
