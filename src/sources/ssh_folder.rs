//! A folder on another host, over SSH: listed by one script, downloaded in pieces that outlive a lost connection.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::AsyncWrite;

use super::download::{Download, DownloadError, Downloaded, Fetch, Fetched};
use super::folder::any_db;
use super::{Candidate, Here, Listing, SnapshotSource, SourceError, Told};
use crate::causes::chain;
use crate::inventory::{Become, BecomeMethod, Secret, SshHost};
use crate::snapshot::fits;
use crate::target::quote;
use crate::transport::{Request, Ssh, Transport, TransportError};

const ENTER: &str = include_str!("enter.sh");
const LIST: &str = include_str!("list.sh");
const FETCH: &str = include_str!("fetch.sh");
const READ: &str = include_str!("read.sh");
/// What `read.sh` ends with when there is no such file.
const ABSENT: i32 = 44;

/// The longest that a download may go on in one piece; a lost connection is noticed much sooner.
const LONGEST: Duration = Duration::from_hours(12);

/// A folder on another host, over SSH.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshFolder {
    /// The host, with the keys of `[target]`; the login user reads the files, unless `become` is set.
    pub server: SshHost,
    /// The folder on it; an absolute path.
    pub path: String,
    /// Which of its files are snapshots: `*` stands for any characters, `?` for one (default `*.db`).
    #[serde(default = "any_db")]
    pub pattern: String,
}

/// A folder on a host that can be asked.
#[derive(Debug)]
pub(crate) struct RemoteFolder {
    label: String,
    path: String,
    pattern: String,
    host: Arc<dyn Transport>,
}

impl SshFolder {
    /// How messages name it.
    pub(crate) fn label(&self) -> String {
        format!("the folder {} on {}", self.path, self.server.host)
    }

    pub(crate) fn connect(&self) -> Result<RemoteFolder, SourceError> {
        let mut server = self.server.clone();
        server.become_root.get_or_insert(Become { method: BecomeMethod::None, password: None });
        let host = Ssh::new(&server)
            .map_err(|error| SourceError::List { source_label: self.label(), reason: chain(&error) })?;
        Ok(RemoteFolder {
            label: self.label(),
            path: self.path.clone(),
            pattern: self.pattern.clone(),
            host: Arc::new(host),
        })
    }
}

#[async_trait]
impl SnapshotSource for RemoteFolder {
    fn label(&self) -> String {
        self.label.clone()
    }

    async fn list(&self) -> Result<Listing, SourceError> {
        let failed = |reason: String| SourceError::List { source_label: self.label.clone(), reason };
        let mut listing = Vec::new();
        self.run(LIST, &mut listing, Duration::from_mins(2)).await.map_err(|told| failed(told.reason()))?;
        let mut found = Vec::new();
        for line in listing.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let candidate =
                read_line(line).ok_or_else(|| failed(format!("unexpected: {}", String::from_utf8_lossy(line))))?;
            if fits(&self.pattern, &candidate.name) {
                found.push(candidate);
            }
        }
        Ok(found.into())
    }

    async fn open(&self, candidate: &Candidate, cache: &Path, tell: &Told) -> Result<Here, SourceError> {
        let failed = |error: DownloadError| error.of(self.label.clone(), candidate);
        let download =
            Download { cache, source: &self.label, candidate, reconnect_for: self.host.reconnect_for(), tell };
        match download.run(&Remote { folder: self, candidate }).await.map_err(failed)? {
            Downloaded::Whole(here) => Ok(here),
            Downloaded::Changed => Err(failed("it changed since it was listed".to_owned().into())),
        }
    }
}

/// A file of the folder.
struct Remote<'a> {
    folder: &'a RemoteFolder,
    candidate: &'a Candidate,
}

#[async_trait]
impl Fetch for Remote<'_> {
    async fn fetch(&self, from: u64, sink: &mut (dyn AsyncWrite + Send + Unpin)) -> Fetched {
        let Candidate { name, size, modified, .. } = self.candidate;
        let expected = format!("{size} {}", modified.as_second());
        let script =
            format!("name={}\nexpected={}\nfrom={}\n{FETCH}", quote(name.as_bytes()), quote(&expected), from + 1);
        match self.folder.run(&script, sink, LONGEST).await {
            Ok(()) => Fetched::All,
            Err(Failure::Lost(error)) => Fetched::Part(chain(&error)),
            Err(Failure::Transport(error)) => Fetched::Lost(chain(&error)),
            Err(failure @ Failure::Said { .. }) => Fetched::Failed(failure.reason()),
        }
    }
}

/// Why a script gave no answer.
enum Failure {
    Lost(TransportError),
    Transport(TransportError),
    Said { said: String, status: i32 },
}

impl Failure {
    fn reason(self) -> String {
        match self {
            Self::Lost(error) | Self::Transport(error) => chain(&error),
            Self::Said { said, status } => format!("{said} (status {status})"),
        }
    }
}

impl RemoteFolder {
    /// A small file of the folder or below it; `None` when it is not there.
    pub(crate) async fn read(&self, name: &str, limit: u64) -> Result<Option<Secret>, String> {
        let script = format!("name={}\nlimit={limit}\nabsent={ABSENT}\n{READ}", quote(name));
        let mut content = Vec::new();
        match self.run(&script, &mut content, Duration::from_mins(2)).await {
            Ok(()) => Ok(Some(Secret::new(content))),
            Err(Failure::Said { status: ABSENT, .. }) => Ok(None),
            Err(failure) => Err(failure.reason()),
        }
    }

    /// Runs a script in the folder.
    async fn run(
        &self,
        script: &str,
        stdout: &mut (dyn AsyncWrite + Send + Unpin),
        limit: Duration,
    ) -> Result<(), Failure> {
        let script = format!("folder={}\n{ENTER}{script}", quote(&self.path));
        let request = Request { script: &script, stdin: None, stdout: Some(stdout), limit };
        let reply = self
            .host
            .run(request)
            .await
            .map_err(|error| if error.is_transient() { Failure::Lost(error) } else { Failure::Transport(error) })?;
        if reply.status == 0 {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&reply.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        Err(Failure::Said { said: last.trim().to_owned(), status: reply.status })
    }
}

/// `size mtime ./name`, as `list.sh` writes it.
fn read_line(line: &[u8]) -> Option<Candidate> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<i64>().ok();
    let (size, modified) = (number()?, number()?);
    let name = parts.next()?.strip_prefix(b"./")?;
    let modified = Timestamp::from_second(modified).ok()?;
    Some(Candidate::new(OsString::from_vec(name.to_vec()), u64::try_from(size).ok()?, modified))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::sources::{HereKind, TimeFrom};
    use crate::transport::Local;

    /// This machine's own `sh` is asked, as the other host's would be.
    fn remote(folder: &Path) -> RemoteFolder {
        RemoteFolder {
            label: "the folder there".to_owned(),
            path: folder.display().to_string(),
            pattern: any_db(),
            host: Arc::new(Local),
        }
    }

    #[tokio::test]
    async fn files_are_listed_whatever_their_names_are_made_of() {
        let folder = tempfile::tempdir().unwrap();
        let odd = [
            b"it's \"$(odd)\" \\ *.db".as_slice(),
            b"-n.db",
            b"b\xff-2018-05-24_21-54-03_UTC.db",
            "a\u{F022}.db".as_bytes(),
        ];
        for (index, name) in odd.iter().enumerate() {
            std::fs::write(folder.path().join(OsString::from_vec(name.to_vec())), vec![0; index]).unwrap();
        }
        for other in ["line\nend.db", "notes.txt", "half.db.part"] {
            std::fs::write(folder.path().join(other), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("folder.db")).unwrap();
        let mut found = remote(folder.path()).list().await.unwrap().candidates;
        found.sort_by_key(|candidate| candidate.size);
        let names: Vec<_> = found.iter().map(|candidate| candidate.name.as_bytes()).collect();
        assert_eq!(names, odd);
        assert_eq!(found.iter().map(|candidate| candidate.size).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(found[2].time_from, TimeFrom::Name);
    }

    #[tokio::test]
    async fn more_files_than_fit_one_command_are_all_listed() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..450 {
            std::fs::write(folder.path().join(format!("{number}.db")), "").unwrap();
        }
        assert_eq!(remote(folder.path()).list().await.unwrap().candidates.len(), 450);
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(remote(empty.path()).list().await.unwrap(), Listing::default());
    }

    #[tokio::test]
    async fn a_stat_that_says_nothing_of_a_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.db"), "x").unwrap();
        let other = format!("stat() {{ echo 'stat: illegal option -- c' >&2; return 1; }}\n{LIST}");
        let failure = remote(folder.path()).run(&other, &mut Vec::new(), Duration::from_mins(1)).await.unwrap_err();
        let reason = failure.reason();
        assert!(
            reason.starts_with("its `stat` knows no `-L -c FORMAT`") && reason.contains("illegal option"),
            "{reason}"
        );
    }

    #[tokio::test]
    async fn a_missing_folder_is_told() {
        let error = remote(Path::new("/no/such/folder")).list().await.unwrap_err().to_string();
        assert!(error.starts_with("could not list the snapshots in the folder there: "), "{error}");
        assert!(error.contains("/no/such/folder"), "{error}");
    }

    #[tokio::test]
    async fn a_file_is_fetched_once_and_kept_private() {
        let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = OsString::from_vec(b"odd '\xff.db".to_vec());
        // As long as a whole snapshot could be: others are not fetched.
        let bytes: Vec<u8> = (0..300_040_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(there.path().join(&name), &bytes).unwrap();
        let folder = remote(there.path());
        let candidate = folder.list().await.unwrap().candidates.remove(0);
        let cache = here.path().join("cache");
        let Here { path, kind } = folder.open(&candidate, &cache, &|_, _| {}).await.unwrap();
        assert_eq!(kind, HereKind::NewCopy);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::remove_file(there.path().join(&name)).unwrap();
        let again = folder.open(&candidate, &cache, &|_, _| {}).await.unwrap();
        assert_eq!(again, Here { path, kind: HereKind::FoundCopy });
        assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_file_that_changed_is_not_fetched() {
        let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(there.path().join("a.db"), "as listed").unwrap();
        let folder = remote(there.path());
        let candidate = folder.list().await.unwrap().candidates.remove(0);
        std::fs::write(there.path().join("a.db"), "then another").unwrap();
        let error = folder.open(&candidate, here.path(), &|_, _| {}).await.unwrap_err().to_string();
        assert_eq!(
            error,
            "could not read the snapshot `a.db` of the folder there: it changed since it was listed (status 1)"
        );
    }
}
