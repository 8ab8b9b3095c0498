//! A copy of a snapshot under the cache: fetched once, gone on with where it broke off, private.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::io::AsyncWrite;
use tokio::time::{Instant, sleep};

use super::cache::freshen;
use super::plain::{hopeless, packing_of, spare};
use super::{Candidate, Here, HereKind, SourceError, Told};
use crate::hex::hex;
use crate::snapshot::examine;
use crate::snapshot::whole::Sha256Sum;

/// How long a pause between two tries is.
const PAUSE: Duration = Duration::from_secs(1);

/// One file to have here.
pub(super) struct Download<'a> {
    pub(super) cache: &'a Path,
    pub(super) source: &'a str,
    pub(super) candidate: &'a Candidate,
    /// How long a lost connection is worth trying again.
    pub(super) reconnect_for: Duration,
    pub(super) tell: &'a Told,
}

/// Brings the rest of a file.
#[async_trait]
pub(super) trait Fetch: Send + Sync {
    /// Writes all bytes from `from` on.
    async fn fetch(&self, from: u64, sink: &mut (dyn AsyncWrite + Send + Unpin)) -> Fetched;
}

/// How fetching the rest of a file ended.
pub(super) enum Fetched {
    /// All of it was written.
    All,
    /// The connection broke; what was written counts.
    Part(String),
    /// There is no use in going on with this file.
    Failed(String),
    /// There is no use in going on with any file of the source.
    Lost(String),
    /// It is not what was listed any more.
    Changed,
    /// The rest cannot be had by itself: all of it is needed.
    Anew,
}

/// How a download ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Downloaded {
    /// Here it is, whole.
    Whole(Here),
    /// It is not what was listed any more; what was fetched of it is gone.
    Changed,
}

/// Why a file is not here.
#[derive(Debug, Error)]
pub(super) enum DownloadError {
    /// It is this file's fault, or the controller's.
    #[error("{0}")]
    Failed(String),
    /// The source cannot be reached.
    #[error("{0}")]
    Lost(String),
}

impl From<String> for DownloadError {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

impl DownloadError {
    pub(super) fn of(self, source_label: String, candidate: &Candidate) -> SourceError {
        let name = candidate.shown();
        match self {
            Self::Failed(reason) => SourceError::Read { source_label, name, reason },
            Self::Lost(reason) => SourceError::Lost { source_label, name, reason },
        }
    }
}

/// How filling the part ended.
enum Filled {
    Whole,
    Changed,
}

impl Download<'_> {
    /// Fetches what is not there yet.
    pub(super) async fn run(&self, from: &dyn Fetch) -> Result<Downloaded, DownloadError> {
        let (whole, part) = (self.path("db"), self.path("part"));
        let file = self.hold(&part).await.map_err(local(&part))?;
        if std::fs::metadata(&whole).is_ok_and(|metadata| metadata.len() == self.candidate.size) {
            // Another run renamed it while this one waited, or an earlier one did and this made the part anew.
            remove(&part)?;
            freshen(&whole).map_err(local(&whole))?;
            return Ok(Downloaded::Whole(Here { path: whole, kind: HereKind::FoundCopy }));
        }
        let resumed = file.metadata().map_err(local(&part))?.len() > 0;
        let mut filled = match self.fill(&file, &part, from).await {
            Err(reason) if file.metadata().is_ok_and(|metadata| metadata.len() == 0) => {
                remove(&part)?;
                return Err(reason);
            }
            filled => filled?,
        };
        if matches!(filled, Filled::Whole) && resumed && self.is_damaged(&part).await {
            // What was there may be the damage of a crash: once more, from the start.
            file.set_len(0).map_err(local(&part))?;
            filled = self.fill(&file, &part, from).await?;
        }
        if matches!(filled, Filled::Changed) {
            remove(&part)?;
            return Ok(Downloaded::Changed);
        }
        file.sync_all().and_then(|()| std::fs::rename(&part, &whole)).map_err(local(&whole))?;
        Ok(Downloaded::Whole(Here { path: whole, kind: HereKind::NewCopy }))
    }

    async fn fill(&self, file: &File, part: &Path, from: &dyn Fetch) -> Result<Filled, DownloadError> {
        let total = self.candidate.size;
        let mut have = file.metadata().map_err(local(part))?.len();
        if have > total {
            file.set_len(0).map_err(local(part))?;
            have = 0;
        }
        self.room_for(total - have)?;
        let (mut last_progress, mut furthest) = (Instant::now(), have);
        while have < total {
            let mut sink = Sink { file, part, have, total, tell: self.tell, broken: None };
            sink.file.seek(SeekFrom::Start(have)).map_err(local(part))?;
            let fetched = from.fetch(have, &mut sink).await;
            if let Some(reason) = sink.broken {
                return Err(DownloadError::Failed(reason));
            }
            have = sink.have;
            if have > furthest {
                (last_progress, furthest) = (Instant::now(), have);
            }
            match fetched {
                Fetched::Changed => return Ok(Filled::Changed),
                Fetched::Anew => {
                    file.set_len(0).map_err(local(part))?;
                    have = 0;
                }
                Fetched::All if have == total => {}
                Fetched::All => return Err(format!("got {have} bytes of {total}").into()),
                Fetched::Failed(reason) => return Err(DownloadError::Failed(reason)),
                Fetched::Lost(reason) => return Err(DownloadError::Lost(reason)),
                Fetched::Part(reason) if last_progress.elapsed() > self.reconnect_for => {
                    return Err(DownloadError::Lost(reason));
                }
                Fetched::Part(_) => sleep(PAUSE).await,
            }
        }
        Ok(Filled::Whole)
    }

    /// A download must not take the space that journals need.
    fn room_for(&self, rest: u64) -> Result<(), String> {
        let spare = spare(self.cache).map_err(local(self.cache))?;
        if rest <= spare {
            return Ok(());
        }
        let folder = self.cache.display();
        Err(format!(
            "{rest} bytes of it are still to be fetched, and the file system of `{folder}` on the controller has room for {spare} \
             (what journals need is left free): free some, or choose another folder with `--state`"
        ))
    }

    /// Whether a file that was fetched in several runs is known to be damaged. One that is packed shows that only when it
    /// is unpacked, unless its mark is its MD5, as it is of most objects of S3.
    async fn is_damaged(&self, part: &Path) -> bool {
        let (path, tag) = (part.to_owned(), self.candidate.tag.clone());
        let damaged = tokio::task::spawn_blocking(move || match packing_of(&path)? {
            Some(_) => match tag.as_deref().and_then(md5_of_tag) {
                Some(sum) => md5(&path).map(|found| found != sum),
                None => Ok(false),
            },
            None => Ok(!examine(&path).is_ok_and(|examined| examined.verdict.is_whole())),
        });
        !matches!(damaged.await, Ok(Ok(false)))
    }

    /// Opens the part for this process alone; waits for another that is at it.
    async fn hold(&self, part: &Path) -> io::Result<File> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.cache)?;
        loop {
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(part)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    sleep(PAUSE).await;
                    continue;
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // The one who held it may have renamed it away: what is locked must be what has the name.
            if same_file(&file, part)? {
                return Ok(file);
            }
        }
    }

    /// Named after all that tells this file from another, and readably.
    fn path(&self, extension: &str) -> PathBuf {
        let Candidate { name, size, modified, tag, .. } = self.candidate;
        let (modified, size) = (modified.to_string(), size.to_le_bytes());
        let tag = tag.as_deref().unwrap_or_default();
        let mut hash = Sha256::new();
        for field in [self.source.as_bytes(), name.as_encoded_bytes(), &size, modified.as_bytes(), tag.as_bytes()] {
            hash.update(field.len().to_le_bytes());
            hash.update(field);
        }
        let key = Sha256Sum(hash.finalize().into()).to_string();
        let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
        let readable: String = self.candidate.shown().chars().filter(|character| plain(*character)).take(80).collect();
        self.cache.join(format!("{}-{}.{extension}", &key[..16], readable.trim_end_matches(".db")))
    }
}

fn same_file(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let held = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((held.dev(), held.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The MD5 that an `ETag` is, when it has its form.
fn md5_of_tag(tag: &str) -> Option<String> {
    let sum = tag.trim_matches('"');
    (sum.len() == 32 && sum.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| sum.to_ascii_lowercase())
}

fn md5(path: &Path) -> io::Result<String> {
    let mut hash = md5::Md5::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => break Ok(hex(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn remove(path: &Path) -> Result<(), String> {
    std::fs::remove_file(path).map_err(local(path))
}

fn local(path: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("`{}` on the controller: {error}", path.display())
}

/// Writes to the file and counts. Blocks as long as the page cache does, which is not worth a thread for each piece.
struct Sink<'a> {
    file: &'a File,
    part: &'a Path,
    have: u64,
    total: u64,
    tell: &'a Told,
    /// Why nothing more can be written.
    broken: Option<String>,
}

impl AsyncWrite for Sink<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.have == 0
            && let Some(reason) = hopeless(bytes, self.total)
        {
            self.broken = Some(reason);
        } else if self.have + bytes.len() as u64 > self.total {
            self.broken = Some("more bytes came than were listed".to_owned());
        } else if let Err(error) = io::Write::write_all(&mut &*self.file, bytes) {
            if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                // The part is worth less than the space that it takes from everything else; a file that cannot be emptied stays.
                drop(self.file.set_len(0));
            }
            self.broken = Some(local(self.part)(error));
        }
        if self.broken.is_some() {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.have += bytes.len() as u64;
        (self.tell)(self.have, self.total);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Mutex;

    use jiff::Timestamp;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Breaks off after so many bytes each time, and remembers from where it was asked.
    struct Flaky {
        bytes: Vec<u8>,
        piece: usize,
        asked: Mutex<Vec<u64>>,
    }

    #[async_trait]
    impl Fetch for Flaky {
        async fn fetch(&self, from: u64, sink: &mut (dyn AsyncWrite + Send + Unpin)) -> Fetched {
            self.asked.lock().unwrap().push(from);
            let rest = &self.bytes[usize::try_from(from).unwrap()..];
            let piece = &rest[..rest.len().min(self.piece)];
            match sink.write_all(piece).await {
                Err(error) => Fetched::Failed(error.to_string()),
                Ok(()) if piece.len() == rest.len() => Fetched::All,
                Ok(()) => Fetched::Part("cut".to_owned()),
            }
        }
    }

    fn flaky(bytes: &[u8], piece: usize) -> Flaky {
        Flaky { bytes: bytes.to_vec(), piece, asked: Mutex::default() }
    }

    async fn download(cache: &Path, size: u64, from: &Flaky, reconnect_for: Duration) -> Result<Vec<u8>, String> {
        let candidate = Candidate::new("a.db".into(), size, Timestamp::UNIX_EPOCH);
        let download = Download { cache, source: "there", candidate: &candidate, reconnect_for, tell: &|_, _| {} };
        match download.run(from).await.map_err(|error| error.to_string())? {
            Downloaded::Whole(here) => Ok(std::fs::read(here.path).unwrap()),
            Downloaded::Changed => panic!("nothing changes here"),
        }
    }

    #[tokio::test]
    async fn goes_on_where_it_broke_off() {
        let cache = tempfile::tempdir().unwrap();
        let from = flaky(b"0123456789", 6);
        assert_eq!(download(cache.path(), 10, &from, Duration::from_mins(1)).await.unwrap(), b"0123456789");
        assert_eq!(*from.asked.lock().unwrap(), [0, 6]);
    }

    #[tokio::test]
    async fn gives_up_after_a_time_without_progress() {
        let cache = tempfile::tempdir().unwrap();
        let stuck = flaky(b"0123456789", 0);
        assert_eq!(download(cache.path(), 10, &stuck, PAUSE).await.unwrap_err(), "cut");
        assert!(stuck.asked.lock().unwrap().len() > 1);
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_is_not_begun() {
        let cache = tempfile::tempdir().unwrap();
        let from = flaky(b"0123456789", 10);
        let error = download(cache.path(), 1 << 60, &from, PAUSE).await.unwrap_err();
        assert!(error.starts_with("1152921504606846976 bytes of it are still to be fetched"), "{error}");
        assert!(from.asked.lock().unwrap().is_empty());
        assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0);
    }

    /// A file system of a few pages, as long as this is kept.
    struct Tiny(tempfile::TempDir);

    impl Tiny {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mounted =
                Command::new("mount").args(["-t", "tmpfs", "-o", "size=8k", "tmpfs"]).arg(folder.path()).status();
            assert!(mounted.unwrap().success(), "a tmpfs can be mounted");
            Self(folder)
        }
    }

    impl Drop for Tiny {
        fn drop(&mut self) {
            assert!(Command::new("umount").arg("--lazy").arg(self.0.path()).status().unwrap().success());
        }
    }

    #[tokio::test]
    async fn a_part_that_fills_the_disk_gives_its_space_back() {
        let disk = Tiny::new();
        let part = disk.0.path().join("a.part");
        let file = File::create(&part).unwrap();
        let mut sink =
            Sink { file: &file, part: &part, have: 0, total: (1 << 20) + 32, tell: &|_, _| {}, broken: None };
        sink.write_all(&[0; 1 << 14]).await.unwrap_err();
        assert!(sink.broken.unwrap().contains("No space left"));
        assert_eq!(file.metadata().unwrap().len(), 0);
    }

    #[tokio::test]
    async fn what_an_earlier_run_fetched_is_kept() {
        let whole = std::fs::read("tests/fixtures/snapshots/etcd-3.4.db").unwrap();
        let (cache, size) = (tempfile::tempdir().unwrap(), whole.len() as u64);
        let first = flaky(&whole, 6000);
        assert_eq!(download(cache.path(), size, &first, Duration::ZERO).await.unwrap_err(), "cut");
        let second = flaky(&whole, usize::MAX);
        assert!(download(cache.path(), size, &second, Duration::ZERO).await.unwrap() == whole);
        assert_eq!(*second.asked.lock().unwrap(), [6000]);
    }

    #[tokio::test]
    async fn a_damaged_part_is_fetched_anew() {
        let whole = std::fs::read("tests/fixtures/snapshots/etcd-3.4.db").unwrap();
        let (cache, size) = (tempfile::tempdir().unwrap(), whole.len() as u64);
        let candidate = Candidate::new("a.db".into(), size, Timestamp::UNIX_EPOCH);
        let tell: &Told = &|_, _| {};
        let named =
            Download { cache: cache.path(), source: "there", candidate: &candidate, reconnect_for: PAUSE, tell };
        std::fs::write(named.path("part"), [0; 5000]).unwrap();
        let from = flaky(&whole, usize::MAX);
        assert!(download(cache.path(), size, &from, PAUSE).await.unwrap() == whole);
        assert_eq!(*from.asked.lock().unwrap(), [5000, 0]);
    }

    #[tokio::test]
    async fn a_size_that_is_not_the_listed_one_is_told() {
        let cache = tempfile::tempdir().unwrap();
        let short = download(cache.path(), 12, &flaky(b"0123456789", 20), PAUSE).await.unwrap_err();
        assert_eq!(short, "got 10 bytes of 12");
        let cache = tempfile::tempdir().unwrap();
        let long = download(cache.path(), 8, &flaky(b"0123456789", 20), PAUSE).await.unwrap_err();
        assert_eq!(long, "more bytes came than were listed");
    }
}
