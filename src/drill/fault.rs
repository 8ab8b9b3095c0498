//! What a game day breaks on purpose.

use std::fmt;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// Something that is broken during a rehearsal, to see that the restore copes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// drctl is ended by SIGKILL while a long step runs; `resume` goes on.
    KillController,
    /// The link to the target is cut for a while during a long step; the run goes on by itself.
    CutLink,
    /// The target loses its power during a long step, and starts again; the run goes on, or `resume` does.
    RebootTarget,
    /// The newest snapshot is damaged; it is passed over, and the one before it is restored.
    CorruptSnapshot,
}

impl Fault {
    /// What should come of it, in a few words.
    pub const fn expected(self) -> &'static str {
        match self {
            Self::KillController => "`resume` ends where an undisturbed run would have ended",
            Self::CutLink => "the run goes on by itself",
            Self::RebootTarget => "the run, or `resume`, ends where an undisturbed run would have ended",
            Self::CorruptSnapshot => "the damaged snapshot is passed over, loudly, and the one before it is restored",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KillController => "kill-controller",
            Self::CutLink => "cut-link",
            Self::RebootTarget => "reboot-target",
            Self::CorruptSnapshot => "corrupt-snapshot",
        })
    }
}

/// The folder of the damaged copy, below the drill's.
pub(super) const DAMAGED: &str = "damaged";

/// Puts a damaged copy of a snapshot, newer by its name, into a folder of its own below `dir`.
pub fn corrupt_copy(snapshot: &Path, dir: &Path) -> std::io::Result<PathBuf> {
    let folder = dir.join(DAMAGED);
    std::fs::create_dir_all(&folder)?;
    let name = Timestamp::now().strftime("etcd-snapshot-%Y-%m-%d_%H:%M:%S_UTC.db").to_string();
    let mut copy = tempfile::NamedTempFile::new_in(&folder)?;
    std::io::copy(&mut std::fs::File::open(snapshot)?, &mut copy)?;
    let middle = copy.as_file().metadata()?.len() / 2;
    let mut byte = [0];
    copy.seek(SeekFrom::Start(middle))?;
    copy.as_file_mut().read_exact(&mut byte)?;
    copy.seek(SeekFrom::Start(middle))?;
    copy.write_all(&[byte[0] ^ 1])?;
    copy.persist(folder.join(name)).map_err(|error| error.error)?;
    Ok(folder)
}
