//! A folder on another host, over SSH: listed by one script, downloaded in pieces that outlive a lost connection.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::AsyncWrite;

use super::download::{Download, Fetch, Fetched};
use super::folder::any_db;
use super::newest::chain;
use super::{Candidate, SnapshotSource, SourceError, Told};
use crate::inventory::{Become, BecomeMethod, SshHost};
use crate::snapshot::fits;
use crate::target::quote;
use crate::transport::{Request, Ssh, Transport, TransportError};

const LIST: &str = include_str!("list.sh");
const FETCH: &str = include_str!("fetch.sh");

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
pub(super) struct RemoteFolder {
    label: String,
    path: String,
    pattern: String,
    host: Arc<dyn Transport>,
}

impl SshFolder {
    /// How messages name it.
    pub(super) fn label(&self) -> String {
        format!("the folder {} on {}", self.path, self.server.host)
    }

    pub(super) fn connect(&self) -> Result<RemoteFolder, SourceError> {
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

    async fn list(&self) -> Result<Vec<Candidate>, SourceError> {
        let failed = |reason: String| SourceError::List { source_label: self.label.clone(), reason };
        let mut listing = Vec::new();
        let script = format!("folder={}\n{LIST}", quote(&self.path));
        self.run(&script, &mut listing, Duration::from_mins(2)).await.map_err(|told| failed(told.reason()))?;
        let mut found = Vec::new();
        for line in listing.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let candidate =
                read_line(line).ok_or_else(|| failed(format!("unexpected: {}", String::from_utf8_lossy(line))))?;
            if fits(&self.pattern, &candidate.name) {
                found.push(candidate);
            }
        }
        Ok(found)
    }

    async fn open(&self, candidate: &Candidate, cache: &Path, tell: &Told) -> Result<PathBuf, SourceError> {
        let failed =
            |reason: String| SourceError::Read { source_label: self.label.clone(), name: candidate.shown(), reason };
        let download =
            Download { cache, source: &self.label, candidate, reconnect_for: self.host.reconnect_for(), tell };
        download.run(&Remote { folder: self, candidate }).await.map_err(failed)
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
        let script = format!(
            "folder={}\nname={}\nexpected={}\nfrom={}\n{FETCH}",
            quote(&self.folder.path),
            quote(name.as_bytes()),
            quote(&expected),
            from + 1,
        );
        match self.folder.run(&script, sink, LONGEST).await {
            Ok(()) => Fetched::All,
            Err(Failure::Lost(error)) => Fetched::Part(chain(&error)),
            Err(failure) => Fetched::Failed(failure.reason()),
        }
    }
}

/// Why a script gave no answer.
enum Failure {
    Lost(TransportError),
    Transport(TransportError),
    Said(String),
}

impl Failure {
    fn reason(self) -> String {
        match self {
            Self::Lost(error) | Self::Transport(error) => chain(&error),
            Self::Said(said) => said,
        }
    }
}

impl RemoteFolder {
    async fn run(
        &self,
        script: &str,
        stdout: &mut (dyn AsyncWrite + Send + Unpin),
        limit: Duration,
    ) -> Result<(), Failure> {
        let request = Request { script, stdin: None, stdout: Some(stdout), limit };
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
        Err(Failure::Said(format!("{} (status {})", last.trim(), reply.status)))
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
